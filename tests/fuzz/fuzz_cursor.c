/* SPDX-License-Identifier: MIT */
/*
 * Cursors from arbitrary bytes, as text and as numbers.
 *
 * Invariants: a cursor has exactly one text, so what is read is written back byte for byte, and what is written is read
 * back; what is refused leaves the cursor alone.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_text(struct span text)
{
    static const struct cursor untouched = {7, 7};
    char written[CURSOR_TEXT_SIZE];
    struct cursor cursor = untouched;
    if (cursor_parse(text, &cursor))
        require(span_is(text, cursor_format(cursor, written)));
    else
        require(cursor_compare(cursor, untouched) == 0);
}

static void check_numbers(struct cursor cursor)
{
    char written[CURSOR_TEXT_SIZE];
    struct cursor again;
    require(cursor_parse(span_of(cursor_format(cursor, written)), &again));
    require(cursor_compare(cursor, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor cursor = {0};
    check_text((struct span){(const char *)data, size});
    memcpy(&cursor, data, size < sizeof(cursor) ? size : sizeof(cursor));
    check_numbers(cursor);
    return 0;
}
