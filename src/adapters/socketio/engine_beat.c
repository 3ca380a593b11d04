/* SPDX-License-Identifier: MIT */
/*
 * Heartbeats. In revision 4 we ping, and the client has ping_timeout to answer; in revisions 3 and 2 the client pings,
 * and has interval and timeout together since its last packet.
 *
 * When a client's time is over, what it has sent may already be here, unread: timers come before I/O in a turn. So the
 * session goes on for a turn (GRACE_TURN), or for as long as the loop had slept when it slept too long, and many have
 * to be read; a poll that comes meanwhile does not count, and is refused when the session ends. Only where so much was
 * slept that the client has had less than half of its time, perhaps because the ping left late, it gets its time once
 * more (GRACE_STALL).
 *
 * A client of the old revisions who polls has had a whole timeout more than it needs: for it the end is the end, if the
 * loop has not slept.
 */
#include <time.h>

#include "adapters/socketio/engine_inside.h"

enum { STALL_MS = 20, LONG_STALL_MS = 50 };
enum beat_grace { GRACE_NONE, GRACE_TURN, GRACE_STALL };

static const struct engine_options *options_of(const struct engine_session *session)
{
    return &session->engine->options;
}

static void set_beat(struct engine_session *session, int64_t due_ms)
{
    timer_set(session_timers(session), &session->beat, due_ms);
}

static void forgive(struct engine_session *session)
{
    session->grace = GRACE_NONE;
    session->poll_is_late = false;
    poll_wake(session);
}

/* --- stalls */

/* Deadlines fire in their order, so the first of a turn shows best how long the loop has slept. */
static void note_stall(struct engine *engine, int64_t now_ms, int64_t stall_ms)
{
    bool is_same = now_ms - engine->stalled_ms <= engine->stall_ms;
    if (stall_ms < STALL_MS || (is_same && stall_ms < engine->stall_ms))
        return;
    engine->stalled_ms = now_ms;
    engine->stall_ms = stall_ms;
}

/* How long the loop has slept within the last timeout; 0: not. */
static int64_t recent_stall_ms(const struct engine *engine, int64_t now_ms)
{
    return now_ms - engine->stalled_ms < engine->options.ping_timeout_ms ? engine->stall_ms : 0;
}

void beat_watch(struct engine *engine)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    note_stall(engine, now_ms, now_ms - loop_now_ms(engine->loop));
}

/* --- the end of the patience */

static bool has_grace(const struct engine_session *session, int64_t stall_ms)
{
    return session->line || session->wire.revision == ENGINE_4 || stall_ms >= LONG_STALL_MS;
}

static void on_time_over(struct engine_session *session)
{
    int64_t now_ms = session_now_ms(session), timeout_ms = options_of(session)->ping_timeout_ms;
    int64_t stall_ms = recent_stall_ms(session->engine, now_ms);
    if (stall_ms >= timeout_ms / 2) {
        session->grace = GRACE_STALL;
        set_beat(session, now_ms + timeout_ms);
    } else if (session->grace != GRACE_TURN && has_grace(session, stall_ms)) {
        session->grace = GRACE_TURN;
        set_beat(session, now_ms + stall_ms);
    } else {
        session_over(session, ENGINE_PING_TIMEOUT);
    }
}

/* A client of the old revisions may have been heard since the timer was set: no timer is touched per packet. */
static bool is_heard_since(struct engine_session *session)
{
    const struct engine_options *options = options_of(session);
    int64_t due_ms = session->heard_ms + options->ping_interval_ms + options->ping_timeout_ms;
    if (session->wire.revision == ENGINE_4 || due_ms <= session_now_ms(session))
        return false;
    set_beat(session, due_ms);
    return true;
}

/* The time for the pong counts from when the ping was due; what the loop has slept is given back at the end. */
static void send_ping(struct engine_session *session)
{
    int64_t now_ms = session_now_ms(session), timeout_ms = options_of(session)->ping_timeout_ms;
    int64_t due_ms = session->beat.due_ms;
    session->pinged = true;
    set_beat(session, (now_ms - due_ms < timeout_ms / 2 ? due_ms : now_ms) + timeout_ms);
    if (session_push(session, session->engine->ping, true))
        session_over(session, ENGINE_TRANSPORT_CLOSE);
}

static void on_beat(struct timer *timer)
{
    struct engine_session *session = container_of(timer, struct engine_session, beat);
    note_stall(session->engine, session_now_ms(session), session_now_ms(session) - timer->due_ms);
    if (session->wire.revision == ENGINE_4 && !session->pinged)
        send_ping(session);
    else if (!is_heard_since(session))
        on_time_over(session);
}

enum err beat_init(struct engine_session *session)
{
    return timer_init(session_timers(session), &session->beat, on_beat);
}

void beat_start(struct engine_session *session)
{
    const struct engine_options *options = options_of(session);
    bool we_ping = session->wire.revision == ENGINE_4;
    session->heard_ms = session_now_ms(session);
    set_beat(session, session->heard_ms + options->ping_interval_ms + (we_ping ? 0 : options->ping_timeout_ms));
}

void beat_pong(struct engine_session *session)
{
    if (!session->pinged)
        return;
    session->pinged = false;
    set_beat(session, session_now_ms(session) + options_of(session)->ping_interval_ms);
    forgive(session);
}

void beat_heard(struct engine_session *session)
{
    if (session->wire.revision == ENGINE_4)
        return;
    session->heard_ms = session_now_ms(session);
    if (session->grace != GRACE_NONE)
        forgive(session);
}

bool beat_is_late(const struct engine_session *session)
{
    return session->grace == GRACE_TURN;
}
