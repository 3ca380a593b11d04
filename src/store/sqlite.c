/* SPDX-License-Identifier: MIT */
/*
 * The store port on SQLite: the loop's side.
 *
 * Every op makes a call (its arguments copied) and hands it to the worker; answers come back in the order of the calls,
 * and each is announced and reported in turn. A call that cannot even be made (no memory, the queue is full) takes its
 * place in the line all the same, as one that is refused, so order holds; for that a few calls are kept in reserve.
 */
#include "store/sqlite.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/metric.h"
#include "io/loop.h"
#include "store/sqlite_call.h"
#include "store/sqlite_exchange.h"
#include "store/sqlite_ops.h"
#include "store/sqlite_worker.h"

enum { RESERVE_CALLS = 64 };

struct sqlite_store {
    struct store store;
    struct loop_port *port;
    struct exchange exchange;
    struct worker worker; /* its thread's, but for `trouble` */
    pthread_t thread;
    struct store_sink *sink;
    size_t queue_max;
    size_t waiting; /* calls not yet answered */
    bool closing;
    char *path;           /* owned */
    struct call *reserve; /* owned, linked by next */
    unsigned reserve_count;
    struct call_list owed; /* ends of visits that could not be written */
};

static struct sqlite_store *sqlite_of(const struct store *store)
{
    return container_of(store, struct sqlite_store, store);
}

/* --- calls ------------------------------------------------------------------------------------------------------ */

static bool reserve_put(struct sqlite_store *store, struct call *call)
{
    if (!call || store->reserve_count == RESERVE_CALLS)
        return false;
    call->next = store->reserve;
    store->reserve = call;
    store->reserve_count++;
    return true;
}

static struct call *reserve_take(struct sqlite_store *store)
{
    struct call *call = store->reserve;
    if (call) {
        store->reserve = call->next;
        store->reserve_count--;
    }
    return call;
}

/* With the reserve gone as well, there is nothing left that could keep the promise of one answer per call. */
static struct call *refuse(struct sqlite_store *store, enum call_kind kind, enum err err)
{
    struct call *call = call_new(kind, 0);
    if (!call)
        call = reserve_take(store);
    if (!call) {
        log_event(LOG_ERROR, "out of memory beyond recovery", log_text("in", "store"));
        abort();
    }
    call_init_refused(call, kind, err);
    return call;
}

static struct call *make(struct sqlite_store *store, enum call_kind kind, size_t bytes, void *ctx)
{
    assert(!store->closing);
    bool limited = kind != CALL_CLOSE && kind != CALL_VISIT_END; /* of ends there are no more than of visits */
    bool full = store->queue_max && store->waiting >= store->queue_max && limited;
    struct call *call = full ? refuse(store, kind, ERR_STORE) : call_new(kind, bytes);
    if (!call)
        call = refuse(store, kind, ERR_NO_MEMORY);
    call->ctx = ctx;
    return call;
}

static void send(struct sqlite_store *store, struct call *call)
{
    store->waiting++;
    exchange_ask(&store->exchange, call);
}

static void call_free(struct sqlite_store *store, struct call *call)
{
    call_fini(call);
    if (!reserve_put(store, call))
        free(call);
}

/* --- ends of visits --- */

static void nobody_asks(void *ctx unused_arg, enum err err unused_arg, const struct thread_record *thread unused_arg)
{
}

/* True: the call is kept, to be made once more. Its caller has been told. */
static bool owe(struct sqlite_store *store, struct call *call)
{
    bool lost = call->err == ERR_STORE || call->err == ERR_STORE_FULL;
    if (call->kind != CALL_VISIT_END || call->refused || !lost)
        return false;
    call->done.thread = nobody_asks;
    call->commit = (struct commit_note){0};
    call_list_add(&store->owed, call);
    return true;
}

/* Before a call that depends on how many visits there are, and once the database is written again. */
static void send_owed(struct sqlite_store *store)
{
    for (struct call *call = call_list_take(&store->owed), *next; call; call = next) {
        next = call->next;
        send(store, call);
    }
}

/* --- the ops ---------------------------------------------------------------------------------------------------- */

static void sqlite_start(struct store *head, struct store_sink *sink, store_bounds_done *done, void *ctx)
{
    struct sqlite_store *store = sqlite_of(head);
    store->sink = sink;
    struct call *call = make(store, CALL_START, 0, ctx);
    call->done.bounds = done;
    send(store, call);
}

static void sqlite_close(struct store *head, void (*closed)(void *ctx), void *ctx)
{
    struct sqlite_store *store = sqlite_of(head);
    struct call *call = make(store, CALL_CLOSE, 0, ctx);
    call->done.closed = closed;
    send(store, call);
    store->closing = true;
}

static void sqlite_user_put(struct store *head, struct span id, struct span name, store_user_done *done, void *ctx)
{
    struct sqlite_store *store = sqlite_of(head);
    struct call *call = make(store, CALL_USER_PUT, id.len + name.len, ctx);
    call->done.user = done;
    call->args.user_put.id = call_text(call, id);
    call->args.user_put.name = call_text(call, name);
    send(store, call);
}

static void sqlite_users_list(struct store *head, struct span after, size_t limit, store_users_done *done, void *ctx)
{
    struct sqlite_store *store = sqlite_of(head);
    struct call *call = make(store, CALL_USERS_LIST, after.len, ctx);
    call->done.users = done;
    call->args.users_list.after = call_text(call, after);
    call->args.users_list.limit = limit;
    send(store, call);
}

static void sqlite_presence_put(struct store *head, struct span id, enum show show, struct span status,
                                store_user_done *done, void *ctx)
{
    struct sqlite_store *store = sqlite_of(head);
    struct call *call = make(store, CALL_PRESENCE_PUT, id.len + status.len, ctx);
    call->done.user = done;
    call->args.presence_put.id = call_text(call, id);
    call->args.presence_put.status = call_text(call, status);
    call->args.presence_put.show = show;
    send(store, call);
}

/* One node needs no leases: the hub knows all sessions there are. */
static void sqlite_lease(struct store *head unused_arg, struct span user unused_arg, enum lease lease unused_arg)
{
}

static size_t request_bytes(const struct thread_request *request)
{
    size_t bytes = request->user_count * sizeof(*request->users) + request->room.len;
    for (size_t i = 0; i < request->user_count; i++)
        bytes += request->users[i].len;
    return bytes;
}

static void sqlite_thread_open(struct store *head, const struct thread_request *request, store_thread_done *done,
                               void *ctx)
{
    struct sqlite_store *store = sqlite_of(head);
    struct call *call = make(store, CALL_THREAD_OPEN, request_bytes(request), ctx);
    call->done.thread = done;
    if (!call->refused) {
        struct span *users = (struct span *)(void *)call->text_at;
        call->text_at += request->user_count * sizeof(*users);
        for (size_t i = 0; i < request->user_count; i++)
            users[i] = call_text(call, request->users[i]);
        call->args.thread_open = *request;
        call->args.thread_open.users = users;
        call->args.thread_open.room = call_text(call, request->room);
    }
    if (request->visit)
        send_owed(store);
    send(store, call);
}

static void sqlite_thread_get(struct store *head, struct id thread, store_thread_done *done, void *ctx)
{
    struct sqlite_store *store = sqlite_of(head);
    struct call *call = make(store, CALL_THREAD_GET, 0, ctx);
    call->done.thread = done;
    call->args.member.thread = thread;
    send(store, call);
}

static void send_member(struct sqlite_store *store, enum call_kind kind, struct id thread, struct span user,
                        size_t members_max, store_thread_done *done, void *ctx)
{
    struct call *call = make(store, kind, user.len, ctx);
    call->done.thread = done;
    call->args.member.thread = thread;
    call->args.member.user = call_text(call, user);
    call->args.member.members_max = members_max;
    send(store, call);
}

static void sqlite_member_add(struct store *head, struct id thread, struct span user, size_t members_max,
                              store_thread_done *done, void *ctx)
{
    send_member(sqlite_of(head), CALL_MEMBER_ADD, thread, user, members_max, done, ctx);
}

static void sqlite_member_remove(struct store *head, struct id thread, struct span user, store_thread_done *done,
                                 void *ctx)
{
    send_member(sqlite_of(head), CALL_MEMBER_REMOVE, thread, user, 0, done, ctx);
}

static void sqlite_visit_end(struct store *head, struct id thread, struct span user, bool stays,
                             store_thread_done *done, void *ctx)
{
    struct sqlite_store *store = sqlite_of(head);
    struct call *call = make(store, CALL_VISIT_END, user.len, ctx);
    call->done.thread = done;
    call->args.member.thread = thread;
    call->args.member.user = call_text(call, user);
    call->args.member.stays = stays;
    send_owed(store);
    send(store, call);
}

static void sqlite_threads_of(struct store *head, struct span user, bool with_last, store_threads_done *done, void *ctx)
{
    struct sqlite_store *store = sqlite_of(head);
    struct call *call = make(store, CALL_THREADS_OF, user.len, ctx);
    call->done.threads = done;
    call->args.threads_of.user = call_text(call, user);
    call->args.threads_of.with_last = with_last;
    send(store, call);
}

static void sqlite_append(struct store *head, struct message *message, store_append_done *done, void *ctx)
{
    struct sqlite_store *store = sqlite_of(head);
    struct call *call = make(store, CALL_APPEND, 0, ctx);
    call->done.append = done;
    call->args.append = message_ref(message);
    send(store, call);
}

static void sqlite_message_find(struct store *head, struct id message, store_message_done *done, void *ctx)
{
    struct sqlite_store *store = sqlite_of(head);
    struct call *call = make(store, CALL_MESSAGE_FIND, 0, ctx);
    call->done.message = done;
    call->args.message_find = message;
    send(store, call);
}

static void sqlite_history(struct store *head, struct id thread, struct span user, struct cursor before, size_t limit,
                           store_page_done *done, void *ctx)
{
    struct sqlite_store *store = sqlite_of(head);
    struct call *call = make(store, CALL_HISTORY, user.len, ctx);
    call->done.page = done;
    call->args.history.thread = thread;
    call->args.history.user = call_text(call, user);
    call->args.history.before = before;
    call->args.history.limit = limit;
    send(store, call);
}

static void sqlite_replay(struct store *head, struct span user, struct cursor since, size_t count_max, size_t bytes_max,
                          store_page_done *done, void *ctx)
{
    struct sqlite_store *store = sqlite_of(head);
    struct call *call = make(store, CALL_REPLAY, user.len, ctx);
    call->done.page = done;
    call->args.replay.user = call_text(call, user);
    call->args.replay.since = since;
    call->args.replay.count_max = count_max;
    call->args.replay.bytes_max = bytes_max;
    send(store, call);
}

static void sqlite_token_put(struct store *head, struct id token, struct span user, int64_t expires_us,
                             store_done *done, void *ctx)
{
    struct sqlite_store *store = sqlite_of(head);
    struct call *call = make(store, CALL_TOKEN_PUT, user.len, ctx);
    call->done.plain = done;
    call->args.token.id = token;
    call->args.token.user = call_text(call, user);
    call->args.token.expires_us = expires_us;
    send(store, call);
}

static void sqlite_token_get(struct store *head, struct id token, store_token_done *done, void *ctx)
{
    struct sqlite_store *store = sqlite_of(head);
    struct call *call = make(store, CALL_TOKEN_GET, 0, ctx);
    call->done.token = done;
    call->args.token.id = token;
    send(store, call);
}

static void sqlite_token_delete(struct store *head, struct id token, store_done *done, void *ctx)
{
    struct sqlite_store *store = sqlite_of(head);
    struct call *call = make(store, CALL_TOKEN_DELETE, 0, ctx);
    call->done.plain = done;
    call->args.token.id = token;
    send(store, call);
}

static bool sqlite_ready(const struct store *head, const char **ret_reason)
{
    const char *trouble = atomic_load(&sqlite_of(head)->worker.trouble);
    if (!trouble)
        return true;
    *ret_reason = trouble;
    return false;
}

static const struct store_ops sqlite_ops = {
    .start = sqlite_start,
    .close = sqlite_close,
    .user_put = sqlite_user_put,
    .users_list = sqlite_users_list,
    .presence_put = sqlite_presence_put,
    .lease = sqlite_lease,
    .thread_open = sqlite_thread_open,
    .thread_get = sqlite_thread_get,
    .member_add = sqlite_member_add,
    .member_remove = sqlite_member_remove,
    .visit_end = sqlite_visit_end,
    .threads_of = sqlite_threads_of,
    .append = sqlite_append,
    .message_find = sqlite_message_find,
    .history = sqlite_history,
    .replay = sqlite_replay,
    .token_put = sqlite_token_put,
    .token_get = sqlite_token_get,
    .token_delete = sqlite_token_delete,
    .ready = sqlite_ready,
};

/* --- answers ---------------------------------------------------------------------------------------------------- */

static void deliver_thread(struct sqlite_store *store, struct call *call)
{
    const struct thread_record *record = call->err ? NULL : &call->result.thread.record;
    bool leaves = call->kind == CALL_MEMBER_REMOVE || call->kind == CALL_VISIT_END;
    struct span left = leaves ? call->args.member.user : (struct span){NULL, 0};
    if (record && call->result.thread.changed)
        store->sink->thread(store->sink, record, left);
    call->done.thread(call->ctx, call->err, record);
}

static void deliver_append(struct sqlite_store *store, struct call *call)
{
    const struct append_result *result = call->err ? NULL : &call->result.append;
    if (result)
        call->args.append->cursor = result->cursor;
    if (result && !result->repeated)
        store->sink->message(store->sink, call->args.append);
    call->done.append(call->ctx, call->err, result);
}

/* Results are null on error, and lists are empty. */
static void deliver(struct sqlite_store *store, struct call *call)
{
    enum err err = call->err;
    union call_result *result = &call->result;
    switch (call->kind) {
    case CALL_START: call->done.bounds(call->ctx, err, err ? NULL : &result->bounds); break;
    case CALL_USER_PUT:
    case CALL_PRESENCE_PUT: call->done.user(call->ctx, err, err ? NULL : &result->user); break;
    case CALL_USERS_LIST: call->done.users(call->ctx, err, result->users.items, result->users.count); break;
    case CALL_THREAD_OPEN:
    case CALL_THREAD_GET:
    case CALL_MEMBER_ADD:
    case CALL_MEMBER_REMOVE:
    case CALL_VISIT_END: deliver_thread(store, call); break;
    case CALL_THREADS_OF: call->done.threads(call->ctx, err, result->threads.items, result->threads.count); break;
    case CALL_APPEND: deliver_append(store, call); break;
    case CALL_MESSAGE_FIND: call->done.message(call->ctx, err, err ? NULL : &result->place); break;
    case CALL_HISTORY:
    case CALL_REPLAY: call->done.page(call->ctx, err, err ? NULL : &result->page); break;
    case CALL_TOKEN_GET: call->done.token(call->ctx, err, err ? NULL : &result->token); break;
    case CALL_TOKEN_PUT:
    case CALL_TOKEN_DELETE: call->done.plain(call->ctx, err); break;
    case CALL_CLOSE:
    case CALL_KIND_COUNT: break;
    }
}

static void count_commit(const struct commit_note *note)
{
    if (note->outcome == COMMIT_DONE) {
        metric_add(METRIC_COMMITS, 1);
        metric_observe(METRIC_COMMIT_TIME, note->duration_us);
    } else if (note->outcome == COMMIT_FAILED) {
        metric_add(METRIC_COMMIT_FAILURES, 1);
    }
}

/* What is left once the thread is not running. */
static void store_free(struct sqlite_store *store)
{
    for (struct call *call = call_list_take(&store->owed), *next; call; call = next) {
        next = call->next;
        call_free(store, call);
    }
    while (store->reserve)
        free(reserve_take(store));
    exchange_fini(&store->exchange);
    loop_port_close(store->port);
    free(store->path);
    free(store);
}

/* The worker has closed the database and is at its last instructions. */
static void finish_close(struct sqlite_store *store, struct call *call)
{
    void (*closed)(void *ctx) = call->done.closed;
    void *ctx = call->ctx;
    call_free(store, call);
    (void)pthread_join(store->thread, NULL);
    store_free(store);
    closed(ctx);
}

static void on_answers(void *ctx)
{
    struct sqlite_store *store = ctx;
    uint64_t pruned = 0;
    bool wrote = false;
    struct call *call = exchange_collect(&store->exchange, &pruned);
    metric_add(METRIC_PRUNED, (int64_t)pruned);
    while (call) {
        struct call *next = call->next;
        if (call->kind == CALL_CLOSE) {
            assert(!next);
            finish_close(store, call);
            return;
        }
        store->waiting--;
        count_commit(&call->commit);
        wrote = wrote || call->commit.outcome == COMMIT_DONE;
        deliver(store, call);
        if (!owe(store, call))
            call_free(store, call);
        call = next;
    }
    if (wrote && !store->closing)
        send_owed(store);
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

/* Debian's SQLite takes `file:` for a URI whatever the flags say. */
static char *literal_path(const char *path)
{
    const char *prefix = strncmp(path, "file:", 5) == 0 ? "./" : "";
    size_t bytes = strlen(prefix) + strlen(path) + 1;
    char *literal = malloc(bytes);
    if (literal)
        (void)snprintf(literal, bytes, "%s%s", prefix, path);
    return literal;
}

static struct sqlite_store *store_new(struct loop *loop, const char *path, const struct store_options *options)
{
    struct sqlite_store *store = calloc(1, sizeof(*store));
    if (!store)
        return NULL;
    store->store.ops = &sqlite_ops;
    store->queue_max = options->queue_max;
    store->worker.options = *options;
    store->worker.exchange = &store->exchange;
    store->port = loop_port_open(loop, on_answers, store);
    if (!store->port || exchange_init(&store->exchange, store->port)) {
        loop_port_close(store->port);
        free(store);
        return NULL;
    }
    bool reserved = true;
    while (reserved && store->reserve_count < RESERVE_CALLS)
        reserved = reserve_put(store, call_new(CALL_START, 0));
    store->path = literal_path(path);
    if (reserved && store->path)
        return store;
    store_free(store);
    return NULL;
}

/* Signals are for the loop's thread. The file size limit's stays pending here, and the write fails with EFBIG. */
static enum err start_thread(struct sqlite_store *store)
{
    sigset_t all;
    sigset_t old;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    int failed = pthread_create(&store->thread, NULL, worker_main, &store->worker);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (failed)
        return ERR_NO_MEMORY;
    (void)pthread_setname_np(store->thread, "store");
    return OK;
}

enum err sqlite_store_open(struct loop *loop, const char *path, const struct store_options *options,
                           struct store **ret_store)
{
    if (!*path) {
        log_event(LOG_ERROR, "a database needs a path", log_text("url", "sqlite:"));
        return ERR_BAD_FIELD;
    }
    struct sqlite_store *store = store_new(loop, path, options);
    if (!store)
        return ERR_NO_MEMORY;
    enum err err = database_open(&store->worker.db, store->path, options->durability);
    if (!err) {
        visits_forget(&store->worker.db);
        err = start_thread(store);
        if (err)
            database_close(&store->worker.db);
    }
    if (err) {
        store_free(store);
        return err;
    }
    *ret_store = &store->store;
    return OK;
}
