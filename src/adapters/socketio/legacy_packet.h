/* SPDX-License-Identifier: MIT */
/*
 * Packets and payloads of Socket.IO 0.9, protocol 1. Pure functions.
 *
 *     packet   <type>:[<id>[+]]:[<endpoint>][:<data>]      5:1+:/max:{"name":"talk","args":[…]}
 *     payload  one packet as it is, or for each: U+FFFD <length> U+FFFD <packet>; lengths count UTF-16 units
 *
 * An endpoint is what is called a namespace since; the empty one is `/`. Text that comes in is valid UTF-8 here; all
 * spans that are read point into it.
 */
#ifndef SOCKETIO_LEGACY_PACKET_H
#define SOCKETIO_LEGACY_PACKET_H

#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/span.h"

enum legacy_type {
    LEGACY_DISCONNECT,
    LEGACY_CONNECT,
    LEGACY_HEARTBEAT,
    LEGACY_MESSAGE, /* data is a text */
    LEGACY_JSON,    /* data is any JSON value */
    LEGACY_EVENT,   /* data is {"name":…,"args":[…]} */
    LEGACY_ACK,     /* data is <id>[+[…]] */
    LEGACY_ERROR,   /* data is <reason>[+<advice>] */
    LEGACY_NOOP,
    LEGACY_TYPE_COUNT
};

/* Whole packets that have nothing to vary. */
#define LEGACY_HEARTBEAT_TEXT SPAN_LITERAL("2::")
#define LEGACY_NOOP_TEXT SPAN_LITERAL("8::")
#define LEGACY_NOT_SUPPORTED_TEXT SPAN_LITERAL("7:::0")    /* such a transport */
#define LEGACY_NOT_HANDSHAKEN_TEXT SPAN_LITERAL("7:::1+0") /* no such session: reconnect */
#define LEGACY_UNAUTHORIZED SPAN_LITERAL("2")              /* data of an error */

struct legacy_packet {
    enum legacy_type type;
    bool has_id; /* it is to be acknowledged */
    bool asks;   /* by the application, with data; else by the server, at once */
    uint64_t id;
    struct span nsp;   /* "/" for the empty endpoint */
    struct span query; /* of a connect, without the question mark */
    struct span data;
};

/* Reads one packet. ERR_BAD_REQUEST: it is none; *ret_packet is written on success only. */
enum err legacy_packet_read(struct span text, struct legacy_packet *ret_packet) must_check;

/* An event as the newer revisions have it: an array, the name in front. */
struct legacy_event {
    json_t *args;    /* owned */
    struct buf text; /* the same as text, numbers as they were written; owned */
};

/* Reads the data of a message, JSON or event; the first two become the event `message`. `depth` bounds the array.
 * ERR_BAD_JSON, ERR_BAD_FIELD (an event without a name, or with args that are no array), ERR_NO_MEMORY; *ret_event is
 * written on success only, and to be given to legacy_event_fini. */
enum err legacy_event_read(const struct legacy_packet *packet, unsigned depth,
                           struct legacy_event *ret_event) must_check;
void legacy_event_fini(struct legacy_event *event);

/* Reads the data of an ack: its id and a new reference to the array of its arguments, which may be empty. Errors as
 * above, ERR_BAD_REQUEST. */
enum err legacy_ack_read(const struct legacy_packet *packet, unsigned depth, uint64_t *ret_id,
                         json_t **ret_args) must_check;

/* Adds a packet without an id; no data, no colon for it. */
void legacy_write(struct buf *out, enum legacy_type type, struct span nsp, struct span data);

/* Adds an ack; `args` is the JSON text of its arguments, separated by commas, perhaps none. */
void legacy_write_ack(struct buf *out, struct span nsp, uint64_t id, struct span args);

/* Goes through a payload. */
struct legacy_payload {
    struct span rest; /* empty: that was all */
    bool framed;      /* what comes has lengths in front */
};

struct legacy_payload legacy_payload_begin(struct span text);

/* The next packet's text. ERR_BAD_REQUEST: the lengths make no sense. Not to be called where nothing is left. */
enum err legacy_payload_next(struct legacy_payload *payload, struct span *ret_packet) must_check;

/* Adds a packet as part of a payload of more than one. */
void legacy_payload_add(struct buf *out, struct span packet);

#endif
