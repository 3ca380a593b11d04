/* SPDX-License-Identifier: MIT */
/*
 * Stream: an endless answer, on a socket that libmicrohttpd has let go.
 *
 *     request_stream ─> head goes out through MHD ─> socket is dup()ed, MHD drops its copy ─> opened(ctx, OK, handoff)
 *                                                  └ peer gone, HEAD, no memory ───────────> opened(ctx, error, null)
 *
 * `opened` takes the handoff with stream_open (conn_open for an upgrade) and from then on all is as io/conn.h says. The
 * connection counts against the limits all the way through. To HTTP/1.1 the stream is chunked and ends with a last
 * chunk; to HTTP/1.0 it is bytes until the connection closes. Both carry `Connection: close`.
 */
#ifndef HTTP_STREAM_H
#define HTTP_STREAM_H

#include "http/request.h"
#include "io/conn.h"

/* A socket on its way from MHD to its new owner. */
struct handoff {
    int fd;             /* connected, non-blocking; -1 once taken */
    struct peer *lease; /* goes with fd */
    bool chunked;       /* each write has to be framed as a chunk */
    struct span input;  /* what the peer had already sent after the head of an upgrade; lives until `opened` returns */
};

/* Exactly once, from the loop. On success `handoff` lives until this returns, and what was not taken by then is
 * closed. ERR_GONE: the peer went away, or the request was a HEAD and is answered. ERR_NO_MEMORY, ERR_INTERNAL: the
 * connection is closed. On error handoff is null. */
typedef void handoff_opened(void *ctx, enum err err, struct handoff *handoff);

/* Answers `req` with a head of status 200 and the start of a stream. `headers` is copied; they have the last word
 * over the default ones. */
void request_stream(struct request *req, const char *type, const struct http_header *headers, handoff_opened *opened,
                    void *ctx);

/* Answers `req` with `101 Switching Protocols` to `protocol` (as in Upgrade); websocket.h has the handshake on top
 * of this. A request that did not ask for the upgrade in HTTP/1.1 gets 400 and `opened` ERR_BAD_REQUEST. */
void request_upgrade(struct request *req, const char *protocol, const struct http_header *headers,
                     handoff_opened *opened, void *ctx);

/* To be embedded in a session's object; &stream->conn leads back to it in conn_ops. */
struct stream {
    struct conn conn;
    bool chunked;
};

/* Takes the socket and the lease out of `handoff`. Errors as conn_open: nothing was taken. */
enum err stream_open(struct stream *stream, struct conns *conns, const struct conn_ops *ops,
                     struct handoff *handoff) must_check;

/* `payload` (not empty) as it has to be queued on a chunked stream: one whole chunk. To be made once and shared.
 * Null: no memory. */
struct blob *stream_chunk(struct span payload) must_check;

/* Queues bytes that are framed as the stream needs (stream->chunked: by stream_chunk). Errors as conn_send. */
enum err stream_send(struct stream *stream, struct blob *framed) must_check;

/* The same without the cap, for what its sender paces by itself; see conn_send_paced. */
enum err stream_send_paced(struct stream *stream, struct blob *framed) must_check;

/* Frames and queues a copy of `payload` (not empty), for what only this stream gets. Errors as conn_send. */
enum err stream_write(struct stream *stream, struct span payload) must_check;

/* Ends the stream properly: what is queued, then `framed_last` (may be null, the cap does not apply), then the last
 * chunk, then the FIN. Then, or when the deadline is over, ops->free. */
void stream_end(struct stream *stream, struct blob *framed_last);

#endif
