/* SPDX-License-Identifier: MIT */
/*
 * Sockets: one room in which everybody has a name, on /.
 *
 *     register "name" ─> who? ─> whose name is it? ─> free, on all nodes? ─> seat ─> in the room ─> ack true
 *                          └──────────────┴─────────────────────┴───────────── no ───────────────────> ack false
 *     "<name> has joined the chat" ─> all
 *     message {from, message} ─> the room's thread in the core ─> message {from, message} ─> all others
 *     it is over ─> out of the room ─> "<name> left the chat", and the name is free
 *     out of the room by others' doing ─> it is over
 *
 * Who has an identity registers under its id or display name. Others are guests, where guests are wanted: under demo
 * the name is the user; elsewhere the user is `guest:<name>`, and the name nobody's that is known. To be registered is
 * to visit the room's thread: whoever was no member before is none after, so that it does not fill up with those who
 * left. The thread is watched while anybody is registered: who is no member any more has been removed, and is not
 * registered any more either. Their visit ended with that; to end it once more could end a newer one.
 *
 * What the server says goes to the Socket.IO room `sockets:<room>` of all nodes; what people say comes from the core.
 */
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "adapters/socketio/adapter.h"
#include "adapters/socketio/app.h"
#include "adapters/socketio/echo.h"
#include "adapters/socketio/names.h"
#include "adapters/socketio/seat.h"
#include "base/log.h"

static const char root_nsp[] = "/";
static const char guest_prefix[] = "guest:";
static const char not_in_room[] = "you are no longer in this room";

/* How long to wait before the room is watched again, where it could not be. */
enum { WATCH_AGAIN_MS = 1000 };

/* Of a socket. */
struct chatter {
    struct chatter *next, *prev; /* of those who are registered */
    char *shown;                 /* owned; a token from the handshake, or null */
    struct seat *seat;           /* owned; null: never registered */
    struct name *name;           /* held; null: not registered */
    struct saying *sayings;      /* under way */
    bool registering;
    bool removed; /* was registered until others took them out of the room */
};

/* A message on its way to the store. */
struct saying {
    struct saying *next;
    struct socket *socket; /* a reference */
    struct ack ack;
    struct id id;
};

/* Somebody who is out: to be told from a turn of its own, for those who are told may go then as well. */
struct farewell {
    struct farewell *next, *prev;
    struct timer timer;
    struct socketio *adapter;
    struct name *name; /* to be free then; null: it is kept */
    bool silent;       /* it has been told */
    size_t len;
    char text[];
};

/* Of the adapter. */
struct chat {
    struct socketio *adapter;
    struct names *names;
    struct echo message;
    struct chatter *registered; /* connected, or waiting to come back */
    struct thread_watch watch;  /* of `thread` */
    bool watching;              /* as long as anybody is registered, if it can be had */
    bool vanished;              /* the watch ended because there is no such thread */
    struct timer watch_again;
    struct farewell *farewells;
    struct id thread;
    struct span room; /* of Socket.IO; owned */
};

static struct chat *chat_of(const struct socketio *adapter)
{
    return app_shared(adapter, &app_sockets);
}

static void answer(struct socket *socket, struct ack ack, bool yes)
{
    socket_reply(socket, ack, yes ? SPAN_LITERAL("true") : SPAN_LITERAL("false"));
}

/* --- what the server says */

static void write_message(struct buf *out, struct span from, struct span text)
{
    buf_add_text(out, "{\"from\":");
    buf_add_json(out, from);
    buf_add_text(out, ",\"message\":");
    buf_add_json(out, text);
    buf_add_char(out, '}');
}

/* Null: no memory. */
static struct emission *server_message(struct span name, const char *what)
{
    struct buf text = BUF_INIT, args = BUF_INIT;
    buf_add(&text, name);
    buf_add_text(&text, what);
    write_message(&args, SPAN_LITERAL("Server"), buf_span(&text));
    bool failed = buf_failed(&text) || buf_failed(&args);
    struct emission *emission = failed ? NULL : emission_of(span_of(root_nsp), "message", buf_span(&args));
    buf_fini(&text);
    buf_fini(&args);
    return emission;
}

/* Null is allowed: there was no memory to say it, or there is nothing to say. */
static void say_to_all(struct socketio *adapter, struct emission *take_emission)
{
    struct nsp *nsp = nsp_find(adapter, span_of(root_nsp));
    if (take_emission)
        nsp_broadcast(nsp, &(struct audience){&chat_of(adapter)->room, 1, NULL, 0}, take_emission);
    emission_unref(take_emission);
}

/* --- leaving */

static void farewell_end(struct farewell *farewell)
{
    struct chat *chat = chat_of(farewell->adapter);
    DL_DELETE(chat->farewells, farewell);
    timer_fini(loop_timers(farewell->adapter->loop), &farewell->timer);
    if (farewell->name)
        names_release(chat->names, farewell->name);
    free(farewell);
}

/* The name is free before anybody hears of it. */
static void farewell_say(struct farewell *farewell)
{
    struct socketio *adapter = farewell->adapter;
    struct span name = {farewell->text, farewell->len};
    struct emission *emission = farewell->silent ? NULL : server_message(name, " left the chat");
    farewell_end(farewell);
    say_to_all(adapter, emission);
}

static void farewell_due(struct timer *timer)
{
    farewell_say(container_of(timer, struct farewell, timer));
}

/* The visit is over, or will be: the store sees to it. */
static void is_out(void *ctx, enum err err unused_arg, const struct thread_record *thread unused_arg)
{
    farewell_say(ctx);
}

/* Null: no memory. */
static struct farewell *farewell_new(struct socketio *adapter, struct span name)
{
    struct farewell *farewell = calloc(1, sizeof(*farewell) + name.len);
    if (!farewell || timer_init(loop_timers(adapter->loop), &farewell->timer, farewell_due) != OK) {
        free(farewell);
        return NULL;
    }
    farewell->adapter = adapter;
    farewell->len = name.len;
    memcpy(farewell->text, name.data, name.len);
    DL_APPEND(chat_of(adapter)->farewells, farewell);
    return farewell;
}

static void farewell_soon(struct farewell *farewell)
{
    struct loop *loop = farewell->adapter->loop;
    timer_set(loop_timers(loop), &farewell->timer, loop_now_ms(loop));
}

/* One who may come back keeps the name, and stays in the thread to be shown later what was missed. */
static void step_out(struct socketio *adapter, const struct chatter *chatter)
{
    struct farewell *farewell = farewell_new(adapter, name_text(chatter->name));
    if (farewell)
        farewell_soon(farewell);
}

/* Here everybody goes, and soon nothing can be told to other nodes. */
static void tell_other_nodes(struct socketio *adapter, const struct chatter *chatter)
{
    const struct audience audience = {&chat_of(adapter)->room, 1, NULL, 0};
    struct emission *emission = server_message(name_text(chatter->name), " left the chat");
    if (adapter->remote && emission)
        remote_publish(adapter->remote, nsp_find(adapter, span_of(root_nsp)), &audience, emission);
    emission_unref(emission);
}

static void watch_end(struct chat *chat)
{
    chat->watching = false;
    hub_unwatch(&chat->watch);
    timer_clear(loop_timers(chat->adapter->loop), &chat->watch_again);
}

/* They are registered no longer. The name is free with the farewell; null: no memory for that, the name is free. */
static struct farewell *unregister(struct chat *chat, struct chatter *chatter, bool silent)
{
    struct farewell *farewell = farewell_new(chat->adapter, name_text(chatter->name));
    if (farewell) {
        farewell->silent = silent;
        farewell->name = chatter->name;
    } else {
        names_release(chat->names, chatter->name);
    }
    chatter->name = NULL;
    DL_DELETE(chat->registered, chatter);
    if (!chat->registered)
        watch_end(chat);
    return farewell;
}

/* For good. `silent`: it has been told. Without memory it is not told, and they stay in the thread. */
static void leave(struct socketio *adapter, struct chatter *chatter, bool silent)
{
    struct chat *chat = chat_of(adapter);
    struct farewell *farewell = unregister(chat, chatter, silent);
    if (farewell && hub_visit_end(adapter->hub, chat->thread, chatter->seat->who.user, false, is_out, farewell) != OK)
        farewell_soon(farewell);
}

/* --- who is removed by others */

/* There is no word for it in the protocol but one of the server's. */
static void send_away(struct socket *socket, const char *sentence)
{
    struct emission *emission = server_message((struct span){0}, sentence);
    if (emission)
        socket_emit(socket, emission);
    emission_unref(emission);
    socket_disconnect(socket, false);
}

/* Who waits to come back is told then, and has been said goodbye to. */
static void be_removed(struct chat *chat, struct chatter *chatter)
{
    bool waits = !socket_is_connected(socket_of_state(chatter));
    struct farewell *farewell = unregister(chat, chatter, waits);
    if (farewell)
        farewell_soon(farewell);
    chatter->removed = true;
    seat_close(chatter->seat);
}

static bool is_member(const struct chat *chat, const struct chatter *chatter)
{
    struct occupant occupant;
    return hub_occupant(&chat->watch, chatter->seat->who.user, &occupant);
}

/* Telling one may be the end of others, so first all are found. Those who are not connected may be about to be freed:
 * only the others may be held. */
static void remove_gone(struct chat *chat)
{
    struct chatter *chatter, *next, *gone = NULL;
    DL_FOREACH_SAFE (chat->registered, chatter, next) {
        if (is_member(chat, chatter))
            continue;
        struct socket *socket = socket_of_state(chatter);
        be_removed(chat, chatter);
        socket_leave(socket, chat->room);
        if (!socket_is_connected(socket))
            continue;
        socket_ref(socket);
        LL_PREPEND(gone, chatter);
    }
    while (gone) {
        struct socket *socket = socket_of_state(gone);
        gone = gone->next;
        send_away(socket, not_in_room);
        socket_unref(socket);
    }
}

static void room_changed(struct thread_watch *watch)
{
    remove_gone(container_of(watch, struct chat, watch));
}

/* The store was reset, or there was no memory. */
static void room_ended(struct thread_watch *watch, enum err why)
{
    struct chat *chat = container_of(watch, struct chat, watch);
    struct loop *loop = chat->adapter->loop;
    chat->watching = false;
    chat->vanished = why == ERR_NO_THREAD;
    if (why != ERR_SHUTTING_DOWN)
        timer_set(loop_timers(loop), &chat->watch_again, loop_now_ms(loop) + (chat->vanished ? 0 : WATCH_AGAIN_MS));
}

static const struct thread_watch_ops room_watch_ops = {.changed = room_changed, .ended = room_ended};

/* Tells, too, of what has changed before. */
static void watch_begin(struct chat *chat)
{
    struct loop *loop = chat->adapter->loop;
    if (chat->watching || !chat->registered)
        return;
    enum err err = hub_watch(chat->adapter->hub, &chat->watch, &room_watch_ops, chat->thread);
    chat->watching = !err;
    chat->vanished = false;
    if (err && err != ERR_SHUTTING_DOWN)
        timer_set(loop_timers(loop), &chat->watch_again, loop_now_ms(loop) + WATCH_AGAIN_MS);
}

static void watch_again(struct timer *timer)
{
    struct chat *chat = container_of(timer, struct chat, watch_again);
    if (chat->vanished)
        remove_gone(chat); /* nobody is in it */
    watch_begin(chat);
}

/* --- what people say */

/* Whether this socket itself has said it. */
static bool is_own(const struct chatter *chatter, const struct message_fields *message)
{
    const struct saying *saying;
    LL_FOREACH (chatter->sayings, saying)
        if (id_equal(saying->id, message->id))
            return true;
    return false;
}

/* By other protocols people have names that may not be used here. */
static void write_said(void *ctx unused_arg, struct buf *out, const struct event *event)
{
    const struct message_fields *message = &event->message->fields;
    struct span from = message->sender_name.len ? message->sender_name : message->sender;
    struct buf marked = BUF_INIT;
    if (name_resembles(from, "server")) {
        buf_add_text(&marked, "user:");
        buf_add(&marked, message->sender);
        from = buf_span(&marked);
    }
    write_message(out, from, message->text);
    out->failed |= buf_failed(&marked);
    buf_fini(&marked);
}

static void seat_got_event(struct seat *seat, struct event *event)
{
    const struct chatter *chatter = socket_state(seat->socket, &app_sockets);
    struct chat *chat = chat_of(socket_adapter(seat->socket));
    if (event->kind != EVENT_MESSAGE || !chatter->name || !id_equal(event->message->fields.thread, chat->thread) ||
        is_own(chatter, &event->message->fields))
        return;
    seat_show(seat, echo_of(&chat->message, event, root_nsp, "message", write_said, NULL));
}

/* What passes by itself ends the connection, so that the client tries again; while shutting down all connections are
 * about to end. */
static void seat_ended(struct seat *seat, enum err why)
{
    struct socket *socket = seat->socket;
    if (why == ERR_SHUTTING_DOWN)
        return;
    if (app_is_passing(why))
        socket_drop(socket);
    else
        send_away(socket, why == ERR_UNAUTHORIZED ? "the login has expired" : err_sentence(why));
}

static const struct seat_ops chat_seat_ops = {.event = seat_got_event, .ended = seat_ended};

static void said(void *ctx, enum err err, const struct append_result *result unused_arg)
{
    struct saying *saying = ctx;
    struct chatter *chatter = socket_state(saying->socket, &app_sockets);
    LL_DELETE(chatter->sayings, saying);
    answer(saying->socket, saying->ack, !err);
    socket_unref(saying->socket);
    free(saying);
}

static void say(struct socket *socket, struct chatter *chatter, struct span text, struct ack ack)
{
    const struct socketio *adapter = socket_adapter(socket);
    struct saying *saying = calloc(1, sizeof(*saying));
    if (!saying) {
        answer(socket, ack, false);
        return;
    }
    *saying = (struct saying){.socket = socket_ref(socket), .ack = ack, .id = id_random()};
    LL_PREPEND(chatter->sayings, saying);
    struct message_fields message = {
        .id = saying->id,
        .thread = chat_of(adapter)->thread,
        .sender = chatter->seat->who.user,
        .sender_name = name_text(chatter->name),
        .text = text,
    };
    struct refusal refusal;
    enum err err = hub_send(adapter->hub, &message, said, saying, &refusal);
    if (err)
        said(saying, err, NULL);
}

/* `from` is not even looked at. Some clients send the bare text. */
static void handle_message(struct socket *socket, void *state, const struct incoming *event)
{
    struct chatter *chatter = state;
    const json_t *packet = incoming_arg(event, 0);
    struct span text = json_text(packet, "message");
    if (json_is_string(packet))
        text = (struct span){json_string_value(packet), json_string_length(packet)};
    if (chatter->name && text.len)
        say(socket, chatter, text, event->ack);
    else
        answer(socket, event->ack, false);
}

/* --- register */

/* A registration under way. */
struct registering {
    struct socket *socket; /* a reference */
    struct ack ack;
    struct name *name; /* held once it was claimed */
    struct seat *seat; /* null: not yet */
    struct span wanted;
    struct who who; /* its texts are here */
    bool is_guest;
    bool by_display; /* the name is to be the display name that the core has for the user */
    bool entered;    /* the room's thread */
    char text[];
};

static void left_again(void *ctx unused_arg, enum err err unused_arg, const struct thread_record *thread unused_arg)
{
}

static void take_back(struct registering *asked)
{
    struct socketio *adapter = socket_adapter(asked->socket);
    struct chat *chat = chat_of(adapter);
    if (asked->entered && hub_visit_end(adapter->hub, chat->thread, asked->who.user, false, left_again, NULL) != OK)
        log_event(LOG_WARN, "a guest that is gone stays a member of the room", log_span("user", asked->who.user));
    if (asked->name)
        names_release(chat->names, asked->name);
    seat_free(asked->seat);
}

/* With `err` it has failed, at whatever step. */
static void register_end(struct registering *asked, enum err err)
{
    struct socket *socket = asked->socket;
    struct chatter *chatter = socket_state(socket, &app_sockets);
    struct socketio *adapter = socket_adapter(socket);
    struct chat *chat = chat_of(adapter);
    chatter->registering = false;
    if (err) {
        take_back(asked);
        answer(socket, asked->ack, false);
    } else {
        chatter->seat = asked->seat;
        chatter->name = asked->name;
        DL_APPEND(chat->registered, chatter);
        watch_begin(chat);
        messaging_excuse(socket);
        answer(socket, asked->ack, true);
        say_to_all(adapter, server_message(name_text(asked->name), " has joined the chat"));
    }
    free(asked);
    socket_unref(socket);
}

/* A node that was killed leaves its guests behind as members. Whoever comes in looks for such: they have no name here,
 * and no node has sessions of them. */
static void sweep(struct socketio *adapter, const struct thread_record *thread)
{
    enum { PREFIX = sizeof(guest_prefix) - 1 };
    struct chat *chat = chat_of(adapter);
    for (size_t i = 0; i < thread->member_count; i++) {
        const struct user_record *user = &thread->members[i].user;
        bool is_guest = user->id.len > PREFIX && memcmp(user->id.data, guest_prefix, PREFIX) == 0;
        if (!is_guest || user->available ||
            names_has(chat->names, (struct span){user->id.data + PREFIX, user->id.len - PREFIX}))
            continue;
        if (hub_thread_leave(adapter->hub, chat->thread, user->id, left_again, NULL) != OK)
            return;
    }
}

/* Who has entered may have been removed again before that is answered; then the visit is over. Memory is behind the
 * answer only while the store is away. */
static enum err check_entered(struct registering *asked)
{
    const char *reason;
    const struct socketio *adapter = socket_adapter(asked->socket);
    if (!socket_is_connected(asked->socket) || !seat_is_open(asked->seat))
        return ERR_GONE;
    if (hub_is_member(asked->seat->session.user, chat_of(adapter)->thread))
        return OK;
    asked->entered = !hub_ready(adapter->hub, &reason);
    return asked->entered ? ERR_STORE : ERR_GONE;
}

static void room_was_entered(void *ctx, enum err err, const struct thread_record *thread)
{
    struct registering *asked = ctx;
    asked->entered = !err;
    if (!err)
        sweep(socket_adapter(asked->socket), thread);
    if (!err)
        err = check_entered(asked);
    if (!err)
        err = socket_join(asked->socket, chat_of(socket_adapter(asked->socket))->room);
    register_end(asked, err);
}

/* The name may be a display name that only the core knows. */
static enum err check_display_name(const struct registering *asked)
{
    struct presence presence = user_presence(asked->seat->session.user);
    return asked->by_display && !span_equal(presence.name, asked->wanted) ? ERR_FORBIDDEN : OK;
}

static void seat_was_taken(void *ctx, struct socket *socket, enum err err, struct seat *seat)
{
    struct registering *asked = ctx;
    const struct socketio *adapter = socket_adapter(socket);
    asked->seat = seat;
    if (!err)
        err = check_display_name(asked);
    if (!err) {
        struct span room = span_of(adapter->options.sockets_room);
        err = hub_room_visit(seat->session.user, room, room_was_entered, asked);
    }
    if (err)
        register_end(asked, err);
}

static void name_was_claimed(void *ctx, enum err err, struct name *name)
{
    struct registering *asked = ctx;
    asked->name = name;
    if (err)
        register_end(asked, err);
    else
        seat_open(asked->socket, &asked->who, &chat_seat_ops, seat_was_taken, asked);
}

static void claim(struct registering *asked)
{
    names_claim(chat_of(socket_adapter(asked->socket))->names, asked->wanted, name_was_claimed, asked);
}

static void name_was_found(void *ctx, enum err err, bool is_id, bool is_display_name)
{
    struct registering *asked = ctx;
    if (!err && (is_id || (asked->is_guest && is_display_name)))
        err = ERR_CONFLICT;
    if (err)
        register_end(asked, err);
    else
        claim(asked);
}

static void check_whose(struct registering *asked)
{
    struct hub *hub = socket_adapter(asked->socket)->hub;
    enum err err = hub_name_find(hub, asked->wanted, asked->who.user, name_was_found, asked);
    if (err)
        register_end(asked, err);
}

/* The struct with room for the name and for a user's texts. */
static struct registering *registering_new(struct socket *socket, struct span wanted, struct ack ack)
{
    size_t len = wanted.len + sizeof(guest_prefix) - 1 + wanted.len + USER_ID_MAX + USER_NAME_MAX;
    struct registering *asked = calloc(1, sizeof(*asked) + len);
    if (!asked)
        return NULL;
    asked->socket = socket_ref(socket);
    asked->ack = ack;
    memcpy(asked->text, wanted.data, wanted.len);
    asked->wanted = (struct span){asked->text, wanted.len};
    return asked;
}

/* As a user of the core: under demo the name itself. */
static void register_guest(struct registering *asked, const struct socketio_options *options)
{
    char *user = asked->text + asked->wanted.len;
    asked->is_guest = true;
    size_t prefix = options->demo ? 0 : sizeof(guest_prefix) - 1;
    memcpy(user, guest_prefix, prefix);
    memcpy(user + prefix, asked->wanted.data, asked->wanted.len);
    asked->who.user = (struct span){user, prefix + asked->wanted.len};
    if (!options->demo)
        asked->who.name = asked->wanted;
    if (!options->sockets_guests || asked->who.user.len > USER_ID_MAX)
        register_end(asked, ERR_UNAUTHORIZED);
    else if (options->demo)
        claim(asked);
    else
        check_whose(asked);
}

static void register_user(struct registering *asked, const struct who *who)
{
    char *at = asked->text + asked->wanted.len;
    asked->who = *who;
    memcpy(at, who->user.data, who->user.len);
    asked->who.user.data = at;
    at += who->user.len;
    if (who->name.len)
        memcpy(at, who->name.data, who->name.len);
    asked->who.name.data = at;
    asked->by_display = !span_equal(asked->wanted, who->user);
    if (asked->by_display)
        check_whose(asked);
    else
        claim(asked);
}

static void who_was_found(void *ctx, struct socket *socket, enum err err, const struct who *who,
                          const char *reason unused_arg)
{
    struct registering *asked = ctx;
    if (!err && who && (who->user.len > USER_ID_MAX || who->name.len > USER_NAME_MAX))
        err = ERR_BAD_FIELD;
    if (err)
        register_end(asked, err);
    else if (who)
        register_user(asked, who);
    else
        register_guest(asked, &socket_adapter(socket)->options);
}

static void handle_register(struct socket *socket, void *state, const struct incoming *event)
{
    struct chatter *chatter = state;
    const json_t *arg = incoming_arg(event, 0);
    struct span wanted = {json_string_value(arg), json_string_length(arg)};
    bool fits = json_is_string(arg) && name_fits(wanted) && !name_resembles(wanted, "server");
    bool is_done = chatter->seat || chatter->registering;
    struct registering *asked = fits && !is_done ? registering_new(socket, wanted, event->ack) : NULL;
    if (!asked) {
        answer(socket, event->ack, false);
        return;
    }
    chatter->registering = true;
    who_find(socket, (struct span){0}, chatter->shown, who_was_found, asked);
}

/* --- sockets */

static void connected(struct socket *socket unused_arg, void *state, const json_t *auth)
{
    struct chatter *chatter = state;
    chatter->shown = who_shown(auth);
}

static void disconnected(struct socket *socket, void *state, const char *reason)
{
    struct chatter *chatter = state;
    struct socketio *adapter = socket_adapter(socket);
    bool shuts = strcmp(reason, engine_end_word(ENGINE_SHUTDOWN)) == 0;
    seat_close(chatter->seat);
    if (!chatter->name)
        return;
    if (shuts)
        tell_other_nodes(adapter, chatter);
    else if (adapter->options.recovery_ms)
        step_out(adapter, chatter);
    if (shuts || !adapter->options.recovery_ms)
        leave(adapter, chatter, shuts);
}

static void recovered(struct socket *socket, void *state)
{
    const struct chatter *chatter = state;
    if (chatter->removed)
        send_away(socket, not_in_room);
    if (!chatter->name)
        return;
    watch_begin(chat_of(socket_adapter(socket)));
    seat_reopen(chatter->seat);
    if (socket_is_connected(socket))
        say_to_all(socket_adapter(socket), server_message(name_text(chatter->name), " has joined the chat"));
}

static void drained(struct socket *socket unused_arg, void *state)
{
    struct chatter *chatter = state;
    seat_drained(chatter->seat);
}

static void freed(void *state)
{
    struct chatter *chatter = state;
    if (chatter->name)
        leave(socket_adapter(socket_of_state(state)), chatter, true);
    seat_free(chatter->seat);
    free(chatter->shown);
}

static enum err start(struct socketio *adapter, void *shared)
{
    struct chat *chat = shared;
    struct buf room = BUF_INIT;
    chat->adapter = adapter;
    buf_add_text(&room, "sockets:");
    buf_add_text(&room, adapter->options.sockets_room);
    size_t len = room.len;
    char *text = buf_take_text(&room);
    chat->room = (struct span){text, len};
    chat->thread = hub_room_id(span_of(adapter->options.sockets_room));
    chat->names = names_new(adapter->bus, adapter->options.redis_prefix, adapter->options.sockets_room, adapter->loop);
    if (text && chat->names && timer_init(loop_timers(adapter->loop), &chat->watch_again, watch_again) == OK)
        return OK;
    names_free(chat->names);
    free(text);
    return ERR_NO_MEMORY;
}

static void stop(struct socketio *adapter, void *shared)
{
    struct chat *chat = shared;
    watch_end(chat);
    timer_fini(loop_timers(adapter->loop), &chat->watch_again);
    while (chat->farewells)
        farewell_end(chat->farewells);
    echo_fini(&chat->message);
    names_free(chat->names);
    free((char *)chat->room.data);
}

static const struct app_event events[] = {
    {"register", handle_register},
    {"message", handle_message},
    {NULL, NULL},
};

const struct app app_sockets = {
    .name = "sockets",
    .nsp = root_nsp,
    .events = events,
    .state_bytes = sizeof(struct chatter),
    .connected = connected,
    .disconnected = disconnected,
    .recovered = recovered,
    .drained = drained,
    .freed = freed,
    .shared_bytes = sizeof(struct chat),
    .start = start,
    .stop = stop,
};
