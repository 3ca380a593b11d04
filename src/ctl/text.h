/* SPDX-License-Identifier: MIT */
/*
 * Text from elsewhere on a terminal. Pure.
 *
 * Who may write a message may write into the terminal of the operator who looks at it. So whatever could move the
 * cursor, end a line, hide or reorder what stands there is shown as an escape instead: control characters (C0, DEL, C1),
 * the line and paragraph separators, the bidirectional marks and overrides, what is there without being seen, what is
 * not UTF-8, and what has no shape.
 *
 *     \n \r \t                  as in C
 *     \x1b                      other ASCII, and bytes that are not UTF-8
 *     \u202e \U000e0001         other characters
 *
 * Escapes are for people: a backslash stays as it is, so they cannot be told from text that looks like one. `--json` is
 * exact: there escapes are those of JSON.
 */
#ifndef CTL_TEXT_H
#define CTL_TEXT_H

#include "base/buf.h"

/* Sets up the width of characters: once, before anything else here. Without the locale C.UTF-8 every character that is
 * shown counts as one column wide. */
void text_init(void);

/* Adds `text` to `out`, harmless. */
void text_add_safe(struct buf *out, struct span text);

/* Adds JSON text, in which others may have written the strings: the same JSON, but with what is harmful escaped as JSON
 * has it. (ASCII control characters in strings are escaped in any JSON; those between values are left.) */
void text_add_safe_json(struct buf *out, struct span json);

/* The columns that text takes on a terminal, as wcwidth(3) has it: 2 for wide characters, 0 for combining ones. `text`
 * is what text_add_safe has written. */
size_t text_width(struct span text);

#endif
