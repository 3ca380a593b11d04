/* SPDX-License-Identifier: MIT */
/*
 * Exchange: something asked over HTTP and to be answered once, wherever it came from: a request of ours, or one that
 * another node has passed on.
 *
 *     made by its owner ─> engine ─> ops->watch (perhaps) ─> ops->reply, once ─> gone
 *
 * Text lives until the reply. Whoever makes one embeds it and implements exchange_ops; the engine reads it.
 */
#ifndef SOCKETIO_ENGINE_EXCHANGE_H
#define SOCKETIO_ENGINE_EXCHANGE_H

#include <stdbool.h>

#include "base/blob.h"
#include "base/span.h"

struct exchange;

struct exchange_answer {
    int status;
    const char *type;       /* the Content-Type; static */
    struct blob *body;      /* borrowed; null: there was no memory for it */
    unsigned retry_after_s; /* 0: nothing is said */
};

struct exchange_ops {
    /* Answers, and frees the exchange. Not from inside `watch`. */
    void (*reply)(struct exchange *exchange, const struct exchange_answer *answer);

    /* Calls `gone(ctx)` at most once if the peer goes away before the reply, never from inside. The reply must still
     * be given, in `gone` or later. */
    void (*watch)(struct exchange *exchange, void (*gone)(void *ctx), void *ctx);
};

enum exchange_method { EXCHANGE_GET, EXCHANGE_POST, EXCHANGE_OTHER };

struct exchange {
    const struct exchange_ops *ops;
    enum exchange_method method;
    bool is_foreign; /* its Origin is another's page, and not listed */
    bool is_binary;  /* the body's type is application/octet-stream */
    bool is_upgrade; /* it asks for a WebSocket */

    /* of the query; null data: not there */
    struct span transport;
    struct span sid;
    struct span eio;
    struct span j;
    struct span b64;

    struct span body;
};

#endif
