/* SPDX-License-Identifier: MIT */
/*
 * The schema, and how an older one becomes this one.
 *
 * The version is the file's user_version; the application id says that the file is ours. Each migration leads from one
 * version to the next; all that are needed run in one transaction, so a file has one version or another, never
 * something between.
 *
 * Numbers stand for ids wherever one row refers to another: 8 bytes at most where an id would cost 16 or 128. Foreign
 * keys are kept by the code alone: users and threads are never deleted.
 */
#include "base/log.h"
#include "store/sqlite_db.h"

enum { APPLICATION_ID = 0x4e455245 }; /* NERE */

static const char *const migrations[] = {
    /* 0 to 1. `oldest`: the last message that retention removed. `place`: the order of joining. `joined`: the log's
     * head at that time. */
    "CREATE TABLE state (oldest INTEGER NOT NULL, probe BLOB) STRICT;"
    "INSERT INTO state VALUES (0, NULL);"
    "CREATE TABLE users (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
    " status TEXT NOT NULL, show INTEGER NOT NULL) STRICT;"
    "CREATE TABLE threads (number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, room TEXT,"
    " members_key BLOB UNIQUE) STRICT;"
    "CREATE TABLE members (place INTEGER PRIMARY KEY, thread INTEGER NOT NULL, user INTEGER NOT NULL,"
    " role INTEGER NOT NULL, joined INTEGER NOT NULL, UNIQUE (thread, user)) STRICT;"
    "CREATE INDEX members_by_user ON members (user);"
    "CREATE TABLE messages (cursor INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL UNIQUE, thread INTEGER NOT NULL,"
    " sender INTEGER NOT NULL, type INTEGER NOT NULL, time_us INTEGER NOT NULL, sender_name TEXT NOT NULL,"
    " text TEXT NOT NULL, subject TEXT, language TEXT, attachments TEXT) STRICT;"
    /* Every index ends with the row's number, so this is (thread, cursor). */
    "CREATE INDEX messages_by_thread ON messages (thread);"
    "CREATE TABLE tokens (id BLOB PRIMARY KEY, user TEXT NOT NULL, expires_us INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX tokens_by_expiry ON tokens (expires_us);",
    /* 1 to 2. `visits` of who is a member for visits only: how many there are. */
    "ALTER TABLE members ADD COLUMN visits INTEGER;",
};

enum { VERSION = (int)array_len(migrations) };

/* One number that `text` asks for. */
static enum err read_number(struct database *db, const char *text, int64_t *ret_number)
{
    sqlite3_stmt *statement = NULL;
    struct query query = {.db = db};
    query.rc = sqlite3_prepare_v2(db->handle, text, -1, &statement, NULL);
    query.statement = statement;
    int64_t number = 0;
    if (query_row(&query))
        number = query_column_int(&query, 0);
    enum err err = query_end(&query);
    (void)sqlite3_finalize(statement);
    if (!err)
        *ret_number = number;
    return err;
}

static enum err refuse(const struct database *db, const char *why, struct log_field detail)
{
    log_event(LOG_ERROR, why, log_text("path", db->path), detail);
    return ERR_STORE;
}

/* Which version the file has; 0 for a new one. */
static enum err identify(struct database *db, int64_t *ret_version)
{
    int64_t application = 0;
    int64_t version = 0;
    int64_t tables = 0;
    enum err err = read_number(db, "PRAGMA application_id", &application);
    if (!err)
        err = read_number(db, "PRAGMA user_version", &version);
    if (!err)
        err = read_number(db, "SELECT count(*) FROM sqlite_schema", &tables);
    if (err)
        return database_refuse(db, "cannot read the database", err);
    bool new = application == 0 && version == 0 && tables == 0;
    if (!new &&application != APPLICATION_ID)
        return refuse(db, "this database belongs to another program", log_int("application_id", application));
    if (version > VERSION)
        return refuse(db, "this database was made by a newer version", log_int("version", version));
    *ret_version = version;
    return OK;
}

static enum err set_number(struct database *db, const char *pragma, int number)
{
    char text[64];
    (void)sqlite3_snprintf((int)sizeof(text), text, "PRAGMA %s = %d", pragma, number);
    return database_run(db, text);
}

static enum err migrate(struct database *db, int64_t version)
{
    enum err err = set_number(db, "application_id", APPLICATION_ID);
    for (int64_t i = version; i < VERSION && !err; i++)
        err = database_run(db, migrations[i]);
    if (!err)
        err = set_number(db, "user_version", VERSION);
    return err;
}

enum err schema_prepare(struct database *db)
{
    int64_t version = 0;
    enum err err = database_run(db, "BEGIN EXCLUSIVE");
    if (err)
        return database_refuse(db, "cannot read the database", err);
    err = identify(db, &version);
    if (!err && version < VERSION) {
        err = migrate(db, version);
        if (!err && version > 0)
            log_event(LOG_INFO, "the database was brought up to date", log_int("from", version),
                      log_int("to", VERSION));
        if (err)
            (void)database_refuse(db, "cannot read the database", err);
    }
    /* Nothing was written where nothing was migrated, so there is nothing to fail. */
    enum err ended = database_run(db, err ? "ROLLBACK" : "COMMIT");
    if (!err && ended)
        return database_refuse(db, "cannot read the database", ended);
    return err;
}
