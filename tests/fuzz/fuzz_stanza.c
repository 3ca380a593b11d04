/* SPDX-License-Identifier: MIT */
/*
 * Whatever a message says comes out as one line of JSON, and is read back as what was said.
 *
 * Input: a byte that chooses the wire, then the text. Text that the edge refuses (invalid UTF-8, NUL) is passed over,
 * as there. Subject, sender, name and status carry the text too.
 */
#include <stdint.h>
#include <stdlib.h>

#include "adapters/nereid/wire.h"
#include "base/json.h"
#include "base/utf8.h"
#include "core/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unlike assert, there in every build. */
#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

static bool holds(struct span text, char byte)
{
    return text.len && memchr(text.data, byte, text.len);
}

static void require_field(const json_t *object, const char *key, struct span text)
{
    REQUIRE(json_is_string(json_object_get(object, key)));
    REQUIRE(span_equal(json_text(object, key), text));
}

/* What stands between the line's frame: an envelope or a stanza. The frame itself is as it must be. */
static json_t *read_line(struct span line, enum wire_format format)
{
    const struct span head = SPAN_LITERAL("id: 1\ndata: ");
    if (format == WIRE_SSE) {
        REQUIRE(line.len > head.len && span_equal((struct span){line.data, head.len}, head));
        line = (struct span){line.data + head.len, line.len - head.len};
        REQUIRE(line.data[line.len - 1] == '\n');
        line.len--;
    }
    REQUIRE(line.len > 1 && line.data[line.len - 1] == '\n');
    line.len--;
    REQUIRE(!holds(line, '\n') && !holds(line, '\r'));
    json_t *json;
    REQUIRE(json_parse(line, 8, &json) == OK);
    return json;
}

/* Writes the event, which is let go, and gives its first stanza to be looked at. */
static void check_event(struct event *take_event, const struct wire *wire, struct span text,
                        void (*check)(const json_t *stanza, enum dialect dialect, struct span text))
{
    REQUIRE(take_event);
    take_event->cursor.major = 1;
    struct blob *blob = wire_event(wire, take_event, 0);
    REQUIRE(blob);
    json_t *json = read_line(blob_span(blob), wire->format);
    const json_t *stanzas = json_object_get(json, "stanzas");
    REQUIRE((wire->format == WIRE_NDJSON) == json_is_array(stanzas));
    check(stanzas ? json_array_get(stanzas, 0) : json, wire->style.dialect, text);
    json_decref(json);
    event_unref(take_event);
}

static void check_message(const json_t *stanza, enum dialect dialect, struct span text)
{
    (void)dialect;
    const json_t *message = json_object_get(stanza, "message");
    require_field(message, "text", text);
    require_field(message, "subject", text);
    require_field(json_object_get(message, "sender"), "displayName", text.len ? text : SPAN_LITERAL("s"));
}

static void check_presence(const json_t *stanza, enum dialect dialect, struct span text)
{
    const json_t *presence = json_object_get(stanza, "presence");
    if (dialect == DIALECT_SPEC)
        presence = json_array_get(presence, 0);
    REQUIRE(json_is_true(json_object_get(presence, "available")));
    if (text.len)
        require_field(presence, "status", text);
}

static struct event *message_saying(struct span text)
{
    struct message_fields fields = {
        .sender = SPAN_LITERAL("s"), .sender_name = text, .text = text, .subject = text, .time_us = 1297350295123456};
    struct message *message = message_new(&fields);
    struct event *event = message ? event_of_message(message) : NULL;
    message_unref(message);
    return event;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct hub empty_hub;
    if (size == 0)
        return 0;
    struct span text = {(const char *)data + 1, size - 1};
    if (!utf8_valid(text) || holds(text, '\0'))
        return 0;
    struct wire wire = {
        data[0] & 1 ? WIRE_SSE : WIRE_NDJSON, false, {data[0] & 2 ? DIALECT_MODULE : DIALECT_SPEC, text, &empty_hub}};
    struct presence presence = {.user = text, .status = text, .available = true};
    check_event(message_saying(text), &wire, text, check_message);
    check_event(event_of_presence(&presence, 1, 0, (struct cursor){1, 0}), &wire, text, check_presence);
    return 0;
}
