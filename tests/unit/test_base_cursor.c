/* SPDX-License-Identifier: MIT */
/* Cursors: their order, and a text form that exists once for each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cursor.h"

static void assert_text(struct cursor cursor, const char *text)
{
    char formatted[CURSOR_TEXT_SIZE];
    struct cursor parsed;
    assert_string_equal(cursor_format(cursor, formatted), text);
    assert_true(cursor_parse(span_of(text), &parsed));
    assert_int_equal(cursor_compare(parsed, cursor), 0);
}

static void text_and_cursor_are_the_same_thing(void **state)
{
    (void)state;
    assert_text((struct cursor){0, 0}, "0");
    assert_text((struct cursor){1, 0}, "1");
    assert_text((struct cursor){0, 1}, "0-1");
    assert_text((struct cursor){1297350295123, 7}, "1297350295123-7");
    assert_text((struct cursor){UINT64_MAX, UINT64_MAX}, "18446744073709551615-18446744073709551615");
}

static void anything_else_is_refused_and_touches_nothing(void **state)
{
    (void)state;
    static const struct span bad[] = {
        SPAN_LITERAL(""),
        SPAN_LITERAL("-"),
        SPAN_LITERAL("-1"),
        SPAN_LITERAL("1-"),
        SPAN_LITERAL("+1"),
        SPAN_LITERAL(" 1"),
        SPAN_LITERAL("1 "),
        SPAN_LITERAL("01"),
        SPAN_LITERAL("1-02"),
        SPAN_LITERAL("1--2"),
        SPAN_LITERAL("1-2-"),
        SPAN_LITERAL("1-2-3"),
        SPAN_LITERAL("0x1"),
        SPAN_LITERAL("1.0"),
        SPAN_LITERAL("1e3"),
        SPAN_LITERAL("1\0"),
        SPAN_LITERAL("*"),
        SPAN_LITERAL("$"),
        SPAN_LITERAL("18446744073709551616"),
        SPAN_LITERAL("1-18446744073709551616"),
        SPAN_LITERAL("99999999999999999999999999"),
    };
    for (size_t i = 0; i < array_len(bad); i++) {
        struct cursor cursor = {5, 6};
        assert_false(cursor_parse(bad[i], &cursor));
        assert_int_equal(cursor_compare(cursor, (struct cursor){5, 6}), 0);
    }
    struct cursor cursor;
    assert_false(cursor_parse((struct span){0}, &cursor));
}

static void a_minor_of_0_is_not_written_and_not_read(void **state)
{
    (void)state;
    struct cursor cursor;
    assert_false(cursor_parse(SPAN_LITERAL("5-0"), &cursor));
}

static void only_the_span_is_read(void **state)
{
    (void)state;
    struct cursor cursor;
    assert_true(cursor_parse((struct span){"1234", 2}, &cursor));
    assert_int_equal(cursor.major, 12);
}

static void cursors_are_ordered_by_major_then_minor(void **state)
{
    (void)state;
    static const struct cursor ordered[] = {{0, 0}, {0, 1}, {0, UINT64_MAX}, {1, 0},
                                            {1, 1}, {2, 0}, {UINT64_MAX, 0}, {UINT64_MAX, 1}};
    for (size_t a = 0; a < array_len(ordered); a++) {
        for (size_t b = 0; b < array_len(ordered); b++) {
            int order = cursor_compare(ordered[a], ordered[b]);
            assert_int_equal((order > 0) - (order < 0), (a > b) - (a < b));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_cursor_are_the_same_thing),
        cmocka_unit_test(anything_else_is_refused_and_touches_nothing),
        cmocka_unit_test(a_minor_of_0_is_not_written_and_not_read),
        cmocka_unit_test(only_the_span_is_read),
        cmocka_unit_test(cursors_are_ordered_by_major_then_minor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
