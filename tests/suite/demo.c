/* SPDX-License-Identifier: MIT */
/* Arguments go back as the text that came, so that no number and no order of keys changes. */
#include "suite/demo.h"

#include "adapters/socketio/adapter.h"
#include "adapters/socketio/packet.h"

enum { ANSWER_TIME_MS = 1000, MOMENT_MS = 20 };

struct demo_state {
    struct timer timer;
    json_t *auth; /* owned */
};

static struct span args_of(const struct incoming *event)
{
    struct span name, args;
    packet_split(event->text, &name, &args);
    return args;
}

static void say_json(struct socket *socket, const char *name, const json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    socket_say(socket, name, span_of(text ? text : "null"));
    free(text);
}

static void demo_greet(struct timer *timer)
{
    struct demo_state *self = container_of(timer, struct demo_state, timer);
    say_json(socket_of_state(self), "auth", self->auth);
}

static void demo_connected(struct socket *socket, void *state, const json_t *auth)
{
    struct demo_state *self = state;
    struct loop *loop = socket_adapter(socket)->loop;
    self->auth = auth ? json_deep_copy(auth) : json_object();
    if (!self->auth || timer_init(loop_timers(loop), &self->timer, demo_greet))
        socket_drop(socket);
    else
        timer_set(loop_timers(loop), &self->timer, loop_now_ms(loop) + MOMENT_MS);
}

static void demo_disconnected(struct socket *socket, void *state, const char *reason unused_arg)
{
    struct demo_state *self = state;
    timer_fini(loop_timers(socket_adapter(socket)->loop), &self->timer);
    json_decref(self->auth);
    self->auth = NULL;
}

/* An event with these arguments, and the attachments that came. */
static struct emission *event_like(struct socket *socket, const char *name, struct span args,
                                   const struct incoming *event)
{
    struct buf data = BUF_INIT;
    buf_printf(&data, "[\"%s\"", name);
    buf_add_text(&data, args.len ? "," : "");
    buf_add(&data, args);
    buf_add_char(&data, ']');
    struct emission *emission = buf_failed(&data) ? NULL
                                                  : emission_new(nsp_name(socket_nsp(socket)), buf_span(&data),
                                                                 event->attachments, event->attachment_count);
    buf_fini(&data);
    return emission;
}

static void message(struct socket *socket, void *state unused_arg, const struct incoming *event)
{
    struct emission *emission = event_like(socket, "message-back", args_of(event), event);
    if (emission)
        socket_emit(socket, emission);
    emission_unref(emission);
}

static void message_with_ack(struct socket *socket, void *state unused_arg, const struct incoming *event)
{
    socket_reply_with(socket, event->ack, args_of(event), event->attachments, event->attachment_count);
}

static void answered(void *ctx unused_arg, struct socket *socket, enum err err, const json_t *args)
{
    if (err)
        socket_say(socket, "no-answer", (struct span){0});
    else
        say_json(socket, "answer", args);
}

static void ask(struct socket *socket, void *state unused_arg, const struct incoming *event)
{
    if (socket_ask(socket, "question", args_of(event), ANSWER_TIME_MS, answered, NULL))
        socket_drop(socket);
}

static struct span room_of(const struct incoming *event)
{
    const json_t *room = incoming_arg(event, 0);
    return (struct span){json_string_value(room), json_string_length(room)};
}

static void join(struct socket *socket, void *state unused_arg, const struct incoming *event)
{
    bool joined = socket_join(socket, room_of(event)) == OK;
    socket_reply(socket, event->ack, span_of(joined ? "true" : "false"));
}

static void leave(struct socket *socket, void *state unused_arg, const struct incoming *event)
{
    socket_leave(socket, room_of(event));
    socket_reply(socket, event->ack, SPAN_LITERAL("true"));
}

static void to(struct socket *socket, void *state unused_arg, const struct incoming *event)
{
    struct span room = room_of(event), self = span_of(socket_id(socket)), args = args_of(event);
    const struct audience others = {&room, 1, &self, 1};
    struct emission *emission = event_like(socket, "said", args, event);
    if (emission)
        nsp_broadcast(socket_nsp(socket), &others, emission);
    emission_unref(emission);
}

static const struct app_event demo_events[] = {
    {"message", message}, {"message-with-ack", message_with_ack},
    {"ask", ask},         {"join", join},
    {"leave", leave},     {"to", to},
    {NULL, NULL},
};

static const struct app demo_root = {
    .name = "demo",
    .nsp = "/",
    .events = demo_events,
    .state_bytes = sizeof(struct demo_state),
    .connected = demo_connected,
    .disconnected = demo_disconnected,
};

static const struct app demo_custom = {
    .name = "demo-custom",
    .nsp = "/custom",
    .events = demo_events,
    .state_bytes = sizeof(struct demo_state),
    .connected = demo_connected,
    .disconnected = demo_disconnected,
};

const struct app *const suite_apps[] = {&demo_root, &demo_custom, NULL};
