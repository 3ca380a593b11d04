/* SPDX-License-Identifier: MIT */
/*
 * What every part of the bench needs: giving up with a reason, the clock, memory that is always there.
 *
 * A scenario runs in a process of its own, so it may give up anywhere: fail() ends that process with status 1, the
 * servers it started end with it (proc.h), and the bench goes on with the next scenario.
 */
#ifndef BENCH_SUPPORT_H
#define BENCH_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

#define NS_PER_MS 1000000ULL
#define NS_PER_S 1000000000ULL

/* Says why on standard error, one line, and exits with status 1. Does not return. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Monotonic time in nanoseconds. Deadlines below are on this clock. */
uint64_t now_ns(void);

/* The time `seconds` from now. */
uint64_t deadline_in(unsigned seconds);

/* Milliseconds left until a deadline, rounded up and at least 1; fails, naming `what`, when it has passed. */
int ms_left(uint64_t deadline_ns, const char *what);

/* Waits for `ms` milliseconds: the pause between two looks at something that cannot be waited for. */
void pause_ms(unsigned ms);

/* Zeroed memory for `n` items of `size` bytes; never NULL. Free with free(). */
void *alloc_items(size_t n, size_t size);

/* `old` grown or shrunk to `n` items of `size` bytes (both above 0), new bytes unset; never NULL. Consumes `old`. */
void *realloc_items(void *old, size_t n, size_t size);

#endif
