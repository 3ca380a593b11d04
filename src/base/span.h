/* SPDX-License-Identifier: MIT */
/* A span: bytes that somebody else owns. `data` may be null only when `len` is 0; never NUL-terminated by promise. */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct span {
    const char *data;
    size_t len;
};

#define SPAN_LITERAL(text) ((struct span){(text), sizeof(text) - 1})

static inline struct span span_of(const char *text)
{
    return (struct span){text, text ? strlen(text) : 0};
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool span_is(struct span a, const char *text)
{
    return span_equal(a, span_of(text));
}

static inline bool span_has(struct span span, char byte)
{
    return span.len && memchr(span.data, byte, span.len);
}

/* A copy as a string, for the caller to free; null: no memory. */
static inline char *span_copy(struct span span)
{
    char *copy = malloc(span.len + 1);
    if (!copy)
        return NULL;
    if (span.len)
        memcpy(copy, span.data, span.len);
    copy[span.len] = '\0';
    return copy;
}

#endif
