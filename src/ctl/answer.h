/* SPDX-License-Identifier: MIT */
/* Reading answers. Pure, but for the time zone. */
#ifndef CTL_ANSWER_H
#define CTL_ANSWER_H

#include <stdint.h>

#include "base/json.h"

enum { WHEN_SIZE = 20 };

/* The integer member `key`; 0 where there is none. */
int64_t answer_count(const json_t *object, const char *key);

/* Whether the member `key` is true. */
bool answer_says(const json_t *object, const char *key);

/* RFC 3339 text in UTC, as `2011-02-10T15:04:55.123456Z`, in microseconds since 1970. False: it is none. */
bool answer_parse_time(struct span time, int64_t *ret_us) must_check;

/* RFC 3339 text as local time, `2026-11-21 10:00:00`, or as it is where it is none; cut to fit. Returns `text`. */
const char *answer_time(struct span time, char text[WHEN_SIZE]);

#endif
