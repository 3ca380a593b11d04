/* SPDX-License-Identifier: MIT */
/* What nereidctl writes to a terminal: nothing that does more than stand there, and columns that line up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "ctl/columns.h"
#include "ctl/text.h"

static void assert_safe(struct span text, const char *expected)
{
    struct buf out = BUF_INIT;
    text_add_safe(&out, text);
    buf_add_char(&out, '\0');
    assert_false(buf_failed(&out));
    assert_string_equal(out.data, expected);
    buf_fini(&out);
}

static void text_in_any_script_stays_as_it_is(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "hello, world",
                                        "Zo\xc3\xab",
                                        "\xd0\x90\xd0\xbd\xd0\xbd\xd0\xb0",
                                        "\xe5\xa5\xbd",
                                        "\xf0\x9f\x98\x80",
                                        "e\xcc\x81",
                                        "C:\\dir",
                                        "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80"};
    for (size_t i = 0; i < array_len(texts); i++)
        assert_safe(span_of(texts[i]), texts[i]);
}

static void control_characters_are_shown_and_not_obeyed(void **state)
{
    (void)state;
    assert_safe(span_of("a\x1b[31mred\x1b[0m"), "a\\x1b[31mred\\x1b[0m");
    assert_safe(span_of("one\ntwo\r\tthree\a\b\x7f"), "one\\ntwo\\r\\tthree\\x07\\x08\\x7f");
    assert_safe(SPAN_LITERAL("a\0b"), "a\\x00b");
    assert_safe(span_of("\xc2\x9b"
                        "31m"),
                "\\u009b31m"); /* CSI as one C1 character */
    assert_safe(span_of("a\xe2\x80\xa8z\xe2\x80\xa9"), "a\\u2028z\\u2029");
}

static void text_cannot_be_turned_around_or_hidden(void **state)
{
    (void)state;
    assert_safe(span_of("\xe2\x80\xae"
                        "evil\xe2\x80\xac"),
                "\\u202eevil\\u202c");
    assert_safe(span_of("\xe2\x81\xa6x\xe2\x81\xa9"), "\\u2066x\\u2069");
    assert_safe(span_of("\xe2\x80\x8e\xe2\x80\x8f\xd8\x9c"), "\\u200e\\u200f\\u061c");
    assert_safe(span_of("alice\xe2\x80\x8b\xc2\xad\xe2\x81\xa0\xef\xbb\xbf"), "alice\\u200b\\u00ad\\u2060\\ufeff");
    assert_safe(span_of("\xf3\xa0\x80\xa1\xf4\x8f\xbf\xbf"), "\\U000e0021\\U0010ffff"); /* a tag, and nothing at all */
}

static void what_is_not_utf8_is_shown_byte_by_byte(void **state)
{
    (void)state;
    assert_safe(span_of("a\xff\xc3"), "a\\xff\\xc3");
    assert_safe(span_of("\xed\xa0\x80"), "\\xed\\xa0\\x80");
    assert_safe(span_of("\xc0\x9b"), "\\xc0\\x9b");
}

/* Whatever comes in, what goes out has neither controls nor broken characters. */
static void nothing_gets_through_whatever_the_bytes(void **state)
{
    (void)state;
    uint32_t random = 7;
    for (int round = 0; round < 20000; round++) {
        char bytes[12];
        struct buf out = BUF_INIT;
        for (size_t i = 0; i < sizeof(bytes); i++) {
            random = random * 1664525 + 1013904223;
            bytes[i] = (char)(random >> 24);
        }
        text_add_safe(&out, (struct span){bytes, sizeof(bytes)});
        assert_true(utf8_printable(buf_span(&out)));
        buf_fini(&out);
    }
}

static void json_stays_the_same_json(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    text_add_safe_json(&out, SPAN_LITERAL("{\"a\":\"\\u001b \xc2\x9b\x7f\xe2\x80\xae \xc3\xa4 \xe4\xbd\xa0 "
                                          "\xf3\xa0\x80\x81 \xf0\x9f\x98\x80\"}\n"));
    buf_add_char(&out, '\0');
    assert_string_equal(out.data, "{\"a\":\"\\u001b \\u009b\\u007f\\u202e \xc3\xa4 \xe4\xbd\xa0 "
                                  "\\udb40\\udc01 \xf0\x9f\x98\x80\"}\n");
    buf_fini(&out);
}

static void width_is_that_of_a_terminal(void **state)
{
    (void)state;
    assert_int_equal(text_width(span_of("")), 0);
    assert_int_equal(text_width(span_of("alice")), 5);
    assert_int_equal(text_width(span_of("Zo\xc3\xab")), 3);
    assert_int_equal(text_width(span_of("\xe5\xa5\xbd\xe5\xa5\xbd")), 4); /* wide */
    assert_int_equal(text_width(span_of("e\xcc\x81")), 1);                /* a combining accent */
    assert_int_equal(text_width(span_of("\xf0\x9f\x98\x80")), 2);
}

/* --- tables */

static char *printed(const struct columns *table)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    assert_true(columns_print(table, out));
    assert_int_equal(fclose(out), 0);
    return text;
}

static void assert_table(struct columns *table, const char *expected)
{
    char *text = printed(table);
    assert_string_equal(text, expected);
    free(text);
    columns_fini(table);
}

static void columns_line_up_and_numbers_end_at_the_right(void **state)
{
    (void)state;
    static const struct column columns[] = {{"USER", false}, {"COUNT", true}, {"NOTES", false}};
    struct columns table;
    columns_init(&table, columns, array_len(columns));
    const char *const users[] = {"alice", "bob", "somebody else"};
    for (int i = 0; i < 3; i++) {
        columns_add(&table, span_of(users[i]));
        columns_printf(&table, "%d", 1 << i * 10);
        columns_add(&table, span_of(i == 1 ? "note" : ""));
    }
    assert_table(&table, "USER             COUNT  NOTES\n"
                         "alice                1\n"
                         "bob               1024  note\n"
                         "somebody else  1048576\n");
}

static void columns_are_as_wide_as_what_stands_in_them(void **state)
{
    (void)state;
    static const struct column columns[] = {{"A", false}, {"B", false}};
    struct columns table;
    columns_init(&table, columns, array_len(columns));
    static const char *const cells[] = {"\xe5\xa5\xbd\xe5\xa5\xbd", "x\x1b", "Zo\xc3\xab", "y", "e\xcc\x81", "z"};
    for (size_t i = 0; i < array_len(cells); i++)
        columns_add(&table, span_of(cells[i]));
    assert_table(&table, "A     B\n"
                         "\xe5\xa5\xbd\xe5\xa5\xbd  x\\x1b\n"
                         "Zo\xc3\xab   y\n"
                         "e\xcc\x81     z\n");
}

static void empty_cells_leave_no_blanks_at_the_end(void **state)
{
    (void)state;
    static const struct column columns[] = {{"A", false}, {"B", true}, {"C", false}, {"D", true}};
    struct columns table;
    columns_init(&table, columns, array_len(columns));
    static const char *const cells[] = {"1", "", "", "", "", "2", "", "", "", "", "3", "", "", "", "", "44"};
    for (size_t i = 0; i < array_len(cells); i++)
        columns_add(&table, span_of(cells[i]));
    assert_table(&table, "A  B  C   D\n"
                         "1\n"
                         "   2\n"
                         "      3\n"
                         "         44\n");
}

static void a_table_without_heads_has_no_line_of_them(void **state)
{
    (void)state;
    static const struct column columns[] = {{NULL, false}, {NULL, false}};
    struct columns table;
    columns_init(&table, columns, array_len(columns));
    static const char *const cells[] = {"ready", "yes", "users", "3"};
    for (size_t i = 0; i < array_len(cells); i++)
        columns_add(&table, span_of(cells[i]));
    assert_table(&table, "ready  yes\nusers  3\n");
}

static void rows_are_sorted_by_their_cells(void **state)
{
    (void)state;
    static const struct column columns[] = {{"A", false}, {"B", false}};
    struct columns table;
    columns_init(&table, columns, array_len(columns));
    columns_sort(&table); /* nothing yet */
    static const char *const cells[] = {"b", "1", "a", "2", "a", "1", "", "9"};
    for (size_t i = 0; i < array_len(cells); i++)
        columns_add(&table, span_of(cells[i]));
    columns_sort(&table);
    assert_table(&table, "A  B\n   9\na  1\na  2\nb  1\n");
}

static void many_rows_are_no_trouble(void **state)
{
    (void)state;
    enum { ROWS = 20000 };
    static const struct column columns[] = {{"N", true}, {"USER", false}};
    struct columns table;
    columns_init(&table, columns, array_len(columns));
    for (int i = 0; i < ROWS; i++) {
        columns_printf(&table, "%d", i * 7919 % ROWS);
        columns_printf(&table, "user %d", i);
    }
    columns_sort(&table);
    char *text = printed(&table);
    size_t lines = 0;
    for (const char *c = text; *c; c++)
        lines += *c == '\n';
    assert_int_equal(lines, ROWS + 1);
    free(text);
    columns_fini(&table);
}

static int set_up(void **state)
{
    (void)state;
    text_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_in_any_script_stays_as_it_is),
        cmocka_unit_test(control_characters_are_shown_and_not_obeyed),
        cmocka_unit_test(text_cannot_be_turned_around_or_hidden),
        cmocka_unit_test(what_is_not_utf8_is_shown_byte_by_byte),
        cmocka_unit_test(nothing_gets_through_whatever_the_bytes),
        cmocka_unit_test(json_stays_the_same_json),
        cmocka_unit_test(width_is_that_of_a_terminal),
        cmocka_unit_test(columns_line_up_and_numbers_end_at_the_right),
        cmocka_unit_test(columns_are_as_wide_as_what_stands_in_them),
        cmocka_unit_test(empty_cells_leave_no_blanks_at_the_end),
        cmocka_unit_test(a_table_without_heads_has_no_line_of_them),
        cmocka_unit_test(rows_are_sorted_by_their_cells),
        cmocka_unit_test(many_rows_are_no_trouble),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
