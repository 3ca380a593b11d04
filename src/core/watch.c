/* SPDX-License-Identifier: MIT */
/*
 * Watches: looks at a thread from outside.
 *
 *     hub_watch ─> [thread read] ─> in memory ─> touched … ─> end of turn: changed          hub_unwatch
 *                       └──────────────┴──────────────────────────────────> ended
 *
 * What all watches of one thread have in common is its `watched`: that keeps the thread in memory, as an active member
 * does. Where something happens that they may see it is only touched; they are told at the end of the turn. It goes
 * there too, once its last watch has: so neither it nor its thread goes while somebody up the stack looks at them.
 *
 * A watch that could miss a message, because the thread or the message had no memory, is ended.
 */
#include "core/state.h"

#include <assert.h>
#include <stdlib.h>

#include <utlist.h>

struct watched {
    UT_hash_handle hh;
    struct hub *hub;
    struct id id;
    struct thread *thread;   /* null: not in memory yet */
    struct reading *reading; /* the thread is being read */
    struct thread_watch *watches;
    struct watched *next_touched;
    bool touched; /* is in hub->touched */
    bool changed; /* since its watches were told */
};

/* The store's answer that is waited for. It outlives its watched, which then is null. */
struct reading {
    struct watched *watched;
};

static struct watched *watched_find(const struct hub *hub, struct id id)
{
    struct watched *watched = NULL;
    HASH_FIND(hh, hub->watched, &id, sizeof(id), watched);
    return watched;
}

static struct watched *watched_new(struct hub *hub, struct id id)
{
    struct watched *watched = calloc(1, sizeof(*watched));
    if (!watched)
        return NULL;
    watched->hub = hub;
    watched->id = id;
    HASH_ADD(hh, hub->watched, id, sizeof(id), watched);
    if (!table_added(watched)) {
        free(watched);
        return NULL;
    }
    return watched;
}

static void forget_reading(struct watched *watched)
{
    if (watched->reading)
        watched->reading->watched = NULL;
    watched->reading = NULL;
}

static void watched_free(struct watched *watched)
{
    struct thread *thread = watched->thread;
    forget_reading(watched);
    HASH_DEL(watched->hub->watched, watched);
    if (thread) {
        thread->watched = NULL;
        thread_release(watched->hub, thread);
    }
    free(watched);
}

static void touch(struct watched *watched)
{
    if (watched->touched)
        return;
    watched->touched = true;
    watched->next_touched = watched->hub->touched;
    watched->hub->touched = watched;
}

static void change(struct watched *watched)
{
    watched->changed = true;
    touch(watched);
}

static void unlink_watch(struct thread_watch *watch)
{
    struct watched *watched = watch->watched;
    if (watched->hub->next_watch == watch)
        watched->hub->next_watch = watch->next;
    DL_DELETE(watched->watches, watch);
    watch->watched = NULL;
    if (!watched->watches)
        touch(watched);
}

static void watched_end(struct watched *watched, enum err why)
{
    forget_reading(watched);
    while (watched->watches) {
        struct thread_watch *watch = watched->watches;
        unlink_watch(watch);
        watch->ops->ended(watch, why);
    }
}

/* --- beginning */

static void thread_is_read(void *ctx, enum err err, const struct thread_record *record)
{
    struct reading *reading = ctx;
    struct watched *watched = reading->watched;
    free(reading);
    if (!watched)
        return;
    watched->reading = NULL;
    if (watched->thread)
        return; /* a member came meanwhile */
    if (!err)
        err = thread_load(watched->hub, record);
    if (err)
        watched_end(watched, err);
}

static enum err read_thread(struct watched *watched)
{
    struct store *store = watched->hub->store;
    struct reading *reading = malloc(sizeof(*reading));
    if (!reading)
        return ERR_NO_MEMORY;
    reading->watched = watched;
    watched->reading = reading;
    store->ops->thread_get(store, watched->id, thread_is_read, reading);
    return OK;
}

static struct watched *watched_get(struct hub *hub, struct id id)
{
    struct watched *watched = watched_find(hub, id);
    if (watched)
        return watched;
    struct thread *thread = thread_find(hub, id);
    watched = watched_new(hub, id);
    if (watched && thread)
        watch_thread_came(hub, thread);
    return watched;
}

enum err hub_watch(struct hub *hub, struct thread_watch *watch, const struct thread_watch_ops *ops, struct id thread)
{
    *watch = (struct thread_watch){.ops = ops, .hub = hub, .thread = thread, .fresh = true};
    if (hub->shut || hub_closed(hub))
        return hub->shut ? hub->shut : hub_closed(hub);
    struct watched *watched = watched_get(hub, thread);
    if (!watched)
        return ERR_NO_MEMORY;
    touch(watched); /* to tell the watch, or to let go of what has none */
    enum err err = watched->thread || watched->reading ? OK : read_thread(watched);
    if (err)
        return err;
    watch->watched = watched;
    DL_APPEND(watched->watches, watch);
    return OK;
}

void hub_unwatch(struct thread_watch *watch)
{
    if (watch->watched)
        unlink_watch(watch);
}

/* --- what happens */

void watch_thread_came(struct hub *hub, struct thread *thread)
{
    struct watched *watched = hub->watched ? watched_find(hub, thread->id) : NULL;
    if (!watched)
        return;
    watched->thread = thread;
    thread->watched = watched;
    change(watched);
}

/* Its watches are ended besides, unless it is still being read for them. */
void watch_thread_goes(struct thread *thread)
{
    if (!thread->watched)
        return;
    thread->watched->thread = NULL;
    thread->watched = NULL;
}

void watch_thread_changed(const struct thread *thread)
{
    if (thread->watched)
        change(thread->watched);
}

void watch_user_changed(const struct user *user)
{
    if (!user->hub->watched)
        return;
    for (uint32_t i = 0; i < user->thread_count; i++)
        watch_thread_changed(user->threads[i]);
}

void watch_message(const struct thread *thread, struct event *event)
{
    struct thread_watch *watch = thread->watched ? thread->watched->watches : NULL;
    while (watch) {
        struct thread_watch *next = watch->next;
        if (watch->ops->message)
            watch->ops->message(watch, event);
        watch = next;
    }
}

uint32_t watch_count(const struct thread *thread)
{
    uint32_t count = 0;
    const struct thread_watch *watch = NULL;
    if (thread->watched)
        DL_COUNT(thread->watched->watches, watch, count);
    return count;
}

void watch_thread_failed(struct hub *hub, struct id thread, enum err why)
{
    struct watched *watched = watched_find(hub, thread);
    if (watched)
        watched_end(watched, why);
}

void watches_end(struct hub *hub, enum err why)
{
    struct watched *watched, *next;
    HASH_ITER (hh, hub->watched, watched, next)
        watched_end(watched, why);
}

void watches_forget(struct hub *hub)
{
    struct watched *watched, *next;
    HASH_ITER (hh, hub->watched, watched, next) {
        assert(!watched->watches);
        watched_free(watched);
    }
    hub->touched = NULL;
}

/* --- the end of the turn */

/* `changed` may end any watch, and begin others. */
static void tell_watches(struct watched *watched)
{
    struct hub *hub = watched->hub;
    bool all = watched->changed;
    watched->changed = false;
    hub->next_watch = watched->thread ? watched->watches : NULL;
    while (hub->next_watch) {
        struct thread_watch *watch = hub->next_watch;
        hub->next_watch = watch->next;
        if (!all && !watch->fresh)
            continue;
        watch->fresh = false;
        watch->ops->changed(watch);
    }
}

void watches_flush(struct hub *hub)
{
    struct watched *watched = hub->touched;
    hub->touched = NULL; /* what is touched from here on has its turn next */
    while (watched) {
        struct watched *next = watched->next_touched;
        watched->touched = false;
        tell_watches(watched);
        if (!watched->watches && !watched->touched)
            watched_free(watched);
        watched = next;
    }
}

/* --- looking */

static struct occupant occupant_of(const struct member *member)
{
    return (struct occupant){user_presence(member->user), member->role, user_is_idle(member->user)};
}

static const struct thread *watched_thread(const struct thread_watch *watch)
{
    return watch->watched ? watch->watched->thread : NULL;
}

void hub_occupants(const struct thread_watch *watch, void (*visit)(void *ctx, const struct occupant *occupant),
                   void *ctx)
{
    const struct thread *thread = watched_thread(watch);
    for (uint32_t i = 0; thread && i < thread->member_count; i++) {
        struct occupant occupant = occupant_of(&thread->members[i]);
        visit(ctx, &occupant);
    }
}

bool hub_occupant(const struct thread_watch *watch, struct span user, struct occupant *ret_occupant)
{
    const struct thread *thread = watched_thread(watch);
    const struct user *found = thread ? user_find(watch->hub, user) : NULL;
    const struct member *member = found ? thread_member(thread, found) : NULL;
    if (member)
        *ret_occupant = occupant_of(member);
    return member;
}

struct span hub_watched_room(const struct thread_watch *watch)
{
    const struct thread *thread = watched_thread(watch);
    return thread && thread->room ? span_of(thread->room) : (struct span){0};
}
