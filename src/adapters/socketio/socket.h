/* SPDX-License-Identifier: MIT */
/*
 * Sockets, namespaces and rooms: what an application sees of Socket.IO.
 *
 *     client (a connection) ─< socket >─ namespace ─< room (a set of sockets, by name)
 *
 * An application is a struct app: a table of events for a namespace. To add one takes a file, and a row in apps.c.
 * Several may share a namespace; an event goes to each of them that has its name in its table; nobody having it is no
 * error.
 *
 * Connection state recovery where the options have it, for namespaces all of whose applications
 * have `recovered`: a socket whose connection is lost is disconnected as any other, and nobody is shown it or can send
 * to it; but it keeps its state, and is kept in its rooms' books. What is said to them is kept as well, and given to
 * the client if it comes back in time as the same user. What was sent to the socket after `disconnected` is not: it
 * went nowhere.
 *
 * Lifetime: a socket lives from its CONNECT until it is disconnected and nobody holds a reference; the state of each
 * application is part of it, zeroed at first. It is freed at the end of a turn, never inside a callback. Across a wait
 * hold a reference. Loop thread only.
 */
#ifndef SOCKETIO_SOCKET_H
#define SOCKETIO_SOCKET_H

#include "adapters/socketio/emission.h"
#include "base/json.h"

struct socketio; /* the adapter; adapter.h */
struct nsp;      /* a namespace, as the wire calls it */
struct socket;

enum { SOCKET_ID_SIZE = 64, EVENT_NAME_MAX = 128, ROOM_MAX = 1024 };

/* --- applications ----------------------------------------------------------------------------------------------- */

/* What the client wants to be told about an event it has sent. */
struct ack {
    bool wanted;
    uint64_t id;
};

/* An event that came in; all of it lives until the handler returns. */
struct incoming {
    json_t *args;     /* the array, its first item is the name; attachments are objects with `_placeholder` in it */
    struct span text; /* its text as it came, perhaps with white space between the tokens */
    struct blob *const *attachments;
    size_t attachment_count;
    struct ack ack;
};

/* The first argument after the name, or null. */
static inline json_t *incoming_arg(const struct incoming *event, size_t index)
{
    return json_array_get(event->args, index + 1);
}

struct app_event {
    const char *name; /* null ends the table */
    void (*handle)(struct socket *socket, void *state, const struct incoming *event);
};

struct app {
    const char *name;
    const char *nsp; /* such as "/" */
    const struct app_event *events;
    size_t state_bytes; /* for each socket */

    /* A socket was connected; `auth` is what came with CONNECT, or the query (of the namespace, or else of the
     * handshake) as an object; null: nothing. May be null. */
    void (*connected)(struct socket *socket, void *state, const json_t *auth);

    /* It is over; `reason` is Socket.IO's word and static. Nothing can be sent to it. Exactly once after connected, or
     * after recovered. May be null. */
    void (*disconnected)(struct socket *socket, void *state, const char *reason);

    /* The socket has come back (connection state recovery, see above): it has its id and its rooms again, what it
     * missed and its CONNECT were queued, and `state` is as `disconnected` left it. May send, and may disconnect it.
     * Null: sockets of this namespace always start over. */
    void (*recovered)(struct socket *socket, void *state);

    /* The transport has taken all that was queued, after something was sent by socket_emit_paced; it may come at
     * other times, too. May be null. */
    void (*drained)(struct socket *socket, void *state);

    /* Whether a socket that is in the room may hear what is said there: asked for each socket at each broadcast to a
     * room that it has joined (not to the room of its id), and once more when its connection is lost. Changes nothing.
     * Null: always. */
    bool (*hears)(struct socket *socket, void *state, struct span room);

    /* `state` is about to go, with its socket: once for each that was told connected, after disconnected. Not while the
     * socket may still come back. May be null. */
    void (*freed)(void *state);

    /* What the application has once for each adapter: zeroed memory of this size, perhaps 0 (app_shared). */
    size_t shared_bytes;

    /* When the adapter is made: all fields of struct socketio are set, no socket is there. Not OK: socketio_new fails.
     * May be null. */
    enum err (*start)(struct socketio *adapter, void *shared);

    /* When it is freed, after all sockets; only after start said OK. May be null. */
    void (*stop)(struct socketio *adapter, void *shared);
};

/* The memory of `app` in this adapter; null: it has none, or is none of this adapter's applications. */
void *app_shared(const struct socketio *adapter, const struct app *app);

/* --- sockets ---------------------------------------------------------------------------------------------------- */

struct socketio *socket_adapter(const struct socket *socket);
struct nsp *socket_nsp(const struct socket *socket);
const char *socket_id(const struct socket *socket);

/* Who made the handshake. Lives as long as the socket is connected, and within `disconnected`; null after. */
const struct visitor *socket_visitor(const struct socket *socket);

/* Bytes that wait for its client, for all sockets on the connection; 0 where it has none. */
uint32_t socket_queued(const struct socket *socket);

bool socket_is_connected(const struct socket *socket);

/* Whether it is the `/` that clients before Socket.IO 3 are put into without asking for it. */
bool socket_is_implicit(const struct socket *socket);

/* Whether its connection has no other namespace. */
bool socket_is_alone(const struct socket *socket);

struct socket *socket_ref(struct socket *socket);
void socket_unref(struct socket *socket);

/* The state of `app` in this socket. */
void *socket_state(struct socket *socket, const struct app *app);

/* From a state back to its socket. */
struct socket *socket_of_state(void *state);

/* Sends an event to this socket. No effect on one that is not connected. It may be over after this: a client that does
 * not read is cut off. */
void socket_emit(struct socket *socket, struct emission *emission);

/* The same for what the caller paces by itself with app->drained. */
void socket_emit_paced(struct socket *socket, struct emission *emission);

/* Makes an event of `name` and the JSON text of its arguments and sends it. Without memory the socket is
 * disconnected. */
void socket_say(struct socket *socket, const char *name, struct span args);

/* Answers an event: the JSON text of the arguments, separated by commas. No effect where no ack is wanted, or on a
 * socket that is not connected. */
void socket_reply(struct socket *socket, struct ack ack, struct span args);

/* The same with attachments, which the arguments refer to by placeholders; at most EMISSION_ATTACHMENTS_MAX. Where the
 * protocol cannot carry them, null stands in their place. */
void socket_reply_with(struct socket *socket, struct ack ack, struct span args, struct blob *const *attachments,
                       size_t count);

/* Sends an event and waits for its ack. `done` is called once, with the arguments (an array), or with null and
 * ERR_TIMEOUT, ERR_GONE (disconnected). On error nothing was sent and done is not called: ERR_NO_MEMORY, ERR_GONE. */
typedef void socket_acked(void *ctx, struct socket *socket, enum err err, const json_t *args);
enum err socket_ask(struct socket *socket, const char *name, struct span args, int64_t timeout_ms, socket_acked *done,
                    void *ctx) must_check;

/* Tells the client that this namespace is over, and with `close` ends its connection, too. disconnected comes from
 * inside. */
void socket_disconnect(struct socket *socket, bool close);

/* Ends its connection without a word to the namespace, so that the client comes back by itself. disconnected comes from
 * inside. */
void socket_drop(struct socket *socket);

/* --- rooms ------------------------------------------------------------------------------------------------------ */

/* Each socket is in the room of its id. ERR_TOO_MANY: limits (socketio.rooms); ERR_TOO_LARGE: the name is longer than
 * ROOM_MAX; ERR_NO_MEMORY. Joining twice is no error. */
enum err socket_join(struct socket *socket, struct span room) must_check;

/* Also for one that may come back: it is then shown nothing more of the room. */
void socket_leave(struct socket *socket, struct span room);
bool socket_is_in(const struct socket *socket, struct span room);

/* Who gets something: the union of the rooms (none: the whole namespace) without the union of `except`, each once. */
struct audience {
    const struct span *rooms;
    size_t room_count;
    const struct span *except;
    size_t except_count;
};

struct span nsp_name(const struct nsp *nsp);

/* Null: no application has this namespace. */
struct nsp *nsp_find(struct socketio *adapter, struct span name);

/* To the sockets of this node. */
void nsp_deliver(struct nsp *nsp, const struct audience *audience, struct emission *emission);

/* To the sockets of all nodes. */
void nsp_broadcast(struct nsp *nsp, const struct audience *audience, struct emission *emission);

/* Calls `visit` for the sockets of this node in the audience; it may disconnect them. */
void nsp_each(struct nsp *nsp, const struct audience *audience, void (*visit)(void *ctx, struct socket *socket),
              void *ctx);

/* How many sockets of this node are in the room. */
size_t nsp_count(const struct nsp *nsp, struct span room);

#endif
