/* SPDX-License-Identifier: MIT */
/*
 * Client: one connection with its sockets, whatever it speaks. A transport with a packet format (Engine.IO with
 * Socket.IO's revisions 5 and 4, or Socket.IO 0.9) embeds it, calls client_… for what comes in, and implements
 * client_ops for what goes out.
 */
#ifndef SOCKETIO_CLIENT_H
#define SOCKETIO_CLIENT_H

#include "adapters/socketio/socket.h"

struct client;

struct client_ops {
    /* Tells that a namespace was connected. */
    void (*connected)(struct client *client, struct socket *socket);

    /* Tells that it was not. `sentence` is static. */
    void (*refused)(struct client *client, struct span nsp, const char *sentence);

    /* Sends an event. */
    void (*emit)(struct client *client, struct emission *emission, bool paced);

    /* Acknowledges one; `args` as in socket_reply. */
    void (*reply)(struct client *client, struct span nsp, uint64_t id, struct span args);

    /* The same with attachments. Null: they cannot be carried. */
    void (*reply_with)(struct client *client, struct span nsp, uint64_t id, struct span args,
                       struct blob *const *attachments, size_t count);

    /* Tells that a namespace is over, by our doing. */
    void (*disconnected)(struct client *client, struct span nsp);

    /* Ends the connection; client_end comes from inside. */
    void (*close)(struct client *client, enum engine_end why);

    bool (*is_writable)(const struct client *client);
    uint32_t (*queued)(const struct client *client); /* bytes that wait for it */
    const struct visitor *(*visitor)(const struct client *client);

    bool recovers; /* `connected` tells pids, and CONNECT may bring one, for sockets with random ids */
};

/* To be embedded, zeroed; fields belong to client.c. */
struct client {
    const struct client_ops *ops;
    struct socketio *adapter;
    struct socket *sockets;     /* connected ones, linked */
    struct client *next, *prev; /* of the adapter */
    bool over;
};

/* The connection is open. */
void client_begin(struct client *client, const struct client_ops *ops, struct socketio *adapter);

/* How a CONNECT came out. */
enum connect_end {
    CONNECT_DONE,    /* ops->connected was called */
    CONNECT_REFUSED, /* ops->refused was called */
    CONNECT_AGAIN    /* it is connected already */
};

/* A CONNECT. `auth` as app->connected takes it. The new socket's id is `id` (shorter than SOCKET_ID_SIZE, and unlike
 * all others), or a random one where that is null. */
enum connect_end client_connect(struct client *client, struct span nsp, const json_t *auth, const char *id);

/* The same for `/`, into which clients before Socket.IO 3 are put without asking (socket_is_implicit). */
enum connect_end client_connect_implicit(struct client *client, const json_t *auth, const char *id);

/* A query (of a namespace; where that is empty, of the handshake) as an object of strings, the last of equal names; a
 * new reference, or null: nothing, or none that can be read. */
json_t *client_query_auth(const struct client *client, struct span query) must_check;

/* The secret by which a socket may come back, for ops->connected to tell; null: it cannot. Lives as long as the
 * socket. */
const char *socket_pid(const struct socket *socket);

/* The socket of a namespace, or null. */
struct socket *client_socket(const struct client *client, struct span nsp);

/* An event for a socket. The name has been checked (a string that is not reserved, or a number). */
void client_event(struct client *client, struct socket *socket, const struct incoming *event);

/* An ack; of an unknown id it is ignored. */
void client_acked(struct client *client, struct socket *socket, uint64_t id, const json_t *args);

/* The client has left a namespace. */
void client_left(struct client *client, struct socket *socket);

/* All that was queued has left. */
void client_drained(struct client *client);

/* The connection is over: its sockets are disconnected. Before the memory of `client` goes. */
void client_end(struct client *client, enum engine_end why);

#endif
