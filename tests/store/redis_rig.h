/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the Redis store share: their server, further nodes on it, and traffic that finds out what was lost
 * or doubled.
 */
#ifndef TESTS_STORE_REDIS_RIG_H
#define TESTS_STORE_REDIS_RIG_H

#include "harness.h"
#include "redis_server.h"

extern struct server server;
extern struct server replica, sentinel; /* of the tests that start them */
extern char log_path[SERVER_PATH_MAX];
extern const struct cases redis_cases, redis_node_cases, redis_visit_cases, redis_crowd_cases, redis_replica_cases,
    redis_failure_cases, redis_bus_cases;

/* Alice, bob, and their thread. */
struct id scene(struct harness *h);

/* Opens the store anew: its leases last 1 s and are renewed every 200 ms, and a command may take 500 ms. */
void hurry(struct harness *h);

/* --- nodes --- */

/* One more node on the same server, with the options of `h`, opened. Each is the other's peer: both turn together. */
struct harness *node_new(struct harness *h);
void node_free(struct harness *node);

/* Waits until there are so many nodes, and none that is being taken down. */
void wait_for_nodes(struct harness *h, int count);

/* Waits until all calls made on both are answered. */
void settle_both(struct harness *a, struct harness *b);

/* Waits until `b` has announced what `a` has. */
void catch_up(struct harness *b, const struct harness *a);

/* The journal without the answers; good until the next call. */
const char *announced(struct harness *h);

/* Turns for so long, where nothing is to happen. */
void turn_for(struct harness *h, int64_t ms);

/* Waits until all changes of users so far have been told, and insists that what was told is `text`, of which only
 * such changes may be left out as the same user's later ones have overtaken. */
void assert_user_events(struct harness *h, const char *text);

/* Ends all connections but ours; `kind` is `normal` or `pubsub`. */
void kill_connections(const char *kind);

bool is_ready(struct harness *h);
void wait_until_ready(struct harness *h);
void wait_until_away(struct harness *h);

/* --- the log of the store under test --- */

/* How many of its lines have these words. */
int logged(const char *words);
void forget_log(void);

/* --- traffic: messages that are sent until they are acknowledged, whatever happens meanwhile --- */

enum { TRAFFIC_MAX = 2000 };

struct traffic;

struct shot {
    struct traffic *traffic;
    struct id id;
    enum { SHOT_UNSENT, SHOT_UNDER_WAY, SHOT_DONE } state;
};

struct traffic {
    struct harness *h;
    struct id thread;
    const char *sender;
    int sent; /* so many of the shots below, at least once */
    int under_way;
    int done;
    struct shot shots[TRAFFIC_MAX];
};

struct traffic *traffic_new(struct harness *h, struct id thread, const char *sender);

/* Goes on until so many have been acknowledged; some more are under way then. */
void traffic_run(struct traffic *traffic, int done);

/* Waits for those, sends again what has failed, and insists that `h` was told of each message that was ever sent
 * exactly once. */
void traffic_finish(struct traffic *traffic);

/* The same for another node. */
void traffic_check(const struct traffic *traffic, struct harness *h);

#endif
