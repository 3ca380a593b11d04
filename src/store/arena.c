/* SPDX-License-Identifier: MIT */
/* A list of chunks, each twice the one before. */
#include "store/arena.h"

#include <stdint.h>
#include <stdlib.h>

enum { FIRST_CHUNK_BYTES = 1000, CHUNK_BYTES_MAX = 1 << 20, FIRST_CAP = 8 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t used;
    size_t cap;
    _Alignas(max_align_t) char bytes[];
};

void arena_reset(struct arena *arena)
{
    while (arena->chunks) {
        struct arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        free(chunk);
    }
    arena->failed = false;
}

static bool add_chunk(struct arena *arena, size_t bytes)
{
    size_t cap = arena->chunks ? arena->chunks->cap * 2 : FIRST_CHUNK_BYTES;
    if (cap > CHUNK_BYTES_MAX)
        cap = CHUNK_BYTES_MAX;
    if (cap < bytes)
        cap = bytes;
    struct arena_chunk *chunk = malloc(sizeof(*chunk) + cap);
    if (!chunk)
        return false;
    *chunk = (struct arena_chunk){.next = arena->chunks, .cap = cap};
    arena->chunks = chunk;
    return true;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    const size_t align = _Alignof(max_align_t);
    if (bytes > SIZE_MAX / 4) {
        arena->failed = true;
        return NULL;
    }
    bytes = (bytes + align - 1) / align * align;
    bool fits = arena->chunks && arena->chunks->cap - arena->chunks->used >= bytes;
    if (!fits && !add_chunk(arena, bytes)) {
        arena->failed = true;
        return NULL;
    }
    char *at = arena->chunks->bytes + arena->chunks->used;
    arena->chunks->used += bytes;
    return at;
}

struct span arena_copy(struct arena *arena, struct span bytes)
{
    char *copy = bytes.data ? arena_alloc(arena, bytes.len) : NULL;
    if (!copy)
        return (struct span){NULL, 0};
    if (bytes.len)
        memcpy(copy, bytes.data, bytes.len);
    return (struct span){copy, bytes.len};
}

static bool grow(struct arena *arena, struct arena_list *list, size_t size)
{
    size_t cap = list->cap ? list->cap * 2 : FIRST_CAP;
    void *items = cap <= SIZE_MAX / 4 / size ? arena_alloc(arena, cap * size) : NULL;
    if (!items) {
        arena->failed = true;
        return false;
    }
    if (list->count)
        memcpy(items, list->items, list->count * size);
    list->items = items;
    list->cap = cap;
    return true;
}

void *arena_list_add(struct arena *arena, struct arena_list *list, size_t size)
{
    if (list->count == list->cap && !grow(arena, list, size))
        return NULL;
    char *item = (char *)list->items + list->count * size;
    memset(item, 0, size);
    list->count++;
    return item;
}
