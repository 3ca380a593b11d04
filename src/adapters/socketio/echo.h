/* SPDX-License-Identifier: MIT */
/*
 * Echo: the emission that was made of a core event last.
 *
 * The hub gives one event to session after session; each application has an echo for each form it writes events in, so
 * that an event for a thousand sockets is encoded once. Zeroed memory is an empty echo.
 */
#ifndef SOCKETIO_ECHO_H
#define SOCKETIO_ECHO_H

#include "adapters/socketio/emission.h"
#include "core/event.h"

struct echo {
    struct event *event; /* a reference */
    struct emission *emission;
};

/* Writes the JSON text of the arguments. */
typedef void echo_write(void *ctx, struct buf *out, const struct event *event);

/* The emission `name` with what `write` writes, to the namespace `nsp`. Borrowed, until the next call; null: no
 * memory. */
struct emission *echo_of(struct echo *echo, struct event *event, const char *nsp, const char *name, echo_write *write,
                         void *ctx) must_check;

/* Lets go of what it holds. */
void echo_fini(struct echo *echo);

#endif
