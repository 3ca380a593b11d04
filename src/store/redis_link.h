/* SPDX-License-Identifier: MIT */
/*
 * Link: a node's connections to the Redis server, which are up or down as one.
 *
 *     find the server (DNS, Sentinels) ─> commands: log in, load the scripts ─> tail, events: log in ─> UP
 *            └────────── wait, longer each time (0.1 to 5 s, with jitter) <── any of them lost ──────────┘
 *
 * Loop thread only. What is lost and found again is logged once each.
 */
#ifndef STORE_REDIS_LINK_H
#define STORE_REDIS_LINK_H

#include "base/id.h"
#include "store/redis_script.h"
#include "store/redis_url.h"
#include "store/redis_wire.h"

struct link;

struct link_ops {
    void (*up)(struct link *link);

    /* Was up. All commands have been answered with null. */
    void (*down)(struct link *link);

    void (*event)(struct link *link, struct span payload);
};

/* What a script's words begin with: link_script fills it in. */
#define SCRIPT_HEAD                                                                                                    \
    {0}, {0},                                                                                                          \
    {                                                                                                                  \
        0                                                                                                              \
    }
enum { SHA_TEXT_SIZE = 41, SCRIPT_HEAD_COUNT = 3 };

struct link {
    struct loop *loop;
    const struct link_ops *ops;
    const struct redis_url *url;
    struct wire sentinel; /* stays open, and is asked again and again */
    struct wire commands; /* pipelined */
    struct wire tail;     /* waits for the log to grow */
    struct wire events;   /* subscribed */
    struct lookup *lookup;
    struct timer timer; /* the next attempt; a name look-up's deadline; while up, the next look at who is master */
    size_t host;        /* of the url: which to ask */
    unsigned attempts;
    int64_t wait_max_ms;
    unsigned steps; /* of logging in, still to be answered */
    int64_t up_ms;  /* when it came up */
    int64_t lost_ms;
    const char *reason; /* why it is down, for /readyz; static, null while up */
    char logged[WIRE_WHY_SIZE];
    char host_found[256]; /* where the server is */
    int port_found;
    char master[256]; /* as a Sentinel named it */
    bool tail_ready, events_ready;
    bool up;
    char shas[SCRIPT_COUNT][SHA_TEXT_SIZE];
};

/* `url` outlives the link. Between two attempts there are 5 s at most, and `wait_max_ms`. ERR_NO_MEMORY. Pair with
 * link_fini. */
enum err link_init(struct link *link, struct loop *loop, const struct link_ops *ops, const struct redis_url *url,
                   int64_t deadline_ms, int64_t wait_max_ms) must_check;

/* Closes all, answering outstanding commands with null; ops.down is not called. */
void link_fini(struct link *link);

/* Begins to connect. */
void link_start(struct link *link);

/* Runs a script on the commands wire; see wire_command. `words` are SCRIPT_HEAD and the arguments. */
void link_script(struct link *link, enum script script, size_t count, struct span *words, wire_done *done, void *ctx);

/* For a further wire of somebody else's, while the link is up: opens it to the same server, and, once it is up, logs in
 * on it. `done` is called for each of the commands that takes, whose number is returned. */
void link_open_wire(const struct link *link, struct wire *wire);
unsigned link_log_in(const struct link *link, struct wire *wire, wire_done *done, void *ctx);

/* Gives the connections up and connects anew. `reason` is static; `why`, for the log, may be null. */
void link_fail(struct link *link, const char *reason, const char *why);

#endif
