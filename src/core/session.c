/* SPDX-License-Identifier: MIT */
/*
 * Sessions: from attaching to live, and resuming without a seam.
 *
 *     FRESH ── end of turn ──> [presence] ──> LIVE
 *                                   └──────> REPLAY <──> PAUSED (a page was shown, the client is taking it)
 *                                              └──────> LIVE
 *
 * While a session is replayed, live events pass it by. A page tells where the log stood when it was read; the session
 * is live once nothing has been delivered since then, and a live event it has already seen in a page is skipped by its
 * cursor.
 */
#include "core/state.h"

#include <assert.h>
#include <stdlib.h>

enum { PAGE_COUNT = 128, PAGE_BYTES = 64 * 1024 };

/* A page being read. It outlives its session, which then is null. */
struct replay {
    struct session *session;
};

/* --- attaching */

static void user_link(struct user *user, struct session *session)
{
    session->prev = NULL;
    session->next = user->sessions;
    if (user->sessions)
        user->sessions->prev = session;
    user->sessions = session;
    user->session_count++;
}

static void user_unlink(struct session *session)
{
    struct user *user = session->user;
    if (session->prev)
        session->prev->next = session->next;
    else
        user->sessions = session->next;
    if (session->next)
        session->next->prev = session->prev;
    user->session_count--;
}

enum err hub_may_attach(const struct user *user, const struct id *token)
{
    const struct hub *hub = user->hub;
    if (hub->shut)
        return hub->shut;
    if (!user->active) /* no longer: see user_deactivate */
        return ERR_NO_MEMORY;
    if (user->session_count >= hub->options.sessions_per_user) {
        metric_add(METRIC_LIMIT_SESSIONS, 1);
        return ERR_TOO_MANY_SESSIONS;
    }
    return token ? grant_has_room(hub, *token) : OK;
}

enum err hub_attach(struct session *session, const struct session_ops *ops, struct user *user,
                    const struct attach *attach)
{
    struct hub *hub = user->hub;
    assert(user->pins > 0);
    enum err refused = hub_may_attach(user, attach->token);
    if (refused)
        return refused;
    *session = (struct session){.ops = ops,
                                .cursor = attach->resume ? attach->since : hub->cursor,
                                .presence_mark = attach->presence_mark,
                                .since_us = clock_wall_us(hub->clock),
                                .grace_ms = attach->grace_ms,
                                .state = SESSION_FRESH,
                                .resume = attach->resume,
                                .next_fresh = hub->fresh};
    enum err err = OK;
    session->user = user;
    if (attach->token)
        err = grant_join(hub, session, *attach->token, attach->expires_us);
    else if (attach->expires_us)
        err = expiry_start(session, attach->expires_us);
    if (err) {
        session->state = SESSION_DETACHED;
        return err;
    }
    hub->fresh = session;
    user_link(user, session);
    if (ops->comes_again)
        user->awaited_until_ms = 0;
    user_arrived(user);
    metric_add(ops->gauge, 1);
    return OK;
}

static void forget_fresh(struct hub *hub, struct session *session)
{
    struct session **at = &hub->fresh;
    while (*at && *at != session)
        at = &(*at)->next_fresh;
    if (*at)
        *at = session->next_fresh;
}

/* What comes to its end with the session, but for its user's stay. */
static void session_detach(struct session *session)
{
    struct user *user = session->user;
    struct hub *hub = user->hub;
    if (session->state == SESSION_FRESH)
        forget_fresh(hub, session);
    session->cursor = session_cursor(session); /* these are still to be asked for afterwards */
    session->presence_mark = session_presence_mark(session);
    session->state = SESSION_DETACHED;
    if (session->replay)
        session->replay->session = NULL;
    if (session->grant)
        grant_leave(session);
    expiry_stop(session);
    user_unlink(session);
    metric_add(session->ops->gauge, -1);
}

static void session_left(struct session *session, bool is_cut_off)
{
    if (!session_attached(session))
        return;
    struct user *user = session->user;
    session_detach(session);
    int64_t grace_ms = session->grace_ms ? session->grace_ms : user->hub->options.grace_ms;
    bool comes_again = session->ops->comes_again;
    if (!user->sessions)
        user_left(user, comes_again, grace_ms);
    else if (comes_again && !is_cut_off)
        user_awaits_poll(user, grace_ms);
}

void hub_detach(struct session *session)
{
    session_left(session, false);
}

void hub_cut_off(struct session *session)
{
    session_left(session, true);
}

/* Nobody is told from here, which may be inside of telling something: with a grace of nothing the next turn does. */
void hub_leave(struct session *session)
{
    if (!session_attached(session))
        return;
    struct user *user = session->user;
    session_detach(session);
    if (!user->sessions)
        user_said_goodbye(user);
}

enum err hub_extend(struct session *session, int64_t expires_us)
{
    if (!session_attached(session) || session->grant)
        return OK;
    if (expires_us)
        return expiry_start(session, expires_us);
    expiry_stop(session);
    return OK;
}

/* One whose turn it was to end may have been detached by what another did when it ended. */
void session_end(struct session *session, enum err why)
{
    if (!session_attached(session))
        return;
    hub_detach(session);
    session->ops->close(session, why);
}

bool session_is_ahead(const struct session *session)
{
    return cursor_compare(session->cursor, session->user->hub->cursor) > 0;
}

struct cursor session_cursor(const struct session *session)
{
    if (session->state != SESSION_LIVE || session_is_ahead(session))
        return session->cursor;
    return session->user->hub->cursor;
}

int64_t session_presence_mark(const struct session *session)
{
    if (!session_attached(session))
        return session->presence_mark;
    int64_t mark = hub_presence_mark(session->user->hub);
    return session->state == SESSION_LIVE || !mark ? mark : session->presence_mark;
}

/* --- showing */

/* Gives the session something it has asked for, and the reference away. */
static void show_asked(struct session *session, struct event *take_event)
{
    session->catching_up = true;
    session->ops->event(session, take_event);
    session->catching_up = false;
    event_unref(take_event);
}

static void show_presence(struct session *session, struct event *take_event)
{
    const struct hub *hub = session->user->hub;
    session->presence_mark = hub->presence_mark;
    metric_add(METRIC_PRESENCE_OUT, 1);
    show_asked(session, take_event);
}

void session_show_presence(struct session *session)
{
    struct event *event = presence_snapshot(session->user, session_cursor(session));
    if (!event) {
        session_end(session, ERR_NO_MEMORY);
        return;
    }
    session->shown = session->user->hub->changes;
    show_presence(session, event);
}

/* Shows a session that comes with a mark what is new since then: with versions that need not be everybody. (Among
 * fellows it does: to come into a thread has no version.) What has no version yet is not in it, and is told when it
 * has. */
static void show_news(struct session *session)
{
    const struct hub *hub = session->user->hub;
    int64_t mark = session->presence_mark;
    struct event *event = NULL;
    if (!hub->versioned || hub->options.friends != FRIENDS_EVERYONE || mark <= 0 || mark > hub->presence_mark)
        session_show_presence(session);
    else if (presence_since(session->user, mark, session_cursor(session), &event) != OK)
        session_end(session, ERR_NO_MEMORY);
    else if (event)
        show_presence(session, event);
}

static bool knows_presence(const struct session *session)
{
    const struct hub *hub = session->user->hub;
    int64_t mark = session->presence_mark;
    if (mark > hub->presence_mark && mark <= hub->lost_until)
        return false;
    return mark && mark >= user_mark(session->user);
}

/* Those that are not live now are shown how everybody is when they are. For a client between two polls, or one that
 * was last served by another node, the log has to tell whether anybody came since (session_begin). */
void sessions_forget_marks(struct user *user)
{
    for (struct session *session = user->sessions; session; session = session->next)
        if (session->state != SESSION_LIVE)
            session->presence_mark = 0;
    user->joins_unseen |= !user->sessions;
}

static void check_joins(struct session *session)
{
    struct user *user = session->user;
    if (!user->joins_unseen)
        return;
    user->joins_unseen = false;
    if (threads_joined_since(user, session->cursor))
        session->presence_mark = 0;
}

/* Nothing was missed any more. */
static void session_go_live(struct session *session)
{
    session->state = SESSION_LIVE;
    if (!knows_presence(session))
        show_news(session);
    if (session_attached(session))
        session->ops->settled(session, false);
}

/* --- replaying */

static void session_replay(struct session *session);

/* Shows one message that was missed. */
static void show_missed(struct session *session, struct message *message)
{
    struct event *event = event_of_message(message);
    if (!event) {
        session_end(session, ERR_NO_MEMORY);
        return;
    }
    session->cursor = message->cursor;
    metric_add(METRIC_MESSAGES_OUT, 1);
    show_asked(session, event);
}

/* A cursor from before the oldest message or from beyond the log's end (another store's, then) cannot be resumed. */
static void show_gap(struct session *session, const struct message_page *page)
{
    const struct hub *hub = session->user->hub;
    bool beyond = cursor_compare(session->cursor, page->head) > 0;
    if (!page->gap && !beyond)
        return;
    if (beyond)
        session->cursor = page->head;
    struct event *event = event_of_gap(page->oldest, clock_wall_us(hub->clock), session->cursor);
    if (!event) {
        session_end(session, ERR_NO_MEMORY);
        return;
    }
    show_asked(session, event);
}

static void show_page(struct session *session, const struct message_page *page)
{
    show_gap(session, page);
    for (size_t i = 0; i < page->count && session_attached(session); i++)
        show_missed(session, page->messages[i]);
    if (!session_attached(session))
        return;
    if (page->more) {
        session->state = SESSION_PAUSED;
        session->ops->settled(session, true);
        return;
    }
    if (cursor_compare(session->cursor, page->head) < 0)
        session->cursor = page->head;
    if (cursor_compare(session->user->hub->cursor, page->head) > 0)
        session_replay(session);
    else
        session_go_live(session);
}

static void got_page(void *ctx, enum err err, const struct message_page *page)
{
    struct replay *replay = ctx;
    struct session *session = replay->session;
    free(replay);
    if (!session)
        return;
    session->replay = NULL;
    if (err)
        session_end(session, err);
    else
        show_page(session, page);
}

static void session_replay(struct session *session)
{
    struct hub *hub = session->user->hub;
    session->state = SESSION_REPLAY;
    struct replay *replay = malloc(sizeof(*replay));
    if (!replay) {
        session_end(session, ERR_NO_MEMORY);
        return;
    }
    replay->session = session;
    session->replay = replay;
    hub->store->ops->replay(hub->store, user_id(session->user), session->cursor, PAGE_COUNT, PAGE_BYTES, got_page,
                            replay);
}

void hub_continue(struct session *session)
{
    if (session->state == SESSION_PAUSED)
        session_replay(session);
}

/* --- the end of the turn */

static void session_begin(struct session *session)
{
    struct hub *hub = session->user->hub;
    check_joins(session);
    if (!session->resume)
        session->cursor = hub->cursor;
    /* A poll that comes again has mostly missed nothing: then the store need not be asked. */
    if (cursor_compare(session->cursor, hub->cursor) == 0) {
        session_go_live(session);
        return;
    }
    session->state = SESSION_REPLAY;
    if (!knows_presence(session))
        show_news(session);
    if (session_attached(session))
        session_replay(session);
}

void sessions_begin(struct hub *hub)
{
    while (hub->fresh) {
        struct session *session = hub->fresh;
        hub->fresh = session->next_fresh;
        session->next_fresh = NULL;
        session_begin(session);
    }
}
