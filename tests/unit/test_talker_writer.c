/* SPDX-License-Identifier: MIT */
/* The events of Talker, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "adapters/talker/writer.h"

enum { TIME_US_REST = 999999 };
#define TIME_US (INT64_C(1255447115) * 1000000 + TIME_US_REST)

static const struct talker_user alice = {.id = {"alice", 5}, .name = {"Alice", 5}, .show = SHOW_CHAT};
static const struct talker_user bob = {
    .id = {"bob", 3}, .status = {"at \"lunch\"", 10}, .show = SHOW_AWAY, .idle = true};

static void assert_written(struct buf *out, const char *want)
{
    buf_add_char(out, '\0');
    char *have = buf_take_text(out);
    assert_non_null(have);
    assert_string_equal(have, want);
    free(have);
}

static void connected_tells_who_one_is(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    talker_write_connected(&out, &alice);
    assert_written(&out, "{\"type\":\"connected\",\"user\":{\"id\":\"alice\",\"name\":\"Alice\"}}\n");
}

static void without_a_display_name_the_id_is_the_name(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    talker_write_connected(&out, &bob);
    assert_written(&out, "{\"type\":\"connected\",\"user\":{\"id\":\"bob\",\"name\":\"bob\"}}\n");
}

static void users_are_a_list_with_what_is_not_usual(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    talker_write_users_begin(&out);
    talker_write_users_add(&out, &alice);
    talker_write_users_add(&out, &bob);
    talker_write_users_end(&out);
    assert_written(&out,
                   "{\"type\":\"users\",\"users\":[{\"id\":\"alice\",\"name\":\"Alice\"},{\"id\":\"bob\",\"name\":"
                   "\"bob\",\"show\":\"away\",\"status\":\"at \\\"lunch\\\"\",\"idle\":true}]}\n");
    talker_write_users_begin(&out);
    talker_write_users_end(&out);
    assert_written(&out, "{\"type\":\"users\",\"users\":[]}\n");
}

static void presence_has_the_user_and_whole_seconds(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    talker_write_presence(&out, "join", &alice, TIME_US);
    assert_written(&out, "{\"type\":\"join\",\"user\":{\"id\":\"alice\",\"name\":\"Alice\"},\"time\":1255447115}\n");
}

static void leave_has_the_id_alone(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    talker_write_leave(&out, alice.id, TIME_US);
    assert_written(&out, "{\"type\":\"leave\",\"user\":\"alice\",\"time\":1255447115}\n");
}

static struct message *message_of_type(enum text_type type, const char *name)
{
    struct message_fields fields = {
        .id = {{0xa1, 0xb2}},
        .type = type,
        .time_us = TIME_US,
        .sender = SPAN_LITERAL("alice"),
        .sender_name = span_of(name),
        .text = SPAN_LITERAL("<b>1 & 2</b>\n\xe2\x80\xa8\xc3\xa4"),
    };
    struct message *message = message_new(&fields);
    assert_non_null(message);
    return message;
}

static void a_message_stays_on_its_line(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    struct message *message = message_of_type(TEXT_PLAIN, "Alice");
    talker_write_message(&out, message, false);
    message_unref(message);
    assert_written(&out, "{\"type\":\"message\",\"id\":\"a1b20000-0000-0000-0000-000000000000\",\"content\":"
                         "\"\\u003cb\\u003e1 \\u0026 2\\u003c/b\\u003e\\n\\u2028\xc3\xa4\",\"user\":{\"id\":\"alice\","
                         "\"name\":\"Alice\"},\"time\":1255447115}\n");
}

static void a_private_one_says_so_and_one_that_is_not_plain_says_what_it_is(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    struct message *message = message_of_type(TEXT_HTML, "");
    talker_write_message(&out, message, true);
    message_unref(message);
    assert_written(&out, "{\"type\":\"message\",\"id\":\"a1b20000-0000-0000-0000-000000000000\",\"content\":"
                         "\"\\u003cb\\u003e1 \\u0026 2\\u003c/b\\u003e\\n\\u2028\xc3\xa4\",\"format\":\"html\","
                         "\"user\":{\"id\":\"alice\",\"name\":\"alice\"},\"time\":1255447115,\"private\":true}\n");
}

static void an_error_is_a_sentence(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    talker_write_error(&out, SPAN_LITERAL("Authentication failed"));
    assert_written(&out, "{\"type\":\"error\",\"message\":\"Authentication failed\"}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connected_tells_who_one_is),
        cmocka_unit_test(without_a_display_name_the_id_is_the_name),
        cmocka_unit_test(users_are_a_list_with_what_is_not_usual),
        cmocka_unit_test(presence_has_the_user_and_whole_seconds),
        cmocka_unit_test(leave_has_the_id_alone),
        cmocka_unit_test(a_message_stays_on_its_line),
        cmocka_unit_test(a_private_one_says_so_and_one_that_is_not_plain_says_what_it_is),
        cmocka_unit_test(an_error_is_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
