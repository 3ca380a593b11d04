/* SPDX-License-Identifier: MIT */
/* Broadcasts in MessagePack: what every generation of adapters and emitters writes, what is refused, and what we
 * write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "adapters/socketio/msgpack.h"

/* Bytes in hexadecimal; white space between them is for the reader. */
static struct span from_hex(const char *hex)
{
    static char bytes[4096];
    size_t len = 0;
    for (; *hex; hex++) {
        unsigned value;
        if (*hex == ' ')
            continue;
        assert_int_equal(sscanf(hex++, "%2x", &value), 1);
        assert_true(len < sizeof(bytes));
        bytes[len++] = (char)value;
    }
    return (struct span){bytes, len};
}

static struct broadcast *take(struct span bytes)
{
    struct broadcast *broadcast = NULL;
    const char *why = NULL;
    if (broadcast_read(bytes, &broadcast, &why) != OK)
        fail_msg("refused: %s", why);
    return broadcast;
}

static void assert_refused(struct span bytes, const char *words)
{
    struct broadcast *broadcast = NULL;
    const char *why = NULL;
    assert_int_equal(broadcast_read(bytes, &broadcast, &why), ERR_BAD_REQUEST);
    assert_null(broadcast);
    if (!strstr(why, words))
        fail_msg("refused for another reason: %s", why);
}

static void assert_span(struct span span, const char *text)
{
    if (!span_is(span, text))
        fail_msg("%.*s is not %s", (int)span.len, span.data, text);
}

/* The data of ["emitter", {type: 2, data: [<value>], nsp: "/"}, {}]. */
static void assert_value(const char *value_hex, const char *json)
{
    char hex[1024];
    char expected[1024];
    (void)snprintf(hex, sizeof(hex), "93 a7656d6974746572 83 a474797065 02 a464617461 92 a165 %s a36e7370 a12f 80",
                   value_hex);
    (void)snprintf(expected, sizeof(expected), "[\"e\",%s]", json);
    struct broadcast *broadcast = take(from_hex(hex));
    assert_span(broadcast->data, expected);
    broadcast_free(broadcast);
}

static void assert_value_refused(const char *value_hex, const char *words)
{
    char hex[1024];
    (void)snprintf(hex, sizeof(hex), "93 a7656d6974746572 83 a474797065 02 a464617461 92 a165 %s a36e7370 a12f 80",
                   value_hex);
    assert_refused(from_hex(hex), words);
}

/* --- recorded: emit('update', {id, big, neg, pi, nan, none, gone: undefined, ok, ключ}, 40 × x, [1, undefined], a
 * buffer, …) --- */

#define FORTY_X "78787878787878787878787878787878787878787878787878787878787878787878787878787878"
#define OBJECT_TO_NONE(big)                                                                                            \
    "a2696401 a3626967" big " a36e6567f9 a27069cb400c000000000000 a36e616ecb7ff8000000000000 a46e6f6e65c0"
#define OBJECT_FROM_OK "a26f6bc3 a8d0bad0bbd18ed187a6e697a5e69cac"
#define BIG_AS_FLOAT "cb41f0000000000000"
#define BIG_AS_INT "cf0000000100000000"

static const char forty_x[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/* What all of them mean; `more` follows. */
static void assert_recorded(const struct broadcast *broadcast, const char *gone, const char *more)
{
    char expected[512];
    (void)snprintf(
        expected, sizeof(expected),
        "[\"update\",{\"id\":1,\"big\":4294967296,\"neg\":-7,\"pi\":3.5,\"nan\":null,\"none\":null%s,\"ok\":true,"
        "\"ключ\":\"日本\"},\"%s\",[1,null],{\"_placeholder\":true,\"num\":0}%s]",
        gone, forty_x, more);
    assert_span(broadcast->data, expected);
    assert_span(broadcast->nsp, "/");
    assert_true(broadcast->attachment_count > 0);
    assert_span(blob_span(broadcast->attachments[0]), "\1\2\3");
}

static void emitter_0_2_says_nothing_of_itself(void **state)
{
    (void)state;
    struct broadcast *broadcast = take(from_hex("92 83 a47479706505 a464617461 95 a6757064617465 89" OBJECT_TO_NONE(
        BIG_AS_FLOAT) "a4676f6e65c4" OBJECT_FROM_OK "da0028" FORTY_X
                      "9201c4 d80003010203 a36e7370a12f 82 a5726f6f6d73 92a16101 "
                      "a5666c616773 81a8766f6c6174696c65c3"));
    assert_recorded(broadcast, "", "");
    assert_null(broadcast->uid.data);
    assert_true(broadcast->is_volatile);
    assert_int_equal(broadcast->audience.room_count, 2);
    assert_span(broadcast->audience.rooms[0], "a");
    assert_span(broadcast->audience.rooms[1], "1");
    assert_int_equal(broadcast->audience.except_count, 0);
    broadcast_free(broadcast);
}

static const char date_and_array[] = ",\"2014-12-01T09:30:00.123Z\",{\"_placeholder\":true,\"num\":1}";

static void assert_of_emitter(struct broadcast *broadcast, const char *gone)
{
    assert_recorded(broadcast, gone, date_and_array);
    assert_span(broadcast->uid, "emitter");
    assert_int_equal(broadcast->attachment_count, 2);
    assert_span(blob_span(broadcast->attachments[1]), "\t\10");
    assert_int_equal(broadcast->audience.room_count, 1);
    assert_false(broadcast->is_volatile);
    broadcast_free(broadcast);
}

#define EMITTER(type) "93 a7656d6974746572 83 a474797065" type "a464617461 97 a6757064617465"
#define STRING_TO_BUFFER(undefined) "d928" FORTY_X "9201" undefined "c403010203"
#define NSP_AND_ROOM "a36e7370a12f 82 a5726f6f6d7391a161 a5666c61677380"

static void msgpack_lite_is_read(void **state)
{
    (void)state;
    assert_of_emitter(
        take(from_hex(EMITTER("05") "89" OBJECT_TO_NONE(BIG_AS_FLOAT) "a4676f6e65c0" OBJECT_FROM_OK STRING_TO_BUFFER(
            "c0") "c7090dcb4274a052f663b000 d5120908" NSP_AND_ROOM)),
        ",\"gone\":null");
}

static void notepack_2_is_read(void **state)
{
    (void)state;
    assert_of_emitter(
        take(from_hex(EMITTER("02") "89" OBJECT_TO_NONE(BIG_AS_INT) "a4676f6e65d40000" OBJECT_FROM_OK STRING_TO_BUFFER(
            "d40000") "d7000000014a052f663b c702000908" NSP_AND_ROOM)),
        "");
}

static void notepack_3_is_read_with_except(void **state)
{
    (void)state;
    struct broadcast *broadcast = take(from_hex(EMITTER("02") "88" OBJECT_TO_NONE(
        BIG_AS_INT) OBJECT_FROM_OK STRING_TO_BUFFER("c0") "d7ff1d535300547c3518 c4020908 a36e7370a12f 83 "
                                                          "a5726f6f6d7391a161 a5666c61677380 a665786365707491a162"));
    assert_int_equal(broadcast->audience.except_count, 1);
    assert_span(broadcast->audience.except[0], "b");
    assert_of_emitter(broadcast, "");
}

/* 0xd8 0x00 0x0f and 15 bytes are as long in the standard dialect, and mean an extension that nobody writes. */
static void an_old_buffer_that_fits_the_new_dialect_is_one(void **state)
{
    (void)state;
    struct broadcast *broadcast =
        take(from_hex("93 a7656d6974746572 83 a47479706505 a464617461 92a161 "
                      "d8000f070707070707070707070707070707 a36e7370a22f78 82 a5726f6f6d7390 a5666c61677380"));
    assert_span(broadcast->data, "[\"a\",{\"_placeholder\":true,\"num\":0}]");
    assert_span(broadcast->nsp, "/x");
    assert_int_equal(broadcast->attachments[0]->len, 15);
    broadcast_free(broadcast);
}

static void a_long_old_buffer_is_read(void **state)
{
    (void)state;
    struct span head = from_hex("93 a7656d6974746572 82 a47479706505 a464617461 92a161 d900011170");
    struct buf bytes = BUF_INIT;
    buf_add(&bytes, head);
    for (int i = 0; i < 70000; i++)
        buf_add_char(&bytes, 7);
    buf_add_char(&bytes, (char)0x80);
    struct broadcast *broadcast = take(buf_span(&bytes));
    assert_int_equal(broadcast->attachments[0]->len, 70000);
    assert_span(broadcast->nsp, "/");
    broadcast_free(broadcast);
    buf_fini(&bytes);
}

/* --- values ----------------------------------------------------------------------------------------------------- */

static void values_become_what_javascript_makes_of_them(void **state)
{
    (void)state;
    static const struct {
        const char *hex, *json;
    } values[] = {
        {"7f", "127"},
        {"e0", "-32"},
        {"ccff", "255"},
        {"cdffff", "65535"},
        {"ceffffffff", "4294967295"},
        {"cf7fffffffffffffff", "9223372036854775807"},
        {"cf8000000000000000", "9223372036854775808"},
        {"cfffffffffffffffff", "18446744073709551615"},
        {"d080", "-128"},
        {"d18000", "-32768"},
        {"d280000000", "-2147483648"},
        {"d38000000000000000", "-9223372036854775808"},
        {"ca3fc00000", "1.5"},
        {"cb3fb999999999999a", "0.1"},
        {"cb8000000000000000", "0"},
        {"cb4014000000000000", "5"},
        {"cb7ff0000000000000", "null"},
        {"cb7ff8000000000001", "null"},
        {"c2", "false"},
        {"a0", "\"\""},
        {"a3220a5c", "\"\\\"\\n\\\\\""},
        {"90", "[]"},
        {"80", "{}"},
        {"82a16180a162d40000", "{\"a\":{}}"},
        {"82a161d40000a16201", "{\"b\":1}"},
        {"d40000", "null"},
    };
    for (size_t i = 0; i < array_len(values); i++)
        assert_value(values[i].hex, values[i].json);
}

static void dates_of_all_kinds_are_iso_texts(void **state)
{
    (void)state;
    assert_value("d7000000000000000000", "\"1970-01-01T00:00:00.000Z\"");
    assert_value("d700ffffffffffffffff", "\"1969-12-31T23:59:59.999Z\"");
    assert_value("d7000000e677d21fdbff", "\"9999-12-31T23:59:59.999Z\"");
    assert_value("d7000000e677d21fdc00", "\"+010000-01-01T00:00:00.000Z\"");
    assert_value("d700ffffc77590fb9fff", "\"-000001-12-31T23:59:59.999Z\"");
    assert_value("d7007fffffffffffffff", "null");
    assert_value("d6ff00000001", "\"1970-01-01T00:00:01.000Z\"");
    assert_value("c70cff 00000000 ffffffffffffffff", "\"1969-12-31T23:59:59.000Z\"");
    assert_value("c7090dcb7ff8000000000000", "null");
    assert_value("d40d05", "\"1970-01-01T00:00:00.005Z\"");
}

static void attachments_are_counted(void **state)
{
    (void)state;
    assert_value(
        "9a c400c400c400c400c400c400c400c400c400c400",
        "[{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1},{\"_placeholder\":true,\"num\":2},"
        "{\"_placeholder\":true,\"num\":3},{\"_placeholder\":true,\"num\":4},{\"_placeholder\":true,\"num\":5},"
        "{\"_placeholder\":true,\"num\":6},{\"_placeholder\":true,\"num\":7},{\"_placeholder\":true,\"num\":8},"
        "{\"_placeholder\":true,\"num\":9}]");
    assert_value_refused("9b c400c400c400c400c400c400c400c400c400c400c400", "too many attachments");
    assert_value_refused("82 ac5f706c616365686f6c646572c3 a36e756d00", "placeholder");
    assert_value("81 ac5f706c616365686f6c64657201", "{\"_placeholder\":1}");
}

/* --- what is refused -------------------------------------------------------------------------------------------- */

static void counts_beyond_the_bytes_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "dd ffffffff",        "df ffffffff", "dc ffff", "de ffff", "9f", "8f", "93 a161 dd 40000000 00",
        "93 9300 9300 930000"};
    for (size_t i = 0; i < array_len(bad); i++)
        assert_refused(from_hex(bad[i]), "more items");
    static const char *const cut[] = {"",   "93 a7656d", "db ffffffff 61", "c6 ffffffff 61", "c9 ffffffff 00",
                                      "d9", "da 00",     "91 cb 00"};
    for (size_t i = 0; i < array_len(cut); i++)
        assert_refused(from_hex(cut[i]), "cut off");
}

/* The levels around a value are the message, the packet and its data. */
static void nesting_ends_at_32_levels(void **state)
{
    (void)state;
    char hex[256] = "";
    char json[256] = "";
    for (int i = 0; i < 29; i++) {
        (void)strcat(hex, "91");
        (void)strcat(json, "[");
    }
    (void)strcat(hex, "01");
    (void)strcat(json, "1");
    for (int i = 0; i < 29; i++)
        (void)strcat(json, "]");
    assert_value(hex, json);
    memmove(hex + 2, hex, strlen(hex) + 1);
    assert_value_refused(hex, "nested too deeply");
    (void)memcpy(hex + strlen(hex) - 2, "90", 2);
    assert_value_refused(hex, "nested too deeply");
}

static void a_million_values_are_enough(void **state)
{
    (void)state;
    struct buf bytes = BUF_INIT;
    buf_add(&bytes, from_hex("dd 000f4240"));
    for (int i = 0; i < MSGPACK_VALUES_MAX; i++)
        buf_add_char(&bytes, 0);
    assert_refused(buf_span(&bytes), "too many values");
    buf_fini(&bytes);
}

static void unsound_values_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *hex, *words;
    } bad[] = {
        {"c1", "begins nothing"},   {"81 01 01", "key"},
        {"81 c0 01", "key"},        {"81 90 01", "key"},
        {"81 c40161 01", "key"},    {"a1ff", "UTF-8"},
        {"a3eda080", "UTF-8"},      {"a2c080", "UTF-8"},
        {"a100", "zero byte"},      {"81 a1ff 01", "UTF-8"},
        {"d47f 00", "extension"},   {"d480 00", "extension"},
        {"d5ff 0000", "extension"}, {"d800 00000000000000000000000000000000", "extension"},
    };
    for (size_t i = 0; i < array_len(bad); i++)
        assert_value_refused(bad[i].hex, bad[i].words);
}

static void other_messages_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *hex, *words;
    } bad[] = {
        {"01", "not a uid"},
        {"80", "not a uid"},
        {"90", "not a uid"},
        {"91 a161", "not a uid"},
        {"93 01 80 80", "not a uid"},
        {"93 a161 80 80 00", "behind"},
        {"94 a161 80 80 00", "not a uid"},
        {"92 90 80", "no map"},
        {"92 80 80", "no event"},
        {"92 82 a474797065 03 a464617461 91a165 80", "no event"},
        {"92 82 a474797065 02 a464617461 90 80", "no event"},
        {"92 82 a474797065 02 a464617461 80 80", "no event"},
        {"92 82 a474797065 02 a464617461 91c0 80", "no event"},
        {"92 83 a474797065 02 a464617461 91a165 a36e737001 80", "no event"},
        {"92 83 a474797065 02 a464617461 91a165 a46461746191a165 80", "twice"},
        {"92 82 a474797065 02 a464617461 91a165 90", "options"},
        {"92 82 a474797065 02 a464617461 91a165 81 a5726f6f6d73 a161", "no list"},
        {"92 82 a474797065 02 a464617461 91a165 81 a5726f6f6d73 91c3", "neither"},
    };
    for (size_t i = 0; i < array_len(bad); i++)
        assert_refused(from_hex(bad[i].hex), bad[i].words);
}

static void what_may_be_missing_is_not_missed(void **state)
{
    (void)state;
    struct broadcast *broadcast = take(from_hex("92 82 a474797065 02 a464617461 91a165 c0"));
    assert_span(broadcast->nsp, "/");
    assert_int_equal(broadcast->audience.room_count + broadcast->audience.except_count, 0);
    broadcast_free(broadcast);
    broadcast = take(from_hex("92 82 a474797065 02 a464617461 91a165 82 a5726f6f6d73 c0 a6657863657074 80"));
    assert_int_equal(broadcast->audience.room_count + broadcast->audience.except_count, 0);
    broadcast_free(broadcast);
    broadcast = take(from_hex("92 82 a474797065 02 a464617461 9107 81 a5726f6f6d73 93 f9 cd0400 cb3ff8000000000000"));
    assert_span(broadcast->data, "[7]");
    assert_span(broadcast->audience.rooms[0], "-7");
    assert_span(broadcast->audience.rooms[1], "1024");
    assert_span(broadcast->audience.rooms[2], "1.5");
    broadcast_free(broadcast);
}

/* --- writing ---------------------------------------------------------------------------------------------------- */

/* Just as @socket.io/redis-adapter 8 writes it. */
static void a_written_broadcast_is_standard(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    const struct span rooms[] = {SPAN_LITERAL("a")};
    struct broadcast broadcast = {
        .uid = SPAN_LITERAL("node"),
        .nsp = SPAN_LITERAL("/x"),
        .data = SPAN_LITERAL("[\"e\", 1, -1, 2.5, true, null, {\"_placeholder\": true, \"num\": 0}]"),
        .attachments = {blob_copy(SPAN_LITERAL("\1\2"))},
        .attachment_count = 1,
        .audience = {rooms, 1, NULL, 0},
        .is_volatile = true,
    };
    assert_int_equal(broadcast_write(&out, &broadcast), OK);
    struct span expected =
        from_hex("93 a46e6f6465 83 a47479706502 a464617461 97 a165 01 ff cb4004000000000000 c3 c0 c4020102 "
                 "a36e7370 a22f78 83 a5726f6f6d73 91a161 a6657863657074 90 a5666c616773 81 a8766f6c6174696c65 c3");
    assert_true(span_equal(buf_span(&out), expected));
    assert_true(broadcast_is_of(buf_span(&out), SPAN_LITERAL("node")));
    assert_false(broadcast_is_of(buf_span(&out), SPAN_LITERAL("nod")));
    assert_false(broadcast_is_of(buf_span(&out), SPAN_LITERAL("nodes")));
    assert_false(broadcast_is_of((struct span){out.data, 4}, SPAN_LITERAL("node")));
    buf_fini(&out);
    blob_unref(broadcast.attachments[0]);
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    static const char *const data[] = {
        "[\"e\"]",
        "[\"e\",{\"a\":[1,2.5,\"ж\",[],{}],\"b\":{\"c\":null}},9223372036854775807,-9223372036854775808]",
        "[\"e\",[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
        "[\"e\",{\"_placeholder\":\"mine\"},{\"num\":0}]",
        "[\"e\",\"0123456789012345678901234567890123456789\"]",
    };
    for (size_t i = 0; i < array_len(data); i++) {
        struct buf out = BUF_INIT;
        struct broadcast broadcast = {.uid = SPAN_LITERAL("u"), .nsp = SPAN_LITERAL("/"), .data = span_of(data[i])};
        assert_int_equal(broadcast_write(&out, &broadcast), OK);
        struct broadcast *again = take(buf_span(&out));
        assert_span(again->data, data[i]);
        assert_span(again->uid, "u");
        broadcast_free(again);
        buf_fini(&out);
    }
}

static void what_others_could_not_read_is_not_written(void **state)
{
    (void)state;
    static const char *const bad[] = {"[\"e\",[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", "[",
                                      "[1e999]"};
    for (size_t i = 0; i < array_len(bad); i++) {
        struct buf out = BUF_INIT;
        struct broadcast broadcast = {.uid = SPAN_LITERAL("u"), .nsp = SPAN_LITERAL("/"), .data = span_of(bad[i])};
        assert_int_equal(broadcast_write(&out, &broadcast), ERR_BAD_JSON);
        buf_fini(&out);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(emitter_0_2_says_nothing_of_itself),
        cmocka_unit_test(msgpack_lite_is_read),
        cmocka_unit_test(notepack_2_is_read),
        cmocka_unit_test(notepack_3_is_read_with_except),
        cmocka_unit_test(an_old_buffer_that_fits_the_new_dialect_is_one),
        cmocka_unit_test(a_long_old_buffer_is_read),
        cmocka_unit_test(values_become_what_javascript_makes_of_them),
        cmocka_unit_test(dates_of_all_kinds_are_iso_texts),
        cmocka_unit_test(attachments_are_counted),
        cmocka_unit_test(counts_beyond_the_bytes_are_refused),
        cmocka_unit_test(nesting_ends_at_32_levels),
        cmocka_unit_test(a_million_values_are_enough),
        cmocka_unit_test(unsound_values_are_refused),
        cmocka_unit_test(other_messages_are_refused),
        cmocka_unit_test(what_may_be_missing_is_not_missed),
        cmocka_unit_test(a_written_broadcast_is_standard),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(what_others_could_not_read_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
