/* SPDX-License-Identifier: MIT */
/* An intrusive binary heap: each timer knows its slot, so moving one needs no search. */
#include "base/timer.h"

#include <assert.h>
#include <stdlib.h>

enum { FIRST_CAP = 64 };

void timers_fini(struct timers *timers)
{
    free(timers->heap);
    *timers = TIMERS_INIT;
}

enum err timer_init(struct timers *timers, struct timer *timer, void (*fire)(struct timer *timer))
{
    if (timers->reserved == timers->cap) {
        uint32_t cap = timers->cap ? timers->cap * 2 : FIRST_CAP;
        struct timer **heap = realloc(timers->heap, cap * sizeof(*heap));
        if (!heap)
            return ERR_NO_MEMORY;
        timers->heap = heap;
        timers->cap = cap;
    }
    timers->reserved++;
    *timer = (struct timer){.fire = fire};
    return OK;
}

void timer_fini(struct timers *timers, struct timer *timer)
{
    if (!timer->fire)
        return;
    timer_clear(timers, timer);
    assert(timers->reserved > 0);
    timers->reserved--;
    timer->fire = NULL;
}

/* Slots count from 1, so that 0 can mean "not set" and a parent is slot / 2. */
static void place(struct timers *timers, struct timer *timer, uint32_t slot)
{
    timers->heap[slot - 1] = timer;
    timer->slot = slot;
}

static struct timer *at(const struct timers *timers, uint32_t slot)
{
    return timers->heap[slot - 1];
}

/* Among equal deadlines those set before the current run come first. */
static bool is_before(const struct timers *timers, const struct timer *a, const struct timer *b)
{
    if (a->due_ms != b->due_ms)
        return a->due_ms < b->due_ms;
    return a->run != timers->run && b->run == timers->run;
}

static void sift_up(struct timers *timers, struct timer *timer, uint32_t slot)
{
    while (slot > 1 && is_before(timers, timer, at(timers, slot / 2))) {
        place(timers, at(timers, slot / 2), slot);
        slot /= 2;
    }
    place(timers, timer, slot);
}

static void sift_down(struct timers *timers, struct timer *timer, uint32_t slot)
{
    for (;;) {
        uint32_t child = slot * 2;
        if (child > timers->count)
            break;
        if (child < timers->count && is_before(timers, at(timers, child + 1), at(timers, child)))
            child++;
        if (!is_before(timers, at(timers, child), timer))
            break;
        place(timers, at(timers, child), slot);
        slot = child;
    }
    place(timers, timer, slot);
}

static void settle(struct timers *timers, struct timer *timer, uint32_t slot)
{
    if (slot > 1 && is_before(timers, timer, at(timers, slot / 2)))
        sift_up(timers, timer, slot);
    else
        sift_down(timers, timer, slot);
}

void timer_set(struct timers *timers, struct timer *timer, int64_t due_ms)
{
    timer->due_ms = due_ms;
    timer->run = timers->run;
    if (timer->slot) {
        settle(timers, timer, timer->slot);
        return;
    }
    assert(timers->count < timers->reserved);
    timers->count++;
    sift_up(timers, timer, timers->count);
}

void timer_clear(struct timers *timers, struct timer *timer)
{
    uint32_t slot = timer->slot;
    if (!slot)
        return;
    struct timer *last = at(timers, timers->count);
    timers->count--;
    timer->slot = 0;
    if (last != timer)
        settle(timers, last, slot);
}

void timers_run(struct timers *timers, int64_t now_ms)
{
    timers->run++;
    while (timers->count && at(timers, 1)->due_ms <= now_ms) {
        struct timer *timer = at(timers, 1);
        if (timer->due_ms == now_ms && timer->run == timers->run)
            break;
        timer_clear(timers, timer);
        timer->fire(timer);
    }
}

int64_t timers_next(const struct timers *timers)
{
    return timers->count ? at(timers, 1)->due_ms : INT64_MAX;
}
