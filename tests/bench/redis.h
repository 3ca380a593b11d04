/* SPDX-License-Identifier: MIT */
/*
 * A Redis server of a scenario's own, on a free loopback port, with a directory of its own below settings->dir.
 *
 * nereidd and redis-benchmark reach it alike, by TCP, as clients reach nereidd.
 *
 *   redis_start -> redis_ask, redis_alone ... -> redis_stop
 *                      ^  redis_kill -> redis_start_again -> redis_wait
 *
 * Found in PATH as redis-server, with redis-benchmark beside it. Any failure ends the process (support.h).
 */
#ifndef BENCH_REDIS_H
#define BENCH_REDIS_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

#include "proc.h"
#include "target.h"

enum { REDIS_PATH_BYTES = TARGET_PATH_BYTES + 32 };

struct redis {
    struct proc proc;
    redisContext *control; /* NULL while it is down */
    bool appendonly;
    char dir[TARGET_PATH_BYTES];
    int port;
    char port_text[8];
    char url[64]; /* as nereidd wants it */
};

/* Starts it, empty, and waits until it answers. `appendonly`: with a file, synced every second; else with none. */
void redis_start(struct redis *redis, const struct settings *settings, bool appendonly);
void redis_stop(struct redis *redis);

/* Ends it with SIGKILL. */
void redis_kill(struct redis *redis);

/* Starts it on the same directory. It may have much to read first. */
void redis_start_again(struct redis *redis);

/* Waits until it answers PING with PONG, asking every millisecond. Fails after 30 s. */
void redis_wait(struct redis *redis);

/* A command (see redisCommand) and its reply, neither NULL nor an error. Free with freeReplyObject. */
redisReply *redis_ask(struct redis *redis, const char *format, ...);

/* A command whose reply is a number. */
long long redis_ask_number(struct redis *redis, const char *command);

struct redis_alone_result {
    double adds_per_s; /* as redis-benchmark has it */
    double cpu_us;     /* the server's, per XADD */
};

/*
 * What redis-benchmark reaches with XADD, without pipelining: `count` times the entry `fields` (an array of names and
 * values, as XRANGE returns it) over `connections`. The stream is removed before and after, and has to have got all.
 */
struct redis_alone_result redis_alone(struct redis *redis, const redisReply *fields, unsigned connections,
                                      unsigned count);

#endif
