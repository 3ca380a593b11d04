/* SPDX-License-Identifier: MIT */
/*
 * Packets of Socket.IO from arbitrary bytes: the first byte chooses the revision and the depth that is allowed, the
 * rest is the packet.
 *
 * Invariants: what is taken keeps the rules of its type, and is the same packet after it has been written and read. Its
 * text falls into a name and arguments, and says the same in ASCII. An emission of an event carries it to clients of
 * every generation.
 */
#include <stdint.h>
#include <stdlib.h>

#include "adapters/socketio/emission.h"
#include "adapters/socketio/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static json_t *parse(struct span text)
{
    json_t *json = NULL;
    require(json_parse(text, PACKET_DEPTH_MAX, &json) == OK);
    return json;
}

static void check_same_json(struct span text, const json_t *json)
{
    json_t *other = parse(text);
    require(json_equal(other, json));
    json_decref(other);
}

static void check_rules(const struct packet *packet, const struct packet_rules *rules)
{
    require(packet->type < PACKET_TYPE_COUNT);
    require(packet_is_binary(packet->type) == (packet->attachments > 0) && packet->attachments <= rules->attachments);
    require(packet->nsp.len && *packet->nsp.data == '/' && !span_has(packet->nsp, ','));
    require(rules->old || !packet->query.len);
    require((packet->text.len == 0) == (packet->json == NULL));
}

static void check_written(const struct packet *packet, const struct packet_rules *rules)
{
    struct buf out = BUF_INIT;
    struct packet again = {0};
    packet_write(&out, packet);
    require(packet_read(buf_span(&out), rules, &again) == OK);
    require(again.type == packet->type && again.attachments == packet->attachments && again.id == packet->id);
    require(span_equal(again.nsp, packet->nsp) && span_equal(again.text, packet->text));
    packet_fini(&again);
    buf_fini(&out);
}

static void check_ascii(const struct packet *packet)
{
    struct buf out = BUF_INIT;
    packet_add_ascii(&out, packet->text);
    for (size_t i = 0; i < out.len; i++)
        require((unsigned char)out.data[i] < 0x80);
    check_same_json(buf_span(&out), packet->json);
    buf_fini(&out);
}

static void check_split(const struct packet *packet)
{
    struct span name, args;
    struct buf whole = BUF_INIT;
    packet_split(packet->text, &name, &args);
    check_same_json(name, json_array_get(packet->json, 0));
    buf_add_char(&whole, '[');
    buf_add(&whole, name);
    buf_add_text(&whole, args.len ? "," : "");
    buf_add(&whole, args);
    buf_add_char(&whole, ']');
    check_same_json(buf_span(&whole), packet->json);
    buf_fini(&whole);
}

/* What a WebSocket frame of the server carries. */
static struct span payload(const struct blob *frame)
{
    struct span bytes = blob_span(frame);
    size_t head = (unsigned char)bytes.data[1] < 126 ? 2 : (unsigned char)bytes.data[1] == 126 ? 4 : 10;
    require(bytes.len >= head);
    return (struct span){bytes.data + head, bytes.len - head};
}

static void check_frames(struct emission *emission, const struct packet *packet, enum engine_revision revision)
{
    static const struct packet_rules free_rules = {false, PACKET_DEPTH_MAX, 10, SIZE_MAX};
    size_t count;
    struct packet again = {0};
    struct blob *const *frames = emission_frames(emission, revision, &count);
    require(frames && count == packet->attachments + 1);
    struct span text = payload(frames[0]);
    require(*text.data == '4');
    require(packet_read((struct span){text.data + 1, text.len - 1}, &free_rules, &again) == OK);
    require(again.type == packet->type && json_equal(again.json, packet->json) && span_equal(again.nsp, packet->nsp));
    packet_fini(&again);
}

static void check_legacy(struct emission *emission)
{
    const struct blob *frame = emission_legacy_frame(emission);
    require(frame != NULL);
    struct span text = payload(frame);
    const char *object = memchr(text.data, '{', text.len);
    require(object != NULL);
    json_t *event = parse((struct span){object, text.len - (size_t)(object - text.data)});
    require(json_is_string(json_object_get(event, "name")) && json_is_array(json_object_get(event, "args")));
    json_decref(event);
}

static void check_emission(const struct packet *packet)
{
    struct blob *attachments[EMISSION_ATTACHMENTS_MAX];
    for (size_t i = 0; i < packet->attachments; i++)
        require((attachments[i] = blob_copy(SPAN_LITERAL("\1\2"))) != NULL);
    struct emission *emission = emission_new(packet->nsp, packet->text, attachments, packet->attachments);
    require(emission != NULL);
    check_frames(emission, packet, ENGINE_4);
    check_frames(emission, packet, ENGINE_3);
    if (!span_has(packet->nsp, '{'))
        check_legacy(emission);
    emission_unref(emission);
    for (size_t i = 0; i < packet->attachments; i++)
        blob_unref(attachments[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const struct packet_rules rules = {data[0] & 1, data[0] >> 1, EMISSION_ATTACHMENTS_MAX, 128};
    struct packet packet = {0};
    if (packet_read((struct span){(const char *)data + 1, size - 1}, &rules, &packet))
        return 0;
    check_rules(&packet, &rules);
    check_written(&packet, &rules);
    if (packet.json)
        check_ascii(&packet);
    if (packet.type == PACKET_EVENT || packet.type == PACKET_BINARY_EVENT) {
        check_split(&packet);
        check_emission(&packet);
    }
    packet_fini(&packet);
    return 0;
}
