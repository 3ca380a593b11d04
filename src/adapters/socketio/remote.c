/* SPDX-License-Identifier: MIT */
/*
 * Other nodes, emitters, and Socket.IO's own adapters: what they publish on Redis, and what we publish for them, in all
 * the forms there have been.
 *
 *     <prefix>#/nsp#             a broadcast to rooms, or to the whole namespace
 *     <prefix>#/nsp#room#        a broadcast to this one room       (adapter 5.0 without the last #)
 *     <prefix>#word              the same by emitters and adapters before 0.3; only the packet names the namespace
 *     <prefix>-request#/nsp#     what is to be done with sockets, in JSON; what asks for an answer is not for us
 *
 * One pattern hears every generation, so each message comes once. We are no full member among Node's servers: a
 * PSUBSCRIBE is not counted by them, so none waits for our answers. A message is dropped as soon as it is clear that
 * nobody here gets it, before it is decoded.
 */
#include "adapters/socketio/adapter.h"
#include "adapters/socketio/msgpack.h"
#include "adapters/socketio/relay.h"
#include "adapters/socketio/rooms.h"
#include "base/log.h"
#include "base/metric.h"

enum { CHANNEL_MAX = 1024, REQUEST_MAX = 1024 * 1024, REQUEST_DEPTH = 32, LOG_EVERY_MS = 1000 };

struct remote {
    struct socketio *adapter;
    struct bus *bus;
    struct span prefix;
    char *broadcasts; /* patterns, owned */
    char *requests;
    struct bus_listener on_broadcast, on_request;
    struct relay *relay;
    bool shut;
    char uid[ID_TEXT_LEN / 2 + 1]; /* what our own broadcasts begin with; drawn by lot */
    int64_t logged_ms;
    int64_t others; /* not logged since then */
};

static void complain(struct remote *remote, const char *what, const char *why, struct span channel)
{
    int64_t now_ms = loop_now_ms(remote->adapter->loop);
    metric_add(METRIC_REMOTE_BAD, 1);
    if (remote->logged_ms && now_ms - remote->logged_ms < LOG_EVERY_MS) {
        remote->others++;
        return;
    }
    log_event(LOG_WARN, what, log_text("reason", why), log_span("channel", channel), log_int("others", remote->others));
    remote->logged_ms = now_ms;
    remote->others = 0;
}

/* --- broadcasts that come --------------------------------------------------------------------------------------- */

static bool has_sockets(const struct nsp *nsp, struct span room)
{
    struct span bare = {room.data, room.len ? room.len - 1 : 0};
    bool ends = room.len && room.data[room.len - 1] == '#';
    return room.len == 0 || nsp_count(nsp, room) || (ends && nsp_count(nsp, bare));
}

/* Whether somebody here may get what is said on a channel, of which `name` is what follows the prefix. A # may be part
 * of a namespace's name or a room's, so all ways to part it are tried. */
static bool is_wanted(const struct remote *remote, struct span name)
{
    bool parted = false;
    for (size_t i = 0; i < name.len && i < CHANNEL_MAX; i++) {
        if (name.data[i] != '#')
            continue;
        parted = true;
        const struct nsp *nsp = nsp_find(remote->adapter, (struct span){name.data, i});
        if (nsp && has_sockets(nsp, (struct span){name.data + i + 1, name.len - i - 1}))
            return true;
    }
    return !parted && name.len <= CHANNEL_MAX;
}

/* Whether the channel is one of the packet's namespace. */
static bool belongs(struct span name, struct span nsp)
{
    if (!span_has(name, '#'))
        return true;
    return name.len > nsp.len && memcmp(name.data, nsp.data, nsp.len) == 0 && name.data[nsp.len] == '#';
}

/* False: no memory. */
static bool deliver(const struct remote *remote, const struct broadcast *broadcast)
{
    struct nsp *nsp = nsp_find(remote->adapter, broadcast->nsp);
    if (!nsp)
        return true;
    struct emission *emission =
        emission_new(broadcast->nsp, broadcast->data, broadcast->attachments, broadcast->attachment_count);
    if (!emission)
        return false;
    if (broadcast->is_volatile)
        emission_set_volatile(emission);
    nsp_deliver(nsp, &broadcast->audience, emission);
    emission_unref(emission);
    return true;
}

static void hear_broadcast(struct bus_listener *listener, struct span channel, struct span bytes)
{
    struct remote *remote = container_of(listener, struct remote, on_broadcast);
    size_t head = remote->prefix.len + 1;
    struct span name = {channel.data + head, channel.len - head};
    struct broadcast *broadcast = NULL;
    const char *why = "no memory";
    if (remote->shut || broadcast_is_of(bytes, span_of(remote->uid)) || !is_wanted(remote, name))
        return;
    enum err err = broadcast_read(bytes, &broadcast, &why);
    if (!err && belongs(name, broadcast->nsp)) {
        metric_add(METRIC_REMOTE_IN, 1);
        if (!deliver(remote, broadcast))
            err = ERR_NO_MEMORY;
    }
    if (err)
        complain(remote, "a broadcast on Redis is not taken", why, channel);
    broadcast_free(broadcast);
}

/* --- requests --------------------------------------------------------------------------------------------------- */

enum request_type { REQUEST_JOIN = 2, REQUEST_LEAVE = 3, REQUEST_DISCONNECT = 4 };

struct asked {
    struct rooms rooms, except; /* whose sockets */
    struct rooms names;         /* to join or to leave */
    enum request_type type;
    bool close;
};

static void act_on(void *ctx, struct socket *socket)
{
    const struct asked *asked = ctx;
    if (asked->type == REQUEST_DISCONNECT) {
        socket_disconnect(socket, asked->close);
        return;
    }
    for (size_t i = 0; i < asked->names.count; i++) {
        if (asked->type == REQUEST_LEAVE)
            socket_leave(socket, asked->names.items[i]);
        else if (socket_join(socket, asked->names.items[i]) != OK)
            metric_add(METRIC_REMOTE_BAD, 1);
    }
}

/* Reads what emitters write since 4.0. One that names a single socket wants an answer, and is another server's. */
static enum err read_request(const json_t *request, struct asked *asked)
{
    const json_t *options = json_object_get(request, "opts");
    if (!json_is_object(options))
        return ERR_MISSING_FIELD;
    asked->close = json_is_true(json_object_get(request, "close"));
    enum err err = rooms_read(json_object_get(options, "rooms"), &asked->rooms);
    if (!err)
        err = rooms_read(json_object_get(options, "except"), &asked->except);
    if (!err)
        err = rooms_read(json_object_get(request, "rooms"), &asked->names);
    return err;
}

static enum err act(struct nsp *nsp, const json_t *request)
{
    struct asked asked = {.type = (enum request_type)json_integer_value(json_object_get(request, "type"))};
    if (asked.type < REQUEST_JOIN || asked.type > REQUEST_DISCONNECT)
        return OK;
    enum err err = read_request(request, &asked);
    if (!err) {
        struct audience audience = {asked.rooms.items, asked.rooms.count, asked.except.items, asked.except.count};
        metric_add(METRIC_REMOTE_IN, 1);
        nsp_each(nsp, &audience, act_on, &asked);
    }
    rooms_fini(&asked.rooms);
    rooms_fini(&asked.except);
    rooms_fini(&asked.names);
    return err == ERR_MISSING_FIELD ? OK : err;
}

/* Other servers also write requests in MessagePack; those want answers. */
static void hear_request(struct bus_listener *listener, struct span channel, struct span bytes)
{
    static const size_t infix_len = sizeof("-request#") - 1;
    struct remote *remote = container_of(listener, struct remote, on_request);
    size_t head = remote->prefix.len + infix_len;
    struct span name = {channel.data + head, channel.len - head};
    if (name.len && name.data[name.len - 1] == '#')
        name.len--;
    struct nsp *nsp = name.len <= CHANNEL_MAX ? nsp_find(remote->adapter, name) : NULL;
    json_t *request = NULL;
    if (!nsp || remote->shut || !bytes.len || bytes.data[0] != '{')
        return;
    enum err err = bytes.len > REQUEST_MAX ? ERR_TOO_LARGE : json_parse(bytes, REQUEST_DEPTH, &request);
    if (!err)
        err = act(nsp, request);
    if (err)
        complain(remote, "a request on Redis is not taken", err_sentence(err), channel);
    json_decref(request);
}

/* --- broadcasts that go ----------------------------------------------------------------------------------------- */

/* As Node's adapters name it: with one room, that is in the name. */
static void write_channel(struct buf *out, const struct remote *remote, const struct broadcast *broadcast)
{
    buf_add(out, remote->prefix);
    buf_add_char(out, '#');
    buf_add(out, broadcast->nsp);
    buf_add_char(out, '#');
    if (broadcast->audience.room_count == 1) {
        buf_add(out, broadcast->audience.rooms[0]);
        buf_add_char(out, '#');
    }
}

static enum err publish(const struct remote *remote, const struct broadcast *broadcast)
{
    struct buf channel = BUF_INIT;
    struct buf message = BUF_INIT;
    write_channel(&channel, remote, broadcast);
    enum err err = broadcast_write(&message, broadcast);
    if (!err && (buf_failed(&channel) || buf_failed(&message)))
        err = ERR_NO_MEMORY;
    if (!err)
        err = remote->bus->ops->publish(remote->bus, buf_span(&channel), buf_span(&message));
    buf_fini(&channel);
    buf_fini(&message);
    return err;
}

void remote_publish(struct remote *remote, const struct nsp *nsp, const struct audience *audience,
                    const struct emission *emission)
{
    struct broadcast broadcast = {
        .uid = span_of(remote->uid),
        .nsp = nsp_name(nsp),
        .data = emission_data(emission),
        .audience = *audience,
        .is_volatile = emission_is_volatile(emission),
    };
    if (remote->shut)
        return;
    struct blob *const *attachments = emission_attachments(emission, &broadcast.attachment_count);
    for (size_t i = 0; i < broadcast.attachment_count; i++)
        broadcast.attachments[i] = attachments[i];
    enum err err = publish(remote, &broadcast);
    if (err)
        complain(remote, "a broadcast does not reach other nodes", err_sentence(err), broadcast.nsp);
    else
        metric_add(METRIC_REMOTE_OUT, 1);
}

/* --- life ------------------------------------------------------------------------------------------------------- */

/* The pattern of all channels that begin with the prefix and `infix`. Null: no memory. */
static char *pattern_of(struct span prefix, const char *infix)
{
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < prefix.len; i++) {
        if (strchr("*?[]\\^", prefix.data[i]))
            buf_add_char(&out, '\\');
        buf_add_char(&out, prefix.data[i]);
    }
    buf_add_text(&out, infix);
    buf_add_char(&out, '*');
    return buf_take_text(&out);
}

struct remote *remote_new(struct socketio *adapter, struct bus *bus)
{
    char uid[ID_TEXT_SIZE];
    struct remote *remote = calloc(1, sizeof(*remote));
    if (!remote)
        return NULL;
    remote->adapter = adapter;
    remote->bus = bus;
    remote->prefix = span_of(adapter->options.redis_prefix);
    memcpy(remote->uid, id_format(id_random(), uid), sizeof(remote->uid) - 1);
    remote->broadcasts = pattern_of(remote->prefix, "#");
    remote->requests = pattern_of(remote->prefix, "-request#");
    remote->relay = relay_new(adapter, bus);
    if (!remote->broadcasts || !remote->requests || !remote->relay) {
        remote_free(remote);
        return NULL;
    }
    remote->on_broadcast.heard = hear_broadcast;
    remote->on_request.heard = hear_request;
    bus->ops->listen(bus, span_of(remote->broadcasts), &remote->on_broadcast);
    bus->ops->listen(bus, span_of(remote->requests), &remote->on_request);
    return remote;
}

void remote_shut(struct remote *remote)
{
    remote->shut = true;
    relay_shut(remote->relay);
}

void remote_free(struct remote *remote)
{
    if (!remote)
        return;
    relay_free(remote->relay);
    free(remote->broadcasts);
    free(remote->requests);
    free(remote);
}
