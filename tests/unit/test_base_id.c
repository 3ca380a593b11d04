/* SPDX-License-Identifier: MIT */
/* Ids: random ones, ones made of names, and their text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/id.h"

/* The name space for host names of RFC 4122 appendix C. */
static const struct id space_dns = {
    {0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}};

static void text_is_read_and_written_back(void **state)
{
    (void)state;
    struct id id;
    char text[ID_TEXT_SIZE];
    assert_true(id_parse(SPAN_LITERAL("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), &id));
    assert_true(id_equal(id, space_dns));
    assert_string_equal(id_format(id, text), "6ba7b810-9dad-11d1-80b4-00c04fd430c8");
}

static void upper_case_is_read_but_not_written(void **state)
{
    (void)state;
    struct id id;
    char text[ID_TEXT_SIZE];
    assert_true(id_parse(SPAN_LITERAL("6BA7B810-9DAD-11D1-80B4-00C04FD430C8"), &id));
    assert_string_equal(id_format(id, text), "6ba7b810-9dad-11d1-80b4-00c04fd430c8");
}

static void anything_else_is_refused_and_touches_nothing(void **state)
{
    (void)state;
    static const struct span bad[] = {
        SPAN_LITERAL(""),
        SPAN_LITERAL("------------------------------------"),
        SPAN_LITERAL("6ba7b810-9dad-11d1-80b4-00c04fd430c"),
        SPAN_LITERAL("6ba7b810-9dad-11d1-80b4-00c04fd430c8 "),
        SPAN_LITERAL("{6ba7b810-9dad-11d1-80b4-00c04fd430c}"),
        SPAN_LITERAL("6ba7b8109dad-11d1-80b4-00c04fd430c8-"),
        SPAN_LITERAL("6ba7b810-9dad-11d1-80b4-00c04fd430cg"),
        SPAN_LITERAL("6ba7b810-9dad-11d1-80b4-00c04fd430\0\0"),
        SPAN_LITERAL("+ba7b810-9dad-11d1-80b4-00c04fd430c8"),
        SPAN_LITERAL("0xa7b810-9dad-11d1-80b4-00c04fd430c8"),
        SPAN_LITERAL("../../../../../../../../../../../../"),
        SPAN_LITERAL("00000000-0000-0000-0000-000000000000"),
    };
    for (size_t i = 0; i < array_len(bad); i++) {
        struct id id = space_dns;
        assert_false(id_parse(bad[i], &id));
        assert_true(id_equal(id, space_dns));
    }
    struct id id = space_dns;
    assert_false(id_parse((struct span){0}, &id));
}

static void random_ids_are_of_version_4_and_differ(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    struct id ids[COUNT];
    for (int i = 0; i < COUNT; i++) {
        ids[i] = id_random();
        assert_int_equal(ids[i].bytes[6] >> 4, 4);
        assert_int_equal(ids[i].bytes[8] >> 6, 2);
        for (int j = 0; j < i; j++)
            assert_false(id_equal(ids[i], ids[j]));
    }
}

/* Every bit that is random is 0 in some ids and 1 in others. */
static void all_bits_of_random_ids_move(void **state)
{
    (void)state;
    struct id ones = id_random();
    struct id zeros = ones;
    for (int i = 0; i < 200; i++) {
        struct id id = id_random();
        for (int byte = 0; byte < 16; byte++) {
            ones.bytes[byte] |= id.bytes[byte];
            zeros.bytes[byte] &= id.bytes[byte];
        }
    }
    for (int byte = 0; byte < 16; byte++) {
        int fixed = byte == 6 ? 0xf0 : byte == 8 ? 0xc0 : 0;
        assert_int_equal((ones.bytes[byte] ^ zeros.bytes[byte]) | fixed, 0xff);
    }
}

/* The value is the one that other libraries give for it. */
static void a_name_has_the_same_id_everywhere(void **state)
{
    (void)state;
    char text[ID_TEXT_SIZE];
    struct id id = id_of_name(space_dns, SPAN_LITERAL("python.org"));
    assert_string_equal(id_format(id, text), "886313e1-3b8a-5372-9b90-0c9aee199e5d");
    assert_true(id_equal(id, id_of_name(space_dns, SPAN_LITERAL("python.org"))));
    assert_false(id_equal(id, id_of_name(space_dns, SPAN_LITERAL("python.net"))));
    assert_false(id_equal(id, id_of_name(id, SPAN_LITERAL("python.org"))));
}

static void a_name_may_be_empty_or_hold_any_byte(void **state)
{
    (void)state;
    struct id empty = id_of_name(space_dns, (struct span){0});
    assert_true(id_equal(empty, id_of_name(space_dns, SPAN_LITERAL(""))));
    assert_false(id_equal(empty, id_of_name(space_dns, SPAN_LITERAL("\0"))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_read_and_written_back),
        cmocka_unit_test(upper_case_is_read_but_not_written),
        cmocka_unit_test(anything_else_is_refused_and_touches_nothing),
        cmocka_unit_test(random_ids_are_of_version_4_and_differ),
        cmocka_unit_test(all_bits_of_random_ids_move),
        cmocka_unit_test(a_name_has_the_same_id_everywhere),
        cmocka_unit_test(a_name_may_be_empty_or_hold_any_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
