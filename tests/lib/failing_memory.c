/* SPDX-License-Identifier: MIT */
/* The linker leads every call from our objects through these. */
#include "lib/failing_memory.h"

#include <stddef.h>

#include "lib/fake_store.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static unsigned until_failure;
static bool has_failed;

void memory_fail_at(unsigned nth)
{
    until_failure = nth;
    has_failed = false;
}

bool memory_has_failed(void)
{
    return has_failed;
}

static bool fails_now(void)
{
    if (fake_store_busy || until_failure == 0 || --until_failure > 0)
        return false;
    has_failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails_now() ? NULL : __real_realloc(old, size);
}
