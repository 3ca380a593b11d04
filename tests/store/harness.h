/* SPDX-License-Identifier: MIT */
/*
 * Harness: an open store, everything it said, and calls that wait for their answers.
 *
 * What a thread or a page holds is kept as text, so that a test can say `"alice* bob"` (a star marks an owner) and
 * `"one|two"`. The calls of the first kind return their error; of the second they insist on success. For what must not
 * wait, use h->store's ops with the harness as context and the on_* functions, then `settle`.
 */
#ifndef TESTS_STORE_HARNESS_H
#define TESTS_STORE_HARNESS_H

#include <stdatomic.h>

#include "base/buf.h"
#include "suite.h"

enum { KEPT_MAX = 64, TOKENS_MAX = 8 };

/* The last answer of each kind. */
struct answers {
    enum err err;
    struct store_bounds bounds;
    struct {
        char id[160];
        char name[600];
        char status[1200];
        enum show show;
        bool available;
        bool idle;
        int64_t version;
    } user;           /* also a thread's first member, and the last one of a list */
    struct buf users; /* ids, each followed by a space */
    struct id thread;
    struct buf room;    /* empty: none */
    struct buf members; /* "alice* bob" */
    size_t member_count;
    struct cursor joined; /* the last member's */
    struct buf threads;   /* "members: last text; " of each */
    struct append_result append;
    struct buf texts; /* of a page: "one|two" */
    struct message *kept[KEPT_MAX];
    size_t kept_count;
    struct message_page page; /* without messages */
    struct message_place place;
    char token_user[160];
    int64_t token_expires_us;
};

/* Moved by the test, read by the worker. */
struct shared_clock {
    struct clock clock;
    _Atomic int64_t wall_us;
};

struct harness {
    struct store_factory *factory;
    struct loop *loop;
    struct store *store;
    struct store_options options; /* used by the next reopen; the clock is ours */
    struct store_sink sink;
    struct shared_clock clock;
    struct answers got;
    struct buf journal;    /* "message hello; done; " in the order of things */
    struct cursor head;    /* of the last message that was announced, or the log's when it was opened */
    struct message *heard; /* that message; null: none yet */
    struct buf told;       /* the bytes of the ids of all messages announced so far */
    struct buf
        user_events;     /* "alice (Alice) on dnd \"lunch\"; bob off chat; carol idle chat; ", apart from the journal */
    int64_t version;     /* of the last user event, or the store's when it was opened */
    int overtook;        /* user events that may have overtaken others */
    struct cursor *said; /* what say_many sent: said[1] is the cursor of its message "1"; said[0] is zero */
    int said_count;
    const char *leased; /* whom the store is told to lease when it asks, as a list: "alice bob"; */
    const char *idle;   /* and whom as idle, a list of others */
    struct id tokens[TOKENS_MAX];
    size_t token_count;  /* likewise for tokens with sessions */
    bool reset_expected; /* else a reset fails the test */
    bool ahead_expected; /* reads may show what has not been announced: too few replicas have it */
    int resets;
    int asked;
    int answered;
    bool closed;

    /* Another node of the same store, on a loop of its own, which turns whenever this one's does; or null. */
    struct harness *peer;
};

/* A harness with its own loop and clock for a store of this kind, not opened yet. */
struct harness *harness_new(struct store_factory *factory) must_check;

/* Closes the store, if one is open. */
void harness_free(struct harness *h);

/* One turn of the loop, and of its peer's. */
void harness_turn(struct harness *h);

/* The clock, and the store's time, go on. */
void pass_us(struct harness *h, int64_t us);

enum { DEADLINE_MS = 20000 };

/* Turns the loop until the condition holds. */
#define wait_until(h, condition)                                                                                       \
    do {                                                                                                               \
        int64_t start_ms_ = loop_now_ms((h)->loop);                                                                    \
        while (!(condition)) {                                                                                         \
            harness_turn(h);                                                                                           \
            if (loop_now_ms((h)->loop) - start_ms_ > DEADLINE_MS)                                                      \
                fail_msg("this did not come true in time: %s", #condition);                                            \
        }                                                                                                              \
    } while (0)

/* Waits until all calls that were counted by `ask` are answered. */
void settle(struct harness *h);

/* The context for a call made directly: counts it. */
void *ask(struct harness *h);

void on_bounds(void *ctx, enum err err, const struct store_bounds *bounds);
void on_plain(void *ctx, enum err err);
void on_user(void *ctx, enum err err, const struct user_record *user);
void on_users(void *ctx, enum err err, const struct user_record *users, size_t count);
void on_thread(void *ctx, enum err err, const struct thread_record *thread);
void on_threads(void *ctx, enum err err, const struct thread_record *threads, size_t count);
void on_append(void *ctx, enum err err, const struct append_result *result);
void on_page(void *ctx, enum err err, const struct message_page *page);
void on_message(void *ctx, enum err err, const struct message_place *place);
void on_token(void *ctx, enum err err, const struct token_record *token);

/* --- start and end; `open_store` starts, too --- */

enum err try_open_store(struct harness *h);
void open_store(struct harness *h);
void close_store(struct harness *h);
void reopen_store(struct harness *h);

/* --- calls that wait --- */

enum err put_user(struct harness *h, const char *id, const char *name);
enum err set_presence(struct harness *h, const char *id, enum show show, const char *status);
enum err list_users(struct harness *h, const char *after, size_t limit);

/* `users` is a list such as "alice bob". */
enum err open_thread(struct harness *h, const char *users);
enum err open_room(struct harness *h, const char *room, const char *user);
enum err open_thread_max(struct harness *h, const char *room, const char *users, size_t members_max);
enum err open_members_room(struct harness *h, const char *room, const char *user, size_t members_max);
enum err visit_room(struct harness *h, const char *room, const char *user);
enum err end_visit(struct harness *h, struct id thread, const char *user, bool stays);
enum err get_thread(struct harness *h, struct id thread);
enum err add_member(struct harness *h, struct id thread, const char *user);
enum err add_member_max(struct harness *h, struct id thread, const char *user, size_t members_max);
enum err remove_member(struct harness *h, struct id thread, const char *user);
enum err list_threads(struct harness *h, const char *user, bool with_last);

enum err append_fields(struct harness *h, const struct message_fields *fields);
enum err append_as(struct harness *h, struct id id, struct id thread, const char *sender, const char *text);
enum err find_message(struct harness *h, struct id id);
enum err read_history(struct harness *h, struct id thread, const char *user, struct cursor before, size_t limit);
enum err read_replay(struct harness *h, const char *user, struct cursor since, size_t count_max, size_t bytes_max);

enum err put_token(struct harness *h, struct id token, const char *user, int64_t expires_us);
enum err get_token(struct harness *h, struct id token);
enum err delete_token(struct harness *h, struct id token);

/* --- for setting a scene: these insist on success --- */

/* Makes all of them known. */
void make_users(struct harness *h, const char *names);

/* The thread of these members. */
struct id thread_of(struct harness *h, const char *names);

/* Sends a text and returns its cursor. */
struct cursor say(struct harness *h, struct id thread, const char *sender, const char *text);

/* Sends `count` messages "1", "2"… at once, and returns the last one's cursor; h->said has all of them. */
struct cursor say_many(struct harness *h, struct id thread, const char *sender, int count);

/* A message for append, to be unreferenced by the caller. */
struct message *draft(struct id id, struct id thread, const char *sender, const char *text);

/* Waits until the store has lost all messages up to `oldest` to retention. */
void wait_for_oldest(struct harness *h, const char *user, struct cursor oldest);

/* Zero is the place before everything, UINT64_MAX a place nobody has reached; other cursors are taken as they are
 * given. */
static inline struct cursor at(uint64_t major)
{
    return (struct cursor){.major = major};
}

static inline const char *text_of(struct buf *buf)
{
    buf_add_char(buf, '\0');
    buf->len--;
    return buf->data;
}

/* What happened since the last time, and forgets it. */
#define assert_journal(h, text)                                                                                        \
    do {                                                                                                               \
        assert_string_equal(text_of(&(h)->journal), (text));                                                           \
        buf_reset(&(h)->journal);                                                                                      \
    } while (0)
#define assert_buf(buf, text) assert_string_equal(text_of(&(buf)), (text))
#define assert_ok(call) assert_int_equal((call), OK)
#define assert_cursor(cursor, expected)                                                                                \
    do {                                                                                                               \
        char texts_[2][CURSOR_TEXT_SIZE];                                                                              \
        assert_string_equal(cursor_format((cursor), texts_[0]), cursor_format((expected), texts_[1]));                 \
    } while (0)

#endif
