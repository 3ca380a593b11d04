/* SPDX-License-Identifier: MIT */
/* Seats: opening users, attaching, pacing. */
#include "adapters/socketio/seat.h"

#include <stdlib.h>
#include <string.h>

#include "adapters/socketio/adapter.h"

struct sitting {
    struct seat *seat;
    struct socket *socket; /* a reference */
    seat_taken *done;      /* null: the seat is taken again */
    void *ctx;
};

static struct seat *seat_of(struct session *session)
{
    return container_of(session, struct seat, session);
}

/* --- ending */

static void seat_end(struct seat *seat, enum err why)
{
    bool told = seat->closed;
    seat_close(seat);
    if (!told)
        seat->ops->ended(seat, why);
}

void seat_close(struct seat *seat)
{
    if (!seat)
        return;
    seat->closed = true;
    hub_detach(&seat->session);
}

void seat_free(struct seat *seat)
{
    if (!seat)
        return;
    seat_close(seat);
    free(seat);
}

/* --- the session */

static void seat_event(struct session *session, struct event *event)
{
    struct seat *seat = seat_of(session);
    seat->ops->event(seat, event);
}

static void seat_settled(struct session *session unused_arg, bool more unused_arg)
{
    /* A page was queued; the next one is asked for once it has gone. */
}

static void seat_closed_by_hub(struct session *session, enum err why)
{
    seat_end(seat_of(session), why);
}

static struct session_place seat_place(const struct session *session)
{
    const struct seat *seat = container_of(session, struct seat, session);
    const struct visitor *visitor = socket_visitor(seat->socket);
    return (struct session_place){visitor ? visitor->address : (struct span){0}, socket_queued(seat->socket)};
}

static const struct session_ops seat_session_ops = {
    .protocol = "socketio",
    .gauge = METRIC_SESSIONS_SOCKETIO,
    .event = seat_event,
    .settled = seat_settled,
    .close = seat_closed_by_hub,
    .place = seat_place,
};

void seat_show(struct seat *seat, struct emission *emission)
{
    if (!emission)
        seat_end(seat, ERR_NO_MEMORY);
    else if (seat->session.catching_up)
        socket_emit_paced(seat->socket, emission);
    else
        socket_emit(seat->socket, emission);
}

void seat_drained(struct seat *seat)
{
    if (seat_is_open(seat))
        hub_continue(&seat->session);
}

void seat_extend(struct seat *seat, const struct who *who)
{
    if (who->by_token || seat->who.by_token || !seat_is_open(seat))
        return;
    if (hub_extend(&seat->session, who->expires_us) == OK)
        seat->who.expires_us = who->expires_us; /* for when it is taken again */
}

/* --- opening */

static enum err seat_attach(struct seat *seat, struct user *user, bool again)
{
    const struct who *who = &seat->who;
    struct attach attach = {
        .token = who->by_token ? &who->token : NULL,
        .expires_us = who->expires_us,
        .resume = again,
        .since = seat->session.cursor,
        .presence_mark = seat->session.presence_mark,
    };
    enum err err = hub_attach(&seat->session, &seat_session_ops, user, &attach);
    if (err)
        return err;
    seat->closed = false;
    return OK;
}

static void sitting_end(struct sitting *sitting, enum err err)
{
    struct seat *seat = sitting->seat;
    if (sitting->done) {
        if (err)
            seat_free(seat);
        sitting->done(sitting->ctx, sitting->socket, err, err ? NULL : seat);
    } else if (err && err != ERR_GONE) {
        seat->ops->ended(seat, err);
    }
    socket_unref(sitting->socket);
    free(sitting);
}

static void user_opened(void *ctx, enum err err, struct user *user)
{
    struct sitting *sitting = ctx;
    bool gone = !socket_is_connected(sitting->socket);
    if (!err && gone)
        err = ERR_GONE;
    if (!err && !session_attached(&sitting->seat->session)) /* it may have come back twice meanwhile */
        err = seat_attach(sitting->seat, user, !sitting->done);
    if (user)
        hub_user_close(user);
    sitting_end(sitting, err);
}

static void sit_down(struct sitting *sitting)
{
    const struct who *who = &sitting->seat->who;
    struct hub *hub = socket_adapter(sitting->socket)->hub;
    enum err err = hub_user_open(hub, who->user, who->name, user_opened, sitting);
    if (err)
        sitting_end(sitting, err);
}

static struct sitting *sitting_new(struct socket *socket, struct seat *seat, seat_taken *done, void *ctx)
{
    struct sitting *sitting = malloc(sizeof(*sitting));
    if (sitting)
        *sitting = (struct sitting){seat, socket_ref(socket), done, ctx};
    return sitting;
}

static struct seat *seat_new(struct socket *socket, const struct who *who, const struct seat_ops *ops)
{
    struct seat *seat = calloc(1, sizeof(*seat) + who->user.len + who->name.len);
    if (!seat)
        return NULL;
    seat->ops = ops;
    seat->socket = socket;
    seat->closed = true;
    seat->who = *who;
    memcpy(seat->text, who->user.data, who->user.len);
    if (who->name.len)
        memcpy(seat->text + who->user.len, who->name.data, who->name.len);
    seat->who.user.data = seat->text;
    seat->who.name.data = seat->text + who->user.len;
    return seat;
}

void seat_open(struct socket *socket, const struct who *who, const struct seat_ops *ops, seat_taken *done, void *ctx)
{
    struct seat *seat = seat_new(socket, who, ops);
    struct sitting *sitting = seat ? sitting_new(socket, seat, done, ctx) : NULL;
    if (sitting) {
        sit_down(sitting);
        return;
    }
    seat_free(seat);
    done(ctx, socket, ERR_NO_MEMORY, NULL);
}

void seat_reopen(struct seat *seat)
{
    struct sitting *sitting = sitting_new(seat->socket, seat, NULL, NULL);
    if (sitting)
        sit_down(sitting);
    else
        seat->ops->ended(seat, ERR_NO_MEMORY);
}
