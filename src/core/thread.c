/* SPDX-License-Identifier: MIT */
/*
 * Threads in memory: who gets a message.
 *
 * The store is the truth. A thread is read with the first active member, or when somebody begins to watch it, and then
 * follows the store's announcements; when its last active member has left memory and nobody watches it, so does it.
 */
#include "core/state.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/utf8.h"

/* Room names become thread ids in this name space (a random UUID of our own; RFC 4122 section 4.3). */
static const struct id room_space = {
    {0x5d, 0x1c, 0x31, 0x0e, 0x8a, 0x5b, 0x4d, 0x0e, 0x9b, 0x3a, 0x6e, 0x65, 0x72, 0x65, 0x69, 0x64}};

struct thread *thread_find(const struct hub *hub, struct id id)
{
    struct thread *thread = NULL;
    HASH_FIND(hh, hub->threads, &id, sizeof(id), thread);
    return thread;
}

const struct member *thread_member(const struct thread *thread, const struct user *user)
{
    for (uint32_t i = 0; i < thread->member_count; i++)
        if (thread->members[i].user == user)
            return &thread->members[i];
    return NULL;
}

static struct thread *thread_new(struct hub *hub, struct id id)
{
    struct thread *thread = calloc(1, sizeof(*thread));
    if (!thread)
        return NULL;
    thread->id = id;
    HASH_ADD(hh, hub->threads, id, sizeof(id), thread);
    if (!table_added(thread)) {
        free(thread);
        return NULL;
    }
    metric_add(METRIC_THREADS, 1);
    watch_thread_came(hub, thread);
    return thread;
}

/* Lets go of a list of members that the thread no longer has. */
static void release_members(struct member *members, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        members[i].user->listed--;
        user_release(members[i].user);
    }
    free(members);
}

/* Takes the thread from its members. */
static void unlink_members(struct thread *thread)
{
    for (uint32_t i = 0; i < thread->member_count; i++)
        user_drop_thread(thread->members[i].user, thread);
    thread->active_count = 0;
}

/* Gives the thread to its members. On error to some of them. */
static enum err link_members(struct thread *thread)
{
    for (uint32_t i = 0; i < thread->member_count; i++) {
        struct user *user = thread->members[i].user;
        enum err err = user_add_thread(user, thread);
        if (err)
            return err;
        thread->active_count += user->active;
    }
    return OK;
}

static void thread_drop(struct hub *hub, struct thread *thread)
{
    watch_thread_goes(thread);
    unlink_members(thread);
    HASH_DEL(hub->threads, thread);
    release_members(thread->members, thread->member_count);
    free(thread->room);
    free(thread);
    metric_add(METRIC_THREADS, -1);
}

void thread_release(struct hub *hub, struct thread *thread)
{
    if (!thread->active_count && !thread->watched)
        thread_drop(hub, thread);
}

void threads_forget(struct hub *hub)
{
    while (hub->threads)
        thread_drop(hub, hub->threads);
}

/* The user of a record, as a stub if need be; null: no memory. Without versions, who is known already is at least as
 * fresh as the record; with them, the record may be ahead of what was announced. */
static struct user *get_fellow(struct hub *hub, const struct user_record *record)
{
    struct user *user = user_get(hub, record->id);
    bool newer = user && (!user->known || record->version > user->version);
    if (newer && user_update(user, record) != OK && !user->known) {
        user_release(user);
        return NULL;
    }
    return user;
}

/* The record's members as users in memory, each counted in `listed`. Null: no memory, nothing counted. */
static struct member *list_members(struct hub *hub, const struct thread_record *record)
{
    struct member *members = malloc((record->member_count ? record->member_count : 1) * sizeof(*members));
    if (!members)
        return NULL;
    for (uint32_t i = 0; i < record->member_count; i++) {
        struct user *user = get_fellow(hub, &record->members[i].user);
        if (!user) {
            release_members(members, i);
            return NULL;
        }
        user->listed++;
        members[i] = (struct member){user, record->members[i].joined, record->members[i].role};
    }
    return members;
}

/* Rooms keep their names. */
static enum err take_room(struct thread *thread, struct span room)
{
    if (room.data && !thread->room)
        thread->room = span_copy(room);
    return room.data && !thread->room ? ERR_NO_MEMORY : OK;
}

enum err thread_load(struct hub *hub, const struct thread_record *record)
{
    struct member *members = list_members(hub, record);
    struct thread *thread = members ? thread_new(hub, record->id) : NULL;
    if (!thread) {
        if (members)
            release_members(members, (uint32_t)record->member_count);
        return ERR_NO_MEMORY;
    }
    thread->members = members;
    thread->member_count = (uint32_t)record->member_count;
    enum err err = take_room(thread, record->room);
    if (!err)
        err = link_members(thread);
    if (err)
        thread_drop(hub, thread);
    else
        thread_release(hub, thread);
    return err;
}

/* A thread that is in memory already is not older than the record: whether the user is in it has been seen to, and is
 * not looked up in the record, which may be from before they left. */
enum err threads_load(struct user *user, const struct thread_record *records, size_t count)
{
    enum err err = OK;
    for (uint32_t i = 0; i < user->thread_count; i++)
        user->threads[i]->active_count++;
    for (size_t i = 0; i < count && !err; i++)
        if (!thread_find(user->hub, records[i].id))
            err = thread_load(user->hub, &records[i]);
    return err;
}

void threads_unload(struct user *user)
{
    struct hub *hub = user->hub;
    for (uint32_t i = user->thread_count; i > 0; i--) {
        struct thread *thread = user->threads[i - 1];
        thread->active_count--;
        thread_release(hub, thread);
    }
}

bool threads_joined_since(const struct user *user, struct cursor since)
{
    for (uint32_t i = 0; i < user->thread_count; i++) {
        const struct thread *thread = user->threads[i];
        for (uint32_t k = 0; k < thread->member_count; k++)
            if (cursor_compare(thread->members[k].joined, since) >= 0)
                return true;
    }
    return false;
}

/* Who is in a thread that they were not in before sees its members, and is seen by them. */
static void welcome_newcomers(struct hub *hub, const struct thread *thread, const struct member *before, uint32_t count)
{
    hub->stamp++;
    for (uint32_t i = 0; i < count; i++)
        before[i].user->stamp = hub->stamp;
    for (uint32_t i = 0; i < thread->member_count; i++) {
        struct user *user = thread->members[i].user;
        /* Whoever is not active here may be on another node. Where the thread is new in memory, those who are active
         * here are newcomers themselves, and are shown all. */
        bool is_seen = user->active || (hub->versioned && count);
        if (user->stamp == hub->stamp || !is_seen)
            continue;
        user->wants_snapshot = true;
        hub->joined = true;
        presence_changed(user);
    }
}

static bool concerns_active(const struct hub *hub, const struct thread_record *record)
{
    for (size_t i = 0; i < record->member_count; i++) {
        const struct user *user = user_find(hub, record->members[i].user.id);
        if (user && user->active)
            return true;
    }
    return false;
}

static enum err thread_follow(struct hub *hub, struct thread *thread, const struct thread_record *record)
{
    struct member *members = list_members(hub, record);
    if (!members)
        return ERR_NO_MEMORY;
    struct member *before = thread->members;
    uint32_t before_count = thread->member_count;
    unlink_members(thread);
    thread->members = members;
    thread->member_count = (uint32_t)record->member_count;
    enum err err = take_room(thread, record->room);
    if (!err)
        err = link_members(thread);
    if (!err && hub->options.friends == FRIENDS_THREADS)
        welcome_newcomers(hub, thread, before, before_count);
    release_members(before, before_count);
    watch_thread_changed(thread);
    if (!err)
        thread_release(hub, thread);
    return err;
}

/* The thread could not follow the store: it goes, and its members start over, so that none of them misses a message in
 * silence. */
static void thread_lose(struct hub *hub, const struct thread_record *record, enum err why)
{
    struct thread *thread = thread_find(hub, record->id);
    watch_thread_failed(hub, record->id, why);
    if (thread)
        thread_drop(hub, thread);
    for (size_t i = 0; i < record->member_count; i++) {
        struct user *user = user_find(hub, record->members[i].user.id);
        if (user && user->active)
            user_deactivate(user, why);
    }
}

void thread_announced(struct store_sink *sink, const struct thread_record *record, struct span left unused_arg)
{
    struct hub *hub = container_of(sink, struct hub, sink);
    struct thread *thread = thread_find(hub, record->id);
    if (!thread && !concerns_active(hub, record))
        return;
    if (!thread)
        thread = thread_new(hub, record->id);
    enum err err = thread ? thread_follow(hub, thread, record) : ERR_NO_MEMORY;
    if (err) {
        char text[ID_TEXT_SIZE];
        log_event(LOG_ERROR, "cannot follow a thread's members", log_text("thread", id_format(record->id, text)),
                  log_err(err));
        thread_lose(hub, record, err);
    }
}

/* --- what users do with threads */

/* A change under way; here for the one thing the hub wants to know of its answer. */
struct asking {
    store_thread_done *done;
    void *ctx;
};

static void thread_is_answered(void *ctx, enum err err, const struct thread_record *thread)
{
    struct asking *asking = ctx;
    if (err == ERR_TOO_MANY_MEMBERS)
        metric_add(METRIC_LIMIT_MEMBERS, 1);
    asking->done(asking->ctx, err, thread);
    free(asking);
}

static struct asking *asking_new(store_thread_done *done, void *ctx)
{
    struct asking *asking = malloc(sizeof(*asking));
    if (asking)
        *asking = (struct asking){done, ctx};
    return asking;
}

static enum err ask_open(struct hub *hub, const struct thread_request *request, store_thread_done *done, void *ctx)
{
    struct asking *asking = asking_new(done, ctx);
    if (!asking)
        return ERR_NO_MEMORY;
    hub->store->ops->thread_open(hub->store, request, thread_is_answered, asking);
    return OK;
}

/* Copies `users` without repeats behind `actor`, no more than a thread may have. ERR_NOT_FRIENDS: one may not be
 * talked to. */
static enum err gather_users(struct user *actor, const struct span *users, size_t count, struct span *to,
                             size_t *ret_count)
{
    struct hub *hub = actor->hub;
    uint32_t stamp = ++hub->stamp;
    size_t gathered = 0;
    to[gathered++] = user_id(actor);
    actor->stamp = stamp;
    for (size_t i = 0; i < count; i++) {
        struct user *user = user_find(hub, users[i]);
        if (!user || !are_friends(actor, user))
            return ERR_NOT_FRIENDS;
        if (user->stamp == stamp)
            continue;
        if (gathered >= hub->options.members_max) {
            metric_add(METRIC_LIMIT_MEMBERS, 1);
            return ERR_TOO_MANY_MEMBERS;
        }
        user->stamp = stamp;
        to[gathered++] = user_id(user);
    }
    *ret_count = gathered;
    return OK;
}

struct id hub_room_id(struct span room)
{
    return id_of_name(room_space, room);
}

static enum err open_room(struct user *actor, struct span room, bool visit, store_thread_done *done, void *ctx)
{
    struct hub *hub = actor->hub;
    if (room.len == 0 || room.len > ROOM_NAME_MAX || !utf8_printable(room))
        return ERR_BAD_FIELD;
    struct span self = user_id(actor);
    struct thread_request request = {.id = hub_room_id(room),
                                     .room = room,
                                     .users = &self,
                                     .user_count = 1,
                                     .members_max = hub->options.members_max,
                                     .visit = visit && hub->options.rooms_open,
                                     .members_only = !hub->options.rooms_open};
    return ask_open(hub, &request, done, ctx);
}

enum err hub_thread_open(struct user *actor, const struct span *users, size_t count, struct span room,
                         store_thread_done *done, void *ctx)
{
    struct hub *hub = actor->hub;
    if (hub_closed(hub))
        return hub_closed(hub);
    if (room.data)
        return count ? ERR_BAD_FIELD : open_room(actor, room, false, done, ctx);
    if (count == 0)
        return ERR_MISSING_FIELD;
    struct span *set = malloc((count + 1) * sizeof(*set));
    if (!set)
        return ERR_NO_MEMORY;
    size_t set_count;
    enum err err = gather_users(actor, users, count, set, &set_count);
    if (!err) {
        struct thread_request request = {
            .id = id_random(), .users = set, .user_count = set_count, .members_max = hub->options.members_max};
        err = ask_open(hub, &request, done, ctx);
    }
    free(set);
    return err;
}

/* --- visits */

enum err hub_room_visit(struct user *actor, struct span room, store_thread_done *done, void *ctx)
{
    return hub_closed(actor->hub) ? hub_closed(actor->hub) : open_room(actor, room, true, done, ctx);
}

/* A visit of a thread by its id. */
struct entering {
    struct user *actor; /* pinned */
    store_thread_done *done;
    void *ctx;
    uint32_t generation;
};

static bool record_has(const struct thread_record *thread, struct span user)
{
    for (size_t i = 0; i < thread->member_count; i++)
        if (span_equal(thread->members[i].user.id, user))
            return true;
    return false;
}

enum err hub_may_visit(const struct hub *hub, const struct thread_record *thread, struct span user)
{
    if (record_has(thread, user))
        return OK;
    if (!thread->room.data)
        return ERR_NO_THREAD;
    if (!hub->options.rooms_open)
        return ERR_FORBIDDEN;
    if (thread->member_count < hub->options.members_max)
        return OK;
    metric_add(METRIC_LIMIT_MEMBERS, 1);
    return ERR_TOO_MANY_MEMBERS;
}

/* A room is entered by its name, also by its members, for visits are counted. */
static enum err enter_room(const struct entering *entering, struct span room)
{
    const struct hub *hub = entering->actor->hub;
    if (hub->generation != entering->generation)
        return ERR_STORE; /* that was in what the store has lost */
    if (hub->shut || hub_closed(hub))
        return hub->shut ? hub->shut : hub_closed(hub);
    return open_room(entering->actor, room, true, entering->done, entering->ctx);
}

static void got_entered(void *ctx, enum err err, const struct thread_record *thread)
{
    struct entering *entering = ctx;
    if (!err)
        err = hub_may_visit(entering->actor->hub, thread, user_id(entering->actor));
    bool is_room = !err && thread->room.data;
    if (is_room)
        err = enter_room(entering, thread->room);
    if (err || !is_room)
        entering->done(entering->ctx, err, err ? NULL : thread);
    hub_user_close(entering->actor);
    free(entering);
}

enum err hub_thread_visit(struct user *actor, struct id thread, store_thread_done *done, void *ctx)
{
    struct hub *hub = actor->hub;
    if (hub_closed(hub))
        return hub_closed(hub);
    struct entering *entering = malloc(sizeof(*entering));
    if (!entering)
        return ERR_NO_MEMORY;
    *entering = (struct entering){actor, done, ctx, hub->generation};
    actor->pins++;
    hub->store->ops->thread_get(hub->store, thread, got_entered, entering);
    return OK;
}

enum err hub_visit_end(struct hub *hub, struct id thread, struct span user, bool stays, store_thread_done *done,
                       void *ctx)
{
    if (!hub_closed(hub))
        hub->store->ops->visit_end(hub->store, thread, user, stays, done, ctx);
    return hub_closed(hub);
}

/* --- members */

/* The thread, if `actor` is in it. */
static enum err actor_in(struct user *actor, struct id id, enum role *ret_role)
{
    const struct thread *thread = thread_find(actor->hub, id);
    const struct member *member = thread ? thread_member(thread, actor) : NULL;
    const char *reason;
    /* While the store is away memory may lag behind what it has answered. */
    if (!member)
        return hub_ready(actor->hub, &reason) ? ERR_NO_THREAD : ERR_STORE;
    *ret_role = member->role;
    return OK;
}

enum err hub_member_add(struct user *actor, struct id thread, struct span user, store_thread_done *done, void *ctx)
{
    struct hub *hub = actor->hub;
    enum role role = ROLE_GUEST;
    enum err err = hub_closed(hub);
    if (!err)
        err = actor_in(actor, thread, &role);
    if (err)
        return err;
    if (role != ROLE_OWNER)
        return ERR_FORBIDDEN;
    struct user *friend = user_find(hub, user);
    if (!friend || !are_friends(actor, friend))
        return ERR_NOT_FRIENDS;
    struct asking *asking = asking_new(done, ctx);
    if (!asking)
        return ERR_NO_MEMORY;
    hub->store->ops->member_add(hub->store, thread, user, hub->options.members_max, thread_is_answered, asking);
    return OK;
}

enum err hub_member_remove(struct user *actor, struct id thread, struct span user, store_thread_done *done, void *ctx)
{
    struct hub *hub = actor->hub;
    enum role role = ROLE_GUEST;
    enum err err = hub_closed(hub);
    if (!err)
        err = actor_in(actor, thread, &role);
    if (err)
        return err;
    if (role != ROLE_OWNER && !span_equal(user, user_id(actor)))
        return ERR_FORBIDDEN;
    hub->store->ops->member_remove(hub->store, thread, user, done, ctx);
    return OK;
}

enum err hub_thread_leave(struct hub *hub, struct id thread, struct span user, store_thread_done *done, void *ctx)
{
    if (!hub_closed(hub))
        hub->store->ops->member_remove(hub->store, thread, user, done, ctx);
    return hub_closed(hub);
}

void hub_members(const struct hub *hub, struct id id, void (*visit)(void *ctx, struct span user, struct span name),
                 void *ctx)
{
    const struct thread *thread = thread_find(hub, id);
    for (uint32_t i = 0; thread && i < thread->member_count; i++)
        visit(ctx, user_id(thread->members[i].user), span_of(thread->members[i].user->name));
}

void hub_user_threads(const struct user *user, void (*visit)(void *ctx, struct id thread), void *ctx)
{
    for (uint32_t i = 0; i < user->thread_count; i++)
        visit(ctx, user->threads[i]->id);
}

bool hub_is_member(const struct user *user, struct id id)
{
    for (uint32_t i = 0; i < user->thread_count; i++)
        if (id_equal(user->threads[i]->id, id))
            return true;
    return false;
}

bool hub_is_direct(const struct hub *hub, struct id id)
{
    enum { TWO = 2 };
    const struct thread *thread = thread_find(hub, id);
    return thread && !thread->room && thread->member_count == TWO;
}
