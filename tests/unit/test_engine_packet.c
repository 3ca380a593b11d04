/* SPDX-License-Identifier: MIT */
/* Packets and payloads of Engine.IO: what is read, what is refused, and that what is written is what its clients
 * read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/socketio/engine_packet.h"

#define BYTES(literal) ((struct span){(literal), sizeof(literal) - 1})
#define SEP "\x1e"

/* Puts a payload in one line: `4:hello` a text packet with its type, `4#0102` a binary one in hexadecimal, each
 * followed by a bar; `!bad`, `!many`, `!memory` how it ended, if not well. */
static const char *read_all(struct engine_wire *wire, struct span body, bool is_binary, uint32_t packets_max)
{
    static char line[4096];
    struct engine_payload payload;
    struct engine_packet packet;
    enum err err = engine_payload_begin(&payload, wire, body, is_binary, packets_max);
    char *at = line;
    *at = '\0';
    if (!err) {
        while (engine_payload_next(&payload, &packet, &err)) {
            at += sprintf(at, "%u%c", packet.type, packet.is_text ? ':' : '#');
            for (size_t i = 0; i < packet.data.len; i++)
                at += sprintf(at, packet.is_text ? "%c" : "%02x", (unsigned char)packet.data.data[i]);
            at += sprintf(at, "|");
        }
        engine_payload_end(&payload);
    }
    if (err)
        (void)sprintf(at, "%s", err == ERR_TOO_MANY ? "!many" : err == ERR_NO_MEMORY ? "!memory" : "!bad");
    return line;
}

static const char *read_text_of(enum engine_revision revision, struct span body)
{
    struct engine_wire wire = {.revision = revision};
    return read_all(&wire, body, false, 100);
}

static const char *read_binary_of(struct span body)
{
    struct engine_wire wire = {.revision = ENGINE_3};
    return read_all(&wire, body, true, 100);
}

struct example {
    const char *name;
    struct span body;
    const char *meaning;
};

static void check_examples(enum engine_revision revision, const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *meaning = read_text_of(revision, examples[i].body);
        if (strcmp(meaning, examples[i].meaning) != 0)
            fail_msg("%s: %s instead of %s", examples[i].name, meaning, examples[i].meaning);
    }
}

/* --- payloads in */

static void payloads_of_revision_4(void **state unused_arg)
{
    static const struct example examples[] = {
        {"one", BYTES("4hello"), "4:hello|"},
        {"three", BYTES("4a" SEP "2" SEP "4b"), "4:a|2:|4:b|"},
        {"base64", BYTES("4hello" SEP "bAQIDBA=="), "4:hello|4#01020304|"},
        {"no bytes in base64", BYTES("b"), "4#|"},
        {"empty message", BYTES("4"), "4:|"},
        {"all types", BYTES("0" SEP "1" SEP "2" SEP "3" SEP "4" SEP "5" SEP "6"), "0:|1:|2:|3:|4:|5:|6:|"},
        {"characters of every length", BYTES("4aé€😀"), "4:aé€😀|"},
        {"a NUL", BYTES("4a\0b"), "4:a"},
        {"nothing", BYTES(""), "!bad"},
        {"a separator", BYTES(SEP), "!bad"},
        {"a separator at the end", BYTES("4a" SEP), "4:a|!bad"},
        {"type 7", BYTES("7"), "!bad"},
        {"type :", BYTES(":"), "!bad"},
        {"type -", BYTES("-"), "!bad"},
        {"good before bad", BYTES("4a" SEP "abc" SEP "4b"), "4:a|!bad"},
        {"base64 with a stranger", BYTES("bAQ.DBA=="), "!bad"},
        {"base64 cut", BYTES("bAQIDB"), "!bad"},
        {"base64 with bits left over", BYTES("bAQIDBB=="), "!bad"},
        {"base64 and more", BYTES("bAQ==AQ=="), "!bad"},
        {"byte order mark",
         BYTES("\xef\xbb\xbf"
               "4a"),
         "!bad"},
        {"gzip", BYTES("\x1f\x8b\x08\x00"), "!bad"},
        {"a surrogate", BYTES("4\xed\xa0\x80"), "!bad"},
        {"cut UTF-8", BYTES("4a\xe2\x82"), "!bad"},
    };
    check_examples(ENGINE_4, examples, array_len(examples));
}

static void payloads_of_revision_3(void **state unused_arg)
{
    static const struct example examples[] = {
        {"one", BYTES("6:4hello"), "4:hello|"},
        {"three", BYTES("2:4a1:22:4b"), "4:a|2:|4:b|"},
        {"base64", BYTES("6:4hello10:b4AQIDBA=="), "4:hello|4#01020304|"},
        {"lengths in UTF-16", BYTES("3:4€a3:4😀1:2"), "4:€a|4:😀|2:|"},
        {"no packets", BYTES("0:"), ""},
        {"an empty one among others", BYTES("2:4a0:2:4b"), "4:a|4:b|"},
        {"leading zeros", BYTES("002:4a"), "4:a|"},
        {"probe", BYTES("6:2probe"), "2:probe|"},
        {"nothing", BYTES(""), "!bad"},
        {"no length", BYTES("4hello"), "!bad"},
        {"length only", BYTES("6"), "!bad"},
        {"no digits", BYTES(":4a"), "!bad"},
        {"negative", BYTES("-1:4a"), "!bad"},
        {"exponent", BYTES("1e3:4a"), "!bad"},
        {"signed", BYTES("+2:4a"), "!bad"},
        {"too long", BYTES("5:4€"), "!bad"},
        {"eleven digits", BYTES("99999999999:4a"), "!bad"},
        {"ten digits", BYTES("9999999999:4a"), "!bad"},
        {"half a character", BYTES("2:4😀"), "!bad"},
        {"trailing digits", BYTES("2:4a12"), "4:a|!bad"},
        {"type 7", BYTES("1:7"), "!bad"},
        {"base64 without a type", BYTES("5:bAQ=="), "!bad"},
        {"base64 of type 9", BYTES("6:b9AQ=="), "!bad"},
        {"not UTF-8", BYTES("2:4\xff"), "!bad"},
    };
    check_examples(ENGINE_3, examples, array_len(examples));
    check_examples(ENGINE_2, examples, array_len(examples));
}

static void payloads_in_the_binary_form(void **state unused_arg)
{
    assert_string_equal(read_binary_of(BYTES("\0\6\xff"
                                             "4hello\1\5\xff\4\1\2\3\4")),
                        "4:hello|4#01020304|");
    assert_string_equal(read_binary_of(BYTES("\0\1\2\xff"
                                             "4 eleven long")),
                        "4: eleven lon|!bad");
    assert_string_equal(read_binary_of(BYTES("\0\3\xff"
                                             "4é")),
                        "4:é|");
    static const struct example bad[] = {
        {"no kind",
         BYTES("\2\1\xff"
               "4"),
         NULL},
        {"no length",
         BYTES("\0\xff"
               "4"),
         NULL},
        {"no end of the length", BYTES("\0\1\1\1\1\1\1\1\1\1\1\1"), NULL},
        {"digit above nine",
         BYTES("\0\12\xff"
               "4"),
         NULL},
        {"too long",
         BYTES("\0\3\xff"
               "4"),
         NULL},
        {"text that is none",
         BYTES("\0\2\xff"
               "4\xff"),
         NULL},
        {"nothing in it", BYTES("\0\0\xff"), NULL},
        {"a type that is none", BYTES("\1\1\xff\7"), NULL},
    };
    for (size_t i = 0; i < array_len(bad); i++)
        if (strcmp(read_binary_of(bad[i].body), "!bad") != 0)
            fail_msg("%s was taken", bad[i].name);
}

static void a_header_of_400_digits_is_refused(void **state unused_arg)
{
    char body[404];
    memset(body, 1, sizeof(body));
    body[0] = 0;
    body[401] = (char)0xff;
    assert_string_equal(read_binary_of((struct span){body, sizeof(body)}), "!bad");
    memset(body, '1', sizeof(body));
    assert_string_equal(read_text_of(ENGINE_3, (struct span){body, sizeof(body)}), "!bad");
}

static void revision_4_has_no_binary_form(void **state unused_arg)
{
    struct engine_wire wire = {.revision = ENGINE_4};
    assert_string_equal(read_all(&wire,
                                 BYTES("\0\1\xff"
                                       "4"),
                                 true, 10),
                        "!bad");
}

static void packets_are_counted(void **state unused_arg)
{
    struct engine_wire wire = {.revision = ENGINE_4};
    assert_string_equal(read_all(&wire, BYTES("4" SEP "4" SEP "4"), false, 3), "4:|4:|4:|");
    assert_string_equal(read_all(&wire, BYTES("4" SEP "4" SEP "4"), false, 2), "4:|4:|!many");
    wire.revision = ENGINE_3;
    assert_string_equal(read_all(&wire, BYTES("0:0:0:1:2"), false, 3), "!many");
}

/* What clients of Socket.IO 1.x send for `4é` and `4😀`. */
static void doubled_utf8_is_seen_and_undone(void **state unused_arg)
{
    struct engine_wire wire = {.revision = ENGINE_3};
    assert_string_equal(read_all(&wire, BYTES("2:4a"), false, 9), "4:a|");
    assert_false(wire.doubled);
    assert_string_equal(read_all(&wire, BYTES("3:4\xc3\x83\xc2\xa9"), false, 9), "4:é|");
    assert_true(wire.doubled);
    assert_string_equal(read_all(&wire, BYTES("2:4a"), false, 9), "4:a|");
    assert_true(wire.doubled);
    assert_string_equal(read_all(&wire, BYTES("5:4\xc3\xb0\xc2\x9f\xc2\x98\xc2\x80"), false, 9), "4:😀|");
    assert_string_equal(read_all(&wire, BYTES("2:4é"), false, 9), "4:é|");
    assert_false(wire.doubled);
    assert_string_equal(read_all(&wire, BYTES("3:4Ã€"), false, 9), "4:Ã€|");
    assert_false(wire.doubled);
}

/* --- packets of WebSocket frames */

static void packets_of_frames(void **state unused_arg)
{
    struct engine_room room = {0};
    struct engine_packet packet;
    assert_int_equal(engine_packet_read(ENGINE_4, BYTES("\1\2"), false, &room, &packet), OK);
    assert_true(packet.type == ENGINE_PACKET_MESSAGE && !packet.is_text && packet.data.len == 2);
    assert_int_equal(engine_packet_read(ENGINE_4, BYTES(""), false, &room, &packet), OK);
    assert_int_equal(engine_packet_read(ENGINE_4, BYTES(""), true, &room, &packet), ERR_BAD_REQUEST);
    assert_int_equal(engine_packet_read(ENGINE_3, BYTES(""), false, &room, &packet), ERR_BAD_REQUEST);
    assert_int_equal(engine_packet_read(ENGINE_3, BYTES("\7"), false, &room, &packet), ERR_BAD_REQUEST);
    assert_int_equal(engine_packet_read(ENGINE_3, BYTES("\4\1"), false, &room, &packet), OK);
    assert_true(packet.type == ENGINE_PACKET_MESSAGE && packet.data.len == 1 && packet.data.data[0] == 1);
    assert_int_equal(engine_packet_read(ENGINE_3, BYTES("b4AQI="), true, &room, &packet), OK);
    assert_true(!packet.is_text && packet.data.len == 2 && packet.data.data[1] == 2);
    assert_int_equal(engine_packet_read(ENGINE_4, BYTES("2probe"), true, &room, &packet), OK);
    assert_true(packet.type == ENGINE_PACKET_PING && span_is(packet.data, "probe"));
    engine_room_fini(&room);
}

/* --- payloads out */

static const struct engine_piece pieces[] = {
    {{"4hé😀", 8}, true},
    {{"\4\1\2\3\4", 5}, false}, /* as revision 3 has it */
    {{"2", 1}, true},
};

static struct buf write_pieces(const struct engine_wire *wire, size_t count)
{
    struct buf out = BUF_INIT;
    bool is_binary = false;
    for (size_t i = 0; i < count; i++)
        is_binary |= engine_piece_is_binary(wire, pieces[i]);
    for (size_t i = 0; i < count; i++)
        engine_payload_add(&out, wire, is_binary, pieces[i]);
    return out;
}

static void check_written(struct engine_wire wire, size_t count, struct span expected)
{
    struct buf out = write_pieces(&wire, count);
    assert_int_equal(out.len, expected.len);
    assert_memory_equal(out.data, expected.data, expected.len);
    buf_fini(&out);
}

static void payloads_are_written_in_each_form(void **state unused_arg)
{
    check_written((struct engine_wire){.revision = ENGINE_4}, 3, BYTES("4hé😀" SEP "bBAECAwQ=" SEP "2"));
    check_written((struct engine_wire){.revision = ENGINE_3}, 1, BYTES("5:4hé😀"));
    check_written((struct engine_wire){.revision = ENGINE_3, .base64 = true}, 3, BYTES("5:4hé😀10:b4AQIDBA==1:2"));
    check_written((struct engine_wire){.revision = ENGINE_3}, 3,
                  BYTES("\0\x08\xff"
                        "4hé😀\1\5\xff\4\1\2\3\4\0\1\xff"
                        "2"));
    check_written((struct engine_wire){.revision = ENGINE_3, .doubled = true}, 1,
                  BYTES("8:4h\xc3\x83\xc2\xa9\xc3\xb0\xc2\x9f\xc2\x98\xc2\x80"));
}

/* Binary of every length, so that each kind of padding and of length is met. */
static void what_is_written_can_be_read(void **state unused_arg)
{
    static const struct engine_wire wires[] = {
        {.revision = ENGINE_4}, {.revision = ENGINE_3}, {.revision = ENGINE_3, .base64 = true}};
    char bytes[1201];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 7);
    bytes[0] = ENGINE_PACKET_MESSAGE;
    for (size_t w = 0; w < array_len(wires); w++)
        for (size_t len = 1; len <= sizeof(bytes); len += len < 20 ? 1 : 97) {
            struct engine_wire wire = wires[w];
            struct engine_piece piece = {{bytes, len}, false};
            struct engine_payload payload;
            struct engine_packet packet;
            struct buf out = BUF_INIT;
            enum err err;
            bool is_binary = engine_piece_is_binary(&wire, piece);
            size_t head = wire.revision == ENGINE_4 ? 0 : 1;
            engine_payload_add(&out, &wire, is_binary, piece);
            assert_int_equal(engine_payload_begin(&payload, &wire, buf_span(&out), is_binary, 2), OK);
            assert_true(engine_payload_next(&payload, &packet, &err));
            assert_int_equal(packet.data.len, len - head);
            assert_memory_equal(packet.data.data, bytes + head, len - head);
            assert_false(engine_payload_next(&payload, &packet, &err));
            assert_int_equal(err, OK);
            engine_payload_end(&payload);
            buf_fini(&out);
        }
}

/* --- JSONP */

static void scripts_hold_only_digits_of_the_callback(void **state unused_arg)
{
    static const struct {
        const char *j, *script;
    } examples[] = {
        {"0", "___eio[0](\"4a\\\"\\u2028\\u003c/script\\u003e\");"},
        {"1);alert(1)//", "___eio[11](\"4a\\\"\\u2028\\u003c/script\\u003e\");"},
        {"", "___eio[](\"4a\\\"\\u2028\\u003c/script\\u003e\");"},
        {"123456789012345", "___eio[1234567890](\"4a\\\"\\u2028\\u003c/script\\u003e\");"},
    };
    for (size_t i = 0; i < array_len(examples); i++) {
        struct buf out = BUF_INIT;
        engine_jsonp_write(&out, span_of(examples[i].j), BYTES("4a\"\xe2\x80\xa8</script>"));
        char *text = buf_take_text(&out);
        assert_string_equal(text, examples[i].script);
        free(text);
    }
}

static void forms_are_restored(void **state unused_arg)
{
    static const char *const examples[][2] = {
        {"a", "a"},       {"a\\nb", "a\nb"}, {"a\\\\nb", "a\\nb"}, {"a\\", "a\\"}, {"\\\\", "\\\\"},
        {"\\tn", "\\tn"}, {"", ""},
    };
    for (size_t i = 0; i < array_len(examples); i++) {
        char text[16];
        (void)strcpy(text, examples[i][0]);
        size_t len = engine_jsonp_restore(text, strlen(text));
        assert_int_equal(len, strlen(examples[i][1]));
        assert_memory_equal(text, examples[i][1], len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payloads_of_revision_4),
        cmocka_unit_test(payloads_of_revision_3),
        cmocka_unit_test(payloads_in_the_binary_form),
        cmocka_unit_test(a_header_of_400_digits_is_refused),
        cmocka_unit_test(revision_4_has_no_binary_form),
        cmocka_unit_test(packets_are_counted),
        cmocka_unit_test(doubled_utf8_is_seen_and_undone),
        cmocka_unit_test(packets_of_frames),
        cmocka_unit_test(payloads_are_written_in_each_form),
        cmocka_unit_test(what_is_written_can_be_read),
        cmocka_unit_test(scripts_hold_only_digits_of_the_callback),
        cmocka_unit_test(forms_are_restored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
