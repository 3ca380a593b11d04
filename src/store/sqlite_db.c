/* SPDX-License-Identifier: MIT */
/*
 * Opening, closing and mending a database; transactions.
 *
 * Locking mode EXCLUSIVE: the file's lock is taken at open and kept, so a second process is refused, and the index of
 * the write-ahead log lies in our own memory instead of a third file.
 *
 * After an I/O error during a commit the log may hold the whole failed transaction, valid checksums and all, and
 * opening the database anew would bring it to life. So database_mend first writes something else over it, through the
 * old handle, which still knows where the last good transaction ended. Only then the file is closed and opened again.
 *
 * The write-ahead log is written back after the answers have left (database_checkpoint), not inside the commit that
 * fills it.
 */
#include "store/sqlite_db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "store/sqlite.h"

enum { CHECKPOINT_FRAMES = 1000, PROBE_BYTES = 65536 };

static const char *const sql_texts[SQL_COUNT] = {
#define ROW(name, text) [name] = text,
    SQL_TABLE(ROW)
#undef ROW
};

/* The lock's mode comes before the first look at the file. */
static const char before_first_read[] = "PRAGMA locking_mode = EXCLUSIVE;"
                                        "PRAGMA trusted_schema = OFF;"
                                        "PRAGMA cell_size_check = ON;"
                                        "PRAGMA temp_store = MEMORY;"
                                        "PRAGMA cache_size = -8000;";
/* FAST: what retention removes is overwritten where that costs no further write. */
static const char before_first_write[] = "PRAGMA journal_mode = WAL;"
                                         "PRAGMA journal_size_limit = 16777216;"
                                         "PRAGMA secure_delete = FAST;";

static const char *const durability_pragmas[DURABILITY_COUNT] = {
    [DURABILITY_FULL] = "PRAGMA synchronous = FULL",
    [DURABILITY_NORMAL] = "PRAGMA synchronous = NORMAL",
    [DURABILITY_OFF] = "PRAGMA synchronous = OFF",
};

static bool in_memory(const char *path)
{
    return strcmp(path, ":memory:") == 0;
}

static enum err error_of(int rc)
{
    return rc == SQLITE_NOMEM ? ERR_NO_MEMORY : ERR_STORE;
}

enum err database_run(struct database *db, const char *text)
{
    int rc = sqlite3_exec(db->handle, text, NULL, NULL, NULL);
    return rc == SQLITE_OK ? OK : error_of(rc);
}

const char *database_complaint(const struct database *db)
{
    return db->handle ? sqlite3_errstr(db->failed_rc) : "the database is not open";
}

/* SQLite would make the file with the umask's mode. An existing one must not be opened and closed here: closing any
 * descriptor of a file drops this process's locks on it. */
static enum err create_private(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        (void)close(fd);
    else if (errno != EEXIST) {
        log_event(LOG_ERROR, "cannot create the database", log_text("path", path), log_text("reason", strerror(errno)));
        return ERR_STORE;
    }
    return OK;
}

enum err database_refuse(const struct database *db, const char *what, enum err err)
{
    int rc = sqlite3_errcode(db->handle) & 0xff;
    if (rc == SQLITE_BUSY)
        what = "another process uses this database";
    else if (rc == SQLITE_NOTADB)
        what = "this file is not a database";
    else if (rc == SQLITE_CORRUPT)
        what = "the database is damaged";
    log_event(LOG_ERROR, what, log_text("path", db->path), log_text("reason", sqlite3_errmsg(db->handle)));
    return err;
}

static enum err open_handle(struct database *db)
{
    enum err err = in_memory(db->path) ? OK : create_private(db->path);
    if (err)
        return err;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int rc = sqlite3_open_v2(db->path, &db->handle, flags, NULL);
    if (rc != SQLITE_OK)
        return database_refuse(db, "cannot open the database", error_of(rc));
    if (sqlite3_db_readonly(db->handle, "main") == 1)
        return database_refuse(db, "the database cannot be written", ERR_STORE);
    /* Until we know that it is ours, closing must leave a log beside it as it is. */
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    err = database_run(db, before_first_read);
    return err ? database_refuse(db, "cannot configure the database", err) : OK;
}

static int on_commit_in_wal(void *ctx, sqlite3 *handle unused_arg, const char *name unused_arg, int frames)
{
    struct database *db = ctx;
    db->wal_frames = frames;
    return SQLITE_OK;
}

static enum err prepare_statements(struct database *db)
{
    for (int i = 0; i < SQL_COUNT; i++) {
        int rc = sqlite3_prepare_v3(db->handle, sql_texts[i], -1, SQLITE_PREPARE_PERSISTENT, &db->statements[i], NULL);
        if (rc != SQLITE_OK)
            return error_of(rc);
    }
    return OK;
}

static enum err configure(struct database *db)
{
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    enum err err = database_run(db, before_first_write);
    if (!err)
        err = database_run(db, durability_pragmas[db->durability]);
    /* Takes the place of SQLite's own hook, and with it of checkpoints within commits. */
    (void)sqlite3_wal_hook(db->handle, on_commit_in_wal, db);
    if (!err)
        err = prepare_statements(db);
    return err ? database_refuse(db, "cannot prepare the database", err) : OK;
}

static void release(struct database *db)
{
    for (int i = 0; i < SQL_COUNT; i++) {
        (void)sqlite3_finalize(db->statements[i]);
        db->statements[i] = NULL;
    }
    (void)sqlite3_close(db->handle);
    db->handle = NULL;
    db->wal_frames = 0;
}

enum err database_open(struct database *db, const char *path, enum durability durability)
{
    *db = (struct database){.path = path, .durability = durability};
    enum err err = open_handle(db);
    if (!err)
        err = schema_prepare(db);
    if (!err)
        err = configure(db);
    if (err)
        release(db);
    return err;
}

void database_close(struct database *db)
{
    if (!db->handle)
        return;
    enum err err = database_run(db, durability_pragmas[DURABILITY_FULL]);
    if (err || sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) != SQLITE_OK)
        log_event(LOG_WARN, "the write-ahead log stays beside the database", log_text("path", db->path),
                  log_text("reason", sqlite3_errmsg(db->handle)));
    release(db);
}

static enum err run_sql(struct database *db, enum sql sql)
{
    struct query query = query_on(db, sql);
    return query_run(&query);
}

enum err transaction_begin(struct database *db)
{
    return run_sql(db, SQL_BEGIN);
}

enum err transaction_commit(struct database *db)
{
    enum err err = run_sql(db, SQL_COMMIT);
    if (err) {
        transaction_rollback(db);
        return err;
    }
    int changes = sqlite3_total_changes(db->handle);
    db->wrote = changes != db->changes;
    db->changes = changes;
    return OK;
}

void transaction_rollback(struct database *db)
{
    if (transaction_open(db))
        (void)!run_sql(db, SQL_ROLLBACK);
}

bool transaction_open(const struct database *db)
{
    return db->handle && !sqlite3_get_autocommit(db->handle);
}

static enum err set_probe(struct database *db, int64_t bytes)
{
    struct query query = query_on(db, SQL_PROBE);
    query_int(&query, bytes);
    return query_run(&query);
}

enum err database_probe(struct database *db)
{
    enum err err = set_probe(db, PROBE_BYTES);
    return err ? err : set_probe(db, 0);
}

enum err database_mend(struct database *db)
{
    enum err err = db->handle ? database_probe(db) : OK;
    if (err)
        return err;
    if (db->handle && in_memory(db->path)) {
        db->suspect = OK;
        return OK;
    }
    database_close(db);
    err = database_open(db, db->path, db->durability);
    db->suspect = err ? ERR_STORE : OK;
    return err;
}

void database_checkpoint(struct database *db)
{
    if (!db->handle || db->wal_frames < CHECKPOINT_FRAMES)
        return;
    int rc = sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    /* On failure the log grows on and the next commit brings us here again. */
    db->wal_frames = 0;
    if (rc != SQLITE_OK)
        log_event(LOG_WARN, "cannot write the write-ahead log back", log_text("reason", sqlite3_errmsg(db->handle)));
}

const char *sqlite_library(void)
{
    static char text[32];
    (void)snprintf(text, sizeof(text), "SQLite %s", sqlite3_libversion());
    return text;
}
