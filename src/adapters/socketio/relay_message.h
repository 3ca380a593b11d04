/* SPDX-License-Identifier: MIT */
/*
 * What nodes write to each other about polls. Pure functions.
 *
 *     ask  <node> <number> <method> <kind of body> <EIO> <j> <b64> <sid> <body>      a poll of the session `sid`
 *     done <node> <number> <status> <type> <retry after> <body>                      its answer
 *     gone <node> <number>                                                          nobody waits for the answer
 *
 * Fields follow each other as `<length>:<bytes>`, or `-` for one that is not there. `node` is who asked, `number` its
 * number for it. Only nodes write them, but whatever comes is checked.
 */
#ifndef SOCKETIO_RELAY_MESSAGE_H
#define SOCKETIO_RELAY_MESSAGE_H

#include <stdint.h>

#include "adapters/socketio/engine.h"
#include "adapters/socketio/engine_exchange.h"
#include "base/buf.h"

/* Whose poll it is. All bytes count: to be zeroed before it is filled. */
struct ticket {
    char node[ENGINE_NODE_LEN + 1];
    uint64_t number;
};

struct relay_message {
    enum { RELAY_ASK, RELAY_DONE, RELAY_GONE } kind;
    struct ticket ticket;

    /* ask; `sid` and `body` are there */
    bool is_post;
    bool is_binary;
    struct span eio, j, b64, sid; /* `eio` is "0.9" for Socket.IO 0.9 */

    /* done */
    int status;             /* 200 to 599 */
    struct span type;       /* shorter than RELAY_TYPE_SIZE */
    unsigned retry_after_s; /* at most 3600 */

    struct span body; /* of either */
};

enum { RELAY_TYPE_SIZE = 64 };

/* Adds a message; what does not belong to its kind is not looked at. */
void relay_message_write(struct buf *out, const struct relay_message *message);

/* Spans point into `bytes`. False: it is none. */
bool relay_message_read(struct span bytes, struct relay_message *ret_message) must_check;

/* Whether it may be the name of a node. */
bool relay_node_valid(struct span name);

#endif
