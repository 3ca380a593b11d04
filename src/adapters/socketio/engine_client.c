/* SPDX-License-Identifier: MIT */
/*
 * Socket.IO's revisions 5 and 4 over Engine.IO: sessions that are clients.
 *
 *     revision 5 (Engine.IO 4)  the client connects to each namespace by itself, and has to do so in time; whoever
 *                               breaks the rules is cut off
 *     revision 4 (3 and 2)      it is in `/` from the start, and what it sends to a namespace that it is not in is
 *                               ignored
 *
 * A packet with attachments waits for them; nothing else may come meanwhile. One timer is enough: before the first
 * namespace is connected it limits that, and a packet that waits in revision 5 comes later, for its namespace must be
 * connected.
 */
#include "adapters/socketio/adapter.h"
#include "adapters/socketio/packet.h"
#include "base/metric.h"

enum { ATTACHMENTS_TIME_MS = 10000 };

/* A packet whose attachments are not all there. */
struct pending {
    struct packet packet; /* in `text` */
    struct blob *attachments[EMISSION_ATTACHMENTS_MAX];
    size_t count;
    size_t bytes; /* of the text, and of attachments so far */
    char text[];
};

struct engine_client {
    struct engine_session session;
    struct client client;
    struct timer timer;
    struct pending *pending; /* owned; null: none */
};

static struct engine_client *of_session(struct engine_session *session)
{
    return container_of(session, struct engine_client, session);
}

static struct engine_client *of_client(const struct client *client)
{
    return container_of(client, struct engine_client, client);
}

static bool is_old(const struct engine_client *self)
{
    return engine_session_revision(&self->session) != ENGINE_4;
}

static struct timers *timers_of(const struct engine_client *self)
{
    return loop_timers(self->client.adapter->loop);
}

static void limit_time(struct engine_client *self, int64_t time_ms)
{
    timer_set(timers_of(self), &self->timer, loop_now_ms(self->client.adapter->loop) + time_ms);
}

/* --- out */

/* Null: there was no memory for it. */
static void send_frame(struct engine_client *self, struct blob *take_frame)
{
    if (take_frame)
        engine_send(&self->session, take_frame, false);
    else
        engine_close(&self->session, ENGINE_FORCED_CLOSE);
    blob_unref(take_frame);
}

static void send_text(struct engine_client *self, struct buf *take_text)
{
    send_frame(self, buf_failed(take_text) ? NULL : engine_text(buf_span(take_text)));
    buf_fini(take_text);
}

/* `take_payload` may be empty. */
static void send_packet(struct engine_client *self, struct packet *packet, struct buf *take_payload)
{
    struct buf text = BUF_INIT;
    packet_write(&text, packet);
    if (is_old(self))
        packet_add_ascii(&text, buf_span(take_payload));
    else
        buf_add(&text, buf_span(take_payload));
    text.failed = text.failed || take_payload->failed;
    buf_fini(take_payload);
    send_text(self, &text);
}

static void tell_connected(struct client *client, struct socket *socket)
{
    struct engine_client *self = of_client(client);
    struct packet packet = {.type = PACKET_CONNECT, .nsp = nsp_name(socket_nsp(socket))};
    struct buf payload = BUF_INIT;
    timer_clear(timers_of(self), &self->timer);
    if (!is_old(self)) {
        buf_printf(&payload, "{\"sid\":\"%s\"", socket_id(socket));
        if (socket_pid(socket))
            buf_printf(&payload, ",\"pid\":\"%s\"", socket_pid(socket));
        buf_add_char(&payload, '}');
    }
    send_packet(self, &packet, &payload);
}

static void tell_refused(struct client *client, struct span nsp, const char *sentence)
{
    struct engine_client *self = of_client(client);
    struct packet packet = {.type = PACKET_CONNECT_ERROR, .nsp = nsp};
    struct buf payload = BUF_INIT;
    buf_add_text(&payload, is_old(self) ? "" : "{\"message\":");
    buf_add_json(&payload, span_of(sentence));
    buf_add_text(&payload, is_old(self) ? "" : "}");
    send_packet(self, &packet, &payload);
}

static void emit(struct client *client, struct emission *emission, bool paced)
{
    struct engine_client *self = of_client(client);
    size_t count;
    struct blob *const *frames = emission_frames(emission, engine_session_revision(&self->session), &count);
    for (size_t i = 0; frames && i < count; i++)
        engine_send(&self->session, frames[i], paced);
    if (!frames)
        engine_close(&self->session, ENGINE_FORCED_CLOSE);
}

static void reply_with(struct client *client, struct span nsp, uint64_t id, struct span args,
                       struct blob *const *attachments, size_t count)
{
    struct engine_client *self = of_client(client);
    struct packet packet = {
        .type = count ? PACKET_BINARY_ACK : PACKET_ACK,
        .attachments = (unsigned)count,
        .nsp = nsp,
        .has_id = true,
        .id = id,
    };
    struct buf payload = BUF_INIT;
    buf_add_char(&payload, '[');
    buf_add(&payload, args);
    buf_add_char(&payload, ']');
    send_packet(self, &packet, &payload);
    for (size_t i = 0; i < count; i++)
        send_frame(self, engine_binary(engine_session_revision(&self->session), blob_span(attachments[i])));
}

static void reply(struct client *client, struct span nsp, uint64_t id, struct span args)
{
    reply_with(client, nsp, id, args, NULL, 0);
}

static void tell_disconnected(struct client *client, struct span nsp)
{
    struct packet packet = {.type = PACKET_DISCONNECT, .nsp = nsp};
    struct buf nothing = BUF_INIT;
    send_packet(of_client(client), &packet, &nothing);
}

static void close_client(struct client *client, enum engine_end why)
{
    engine_close(&of_client(client)->session, why);
}

static bool is_writable(const struct client *client)
{
    return engine_is_writable(&of_client(client)->session);
}

static uint32_t queued(const struct client *client)
{
    return engine_queued(&of_client(client)->session);
}

static const struct visitor *visitor(const struct client *client)
{
    return engine_visitor(&of_client(client)->session);
}

static const struct client_ops engine_client_client_ops = {
    .connected = tell_connected,
    .refused = tell_refused,
    .emit = emit,
    .reply = reply,
    .reply_with = reply_with,
    .disconnected = tell_disconnected,
    .close = close_client,
    .is_writable = is_writable,
    .queued = queued,
    .visitor = visitor,
    .recovers = true,
};

/* --- connecting */

static void connect_new(struct engine_client *self, const struct packet *packet)
{
    enum connect_end end = client_connect(&self->client, packet->nsp, packet->json, NULL);
    if (end == CONNECT_AGAIN)
        engine_close(&self->session, ENGINE_PARSE_ERROR);
}

/* In `/` they have the id of their session, elsewhere one that is made from it. */
static void connect_old(struct engine_client *self, struct span nsp, struct span query)
{
    char id[SOCKET_ID_SIZE];
    const char *sid = engine_sid(&self->session);
    bool implicit = span_is(nsp, "/");
    json_t *auth = client_query_auth(&self->client, query);
    snprintf(id, sizeof(id), "%.*s#%s", (int)(nsp.len < 32 ? nsp.len : 32), nsp.data, sid);
    if (implicit)
        (void)client_connect_implicit(&self->client, auth, sid);
    else
        (void)client_connect(&self->client, nsp, auth, id);
    json_decref(auth);
}

/* --- in */

static void event(struct engine_client *self, struct socket *socket, const struct packet *packet,
                  struct blob *const *attachments)
{
    const struct incoming incoming = {
        .args = packet->json,
        .text = packet->text,
        .attachments = attachments,
        .attachment_count = packet->attachments,
        .ack = {packet->has_id, packet->id},
    };
    client_event(&self->client, socket, &incoming);
}

static void to_socket(struct engine_client *self, struct socket *socket, const struct packet *packet,
                      struct blob *const *attachments)
{
    switch (packet->type) {
    case PACKET_DISCONNECT: client_left(&self->client, socket); break;
    case PACKET_EVENT:
    case PACKET_BINARY_EVENT: event(self, socket, packet, attachments); break;
    case PACKET_ACK:
    case PACKET_BINARY_ACK: client_acked(&self->client, socket, packet->id, packet->json); break;
    case PACKET_CONNECT:
    case PACKET_CONNECT_ERROR:
    case PACKET_TYPE_COUNT:
        if (!is_old(self))
            engine_close(&self->session, ENGINE_PARSE_ERROR);
        break;
    }
}

static void take_packet(struct engine_client *self, const struct packet *packet, struct blob *const *attachments)
{
    struct socket *socket = client_socket(&self->client, packet->nsp);
    if (packet->type == PACKET_CONNECT && is_old(self) && !socket)
        connect_old(self, packet->nsp, packet->query);
    else if (packet->type == PACKET_CONNECT && !is_old(self))
        connect_new(self, packet);
    else if (socket)
        to_socket(self, socket, packet, attachments);
    else if (!is_old(self))
        engine_close(&self->session, ENGINE_PARSE_ERROR);
}

/* --- attachments */

static void pending_free(struct engine_client *self)
{
    struct pending *pending = self->pending;
    if (!pending)
        return;
    self->pending = NULL;
    for (size_t i = 0; i < pending->count; i++)
        blob_unref(pending->attachments[i]);
    packet_fini(&pending->packet);
    free(pending);
}

static enum err pending_add(struct engine_client *self, struct span bytes)
{
    struct pending *pending = self->pending;
    pending->bytes += bytes.len;
    if (pending->bytes > self->client.adapter->options.engine.payload_bytes)
        return ERR_TOO_LARGE;
    struct blob *blob = blob_copy(bytes);
    if (!blob)
        return ERR_NO_MEMORY;
    pending->attachments[pending->count++] = blob;
    return OK;
}

/* The packet is taken out first: what its handlers do may end the session. */
static void pending_done(struct engine_client *self)
{
    struct engine_client holder = {.pending = self->pending};
    self->pending = NULL;
    timer_clear(timers_of(self), &self->timer);
    take_packet(self, &holder.pending->packet, holder.pending->attachments);
    pending_free(&holder);
}

static void take_binary(struct engine_client *self, struct span bytes)
{
    if (!self->pending || pending_add(self, bytes))
        engine_close(&self->session, ENGINE_PARSE_ERROR);
    else if (self->pending->count == self->pending->packet.attachments)
        pending_done(self);
}

/* --- messages */

static struct packet_rules rules_of(const struct engine_client *self)
{
    const struct socketio_options *options = &self->client.adapter->options;
    return (struct packet_rules){
        .old = is_old(self),
        .depth = options->json_depth,
        .attachments =
            options->attachments < EMISSION_ATTACHMENTS_MAX ? options->attachments : EMISSION_ATTACHMENTS_MAX,
        .name_bytes = EVENT_NAME_MAX,
    };
}

static void violated(struct engine_client *self, enum err err)
{
    if (err == ERR_TOO_MANY)
        metric_add(METRIC_LIMIT_SOCKETIO_ATTACHMENTS, 1);
    engine_close(&self->session, ENGINE_PARSE_ERROR);
}

/* One with attachments. In revision 5 its namespace must be connected now, not only when all of it is there. */
static void begin_pending(struct engine_client *self, struct span text)
{
    const struct packet_rules rules = rules_of(self);
    struct pending *pending = malloc(sizeof(*pending) + text.len);
    enum err err = pending ? OK : ERR_NO_MEMORY;
    if (!err) {
        *pending = (struct pending){.bytes = text.len};
        memcpy(pending->text, text.data, text.len);
        err = packet_read((struct span){pending->text, text.len}, &rules, &pending->packet);
    }
    if (err) {
        free(pending);
        violated(self, err);
        return;
    }
    self->pending = pending;
    if (is_old(self) || client_socket(&self->client, pending->packet.nsp))
        limit_time(self, ATTACHMENTS_TIME_MS);
    else
        engine_close(&self->session, ENGINE_PARSE_ERROR);
}

static void take_text(struct engine_client *self, struct span text)
{
    const struct packet_rules rules = rules_of(self);
    struct packet packet;
    if (text.len && (*text.data == '0' + PACKET_BINARY_EVENT || *text.data == '0' + PACKET_BINARY_ACK)) {
        begin_pending(self, text);
        return;
    }
    enum err err = packet_read(text, &rules, &packet);
    if (err) {
        violated(self, err);
        return;
    }
    take_packet(self, &packet, NULL);
    packet_fini(&packet);
}

static void message(struct engine_session *session, struct span message_bytes, bool is_text)
{
    struct engine_client *self = of_session(session);
    if (!is_text)
        take_binary(self, message_bytes);
    else if (self->pending)
        engine_close(session, ENGINE_PARSE_ERROR);
    else
        take_text(self, message_bytes);
}

/* --- the session */

static void too_late(struct timer *timer)
{
    struct engine_client *self = container_of(timer, struct engine_client, timer);
    metric_add(self->pending ? METRIC_LIMIT_SOCKETIO_ATTACHMENTS : METRIC_LIMIT_SOCKETIO_CONNECT, 1);
    engine_close(&self->session, self->pending ? ENGINE_PARSE_ERROR : ENGINE_FORCED_CLOSE);
}

static void open_session(struct engine_session *session)
{
    struct engine_client *self = of_session(session);
    struct socketio *adapter = engine_ctx(session);
    client_begin(&self->client, &engine_client_client_ops, adapter);
    if (timer_init(loop_timers(adapter->loop), &self->timer, too_late))
        engine_close(session, ENGINE_FORCED_CLOSE);
    else if (is_old(self))
        connect_old(self, SPAN_LITERAL("/"), (struct span){0});
    else
        limit_time(self, adapter->options.connect_timeout_ms);
}

static void drained(struct engine_session *session)
{
    client_drained(&of_session(session)->client);
}

static void close_session(struct engine_session *session, enum engine_end why)
{
    struct engine_client *self = of_session(session);
    timer_fini(timers_of(self), &self->timer);
    client_end(&self->client, why);
    pending_free(self);
}

static void free_session(struct engine_session *session)
{
    (void)session; /* all of it went with close */
}

const struct engine_ops engine_client_ops = {
    .session_bytes = sizeof(struct engine_client),
    .open = open_session,
    .message = message,
    .drained = drained,
    .close = close_session,
    .free = free_session,
};
