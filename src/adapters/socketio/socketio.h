/* SPDX-License-Identifier: MIT */
/*
 * The Socket.IO adapter: Engine.IO and Socket.IO of every version that was ever published, and the applications on top.
 *
 *     engine (sessions: polling, WebSocket)    legacy (0.9)
 *        └ engine_client (packets) ──┐          │
 *                                  client ── socket, nsp, rooms ── apps: maxtalk, messaging, sockets ── hub
 *                                                  └ remote (Redis: nodes, emitters), emit (POST /emit)
 */
#ifndef SOCKETIO_SOCKETIO_H
#define SOCKETIO_SOCKETIO_H

#include "adapters/socketio/engine.h"
#include "core/auth.h"
#include "core/bus.h"
#include "core/hub.h"

struct app;
struct socketio;

struct socketio_options {
    struct engine_options engine;
    bool legacy;                /* Socket.IO 0.9 is spoken */
    int64_t connect_timeout_ms; /* within which a client has to connect to a namespace */
    uint32_t attachments;       /* of one event; at most EMISSION_ATTACHMENTS_MAX */
    uint32_t rooms;             /* of one socket, beside its own */
    unsigned json_depth;
    int64_t recovery_ms;      /* how long the state of a lost connection is kept; 0: not */
    uint32_t recovery_events; /* how many events of a namespace are kept for that */
    const char *bundles;      /* folder of the client's bundles; null or empty: none are served */
    const char *redis_prefix; /* of the channels that emitters and adapters use */

    const char *entity_prefix;   /* of presences (nereid.entity_prefix) */
    bool maxtalk_trust_username; /* anybody may be anybody */
    int64_t messaging_authenticate_ms;
    const char *sockets_room;
    bool sockets_guests; /* without an identity they may register under a name of their own */
    bool demo;           /* auth.methods has demo: anybody may be anybody there, too */
};

/* `apps` ends with null, and is socketio_apps but in tests. Strings in `options` and all pointers outlive the adapter;
 * `bus` may be null. Null: no memory. */
struct socketio *socketio_new(const struct socketio_options *options, const struct app *const *apps, struct hub *hub,
                              struct auth *auth, struct bus *bus, struct loop *loop, struct conns *conns) must_check;

/* The applications; apps.c. */
extern const struct app *const socketio_apps[];

/* ERR_NO_MEMORY: not all was mounted, and the adapter is good for nothing. */
enum err socketio_mount(struct socketio *adapter, struct router *router) must_check;

/* POST /emit, for operators and services. */
enum err socketio_mount_emit(struct socketio *adapter, struct router *operators) must_check;

/* Ends all connections. */
void socketio_shut(struct socketio *adapter);

/* The servers have been closed and all connections freed. Null is allowed. */
void socketio_free(struct socketio *adapter);

#endif
