/* SPDX-License-Identifier: MIT */
/*
 * Long polls: the feed one envelope at a time.
 *
 * A poll is a session that lives until there is something to say, or the wait is over. Presence has no place in the
 * log, so the cursor that a poll hands out is followed by a presence mark: a client that comes back with an old mark is
 * told how everybody is.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "adapters/nereid/adapter.h"

struct poll_call {
    struct call call;
    struct session session;
    struct timer timer; /* the end of the wait, or of the turn in which something came */
    struct stanza_style style;
    struct attach attach;
    struct id token;
    struct buf stanzas; /* separated by commas */
    int64_t wait_s;
    enum err why; /* the hub ended the session */
};

static struct poll_call *poll_of(struct session *session)
{
    return container_of(session, struct poll_call, session);
}

static struct timers *poll_timers(const struct poll_call *poll)
{
    return loop_timers(poll->call.nereid->loop);
}

/* The last thing done with a poll, once its session is detached. */
static void poll_free(struct poll_call *poll)
{
    timer_fini(poll_timers(poll), &poll->timer);
    buf_fini(&poll->stanzas);
    call_end(&poll->call);
}

static void poll_fail(struct poll_call *poll, enum err err)
{
    hub_detach(&poll->session);
    request_fail(poll->call.req, err, NULL, 0);
    poll_free(poll);
}

static void poll_answer(struct poll_call *poll, struct cursor at)
{
    struct nereid *nereid = poll->call.nereid;
    hub_detach(&poll->session);
    char text[CURSOR_TEXT_SIZE];
    struct buf cursor = BUF_INIT, out = BUF_INIT;
    buf_printf(&cursor, "%s.%" PRId64, cursor_format(at, text), session_presence_mark(&poll->session));
    char *cursor_text = buf_take_text(&cursor);
    wire_open_envelope(&out, clock_wall_us(loop_clock(nereid->loop)), cursor_text ? cursor_text : "");
    buf_add(&out, buf_span(&poll->stanzas));
    buf_add_text(&out, "]}");
    out.failed |= !cursor_text || buf_failed(&poll->stanzas);
    free(cursor_text);
    reply_buf(poll->call.req, &out);
    poll_free(poll);
}

static void poll_timer_fired(struct timer *timer)
{
    struct poll_call *poll = container_of(timer, struct poll_call, timer);
    /* Who waits when the server goes down is told what there is, like anybody else. */
    if (poll->why && poll->why != ERR_SHUTTING_DOWN)
        poll_fail(poll, poll->why);
    else
        poll_answer(poll, session_cursor(&poll->session));
}

/* What else comes in this turn goes into the same envelope. */
static void answer_soon(struct poll_call *poll)
{
    timer_set(poll_timers(poll), &poll->timer, loop_now_ms(poll->call.nereid->loop));
}

static void poll_event(struct session *session, struct event *event)
{
    struct poll_call *poll = poll_of(session);
    struct blob *stanzas = wire_stanzas(&poll->style, event, poll->call.nereid->first_slot);
    if (poll->stanzas.len)
        buf_add_char(&poll->stanzas, ',');
    if (stanzas)
        buf_add(&poll->stanzas, blob_span(stanzas));
    else
        poll->stanzas.failed = true;
    if (session->state == SESSION_LIVE)
        answer_soon(poll);
}

static void poll_settled(struct session *session, bool more)
{
    struct poll_call *poll = poll_of(session);
    if (more || poll->stanzas.len || poll->wait_s == 0)
        answer_soon(poll);
}

static void poll_closed_by_hub(struct session *session, enum err why)
{
    struct poll_call *poll = poll_of(session);
    poll->why = why;
    answer_soon(poll);
}

static struct session_place poll_place(const struct session *session)
{
    const struct poll_call *poll = container_of(session, struct poll_call, session);
    return (struct session_place){request_address(poll->call.req), (uint32_t)poll->stanzas.len};
}

static const struct session_ops poll_session_ops = {
    .protocol = "nereid-poll",
    .gauge = METRIC_SESSIONS_POLL,
    .comes_again = true,
    .event = poll_event,
    .settled = poll_settled,
    .close = poll_closed_by_hub,
    .place = poll_place,
};

static void poll_gone(void *ctx)
{
    struct poll_call *poll = ctx;
    hub_cut_off(&poll->session);
    poll_fail(poll, ERR_GONE);
}

static enum err start_waiting(struct poll_call *poll)
{
    struct nereid *nereid = poll->call.nereid;
    enum err err = timer_init(poll_timers(poll), &poll->timer, poll_timer_fired);
    if (!err)
        err = hub_attach(&poll->session, &poll_session_ops, poll->call.user, &poll->attach);
    if (err)
        return err;
    timer_set(poll_timers(poll), &poll->timer, loop_now_ms(nereid->loop) + (poll->wait_s ? poll->wait_s : 1) * 1000);
    request_watch(poll->call.req, poll_gone, poll);
    return OK;
}

static void open_poll(struct call *call)
{
    struct poll_call *poll = container_of(call, struct poll_call, call);
    int64_t max_s = call->nereid->options.poll_wait_ms / 1000;
    poll->wait_s = max_s;
    struct reader in = reader_of(call->req);
    read_attach(&in, &poll->attach, &poll->token);
    read_style(&in, call->nereid, &poll->style);
    read_count(&in, "wait", 0, max_s, &poll->wait_s);
    if (in.err) {
        call_refuse(call, &in);
        return;
    }
    enum err err = start_waiting(poll);
    if (!err)
        return;
    request_fail(call->req, err, NULL, session_retry_s(err));
    poll_free(poll);
}

void nereid_poll(void *ctx, struct request *req)
{
    call_begin(ctx, req, sizeof(struct poll_call), open_poll);
}
