/* SPDX-License-Identifier: MIT */
/*
 * What the files behind socket.h and client.h share.
 *
 *     nsp ── sockets, a table by id            room ─┐
 *      └──── rooms, a table by name ── room ── members ──> socket ── memberships (the same ones)
 *
 * A broadcast first picks its sockets, each with a reference, and then sends: whatever happens to sockets and rooms
 * while it sends (a client that is cut off, an application that says so to others) changes neither who gets it nor the
 * tables it walks.
 *
 * A socket that was lost and may come back keeps its memberships, but the rooms do not list them: nobody meets it. A
 * room lives as long as it has a membership of either kind.
 */
#ifndef SOCKETIO_SOCKET_INSIDE_H
#define SOCKETIO_SOCKET_INSIDE_H

#include "adapters/socketio/adapter.h"
#include "base/table.h"

enum { RANDOM_ID_BYTES = 15, RANDOM_ID_SIZE = 21 };

/* An application in a namespace. */
struct app_slot {
    const struct app *app;
    size_t at; /* where its state is in a socket, behind a pointer back to the socket */
};

struct nsp {
    struct nsp *next;
    struct socketio *adapter;
    struct span name;
    struct app_slot *slots; /* owned */
    size_t slot_count;
    size_t socket_bytes; /* of a socket with all states; its id follows */
    struct socket *sockets;
    struct room *rooms;
    uint64_t next_ack;
    bool recovers;               /* sockets may come back */
    struct record *first, *last; /* recovery.c: what was said of late */
    uint64_t next_record;
    uint64_t last_cut; /* the newest record that went for want of room */
    size_t record_count, record_bytes;
};

struct room {
    UT_hash_handle hh;
    struct membership *members; /* of sockets that are connected */
    size_t count;               /* of these */
    size_t refs;                /* of these and of those that may come back */
    size_t len;
    char name[];
};

struct membership {
    struct socket *socket;
    struct room *room;
    struct membership *next, *prev; /* of the room */
    struct membership *also;        /* of the socket */
    bool deaf;                      /* when it was lost it did not hear what was said there */
};

struct socket {
    struct nsp *nsp;
    struct client *client; /* null: over */
    struct socket *next;   /* of the client, or of the dying */
    struct membership *memberships;
    struct ask *asks;
    struct recovery *recovery; /* owned; null: it cannot come back */
    const char *id;            /* at the end of this memory */
    uint64_t stamp;            /* of the last walk that has met it */
    uint32_t refs;
    uint16_t told; /* how many of the applications know that it is connected */
    bool connected;
    bool implicit;
    UT_hash_handle hh; /* of the namespace, while it is connected */
};

/* --- socket.c */

/* A new id, or another secret: 20 characters that hold 120 random bits. */
void random_id(char ret_id[RANDOM_ID_SIZE]);

/* One that nobody has connected yet, with one reference. Null: no memory. */
struct socket *socket_new(struct nsp *nsp, const char *id) must_check;

/* Puts it into its namespace's and its client's books. ERR_NO_MEMORY: it is in none. */
enum err socket_attach(struct socket *socket, struct client *client) must_check;

/* It is over: everybody who should know is told. `keep`: it may come back. No effect on one that is not connected. */
void socket_over(struct socket *socket, const char *reason, bool keep);

void socket_acked_by_client(struct socket *socket, uint64_t id, const json_t *args);

/* Sends without keeping it for those who come back. */
void socket_deliver(struct socket *socket, struct emission *emission, bool paced);

/* Frees those whose time has come; the adapter's task. */
void sockets_reap(struct loop_task *task);

/* --- nsp.c */

/* Makes the namespaces of `apps`. ERR_NO_MEMORY: some were made. */
enum err nsps_new(struct socketio *adapter, const struct app *const *apps) must_check;
void nsps_free(struct socketio *adapter);

void *slot_state(const struct socket *socket, const struct app_slot *slot);

/* Sockets that something will be done with, one walk upon another. */
struct picks {
    struct socket **items;
    size_t count, cap;
    uint64_t stamp;
};

/* Remembers one with a reference. ERR_NO_MEMORY: not. */
enum err pick(struct picks *picks, struct socket *socket) must_check;

/* Gives back what was picked since there were `from`. */
void picks_drop(struct picks *picks, size_t from);

/* --- room.c */

/* Whether all applications let it hear what is said in the room. */
bool room_is_heard(const struct membership *membership);

struct room *room_find(const struct nsp *nsp, struct span name);

/* Takes the memberships out of the rooms' lists, and back into them. */
void rooms_suspend(struct socket *socket);
void rooms_resume(struct socket *socket);

/* Asks the applications what it hears, and remembers that. */
void rooms_note_hearing(struct socket *socket);

/* Forgets memberships that have been suspended. */
void rooms_forget(struct socket *socket);

/* --- recovery.c */

/* Null: no memory. */
struct recoveries *recoveries_new(struct socketio *adapter) must_check;

/* Drops all that could have come back. Null is allowed. */
void recoveries_free(struct recoveries *recoveries);

/* Gives a new socket what it needs to come back later, where its namespace has that. Without memory it cannot. */
void recovery_offer(struct socket *socket);

/* The socket has been lost, and waits. The caller's reference becomes ours. */
void recovery_wait(struct socket *socket);

/* It is over for good. */
void recovery_end(struct socket *socket);

/* The lost socket that `auth` speaks of, with the reference that was given to recovery_wait, and the last record that
 * its client has seen; null: it starts over. */
struct socket *recovery_take(struct client *client, struct nsp *nsp, const json_t *auth, uint64_t *ret_seen);

/* Sends what was said behind that record. */
void recovery_replay(struct socket *socket, uint64_t seen);

/* Remembers what is said to an audience, or to one socket, and gives it its offset. To be called before it is sent. */
void record_broadcast(struct nsp *nsp, const struct audience *audience, struct emission *emission);
void record_emission(struct socket *socket, struct emission *emission);

/* Forgets all. */
void records_free(struct nsp *nsp);

#endif
