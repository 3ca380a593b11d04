/* SPDX-License-Identifier: MIT */
/*
 * Splitter: a stream of bytes into JSON objects.
 *
 *     bytes ─> splitter_next ─> object, object, … ─> nothing (the rest is kept) ─> more bytes ─> …
 *
 * Objects may follow each other with white space between them (RFC 8259 section 2: space, tab, CR, LF) or nothing, and
 * bytes may be split anywhere. What is found is an object as far as its brackets go: it is for json_parse to take it.
 * Errors that can be seen before an object is whole are seen then, so nobody waits for the end of what has none.
 *
 * Memory is held only between the first and the last byte of an object that did not come at once. Pure: no I/O, no
 * clock.
 */
#ifndef TALKER_SPLITTER_H
#define TALKER_SPLITTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/span.h"

struct splitter {
    char *held; /* owned: the object's bytes so far; null: none */
    size_t held_len, held_cap;
    size_t object_max; /* bytes of an object */
    unsigned depth_max;
    unsigned depth; /* brackets that are open; 0 between objects */
    bool in_string;
    bool escaped; /* the last byte was a backslash in a string */
    bool given;   /* what is held was an object, and its user is done with it */
};

/* Objects have at most `object_max` bytes from bracket to bracket, and `depth_max` nested arrays and objects, the
 * outermost counted. */
struct splitter splitter_of(size_t object_max, unsigned depth_max);

/* Frees what is held. */
void splitter_fini(struct splitter *splitter);

/* Finds the next object at the front of `*bytes`, which is moved behind what was used. Null data in *ret_object: all
 * bytes were used and more are needed. The object lives until the next call or as long as `*bytes` does, whichever is
 * shorter. Errors, after which the splitter is of no more use: ERR_BAD_FRAMING (what begins is no object),
 * ERR_BAD_JSON (a control character in a string, a NUL, too deep), ERR_TOO_LARGE, ERR_NO_MEMORY. */
enum err splitter_next(struct splitter *splitter, struct span *bytes, struct span *ret_object) must_check;

#endif
