/* SPDX-License-Identifier: MIT */
/*
 * Loop: the one thread that owns all state, on libuv.
 *
 * One turn: timers fire, I/O callbacks run, then the tick hooks run in the order of `enum loop_hook`, and only then the
 * loop may block. So whatever happened in a turn is gathered and leaves at its end.
 *
 *     timers ─> I/O and posted calls ─> FLUSH ─> HTTP (requests and answers) ─> HUB (presence, new sessions) ─> FLUSH (queued bytes) ─> wait
 *
 * Everything here is for the loop thread, except loop_post.
 */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include "base/attr.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/timer.h"

struct loop;
struct uv_loop_s;

enum loop_hook { LOOP_HOOK_HTTP, LOOP_HOOK_HUB, LOOP_HOOK_FLUSH, LOOP_HOOK_COUNT };

/* Null: no memory or no descriptors. SIGPIPE is ignored from here on. */
struct loop *loop_new(void) must_check;

/* Stops being usable; everything opened on it must have been closed, and is reported closed before this returns. */
void loop_free(struct loop *loop);

/* Runs until loop_stop. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* One turn that does not wait longer than `wait_ms`; for tests and for draining. */
void loop_turn(struct loop *loop, int64_t wait_ms);

/* Called by a hook that has not finished: the coming wait is none, so the hooks run again after another look at
 * timers and I/O. */
void loop_again(struct loop *loop);

/* Time as of the start of this turn (CLOCK_MONOTONIC), and wall-clock time read when asked. Lives as long as the
 * loop. */
const struct clock *loop_clock(struct loop *loop);
int64_t loop_now_ms(const struct loop *loop);

/* The heap for timers; fired by the loop within a millisecond or two of their deadline. */
struct timers *loop_timers(struct loop *loop);

/* What is to run at the end of every turn, embedded in its owner; tasks of one hook run in the order they were
 * added. A task may remove itself or others while it runs. */
struct loop_task {
    void (*run)(struct loop_task *task);
    struct loop_task *next, *prev; /* of the loop */
};

void loop_add_task(struct loop *loop, enum loop_hook hook, struct loop_task *task);
void loop_remove_task(struct loop *loop, enum loop_hook hook, struct loop_task *task);

/* A call from another thread into the loop. Made on the loop thread, then posted any number of times from any
 * thread; posts made before the call ran are one call. */
struct loop_port;

/* Null: no memory. */
struct loop_port *loop_port_open(struct loop *loop, void (*run)(void *ctx), void *ctx) must_check;
void loop_post(struct loop_port *port);

/* No call comes after this; nobody may post any more. */
void loop_port_close(struct loop_port *port);

/* Runs `work(ctx)` on a worker thread, then `done(ctx)` on the loop thread. ERR_NO_MEMORY: neither will run. */
enum err loop_work(struct loop *loop, void (*work)(void *ctx), void (*done)(void *ctx), void *ctx) must_check;

/* Calls `got(ctx, number)` on the loop thread for each such signal, until the loop is freed. ERR_INTERNAL: not
 * watched. */
enum err loop_on_signal(struct loop *loop, int number, void (*got)(void *ctx, int number), void *ctx) must_check;

/* The library's name and version; static. */
const char *loop_library(void);

/* libuv's loop, for src/io and src/store only. */
struct uv_loop_s *loop_uv(struct loop *loop);

#endif
