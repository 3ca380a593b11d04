/* SPDX-License-Identifier: MIT */
/* Clients: what comes in finds its socket here, and each application that wants it. */
#include "adapters/socketio/client.h"

#include <utlist.h>

#include "adapters/socketio/socket_inside.h"
#include "base/metric.h"
#include "http/form.h"

void client_begin(struct client *client, const struct client_ops *ops, struct socketio *adapter)
{
    client->ops = ops;
    client->adapter = adapter;
    DL_APPEND(adapter->clients, client);
}

struct socket *client_socket(const struct client *client, struct span nsp)
{
    struct socket *socket = client->sockets;
    while (socket && !span_equal(socket->nsp->name, nsp))
        socket = socket->next;
    return socket;
}

/* --- connecting */

/* An application may disconnect it; those behind never hear of it then. */
static void tell_connected(struct socket *socket, const json_t *auth)
{
    while (socket->connected && socket->told < socket->nsp->slot_count) {
        const struct app_slot *slot = &socket->nsp->slots[socket->told++];
        if (slot->app->connected)
            slot->app->connected(socket, slot_state(socket, slot), auth);
    }
}

static void tell_recovered(struct socket *socket)
{
    for (size_t i = 0; i < socket->told && socket->connected; i++) {
        const struct app_slot *slot = &socket->nsp->slots[i];
        slot->app->recovered(socket, slot_state(socket, slot));
    }
}

/* False: it starts over. */
static bool connect_again(struct client *client, struct nsp *nsp, const json_t *auth)
{
    uint64_t seen;
    struct socket *socket = recovery_take(client, nsp, auth, &seen);
    if (!socket)
        return false;
    if (socket_attach(socket, client)) {
        recovery_end(socket);
        socket_unref(socket);
        return false;
    }
    socket_ref(socket);
    recovery_replay(socket, seen);
    if (socket->connected)
        client->ops->connected(client, socket);
    tell_recovered(socket);
    socket_unref(socket);
    return true;
}

/* Null: no memory. */
static struct socket *connect_new(struct client *client, struct nsp *nsp, const char *id, bool implicit)
{
    char drawn[RANDOM_ID_SIZE];
    random_id(drawn);
    struct socket *socket = socket_new(nsp, id ? id : drawn);
    if (!socket)
        return NULL;
    socket->implicit = implicit;
    if (socket_attach(socket, client)) {
        socket_unref(socket);
        return NULL;
    }
    if (!id && client->ops->recovers)
        recovery_offer(socket);
    return socket;
}

static enum connect_end refuse(struct client *client, struct span nsp, const char *sentence)
{
    client->ops->refused(client, nsp, sentence);
    return CONNECT_REFUSED;
}

static enum connect_end connect_to(struct client *client, struct span name, const json_t *auth, const char *id,
                                   bool implicit)
{
    struct nsp *nsp = nsp_find(client->adapter, name);
    if (!nsp)
        return refuse(client, name, "Invalid namespace");
    if (client_socket(client, name))
        return CONNECT_AGAIN;
    if (!id && client->ops->recovers && connect_again(client, nsp, auth))
        return CONNECT_DONE;
    struct socket *socket = connect_new(client, nsp, id, implicit);
    if (!socket)
        return refuse(client, name, "Out of memory");
    socket_ref(socket);
    client->ops->connected(client, socket);
    tell_connected(socket, auth);
    socket_unref(socket);
    return CONNECT_DONE;
}

enum connect_end client_connect(struct client *client, struct span nsp, const json_t *auth, const char *id)
{
    return connect_to(client, nsp, auth, id, false);
}

enum connect_end client_connect_implicit(struct client *client, const json_t *auth, const char *id)
{
    return connect_to(client, SPAN_LITERAL("/"), auth, id, true);
}

json_t *client_query_auth(const struct client *client, struct span query)
{
    struct form form = {0};
    const struct visitor *visitor = client->ops->visitor(client);
    if (!query.len && visitor)
        query = visitor->query;
    if (!query.len || form_parse(query, &form))
        return NULL;
    json_t *auth = json_object();
    for (size_t i = 0; i < form.count && auth; i++) {
        const struct form_field *field = &form.fields[i];
        char *name = span_copy(field->name);
        if (name) /* what cannot be set, for want of memory, is not there */
            (void)json_object_set_new(auth, name, json_stringn(field->value.data, field->value.len));
        free(name);
    }
    form_fini(&form);
    return auth;
}

/* --- what comes in */

static void handle(struct socket *socket, const struct app_slot *slot, const char *name, const struct incoming *event)
{
    for (const struct app_event *row = slot->app->events; row && row->name; row++)
        if (strcmp(row->name, name) == 0 && socket->connected)
            row->handle(socket, slot_state(socket, slot), event);
}

void client_event(struct client *client unused_arg, struct socket *socket, const struct incoming *event)
{
    const char *name = json_string_value(json_array_get(event->args, 0));
    metric_add(METRIC_SOCKETIO_EVENTS_IN, 1);
    socket_ref(socket);
    for (size_t i = 0; name && i < socket->nsp->slot_count; i++)
        handle(socket, &socket->nsp->slots[i], name, event);
    socket_unref(socket);
}

void client_acked(struct client *client unused_arg, struct socket *socket, uint64_t id, const json_t *args)
{
    socket_acked_by_client(socket, id, args);
}

void client_left(struct client *client unused_arg, struct socket *socket)
{
    socket_over(socket, "client namespace disconnect", false);
}

static void tell_drained(struct socket *socket)
{
    for (size_t i = 0; i < socket->told && socket->connected; i++) {
        const struct app_slot *slot = &socket->nsp->slots[i];
        if (slot->app->drained)
            slot->app->drained(socket, slot_state(socket, slot));
    }
}

/* An application may disconnect any of the client's sockets. */
void client_drained(struct client *client)
{
    struct picks *picks = client->adapter->picks;
    size_t from = picks->count;
    enum err err = OK;
    for (struct socket *socket = client->sockets; socket && !err; socket = socket->next)
        err = pick(picks, socket);
    size_t to = picks->count;
    for (size_t i = from; i < to; i++)
        tell_drained(picks->items[i]);
    picks_drop(picks, from);
    if (err)
        client->ops->close(client, ENGINE_FORCED_CLOSE);
}

/* --- the end */

/* After these a client may take up its session again. (After ENGINE_SHUTDOWN there is nobody who would remember it.) */
static bool may_come_back(enum engine_end why)
{
    return why == ENGINE_TRANSPORT_CLOSE || why == ENGINE_TRANSPORT_ERROR || why == ENGINE_PING_TIMEOUT ||
           why == ENGINE_FORCED_CLOSE;
}

void client_end(struct client *client, enum engine_end why)
{
    if (client->over)
        return;
    client->over = true;
    DL_DELETE(client->adapter->clients, client);
    while (client->sockets)
        socket_over(client->sockets, engine_end_word(why), may_come_back(why));
}
