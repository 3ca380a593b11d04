/* SPDX-License-Identifier: MIT */
/* Bufs grow, remember a failure, and write JSON strings that survive a parser, a script and a line protocol. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"

static void assert_json(const char *text, const char *json)
{
    struct buf buf = BUF_INIT;
    buf_add_json(&buf, span_of(text));
    assert_true(span_is(buf_span(&buf), json));
    buf_fini(&buf);
}

static void what_is_added_is_there_in_order(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    buf_add(&buf, SPAN_LITERAL("a\0b"));
    buf_add_text(&buf, "cd");
    buf_add_char(&buf, '-');
    buf_printf(&buf, "%s %d", "n", 42);
    assert_true(span_equal(buf_span(&buf), SPAN_LITERAL("a\0bcd-n 42")));
    buf_fini(&buf);
}

static void it_grows_far_beyond_its_first_size(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    for (int i = 0; i < 100000; i++)
        buf_printf(&buf, "%05d ", i);
    assert_false(buf_failed(&buf));
    assert_int_equal(buf.len, 600000);
    assert_memory_equal(buf.data + 6 * 54321, "54321 ", 6);
    buf_fini(&buf);
}

static void a_printed_text_may_be_longer_than_the_memory_it_had(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    buf_printf(&buf, "%*d", 5000, 7);
    assert_int_equal(buf.len, 5000);
    assert_int_equal(buf.data[4999], '7');
    buf_fini(&buf);
}

static void reset_forgets_but_keeps_the_memory(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    buf_add_text(&buf, "before");
    const char *memory = buf.data;
    buf_reset(&buf);
    buf_add_text(&buf, "after");
    assert_ptr_equal(buf.data, memory);
    assert_true(span_is(buf_span(&buf), "after"));
    buf_fini(&buf);
}

static void text_is_taken_out_with_its_end(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    buf_add_text(&buf, "taken");
    char *text = buf_take_text(&buf);
    assert_string_equal(text, "taken");
    assert_null(buf.data);
    free(text);

    text = buf_take_text(&buf);
    assert_string_equal(text, "");
    free(text);
}

static void a_blob_is_a_copy(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    buf_add_text(&buf, "shared");
    struct blob *blob = buf_blob(&buf);
    buf_fini(&buf);
    assert_non_null(blob);
    assert_true(span_is(blob_span(blob), "shared"));
    blob_unref(blob);
}

/* No machine has so much memory: the buf must say so instead of wrapping around. */
static void add_too_much(struct buf *buf)
{
    buf_add(buf, (struct span){"x", SIZE_MAX / 2});
}

static void a_failure_is_remembered(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    buf_add_text(&buf, "kept");
    add_too_much(&buf);
    buf_add_text(&buf, " lost");
    assert_true(buf_failed(&buf));
    assert_true(span_is(buf_span(&buf), "kept"));
    assert_null(buf_blob(&buf));
    buf_reset(&buf);
    assert_false(buf_failed(&buf));
    buf_fini(&buf);
}

static void after_a_failure_taking_gives_nothing_and_leaves_nothing(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    buf_add_text(&buf, "kept");
    add_too_much(&buf);
    assert_null(buf_take_text(&buf));
    assert_null(buf.data);
    assert_false(buf_failed(&buf));
}

static void json_escapes_quotes_backslashes_and_controls(void **state)
{
    (void)state;
    assert_json("", "\"\"");
    assert_json("plain", "\"plain\"");
    assert_json("a\"b\\c", "\"a\\\"b\\\\c\"");
    assert_json("\n\r\t\x01\x1f", "\"\\n\\r\\t\\u0001\\u001f\"");
}

static void json_escapes_what_ends_a_script(void **state)
{
    (void)state;
    assert_json("</script>&", "\"\\u003c/script\\u003e\\u0026\"");
}

static void json_escapes_the_line_separators_but_not_their_neighbours(void **state)
{
    (void)state;
    assert_json("\xe2\x80\xa8\xe2\x80\xa9", "\"\\u2028\\u2029\"");
    assert_json("\xe2\x80\xa7\xe2\x80\xaa\xe2\x82\xac", "\"\xe2\x80\xa7\xe2\x80\xaa\xe2\x82\xac\"");
}

static void json_keeps_an_inner_nul(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    buf_add_json(&buf, SPAN_LITERAL("a\0b"));
    assert_true(span_is(buf_span(&buf), "\"a\\u0000b\""));
    buf_fini(&buf);
}

static size_t encode(uint32_t point, char bytes[4])
{
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t len = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = len; i-- > 1; point >>= 6)
        bytes[i] = (char)(0x80 | (point & 0x3f));
    bytes[0] = (char)(len == 1 ? point : lead[len] | point);
    return len;
}

static void every_character_comes_back_from_a_parser(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    for (uint32_t point = 1; point <= 0x10ffff; point++) {
        char bytes[4];
        json_t *json;
        if (point == 0xd800)
            point = 0xe000;
        struct span text = {bytes, encode(point, bytes)};
        buf_reset(&buf);
        buf_add_json(&buf, text);
        assert_int_equal(json_parse(buf_span(&buf), 0, &json), OK);
        assert_true(span_equal((struct span){json_string_value(json), json_string_length(json)}, text));
        json_decref(json);
    }
    buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_added_is_there_in_order),
        cmocka_unit_test(it_grows_far_beyond_its_first_size),
        cmocka_unit_test(a_printed_text_may_be_longer_than_the_memory_it_had),
        cmocka_unit_test(reset_forgets_but_keeps_the_memory),
        cmocka_unit_test(text_is_taken_out_with_its_end),
        cmocka_unit_test(a_blob_is_a_copy),
        cmocka_unit_test(a_failure_is_remembered),
        cmocka_unit_test(after_a_failure_taking_gives_nothing_and_leaves_nothing),
        cmocka_unit_test(json_escapes_quotes_backslashes_and_controls),
        cmocka_unit_test(json_escapes_what_ends_a_script),
        cmocka_unit_test(json_escapes_the_line_separators_but_not_their_neighbours),
        cmocka_unit_test(json_keeps_an_inner_nul),
        cmocka_unit_test(every_character_comes_back_from_a_parser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
