/* SPDX-License-Identifier: MIT */
/*
 * UTF-8 checks on arbitrary bytes.
 *
 * Invariants: jansson, which has a check of its own, agrees about what is valid. What is printable is valid and has no
 * ASCII control bytes. Both checks hold for a text exactly if they hold for the two parts it is cut into between
 * characters.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static bool jansson_takes(struct span text)
{
    json_t *json = json_stringn(text.data, text.len);
    json_decref(json);
    return json != NULL;
}

static bool has_control_byte(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f)
            return true;
    return false;
}

static void check_parts(struct span text, size_t at)
{
    struct span head = {text.data, at};
    struct span tail = {text.data + at, text.len - at};
    if (at == text.len || ((unsigned char)text.data[at] & 0xc0) == 0x80)
        return;
    require(utf8_valid(text) == (utf8_valid(head) && utf8_valid(tail)));
    require(utf8_printable(text) == (utf8_printable(head) && utf8_printable(tail)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {size ? (const char *)data : "", size};
    require(utf8_valid(text) == jansson_takes(text));
    if (utf8_printable(text))
        require(utf8_valid(text) && !has_control_byte(text));
    for (size_t at = 0; at < size && at < 16; at++)
        check_parts(text, at);
    return 0;
}
