/* SPDX-License-Identifier: MIT */
/* Who comes back with a cursor gets exactly what they missed, then what happens, with no seam. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/metric.h"
#include "core/hub.h"
#include "lib/hub_rig.h"

/* The hub asks for pages of so many messages. */
enum { PAGE = 128 };

static struct cursor at(uint64_t major)
{
    return (struct cursor){major, 0};
}

/* A rig with a thread of alice and bob and `count` messages `alice:1`, `alice:2`, … in it. */
static struct id stage(struct rig *rig, unsigned count)
{
    hub_rig_init(rig, FRIENDS_EVERYONE);
    assert_int_equal(hub_rig_meet(rig, "bob", NULL), OK);
    struct id thread = hub_rig_thread(rig, "alice,bob");
    for (unsigned i = 1; i <= count; i++) {
        char text[12];
        snprintf(text, sizeof(text), "%u", i);
        assert_int_equal(hub_rig_send(rig, thread, "alice", text), OK);
    }
    return thread;
}

static void what_was_missed_comes_before_what_happens(void **state)
{
    (void)state;
    struct rig rig;
    struct id thread = stage(&rig, 3);
    struct viewer bob = {0};
    viewer_resume(&bob, &rig, "bob", at(1));
    hub_rig_turn(&rig);
    assert_shown(&bob, "[-alice +bob] alice:2 alice:3 .");
    assert_int_equal(hub_rig_send(&rig, thread, "alice", "4"), OK);
    assert_shown(&bob, "alice:4");
    assert_int_equal(session_cursor(&bob.session).major, 4);
    viewer_leave(&bob);
    assert_int_equal(session_cursor(&bob.session).major, 4);
    hub_rig_fini(&rig);
}

static void without_a_cursor_only_what_happens_is_shown(void **state)
{
    (void)state;
    struct rig rig;
    struct id thread = stage(&rig, 3);
    struct viewer bob = {0};
    viewer_join(&bob, &rig, "bob");
    assert_int_equal(session_cursor(&bob.session).major, 3);
    hub_rig_turn(&rig);
    assert_int_equal(hub_rig_send(&rig, thread, "alice", "4"), OK);
    assert_shown(&bob, "[-alice +bob] . alice:4");
    viewer_leave(&bob);
    hub_rig_fini(&rig);
}

static void whoever_missed_nothing_is_live_at_once(void **state)
{
    (void)state;
    struct rig rig;
    struct id thread = stage(&rig, 3);
    struct viewer bob = {0};
    viewer_resume(&bob, &rig, "bob", at(3));
    hub_tick(rig.hub);
    assert_int_equal(fake_store_pending(rig.store), 0);
    assert_shown(&bob, "[-alice +bob] .");
    assert_int_equal(hub_rig_send(&rig, thread, "alice", "4"), OK);
    assert_shown(&bob, "alice:4");
    viewer_leave(&bob);
    hub_rig_fini(&rig);
}

static void messages_that_pour_in_meanwhile_come_once_and_in_order(void **state)
{
    (void)state;
    struct rig rig;
    struct id thread = stage(&rig, 2);
    struct viewer bob = {0};
    viewer_resume(&bob, &rig, "bob", at(0));
    hub_tick(rig.hub); /* asks for the page */
    hub_rig_post(&rig, thread, "alice", "3");
    hub_rig_post(&rig, thread, "alice", "4");
    hub_rig_turn(&rig);
    assert_shown(&bob, "[-alice +bob] alice:1 alice:2 . alice:3 alice:4");
    viewer_leave(&bob);
    hub_rig_fini(&rig);
}

static void a_page_older_than_the_hub_is_followed_by_another(void **state)
{
    (void)state;
    struct rig rig;
    struct id thread = stage(&rig, 2);
    struct viewer bob = {0};
    viewer_resume(&bob, &rig, "bob", at(0));
    hub_tick(rig.hub);
    assert_true(fake_store_read_ahead(rig.store)); /* the page up to 2 */
    fake_store_send_elsewhere(rig.store, thread, span_of("alice"), span_of("3"));
    fake_store_tail(rig.store); /* while the session is not live yet */
    assert_shown(&bob, "[-alice +bob]");
    hub_rig_turn(&rig);
    assert_shown(&bob, "alice:1 alice:2 alice:3 .");
    assert_int_equal(hub_rig_send(&rig, thread, "alice", "4"), OK);
    assert_shown(&bob, "alice:4");
    viewer_leave(&bob);
    hub_rig_fini(&rig);
}

static void a_page_newer_than_the_hub_is_not_shown_twice(void **state)
{
    (void)state;
    struct rig rig;
    struct id thread = stage(&rig, 2);
    struct viewer bob = {0}, carol = {0};
    viewer_resume(&bob, &rig, "bob", at(1));
    hub_tick(rig.hub);
    fake_store_send_elsewhere(rig.store, thread, span_of("alice"), span_of("3"));
    hub_rig_turn(&rig);
    assert_shown(&bob, "[-alice +bob] alice:2 alice:3 .");
    assert_int_equal(hub_cursor(rig.hub).major, 2);
    assert_int_equal(session_cursor(&bob.session).major, 3);

    /* Presence told now must not take the client's place in the log back: the viewer checks that it never falls. */
    viewer_join(&carol, &rig, "carol");
    hub_rig_turn(&rig);
    assert_shown(&bob, "[-alice +bob +carol]");
    assert_int_equal(bob.cursor.major, 3);

    fake_store_tail(rig.store);
    assert_shown(&bob, "");
    assert_int_equal(hub_rig_send(&rig, thread, "alice", "4"), OK);
    assert_shown(&bob, "alice:4");
    viewer_leave(&bob);
    viewer_leave(&carol);
    hub_rig_fini(&rig);
}

static void the_talk_of_others_moves_the_cursor_too(void **state)
{
    (void)state;
    struct rig rig;
    stage(&rig, 2);
    struct id den = hub_rig_room(&rig, "carol", "den");
    struct viewer bob = {0};
    viewer_resume(&bob, &rig, "bob", at(1));
    hub_tick(rig.hub);
    fake_store_send_elsewhere(rig.store, den, span_of("carol"), span_of("private"));
    hub_rig_turn(&rig);
    assert_shown(&bob, "[-alice +bob -carol] alice:2 .");
    assert_int_equal(session_cursor(&bob.session).major, 3);
    fake_store_tail(rig.store);
    assert_shown(&bob, "");
    viewer_leave(&bob);
    hub_rig_fini(&rig);
}

/* --- pages */

static unsigned count_messages(const struct viewer *viewer)
{
    unsigned count = 0;
    for (const char *at_text = viewer->text; (at_text = strstr(at_text, "alice:")); at_text++)
        count++;
    return count;
}

static void more_pages_come_when_they_are_asked_for(void **state)
{
    (void)state;
    struct rig rig;
    struct id thread = stage(&rig, PAGE + 2);
    struct viewer bob = {0};
    viewer_resume(&bob, &rig, "bob", at(0));
    hub_rig_turn(&rig);
    assert_int_equal(count_messages(&bob), PAGE);
    assert_non_null(strstr(bob.text, "alice:128 ..."));
    assert_int_equal(session_cursor(&bob.session).major, PAGE);
    viewer_skip(&bob);

    assert_int_equal(hub_rig_send(&rig, thread, "alice", "new"), OK);
    assert_shown(&bob, "");
    hub_continue(&bob.session);
    hub_continue(&bob.session);
    hub_rig_turn(&rig);
    assert_shown(&bob, "alice:129 alice:130 alice:new .");
    hub_continue(&bob.session);
    assert_int_equal(fake_store_pending(rig.store), 0);
    viewer_leave(&bob);
    hub_rig_fini(&rig);
}

static void a_full_last_page_is_the_last(void **state)
{
    (void)state;
    struct rig rig;
    stage(&rig, PAGE);
    struct viewer bob = {0};
    viewer_resume(&bob, &rig, "bob", at(0));
    hub_rig_turn(&rig);
    assert_int_equal(count_messages(&bob), PAGE);
    assert_non_null(strstr(bob.text, "alice:128 ."));
    assert_null(strstr(bob.text, "..."));
    viewer_leave(&bob);
    hub_rig_fini(&rig);
}

static void an_eager_session_may_go_on_inside_settled(void **state)
{
    (void)state;
    struct rig rig;
    stage(&rig, 2 * PAGE + 1);
    struct viewer bob = {.eager = true};
    viewer_resume(&bob, &rig, "bob", at(0));
    hub_rig_turn(&rig);
    assert_int_equal(count_messages(&bob), 2 * PAGE + 1);
    viewer_leave(&bob);
    hub_rig_fini(&rig);
}

/* --- gaps */

static void a_cursor_older_than_retention_is_told_so(void **state)
{
    (void)state;
    struct rig rig;
    stage(&rig, 5);
    fake_store_prune(rig.store, at(3));
    struct viewer bob = {0}, just = {0};
    viewer_resume(&bob, &rig, "bob", at(2));
    viewer_resume(&just, &rig, "bob", at(3));
    hub_rig_turn(&rig);
    assert_shown(&bob, "[-alice +bob] gap<3 alice:4 alice:5 .");
    assert_shown(&just, "[-alice +bob] alice:4 alice:5 .");
    viewer_leave(&bob);
    viewer_leave(&just);
    hub_rig_fini(&rig);
}

static void a_cursor_from_beyond_the_end_is_told_so_and_goes_on_from_there(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    assert_int_equal(hub_rig_meet(&rig, "bob", NULL), OK);
    struct id thread = hub_rig_thread(&rig, "alice,bob");
    assert_int_equal(hub_rig_send(&rig, thread, "alice", "1"), OK);
    struct viewer bob = {0};
    /* Known presence, so that nothing is shown under the foreign cursor first. */
    struct attach attach = {.resume = true, .since = at(1000), .presence_mark = INT64_MAX};
    assert_int_equal(viewer_attach(&bob, &rig, "bob", &attach), OK);
    hub_rig_turn(&rig);
    assert_shown(&bob, "gap<0 .");
    assert_int_equal(bob.cursor.major, 1);
    assert_int_equal(session_cursor(&bob.session).major, 1);
    assert_int_equal(hub_rig_send(&rig, thread, "alice", "2"), OK);
    assert_shown(&bob, "alice:2");
    viewer_leave(&bob);
    hub_rig_fini(&rig);
}

/* --- presence during a replay */

static void changes_of_presence_are_shown_at_the_end_of_a_replay(void **state)
{
    (void)state;
    struct rig rig;
    stage(&rig, PAGE + 1);
    struct viewer bob = {0}, alice = {0};
    viewer_resume(&bob, &rig, "bob", at(PAGE - 1));
    hub_tick(rig.hub);
    assert_shown(&bob, "[-alice +bob]");
    viewer_join(&alice, &rig, "alice");
    hub_tick(rig.hub);
    assert_shown(&bob, "");
    hub_rig_turn(&rig);
    assert_shown(&bob, "alice:128 alice:129 [+alice +bob] .");

    struct viewer paused = {0};
    viewer_resume(&paused, &rig, "bob", at(0));
    hub_rig_turn(&rig);
    viewer_skip(&paused);
    viewer_leave(&alice);
    hub_rig_pass(&rig, 10000);
    assert_shown(&paused, "");
    hub_continue(&paused.session);
    hub_rig_turn(&rig);
    assert_shown(&paused, "alice:129 [-alice +bob] .");
    viewer_leave(&bob);
    viewer_leave(&paused);
    hub_rig_fini(&rig);
}

/* --- leaving and failing in between */

static void leaving_while_a_page_is_read_is_fine(void **state)
{
    (void)state;
    struct rig rig;
    stage(&rig, 3);
    struct viewer *bob = test_calloc(1, sizeof(*bob));
    viewer_resume(bob, &rig, "bob", at(1));
    hub_tick(rig.hub);
    viewer_leave(bob);
    assert_shown(bob, "[-alice +bob]");
    assert_int_equal(session_cursor(&bob->session).major, 1);
    test_free(bob); /* the page comes after that */
    hub_rig_turn(&rig);
    hub_rig_fini(&rig);
}

static void leaving_at_any_event_of_a_replay_is_fine(void **state)
{
    (void)state;
    const char *shown[] = {"[-alice +bob]", "[-alice +bob] gap<1", "[-alice +bob] gap<1 alice:2",
                           "[-alice +bob] gap<1 alice:2 alice:3"};
    for (unsigned i = 0; i < 4; i++) {
        struct rig rig;
        stage(&rig, 3);
        fake_store_prune(rig.store, at(1));
        struct viewer bob = {.leave_after = i + 1};
        viewer_resume(&bob, &rig, "bob", at(0));
        hub_rig_turn(&rig);
        assert_shown(&bob, shown[i]);
        assert_false(session_attached(&bob.session));
        hub_rig_fini(&rig);
    }
}

static void a_failing_page_ends_the_session_before_what_it_missed(void **state)
{
    (void)state;
    struct rig rig;
    stage(&rig, 3);
    struct viewer bob = {0};
    viewer_resume(&bob, &rig, "bob", at(1));
    fake_store_outage(rig.store, ERR_STORE);
    hub_rig_turn(&rig);
    assert_shown(&bob, "[-alice +bob] closed(store_unavailable)");
    assert_int_equal(session_cursor(&bob.session).major, 1);
    assert_int_equal(metric_value(METRIC_SESSIONS_STREAM), 0);
    fake_store_outage(rig.store, OK);
    viewer_resume(&bob, &rig, "bob", session_cursor(&bob.session));
    hub_rig_turn(&rig);
    assert_shown(&bob, "[-alice +bob] alice:2 alice:3 .");
    viewer_leave(&bob);
    hub_rig_fini(&rig);
}

static void only_what_came_after_joining_is_replayed(void **state)
{
    (void)state;
    struct rig rig;
    struct id thread = stage(&rig, 2);
    assert_int_equal(hub_rig_meet(&rig, "carol", NULL), OK);
    assert_int_equal(hub_rig_add(&rig, "alice", thread, "carol"), OK);
    assert_int_equal(hub_rig_send(&rig, thread, "alice", "3"), OK);
    struct viewer carol = {0};
    viewer_resume(&carol, &rig, "carol", at(0));
    hub_rig_turn(&rig);
    assert_shown(&carol, "[-alice -bob +carol] alice:3 .");
    viewer_leave(&carol);
    hub_rig_fini(&rig);
}

static void shutting_down_in_every_state_keeps_the_place(void **state)
{
    (void)state;
    struct rig rig;
    stage(&rig, PAGE + 1);
    struct viewer fresh = {0}, reading = {0}, paused = {0}, live = {0};
    viewer_resume(&paused, &rig, "bob", at(0));
    viewer_join(&live, &rig, "bob");
    hub_rig_turn(&rig);
    viewer_resume(&reading, &rig, "bob", at(5));
    hub_tick(rig.hub);
    viewer_join(&fresh, &rig, "bob");
    assert_int_equal(fake_store_pending(rig.store), 1);
    hub_shut(rig.hub, ERR_SHUTTING_DOWN);
    assert_int_equal(session_cursor(&fresh.session).major, PAGE + 1);
    assert_int_equal(session_cursor(&reading.session).major, 5);
    assert_int_equal(session_cursor(&paused.session).major, PAGE);
    assert_int_equal(session_cursor(&live.session).major, PAGE + 1);
    hub_rig_turn(&rig);
    hub_rig_fini(&rig);
}

static void a_user_has_so_many_sessions_and_no_more(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct viewer viewers[5] = {0};
    for (size_t i = 0; i < 4; i++)
        viewer_join(&viewers[i], &rig, "alice");
    int64_t hits = metric_value(METRIC_LIMIT_SESSIONS);
    struct attach attach = {0};
    assert_int_equal(viewer_attach(&viewers[4], &rig, "alice", &attach), ERR_TOO_MANY_SESSIONS);
    assert_int_equal(metric_value(METRIC_LIMIT_SESSIONS), hits + 1);
    assert_int_equal(metric_value(METRIC_SESSIONS_STREAM), 4);
    viewer_leave(&viewers[0]);
    viewer_join(&viewers[4], &rig, "alice");
    viewer_leave(&viewers[0]);
    hub_rig_turn(&rig);
    for (size_t i = 1; i < 5; i++) {
        assert_shown(&viewers[i], "[+alice] .");
        viewer_leave(&viewers[i]);
    }
    assert_int_equal(metric_value(METRIC_SESSIONS_STREAM), 0);
    hub_rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_missed_comes_before_what_happens),
        cmocka_unit_test(without_a_cursor_only_what_happens_is_shown),
        cmocka_unit_test(whoever_missed_nothing_is_live_at_once),
        cmocka_unit_test(messages_that_pour_in_meanwhile_come_once_and_in_order),
        cmocka_unit_test(a_page_older_than_the_hub_is_followed_by_another),
        cmocka_unit_test(a_page_newer_than_the_hub_is_not_shown_twice),
        cmocka_unit_test(the_talk_of_others_moves_the_cursor_too),
        cmocka_unit_test(more_pages_come_when_they_are_asked_for),
        cmocka_unit_test(a_full_last_page_is_the_last),
        cmocka_unit_test(an_eager_session_may_go_on_inside_settled),
        cmocka_unit_test(a_cursor_older_than_retention_is_told_so),
        cmocka_unit_test(a_cursor_from_beyond_the_end_is_told_so_and_goes_on_from_there),
        cmocka_unit_test(changes_of_presence_are_shown_at_the_end_of_a_replay),
        cmocka_unit_test(leaving_while_a_page_is_read_is_fine),
        cmocka_unit_test(leaving_at_any_event_of_a_replay_is_fine),
        cmocka_unit_test(a_failing_page_ends_the_session_before_what_it_missed),
        cmocka_unit_test(only_what_came_after_joining_is_replayed),
        cmocka_unit_test(shutting_down_in_every_state_keeps_the_place),
        cmocka_unit_test(a_user_has_so_many_sessions_and_no_more),
    };
    return cmocka_run_group_tests_name("hub resume", tests, NULL, NULL);
}
