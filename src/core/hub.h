/* SPDX-License-Identifier: MIT */
/*
 * Hub: the only door into the core.
 *
 *     adapter: hub_user_open ─> hub_attach ─> events … ─> hub_detach ─> hub_user_close
 *              hub_send, hub_thread_open, …   (any time)
 *
 * Threads: everything here belongs to the loop thread. Nothing blocks.
 *
 * Answers: a call that needs the store takes `done` and `ctx`. If it returns an error, nothing was done and `done` is
 * not called. If it returns OK, `done` is called exactly once; where the answer is known at once that may be before
 * the call returns. What `done` is given lives until it returns. Errors that any `done` may report: ERR_STORE,
 * ERR_STORE_FULL, ERR_NO_MEMORY; a call may return ERR_STORE as well (hub_start).
 *
 * Text: user ids, names and rooms are checked here (printable UTF-8, bounded); messages are checked by hub_send. Spans
 * are copied.
 *
 * Nodes: other processes may work on the same store. Then a user is available while they have sessions anywhere, and
 * changes that are made here are told when the store announces them to all.
 *
 * Time: from the clock port; `hub_tick` must be called at the end of every turn in which anything happened.
 */
#ifndef CORE_HUB_H
#define CORE_HUB_H

#include "base/clock.h"
#include "base/err.h"
#include "base/metric.h"
#include "base/timer.h"
#include "core/event.h"
#include "core/store.h"

struct hub;
struct user; /* somebody in memory: opened by a request, or seen by somebody who is */

enum {
    USER_ID_MAX = 128,
    USER_NAME_MAX = 256,
    USER_STATUS_MAX = 1024,
    ROOM_NAME_MAX = 128,
    SUBJECT_MAX = 1024,
    LANGUAGE_MAX = 128
};

/* Who may talk to and see whom. */
enum friends { FRIENDS_EVERYONE, FRIENDS_THREADS };

struct hub_options {
    enum friends friends;
    int64_t grace_ms; /* from the last session's end to unavailable, unless the session has one of its own */
    int64_t token_ttl_ms;
    bool token_ends_streams; /* expiry ends sessions that were opened with the token */
    bool rooms_open;         /* everybody may enter a room; otherwise only its members, and who makes it */
    uint32_t sessions_per_user;
    uint32_t streams_per_token;
    uint32_t members_max;
    uint32_t text_max;          /* bytes of a message's text */
    uint32_t attachments_max;   /* bytes of the attachments' JSON */
    uint32_t sends_per_minute;  /* per user; 0: no limit */
    uint32_t tokens_per_minute; /* per user; 0: no limit */
};

/* `store`, `timers` and `clock` must outlive the hub; the store has not been started. Null: no memory. */
struct hub *hub_new(const struct hub_options *options, struct store *store, struct timers *timers,
                    const struct clock *clock) must_check;

/* Starts the store and loads what the hub must know; `done` says whether it can serve. That may take as long as the
 * store is away. Until then, and for good if it fails, whatever needs the store is answered with ERR_STORE at once;
 * the same while the hub loads anew because the store was reset. `done` is not called if the hub is freed before. */
void hub_start(struct hub *hub, store_done *done, void *ctx);

/* Ends every session with `why`; new ones are refused with it. */
void hub_shut(struct hub *hub, enum err why);

/* No session may be attached and the store must have been closed. */
void hub_free(struct hub *hub);

/* Gathered work: presence changes, snapshots of new sessions. */
void hub_tick(struct hub *hub);

/* The last message delivered. After a reset of the store it may go back; no session is attached then. */
struct cursor hub_cursor(const struct hub *hub);

/* The store's word on whether it can take calls (see store_ops), or false while the hub has not started. */
bool hub_ready(const struct hub *hub, const char **ret_reason);

/* --- users ------------------------------------------------------------------------------------------------------ */

typedef void hub_user_done(void *ctx, enum err err, struct user *user);

/* Makes the user known if they are not, brings them and their threads into memory and pins them there. A `name` that
 * is not empty becomes their display name. On OK pair with hub_user_close. ERR_BAD_FIELD: not an acceptable id or
 * name. */
enum err hub_user_open(struct hub *hub, struct span id, struct span name, hub_user_done *done, void *ctx) must_check;
void hub_user_close(struct user *user);

/* How they are now; lives until the next call into the hub. */
struct presence user_presence(const struct user *user);

/* Whether they are available only because their last session ended a moment ago, with nobody's wish: they may be back
 * any time, or be gone when their grace is over. */
bool user_is_idle(const struct user *user);

/* Whether a name is that of anybody but `self` (a user id, known or not): their id, or their display name, which is
 * looked for only among those in memory (with FRIENDS_EVERYONE these are all). */
typedef void hub_name_done(void *ctx, enum err err, bool is_id, bool is_display_name);
enum err hub_name_find(struct hub *hub, struct span name, struct span self, hub_name_done *done, void *ctx) must_check;

/* Calls `visit` for each friend of `user`, without themselves, in no particular order. */
void hub_friends(struct user *user, void (*visit)(void *ctx, const struct presence *friend), void *ctx);

/* Sets show and status, durably, and tells friends: at the end of the turn, or when the store announces it.
 * ERR_BAD_FIELD: status is too long or not valid UTF-8. The user stays pinned by the caller. */
enum err hub_presence_set(struct user *user, enum show show, struct span status, store_done *done,
                          void *ctx) must_check;

/* --- sessions --------------------------------------------------------------------------------------------------- */

struct session;

/* None of these may free the session, or any other: not before the turn has ended. */
struct session_ops {
    const char *protocol; /* for operators: a word */
    enum metric gauge;    /* counts the protocol's attached sessions */

    /* Ends by itself each time it has something to say, and comes again at once (a poll): its user is not idle when
     * it ends, nor when other sessions of theirs end before it is back or its grace is over. */
    bool comes_again;

    /* Something to show. May detach this session and others, attach none. */
    void (*event)(struct session *session, struct event *event);

    /* What had been missed has been shown; with `more`, only a part of it, and hub_continue asks for the next part. */
    void (*settled)(struct session *session, bool more);

    /* The hub has detached the session: ERR_NO_TOKEN (expired or revoked), ERR_UNAUTHORIZED (the login's time is over),
     * ERR_SHUTTING_DOWN, ERR_STORE… May detach others. Its user is still in memory until this returns. */
    void (*close)(struct session *session, enum err why);

    /* For operators: where its client is. Null: nobody knows. */
    struct session_place (*place)(const struct session *session);
};

/* Where a session's client is; the span lives until the next call into the adapter. */
struct session_place {
    struct span address;  /* numeric, without a port; may be empty */
    uint32_t queue_bytes; /* waiting to be sent */
};

/* One connected client of one user. Embedded in the adapter's object; its fields are the core's. */
struct session {
    const struct session_ops *ops;
    struct user *user;
    struct session *prev, *next; /* of the user */
    struct session *next_fresh;
    struct grant *grant; /* the token it was opened with, or null */
    struct session *grant_prev, *grant_next;
    struct replay *replay; /* a page under way */
    struct expiry *expiry; /* the end of the identity, or null */
    struct cursor cursor;  /* what it has seen, until it is live */
    int64_t presence_mark;
    int64_t since_us; /* when it was attached, by the wall clock */
    uint32_t grace_ms;
    int64_t shown; /* hub->changes when it was last shown how everybody is */
    enum { SESSION_DETACHED, SESSION_FRESH, SESSION_REPLAY, SESSION_PAUSED, SESSION_LIVE } state;
    bool resume; /* starts with what came after `cursor` */

    /* While ops->event gives what the session itself asked for: a presence snapshot, missed messages. No more of that
     * comes than there are friends, or than a page holds, before the session goes on. */
    bool catching_up;
};

struct attach {
    bool resume;         /* `since` was given */
    struct cursor since; /* show what came after it first */
    int64_t
        presence_mark; /* as session_presence_mark said when the client last heard, here or on another node; 0: it knows nothing */
    const struct id *token; /* null: by login */
    int64_t expires_us;     /* wall clock: the end of the token or of the login; 0: of a login that does not end */
    uint32_t grace_ms;      /* as in hub_options, for a user whose last session this is; 0: as there */
};

/* Attaches a session to an opened user; the session keeps them in memory by itself. What it shows comes at the end of
 * the turn: first the presence of friends and of the user (unless presence_mark says that it is known), then what was
 * missed, then what happens. Without `resume`, what happens from now on. Errors: ERR_TOO_MANY_SESSIONS (of the user,
 * or of the token), ERR_NO_TOKEN (revoked since it was checked), ERR_SHUTTING_DOWN, ERR_NO_MEMORY; the session is not
 * attached. */
enum err hub_attach(struct session *session, const struct session_ops *ops, struct user *user,
                    const struct attach *attach) must_check;

/* Whether hub_attach would take a session of this user, opened with this token (null: by login), at the moment. Errors
 * as there. */
enum err hub_may_attach(const struct user *user, const struct id *token) must_check;

/* No callback comes after this. No effect on a session that is not attached. With a user's last session their grace
 * begins: they are still available, but idle; not idle if it comes again, or another does that ended beside it and
 * whose own grace is not over. */
void hub_detach(struct session *session);

/* The same for a client whose connection broke although it had to wait yet: while the user has other sessions nobody waits
 * for it, whatever its ops say. */
void hub_cut_off(struct session *session);

/* The same for a client that has said goodbye, which does not come again: with the last session the user is unavailable
 * at once (in the next turn, and not idle until then), and no session of an earlier one's grace is waited for. But one
 * that ended beside it and comes again is: they are available, and not idle, until its grace is over. */
void hub_leave(struct session *session);

/* A session by login now ends at `expires_us` (0: does not), for its user has shown a newer login. No effect on one by
 * token. ERR_NO_MEMORY: it ends when it would have. */
enum err hub_extend(struct session *session, int64_t expires_us) must_check;

/* After settled(more): the client has taken what it was given. */
void hub_continue(struct session *session);

/* Where the client would resume after all it was given so far; of a detached session, what it was given until then. */
struct cursor session_cursor(const struct session *session);

/* The presence mark for the client of a session, after all it was given so far; of a detached session, what it was
 * given until then. */
int64_t session_presence_mark(const struct session *session);

/* The presence mark for a client that has been given everything so far by a live session. */
int64_t hub_presence_mark(const struct hub *hub);

static inline bool session_attached(const struct session *session)
{
    return session->state != SESSION_DETACHED;
}

/* --- messages and threads --------------------------------------------------------------------------------------- */

/* More about a refused send. */
struct refusal {
    const char
        *field; /* which one is wrong: text, subject, language, attachments; null where it is none of them; static */
    unsigned retry_s; /* with ERR_TOO_MANY, when to come back */
};

/* Sends: `fields` without time; a nil id is replaced by a random one. ERR_BAD_FIELD, ERR_BAD_UTF8, ERR_TOO_LARGE
 * (limits), ERR_TOO_MANY; *ret_refusal is written then. `done` may report ERR_NO_THREAD, ERR_CONFLICT. Success means
 * durable. */
enum err hub_send(struct hub *hub, const struct message_fields *fields, store_append_done *done, void *ctx,
                  struct refusal *ret_refusal) must_check;

/* The two halves of hub_send, for whoever has to wait between them: whether the message may be sent, which takes one
 * from the sender's rate and does not look at the thread; and sending it, without asking again. */
enum err hub_send_check(struct hub *hub, const struct message_fields *fields, struct refusal *ret_refusal) must_check;
enum err hub_send_checked(struct hub *hub, const struct message_fields *fields, store_append_done *done,
                          void *ctx) must_check;

/* Takes one from the rate that a user's messages have, for what is told to others without becoming a message. Returns
 * 0, or the seconds until one may be taken. */
unsigned hub_pace(struct hub *hub, struct span user) must_check;

/* Finds or makes the thread of `actor` and `users` (repeats are dropped), or, with a room name and no users, enters
 * that room. Errors: ERR_NOT_FRIENDS, ERR_BAD_FIELD (room name), ERR_TOO_MANY_MEMBERS. `done` may report
 * ERR_FORBIDDEN: rooms are not open, and `actor` is no member of this one. */
enum err hub_thread_open(struct user *actor, const struct span *users, size_t count, struct span room,
                         store_thread_done *done, void *ctx) must_check;

/* Enters a room for a visit: who is no member yet is one until hub_visit_end, or for good where rooms are not open and
 * this one is made. Errors as of hub_thread_open. When `done`
 * has reported OK pair with hub_visit_end. */
enum err hub_room_visit(struct user *actor, struct span room, store_thread_done *done, void *ctx) must_check;

/* The same by a thread's id: one that `actor` is in, or an open room. `done` may report ERR_NO_THREAD: there is none
 * such, or it is others' and no room; ERR_FORBIDDEN and ERR_TOO_MANY_MEMBERS as above. */
enum err hub_thread_visit(struct user *actor, struct id thread, store_thread_done *done, void *ctx) must_check;

/* Whether somebody, known or not, could visit the thread as it is. Errors as `done` of hub_thread_visit reports them,
 * counted as there. */
enum err hub_may_visit(const struct hub *hub, const struct thread_record *thread, struct span user) must_check;

/* A visit is over; for `stays` see store_ops.visit_end. The user need not be in memory. `done` may report
 * ERR_NO_THREAD: they are no member any more. */
enum err hub_visit_end(struct hub *hub, struct id thread, struct span user, bool stays, store_thread_done *done,
                       void *ctx) must_check;

/* An owner adds a friend. ERR_NO_THREAD: `actor` is no member; ERR_FORBIDDEN: no owner; ERR_NOT_FRIENDS. `done` may
 * report ERR_TOO_MANY_MEMBERS. */
enum err hub_member_add(struct user *actor, struct id thread, struct span user, store_thread_done *done,
                        void *ctx) must_check;

/* An owner removes a member, or anyone themselves. ERR_NO_THREAD, ERR_FORBIDDEN. */
enum err hub_member_remove(struct user *actor, struct id thread, struct span user, store_thread_done *done,
                           void *ctx) must_check;

/* A user leaves a thread, whether or not they are in memory. `done` may report ERR_NO_THREAD: they were in none
 * such. */
enum err hub_thread_leave(struct hub *hub, struct id thread, struct span user, store_thread_done *done,
                          void *ctx) must_check;

/* Calls `visit` for each member of a thread in memory (each thread of an attached user is), none if it is not. */
void hub_members(const struct hub *hub, struct id thread, void (*visit)(void *ctx, struct span user, struct span name),
                 void *ctx);

/* Calls `visit` for each thread of an opened user, or of one with a session, in no particular order. */
void hub_user_threads(const struct user *user, void (*visit)(void *ctx, struct id thread), void *ctx);

/* Whether an opened user, or one with a session, is in this thread. */
bool hub_is_member(const struct user *user, struct id thread);

/* Whether a thread in memory is that of two users alone: no room, and nobody else in it. */
bool hub_is_direct(const struct hub *hub, struct id thread);

/* The thread that is, or would be, the room of this name. */
struct id hub_room_id(struct span room);

/* A thread as it is; see store_ops. */
void hub_thread_get(struct hub *hub, struct id thread, store_thread_done *done, void *ctx);

/* The user's threads with their last messages; see store_ops. */
void hub_threads(struct hub *hub, struct span user, store_threads_done *done, void *ctx);

/* Where a message of a thread is in the log; see store_ops. */
void hub_message_find(struct hub *hub, struct id message, store_message_done *done, void *ctx);

/* A page of a thread's messages; see store_ops. */
void hub_history(struct hub *hub, struct id thread, struct span user, struct cursor before, size_t limit,
                 store_page_done *done, void *ctx);

/* --- watching a thread ------------------------------------------------------------------------------------------ */

/* Somebody in a thread, as those see them who look at the thread as a place. */
struct occupant {
    struct presence presence;
    enum role role;
    bool idle; /* see user_is_idle; only while available */
};

struct thread_watch;

/* None of these may unwatch another than itself, attach or end a session, or call back into the hub but for what only
 * reads; `changed` may do all that. */
struct thread_watch_ops {
    /* Who is in the thread, or how one of them is, may have changed: at the end of a turn, and once after hub_watch, when
     * the thread is in memory. Presence is told to sessions before, new sessions begin after. */
    void (*changed)(struct thread_watch *watch);

    /* A message of the thread, in the log's order, before sessions get it. May be null. */
    void (*message)(struct thread_watch *watch, struct event *event);

    /* The watch is over by itself: ERR_NO_THREAD, ERR_STORE (the store was reset), ERR_NO_MEMORY, ERR_SHUTTING_DOWN. */
    void (*ended)(struct thread_watch *watch, enum err why);
};

/* A look at a thread from outside: who is in it, what is said there. It keeps the thread in memory, belongs to no user
 * and is seen by nobody. Embedded in its owner; the fields are the core's. */
struct thread_watch {
    const struct thread_watch_ops *ops;
    struct hub *hub;
    struct id thread;
    struct thread_watch *prev, *next; /* of the thread's watched */
    struct watched *watched;          /* null: not watching */
    bool fresh;                       /* has not been told anything yet */
};

/* Begins to watch. Errors: ERR_SHUTTING_DOWN, ERR_STORE, ERR_NO_MEMORY. */
enum err hub_watch(struct hub *hub, struct thread_watch *watch, const struct thread_watch_ops *ops,
                   struct id thread) must_check;

/* No callback comes after this. No effect on one that is over. */
void hub_unwatch(struct thread_watch *watch);

/* Calls `visit` for each member of the watched thread in order of joining, available or not; none until the thread is
 * in memory. What it is given lives until `visit` returns. Any time. */
void hub_occupants(const struct thread_watch *watch, void (*visit)(void *ctx, const struct occupant *occupant),
                   void *ctx);

/* One of them; false, and *ret_occupant untouched: they are no member. Its spans live until the next call into the
 * hub. */
bool hub_occupant(const struct thread_watch *watch, struct span user, struct occupant *ret_occupant) must_check;

/* The room name of the watched thread; null data: it has none, or is not in memory yet. Lives until the next call. */
struct span hub_watched_room(const struct thread_watch *watch);

/* --- looking around, for operators ------------------------------------------------------------------------------ */

struct session_view {
    struct presence user;
    const char *protocol;
    struct session_place place;
    int64_t since_us; /* wall clock */
    bool by_token;
    bool replaying; /* still being shown what was missed */
};

struct thread_view {
    struct id id;
    struct span room; /* null data: none */
    uint32_t members;
    uint32_t available;
    uint32_t watches;
    int64_t last_us; /* wall clock, when the last message was sent, since the thread is in memory; 0: none was */
};

/* A token that sessions are open with; the token itself is not told. */
struct token_view {
    struct span user;
    int64_t expires_us;
    uint32_t sessions;
    char begins[9]; /* the first eight characters, to tell one from another */
};

/* Each calls `visit` for each that is in the memory of this node, in no particular order. `visit` may not call into
 * the hub. The spans that it is given live until the next call into the hub. */
void hub_view_sessions(const struct hub *hub, void (*visit)(void *ctx, const struct session_view *view), void *ctx);
void hub_view_threads(const struct hub *hub, void (*visit)(void *ctx, const struct thread_view *view), void *ctx);
void hub_view_tokens(const struct hub *hub, void (*visit)(void *ctx, const struct token_view *view), void *ctx);

/* --- tokens ----------------------------------------------------------------------------------------------------- */

typedef void hub_token_done(void *ctx, enum err err, struct id token, int64_t ttl_ms);

/* A new token for an opened user. ERR_TOO_MANY (*ret_retry_s). */
enum err hub_token_issue(struct user *user, hub_token_done *done, void *ctx, unsigned *ret_retry_s) must_check;

/* Whose token it is. ERR_NO_TOKEN: unknown, expired or revoked. */
void hub_token_check(struct hub *hub, struct id token, store_token_done *done, void *ctx);

/* Revokes a token of `user`; its sessions end. ERR_NO_TOKEN: not one of theirs. */
void hub_token_revoke(struct hub *hub, struct id token, struct span user, store_done *done, void *ctx);

#endif
