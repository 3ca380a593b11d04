/* SPDX-License-Identifier: MIT */
/*
 * The store port: the log, threads and their members, users, tokens.
 *
 *        hub ── calls ──> store ── done(ctx, err, result) ──> hub        (each call, exactly once)
 *                           └───── sink.message / sink.thread ─> hub     (each commit, in commit order)
 *
 * Calls never block and never fail at once: every `done` comes later, on the loop thread, from the loop, in the order
 * of the calls. A call made after another one sees its effects. What is announced through the sink is durable; the
 * `done` of the call that caused it comes after the announcement. Nothing is announced, and no success reported, for
 * what is not durable.
 *
 * Ownership: arguments are copied before a call returns. Results live until `done` returns; a message may be kept by
 * reference. Text is valid UTF-8 and checked before it comes here; user ids are 1 to 128 bytes without control
 * characters.
 *
 * Errors that any call may report: ERR_STORE (not now), ERR_STORE_FULL (no space), ERR_NO_MEMORY. On error nothing of
 * the call took effect; the result is null then, and a count 0.
 *
 * Every store must pass the conformance suite in tests/store.
 */
#ifndef CORE_STORE_H
#define CORE_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cursor.h"
#include "base/err.h"
#include "base/id.h"
#include "core/message.h"

struct store;
struct bus;

/* XMPP's show values (RFC 6121 section 4.7.2.1); the number is what stores keep. */
#define SHOW_TABLE(ROW)                                                                                                \
    ROW(SHOW_CHAT, "chat")                                                                                             \
    ROW(SHOW_AWAY, "away")                                                                                             \
    ROW(SHOW_DND, "dnd")                                                                                               \
    ROW(SHOW_XA, "xa")

enum show {
#define ROW(name, word) name,
    SHOW_TABLE(ROW)
#undef ROW
        SHOW_COUNT
};

enum role { ROLE_GUEST, ROLE_OWNER };

/* What this node says of a user to others: it has no sessions of theirs; it has; or the last one ended with nobody's
 * wish, and they may be back (idle). Goodbye: it has none any more, and with its lease go the idle ones of all other
 * nodes; those that are held stay. */
enum lease { LEASE_NONE, LEASE_IDLE, LEASE_HELD, LEASE_GOODBYE };

/* A user as last set. */
struct user_record {
    struct span id;
    struct span name;   /* display name; empty where none was ever given */
    struct span status; /* empty: none */
    enum show show;
    bool available; /* some node holds a lease for them; always false in a store that has one node only */
    bool idle;      /* all these leases are idle ones */
    bool overtook;  /* with sink.user: changes before this one may not have been announced */
    int64_t
        version; /* of the last change of all this; later changes of any user have higher ones. 0: the store counts none */
};

struct member_record {
    struct user_record user;
    enum role role;
    struct cursor joined; /* the log's head when they joined: they are replayed what comes after it */
};

/* A thread with all its members, in order of joining. */
struct thread_record {
    struct id id;
    struct span room; /* its public name; null data for a thread without one */
    const struct member_record *members;
    size_t member_count;
    struct message *last; /* only where asked for, and null where there is none */
};

/* Where a store stands. */
struct store_bounds {
    struct cursor head;   /* the last committed message; zero for none */
    struct cursor oldest; /* a cursor before this has lost messages to retention; zero while none are */
    int64_t version;      /* of the last change of a user; 0: the store counts none, and has one node only */
};

/* What comes of its own accord. */
struct store_sink {
    /* A message is durable and to be delivered. Its cursor is set. */
    void (*message)(struct store_sink *sink, struct message *message);

    /* A thread was made or its members changed: this is how it is now. `left` is who was removed, or empty. */
    void (*thread)(struct store_sink *sink, const struct thread_record *thread, struct span left);

    /* A token ended elsewhere. */
    void (*token_ended)(struct store_sink *sink, struct id token);

    /* A user was made or changed, here or elsewhere: this is how they are now. Comes in the order of versions, from
     * the one of store_bounds on, and leaves no user out, though perhaps a change that a later one has overtaken;
     * only from a store that counts versions. */
    void (*user)(struct store_sink *sink, const struct user_record *user);

    /* The store has lost what it had acknowledged, or has announced less than happened: nothing that was read before
     * may be relied on. The log goes on from `bounds`. */
    void (*reset)(struct store_sink *sink, const struct store_bounds *bounds);

    /* Calls `visit` for each user for whom a lease is to be held, with which (store_ops.lease; LEASE_IDLE or
     * LEASE_HELD). The spans live until this turn ends. */
    void (*leases)(struct store_sink *sink, void (*visit)(void *ctx, struct span user, enum lease lease), void *ctx);

    /* Calls `visit` for each token that sessions are open with, so that the store can tell of one that has ended. */
    void (*tokens)(struct store_sink *sink, void (*visit)(void *ctx, struct id token, int64_t expires_us), void *ctx);
};

typedef void store_done(void *ctx, enum err err);

/* --- start and end ---------------------------------------------------------------------------------------------- */

typedef void store_bounds_done(void *ctx, enum err err, const struct store_bounds *bounds);

/* --- users ------------------------------------------------------------------------------------------------------ */

typedef void store_user_done(void *ctx, enum err err, const struct user_record *user);
typedef void store_users_done(void *ctx, enum err err, const struct user_record *users, size_t count);

/* --- threads ---------------------------------------------------------------------------------------------------- */

/* Finds a thread or makes it.
 *
 * With a room name: the thread `id` (derived from the name), made if need be with `users[0]` as owner; users[0]
 * joins it as a guest if they are no member yet. Without: the thread whose present members are exactly `users`, made
 * if need be under `id` with users[0] as owner and the others as guests; a room is never that thread. Who enters a
 * thread that everybody has left becomes its owner. All users are known to the store (ERR_NO_USER: one is not). */
struct thread_request {
    struct id id;
    struct span room;         /* null data: by member set */
    const struct span *users; /* distinct */
    size_t user_count;        /* at least 1 */
    size_t members_max;       /* ERR_TOO_MANY_MEMBERS: joining would exceed it */
    bool visit;               /* of a room: users[0] comes for a visit, see visit_end */
    bool members_only;        /* ERR_FORBIDDEN: the room exists, and users[0] is no member of it */
};

typedef void store_thread_done(void *ctx, enum err err, const struct thread_record *thread);
typedef void store_threads_done(void *ctx, enum err err, const struct thread_record *threads, size_t count);

/* --- messages --------------------------------------------------------------------------------------------------- */

/* What a send came to. */
struct append_result {
    struct id id;
    struct id thread; /* for a repeat, the first one's */
    struct cursor cursor;
    bool repeated; /* the id was known: nothing was stored or announced */
};

typedef void store_append_done(void *ctx, enum err err, const struct append_result *result);

/* A stretch of messages. */
struct message_page {
    struct message *const *messages;
    size_t count;
    bool more;            /* the limits cut it: there are further ones in that direction */
    bool gap;             /* replay: messages after `since`, and after the user had joined, were lost to retention */
    struct cursor head;   /* the log's head when the page was read */
    struct cursor oldest; /* as in store_bounds */
};

typedef void store_page_done(void *ctx, enum err err, const struct message_page *page);

/* Where a message is; the result is not null on OK. */
struct message_place {
    struct id thread;
    struct cursor cursor;
};

typedef void store_message_done(void *ctx, enum err err, const struct message_place *place);

/* --- tokens ----------------------------------------------------------------------------------------------------- */

struct token_record {
    struct span user;
    int64_t expires_us; /* wall clock */
};

typedef void store_token_done(void *ctx, enum err err, const struct token_record *token);

/* --- the calls -------------------------------------------------------------------------------------------------- */

struct store_ops {
    /* Takes the sink (which outlives the store) and reports where the log stands; before it, no other call. A store
     * that is elsewhere may take long to answer, and answers once it is reached; a call made meanwhile fails. */
    void (*start)(struct store *store, struct store_sink *sink, store_bounds_done *done, void *ctx);

    /* Finishes all calls made so far, reports them, makes all durable, then frees the store and calls `closed` as
     * the last thing. */
    void (*close)(struct store *store, void (*closed)(void *ctx), void *ctx);

    /* Makes a user known, or finds them. A name that is not empty replaces the old one. */
    void (*user_put)(struct store *store, struct span id, struct span name, store_user_done *done, void *ctx);

    /* Up to `limit` known users with ids after `after` (bytewise), in order of their ids. */
    void (*users_list)(struct store *store, struct span after, size_t limit, store_users_done *done, void *ctx);

    /* Sets a known user's show and status (ERR_NO_USER). */
    void (*presence_put)(struct store *store, struct span id, enum show show, struct span status, store_user_done *done,
                         void *ctx);

    /* How this node stands to a known user from now on. Not answered: the store sees to it, also when it is away at the
     * moment (sink.leases). With the node's end its leases end, after a while. A store that has one node only does
     * nothing. */
    void (*lease)(struct store *store, struct span user, enum lease lease);

    void (*thread_open)(struct store *store, const struct thread_request *request, store_thread_done *done, void *ctx);

    /* ERR_NO_THREAD: there is none. */
    void (*thread_get)(struct store *store, struct id thread, store_thread_done *done, void *ctx);

    /* Adds a known user as a guest; no effect on a member. ERR_NO_THREAD, ERR_NO_USER, ERR_TOO_MANY_MEMBERS
     * (`members_max`). */
    void (*member_add)(struct store *store, struct id thread, struct span user, size_t members_max,
                       store_thread_done *done, void *ctx);

    /* Removes a member; when the last owner goes, the member longest in becomes owner. ERR_NO_THREAD: no such thread
     * or member. */
    void (*member_remove)(struct store *store, struct id thread, struct span user, store_thread_done *done, void *ctx);

    /* A visit is over. Who came into a room for visits only (thread_request.visit; any number at once, on all nodes
     * together) is a member until the last of them is over, or, with `stays`, until the next one after it is. Who was a
     * member before, or has since come in for good (thread_open without `visit`, member_add), is not touched. Removal
     * is as by member_remove. ERR_NO_THREAD: no such thread or member.
     *
     * With ERR_STORE and ERR_STORE_FULL the visit is over all the same, and not to be ended again: the store remembers
     * it, and makes it so as soon as it can. Only when the node ends before that, or dies, are its visits over as if
     * with `stays`: after a while, or, in a store that has one node only, when it starts. So is one that began although
     * that could not be reported. */
    void (*visit_end)(struct store *store, struct id thread, struct span user, bool stays, store_thread_done *done,
                      void *ctx);

    /* All threads of a user, `with_last` with their last messages, in order of joining. */
    void (*threads_of)(struct store *store, struct span user, bool with_last, store_threads_done *done, void *ctx);

    /* Appends to the log. The message is the caller's reference; the store sets its cursor on success.
     * ERR_NO_THREAD: no such thread, or the sender is no member of it. ERR_CONFLICT: another sender has used this
     * id. */
    void (*append)(struct store *store, struct message *message, store_append_done *done, void *ctx);

    /* Finds a message by its id. ERR_NOT_FOUND: unknown, or gone with retention. */
    void (*message_find)(struct store *store, struct id message, store_message_done *done, void *ctx);

    /* The newest `limit` messages of a thread before `before` (zero: from the end), in log order. ERR_NO_THREAD:
     * `user` is no member. */
    void (*history)(struct store *store, struct id thread, struct span user, struct cursor before, size_t limit,
                    store_page_done *done, void *ctx);

    /* Messages after `since`, in log order, of the threads that `user` is now a member of and had joined by then; at
     * most `count_max`, and no more once `bytes_max` of text is reached, but at least one. */
    void (*replay)(struct store *store, struct span user, struct cursor since, size_t count_max, size_t bytes_max,
                   store_page_done *done, void *ctx);

    void (*token_put)(struct store *store, struct id token, struct span user, int64_t expires_us, store_done *done,
                      void *ctx);

    /* ERR_NO_TOKEN: unknown or expired by the wall clock. */
    void (*token_get)(struct store *store, struct id token, store_token_done *done, void *ctx);

    /* ERR_NO_TOKEN: unknown or expired. */
    void (*token_delete)(struct store *store, struct id token, store_done *done, void *ctx);

    /* The bus to other nodes, which lives as long as the store; null, or a null op: there are none. */
    struct bus *(*bus)(struct store *store);

    /* False while calls are likely to fail; *ret_reason is then a static sentence, for /readyz. */
    bool (*ready)(const struct store *store, const char **ret_reason);
};

/* The head of every store. */
struct store {
    const struct store_ops *ops;
};

/* The key of a member set: the same users in any order give the same id. `users` are distinct. False: no memory. */
bool members_key(const struct span *users, size_t count, struct id *ret_key) must_check;

const char *show_word(enum show show);
bool show_parse(struct span word, enum show *ret_show) must_check;

#endif
