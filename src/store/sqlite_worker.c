/* SPDX-License-Identifier: MIT */
/*
 * Batches.
 *
 * The first call of a batch that writes begins a transaction; the end of the batch commits it; only then are the
 * batch's calls handed back. A call that fails alone (a constraint, no such thread) leaves nothing behind and does not
 * touch its neighbours: it is one statement, or its steps are undone to a savepoint.
 *
 * When the transaction itself is lost (no space, an I/O error) every call of the batch that writes fails. Those that
 * only read may have seen what is now undone, so they are run once more on what is left: reads go on while the disk is
 * full.
 */
#include "store/sqlite_worker.h"

#include <time.h>

#include "store/sqlite_ops.h"

/* Few enough that the first of them does not wait long for the last. */
enum { BATCH_MAX = 1000 };

static enum err dispatch(struct worker *worker, struct call *call)
{
    struct database *db = &worker->db;
    switch (call->kind) {
    case CALL_START: return run_start(db, call);
    case CALL_USER_PUT: return run_user_put(db, call);
    case CALL_USERS_LIST: return run_users_list(db, call);
    case CALL_PRESENCE_PUT: return run_presence_put(db, call);
    case CALL_THREAD_OPEN: return run_thread_open(db, call);
    case CALL_THREAD_GET: return run_thread_get(db, call);
    case CALL_MEMBER_ADD: return run_member_add(db, call);
    case CALL_MEMBER_REMOVE: return run_member_remove(db, call);
    case CALL_VISIT_END: return run_visit_end(db, call);
    case CALL_THREADS_OF: return run_threads_of(db, call);
    case CALL_APPEND: return run_append(db, call);
    case CALL_MESSAGE_FIND: return run_message_find(db, call);
    case CALL_HISTORY: return run_history(db, call);
    case CALL_REPLAY: return run_replay(db, call);
    case CALL_TOKEN_PUT: return run_token_put(db, call);
    case CALL_TOKEN_GET: return run_token_get(db, call, clock_wall_us(worker->options.clock));
    case CALL_TOKEN_DELETE: return run_token_delete(db, call, clock_wall_us(worker->options.clock));
    case CALL_CLOSE:
    case CALL_KIND_COUNT: break;
    }
    return ERR_INTERNAL;
}

static enum err run_sql(struct database *db, enum sql sql)
{
    struct query query = query_on(db, sql);
    return query_run(&query);
}

/* Without a transaction there is nothing left to undo. */
static enum err end_steps(struct database *db, enum err err)
{
    if (!transaction_open(db))
        return err ? err : ERR_STORE;
    if (err && run_sql(db, SQL_STEPS_UNDO))
        transaction_rollback(db);
    enum err kept = transaction_open(db) ? run_sql(db, SQL_STEPS_KEEP) : OK;
    return err ? err : kept;
}

static void run_call(struct worker *worker, struct call *call)
{
    bool steps = call_has_steps(call);
    enum err err = steps ? run_sql(&worker->db, SQL_STEPS_BEGIN) : OK;
    if (!err) {
        err = dispatch(worker, call);
        if (!err && call->arena.failed)
            err = ERR_NO_MEMORY;
        if (steps)
            err = end_steps(&worker->db, err);
    }
    if (err)
        call_reset_result(call);
    call->err = err;
}

/* Runs one call of a batch. An error is the batch's, not the call's alone. */
static enum err run_in_batch(struct worker *worker, struct call *call, bool *writing)
{
    if (call->refused)
        return OK;
    if (call_writes(call) && worker->db.suspect)
        return worker->db.suspect;
    if (call_writes(call) && !*writing) {
        enum err err = transaction_begin(&worker->db);
        if (err)
            return err;
        *writing = true;
    }
    run_call(worker, call);
    if (worker->db.damaged)
        worker_failed(worker, ERR_STORE);
    if (*writing && worker->db.suspect)
        return worker->db.suspect;
    if (!*writing || transaction_open(&worker->db))
        return OK;
    return call->err == ERR_STORE_FULL || call->err == ERR_NO_MEMORY ? call->err : ERR_STORE;
}

int64_t worker_monotonic_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static enum err commit(struct worker *worker, struct commit_note *note)
{
    int64_t start_us = worker_monotonic_us();
    enum err err = transaction_commit(&worker->db);
    note->duration_us = worker_monotonic_us() - start_us;
    if (err) {
        note->outcome = COMMIT_FAILED;
    } else if (worker->db.wrote) {
        note->outcome = COMMIT_DONE;
        worker_recovered(worker);
    }
    return err;
}

static void fail_batch(struct worker *worker, struct call *first, enum err err)
{
    worker_failed(worker, err);
    for (struct call *call = first; call; call = call->next) {
        if (call->refused)
            continue;
        call_reset_result(call);
        if (call_writes(call))
            call->err = err;
        else
            run_call(worker, call);
    }
}

static void end_batch(struct worker *worker, struct call_list *batch, bool writing, enum err err)
{
    struct commit_note *note = &batch->last->commit;
    if (err) {
        note->outcome = COMMIT_FAILED;
        transaction_rollback(&worker->db);
    } else if (writing) {
        err = commit(worker, note);
    }
    if (err)
        fail_batch(worker, batch->first, err);
    exchange_answer(worker->exchange, batch);
}

/* Runs and answers calls from `call` on; returns where the next batch starts, or the call that closes, or null. */
static struct call *run_batch(struct worker *worker, struct call *call)
{
    struct call_list batch = {0};
    bool writing = false;
    enum err err = OK;
    for (int count = 0; call && call->kind != CALL_CLOSE && count < BATCH_MAX && !err; count++) {
        struct call *next = call->next;
        call_list_add(&batch, call);
        err = run_in_batch(worker, call, &writing);
        call = next;
    }
    end_batch(worker, &batch, writing, err);
    return call;
}

void *worker_main(void *ctx)
{
    struct worker *worker = ctx;
    struct call *call = NULL;
    for (;;) {
        call = exchange_take(worker->exchange, worker_patience_ms(worker));
        bool idle = !call;
        while (call && call->kind != CALL_CLOSE) {
            call = run_batch(worker, call);
            worker_upkeep(worker, false);
        }
        if (call)
            break;
        if (idle)
            worker_upkeep(worker, true);
    }
    database_close(&worker->db);
    struct call_list closing = {0};
    call_list_add(&closing, call);
    exchange_answer(worker->exchange, &closing);
    return NULL;
}
