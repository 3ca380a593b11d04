/* SPDX-License-Identifier: MIT */
/* Where nereidctl goes, and how it tells what happens in a thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <time.h>

#include "ctl/answer.h"
#include "ctl/place.h"
#include "ctl/scene.h"
#include "ctl/text.h"

/* --- addresses */

static void addresses_become_urls(void **state)
{
    (void)state;
    static const struct {
        const char *text, *base, *socket;
        bool is_url;
    } rows[] = {
        {"127.0.0.1:8081", "http://127.0.0.1:8081", NULL, false},
        {"127.0.0.1", "http://127.0.0.1:8081", NULL, false},
        {"gateway:1", "http://gateway:1", NULL, false},
        {"[::1]:9000", "http://[::1]:9000", NULL, false},
        {"[::1]", "http://[::1]:8081", NULL, false},
        {"tls:127.0.0.1:8443", "https://127.0.0.1:8443", NULL, false},
        {"tls:gateway", "https://gateway:8081", NULL, false},
        {"unix:/run/nereidd/admin", "http://localhost", "/run/nereidd/admin", false},
        {"unix:a b", "http://localhost", "a b", false},
        {"http://127.0.0.1:8081", "http://127.0.0.1:8081", NULL, true},
        {"https://proxy/nereidd//", "https://proxy/nereidd", NULL, true},
    };
    for (size_t i = 0; i < array_len(rows); i++) {
        struct place place;
        assert_int_equal(place_parse(rows[i].text, &place), OK);
        assert_string_equal(place.base, rows[i].base);
        assert_int_equal(place.is_url, rows[i].is_url);
        if (rows[i].socket)
            assert_string_equal(place.socket, rows[i].socket);
        else
            assert_null(place.socket);
        place_fini(&place);
    }
}

static void what_is_no_address_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",          ":8081",     "a:",         "a:0",        "a:65536",   "a:123456", "a:b",   "::1",   "[::1",
        "[]",        "[::1]x",    "a b:1",      "tls:",       "a/b:1",     "user@a:1", "a:1\n", "unix:", "http://",
        "https:///", "http://a?", "http://a b", "ftp://a:21", "file:///x", "a#b:8081", "a\\b:1"};
    struct place place;
    for (size_t i = 0; i < array_len(bad); i++)
        if (place_parse(bad[i], &place) != ERR_BAD_FIELD)
            fail_msg("%s was taken", bad[i]);
}

static void names_are_escaped_for_a_path(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    place_escape(&out, SPAN_LITERAL("a-Z_0.~/ %?#\xc3\xab\0"));
    buf_add_char(&out, '\0');
    assert_string_equal(out.data, "a-Z_0.~%2F%20%25%3F%23%C3%AB%00");
    buf_fini(&out);
}

/* --- times */

static void times_are_local_and_anything_else_stays(void **state)
{
    (void)state;
    char text[WHEN_SIZE];
    assert_string_equal(answer_time(span_of("2026-11-21T10:00:00.123456Z"), text), "2026-11-21 11:00:00");
    assert_string_equal(answer_time(span_of("2026-12-31T23:30:00Z"), text), "2027-01-01 00:30:00");
    assert_string_equal(answer_time(span_of("yesterday"), text), "yesterday");
    assert_string_equal(answer_time((struct span){0}, text), "");
    assert_string_equal(answer_time(span_of("2026-11-21T10:00"), text), "2026-11-21T10:00");
    assert_string_equal(answer_time(span_of("what is much too long for a time"), text), "what is much too lo");
}

/* --- lines of a watch */

static void assert_line(const char *line, enum scene scene, const char *expected)
{
    struct buf out = BUF_INIT;
    assert_int_equal(scene_write(&out, span_of(line)), scene);
    buf_add_char(&out, '\0');
    assert_string_equal(out.data, expected);
    buf_fini(&out);
}

#define AT "\"timestamp\":\"2026-11-21T10:00:00.000000Z\","

static void the_first_line_tells_who_is_there(void **state)
{
    (void)state;
    assert_line("{" AT "\"type\":\"thread\",\"thread\":\"T\",\"room\":\"lobby\",\"members\":["
                "{\"id\":\"alice\",\"displayName\":\"Alice\",\"available\":true,\"idle\":false,\"show\":\"chat\"},"
                "{\"id\":\"bob\",\"displayName\":\"bob\",\"available\":true,\"idle\":true,\"show\":\"away\"},"
                "{\"id\":\"carol\",\"displayName\":\"carol\",\"available\":false,\"idle\":false,\"show\":\"dnd\"},"
                "{\"id\":\"dave\",\"displayName\":\"dave\",\"available\":true,\"idle\":false,\"show\":\"dnd\"}]}",
                SCENE_TEXT, "* room lobby (T): Alice (alice), bob (idle), dave (busy); not here: carol");
    assert_line("{" AT "\"type\":\"thread\",\"thread\":\"T\",\"members\":[]}", SCENE_TEXT,
                "* thread T: nobody is here");
}

static void a_message_is_one_line(void **state)
{
    (void)state;
    assert_line("{" AT "\"type\":\"message\",\"message\":{\"text\":\"hello\",\"attachments\":[],"
                "\"sender\":{\"id\":\"alice\",\"displayName\":\"alice\"}}}",
                SCENE_TEXT, "11:00:00 alice: hello");
    assert_line("{" AT "\"type\":\"message\",\"message\":{\"text\":\"a\\nb\\u001b[2J\",\"subject\":\"s\\r\","
                "\"attachments\":[{},{}],\"sender\":{\"id\":\"al\\u009bice\",\"displayName\":\"\\u202eA\"}}}",
                SCENE_TEXT, "11:00:00 \\u202eA (al\\u009bice): [s\\r] a\\nb\\x1b[2J (+2 attached)");
}

static void changes_are_told_in_words(void **state)
{
    (void)state;
    static const struct {
        const char *change, *how, *text;
    } rows[] = {
        {"joined", "", "* alice has joined"},
        {"left", "", "* alice has left"},
        {"available", "", "* alice is here"},
        {"unavailable", "", "* alice is gone"},
        {"idle", ",\"idle\":true", "* alice is idle"},
        {"back", "", "* alice is back"},
        {"role", "", "* alice has another role"},
        {"show", ",\"show\":\"away\",\"status\":\"at \\u0007lunch\"", "* alice is away: at \\x07lunch"},
        {"show", ",\"show\":\"xa\"", "* alice is away for long"},
        {"show", ",\"show\":\"dnd\"", "* alice is busy"},
        {"show", ",\"show\":\"chat\"", "* alice is free to chat"},
        {"danced\\n", "", "* alice danced\\n"},
    };
    for (size_t i = 0; i < array_len(rows); i++) {
        char *line = NULL, *expected = NULL;
        assert_true(asprintf(&line, "{" AT "\"type\":\"member\",\"change\":\"%s\",\"member\":{\"id\":\"alice\"%s}}",
                             rows[i].change, rows[i].how) > 0);
        assert_true(asprintf(&expected, "11:00:00 %s", rows[i].text) > 0);
        assert_line(line, SCENE_TEXT, expected);
        free(line);
        free(expected);
    }
}

static void heartbeats_and_what_is_new_are_passed_over(void **state)
{
    (void)state;
    assert_line("{" AT "\"type\":\"heartbeat\"}", SCENE_NOTHING, "");
    assert_line("{" AT "\"type\":\"weather\",\"rain\":true}", SCENE_NOTHING, "");
}

static void the_end_says_why(void **state)
{
    (void)state;
    assert_line("{" AT "\"type\":\"end\",\"error\":\"shutting_down\",\"message\":\"the server is shutting down\"}",
                SCENE_END, "the server is shutting down");
}

static void what_is_no_line_of_a_watch_is_not_shown(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "{", "<html>", "[]", "{}", "{\"type\":1}", "\"text\"", "{\"type\":\"\xff\"}"};
    for (size_t i = 0; i < array_len(bad); i++)
        assert_line(bad[i], SCENE_BAD, "");
}

/* Fields may be missing or of the wrong kind: then there is less to read. */
static void whatever_a_line_holds_it_is_survived(void **state)
{
    (void)state;
    static const char *const odd[] = {"{\"type\":\"thread\"}",
                                      "{\"type\":\"thread\",\"members\":{},\"room\":1}",
                                      "{\"type\":\"thread\",\"members\":[1,null,[]]}",
                                      "{\"type\":\"message\"}",
                                      "{\"type\":\"message\",\"message\":[],\"timestamp\":{}}",
                                      "{\"type\":\"message\",\"message\":{\"sender\":\"x\",\"text\":5}}",
                                      "{\"type\":\"member\"}",
                                      "{\"type\":\"member\",\"member\":1,\"change\":[]}"};
    for (size_t i = 0; i < array_len(odd); i++) {
        struct buf out = BUF_INIT;
        assert_int_equal(scene_write(&out, span_of(odd[i])), SCENE_TEXT);
        buf_fini(&out);
    }
}

static int set_up(void **state)
{
    (void)state;
    text_init();
    (void)setenv("TZ", "XXX-1", 1); /* an hour ahead of UTC */
    tzset();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_become_urls),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(names_are_escaped_for_a_path),
        cmocka_unit_test(times_are_local_and_anything_else_stays),
        cmocka_unit_test(the_first_line_tells_who_is_there),
        cmocka_unit_test(a_message_is_one_line),
        cmocka_unit_test(changes_are_told_in_words),
        cmocka_unit_test(heartbeats_and_what_is_new_are_passed_over),
        cmocka_unit_test(the_end_says_why),
        cmocka_unit_test(what_is_no_line_of_a_watch_is_not_shown),
        cmocka_unit_test(whatever_a_line_holds_it_is_survived),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
