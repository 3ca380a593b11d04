/* SPDX-License-Identifier: MIT */
/*
 * The loop on libuv.
 *
 * The hooks run in libuv's prepare phase: after the timers of this iteration and the I/O of the one before, right
 * before the wait. All timers of the program share one uv_timer, which is armed for the earliest deadline after the
 * hooks have run, so setting and clearing a timer costs no more than a step in the heap.
 */
#include "io/loop.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <utlist.h>
#include <uv.h>

struct hook {
    struct loop_task *tasks;   /* not owned */
    struct loop_task *running; /* the task to run next, while the tasks run */
};

struct loop_signal {
    uv_signal_t handle;
    void (*got)(void *ctx, int number);
    void *ctx;
    struct loop_signal *next;
};

struct loop {
    uv_loop_t uv;
    uv_prepare_t prepare;
    uv_timer_t alarm;     /* for the earliest deadline in `timers` */
    uv_timer_t limit;     /* ends a loop_turn */
    uv_idle_t again;      /* active: the next wait is none */
    int64_t alarm_due_ms; /* INT64_MAX while the alarm is not set */
    struct clock clock;
    struct timers timers;
    struct hook hooks[LOOP_HOOK_COUNT];
    struct loop_signal *signals; /* owned */
};

struct loop_port {
    uv_async_t async;
    void (*run)(void *ctx); /* null once closed */
    void *ctx;
};

struct job {
    uv_work_t work;
    void (*run)(void *ctx);
    void (*done)(void *ctx);
    void *ctx;
};

static int64_t clock_read_ms(const struct clock *clock)
{
    return loop_now_ms(container_of(clock, const struct loop, clock));
}

static int64_t clock_read_us(const struct clock *clock unused_arg)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void on_alarm(uv_timer_t *alarm)
{
    struct loop *loop = alarm->data;
    loop->alarm_due_ms = INT64_MAX;
    timers_run(&loop->timers, loop_now_ms(loop));
}

static void on_limit(uv_timer_t *limit unused_arg)
{
}

static void on_again(uv_idle_t *again unused_arg)
{
}

static void arm_alarm(struct loop *loop)
{
    int64_t due_ms = timers_next(&loop->timers);
    if (due_ms == loop->alarm_due_ms)
        return;
    loop->alarm_due_ms = due_ms;
    if (due_ms == INT64_MAX) {
        (void)uv_timer_stop(&loop->alarm);
        return;
    }
    int64_t wait_ms = due_ms - loop_now_ms(loop);
    (void)uv_timer_start(&loop->alarm, on_alarm, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}

static void run_hook(struct hook *hook)
{
    hook->running = hook->tasks;
    while (hook->running) {
        struct loop_task *task = hook->running;
        hook->running = task->next;
        task->run(task);
    }
}

static void run_hooks(struct loop *loop)
{
    (void)uv_idle_stop(&loop->again);
    /* What I/O has queued need not wait for the answers: readers come before senders. */
    run_hook(&loop->hooks[LOOP_HOOK_FLUSH]);
    for (size_t i = 0; i < array_len(loop->hooks); i++)
        run_hook(&loop->hooks[i]);
    arm_alarm(loop);
}

static void on_prepare(uv_prepare_t *prepare)
{
    run_hooks(prepare->data);
}

/* None of these calls can fail. */
static void init_handles(struct loop *loop)
{
    (void)uv_prepare_init(&loop->uv, &loop->prepare);
    (void)uv_timer_init(&loop->uv, &loop->alarm);
    (void)uv_timer_init(&loop->uv, &loop->limit);
    (void)uv_idle_init(&loop->uv, &loop->again);
    loop->prepare.data = loop;
    loop->alarm.data = loop;
    (void)uv_prepare_start(&loop->prepare, on_prepare);
}

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    if (!loop)
        return NULL;
    if (uv_loop_init(&loop->uv)) {
        free(loop);
        return NULL;
    }
    /* A peer that has gone away is an error of the write, not a signal. */
    (void)signal(SIGPIPE, SIG_IGN);
    loop->clock = (struct clock){.now_ms = clock_read_ms, .wall_us = clock_read_us};
    loop->timers = TIMERS_INIT;
    loop->alarm_due_ms = INT64_MAX;
    init_handles(loop);
    return loop;
}

static void on_signal_closed(uv_handle_t *handle)
{
    free(container_of(handle, struct loop_signal, handle));
}

static void close_signals(struct loop *loop)
{
    while (loop->signals) {
        struct loop_signal *watch = loop->signals;
        loop->signals = watch->next;
        uv_close((uv_handle_t *)&watch->handle, on_signal_closed);
    }
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    close_signals(loop);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->alarm, NULL);
    uv_close((uv_handle_t *)&loop->limit, NULL);
    uv_close((uv_handle_t *)&loop->again, NULL);
    /* A stop that came after the last run would end this one early. */
    while (uv_run(&loop->uv, UV_RUN_DEFAULT)) {
    }
    int left_open = uv_loop_close(&loop->uv);
    assert(left_open == 0);
    (void)left_open;
    timers_fini(&loop->timers);
    free(loop);
}

/* The I/O that led to a stop has left things for the hooks to do. */
void loop_run(struct loop *loop)
{
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    run_hooks(loop);
}

void loop_stop(struct loop *loop)
{
    uv_stop(&loop->uv);
}

void loop_turn(struct loop *loop, int64_t wait_ms)
{
    uv_update_time(&loop->uv);
    /* A timer that is due fires before the wait and would not end it. */
    bool wait = wait_ms > 0 && timers_next(&loop->timers) > loop_now_ms(loop);
    if (wait)
        (void)uv_timer_start(&loop->limit, on_limit, (uint64_t)wait_ms, 0);
    (void)uv_run(&loop->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    (void)uv_timer_stop(&loop->limit);
    run_hooks(loop);
}

void loop_again(struct loop *loop)
{
    (void)uv_idle_start(&loop->again, on_again);
}

const struct clock *loop_clock(struct loop *loop)
{
    return &loop->clock;
}

int64_t loop_now_ms(const struct loop *loop)
{
    return (int64_t)uv_now(&loop->uv);
}

struct timers *loop_timers(struct loop *loop)
{
    return &loop->timers;
}

void loop_add_task(struct loop *loop, enum loop_hook hook, struct loop_task *task)
{
    assert(hook < LOOP_HOOK_COUNT);
    DL_APPEND(loop->hooks[hook].tasks, task);
}

void loop_remove_task(struct loop *loop, enum loop_hook hook, struct loop_task *task)
{
    assert(hook < LOOP_HOOK_COUNT);
    if (loop->hooks[hook].running == task)
        loop->hooks[hook].running = task->next;
    DL_DELETE(loop->hooks[hook].tasks, task);
}

static void on_post(uv_async_t *async)
{
    struct loop_port *port = container_of(async, struct loop_port, async);
    if (port->run)
        port->run(port->ctx);
}

struct loop_port *loop_port_open(struct loop *loop, void (*run)(void *ctx), void *ctx)
{
    struct loop_port *port = calloc(1, sizeof(*port));
    if (!port)
        return NULL;
    if (uv_async_init(&loop->uv, &port->async, on_post)) {
        free(port);
        return NULL;
    }
    port->run = run;
    port->ctx = ctx;
    return port;
}

void loop_post(struct loop_port *port)
{
    (void)uv_async_send(&port->async);
}

static void on_port_closed(uv_handle_t *handle)
{
    free(container_of(handle, struct loop_port, async));
}

void loop_port_close(struct loop_port *port)
{
    if (!port)
        return;
    port->run = NULL;
    uv_close((uv_handle_t *)&port->async, on_port_closed);
}

static void on_work(uv_work_t *work)
{
    struct job *job = container_of(work, struct job, work);
    job->run(job->ctx);
}

static void on_work_done(uv_work_t *work, int status unused_arg)
{
    struct job *job = container_of(work, struct job, work);
    job->done(job->ctx);
    free(job);
}

enum err loop_work(struct loop *loop, void (*work)(void *ctx), void (*done)(void *ctx), void *ctx)
{
    struct job *job = calloc(1, sizeof(*job));
    if (!job)
        return ERR_NO_MEMORY;
    *job = (struct job){.run = work, .done = done, .ctx = ctx};
    if (uv_queue_work(&loop->uv, &job->work, on_work, on_work_done)) {
        free(job);
        return ERR_NO_MEMORY;
    }
    return OK;
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct loop_signal *watch = container_of(handle, struct loop_signal, handle);
    watch->got(watch->ctx, number);
}

enum err loop_on_signal(struct loop *loop, int number, void (*got)(void *ctx, int number), void *ctx)
{
    struct loop_signal *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return ERR_INTERNAL;
    if (uv_signal_init(&loop->uv, &watch->handle)) {
        free(watch);
        return ERR_INTERNAL;
    }
    watch->got = got;
    watch->ctx = ctx;
    if (uv_signal_start(&watch->handle, on_signal, number)) {
        uv_close((uv_handle_t *)&watch->handle, on_signal_closed);
        return ERR_INTERNAL;
    }
    watch->next = loop->signals;
    loop->signals = watch;
    return OK;
}

struct uv_loop_s *loop_uv(struct loop *loop)
{
    return &loop->uv;
}

const char *loop_library(void)
{
    static char text[32];
    (void)snprintf(text, sizeof(text), "libuv %s", uv_version_string());
    return text;
}
