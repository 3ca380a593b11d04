/* SPDX-License-Identifier: MIT */
/* Between the packets of 0.9 and the sockets: what its packets mean, and how what the sockets say is written. */
#include "adapters/socketio/legacy_inside.h"
#include "adapters/socketio/packet.h"
#include "base/metric.h"
#include "base/utf8.h"

static struct legacy_session *session_of(const struct client *client)
{
    return container_of(client, struct legacy_session, client);
}

/* --- out */

static void on_connected(struct client *client, struct socket *socket)
{
    legacy_session_say(session_of(client), LEGACY_CONNECT, nsp_name(socket_nsp(socket)), SPAN_LITERAL(""));
}

/* Without an answer for `/` a client never is connected, though it may be there for another namespace only. */
static void on_refused(struct client *client, struct span nsp, const char *sentence unused_arg)
{
    if (span_is(nsp, "/"))
        legacy_session_say(session_of(client), LEGACY_CONNECT, nsp, SPAN_LITERAL(""));
    else
        legacy_session_say(session_of(client), LEGACY_ERROR, nsp, LEGACY_UNAUTHORIZED);
}

static void on_emit(struct client *client, struct emission *emission, bool paced)
{
    legacy_session_send(session_of(client), emission_legacy_frame(emission), paced);
}

static void on_reply(struct client *client, struct span nsp, uint64_t id, struct span args)
{
    struct buf text = BUF_INIT;
    legacy_write_ack(&text, nsp, id, args);
    struct blob *framed = buf_failed(&text) ? NULL : websocket_frame(buf_span(&text), true);
    buf_fini(&text);
    legacy_session_send(session_of(client), framed, false);
    blob_unref(framed);
}

/* A client that is told so of `/` gives the whole connection up. */
static void on_disconnected(struct client *client, struct span nsp)
{
    struct legacy_session *session = session_of(client);
    legacy_session_say(session, LEGACY_DISCONNECT, nsp, SPAN_LITERAL(""));
    if (span_is(nsp, "/"))
        legacy_session_end_soon(session);
}

static void on_close(struct client *client, enum engine_end why)
{
    legacy_session_end(session_of(client), why);
}

static bool on_is_writable(const struct client *client)
{
    return legacy_session_is_writable(session_of(client));
}

static uint32_t on_queued(const struct client *client)
{
    return legacy_session_queued(session_of(client));
}

static const struct visitor *on_visitor(const struct client *client)
{
    return session_of(client)->visitor;
}

const struct client_ops legacy_client_ops = {
    .connected = on_connected,
    .refused = on_refused,
    .emit = on_emit,
    .reply = on_reply,
    .disconnected = on_disconnected,
    .close = on_close,
    .is_writable = on_is_writable,
    .queued = on_queued,
    .visitor = on_visitor,
};

/* --- connecting */

void legacy_client_open(struct legacy_session *session)
{
    client_begin(&session->client, &legacy_client_ops, session->legacy->adapter);
    json_t *auth = client_query_auth(&session->client, SPAN_LITERAL(""));
    (void)client_connect_implicit(&session->client, auth, NULL);
    json_decref(auth);
}

/* Who connects again is told again: a client that has lost count waits for it. */
static void take_connect(struct legacy_session *session, const struct legacy_packet *packet)
{
    json_t *auth = client_query_auth(&session->client, packet->query);
    enum connect_end end = client_connect(&session->client, packet->nsp, auth, NULL);
    json_decref(auth);
    if (end == CONNECT_AGAIN)
        legacy_session_say(session, LEGACY_CONNECT, packet->nsp, SPAN_LITERAL(""));
}

static void take_disconnect(struct legacy_session *session, const struct legacy_packet *packet)
{
    struct socket *socket = client_socket(&session->client, packet->nsp);
    if (span_is(packet->nsp, "/"))
        legacy_session_end(session, ENGINE_TRANSPORT_CLOSE);
    else if (socket)
        client_left(&session->client, socket);
}

/* --- events and acks in */

static unsigned depth_of(const struct legacy_session *session)
{
    return session->legacy->adapter->options.json_depth;
}

static void deliver(struct legacy_session *session, struct socket *socket, const struct legacy_packet *packet,
                    const struct legacy_event *event)
{
    const struct incoming incoming = {
        .args = event->args,
        .text = buf_span(&event->text),
        .ack = {.wanted = packet->asks, .id = packet->id},
    };
    if (packet->has_id && !packet->asks)
        on_reply(&session->client, packet->nsp, packet->id, SPAN_LITERAL(""));
    if (session->state == LEGACY_OPEN)
        client_event(&session->client, socket, &incoming);
}

/* Reserved names are ignored, as 0.9 does. */
static enum err take_event(struct legacy_session *session, const struct legacy_packet *packet)
{
    struct socket *socket = client_socket(&session->client, packet->nsp);
    struct legacy_event event;
    enum err err = legacy_event_read(packet, depth_of(session), &event);
    if (err)
        return err;
    const json_t *name = json_array_get(event.args, 0);
    if (json_string_length(name) > EVENT_NAME_MAX)
        err = ERR_TOO_LARGE;
    else if (socket && !packet_is_reserved(json_string_value(name)))
        deliver(session, socket, packet, &event);
    legacy_event_fini(&event);
    return err;
}

static enum err take_ack(struct legacy_session *session, const struct legacy_packet *packet)
{
    struct socket *socket = client_socket(&session->client, packet->nsp);
    uint64_t id;
    json_t *args;
    enum err err = legacy_ack_read(packet, depth_of(session), &id, &args);
    if (err)
        return err;
    if (socket)
        client_acked(&session->client, socket, id, args);
    json_decref(args);
    return OK;
}

static enum err take_packet(struct legacy_session *session, const struct legacy_packet *packet)
{
    switch (packet->type) {
    case LEGACY_CONNECT: take_connect(session, packet); return OK;
    case LEGACY_DISCONNECT: take_disconnect(session, packet); return OK;
    case LEGACY_MESSAGE:
    case LEGACY_JSON:
    case LEGACY_EVENT: return take_event(session, packet);
    case LEGACY_ACK: return take_ack(session, packet);
    default: return OK; /* heartbeats have been noticed, the others mean nothing here */
    }
}

static enum err take_next(struct legacy_session *session, struct legacy_payload *payload, uint32_t count)
{
    struct legacy_packet packet;
    struct span text;
    if (count > session->legacy->adapter->options.engine.payload_packets) {
        metric_add(METRIC_LIMIT_ENGINE_PACKETS, 1);
        return ERR_TOO_MANY;
    }
    enum err err = legacy_payload_next(payload, &text);
    if (!err)
        err = legacy_packet_read(text, &packet);
    return err ? err : take_packet(session, &packet);
}

bool legacy_client_take(struct legacy_session *session, struct span text)
{
    enum err err = utf8_valid(text) ? OK : ERR_BAD_UTF8;
    struct legacy_payload payload = legacy_payload_begin(text);
    for (uint32_t count = 1; payload.rest.len && !err && session->state == LEGACY_OPEN; count++)
        err = take_next(session, &payload, count);
    if (err)
        legacy_session_end(session, ENGINE_PARSE_ERROR);
    return !err;
}
