/* SPDX-License-Identifier: MIT */
/*
 * Arena: memory that is given back all at once.
 *
 * Like buf, it remembers a failed allocation: ask `arena.failed` once at the end. Nothing is allocated before the first
 * use.
 */
#ifndef STORE_ARENA_H
#define STORE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/span.h"

struct arena {
    struct arena_chunk *chunks; /* owned, the newest first */
    bool failed;
};

/* Frees everything, and forgets a failure. */
void arena_reset(struct arena *arena);

/* Bytes aligned for any type, contents unset. Null: no memory. */
void *arena_alloc(struct arena *arena, size_t bytes) must_check;

/* A copy of the bytes; null data stays null, and comes of no memory. */
struct span arena_copy(struct arena *arena, struct span bytes);

/* A list that grows in an arena. */
struct arena_list {
    void *items;
    size_t count;
    size_t cap;
};

/* Room for one more item of `size` bytes at the end, zeroed, counted. Items may move. Null: no memory. */
void *arena_list_add(struct arena *arena, struct arena_list *list, size_t size) must_check;

#endif
