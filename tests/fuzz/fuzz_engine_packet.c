/* SPDX-License-Identifier: MIT */
/*
 * Packets and payloads of Engine.IO. The first byte says how the rest is read: its lowest bit which revision, the next
 * whether in the binary form, the next whether as a frame, then as a form of JSONP.
 *
 * Invariants: text that comes out is valid UTF-8, and not more than could be in the input; no more packets than
 * allowed; what was read and is written again is read the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/socketio/engine_packet.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BIT_REVISION = 1, BIT_BINARY = 2, BIT_FRAME = 4, BIT_FORM = 8, PACKETS_MAX = 100, INPUT_MAX = 1 << 16 };

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_packet(const struct engine_packet *packet, struct span input)
{
    require(packet->type < ENGINE_PACKET_TYPE_COUNT);
    require(packet->data.len <= input.len);
    require(!packet->is_text || utf8_valid(packet->data));
}

/* The packet as a frame would carry it. */
static void write_piece(struct buf *out, enum engine_revision revision, const struct engine_packet *packet)
{
    if (packet->is_text)
        buf_add_char(out, (char)('0' + (int)packet->type));
    else if (revision != ENGINE_4)
        buf_add_char(out, (char)packet->type);
    buf_add(out, packet->data);
}

/* Writes the packet in each form and reads it again. */
static void check_round_trip(enum engine_revision revision, const struct engine_packet *packet)
{
    struct engine_wire wire = {.revision = revision};
    struct buf bytes = BUF_INIT, body = BUF_INIT;
    struct engine_payload payload;
    struct engine_packet again;
    enum err err;
    write_piece(&bytes, revision, packet);
    struct engine_piece piece = {buf_span(&bytes), packet->is_text};
    for (int base64 = 0; base64 < 2; base64++) {
        wire.base64 = base64;
        bool is_binary = engine_piece_is_binary(&wire, piece);
        buf_reset(&body);
        engine_payload_add(&body, &wire, is_binary, piece);
        require(engine_payload_begin(&payload, &wire, buf_span(&body), is_binary, 2) == OK);
        if (engine_payload_next(&payload, &again, &err)) {
            require(again.type == packet->type && again.is_text == packet->is_text);
            require(wire.doubled || span_equal(again.data, packet->data));
        } else {
            /* A message of revision 4 that has the separator in it cannot be sent over polling. */
            require(err == ERR_BAD_REQUEST && revision == ENGINE_4);
        }
        engine_payload_end(&payload);
        wire.doubled = false;
    }
    buf_fini(&bytes);
    buf_fini(&body);
}

static void try_payload(enum engine_revision revision, struct span input, bool is_binary)
{
    struct engine_wire wire = {.revision = revision};
    struct engine_payload payload;
    struct engine_packet packet;
    unsigned count = 0;
    enum err err;
    if (engine_payload_begin(&payload, &wire, input, is_binary, PACKETS_MAX))
        return;
    while (engine_payload_next(&payload, &packet, &err)) {
        check_packet(&packet, input);
        check_round_trip(revision, &packet);
        count++;
    }
    require(count <= PACKETS_MAX);
    require(err == OK || err == ERR_BAD_REQUEST || err == ERR_TOO_MANY);
    engine_payload_end(&payload);
}

static void try_frame(enum engine_revision revision, struct span input, bool is_binary)
{
    struct engine_room room = {0};
    struct engine_packet packet;
    bool is_text = !is_binary && utf8_valid(input);
    if (engine_packet_read(revision, input, is_text, &room, &packet) == OK)
        check_packet(&packet, input);
    engine_room_fini(&room);
}

static void try_form(struct span input)
{
    struct buf script = BUF_INIT;
    char *text = span_copy(input);
    require(text);
    require(engine_jsonp_restore(text, input.len) <= input.len);
    if (utf8_valid(input))
        engine_jsonp_write(&script, input, input);
    require(!span_has(buf_span(&script), '\n') && !span_has(buf_span(&script), '<'));
    buf_fini(&script);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > INPUT_MAX)
        return 0;
    struct span input = {(const char *)data + 1, size - 1};
    enum engine_revision revision = data[0] & BIT_REVISION ? ENGINE_3 : ENGINE_4;
    if (data[0] & BIT_FORM)
        try_form(input);
    else if (data[0] & BIT_FRAME)
        try_frame(revision, input, data[0] & BIT_BINARY);
    else
        try_payload(revision, input, data[0] & BIT_BINARY);
    return 0;
}
