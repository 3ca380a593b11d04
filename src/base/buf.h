/* SPDX-License-Identifier: MIT */
/*
 * Buf: bytes that grow while something is being written.
 *
 * A failed allocation is remembered rather than reported by each call: write on, then ask `buf_failed` once at
 * the end. After a failure the contents are cut, and nothing more is added.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>

#include "base/attr.h"
#include "base/blob.h"
#include "base/span.h"

struct buf {
    char *data; /* owned; null while cap is 0 */
    size_t len;
    size_t cap;
    bool failed;
};

#define BUF_INIT ((struct buf){0})

/* Frees the bytes and leaves an empty buf that can be used again. */
void buf_fini(struct buf *buf);

/* Forgets the contents, and a failure, but keeps the memory. */
void buf_reset(struct buf *buf);

void buf_add(struct buf *buf, struct span bytes);
void buf_add_text(struct buf *buf, const char *text);
void buf_add_char(struct buf *buf, char byte);
void buf_printf(struct buf *buf, const char *format, ...) printf_like(2, 3);

/* Adds `text` as a JSON string with its quotes; `text` is valid UTF-8. Escapes what RFC 8259 section 7 requires,
 * and U+2028, U+2029, `<`, `>` and `&`, so that the result is also safe in a script or a line protocol. */
void buf_add_json(struct buf *buf, struct span text);

/* Moves the bytes out as text (they end with `\0` beyond len) or null after a failure; the buf is empty then. */
char *buf_take_text(struct buf *buf) must_check;

/* A blob of the contents, or null after a failure or without memory; the buf keeps its contents. */
struct blob *buf_blob(const struct buf *buf) must_check;

static inline bool buf_failed(const struct buf *buf)
{
    return buf->failed;
}

static inline struct span buf_span(const struct buf *buf)
{
    return (struct span){buf->data, buf->len};
}

#endif
