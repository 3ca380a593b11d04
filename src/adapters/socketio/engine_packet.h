/* SPDX-License-Identifier: MIT */
/*
 * Packets and payloads of Engine.IO, protocol revisions 4 and 3. Pure functions: no session, no I/O.
 *
 *     packet    a type and data:  4hello   2probe            one WebSocket frame, or a piece of a payload
 *     payload   packets in one HTTP body
 *         revision 4        4hello<1e>bAQID                  packets with 0x1e between them; `b` is a message in base64
 *         revisions 3, 2    6:4hello6:b4AQID                 lengths in UTF-16 code units
 *                           00 06 ff 34… 01 04 ff 04 01 02 03  or, where one is binary, lengths in bytes
 *
 * Text that comes in is checked: data of a text packet is valid UTF-8 if what it is read from was, and payloads are
 * checked here.
 */
#ifndef SOCKETIO_ENGINE_PACKET_H
#define SOCKETIO_ENGINE_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

/* 2 is spoken like 3. */
enum engine_revision { ENGINE_2 = 2, ENGINE_3 = 3, ENGINE_4 = 4 };

/* In the order of their digits. */
enum engine_packet_type {
    ENGINE_PACKET_OPEN,
    ENGINE_PACKET_CLOSE,
    ENGINE_PACKET_PING,
    ENGINE_PACKET_PONG,
    ENGINE_PACKET_MESSAGE,
    ENGINE_PACKET_UPGRADE,
    ENGINE_PACKET_NOOP,
    ENGINE_PACKET_TYPE_COUNT
};

struct engine_packet {
    enum engine_packet_type type;
    bool is_text;
    struct span data; /* without the type */
};

/* How a session writes and reads. */
struct engine_wire {
    enum engine_revision revision;
    bool base64; /* revision 3: the client takes no binary */
    bool
        doubled; /* revision 3: text in payloads is UTF-8 of UTF-8, as clients of Socket.IO 1.x have it. Set, and cleared, by what is read */
};

/* Memory that reading needs for what it decodes; grows as needed, starts zeroed. */
struct engine_room {
    char *bytes;
    size_t size;
};

void engine_room_fini(struct engine_room *room);

/* --- packets, as WebSocket frames carry them */

/* Reads the payload of a frame. The data lives as long as `frame`, or until `room` is used again. ERR_BAD_REQUEST:
 * it is empty, its type is unknown, or its base64 is none; ERR_NO_MEMORY. */
enum err engine_packet_read(enum engine_revision revision, struct span frame, bool is_text, struct engine_room *room,
                            struct engine_packet *ret_packet) must_check;

/* --- payloads in */

struct engine_payload {
    struct engine_wire *wire;
    struct span rest;
    uint32_t left; /* packets that may still come */
    bool is_binary;
    bool is_over;
    struct engine_room room;
};

/* Begins to read a body, `is_binary` in the binary form. `wire` outlives it. ERR_BAD_REQUEST: the body is empty, or
 * text and not UTF-8, or the revision has no binary form; then there is nothing to be given back. */
enum err engine_payload_begin(struct engine_payload *payload, struct engine_wire *wire, struct span body,
                              bool is_binary, uint32_t packets_max) must_check;

/* The next packet, whose data lives until the next call. False: there is none; *ret_err is OK at the end, else
 * ERR_BAD_REQUEST, ERR_TOO_MANY (packets), ERR_NO_MEMORY. */
bool engine_payload_next(struct engine_payload *payload, struct engine_packet *ret_packet,
                         enum err *ret_err) must_check;

void engine_payload_end(struct engine_payload *payload);

/* --- payloads out */

/* What a frame carries: text with its type in front, or binary (with the byte 4 in front in revision 3). */
struct engine_piece {
    struct span bytes;
    bool is_text;
};

/* Whether a payload that has this piece has to be written in the binary form. */
bool engine_piece_is_binary(const struct engine_wire *wire, struct engine_piece piece);

/* Appends a piece to the payload in `out`; `is_binary` as decided for the whole. */
void engine_payload_add(struct buf *out, const struct engine_wire *wire, bool is_binary, struct engine_piece piece);

/* Writes a binary piece as the text of a packet, for a WebSocket whose client takes no binary. */
void engine_piece_as_text(struct buf *out, enum engine_revision revision, struct span bytes);

/* --- UTF-16, in whose code units the old protocols count; text is valid UTF-8 */

size_t utf16_len(struct span text);

/* How many bytes are `units` code units from the start. False: there are not as many, or the last one is half of a
 * character. */
bool utf16_take(struct span text, size_t units, size_t *ret_len) must_check;

/* --- JSONP */

/* Writes the script that hands `payload` to the callback `j`, of which only the digits are taken, and at most ten. */
void engine_jsonp_write(struct buf *out, struct span j, struct span payload);

/* Undoes what the client has done to a payload before it was put into a form: `\n` is a newline, `\\n` is `\n`.
 * Returns the new length. */
size_t engine_jsonp_restore(char *text, size_t len);

#endif
