/* SPDX-License-Identifier: MIT */
/* Streams: a conn, and chunk framing where the client speaks HTTP/1.1 (RFC 9112 section 7.1). */
#include "http/stream.h"

#include <stdio.h>
#include <string.h>

static const char last_chunk[] = "0\r\n\r\n";

enum err stream_open(struct stream *stream, struct conns *conns, const struct conn_ops *ops, struct handoff *handoff)
{
    enum err err = conn_open(&stream->conn, conns, ops, handoff->fd, handoff->lease);
    if (err)
        return err;
    stream->chunked = handoff->chunked;
    handoff->fd = -1;
    handoff->lease = NULL;
    return OK;
}

struct blob *stream_chunk(struct span payload)
{
    char head[16];
    size_t head_len = (size_t)snprintf(head, sizeof(head), "%zx\r\n", payload.len);
    struct blob *chunk = blob_new(head_len + payload.len + 2);
    if (!chunk)
        return NULL;
    memcpy(chunk->data, head, head_len);
    memcpy(chunk->data + head_len, payload.data, payload.len);
    memcpy(chunk->data + head_len + payload.len, "\r\n", 2);
    return chunk;
}

enum err stream_send(struct stream *stream, struct blob *framed)
{
    return conn_send(&stream->conn, framed);
}

enum err stream_send_paced(struct stream *stream, struct blob *framed)
{
    return conn_send_paced(&stream->conn, framed);
}

enum err stream_write(struct stream *stream, struct span payload)
{
    struct blob *framed = stream->chunked ? stream_chunk(payload) : blob_copy(payload);
    if (!framed)
        return ERR_NO_MEMORY;
    enum err err = stream_send(stream, framed);
    blob_unref(framed);
    return err;
}

/* `framed_last`, then the last chunk: one blob, as conn_finish takes one. */
static struct blob *ending(const struct blob *framed_last)
{
    size_t len = framed_last ? framed_last->len : 0;
    struct blob *blob = blob_new(len + sizeof(last_chunk) - 1);
    if (!blob)
        return NULL;
    if (framed_last)
        memcpy(blob->data, framed_last->data, len);
    memcpy(blob->data + len, last_chunk, sizeof(last_chunk) - 1);
    return blob;
}

void stream_end(struct stream *stream, struct blob *framed_last)
{
    if (!stream->chunked) {
        conn_finish(&stream->conn, framed_last);
        return;
    }
    struct blob *last = ending(framed_last);
    if (!last) {
        conn_abort(&stream->conn);
        return;
    }
    conn_finish(&stream->conn, last);
    blob_unref(last);
}
