/* SPDX-License-Identifier: MIT */
/*
 * What SQLite reaches without a server around it.
 *
 * The schema is read from the database and not written down here, so that this stays a copy of what nereidd does
 * when its schema changes. The table of messages is the one with a name like message% that has the most rows.
 */
#include "sqlite_alone.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

enum { NAME_BYTES = 64, SQL_BYTES = 1024, COLUMNS_MAX = 64, ALONE_S = 60 };

struct rows {
    int columns;
    size_t count;
    size_t cap;
    sqlite3_value **values; /* count * columns, each owned */
};

static _Noreturn void sqlite_fail(sqlite3 *db, const char *what)
{
    fail("SQLite: %s: %s", what, sqlite3_errmsg(db));
}

static sqlite3 *database_open(const char *path, int flags)
{
    sqlite3 *db;

    if (sqlite3_open_v2(path, &db, flags, NULL) != SQLITE_OK)
        sqlite_fail(db, path);
    return db;
}

static void sql_run(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        sqlite_fail(db, sql);
}

static sqlite3_stmt *sql_prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement;

    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        sqlite_fail(db, sql);
    return statement;
}

/* True for a row, false at the end. */
static bool sql_step(sqlite3_stmt *statement)
{
    int got = sqlite3_step(statement);

    if (got != SQLITE_ROW && got != SQLITE_DONE)
        sqlite_fail(sqlite3_db_handle(statement), sqlite3_sql(statement));
    return got == SQLITE_ROW;
}

static long long sql_number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = sql_prepare(db, sql);
    long long number = sql_step(statement) ? sqlite3_column_int64(statement, 0) : 0;

    sqlite3_finalize(statement);
    return number;
}

static void table_find(sqlite3 *db, char ret_name[NAME_BYTES])
{
    sqlite3_stmt *names =
        sql_prepare(db, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'message%'");
    long long most = 0;

    while (sql_step(names)) {
        const char *name = (const char *)sqlite3_column_text(names, 0);
        char sql[SQL_BYTES];
        long long rows;

        snprintf(sql, sizeof sql, "SELECT count(*) FROM \"%s\"", name);
        rows = sql_number(db, sql);
        if (rows > most) {
            most = rows;
            snprintf(ret_name, NAME_BYTES, "%s", name);
        }
    }
    sqlite3_finalize(names);
    if (most == 0)
        fail("the database has no table of messages with rows in it");
}

static void rows_read(sqlite3 *db, const char *table, struct rows *rows)
{
    char sql[SQL_BYTES];
    sqlite3_stmt *select;

    snprintf(sql, sizeof sql, "SELECT * FROM \"%s\"", table);
    select = sql_prepare(db, sql);
    rows->columns = sqlite3_column_count(select);
    if (rows->columns > COLUMNS_MAX)
        fail("the table %s has too many columns", table);
    while (sql_step(select)) {
        sqlite3_value **to;

        if (rows->count == rows->cap) {
            rows->cap = rows->cap ? rows->cap * 2 : 1024;
            rows->values = realloc_items(rows->values, rows->cap * (size_t)rows->columns, sizeof *rows->values);
        }
        to = rows->values + rows->count++ * (size_t)rows->columns;
        for (int i = 0; i < rows->columns; i++)
            to[i] = sqlite3_value_dup(sqlite3_column_value(select, i));
    }
    sqlite3_finalize(select);
}

static void rows_fini(struct rows *rows)
{
    for (size_t i = 0; i < rows->count * (size_t)rows->columns; i++)
        sqlite3_value_free(rows->values[i]);
    free(rows->values);
}

static sqlite3 *copy_create(sqlite3 *source, const char *path, const char *table)
{
    sqlite3 *copy = database_open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    char sql[SQL_BYTES];
    sqlite3_stmt *schema;

    snprintf(sql, sizeof sql,
             "PRAGMA page_size = %lld; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; "
             "PRAGMA synchronous = FULL;",
             sql_number(source, "PRAGMA page_size"));
    sql_run(copy, sql);
    snprintf(sql, sizeof sql,
             "SELECT sql FROM sqlite_schema WHERE tbl_name = '%s' AND type IN ('table', 'index') AND sql IS NOT NULL "
             "ORDER BY type = 'index'",
             table);
    schema = sql_prepare(source, sql);
    while (sql_step(schema))
        sql_run(copy, (const char *)sqlite3_column_text(schema, 0));
    sqlite3_finalize(schema);
    return copy;
}

static sqlite3_stmt *insert_prepare(sqlite3 *db, const char *table, int columns)
{
    char sql[SQL_BYTES];
    int n = snprintf(sql, sizeof sql, "INSERT INTO \"%s\" VALUES (?", table);

    for (int i = 1; i < columns; i++)
        n += snprintf(sql + n, sizeof sql - (size_t)n, ",?");
    snprintf(sql + n, sizeof sql - (size_t)n, ")");
    return sql_prepare(db, sql);
}

static void batch_commit(sqlite3 *db, sqlite3_stmt *insert, const struct rows *rows, size_t from, size_t to)
{
    sql_run(db, "BEGIN IMMEDIATE");
    for (size_t row = from; row < to; row++) {
        for (int i = 0; i < rows->columns; i++)
            sqlite3_bind_value(insert, i + 1, rows->values[row * (size_t)rows->columns + (size_t)i]);
        sql_step(insert);
        sqlite3_reset(insert);
    }
    sql_run(db, "COMMIT");
}

static double rows_commit(sqlite3 *db, const char *table, const struct rows *rows, unsigned batch_rows)
{
    sqlite3_stmt *insert = insert_prepare(db, table, rows->columns);
    uint64_t deadline_ns = deadline_in(ALONE_S);
    uint64_t start_ns = now_ns();
    double seconds;

    for (size_t from = 0; from < rows->count; from += batch_rows) {
        size_t left = rows->count - from;

        batch_commit(db, insert, rows, from, from + (left < batch_rows ? left : batch_rows));
        ms_left(deadline_ns, "SQLite alone");
    }
    seconds = (double)(now_ns() - start_ns) / 1e9;
    sqlite3_finalize(insert);
    return seconds;
}

struct alone_result sqlite_alone_run(const char *source, const char *copy, unsigned batch_rows)
{
    sqlite3 *from = database_open(source, SQLITE_OPEN_READWRITE);
    struct rows rows = {0};
    struct alone_result result;
    char table[NAME_BYTES];
    sqlite3 *to;

    table_find(from, table);
    rows_read(from, table, &rows);
    to = copy_create(from, copy, table);
    result.seconds = rows_commit(to, table, &rows, batch_rows);
    result.rows = rows.count;
    rows_fini(&rows);
    sqlite3_close(to);
    sqlite3_close(from);
    return result;
}
