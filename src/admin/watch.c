/* SPDX-License-Identifier: MIT */
/*
 * GET /threads/<thread>/watch: a thread as an endless answer, one JSON object a line.
 *
 *     {"timestamp":…,"type":"thread","thread":UUID,"room":NAME,"members":[MEMBER,…]}     first
 *     {"timestamp":…,"type":"message","message":{…}}                                     as nereid's own dialect has it
 *     {"timestamp":…,"type":"member","change":WORD,"member":MEMBER}                      how they are from now on
 *     {"timestamp":…,"type":"heartbeat"}                                                 after a time of silence
 *     {"timestamp":…,"type":"end","error":WORD,"message":…}                              last, if the end is ours
 *
 * MEMBER is {"id":…,"displayName":…,"role":"owner","available":true,"idle":false,"show":"chat","status":…}; `room` and
 * `status` are only there where there is one.
 *
 *     request ─> hub_watch ─> in memory ─> head sent ─> stream open, first line ─> … ─> peer goes, or the watch ends
 *                    └─ there is none: 404
 *
 * The hub tells that something may have changed; what has is found by comparing with what was told before (told.h).
 */
#include <stdlib.h>

#include "admin/inside.h"
#include "admin/told.h"
#include "base/log.h"
#include "http/stream.h"
#include "stanza/stanza.h"

enum { HEARTBEAT_MS = 15000 };

struct watcher {
    struct stream stream;
    struct thread_watch watch;
    struct timer heartbeat;
    struct admin *admin;
    struct request *req; /* until it is answered */
    struct told told;
    struct buf out; /* lines on their way to the stream */
    int64_t sent_ms;
    enum err ended; /* why the watch is over; OK while it is not */
    bool opened;    /* the stream is */
};

/* --- life */

static enum err watcher_new(struct admin *admin, struct request *req, void (*heartbeat)(struct timer *timer),
                            struct watcher **ret_watcher)
{
    struct watcher *watcher = calloc(1, sizeof(*watcher));
    if (!watcher)
        return ERR_NO_MEMORY;
    watcher->admin = admin;
    watcher->req = req;
    if (timer_init(loop_timers(admin->loop), &watcher->heartbeat, heartbeat) != OK) {
        free(watcher);
        return ERR_NO_MEMORY;
    }
    *ret_watcher = watcher;
    return OK;
}

static void watcher_free(struct watcher *watcher)
{
    told_fini(&watcher->told);
    timer_fini(loop_timers(watcher->admin->loop), &watcher->heartbeat);
    buf_fini(&watcher->out);
    free(watcher);
}

/* --- sending */

static int64_t wall_us(const struct watcher *watcher)
{
    return clock_wall_us(loop_clock(watcher->admin->loop));
}

/* The stream is over from our side. */
static void watcher_end(struct watcher *watcher, enum err why)
{
    hub_unwatch(&watcher->watch);
    timer_clear(loop_timers(watcher->admin->loop), &watcher->heartbeat);
    buf_reset(&watcher->out);
    told_line_open(&watcher->out, wall_us(watcher), "end");
    buf_printf(&watcher->out, ",\"error\":\"%s\",\"message\":\"%s\"", err_word(why), err_sentence(why));
    told_line_close(&watcher->out);
    struct blob *last = NULL;
    if (!buf_failed(&watcher->out))
        last = watcher->stream.chunked ? stream_chunk(buf_span(&watcher->out)) : buf_blob(&watcher->out);
    stream_end(&watcher->stream, last);
    blob_unref(last);
}

static void too_slow(struct watcher *watcher)
{
    metric_add(METRIC_LIMIT_QUEUE, 1);
    log_event(LOG_INFO, "watch ended: slow reader", log_span("address", conn_address(&watcher->stream.conn)),
              log_int("queued_bytes", conn_queued(&watcher->stream.conn)));
    watcher_end(watcher, ERR_SLOW_READER);
}

/* Sends what was written since the last time. */
static void watcher_flush(struct watcher *watcher)
{
    if (!watcher->out.len && !buf_failed(&watcher->out))
        return;
    enum err err = ERR_NO_MEMORY;
    if (!buf_failed(&watcher->out))
        err = stream_write(&watcher->stream, buf_span(&watcher->out));
    buf_fini(&watcher->out);
    if (err == ERR_SLOW_READER)
        too_slow(watcher);
    else if (err == ERR_NO_MEMORY)
        watcher_end(watcher, err);
    else
        watcher->sent_ms = loop_now_ms(watcher->admin->loop);
}

/* --- the stream */

static struct watcher *watcher_of_conn(struct conn *conn)
{
    return container_of(conn, struct watcher, stream.conn);
}

static void peer_gone(struct conn *conn, enum err err unused_arg)
{
    struct watcher *watcher = watcher_of_conn(conn);
    hub_unwatch(&watcher->watch);
    timer_clear(loop_timers(watcher->admin->loop), &watcher->heartbeat);
}

static void conn_is_over(struct conn *conn)
{
    watcher_free(watcher_of_conn(conn));
}

static const struct conn_ops watcher_conn_ops = {.closed = peer_gone, .free = conn_is_over};

/* A watch that was busy since the timer was set is only looked at again. */
static void heartbeat_due(struct timer *timer)
{
    struct watcher *watcher = container_of(timer, struct watcher, heartbeat);
    struct loop *loop = watcher->admin->loop;
    if (loop_now_ms(loop) - watcher->sent_ms >= HEARTBEAT_MS) {
        told_line_open(&watcher->out, wall_us(watcher), "heartbeat");
        told_line_close(&watcher->out);
        watcher_flush(watcher);
    }
    if (conn_is_open(&watcher->stream.conn))
        timer_set(loop_timers(loop), timer, watcher->sent_ms + HEARTBEAT_MS);
}

static void watcher_opened(void *ctx, enum err err, struct handoff *handoff)
{
    struct watcher *watcher = ctx;
    if (!err)
        err = stream_open(&watcher->stream, watcher->admin->conns, &watcher_conn_ops, handoff);
    if (err) {
        hub_unwatch(&watcher->watch);
        watcher_free(watcher);
        return;
    }
    watcher->opened = true;
    if (watcher->ended) {
        watcher_end(watcher, watcher->ended);
        return;
    }
    watcher->sent_ms = loop_now_ms(watcher->admin->loop);
    timer_set(loop_timers(watcher->admin->loop), &watcher->heartbeat, watcher->sent_ms + HEARTBEAT_MS);
    told_begin(&watcher->told, &watcher->watch, wall_us(watcher), &watcher->out);
    watcher_flush(watcher);
}

/* --- what the hub tells */

static struct watcher *watcher_of(struct thread_watch *watch)
{
    return container_of(watch, struct watcher, watch);
}

static void send_head(struct watcher *watcher)
{
    static const struct http_header headers[] = {{"Cache-Control", "no-cache, no-store, no-transform"}, {NULL, NULL}};
    struct request *req = watcher->req;
    watcher->req = NULL;
    request_stream(req, "application/x-ndjson", headers, watcher_opened, watcher);
}

static void thread_changed(struct thread_watch *watch)
{
    struct watcher *watcher = watcher_of(watch);
    if (watcher->req)
        send_head(watcher);
    if (!watcher->opened)
        return;
    told_changes(&watcher->told, &watcher->watch, wall_us(watcher), &watcher->out);
    watcher_flush(watcher);
}

static void before_stanza(struct buf *out unused_arg, const struct event *event unused_arg, size_t index unused_arg)
{
}

static void after_stanza(struct buf *out)
{
    buf_add_char(out, '\n');
}

static void message_came(struct thread_watch *watch, struct event *event)
{
    struct watcher *watcher = watcher_of(watch);
    struct stanza_style style = {DIALECT_SPEC, SPAN_LITERAL(""), watcher->admin->hub};
    if (!watcher->opened)
        return;
    stanza_write_event(&watcher->out, &style, event, before_stanza, after_stanza);
    watcher_flush(watcher);
}

/* Without a stream yet, the answer says why, or the stream's first and only line will. */
static void watch_ended(struct thread_watch *watch, enum err why)
{
    struct watcher *watcher = watcher_of(watch);
    watcher->ended = why;
    if (watcher->opened) {
        watcher_end(watcher, why);
    } else if (watcher->req) {
        request_fail(watcher->req, why, NULL, 0);
        watcher_free(watcher);
    }
}

static const struct thread_watch_ops watcher_ops = {
    .changed = thread_changed,
    .message = message_came,
    .ended = watch_ended,
};

void admin_watch(void *ctx, struct request *req)
{
    struct admin *admin = ctx;
    struct watcher *watcher = NULL;
    struct id thread;
    if (!admin_admits(req))
        return;
    enum err err = ERR_NO_THREAD;
    if (admin_thread_named(request_param(req, "thread"), &thread))
        err = watcher_new(admin, req, heartbeat_due, &watcher);
    if (!err)
        err = hub_watch(admin->hub, &watcher->watch, &watcher_ops, thread);
    if (!err)
        return;
    if (watcher)
        watcher_free(watcher);
    request_fail(req, err, NULL, 0);
}
