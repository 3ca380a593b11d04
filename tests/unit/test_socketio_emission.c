/* SPDX-License-Identifier: MIT */
/* An event is encoded once for each wire format, however many get it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "adapters/socketio/emission.h"

static const struct span root = {"/", 1};
static const struct span admin = {"/admin", 6};

/* The payload of a short WebSocket frame. */
static struct span payload(const struct blob *frame)
{
    struct span bytes = blob_span(frame);
    assert_true(bytes.len >= 2 && (unsigned char)bytes.data[1] < 126);
    assert_int_equal(bytes.len, 2 + bytes.data[1]);
    return (struct span){bytes.data + 2, bytes.len - 2};
}

static void assert_frames(struct emission *emission, enum engine_revision revision, const char *text)
{
    size_t count;
    struct blob *const *frames = emission_frames(emission, revision, &count);
    assert_non_null(frames);
    assert_int_equal((unsigned char)blob_span(frames[0]).data[0], 0x81);
    if (!span_is(payload(frames[0]), text))
        fail_msg("%.*s, not %s", (int)payload(frames[0]).len, payload(frames[0]).data, text);
}

static void assert_legacy(struct emission *emission, const char *text)
{
    const struct blob *frame = emission_legacy_frame(emission);
    assert_non_null(frame);
    if (!span_is(payload(frame), text))
        fail_msg("%.*s, not %s", (int)payload(frame).len, payload(frame).data, text);
}

static void an_event_is_a_text(void **state)
{
    (void)state;
    struct emission *emission = emission_of(root, "message", SPAN_LITERAL("1.0,\"2\""));
    assert_true(span_is(emission_data(emission), "[\"message\",1.0,\"2\"]"));
    assert_frames(emission, ENGINE_4, "42[\"message\",1.0,\"2\"]");
    assert_frames(emission, ENGINE_3, "42[\"message\",1.0,\"2\"]");
    assert_legacy(emission, "5:::{\"name\":\"message\",\"args\":[1.0,\"2\"]}");
    emission_unref(emission);
    emission = emission_of(admin, "a\"b", (struct span){0});
    assert_frames(emission, ENGINE_4, "42/admin,[\"a\\\"b\"]");
    assert_legacy(emission, "5::/admin:{\"name\":\"a\\\"b\",\"args\":[]}");
    emission_unref(emission);
}

static void names_may_be_numbers(void **state)
{
    (void)state;
    struct emission *emission = emission_new(root, SPAN_LITERAL(" [ 7 , 8 ] "), NULL, 0);
    assert_frames(emission, ENGINE_2, "42 [ 7 , 8 ]");
    assert_legacy(emission, "5:::{\"name\":\"7\",\"args\":[8]}");
    emission_unref(emission);
}

static void it_is_encoded_once(void **state)
{
    (void)state;
    size_t count;
    struct emission *emission = emission_of(root, "x", (struct span){0});
    const struct blob *frame = emission_frames(emission, ENGINE_4, &count)[0];
    assert_ptr_equal(emission_frames(emission, ENGINE_4, &count)[0], frame);
    assert_ptr_equal(emission_frames(emission, ENGINE_3, &count)[0], frame); /* the same text */
    assert_ptr_equal(emission_frames(emission, ENGINE_2, &count)[0], frame);
    assert_int_equal(count, 1);
    assert_ptr_equal(emission_legacy_frame(emission), emission_legacy_frame(emission));
    emission_unref(emission);
}

static void attachments_are_frames_of_their_own(void **state)
{
    (void)state;
    size_t count;
    struct blob *attachments[] = {blob_copy(SPAN_LITERAL("\1\2\3")), blob_copy((struct span){0})};
    struct span data = SPAN_LITERAL("[\"x\",{\"_placeholder\":true,\"num\":0},[{\"_placeholder\":true,\"num\":1},2]]");
    struct emission *emission = emission_new(admin, data, attachments, 2);
    assert_int_equal(attachments[0]->refs, 2);
    assert_ptr_equal(emission_attachments(emission, &count)[1], attachments[1]);
    assert_int_equal(count, 2);
    assert_frames(emission, ENGINE_4,
                  "452-/admin,[\"x\",{\"_placeholder\":true,\"num\":0},[{\"_placeholder\":true,\"num\":1},2]]");
    struct blob *const *frames = emission_frames(emission, ENGINE_4, &count);
    assert_int_equal(count, 3);
    assert_int_equal((unsigned char)blob_span(frames[1]).data[0], 0x82);
    assert_true(span_equal(payload(frames[1]), SPAN_LITERAL("\1\2\3")));
    assert_int_equal(payload(frames[2]).len, 0);
    frames = emission_frames(emission, ENGINE_3, &count);
    assert_true(span_equal(payload(frames[1]), SPAN_LITERAL("\4\1\2\3")));
    assert_true(span_equal(payload(frames[2]), SPAN_LITERAL("\4")));
    assert_legacy(emission, "5::/admin:{\"name\":\"x\",\"args\":[null,[null,2]]}");
    emission_unref(emission);
    assert_int_equal(attachments[0]->refs, 1);
    blob_unref(attachments[0]);
    blob_unref(attachments[1]);
}

static void there_are_at_most_ten_attachments(void **state)
{
    (void)state;
    struct blob *attachments[EMISSION_ATTACHMENTS_MAX + 1] = {0};
    assert_null(emission_new(root, SPAN_LITERAL("[\"x\"]"), attachments, EMISSION_ATTACHMENTS_MAX + 1));
}

static void it_may_ask_for_an_ack(void **state)
{
    (void)state;
    struct emission *emission = emission_of(admin, "x", (struct span){0});
    assert_false(emission_wants_ack(emission));
    emission_set_ack(emission, 12);
    assert_true(emission_wants_ack(emission));
    assert_frames(emission, ENGINE_4, "42/admin,12[\"x\"]");
    assert_legacy(emission, "5:12+:/admin:{\"name\":\"x\",\"args\":[]}");
    emission_unref(emission);
}

static void an_offset_is_for_those_who_can_use_it(void **state)
{
    (void)state;
    struct emission *emission = emission_of(root, "x", SPAN_LITERAL("1"));
    assert_frames(emission, ENGINE_4, "42[\"x\",1]");
    assert_int_equal(emission_set_offset(emission, SPAN_LITERAL("17")), OK);
    assert_frames(emission, ENGINE_4, "42[\"x\",1,\"17\"]");
    assert_frames(emission, ENGINE_3, "42[\"x\",1]");
    assert_legacy(emission, "5:::{\"name\":\"x\",\"args\":[1]}");
    assert_true(span_is(emission_data(emission), "[\"x\",1]"));
    assert_true(emission_has_offset(emission) && emission_offset_is(emission, SPAN_LITERAL("17")));
    assert_false(emission_offset_is(emission, SPAN_LITERAL("1")));
    emission_unref(emission);
}

static void old_clients_get_ascii(void **state)
{
    (void)state;
    struct emission *emission = emission_of(root, "x", SPAN_LITERAL("\"\u00e9\""));
    assert_frames(emission, ENGINE_4, "42[\"x\",\"\u00e9\"]");
    assert_frames(emission, ENGINE_3, "42[\"x\",\"\\u00e9\"]");
    assert_legacy(emission, "5:::{\"name\":\"x\",\"args\":[\"\u00e9\"]}");
    emission_unref(emission);
}

static void nothing_may_be_given_back(void **state)
{
    (void)state;
    emission_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_a_text),
        cmocka_unit_test(names_may_be_numbers),
        cmocka_unit_test(it_is_encoded_once),
        cmocka_unit_test(attachments_are_frames_of_their_own),
        cmocka_unit_test(there_are_at_most_ten_attachments),
        cmocka_unit_test(it_may_ask_for_an_ack),
        cmocka_unit_test(an_offset_is_for_those_who_can_use_it),
        cmocka_unit_test(old_clients_get_ascii),
        cmocka_unit_test(nothing_may_be_given_back),
    };
    return cmocka_run_group_tests_name("socketio_emission", tests, NULL, NULL);
}
