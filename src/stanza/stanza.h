/* SPDX-License-Identifier: MIT */
/*
 * Stanzas: what the nereid protocol says, as JSON text. Pure: bytes in, bytes out.
 *
 * Two dialects. `spec` is the seed document (Browser based Chat 1.0): a presence stanza lists presences, an entity is a
 * string. `module` is what the nereid_chat 3.0 module and its Angular client speak: one presence object a stanza, an
 * entity is a person object, ids that look like integers are integers, messages carry their thread's members.
 *
 * All text goes through buf_add_json, so each stanza is one line. Every stanza has its own timestamp.
 */
#ifndef STANZA_STANZA_H
#define STANZA_STANZA_H

#include "base/buf.h"
#include "core/event.h"
#include "core/hub.h"

enum dialect { DIALECT_SPEC, DIALECT_MODULE, DIALECT_COUNT };

/* How stanzas are written. */
struct stanza_style {
    enum dialect dialect;
    struct span entity_prefix; /* before the user id in an entity string */
    const struct hub *hub;     /* whom to ask for members */
};

/* Writes the stanzas of an event, each between `before` (which is told its number) and `after`. A presence event of
 * several users is one stanza in spec and several in module; any other event is one. */
void stanza_write_event(struct buf *out, const struct stanza_style *style, const struct event *event,
                        void (*before)(struct buf *out, const struct event *event, size_t index),
                        void (*after)(struct buf *out));

/* `"key":"…"`: an id, a time. */
void stanza_write_id(struct buf *out, const char *key, struct id id);
void stanza_write_time(struct buf *out, const char *key, int64_t wall_us);

/* A message object, without its stanza. */
void stanza_write_message(struct buf *out, const struct stanza_style *style, const struct message *message);

/* A presence object. */
void stanza_write_presence(struct buf *out, const struct stanza_style *style, const struct presence *presence);

/* All of a presence event as a list. */
void stanza_write_presences(struct buf *out, const struct stanza_style *style, const struct event *event);

/* A person: who sends, who is a member. `role` may be null. */
void stanza_write_person(struct buf *out, const struct stanza_style *style, struct span user, struct span name,
                         const char *role);

#endif
