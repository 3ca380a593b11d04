/* SPDX-License-Identifier: MIT */
/*
 * HTTP server: libmicrohttpd on our loop, with our sockets.
 *
 *     listener ── socket and lease ──> http_server_take ──> MHD parses ──> router ──> handler ──> answer
 *
 * MHD has no thread and no listener of its own; its epoll descriptor is watched by the loop, and answers given during a
 * turn leave at its end (LOOP_HOOK_HTTP). Several servers may share a loop; each has its own router and limits.
 *
 * Deadlines are total, not of inactivity: a byte now and then buys nothing. When one is over the connection is shut
 * down, after a literal 408 where a request had begun and was not answered.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "http/router.h"
#include "io/conn.h"
#include "io/loop.h"
#include "io/peer.h"

struct http_server;

struct http_limits {
    size_t header_bytes; /* request line and header lines with their line ends; 256 to 1 MiB. Over it: 431 */
    size_t url_bytes;    /* path and query as sent; at most header_bytes. Over it: 414 */
    size_t body_bytes;   /* body without chunk framing. Over it: 413 */
    unsigned json_depth;
    int64_t header_ms;  /* from accept, or from the first byte of a further request, to the end of its head */
    int64_t request_ms; /* the same to the end of its body; and once more for the client to take the answer */
    int64_t idle_ms;    /* between two requests of a connection */
};

/* `router` and `conns` outlive the server; `limits` is copied. Connections closed by us linger in `conns` until the
 * peer has read the answer. Null: no memory or no descriptors, logged. */
struct http_server *http_server_open(struct loop *loop, struct conns *conns, struct router *router,
                                     const struct http_limits *limits) must_check;

/* Takes an accepted non-blocking socket and its lease. They are always consumed: without memory the connection is
 * closed. */
void http_server_take(struct http_server *server, int take_fd, struct peer *take_lease);

/* Connections MHD holds now. Those handed off are not among them. */
size_t http_server_count(const struct http_server *server);

/* Answers what is pending, closes connections without a request, lets no connection do a further one, and calls
 * `done(ctx)` from the loop when none is left. Whoever holds waiting requests has to answer them; new connections
 * should not be given any more (they are closed). */
void http_server_drain(struct http_server *server, void (*done)(void *ctx), void *ctx);

/* Closes all connections at once and frees the server. Requests not answered yet stay valid and have to be answered
 * all the same. Null is allowed. */
void http_server_close(struct http_server *server);

/* The library's name and version; static. */
const char *http_library(void);

#endif
