/* SPDX-License-Identifier: MIT */
/*
 * Rooms: who is there, as those in it were last told.
 *
 * A room looks around when the hub says that something may have changed, and when it lets somebody in. What it finds
 * is compared with what it knew; each difference is an event, made once and queued on every connection. So whatever
 * has happened meanwhile, and in whichever protocol, nobody is told anything twice, or anything untrue.
 *
 * Newcomers that wait together are let in together: attached, then told of to the others, then given one list.
 */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "adapters/talker/adapter.h"

/* --- people */

static struct talker_user shown(const struct person *person)
{
    return (struct talker_user){
        .id = person_id(person),
        .name = span_of(person->name),
        .status = span_of(person->status),
        .show = (enum show)person->show,
        .idle = person->idle,
    };
}

struct person *talker_room_find(const struct room *room, struct span id)
{
    struct person *person = NULL;
    if (id.len)
        HASH_FIND(hh, room->people, id.data, id.len, person);
    return person && person->here ? person : NULL;
}

struct person *talker_room_find_name(const struct room *room, struct span name, const struct person *self,
                                     unsigned *ret_count)
{
    struct person *person, *next, *found = NULL;
    *ret_count = 0;
    HASH_ITER (hh, room->people, person, next) {
        if (!person->here || person == self || !name.len || !span_equal(span_of(person->name), name))
            continue;
        found = person;
        ++*ret_count;
    }
    return found;
}

static struct person *person_new(struct room *room, struct span id)
{
    struct person *person = calloc(1, sizeof(*person) + id.len);
    if (!person)
        return NULL;
    person->id_len = (uint16_t)id.len;
    memcpy(person->id, id.data, id.len);
    HASH_ADD_KEYPTR(hh, room->people, person->id, person->id_len, person);
    if (table_added(person))
        return person;
    free(person);
    return NULL;
}

static void person_free(struct room *room, struct person *person)
{
    HASH_DEL(room->people, person);
    free(person->name);
    free(person->status);
    free(person);
}

/* Replaces *text, null standing for empty. False: no memory, nothing changed. */
static bool replace(char **text, struct span with)
{
    char *copy = with.len ? span_copy(with) : NULL;
    if (with.len && !copy)
        return false;
    free(*text);
    *text = copy;
    return true;
}

/* --- when it is over */

static void be_due(struct room *room)
{
    if (!room->is_due)
        DL_APPEND2(room->talker->due, room, due_prev, due_next);
    room->is_due = true;
    loop_again(room->talker->loop);
}

/* Those who connect from now on get a new one. */
static void room_over(struct room *room, enum err why)
{
    if (room->why)
        return;
    room->why = why;
    HASH_DEL(room->talker->rooms, room);
    be_due(room);
}

/* --- looking around */

/* Talker's idle is everything but being there and ready to talk. */
static bool is_idle(const struct occupant *occupant)
{
    enum show show = occupant->presence.show;
    return occupant->idle || show == SHOW_AWAY || show == SHOW_XA || show == SHOW_DND;
}

static bool is_same(const struct person *person, const struct presence *presence)
{
    return person->show == presence->show && span_equal(span_of(person->name), presence->name) &&
           span_equal(span_of(person->status), presence->status);
}

/* Which event tells the difference; null: none does. Why one is idle may change, and is told by another `idle`; there
 * is no event for a new name or status of one who is not. */
static const char *change_of(const struct person *person, const struct occupant *occupant)
{
    if (!occupant->presence.available)
        return person->here ? "leave" : NULL;
    if (!person->here)
        return "join";
    bool idle = is_idle(occupant);
    if (idle != person->idle)
        return idle ? "idle" : "back";
    return idle && !is_same(person, &occupant->presence) ? "idle" : NULL;
}

static void note_change(struct room *room, struct person *person, const char *change)
{
    person->change = change;
    person->next_changed = NULL;
    *room->changed_end = person;
    room->changed_end = &person->next_changed;
}

/* A member. Whoever is not available, and was not before, is of no interest. */
static void look_at(void *ctx, const struct occupant *occupant)
{
    struct room *room = ctx;
    const struct presence *presence = &occupant->presence;
    struct person *person = NULL;
    HASH_FIND(hh, room->people, presence->user.data, presence->user.len, person);
    if (!person && !presence->available)
        return;
    if (!person)
        person = person_new(room, presence->user);
    if (!person) {
        room_over(room, ERR_NO_MEMORY);
        return;
    }
    const char *change = change_of(person, occupant);
    if (change)
        note_change(room, person, change);
    bool same = is_same(person, presence);
    if (!same && !(replace(&person->name, presence->name) && replace(&person->status, presence->status)))
        room_over(room, ERR_NO_MEMORY);
    person->seen = room->stamp;
    person->show = (uint8_t)presence->show;
    person->here = presence->available;
    person->idle = is_idle(occupant);
}

/* Whoever was not found is no member any more. */
static void note_removed(struct room *room)
{
    struct person *person, *next;
    HASH_ITER (hh, room->people, person, next) {
        if (person->seen == room->stamp)
            continue;
        if (person->here)
            note_change(room, person, "leave");
        person->here = false;
    }
}

static const char not_in_room[] = "you are no longer in this room";

static void end_removed(struct room *room)
{
    for (struct talk *talk = room->talks, *next; talk; talk = next) {
        next = talk->room_next;
        if (talk->person->seen == room->stamp)
            continue;
        talk->visits = false; /* no longer */
        talk_end(talk, not_in_room);
    }
}

/* --- telling */

static int64_t wall_us(const struct room *room)
{
    return clock_wall_us(loop_clock(room->talker->loop));
}

/* Null: no memory. */
static struct blob *change_blob(const struct room *room, const struct person *person)
{
    struct buf out = BUF_INIT;
    struct talker_user user = shown(person);
    if (person->here)
        talker_write_presence(&out, person->change, &user, wall_us(room));
    else
        talker_write_leave(&out, user.id, wall_us(room));
    struct blob *blob = buf_blob(&out);
    buf_fini(&out);
    return blob;
}

/* A connection that cannot take it ends, which takes it off the list. */
static void tell_all(struct room *room, struct blob *take_blob)
{
    for (struct talk *talk = room->talks, *next; talk; talk = next) {
        next = talk->room_next;
        talk_send(talk, take_blob);
    }
    blob_unref(take_blob);
}

static void tell_changes(struct room *room)
{
    for (struct person *person = room->changed; person && room->talks; person = person->next_changed)
        tell_all(room, change_blob(room, person));
    room->changed = NULL;
}

static void forget_gone(struct room *room)
{
    struct person *person, *next;
    HASH_ITER (hh, room->people, person, next)
        if (!person->here && !person->talks)
            person_free(room, person);
}

static void look_around(struct room *room)
{
    room->stamp++;
    room->newcomer = false;
    room->changed_end = &room->changed;
    hub_occupants(&room->watch, look_at, room);
    note_removed(room);
    end_removed(room);
    tell_changes(room);
    forget_gone(room);
}

void talker_room_introduce(struct room *room)
{
    if (room->newcomer && !room->why)
        look_around(room);
}

/* --- letting in */

/* Null: no memory. */
static struct blob *users_blob(const struct room *room)
{
    struct buf out = BUF_INIT;
    struct person *person, *next;
    talker_write_users_begin(&out);
    HASH_ITER (hh, room->people, person, next) {
        struct talker_user user = shown(person);
        if (person->here)
            talker_write_users_add(&out, &user);
    }
    talker_write_users_end(&out);
    struct blob *blob = buf_blob(&out);
    buf_fini(&out);
    return blob;
}

static void send_connected(struct talk *talk)
{
    struct buf out = BUF_INIT;
    struct talker_user user = shown(talk->person);
    talker_write_connected(&out, &user);
    struct blob *blob = buf_blob(&out);
    talk_send_paced(talk, blob);
    blob_unref(blob);
    buf_fini(&out);
}

static void welcome(struct room *room, struct joining *joining, struct blob *users)
{
    struct talk *talk = joining->talk;
    struct person *person = talker_room_find(room, user_presence(joining->user).user);
    if (!person) {
        joining_refuse(joining, not_in_room);
        return;
    }
    person->talks++;
    DL_APPEND2(room->talks, talk, room_prev, room_next);
    talk_begin(talk, room, person);
    joining->entered = false; /* the visit is the connection's now */
    send_connected(talk);
    talk_send_paced(talk, users);
    if (joining->missed)
        talk_tell_error(talk, span_of(joining->missed));
    joining_end(joining);
}

/* Takes those off the list that are attached now. */
static struct joining *attach_waiting(struct room *room)
{
    struct joining *attached = NULL;
    while (room->waiting) {
        struct joining *joining = room->waiting;
        DL_DELETE2(room->waiting, joining, prev_waiting, next_waiting);
        joining->room = NULL;
        joining->attach.presence_mark = hub_presence_mark(joining->hub); /* the room shows who is there */
        enum err err = talk_attach(joining->talk, joining->user, &joining->attach);
        if (err)
            joining_fail(joining, err);
        else
            DL_APPEND2(attached, joining, prev_waiting, next_waiting);
    }
    return attached;
}

static void let_in(struct room *room)
{
    struct joining *attached = attach_waiting(room);
    look_around(room);
    struct blob *users = users_blob(room);
    while (attached) {
        struct joining *joining = attached;
        DL_DELETE2(attached, joining, prev_waiting, next_waiting);
        welcome(room, joining, users);
    }
    blob_unref(users);
    if (!room->talks && !room->waiting)
        be_due(room); /* nobody could be let in */
}

/* --- the watch */

static struct room *room_of(struct thread_watch *watch)
{
    return container_of(watch, struct room, watch);
}

static void room_changed(struct thread_watch *watch)
{
    struct room *room = room_of(watch);
    if (room->why)
        return;
    room->ready = true;
    if (room->waiting)
        let_in(room);
    else
        look_around(room);
}

/* Once for all who will get it. */
static void room_message(struct thread_watch *watch, struct event *event)
{
    struct room *room = room_of(watch);
    struct span sender = event->message->fields.sender;
    struct occupant occupant;
    room->newcomer =
        !talker_room_find(room, sender) && hub_occupant(watch, sender, &occupant) && occupant.presence.available;
}

static void room_ended(struct thread_watch *watch, enum err why)
{
    room_over(room_of(watch), why);
}

static const struct thread_watch_ops room_watch_ops = {
    .changed = room_changed, .message = room_message, .ended = room_ended};

/* --- a room's life */

static enum err room_new(struct talker *talker, struct id thread, struct room **ret_room)
{
    struct room *room = calloc(1, sizeof(*room));
    if (!room)
        return ERR_NO_MEMORY;
    room->talker = talker;
    enum err err = hub_watch(talker->hub, &room->watch, &room_watch_ops, thread);
    if (err) {
        free(room);
        return err;
    }
    HASH_ADD(hh, talker->rooms, watch.thread, sizeof(thread), room);
    if (!table_added(room)) {
        hub_unwatch(&room->watch);
        free(room);
        return ERR_NO_MEMORY;
    }
    *ret_room = room;
    return OK;
}

static enum err room_get(struct talker *talker, struct id thread, struct room **ret_room)
{
    HASH_FIND(hh, talker->rooms, &thread, sizeof(thread), *ret_room);
    return *ret_room ? OK : room_new(talker, thread, ret_room);
}

void talker_room_free(struct room *room)
{
    struct person *person, *next;
    hub_unwatch(&room->watch);
    HASH_ITER (hh, room->people, person, next)
        person_free(room, person);
    if (!room->why)
        HASH_DEL(room->talker->rooms, room);
    if (room->is_due)
        DL_DELETE2(room->talker->due, room, due_prev, due_next);
    free(room);
}

void talker_room_wait(struct joining *joining)
{
    struct room *room;
    enum err err = room_get(joining->talk->talker, joining->thread, &room);
    if (err) {
        joining_fail(joining, err);
        return;
    }
    joining->room = room;
    DL_APPEND2(room->waiting, joining, prev_waiting, next_waiting);
    if (room->ready)
        be_due(room);
}

void talker_room_forget(struct joining *joining)
{
    DL_DELETE2(joining->room->waiting, joining, prev_waiting, next_waiting);
    be_due(joining->room);
    joining->room = NULL;
}

void talker_room_leave(struct talk *talk)
{
    struct room *room = talk->room;
    DL_DELETE2(room->talks, talk, room_prev, room_next);
    talk->person->talks--;
    talk->room = NULL;
    if (!room->talks)
        be_due(room);
}

/* Everybody goes; they may come back at once. */
static void end_all(struct room *room)
{
    while (room->talks)
        talk_end(room->talks, err_sentence(room->why));
    while (room->waiting) {
        struct joining *joining = room->waiting;
        DL_DELETE2(room->waiting, joining, prev_waiting, next_waiting);
        joining->room = NULL;
        joining_fail(joining, room->why);
    }
}

void talker_room_settle(struct room *room)
{
    if (room->why)
        end_all(room);
    else if (room->ready && room->waiting)
        let_in(room);
    if (!room->talks && !room->waiting)
        talker_room_free(room);
}
