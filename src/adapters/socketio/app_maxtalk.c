/* SPDX-License-Identifier: MIT */
/*
 * maxtalk: notices about conversations, on /max.
 *
 *     join {username, timestamp, token?} ─> listening {conversations}
 *                                        └> to the other users in each: joined {conversation, username}
 *     talk {conversation, timestamp, messageID} ─> to every other user in it: update {username, conversation, …}
 *     a message by any protocol ─> the same, with our time (milliseconds since 1970) and its UUID
 *
 * Conversations are threads of the core. A socket that has joined is in the room user(<id>), and what is said in a
 * conversation goes to the rooms of those who are in it then: so nobody has to be told who comes and goes, on any
 * node. What is refused is told by ack, or where none is wanted by an event `refused {event, error, message}` (`error`
 * is a reserved name in old clients).
 */
#include <stdlib.h>
#include <string.h>

#include "adapters/socketio/adapter.h"
#include "adapters/socketio/app.h"
#include "adapters/socketio/echo.h"
#include "adapters/socketio/names.h"
#include "adapters/socketio/seat.h"

static const char max_nsp[] = "/max";

enum { SCALAR_MAX = 256 };

/* Of a socket. */
struct listener {
    char *shown;       /* owned; a token from the handshake, or null */
    struct seat *seat; /* owned; null: has not joined */
    bool joining;
};

/* Of the adapter. */
struct maxtalk {
    struct echo update;
};

/* --- refusals */

static void refuse(struct socket *socket, const char *event, struct ack ack, enum err err, const char *sentence)
{
    struct buf out = BUF_INIT;
    if (ack.wanted) {
        app_write_error(&out, err, sentence);
    } else {
        buf_printf(&out, "{\"event\":\"%s\",\"error\":\"%s\",\"message\":", event, err_word(err));
        buf_add_json(&out, span_of(sentence ? sentence : err_sentence(err)));
        buf_add_char(&out, '}');
    }
    if (buf_failed(&out))
        socket_drop(socket);
    else if (ack.wanted)
        socket_reply(socket, ack, buf_span(&out));
    else
        socket_say(socket, "refused", buf_span(&out));
    buf_fini(&out);
}

/* --- who hears of a conversation */

/* The rooms of all its members but one, in one allocation. */
struct circle {
    struct span without;
    struct span *rooms;
    size_t count;
    size_t bytes;
    char *at; /* where the next room's name goes; null while they are counted */
};

static void add_member(void *ctx, struct span user, struct span name unused_arg)
{
    struct circle *circle = ctx;
    size_t len = user.len + sizeof("user()") - 1;
    if (span_equal(user, circle->without))
        return;
    if (circle->at) {
        circle->rooms[circle->count] = (struct span){circle->at, len};
        memcpy(circle->at, "user(", 5);
        memcpy(circle->at + 5, user.data, user.len);
        circle->at[len - 1] = ')';
        circle->at += len;
    }
    circle->count++;
    circle->bytes += len;
}

/* Null: there is nobody else, or no memory. */
static struct span *circle_make(struct circle *circle, const struct hub *hub, struct id conversation)
{
    hub_members(hub, conversation, add_member, circle);
    size_t head = circle->count * sizeof(*circle->rooms);
    circle->rooms = circle->count ? malloc(head + circle->bytes) : NULL;
    if (!circle->rooms)
        return NULL;
    circle->at = (char *)circle->rooms + head;
    circle->count = circle->bytes = 0;
    hub_members(hub, conversation, add_member, circle);
    return circle->rooms;
}

/* Tells the users in a conversation, but for whoever has this seat. */
static void tell_others(struct seat *seat, struct id conversation, const char *event, const struct buf *args)
{
    struct socketio *adapter = socket_adapter(seat->socket);
    struct circle circle = {.without = seat->who.user};
    struct emission *emission = buf_failed(args) ? NULL : emission_of(span_of(max_nsp), event, buf_span(args));
    if (emission && circle_make(&circle, adapter->hub, conversation))
        nsp_broadcast(socket_nsp(seat->socket), &(struct audience){circle.rooms, circle.count, NULL, 0}, emission);
    free(circle.rooms);
    emission_unref(emission);
}

/* `"username":…,"conversation":…` */
static void write_who_and_where(struct buf *out, struct span user, struct id conversation)
{
    char text[ID_TEXT_SIZE];
    buf_add_text(out, "\"username\":");
    buf_add_json(out, user);
    buf_printf(out, ",\"conversation\":\"%s\"", id_format(conversation, text));
}

/* --- messages of the core */

static void write_update(void *ctx unused_arg, struct buf *out, const struct event *event)
{
    enum { US_PER_MS = 1000 };
    const struct message_fields *message = &event->message->fields;
    char text[ID_TEXT_SIZE];
    buf_add_char(out, '{');
    write_who_and_where(out, message->sender, message->thread);
    buf_printf(out, ",\"timestamp\":%lld,\"messageID\":\"%s\"}", (long long)(message->time_us / US_PER_MS),
               id_format(message->id, text));
}

static void seat_got_event(struct seat *seat, struct event *event)
{
    if (event->kind != EVENT_MESSAGE || span_equal(event->message->fields.sender, seat->who.user))
        return;
    struct maxtalk *maxtalk = app_shared(socket_adapter(seat->socket), &app_maxtalk);
    seat_show(seat, echo_of(&maxtalk->update, event, max_nsp, "update", write_update, NULL));
}

/* What passes by itself ends the connection, so that the client tries again; for anything else it is told why. While
 * shutting down all connections are about to end. */
static void seat_ended(struct seat *seat, enum err why)
{
    struct socket *socket = seat->socket;
    if (why == ERR_SHUTTING_DOWN)
        return;
    if (app_is_passing(why)) {
        socket_drop(socket);
        return;
    }
    const char *sentence = why == ERR_UNAUTHORIZED ? "the login has expired" : NULL;
    refuse(socket, "join", (struct ack){0}, why, sentence);
    socket_disconnect(socket, false);
}

static const struct seat_ops max_seat_ops = {.event = seat_got_event, .ended = seat_ended};

/* --- join */

struct joining {
    struct ack ack;
    size_t len;
    char username[];
};

static void join_fail(struct joining *joining, struct socket *socket, enum err err, const char *sentence)
{
    struct listener *listener = socket_state(socket, &app_maxtalk);
    listener->joining = false;
    refuse(socket, "join", joining->ack, err, sentence);
    free(joining);
}

static void write_conversation(void *ctx, struct id thread)
{
    struct buf *out = ctx;
    char text[ID_TEXT_SIZE];
    if (out->len && out->data[out->len - 1] != '[')
        buf_add_char(out, ',');
    buf_printf(out, "\"%s\"", id_format(thread, text));
}

/* Says what this socket listens to. */
static void say_listening(struct seat *seat, struct ack ack)
{
    struct buf out = BUF_INIT;
    buf_add_text(&out, "{\"conversations\":[");
    hub_user_threads(seat->session.user, write_conversation, &out);
    buf_add_text(&out, "]}");
    if (buf_failed(&out)) {
        socket_drop(seat->socket);
    } else {
        socket_say(seat->socket, "listening", buf_span(&out));
        socket_reply(seat->socket, ack, buf_span(&out));
    }
    buf_fini(&out);
}

static void say_joined(void *ctx, struct id thread)
{
    struct seat *seat = ctx;
    struct buf out = BUF_INIT;
    buf_add_char(&out, '{');
    write_who_and_where(&out, seat->who.user, thread);
    buf_add_char(&out, '}');
    tell_others(seat, thread, "joined", &out);
    buf_fini(&out);
}

static void join_taken(void *ctx, struct socket *socket, enum err err, struct seat *seat)
{
    struct joining *joining = ctx;
    struct listener *listener = socket_state(socket, &app_maxtalk);
    if (!err)
        err = app_join_room(socket, "user", seat->who.user);
    if (err) {
        seat_free(seat);
        join_fail(joining, socket, err, NULL);
        return;
    }
    listener->joining = false;
    listener->seat = seat;
    say_listening(seat, joining->ack);
    free(joining);
    if (seat_is_open(seat))
        hub_user_threads(seat->session.user, say_joined, seat);
}

static void join_found(void *ctx, struct socket *socket, enum err err, const struct who *who, const char *reason)
{
    struct joining *joining = ctx;
    const struct socketio_options *options = &socket_adapter(socket)->options;
    struct who claimed = {.user = {joining->username, joining->len}};
    bool trusted = options->demo || options->maxtalk_trust_username;
    if (err)
        join_fail(joining, socket, err, reason);
    else if (!who && !trusted)
        join_fail(joining, socket, ERR_UNAUTHORIZED, NULL);
    else if (!who && !name_fits(claimed.user))
        join_fail(joining, socket, ERR_BAD_FIELD, "username is not one that a user can have");
    else if (who && joining->len && !span_equal(claimed.user, who->user))
        join_fail(joining, socket, ERR_FORBIDDEN, "username is not who this connection is");
    else
        seat_open(socket, who ? who : &claimed, &max_seat_ops, join_taken, joining);
}

static void join_begin(struct socket *socket, struct listener *listener, const json_t *packet, struct ack ack)
{
    struct span username = json_text(packet, "username");
    struct joining *joining = malloc(sizeof(*joining) + username.len);
    if (!joining) {
        refuse(socket, "join", ack, ERR_NO_MEMORY, NULL);
        return;
    }
    *joining = (struct joining){.ack = ack, .len = username.len};
    if (username.len)
        memcpy(joining->username, username.data, username.len);
    listener->joining = true;
    who_find(socket, json_text(packet, "token"), listener->shown, join_found, joining);
}

/* Whoever has joined may do so again to hear what there is to listen to now; nobody is told. */
static void join_again(struct listener *listener, const json_t *packet, struct ack ack)
{
    struct seat *seat = listener->seat;
    struct span username = json_text(packet, "username");
    if (username.len && !span_equal(username, seat->who.user))
        refuse(seat->socket, "join", ack, ERR_FORBIDDEN, "this connection has joined as somebody else");
    else if (seat_is_open(seat))
        say_listening(seat, ack);
}

static void handle_join(struct socket *socket, void *state, const struct incoming *event)
{
    struct listener *listener = state;
    const json_t *packet = incoming_arg(event, 0);
    const json_t *token = json_object_get(packet, "token");
    if (!json_is_object(packet))
        refuse(socket, "join", event->ack, ERR_BAD_FIELD, "join takes an object");
    else if (token && !json_is_string(token) && !json_is_null(token))
        refuse(socket, "join", event->ack, ERR_BAD_FIELD, "token is not text");
    else if (listener->joining)
        refuse(socket, "join", event->ack, ERR_BAD_REQUEST, "a join is under way");
    else if (listener->seat)
        join_again(listener, packet, event->ack);
    else
        join_begin(socket, listener, packet, event->ack);
}

/* --- talk */

/* The text of the first argument of an event, up to the end of the array. */
static struct span first_argument(struct span array)
{
    const char *quote = array.len ? memchr(array.data, '"', array.len) : NULL;
    const char *end = array.data + array.len;
    const char *at = quote ? quote + 1 : end;
    while (at < end && *at != '"')
        at += *at == '\\' ? 2 : 1;
    const char *brace = at < end ? memchr(at, '{', (size_t)(end - at)) : NULL;
    return brace ? (struct span){brace, (size_t)(end - brace)} : (struct span){0};
}

/* A number or text as it was written, so that no digit of it is lost. */
static bool find_scalar(struct span packet, const char *key, struct span *ret_text)
{
    struct span text;
    if (packet.len == 0 || !json_find_value(packet, key, &text) || text.len == 0 || text.len > SCALAR_MAX ||
        !(text.data[0] == '"' || text.data[0] == '-' || (text.data[0] >= '0' && text.data[0] <= '9')))
        return false;
    *ret_text = text;
    return true;
}

static void talk(struct seat *seat, struct id conversation, struct span timestamp, struct span message)
{
    struct buf out = BUF_INIT;
    buf_add_char(&out, '{');
    write_who_and_where(&out, seat->who.user, conversation);
    buf_add_text(&out, ",\"timestamp\":");
    buf_add(&out, timestamp);
    buf_add_text(&out, ",\"messageID\":");
    buf_add(&out, message);
    buf_add_char(&out, '}');
    tell_others(seat, conversation, "update", &out);
    buf_fini(&out);
}

/* *ret_sentence stays as it is where the error says it all. */
static enum err try_to_talk(struct seat *seat, const struct incoming *event, const char **ret_sentence)
{
    const json_t *packet = incoming_arg(event, 0);
    struct span text = json_is_object(packet) ? first_argument(event->text) : (struct span){0};
    struct span timestamp, message;
    struct id conversation;
    *ret_sentence = "talk comes after join";
    if (!seat_is_open(seat))
        return ERR_UNAUTHORIZED;
    *ret_sentence = "talk takes an object with conversation, timestamp and messageID";
    if (!find_scalar(text, "timestamp", &timestamp) || !find_scalar(text, "messageID", &message))
        return ERR_BAD_FIELD;
    *ret_sentence = "there is no such conversation";
    if (!id_parse(json_text(packet, "conversation"), &conversation) || !hub_is_member(seat->session.user, conversation))
        return ERR_NO_THREAD;
    *ret_sentence = NULL;
    if (hub_pace(socket_adapter(seat->socket)->hub, seat->who.user))
        return ERR_TOO_MANY;
    talk(seat, conversation, timestamp, message);
    return OK;
}

static void handle_talk(struct socket *socket, void *state, const struct incoming *event)
{
    struct listener *listener = state;
    const char *sentence;
    enum err err = try_to_talk(listener->seat, event, &sentence);
    if (err)
        refuse(socket, "talk", event->ack, err, sentence);
    else
        socket_reply(socket, event->ack, SPAN_LITERAL("{}"));
}

/* --- sockets */

static void connected(struct socket *socket unused_arg, void *state, const json_t *auth)
{
    struct listener *listener = state;
    listener->shown = who_shown(auth);
}

static void disconnected(struct socket *socket unused_arg, void *state, const char *reason unused_arg)
{
    struct listener *listener = state;
    seat_close(listener->seat);
}

static void recovered(struct socket *socket unused_arg, void *state)
{
    struct listener *listener = state;
    if (listener->seat)
        seat_reopen(listener->seat);
}

static void drained(struct socket *socket unused_arg, void *state)
{
    struct listener *listener = state;
    seat_drained(listener->seat);
}

static void freed(void *state)
{
    struct listener *listener = state;
    seat_free(listener->seat);
    free(listener->shown);
}

static void stop(struct socketio *adapter unused_arg, void *shared)
{
    struct maxtalk *maxtalk = shared;
    echo_fini(&maxtalk->update);
}

static const struct app_event events[] = {
    {"join", handle_join},
    {"talk", handle_talk},
    {NULL, NULL},
};

const struct app app_maxtalk = {
    .name = "maxtalk",
    .nsp = max_nsp,
    .events = events,
    .state_bytes = sizeof(struct listener),
    .connected = connected,
    .disconnected = disconnected,
    .recovered = recovered,
    .drained = drained,
    .freed = freed,
    .shared_bytes = sizeof(struct maxtalk),
    .stop = stop,
};
