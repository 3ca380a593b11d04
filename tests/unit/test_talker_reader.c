/* SPDX-License-Identifier: MIT */
/* A stream of bytes into JSON objects: wherever it is cut, the same objects come out, and the same error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/talker/splitter.h"
#include "base/buf.h"
#include "base/json.h"

enum { MAX = 100, DEPTH = 4, LINE = 64 * 1024, EMPTY_LINES = 1000000, DRAWS = 2000 };

/* --- what comes out, as text: each object with a bar behind it, then the error, if there is one */

/* Gives `bytes` in a block of exactly their size, so that a read past their end is seen. */
static enum err feed(struct splitter *splitter, struct span bytes, struct buf *out)
{
    char *block = malloc(bytes.len ? bytes.len : 1);
    assert_non_null(block);
    if (bytes.len)
        memcpy(block, bytes.data, bytes.len);
    struct span rest = {block, bytes.len}, object = {0};
    enum err err;
    while ((err = splitter_next(splitter, &rest, &object)) == OK && object.data) {
        buf_add(out, object);
        buf_add_char(out, '|');
    }
    assert_true(err || rest.len == 0);
    free(block);
    return err;
}

static void finish(struct splitter *splitter, enum err err, struct buf *out)
{
    if (err)
        buf_add_text(out, err_word(err));
    buf_add_char(out, '\0');
    splitter_fini(splitter);
}

static char *split_at(struct span text, const size_t *cuts, size_t count)
{
    struct splitter splitter = splitter_of(MAX, DEPTH);
    struct buf out = BUF_INIT;
    enum err err = OK;
    size_t from = 0;
    for (size_t i = 0; i <= count && !err; i++) {
        size_t to = i < count ? cuts[i] : text.len;
        err = feed(&splitter, (struct span){text.data + from, to - from}, &out);
        from = to;
    }
    finish(&splitter, err, &out);
    char *have = buf_take_text(&out);
    assert_non_null(have);
    return have;
}

/* In one piece, cut in two at every byte, and byte by byte. */
static void assert_splits(struct span text, const char *want)
{
    size_t cuts[2 * MAX];
    assert_true(text.len <= array_len(cuts));
    for (size_t at = 0; at <= text.len + 1; at++) {
        bool whole = at == 0, each = at > text.len;
        for (size_t i = 0; each && i < text.len; i++)
            cuts[i] = i;
        if (!whole && !each)
            cuts[0] = at;
        char *have = split_at(text, cuts, each ? text.len : !whole);
        assert_string_equal(have, want);
        free(have);
    }
}

/* --- objects */

static void objects_are_found_wherever_they_begin_and_end(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", ""},
        {"{}\n", "{}|"},
        {"{}", "{}|"},
        {"{}\r\n", "{}|"},
        {"{}{}", "{}|{}|"},
        {"{} \t\r\n{}", "{}|{}|"},
        {"\n\n\r\n{}\n\n{}\n", "{}|{}|"},
        {"{\"type\":\"ping\"}\n{\"type\":\"close\"}\n", "{\"type\":\"ping\"}|{\"type\":\"close\"}|"},
        {"{\"a\":{\"b\":[{}]}}{}", "{\"a\":{\"b\":[{}]}}|{}|"},
        {"{\n  \"a\": 1\n}\n", "{\n  \"a\": 1\n}|"},
        {"{\"a\":\"}{][\"}", "{\"a\":\"}{][\"}|"},
        {"{\"a\":\"\\\"}\"}", "{\"a\":\"\\\"}\"}|"},
        {"{\"a\":\"\\\\\"}{}", "{\"a\":\"\\\\\"}|{}|"},
        {"{\"\\\"}\":1}", "{\"\\\"}\":1}|"},
        {"{\"a\":\"\xc3\xa4\xf0\x9f\x98\x80\"}", "{\"a\":\"\xc3\xa4\xf0\x9f\x98\x80\"}|"},
        {"{\"a\":1", ""},
        {"{}{\"a\":\"", "{}|"},
        /* what only json_parse can know */
        {"{]", "{]|"},
        {"{nonsense}", "{nonsense}|"},
    };
    for (size_t i = 0; i < array_len(cases); i++)
        assert_splits(span_of(cases[i].text), cases[i].want);
}

static void what_is_no_object_is_refused_with_its_first_byte(void **state)
{
    (void)state;
    static const char *const others[] = {"[1]",
                                         "\"x\"",
                                         "1",
                                         "-1",
                                         "null",
                                         "true",
                                         "x",
                                         "}",
                                         "]",
                                         ",",
                                         ":",
                                         "GET / HTTP/1.1\r\n",
                                         "PROXY TCP4 ",
                                         "\x16\x03\x01",
                                         "\xef\xbb\xbf{}",
                                         "\r\n\x0d\x0a\x01"};
    for (size_t i = 0; i < array_len(others); i++) {
        assert_splits(span_of(others[i]), "bad_framing");
        char text[64];
        (void)snprintf(text, sizeof(text), "{} %s", others[i]);
        assert_splits(span_of(text), "{}|bad_framing");
    }
    assert_splits((struct span){"\0", 1}, "bad_framing");
    assert_splits((struct span){"{}\0", 3}, "{}|bad_framing");
}

static void what_no_json_has_is_refused_where_it_stands(void **state)
{
    (void)state;
    assert_splits(SPAN_LITERAL("{\"a\n"), "bad_json");
    assert_splits(SPAN_LITERAL("{\"a\":\"b\r\n\"}"), "bad_json");
    assert_splits(SPAN_LITERAL("{\"a\":\"\\\n\"}"), "bad_json");
    assert_splits((struct span){"{\"a\0", 4}, "bad_json");
    assert_splits((struct span){"{\0", 2}, "bad_json");
}

static void depth_is_bounded_before_the_end(void **state)
{
    (void)state;
    assert_splits(SPAN_LITERAL("{\"a\":[[{}]]}"), "{\"a\":[[{}]]}|");
    assert_splits(SPAN_LITERAL("{\"a\":[[[["), "bad_json");
    assert_splits(SPAN_LITERAL("{{{{{"), "bad_json");
    assert_splits(SPAN_LITERAL("{\"a\":\"[[[[[[[[\"}"), "{\"a\":\"[[[[[[[[\"}|");
}

/* --- length */

/* {"a":"xxx…"} of `len` bytes in all. */
static char *object_of(size_t len)
{
    char *text = malloc(len + 1);
    assert_non_null(text);
    memset(text, 'x', len);
    memcpy(text, "{\"a\":\"", 6);
    memcpy(text + len - 2, "\"}", 3);
    return text;
}

static void an_object_may_be_as_long_as_the_limit_and_no_longer(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        enum err err;
    } cases[] = {{LINE - 1, OK}, {LINE, OK}, {LINE + 1, ERR_TOO_LARGE}, {2 * LINE, ERR_TOO_LARGE}};
    for (size_t i = 0; i < array_len(cases); i++) {
        for (size_t piece = 1; piece <= cases[i].len; piece = piece * 7 + 1) {
            struct splitter splitter = splitter_of(LINE, DEPTH);
            struct buf out = BUF_INIT;
            char *text = object_of(cases[i].len);
            enum err err = OK;
            for (size_t at = 0; at < cases[i].len && !err; at += piece) {
                size_t len = piece < cases[i].len - at ? piece : cases[i].len - at;
                err = feed(&splitter, (struct span){text + at, len}, &out);
            }
            assert_int_equal(err, cases[i].err);
            assert_int_equal(out.len, cases[i].err ? 0 : cases[i].len + 1);
            splitter_fini(&splitter);
            buf_fini(&out);
            free(text);
        }
    }
}

static void what_has_no_end_is_refused_at_the_limit(void **state)
{
    (void)state;
    struct splitter splitter = splitter_of(LINE, DEPTH);
    struct buf out = BUF_INIT;
    char *text = object_of(LINE + 1);
    assert_int_equal(feed(&splitter, (struct span){text, LINE}, &out), OK);
    assert_int_equal(splitter.held_len, LINE);
    assert_int_equal(feed(&splitter, (struct span){"x", 1}, &out), ERR_TOO_LARGE);
    splitter_fini(&splitter);
    buf_fini(&out);
    free(text);
}

/* --- memory */

static void a_million_empty_lines_cost_nothing(void **state)
{
    (void)state;
    struct splitter splitter = splitter_of(MAX, DEPTH);
    static char lines[EMPTY_LINES];
    memset(lines, '\n', sizeof(lines));
    struct span bytes = {lines, sizeof(lines)}, object;
    assert_int_equal(splitter_next(&splitter, &bytes, &object), OK);
    assert_null(object.data);
    assert_int_equal(bytes.len, 0);
    assert_null(splitter.held);
}

static void memory_is_held_only_while_an_object_is_not_whole(void **state)
{
    (void)state;
    struct splitter splitter = splitter_of(MAX, DEPTH);
    struct span whole = SPAN_LITERAL("{}{}"), half = SPAN_LITERAL("{\"a\":"), end = SPAN_LITERAL("1}\n"), object;
    assert_int_equal(splitter_next(&splitter, &whole, &object), OK);
    assert_null(splitter.held); /* it was whole at once */
    assert_int_equal(splitter_next(&splitter, &whole, &object), OK);
    assert_int_equal(splitter_next(&splitter, &half, &object), OK);
    assert_null(object.data);
    assert_non_null(splitter.held);
    assert_int_equal(splitter_next(&splitter, &end, &object), OK);
    assert_true(span_is(object, "{\"a\":1}"));
    assert_int_equal(splitter_next(&splitter, &end, &object), OK);
    assert_null(object.data);
    assert_null(splitter.held);
}

/* --- many at once, cut at random */

static void cuts_at_random_change_nothing(void **state)
{
    (void)state;
    struct span text =
        SPAN_LITERAL("{\"a\":\"\\\\\\\"{\"}\n\r\n {\"b\":[{},{}]}{\"c\":\"\xe2\x82\xac\"}\t{\"d\":-1.5e3}");
    char *want = split_at(text, NULL, 0);
    srand(1);
    for (int draw = 0; draw < DRAWS; draw++) {
        size_t cuts[8], count = (size_t)rand() % array_len(cuts), from = 0;
        for (size_t i = 0; i < count; i++)
            cuts[i] = from = from + (size_t)rand() % (text.len - from + 1);
        char *have = split_at(text, cuts, count);
        assert_string_equal(have, want);
        free(have);
    }
    assert_string_equal(want, "{\"a\":\"\\\\\\\"{\"}|{\"b\":[{},{}]}|{\"c\":\"\xe2\x82\xac\"}|{\"d\":-1.5e3}|");
    free(want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_found_wherever_they_begin_and_end),
        cmocka_unit_test(what_is_no_object_is_refused_with_its_first_byte),
        cmocka_unit_test(what_no_json_has_is_refused_where_it_stands),
        cmocka_unit_test(depth_is_bounded_before_the_end),
        cmocka_unit_test(an_object_may_be_as_long_as_the_limit_and_no_longer),
        cmocka_unit_test(what_has_no_end_is_refused_at_the_limit),
        cmocka_unit_test(a_million_empty_lines_cost_nothing),
        cmocka_unit_test(memory_is_held_only_while_an_object_is_not_whole),
        cmocka_unit_test(cuts_at_random_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
