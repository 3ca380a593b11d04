/* SPDX-License-Identifier: MIT */
/*
 * Users in memory.
 *
 * Opening a user makes them known to the store and reads their threads, in that order; since the store answers in
 * order and announces changes in the same order, what was read and what is announced after fit together without a
 * seam. Two openings at once read the same twice, which is harmless: the first answer makes the user active, the
 * second finds them so.
 *
 * Leaving: with the last session a grace begins, in which the user is still HERE (and idle, unless a poll is awaited):
 *
 *     sessions ── broke off ──> idle ── grace over ──> gone          lease: HELD, IDLE, NONE
 *        │ └───── a poll ─────> awaited ─────┘                              HELD,       NONE
 *        └─────── goodbye ────> awaited, until the next turn                HELD,       GOODBYE
 *
 * A poll that ended beside other sessions is remembered for its grace: should the last of these go meanwhile, whichever
 * way, that is as if it were the poll that ends (with the longer of the graces).
 *
 * What other nodes must know of that is in the lease. With versions the store's word on all nodes' leases counts, but
 * not before it can have heard of ours (`heard`).
 */
#include "core/state.h"

#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/utf8.h"

/* How long a user stays in memory after the last request, at least: the next one is then cheap. */
enum { LINGER_MS = 10000 };

/* How long somebody is kept of whom nothing but a change was heard: longer than an answer of the store may be under
 * way, for it may have been made before that change. */
enum { STRANGER_MS = 10000 };

struct user *user_find(const struct hub *hub, struct span id)
{
    struct user *user = NULL;
    if (id.len)
        HASH_FIND(hh, hub->users, id.data, id.len, user);
    return user;
}

static void user_free(struct user *user)
{
    timer_fini(user->hub->timers, &user->timer);
    free(user->threads);
    free(user->name);
    free(user->status);
    free(user);
    metric_add(METRIC_USERS, -1);
}

static void user_timer_fired(struct timer *timer);

static struct user *user_new(struct hub *hub, struct span id)
{
    struct user *user = calloc(1, sizeof(*user) + id.len);
    if (!user)
        return NULL;
    user->hub = hub;
    user->id_len = (uint16_t)id.len;
    memcpy(user->id, id.data, id.len);
    metric_add(METRIC_USERS, 1);
    if (timer_init(hub->timers, &user->timer, user_timer_fired) != OK) {
        user_free(user);
        return NULL;
    }
    HASH_ADD_KEYPTR(hh, hub->users, user->id, user->id_len, user);
    if (!table_added(user)) {
        user_free(user);
        return NULL;
    }
    presence_forget_snapshot(hub);
    return user;
}

struct user *user_get(struct hub *hub, struct span id)
{
    struct user *user = user_find(hub, id);
    return user ? user : user_new(hub, id);
}

void user_release(struct user *user)
{
    struct hub *hub = user->hub;
    bool stays = user->known && hub->options.friends == FRIENDS_EVERYONE;
    if (stays || user->active || user->pins || user->listed || user->dirty || timer_is_set(&user->timer))
        return;
    presence_forget_snapshot(hub);
    HASH_DEL(hub->users, user);
    user_free(user);
}

void users_forget(struct hub *hub)
{
    struct user *user, *next;
    HASH_ITER (hh, hub->users, user, next) {
        assert(!user->sessions);
        HASH_DEL(hub->users, user);
        user_free(user);
    }
}

/* --- how they are */

/* What the store has said counts where it has heard of them: other nodes are asked as well. */
static bool idle_without_sessions(const struct user *user)
{
    if (user->here && user->awaited)
        return false;
    return user->elsewhere ? user->idle : user->here && !user->heard;
}

bool user_is_idle(const struct user *user)
{
    return !user->sessions && idle_without_sessions(user);
}

static enum lease lease_of(const struct user *user)
{
    if (!user->here)
        return LEASE_NONE;
    return user->sessions || user->awaited ? LEASE_HELD : LEASE_IDLE;
}

/* Replaces *text, null standing for empty. False: no memory, nothing changed. */
static bool replace_text(char **text, struct span with)
{
    char *copy = with.len ? span_copy(with) : NULL;
    if (with.len && !copy)
        return false;
    free(*text);
    *text = copy;
    return true;
}

/* Whether the lease of whoever is here must be in this, or in what it overtook. */
static bool speaks_of_lease(const struct user_record *record)
{
    return record->available || record->overtook;
}

enum err user_update(struct user *user, const struct user_record *record)
{
    if (record->version < user->version)
        return OK;
    bool same_name = span_equal(span_of(user->name), record->name);
    bool same_status = span_equal(span_of(user->status), record->status);
    bool same_rest =
        user->show == record->show && user_available(user) == (user_available_here(user) || record->available);
    bool done = (same_name || replace_text(&user->name, record->name)) &&
                (same_status || replace_text(&user->status, record->status));
    /* What was not announced here others were told, and this may take it back. */
    bool same = done && user->known && same_name && same_status && same_rest && !record->overtook;
    bool foreseen = record->version > user->hub->announced && record->version > user->version;
    bool was_idle = user_is_idle(user);
    user->known |= done;
    if (!user->known)
        return ERR_NO_MEMORY;
    user->show = (uint8_t)record->show;
    user->elsewhere = record->available;
    user->heard |= user->here && speaks_of_lease(record);
    user->idle = record->idle;
    if (done)
        user->version = record->version;
    if (!same)
        user->news = record->version;
    if (was_idle != user_is_idle(user))
        watch_user_changed(user);
    if (!same && foreseen)
        presence_foreseen(user);
    else if (!same)
        presence_changed(user);
    return done ? OK : ERR_NO_MEMORY;
}

/* Whether sessions that were told of the one would have to be told of the other. */
static bool is_news(const struct user *user, const struct user_record *record)
{
    return user->show != record->show || user->elsewhere != record->available ||
           !span_equal(span_of(user->name), record->name) || !span_equal(span_of(user->status), record->status);
}

/* What an answer of the store has overtaken is not told here any more, but other nodes have told it: that it is taken
 * back will be told, even where that is how it was before. */
static void pass_over(struct user *user, const struct user_record *record)
{
    bool was_available = user_available(user);
    user->untold |= is_news(user, record);
    user->heard |= user->here && speaks_of_lease(record);
    if (was_available != user_available(user))
        presence_foreseen(user);
}

/* Each announcement that leads to news is told, also where memory said it before: only what is told together with its
 * version is known to whoever holds that version as a mark, wherever they got it. */
static void follow_user(struct user *user, const struct user_record *record)
{
    if (record->version < user->version) {
        pass_over(user, record);
        return;
    }
    bool untold = user->untold;
    enum err err = user_update(user, record);
    if (err)
        log_event(LOG_ERROR, "cannot follow a user's presence", log_span("user", record->id), log_err(err));
    if (untold) {
        user->news = record->version;
        presence_tell(user);
    }
    user->untold = user->here && !user->elsewhere;
}

void user_announced(struct store_sink *sink, const struct user_record *record)
{
    struct hub *hub = container_of(sink, struct hub, sink);
    struct user *user = user_get(hub, record->id);
    if (hub->announced < record->version)
        hub->announced = record->version;
    if (!user) {
        log_event(LOG_ERROR, "cannot follow a user's presence", log_span("user", record->id), log_err(ERR_NO_MEMORY));
        return;
    }
    follow_user(user, record);
    bool stranger = hub->options.friends == FRIENDS_THREADS && !user->active && !user->here;
    if (stranger)
        timer_set(hub->timers, &user->timer, clock_now_ms(hub->clock) + STRANGER_MS);
    user_release(user);
}

void users_leased(struct store_sink *sink, void (*visit)(void *ctx, struct span user, enum lease lease), void *ctx)
{
    const struct hub *hub = container_of(sink, struct hub, sink);
    struct user *user, *next;
    HASH_ITER (hh, hub->users, user, next)
        if (user->here && user_available(user))
            visit(ctx, user_id(user), lease_of(user));
}

enum err user_add_thread(struct user *user, struct thread *thread)
{
    if (user->thread_count == user->thread_cap) {
        uint32_t cap = user->thread_cap ? user->thread_cap * 2 : 1;
        struct thread **threads = realloc(user->threads, cap * sizeof(struct thread *));
        if (!threads)
            return ERR_NO_MEMORY;
        user->threads = threads;
        user->thread_cap = cap;
    }
    user->threads[user->thread_count++] = thread;
    return OK;
}

void user_drop_thread(struct user *user, struct thread *thread)
{
    for (uint32_t i = 0; i < user->thread_count; i++) {
        if (user->threads[i] != thread)
            continue;
        user->threads[i] = user->threads[--user->thread_count];
        break;
    }
    if (user->thread_count)
        return;
    free(user->threads);
    user->threads = NULL;
    user->thread_cap = 0;
}

/* --- opening */

struct opening {
    struct user *user; /* pinned */
    hub_user_done *done;
    void *ctx;
    uint32_t generation;
};

static void opening_end(struct opening *opening, enum err err)
{
    struct user *user = opening->user;
    hub_user_done *done = opening->done;
    void *ctx = opening->ctx;
    free(opening);
    if (err) {
        hub_user_close(user);
        done(ctx, err, NULL);
    } else {
        done(ctx, OK, user);
    }
}

/* What was told while nobody here could see it may be new to the user's clients: older marks do not count. */
static void begin_marks(struct user *user)
{
    const struct hub *hub = user->hub;
    user->presence_mark = hub->versioned ? hub->announced : hub->presence_mark;
    user->joins_unseen = hub->versioned && hub->options.friends == FRIENDS_THREADS;
}

static enum err user_activate(struct user *user, const struct thread_record *threads, size_t count)
{
    if (user->active)
        return OK;
    user->active = true;
    begin_marks(user);
    enum err err = threads_load(user, threads, count);
    if (err)
        user_deactivate(user, err);
    return err;
}

/* The error of an answer: one to a call from before a reset is old, whatever it says. */
static enum err answer_err(const struct opening *opening, enum err err)
{
    bool old = opening->generation != opening->user->hub->generation;
    return !err && old ? ERR_STORE : err;
}

static void got_threads(void *ctx, enum err err, const struct thread_record *threads, size_t count)
{
    struct opening *opening = ctx;
    err = answer_err(opening, err);
    opening_end(opening, err ? err : user_activate(opening->user, threads, count));
}

static void got_user(void *ctx, enum err err, const struct user_record *record)
{
    struct opening *opening = ctx;
    err = answer_err(opening, err);
    if (!err)
        err = user_update(opening->user, record);
    if (!err)
        err = opening->user->hub->shut;
    if (err || opening->user->active) {
        opening_end(opening, err);
        return;
    }
    struct store *store = opening->user->hub->store;
    store->ops->threads_of(store, user_id(opening->user), false, got_threads, opening);
}

static bool is_name(struct span text, size_t max)
{
    return text.len <= max && utf8_printable(text);
}

enum err hub_user_open(struct hub *hub, struct span id, struct span name, hub_user_done *done, void *ctx)
{
    if (hub->shut || hub_closed(hub))
        return hub->shut ? hub->shut : hub_closed(hub);
    if (id.len == 0 || !is_name(id, USER_ID_MAX) || !is_name(name, USER_NAME_MAX))
        return ERR_BAD_FIELD;
    struct user *user = user_get(hub, id);
    if (!user)
        return ERR_NO_MEMORY;
    user->pins++;
    if (user->active && (name.len == 0 || span_equal(span_of(user->name), name))) {
        done(ctx, OK, user);
        return OK;
    }
    struct opening *opening = malloc(sizeof(*opening));
    if (!opening) {
        hub_user_close(user);
        return ERR_NO_MEMORY;
    }
    *opening = (struct opening){user, done, ctx, hub->generation};
    hub->store->ops->user_put(hub->store, id, name, got_user, opening);
    return OK;
}

/* --- staying and leaving */

static bool is_held(const struct user *user)
{
    return user->sessions || user->pins;
}

/* Keeps a user who is not here in memory a while. */
static void linger(struct user *user)
{
    int64_t grace_ms = user->hub->options.grace_ms;
    timer_set(user->hub->timers, &user->timer,
              clock_now_ms(user->hub->clock) + (grace_ms > LINGER_MS ? grace_ms : LINGER_MS));
}

void hub_user_close(struct user *user)
{
    assert(user->pins > 0);
    user->pins--;
    if (is_held(user))
        return;
    if (!user->active)
        user_release(user);
    else if (!user->here)
        linger(user);
}

static void tell_lease(struct user *user)
{
    struct store *store = user->hub->store;
    enum lease lease = lease_of(user);
    if (user->hub->shut || lease == user->lease) /* the store is closing: leases end with it */
        return;
    user->lease = (uint8_t)lease;
    store->ops->lease(store, user_id(user), lease == LEASE_NONE && user->goodbye ? LEASE_GOODBYE : lease);
}

void user_arrived(struct user *user)
{
    struct hub *hub = user->hub;
    timer_clear(hub->timers, &user->timer);
    if (user->session_count > 1)
        return;
    bool was_available = user->elsewhere || (user->here && (user->awaited || !user->heard));
    if (idle_without_sessions(user))
        watch_user_changed(user);
    user->here = true;
    user->awaited = user->goodbye = false;
    user->heard = user->elsewhere;
    tell_lease(user);
    if (was_available)
        return;
    if (hub->versioned)
        presence_foreseen(user);
    else
        presence_changed(user);
}

/* Where the store counts versions they mostly stay available until it says that no node has them any more. */
static void grace_over(struct user *user)
{
    bool was_available = user_available(user);
    user->here = user->awaited = false;
    tell_lease(user);
    user->goodbye = false;
    if (was_available == user_available(user))
        watch_user_changed(user);
    else
        presence_changed(user);
}

void user_awaits_poll(struct user *user, int64_t grace_ms)
{
    int64_t until_ms = clock_now_ms(user->hub->clock) + grace_ms;
    if (user->awaited_until_ms < until_ms)
        user->awaited_until_ms = until_ms;
}

/* How long yet; 0: none is awaited. */
static int64_t poll_awaited_ms(const struct user *user)
{
    int64_t left_ms = user->awaited_until_ms - clock_now_ms(user->hub->clock);
    return left_ms > 0 ? left_ms : 0;
}

void user_left(struct user *user, bool awaited, int64_t grace_ms)
{
    int64_t awaited_ms = poll_awaited_ms(user);
    if (grace_ms < awaited_ms)
        grace_ms = awaited_ms;
    user->awaited = awaited || awaited_ms;
    tell_lease(user);
    if (!user_available(user))
        presence_changed(user);
    else if (user_is_idle(user))
        watch_user_changed(user);
    timer_set(user->hub->timers, &user->timer, clock_now_ms(user->hub->clock) + grace_ms);
}

void user_said_goodbye(struct user *user)
{
    user->goodbye = !poll_awaited_ms(user);
    user_left(user, true, 0);
}

void user_deactivate(struct user *user, enum err why)
{
    while (user->sessions)
        session_end(user->sessions, why);
    if (user->active)
        threads_unload(user);
    user->active = false;
}

static void user_timer_fired(struct timer *timer)
{
    struct user *user = container_of(timer, struct user, timer);
    if (user->sessions)
        return;
    if (user->here) {
        grace_over(user);
        /* Friends are told at the end of the turn, for which the user's threads must still be here. */
        linger(user);
        return;
    }
    if (user->pins) {
        linger(user);
        return;
    }
    user_deactivate(user, OK);
    user_release(user);
}

static void user_lose(struct user *user)
{
    timer_clear(user->hub->timers, &user->timer);
    user->here = user->awaited = user->goodbye = user->heard = false;
    tell_lease(user);
    user->active = user->known = user->elsewhere = user->idle = user->untold = user->wants_snapshot = false;
    user->version = user->news = user->presence_mark = user->awaited_until_ms = 0;
    user_release(user);
}

void users_lose(struct hub *hub, enum err why)
{
    struct user *user, *next;
    HASH_ITER (hh, hub->users, user, next)
        while (user->sessions)
            session_end(user->sessions, why);
    watches_end(hub, why);
    threads_forget(hub);
    presence_forget_snapshot(hub);
    HASH_ITER (hh, hub->users, user, next)
        user_lose(user);
}

/* --- whose a name is */

struct naming {
    hub_name_done *done;
    void *ctx;
    size_t len;
    bool is_display_name;
    char name[];
};

static bool is_display_name(const struct hub *hub, struct span name, struct span self)
{
    const struct user *user, *next;
    HASH_ITER (hh, hub->users, user, next)
        if (user->known && user->name && span_is(name, user->name) && !span_equal(user_id(user), self))
            return true;
    return false;
}

static void got_next_user(void *ctx, enum err err, const struct user_record *users, size_t count)
{
    struct naming *naming = ctx;
    bool is_id = count && span_equal(users[0].id, (struct span){naming->name, naming->len});
    naming->done(naming->ctx, err, is_id, naming->is_display_name);
    free(naming);
}

/* The list of users begins after an id. The last thing before `name` in the order of bytes that could be one: what is
 * like it up to a last byte one less, and goes on with a byte that no text has. */
static void ask_for_id(struct hub *hub, struct naming *naming)
{
    char before[USER_ID_MAX + 1];
    memcpy(before, naming->name, naming->len);
    before[naming->len - 1]--;
    before[naming->len] = (char)0xff;
    hub->store->ops->users_list(hub->store, (struct span){before, naming->len + 1}, 1, got_next_user, naming);
}

enum err hub_name_find(struct hub *hub, struct span name, struct span self, hub_name_done *done, void *ctx)
{
    if (hub->shut || hub_closed(hub))
        return hub->shut ? hub->shut : hub_closed(hub);
    if (name.len == 0 || !is_name(name, USER_NAME_MAX))
        return ERR_BAD_FIELD;
    const struct user *user = user_find(hub, name);
    bool display = is_display_name(hub, name, self);
    bool is_known = user && user->known, is_self = span_equal(name, self);
    if (is_known || is_self || hub->options.friends == FRIENDS_EVERYONE || name.len > USER_ID_MAX) {
        done(ctx, OK, is_known && !is_self, display);
        return OK;
    }
    struct naming *naming = malloc(sizeof(*naming) + name.len);
    if (!naming)
        return ERR_NO_MEMORY;
    *naming = (struct naming){.done = done, .ctx = ctx, .len = name.len, .is_display_name = display};
    memcpy(naming->name, name.data, name.len);
    ask_for_id(hub, naming);
    return OK;
}
