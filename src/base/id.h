/* SPDX-License-Identifier: MIT */
/*
 * Ids: RFC 4122 UUIDs, for threads, messages and tokens.
 *
 * In memory 16 bytes, outside 36 characters of lower-case text. Reading accepts upper case; writing never
 * produces it. The nil UUID is not an id and reads as an error.
 */
#ifndef BASE_ID_H
#define BASE_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/span.h"

enum { ID_TEXT_LEN = 36, ID_TEXT_SIZE = ID_TEXT_LEN + 1 };

struct id {
    uint8_t bytes[16];
};

/* A random id (version 4) from the system's random source. */
struct id id_random(void);

/* The id of `name` in `space` (version 5, SHA-1): the same arguments give the same id everywhere. */
struct id id_of_name(struct id space, struct span name);

/* Reads exactly 36 characters of UUID text; false (and *ret_id untouched) for anything else. */
bool id_parse(struct span text, struct id *ret_id) must_check;

/* Writes the text with its NUL and returns `text`. */
const char *id_format(struct id id, char text[ID_TEXT_SIZE]);

bool id_equal(struct id a, struct id b);

#endif
