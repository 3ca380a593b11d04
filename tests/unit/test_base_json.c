/* SPDX-License-Identifier: MIT */
/* JSON from outside: what passes is bounded and means one thing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/json.h"

enum { DEPTH_MAX = 4 };

static void assert_passes(struct span text)
{
    json_t *json = NULL;
    assert_int_equal(json_parse(text, DEPTH_MAX, &json), OK);
    assert_non_null(json);
    json_decref(json);
}

static void assert_refused(struct span text, enum err err)
{
    json_t *json = NULL;
    assert_int_equal(json_parse(text, DEPTH_MAX, &json), err);
    assert_null(json);
}

static void any_one_value_passes(void **state)
{
    (void)state;
    static const char *const good[] = {"{}", "[]", "1", "-0", "1.5e3", "\"x\"", "null", "true", " {\"a\": [1, 2]} \n"};
    for (size_t i = 0; i < array_len(good); i++)
        assert_passes(span_of(good[i]));
}

static void what_is_not_one_value_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",         " ",         "{",        "}",      "[1,]", "{\"a\":1,}",  "{a:1}",  "'x'",
        "1 2",      "{}{}",      "nul",      "01",     "1.",   "NaN",         "1e999",  "99999999999999999999",
        "[1] // x", "\"\\x41\"", "\"a\nb\"", "\"open", "\"\\", "\"\\ud800\"", "[\"a\\", "\xef\xbb\xbf{}",
    };
    for (size_t i = 0; i < array_len(bad); i++)
        assert_refused(span_of(bad[i]), ERR_BAD_JSON);
    assert_refused((struct span){0}, ERR_BAD_JSON);
}

static void a_repeated_key_is_refused_at_any_depth(void **state)
{
    (void)state;
    assert_refused(span_of("{\"a\": 1, \"a\": 2}"), ERR_BAD_JSON);
    assert_refused(span_of("[{\"x\": {\"a\": 1, \"\\u0061\": 1}}]"), ERR_BAD_JSON);
}

static void a_nul_is_refused_in_any_form(void **state)
{
    (void)state;
    assert_refused(SPAN_LITERAL("\"a\0b\""), ERR_BAD_JSON);
    assert_refused(SPAN_LITERAL("{}\0"), ERR_BAD_JSON);
    assert_refused(SPAN_LITERAL("[1\0]"), ERR_BAD_JSON);
    assert_refused(SPAN_LITERAL("[true\0]"), ERR_BAD_JSON);
    assert_refused(span_of("\"\\u0000\""), ERR_BAD_JSON);
    assert_refused(span_of("{\"a\\u0000b\": 1}"), ERR_BAD_JSON);
}

static void invalid_utf8_is_refused_as_that(void **state)
{
    (void)state;
    assert_refused(span_of("\"\xff\""), ERR_BAD_UTF8);
    assert_refused(span_of("\"\xed\xa0\x80\""), ERR_BAD_UTF8);
    assert_refused(span_of("{}\xc3"), ERR_BAD_UTF8);
}

static void the_deepest_that_passes_is_the_bound(void **state)
{
    (void)state;
    assert_passes(span_of("[[[[1]]]]"));
    assert_passes(span_of("{\"a\":{\"a\":{\"a\":[]}}}"));
    assert_refused(span_of("[[[[[1]]]]]"), ERR_BAD_JSON);
    assert_refused(span_of("{\"a\":{\"a\":{\"a\":[{}]}}}"), ERR_BAD_JSON);
}

static void a_depth_of_0_allows_bare_values_only(void **state)
{
    (void)state;
    json_t *json = NULL;
    assert_int_equal(json_parse(span_of("[]"), 0, &json), ERR_BAD_JSON);
    assert_int_equal(json_parse(span_of("1"), 0, &json), OK);
    json_decref(json);
}

static void width_is_not_depth(void **state)
{
    (void)state;
    assert_passes(span_of("[[[[],[]],[[],[]]],[[[],[]]],{\"a\":{\"b\":{}}}]"));
}

static void brackets_in_strings_do_not_count(void **state)
{
    (void)state;
    assert_passes(span_of("\"[[[[[[[[{{{{{{\""));
    assert_passes(span_of("[\"\\\"[[[[[[[[\", \"\\\\\", [\"]\"]]"));
    assert_refused(span_of("[\"\\\\\", [[[[1]]]]]"), ERR_BAD_JSON);
    assert_refused(span_of("[\"]]]]]\", [[[[1]]]]]"), ERR_BAD_JSON);
}

/* jansson's parser recurses; a million brackets must not get that far. */
static void a_million_brackets_cost_nothing(void **state)
{
    (void)state;
    enum { COUNT = 1000000 };
    char *text = malloc(COUNT);
    assert_non_null(text);
    memset(text, '[', COUNT);
    assert_refused((struct span){text, COUNT}, ERR_BAD_JSON);
    free(text);
}

static void a_member_is_text_only_if_it_is_a_string(void **state)
{
    (void)state;
    json_t *json = NULL;
    assert_int_equal(json_parse(span_of("{\"s\": \"x\", \"e\": \"\", \"n\": 1, \"z\": null}"), DEPTH_MAX, &json), OK);
    assert_true(span_is(json_text(json, "s"), "x"));
    assert_non_null(json_text(json, "e").data);
    assert_int_equal(json_text(json, "e").len, 0);
    assert_null(json_text(json, "n").data);
    assert_null(json_text(json, "z").data);
    assert_null(json_text(json, "missing").data);
    assert_null(json_text(NULL, "s").data);
    json_decref(json);
}

static void a_value_is_found_where_it_is_written(void **state)
{
    (void)state;
    struct span object = span_of(" { \"a\" : 1.50 ,\n\"b\":[ {\"c\":\"}]\\\"\"} , 2 ]\t,\"d\":\"x\"} ");
    struct span found = {0};
    assert_true(json_find_value(object, "a", &found));
    assert_true(span_is(found, "1.50"));
    assert_true(json_find_value(object, "b", &found));
    assert_true(span_is(found, "[ {\"c\":\"}]\\\"\"} , 2 ]"));
    assert_true(json_find_value(object, "d", &found));
    assert_true(span_is(found, "\"x\""));
    assert_false(json_find_value(object, "c", &found));
    assert_false(json_find_value(span_of("{}"), "a", &found));
}

static void minified_text_has_its_spaces_in_strings_only(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    json_minify(&out, span_of(" [ 1.50 ,\r\n{ \"a b\" : \"c \\\" d\" } ]\t"));
    assert_true(span_is(buf_span(&out), "[1.50,{\"a b\":\"c \\\" d\"}]"));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_one_value_passes),
        cmocka_unit_test(what_is_not_one_value_is_refused),
        cmocka_unit_test(a_repeated_key_is_refused_at_any_depth),
        cmocka_unit_test(a_nul_is_refused_in_any_form),
        cmocka_unit_test(invalid_utf8_is_refused_as_that),
        cmocka_unit_test(the_deepest_that_passes_is_the_bound),
        cmocka_unit_test(a_depth_of_0_allows_bare_values_only),
        cmocka_unit_test(width_is_not_depth),
        cmocka_unit_test(brackets_in_strings_do_not_count),
        cmocka_unit_test(a_million_brackets_cost_nothing),
        cmocka_unit_test(a_member_is_text_only_if_it_is_a_string),
        cmocka_unit_test(a_value_is_found_where_it_is_written),
        cmocka_unit_test(minified_text_has_its_spaces_in_strings_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
