/* SPDX-License-Identifier: MIT */
/* Socket.IO's packets: what is one, what is none, and what they mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "adapters/socketio/packet.h"

static const struct packet_rules rules = {.old = false, .depth = 32, .attachments = 10, .name_bytes = 128};
static const struct packet_rules old_rules = {.old = true, .depth = 32, .attachments = 10, .name_bytes = 128};

static struct packet read_with(const struct packet_rules *with, const char *text)
{
    struct packet packet = {0};
    enum err err = packet_read(span_of(text), with, &packet);
    if (err)
        fail_msg("%s: %s", text, err_word(err));
    return packet;
}

static void refused_with(const struct packet_rules *with, const char *text, enum err expected)
{
    struct packet packet = {0};
    enum err err = packet_read(span_of(text), with, &packet);
    if (err != expected)
        fail_msg("%s: %s, not %s", text, err_word(err), err_word(expected));
}

static void refused(const char *text, enum err expected)
{
    refused_with(&rules, text, expected);
}

#define assert_span(span, text) assert_true(span_is((span), (text)))

static void a_connect_has_a_namespace_and_an_object(void **state)
{
    (void)state;
    static const struct {
        const char *text, *nsp, *json;
    } cases[] = {
        {"0", "/", ""},
        {"0{}", "/", "{}"},
        {"0{\"token\":\"123\"}", "/", "{\"token\":\"123\"}"},
        {"0/custom", "/custom", ""},
        {"0/custom,", "/custom", ""},
        {"0/custom,{\"token\":\"abc\"}", "/custom", "{\"token\":\"abc\"}"},
        {"0/,{}", "/", "{}"},
        {"0/a?b=1,{}", "/a?b=1", "{}"}, /* no query in revision 5 */
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        struct packet packet = read_with(&rules, cases[i].text);
        assert_int_equal(packet.type, PACKET_CONNECT);
        assert_span(packet.nsp, cases[i].nsp);
        assert_span(packet.text, cases[i].json);
        assert_int_equal(packet.json != NULL, cases[i].json[0] != '\0');
        packet_fini(&packet);
    }
    refused("0[]", ERR_BAD_REQUEST);
    refused("0\"token\"", ERR_BAD_REQUEST);
    refused("0null", ERR_BAD_REQUEST);
    refused("012", ERR_BAD_REQUEST);
    refused("0{", ERR_BAD_JSON);
}

static void old_clients_put_a_query_behind_the_namespace(void **state)
{
    (void)state;
    struct packet packet = read_with(&old_rules, "0/admin?token=1&x=%2C,");
    assert_span(packet.nsp, "/admin");
    assert_span(packet.query, "token=1&x=%2C");
    packet_fini(&packet);
    packet = read_with(&old_rules, "0/admin?token=1");
    assert_span(packet.nsp, "/admin");
    assert_span(packet.query, "token=1");
    packet_fini(&packet);
}

static void an_event_is_an_array_with_a_name_in_front(void **state)
{
    (void)state;
    struct packet packet = read_with(&rules, "2[\"message\",1,\"2\",{\"3\":[true]}]");
    assert_int_equal(packet.type, PACKET_EVENT);
    assert_false(packet.has_id);
    assert_int_equal(json_array_size(packet.json), 4);
    assert_span(packet.text, "[\"message\",1,\"2\",{\"3\":[true]}]");
    packet_fini(&packet);
    packet = read_with(&rules, "2[1]"); /* names may be numbers */
    packet_fini(&packet);
    packet = read_with(&rules, "2[\"error\"]"); /* not among the reserved ones */
    packet_fini(&packet);
    refused("2", ERR_BAD_REQUEST);
    refused("2{}", ERR_BAD_REQUEST);
    refused("2[]", ERR_BAD_REQUEST);
    refused("2[{}]", ERR_BAD_REQUEST);
    refused("2[[\"x\"]]", ERR_BAD_REQUEST);
    refused("2[null]", ERR_BAD_REQUEST);
    refused("2[true]", ERR_BAD_REQUEST);
    refused("2abc[\"message\"]", ERR_BAD_JSON);
    refused("2[\"message\"", ERR_BAD_JSON);
    refused("2[\"message\"][]", ERR_BAD_JSON);
}

static void reserved_names_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"connect",       "connect_error", "disconnect",
                                        "disconnecting", "newListener",   "removeListener"};
    char text[64];
    for (size_t i = 0; i < array_len(names); i++) {
        snprintf(text, sizeof(text), "2[\"%s\"]", names[i]);
        refused(text, ERR_BAD_FIELD);
        snprintf(text, sizeof(text), "27[\"%s\",1]", names[i]);
        refused(text, ERR_BAD_FIELD);
    }
    refused("2[\"conn\\u0065ct\"]", ERR_BAD_FIELD);
}

static void a_name_has_a_longest_length(void **state)
{
    (void)state;
    char text[160];
    snprintf(text, sizeof(text), "2[\"%0128d\"]", 0);
    struct packet packet = read_with(&rules, text);
    packet_fini(&packet);
    snprintf(text, sizeof(text), "2[\"%0129d\"]", 0);
    refused(text, ERR_TOO_LARGE);
}

static void a_namespace_has_a_longest_length(void **state)
{
    (void)state;
    char text[PACKET_NSP_MAX + 3];
    snprintf(text, sizeof(text), "0/%0*d", PACKET_NSP_MAX - 1, 0);
    struct packet packet = read_with(&rules, text);
    assert_int_equal(packet.nsp.len, PACKET_NSP_MAX);
    packet_fini(&packet);
    snprintf(text, sizeof(text), "0/%0*d", PACKET_NSP_MAX, 0);
    refused(text, ERR_TOO_LARGE);
}

static void ids_are_64_bits(void **state)
{
    (void)state;
    struct packet packet = read_with(&rules, "2456[\"message-with-ack\"]");
    assert_true(packet.has_id && packet.id == 456);
    packet_fini(&packet);
    packet = read_with(&rules, "3/x,18446744073709551615[]");
    assert_true(packet.has_id && packet.id == UINT64_MAX);
    packet_fini(&packet);
    refused("318446744073709551616[]", ERR_BAD_REQUEST);
    refused("399999999999999999999999[]", ERR_BAD_REQUEST);
    refused("3-1[]", ERR_BAD_JSON);
}

static void an_ack_has_an_id_and_an_array(void **state)
{
    (void)state;
    struct packet packet = read_with(&rules, "30[]");
    assert_int_equal(packet.type, PACKET_ACK);
    packet_fini(&packet);
    refused("3[]", ERR_BAD_REQUEST);
    refused("30", ERR_BAD_REQUEST);
    refused("30{}", ERR_BAD_REQUEST);
    refused("30\"x\"", ERR_BAD_REQUEST);
}

static void a_disconnect_has_nothing(void **state)
{
    (void)state;
    struct packet packet = read_with(&rules, "1/custom,");
    assert_int_equal(packet.type, PACKET_DISCONNECT);
    assert_span(packet.nsp, "/custom");
    packet_fini(&packet);
    refused("1{}", ERR_BAD_REQUEST);
    refused("1/custom,[]", ERR_BAD_REQUEST);
}

static void what_has_no_type_is_no_packet(void **state)
{
    (void)state;
    refused("", ERR_BAD_REQUEST);
    refused("abc", ERR_BAD_REQUEST);
    refused("7", ERR_BAD_REQUEST);
    refused("9[]", ERR_BAD_REQUEST);
    refused(" 2[\"x\"]", ERR_BAD_REQUEST);
    refused("-2", ERR_BAD_REQUEST);
}

static void attachments_are_announced(void **state)
{
    (void)state;
    struct packet packet = read_with(
        &rules, "52-/max,7[\"x\",{\"_placeholder\":true,\"num\":1},[{\"a\":{\"num\":0,\"_placeholder\":true}}]]");
    assert_int_equal(packet.type, PACKET_BINARY_EVENT);
    assert_int_equal(packet.attachments, 2);
    assert_span(packet.nsp, "/max");
    assert_true(packet.has_id && packet.id == 7);
    packet_fini(&packet);
    packet = read_with(&rules, "61-789[{\"_placeholder\":true,\"num\":0}]");
    assert_int_equal(packet.type, PACKET_BINARY_ACK);
    packet_fini(&packet);
    refused("5-1[\"x\"]", ERR_BAD_REQUEST);
    refused("5-[\"x\"]", ERR_BAD_REQUEST);
    refused("51[\"x\"]", ERR_BAD_REQUEST);
    refused("5[\"x\"]", ERR_BAD_REQUEST);
    refused("51e9-[\"x\"]", ERR_BAD_REQUEST);
    refused("51.5-[\"x\"]", ERR_BAD_REQUEST);
    refused("50-[\"x\"]", ERR_BAD_REQUEST);
    refused("500-[\"x\"]", ERR_BAD_REQUEST);
    refused("511-[\"x\"]", ERR_TOO_MANY);
    refused("5999999-[\"x\"]", ERR_TOO_MANY);
    refused("599999999999999999999-[\"x\"]", ERR_BAD_REQUEST);
}

/* A text with its attachments in it, and whether it is taken. */
static void placeholders(const char *text, bool are_good)
{
    struct packet packet = {0};
    enum err err = packet_read(span_of(text), &rules, &packet);
    if (err != (are_good ? OK : ERR_BAD_FIELD))
        fail_msg("%s: %s", text, err_word(err));
    packet_fini(&packet);
}

static void each_attachment_has_one_placeholder(void **state)
{
    (void)state;
    placeholders("51-[\"x\",{\"_placeholder\":true,\"num\":0}]", true);
    placeholders("51-[\"x\"]", false);
    placeholders("52-[\"x\",{\"_placeholder\":true,\"num\":0}]", false);
    placeholders("51-[\"x\",{\"_placeholder\":true,\"num\":1}]", false);
    placeholders("51-[\"x\",{\"_placeholder\":true,\"num\":-1}]", false);
    placeholders("51-[\"x\",{\"_placeholder\":true,\"num\":1.5}]", false);
    placeholders("51-[\"x\",{\"_placeholder\":true,\"num\":0.0}]", false);
    placeholders("51-[\"x\",{\"_placeholder\":true,\"num\":\"0\"}]", false);
    placeholders("51-[\"x\",{\"_placeholder\":true,\"num\":1e9}]", false);
    placeholders("51-[\"x\",{\"_placeholder\":true,\"num\":1000000000}]", false);
    placeholders("51-[\"x\",{\"_placeholder\":true}]", false);
    placeholders("51-[\"x\",{\"_placeholder\":true,\"num\":0,\"more\":1}]", false);
    placeholders("51-[\"x\",{\"_placeholder\":true,\"num\":{\"_placeholder\":true,\"num\":0}}]", false);
    placeholders("52-[\"x\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":0}]", false);
    placeholders("51-[\"x\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":0}]", false);
    placeholders("51-[\"x\",{\"a\":[[{\"b\":{\"_placeholder\":true,\"num\":0}}]]}]", true);
    placeholders("51-[\"x\",{\"_placeholder\":false,\"num\":0},{\"_placeholder\":true,\"num\":0}]", true);
    placeholders("2[\"x\",{\"_placeholder\":true,\"num\":0}]",
                 false); /* a user's own would be taken for one by others */
    placeholders("2[\"x\",{\"_pl\\u0061ceholder\":true,\"num\":0}]", false);
    placeholders("2[\"x\",{\"_placeholder\":1}]", true);
    placeholders("30[{\"_placeholder\":true,\"num\":0}]", false);
}

static void json_is_bounded_and_unambiguous(void **state)
{
    (void)state;
    char text[128] = "2[\"x\",";
    memset(text + 6, '[', 31);
    memset(text + 37, ']', 32);
    struct packet packet = read_with(&rules, text);
    packet_fini(&packet);
    memset(text + 6, '[', 32);
    memset(text + 38, ']', 33);
    refused(text, ERR_BAD_JSON);
    refused("2[\"x\",{\"a\":1,\"a\":2}]", ERR_BAD_JSON);
    refused("2[\"x\",\"\\u0000\"]", ERR_BAD_JSON);
    refused("2[\"x\",\"\\ud800\"]", ERR_BAD_JSON);
    refused("2[\"x\",NaN]", ERR_BAD_JSON);
    refused("2[\"x\",1e999]", ERR_BAD_JSON);
    refused("2[\"x\",\"\xff\"]", ERR_BAD_UTF8);
    refused("2[\"x\",\"\xed\xa0\x80\"]", ERR_BAD_UTF8);
}

static void what_is_written_reads_the_same(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0{\"sid\":\"x\"}",
        "0/custom,{\"sid\":\"x\"}",
        "1/custom,",
        "2[\"auth\",{}]",
        "2/custom,12[\"x\",1.0,{\"b\":1,\"a\":2}]",
        "3456[1,\"2\",{\"3\":[false]}]",
        "52-[\"x\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]",
        "61-/custom,0[{\"_placeholder\":true,\"num\":0}]",
        "4/x,{\"message\":\"Invalid namespace\"}",
    };
    for (size_t i = 0; i < array_len(texts); i++) {
        struct packet packet = read_with(&rules, texts[i]);
        struct buf out = BUF_INIT;
        packet_write(&out, &packet);
        assert_span(buf_span(&out), texts[i]);
        buf_fini(&out);
        packet_fini(&packet);
    }
}

static void an_events_text_is_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *array, *name, *args;
    } cases[] = {
        {"[\"x\"]", "\"x\"", ""},
        {"[\"x\",1,2]", "\"x\"", "1,2"},
        {" [ \"x\" , {\"a\": [1, 2]} , 2 ] ", "\"x\"", "{\"a\": [1, 2]} , 2"},
        {"[\"a\\\",b\",\"]\"]", "\"a\\\",b\"", "\"]\""},
        {"[\"\\\\\",0]", "\"\\\\\"", "0"},
        {"[-1.5e3]", "-1.5e3", ""},
        {"[7,8]", "7", "8"},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        struct span name, args;
        packet_split(span_of(cases[i].array), &name, &args);
        assert_span(name, cases[i].name);
        assert_span(args, cases[i].args);
    }
}

static void placeholders_can_be_taken_out(void **state)
{
    (void)state;
    json_t *array = NULL;
    struct span text =
        SPAN_LITERAL("[\"x\",{\"_placeholder\":true,\"num\":0},"
                     "{\"a\":{\"_placeholder\":true,\"num\":1},\"b\":[{\"_placeholder\":true,\"num\":2},3]}]");
    assert_int_equal(json_parse(text, 32, &array), OK);
    assert_int_equal(placeholders_to_null(array), OK);
    char *out = json_dumps(array, JSON_COMPACT);
    assert_string_equal(out, "[\"x\",null,{\"a\":null,\"b\":[null,3]}]");
    free(out);
    json_decref(array);
}

static void old_clients_get_ascii(void **state)
{
    (void)state;
    static const struct {
        const char *json, *ascii;
    } cases[] = {
        {"", ""},
        {"[\"x\"]", "[\"x\"]"},
        {"[\"\u00e9\"]", "[\"\\u00e9\"]"},
        {"\"\u20acx\uffff\"", "\"\\u20acx\\uffff\""},
        {"\"\U0001f600\U0010ffff\"", "\"\\ud83d\\ude00\\udbff\\udfff\""},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        struct buf out = BUF_INIT;
        packet_add_ascii(&out, span_of(cases[i].json));
        assert_span(buf_span(&out), cases[i].ascii);
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connect_has_a_namespace_and_an_object),
        cmocka_unit_test(old_clients_put_a_query_behind_the_namespace),
        cmocka_unit_test(an_event_is_an_array_with_a_name_in_front),
        cmocka_unit_test(reserved_names_are_refused),
        cmocka_unit_test(a_name_has_a_longest_length),
        cmocka_unit_test(a_namespace_has_a_longest_length),
        cmocka_unit_test(ids_are_64_bits),
        cmocka_unit_test(an_ack_has_an_id_and_an_array),
        cmocka_unit_test(a_disconnect_has_nothing),
        cmocka_unit_test(what_has_no_type_is_no_packet),
        cmocka_unit_test(attachments_are_announced),
        cmocka_unit_test(each_attachment_has_one_placeholder),
        cmocka_unit_test(json_is_bounded_and_unambiguous),
        cmocka_unit_test(what_is_written_reads_the_same),
        cmocka_unit_test(an_events_text_is_taken_apart),
        cmocka_unit_test(placeholders_can_be_taken_out),
        cmocka_unit_test(old_clients_get_ascii),
    };
    return cmocka_run_group_tests_name("socketio_packet", tests, NULL, NULL);
}
