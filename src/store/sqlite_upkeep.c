/* SPDX-License-Identifier: MIT */
/*
 * What the worker does between batches: mending, retention, expired tokens, the write-ahead log.
 *
 * Retention removes a prefix of the log, so that one cursor (state.oldest) says what was lost, after a restart too. It
 * goes in steps of STEP_ROWS, each its own transaction, and a few steps after each batch: more than a batch can add, so
 * it never falls behind, and never holds up the calls for long.
 */
#include "base/log.h"
#include "store/sqlite_ops.h"
#include "store/sqlite_worker.h"

enum {
    STEP_ROWS = 500,
    STEPS_PER_ROUND = 3,
    TROUBLE_WAIT_MS = 1000,
    RETENTION_WAIT_MS = 5000,
    TOKENS_WAIT_MS = 60000,
};

static const char *reason_of(const struct worker *worker, enum err err)
{
    if (worker->db.damaged)
        return "the database is damaged";
    if (err == ERR_STORE_FULL)
        return "the disk is full";
    if (err == ERR_NO_MEMORY)
        return "out of memory";
    return "the database cannot be written";
}

void worker_failed(struct worker *worker, enum err err)
{
    const char *reason = reason_of(worker, err);
    if (atomic_exchange(&worker->trouble, reason) == reason)
        return;
    log_event(LOG_ERROR, "the store is in trouble", log_text("why", reason),
              log_text("reason", database_complaint(&worker->db)));
}

/* What is damaged does not heal by being written to. */
void worker_recovered(struct worker *worker)
{
    if (!worker->db.damaged && atomic_exchange(&worker->trouble, NULL))
        log_event(LOG_INFO, "the store takes writes again", (struct log_field){0});
}

/* At once, and then every second: under load this is called after every batch. */
static void mend(struct worker *worker)
{
    int64_t now_us = worker_monotonic_us();
    if (now_us < worker->mend_due_us)
        return;
    enum err err = database_mend(&worker->db);
    worker->mend_due_us = err ? now_us + TROUBLE_WAIT_MS * 1000LL : 0;
    if (err)
        worker_failed(worker, err);
    else
        worker_recovered(worker);
}

static void probe(struct worker *worker)
{
    if (!database_probe(&worker->db))
        worker_recovered(worker);
}

/* --- retention -------------------------------------------------------------------------------------------------- */

/* The last cursor of the next `STEP_ROWS` that is too old; 0 for none. */
static enum err find_aged(struct worker *worker, uint64_t oldest, uint64_t end, uint64_t *ret_last)
{
    struct query query = query_on(&worker->db, SQL_YOUNG_FIRST);
    query_uint(&query, oldest);
    query_uint(&query, end);
    query_int(&query, clock_wall_us(worker->options.clock) - worker->options.retention_ms * 1000);
    uint64_t young = query_row(&query) ? query_column_cursor(&query, 0).major : 0;
    *ret_last = young ? young - 1 : end;
    return query_end(&query);
}

/* How far the next step goes: the cursor of the last message to be removed; not beyond `oldest` where there is none. */
static enum err find_prunable(struct worker *worker, const struct store_bounds *bounds, uint64_t *ret_last)
{
    uint64_t head = bounds->head.major;
    uint64_t oldest = bounds->oldest.major;
    uint64_t end = head - oldest > STEP_ROWS ? oldest + STEP_ROWS : head;
    uint64_t keep = worker->options.retention_count;
    uint64_t last = keep && head > keep ? head - keep : 0;
    enum err err = OK;
    uint64_t aged = 0;
    if (worker->options.retention_ms)
        err = find_aged(worker, oldest, end, &aged);
    if (aged > last)
        last = aged;
    *ret_last = last < end ? last : end;
    return err;
}

static enum err run_with(struct database *db, enum sql sql, uint64_t number)
{
    struct query query = query_on(db, sql);
    query_uint(&query, number);
    return query_run(&query);
}

static enum err prune_to(struct worker *worker, uint64_t last)
{
    struct database *db = &worker->db;
    enum err err = transaction_begin(db);
    if (err)
        return err;
    err = run_with(db, SQL_MESSAGES_PRUNE, last);
    int pruned = err ? 0 : sqlite3_changes(db->handle);
    if (!err)
        err = run_with(db, SQL_OLDEST_SET, last);
    if (!err)
        err = transaction_commit(db);
    if (err)
        transaction_rollback(db);
    else
        exchange_report_pruned(worker->exchange, (uint64_t)pruned);
    return err;
}

/* One step. True: there is more to do. */
static bool prune_messages(struct worker *worker)
{
    if (!worker->options.retention_ms && !worker->options.retention_count)
        return false;
    struct store_bounds bounds;
    uint64_t last = 0;
    enum err err = log_bounds(&worker->db, &bounds);
    if (!err)
        err = find_prunable(worker, &bounds, &last);
    if (err || last <= bounds.oldest.major)
        return false;
    err = prune_to(worker, last);
    if (err)
        worker_failed(worker, err);
    return !err && last - bounds.oldest.major == STEP_ROWS;
}

/* One step. Nobody waits for it: an expired token is not found anyway. */
static bool prune_tokens(struct worker *worker)
{
    const int64_t wait_us = TOKENS_WAIT_MS * 1000LL;
    int64_t now_us = clock_wall_us(worker->options.clock);
    /* A due time further off than we ever set it: the clock was set back. */
    if (now_us < worker->tokens_due_us && worker->tokens_due_us - now_us <= wait_us)
        return false;
    struct query query = query_on(&worker->db, SQL_TOKENS_PRUNE);
    query_int(&query, now_us);
    query_int(&query, STEP_ROWS);
    enum err err = query_run(&query);
    if (!err && sqlite3_changes(worker->db.handle) == STEP_ROWS)
        return true;
    worker->tokens_due_us = now_us + wait_us;
    return false;
}

void worker_upkeep(struct worker *worker, bool idle)
{
    if (worker->db.suspect)
        mend(worker);
    else if (idle && atomic_load(&worker->trouble))
        probe(worker);
    if (worker->db.suspect)
        return;
    worker->behind = true;
    for (int i = 0; i < STEPS_PER_ROUND && worker->behind; i++) {
        bool more_tokens = prune_tokens(worker);
        bool more_messages = prune_messages(worker);
        worker->behind = more_messages || more_tokens;
    }
    database_checkpoint(&worker->db);
}

int64_t worker_patience_ms(const struct worker *worker)
{
    if (worker->db.suspect || atomic_load(&worker->trouble))
        return TROUBLE_WAIT_MS;
    if (worker->behind)
        return 0;
    return worker->options.retention_ms ? RETENTION_WAIT_MS : TOKENS_WAIT_MS;
}
