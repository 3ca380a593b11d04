/* SPDX-License-Identifier: MIT */
/*
 * Timers: deadlines in milliseconds of a monotonic clock, kept in a binary heap.
 *
 * A timer is embedded in what it belongs to. It costs 24 bytes, and a slot of 8 in the heap while it is set. The
 * heap knows no clock: whoever owns it calls `timers_run` with the time. Setting and clearing are O(log n) and
 * may be done inside a callback, for the timer that fires as for any other.
 *
 * Slots are reserved when a timer is made (`timer_init`) so that `timer_set` cannot fail.
 */
#ifndef BASE_TIMER_H
#define BASE_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

struct timer {
    int64_t due_ms;
    void (*fire)(struct timer *timer);
    uint32_t slot; /* 1-based place in the heap; 0 while not set */
    uint32_t run;  /* the number of the last timers_run when it was set: tells new from old within one run */
};

struct timers {
    struct timer **heap; /* owned */
    uint32_t count;      /* set timers */
    uint32_t reserved;   /* initialised timers, set or not */
    uint32_t cap;
    uint32_t run; /* counts timers_run */
};

#define TIMERS_INIT ((struct timers){0})

/* Frees the heap. Timers still set are forgotten, not fired. */
void timers_fini(struct timers *timers);

/* Makes a timer that is not set. ERR_NO_MEMORY: nothing was done. Pair with `timer_fini`. */
enum err timer_init(struct timers *timers, struct timer *timer, void (*fire)(struct timer *timer)) must_check;

/* Clears the timer and gives its reservation back. On zeroed memory it does nothing. */
void timer_fini(struct timers *timers, struct timer *timer);

/* Sets or moves the deadline. */
void timer_set(struct timers *timers, struct timer *timer, int64_t due_ms);

/* Unsets; no effect on a timer that is not set. */
void timer_clear(struct timers *timers, struct timer *timer);

static inline bool timer_is_set(const struct timer *timer)
{
    return timer->slot != 0;
}

/* Fires, in order of their deadlines, all timers due at `now_ms` that were set before the call or are set during it to
 * a deadline before now_ms. Each is unset before its callback runs. */
void timers_run(struct timers *timers, int64_t now_ms);

/* The earliest deadline, or INT64_MAX with no timer set. */
int64_t timers_next(const struct timers *timers);

#endif
