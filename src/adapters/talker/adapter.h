/* SPDX-License-Identifier: MIT */
/*
 * Inside of the Talker adapter: what its files know of each other.
 *
 *     talk.c      a connection: socket, deadlines, session, its end
 *     command.c   what clients say: a table
 *     joining.c   from `connect` to the room's door
 *     room.c      who is in a room, and what they are told
 *     say.c       messages to the store
 *     splitter.h, writer.h   bytes to objects, events to bytes; they know none of this
 *
 *     talker ──> room (a thread with connections here; one watch) ──> person (who is in it, as they were last told)
 *        │          └──> talk (connected) ──> person
 *        └──> talk ──> joining (while it connects; outlives it while an answer is under way)
 *
 * A room lets in who waits when the hub says that it may have changed, or at the end of a turn (talker.c); it is freed
 * at the end of a turn only, so whoever holds one in a call of the hub finds it there when the call is over.
 */
#ifndef TALKER_ADAPTER_H
#define TALKER_ADAPTER_H

#include "adapters/talker/splitter.h"
#include "adapters/talker/talker.h"
#include "adapters/talker/writer.h"
#include "base/json.h"
#include "base/table.h"

/* The slots of an event that the adapter reserves: a message as everybody in its room gets it, and as a private one. */
enum { TALKER_SLOT_PUBLIC, TALKER_SLOT_PRIVATE, TALKER_SLOTS };

struct talk;
struct joining;
struct saying;

struct talker {
    struct talker_options options;
    struct hub *hub;
    struct auth *auth;
    struct loop *loop;
    struct conns *conns;
    struct room *rooms; /* by thread, but for those that are over */
    struct room *due;   /* to be settled at the end of the turn */
    struct talk *talks; /* all that are open */
    struct talk *spent; /* over, and without a socket: to be freed at the end of the turn */
    struct loop_task task;
    unsigned first_slot;
    bool shut;
};

/* --- connections */

enum talk_state {
    TALK_NEW,     /* has said nothing yet */
    TALK_JOINING, /* waits for `connected` */
    TALK_IN,      /* is in a room */
    TALK_OVER
};

struct talk {
    struct conn conn;
    struct session session;
    struct splitter splitter;
    struct timer deadline; /* to connect; then the end of its silence, looked at again when it is due */
    struct talker *talker;
    struct talk *next, *prev;           /* of the talker */
    struct joining *joining;            /* while it connects */
    struct room *room;                  /* while it is in one */
    struct person *person;              /* who it is there */
    struct talk *room_next, *room_prev; /* of the room */
    struct saying *sayings;             /* what it said that is not answered yet */
    unsigned saying_count;
    int64_t heard_ms;
    bool visits;    /* has entered its thread, and not left it yet */
    bool leaving;   /* has said goodbye, and waits for the answers to what it said before */
    bool unplugged; /* `conn` is over, and its address gone */
    uint8_t state;
};

/* Queues bytes; a reader that is too slow ends. Null: no memory, which ends it as well. */
void talk_send(struct talk *talk, struct blob *blob);

/* The same, paced by who sends it (conn_send_paced). */
void talk_send_paced(struct talk *talk, struct blob *blob);

/* An error that ends nothing. */
void talk_tell_error(struct talk *talk, struct span sentence);

/* Ends it from our side, with an error as the last thing. The user is not said to have left: they may be back. */
void talk_end(struct talk *talk, const char *sentence);

/* The same for what the client has done wrong, or left undone. */
void talk_refuse(struct talk *talk, const char *sentence);

/* The client has said goodbye: its user leaves, as soon as what was said before has been answered. To be called again
 * when some of it has. */
void talk_leave(struct talk *talk);

/* Frees those that are over when their sockets are. */
void talks_free_spent(struct talker *talker);

/* Attaches the session of one whose user is open. */
enum err talk_attach(struct talk *talk, struct user *user, const struct attach *attach) must_check;

/* It is in the room: from now on its silence counts. */
void talk_begin(struct talk *talk, struct room *room, struct person *person);

/* An object has come. */
void talk_hear(struct talk *talk, struct span text);

/* --- connecting */

/* What `connect` says. */
struct connect_fields {
    struct span room;
    struct span token;
    struct span last_event_id; /* null data: none */
};

struct joining {
    struct talker *talker;
    struct hub *hub;
    struct talk *talk; /* null: it has gone */
    struct user *user; /* pinned; null: not opened yet */
    struct attach attach;
    struct id token;
    struct id thread;
    struct room *room; /* where it waits, or null: an answer is under way */
    struct joining *next_waiting, *prev_waiting;
    bool entered;                         /* the thread, for a visit */
    const char *missed;                   /* what to say about last_event_id; null: nothing */
    struct cursor joined;                 /* the log's head when the user became a member */
    struct span room_name, last_event_id; /* in text */
    char text[];
};

void joining_begin(struct talk *talk, const struct connect_fields *fields);

/* The connection ends before it was let in. */
void joining_abandon(struct joining *joining);

/* It was let in; the joining is freed. */
void joining_end(struct joining *joining);

/* It was not: the connection ends, for what its client lacks or for a failure of ours, and the joining is freed. */
void joining_refuse(struct joining *joining, const char *sentence);
void joining_fail(struct joining *joining, enum err err);

/* Ends the visit that `connect` is (hub_visit_end); nobody waits for the answer. */
void talker_visit_end(struct hub *hub, struct id thread, struct span user, bool stays);

/* --- rooms */

struct person {
    UT_hash_handle hh;
    struct person *next_changed;
    char *name;   /* owned; null: none */
    char *status; /* owned; null: none */
    uint32_t talks;
    uint32_t seen;      /* room->stamp when they were last found to be a member */
    const char *change; /* the event that tells what has changed about them; static */
    uint8_t show;
    bool here; /* available, and a member */
    bool idle;
    uint16_t id_len;
    char id[];
};

struct room {
    UT_hash_handle hh;
    struct talker *talker;
    struct thread_watch watch;
    struct person *people;
    struct talk *talks;
    struct joining *waiting;     /* to be let in */
    struct person *changed;      /* during a look around */
    struct person **changed_end; /* where the next one goes */
    struct room *due_next, *due_prev;
    uint32_t stamp;
    enum err why;  /* it is over; OK: it is not */
    bool ready;    /* the thread is in memory */
    bool newcomer; /* who is about to be heard has come, as the hub knows, but has not been told of */
    bool is_due;
};

/* Lets a joining in at the end of the turn, or when the thread is in memory. */
void talker_room_wait(struct joining *joining);

/* Takes it off again. */
void talker_room_forget(struct joining *joining);

/* A connection has gone out of its room. */
void talker_room_leave(struct talk *talk);

/* Who is in the room, by id; null: nobody of that id is. */
struct person *talker_room_find(const struct room *room, struct span id);

/* The same by display name, without `self`. *ret_count: how many have that name. */
struct person *talker_room_find_name(const struct room *room, struct span name, const struct person *self,
                                     unsigned *ret_count);

/* Before a message is shown: tells who has come to say it. */
void talker_room_introduce(struct room *room);

/* Does what is due: lets in who waits, ends what is over, frees what is empty. */
void talker_room_settle(struct room *room);

/* Frees a room without connections. */
void talker_room_free(struct room *room);

static inline struct span person_id(const struct person *person)
{
    return (struct span){person->id, person->id_len};
}

/* --- messages */

/* Says something in the room, or to one person in it only (null: to all). */
void talk_say(struct talk *talk, struct span content, const struct person *to);

/* The connection is gone; answers that are under way are for nobody. */
void sayings_forget(struct talk *talk);

#endif
