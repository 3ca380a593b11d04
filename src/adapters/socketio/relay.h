/* SPDX-License-Identifier: MIT */
/*
 * Relay: polls that have come to another node than their session's, so that a load balancer need not send a client to
 * the same node each time.
 *
 *     client ── poll ──> node A ── "ask" on chat:relay:<B> ──> node B, whose session it is
 *            <── answer ──      <── "done" on chat:relay:<A> ──
 *                               ── "gone" on chat:relay:<B> ──>        (the client went away)
 *
 * A sid begins with the name of its node (engine.h). Who asks a node that nobody listens for, or gets no answer within
 * the time of a heartbeat, answers that the session is unknown, as its own node would have after its end; so do clients
 * that are told so begin anew. WebSockets are not relayed: a client that tries to upgrade at the wrong node goes on
 * polling.
 */
#ifndef SOCKETIO_RELAY_H
#define SOCKETIO_RELAY_H

#include "adapters/socketio/adapter.h"

struct relay;

/* The engine has been made; `bus` outlives the relay, or relay_shut has been called before it ends. Null: no memory. */
struct relay *relay_new(struct socketio *adapter, struct bus *bus) must_check;

/* Answers all that waits for other nodes, and relays no more. */
void relay_shut(struct relay *relay);

/* The engine has been freed. Null is allowed. */
void relay_free(struct relay *relay);

#endif
