/* SPDX-License-Identifier: MIT */
/*
 * Packets of the Socket.IO protocol, revisions 5 and 4, which Engine.IO carries as messages. Pure functions.
 *
 *     <type>[<attachments>-][<namespace>,][<ack id>][<JSON>]        52-/max,7["picture",{"_placeholder":true,"num":0},…]
 *
 * What passes packet_read keeps all rules of its type: CONNECT has an object or nothing, an event an array with a name
 * in front, an ack an array. JSON is as json_parse takes it: one that is too deep, repeats a key, or has `\u0000` or
 * half a surrogate pair in it is a violation like any other, and ends the session. (A JavaScript client writes neither
 * of the first two; the last two are text that no other client should ever be given.) The text of what passes may be
 * relayed as it came.
 *
 * Placeholders, objects with `"_placeholder": true`, stand for attachments. There is exactly one for each, with `num`
 * from 0 up and nothing else in it; so a packet without attachments has none.
 */
#ifndef SOCKETIO_PACKET_H
#define SOCKETIO_PACKET_H

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/json.h"
#include "base/span.h"

enum packet_type {
    PACKET_CONNECT,
    PACKET_DISCONNECT,
    PACKET_EVENT,
    PACKET_ACK,
    PACKET_CONNECT_ERROR,
    PACKET_BINARY_EVENT,
    PACKET_BINARY_ACK,
    PACKET_TYPE_COUNT
};

enum { PACKET_NSP_MAX = 256, PACKET_QUERY_MAX = 8192, PACKET_DEPTH_MAX = 512 };

struct packet {
    enum packet_type type;
    unsigned attachments; /* that follow; not 0 for the binary types, 0 for all others */
    struct span nsp;      /* "/" where it was left out */
    struct span query;    /* of the namespace, without the question mark; old clients only */
    bool has_id;
    uint64_t id;
    struct span text; /* the JSON as it came, perhaps with white space around it; empty: none */
    json_t *json;     /* its value, owned; null: none */
};

struct packet_rules {
    bool old;             /* revision 4: a namespace may have a query behind it */
    unsigned depth;       /* of the JSON; at most PACKET_DEPTH_MAX counts */
    unsigned attachments; /* at most that many, and 31 */
    size_t name_bytes;    /* the longest name of an event */
};

/* Reads one; its spans point into `text`. *ret_packet is written on success only, and to be given to packet_fini.
 * Errors, all of them violations: ERR_BAD_REQUEST (form, payload), ERR_BAD_FIELD (placeholders, name), ERR_TOO_MANY
 * (attachments), ERR_TOO_LARGE (name, namespace), ERR_BAD_UTF8, ERR_BAD_JSON (no memory for it included). */
enum err packet_read(struct span text, const struct packet_rules *rules, struct packet *ret_packet) must_check;

/* On a zeroed packet it does nothing. */
void packet_fini(struct packet *packet);

/* Adds a packet as it is sent; query and json are not looked at. */
void packet_write(struct buf *out, const struct packet *packet);

/* Adds JSON text, valid UTF-8, with all characters above U+007F as escapes. That is how old clients get it: those of
 * Socket.IO 1 take polls to be encoded in UTF-8 twice and those of Socket.IO 2 once, and ASCII is the same either
 * way. */
void packet_add_ascii(struct buf *out, struct span json);

static inline bool packet_is_binary(enum packet_type type)
{
    return type == PACKET_BINARY_EVENT || type == PACKET_BINARY_ACK;
}

/* Takes the text of an event's array apart: its first item, and the items behind that, separated by commas, perhaps
 * none. Both point into it. */
void packet_split(struct span array, struct span *ret_name, struct span *ret_args);

/* Whether an event may not have this name, because the libraries tell their users something by it. */
bool packet_is_reserved(const char *name);

/* Replaces all placeholders in `array`, which is not deeper than PACKET_DEPTH_MAX, by null. ERR_NO_MEMORY: some are
 * left. */
enum err placeholders_to_null(json_t *array) must_check;

#endif
