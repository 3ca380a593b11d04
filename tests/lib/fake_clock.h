/* SPDX-License-Identifier: MIT */
/* Fake clock: time stands still until a test moves it. Both clocks move together. */
#ifndef TESTS_LIB_FAKE_CLOCK_H
#define TESTS_LIB_FAKE_CLOCK_H

#include "base/clock.h"

struct fake_clock {
    struct clock clock; /* the port */
    int64_t now_ms;
    int64_t wall_us;
};

/* Starts at 1000 ms, on 2011-02-10 at 15:04:55 UTC. */
void fake_clock_init(struct fake_clock *clock);

void fake_clock_advance(struct fake_clock *clock, int64_t ms);

#endif
