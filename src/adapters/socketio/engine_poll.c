/* SPDX-License-Identifier: MIT */
/*
 * The transport of GET and POST: one GET waits until there is something to say, each POST brings a payload.
 *
 * A poll is answered at the end of the turn in which something was queued, or at once where something is there already.
 * While a session is being upgraded a poll that waits gets a noop, so that the client can go on with the upgrade, and
 * one that comes is held a moment: what may come first is the end of the upgrade, sent before the poll on another
 * connection.
 */
#include <stdlib.h>

#include "adapters/socketio/engine_inside.h"
#include "base/metric.h"
#include "http/form.h"

enum { HOLD_MS = 100, CLOSE_WAIT_MS = 30000, QUEUE_FIRST_CAP = 4, QUEUE_COUNT_MAX = 1 << 15 };

static const char text_type[] = "text/plain; charset=UTF-8";
static const char binary_type[] = "application/octet-stream";
static const char script_type[] = "text/javascript; charset=UTF-8";

/* --- the queue */

static bool queue_grow(struct engine_queue *queue)
{
    uint32_t cap = queue->cap ? queue->cap * 2 : QUEUE_FIRST_CAP;
    struct blob **frames = realloc(queue->frames, cap * sizeof(struct blob *));
    if (!frames)
        return false;
    queue->frames = frames;
    queue->cap = cap;
    return true;
}

enum err queue_add(struct engine_queue *queue, struct blob *frame, bool paced, uint32_t cap_bytes)
{
    uint64_t bytes = (uint64_t)queue->bytes + frame->len;
    bool is_full = queue->count && bytes > (uint64_t)cap_bytes + queue->paced_bytes;
    if (!paced && (is_full || queue->count >= QUEUE_COUNT_MAX))
        return ERR_SLOW_READER;
    if (bytes > UINT32_MAX || (queue->count == queue->cap && !queue_grow(queue)))
        return ERR_NO_MEMORY;
    queue->frames[queue->count++] = blob_ref(frame);
    queue->bytes += frame->len;
    queue->paced_bytes += paced ? frame->len : 0;
    metric_add(METRIC_QUEUE_BYTES, frame->len);
    return OK;
}

void queue_clear(struct engine_queue *queue)
{
    metric_add(METRIC_QUEUE_BYTES, -(int64_t)queue->bytes);
    for (uint32_t i = 0; i < queue->count; i++)
        blob_unref(queue->frames[i]);
    free(queue->frames);
    *queue = (struct engine_queue){0};
}

/* --- answering */

static bool queue_needs_binary(const struct engine_session *session)
{
    for (uint32_t i = 0; i < session->queue.count; i++)
        if (engine_piece_is_binary(&session->wire, piece_of_frame(session->queue.frames[i])))
            return true;
    return false;
}

/* What is queued, then `last` (may be null). */
static void write_payload(struct buf *out, const struct engine_session *session, bool is_binary, const char *last)
{
    for (uint32_t i = 0; i < session->queue.count; i++)
        engine_payload_add(out, &session->wire, is_binary, piece_of_frame(session->queue.frames[i]));
    if (last)
        engine_payload_add(out, &session->wire, is_binary, (struct engine_piece){span_of(last), true});
}

static struct blob *script_of(struct span j, const struct buf *payload)
{
    struct buf script = BUF_INIT;
    if (!buf_failed(payload))
        engine_jsonp_write(&script, j, buf_span(payload));
    struct blob *body = buf_failed(payload) ? NULL : buf_blob(&script);
    buf_fini(&script);
    return body;
}

/* Answers with all that is queued and `last`. False: there was no memory for it, and the poll got an error. */
static bool answer(struct engine_session *session, struct exchange *poll, const char *last)
{
    struct buf payload = BUF_INIT;
    bool is_binary = queue_needs_binary(session);
    write_payload(&payload, session, is_binary, last);
    struct blob *body = session->jsonp ? script_of(poll->j, &payload) : buf_blob(&payload);
    const char *type = session->jsonp ? script_type : is_binary ? binary_type : text_type;
    bool is_made = body;
    buf_fini(&payload);
    queue_clear(&session->queue);
    poll->ops->reply(poll, &(struct exchange_answer){200, type, body, 0});
    blob_unref(body);
    return is_made;
}

/* The poll that waits, which it does no more. */
static struct exchange *take_poll(struct engine_session *session)
{
    struct exchange *poll = session->poll;
    session->poll = NULL;
    session->poll_is_stale = session->poll_is_late = false;
    timer_clear(session_timers(session), &session->wait);
    return poll;
}

static void answer_poll(struct engine_session *session, const char *last)
{
    bool was_paced = session->paced;
    session->paced = false;
    if (!answer(session, take_poll(session), last))
        session_over(session, ENGINE_TRANSPORT_ERROR);
    else if (was_paced)
        session->engine->ops->drained(session);
}

void poll_answer_first(struct engine_session *session)
{
    if (session->poll && session->state == ENGINE_IS_OPEN)
        answer_poll(session, NULL);
}

void poll_wake(struct engine_session *session)
{
    if (session->poll && !session->poll_is_late && session->state == ENGINE_IS_OPEN)
        session_mark_dirty(session);
}

void poll_answer_due(struct engine_session *session)
{
    if (session->left && session->state == ENGINE_IS_CLOSING)
        session_retire(session);
    if (!session->poll || session->poll_is_late || session->state != ENGINE_IS_OPEN)
        return;
    if (session->queue.count)
        answer_poll(session, NULL);
    else if (session->poll_is_stale)
        answer_poll(session, "6");
}

void poll_dismiss(struct engine_session *session)
{
    struct exchange *poll = session->poll ? take_poll(session) : NULL;
    queue_clear(&session->queue);
    if (poll)
        (void)answer(session, poll, "6");
}

void poll_refuse(struct engine_session *session)
{
    exchange_refuse(take_poll(session), ENGINE_BAD_REQUEST);
}

void poll_end(struct engine_session *session, bool is_timeout)
{
    bool is_late = session->poll_is_late;
    struct exchange *poll = session->poll ? take_poll(session) : NULL;
    queue_clear(&session->queue);
    if (poll && is_late && is_timeout)
        exchange_refuse(poll, ENGINE_UNKNOWN_SID);
    else if (poll)
        (void)answer(session, poll, "1");
}

bool poll_close(struct engine_session *session)
{
    if (session->poll) {
        (void)answer(session, take_poll(session), "1");
        return true;
    }
    if (session->engine->shut)
        return true;
    timer_set(session_timers(session), &session->wait, session_now_ms(session) + CLOSE_WAIT_MS);
    return false;
}

static void on_wait_over(struct timer *timer)
{
    struct engine_session *session = container_of(timer, struct engine_session, wait);
    if (session->state == ENGINE_IS_CLOSING)
        session_retire(session);
    else if (session->poll)
        answer_poll(session, "6");
}

enum err poll_init(struct engine_session *session)
{
    return timer_init(session_timers(session), &session->wait, on_wait_over);
}

/* --- GET */

/* Whoever had the poll open has gone. What it was meant to be told is lost with it, so the session is over. */
static void on_poll_gone(void *ctx)
{
    struct engine_session *session = ctx;
    exchange_refuse(take_poll(session), ENGINE_BAD_REQUEST);
    session_over(session, ENGINE_TRANSPORT_CLOSE);
}

static void wait_for_news(struct engine_session *session)
{
    struct exchange *poll = session->poll;
    session->poll_is_late = beat_is_late(session);
    if (session->upgrading)
        timer_set(session_timers(session), &session->wait, session_now_ms(session) + HOLD_MS);
    poll->ops->watch(poll, on_poll_gone, session);
}

void poll_get(struct engine_session *session, struct exchange *exchange)
{
    if (session->state == ENGINE_IS_CLOSING) {
        (void)answer(session, exchange, session->left ? "6" : "1");
        session_retire(session);
        return;
    }
    if (session->poll) {
        session_over(session, ENGINE_TRANSPORT_ERROR);
        exchange_refuse(exchange, ENGINE_BAD_REQUEST);
        return;
    }
    session->poll = exchange;
    if (session->queue.count && !beat_is_late(session))
        answer_poll(session, NULL);
    else
        wait_for_news(session);
}

/* --- POST */

static void reply_ok(struct exchange *exchange)
{
    struct blob *body = blob_copy(SPAN_LITERAL("ok"));
    exchange->ops->reply(exchange, &(struct exchange_answer){200, "text/html", body, 0});
    blob_unref(body);
}

static enum err take_payload(struct engine_session *session, struct span body, bool is_binary)
{
    struct engine_payload payload;
    struct engine_packet packet;
    uint32_t packets = session->engine->options.payload_packets;
    enum err err = engine_payload_begin(&payload, &session->wire, body, is_binary, packets);
    if (err)
        return err;
    while (!err && session->state == ENGINE_IS_OPEN && engine_payload_next(&payload, &packet, &err))
        err = session_take(session, &packet);
    engine_payload_end(&payload);
    return err;
}

/* The field `d` of the form, restored. */
static enum err take_form(struct engine_session *session, struct span body)
{
    struct form form = {0};
    enum err err = form_parse(body, &form);
    struct span field = {0};
    for (size_t i = 0; !err && i < form.count; i++)
        if (span_is(form.fields[i].name, "d"))
            field = form.fields[i].value;
    char *text = err ? NULL : span_copy(field);
    if (!err)
        err = text ? take_payload(session, (struct span){text, engine_jsonp_restore(text, field.len)}, false)
                   : ERR_NO_MEMORY;
    free(text);
    form_fini(&form);
    return err;
}

void poll_post(struct engine_session *session, struct exchange *exchange)
{
    enum err err = OK;
    if (session->state == ENGINE_IS_OPEN)
        err = session->jsonp ? take_form(session, exchange->body)
                             : take_payload(session, exchange->body, exchange->is_binary);
    if (err == ERR_TOO_MANY)
        metric_add(METRIC_LIMIT_ENGINE_PACKETS, 1);
    if (err) {
        session_over(session, err == ERR_NO_MEMORY ? ENGINE_TRANSPORT_ERROR : ENGINE_PARSE_ERROR);
        exchange_refuse(exchange, ENGINE_BAD_REQUEST);
    } else {
        reply_ok(exchange);
    }
}
