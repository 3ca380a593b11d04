/* SPDX-License-Identifier: MIT */
/* UTF-8 checks for the edge: what passes here is never checked again. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>

#include "base/span.h"

/* Whether `text` is well-formed UTF-8 (RFC 3629: no overlong forms, surrogates or code points above U+10FFFF). */
bool utf8_valid(struct span text);

/* Whether `text` is valid UTF-8 without control characters (C0, DEL, C1) and without U+2028, U+2029 or the
 * bidirectional overrides: fit to be a name or an id. */
bool utf8_printable(struct span text);

#endif
