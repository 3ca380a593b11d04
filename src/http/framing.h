/* SPDX-License-Identifier: MIT */
/*
 * Framing: whether a request's head leaves no doubt about what it says and where its body ends.
 *
 * Two servers in a row that disagree about that can be made to see different requests (request smuggling). What
 * libmicrohttpd lets pass and another server might read otherwise is refused here, before any handler sees the request.
 * Pure functions.
 *
 * Rules: RFC 9112 sections 3.2 (Host), 5.1 (no whitespace before the colon), 5.2 (no folded lines), 6.1 to 6.3
 * (transfer codings and content length); RFC 9110 sections 5.5 (no control characters in values) and 10.1.1 (Expect).
 */
#ifndef HTTP_FRAMING_H
#define HTTP_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/span.h"

struct framing {
    const char *at;  /* where the line before ended */
    const char *end; /* of the head, after the empty line; null: the lines are not checked for being in one piece */
    bool http10;
    bool has_coding;
    bool has_length;
    bool has_host;
    uint64_t length;      /* Content-Length; 0 without one */
    enum err err;         /* the first objection */
    const char *sentence; /* what it is about; static */
};

/* Begins with a head in memory as MHD leaves it: every colon and line end overwritten with NUL, all else in its
 * place. Walking it line by line finds what its parser hides: a folded line, which it glues to the *name* of the
 * header before, and a NUL, at which it cuts a line. (Only a NUL right where a CR may stand looks like one; it
 * changes neither the lines nor what they say.) `request_line_end` is where the version ends, `end` is after the
 * empty line; both null leave this out. */
void framing_begin(struct framing *framing, const char *request_line_end, const char *end, bool http10);

/* Takes in one header line, in the order they came. */
void framing_add(struct framing *framing, struct span name, struct span value);

/* The verdict after the last line: OK, ERR_BAD_FRAMING, ERR_BAD_CODING or ERR_BAD_EXPECT, with framing->sentence. */
enum err framing_check(struct framing *framing) must_check;

/* Whether `text` is a token (RFC 9110 section 5.6.2), as a method or a header name has to be: not empty, and no
 * character that delimits. */
bool framing_is_token(struct span text);

#endif
