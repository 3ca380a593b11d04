/* SPDX-License-Identifier: MIT */
/*
 * Worker: the thread that owns the database.
 *
 * It takes all calls that piled up and runs them as one transaction, up to BATCH_MAX of them; between batches it does
 * the upkeep. The rules of a batch are in sqlite_worker.c.
 */
#ifndef STORE_SQLITE_WORKER_H
#define STORE_SQLITE_WORKER_H

#include <stdatomic.h>

#include "store/sqlite_db.h"
#include "store/sqlite_exchange.h"
#include "store/store_open.h"

struct worker {
    struct exchange *exchange;
    struct database db;
    struct store_options options;  /* with a clock */
    _Atomic(const char *) trouble; /* why calls are likely to fail, a static sentence; null while all is well */
    int64_t tokens_due_us;         /* when expired tokens are looked for again */
    int64_t mend_due_us;           /* monotonic: no earlier than this is mending tried again */
    bool behind;                   /* there is more to prune */
};

/* The thread's main function; `ctx` is a worker with an open database. Ends after the call that closes, with the
 * database closed. */
void *worker_main(void *ctx);

int64_t worker_monotonic_us(void);

/* --- sqlite_upkeep.c -------------------------------------------------------------------------------------------- */

/* Says that writing failed, or that it goes again; logs the change. */
void worker_failed(struct worker *worker, enum err err);
void worker_recovered(struct worker *worker);

/* Mends a suspect database, prunes some, checkpoints. `idle`: nothing else is waiting to be done. */
void worker_upkeep(struct worker *worker, bool idle);

/* How long the worker may wait for calls before there is upkeep to do. */
int64_t worker_patience_ms(const struct worker *worker);

#endif
