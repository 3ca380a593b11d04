/* SPDX-License-Identifier: MIT */
/* The text form of a cursor. */
#include "base/cursor.h"

#include <inttypes.h>
#include <stdio.h>

/* Reads decimal digits from the front of *text and moves it behind them. */
static bool take_number(struct span *text, uint64_t *ret_number)
{
    uint64_t number = 0;
    size_t at = 0;
    for (; at < text->len && text->data[at] >= '0' && text->data[at] <= '9'; at++) {
        uint64_t digit = (uint64_t)(text->data[at] - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    if (at == 0 || (at > 1 && text->data[0] == '0'))
        return false;
    *text = (struct span){text->data + at, text->len - at};
    *ret_number = number;
    return true;
}

bool cursor_parse(struct span text, struct cursor *ret_cursor)
{
    struct cursor cursor = {0};
    if (!take_number(&text, &cursor.major))
        return false;
    if (text.len && text.data[0] == '-') {
        text = (struct span){text.data + 1, text.len - 1};
        if (!take_number(&text, &cursor.minor) || cursor.minor == 0)
            return false;
    }
    if (text.len)
        return false;
    *ret_cursor = cursor;
    return true;
}

const char *cursor_format(struct cursor cursor, char text[CURSOR_TEXT_SIZE])
{
    if (cursor.minor)
        (void)snprintf(text, CURSOR_TEXT_SIZE, "%" PRIu64 "-%" PRIu64, cursor.major, cursor.minor);
    else
        (void)snprintf(text, CURSOR_TEXT_SIZE, "%" PRIu64, cursor.major);
    return text;
}
