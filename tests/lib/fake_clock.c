/* SPDX-License-Identifier: MIT */
/* Two numbers behind the clock port. */
#include "lib/fake_clock.h"

static int64_t fake_now_ms(const struct clock *clock)
{
    const struct fake_clock *fake = (const struct fake_clock *)clock;
    return fake->now_ms;
}

static int64_t fake_wall_us(const struct clock *clock)
{
    const struct fake_clock *fake = (const struct fake_clock *)clock;
    return fake->wall_us;
}

void fake_clock_init(struct fake_clock *clock)
{
    *clock = (struct fake_clock){.clock = {fake_now_ms, fake_wall_us}, .now_ms = 1000, .wall_us = 1297350295000000};
}

void fake_clock_advance(struct fake_clock *clock, int64_t ms)
{
    clock->now_ms += ms;
    clock->wall_us += ms * 1000;
}
