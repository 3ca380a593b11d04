/* SPDX-License-Identifier: MIT */
/*
 * Sessions: the table, the caps, what is sent, how they end.
 *
 * A message to a client that polls waits until the end of the turn, so that all that came in one turn goes out in one
 * answer. What ends during a turn is freed at its end, when no caller can refer to it any more.
 */
#include "adapters/socketio/engine_inside.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <utlist.h>

#include "base/log.h"
#include "base/metric.h"

enum { SID_BYTES = 15, NODE_BYTES = 3, CONTROL_QUEUE_MAX = 16, LOG_PAUSE_MS = 1000 };
enum session_list { LISTED_NONE, LISTED_DIRTY, LISTED_OVER };

const char *engine_end_word(enum engine_end end)
{
    static const char *const words[] = {
#define ROW(name, word) word,
        ENGINE_END_TABLE(ROW)
#undef ROW
    };
    return words[end];
}

struct timers *session_timers(const struct engine_session *session)
{
    return loop_timers(session->engine->loop);
}

int64_t session_now_ms(const struct engine_session *session)
{
    return loop_now_ms(session->engine->loop);
}

/* --- sids */

void engine_draw_text(char *text, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char bytes[SID_BYTES];
    assert(len <= sizeof(bytes) && len % 3 == 0);
    while (getrandom(bytes, len, 0) != (ssize_t)len)
        assert(errno == EINTR);
    for (size_t i = 0; i < len; i += 3) {
        unsigned group = (unsigned)bytes[i] << 16 | (unsigned)bytes[i + 1] << 8 | bytes[i + 2];
        for (unsigned shift = 24; shift;)
            *text++ = digits[group >> (shift -= 6) & 63];
    }
    *text = '\0';
}

struct engine_session *session_find(const struct engine *engine, struct span sid)
{
    struct engine_session *session = NULL;
    if (sid.len == ENGINE_SID_LEN)
        HASH_FIND(hh, engine->sessions, sid.data, ENGINE_SID_LEN, session);
    return session;
}

/* --- the caps */

/* A flood of handshakes is one line a second. */
static void say_refused(struct engine *engine, const char *limit, struct span address)
{
    int64_t now_ms = loop_now_ms(engine->loop);
    if (now_ms - engine->logged_ms < LOG_PAUSE_MS)
        return;
    engine->logged_ms = now_ms;
    log_event(LOG_WARN, "socketio session refused", log_text("limit", limit), log_span("address", address));
}

enum err engine_admit(struct engine *engine, struct span address)
{
    const struct engine_options *options = &engine->options;
    if (engine->shut)
        return ERR_SHUTTING_DOWN;
    if (engine->count >= options->sessions) {
        metric_add(METRIC_LIMIT_ENGINE_SESSIONS, 1);
        say_refused(engine, "socketio.sessions", address);
        return ERR_TOO_MANY_SESSIONS;
    }
    enum err err = crowd_enter(&engine->crowds, address, options->sessions_per_address);
    if (err == ERR_TOO_MANY) {
        metric_add(METRIC_LIMIT_ENGINE_ADDRESS, 1);
        say_refused(engine, "socketio.sessions_per_address", address);
    }
    engine->count += !err;
    return err;
}

void engine_dismiss(struct engine *engine, struct span address)
{
    engine->count--;
    crowd_leave(&engine->crowds, address);
}

/* --- the life of a session */

static bool session_init(struct engine_session *session)
{
    struct engine *engine = session->engine;
    memcpy(session->sid, engine->node, ENGINE_NODE_LEN);
    engine_draw_text(session->sid + ENGINE_NODE_LEN, SID_BYTES);
    if (beat_init(session) || poll_init(session))
        return false;
    HASH_ADD(hh, engine->sessions, sid, ENGINE_SID_LEN, session);
    return table_added(session);
}

static void session_fini(struct engine_session *session)
{
    timer_fini(session_timers(session), &session->beat);
    timer_fini(session_timers(session), &session->wait);
}

struct engine_session *session_new(struct engine *engine, enum engine_revision revision, struct visitor *take_visitor)
{
    struct engine_session *session = calloc(1, engine->ops->session_bytes);
    if (!session)
        return NULL;
    session->engine = engine;
    session->wire.revision = revision;
    if (!session_init(session)) {
        session_fini(session);
        free(session);
        return NULL;
    }
    session->visitor = take_visitor;
    return session;
}

static void session_free(struct engine_session *session)
{
    session->engine->ops->free(session);
    session_fini(session);
    free(session->visitor);
    free(session);
}

static enum metric gauge_of(const struct engine_session *session)
{
    return session->line ? METRIC_ENGINE_WEBSOCKET : METRIC_ENGINE_POLLING;
}

/* The open packet, framed. Null: no memory. */
static struct blob *open_frame(const struct engine_session *session)
{
    const struct engine_options *options = &session->engine->options;
    struct buf text = BUF_INIT;
    buf_printf(&text,
               "0{\"sid\":\"%s\",\"upgrades\":[%s],\"pingInterval\":%lld,\"pingTimeout\":%lld,\"maxPayload\":%zu}",
               session->sid, session->line ? "" : "\"websocket\"", (long long)options->ping_interval_ms,
               (long long)options->ping_timeout_ms, options->payload_bytes);
    struct blob *frame = buf_failed(&text) ? NULL : websocket_frame(buf_span(&text), true);
    buf_fini(&text);
    return frame;
}

void session_open(struct engine_session *session)
{
    struct blob *frame = open_frame(session);
    bool is_sent = frame && session_push(session, frame, true) == OK;
    blob_unref(frame);
    metric_add(gauge_of(session), 1);
    beat_start(session);
    session->engine->ops->open(session);
    if (!is_sent)
        session_over(session, ENGINE_TRANSPORT_ERROR);
}

static void leave_list(struct engine_session *session)
{
    if (session->listed == LISTED_DIRTY)
        DL_DELETE(session->engine->dirty, session);
    session->listed = LISTED_NONE;
}

void session_mark_dirty(struct engine_session *session)
{
    struct engine *engine = session->engine;
    if (session->listed != LISTED_NONE)
        return;
    DL_APPEND(engine->dirty, session);
    session->listed = LISTED_DIRTY;
    loop_again(engine->loop);
}

void session_retire(struct engine_session *session)
{
    struct engine *engine = session->engine;
    metric_add(gauge_of(session), -1);
    session->state = ENGINE_IS_OVER;
    session->line = session->probe = NULL;
    timer_clear(session_timers(session), &session->beat);
    timer_clear(session_timers(session), &session->wait);
    queue_clear(&session->queue);
    HASH_DELETE(hh, engine->sessions, session);
    engine_dismiss(engine, session->visitor->address);
    leave_list(session);
    DL_APPEND(engine->over, session);
    session->listed = LISTED_OVER;
    loop_again(engine->loop);
}

void engine_count_end(enum engine_end why)
{
    if (why == ENGINE_PING_TIMEOUT)
        metric_add(METRIC_ENGINE_PING_TIMEOUTS, 1);
    else if (why == ENGINE_PARSE_ERROR)
        metric_add(METRIC_ENGINE_PARSE_ERRORS, 1);
    else if (why == ENGINE_TRANSPORT_ERROR)
        metric_add(METRIC_ENGINE_ERRORS, 1);
}

void session_over(struct engine_session *session, enum engine_end why)
{
    if (session->state == ENGINE_IS_OVER)
        return;
    bool is_news = session->state == ENGINE_IS_OPEN;
    session->state = ENGINE_IS_OVER;
    engine_count_end(why);
    line_close(session->probe, why);
    line_close(session->line, why);
    poll_end(session, why == ENGINE_PING_TIMEOUT);
    session_retire(session);
    if (is_news)
        session->engine->ops->close(session, why);
}

void engine_close(struct engine_session *session, enum engine_end why)
{
    if (session->state != ENGINE_IS_OPEN)
        return;
    session->state = ENGINE_IS_CLOSING;
    timer_clear(session_timers(session), &session->beat);
    line_close(session->probe, why);
    session->probe = NULL;
    line_close(session->line, why);
    if (session->line || poll_close(session))
        session_retire(session);
    session->engine->ops->close(session, why);
}

/* --- sending */

/* The message with the type in front, in a frame. */
static struct blob *message_frame(char type, struct span message, bool is_text)
{
    char *bytes = malloc(message.len + 1);
    if (!bytes)
        return NULL;
    bytes[0] = type;
    if (message.len)
        memcpy(bytes + 1, message.data, message.len);
    struct blob *frame = websocket_frame((struct span){bytes, message.len + 1}, is_text);
    free(bytes);
    return frame;
}

struct blob *engine_text(struct span message)
{
    return message_frame('0' + ENGINE_PACKET_MESSAGE, message, true);
}

struct blob *engine_binary(enum engine_revision revision, struct span data)
{
    if (revision == ENGINE_4)
        return websocket_frame(data, false);
    return message_frame(ENGINE_PACKET_MESSAGE, data, false);
}

/* RFC 6455 section 5.2; the frame is one of websocket_frame. */
struct engine_piece piece_of_frame(const struct blob *frame)
{
    enum { OPCODE = 0x0f, TEXT = 1, LEN_16 = 126, LEN_64 = 127 };
    unsigned char len = (unsigned char)frame->data[1];
    size_t head = len == LEN_64 ? 10 : len == LEN_16 ? 4 : 2;
    return (struct engine_piece){{frame->data + head, frame->len - head}, (frame->data[0] & OPCODE) == TEXT};
}

enum err session_push(struct engine_session *session, struct blob *frame, bool paced)
{
    if (session->line)
        return line_send(session->line, frame, paced);
    enum err err = queue_add(&session->queue, frame, paced, (uint32_t)session->engine->options.queue_bytes);
    if (!err)
        poll_wake(session);
    return err;
}

/* What sending came to, where it failed. */
static void end_unsent(struct engine_session *session, enum err err)
{
    if (err != ERR_SLOW_READER) {
        session_over(session, err == ERR_GONE ? ENGINE_TRANSPORT_CLOSE : ENGINE_TRANSPORT_ERROR);
        return;
    }
    metric_add(METRIC_LIMIT_QUEUE, 1);
    log_event(LOG_INFO, "socketio session ended: slow reader", log_span("user", session->visitor->user),
              log_span("address", session->visitor->address));
    session_over(session, ENGINE_SLOW_READER);
}

void engine_send(struct engine_session *session, struct blob *framed, bool paced)
{
    if (session->state != ENGINE_IS_OPEN)
        return;
    enum err err = framed ? session_push(session, framed, paced) : ERR_NO_MEMORY;
    if (err)
        end_unsent(session, err);
    else
        session->paced |= paced;
}

bool engine_is_writable(const struct engine_session *session)
{
    if (session->state != ENGINE_IS_OPEN)
        return false;
    if (session->line)
        return line_is_writable(session->line);
    return session->poll && !session->queue.count;
}

uint32_t engine_queued(const struct engine_session *session)
{
    return session->queue.bytes + (session->line ? line_queued(session->line) : 0);
}

/* --- what comes in */

static void answer_ping(struct engine_session *session)
{
    enum err err = session_push(session, session->engine->pong, false);
    if (err)
        end_unsent(session, err);
}

/* A poll that waits gets a noop, and so does one that was sent before this on another connection and is read behind
 * it, in the same turn. */
static void take_close(struct engine_session *session)
{
    if (session->line || session->poll) {
        poll_dismiss(session);
        session_over(session, ENGINE_TRANSPORT_CLOSE);
        return;
    }
    session->left = true;
    queue_clear(&session->queue);
    line_close(session->probe, ENGINE_TRANSPORT_CLOSE);
    session->probe = NULL;
    session->state = ENGINE_IS_CLOSING;
    session_mark_dirty(session);
    session->engine->ops->close(session, ENGINE_TRANSPORT_CLOSE);
}

enum err session_take(struct engine_session *session, const struct engine_packet *packet)
{
    struct engine *engine = session->engine;
    bool is_ours = packet->type == (session->wire.revision == ENGINE_4 ? ENGINE_PACKET_PING : ENGINE_PACKET_PONG);
    if (is_ours) {
        session_over(session, ENGINE_TRANSPORT_ERROR);
        return ERR_BAD_REQUEST;
    }
    beat_heard(session);
    switch (packet->type) {
    case ENGINE_PACKET_PONG: beat_pong(session); break;
    case ENGINE_PACKET_PING: answer_ping(session); break;
    case ENGINE_PACKET_MESSAGE: engine->ops->message(session, packet->data, packet->is_text); break;
    case ENGINE_PACKET_CLOSE: take_close(session); break;
    default: break; /* nothing follows from them */
    }
    return OK;
}

/* --- the end of a turn */

static void on_turn_end(struct loop_task *task)
{
    struct engine *engine = container_of(task, struct engine, task);
    beat_watch(engine);
    while (engine->dirty) {
        struct engine_session *session = engine->dirty;
        leave_list(session);
        poll_answer_due(session);
    }
    while (engine->over) {
        struct engine_session *session = engine->over;
        DL_DELETE(engine->over, session);
        session_free(session);
    }
}

/* --- the engine */

static bool engine_init(struct engine *engine)
{
    engine_draw_text(engine->node, NODE_BYTES);
    engine->ping = websocket_frame(SPAN_LITERAL("2"), true);
    engine->pong = websocket_frame(SPAN_LITERAL("3"), true);
    return engine->ping && engine->pong;
}

static void engine_fini(struct engine *engine)
{
    blob_unref(engine->ping);
    blob_unref(engine->pong);
    free(engine->patterns[0]);
    free(engine->patterns[1]);
    free(engine);
}

struct engine *engine_new(const struct engine_options *options, const struct engine_ops *ops, void *ctx,
                          struct loop *loop, struct conns *conns)
{
    struct engine *engine = calloc(1, sizeof(*engine));
    if (!engine)
        return NULL;
    engine->options = *options;
    engine->ops = ops;
    engine->ctx = ctx;
    engine->loop = loop;
    engine->conns = conns;
    engine->limits = (struct websocket_limits){options->payload_bytes, options->fragments, CONTROL_QUEUE_MAX};
    engine->stalled_ms = engine->logged_ms = INT64_MIN / 2;
    engine->task.run = on_turn_end;
    if (!engine_init(engine)) {
        engine_fini(engine);
        return NULL;
    }
    loop_add_task(loop, LOOP_HOOK_FLUSH, &engine->task);
    return engine;
}

void engine_shut(struct engine *engine)
{
    engine->shut = true;
    while (engine->sessions) {
        struct engine_session *session = engine->sessions;
        if (session->state == ENGINE_IS_OPEN)
            engine_close(session, ENGINE_SHUTDOWN);
        else
            session_over(session, ENGINE_SHUTDOWN);
    }
}

void engine_free(struct engine *engine)
{
    if (!engine)
        return;
    engine_shut(engine);
    on_turn_end(&engine->task);
    loop_remove_task(engine->loop, LOOP_HOOK_FLUSH, &engine->task);
    engine_fini(engine);
}

const char *engine_node(const struct engine *engine)
{
    return engine->node;
}

void engine_set_relay(struct engine *engine, bool (*relay)(void *ctx, struct span node, struct exchange *exchange),
                      void *ctx)
{
    engine->relay = relay;
    engine->relay_ctx = ctx;
}

/* --- what others may know */

void *engine_ctx(const struct engine_session *session)
{
    return session->engine->ctx;
}

const char *engine_sid(const struct engine_session *session)
{
    return session->sid;
}

enum engine_revision engine_session_revision(const struct engine_session *session)
{
    return session->wire.revision;
}

const struct visitor *engine_visitor(const struct engine_session *session)
{
    return session->visitor;
}

bool engine_is_open(const struct engine_session *session)
{
    return session->state == ENGINE_IS_OPEN;
}
