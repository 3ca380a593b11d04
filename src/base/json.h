/* SPDX-License-Identifier: MIT */
/*
 * JSON from outside, bounded before it is parsed.
 *
 * jansson parses recursively and lets the last of two equal keys win; both are harmless only behind this door.
 * Text that passes is one JSON value (RFC 8259) in valid UTF-8, no deeper than the bound, with no repeated key and no
 * `\u0000`.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

/* Parses `text`. `depth_max` counts nested arrays and objects (a bare value is 0 deep). Errors: ERR_BAD_UTF8,
 * ERR_BAD_JSON; *ret_json, a new reference, is written on success only. */
enum err json_parse(struct span text, unsigned depth_max, json_t **ret_json) must_check;

/* The string member `key` of `object` as a span that lives as long as the object; an empty span with null data where
 * there is none or it is not a string. */
struct span json_text(const json_t *object, const char *key);

/* Where the value of member `key` stands in the text of an object that json_parse has taken, as it is written:
 * jansson keeps no more of a number than fits a double. False, and *ret_value untouched: the object has no such
 * member, or writes its key with escapes. */
bool json_find_value(struct span object, const char *key, struct span *ret_value) must_check;

/* Adds `text`, which json_parse has taken, without the white space between its tokens; so it is one line. */
void json_minify(struct buf *out, struct span text);

/* The library's name and version; static. */
const char *json_library(void);

#endif
