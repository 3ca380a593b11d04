/* SPDX-License-Identifier: MIT */
/*
 * Bus port: bytes between the nodes of one store, and between them and other programs there. Nothing is kept.
 *
 *     bus->ops->publish ──> the store's server ──> heard() of all who listen then, on every node, the sender's too
 *
 * What is published while the store is away, or while a listener's node is, is lost to it. In order from one publisher.
 * Loop thread only.
 */
#ifndef CORE_BUS_H
#define CORE_BUS_H

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/span.h"

struct bus;

/* Embedded in who listens; outlives the bus. */
struct bus_listener {
    /* The spans live until this returns. Comes from the loop, never from inside a call of the bus. */
    void (*heard)(struct bus_listener *listener, struct span channel, struct span bytes);

    struct bus_listener *next; /* the bus' own */
    struct span pattern;
};

/* How something that was sent came out: OK and how many connections to the server it was given to, listeners or not; or
 * ERR_STORE. */
typedef void bus_sent(void *ctx, enum err err, int64_t count);

struct bus_ops {
    /* Sends a copy. ERR_STORE: the store is away, or too slow, and nothing was sent. ERR_TOO_LARGE: more than 16 MB.
     * ERR_NO_MEMORY. OK does not say that anybody listens. */
    enum err (*publish)(struct bus *bus, struct span channel, struct span bytes);

    /* The same, and `done` is called once, later, unless this returns an error. */
    enum err (*send)(struct bus *bus, struct span channel, struct span bytes, bus_sent *done, void *ctx);

    /* From now on `listener` hears all channels that `pattern` matches (as in Redis' PSUBSCRIBE: `*`, `?`, `[…]`, `\`
     * before one that is meant), through outages. `pattern` outlives the bus. There is no end to it but the store's. */
    void (*listen)(struct bus *bus, struct span pattern, struct bus_listener *listener);
};

struct bus {
    const struct bus_ops *ops;
};

#endif
