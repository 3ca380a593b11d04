/* SPDX-License-Identifier: MIT */
/*
 * Cursor: a place in the log.
 *
 * Strictly increasing along the log of one store. `major` alone is a row number in SQLite; both parts are a
 * Redis stream id. Outside it is opaque text: `major`, or `major-minor` when minor is not 0, at most 41 characters.
 * The zero cursor is the place before everything.
 */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/span.h"

enum { CURSOR_TEXT_SIZE = 42 };

struct cursor {
    uint64_t major;
    uint64_t minor;
};

/* Negative, 0 or positive as `a` is before, at or after `b`. */
static inline int cursor_compare(struct cursor a, struct cursor b)
{
    if (a.major != b.major)
        return a.major < b.major ? -1 : 1;
    return (a.minor > b.minor) - (a.minor < b.minor);
}

/* Reads the text form; false (and *ret_cursor untouched) for anything else, leading zeros and overflow included. */
bool cursor_parse(struct span text, struct cursor *ret_cursor) must_check;

/* Writes the text with its NUL and returns `text`. */
const char *cursor_format(struct cursor cursor, char text[CURSOR_TEXT_SIZE]);

#endif
