/* SPDX-License-Identifier: MIT */
/*
 * Event: what a session can see. Immutable, counted by reference, loop thread only.
 *
 * An event owns everything it says, so it may be kept after delivery. Adapters encode it at most once per wire format:
 * the bytes are cached in `wires` and shared by all sessions that speak the format.
 */
#ifndef CORE_EVENT_H
#define CORE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/blob.h"
#include "base/cursor.h"
#include "core/message.h"
#include "core/store.h"

enum { EVENT_WIRES = 16 };

enum event_kind {
    EVENT_MESSAGE,  /* something was said */
    EVENT_PRESENCE, /* how some users are now */
    EVENT_GAP       /* the asked cursor is too old: messages before `oldest` are gone */
};

/* How one user is. An unavailable user keeps show and status as last set. */
struct presence {
    struct span user;
    struct span name;   /* display name, may be empty */
    struct span status; /* may be empty */
    enum show show;
    bool available;
};

struct event {
    uint32_t refs;
    enum event_kind kind;
    int64_t time_us;      /* when it happened */
    struct cursor cursor; /* who has seen this event and all before it resumes here */
    struct blob *wires[EVENT_WIRES];
    union {
        struct message *message;
        struct {
            size_t count;
            struct presence *items;
        } presence;
        struct cursor oldest;
    };
};

/* Each of these makes an event with one reference, or null without memory. */

/* Takes a reference of `message`; time and cursor are the message's. */
struct event *event_of_message(struct message *message) must_check;

/* Copies `items`, at least one. */
struct event *event_of_presence(const struct presence *items, size_t count, int64_t time_us,
                                struct cursor cursor) must_check;

struct event *event_of_gap(struct cursor oldest, int64_t time_us, struct cursor cursor) must_check;

struct event *event_ref(struct event *event);

/* Null is allowed. */
void event_unref(struct event *event);

/* Reserves `count` neighbouring slots of `wires` for an adapter and returns the first; at start, EVENT_WIRES in all. */
unsigned event_reserve_wires(unsigned count);

#endif
