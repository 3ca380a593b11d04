/* SPDX-License-Identifier: MIT */
/* The SQLite store: the conformance suite, and what is its own: files, crashes, a full disk, I/O errors. */
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/metric.h"
#include "faults.h"
#include "harness.h"
#include "store/sqlite.h"

static char directory[64]; /* ours alone */
static char db_path[128];
static char log_path[128];

/* --- the factory ------------------------------------------------------------------------------------------------ */

static enum err open_file(struct store_factory *factory, struct loop *loop, const struct store_options *options,
                          struct store **ret_store)
{
    (void)factory;
    char url[160];
    (void)snprintf(url, sizeof(url), "sqlite:%s", db_path);
    return store_open(loop, url, options, ret_store);
}

static void wipe_file(struct store_factory *factory)
{
    (void)factory;
    char wal[160];
    (void)snprintf(wal, sizeof(wal), "%s-wal", db_path);
    (void)unlink(db_path);
    (void)unlink(wal);
    (void)close(open(log_path, O_WRONLY | O_TRUNC | O_CLOEXEC));
}

static struct store_factory factory = {.open = open_file, .wipe = wipe_file};

/* --- helpers ---------------------------------------------------------------------------------------------------- */

/* Runs SQL on a database that no store has open, and returns the first column of the first row, if any, as a number. */
static int64_t with_sql(const char *sql)
{
    sqlite3 *handle = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open(db_path, &handle), SQLITE_OK);
    while (*sql) {
        (void)sqlite3_finalize(statement);
        assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &statement, &sql), SQLITE_OK);
        if (*sql)
            assert_int_not_equal(sqlite3_step(statement), SQLITE_ERROR);
    }
    int rc = sqlite3_step(statement);
    int64_t number = rc == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    assert_true(rc == SQLITE_ROW || rc == SQLITE_DONE);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(handle);
    return number;
}

static void write_file(const void *bytes, size_t len)
{
    int fd = open(db_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    (void)close(fd);
}

static size_t read_file(const char *path, char *bytes, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t len = read(fd, bytes, size);
    assert_true(len >= 0);
    (void)close(fd);
    return (size_t)len;
}

static bool logged(const char *words)
{
    char text[16384];
    size_t len = read_file(log_path, text, sizeof(text) - 1);
    text[len] = '\0';
    return strstr(text, words) != NULL;
}

static off_t size_of(const char *suffix)
{
    char path[160];
    struct stat info;
    (void)snprintf(path, sizeof(path), "%s%s", db_path, suffix);
    return stat(path, &info) ? 0 : info.st_size;
}

static void assert_sound(void)
{
    sqlite3 *handle = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open(db_path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(handle, "PRAGMA integrity_check", -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(statement, 0), "ok");
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(handle);
}

static bool is_ready(struct harness *h)
{
    const char *reason = NULL;
    bool ready = h->store->ops->ready(h->store, &reason);
    assert_int_equal(ready, reason == NULL);
    return ready;
}

static struct id scene(struct harness *h)
{
    make_users(h, "alice bob");
    return thread_of(h, "alice bob");
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

static void a_new_database_is_private(void **state)
{
    (void)state;
    struct stat info;
    assert_int_equal(stat(db_path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

static void a_closed_database_is_one_sound_file(void **state)
{
    struct harness *h = *state;
    (void)say_many(h, scene(h), "alice", 50);
    close_store(h);
    assert_int_equal(size_of("-wal"), 0);
    assert_sound();
    assert_int_equal(with_sql("SELECT count(*) FROM messages"), 50);
}

static void a_second_store_on_the_file_is_refused(void **state)
{
    struct harness *h = *state;
    struct store *second = NULL;
    struct id thread = scene(h);
    assert_int_equal(open_file(&factory, h->loop, &h->options, &second), ERR_STORE);
    assert_null(second);
    assert_true(logged("another process uses this database"));
    /* The first has lost nothing by it, its lock included. */
    say(h, thread, "alice", "still here");
    assert_int_equal(open_file(&factory, h->loop, &h->options, &second), ERR_STORE);
}

/* The process starts while there is no store: one that is forked from a store's midst would inherit its locks
 * without their holders. */
static void a_second_process_is_refused(void **state)
{
    struct harness *h = *state;
    int store_is_open[2];
    close_store(h);
    assert_int_equal(pipe(store_is_open), 0);
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char go;
        struct store *second = NULL;
        struct loop *loop = read(store_is_open[0], &go, 1) == 1 ? loop_new() : NULL;
        _exit(loop && open_file(&factory, loop, &h->options, &second) == ERR_STORE ? 0 : 1);
    }
    open_store(h);
    assert_int_equal(write(store_is_open[1], "", 1), 1);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_true(logged("another process uses this database"));
    (void)close(store_is_open[0]);
    (void)close(store_is_open[1]);
}

static void assert_refused(struct harness *h, const char *words)
{
    char before[8192];
    char after[8192];
    size_t before_len = read_file(db_path, before, sizeof(before));
    assert_int_equal(try_open_store(h), ERR_STORE);
    assert_true(logged(words));
    size_t after_len = read_file(db_path, after, sizeof(after));
    assert_int_equal(before_len, after_len);
    assert_memory_equal(before, after, before_len);
}

static void a_newer_schema_is_refused(void **state)
{
    struct harness *h = *state;
    close_store(h);
    (void)with_sql("PRAGMA user_version = 1000000");
    assert_refused(h, "this database was made by a newer version");
    assert_int_equal(with_sql("PRAGMA user_version"), 1000000);
}

/* As it was made before there were visits, with somebody in a room. */
static void an_older_schema_is_brought_up_to_date(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob");
    assert_ok(open_room(h, "lobby", "alice"));
    struct id room = h->got.thread;
    close_store(h);
    (void)with_sql("ALTER TABLE members DROP COLUMN visits");
    (void)with_sql("PRAGMA user_version = 1");
    open_store(h);
    assert_true(logged("the database was brought up to date"));
    assert_ok(end_visit(h, room, "alice", false));
    assert_buf(h->got.members, "alice*");
    assert_ok(visit_room(h, "lobby", "bob"));
    assert_ok(end_visit(h, room, "bob", false));
    assert_buf(h->got.members, "alice*");
    close_store(h);
    assert_int_equal(with_sql("PRAGMA user_version"), 2);
    open_store(h);
}

static void another_programs_database_is_refused(void **state)
{
    struct harness *h = *state;
    close_store(h);
    wipe_file(&factory);
    (void)with_sql("CREATE TABLE theirs (x)");
    assert_refused(h, "this database belongs to another program");
    (void)with_sql("PRAGMA application_id = 12345");
    assert_refused(h, "this database belongs to another program");
}

static void a_file_that_is_no_database_is_refused(void **state)
{
    struct harness *h = *state;
    close_store(h);
    char text[4096];
    memset(text, 'x', sizeof(text));
    write_file(text, sizeof(text));
    assert_refused(h, "this file is not a database");
}

static void a_damaged_database_is_refused(void **state)
{
    struct harness *h = *state;
    close_store(h);
    /* The first page holds the schema; its header stays. */
    int fd = open(db_path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    char junk[3996];
    memset(junk, 0xa5, sizeof(junk));
    assert_int_equal(pwrite(fd, junk, sizeof(junk), 100), sizeof(junk));
    (void)close(fd);
    assert_refused(h, "the database is damaged");
}

static void a_cut_off_database_is_refused(void **state)
{
    struct harness *h = *state;
    (void)say_many(h, scene(h), "alice", 100);
    close_store(h);
    assert_int_equal(truncate(db_path, 8192), 0);
    assert_refused(h, "the database is damaged");
}

static void an_empty_file_becomes_a_database(void **state)
{
    struct harness *h = *state;
    close_store(h);
    write_file("", 0);
    open_store(h);
    assert_cursor(h->got.bounds.head, at(0));
}

static void a_place_that_is_not_there_is_refused(void **state)
{
    struct harness *h = *state;
    struct store *store = NULL;
    char url[160];
    (void)snprintf(url, sizeof(url), "sqlite:%s/missing/chat.db", directory);
    assert_int_equal(store_open(h->loop, url, &h->options, &store), ERR_STORE);
    assert_true(logged("cannot create the database"));
    (void)snprintf(url, sizeof(url), "sqlite:%s", directory);
    assert_int_equal(store_open(h->loop, url, &h->options, &store), ERR_STORE);
    assert_null(store);
}

static void urls_of_other_stores_are_refused(void **state)
{
    struct harness *h = *state;
    struct store *store = NULL;
    assert_int_equal(store_open(h->loop, "postgresql://:secret@localhost/0", &h->options, &store), ERR_BAD_FIELD);
    assert_true(logged("scheme=postgresql"));
    assert_false(logged("secret"));
    assert_int_equal(store_open(h->loop, "chat.db", &h->options, &store), ERR_BAD_FIELD);
    assert_int_equal(store_open(h->loop, "", &h->options, &store), ERR_BAD_FIELD);
    assert_int_equal(store_open(h->loop, "sqlite:", &h->options, &store), ERR_BAD_FIELD);
    assert_null(store);
}

static void a_path_is_taken_literally(void **state)
{
    struct harness *h = *state;
    close_store(h);
    char old[256];
    assert_non_null(getcwd(old, sizeof(old)));
    assert_int_equal(chdir(directory), 0);
    assert_ok(store_open(h->loop, "sqlite:file:chat.db?mode=memory", &h->options, &h->store));
    close_store(h);
    assert_int_equal(unlink("file:chat.db?mode=memory"), 0);
    assert_int_equal(chdir(old), 0);
}

static enum err open_memory(struct store_factory *unused, struct loop *loop, const struct store_options *options,
                            struct store **ret_store)
{
    (void)unused;
    return store_open(loop, "sqlite::memory:", options, ret_store);
}

static void a_store_in_memory_forgets(void **state)
{
    struct harness *h = *state;
    struct store_factory memory = {.open = open_memory, .wipe = wipe_file};
    close_store(h);
    wipe_file(&factory);
    h->factory = &memory;
    open_store(h);
    struct id thread = scene(h);
    say(h, thread, "alice", "hello");
    assert_ok(read_history(h, thread, "bob", at(0), 10));
    assert_buf(h->got.texts, "hello");
    reopen_store(h);
    assert_cursor(h->got.bounds.head, at(0));
    assert_int_not_equal(access(db_path, F_OK), 0);
    h->factory = &factory;
}

static void without_a_clock_the_systems_is_used(void **state)
{
    struct harness *h = *state;
    struct id token = id_random();
    h->options.clock = NULL;
    reopen_store(h);
    /* The harness's clock stands in 2023. */
    assert_ok(put_token(h, token, "alice", h->clock.wall_us + 1000000));
    assert_int_equal(get_token(h, token), ERR_NO_TOKEN);
    assert_ok(put_token(h, token, "alice", INT64_MAX));
    assert_ok(get_token(h, token));
}

static void every_durability_works(void **state)
{
    struct harness *h = *state;
    struct id thread = scene(h);
    for (int i = 0; i < DURABILITY_COUNT; i++) {
        h->options.durability = (enum durability)i;
        reopen_store(h);
        say(h, thread, "alice", "x");
    }
    assert_ok(read_history(h, thread, "alice", at(0), 10));
    assert_buf(h->got.texts, "x|x|x");
}

/* --- crashes ---------------------------------------------------------------------------------------------------- */

enum { CRASHES = 5, ACKS_BEFORE_KILL = 200 };

struct sender {
    struct harness h;
    int pipe;
    struct id thread;
};

/* Tells the parent which message was acknowledged. */
static void on_sent(void *ctx, enum err err, const struct append_result *result)
{
    struct sender *sender = ctx;
    sender->h.answered++;
    if (err || write(sender->pipe, result, sizeof(*result)) != (ssize_t)sizeof(*result))
        _exit(1);
}

/* Sends for ever, always with some messages under way, until it is killed. */
static void send_for_ever(struct sender *sender)
{
    for (;;) {
        while (sender->h.asked - sender->h.answered < 20) {
            struct message *message = draft(id_random(), sender->thread, "alice", "under load");
            sender->h.store->ops->append(sender->h.store, message, on_sent, sender);
            sender->h.asked++;
            message_unref(message);
        }
        loop_turn(sender->h.loop, 100);
    }
}

static pid_t start_sender(struct harness *h, struct id thread, int *ret_pipe)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct sender sender = {.pipe = ends[1], .thread = thread};
        sender.h.sink = h->sink;
        sender.h.loop = loop_new();
        sender.h.factory = h->factory;
        sender.h.options = h->options;
        sender.h.options.durability = DURABILITY_FULL;
        open_store(&sender.h);
        send_for_ever(&sender);
    }
    (void)close(ends[1]);
    *ret_pipe = ends[0];
    return child;
}

/* Reads what the child was acknowledged, kills it in the middle, and reads the rest. */
static size_t collect_acks(pid_t child, int pipe, struct append_result *acks, size_t max)
{
    size_t count = 0;
    while (count < max && read(pipe, &acks[count], sizeof(*acks)) == (ssize_t)sizeof(*acks))
        if (++count == ACKS_BEFORE_KILL)
            assert_int_equal(kill(child, SIGKILL), 0);
    (void)close(pipe);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    return count;
}

static void what_was_acknowledged_survives_kill_9(void **state)
{
    struct harness *h = *state;
    enum { MAX = 100000 };
    struct append_result *acks = calloc(MAX, sizeof(*acks));
    assert_non_null(acks);
    struct id thread = scene(h);
    struct cursor since = {0};
    for (int crash = 0; crash < CRASHES; crash++) {
        close_store(h);
        int pipe;
        pid_t child = start_sender(h, thread, &pipe);
        size_t count = collect_acks(child, pipe, acks, MAX);
        assert_true(count >= ACKS_BEFORE_KILL && count < MAX);
        open_store(h);
        /* Every one is in the log, once and in order; some more may be whose acknowledgement was cut off. */
        size_t found = 0;
        do {
            assert_ok(read_replay(h, "bob", since, KEPT_MAX, 1 << 20));
            for (size_t i = 0; i < h->got.kept_count; i++) {
                const struct message *message = h->got.kept[i];
                if (found < count && id_equal(message->fields.id, acks[found].id)) {
                    assert_int_equal(cursor_compare(message->cursor, acks[found].cursor), 0);
                    found++;
                }
                since = message->cursor;
            }
        } while (h->got.page.more);
        assert_int_equal(found, count);
        since = h->got.page.head;
    }
    close_store(h);
    assert_sound();
    free(acks);
}

/* --- a full disk and I/O errors --------------------------------------------------------------------------------- */

static void wait_until_ready(struct harness *h)
{
    for (int i = 0; i < 100 && !is_ready(h); i++)
        loop_turn(h->loop, 100);
    assert_true(is_ready(h));
}

static void a_full_disk_fails_sends_and_recovers_by_itself(void **state)
{
    struct harness *h = *state;
    struct id thread = scene(h);
    say(h, thread, "alice", "before");
    int64_t failures = metric_value(METRIC_COMMIT_FAILURES);
    faults_set(FAULT_DISK_FULL);
    assert_int_equal(append_as(h, id_random(), thread, "alice", "lost"), ERR_STORE_FULL);
    assert_int_equal(put_user(h, "carol", ""), ERR_STORE_FULL);
    assert_journal(h, "done store_full; done store_full; ");
    assert_false(is_ready(h));
    assert_true(logged("the disk is full"));
    assert_int_equal(metric_value(METRIC_COMMIT_FAILURES), failures + 2);
    /* Reads go on. */
    assert_ok(read_history(h, thread, "bob", at(0), 10));
    assert_buf(h->got.texts, "before");

    faults_set(FAULT_NONE);
    say(h, thread, "alice", "after");
    assert_true(is_ready(h));
    reopen_store(h);
    assert_ok(read_history(h, thread, "bob", at(0), 10));
    assert_buf(h->got.texts, "before|after");
    assert_ok(list_users(h, "", 10));
    assert_buf(h->got.users, "alice bob ");
}

static void readiness_comes_back_without_traffic(void **state)
{
    struct harness *h = *state;
    struct id thread = scene(h);
    faults_set(FAULT_DISK_FULL);
    assert_int_equal(append_as(h, id_random(), thread, "alice", "lost"), ERR_STORE_FULL);
    assert_false(is_ready(h));
    faults_set(FAULT_NONE);
    wait_until_ready(h);
}

static void a_visit_that_ended_on_a_full_disk_is_over(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob carol dave");
    assert_ok(open_room(h, "lobby", "alice"));
    struct id room = h->got.thread;
    for (int i = 0; i < 2; i++)
        assert_ok(visit_room(h, "lobby", "bob"));
    assert_ok(visit_room(h, "lobby", "carol"));
    assert_ok(visit_room(h, "lobby", "dave"));
    faults_set(FAULT_DISK_FULL);
    assert_int_equal(end_visit(h, room, "bob", false), ERR_STORE_FULL);
    assert_int_equal(end_visit(h, room, "carol", false), ERR_STORE_FULL);
    assert_int_equal(end_visit(h, room, "dave", true), ERR_STORE_FULL);
    faults_set(FAULT_NONE);
    wait_until_ready(h);
    assert_ok(get_thread(h, room));
    assert_buf(h->got.members, "alice* bob carol dave");
    /* Whatever is written brings it along; what depends on it comes behind it. */
    assert_ok(end_visit(h, room, "bob", false));
    assert_buf(h->got.members, "alice* dave");
    faults_set(FAULT_DISK_FULL);
    assert_int_equal(end_visit(h, room, "dave", false), ERR_STORE_FULL);
    faults_set(FAULT_NONE);
    wait_until_ready(h);
    buf_reset(&h->journal);
    assert_ok(put_user(h, "erin", ""));
    wait_until(h, strstr(text_of(&h->journal), "thread alice* without dave"));
}

static void when_a_batch_fails_its_reads_still_tell_the_truth(void **state)
{
    struct harness *h = *state;
    struct id thread = scene(h);
    const struct store_ops *ops = h->store->ops;
    say(h, thread, "alice", "before");
    struct message *lost = draft(id_random(), thread, "alice", "lost");
    struct message *kept = draft(id_random(), thread, "alice", "kept");
    faults_set(FAULT_DISK_FULL);
    ops->replay(h->store, SPAN_LITERAL("bob"), at(0), 10, 100, on_page, ask(h));
    ops->append(h->store, lost, on_append, ask(h));
    ops->append(h->store, lost, on_append, ask(h));
    ops->replay(h->store, SPAN_LITERAL("bob"), at(0), 10, 100, on_page, ask(h));
    settle(h);
    assert_journal(h, "done; done store_full; done store_full; done; ");
    assert_buf(h->got.texts, "before");
    assert_int_equal(lost->cursor.major, 0);
    faults_set(FAULT_NONE);
    ops->append(h->store, kept, on_append, ask(h));
    ops->append(h->store, lost, on_append, ask(h));
    settle(h);
    assert_journal(h, "message kept; done; message lost; done; ");
    /* Not even the cursor was used up. */
    assert_int_equal(lost->cursor.major, 3);
    message_unref(lost);
    message_unref(kept);
}

static enum err say_long(struct harness *h, struct id thread)
{
    static char text[100001];
    memset(text, 'x', sizeof(text) - 1);
    return append_as(h, id_random(), thread, "alice", text);
}

static void a_limit_on_the_files_size_is_a_full_disk(void **state)
{
    struct harness *h = *state;
    struct id thread = scene(h);
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    struct rlimit tight = {.rlim_cur = 1000000, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    enum err err = OK;
    int sent = 0;
    while (sent < 20 && !(err = say_long(h, thread)))
        sent++;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(err, ERR_STORE_FULL);
    assert_true(sent > 0);
    wait_until_ready(h);
    assert_ok(say_long(h, thread));
    assert_ok(read_history(h, thread, "bob", at(0), 100));
    assert_int_equal(h->got.page.count, sent + 1);
}

static void an_io_error_is_survived(void **state)
{
    struct harness *h = *state;
    struct id thread = scene(h);
    say(h, thread, "alice", "before");
    faults_set(FAULT_WRITE);
    assert_int_equal(append_as(h, id_random(), thread, "alice", "lost"), ERR_STORE);
    assert_int_equal(append_as(h, id_random(), thread, "alice", "lost"), ERR_STORE);
    assert_false(is_ready(h));
    assert_true(logged("the database cannot be written"));
    assert_ok(read_history(h, thread, "bob", at(0), 10));
    assert_buf(h->got.texts, "before");
    faults_set(FAULT_NONE);
    wait_until_ready(h);
    say(h, thread, "alice", "after");
    assert_ok(read_history(h, thread, "bob", at(0), 10));
    assert_buf(h->got.texts, "before|after");
}

static void what_failed_to_become_durable_does_not_come_back(void **state)
{
    struct harness *h = *state;
    h->options.durability = DURABILITY_FULL;
    reopen_store(h);
    struct id thread = scene(h);
    say(h, thread, "alice", "before");
    int failed = faults_count();
    faults_set(FAULT_SYNC);
    assert_int_equal(append_as(h, id_random(), thread, "alice", "ghost"), ERR_STORE);
    assert_int_equal(put_user(h, "ghost", ""), ERR_STORE);
    assert_true(faults_count() > failed);
    faults_set(FAULT_NONE);
    /* The whole transaction lies in the write-ahead log now. The store opens its file anew, and it must not be
     * there. */
    wait_until_ready(h);
    assert_ok(read_history(h, thread, "bob", at(0), 10));
    assert_buf(h->got.texts, "before");
    assert_ok(list_users(h, "", 10));
    assert_buf(h->got.users, "alice bob ");
    assert_cursor(say(h, thread, "alice", "after"), at(2));
    close_store(h);
    assert_sound();
}

/* --- upkeep ----------------------------------------------------------------------------------------------------- */

static void retention_goes_on_without_traffic(void **state)
{
    struct harness *h = *state;
    struct id thread = scene(h);
    (void)say_many(h, thread, "alice", 4000);
    h->options.retention_count = 100;
    int64_t pruned = metric_value(METRIC_PRUNED);
    reopen_store(h);
    /* Start was one batch; no further call is made. */
    for (int i = 0; i < 200 && metric_value(METRIC_PRUNED) < pruned + 3900; i++)
        loop_turn(h->loop, 100);
    assert_int_equal(metric_value(METRIC_PRUNED), pruned + 3900);
    assert_ok(read_replay(h, "alice", at(0), 1, 1));
    assert_cursor(h->got.page.oldest, at(3900));
    assert_buf(h->got.texts, "3901");
}

static void expired_tokens_are_removed(void **state)
{
    struct harness *h = *state;
    for (int i = 0; i < 1200; i++)
        h->store->ops->token_put(h->store, id_random(), SPAN_LITERAL("alice"), h->clock.wall_us + 1000000, on_plain,
                                 ask(h));
    settle(h);
    struct id token = id_random();
    pass_us(h, 61000000);
    assert_ok(put_token(h, token, "bob", h->clock.wall_us + 1));
    close_store(h);
    assert_int_equal(with_sql("SELECT count(*) FROM tokens"), 1);
    open_store(h);
    assert_ok(get_token(h, token));
}

static void the_write_ahead_log_stays_small(void **state)
{
    struct harness *h = *state;
    struct id thread = scene(h);
    for (int i = 0; i < 20; i++)
        (void)say_many(h, thread, "alice", 1000);
    assert_true(size_of("") > 1 << 20);
    assert_true(size_of("-wal") < 24 << 20);
}

static void commits_are_counted_and_timed(void **state)
{
    struct harness *h = *state;
    struct id thread = scene(h);
    int64_t commits = metric_value(METRIC_COMMITS);
    uint64_t timed = metric_histogram(METRIC_COMMIT_TIME)->count;
    say(h, thread, "alice", "x");
    assert_int_equal(metric_value(METRIC_COMMITS), commits + 1);
    assert_int_equal(metric_histogram(METRIC_COMMIT_TIME)->count, timed + 1);
    /* What changes nothing is no commit. */
    assert_ok(put_user(h, "alice", ""));
    assert_ok(read_history(h, thread, "alice", at(0), 1));
    assert_int_equal(metric_value(METRIC_COMMITS), commits + 1);
}

static const struct CMUnitTest tests[] = {
    CASE(a_new_database_is_private),
    CASE(a_closed_database_is_one_sound_file),
    CASE(a_second_store_on_the_file_is_refused),
    CASE(a_second_process_is_refused),
    CASE(a_newer_schema_is_refused),
    CASE(an_older_schema_is_brought_up_to_date),
    CASE(another_programs_database_is_refused),
    CASE(a_file_that_is_no_database_is_refused),
    CASE(a_damaged_database_is_refused),
    CASE(a_cut_off_database_is_refused),
    CASE(an_empty_file_becomes_a_database),
    CASE(a_place_that_is_not_there_is_refused),
    CASE(urls_of_other_stores_are_refused),
    CASE(a_path_is_taken_literally),
    CASE(a_store_in_memory_forgets),
    CASE(without_a_clock_the_systems_is_used),
    CASE(every_durability_works),
    CASE(what_was_acknowledged_survives_kill_9),
    CASE(a_full_disk_fails_sends_and_recovers_by_itself),
    CASE(readiness_comes_back_without_traffic),
    CASE(a_visit_that_ended_on_a_full_disk_is_over),
    CASE(when_a_batch_fails_its_reads_still_tell_the_truth),
    CASE(a_limit_on_the_files_size_is_a_full_disk),
    CASE(an_io_error_is_survived),
    CASE(what_failed_to_become_durable_does_not_come_back),
    CASE(retention_goes_on_without_traffic),
    CASE(expired_tokens_are_removed),
    CASE(the_write_ahead_log_stays_small),
    CASE(commits_are_counted_and_timed),
};

int main(void)
{
    (void)snprintf(directory, sizeof(directory), "/tmp/test_sqlite.XXXXXX");
    if (!mkdtemp(directory))
        return 1;
    (void)snprintf(db_path, sizeof(db_path), "%s/chat.db", directory);
    (void)snprintf(log_path, sizeof(log_path), "%s/log", directory);
    if (log_open(log_path, LOG_INFO, LOG_KEY_VALUE))
        return 1;
    faults_install();
    int failed = suite_run(&factory, (struct cases){tests, array_len(tests)});
    log_close();
    (void)unlink(log_path);
    (void)rmdir(directory);
    return failed;
}
