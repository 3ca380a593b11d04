/* SPDX-License-Identifier: MIT */
/* Rooms: sets of sockets by name. A name is bytes, of any kind. */
#include "adapters/socketio/socket_inside.h"

#include "base/metric.h"

#include <utlist.h>

struct room *room_find(const struct nsp *nsp, struct span name)
{
    struct room *room;
    HASH_FIND(hh, nsp->rooms, name.data, name.len, room);
    return room;
}

static struct room *room_new(struct nsp *nsp, struct span name)
{
    struct room *room = calloc(1, sizeof(*room) + name.len);
    if (!room)
        return NULL;
    room->len = name.len;
    memcpy(room->name, name.data, name.len);
    HASH_ADD_KEYPTR(hh, nsp->rooms, room->name, room->len, room);
    if (table_added(room))
        return room;
    free(room);
    return NULL;
}

static void room_unref(struct nsp *nsp, struct room *room)
{
    if (--room->refs)
        return;
    HASH_DEL(nsp->rooms, room);
    free(room);
}

static void enter(struct membership *membership)
{
    DL_APPEND(membership->room->members, membership);
    membership->room->count++;
}

static void exit_room(struct membership *membership)
{
    DL_DELETE(membership->room->members, membership);
    membership->room->count--;
}

bool room_is_heard(const struct membership *membership)
{
    struct socket *socket = membership->socket;
    struct span name = {membership->room->name, membership->room->len};
    for (size_t i = 0; i < socket->told; i++) {
        const struct app_slot *slot = &socket->nsp->slots[i];
        if (slot->app->hears && !slot->app->hears(socket, slot_state(socket, slot), name))
            return false;
    }
    return true;
}

static struct membership **membership_find(const struct socket *socket, struct span name)
{
    struct membership **at = (struct membership **)&socket->memberships;
    while (*at && !span_equal((struct span){(*at)->room->name, (*at)->room->len}, name))
        at = &(*at)->also;
    return at;
}

bool socket_is_in(const struct socket *socket, struct span room)
{
    return socket->connected && (span_is(room, socket->id) || *membership_find(socket, room));
}

static uint32_t room_count(const struct socket *socket)
{
    uint32_t count = 0;
    for (const struct membership *membership = socket->memberships; membership; membership = membership->also)
        count++;
    return count;
}

static enum err join(struct socket *socket, struct span name)
{
    struct membership *membership = calloc(1, sizeof(*membership));
    struct room *room = membership ? room_find(socket->nsp, name) : NULL;
    if (membership && !room)
        room = room_new(socket->nsp, name);
    if (!room) {
        free(membership);
        return ERR_NO_MEMORY;
    }
    room->refs++;
    membership->socket = socket;
    membership->room = room;
    membership->also = socket->memberships;
    socket->memberships = membership;
    enter(membership);
    return OK;
}

enum err socket_join(struct socket *socket, struct span room)
{
    if (!socket->connected || socket_is_in(socket, room))
        return OK;
    if (room.len > ROOM_MAX)
        return ERR_TOO_LARGE;
    if (room_count(socket) < socket->nsp->adapter->options.rooms)
        return join(socket, room);
    metric_add(METRIC_LIMIT_SOCKETIO_ROOMS, 1);
    return ERR_TOO_MANY;
}

void socket_leave(struct socket *socket, struct span room)
{
    struct membership **at = membership_find(socket, room);
    struct membership *membership = *at;
    if (!membership)
        return;
    *at = membership->also;
    if (socket->connected) /* one that may come back is out of its rooms (rooms_suspend) */
        exit_room(membership);
    room_unref(socket->nsp, membership->room);
    free(membership);
}

void rooms_forget(struct socket *socket)
{
    struct membership *membership;
    while ((membership = socket->memberships)) {
        socket->memberships = membership->also;
        room_unref(socket->nsp, membership->room);
        free(membership);
    }
}

void rooms_suspend(struct socket *socket)
{
    for (struct membership *membership = socket->memberships; membership; membership = membership->also)
        exit_room(membership);
}

void rooms_note_hearing(struct socket *socket)
{
    for (struct membership *membership = socket->memberships; membership; membership = membership->also)
        membership->deaf = !room_is_heard(membership);
}

void rooms_resume(struct socket *socket)
{
    for (struct membership *membership = socket->memberships; membership; membership = membership->also)
        enter(membership);
}

size_t nsp_count(const struct nsp *nsp, struct span room)
{
    const struct room *found = room_find(nsp, room);
    struct socket *owner;
    HASH_FIND(hh, nsp->sockets, room.data, room.len, owner);
    return (found ? found->count : 0) + (owner ? 1 : 0);
}
