/* SPDX-License-Identifier: MIT */
/*
 * Seat: the session of the core that a socket has in an application, from who it is to its end.
 *
 *     who ─> seat_open ─> user opened, session attached ─> taken ─> ops->event … ─┬> ops->ended (by the core)
 *                                                                                 └> seat_close (the socket is over)
 *
 * A seat belongs to its application's state of the socket, which frees it with the socket (app->freed); before that
 * only where no seat's callback is on the way.
 */
#ifndef SOCKETIO_SEAT_H
#define SOCKETIO_SEAT_H

#include "adapters/socketio/who.h"
#include "core/hub.h"

struct seat;

struct seat_ops {
    /* Something to show. May disconnect the socket. */
    void (*event)(struct seat *seat, struct event *event);

    /* The session is over, but the socket is not: ERR_UNAUTHORIZED (the identity has expired), ERR_NO_TOKEN,
     * ERR_SHUTTING_DOWN, ERR_STORE, ERR_NO_MEMORY. Not after seat_close. */
    void (*ended)(struct seat *seat, enum err why);
};

struct seat {
    struct session session;
    const struct seat_ops *ops;
    struct socket *socket; /* whose state owns this */
    struct who who;        /* its own copy */
    bool closed;
    char text[];
};

/* OK: the seat is the caller's. Errors of hub_user_open and hub_attach, and ERR_GONE: the socket was disconnected
 * meanwhile. */
typedef void seat_taken(void *ctx, struct socket *socket, enum err err, struct seat *seat);

/* `who` is copied; `done` is called once, perhaps from inside. The socket is held until then. */
void seat_open(struct socket *socket, const struct who *who, const struct seat_ops *ops, seat_taken *done, void *ctx);

/* Attaches a seat that was closed once more, and shows it what it has missed (connection state recovery). On error
 * ops->ended tells. */
void seat_reopen(struct seat *seat);

/* The same user has shown a newer identity: the seat has until that one ends. No effect where either is a chat
 * token. */
void seat_extend(struct seat *seat, const struct who *who);

/* No callback comes after this. Null is allowed. */
void seat_close(struct seat *seat);

/* Null is allowed. */
void seat_free(struct seat *seat);

/* Sends what was made of an event; null: there was no memory for it, and the seat ends. */
void seat_show(struct seat *seat, struct emission *emission);

/* To be called by app->drained. Null is allowed. */
void seat_drained(struct seat *seat);

/* Whether its session is attached. Null is allowed. */
static inline bool seat_is_open(const struct seat *seat)
{
    return seat && session_attached(&seat->session);
}

#endif
