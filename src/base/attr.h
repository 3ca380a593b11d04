/* SPDX-License-Identifier: MIT */
/* Compiler attributes under readable names, and the one way from a member to its struct. */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

#include <stddef.h>

/* The result must be looked at. On every function that can fail. */
#define must_check __attribute__((warn_unused_result))
#define printf_like(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#define unused_arg __attribute__((unused))

/* The struct of `type` whose `member` is at `pointer`. */
#define container_of(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define array_len(array) (sizeof(array) / sizeof((array)[0]))

#endif
