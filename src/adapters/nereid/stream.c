/* SPDX-License-Identifier: MIT */
/*
 * Streams: the feed as an endless answer.
 *
 *     request ─> user opened ─> [show, status set] ─> head sent ─> feed = socket + session ─> peer goes, or the hub ends it
 *
 * All errors that can be known are answered before the head goes out. What a feed sends is shared bytes (wire.h); a
 * feed itself holds nothing but its place.
 *
 * A client that asks for marks gets its first signs of life soon: one that comes when the stream has been under way for
 * a while tells that nothing on the way holds it back.
 */
#include <stdlib.h>

#include "adapters/nereid/adapter.h"
#include "base/log.h"

enum { HEARTBEAT_MAX_S = 600, PAD_MAX = 65536, MARKS_MAX = 10, MARK_GAP_MS = 200 };

struct feed {
    struct stream stream;
    struct session session;
    struct timer heartbeat;
    struct nereid *nereid;
    int64_t sent_ms; /* when something was last queued */
    uint32_t heartbeat_ms;
    uint8_t format;
    uint8_t dialect;
    uint8_t marks; /* still to come */
    bool visible;  /* marks were asked for */
};

static struct feed *feed_of_session(struct session *session)
{
    return container_of(session, struct feed, session);
}

static struct feed *feed_of_conn(struct conn *conn)
{
    return container_of(conn, struct feed, stream.conn);
}

static struct wire feed_wire(const struct feed *feed)
{
    const struct nereid *nereid = feed->nereid;
    return (struct wire){
        (enum wire_format)feed->format,
        feed->stream.chunked,
        {(enum dialect)feed->dialect, span_of(nereid->options.entity_prefix), nereid->hub},
    };
}

static int64_t wall_us(const struct feed *feed)
{
    return clock_wall_us(loop_clock(feed->nereid->loop));
}

/* --- ending */

/* The feed is over from our side: the reason, the last chunk, the FIN. */
static void feed_end(struct feed *feed, enum err why)
{
    hub_detach(&feed->session);
    timer_clear(loop_timers(feed->nereid->loop), &feed->heartbeat);
    struct wire wire = feed_wire(feed);
    struct blob *farewell = wire_farewell(&wire, wall_us(feed), why);
    stream_end(&feed->stream, farewell);
    blob_unref(farewell);
}

static void feed_too_slow(struct feed *feed)
{
    const struct user *user = feed->session.user;
    struct span id = user_presence(user).user;
    metric_add(METRIC_LIMIT_QUEUE, 1);
    log_event(LOG_INFO, "stream ended: slow reader", log_span("user", id),
              log_span("address", conn_address(&feed->stream.conn)),
              log_int("queued_bytes", conn_queued(&feed->stream.conn)));
    feed_end(feed, ERR_SLOW_READER);
}

/* --- sending */

static void feed_sent(struct feed *feed, enum err err)
{
    if (err == ERR_SLOW_READER)
        feed_too_slow(feed);
    else if (err == ERR_NO_MEMORY)
        feed_end(feed, err);
    else
        feed->sent_ms = loop_now_ms(feed->nereid->loop);
}

static void feed_send(struct feed *feed, struct blob *blob)
{
    feed_sent(feed, blob ? stream_send(&feed->stream, blob) : ERR_NO_MEMORY);
}

/* What the hub gives only as fast as the reader takes it. */
static void feed_send_paced(struct feed *feed, struct blob *blob)
{
    feed_sent(feed, blob ? stream_send_paced(&feed->stream, blob) : ERR_NO_MEMORY);
}

static void feed_send_new(struct feed *feed, struct blob *take_blob)
{
    feed_send(feed, take_blob);
    blob_unref(take_blob);
}

static void feed_event(struct session *session, struct event *event)
{
    struct feed *feed = feed_of_session(session);
    struct wire wire = feed_wire(feed);
    struct blob *blob = wire_event(&wire, event, feed->nereid->first_slot);
    if (session->catching_up)
        feed_send_paced(feed, blob);
    else
        feed_send(feed, blob);
}

static void feed_settled(struct session *session unused_arg, bool more unused_arg)
{
    /* A page was queued; the next one is asked for once it has gone. */
}

static void feed_closed_by_hub(struct session *session, enum err why)
{
    feed_end(feed_of_session(session), why);
}

static void send_heartbeat(struct feed *feed)
{
    struct wire wire = feed_wire(feed);
    feed_send_new(feed, wire_heartbeat(&wire, feed->visible, wall_us(feed), session_cursor(&feed->session)));
}

/* The next mark while there are some, else so long after what was sent last. */
static void set_heartbeat(struct feed *feed)
{
    struct loop *loop = feed->nereid->loop;
    int64_t due_ms = feed->marks ? loop_now_ms(loop) + MARK_GAP_MS : feed->sent_ms + feed->heartbeat_ms;
    timer_set(loop_timers(loop), &feed->heartbeat, due_ms);
}

/* A feed that was busy since the timer was set is only looked at again: no timer is touched per message. Marks come
 * however busy it is. */
static void heartbeat_due(struct timer *timer)
{
    struct feed *feed = container_of(timer, struct feed, heartbeat);
    bool silent = loop_now_ms(feed->nereid->loop) - feed->sent_ms >= feed->heartbeat_ms;
    if (feed->marks || silent)
        send_heartbeat(feed);
    if (feed->marks)
        feed->marks--;
    if (session_attached(&feed->session))
        set_heartbeat(feed);
}

/* --- the socket */

static void feed_drained(struct conn *conn)
{
    hub_continue(&feed_of_conn(conn)->session);
}

static void feed_gone(struct conn *conn, enum err err unused_arg)
{
    struct feed *feed = feed_of_conn(conn);
    hub_detach(&feed->session);
    timer_clear(loop_timers(feed->nereid->loop), &feed->heartbeat);
}

static void feed_free(struct conn *conn)
{
    struct feed *feed = feed_of_conn(conn);
    timer_fini(loop_timers(feed->nereid->loop), &feed->heartbeat);
    free(feed);
}

static struct session_place feed_place(const struct session *session)
{
    const struct conn *conn = &container_of(session, struct feed, session)->stream.conn;
    return (struct session_place){conn_address(conn), conn_queued(conn)};
}

static const struct session_ops feed_session_ops = {
    .protocol = "nereid-stream",
    .gauge = METRIC_SESSIONS_STREAM,
    .event = feed_event,
    .settled = feed_settled,
    .close = feed_closed_by_hub,
    .place = feed_place,
};

static const struct conn_ops feed_conn_ops = {
    .drained = feed_drained,
    .closed = feed_gone,
    .free = feed_free,
};

/* --- opening */

struct stream_call {
    struct call call;
    struct wire wire;
    struct attach attach;
    struct id token;
    int64_t heartbeat_s;
    int64_t pad;
    int64_t marks;
    enum show show;
    struct span status;
    bool sets_presence; /* `show` or `status` was given */
};

static enum err feed_new(const struct stream_call *asked, struct handoff *handoff, struct feed **ret_feed)
{
    struct nereid *nereid = asked->call.nereid;
    struct feed *feed = calloc(1, sizeof(*feed));
    if (!feed)
        return ERR_NO_MEMORY;
    feed->nereid = nereid;
    feed->heartbeat_ms = (uint32_t)asked->heartbeat_s * 1000;
    feed->format = (uint8_t)asked->wire.format;
    feed->dialect = (uint8_t)asked->wire.style.dialect;
    feed->marks = (uint8_t)asked->marks;
    feed->visible = asked->marks > 0;
    enum err err = timer_init(loop_timers(nereid->loop), &feed->heartbeat, heartbeat_due);
    if (!err)
        err = stream_open(&feed->stream, nereid->conns, &feed_conn_ops, handoff);
    if (err) {
        timer_fini(loop_timers(nereid->loop), &feed->heartbeat);
        free(feed);
        return err;
    }
    *ret_feed = feed;
    return OK;
}

static void feed_start(struct feed *feed, struct stream_call *asked)
{
    enum err err = hub_attach(&feed->session, &feed_session_ops, asked->call.user, &asked->attach);
    if (err) {
        feed_end(feed, err);
        return;
    }
    feed->sent_ms = loop_now_ms(feed->nereid->loop);
    set_heartbeat(feed);
    if (asked->pad) {
        struct wire wire = feed_wire(feed);
        struct cursor cursor = asked->attach.resume ? asked->attach.since : hub_cursor(asked->call.nereid->hub);
        feed_send_new(feed, wire_padding(&wire, wall_us(feed), cursor, (size_t)asked->pad));
    }
}

static void stream_opened(void *ctx, enum err err, struct handoff *handoff)
{
    struct stream_call *asked = ctx;
    struct feed *feed;
    if (!err && feed_new(asked, handoff, &feed) == OK)
        feed_start(feed, asked);
    call_end(&asked->call);
}

static void send_head(struct stream_call *asked)
{
    const struct id *token = asked->attach.token;
    enum err err = hub_may_attach(asked->call.user, token);
    if (err) {
        call_fail(&asked->call, err, session_retry_s(err));
        return;
    }
    request_stream(asked->call.req, wire_content_type(asked->wire.format), stream_headers, stream_opened, asked);
}

static void presence_was_set(void *ctx, enum err err)
{
    struct stream_call *asked = ctx;
    if (err)
        call_fail(&asked->call, err, 0);
    else
        send_head(asked);
}

/* `show` and `status` of the stream's user, where given. */
static void read_presence(struct reader *in, struct stream_call *asked)
{
    struct presence presence = user_presence(asked->call.user);
    struct span show_word = {0}, status = {0};
    asked->show = presence.show;
    read_show(in, &asked->show);
    read_text(in, "show", &show_word);
    read_text(in, "status", &status);
    asked->sets_presence = show_word.data || status.data;
    asked->status = status.data ? status : presence.status;
}

/* The module speaks server-sent events to clients that never say so. */
static void read_format(struct reader *in, struct wire *wire)
{
    struct span word = {0};
    read_text(in, "format", &word);
    bool sse = request_accepts(in->req, "text/event-stream") || wire->style.dialect == DIALECT_MODULE;
    if (word.data)
        sse = span_is(word, "sse");
    if (word.data && !sse && !span_is(word, "ndjson"))
        reader_note(in, "format", ERR_BAD_FIELD);
    wire->format = sse ? WIRE_SSE : WIRE_NDJSON;
}

static void open_stream(struct call *call)
{
    struct stream_call *asked = container_of(call, struct stream_call, call);
    struct reader in = reader_of(call->req);
    asked->heartbeat_s = call->nereid->options.heartbeat_ms / 1000;
    read_attach(&in, &asked->attach, &asked->token);
    read_style(&in, call->nereid, &asked->wire.style);
    read_format(&in, &asked->wire);
    read_count(&in, "heartbeat", 1, HEARTBEAT_MAX_S, &asked->heartbeat_s);
    read_count(&in, "pad", 0, PAD_MAX, &asked->pad);
    read_count(&in, "marks", 0, MARKS_MAX, &asked->marks);
    read_presence(&in, asked);
    if (!in.err && asked->sets_presence)
        reader_note(&in, "status", hub_presence_set(call->user, asked->show, asked->status, presence_was_set, asked));
    if (in.err)
        call_refuse(call, &in);
    else if (!asked->sets_presence)
        send_head(asked);
}

void nereid_stream(void *ctx, struct request *req)
{
    call_begin(ctx, req, sizeof(struct stream_call), open_stream);
}
