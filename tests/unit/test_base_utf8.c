/* SPDX-License-Identifier: MIT */
/* UTF-8 at the edge: all that is well-formed passes, nothing else does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/attr.h"
#include "base/utf8.h"

/* RFC 3629 section 4, written out as ranges of bytes. */
static bool is_well_formed(const uint8_t *b, size_t len)
{
    static const struct {
        size_t len;
        uint8_t low[4], high[4];
    } rows[] = {
        {1, {0x00}, {0x7f}},
        {2, {0xc2, 0x80}, {0xdf, 0xbf}},
        {3, {0xe0, 0xa0, 0x80}, {0xe0, 0xbf, 0xbf}},
        {3, {0xe1, 0x80, 0x80}, {0xec, 0xbf, 0xbf}},
        {3, {0xed, 0x80, 0x80}, {0xed, 0x9f, 0xbf}},
        {3, {0xee, 0x80, 0x80}, {0xef, 0xbf, 0xbf}},
        {4, {0xf0, 0x90, 0x80, 0x80}, {0xf0, 0xbf, 0xbf, 0xbf}},
        {4, {0xf1, 0x80, 0x80, 0x80}, {0xf3, 0xbf, 0xbf, 0xbf}},
        {4, {0xf4, 0x80, 0x80, 0x80}, {0xf4, 0x8f, 0xbf, 0xbf}},
    };
    for (size_t row = 0; row < array_len(rows); row++) {
        size_t at = 0;
        while (at < len && at < rows[row].len && b[at] >= rows[row].low[at] && b[at] <= rows[row].high[at])
            at++;
        if (at == rows[row].len && at == len)
            return true;
    }
    return false;
}

static struct span span_at(const uint8_t *bytes, size_t len)
{
    return (struct span){(const char *)bytes, len};
}

/* All sequences of one, two and three bytes, where they are one character, against the table. */
static void short_sequences_pass_if_the_table_says_so(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < 1u << 24; n++) {
        uint8_t bytes[] = {(uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
        if (bytes[0] < 0x80 || (bytes[1] < 0x80 && bytes[2]))
            continue;
        assert_int_equal(utf8_valid(span_at(bytes, 1)), is_well_formed(bytes, 1));
        assert_int_equal(utf8_valid(span_at(bytes, 2)), is_well_formed(bytes, 2));
        bool three = is_well_formed(bytes, 3) || (is_well_formed(bytes, 2) && bytes[2] < 0x80);
        assert_int_equal(utf8_valid(span_at(bytes, 3)), three);
    }
}

static void sequences_of_four_pass_if_the_table_says_so(void **state)
{
    (void)state;
    static const uint8_t edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    for (unsigned lead = 0xf0; lead <= 0xff; lead++) {
        for (size_t i = 0; i < 1000; i++) {
            uint8_t bytes[] = {(uint8_t)lead, edges[i % 10], edges[i / 10 % 10], edges[i / 100]};
            assert_int_equal(utf8_valid(span_at(bytes, 4)), is_well_formed(bytes, 4));
        }
    }
}

static void a_cut_character_is_refused_wherever_it_is_cut(void **state)
{
    (void)state;
    const char *text = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80";
    static const size_t whole[] = {0, 1, 3, 6, 10};
    for (size_t len = 0, next = 0; len <= 10; len++) {
        bool ends_whole = len == whole[next];
        assert_int_equal(utf8_valid((struct span){text, len}), ends_whole);
        next += ends_whole;
    }
}

static void nothing_is_valid(void **state)
{
    (void)state;
    assert_true(utf8_valid((struct span){0}));
    assert_true(utf8_printable((struct span){0}));
}

static void a_nul_is_valid_but_not_printable(void **state)
{
    (void)state;
    assert_true(utf8_valid(SPAN_LITERAL("a\0b")));
    assert_false(utf8_printable(SPAN_LITERAL("a\0b")));
}

static void names_may_be_in_any_script(void **state)
{
    (void)state;
    assert_true(utf8_printable(span_of("Zo\xc3\xab \xd0\x90\xd0\xbd\xd0\xbd\xd0\xb0 \xe5\xa5\xbd \xf0\x9f\x98\x80")));
    assert_true(utf8_printable(span_of("\xc2\xa0"))); /* just above the C1 controls */
}

static void names_hold_nothing_that_moves_or_hides_text(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\x01",         "\t",           "\n",           "\x1f",         "\x7f",
        "\xc2\x80",     "\xc2\x85",     "\xc2\x9f",     "\xe2\x80\xa8", "\xe2\x80\xa9",
        "\xe2\x80\xaa", "\xe2\x80\xae", "\xe2\x81\xa6", "\xe2\x81\xa9", "\xef\xbb\xbf",
    };
    for (size_t i = 0; i < array_len(bad); i++) {
        assert_true(utf8_valid(span_of(bad[i])));
        assert_false(utf8_printable(span_of(bad[i])));
    }
}

static void names_are_well_formed_too(void **state)
{
    (void)state;
    assert_false(utf8_printable(span_of("a\xc3")));
    assert_false(utf8_printable(span_of("\xed\xa0\x80")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_sequences_pass_if_the_table_says_so),
        cmocka_unit_test(sequences_of_four_pass_if_the_table_says_so),
        cmocka_unit_test(a_cut_character_is_refused_wherever_it_is_cut),
        cmocka_unit_test(nothing_is_valid),
        cmocka_unit_test(a_nul_is_valid_but_not_printable),
        cmocka_unit_test(names_may_be_in_any_script),
        cmocka_unit_test(names_hold_nothing_that_moves_or_hides_text),
        cmocka_unit_test(names_are_well_formed_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
