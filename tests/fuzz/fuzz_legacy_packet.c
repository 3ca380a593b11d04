/* SPDX-License-Identifier: MIT */
/*
 * A payload of Socket.IO 0.9 from arbitrary bytes, with all that stands in its packets.
 *
 * Invariants: reading goes on with each packet, and its spans stand in the input; an event that was taken is an array
 * with a name in front, of valid text that parses to it; packets written as a payload are read again as they were.
 */
#include <stdint.h>
#include <stdlib.h>

#include "adapters/socketio/legacy_packet.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DEPTH = 8, PACKETS_MAX = 1000 };

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_within(struct span part, struct span whole)
{
    require(part.len == 0 || (part.data >= whole.data && part.data + part.len <= whole.data + whole.len));
}

static void check_event(const struct legacy_packet *packet)
{
    struct legacy_event event;
    json_t *again;
    if (legacy_event_read(packet, DEPTH, &event))
        return;
    require(json_is_array(event.args) && json_is_string(json_array_get(event.args, 0)));
    require(utf8_valid(buf_span(&event.text)) && !span_has(buf_span(&event.text), '\0'));
    require(json_parse(buf_span(&event.text), DEPTH, &again) == OK && json_equal(again, event.args));
    json_decref(again);
    legacy_event_fini(&event);
}

static void check_ack(const struct legacy_packet *packet)
{
    uint64_t id;
    json_t *args;
    if (legacy_ack_read(packet, DEPTH, &id, &args))
        return;
    require(json_is_array(args));
    json_decref(args);
}

static void check_packet(struct span text)
{
    struct legacy_packet packet;
    if (legacy_packet_read(text, &packet))
        return;
    require(packet.type < LEGACY_TYPE_COUNT && packet.nsp.len > 0 && (packet.has_id || !packet.asks));
    check_within(packet.data, text);
    check_within(packet.query, text);
    if (packet.type >= LEGACY_MESSAGE && packet.type <= LEGACY_EVENT)
        check_event(&packet);
    if (packet.type == LEGACY_ACK)
        check_ack(&packet);
}

/* Two of them, so that both have their length in front. */
static void check_round_trip(struct span packet)
{
    struct buf out = BUF_INIT;
    struct span text;
    legacy_payload_add(&out, packet);
    legacy_payload_add(&out, packet);
    require(!buf_failed(&out));
    struct legacy_payload payload = legacy_payload_begin(buf_span(&out));
    for (int i = 0; i < 2; i++)
        require(legacy_payload_next(&payload, &text) == OK && span_equal(text, packet));
    require(payload.rest.len == 0);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span input = {(const char *)data, size};
    if (!utf8_valid(input))
        return 0;
    check_packet(input);
    check_round_trip(input);
    struct legacy_payload payload = legacy_payload_begin(input);
    for (int count = 0; payload.rest.len && count < PACKETS_MAX; count++) {
        struct span text;
        size_t before = payload.rest.len;
        if (legacy_payload_next(&payload, &text))
            return 0;
        require(payload.rest.len < before);
        check_within(text, input);
        check_packet(text);
    }
    return 0;
}
