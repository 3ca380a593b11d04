/* SPDX-License-Identifier: MIT */
/*
 * Wires on hiredis' asynchronous interface.
 *
 * hiredis 0.14's own adapter for libuv ignores errors that polling reports, so that a refused or reset connection is
 * noticed by nobody; hence the few lines here in its place. Its context may not be freed from the callback that reports
 * a connection, and frees itself after a loss; so a context is an object of its own, which outlives the wire's interest
 * in it.
 */
#include "store/redis_wire.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "io/loop.h"

struct wire_context {
    struct wire *wire;        /* null once it was closed */
    redisAsyncContext *redis; /* null once hiredis has freed it */
    struct guard guard;
    uv_poll_t poll;
    int events;
    bool connected;
    unsigned unwritten; /* commands to be written at the end of the turn */
    bool writing;
    bool busy; /* hiredis is at work on what was polled */
    bool paused;
    unsigned subscribing;     /* subscriptions that are not in force yet */
    int64_t subscribe_due_ms; /* when they are to be */
};

struct wire_command {
    struct wire_command *next;
    struct wire *wire; /* null once it was answered by the wire's end */
    wire_done *done;
    void *ctx;
    int64_t due_ms;
    int64_t last_ms; /* beyond which it is not extended */
};

/* --- polling, in place of hiredis/adapters/libuv.h --- */

static void write_out(struct wire_context *context)
{
    context->unwritten = 0;
    context->writing = true;
    redisAsyncHandleWrite(context->redis);
    context->writing = false;
}

static void on_polled(uv_poll_t *poll, int status, int events)
{
    struct wire_context *context = poll->data;
    /* What is wrong hiredis finds out itself, by reading. */
    if (status < 0)
        events = context->events;
    context->busy = true;
    if (context->redis && events & UV_READABLE)
        redisAsyncHandleRead(context->redis);
    if (context->redis && events & UV_WRITABLE)
        write_out(context);
    context->busy = false;
    if (context->redis && context->wire && guard_is_flooded(&context->guard, context->redis->c.reader))
        timer_set(loop_timers(context->wire->loop), &context->wire->timer, 0);
}

static void set_events(struct wire_context *context, int events)
{
    if (context->events == events)
        return;
    context->events = events;
    if (events)
        (void)uv_poll_start(&context->poll, events, on_polled);
    else
        (void)uv_poll_stop(&context->poll);
}

static void add_read(void *ctx)
{
    struct wire_context *context = ctx;
    if (!context->paused)
        set_events(context, context->events | UV_READABLE);
}

static void del_read(void *ctx)
{
    struct wire_context *context = ctx;
    set_events(context, context->events & ~UV_READABLE);
}

/* What is to be written is written at the end of the turn; only if that does not take all of it must be waited. */
static void add_write(void *ctx)
{
    struct wire_context *context = ctx;
    if (!context->connected || context->writing)
        set_events(context, context->events | UV_WRITABLE);
    else
        context->unwritten++;
}

static void flush(struct loop_task *task)
{
    const struct wire *wire = container_of(task, struct wire, flush);
    struct wire_context *context = wire->context;
    if (context && context->unwritten && context->redis)
        write_out(context);
}

static void del_write(void *ctx)
{
    struct wire_context *context = ctx;
    set_events(context, context->events & ~UV_WRITABLE);
}

static void poll_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* hiredis is about to free its context. */
static void clean_up(void *ctx)
{
    struct wire_context *context = ctx;
    context->redis = NULL;
    uv_close((uv_handle_t *)&context->poll, poll_closed);
}

/* --- ends --- */

/* Answers all that is outstanding with null. */
static void drop_commands(struct wire *wire)
{
    while (wire->first) {
        struct wire_command *command = wire->first;
        wire->first = command->next;
        if (!wire->first)
            wire->tail = &wire->first;
        command->wire = NULL;
        command->done(command->ctx, NULL);
    }
}

static void detach(struct wire *wire)
{
    wire->context->wire = NULL;
    wire->context = NULL;
    timer_clear(loop_timers(wire->loop), &wire->timer);
}

/* The connection is lost; hiredis frees the context, or has been told to. */
static void wire_lost(struct wire *wire, const char *why)
{
    (void)snprintf(wire->why, sizeof(wire->why), "%s", why);
    detach(wire);
    drop_commands(wire);
    if (!wire->context)
        wire->ops->down(wire);
}

static void free_context(struct wire_context *context)
{
    if (context->redis)
        redisAsyncFree(context->redis);
}

void wire_close(struct wire *wire)
{
    struct wire_context *context = wire->context;
    if (!context)
        return;
    detach(wire);
    free_context(context);
    drop_commands(wire);
}

static void on_timer(struct timer *timer)
{
    struct wire *wire = container_of(timer, struct wire, timer);
    struct wire_context *context = wire->context;
    const char *why = context->guard.why;
    if (!why)
        why = context->connected ? "no answer in time" : "no connection in time";
    wire_lost(wire, why);
    free_context(context);
}

static void set_deadline(struct wire *wire)
{
    struct timers *timers = loop_timers(wire->loop);
    if (wire->first)
        timer_set(timers, &wire->timer, wire->first->due_ms);
    else if (wire->context && wire->context->subscribing)
        timer_set(timers, &wire->timer, wire->context->subscribe_due_ms);
    else
        timer_clear(timers, &wire->timer);
}

/* A reply has come: a server that works through a long queue is not one that hangs, for some time. */
static void extend_deadline(struct wire *wire)
{
    struct wire_command *first = wire->first;
    int64_t due_ms = loop_now_ms(wire->loop) + wire->deadline_ms;
    if (first && first->due_ms < due_ms)
        first->due_ms = due_ms < first->last_ms ? due_ms : first->last_ms;
    set_deadline(wire);
}

static void on_connected(const redisAsyncContext *redis, int status)
{
    struct wire_context *context = redis->data;
    struct wire *wire = context->wire;
    if (!wire)
        return;
    context->connected = status == REDIS_OK;
    if (!context->connected) {
        wire_lost(wire, redis->c.errstr[0] ? redis->c.errstr : "connection refused");
        return;
    }
    set_deadline(wire);
    wire->ops->up(wire);
}

static void on_disconnected(const redisAsyncContext *redis, int status unused_arg)
{
    struct wire_context *context = redis->data;
    if (context->wire)
        wire_lost(context->wire, context->guard.why ? context->guard.why : redis->c.errstr);
}

/* --- opening --- */

enum err wire_init(struct wire *wire, struct loop *loop, const struct wire_ops *ops, int64_t deadline_ms)
{
    *wire = (struct wire){.loop = loop, .ops = ops, .deadline_ms = deadline_ms};
    wire->tail = &wire->first;
    enum err err = timer_init(loop_timers(loop), &wire->timer, on_timer);
    if (err)
        return err;
    wire->flush.run = flush;
    loop_add_task(loop, LOOP_HOOK_FLUSH, &wire->flush);
    return OK;
}

void wire_fini(struct wire *wire)
{
    if (!wire->flush.run)
        return;
    wire_close(wire);
    loop_remove_task(wire->loop, LOOP_HOOK_FLUSH, &wire->flush);
    timer_fini(loop_timers(wire->loop), &wire->timer);
}

static redisAsyncContext *connect_to(const struct wire_address *address)
{
    redisAsyncContext *redis =
        address->path ? redisAsyncConnectUnix(address->path) : redisAsyncConnect(address->host, address->port);
    if (redis && redis->err) {
        redisAsyncFree(redis);
        return NULL;
    }
    return redis;
}

static bool start_polling(struct wire_context *context, struct loop *loop)
{
    redisAsyncContext *redis = context->redis;
    if (uv_poll_init(loop_uv(loop), &context->poll, redis->c.fd) != 0)
        return false;
    context->poll.data = context;
    redis->data = context;
    redis->ev.data = context;
    redis->ev.addRead = add_read;
    redis->ev.delRead = del_read;
    redis->ev.addWrite = add_write;
    redis->ev.delWrite = del_write;
    redis->ev.cleanup = clean_up;
    guard_init(&context->guard, redis->c.reader);
    (void)redisAsyncSetConnectCallback(redis, on_connected); /* asks for writing, so polling begins */
    (void)redisAsyncSetDisconnectCallback(redis, on_disconnected);
    return true;
}

static struct wire_context *context_new(struct wire *wire, const struct wire_address *address)
{
    struct wire_context *context = calloc(1, sizeof(*context));
    if (!context)
        return NULL;
    context->wire = wire;
    context->redis = connect_to(address);
    if (context->redis && start_polling(context, wire->loop))
        return context;
    if (context->redis)
        redisAsyncFree(context->redis);
    free(context);
    return NULL;
}

/* Stands for a connection that could not even be begun: the timer reports it. */
static struct wire_context failed_context = {.guard = {.why = "cannot connect"}};

void wire_open(struct wire *wire, const struct wire_address *address)
{
    assert(!wire->context);
    wire->context = context_new(wire, address);
    int64_t now_ms = loop_now_ms(wire->loop);
    if (wire->context) {
        timer_set(loop_timers(wire->loop), &wire->timer, now_ms + wire->deadline_ms);
        return;
    }
    wire->context = &failed_context;
    timer_set(loop_timers(wire->loop), &wire->timer, now_ms);
}

/* --- commands --- */

static void on_reply(redisAsyncContext *redis unused_arg, void *reply, void *ctx)
{
    struct wire_command *command = ctx;
    struct wire *wire = command->wire;
    if (wire) {
        assert(wire->first == command);
        wire->first = command->next;
        if (!wire->first)
            wire->tail = &wire->first;
        if (reply)
            extend_deadline(wire);
        command->done(command->ctx, reply);
    }
    free(command);
}

/* hiredis wants texts and lengths apart. */
enum { WORDS_FEW = 32, WRITE_SOON = 8, QUEUE_PATIENCE = 5 };

static int send_words(redisAsyncContext *redis, size_t count, const struct span *words, const char **texts,
                      size_t *lens, struct wire_command *command)
{
    for (size_t i = 0; i < count; i++) {
        texts[i] = words[i].data ? words[i].data : "";
        lens[i] = words[i].len;
    }
    return redisAsyncCommandArgv(redis, on_reply, command, (int)count, texts, lens);
}

static int send_command(redisAsyncContext *redis, size_t count, const struct span *words, struct wire_command *command)
{
    const char *few_texts[WORDS_FEW];
    size_t few_lens[WORDS_FEW];
    if (count <= WORDS_FEW)
        return send_words(redis, count, words, few_texts, few_lens, command);
    const char **texts = malloc(count * sizeof(*texts));
    size_t *lens = malloc(count * sizeof(*lens));
    int status = texts && lens ? send_words(redis, count, words, texts, lens, command) : REDIS_ERR;
    free(texts);
    free(lens);
    return status;
}

void wire_command(struct wire *wire, size_t count, const struct span *words, int64_t extra_ms, wire_done *done,
                  void *ctx)
{
    struct wire_context *context = wire->context;
    int64_t now_ms = loop_now_ms(wire->loop);
    struct wire_command *command = context && context->redis ? malloc(sizeof(*command)) : NULL;
    if (command)
        *command = (struct wire_command){.wire = wire,
                                         .done = done,
                                         .ctx = ctx,
                                         .due_ms = now_ms + wire->deadline_ms + extra_ms,
                                         .last_ms = now_ms + wire->deadline_ms * QUEUE_PATIENCE};
    if (!command || send_command(context->redis, count, words, command) != REDIS_OK) {
        free(command);
        if (context)
            timer_set(loop_timers(wire->loop), &wire->timer, 0);
        done(ctx, NULL);
        return;
    }
    guard_ask(&context->guard);
    *wire->tail = command;
    wire->tail = &command->next;
    if (wire->first == command && context->connected)
        set_deadline(wire);
    /* The server need not be idle until a long turn ends. Not from inside hiredis: a failed write frees its context. */
    if (context->unwritten >= WRITE_SOON && !context->busy)
        write_out(context);
}

static struct span text_of(const redisReply *reply)
{
    return (struct span){reply->str, reply->len};
}

static void on_subscribed(struct wire *wire, struct span name)
{
    if (wire->context->subscribing)
        wire->context->subscribing--;
    set_deadline(wire);
    wire->ops->message(wire, name, (struct span){NULL, 0}, (struct span){NULL, 0});
}

/* `message channel payload`, `pmessage pattern channel payload`, `subscribe channel count`, `psubscribe pattern
 * count`. */
static void on_message(redisAsyncContext *redis, void *reply, void *ctx unused_arg)
{
    const struct wire_context *context = redis->data;
    const redisReply *message = reply;
    struct wire *wire = context->wire;
    if (!message || !wire)
        return;
    const redisReply *subscribed = message->element[1];
    const redisReply *channel = message->element[message->elements - 2];
    const redisReply *payload = message->element[message->elements - 1];
    if (strstr(message->element[0]->str, "subscribe"))
        on_subscribed(wire, text_of(subscribed));
    else if (channel->type == REDIS_REPLY_STRING && payload->type == REDIS_REPLY_STRING)
        wire->ops->message(wire, text_of(subscribed), text_of(channel), text_of(payload));
}

void wire_subscribe(struct wire *wire, struct span name, bool is_pattern)
{
    struct wire_context *context = wire->context;
    if (!context || !context->redis)
        return;
    const char *argv[] = {is_pattern ? "PSUBSCRIBE" : "SUBSCRIBE", name.data};
    const size_t lens[] = {strlen(argv[0]), name.len};
    int64_t now_ms = loop_now_ms(wire->loop);
    guard_subscribe(&context->guard, name, is_pattern);
    bool asked = redisAsyncCommandArgv(context->redis, on_message, NULL, (int)array_len(argv), argv, lens) == REDIS_OK;
    context->subscribing++;
    context->subscribe_due_ms = now_ms + wire->deadline_ms;
    if (asked)
        set_deadline(wire);
    else
        timer_set(loop_timers(wire->loop), &wire->timer, now_ms);
}

void wire_pause(struct wire *wire, bool paused)
{
    struct wire_context *context = wire->context;
    if (!context || !context->redis || context->paused == paused)
        return;
    context->paused = paused;
    set_events(context, paused ? context->events & ~UV_READABLE : context->events | UV_READABLE);
}
