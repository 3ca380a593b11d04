/* SPDX-License-Identifier: MIT */
/*
 * Database: an open SQLite file and its prepared statements. One thread at a time.
 *
 *     struct query query = query_on(db, SQL_USER_FIND);
 *     query_text(&query, id);                      parameters, in order
 *     if (query_row(&query))
 *         name = query_span(&query, 1);            columns; they live until query_end
 *     enum err err = query_end(&query);            a failure of any step shows here
 */
#ifndef STORE_SQLITE_DB_H
#define STORE_SQLITE_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/id.h"
#include "base/span.h"
#include "store/sqlite_sql.h"
#include "store/store_open.h"

struct database {
    const char *path; /* not owned */
    enum durability durability;
    sqlite3 *handle; /* null while closed */
    sqlite3_stmt *statements[SQL_COUNT];
    int wal_frames; /* in the write-ahead log after the last commit */
    int changes;    /* SQLite's count of changed rows after the last commit */
    bool wrote;     /* that commit changed some */
    enum err
        suspect;   /* an I/O error (ERR_STORE, ERR_STORE_FULL): what the disk holds is uncertain until database_mend */
    bool damaged;  /* SQLite has found it malformed */
    int failed_rc; /* SQLite's word on the last failure */
    int failed_errno; /* the system's on the last step, if that failed */
};

/* Opens and locks the file, makes or migrates its schema. ERR_STORE, logged: see store_open. ERR_NO_MEMORY. The
 * database is closed then. */
enum err database_open(struct database *db, const char *path, enum durability durability) must_check;

/* Writes everything to the main file, durably, and closes. On a closed database no effect. */
void database_close(struct database *db);

/* Checks and prepares what is in the file: its identity, its version, its tables. Any error is logged. */
enum err schema_prepare(struct database *db) must_check;

/* Runs a text of several statements without parameters. */
enum err database_run(struct database *db, const char *text) must_check;

/* Logs why the file cannot be used, in SQLite's last words, under the heading `what` where there is no better one.
 * Returns `err`. */
enum err database_refuse(const struct database *db, const char *what, enum err err);

/* What the last failure was; static. */
const char *database_complaint(const struct database *db);

/* --- transactions ----------------------------------------------------------------------------------------------- */

enum err transaction_begin(struct database *db) must_check;

/* On error the transaction has been rolled back. */
enum err transaction_commit(struct database *db) must_check;
void transaction_rollback(struct database *db);

/* False also after an error that made SQLite roll back by itself. */
bool transaction_open(const struct database *db);

/* Writes 64 KB durably and takes them out again: whether that goes now. */
enum err database_probe(struct database *db) must_check;

/* After an I/O error: makes sure that nothing of a failed transaction is left, and opens the file anew. On error the
 * database stays suspect, and may be closed. */
enum err database_mend(struct database *db) must_check;

/* Writes the write-ahead log back into the main file once it has grown to some megabytes. */
void database_checkpoint(struct database *db);

/* --- queries ---------------------------------------------------------------------------------------------------- */

struct query {
    struct database *db;
    sqlite3_stmt *statement;
    int bound;
    int rc;
};

struct query query_on(struct database *db, enum sql sql);

/* Parameters are read until query_end. Null text is bound as empty, by query_optional as NULL. */
void query_text(struct query *query, struct span text);
void query_optional(struct query *query, struct span text);
void query_id(struct query *query, const struct id *id); /* null: NULL */
void query_int(struct query *query, int64_t number);

/* A number above 2^63-1 becomes that. */
void query_uint(struct query *query, uint64_t number);

/* True with a row at hand; false at the end and after a failure. */
bool query_row(struct query *query) must_check;

/* Makes the statement ready for the next time. ERR_CONFLICT: a constraint was violated. ERR_STORE, ERR_STORE_FULL,
 * ERR_NO_MEMORY. */
enum err query_end(struct query *query) must_check;

/* The same where no row is expected. */
enum err query_run(struct query *query) must_check;

/* Columns count from 0. NULL is a span with null data, the nil id, and 0. */
struct span query_span(const struct query *query, int column);
struct id query_column_id(const struct query *query, int column);
int64_t query_column_int(const struct query *query, int column);
struct cursor query_column_cursor(const struct query *query, int column);

/* A number of an enum with `count` values; 0 for one that is none. */
unsigned query_column_enum(const struct query *query, int column, unsigned count);

#endif
