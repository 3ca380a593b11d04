/* SPDX-License-Identifier: MIT */
/* Events: one allocation each, the text of presences behind their array. */
#include "core/event.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static unsigned wires_reserved;

unsigned event_reserve_wires(unsigned count)
{
    assert(wires_reserved + count <= EVENT_WIRES);
    unsigned first = wires_reserved;
    wires_reserved += count;
    return first;
}

static struct event *event_new(enum event_kind kind, size_t more, int64_t time_us, struct cursor cursor)
{
    struct event *event = calloc(1, sizeof(*event) + more);
    if (!event)
        return NULL;
    event->refs = 1;
    event->kind = kind;
    event->time_us = time_us;
    event->cursor = cursor;
    return event;
}

struct event *event_of_message(struct message *message)
{
    struct event *event = event_new(EVENT_MESSAGE, 0, message->fields.time_us, message->cursor);
    if (event)
        event->message = message_ref(message);
    return event;
}

struct event *event_of_gap(struct cursor oldest, int64_t time_us, struct cursor cursor)
{
    struct event *event = event_new(EVENT_GAP, 0, time_us, cursor);
    if (event)
        event->oldest = oldest;
    return event;
}

static size_t presence_bytes(const struct presence *items, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += sizeof(*items) + items[i].user.len + items[i].name.len + items[i].status.len;
    return bytes;
}

/* Copies `text` to *at, which moves on, and returns where the copy lies. */
static struct span put_text(char **at, struct span text)
{
    struct span copy = {*at, text.len};
    if (text.len)
        memcpy(*at, text.data, text.len);
    *at += text.len;
    return copy;
}

struct event *event_of_presence(const struct presence *items, size_t count, int64_t time_us, struct cursor cursor)
{
    assert(count > 0);
    struct event *event = event_new(EVENT_PRESENCE, presence_bytes(items, count), time_us, cursor);
    if (!event)
        return NULL;
    event->presence.count = count;
    event->presence.items = (struct presence *)(event + 1);
    char *at = (char *)(event->presence.items + count);
    for (size_t i = 0; i < count; i++) {
        struct presence *item = &event->presence.items[i];
        *item = items[i];
        item->user = put_text(&at, items[i].user);
        item->name = put_text(&at, items[i].name);
        item->status = put_text(&at, items[i].status);
    }
    return event;
}

struct event *event_ref(struct event *event)
{
    assert(event->refs > 0);
    event->refs++;
    return event;
}

void event_unref(struct event *event)
{
    if (!event)
        return;
    assert(event->refs > 0);
    if (--event->refs > 0)
        return;
    for (unsigned i = 0; i < EVENT_WIRES; i++)
        blob_unref(event->wires[i]);
    if (event->kind == EVENT_MESSAGE)
        message_unref(event->message);
    free(event);
}
