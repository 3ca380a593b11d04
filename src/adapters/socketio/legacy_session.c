/* SPDX-License-Identifier: MIT */
/*
 * Sessions of Socket.IO 0.9.
 *
 * One timer does for all: what it is set to follows from the state (due_ms), and what is to be done when it fires, too.
 * A poll is answered on the turn after the first packet for it, with all that came meanwhile. A session is freed by its
 * timer and nowhere else, so nothing that is on the stack can be freed.
 */
#include "adapters/socketio/legacy_inside.h"
#include "base/log.h"
#include "base/metric.h"

enum { SID_BYTES = 15, STALL_MS = 1000 };

static struct engine *engine_of(const struct legacy *legacy)
{
    return legacy->adapter->engine;
}

static struct timers *timers_of(const struct legacy_session *session)
{
    return loop_timers(session->legacy->adapter->loop);
}

static int64_t now_of(const struct legacy_session *session)
{
    return loop_now_ms(session->legacy->adapter->loop);
}

/* --- the timer */

static int64_t due_ms(const struct legacy_session *session)
{
    const struct legacy_times *times = &session->legacy->times;
    if (session->state == LEGACY_NEW || session->state == LEGACY_LEAVING)
        return session->since_ms + times->unused;
    if (session->state == LEGACY_OVER || session->ends || (session->poll && session->queue.count))
        return now_of(session);
    if (session->poll)
        return session->since_ms + times->poll;
    if (!session->line)
        return session->since_ms + times->absence;
    int64_t beat = session->beat_ms + times->beat;
    int64_t silence = session->heard_ms + times->silence;
    return beat < silence ? beat : silence;
}

static void schedule(struct legacy_session *session)
{
    timer_set(timers_of(session), &session->timer, due_ms(session));
}

/* --- what waits for a poll */

/* Null: no memory. */
static struct blob *queue_payload(const struct legacy_session *session)
{
    struct buf out = BUF_INIT;
    if (session->queue.count == 0)
        return blob_copy(LEGACY_NOOP_TEXT);
    if (session->queue.count == 1)
        return blob_copy(piece_of_frame(session->queue.frames[0]).bytes);
    for (uint32_t i = 0; i < session->queue.count; i++)
        legacy_payload_add(&out, piece_of_frame(session->queue.frames[i]).bytes);
    struct blob *body = buf_blob(&out);
    buf_fini(&out);
    return body;
}

/* --- transports */

/* Answers the poll that waits, with what there is. */
static void answer_poll(struct legacy_session *session)
{
    struct exchange *poll = session->poll;
    struct blob *body = queue_payload(session);
    session->poll = NULL;
    session->since_ms = now_of(session);
    queue_clear(&session->queue);
    legacy_answer(poll, 200, body);
    blob_unref(body);
}

static void count_transport(struct legacy_session *session, int by)
{
    metric_add(session->polls ? METRIC_LEGACY_POLLING : METRIC_LEGACY_WEBSOCKET, by);
}

/* Whether something that was queued has left by this. */
static bool let_go(struct legacy_session *session, enum engine_end why)
{
    struct legacy_line *line = session->line;
    bool drains = session->poll && session->queue.count;
    session->line = NULL;
    if (session->poll)
        answer_poll(session);
    if (line)
        legacy_line_close(line, why);
    return drains;
}

static void take_transport(struct legacy_session *session, bool polls)
{
    if (session->state == LEGACY_OPEN)
        count_transport(session, -1);
    session->polls = polls;
    count_transport(session, 1);
}

/* A transport has been taken. With the first, `1::` and whatever the applications have to say at once is queued. */
static void go_on(struct legacy_session *session, bool drains)
{
    if (session->state == LEGACY_NEW) {
        session->state = LEGACY_OPEN;
        legacy_client_open(session);
    }
    if (session->state != LEGACY_OPEN)
        return;
    schedule(session);
    if (drains)
        client_drained(&session->client);
}

void legacy_session_touch(struct legacy_session *session)
{
    if (session->state != LEGACY_NEW)
        return;
    session->since_ms = now_of(session);
    take_transport(session, true);
    go_on(session, false);
}

static void poll_gone(void *ctx)
{
    struct legacy_session *session = ctx;
    struct exchange *poll = session->poll;
    session->poll = NULL;
    legacy_answer(poll, 400, NULL);
    legacy_session_lost(session);
}

/* For one that is leaving: it has been told all. */
static void poll_last(struct legacy_session *session, struct exchange *exchange)
{
    session->poll = exchange;
    answer_poll(session);
    session->state = LEGACY_OVER;
    schedule(session);
}

void legacy_session_poll(struct legacy_session *session, struct exchange *exchange)
{
    if (session->state == LEGACY_LEAVING) {
        poll_last(session, exchange);
        return;
    }
    bool drains = let_go(session, ENGINE_TRANSPORT_CLOSE);
    session->poll = exchange;
    session->since_ms = now_of(session);
    take_transport(session, true);
    exchange->ops->watch(exchange, poll_gone, session);
    go_on(session, drains);
}

static enum err flush_to_line(struct legacy_session *session)
{
    enum err err = OK;
    for (uint32_t i = 0; i < session->queue.count && !err; i++)
        err = legacy_line_send(session->line, session->queue.frames[i], true);
    queue_clear(&session->queue);
    return err;
}

void legacy_session_take_line(struct legacy_session *session, struct legacy_line *line)
{
    bool drains = let_go(session, ENGINE_TRANSPORT_CLOSE);
    session->line = line;
    session->heard_ms = session->beat_ms = session->since_ms = now_of(session);
    take_transport(session, false);
    if (flush_to_line(session))
        legacy_session_end(session, ENGINE_TRANSPORT_ERROR);
    else
        go_on(session, drains);
}

void legacy_session_lost(struct legacy_session *session)
{
    if (session->line) {
        session->line = NULL;
        legacy_session_end(session, ENGINE_TRANSPORT_CLOSE);
        return;
    }
    session->since_ms = now_of(session);
    schedule(session);
}

void legacy_session_drained(struct legacy_session *session)
{
    client_drained(&session->client);
}

/* --- sending */

static uint32_t queue_cap(const struct legacy_session *session)
{
    return (uint32_t)session->legacy->adapter->options.engine.queue_bytes;
}

static enum engine_end end_for(enum err err)
{
    if (err == ERR_GONE)
        return ENGINE_TRANSPORT_CLOSE;
    return err == ERR_SLOW_READER ? ENGINE_SLOW_READER : ENGINE_TRANSPORT_ERROR;
}

void legacy_session_send(struct legacy_session *session, struct blob *framed, bool paced)
{
    if (session->state >= LEGACY_LEAVING)
        return;
    enum err err = ERR_NO_MEMORY;
    if (framed)
        err = session->line ? legacy_line_send(session->line, framed, paced)
                            : queue_add(&session->queue, framed, paced, queue_cap(session));
    if (err)
        legacy_session_end(session, end_for(err));
    else if (session->poll)
        schedule(session);
}

void legacy_session_say(struct legacy_session *session, enum legacy_type type, struct span nsp, struct span data)
{
    struct buf text = BUF_INIT;
    legacy_write(&text, type, nsp, data);
    struct blob *framed = buf_failed(&text) ? NULL : websocket_frame(buf_span(&text), true);
    buf_fini(&text);
    legacy_session_send(session, framed, false);
    blob_unref(framed);
}

bool legacy_session_is_writable(const struct legacy_session *session)
{
    return session->line ? legacy_line_queued(session->line) == 0 : session->poll != NULL;
}

uint32_t legacy_session_queued(const struct legacy_session *session)
{
    return session->queue.bytes + (session->line ? legacy_line_queued(session->line) : 0);
}

/* --- the end */

static void note_end(const struct legacy_session *session, enum engine_end why)
{
    engine_count_end(why);
    if (why != ENGINE_SLOW_READER)
        return;
    metric_add(METRIC_LIMIT_QUEUE, 1);
    log_event(LOG_INFO, "socketio session ended: slow reader", log_span("user", session->visitor->user),
              log_span("address", session->visitor->address));
}

/* What was said last is not lost on who is between two polls just then. */
static enum legacy_state state_after(const struct legacy_session *session, enum engine_end why)
{
    bool waits = session->polls && !session->poll && session->queue.count;
    return waits && why == ENGINE_FORCED_CLOSE ? LEGACY_LEAVING : LEGACY_OVER;
}

void legacy_session_end(struct legacy_session *session, enum engine_end why)
{
    enum legacy_state before = session->state;
    if (before == LEGACY_OVER || (before == LEGACY_LEAVING && why == ENGINE_FORCED_CLOSE))
        return;
    session->state = before == LEGACY_OPEN ? state_after(session, why) : LEGACY_OVER;
    session->since_ms = now_of(session);
    (void)let_go(session, why);
    if (session->state == LEGACY_OVER)
        queue_clear(&session->queue);
    schedule(session);
    if (before == LEGACY_LEAVING)
        return;
    engine_dismiss(engine_of(session->legacy), session->visitor->address);
    if (before == LEGACY_NEW)
        return;
    count_transport(session, -1);
    note_end(session, why);
    client_end(&session->client, why);
}

void legacy_session_end_soon(struct legacy_session *session)
{
    if (session->state != LEGACY_OPEN)
        return;
    session->ends = true;
    schedule(session);
}

static void session_free(struct legacy_session *session)
{
    struct legacy *legacy = session->legacy;
    HASH_DEL(legacy->sessions, session);
    timer_fini(timers_of(session), &session->timer);
    queue_clear(&session->queue);
    free(session->visitor);
    free(session);
}

/* --- deadlines */

static void line_due(struct legacy_session *session)
{
    const struct legacy_times *times = &session->legacy->times;
    int64_t now = now_of(session);
    if (now >= session->heard_ms + times->silence) {
        legacy_session_end(session, ENGINE_PING_TIMEOUT);
        return;
    }
    if (now >= session->beat_ms + times->beat) {
        session->beat_ms = now;
        legacy_session_say(session, LEGACY_HEARTBEAT, SPAN_LITERAL("/"), SPAN_LITERAL(""));
    }
    if (session->state == LEGACY_OPEN)
        schedule(session);
}

static void poll_due(struct legacy_session *session)
{
    bool drains = session->queue.count > 0;
    answer_poll(session);
    schedule(session);
    if (drains)
        client_drained(&session->client);
}

static void absence_due(struct legacy_session *session)
{
    if (now_of(session) >= session->since_ms + session->legacy->times.absence)
        legacy_session_end(session, ENGINE_PING_TIMEOUT);
    else
        schedule(session);
}

/* When it was us who slept, what the client has sent meanwhile is still unread: its time begins again. */
static void forgive_stall(struct legacy_session *session)
{
    int64_t now = now_of(session);
    if (now - session->timer.due_ms >= STALL_MS && !session->poll)
        session->since_ms = session->heard_ms = now;
}

static void open_due(struct legacy_session *session)
{
    forgive_stall(session);
    if (session->ends)
        legacy_session_end(session, ENGINE_FORCED_CLOSE);
    else if (session->line)
        line_due(session);
    else if (session->poll)
        poll_due(session);
    else
        absence_due(session);
}

static void timer_fired(struct timer *timer)
{
    struct legacy_session *session = container_of(timer, struct legacy_session, timer);
    switch (session->state) {
    case LEGACY_OPEN: open_due(session); break;
    case LEGACY_OVER: session_free(session); break;
    case LEGACY_NEW:
    case LEGACY_LEAVING: legacy_session_end(session, ENGINE_TRANSPORT_CLOSE); break;
    }
}

/* --- the beginning */

/* Into the table, with a timer. */
static enum err enter(struct legacy_session *session)
{
    struct legacy *legacy = session->legacy;
    const char *node = engine_node(engine_of(legacy));
    memcpy(session->sid, node, ENGINE_NODE_LEN);
    engine_draw_text(session->sid + ENGINE_NODE_LEN, SID_BYTES);
    if (timer_init(timers_of(session), &session->timer, timer_fired))
        return ERR_NO_MEMORY;
    HASH_ADD(hh, legacy->sessions, sid, ENGINE_SID_LEN, session);
    if (table_added(session))
        return OK;
    timer_fini(timers_of(session), &session->timer);
    return ERR_NO_MEMORY;
}

enum err legacy_session_new(struct legacy *legacy, struct visitor *take_visitor, struct legacy_session **ret_session)
{
    struct legacy_session *session = calloc(1, sizeof(*session));
    if (!session)
        return ERR_NO_MEMORY;
    session->legacy = legacy;
    enum err err = engine_admit(engine_of(legacy), take_visitor->address);
    if (!err && (err = enter(session)) != OK)
        engine_dismiss(engine_of(legacy), take_visitor->address);
    if (err) {
        free(session);
        return err;
    }
    session->visitor = take_visitor;
    session->since_ms = now_of(session);
    schedule(session);
    *ret_session = session;
    return OK;
}

struct legacy_session *legacy_find(struct legacy *legacy, struct span sid)
{
    struct legacy_session *session = NULL;
    if (sid.len == ENGINE_SID_LEN)
        HASH_FIND(hh, legacy->sessions, sid.data, ENGINE_SID_LEN, session);
    return session && session->state != LEGACY_OVER ? session : NULL;
}

void legacy_sessions_end(struct legacy *legacy)
{
    struct legacy_session *session, *next;
    HASH_ITER (hh, legacy->sessions, session, next)
        legacy_session_end(session, ENGINE_SHUTDOWN);
}

void legacy_sessions_free(struct legacy *legacy)
{
    struct legacy_session *session, *next;
    HASH_ITER (hh, legacy->sessions, session, next)
        session_free(session);
}
