/* SPDX-License-Identifier: MIT */
/* Queries: parameters in, columns out, and one place where SQLite's results become errors. */
#include <assert.h>
#include <errno.h>

#include "store/sqlite_db.h"

/* A quota or a file size limit shows as an I/O error, but means the same as a full disk. */
static bool is_out_of_space(int number)
{
    return number == ENOSPC || number == EDQUOT || number == EFBIG;
}

static enum err classify_failure(struct database *db, int rc)
{
    db->failed_rc = rc;
    switch (rc & 0xff) {
    case SQLITE_FULL: return ERR_STORE_FULL;
    case SQLITE_NOMEM: return ERR_NO_MEMORY;
    case SQLITE_IOERR:
        if (rc == SQLITE_IOERR_NOMEM)
            return ERR_NO_MEMORY;
        db->suspect = is_out_of_space(db->failed_errno) ? ERR_STORE_FULL : ERR_STORE;
        return db->suspect;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: db->damaged = true; return ERR_STORE;
    default: return ERR_STORE;
    }
}

static enum err classify(struct database *db, int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE: return OK;
    case SQLITE_CONSTRAINT: return ERR_CONFLICT;
    default: return classify_failure(db, rc);
    }
}

struct query query_on(struct database *db, enum sql sql)
{
    struct query query = {.db = db, .statement = db->statements[sql], .rc = SQLITE_OK};
    if (!db->handle)
        query.rc = SQLITE_CANTOPEN;
    return query;
}

static void note_bind(struct query *query, int rc)
{
    assert(rc != SQLITE_RANGE && rc != SQLITE_MISUSE);
    if (rc != SQLITE_OK)
        query->rc = rc;
}

static int next_bound(struct query *query)
{
    return ++query->bound;
}

void query_optional(struct query *query, struct span text)
{
    if (query->rc == SQLITE_OK)
        note_bind(query, sqlite3_bind_text64(query->statement, next_bound(query), text.data, text.len, SQLITE_STATIC,
                                             SQLITE_UTF8));
}

void query_text(struct query *query, struct span text)
{
    query_optional(query, text.data ? text : SPAN_LITERAL(""));
}

void query_id(struct query *query, const struct id *id)
{
    if (query->rc == SQLITE_OK)
        note_bind(query, sqlite3_bind_blob(query->statement, next_bound(query), id ? id->bytes : NULL,
                                           (int)sizeof(id->bytes), SQLITE_STATIC));
}

void query_int(struct query *query, int64_t number)
{
    if (query->rc == SQLITE_OK)
        note_bind(query, sqlite3_bind_int64(query->statement, next_bound(query), number));
}

void query_uint(struct query *query, uint64_t number)
{
    query_int(query, number > INT64_MAX ? INT64_MAX : (int64_t)number);
}

bool query_row(struct query *query)
{
    if (query->rc != SQLITE_OK && query->rc != SQLITE_ROW)
        return false;
    /* sqlite3_system_errno does not know about failed commits. */
    errno = 0;
    query->rc = sqlite3_step(query->statement);
    query->db->failed_errno = errno;
    return query->rc == SQLITE_ROW;
}

enum err query_end(struct query *query)
{
    if (query->statement) {
        int rc = sqlite3_reset(query->statement);
        (void)sqlite3_clear_bindings(query->statement);
        /* Reading a column can run out of memory, and only this tells. */
        if (query->rc == SQLITE_ROW && rc != SQLITE_OK)
            query->rc = rc;
    }
    return classify(query->db, query->rc);
}

enum err query_run(struct query *query)
{
    bool row = query_row(query);
    (void)row;
    return query_end(query);
}

struct span query_span(const struct query *query, int column)
{
    const char *text = (const char *)sqlite3_column_text(query->statement, column);
    return (struct span){text, text ? (size_t)sqlite3_column_bytes(query->statement, column) : 0};
}

struct id query_column_id(const struct query *query, int column)
{
    struct id id = {{0}};
    const void *bytes = sqlite3_column_blob(query->statement, column);
    if (bytes && sqlite3_column_bytes(query->statement, column) == (int)sizeof(id.bytes))
        memcpy(id.bytes, bytes, sizeof(id.bytes));
    return id;
}

int64_t query_column_int(const struct query *query, int column)
{
    return sqlite3_column_int64(query->statement, column);
}

struct cursor query_column_cursor(const struct query *query, int column)
{
    return (struct cursor){.major = (uint64_t)query_column_int(query, column)};
}

unsigned query_column_enum(const struct query *query, int column, unsigned count)
{
    int64_t number = query_column_int(query, column);
    return number >= 0 && number < count ? (unsigned)number : 0;
}
