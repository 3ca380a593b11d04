/* SPDX-License-Identifier: MIT */
/*
 * The core's own state, shared by the files of src/core and seen by nobody else.
 *
 *     hub ── users (by id) ──< sessions          a user is ACTIVE while a session, a pin or a timer holds them: then all their
 *      ├──── threads (by id) ──< members         threads are in memory; a STUB is only known as somebody's fellow member,
 *      │                                         and may well be active on another node
 *      ├──── grants (by token) ──< sessions      a thread is in memory while one of its members is active, or while it is
 *      └──── watched (by thread) ──< watches     watched
 *
 * With FRIENDS_EVERYONE all users that the store knows stay in memory, as stubs at least.
 *
 * Where the store counts versions of users (hub->versioned), other nodes change users as well. Then each change is told
 * when the store announces it, not when it is first seen in an answer or made here: so the mark of presence that
 * clients hold can be the version announced last, which means the same on every node. Until then the change is UNTOLD.
 *
 * A user whose last session ended with nobody's wish is IDLE until their grace is over. That alone is no presence:
 * sessions are not told, only watches are.
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
    struct watched *watched;         /* threads that are watched */
    struct watched *touched;         /* whose watches have something to look at this turn */
    struct thread_watch *next_watch; /* to be told, while watches are */
    struct session *fresh;           /* attached this turn */
    struct user *dirty;              /* whose presence changed this turn */
    struct event *snapshot;          /* of everyone, as of now; null when it must be made anew */
    struct rate *sends;
    struct rate *tokens;
    struct cursor cursor;
    /* What has been told to all who are live. Without versions it counts changes, from the wall clock at start:
     * marks of an earlier run are older. With versions it is the last one announced by the end of a turn. */
    int64_t presence_mark;
    int64_t announced;    /* the last version announced, told or not; 0 without versions */
    int64_t lost_until;   /* marks beyond presence_mark, up to this, speak of changes that the store has lost */
    int64_t changes;      /* counts changes of what a snapshot says */
    struct loading *load; /* the users list being read */
    struct timer reload;  /* tries again to read it */
    struct timer again;   /* asks for another turn: this one's end has led to news */
    uint32_t stamp;       /* tells visited users apart within one walk */
    uint32_t generation;  /* counts resets: answers to calls of an earlier one are old */
    enum err shut;        /* OK while sessions are taken */
    bool joined;          /* somebody came into a thread this turn: what has not been told has no mark yet */
    bool versioned;       /* the store counts versions of users */
    bool reached;         /* the store has been started */
    bool started;         /* what must be known has been read as well */
};

struct user {
    UT_hash_handle hh;
    struct hub *hub;
    struct session *sessions;
    struct thread **threads; /* owned array: those in memory that they are in, all of theirs while active */
    struct user *next_dirty;
    struct timer timer;       /* grace after the last session; then, or after the last pin, until inactive */
    char *name;               /* owned, null for none */
    char *status;             /* owned, null for none */
    int64_t presence_mark;    /* of the last change that concerned them */
    int64_t version;          /* of what is known of them */
    int64_t news;             /* the version of the last change that sessions are told of */
    int64_t awaited_until_ms; /* a poll that ended beside other sessions may come again; past or 0: none will */
    uint32_t thread_count;
    uint32_t thread_cap;
    uint32_t listed; /* lists of members that they are in; now and then two of one thread */
    uint32_t pins;
    uint32_t stamp;
    uint32_t session_count;
    uint16_t id_len;
    uint8_t show;
    uint8_t lease;  /* as the store was told last */
    bool known : 1; /* to the store */
    bool active : 1;
    bool here : 1;      /* has sessions on this node, or had until their grace is over: holds a lease */
    bool awaited : 1;   /* here without a session, but not idle: a poll will come again, or they have said goodbye */
    bool goodbye : 1;   /* they have: nobody waits for them */
    bool elsewhere : 1; /* the store's last word: some node holds a lease, perhaps this one */
    bool idle : 1;      /* the store's last word: all these leases are idle ones */
    bool heard : 1;     /* the store has said `elsewhere` since they came here: their lease was taken */
    bool dirty : 1;
    bool untold : 1;         /* to be told when the store announces it, whether or not anything changes then */
    bool wants_snapshot : 1; /* came into a thread: must be told how its members are */
    bool joins_unseen : 1;   /* members may have come that no mark tells of; see sessions_forget_marks */
    char id[];
};

struct member {
    struct user *user;
    struct cursor joined; /* gets messages after it */
    enum role role;
};

struct thread {
    UT_hash_handle hh;
    struct id id;
    struct member *members;  /* owned array */
    char *room;              /* owned; its public name, null for none */
    struct watched *watched; /* null: nobody does */
    int64_t last_us;         /* when the last message was sent, since the thread is in memory; 0: none was */
    uint32_t member_count;
    uint32_t active_count;
};

static inline struct span user_id(const struct user *user)
{
    return (struct span){user->id, user->id_len};
}

/* Without a session they are here for as long as the store has not told that this has ended: with a goodbye that they
 * have said on another node. */
static inline bool user_available_here(const struct user *user)
{
    return user->here && (user->sessions || user->awaited || !user->heard);
}

static inline bool user_available(const struct user *user)
{
    return user_available_here(user) || user->elsewhere;
}

/* --- hub.c */

/* What a call that needs the store is answered with at once: ERR_STORE until the store has been reached. */
static inline enum err hub_closed(const struct hub *hub)
{
    return hub->started ? OK : ERR_STORE;
}

/* --- user.c */
struct user *user_find(const struct hub *hub, struct span id);

/* Finds a user or makes a stub; null: no memory. */
struct user *user_get(struct hub *hub, struct span id) must_check;

/* Takes over what the store says, unless something newer is known. A change is told at the end of the turn, or, if
 * the store has not announced it yet, when it does. ERR_NO_MEMORY: it was taken over in part. */
enum err user_update(struct user *user, const struct user_record *record) must_check;
void user_announced(struct store_sink *sink, const struct user_record *record);
void users_leased(struct store_sink *sink, void (*visit)(void *ctx, struct span user, enum lease lease), void *ctx);

/* Adds to or takes from the threads in memory that they are in. */
enum err user_add_thread(struct user *user, struct thread *thread) must_check;
void user_drop_thread(struct user *user, struct thread *thread);

/* Frees a stub that nothing holds any more. */
void user_release(struct user *user);

/* Ends their sessions and takes their threads out of memory, as if they had never been opened; opening them reads
 * all anew. For when memory no longer tells the truth. */
void user_deactivate(struct user *user, enum err why);

/* Their first session came; their last one went: `awaited`, to come again. */
void user_arrived(struct user *user);
void user_left(struct user *user, bool awaited, int64_t grace_ms);
void user_said_goodbye(struct user *user);

/* A poll of theirs ended while they have other sessions. Should these end before it comes again, the user is awaited
 * nevertheless, for as long as its grace is. */
void user_awaits_poll(struct user *user, int64_t grace_ms);

void users_forget(struct hub *hub);

/* Ends all sessions with `why` and takes everybody out of memory but those who are pinned; of these nothing is known
 * any more. */
void users_lose(struct hub *hub, enum err why);

/* --- thread.c */
struct thread *thread_find(const struct hub *hub, struct id id);
const struct member *thread_member(const struct thread *thread, const struct user *user);

/* Takes all threads out of memory. */
void threads_forget(struct hub *hub);

/* Brings a thread into memory that is not there. */
enum err thread_load(struct hub *hub, const struct thread_record *record) must_check;

/* Takes it out of memory unless somebody needs it. */
void thread_release(struct hub *hub, struct thread *thread);

/* Brings the threads of a user who has just become active into memory. */
enum err threads_load(struct user *user, const struct thread_record *records, size_t count) must_check;

/* The active user is leaving memory: forgets threads nobody else needs. */
void threads_unload(struct user *user);
void thread_announced(struct store_sink *sink, const struct thread_record *record, struct span left);

/* Whether any member of their threads joined at `since` or later. */
bool threads_joined_since(const struct user *user, struct cursor since);

/* --- presence.c */

/* What snapshots show has changed, and is to be told at the end of the turn. */
void presence_changed(struct user *user);

/* It has changed, and is to be told when the store announces it. */
void presence_foreseen(struct user *user);

/* To be told at the end of the turn to all who have not been shown it by a snapshot since it changed. */
void presence_tell(struct user *user);

/* The users list itself changed. */
void presence_forget_snapshot(struct hub *hub);

/* False: there was no memory, what is left is told next time. */
bool presence_flush(struct hub *hub);

/* The mark of the last change that this user may see. */
int64_t user_mark(const struct user *user);

/* Whether `a` may talk to and see `b`. */
bool are_friends(struct user *a, struct user *b);

/* The presence of the user and their friends as one event, or null without memory. */
struct event *presence_snapshot(struct user *user, struct cursor cursor) must_check;

/* Only of those who have changed since a mark of a hub with versions; null where there are none. ERR_NO_MEMORY. */
enum err presence_since(struct user *user, int64_t mark, struct cursor cursor, struct event **ret_event) must_check;

/* --- session.c */
void sessions_begin(struct hub *hub);

/* Fellows have come or gone, which no mark tells where marks are versions: whatever the clients of this user hold,
 * they do not know how everybody is. */
void sessions_forget_marks(struct user *user);
void session_end(struct session *session, enum err why);

/* Whether a page has shown a live session more of the log than the hub has delivered yet. */
bool session_is_ahead(const struct session *session);

/* Shows the session how everybody is. It may be detached after. */
void session_show_presence(struct session *session);

/* --- expiry.c: the time that a login has */
enum err expiry_start(struct session *session, int64_t expires_us) must_check;
void expiry_stop(struct session *session);

/* --- watch.c */

/* Tells watches at the end of the turn. */
void watches_flush(struct hub *hub);

/* A thread has come into memory, is going, has changed, has got a message. */
void watch_thread_came(struct hub *hub, struct thread *thread);
void watch_thread_goes(struct thread *thread);
void watch_thread_changed(const struct thread *thread);
void watch_message(const struct thread *thread, struct event *event);

uint32_t watch_count(const struct thread *thread) must_check;

/* How a user is has changed in something that watches may see. */
void watch_user_changed(const struct user *user);

/* Ends the watches of a thread, of all. */
void watch_thread_failed(struct hub *hub, struct id thread, enum err why);
void watches_end(struct hub *hub, enum err why);

/* No watch is left; the hub is being freed. */
void watches_forget(struct hub *hub);

/* --- token.c */
enum err grant_has_room(const struct hub *hub, struct id token) must_check;

/* Ties the session to its token; there is room (grant_has_room). */
enum err grant_join(struct hub *hub, struct session *session, struct id token, int64_t expires_us) must_check;
void grant_leave(struct session *session);
void grants_forget(struct hub *hub);
void grant_revoked(struct store_sink *sink, struct id token);
void grants_used(struct store_sink *sink, void (*visit)(void *ctx, struct id token, int64_t expires_us), void *ctx);

#endif
