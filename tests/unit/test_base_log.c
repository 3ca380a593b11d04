/* SPDX-License-Identifier: MIT */
/* The log: one line per event in either form, nothing from outside forges one, no secret is in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"

enum { FILE_MAX = 1 << 20 };

static char folder[] = "/tmp/test_base_log.XXXXXX";
static char path[sizeof(folder) + 16];
static char moved[sizeof(folder) + 16];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/log", folder);
    (void)snprintf(moved, sizeof(moved), "%s/log.1", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static int close_log(void **state)
{
    (void)state;
    log_close();
    (void)unlink(path);
    (void)unlink(moved);
    return 0;
}

/* What is in the file, with a NUL; the caller frees it. */
static char *read_file(const char *name)
{
    char *text = calloc(1, FILE_MAX);
    int fd = open(name, O_RDONLY);
    assert_non_null(text);
    assert_true(fd >= 0);
    assert_in_range(read(fd, text, FILE_MAX - 1), 0, FILE_MAX - 2);
    close(fd);
    return text;
}

static void open_log(enum log_level level, enum log_format format)
{
    assert_int_equal(log_open(path, level, format), OK);
}

/* What was logged, which must be one line, without its time, which must be one; the caller frees it. */
static char *take_line(void)
{
    char *text = read_file(path);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    assert_int_equal(strspn(text, "0123456789-T:.Z"), 27);
    memmove(text, text + 28, strlen(text + 28) + 1);
    return text;
}

static void assert_line(const char *expected)
{
    char *line = take_line();
    assert_string_equal(line, expected);
    free(line);
}

/* What was logged as JSON, which must be one line; a new reference. */
static json_t *take_json(void)
{
    char *text = read_file(path);
    json_t *json = NULL;
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    assert_int_equal(json_parse(span_of(text), 1, &json), OK);
    free(text);
    return json;
}

static void a_line_has_time_level_event_and_fields(void **state)
{
    (void)state;
    open_log(LOG_INFO, LOG_KEY_VALUE);
    log_event(LOG_WARN, "login failed", log_text("user", "alice"), log_int("attempts", -3), log_err(ERR_TIMEOUT));
    assert_line("warn \"login failed\" user=alice attempts=-3 error=timeout\n");
}

static void an_event_needs_no_fields(void **state)
{
    (void)state;
    open_log(LOG_INFO, LOG_KEY_VALUE);
    log_event(LOG_ERROR, "gone");
    assert_line("error \"gone\"\n");
}

static void json_has_the_same(void **state)
{
    (void)state;
    open_log(LOG_INFO, LOG_JSON);
    log_event(LOG_INFO, "said", log_text("text", "a \"b\" \\ \n \xc3\xa4 </script>"), log_int("n", INT64_MIN));
    json_t *json = take_json();
    assert_true(span_is(json_text(json, "level"), "info"));
    assert_true(span_is(json_text(json, "event"), "said"));
    assert_true(span_is(json_text(json, "text"), "a \"b\" \\ \n \xc3\xa4 </script>"));
    assert_int_equal(json_text(json, "time").len, 27);
    assert_true(json_integer_value(json_object_get(json, "n")) == INT64_MIN);
    json_decref(json);
}

static void less_important_events_are_left_out(void **state)
{
    (void)state;
    open_log(LOG_WARN, LOG_KEY_VALUE);
    assert_false(log_wants(LOG_INFO));
    assert_true(log_wants(LOG_WARN));
    log_event(LOG_INFO, "left out");
    log_event(LOG_WARN, "kept");
    assert_line("warn \"kept\"\n");
}

static void a_value_that_is_no_bare_word_is_quoted(void **state)
{
    (void)state;
    open_log(LOG_INFO, LOG_KEY_VALUE);
    log_event(LOG_INFO, "x", log_text("a", ""), log_text("b", "1 level=error"), log_text("c", "x=y"),
              log_text("d", "\""), log_span("e", SPAN_LITERAL("nul\0nul")), log_text("f", "127.0.0.1:80"),
              log_text("g", "#deadbeef"), log_text("h", NULL));
    assert_line("info \"x\" a=\"\" b=\"1 level=error\" c=\"x=y\" d=\"\\\"\" e=\"nul\\u0000nul\" f=127.0.0.1:80 "
                "g=\"#deadbeef\" h=\"\"\n");
}

static void bytes_that_could_forge_a_line_or_move_a_terminal_are_escaped(void **state)
{
    (void)state;
    open_log(LOG_INFO, LOG_KEY_VALUE);
    log_event(LOG_INFO, "x", log_text("a", "\r\nerror \"forged\""), log_text("b", "\x1b[2J\x7f"),
              log_text("c", "\xc2\x9b"), log_text("d", "\xff\xfe"), log_text("e", "\xe2\x80\xae"),
              log_text("f", "%n%s"));
    assert_line("info \"x\" a=\"\\u000d\\u000aerror \\\"forged\\\"\" b=\"\\u001b[2J\\u007f\" c=\"\\u00c2\\u009b\" "
                "d=\"\\u00ff\\u00fe\" e=\"\\u00e2\\u0080\\u00ae\" f=%n%s\n");
}

static void any_byte_gives_json_that_parses(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        char text[] = {'a', (char)byte, 'b', '\\', '"', (char)byte};
        open_log(LOG_INFO, LOG_JSON);
        log_event(LOG_INFO, "x", log_span("v", (struct span){text, sizeof(text)}), log_int("after", 1));
        char *line = read_file(path);
        json_t *json = json_loads(line, JSON_ALLOW_NUL, NULL);
        assert_non_null(json);
        assert_int_equal(json_integer_value(json_object_get(json, "after")), 1);
        json_decref(json);
        free(line);
        (void)close_log(NULL);
    }
}

static void a_long_value_is_cut_and_says_so(void **state)
{
    (void)state;
    char text[301];
    char expected[400];
    memset(text, 'x', 300);
    text[300] = '\0';
    open_log(LOG_INFO, LOG_KEY_VALUE);
    log_event(LOG_INFO, "x", log_text("v", text), log_int("after", 1));
    (void)snprintf(expected, sizeof(expected), "info \"x\" v=\"%.256s...\" after=1\n", text);
    assert_line(expected);
}

static void a_value_of_256_bytes_is_whole(void **state)
{
    (void)state;
    char text[257];
    char expected[400];
    memset(text, 'x', 256);
    text[256] = '\0';
    open_log(LOG_INFO, LOG_KEY_VALUE);
    log_event(LOG_INFO, "x", log_text("v", text));
    (void)snprintf(expected, sizeof(expected), "info \"x\" v=%s\n", text);
    assert_line(expected);
}

/* Two fields that grow sixfold by escaping fill most of a line. */
static void a_field_without_room_is_left_out_whole(void **state)
{
    (void)state;
    char text[256];
    memset(text, '\x01', sizeof(text));
    struct span value = {text, sizeof(text)};
    open_log(LOG_INFO, LOG_JSON);
    log_event(LOG_INFO, "x", log_span("a", value), log_span("b", value), log_span("c", value), log_span("d", value),
              log_int("e", 5));
    json_t *json = take_json();
    assert_int_equal(json_text(json, "a").len, 256);
    assert_int_equal(json_text(json, "b").len, 256);
    assert_null(json_object_get(json, "c"));
    assert_null(json_object_get(json, "d"));
    assert_int_equal(json_integer_value(json_object_get(json, "e")), 5);
    assert_int_equal(json_integer_value(json_object_get(json, "left_out")), 2);
    json_decref(json);
}

/* Whatever the length of the last field, the line ends as it should. */
static void a_line_that_is_nearly_full_is_whole(void **state)
{
    (void)state;
    char text[256];
    memset(text, '\x01', sizeof(text));
    for (size_t len = 0; len <= sizeof(text); len++) {
        struct span value = {text, sizeof(text)};
        open_log(LOG_INFO, LOG_JSON);
        log_event(LOG_INFO, "x", log_span("a", value), log_span("b", value), log_span("c", (struct span){text, len}),
                  log_int("d", 1), log_int("e", 1), log_int("f", INT64_MIN));
        json_decref(take_json());
        (void)close_log(NULL);
    }
}

static void a_long_text_is_cut_between_characters(void **state)
{
    (void)state;
    char text[258] = "x";
    for (size_t at = 1; at < 256; at += 3)
        memcpy(text + at, "\xe2\x82\xac", 3);
    text[256] = 'e';
    open_log(LOG_INFO, LOG_JSON);
    log_event(LOG_INFO, "whole", log_text("v", text));
    json_t *json = take_json();
    assert_int_equal(json_text(json, "v").len, 256 + strlen("..."));
    json_decref(json);
    (void)close_log(NULL);

    memmove(text + 1, text, 256);
    open_log(LOG_INFO, LOG_JSON);
    log_event(LOG_INFO, "cut", log_span("v", (struct span){text, 257}));
    json = take_json();
    assert_int_equal(json_text(json, "v").len, 254 + strlen("..."));
    json_decref(json);
}

static void a_secret_is_not_in_the_log(void **state)
{
    (void)state;
    static const struct span secret = SPAN_LITERAL("16fd2706-8baf-433b-82eb-8c7fada847da");
    open_log(LOG_INFO, LOG_KEY_VALUE);
    log_event(LOG_INFO, "x", log_secret("token", secret));
    char *line = take_line();
    for (size_t at = 0; at + 4 <= secret.len; at++)
        assert_null(memmem(line, strlen(line), secret.data + at, 4));
    assert_int_equal(strncmp(line, "info \"x\" token=#", 16), 0);
    assert_int_equal(strspn(line + 16, "0123456789abcdef"), 8);
    free(line);
}

static void secrets_can_be_told_apart(void **state)
{
    (void)state;
    open_log(LOG_INFO, LOG_JSON);
    log_event(LOG_INFO, "x", log_secret("a", SPAN_LITERAL("one")), log_secret("b", SPAN_LITERAL("one")),
              log_secret("c", SPAN_LITERAL("two")));
    json_t *json = take_json();
    assert_true(span_equal(json_text(json, "a"), json_text(json, "b")));
    assert_false(span_equal(json_text(json, "a"), json_text(json, "c")));
    json_decref(json);
}

static void reopening_follows_a_rotation(void **state)
{
    (void)state;
    open_log(LOG_INFO, LOG_KEY_VALUE);
    log_event(LOG_INFO, "before");
    assert_int_equal(rename(path, moved), 0);
    log_event(LOG_INFO, "between");
    log_reopen();
    log_event(LOG_INFO, "after");
    assert_line("info \"after\"\n");
    char *old = read_file(moved);
    assert_non_null(strstr(old, "\"before\""));
    assert_non_null(strstr(old, "\"between\""));
    free(old);
}

static void a_file_that_cannot_be_reopened_leaves_the_old_one(void **state)
{
    (void)state;
    open_log(LOG_INFO, LOG_KEY_VALUE);
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    log_reopen();
    log_event(LOG_INFO, "after");
    assert_int_equal(rmdir(path), 0);
    char *old = read_file(moved);
    assert_non_null(strstr(old, "cannot reopen the log"));
    assert_non_null(strstr(old, "\"after\""));
    free(old);
}

static void a_file_that_cannot_be_opened_changes_nothing(void **state)
{
    (void)state;
    char bad[sizeof(path) + 8];
    (void)snprintf(bad, sizeof(bad), "%s/no/log", folder);
    open_log(LOG_INFO, LOG_KEY_VALUE);
    assert_int_equal(log_open(bad, LOG_ERROR, LOG_JSON), ERR_INTERNAL);
    log_event(LOG_INFO, "still here");
    assert_line("info \"still here\"\n");
}

static void the_file_is_not_for_others(void **state)
{
    (void)state;
    struct stat status;
    open_log(LOG_INFO, LOG_KEY_VALUE);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & S_IRWXO, 0);
}

enum { THREADS = 4, LINES = 500 };

static void *log_lines(void *arg)
{
    for (int i = 0; i < LINES; i++)
        log_event(LOG_INFO, "from a thread", log_text("thread", arg), log_int("line", i));
    return NULL;
}

static void lines_of_several_threads_do_not_mix(void **state)
{
    (void)state;
    static char names[THREADS][2] = {"a", "b", "c", "d"};
    pthread_t threads[THREADS];
    open_log(LOG_INFO, LOG_JSON);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_lines, names[i]), 0);
    for (int i = 0; i < 20; i++)
        log_reopen();
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);

    char *text = read_file(path);
    int count = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), count++) {
        json_t *json = NULL;
        assert_int_equal(json_parse(span_of(line), 1, &json), OK);
        json_decref(json);
    }
    assert_int_equal(count, THREADS * LINES);
    free(text);
}

#define log_test(name) cmocka_unit_test_teardown(name, close_log)

int main(void)
{
    const struct CMUnitTest tests[] = {
        log_test(a_line_has_time_level_event_and_fields),
        log_test(an_event_needs_no_fields),
        log_test(json_has_the_same),
        log_test(less_important_events_are_left_out),
        log_test(a_value_that_is_no_bare_word_is_quoted),
        log_test(bytes_that_could_forge_a_line_or_move_a_terminal_are_escaped),
        log_test(any_byte_gives_json_that_parses),
        log_test(a_long_value_is_cut_and_says_so),
        log_test(a_value_of_256_bytes_is_whole),
        log_test(a_field_without_room_is_left_out_whole),
        log_test(a_line_that_is_nearly_full_is_whole),
        log_test(a_long_text_is_cut_between_characters),
        log_test(a_secret_is_not_in_the_log),
        log_test(secrets_can_be_told_apart),
        log_test(reopening_follows_a_rotation),
        log_test(a_file_that_cannot_be_reopened_leaves_the_old_one),
        log_test(a_file_that_cannot_be_opened_changes_nothing),
        log_test(the_file_is_not_for_others),
        log_test(lines_of_several_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
