/* SPDX-License-Identifier: MIT */
/* Packets and payloads of Socket.IO 0.9, as its client 0.9.17 writes and reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "adapters/socketio/legacy_packet.h"

enum { DEPTH = 4 };

#define MARK "\xef\xbf\xbd"

static void assert_span(struct span have, const char *want)
{
    char *text = span_copy(have);
    assert_non_null(text);
    assert_string_equal(text, want);
    free(text);
}

static struct legacy_packet read_packet(const char *text)
{
    struct legacy_packet packet;
    if (legacy_packet_read(span_of(text), &packet))
        fail_msg("not taken: %s", text);
    return packet;
}

/* --- packets */

static void test_packets_are_split_at_their_colons(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum legacy_type type;
        const char *nsp, *query, *data;
    } cases[] = {
        {"0::", LEGACY_DISCONNECT, "/", "", ""},
        {"0::/max", LEGACY_DISCONNECT, "/max", "", ""},
        {"1::", LEGACY_CONNECT, "/", "", ""},
        {"1::/max", LEGACY_CONNECT, "/max", "", ""},
        {"1::/max?a=b:c", LEGACY_CONNECT, "/max", "a=b", "c"},
        {"1::/max:?a=b", LEGACY_CONNECT, "/max", "a=b", "?a=b"},
        {"2::", LEGACY_HEARTBEAT, "/", "", ""},
        {"2:::", LEGACY_HEARTBEAT, "/", "", ""},
        {"3:::a:b::c", LEGACY_MESSAGE, "/", "a:b::c", "a:b::c"},
        {"4::/max:{\"a\":1}", LEGACY_JSON, "/max", "{\"a\":1}", "{\"a\":1}"},
        {"8::", LEGACY_NOOP, "/", "", ""},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        struct legacy_packet packet = read_packet(cases[i].text);
        assert_int_equal(packet.type, cases[i].type);
        assert_false(packet.has_id || packet.asks);
        assert_span(packet.nsp, cases[i].nsp);
        assert_span(packet.data, cases[i].data);
        if (packet.type == LEGACY_CONNECT)
            assert_span(packet.query, cases[i].query);
    }
}

static void test_an_id_asks_for_an_ack_and_a_plus_for_data(void **state)
{
    (void)state;
    struct legacy_packet plain = read_packet("3:7::hello");
    assert_true(plain.has_id && !plain.asks && plain.id == 7);
    struct legacy_packet asking = read_packet("5:123456789012345678+:/max:{}");
    assert_true(asking.has_id && asking.asks && asking.id == 123456789012345678u);
    assert_span(asking.nsp, "/max");
}

static void test_what_is_no_packet_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",         "5",       "5:",   "5:1",    "9::",     "a::",      "10::",
        "::",       " 2::",    "-1::", "5:a::x", "5:-1::x", "5:1-::x",  "5:+:",
        "5:1++::x", "5: 1::x", MARK,   "2;:",    "5:1.0:",  "5:0x1::x", "5:1234567890123456789::x",
    };
    for (size_t i = 0; i < array_len(texts); i++) {
        struct legacy_packet packet;
        if (legacy_packet_read(span_of(texts[i]), &packet) != ERR_BAD_REQUEST)
            fail_msg("taken: %s", texts[i]);
    }
}

static void test_a_nul_is_refused_wherever_it_stands(void **state)
{
    (void)state;
    struct legacy_packet packet;
    assert_int_equal(legacy_packet_read(SPAN_LITERAL("5:::{\"name\":\"n\",\"args\":[1\0]}"), &packet), ERR_BAD_REQUEST);
    assert_int_equal(legacy_packet_read(SPAN_LITERAL("3:::a\0b"), &packet), ERR_BAD_REQUEST);
    assert_int_equal(legacy_packet_read(SPAN_LITERAL("1::/max\0"), &packet), ERR_BAD_REQUEST);
}

/* --- events */

static void assert_event(const char *packet_text, const char *want)
{
    struct legacy_packet packet = read_packet(packet_text);
    struct legacy_event event;
    assert_int_equal(legacy_event_read(&packet, DEPTH, &event), OK);
    assert_span(buf_span(&event.text), want);
    json_t *same;
    assert_int_equal(json_parse(buf_span(&event.text), DEPTH, &same), OK);
    assert_true(json_equal(same, event.args));
    json_decref(same);
    legacy_event_fini(&event);
}

static void test_events_become_arrays_with_the_name_in_front(void **state)
{
    (void)state;
    assert_event("5::/max:{\"name\":\"talk\",\"args\":[{\"a\":1},\"b\"]}", "[\"talk\",{\"a\":1},\"b\"]");
    assert_event("5:::{\"name\":\"ask\"}", "[\"ask\"]");
    assert_event("5:::{\"name\":\"ask\",\"args\":[]}", "[\"ask\"]");
    assert_event("5::: { \"args\" : [ 1 , 2 ] , \"name\" : \"a\\\"b\" } ", "[\"a\\\"b\",1 , 2]");
    assert_event("5:::{\"name\":\"n\",\"more\":{\"args\":[0]}}", "[\"n\"]");
}

static void test_numbers_stay_as_they_were_written(void **state)
{
    (void)state;
    assert_event("5:::{\"name\":\"n\",\"args\":[1.10,347815255145614,1e2]}", "[\"n\",1.10,347815255145614,1e2]");
}

static void test_messages_become_the_event_message(void **state)
{
    (void)state;
    assert_event("3:::hello: world", "[\"message\",\"hello: world\"]");
    assert_event("3:::", "[\"message\",\"\"]");
    assert_event("3:::\"quoted\"\n", "[\"message\",\"\\\"quoted\\\"\\n\"]");
    assert_event("4:::{\"a\":[1]}", "[\"message\",{\"a\":[1]}]");
    assert_event("4:::null", "[\"message\",null]");
}

static void test_what_is_no_event_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "5:::",
        "5:::[]",
        "5:::1",
        "5:::{}",
        "5:::{\"name\":1}",
        "5:::{\"name\":null,\"args\":[]}",
        "5:::{\"args\":[]}",
        "5:::{\"name\":\"n\",\"args\":{}}",
        "5:::{\"name\":\"n\",\"args\":null}",
        "5:::{\"name\":\"n\",\"name\":\"m\"}",
        "5:::{\"\\u006eame\":\"n\"}",
        "5:::{\"name\":\"n\"} x",
        "5:::{\"name\":\"n\",\"args\":[[[[[1]]]]]}", /* one too deep */
        "4:::",
        "4:::{",
        "4:::1,2",
        "4:::1],[2",
        "4:::]",
        "4:::1]",
        "4:::[[[[1]]]]",
        "3:::\x01\xff",
        "5:::{\"name\":\"n\",\"args\":[\"\\u0000\"]}",
    };
    for (size_t i = 0; i < array_len(texts); i++) {
        struct legacy_packet packet = read_packet(texts[i]);
        struct legacy_event event;
        if (legacy_event_read(&packet, DEPTH, &event) == OK)
            fail_msg("taken: %s", texts[i]);
    }
}

static void test_an_event_may_be_as_deep_as_the_limit_says(void **state)
{
    (void)state;
    assert_event("5:::{\"name\":\"n\",\"args\":[[[[]]]]}", "[\"n\",[[[]]]]");
    assert_event("4:::[[[]]]", "[\"message\",[[[]]]]");
}

/* --- acks */

static void test_acks_have_an_id_and_perhaps_arguments(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t id;
        size_t count;
    } cases[] = {{"6:::4", 4, 0}, {"6:::4+", 4, 0}, {"6::/max:12+[\"A\",\"B\"]", 12, 2}, {"6:::0+[[]]", 0, 1}};
    for (size_t i = 0; i < array_len(cases); i++) {
        struct legacy_packet packet = read_packet(cases[i].text);
        uint64_t id;
        json_t *args;
        assert_int_equal(legacy_ack_read(&packet, DEPTH, &id, &args), OK);
        assert_int_equal(id, cases[i].id);
        assert_int_equal(json_array_size(args), cases[i].count);
        json_decref(args);
    }
}

static void test_what_is_no_ack_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"6:::",     "6:::x",   "6:::+[]",     "6:::4[]",  "6:::4+{}",
                                        "6:::4+[1", "6:::-1+", "6:::4+[] []", "6:::1.5+", "6:::4+[[[[[]]]]]"};
    for (size_t i = 0; i < array_len(texts); i++) {
        struct legacy_packet packet = read_packet(texts[i]);
        uint64_t id;
        json_t *args;
        if (legacy_ack_read(&packet, DEPTH, &id, &args) == OK)
            fail_msg("taken: %s", texts[i]);
    }
}

/* --- out */

static void test_packets_are_written_as_the_client_reads_them(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    legacy_write(&out, LEGACY_CONNECT, SPAN_LITERAL("/"), SPAN_LITERAL(""));
    buf_add_char(&out, ' ');
    legacy_write(&out, LEGACY_DISCONNECT, SPAN_LITERAL("/max"), SPAN_LITERAL(""));
    buf_add_char(&out, ' ');
    legacy_write(&out, LEGACY_ERROR, SPAN_LITERAL("/max"), LEGACY_UNAUTHORIZED);
    buf_add_char(&out, ' ');
    legacy_write_ack(&out, SPAN_LITERAL("/"), 7, SPAN_LITERAL(""));
    buf_add_char(&out, ' ');
    legacy_write_ack(&out, SPAN_LITERAL("/max"), 18446744073709551615u, SPAN_LITERAL("true,[1]"));
    assert_false(buf_failed(&out));
    assert_span(buf_span(&out), "1:: 0::/max 7::/max:2 6:::7 6::/max:18446744073709551615+[true,[1]]");
    buf_fini(&out);
}

static void test_acks_stay_on_one_line_for_a_client_that_reads_only_one(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    legacy_write_ack(&out, SPAN_LITERAL("/"), 1,
                     SPAN_LITERAL("\"\xe2\x80\xa8"
                                  "a\xe2\x80\xa7\xe2\x80\xa9\",\"\xe2\x80\""));
    assert_span(buf_span(&out), "6:::1+[\"\\u2028a\xe2\x80\xa7\\u2029\",\"\xe2\x80\"]");
    buf_fini(&out);
}

/* --- payloads */

static void test_a_single_packet_is_a_payload(void **state)
{
    (void)state;
    struct span text;
    struct legacy_payload payload = legacy_payload_begin(SPAN_LITERAL("3:::a" MARK "1"));
    assert_int_equal(legacy_payload_next(&payload, &text), OK);
    assert_span(text, "3:::a" MARK "1");
    assert_int_equal(payload.rest.len, 0);
    assert_int_equal(legacy_payload_begin(SPAN_LITERAL("")).rest.len, 0);
}

static void test_lengths_count_utf16_units(void **state)
{
    (void)state;
    static const char *const packets[] = {"1::", "3:::\xe2\x82\xac", "3:::\xf0\x9f\x98\x80!", "", "3:::" MARK "3" MARK};
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < array_len(packets); i++)
        legacy_payload_add(&out, span_of(packets[i]));
    assert_false(buf_failed(&out));
    assert_span(buf_span(&out), MARK "3" MARK "1::" MARK "5" MARK "3:::\xe2\x82\xac" MARK "7" MARK
                                     "3:::\xf0\x9f\x98\x80!" MARK "0" MARK MARK "7" MARK "3:::" MARK "3" MARK);
    struct legacy_payload payload = legacy_payload_begin(buf_span(&out));
    for (size_t i = 0; i < array_len(packets); i++) {
        struct span text;
        assert_true(payload.rest.len > 0);
        assert_int_equal(legacy_payload_next(&payload, &text), OK);
        assert_span(text, packets[i]);
    }
    assert_int_equal(payload.rest.len, 0);
    buf_fini(&out);
}

static void test_lengths_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        MARK,
        MARK "3",
        MARK "3" MARK,
        MARK MARK "1::",
        MARK "x" MARK "1::",
        MARK "-3" MARK "1::",
        MARK "4" MARK "1::",
        MARK "3.0" MARK "1::",
        MARK "1234567890" MARK "1::",
        MARK "5" MARK "3:::\xf0\x9f\x98\x80", /* ends within a surrogate pair */
        MARK "2" MARK "1::",                  /* and something behind it */
    };
    for (size_t i = 0; i < array_len(texts); i++) {
        struct legacy_payload payload = legacy_payload_begin(span_of(texts[i]));
        struct span text;
        enum err err = OK;
        for (unsigned count = 0; payload.rest.len && !err; count++) {
            assert_true(count < 10);
            err = legacy_payload_next(&payload, &text);
        }
        if (err != ERR_BAD_REQUEST)
            fail_msg("taken: %s", texts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packets_are_split_at_their_colons),
        cmocka_unit_test(test_an_id_asks_for_an_ack_and_a_plus_for_data),
        cmocka_unit_test(test_what_is_no_packet_is_refused),
        cmocka_unit_test(test_a_nul_is_refused_wherever_it_stands),
        cmocka_unit_test(test_events_become_arrays_with_the_name_in_front),
        cmocka_unit_test(test_numbers_stay_as_they_were_written),
        cmocka_unit_test(test_messages_become_the_event_message),
        cmocka_unit_test(test_what_is_no_event_is_refused),
        cmocka_unit_test(test_an_event_may_be_as_deep_as_the_limit_says),
        cmocka_unit_test(test_acks_have_an_id_and_perhaps_arguments),
        cmocka_unit_test(test_what_is_no_ack_is_refused),
        cmocka_unit_test(test_packets_are_written_as_the_client_reads_them),
        cmocka_unit_test(test_acks_stay_on_one_line_for_a_client_that_reads_only_one),
        cmocka_unit_test(test_a_single_packet_is_a_payload),
        cmocka_unit_test(test_lengths_count_utf16_units),
        cmocka_unit_test(test_lengths_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
