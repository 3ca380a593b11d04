/* SPDX-License-Identifier: MIT */
/*
 * messaging: what services push to users and sites, on /.
 *
 *     CONNECT ── authenticate {token} ──> authenticated; rooms user(<id>), site(<base domain>); the user's stanzas
 *        └────── too late, or refused ──> unauthorized {message, data: {message, code, type}}, then it is disconnected
 *
 * Nothing is pushed before `authenticate`, even where the HTTP layer knows who it is: others use / as well. Without a
 * token in the event, that one counts, or the token of the handshake. A socket that is in / for another application,
 * or was put there unasked on its way to another namespace, is excused from authenticating.
 *
 * The user's stanzas arrive as events: the stanza's type, with its value and its timestamp as arguments.
 */
#include <stdlib.h>

#include "adapters/socketio/adapter.h"
#include "adapters/socketio/app.h"
#include "adapters/socketio/echo.h"
#include "adapters/socketio/seat.h"
#include "adapters/socketio/site.h"
#include "base/time.h"
#include "stanza/stanza.h"

static const char root_nsp[] = "/";

/* Of a socket. */
struct subscriber {
    struct timer timer; /* until it has authenticated */
    char *shown;        /* owned; a token from the handshake, or null */
    struct seat *seat;  /* owned; null: has not authenticated */
    bool authenticating;
    bool excused; /* need not */
};

/* Of the adapter. */
struct messaging {
    struct echo stanza;
};

static struct timers *timers_of(const struct socket *socket)
{
    return loop_timers(socket_adapter(socket)->loop);
}

/* --- unauthorized */

static void was_told(void *ctx unused_arg, struct socket *socket unused_arg, enum err err unused_arg,
                     const json_t *args unused_arg)
{
}

/* Clients of this protocol are given a callback with it, and their manuals call it; nothing hangs on that here. */
static void unauthorized(struct socket *socket, const char *code, const char *message)
{
    enum { ASK_MS = 1000 };
    struct buf out = BUF_INIT;
    buf_add_text(&out, "{\"message\":");
    buf_add_json(&out, span_of(message));
    buf_add_text(&out, ",\"data\":{\"message\":");
    buf_add_json(&out, span_of(message));
    buf_printf(&out, ",\"code\":\"%s\",\"type\":\"UnauthorizedError\"}}", code);
    if (!buf_failed(&out) && socket_ask(socket, "unauthorized", buf_span(&out), ASK_MS, was_told, NULL) == OK)
        socket_disconnect(socket, socket_is_alone(socket));
    else
        socket_drop(socket);
    buf_fini(&out);
}

/* In the words that clients know from the libraries of this protocol. */
static const char *public_reason(const char *reason)
{
    static const struct {
        const char *ours, *known;
    } words[] = {
        {"the token has expired", "jwt expired"},
        {"the token is not valid yet", "jwt not active"},
        {"the signature is wrong", "invalid signature"},
        {"not the configured algorithm", "invalid algorithm"},
        {"no method for these credentials", "jwt malformed"},
    };
    for (size_t i = 0; i < array_len(words); i++)
        if (span_is(span_of(words[i].ours), reason))
            return words[i].known;
    return reason;
}

/* A refusal is told; what passes by itself ends the connection, so that the client tries again. While shutting down
 * all connections are about to end. */
static void refuse(struct socket *socket, enum err err, const char *reason)
{
    if (err == ERR_GONE || err == ERR_SHUTTING_DOWN)
        return;
    if (app_is_passing(err))
        socket_drop(socket);
    else if (err == ERR_UNAUTHORIZED || err == ERR_NO_TOKEN)
        unauthorized(socket, "invalid_token", public_reason(reason ? reason : err_sentence(err)));
    else
        unauthorized(socket, err_word(err), err_sentence(err));
}

/* --- the time to authenticate */

static void time_is_up(struct timer *timer)
{
    struct subscriber *subscriber = container_of(timer, struct subscriber, timer);
    struct socket *socket = socket_of_state(subscriber);
    if (socket_is_implicit(socket) && !socket_is_alone(socket))
        return;
    metric_add(METRIC_LIMIT_AUTHENTICATE, 1);
    unauthorized(socket, "credentials_required", "there was no authentication in time");
}

void messaging_excuse(struct socket *socket)
{
    struct subscriber *subscriber = socket_state(socket, &app_messaging);
    if (!subscriber)
        return;
    subscriber->excused = true;
    timer_clear(timers_of(socket), &subscriber->timer);
}

static void set_time(struct socket *socket, struct subscriber *subscriber)
{
    const struct socketio *adapter = socket_adapter(socket);
    int64_t wait_ms = adapter->options.messaging_authenticate_ms;
    if (wait_ms && !subscriber->excused)
        timer_set(timers_of(socket), &subscriber->timer, loop_now_ms(adapter->loop) + wait_ms);
}

/* --- stanzas */

static void write_stanza(void *ctx, struct buf *out, const struct event *event)
{
    const struct socketio *adapter = ctx;
    struct stanza_style style = {DIALECT_SPEC, span_of(adapter->options.entity_prefix), adapter->hub};
    char cursor[CURSOR_TEXT_SIZE], time[TIME_TEXT_SIZE];
    switch (event->kind) {
    case EVENT_MESSAGE: stanza_write_message(out, &style, event->message); break;
    case EVENT_PRESENCE: stanza_write_presences(out, &style, event); break;
    case EVENT_GAP: buf_printf(out, "{\"oldest\":\"%s\"}", cursor_format(event->oldest, cursor)); break;
    }
    buf_printf(out, ",\"%s\"", time_format(event->time_us, time));
}

static void seat_got_event(struct seat *seat, struct event *event)
{
    static const char *const names[] = {
        [EVENT_MESSAGE] = "message",
        [EVENT_PRESENCE] = "presence",
        [EVENT_GAP] = "gap",
    };
    struct socketio *adapter = socket_adapter(seat->socket);
    struct messaging *messaging = app_shared(adapter, &app_messaging);
    seat_show(seat, echo_of(&messaging->stanza, event, root_nsp, names[event->kind], write_stanza, adapter));
}

static void seat_ended(struct seat *seat, enum err why)
{
    refuse(seat->socket, why, why == ERR_UNAUTHORIZED ? "the token has expired" : NULL);
}

static const struct seat_ops root_seat_ops = {.event = seat_got_event, .ended = seat_ended};

/* --- authenticate */

static enum err join_rooms(struct socket *socket, struct span user)
{
    const struct visitor *visitor = socket_visitor(socket);
    char text[SITE_SIZE];
    struct span site;
    enum err err = app_join_room(socket, "user", user);
    if (!err && site_of(visitor->origin, visitor->host, text, &site))
        err = app_join_room(socket, "site", site);
    return err;
}

/* The context of what is under way: the answer to the event, if it wants one. */
struct authenticating {
    struct ack ack;
};

static void authenticated(struct socket *socket, struct authenticating *take_asked)
{
    struct subscriber *subscriber = socket_state(socket, &app_messaging);
    subscriber->authenticating = false;
    timer_clear(timers_of(socket), &subscriber->timer);
    socket_say(socket, "authenticated", (struct span){0});
    socket_reply(socket, take_asked->ack, (struct span){0});
    free(take_asked);
}

static void not_authenticated(struct socket *socket, struct authenticating *take_asked, enum err err,
                              const char *reason)
{
    struct subscriber *subscriber = socket_state(socket, &app_messaging);
    subscriber->authenticating = false;
    free(take_asked);
    refuse(socket, err, reason);
}

static void seat_was_taken(void *ctx, struct socket *socket, enum err err, struct seat *seat)
{
    struct subscriber *subscriber = socket_state(socket, &app_messaging);
    if (!err)
        err = join_rooms(socket, seat->who.user);
    if (err) {
        seat_free(seat);
        not_authenticated(socket, ctx, err, NULL);
        return;
    }
    subscriber->seat = seat;
    authenticated(socket, ctx);
}

/* A newer token of the same user gives more time. */
static void authenticate_again(struct seat *seat, const struct who *who, struct authenticating *asked)
{
    if (!span_equal(who->user, seat->who.user)) {
        not_authenticated(seat->socket, asked, ERR_FORBIDDEN, NULL);
        return;
    }
    seat_extend(seat, who);
    authenticated(seat->socket, asked);
}

static void who_was_found(void *ctx, struct socket *socket, enum err err, const struct who *who, const char *reason)
{
    struct subscriber *subscriber = socket_state(socket, &app_messaging);
    if (err) {
        not_authenticated(socket, ctx, err, reason);
    } else if (!who) {
        subscriber->authenticating = false;
        free(ctx);
        unauthorized(socket, "credentials_required", "there is no token");
    } else if (subscriber->seat) {
        authenticate_again(subscriber->seat, who, ctx);
    } else {
        seat_open(socket, who, &root_seat_ops, seat_was_taken, ctx);
    }
}

static void handle_authenticate(struct socket *socket, void *state, const struct incoming *event)
{
    struct subscriber *subscriber = state;
    const json_t *packet = incoming_arg(event, 0);
    const json_t *token = json_object_get(packet, "token");
    if (subscriber->authenticating)
        return; /* the answer to the first one is the answer to both */
    if (token && !json_is_string(token) && !json_is_null(token)) {
        unauthorized(socket, "invalid_token", "invalid token datatype");
        return;
    }
    struct authenticating *asked = malloc(sizeof(*asked));
    if (!asked) {
        socket_drop(socket);
        return;
    }
    asked->ack = event->ack;
    subscriber->authenticating = true;
    who_find(socket, json_text(packet, "token"), subscriber->shown, who_was_found, asked);
}

/* --- sockets */

static void connected(struct socket *socket, void *state, const json_t *auth)
{
    struct subscriber *subscriber = state;
    subscriber->shown = who_shown(auth);
    if (timer_init(timers_of(socket), &subscriber->timer, time_is_up) == OK)
        set_time(socket, subscriber);
    else
        socket_drop(socket);
}

static void disconnected(struct socket *socket, void *state, const char *reason unused_arg)
{
    struct subscriber *subscriber = state;
    timer_clear(timers_of(socket), &subscriber->timer);
    seat_close(subscriber->seat);
}

static void recovered(struct socket *socket, void *state)
{
    struct subscriber *subscriber = state;
    if (subscriber->seat)
        seat_reopen(subscriber->seat);
    else
        set_time(socket, subscriber);
}

static void drained(struct socket *socket unused_arg, void *state)
{
    struct subscriber *subscriber = state;
    seat_drained(subscriber->seat);
}

static void freed(void *state)
{
    struct subscriber *subscriber = state;
    timer_fini(timers_of(socket_of_state(subscriber)), &subscriber->timer);
    seat_free(subscriber->seat);
    free(subscriber->shown);
}

static void stop(struct socketio *adapter unused_arg, void *shared)
{
    struct messaging *messaging = shared;
    echo_fini(&messaging->stanza);
}

static const struct app_event events[] = {
    {"authenticate", handle_authenticate},
    {NULL, NULL},
};

const struct app app_messaging = {
    .name = "messaging",
    .nsp = root_nsp,
    .events = events,
    .state_bytes = sizeof(struct subscriber),
    .connected = connected,
    .disconnected = disconnected,
    .recovered = recovered,
    .drained = drained,
    .freed = freed,
    .shared_bytes = sizeof(struct messaging),
    .stop = stop,
};
