/* SPDX-License-Identifier: MIT */
/* What the files of the Socket.IO adapter share. */
#ifndef SOCKETIO_ADAPTER_H
#define SOCKETIO_ADAPTER_H

#include "adapters/socketio/client.h"
#include "adapters/socketio/socketio.h"

struct bundles;
struct legacy;
struct remote;

struct socketio {
    struct socketio_options options;
    struct hub *hub;
    struct auth *auth;
    struct bus *bus; /* null: there is none */
    struct loop *loop;
    struct conns *conns;
    struct engine *engine;
    struct legacy *legacy;   /* null: not spoken */
    struct remote *remote;   /* null: there are no other nodes */
    struct bundles *bundles; /* bundles.c's own; null: none are served */
    struct nsp *nsps;
    struct client *clients;
    /* the rest belongs to socket.c and its like */
    struct app_share *shares; /* one for each application that has started */
    struct socket *dying;     /* to be freed at the end of the turn */
    struct loop_task task;
    struct picks *picks;
    struct recoveries *recoveries; /* null: lost connections stay lost */
};

/* --- engine_client.c: Socket.IO's revisions 5 and 4 over Engine.IO */
extern const struct engine_ops engine_client_ops;

/* --- legacy.c: Socket.IO 0.9 under PATH/1 */
struct legacy *legacy_new(struct socketio *adapter) must_check;
enum err legacy_mount(struct legacy *legacy, struct router *router) must_check;

/* A poll from another node; it is answered once, perhaps from inside. engine_exchange.h */
struct exchange;
void legacy_take(struct legacy *legacy, struct exchange *exchange);

void legacy_shut(struct legacy *legacy);
void legacy_free(struct legacy *legacy);

/* --- bundles.c: the client's bundles under PATH */
enum err bundles_mount(struct socketio *adapter, struct router *router) must_check;
void bundles_free(struct bundles *bundles); /* null is allowed */

/* --- remote.c: other nodes, emitters and adapters on Redis */
struct remote *remote_new(struct socketio *adapter, struct bus *bus) must_check;
void remote_publish(struct remote *remote, const struct nsp *nsp, const struct audience *audience,
                    const struct emission *emission);

/* No more is told to, or taken from, other nodes; what waits for them is refused. */
void remote_shut(struct remote *remote);

void remote_free(struct remote *remote);

#endif
