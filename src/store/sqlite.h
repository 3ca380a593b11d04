/* SPDX-License-Identifier: MIT */
/*
 * The embedded store: one SQLite database, one worker thread.
 *
 *     loop thread                         worker thread
 *     op ─> call ─> [ asked ] ──────────> takes all that piled up, runs it as one transaction, commits
 *     sink, done <─ [ answered ] <─────── hands all of it back, in order
 *
 * A send is durable (options.durability) before it is announced. While the disk is full, sends fail with ERR_STORE_FULL
 * and reads go on; it recovers by itself, as it does after an I/O error. A cursor is the number of a row that is never
 * used twice.
 *
 * The file belongs to one process at a time; a second one is refused. Beside it lies `PATH-wal` while the store is open
 * and after a crash: the two belong together.
 */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include "store/store_open.h"

/* See store_open; `path` is what follows `sqlite:`, and the clock is there. An empty path is ERR_BAD_FIELD. */
enum err sqlite_store_open(struct loop *loop, const char *path, const struct store_options *options,
                           struct store **ret_store) must_check;

/* The library's name and version; static. */
const char *sqlite_library(void);

#endif
