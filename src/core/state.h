/* SPDX-License-Identifier: MIT */
/*
 * The core's own state, shared by the files of src/core and seen by nobody else.
 *
 *     hub ── users (by id) ──< sessions          a user is ACTIVE while a session, a pin or a timer holds them: then all their
 *      ├──── threads (by id) ──< members         threads are in memory; a STUB is only known as somebody's fellow member
 *      └──── grants (by token) ──< sessions      a thread is in memory while one of its members is active
 *
 * With FRIENDS_EVERYONE all users that the store knows stay in memory, as stubs at least.
 */
#ifndef CORE_STATE_H
#define CORE_STATE_H

#include "base/rate.h"
#include "base/table.h"
#include "core/hub.h"

struct hub {
    struct hub_options options;
    struct store *store;
    struct store_sink sink;
    struct timers *timers;
    const struct clock *clock;
    struct user *users;
    struct thread *threads;
    struct grant *grants;
    struct session *fresh;  /* attached this turn */
    struct user *dirty;     /* whose presence changed this turn */
    struct event *snapshot; /* of everyone, as of now; null when it must be made anew */
    struct rate *sends;
    struct rate *tokens;
    struct cursor cursor;
    int64_t
        presence_mark; /* counts presence changes, from the wall clock at start: marks of an earlier run are older */
    uint32_t stamp;    /* tells visited users apart within one walk */
    enum err shut;     /* OK while sessions are taken */
};

struct user {
    UT_hash_handle hh;
    struct hub *hub;
    struct session *sessions;
    struct thread **threads; /* owned array; only while active */
    struct user *next_dirty;
    struct timer timer;    /* grace after the last session; then, or after the last pin, until inactive */
    char *name;            /* owned, null for none */
    char *status;          /* owned, null for none */
    int64_t presence_mark; /* of the last change that concerned them */
    uint32_t thread_count;
    uint32_t thread_cap;
    uint32_t listed; /* threads in memory that have them as a member */
    uint32_t pins;
    uint32_t stamp;
    uint32_t session_count;
    uint16_t id_len;
    uint8_t show;
    bool known; /* to the store */
    bool active;
    bool available;
    bool dirty;
    bool wants_snapshot; /* came into a thread: must be told how its members are */
    char id[];
};

struct member {
    struct user *user;
    enum role role;
};

struct thread {
    UT_hash_handle hh;
    struct id id;
    struct member *members; /* owned array */
    uint32_t member_count;
    uint32_t active_count;
};

static inline struct span user_id(const struct user *user)
{
    return (struct span){user->id, user->id_len};
}

/* --- user.c */
struct user *user_find(const struct hub *hub, struct span id);

/* Finds a user or makes a stub; null: no memory. */
struct user *user_get(struct hub *hub, struct span id) must_check;

/* Takes over name, show and status from the store. A change is announced at the end of the turn. */
enum err user_update(struct user *user, const struct user_record *record) must_check;

/* Adds to or takes from the threads of an active user. */
enum err user_add_thread(struct user *user, struct thread *thread) must_check;
void user_drop_thread(struct user *user, struct thread *thread);

/* Frees a stub that nothing holds any more. */
void user_release(struct user *user);

/* Ends their sessions and takes their threads out of memory, as if they had never been opened; opening them reads all anew. For when
 * memory no longer tells the truth. */
void user_deactivate(struct user *user, enum err why);

/* Their first session came; their last one went. */
void user_arrived(struct user *user);
void user_left(struct user *user);

void users_forget(struct hub *hub);

/* --- thread.c */
struct thread *thread_find(const struct hub *hub, struct id id);
const struct member *thread_member(const struct thread *thread, const struct user *user);

/* Brings a thread of a user who is becoming active into memory. */
enum err thread_load(struct user *user, const struct thread_record *record) must_check;

/* The active user is leaving memory: forgets threads nobody else needs. */
void threads_unload(struct user *user);
void thread_announced(struct store_sink *sink, const struct thread_record *record, struct span left);

/* --- presence.c */
void presence_changed(struct user *user);

/* The users list itself changed. */
void presence_forget_snapshot(struct hub *hub);
void presence_flush(struct hub *hub);

/* The mark of the last change that this user may see. */
int64_t user_mark(const struct user *user);

/* Whether `a` may talk to and see `b`. */
bool are_friends(struct user *a, struct user *b);

/* The presence of the user and their friends as one event, or null without memory. */
struct event *presence_snapshot(struct user *user, struct cursor cursor) must_check;

/* --- session.c */
void sessions_begin(struct hub *hub);
void session_end(struct session *session, enum err why);

/* Whether a page has shown a live session more of the log than the hub has delivered yet. */
bool session_is_ahead(const struct session *session);

/* Shows the session how everybody is. It may be detached after. */
void session_show_presence(struct session *session);

/* --- token.c */
enum err grant_has_room(const struct hub *hub, struct id token) must_check;

/* Ties the session to its token; there is room (grant_has_room). */
enum err grant_join(struct hub *hub, struct session *session, struct id token, int64_t expires_us) must_check;
void grant_leave(struct session *session);
void grants_forget(struct hub *hub);
void grant_revoked(struct store_sink *sink, struct id token);

#endif
