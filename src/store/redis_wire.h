/* SPDX-License-Identifier: MIT */
/*
 * Wire: one connection to a Redis server (or a Sentinel), by hiredis on libuv.
 *
 *     wire_open ─> ops.up ─> wire_command … ─> ops.down          (lost: by the server, a deadline, or nonsense)
 *         └──────────────────> wire_close                        (ours: ops.down is not called)
 *
 * Each command is answered once: by its reply, or by null when the connection ends first. Replies come in the order of
 * the commands. Each command has a deadline, which while replies come is that of the next one (up to five times as
 * long), and so has connecting: hiredis knows neither. What the server says passes a guard (redis_guard.h).
 *
 * A wire is embedded in its owner and may be opened again once it is down or closed. `done` and ops may close it, or
 * any other, except that `up` may not close its own.
 */
#ifndef STORE_REDIS_WIRE_H
#define STORE_REDIS_WIRE_H

#include <hiredis/async.h>

#include "base/err.h"
#include "base/span.h"
#include "base/timer.h"
#include "io/loop.h"
#include "store/redis_guard.h"

struct wire;

enum { WIRE_WHY_SIZE = 128 };

struct wire_ops {
    void (*up)(struct wire *wire);

    /* All commands have been answered. */
    void (*down)(struct wire *wire);

    /* A message was published on a channel that is, or matches, this one of wire_subscribe; or (null data) the
     * subscription is in force. */
    void (*message)(struct wire *wire, struct span subscribed, struct span channel, struct span payload);
};

/* `reply` is null when the connection was lost, and lives until the call returns. */
typedef void wire_done(void *ctx, const redisReply *reply);

struct wire {
    struct loop *loop;
    const struct wire_ops *ops;
    struct wire_context *context;       /* what hiredis has of it; null while closed */
    struct wire_command *first, **tail; /* not yet answered */
    struct loop_task flush;
    struct timer timer; /* the first one's deadline, or connecting's */
    int64_t deadline_ms;
    char why[WIRE_WHY_SIZE]; /* of the last loss */
};

/* Where a server is. */
struct wire_address {
    const char *path; /* of a Unix socket; else null */
    const char *host; /* numeric */
    int port;
};

/* ERR_NO_MEMORY. Pair with wire_fini, before which it is closed. */
enum err wire_init(struct wire *wire, struct loop *loop, const struct wire_ops *ops, int64_t deadline_ms) must_check;
void wire_fini(struct wire *wire);

/* Begins to connect; ops.up or ops.down follow, never from inside. */
void wire_open(struct wire *wire, const struct wire_address *address);
void wire_close(struct wire *wire);

static inline bool wire_is_open(const struct wire *wire)
{
    return wire->context;
}

/* Sends a command when the turn ends. `extra_ms` is how much longer than usual its answer may take. Where it cannot
 * be sent, `done` is called with null from inside, and the wire goes down soon. */
void wire_command(struct wire *wire, size_t count, const struct span *words, int64_t extra_ms, wire_done *done,
                  void *ctx);

/* Subscribes to a channel, or to all that match a pattern, GUARD_CHANNELS_MAX times at most; no other command may
 * follow on this wire. `name` lives as long as the wire. A server that refuses loses the wire, `why` being what it
 * said. */
void wire_subscribe(struct wire *wire, struct span name, bool is_pattern);

/* Reads no more from now on, until it is told to. A wire that is opened reads. */
void wire_pause(struct wire *wire, bool paused);

#endif
