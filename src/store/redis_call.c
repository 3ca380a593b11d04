/* SPDX-License-Identifier: MIT */
/*
 * Calls: what one holds, how its answer is read, and how it is given to whoever asked.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/metric.h"
#include "store/redis_store.h"
#include "store/redis_trouble.h"

enum { SPARE_CALLS = 64, PAGE_FIRST = 5 };

static int64_t monotonic_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* --- kinds ------------------------------------------------------------------------------------------------------ */

static bool read_nothing(struct redis_call *call unused_arg, const redisReply *reply unused_arg)
{
    return true;
}

static void deliver_plain(struct redis_call *call)
{
    call->done.plain(call->ctx, call->err);
}

static bool read_user(struct redis_call *call, const redisReply *reply)
{
    return reply->elements == 2 && reply_user(reply->element[1], &call->arena, &call->result.user);
}

static void deliver_user(struct redis_call *call)
{
    call->done.user(call->ctx, call->err, call->err ? NULL : &call->result.user);
}

static bool read_users(struct redis_call *call, const redisReply *reply)
{
    struct user_record *users = NULL;
    size_t count = 0;
    if (!reply_users(reply, 1, &call->arena, &users, &count))
        return false;
    call->result.list.items = users;
    call->result.list.count = count;
    return true;
}

static void deliver_users(struct redis_call *call)
{
    size_t count = call->err ? 0 : call->result.list.count;
    call->done.users(call->ctx, call->err, call->err ? NULL : call->result.list.items, count);
}

static bool read_thread(struct redis_call *call, const redisReply *reply)
{
    return reply_one_thread(reply, &call->arena, &call->result.thread);
}

static void deliver_thread(struct redis_call *call)
{
    call->done.thread(call->ctx, call->err, call->err ? NULL : &call->result.thread);
}

static void deliver_visit(struct redis_call *call)
{
    visits_began(call);
    deliver_thread(call);
}

static void deliver_visit_end(struct redis_call *call)
{
    visits_ended(call);
    deliver_thread(call);
}

static bool read_threads(struct redis_call *call, const redisReply *reply)
{
    struct arena_list list = {0};
    struct told_users told;
    if (reply->elements < 2 || !reply_told(reply->element[1], &call->arena, &told))
        return false;
    for (size_t i = 2; i < reply->elements; i++) {
        struct thread_record *thread = arena_list_add(&call->arena, &list, sizeof(*thread));
        call->result.list.items = list.items;
        if (!thread || !reply_thread(reply->element[i], &told, &call->arena, thread))
            return false;
        call->result.list.count = list.count;
    }
    return true;
}

static void deliver_threads(struct redis_call *call)
{
    const struct thread_record *threads = call->result.list.items;
    call->done.threads(call->ctx, call->err, call->err ? NULL : threads, call->err ? 0 : call->result.list.count);
    for (size_t i = 0; i < call->result.list.count; i++)
        message_unref(threads[i].last);
}

static bool read_append(struct redis_call *call, const redisReply *reply)
{
    struct append_result *append = &call->result.append;
    append->id = call->message->fields.id;
    append->repeated = span_is(reply_text(reply, 3), "1");
    if (!reply_cursor(reply, 1, &append->cursor) || !id_parse(reply_text(reply, 2), &append->thread))
        return false;
    call->message->cursor = append->cursor;
    return true;
}

static void deliver_append(struct redis_call *call)
{
    call->done.append(call->ctx, call->err, call->err ? NULL : &call->result.append);
}

/* An entry that is none of ours is left out, as the tail leaves it out. */
static bool read_messages(struct redis_call *call, const redisReply *reply)
{
    struct message_page *page = &call->result.page;
    struct arena_list list = {0};
    for (size_t i = PAGE_FIRST; i < reply->elements; i++) {
        struct log_entry entry;
        enum err err = reply_entry(reply->element[i], &entry);
        if (err == ERR_NO_MEMORY)
            call->arena.failed = true;
        struct message **slot = err || !entry.message ? NULL : arena_list_add(&call->arena, &list, sizeof(*slot));
        if (slot)
            *slot = entry.message;
        else if (!err)
            message_unref(entry.message);
        page->messages = list.items;
        page->count = list.count;
        if (call->arena.failed)
            return false;
    }
    return true;
}

static bool read_page(struct redis_call *call, const redisReply *reply)
{
    struct message_page *page = &call->result.page;
    page->more = span_is(reply_text(reply, 3), "1");
    page->gap = span_is(reply_text(reply, 4), "1");
    return reply_cursor(reply, 1, &page->head) && reply_cursor(reply, 2, &page->oldest) && read_messages(call, reply);
}

static void deliver_page(struct redis_call *call)
{
    call->done.page(call->ctx, call->err, call->err ? NULL : &call->result.page);
    for (size_t i = 0; i < call->result.page.count; i++)
        message_unref(call->result.page.messages[i]);
}

static bool read_place(struct redis_call *call, const redisReply *reply)
{
    struct message_place *place = &call->result.place;
    return reply_cursor(reply, 1, &place->cursor) && id_parse(reply_text(reply, 2), &place->thread);
}

static void deliver_place(struct redis_call *call)
{
    call->done.message(call->ctx, call->err, call->err ? NULL : &call->result.place);
}

/* Other programs make tokens, too: what they say of a user is checked like anything from outside. */
static bool read_token(struct redis_call *call, const redisReply *reply)
{
    struct token_record *token = &call->result.token;
    struct span user = reply_text(reply, 1);
    int64_t left_ms;
    if (!reply_int(reply, 2, &left_ms))
        return false;
    if (!user_id_valid(user)) {
        store_puzzled(call->store, "a token's value in Redis is no user id", log_int("bytes", (int64_t)user.len));
        call->err = ERR_NO_TOKEN;
        return true;
    }
    token->user = arena_copy(&call->arena, user);
    token->expires_us = left_ms < 0 ? INT64_MAX : clock_wall_us(call->store->options.clock) + left_ms * 1000;
    return token->user.data;
}

static void deliver_token(struct redis_call *call)
{
    call->done.token(call->ctx, call->err, call->err ? NULL : &call->result.token);
}

const struct call_kind call_plain = {read_nothing, deliver_plain};
const struct call_kind call_user = {read_user, deliver_user};
const struct call_kind call_users = {read_users, deliver_users};
const struct call_kind call_thread = {read_thread, deliver_thread};
const struct call_kind call_threads = {read_threads, deliver_threads};
const struct call_kind call_visit = {read_thread, deliver_visit};
const struct call_kind call_visit_end = {read_thread, deliver_visit_end};
const struct call_kind call_append = {read_append, deliver_append};
const struct call_kind call_page = {read_page, deliver_page};
const struct call_kind call_place = {read_place, deliver_place};
const struct call_kind call_token = {read_token, deliver_token};

/* --- life ------------------------------------------------------------------------------------------------------- */

/* With the spare ones gone as well, there is nothing left that could keep the promise of one answer per call. */
static struct redis_call *call_new(struct redis_store *store)
{
    struct redis_call *call = calloc(1, sizeof(*call));
    if (!call && store->spare) {
        call = store->spare;
        store->spare = call->next;
        store->spare_count--;
        memset(call, 0, sizeof(*call));
    }
    if (!call) {
        log_event(LOG_ERROR, "out of memory beyond recovery", log_text("in", "store"));
        abort();
    }
    call->store = store;
    return call;
}

void call_drop(struct redis_call *call)
{
    struct redis_store *store = call->store;
    message_unref(call->message);
    arena_reset(&call->arena);
    if (store->spare_count == SPARE_CALLS) {
        free(call);
        return;
    }
    call->next = store->spare;
    store->spare = call;
    store->spare_count++;
}

void call_deliver(struct redis_call *call)
{
    metric_observe(METRIC_REDIS_TIME, monotonic_us() - call->made_us);
    call->kind->deliver(call);
}

static void end_call(struct redis_call *call, enum err err)
{
    call->err = err;
    call->answered = true;
}

/* --- answers ---------------------------------------------------------------------------------------------------- */

/* The words of base/err.h that scripts answer with. */
static enum err err_of_status(struct span word)
{
    static const enum err errs[] = {ERR_NO_USER,   ERR_NO_THREAD,        ERR_NO_TOKEN, ERR_CONFLICT,
                                    ERR_NOT_FOUND, ERR_TOO_MANY_MEMBERS, ERR_FORBIDDEN};
    for (size_t i = 0; i < array_len(errs); i++)
        if (span_is(word, err_word(errs[i])))
            return errs[i];
    return span_is(word, "OK") ? OK : ERR_INTERNAL;
}

static enum err read_array(struct redis_call *call, const redisReply *reply)
{
    struct span position = reply_text(reply, 0);
    bool read = reply->elements && position.data && (position.len == 0 || reply_cursor(reply, 0, &call->position)) &&
                call->kind->read(call, reply);
    if (read)
        return call->err;
    if (call->arena.failed)
        return ERR_NO_MEMORY;
    store_puzzled(call->store, "a record in Redis is none of ours", (struct log_field){0});
    return ERR_STORE;
}

static enum err read_reply(struct redis_call *call, const redisReply *reply)
{
    switch (reply->type) {
    case REDIS_REPLY_ARRAY: return read_array(call, reply);
    case REDIS_REPLY_STATUS: return err_of_status((struct span){reply->str, reply->len});
    case REDIS_REPLY_ERROR: return ERR_STORE;
    default: return ERR_INTERNAL;
    }
}

static void call_replied(void *ctx, const redisReply *reply)
{
    struct redis_call *call = ctx;
    struct redis_store *store = call->store;
    call->ran = !reply || reply->type == REDIS_REPLY_ARRAY;
    if (!reply) {
        end_call(call, ERR_STORE);
        return; /* the link's end moves the line */
    }
    enum err err = read_reply(call, reply);
    if (cursor_compare(call->position, store->seen) > 0)
        store->seen = call->position;
    call->held = !err && call->message && store->options.replicas;
    if (!call->held)
        end_call(call, err == ERR_INTERNAL ? ERR_STORE : err);
    if (reply_is_error(reply))
        store_complain(store, reply);
    else if (err == ERR_INTERNAL)
        store_confused(store);
    line_move(store);
}

void call_confirmed(struct redis_call *call, bool enough)
{
    call->held = false;
    end_call(call, enough ? OK : ERR_STORE);
}

/* --- making ----------------------------------------------------------------------------------------------------- */

static struct redis_call *call_make(struct redis_store *store, const struct call_kind *kind, enum err err,
                                    union call_done done, void *ctx)
{
    assert(!store->closing);
    struct redis_call *call = call_new(store);
    call->kind = kind;
    call->done = done;
    call->ctx = ctx;
    call->made_us = monotonic_us();
    bool full = store->options.queue_max && store->waiting >= store->options.queue_max;
    if (full || !store->ready)
        err = ERR_STORE;
    if (err)
        end_call(call, err);
    line_add_call(store, call);
    if (err)
        loop_post(store->port);
    return call;
}

void call_refused(struct redis_store *store, const struct call_kind *kind, enum err err, union call_done done,
                  void *ctx)
{
    (void)call_make(store, kind, err, done, ctx);
}

struct redis_call *call_script(struct redis_store *store, const struct call_kind *kind, enum script script,
                               size_t count, struct span *words, union call_done done, void *ctx)
{
    struct redis_call *call = call_make(store, kind, OK, done, ctx);
    if (!call->answered)
        link_script(&store->link, script, count, words, call_replied, call);
    return call;
}

void call_command(struct redis_store *store, const struct call_kind *kind, size_t count, const struct span *words,
                  union call_done done, void *ctx)
{
    struct redis_call *call = call_make(store, kind, OK, done, ctx);
    if (!call->answered)
        wire_command(&store->link.commands, count, words, 0, call_replied, call);
}
