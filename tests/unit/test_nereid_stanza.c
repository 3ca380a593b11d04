/* SPDX-License-Identifier: MIT */
/* What the nereid adapter says: stanzas in both dialects, and how they are laid on a stream or in a poll. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "adapters/nereid/wire.h"
#include "base/json.h"
#include "core/state.h"

/* 2011-02-10T15:04:55.123456Z */
static const int64_t then_us = 1297350295123456;

static const struct id message_id = {
    {0x55, 0x0e, 0x84, 0x00, 0xe2, 0x9b, 0x41, 0xd4, 0xa7, 0x16, 0x44, 0x66, 0x55, 0x44, 0, 0}};
static const struct id thread_id = {
    {0x67, 0xe5, 0x50, 0x44, 0x10, 0xb1, 0x42, 0x6f, 0x92, 0x47, 0xbb, 0x68, 0x0e, 0x5f, 0xe0, 0xc8}};

#define MESSAGE_ID "550e8400-e29b-41d4-a716-446655440000"
#define THREAD_ID "67e55044-10b1-426f-9247-bb680e5fe0c8"
#define THEN "2011-02-10T15:04:55.123456Z"

static unsigned first_slot;

static struct stanza_style style_of(enum dialect dialect)
{
    static const struct hub empty_hub;
    return (struct stanza_style){dialect, SPAN_LITERAL("nereid.user,"), &empty_hub};
}

static struct wire wire_of(enum wire_format format, enum dialect dialect, bool chunked)
{
    return (struct wire){format, chunked, style_of(dialect)};
}

static struct message_fields some_fields(void)
{
    return (struct message_fields){
        .id = message_id,
        .thread = thread_id,
        .time_us = then_us,
        .sender = SPAN_LITERAL("martin"),
        .sender_name = SPAN_LITERAL("Martin Smith"),
        .text = SPAN_LITERAL("The message body"),
    };
}

static struct event *event_of_fields(const struct message_fields *fields, uint64_t cursor)
{
    struct message *message = message_new(fields);
    assert_non_null(message);
    message->cursor.major = cursor;
    struct event *event = event_of_message(message);
    assert_non_null(event);
    message_unref(message);
    return event;
}

static struct event *some_message(void)
{
    struct message_fields fields = some_fields();
    return event_of_fields(&fields, 7);
}

static struct event *two_presences(void)
{
    const struct presence items[] = {
        {.user = SPAN_LITERAL("123"),
         .name = SPAN_LITERAL("Alice"),
         .status = SPAN_LITERAL("A happy day"),
         .available = true},
        {.user = SPAN_LITERAL("bob"), .show = SHOW_DND},
    };
    struct event *event = event_of_presence(items, array_len(items), then_us, (struct cursor){7, 0});
    assert_non_null(event);
    return event;
}

static struct event *some_gap(void)
{
    struct event *event = event_of_gap((struct cursor){41, 0}, then_us, (struct cursor){3, 0});
    assert_non_null(event);
    return event;
}

static void assert_span(struct span span, const char *text)
{
    if (!span_is(span, text))
        fail_msg("this was said:\n%.*s\nand not this:\n%s", (int)span.len, span.data, text);
}

/* The stanzas of `event`, which is let go, are `text`. */
static void assert_stanzas(struct event *take_event, enum dialect dialect, const char *text)
{
    struct stanza_style style = style_of(dialect);
    struct blob *blob = wire_stanzas(&style, take_event, first_slot);
    assert_non_null(blob);
    assert_span(blob_span(blob), text);
    event_unref(take_event);
}

static void assert_wire(struct event *take_event, struct wire wire, const char *text)
{
    struct blob *blob = wire_event(&wire, take_event, first_slot);
    assert_non_null(blob);
    assert_span(blob_span(blob), text);
    event_unref(take_event);
}

static void assert_said(struct blob *take_blob, const char *text)
{
    assert_non_null(take_blob);
    assert_span(blob_span(take_blob), text);
    blob_unref(take_blob);
}

static json_t *parsed(struct span text)
{
    json_t *json;
    assert_int_equal(json_parse(text, 16, &json), OK);
    return json;
}

/* --- stanzas */

static void a_message_is_what_the_specification_shows(void **state)
{
    (void)state;
    struct message_fields fields = some_fields();
    fields.subject = SPAN_LITERAL("Optional topic of conversation");
    fields.language = SPAN_LITERAL("en_US");
    assert_stanzas(event_of_fields(&fields, 1), DIALECT_SPEC,
                   "{\"timestamp\":\"" THEN "\",\"type\":\"message\",\"message\":{"
                   "\"subject\":\"Optional topic of conversation\",\"text\":\"The message body\",\"type\":\"plain\","
                   "\"language\":\"en_US\",\"attachments\":[],\"id\":\"" MESSAGE_ID "\",\"thread\":\"" THREAD_ID "\","
                   "\"sender\":{\"objectType\":\"person\",\"id\":\"martin\",\"displayName\":\"Martin Smith\"}}}");
}

static void what_is_not_said_is_left_out_or_null(void **state)
{
    (void)state;
    assert_stanzas(some_message(), DIALECT_SPEC,
                   "{\"timestamp\":\"" THEN "\",\"type\":\"message\",\"message\":{"
                   "\"text\":\"The message body\",\"type\":\"plain\",\"attachments\":[],"
                   "\"id\":\"" MESSAGE_ID "\",\"thread\":\"" THREAD_ID "\","
                   "\"sender\":{\"objectType\":\"person\",\"id\":\"martin\",\"displayName\":\"Martin Smith\"}}}");
    assert_stanzas(some_message(), DIALECT_MODULE,
                   "{\"timestamp\":\"" THEN "\",\"type\":\"message\",\"message\":{"
                   "\"subject\":null,\"text\":\"The message body\",\"type\":\"plain\",\"language\":null,"
                   "\"attachments\":[],\"id\":\"" MESSAGE_ID "\",\"thread\":\"" THREAD_ID "\","
                   "\"sender\":{\"url\":null,\"objectType\":\"nereid.user\",\"id\":\"martin\","
                   "\"displayName\":\"Martin Smith\"},\"members\":[]}}");
}

static void an_empty_subject_is_not_an_absent_one(void **state)
{
    (void)state;
    struct message_fields fields = some_fields();
    fields.subject = SPAN_LITERAL("");
    struct event *event = event_of_fields(&fields, 1);
    struct stanza_style style = style_of(DIALECT_SPEC);
    struct blob *blob = wire_stanzas(&style, event, first_slot);
    assert_non_null(blob);
    json_t *stanza = parsed(blob_span(blob));
    assert_string_equal(json_string_value(json_object_get(json_object_get(stanza, "message"), "subject")), "");
    json_decref(stanza);
    event_unref(event);
}

static void attachments_and_types_stay_as_given(void **state)
{
    (void)state;
    struct message_fields fields = some_fields();
    fields.type = TEXT_HTML;
    fields.attachments = SPAN_LITERAL("[{\"z\":1.10,\"a\":null}]");
    assert_stanzas(event_of_fields(&fields, 1), DIALECT_SPEC,
                   "{\"timestamp\":\"" THEN "\",\"type\":\"message\",\"message\":{"
                   "\"text\":\"The message body\",\"type\":\"html\",\"attachments\":[{\"z\":1.10,\"a\":null}],"
                   "\"id\":\"" MESSAGE_ID "\",\"thread\":\"" THREAD_ID "\","
                   "\"sender\":{\"objectType\":\"person\",\"id\":\"martin\",\"displayName\":\"Martin Smith\"}}}");
}

static void a_presence_is_a_list_or_one_object_each(void **state)
{
    (void)state;
    assert_stanzas(two_presences(), DIALECT_SPEC,
                   "{\"timestamp\":\"" THEN "\",\"type\":\"presence\",\"presence\":["
                   "{\"entity\":\"nereid.user,123\",\"id\":\"123\",\"displayName\":\"Alice\",\"show\":\"chat\","
                   "\"status\":\"A happy day\",\"available\":true},"
                   "{\"entity\":\"nereid.user,bob\",\"id\":\"bob\",\"displayName\":\"bob\",\"show\":\"dnd\","
                   "\"available\":false}]}");
    assert_stanzas(two_presences(), DIALECT_MODULE,
                   "{\"timestamp\":\"" THEN "\",\"type\":\"presence\",\"presence\":"
                   "{\"entity\":{\"url\":null,\"objectType\":\"nereid.user\",\"id\":123,\"displayName\":\"Alice\"},"
                   "\"show\":\"chat\",\"status\":\"A happy day\",\"available\":true}},"
                   "{\"timestamp\":\"" THEN "\",\"type\":\"presence\",\"presence\":"
                   "{\"entity\":{\"url\":null,\"objectType\":\"nereid.user\",\"id\":\"bob\",\"displayName\":\"bob\"},"
                   "\"show\":\"dnd\",\"status\":null,\"available\":false}}");
}

static void a_gap_names_the_oldest_cursor_there_is(void **state)
{
    (void)state;
    const char *stanza = "{\"timestamp\":\"" THEN "\",\"type\":\"gap\",\"gap\":{\"oldest\":\"41\"}}";
    assert_stanzas(some_gap(), DIALECT_SPEC, stanza);
    assert_stanzas(some_gap(), DIALECT_MODULE, stanza);
}

static json_t *id_in_dialect(enum dialect dialect, const char *user)
{
    struct stanza_style style = style_of(dialect);
    struct buf out = BUF_INIT;
    stanza_write_person(&out, &style, span_of(user), (struct span){0}, NULL);
    json_t *person = parsed(buf_span(&out));
    json_t *id = json_incref(json_object_get(person, "id"));
    json_decref(person);
    buf_fini(&out);
    return id;
}

static void module_ids_that_look_like_integers_are_integers(void **state)
{
    (void)state;
    static const char *const integers[] = {"0", "1", "123", "999999999999999"};
    static const char *const texts[] = {"01", "00", "-1", "1.5", "12a", "a12", "1e3", "1000000000000000", " 1"};
    for (size_t i = 0; i < array_len(integers); i++) {
        json_t *id = id_in_dialect(DIALECT_MODULE, integers[i]);
        char text[32];
        assert_true(json_is_integer(id));
        (void)snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(id));
        assert_string_equal(text, integers[i]);
        json_decref(id);
    }
    for (size_t i = 0; i < array_len(texts); i++) {
        json_t *id = id_in_dialect(DIALECT_MODULE, texts[i]);
        assert_string_equal(json_string_value(id), texts[i]);
        json_decref(id);
    }
    json_t *id = id_in_dialect(DIALECT_SPEC, "123");
    assert_string_equal(json_string_value(id), "123");
    json_decref(id);
}

static void a_role_is_told_where_it_is_known(void **state)
{
    (void)state;
    struct stanza_style style = style_of(DIALECT_SPEC);
    struct buf out = BUF_INIT;
    stanza_write_person(&out, &style, SPAN_LITERAL("martin"), SPAN_LITERAL("Martin"), "owner");
    assert_span(buf_span(&out),
                "{\"objectType\":\"person\",\"id\":\"martin\",\"displayName\":\"Martin\",\"role\":\"owner\"}");
    buf_fini(&out);
}

/* A hub that knows one thread, and so much of its members as a stanza tells. */
static struct user *stub_user(const char *id, char *name)
{
    struct user *user = calloc(1, sizeof(*user) + strlen(id));
    assert_non_null(user);
    memcpy(user->id, id, strlen(id));
    user->id_len = (uint16_t)strlen(id);
    user->name = name;
    return user;
}

static void a_module_message_carries_the_members_of_its_thread(void **state)
{
    (void)state;
    char name[] = "Alice";
    struct member members[] = {{.user = stub_user("7", name), .role = ROLE_OWNER},
                               {.user = stub_user("bob", NULL), .role = ROLE_GUEST}};
    struct thread thread = {.id = thread_id, .members = members, .member_count = 2};
    struct hub *hub = calloc(1, sizeof(*hub));
    assert_non_null(hub);
    HASH_ADD(hh, hub->threads, id, sizeof(thread.id), (&thread));
    assert_true(table_added(&thread));

    struct stanza_style style = {DIALECT_MODULE, SPAN_LITERAL(""), hub};
    struct event *event = some_message();
    struct buf out = BUF_INIT;
    stanza_write_message(&out, &style, event->message);
    json_t *message = parsed(buf_span(&out));
    const json_t *listed = json_object_get(message, "members");
    assert_int_equal(json_array_size(listed), 2);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(listed, 0), "id")), 7);
    assert_string_equal(json_string_value(json_object_get(json_array_get(listed, 0), "displayName")), "Alice");
    assert_string_equal(json_string_value(json_object_get(json_array_get(listed, 1), "id")), "bob");
    assert_null(json_object_get(json_array_get(listed, 0), "role"));

    json_decref(message);
    buf_fini(&out);
    event_unref(event);
    HASH_DEL(hub->threads, &thread);
    free(members[0].user);
    free(members[1].user);
    free(hub);
}

static void timestamps_always_have_a_fraction(void **state)
{
    (void)state;
    struct message_fields fields = some_fields();
    fields.time_us = then_us / 1000000 * 1000000;
    struct event *event = event_of_fields(&fields, 1);
    struct stanza_style style = style_of(DIALECT_MODULE);
    struct blob *blob = wire_stanzas(&style, event, first_slot);
    assert_non_null(blob);
    json_t *stanza = parsed(blob_span(blob));
    assert_string_equal(json_string_value(json_object_get(stanza, "timestamp")), "2011-02-10T15:04:55.000000Z");
    json_decref(stanza);
    event_unref(event);
}

/* --- text that would break out of its line or its page */

#define NASTY "a\n\r\n\ndata: b\nevent: c\t\x01\x1f\x7f\"\\/</script>&<!--\xe2\x80\xa8\xe2\x80\xa9\xf0\x9f\x98\x80"

static size_t count_of(struct span text, char byte)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += text.data[i] == byte;
    return count;
}

static void assert_field(const json_t *object, const char *key, const char *text)
{
    assert_string_equal(json_string_value(json_object_get(object, key)), text);
}

static void assert_nasty_survives(enum dialect dialect)
{
    struct message_fields fields = some_fields();
    fields.text = fields.subject = fields.sender_name = SPAN_LITERAL(NASTY);
    struct event *event = event_of_fields(&fields, 1);
    struct stanza_style style = style_of(dialect);
    struct blob *blob = wire_stanzas(&style, event, first_slot);
    assert_non_null(blob);
    struct span said = blob_span(blob);
    for (const char *breaking = "\n\r<>&"; *breaking; breaking++)
        assert_int_equal(count_of(said, *breaking), 0);
    assert_null(memmem(said.data, said.len, "\xe2\x80\xa8", 3));
    assert_null(memmem(said.data, said.len, "\xe2\x80\xa9", 3));
    json_t *stanza = parsed(said);
    const json_t *message = json_object_get(stanza, "message");
    assert_field(message, "text", NASTY);
    assert_field(message, "subject", NASTY);
    assert_field(json_object_get(message, "sender"), "displayName", NASTY);
    json_decref(stanza);
    event_unref(event);
}

static void no_text_breaks_out_of_its_stanza(void **state)
{
    (void)state;
    assert_nasty_survives(DIALECT_SPEC);
    assert_nasty_survives(DIALECT_MODULE);
}

static void an_entity_is_escaped_as_a_whole(void **state)
{
    (void)state;
    struct stanza_style style = style_of(DIALECT_SPEC);
    style.entity_prefix = SPAN_LITERAL("\"<x>\",");
    struct presence presence = {.user = SPAN_LITERAL("a\"b"), .status = SPAN_LITERAL(NASTY)};
    struct buf out = BUF_INIT;
    stanza_write_presence(&out, &style, &presence);
    json_t *json = parsed(buf_span(&out));
    assert_field(json, "entity", "\"<x>\",a\"b");
    assert_field(json, "id", "a\"b");
    assert_field(json, "status", NASTY);
    json_decref(json);
    buf_fini(&out);
}

/* --- NDJSON */

#define GAP_STANZA "{\"timestamp\":\"" THEN "\",\"type\":\"gap\",\"gap\":{\"oldest\":\"41\"}}"
#define GAP_LINE "{\"timestamp\":\"" THEN "\",\"cursor\":\"3\",\"stanzas\":[" GAP_STANZA "]}\n"

static void ndjson_is_one_envelope_a_line(void **state)
{
    (void)state;
    assert_wire(some_gap(), wire_of(WIRE_NDJSON, DIALECT_SPEC, false), GAP_LINE);
    assert_string_equal(wire_content_type(WIRE_NDJSON), "application/x-ndjson");
}

static void an_envelope_holds_all_stanzas_of_its_event(void **state)
{
    (void)state;
    struct wire wire = wire_of(WIRE_NDJSON, DIALECT_MODULE, false);
    struct event *event = two_presences();
    struct blob *blob = wire_event(&wire, event, first_slot);
    assert_non_null(blob);
    struct span line = blob_span(blob);
    assert_int_equal(count_of(line, '\n'), 1);
    assert_int_equal(line.data[line.len - 1], '\n');
    json_t *envelope = parsed(line);
    assert_field(envelope, "cursor", "7");
    assert_field(envelope, "timestamp", THEN);
    assert_int_equal(json_array_size(json_object_get(envelope, "stanzas")), 2);
    json_decref(envelope);
    event_unref(event);
}

/* --- server-sent events */

static void sse_is_one_event_a_stanza(void **state)
{
    (void)state;
    assert_wire(some_gap(), wire_of(WIRE_SSE, DIALECT_SPEC, false), "id: 3\ndata: " GAP_STANZA "\n\n");
    assert_string_equal(wire_content_type(WIRE_SSE), "text/event-stream");
    assert_wire(two_presences(), wire_of(WIRE_SSE, DIALECT_MODULE, false),
                "id: 7\ndata: {\"timestamp\":\"" THEN "\",\"type\":\"presence\",\"presence\":"
                "{\"entity\":{\"url\":null,\"objectType\":\"nereid.user\",\"id\":123,\"displayName\":\"Alice\"},"
                "\"show\":\"chat\",\"status\":\"A happy day\",\"available\":true}}\n\n"
                "id: 7\ndata: {\"timestamp\":\"" THEN "\",\"type\":\"presence\",\"presence\":"
                "{\"entity\":{\"url\":null,\"objectType\":\"nereid.user\",\"id\":\"bob\",\"displayName\":\"bob\"},"
                "\"show\":\"dnd\",\"status\":null,\"available\":false}}\n\n");
}

/* --- chunks */

static void a_chunk_holds_whole_lines(void **state)
{
    (void)state;
    char chunk[512];
    (void)snprintf(chunk, sizeof(chunk), "%zx\r\n%s\r\n", strlen(GAP_LINE), GAP_LINE);
    struct event *event = some_gap();
    struct wire wire = wire_of(WIRE_NDJSON, DIALECT_SPEC, true);
    struct blob *blob = wire_event(&wire, event, first_slot);
    assert_non_null(blob);
    /* The size of a chunk may be written with leading zeros. */
    struct span said = blob_span(blob);
    while (said.len && said.data[0] == '0')
        said = (struct span){said.data + 1, said.len - 1};
    assert_int_equal(said.len, strlen(chunk));
    assert_int_equal(strncasecmp(said.data, chunk, said.len), 0);
    event_unref(event);
}

/* --- sharing */

enum { WIRES = WIRE_FORMAT_COUNT * DIALECT_COUNT * 2 };

static struct wire wire_number(unsigned number)
{
    return wire_of((enum wire_format)(number / 4), (enum dialect)(number / 2 % 2), number % 2);
}

static void an_event_is_written_once_for_each_wire(void **state)
{
    (void)state;
    struct event *event = some_message();
    const struct blob *blobs[WIRES + DIALECT_COUNT];
    for (unsigned i = 0; i < WIRES; i++) {
        struct wire wire = wire_number(i);
        blobs[i] = wire_event(&wire, event, first_slot);
        assert_non_null(blobs[i]);
    }
    for (unsigned i = 0; i < DIALECT_COUNT; i++) {
        struct stanza_style style = style_of((enum dialect)i);
        blobs[WIRES + i] = wire_stanzas(&style, event, first_slot);
        assert_non_null(blobs[WIRES + i]);
    }
    for (unsigned i = 0; i < array_len(blobs); i++)
        for (unsigned k = 0; k < i; k++)
            assert_ptr_not_equal(blobs[i], blobs[k]);
    for (unsigned i = 0; i < WIRES; i++) {
        struct wire wire = wire_number(i);
        assert_ptr_equal(wire_event(&wire, event, first_slot), blobs[i]);
        assert_int_equal(blobs[i]->refs, 1);
    }
    event_unref(event);
}

static void what_is_shared_outlives_its_event(void **state)
{
    (void)state;
    struct event *event = some_gap();
    struct wire wire = wire_of(WIRE_NDJSON, DIALECT_SPEC, false);
    struct blob *queued = wire_event(&wire, event, first_slot);
    assert_non_null(queued);
    (void)blob_ref(queued);
    event_unref(event);
    assert_said(queued, GAP_LINE);
}

/* --- what is no event */

static void silence_is_broken_by_a_heartbeat(void **state)
{
    (void)state;
    const struct cursor cursor = {9, 0};
    const char *envelope = "{\"timestamp\":\"" THEN "\",\"cursor\":\"9\",\"stanzas\":[]}\n";
    struct wire wire = wire_of(WIRE_NDJSON, DIALECT_SPEC, false);
    assert_said(wire_heartbeat(&wire, false, then_us, cursor), envelope);
    wire = wire_of(WIRE_NDJSON, DIALECT_MODULE, false);
    assert_said(wire_heartbeat(&wire, false, then_us, cursor), envelope);
    wire = wire_of(WIRE_SSE, DIALECT_SPEC, false);
    assert_said(wire_heartbeat(&wire, false, then_us, cursor), ":\n\n");
    /* Not an object: the module's client is sent this very string. */
    wire = wire_of(WIRE_SSE, DIALECT_MODULE, false);
    assert_said(wire_heartbeat(&wire, false, then_us, cursor), "data: \"{}\"\n\n");
}

static void a_heartbeat_can_be_one_that_a_page_hears(void **state)
{
    (void)state;
    const struct cursor cursor = {9, 0};
    for (unsigned dialect = 0; dialect < DIALECT_COUNT; dialect++) {
        struct wire wire = wire_of(WIRE_SSE, (enum dialect)dialect, false);
        assert_said(wire_heartbeat(&wire, true, then_us, cursor),
                    "event: heartbeat\nid: 9\ndata: {\"timestamp\":\"" THEN "\"}\n\n");
        wire = wire_of(WIRE_NDJSON, (enum dialect)dialect, false);
        assert_said(wire_heartbeat(&wire, true, then_us, cursor),
                    "{\"timestamp\":\"" THEN "\",\"cursor\":\"9\",\"stanzas\":[]}\n");
    }
}

static void padding_is_at_least_as_long_as_asked(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 62, 63, 64, 2048, 65536};
    for (size_t i = 0; i < array_len(sizes); i++) {
        struct wire wire = wire_of(WIRE_NDJSON, DIALECT_SPEC, false);
        struct blob *line = wire_padding(&wire, then_us, (struct cursor){9, 0}, sizes[i]);
        assert_non_null(line);
        json_t *envelope = parsed(blob_span(line));
        assert_int_equal(json_array_size(json_object_get(envelope, "stanzas")), 0);
        assert_int_equal(json_string_length(json_object_get(envelope, "pad")), sizes[i]);
        assert_field(envelope, "cursor", "9");
        assert_int_equal(count_of(blob_span(line), '\n'), 1);
        json_decref(envelope);
        blob_unref(line);

        wire = wire_of(WIRE_SSE, DIALECT_SPEC, false);
        struct blob *comment = wire_padding(&wire, then_us, (struct cursor){9, 0}, sizes[i]);
        assert_non_null(comment);
        assert_int_equal(comment->len, sizes[i] + strlen(":\n\n"));
        assert_int_equal(comment->data[0], ':');
        assert_int_equal(count_of(blob_span(comment), '\n'), 2);
        assert_memory_equal(comment->data + comment->len - 2, "\n\n", 2);
        blob_unref(comment);
    }
}

static void a_farewell_says_why(void **state)
{
    (void)state;
    const char *line = "{\"timestamp\":\"" THEN "\",\"stanzas\":[],\"error\":\"shutting_down\","
                       "\"message\":\"the server is shutting down\"}\n";
    char event[256];
    (void)snprintf(event, sizeof(event), "event: end\ndata: %s\n", line);
    struct wire wire = wire_of(WIRE_NDJSON, DIALECT_SPEC, false);
    assert_said(wire_farewell(&wire, then_us, ERR_SHUTTING_DOWN), line);
    wire = wire_of(WIRE_SSE, DIALECT_MODULE, false);
    assert_said(wire_farewell(&wire, then_us, ERR_SHUTTING_DOWN), event);
}

static void every_error_makes_a_farewell(void **state)
{
    (void)state;
    struct wire wire = wire_of(WIRE_NDJSON, DIALECT_SPEC, false);
    for (unsigned err = OK + 1; err < ERR_COUNT; err++) {
        struct blob *line = wire_farewell(&wire, then_us, (enum err)err);
        assert_non_null(line);
        json_t *envelope = parsed(blob_span(line));
        assert_field(envelope, "error", err_word((enum err)err));
        assert_field(envelope, "message", err_sentence((enum err)err));
        json_decref(envelope);
        blob_unref(line);
    }
}

static int reserve_slots(void **state)
{
    (void)state;
    first_slot = event_reserve_wires(WIRE_SLOTS);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_what_the_specification_shows),
        cmocka_unit_test(what_is_not_said_is_left_out_or_null),
        cmocka_unit_test(an_empty_subject_is_not_an_absent_one),
        cmocka_unit_test(attachments_and_types_stay_as_given),
        cmocka_unit_test(a_presence_is_a_list_or_one_object_each),
        cmocka_unit_test(a_gap_names_the_oldest_cursor_there_is),
        cmocka_unit_test(module_ids_that_look_like_integers_are_integers),
        cmocka_unit_test(a_role_is_told_where_it_is_known),
        cmocka_unit_test(a_module_message_carries_the_members_of_its_thread),
        cmocka_unit_test(timestamps_always_have_a_fraction),
        cmocka_unit_test(no_text_breaks_out_of_its_stanza),
        cmocka_unit_test(an_entity_is_escaped_as_a_whole),
        cmocka_unit_test(ndjson_is_one_envelope_a_line),
        cmocka_unit_test(an_envelope_holds_all_stanzas_of_its_event),
        cmocka_unit_test(sse_is_one_event_a_stanza),
        cmocka_unit_test(a_chunk_holds_whole_lines),
        cmocka_unit_test(an_event_is_written_once_for_each_wire),
        cmocka_unit_test(what_is_shared_outlives_its_event),
        cmocka_unit_test(silence_is_broken_by_a_heartbeat),
        cmocka_unit_test(a_heartbeat_can_be_one_that_a_page_hears),
        cmocka_unit_test(padding_is_at_least_as_long_as_asked),
        cmocka_unit_test(a_farewell_says_why),
        cmocka_unit_test(every_error_makes_a_farewell),
    };
    return cmocka_run_group_tests(tests, reserve_slots, NULL);
}
