/* SPDX-License-Identifier: MIT */
/* Namespaces: which applications they have, and who is in an audience. */
#include "adapters/socketio/socket_inside.h"

#include "base/log.h"

/* --- making */

static size_t round_up(size_t bytes)
{
    return (bytes + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);
}

static struct nsp *nsp_new(struct socketio *adapter, struct span name)
{
    struct nsp *nsp = calloc(1, sizeof(*nsp));
    if (!nsp)
        return NULL;
    nsp->adapter = adapter;
    nsp->name = name;
    nsp->socket_bytes = round_up(sizeof(struct socket));
    nsp->recovers = adapter->options.recovery_ms > 0;
    nsp->next_record = 1;
    nsp->next = adapter->nsps;
    adapter->nsps = nsp;
    return nsp;
}

static enum err nsp_add_app(struct nsp *nsp, const struct app *app)
{
    struct app_slot *slots = realloc(nsp->slots, (nsp->slot_count + 1) * sizeof(*slots));
    if (!slots)
        return ERR_NO_MEMORY;
    nsp->slots = slots;
    nsp->slots[nsp->slot_count++] = (struct app_slot){app, nsp->socket_bytes + sizeof(struct socket *)};
    nsp->socket_bytes += sizeof(struct socket *) + round_up(app->state_bytes);
    nsp->recovers = nsp->recovers && app->recovered;
    return OK;
}

enum err nsps_new(struct socketio *adapter, const struct app *const *apps)
{
    for (; *apps; apps++) {
        struct span name = span_of((*apps)->nsp);
        struct nsp *nsp = nsp_find(adapter, name);
        if (!nsp)
            nsp = nsp_new(adapter, name);
        if (!nsp || nsp_add_app(nsp, *apps))
            return ERR_NO_MEMORY;
    }
    return OK;
}

void nsps_free(struct socketio *adapter)
{
    struct nsp *nsp;
    while ((nsp = adapter->nsps)) {
        adapter->nsps = nsp->next;
        records_free(nsp);
        free(nsp->slots);
        free(nsp);
    }
}

struct span nsp_name(const struct nsp *nsp)
{
    return nsp->name;
}

struct nsp *nsp_find(struct socketio *adapter, struct span name)
{
    struct nsp *nsp = adapter->nsps;
    while (nsp && !span_equal(nsp->name, name))
        nsp = nsp->next;
    return nsp;
}

/* --- states */

void *slot_state(const struct socket *socket, const struct app_slot *slot)
{
    return (char *)socket + slot->at;
}

void *socket_state(struct socket *socket, const struct app *app)
{
    for (size_t i = 0; i < socket->nsp->slot_count; i++)
        if (socket->nsp->slots[i].app == app)
            return slot_state(socket, &socket->nsp->slots[i]);
    return NULL;
}

struct socket *socket_of_state(void *state)
{
    return ((struct socket **)state)[-1];
}

/* --- picking */

enum err pick(struct picks *picks, struct socket *socket)
{
    if (picks->count == picks->cap) {
        size_t cap = picks->cap ? 2 * picks->cap : 64;
        struct socket **items = realloc(picks->items, cap * sizeof(struct socket *));
        if (!items)
            return ERR_NO_MEMORY;
        picks->items = items;
        picks->cap = cap;
    }
    picks->items[picks->count++] = socket_ref(socket);
    return OK;
}

void picks_drop(struct picks *picks, size_t from)
{
    while (picks->count > from)
        socket_unref(picks->items[--picks->count]);
}

/* What a walk does with each socket that it meets for the first time. */
struct walk {
    struct picks *picks;
    bool picks_them; /* else they are only stamped */
    bool asks;       /* those only who hear what is said in the room */
};

static bool has_met(const struct walk *walk, const struct socket *socket)
{
    return socket->stamp == walk->picks->stamp;
}

static enum err meet(const struct walk *walk, struct socket *socket)
{
    if (has_met(walk, socket))
        return OK;
    socket->stamp = walk->picks->stamp;
    return walk->picks_them ? pick(walk->picks, socket) : OK;
}

static enum err walk_room(const struct walk *walk, struct nsp *nsp, struct span name)
{
    struct socket *owner;
    HASH_FIND(hh, nsp->sockets, name.data, name.len, owner);
    enum err err = owner ? meet(walk, owner) : OK;
    const struct room *room = room_find(nsp, name);
    for (struct membership *member = room ? room->members : NULL; member && !err; member = member->next)
        if (!has_met(walk, member->socket) && (!walk->asks || room_is_heard(member)))
            err = meet(walk, member->socket);
    return err;
}

static enum err walk_rooms(const struct walk *walk, struct nsp *nsp, const struct span *rooms, size_t count)
{
    enum err err = OK;
    for (size_t i = 0; i < count && !err; i++)
        err = walk_room(walk, nsp, rooms[i]);
    return err;
}

static enum err walk_all(const struct walk *walk, struct nsp *nsp)
{
    enum err err = OK;
    for (struct socket *socket = nsp->sockets; socket && !err; socket = socket->hh.next)
        err = meet(walk, socket);
    return err;
}

/* Those who are not to get it are stamped first, so nobody meets them later. */
static enum err pick_audience(struct nsp *nsp, const struct audience *audience, bool asks)
{
    struct walk walk = {.picks = nsp->adapter->picks};
    size_t from = walk.picks->count;
    walk.picks->stamp++;
    enum err err = walk_rooms(&walk, nsp, audience->except, audience->except_count);
    walk.picks_them = true;
    walk.asks = asks;
    if (!err && audience->room_count)
        err = walk_rooms(&walk, nsp, audience->rooms, audience->room_count);
    else if (!err)
        err = walk_all(&walk, nsp);
    if (err)
        picks_drop(walk.picks, from);
    return err;
}

static void note_no_memory(const struct nsp *nsp)
{
    log_event(LOG_WARN, "a broadcast was not sent", log_err(ERR_NO_MEMORY), log_span("namespace", nsp->name));
}

void nsp_deliver(struct nsp *nsp, const struct audience *audience, struct emission *emission)
{
    struct picks *picks = nsp->adapter->picks;
    size_t from = picks->count;
    record_broadcast(nsp, audience, emission);
    if (pick_audience(nsp, audience, true)) {
        note_no_memory(nsp);
        return;
    }
    size_t to = picks->count;
    for (size_t i = from; i < to; i++)
        socket_deliver(picks->items[i], emission, false);
    picks_drop(picks, from);
}

void nsp_broadcast(struct nsp *nsp, const struct audience *audience, struct emission *emission)
{
    nsp_deliver(nsp, audience, emission);
    if (nsp->adapter->remote)
        remote_publish(nsp->adapter->remote, nsp, audience, emission);
}

void nsp_each(struct nsp *nsp, const struct audience *audience, void (*visit)(void *ctx, struct socket *socket),
              void *ctx)
{
    struct picks *picks = nsp->adapter->picks;
    size_t from = picks->count;
    if (pick_audience(nsp, audience, false)) {
        note_no_memory(nsp);
        return;
    }
    size_t to = picks->count;
    for (size_t i = from; i < to; i++)
        if (picks->items[i]->connected)
            visit(ctx, picks->items[i]);
    picks_drop(picks, from);
}
