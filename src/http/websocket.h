/* SPDX-License-Identifier: MIT */
/*
 * WebSocket (RFC 6455): messages over a conn, framed by wslay.
 *
 *     websocket_upgrade(req) ─> 101 ─> opened(ctx, OK, handoff) ─> websocket_open ─> ops->message… ─> ops->closed ─> ops->free
 *
 * Pings are answered and the closing handshake is done here. No extensions are offered. Messages are text or binary;
 * text that is not UTF-8 closes the connection (1007), too long a message with 1009, too many fragments or queued
 * answers with 1008. Loop thread only.
 */
#ifndef HTTP_WEBSOCKET_H
#define HTTP_WEBSOCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "http/request.h"
#include "http/stream.h"
#include "io/conn.h"

struct buf;
struct websocket;

struct websocket_limits {
    size_t message_bytes;   /* the longest message taken */
    unsigned fragments;     /* per message */
    unsigned control_queue; /* pongs and closes that may wait to be sent */
};

struct websocket_ops {
    /* A whole message; `text` tells text from binary. It lives until this returns. */
    void (*message)(struct websocket *websocket, struct span message, bool text);

    /* All that was queued has been sent. May be null. */
    void (*drained)(struct websocket *websocket);

    /* The connection is over: the peer closed it or broke the protocol. `code` is the close code received or sent
     * (1006: none). At most once, not after websocket_close or websocket_abort. */
    void (*closed)(struct websocket *websocket, unsigned code);

    /* Nothing refers to it any more. Exactly once, last. */
    void (*free)(struct websocket *websocket);
};

/* To be embedded; fields belong to websocket.c. */
struct websocket {
    struct conn conn;
    const struct websocket_ops *ops;
    const struct websocket_limits *limits;
    struct wslay_event_context *wslay; /* owned; null between messages: it is 5 KB */
    struct span input;                 /* not yet read by wslay */
    int64_t ahead;                     /* bytes that wslay has read, less those of the frames that it has begun */
    struct buf *control;               /* where what wslay sends is gathered */
    struct blob *early;                /* what came with the handshake; owned, null once read */
    struct timer early_timer;
    unsigned fragments; /* of the message coming in */
    bool unfinished;    /* a message has come in part */
    bool closing;
};

/* Checks the opening handshake (RFC 6455 section 4.2) and answers 101; or 400 or 426 with `opened` told
 * ERR_BAD_REQUEST, or 403 with ERR_BAD_ORIGIN. `subprotocol` (may be null) goes into Sec-WebSocket-Protocol if the
 * client has named it. */
void websocket_upgrade(struct request *req, const char *subprotocol, handoff_opened *opened, void *ctx);

/* Takes the socket and the lease out of `handoff`; what came with it is read on the next turn. `ops` and `limits`
 * outlive the websocket. Errors as conn_open: nothing was taken. */
enum err websocket_open(struct websocket *websocket, struct conns *conns, const struct websocket_ops *ops,
                        const struct websocket_limits *limits, struct handoff *handoff) must_check;

/* A whole message as it goes over the wire, to be made once and sent to many. Null: no memory. */
struct blob *websocket_frame(struct span message, bool text) must_check;

/* Queues a framed message. Errors as conn_send. */
enum err websocket_send(struct websocket *websocket, struct blob *framed) must_check;

/* Sends what is queued, then a close frame with `code` and `reason` (at most 123 bytes), and closes. */
void websocket_close(struct websocket *websocket, unsigned code, struct span reason);

void websocket_abort(struct websocket *websocket);

/* The value of Sec-WebSocket-Accept for `key`, 28 characters and NUL. ERR_INTERNAL. */
enum { WEBSOCKET_ACCEPT_SIZE = 29 };
enum err websocket_accept(struct span key, char ret_accept[WEBSOCKET_ACCEPT_SIZE]) must_check;

#endif
