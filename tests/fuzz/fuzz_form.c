/* SPDX-License-Identifier: MIT */
/*
 * Percent-encoded text and forms from arbitrary bytes.
 *
 * Invariants: what is accepted is valid UTF-8 without NUL (in a path without any control character) and no longer than
 * it was; fields lie within what was decoded; what is written in escapes reads back.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "http/form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static bool has_control(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f)
            return true;
    return false;
}

static void check_text(struct span text)
{
    require(utf8_valid(text));
    require(text.len == 0 || !memchr(text.data, 0, text.len));
}

/* Escapes every byte and decodes again. */
static void check_round_trip(struct span text)
{
    static const char digits[] = "0123456789abcDEF";
    char *escaped = malloc(text.len * 3 + 1);
    char *again = malloc(text.len * 3 + 1);
    size_t len;
    require(escaped && again);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        escaped[i * 3] = '%';
        escaped[i * 3 + 1] = digits[c >> 4];
        escaped[i * 3 + 2] = digits[c & 15];
    }
    require(percent_decode((struct span){escaped, text.len * 3}, PERCENT_FORM, again, &len) == OK);
    require(span_equal(text, (struct span){again, len}));
    free(escaped);
    free(again);
}

static void check_path(struct span text)
{
    char *out = malloc(text.len + 1);
    size_t len = SIZE_MAX;
    require(out);
    enum err err = percent_decode(text, PERCENT_PATH, out, &len);
    require(err == OK || err == ERR_BAD_REQUEST || err == ERR_BAD_UTF8);
    require((err == OK) == (len != SIZE_MAX));
    if (!err) {
        require(len <= text.len);
        check_text((struct span){out, len});
        require(!has_control((struct span){out, len}));
    }
    free(out);
}

static void check_form(struct span text)
{
    struct form form = {0};
    enum err err = form_parse(text, &form);
    require(err == OK || err == ERR_BAD_REQUEST || err == ERR_BAD_UTF8);
    size_t total = 0;
    for (size_t i = 0; i < form.count; i++) {
        check_text(form.fields[i].name);
        check_text(form.fields[i].value);
        total += form.fields[i].name.len + form.fields[i].value.len;
        check_round_trip(form.fields[i].value);
    }
    require(total <= text.len);
    require(err == OK || form.count == 0);
    form_fini(&form);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    check_path(text);
    check_form(text);
    return 0;
}
