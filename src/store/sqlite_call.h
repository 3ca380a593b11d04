/* SPDX-License-Identifier: MIT */
/*
 * Call: one call of the store port on its way to the worker and back.
 *
 *     made and sent (loop) ─> run (worker) ─> delivered and freed (loop)
 *
 * One thread holds a call at a time; the exchange passes it on. Arguments lie in the call's own allocation, results in
 * its arena, and messages are counted references that only the loop thread counts, except for those the worker has just
 * made.
 */
#ifndef STORE_SQLITE_CALL_H
#define STORE_SQLITE_CALL_H

#include "core/store.h"
#include "store/arena.h"

struct database;

/* name, what it does to the database. SEVERAL: changes it in several steps that must all succeed or none. */
#define CALL_TABLE(ROW)                                                                                                \
    ROW(CALL_START, READS)                                                                                             \
    ROW(CALL_CLOSE, READS)                                                                                             \
    ROW(CALL_USER_PUT, SEVERAL)                                                                                        \
    ROW(CALL_USERS_LIST, READS)                                                                                        \
    ROW(CALL_PRESENCE_PUT, SEVERAL)                                                                                    \
    ROW(CALL_THREAD_OPEN, SEVERAL)                                                                                     \
    ROW(CALL_THREAD_GET, READS)                                                                                        \
    ROW(CALL_MEMBER_ADD, SEVERAL)                                                                                      \
    ROW(CALL_MEMBER_REMOVE, SEVERAL)                                                                                   \
    ROW(CALL_VISIT_END, SEVERAL)                                                                                       \
    ROW(CALL_THREADS_OF, READS)                                                                                        \
    ROW(CALL_APPEND, WRITES)                                                                                           \
    ROW(CALL_MESSAGE_FIND, READS)                                                                                      \
    ROW(CALL_HISTORY, READS)                                                                                           \
    ROW(CALL_REPLAY, READS)                                                                                            \
    ROW(CALL_TOKEN_PUT, WRITES)                                                                                        \
    ROW(CALL_TOKEN_GET, READS)                                                                                         \
    ROW(CALL_TOKEN_DELETE, WRITES)

enum call_kind {
#define ROW(name, effect) name,
    CALL_TABLE(ROW)
#undef ROW
        CALL_KIND_COUNT
};

union call_done {
    void (*closed)(void *ctx);
    store_done *plain;
    store_bounds_done *bounds;
    store_user_done *user;
    store_users_done *users;
    store_thread_done *thread;
    store_threads_done *threads;
    store_append_done *append;
    store_page_done *page;
    store_message_done *message;
    store_token_done *token;
};

union call_args {
    struct {
        struct span id;
        struct span name;
    } user_put;
    struct {
        struct span after;
        size_t limit;
    } users_list;
    struct {
        struct span id;
        struct span status;
        enum show show;
    } presence_put;
    struct thread_request thread_open;
    struct {
        struct id thread;
        struct span user;
        size_t members_max; /* add only */
        bool stays;         /* end of a visit only */
    } member;               /* add, remove, end of a visit; get without a user */
    struct {
        struct span user;
        bool with_last;
    } threads_of;
    struct message *append; /* a reference */
    struct id message_find;
    struct {
        struct id thread;
        struct span user;
        struct cursor before;
        size_t limit;
    } history;
    struct {
        struct span user;
        struct cursor since;
        size_t count_max;
        size_t bytes_max;
    } replay;
    struct {
        struct id id;
        struct span user; /* put only */
        int64_t expires_us;
    } token;
};

union call_result {
    struct store_bounds bounds;
    struct user_record user;
    struct {
        const struct user_record *items;
        size_t count;
    } users;
    struct {
        struct thread_record record;
        bool changed; /* to be announced */
    } thread;
    struct {
        struct thread_record *items; /* each `last` is a reference */
        size_t count;
    } threads;
    struct append_result append;
    struct message_page page; /* each message is a reference */
    struct message_place place;
    struct token_record token;
};

/* What the last call of a batch tells about the transaction. */
struct commit_note {
    enum { COMMIT_NONE, COMMIT_DONE, COMMIT_FAILED } outcome;
    int64_t duration_us;
};

struct call {
    struct call *next;
    enum call_kind kind;
    enum err err;
    bool refused; /* never to be run: `err` stood when it was made */
    struct commit_note commit;
    union call_done done;
    void *ctx;
    union call_args args;
    union call_result result;
    struct arena arena; /* of the result */
    char *text_at;      /* where the next argument's bytes go */
    _Alignas(max_align_t) char bytes[];
};

/* A call with room for `bytes` of arguments. Null: no memory. */
struct call *call_new(enum call_kind kind, size_t bytes) must_check;

/* Turns the memory at `call` into a call without arguments that will only report `err`. */
void call_init_refused(struct call *call, enum call_kind kind, enum err err);

/* Copies an argument into the call; null data stays null. In a refused call there is no room and the argument is
 * dropped. */
struct span call_text(struct call *call, struct span text);

/* Lets go of the result, so that the call can run again. */
void call_reset_result(struct call *call);

/* Lets go of result and arguments, on the loop thread. Does not free the call itself. */
void call_fini(struct call *call);

/* Whether running it may change the database, and whether in several steps. */
bool call_writes(const struct call *call);
bool call_has_steps(const struct call *call);

#endif
