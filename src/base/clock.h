/* SPDX-License-Identifier: MIT */
/*
 * Clock: the port for time.
 *
 * `now_ms` is monotonic, for deadlines; `wall_us` is microseconds since 1970 UTC, for what people see. The loop gives
 * both from one reading per turn; tests give what they like.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

struct clock {
    int64_t (*now_ms)(const struct clock *clock);
    int64_t (*wall_us)(const struct clock *clock);
};

static inline int64_t clock_now_ms(const struct clock *clock)
{
    return clock->now_ms(clock);
}

static inline int64_t clock_wall_us(const struct clock *clock)
{
    return clock->wall_us(clock);
}

#endif
