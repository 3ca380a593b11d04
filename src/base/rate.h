/* SPDX-License-Identifier: MIT */
/*
 * Rate limits: one token bucket per key, in a table of bounded size.
 *
 * A bucket holds `burst` takes and refills at `per_minute`. Keys are any bytes (an address, a user id), also none. A
 * bucket that is full again is the same as none. When there are `keys_max` the one idle longest gives way to a new one,
 * so a flood of keys cannot grow the table.
 */
#ifndef BASE_RATE_H
#define BASE_RATE_H

#include <stdint.h>

#include "base/attr.h"
#include "base/span.h"

struct rate;

/* `per_minute` 0 means no limit: every take succeeds. `burst` and `keys_max` are at least 1. Null: no memory. */
struct rate *rate_new(uint32_t per_minute, uint32_t burst, uint32_t keys_max) must_check;
void rate_free(struct rate *rate);

/* Takes one from the bucket of `key`. Returns 0, or the whole seconds (1 or more) until one will be there, with nothing
 * taken. Without memory for a new bucket the take succeeds. */
uint32_t rate_take(struct rate *rate, struct span key, int64_t now_ms) must_check;

/* The same answer without taking. */
uint32_t rate_wait(struct rate *rate, struct span key, int64_t now_ms) must_check;

#endif
