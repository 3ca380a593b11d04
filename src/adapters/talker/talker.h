/* SPDX-License-Identifier: MIT */
/*
 * Talker: newline-terminated JSON events over a TCP connection, one room for each connection.
 *
 *     listener ─ socket ─> talker_take ─> connect {room, token} ─> connected, users ─> events … ─> close, or the end
 *
 * The protocol and what it shows of the core is in nereid-talker(7). A connection that has connected is a session of the
 * hub; before that it may say nothing else, and has talker_options.connect_ms for it. Loop thread only.
 */
#ifndef TALKER_TALKER_H
#define TALKER_TALKER_H

#include "core/auth.h"
#include "core/hub.h"
#include "io/conn.h"

struct talker;

struct talker_options {
    size_t line_bytes;     /* the longest value from a client */
    unsigned json_depth;   /* how deep it may be nested */
    int64_t connect_ms;    /* from accept to `connect` */
    int64_t silence_ms;    /* without a value from the client: the connection counts as broken */
    unsigned pending;      /* how many of its messages may wait for the store; at least 1 */
    int64_t idle_grace_ms; /* from a broken connection to `leave`; 0: at once */
};

/* All that is pointed to outlives it. Null: no memory. */
struct talker *talker_new(const struct talker_options *options, struct hub *hub, struct auth *auth, struct loop *loop,
                          struct conns *conns) must_check;

/* Takes an accepted socket and its lease. They are always consumed: without memory the connection is closed. */
void talker_take(struct talker *talker, int take_fd, struct peer *take_lease);

/* Ends connections that have not connected, with an error that says why, as soon as no answer is under way to them; the
 * others end with their sessions (hub_shut). What comes in after is ended at once. */
void talker_shut(struct talker *talker);

/* All its conns have been freed. Null is allowed. */
void talker_free(struct talker *talker);

#endif
