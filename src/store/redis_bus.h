/* SPDX-License-Identifier: MIT */
/*
 * The bus on Redis: its channels are the bus' channels (core/bus.h).
 *
 *     publish ──> PUBLISH on the link's commands wire
 *     a wire of its own, subscribed ──> queue ──> heard(), for a millisecond or two in each turn
 *
 * Other programs speak here, as fast as they like. So nothing else depends on this wire: while more has come than is
 * worked through, it is not read, and should Redis then end it for its slowness, it is connected anew and what was said
 * meanwhile is lost.
 */
#ifndef STORE_REDIS_BUS_H
#define STORE_REDIS_BUS_H

#include "core/bus.h"
#include "store/redis_link.h"

enum { BUS_MESSAGE_MAX = 16 * 1024 * 1024 };

struct heard;
struct publication;

struct redis_bus {
    struct bus bus;
    struct loop *loop;
    struct link *link;
    struct wire wire; /* to the server at which the link is */
    struct bus_listener *listeners[GUARD_CHANNELS_MAX];
    bool refused[GUARD_CHANNELS_MAX]; /* Redis does not permit it */
    bool in_force[GUARD_CHANNELS_MAX];
    size_t count;
    struct heard *first, **tail; /* not yet told */
    size_t heard_bytes;
    size_t unsent_bytes;         /* published, and not acknowledged by Redis */
    struct publication *sending; /* while it is being handed over */
    struct loop_task task;
    struct timer timer; /* the next attempt */
    unsigned attempts;
    int64_t up_ms;
    bool up; /* the link is */
    bool wire_up;
    bool settled; /* listens, or has tried to, since the link is up */
    bool was_lost;
    bool publish_refused; /* has been logged since the link is up */
};

/* `link` outlives the bus. ERR_NO_MEMORY. Pair with redis_bus_fini. */
enum err redis_bus_init(struct redis_bus *bus, struct loop *loop, struct link *link, int64_t deadline_ms) must_check;
void redis_bus_fini(struct redis_bus *bus);

/* The link has come up, or gone down. */
void redis_bus_up(struct redis_bus *bus);
void redis_bus_down(struct redis_bus *bus);

/* Whether it listens to all that it may, or could not at the first attempt since the link came up. */
bool redis_bus_settled(const struct redis_bus *bus);

#endif
