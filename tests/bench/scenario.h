/* SPDX-License-Identifier: MIT */
/*
 * The scenarios: what is measured and what is to be reached, one row each in the table of scenario.c.
 *
 * A scenario runs in a process of its own, starts and stops its servers, writes its figures to settings->sink, and
 * fails (support.h) rather than report a figure that is not what it says.
 */
#ifndef BENCH_SCENARIO_H
#define BENCH_SCENARIO_H

#include <stdbool.h>

#include "target.h"

struct scenario {
    const char *name;
    const char *what; /* is measured, and what is to be reached */
    void (*run)(const struct settings *settings, const struct scenario *scenario);
    unsigned size;       /* readers, streams or connections: see the function */
    enum way way;        /* that is measured beside plain streams; not for all */
    bool needs_nereidd;  /* there is nothing to measure with limit alone */
    bool needs_socketio; /* it is measured against Socket.IO on Node, or not at all */
    bool separate;       /* bench and servers on processors of their own (proc_separate) */
    unsigned time_s;     /* after which it is given up, with the default rounds */
};

/* All scenarios in the order of running; ends with a null name. */
extern const struct scenario scenarios[];

/* Deliveries per second to `size` readers of one room, one and 32 messages in flight, against limit. */
void fanout_run(const struct settings *settings, const struct scenario *scenario);

/* Microseconds from a message's request to its reader in an idle system. */
void latency_run(const struct settings *settings, const struct scenario *scenario);

/* User memory of one of `size` idle streams, each of a user of its own. */
void memory_run(const struct settings *settings, const struct scenario *scenario);

/* Delivery to ten readers with and without `size` idle streams beside them. */
void neighbours_run(const struct settings *settings, const struct scenario *scenario);

/* Seconds for `size` connects, each with a token, to the first byte of the stream. */
void connects_run(const struct settings *settings, const struct scenario *scenario);

/* Acknowledged messages per second over `size` connections against SQLite alone. */
void sends_run(const struct settings *settings, const struct scenario *scenario);

/* Acknowledged messages per second on Redis over `size` connections against redis-benchmark's XADD on that server. */
void redis_sends_run(const struct settings *settings, const struct scenario *scenario);

/* Microseconds from a request at one node to a reader there and at another node. */
void redis_latency_run(const struct settings *settings, const struct scenario *scenario);

/* Seconds from the return of a killed Redis to the first message, with `size` streams attached. */
void redis_recovery_run(const struct settings *settings, const struct scenario *scenario);

/* Deliveries per second to `size` Socket.IO clients over WebSocket, one and 32 in flight, against Socket.IO on Node. */
void socketio_run(const struct settings *settings, const struct scenario *scenario);

/* User memory of one of `size` idle Socket.IO clients over WebSocket, against Socket.IO on Node. */
void socketio_memory_run(const struct settings *settings, const struct scenario *scenario);

/* Deliveries per second to `size` readers of one room who come the scenario's way, one and 32 messages in flight,
 * against plain streams. */
void ways_fanout_run(const struct settings *settings, const struct scenario *scenario);

/* User and kernel memory of one of `size` idle connections of the scenario's way, against plain streams. */
void ways_memory_run(const struct settings *settings, const struct scenario *scenario);

/* `size` connects with TLS, to the first byte of the stream, against plain ones. */
void tls_connects_run(const struct settings *settings, const struct scenario *scenario);

#endif
