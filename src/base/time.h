/* SPDX-License-Identifier: MIT */
/* Points in time as text: RFC 3339 UTC with microseconds, as in `2011-02-10T15:04:55.123456Z`. */
#ifndef BASE_TIME_H
#define BASE_TIME_H

#include <stdint.h>

enum { TIME_TEXT_SIZE = 28 };

/* Writes the text of `wall_us` (microseconds since 1970 UTC, years 1970 to 9999; others are clamped) with its NUL and
 * returns `text`. The fraction is always there: the module's client needs it. */
const char *time_format(int64_t wall_us, char text[TIME_TEXT_SIZE]);

#endif
