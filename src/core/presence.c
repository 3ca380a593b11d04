/* SPDX-License-Identifier: MIT */
/*
 * Presence: who is how, told once per turn.
 *
 * Changes are only marked where they happen. At the end of the turn each user who may see some of them gets one event
 * with just those; users who may see the same ones share it. Sessions that are still being shown what they missed get
 * nothing in between: they are shown everybody's presence once more if it has changed by then.
 *
 * Marks: the hub's mark moves right before what it stands for is told, at the end of the turn, and not if that fails;
 * so a client that was given everything up to some moment may be given the mark of that moment. Without versions each
 * telling is one step. With versions the mark is the version announced last, on every node the same; what is not
 * announced is then not told either, but for two things that have no version: who comes into a thread (gather_notice),
 * and leaving before the store has heard of the coming.
 */
#include "core/state.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/utf8.h"

/* `to` may see that `about` has changed. */
struct notice {
    struct user *to;
    struct user *about;
};

struct notices {
    struct notice *items; /* owned */
    size_t count;
    size_t cap;
    bool failed;
};

struct presences {
    struct presence *items; /* owned */
    size_t count;
    size_t cap;
    bool failed;
};

/* Makes room for one more element of `size` bytes. False: no memory. */
static bool grow(void **items, size_t *cap, size_t count, size_t size)
{
    if (count < *cap)
        return true;
    size_t more = *cap ? *cap * 2 : 16;
    void *moved = realloc(*items, more * size);
    if (!moved)
        return false;
    *items = moved;
    *cap = more;
    return true;
}

static void add_notice(struct notices *notices, struct user *to, struct user *about)
{
    if (!grow((void **)&notices->items, &notices->cap, notices->count, sizeof(*notices->items))) {
        notices->failed = true;
        return;
    }
    notices->items[notices->count++] = (struct notice){to, about};
}

static void add_presence(struct presences *presences, const struct user *user)
{
    if (!grow((void **)&presences->items, &presences->cap, presences->count, sizeof(*presences->items))) {
        presences->failed = true;
        return;
    }
    presences->items[presences->count++] = user_presence(user);
}

/* The event of what was gathered, which is freed; null: no memory. */
static struct event *take_event(struct presences *presences, const struct hub *hub, struct cursor cursor)
{
    struct event *event = NULL;
    if (!presences->failed && presences->count)
        event = event_of_presence(presences->items, presences->count, clock_wall_us(hub->clock), cursor);
    free(presences->items);
    return event;
}

struct presence user_presence(const struct user *user)
{
    return (struct presence){.user = user_id(user),
                             .name = span_of(user->name),
                             .status = span_of(user->status),
                             .show = (enum show)user->show,
                             .available = user_available(user)};
}

int64_t user_mark(const struct user *user)
{
    const struct hub *hub = user->hub;
    return hub->options.friends == FRIENDS_EVERYONE ? hub->presence_mark : user->presence_mark;
}

int64_t hub_presence_mark(const struct hub *hub)
{
    return hub->versioned && hub->joined ? 0 : hub->presence_mark;
}

void presence_forget_snapshot(struct hub *hub)
{
    event_unref(hub->snapshot);
    hub->snapshot = NULL;
    hub->changes++;
}

void presence_foreseen(struct user *user)
{
    user->untold = true;
    presence_forget_snapshot(user->hub);
    watch_user_changed(user);
}

void presence_tell(struct user *user)
{
    struct hub *hub = user->hub;
    bool is_seen = user->active || user->thread_count || hub->options.friends == FRIENDS_EVERYONE;
    if (user->dirty || !is_seen)
        return;
    user->dirty = true;
    user->next_dirty = hub->dirty;
    hub->dirty = user;
}

void presence_changed(struct user *user)
{
    presence_forget_snapshot(user->hub);
    presence_tell(user);
    watch_user_changed(user);
}

/* --- friends */

/* Calls `visit` once for each user in the threads of `user`, themselves included. */
static void walk_fellows(struct user *user, void (*visit)(void *ctx, struct user *fellow), void *ctx)
{
    uint32_t stamp = ++user->hub->stamp;
    user->stamp = stamp;
    visit(ctx, user);
    for (uint32_t i = 0; i < user->thread_count; i++) {
        const struct thread *thread = user->threads[i];
        for (uint32_t k = 0; k < thread->member_count; k++) {
            struct user *fellow = thread->members[k].user;
            if (fellow->stamp == stamp)
                continue;
            fellow->stamp = stamp;
            visit(ctx, fellow);
        }
    }
}

static void walk_everyone(struct hub *hub, void (*visit)(void *ctx, struct user *fellow), void *ctx)
{
    struct user *user, *next;
    HASH_ITER (hh, hub->users, user, next)
        if (user->known)
            visit(ctx, user);
}

/* Calls `visit` for everybody whom `user` sees, themselves included. */
static void walk_visible(struct user *user, void (*visit)(void *ctx, struct user *fellow), void *ctx)
{
    if (user->hub->options.friends == FRIENDS_EVERYONE)
        walk_everyone(user->hub, visit, ctx);
    else
        walk_fellows(user, visit, ctx);
}

bool are_friends(struct user *a, struct user *b)
{
    if (a == b || a->hub->options.friends == FRIENDS_EVERYONE)
        return true;
    for (uint32_t i = 0; i < a->thread_count; i++)
        if (thread_member(a->threads[i], b))
            return true;
    return false;
}

struct friend_visit {
    const struct user *self;
    void (*visit)(void *ctx, const struct presence *friend);
    void *ctx;
};

static void visit_friend(void *ctx, struct user *user)
{
    const struct friend_visit *friend_visit = ctx;
    struct presence presence = user_presence(user);
    if (user != friend_visit->self)
        friend_visit->visit(friend_visit->ctx, &presence);
}

void hub_friends(struct user *user, void (*visit)(void *ctx, const struct presence *friend), void *ctx)
{
    struct friend_visit friend_visit = {user, visit, ctx};
    walk_visible(user, visit_friend, &friend_visit);
}

/* --- snapshots */

static void gather_presence(void *ctx, struct user *user)
{
    add_presence(ctx, user);
}

struct event *presence_snapshot(struct user *user, struct cursor cursor)
{
    struct hub *hub = user->hub;
    bool shared = hub->options.friends == FRIENDS_EVERYONE && cursor_compare(cursor, hub->cursor) == 0;
    if (shared && hub->snapshot && cursor_compare(hub->snapshot->cursor, cursor) == 0)
        return event_ref(hub->snapshot);
    struct presences presences = {0};
    walk_visible(user, gather_presence, &presences);
    struct event *event = take_event(&presences, hub, cursor);
    if (shared && event) {
        event_unref(hub->snapshot);
        hub->snapshot = event_ref(event);
    }
    return event;
}

struct gathering_since {
    struct presences presences;
    int64_t mark;
};

/* News that the hub's mark does not cover yet are told at the end of the turn: told here as well, the client would be
 * given a mark that says it has not heard them. */
static void gather_since(void *ctx, struct user *user)
{
    struct gathering_since *since = ctx;
    if (user->news > since->mark && user->news <= user->hub->presence_mark)
        add_presence(&since->presences, user);
}

enum err presence_since(struct user *user, int64_t mark, struct cursor cursor, struct event **ret_event)
{
    struct gathering_since since = {.mark = mark};
    walk_visible(user, gather_since, &since);
    bool any = since.presences.count || since.presences.failed;
    *ret_event = take_event(&since.presences, user->hub, cursor);
    return any && !*ret_event ? ERR_NO_MEMORY : OK;
}

/* --- telling changes */

static void deliver_to(struct session *session, struct event *event)
{
    if (session->shown == session->user->hub->changes)
        return; /* a snapshot has said all of it */
    if (session_is_ahead(session)) {
        session_show_presence(session); /* the shared event would take its place in the log back */
        return;
    }
    metric_add(METRIC_PRESENCE_OUT, 1);
    session->ops->event(session, event);
}

static void deliver(struct user *user, struct event *event)
{
    struct session *session = user->sessions;
    while (session) {
        struct session *next = session->next;
        if (session->state == SESSION_LIVE)
            deliver_to(session, event);
        session = next;
    }
}

/* Everybody sees all changes: one event for all. False: no memory, nobody was told. */
static bool tell_everyone(struct hub *hub)
{
    struct presences presences = {0};
    for (struct user *user = hub->dirty; user; user = user->next_dirty)
        if (user->known)
            add_presence(&presences, user);
    if (!presences.failed && !presences.count)
        return true; /* a reset has lost them */
    struct event *event = take_event(&presences, hub, hub->cursor);
    if (!event)
        return false;
    struct user *user, *next;
    HASH_ITER (hh, hub->users, user, next)
        deliver(user, event);
    event_unref(event);
    return true;
}

struct gathering {
    struct notices *notices;
    struct user *about;
};

/* The mark of a change that is being told: its own version, if it has one. */
static int64_t mark_of(const struct user *about)
{
    const struct hub *hub = about->hub;
    return hub->versioned && about->news < hub->presence_mark ? about->news : hub->presence_mark;
}

static void gather_notice(void *ctx, struct user *to)
{
    struct gathering *gathering = ctx;
    struct user *about = gathering->about;
    if (to->presence_mark < mark_of(about))
        to->presence_mark = mark_of(about);
    if (to->hub->versioned && (to->wants_snapshot || about->wants_snapshot))
        sessions_forget_marks(to);
    if (to->sessions && !to->wants_snapshot)
        add_notice(gathering->notices, to, gathering->about);
}

static int compare_notices(const void *a, const void *b)
{
    const struct notice *left = a, *right = b;
    if (left->to != right->to)
        return (uintptr_t)left->to < (uintptr_t)right->to ? -1 : 1;
    return ((uintptr_t)left->about > (uintptr_t)right->about) - ((uintptr_t)left->about < (uintptr_t)right->about);
}

static size_t run_len(const struct notice *at, size_t left)
{
    size_t len = 1;
    while (len < left && at[len].to == at[0].to)
        len++;
    return len;
}

static bool same_news(const struct notice *a, size_t a_len, const struct notice *b, size_t b_len)
{
    if (a_len != b_len)
        return false;
    for (size_t i = 0; i < a_len; i++)
        if (a[i].about != b[i].about)
            return false;
    return true;
}

static struct event *event_of_notices(const struct hub *hub, const struct notice *notices, size_t count)
{
    struct presences presences = {0};
    for (size_t i = 0; i < count; i++)
        add_presence(&presences, notices[i].about);
    return take_event(&presences, hub, hub->cursor);
}

/* Delivers notices sorted by recipient; neighbours with the same news share an event. False: no memory for some of
 * them. */
static bool deliver_notices(const struct hub *hub, const struct notice *notices, size_t count)
{
    bool told = true;
    struct event *event = NULL;
    const struct notice *last = NULL;
    size_t last_len = 0, len;
    for (size_t i = 0; i < count; i += len) {
        const struct notice *at = &notices[i];
        len = run_len(at, count - i);
        if (!last || !same_news(last, last_len, at, len)) {
            event_unref(event);
            event = event_of_notices(hub, at, len);
        }
        last = at;
        last_len = len;
        if (event)
            deliver(at->to, event);
        else
            told = false;
    }
    event_unref(event);
    return told;
}

static bool tell_fellows(struct hub *hub)
{
    struct notices notices = {0};
    for (struct user *user = hub->dirty; user; user = user->next_dirty) {
        struct gathering gathering = {&notices, user};
        walk_fellows(user, gather_notice, &gathering);
    }
    if (notices.count)
        qsort(notices.items, notices.count, sizeof(*notices.items), compare_notices);
    bool told = deliver_notices(hub, notices.items, notices.count) && !notices.failed;
    free(notices.items);
    return told;
}

static void show_newcomer(struct user *user)
{
    user->wants_snapshot = false;
    struct session *session = user->sessions;
    while (session) {
        struct session *next = session->next;
        if (session->state == SESSION_LIVE)
            session_show_presence(session);
        session = next;
    }
}

static void move_mark(struct hub *hub)
{
    if (hub->versioned)
        hub->presence_mark = hub->announced;
    else if (hub->dirty)
        hub->presence_mark++;
}

bool presence_flush(struct hub *hub)
{
    int64_t mark = hub->presence_mark;
    move_mark(hub);
    if (!hub->dirty)
        return true;
    bool told = hub->options.friends == FRIENDS_EVERYONE ? tell_everyone(hub) : tell_fellows(hub);
    if (!told) {
        hub->presence_mark = mark;
        log_event(LOG_ERROR, "presence could not be told to all, trying again", log_err(ERR_NO_MEMORY));
        return false;
    }
    struct user *dirty = hub->dirty;
    hub->dirty = NULL;
    hub->joined = false;
    while (dirty) {
        struct user *user = dirty;
        dirty = user->next_dirty;
        user->dirty = false;
        if (user->wants_snapshot)
            show_newcomer(user);
        user_release(user);
    }
    return true;
}

/* --- setting one's own */

struct setting {
    struct user *user; /* pinned by whoever asked */
    store_done *done;
    void *ctx;
    uint32_t generation;
};

static void presence_is_set(void *ctx, enum err err, const struct user_record *record)
{
    struct setting *setting = ctx;
    if (!err && setting->generation != setting->user->hub->generation)
        err = ERR_STORE; /* it was set in what the store has lost */
    if (!err)
        err = user_update(setting->user, record);
    setting->done(setting->ctx, err);
    free(setting);
}

enum err hub_presence_set(struct user *user, enum show show, struct span status, store_done *done, void *ctx)
{
    if (status.len > USER_STATUS_MAX || !utf8_valid(status) || span_has(status, '\0'))
        return ERR_BAD_FIELD;
    struct hub *hub = user->hub;
    if (hub_closed(hub))
        return hub_closed(hub);
    struct setting *setting = malloc(sizeof(*setting));
    if (!setting)
        return ERR_NO_MEMORY;
    *setting = (struct setting){user, done, ctx, hub->generation};
    struct store *store = hub->store;
    store->ops->presence_put(store, user_id(user), show, status, presence_is_set, setting);
    return OK;
}
