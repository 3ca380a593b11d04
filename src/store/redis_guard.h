/* SPDX-License-Identifier: MIT */
/*
 * Guard: what a Redis server may say to hiredis.
 *
 * hiredis 0.14 has assertions where a server says what it should not (a reply that nobody asked for, a published
 * message of another shape), finds the wrong callback for a channel that was not subscribed to, and allocates whatever
 * a reply claims to hold. A guard stands between its parser and its reply objects and refuses such replies while they
 * are parsed; hiredis then reports a lost connection.
 */
#ifndef STORE_REDIS_GUARD_H
#define STORE_REDIS_GUARD_H

#include <hiredis/hiredis.h>
#include <stdbool.h>

#include "base/attr.h"
#include "base/span.h"

enum { GUARD_CHANNELS_MAX = 8 };

/* Something that was subscribed to. */
struct guard_channel {
    struct span name;
    bool is_pattern;
};

struct guard {
    redisReplyObjectFunctions functions;
    const redisReplyObjectFunctions *inner;            /* hiredis' own */
    unsigned asked;                                    /* replies still to come */
    size_t taken;                                      /* bytes of the reply that is being made */
    struct guard_channel channels[GUARD_CHANNELS_MAX]; /* the only ones whose messages may come */
    unsigned channel_count;
    bool by_pattern; /* the message that is being made */
    int parts;       /* of it */
    const char *why; /* what was refused; static, null while nothing was */
};

/* Stands guard over a reader; lives as long as it. */
void guard_init(struct guard *guard, redisReader *reader);

/* One more reply may come. */
void guard_ask(struct guard *guard);

/* From now on messages of the channel, or of all that match the pattern, may come when no reply is outstanding. `name`
 * outlives the guard. At most GUARD_CHANNELS_MAX times. */
void guard_subscribe(struct guard *guard, struct span name, bool is_pattern);

/* Whether more is waiting to be parsed than any reply of ours may have; `why` is set then. */
bool guard_is_flooded(struct guard *guard, const redisReader *reader);

#endif
