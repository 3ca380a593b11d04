/* SPDX-License-Identifier: MIT */
/* What every part of the bench needs: giving up with a reason, the clock, memory that is always there. */
#include "support.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void fail(const char *format, ...)
{
    va_list args;

    fflush(stdout);
    fputs("bench: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(EXIT_FAILURE);
}

uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t deadline_in(unsigned seconds)
{
    return now_ns() + seconds * NS_PER_S;
}

int ms_left(uint64_t deadline_ns, const char *what)
{
    uint64_t now = now_ns();

    if (now >= deadline_ns)
        fail("waited too long for %s", what);
    return (int)((deadline_ns - now) / NS_PER_MS) + 1;
}

void pause_ms(unsigned ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000L};

    while (nanosleep(&left, &left) < 0)
        continue;
}

void *alloc_items(size_t n, size_t size)
{
    void *items = calloc(n ? n : 1, size);

    if (items == NULL)
        fail("out of memory");
    return items;
}

void *realloc_items(void *old, size_t n, size_t size)
{
    void *items = reallocarray(old, n, size);

    if (items == NULL)
        fail("out of memory");
    return items;
}
