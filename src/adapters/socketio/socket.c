/* SPDX-License-Identifier: MIT */
/*
 * Sockets.
 *
 *     socket_new ─> socket_attach ─> (connected) ─> socket_over ─> the last reference ─> dying ─> end of a turn: freed
 *                        ^                             │
 *                        └───── recovery_take <── recovery_wait
 *
 * A socket is one allocation: the struct, for each application a pointer back and its state, the id. Being connected is
 * a reference.
 */
#include <utlist.h>

#include "adapters/socketio/packet.h"
#include "adapters/socketio/socket_inside.h"
#include "base/metric.h"

/* A question that the client has not answered yet. */
struct ask {
    struct timer timer;
    struct ask *next;
    struct socket *socket;
    uint64_t id;
    socket_acked *done;
    void *ctx;
};

/* --- ids */

void random_id(char ret_id[RANDOM_ID_SIZE])
{
    engine_draw_text(ret_id, RANDOM_ID_BYTES);
}

/* --- life */

struct socket *socket_new(struct nsp *nsp, const char *id)
{
    size_t id_bytes = strlen(id) + 1;
    struct socket *socket = calloc(1, nsp->socket_bytes + id_bytes);
    if (!socket)
        return NULL;
    socket->nsp = nsp;
    socket->refs = 1;
    socket->id = memcpy((char *)socket + nsp->socket_bytes, id, id_bytes);
    for (size_t i = 0; i < nsp->slot_count; i++)
        ((struct socket **)slot_state(socket, &nsp->slots[i]))[-1] = socket;
    return socket;
}

enum err socket_attach(struct socket *socket, struct client *client)
{
    HASH_ADD_KEYPTR(hh, socket->nsp->sockets, socket->id, strlen(socket->id), socket);
    if (!table_added(socket))
        return ERR_NO_MEMORY;
    socket->client = client;
    socket->connected = true;
    LL_PREPEND(client->sockets, socket);
    rooms_resume(socket);
    metric_add(METRIC_SOCKETS, 1);
    return OK;
}

static void socket_detach(struct socket *socket)
{
    HASH_DEL(socket->nsp->sockets, socket);
    socket->connected = false;
    LL_DELETE(socket->client->sockets, socket);
    rooms_suspend(socket);
    metric_add(METRIC_SOCKETS, -1);
}

static void socket_free(struct socket *socket)
{
    for (size_t i = 0; i < socket->told; i++) {
        const struct app_slot *slot = &socket->nsp->slots[i];
        if (slot->app->freed)
            slot->app->freed(slot_state(socket, slot));
    }
    recovery_end(socket);
    free(socket);
}

void sockets_reap(struct loop_task *task)
{
    struct socketio *adapter = container_of(task, struct socketio, task);
    struct socket *socket;
    while ((socket = adapter->dying)) {
        adapter->dying = socket->next;
        socket_free(socket);
    }
}

struct socket *socket_ref(struct socket *socket)
{
    socket->refs++;
    return socket;
}

void socket_unref(struct socket *socket)
{
    if (--socket->refs)
        return;
    rooms_forget(socket);
    LL_PREPEND(socket->nsp->adapter->dying, socket);
}

static void asks_end(struct socket *socket);

static void tell_disconnected(struct socket *socket, const char *reason)
{
    for (size_t i = 0; i < socket->told; i++) {
        const struct app_slot *slot = &socket->nsp->slots[i];
        if (slot->app->disconnected)
            slot->app->disconnected(socket, slot_state(socket, slot), reason);
    }
}

void socket_over(struct socket *socket, const char *reason, bool keep)
{
    if (!socket->connected)
        return;
    keep = keep && socket->recovery && socket->told == socket->nsp->slot_count;
    if (keep)
        rooms_note_hearing(socket);
    socket_detach(socket);
    asks_end(socket);
    tell_disconnected(socket, reason);
    socket->client = NULL;
    if (keep) {
        recovery_wait(socket);
        return;
    }
    recovery_end(socket);
    socket_unref(socket);
}

/* --- what applications ask */

struct socketio *socket_adapter(const struct socket *socket)
{
    return socket->nsp->adapter;
}

struct nsp *socket_nsp(const struct socket *socket)
{
    return socket->nsp;
}

const char *socket_id(const struct socket *socket)
{
    return socket->id;
}

const struct visitor *socket_visitor(const struct socket *socket)
{
    return socket->client ? socket->client->ops->visitor(socket->client) : NULL;
}

uint32_t socket_queued(const struct socket *socket)
{
    return socket->client ? socket->client->ops->queued(socket->client) : 0;
}

bool socket_is_connected(const struct socket *socket)
{
    return socket->connected;
}

bool socket_is_implicit(const struct socket *socket)
{
    return socket->implicit;
}

bool socket_is_alone(const struct socket *socket)
{
    return !socket->client || !socket->client->sockets || !socket->client->sockets->next;
}

/* --- sending */

void socket_deliver(struct socket *socket, struct emission *emission, bool paced)
{
    struct client *client = socket->client;
    if (!socket->connected || (emission_is_volatile(emission) && !client->ops->is_writable(client)))
        return;
    metric_add(METRIC_SOCKETIO_EVENTS_OUT, 1);
    client->ops->emit(client, emission, paced);
}

void socket_emit(struct socket *socket, struct emission *emission)
{
    record_emission(socket, emission);
    socket_deliver(socket, emission, false);
}

void socket_emit_paced(struct socket *socket, struct emission *emission)
{
    record_emission(socket, emission);
    socket_deliver(socket, emission, true);
}

void socket_say(struct socket *socket, const char *name, struct span args)
{
    if (!socket->connected)
        return;
    struct emission *emission = emission_of(socket->nsp->name, name, args);
    if (emission)
        socket_emit(socket, emission);
    else
        socket_drop(socket);
    emission_unref(emission);
}

void socket_reply(struct socket *socket, struct ack ack, struct span args)
{
    if (ack.wanted && socket->connected)
        socket->client->ops->reply(socket->client, socket->nsp->name, ack.id, args);
}

/* Null: no memory. */
static char *args_without_attachments(struct span args)
{
    struct buf text = BUF_INIT;
    json_t *array = NULL;
    char *plain = NULL;
    buf_add_char(&text, '[');
    buf_add(&text, args);
    buf_add_char(&text, ']');
    if (!buf_failed(&text) && json_parse(buf_span(&text), PACKET_DEPTH_MAX, &array) == OK &&
        !placeholders_to_null(array))
        plain = json_dumps(array, JSON_COMPACT);
    json_decref(array);
    buf_fini(&text);
    return plain;
}

static void reply_plain(struct socket *socket, struct ack ack, struct span args)
{
    char *plain = args_without_attachments(args);
    if (plain)
        socket_reply(socket, ack, (struct span){plain + 1, strlen(plain) - 2});
    else
        socket_drop(socket);
    free(plain);
}

void socket_reply_with(struct socket *socket, struct ack ack, struct span args, struct blob *const *attachments,
                       size_t count)
{
    if (!ack.wanted || !socket->connected)
        return;
    struct client *client = socket->client;
    if (count == 0)
        client->ops->reply(client, socket->nsp->name, ack.id, args);
    else if (client->ops->reply_with)
        client->ops->reply_with(client, socket->nsp->name, ack.id, args, attachments, count);
    else
        reply_plain(socket, ack, args);
}

/* --- ending */

static void disconnect_one(struct socket *socket)
{
    struct client *client = socket->client;
    client->ops->disconnected(client, socket->nsp->name);
    socket_over(socket, "server namespace disconnect", false);
}

/* A client that is cut off while it is told so is over before the last of its sockets is reached. */
static void disconnect_all(struct client *client)
{
    while (client->sockets)
        disconnect_one(client->sockets);
    if (!client->over)
        client->ops->close(client, ENGINE_FORCED_CLOSE);
}

void socket_disconnect(struct socket *socket, bool close)
{
    if (!socket->connected)
        return;
    if (close)
        disconnect_all(socket->client);
    else
        disconnect_one(socket);
}

void socket_drop(struct socket *socket)
{
    if (socket->connected)
        socket->client->ops->close(socket->client, ENGINE_FORCED_CLOSE);
}

/* --- questions */

static void ask_end(struct ask *ask, enum err err, const json_t *args)
{
    struct socket *socket = ask->socket;
    LL_DELETE(socket->asks, ask);
    timer_fini(loop_timers(socket->nsp->adapter->loop), &ask->timer);
    ask->done(ask->ctx, socket, err, args);
    free(ask);
}

static void asks_end(struct socket *socket)
{
    while (socket->asks)
        ask_end(socket->asks, ERR_GONE, NULL);
}

static void ask_too_late(struct timer *timer)
{
    ask_end(container_of(timer, struct ask, timer), ERR_TIMEOUT, NULL);
}

static enum err ask_new(struct socket *socket, int64_t timeout_ms, struct ask **ret_ask)
{
    struct loop *loop = socket->nsp->adapter->loop;
    struct ask *ask = calloc(1, sizeof(*ask));
    if (!ask)
        return ERR_NO_MEMORY;
    if (timer_init(loop_timers(loop), &ask->timer, ask_too_late)) {
        free(ask);
        return ERR_NO_MEMORY;
    }
    timer_set(loop_timers(loop), &ask->timer, loop_now_ms(loop) + timeout_ms);
    ask->socket = socket;
    ask->id = socket->nsp->next_ack++;
    LL_PREPEND(socket->asks, ask);
    *ret_ask = ask;
    return OK;
}

enum err socket_ask(struct socket *socket, const char *name, struct span args, int64_t timeout_ms, socket_acked *done,
                    void *ctx)
{
    struct ask *ask;
    if (!socket->connected)
        return ERR_GONE;
    struct emission *emission = emission_of(socket->nsp->name, name, args);
    if (!emission || ask_new(socket, timeout_ms, &ask)) {
        emission_unref(emission);
        return ERR_NO_MEMORY;
    }
    ask->done = done;
    ask->ctx = ctx;
    emission_set_ack(emission, ask->id);
    socket_deliver(socket, emission, false);
    emission_unref(emission);
    return OK;
}

void socket_acked_by_client(struct socket *socket, uint64_t id, const json_t *args)
{
    struct ask *ask;
    LL_SEARCH_SCALAR(socket->asks, ask, id, id);
    if (ask)
        ask_end(ask, OK, args);
}
