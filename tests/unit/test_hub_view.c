/* SPDX-License-Identifier: MIT */
/* What operators see of this node: sessions, threads, tokens in use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/hub.h"
#include "lib/hub_rig.h"

struct seen {
    char text[1000];
    size_t len;
};

static void seen_add(struct seen *seen, const char *format, ...) printf_like(2, 3);
static void seen_add(struct seen *seen, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(seen->text + seen->len, sizeof(seen->text) - seen->len, format, args);
    va_end(args);
    seen->len += (size_t)len;
    assert_true(seen->len < sizeof(seen->text));
}

static void see_session(void *ctx, const struct session_view *view)
{
    seen_add(ctx, "%.*s%s %s from %.*s, %u queued, since %lld%s%s;", (int)view->user.user.len, view->user.user.data,
             view->user.show == SHOW_CHAT ? "" : " (not to chat)", view->protocol, (int)view->place.address.len,
             view->place.address.data, view->place.queue_bytes, (long long)view->since_us,
             view->by_token ? ", by token" : "", view->replaying ? ", replaying" : "");
}

static void see_thread(void *ctx, const struct thread_view *view)
{
    seen_add(ctx, "%.*s: %u members, %u available, %u watches", view->room.data ? (int)view->room.len : 1,
             view->room.data ? view->room.data : "-", view->members, view->available, view->watches);
    if (view->last_us)
        seen_add(ctx, ", last at %lld", (long long)view->last_us);
    seen_add(ctx, ";");
}

static void see_token(void *ctx, const struct token_view *view)
{
    seen_add(ctx, "%.*s until %lld, %u sessions, %s", (int)view->user.len, view->user.data, (long long)view->expires_us,
             view->sessions, view->begins);
}

static void sessions_are_seen_with_where_they_are(void **state)
{
    (void)state;
    struct rig rig;
    struct viewer alice = {0};
    struct seen seen = {0};
    char expected[200];
    hub_rig_init(&rig, FRIENDS_THREADS);
    hub_view_sessions(rig.hub, see_session, &seen);
    assert_string_equal(seen.text, "");
    long long since = (long long)rig.clock.wall_us;
    viewer_join(&alice, &rig, "alice");
    hub_view_sessions(rig.hub, see_session, &seen);
    snprintf(expected, sizeof(expected), "alice test from 192.0.2.1, 0 queued, since %lld, replaying;", since);
    assert_string_equal(seen.text, expected);
    hub_rig_pass(&rig, 5000);
    assert_int_equal(hub_rig_set_presence(&rig, "alice", SHOW_DND, ""), OK);
    viewer_skip(&alice);
    seen.len = 0;
    hub_view_sessions(rig.hub, see_session, &seen);
    snprintf(expected, sizeof(expected), "alice (not to chat) test from 192.0.2.1, 0 queued, since %lld;", since);
    assert_string_equal(seen.text, expected);
    viewer_leave(&alice);
    hub_rig_fini(&rig);
}

static void threads_are_seen_with_how_many_are_there(void **state)
{
    (void)state;
    struct rig rig;
    struct viewer alice = {0};
    struct watcher watcher = {0};
    struct seen seen = {0};
    hub_rig_init(&rig, FRIENDS_THREADS);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    hub_rig_room(&rig, "bob", "hall");
    viewer_join(&alice, &rig, "alice");
    watcher_start(&watcher, &rig, hall);
    hub_rig_turn(&rig);
    hub_view_threads(rig.hub, see_thread, &seen);
    assert_string_equal(seen.text, "hall: 2 members, 1 available, 1 watches;");
    hub_unwatch(&watcher.watch);
    viewer_leave(&alice);
    hub_rig_pass(&rig, 60000);
    seen = (struct seen){0};
    hub_view_threads(rig.hub, see_thread, &seen);
    assert_string_equal(seen.text, "");
    hub_rig_meet(&rig, "carol", NULL);
    struct user *carol = hub_rig_open(&rig, "carol");
    hub_rig_thread(&rig, "carol,carol");
    hub_view_threads(rig.hub, see_thread, &seen);
    assert_string_equal(seen.text, "-: 1 members, 0 available, 0 watches;");
    hub_user_close(carol);
    hub_rig_fini(&rig);
}

static void of_a_thread_it_is_seen_when_the_last_message_was_sent(void **state)
{
    (void)state;
    struct rig rig;
    struct viewer alice = {0};
    struct seen seen = {0};
    char expected[200];
    hub_rig_init(&rig, FRIENDS_THREADS);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    viewer_join(&alice, &rig, "alice");
    hub_rig_turn(&rig);
    for (int i = 0; i < 2; i++) {
        hub_rig_pass(&rig, 5000);
        hub_rig_send(&rig, hall, "alice", "hello");
        seen = (struct seen){0};
        hub_view_threads(rig.hub, see_thread, &seen);
        snprintf(expected, sizeof(expected), "hall: 1 members, 1 available, 0 watches, last at %lld;",
                 (long long)rig.clock.wall_us);
        assert_string_equal(seen.text, expected);
    }
    viewer_skip(&alice);
    viewer_leave(&alice);
    hub_rig_fini(&rig);
}

static void of_a_token_in_use_only_the_beginning_is_seen(void **state)
{
    (void)state;
    struct rig rig;
    struct viewer alice = {0};
    struct seen seen = {0};
    struct id token;
    char text[ID_TEXT_SIZE], expected[200];
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    assert_int_equal(hub_rig_token(&rig, "alice", &token), OK);
    hub_view_tokens(rig.hub, see_token, &seen);
    assert_string_equal(seen.text, "");
    struct attach attach = {.token = &token, .expires_us = rig.clock.wall_us + 1000000};
    assert_int_equal(viewer_attach(&alice, &rig, "alice", &attach), OK);
    hub_view_tokens(rig.hub, see_token, &seen);
    snprintf(expected, sizeof(expected), "alice until %lld, 1 sessions, %.8s", (long long)attach.expires_us,
             id_format(token, text));
    assert_string_equal(seen.text, expected);
    seen.len = 0;
    hub_view_sessions(rig.hub, see_session, &seen);
    assert_non_null(strstr(seen.text, ", by token"));
    hub_rig_pass(&rig, 1000);
    seen = (struct seen){0};
    hub_view_tokens(rig.hub, see_token, &seen);
    assert_string_equal(seen.text, "");
    hub_rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_are_seen_with_where_they_are),
        cmocka_unit_test(threads_are_seen_with_how_many_are_there),
        cmocka_unit_test(of_a_thread_it_is_seen_when_the_last_message_was_sent),
        cmocka_unit_test(of_a_token_in_use_only_the_beginning_is_seen),
    };
    return cmocka_run_group_tests_name("hub view", tests, NULL, NULL);
}
