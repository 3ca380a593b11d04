/* SPDX-License-Identifier: MIT */
/*
 * The transport of WebSockets, and the upgrade to it.
 *
 *     line_new ──┬─ line_join: it is the session's transport ─────────────────────────┐
 *                └─ line_probe: `2probe` ─> `3probe` … `5` ─> what is queued moves ────┴─> line_close, or the peer goes
 *
 * A line outlives its session by what it takes to say goodbye.
 */
#include <stdlib.h>

#include "adapters/socketio/engine_inside.h"
#include "base/log.h"
#include "base/metric.h"

enum {
    CODE_NORMAL = 1000,
    CODE_GOING_AWAY = 1001,
    CODE_PROTOCOL = 1002,
    CODE_NONE = 1005,
    CODE_ABNORMAL = 1006,
    CODE_BAD_TEXT = 1007,
    CODE_POLICY = 1008,
    CODE_TOO_BIG = 1009
};

struct line {
    struct websocket websocket;
    struct engine *engine;
    struct engine_session *session; /* null: it is nobody's, and closes */
    struct timer timer;             /* the end of the time for an upgrade */
};

static struct line *line_of(struct websocket *websocket)
{
    return container_of(websocket, struct line, websocket);
}

static bool is_probe(const struct line *line)
{
    return line->session && line->session->probe == line;
}

static struct timers *line_timers(const struct line *line)
{
    return loop_timers(line->engine->loop);
}

/* --- sending */

static enum err send_frame(struct line *line, struct blob *frame, bool paced)
{
    return paced ? conn_send_paced(&line->websocket.conn, frame) : websocket_send(&line->websocket, frame);
}

/* To a client that takes no binary. */
static enum err send_as_text(struct line *line, struct engine_piece piece, bool paced)
{
    struct buf text = BUF_INIT;
    engine_piece_as_text(&text, line->session->wire.revision, piece.bytes);
    struct blob *frame = buf_failed(&text) ? NULL : websocket_frame(buf_span(&text), true);
    enum err err = frame ? send_frame(line, frame, paced) : ERR_NO_MEMORY;
    blob_unref(frame);
    buf_fini(&text);
    return err;
}

enum err line_send(struct line *line, struct blob *frame, bool paced)
{
    struct engine_piece piece = piece_of_frame(frame);
    if (!piece.is_text && line->session->wire.base64)
        return send_as_text(line, piece, paced);
    return send_frame(line, frame, paced);
}

bool line_is_writable(const struct line *line)
{
    return conn_is_open(&line->websocket.conn) && line_queued(line) == 0;
}

uint32_t line_queued(const struct line *line)
{
    return conn_queued(&line->websocket.conn);
}

void line_close(struct line *line, enum engine_end why)
{
    static const unsigned codes[ENGINE_END_COUNT] = {
        [ENGINE_TRANSPORT_CLOSE] = CODE_NORMAL, [ENGINE_TRANSPORT_ERROR] = CODE_PROTOCOL,
        [ENGINE_PING_TIMEOUT] = CODE_NORMAL,    [ENGINE_PARSE_ERROR] = CODE_PROTOCOL,
        [ENGINE_FORCED_CLOSE] = CODE_NORMAL,    [ENGINE_SLOW_READER] = CODE_POLICY,
        [ENGINE_SHUTDOWN] = CODE_GOING_AWAY,
    };
    if (!line)
        return;
    line->session = NULL;
    timer_clear(line_timers(line), &line->timer);
    websocket_close(&line->websocket, codes[why], span_of(engine_end_word(why)));
}

/* --- the upgrade */

static void give_up_probe(struct line *line, enum engine_end why)
{
    struct engine_session *session = line->session;
    session->probe = NULL;
    session->upgrading = false;
    timer_clear(session_timers(session), &session->wait);
    line_close(line, why);
}

static void on_upgrade_timeout(struct timer *timer)
{
    give_up_probe(container_of(timer, struct line, timer), ENGINE_TRANSPORT_CLOSE);
}

/* From here on polls are not let wait. */
static void answer_probe(struct line *line)
{
    struct engine_session *session = line->session;
    struct blob *frame = websocket_frame(SPAN_LITERAL("3probe"), true);
    enum err err = frame ? websocket_send(&line->websocket, frame) : ERR_NO_MEMORY;
    blob_unref(frame);
    if (err) {
        give_up_probe(line, ENGINE_TRANSPORT_ERROR);
        return;
    }
    session->upgrading = true;
    session->poll_is_stale = session->poll != NULL;
    if (session->poll)
        session_mark_dirty(session);
}

/* What waited for a poll goes over the line. */
static enum err move_queue(struct engine_session *session)
{
    enum err err = OK;
    for (uint32_t i = 0; !err && i < session->queue.count; i++)
        err = line_send(session->line, session->queue.frames[i], true);
    queue_clear(&session->queue);
    return err;
}

/* A client does not end the upgrade before its last poll was answered. So one that waits was sent after the end, on
 * another connection that was read before this one, and is refused like all that come now. */
static void finish_upgrade(struct line *line)
{
    struct engine_session *session = line->session;
    if (session->poll)
        poll_refuse(session);
    timer_clear(line_timers(line), &line->timer);
    session->probe = NULL;
    session->line = line;
    session->upgrading = false;
    metric_add(METRIC_ENGINE_POLLING, -1);
    metric_add(METRIC_ENGINE_WEBSOCKET, 1);
    metric_add(METRIC_ENGINE_UPGRADES, 1);
    if (move_queue(session))
        session_over(session, ENGINE_TRANSPORT_ERROR);
}

/* Anything but the two packets of an upgrade ends the attempt, and the session goes on polling. */
static void take_probe_packet(struct line *line, const struct engine_packet *packet)
{
    bool is_upgrading = line->session->upgrading;
    if (packet->type == ENGINE_PACKET_PING && span_is(packet->data, "probe") && !is_upgrading)
        answer_probe(line);
    else if (packet->type == ENGINE_PACKET_UPGRADE && is_upgrading)
        finish_upgrade(line);
    else
        give_up_probe(line, ENGINE_TRANSPORT_ERROR);
}

/* --- what the WebSocket tells */

static void take_packet(struct line *line, const struct engine_packet *packet)
{
    if (is_probe(line))
        take_probe_packet(line, packet);
    else
        (void)session_take(line->session, packet);
}

static void on_message(struct websocket *websocket, struct span message, bool is_text)
{
    struct line *line = line_of(websocket);
    struct engine_room room = {0};
    struct engine_packet packet;
    if (!line->session)
        return;
    enum err err = engine_packet_read(line->session->wire.revision, message, is_text, &room, &packet);
    if (!err)
        take_packet(line, &packet);
    else if (is_probe(line))
        give_up_probe(line, ENGINE_PARSE_ERROR);
    else
        session_over(line->session, err == ERR_NO_MEMORY ? ENGINE_TRANSPORT_ERROR : ENGINE_PARSE_ERROR);
    engine_room_fini(&room);
}

static void on_drained(struct websocket *websocket)
{
    struct line *line = line_of(websocket);
    if (!line->session || is_probe(line) || !line->session->paced)
        return;
    line->session->paced = false;
    line->engine->ops->drained(line->session);
}

static bool is_broken(unsigned code)
{
    return code == CODE_PROTOCOL || code == CODE_BAD_TEXT || code == CODE_POLICY || code == CODE_TOO_BIG;
}

static void on_closed(struct websocket *websocket, unsigned code)
{
    struct line *line = line_of(websocket);
    enum engine_end why = is_broken(code) ? ENGINE_TRANSPORT_ERROR : ENGINE_TRANSPORT_CLOSE;
    if (code == CODE_TOO_BIG)
        metric_add(METRIC_LIMIT_ENGINE_PAYLOAD, 1);
    if (is_probe(line))
        give_up_probe(line, why);
    else if (line->session)
        session_over(line->session, why);
}

static void on_free(struct websocket *websocket)
{
    struct line *line = line_of(websocket);
    timer_fini(line_timers(line), &line->timer);
    free(line);
}

static const struct websocket_ops websocket_ops = {
    .message = on_message,
    .drained = on_drained,
    .closed = on_closed,
    .free = on_free,
};

/* --- opening */

struct line *line_new(struct engine *engine, struct handoff *handoff)
{
    struct line *line = calloc(1, sizeof(*line));
    if (!line)
        return NULL;
    enum err err = websocket_open(&line->websocket, engine->conns, &websocket_ops, &engine->limits, handoff);
    if (err) {
        free(line);
        return NULL;
    }
    line->engine = engine;
    return line;
}

void line_join(struct line *line, struct engine_session *session)
{
    line->session = session;
    session->line = line;
}

void line_probe(struct line *line, struct engine_session *session)
{
    struct timers *timers = line_timers(line);
    if (session->state != ENGINE_IS_OPEN || session->line || session->probe ||
        timer_init(timers, &line->timer, on_upgrade_timeout)) {
        line_close(line, ENGINE_TRANSPORT_CLOSE);
        return;
    }
    line->session = session;
    session->probe = line;
    timer_set(timers, &line->timer, session_now_ms(session) + line->engine->options.upgrade_timeout_ms);
}
