/* SPDX-License-Identifier: MIT */
/*
 * Failing memory: lets a chosen allocation fail.
 *
 * Only for programs linked with -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc. The fake store's own allocations
 * neither fail nor count.
 */
#ifndef TESTS_LIB_FAILING_MEMORY_H
#define TESTS_LIB_FAILING_MEMORY_H

#include <stdbool.h>

/* The allocation `nth` from now fails, 1 being the next, and none after it; 0: none at all. */
void memory_fail_at(unsigned nth);

/* Whether the one chosen last has failed. */
bool memory_has_failed(void);

#endif
