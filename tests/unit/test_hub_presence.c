/* SPDX-License-Identifier: MIT */
/* Presence is the union of a user's sessions, gathered per turn, and told to those who may see it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/hub.h"
#include "lib/hub_rig.h"

static void the_first_thing_shown_is_how_everybody_is(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct viewer alice = {0}, bob = {0};
    viewer_join(&alice, &rig, "alice");
    assert_shown(&alice, "");
    hub_rig_turn(&rig);
    assert_shown(&alice, "[+alice] .");
    viewer_join(&bob, &rig, "bob");
    hub_rig_turn(&rig);
    assert_shown(&bob, "[+alice +bob] .");
    assert_shown(&alice, "[+bob]");
    viewer_leave(&alice);
    viewer_leave(&bob);
    hub_rig_fini(&rig);
}

static void a_user_is_available_while_any_session_is(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct viewer watcher = {0}, phone = {0}, desk = {0};
    viewer_join(&watcher, &rig, "watcher");
    hub_rig_turn(&rig);
    viewer_skip(&watcher);
    viewer_join(&phone, &rig, "alice");
    hub_rig_turn(&rig);
    assert_shown(&watcher, "[+alice]");
    viewer_join(&desk, &rig, "alice");
    hub_rig_turn(&rig);
    viewer_leave(&phone);
    hub_rig_pass(&rig, 20000);
    assert_shown(&watcher, "");
    viewer_leave(&desk);
    hub_rig_pass(&rig, 20000);
    assert_shown(&watcher, "[-alice]");
    viewer_leave(&watcher);
    hub_rig_fini(&rig);
}

static void grace_has_its_edge(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct viewer watcher = {0}, alice = {0};
    viewer_join(&watcher, &rig, "watcher");
    viewer_join(&alice, &rig, "alice");
    hub_rig_turn(&rig);
    viewer_skip(&watcher);

    viewer_leave(&alice);
    hub_rig_pass(&rig, 9999);
    viewer_join(&alice, &rig, "alice");
    hub_rig_pass(&rig, 20000);
    assert_shown(&watcher, "");

    viewer_leave(&alice);
    hub_user_close(hub_rig_open(&rig, "alice")); /* a request does not prolong it */
    hub_rig_pass(&rig, 9999);
    hub_user_close(hub_rig_open(&rig, "alice"));
    assert_shown(&watcher, "");
    hub_rig_pass(&rig, 1);
    assert_shown(&watcher, "[-alice]");
    viewer_leave(&watcher);
    hub_rig_fini(&rig);
}

static void a_session_may_have_a_grace_of_its_own(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct viewer watcher = {0}, phone = {0}, desk = {0};
    struct attach attach = {.grace_ms = 3000};
    viewer_join(&watcher, &rig, "watcher");
    viewer_join(&desk, &rig, "alice");
    assert_int_equal(viewer_attach(&phone, &rig, "alice", &attach), OK);
    hub_rig_turn(&rig);
    viewer_skip(&watcher);
    viewer_leave(&desk);
    viewer_leave(&phone); /* the last one's counts */
    hub_rig_pass(&rig, 2999);
    assert_shown(&watcher, "");
    hub_rig_pass(&rig, 1);
    assert_shown(&watcher, "[-alice]");
    viewer_leave(&watcher);
    hub_rig_fini(&rig);
}

static void nobody_waits_for_who_has_said_goodbye(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct viewer watcher = {0}, phone = {0}, desk = {0};
    viewer_join(&watcher, &rig, "watcher");
    viewer_join(&desk, &rig, "alice");
    viewer_join(&phone, &rig, "alice");
    hub_rig_turn(&rig);
    viewer_skip(&watcher);
    viewer_say_goodbye(&desk);
    hub_rig_turn(&rig);
    assert_shown(&watcher, ""); /* the phone is left */
    viewer_say_goodbye(&phone);
    hub_rig_turn(&rig);
    assert_shown(&watcher, "[-alice]");
    viewer_say_goodbye(&phone); /* no effect */
    viewer_join(&phone, &rig, "alice");
    hub_rig_turn(&rig);
    viewer_leave(&phone); /* a grace begins */
    hub_rig_pass(&rig, 5000);
    viewer_join(&desk, &rig, "alice");
    hub_rig_turn(&rig);
    viewer_say_goodbye(&desk); /* and is not waited for */
    hub_rig_turn(&rig);
    assert_shown(&watcher, "[+alice] [-alice]");
    viewer_leave(&watcher);
    hub_rig_fini(&rig);
}

static void in_grace_a_user_is_idle_which_sessions_are_not_told(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct viewer watcher = {0}, alice = {0}, poll = {.polls = true};
    viewer_join(&watcher, &rig, "watcher");
    struct user *user = hub_rig_open(&rig, "alice");
    assert_false(user_is_idle(user));
    viewer_join(&alice, &rig, "alice");
    hub_rig_turn(&rig);
    viewer_skip(&watcher);
    assert_false(user_is_idle(user));
    viewer_leave(&alice);
    assert_true(user_is_idle(user) && user_presence(user).available);
    hub_rig_turn(&rig);
    viewer_join(&poll, &rig, "alice");
    assert_false(user_is_idle(user));
    viewer_leave(&poll);
    assert_false(user_is_idle(user)); /* it comes again */
    hub_rig_pass(&rig, 9999);
    assert_shown(&watcher, "");
    hub_rig_pass(&rig, 1);
    assert_false(user_is_idle(user) || user_presence(user).available);
    assert_shown(&watcher, "[-alice]");
    hub_user_close(user);
    viewer_leave(&watcher);
    hub_rig_fini(&rig);
}

static void without_grace_leaving_is_told_in_the_same_turn(void **state)
{
    (void)state;
    struct rig rig;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    options.grace_ms = 0;
    hub_rig_init_with(&rig, &options);
    struct viewer watcher = {0}, alice = {0};
    viewer_join(&watcher, &rig, "watcher");
    viewer_join(&alice, &rig, "alice");
    hub_rig_turn(&rig);
    viewer_skip(&watcher);
    viewer_leave(&alice);
    hub_rig_turn(&rig);
    assert_shown(&watcher, "[-alice]");
    viewer_leave(&watcher);
    hub_rig_fini(&rig);
}

static void changes_of_one_turn_come_as_one_event(void **state)
{
    (void)state;
    for (unsigned friends = FRIENDS_EVERYONE; friends <= FRIENDS_THREADS; friends++) {
        struct rig rig;
        hub_rig_init(&rig, friends);
        const char *users[] = {"alice", "bob", "carol", "dave"};
        for (size_t i = 0; i < 4; i++)
            hub_rig_room(&rig, users[i], "hall");
        struct viewer dave = {0}, viewers[3] = {0};
        viewer_join(&dave, &rig, "dave");
        hub_rig_turn(&rig);
        viewer_skip(&dave);
        for (size_t i = 0; i < 3; i++)
            viewer_join(&viewers[i], &rig, users[i]);
        hub_rig_turn(&rig);
        assert_shown(&dave, "[+alice +bob +carol]");
        assert_shown(&viewers[0], "[+alice +bob +carol +dave] .");
        for (size_t i = 0; i < 3; i++)
            viewer_leave(&viewers[i]);
        hub_rig_pass(&rig, 10000);
        assert_shown(&dave, "[-alice -bob -carol]");
        viewer_leave(&dave);
        hub_rig_fini(&rig);
    }
}

static void coming_and_going_within_a_turn_is_told_as_it_ends(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct viewer watcher = {0}, alice = {0};
    viewer_join(&watcher, &rig, "watcher");
    hub_rig_turn(&rig);
    viewer_skip(&watcher);
    viewer_join(&alice, &rig, "alice");
    viewer_leave(&alice);
    hub_rig_turn(&rig);
    assert_shown(&alice, "");
    assert_shown(&watcher, "[+alice]"); /* in grace */
    hub_rig_pass(&rig, 10000);
    assert_shown(&watcher, "[-alice]");
    viewer_leave(&watcher);
    hub_rig_fini(&rig);
}

static void only_fellows_are_seen_where_friends_are_threads(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    hub_rig_room(&rig, "alice", "hall");
    hub_rig_room(&rig, "bob", "hall");
    struct viewer alice = {0}, bob = {0}, carol = {0};
    viewer_join(&alice, &rig, "alice");
    viewer_join(&carol, &rig, "carol");
    hub_rig_turn(&rig);
    assert_shown(&alice, "[+alice -bob] .");
    assert_shown(&carol, "[+carol] .");
    viewer_join(&bob, &rig, "bob");
    hub_rig_turn(&rig);
    assert_shown(&alice, "[+bob]");
    assert_shown(&bob, "[+alice +bob] .");
    assert_int_equal(hub_rig_set_presence(&rig, "bob", SHOW_DND, "busy"), OK);
    assert_shown(&alice, "[+bob/dnd\"busy\"]");
    viewer_leave(&bob);
    hub_rig_pass(&rig, 10000);
    assert_shown(&alice, "[-bob/dnd\"busy\"]");
    assert_shown(&carol, "");
    viewer_leave(&alice);
    viewer_leave(&carol);
    hub_rig_fini(&rig);
}

static void newcomers_to_a_thread_see_and_are_seen(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    hub_rig_room(&rig, "alice", "hall");
    struct viewer alice = {0}, bob = {0};
    viewer_join(&alice, &rig, "alice");
    viewer_join(&bob, &rig, "bob");
    hub_rig_turn(&rig);
    assert_shown(&alice, "[+alice] .");
    assert_shown(&bob, "[+bob] .");
    hub_rig_room(&rig, "bob", "hall");
    assert_shown(&alice, "[+bob]");
    assert_shown(&bob, "[+alice +bob]");
    hub_rig_room(&rig, "bob", "hall");
    assert_shown(&alice, "");
    assert_shown(&bob, "");
    viewer_leave(&alice);
    viewer_leave(&bob);
    hub_rig_fini(&rig);
}

static void whoever_leaves_the_last_common_thread_is_no_longer_seen(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    hub_rig_room(&rig, "alice", "hall");
    struct id hall = hub_rig_room(&rig, "bob", "hall");
    struct viewer alice = {0}, bob = {0};
    viewer_join(&alice, &rig, "alice");
    viewer_join(&bob, &rig, "bob");
    hub_rig_turn(&rig);
    viewer_skip(&alice);
    viewer_skip(&bob);
    assert_int_equal(hub_rig_remove(&rig, "bob", hall, "bob"), OK);
    assert_int_equal(hub_rig_set_presence(&rig, "bob", SHOW_AWAY, "secret"), OK);
    assert_shown(&alice, "");
    assert_shown(&bob, "[+bob/away\"secret\"]");
    viewer_leave(&alice);
    viewer_leave(&bob);
    hub_rig_fini(&rig);
}

static void show_and_status_are_set_durably_and_told(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct viewer alice = {0};
    viewer_join(&alice, &rig, "alice");
    hub_rig_turn(&rig);
    viewer_skip(&alice);
    assert_int_equal(hub_rig_set_presence(&rig, "alice", SHOW_AWAY, "out"), OK);
    assert_shown(&alice, "[+alice/away\"out\"]");
    assert_int_equal(hub_rig_set_presence(&rig, "alice", SHOW_AWAY, "out"), OK);
    assert_shown(&alice, "");
    assert_int_equal(hub_rig_set_presence(&rig, "alice", SHOW_CHAT, ""), OK);
    assert_shown(&alice, "[+alice]");

    fake_store_fail_next(rig.store, ERR_STORE);
    assert_int_equal(hub_rig_set_presence(&rig, "alice", SHOW_XA, "gone"), ERR_STORE);
    assert_shown(&alice, "");
    viewer_leave(&alice);
    hub_rig_fini(&rig);
}

static void a_presence_outlives_its_user_in_memory(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    assert_int_equal(hub_rig_set_presence(&rig, "alice", SHOW_XA, "away a while"), OK);
    hub_rig_pass(&rig, 60000);
    struct viewer alice = {0};
    viewer_join(&alice, &rig, "alice");
    hub_rig_turn(&rig);
    assert_shown(&alice, "[+alice/xa\"away a while\"] .");
    viewer_leave(&alice);
    hub_rig_fini(&rig);
}

static void never(void *ctx, enum err err)
{
    (void)ctx;
    (void)err;
    fail_msg("done was called");
}

static void unfit_statuses_are_refused(void **state)
{
    (void)state;
    static char longest[USER_STATUS_MAX + 2];
    memset(longest, 's', USER_STATUS_MAX);
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    assert_int_equal(hub_rig_set_presence(&rig, "alice", SHOW_CHAT, longest), OK);
    longest[USER_STATUS_MAX] = 's';
    struct user *alice = hub_rig_open(&rig, "alice");
    assert_int_equal(hub_presence_set(alice, SHOW_CHAT, span_of(longest), never, NULL), ERR_BAD_FIELD);
    assert_int_equal(hub_presence_set(alice, SHOW_CHAT, span_of("\xe2\x82"), never, NULL), ERR_BAD_FIELD);
    assert_int_equal(hub_presence_set(alice, SHOW_CHAT, SPAN_LITERAL("a\0b"), never, NULL), ERR_BAD_FIELD);
    hub_user_close(alice);
    hub_rig_fini(&rig);
}

static void events_keep_what_they_say(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    assert_int_equal(hub_rig_meet(&rig, "alice", "Alice"), OK);
    struct user *alice = hub_rig_open(&rig, "alice");
    struct presence now = user_presence(alice);
    struct event *event = event_of_presence(&now, 1, 5, (struct cursor){6, 7});
    assert_non_null(event);
    event_ref(event);
    event_unref(event);
    assert_int_equal(hub_rig_meet(&rig, "alice", "Other"), OK);
    assert_true(span_is(event->presence.items[0].name, "Alice"));
    assert_true(span_is(event->presence.items[0].user, "alice"));
    assert_int_equal(event->time_us, 5);
    event_unref(event);
    hub_user_close(alice);
    hub_rig_fini(&rig);
}

/* --- a poll that was answered comes again at once: until then its user is there, whatever else they had open */

/* Alice is awaited for `ms` more, and then gone. */
static void check_awaited(struct rig *rig, const struct user *user, int64_t ms)
{
    hub_rig_pass(rig, ms - 1);
    assert_true(user_presence(user).available);
    assert_false(user_is_idle(user));
    assert_int_equal(fake_store_lease(rig->store, "alice"), LEASE_HELD);
    hub_rig_pass(rig, 1);
    assert_false(user_presence(user).available || user_is_idle(user));
    assert_int_equal(fake_store_lease(rig->store, "alice"), LEASE_NONE);
}

static void an_awaited_poll_outlasts_every_other_session(void **state)
{
    (void)state;
    for (unsigned goodbye = 0; goodbye <= 1; goodbye++) {
        struct rig rig;
        hub_rig_init(&rig, FRIENDS_EVERYONE);
        struct viewer watcher = {0}, desk = {0}, poll = {.polls = true};
        struct attach attach = {.grace_ms = 3000};
        viewer_join(&watcher, &rig, "watcher");
        viewer_join(&poll, &rig, "alice");
        assert_int_equal(viewer_attach(&desk, &rig, "alice", &attach), OK);
        struct user *user = hub_rig_open(&rig, "alice");
        hub_rig_turn(&rig);
        viewer_skip(&watcher);
        viewer_leave(&poll);
        hub_rig_pass(&rig, 1000);
        (goodbye ? viewer_say_goodbye : viewer_leave)(&desk);
        assert_false(user_is_idle(user));
        check_awaited(&rig, user, 9000);
        assert_shown(&watcher, "[-alice]");
        hub_user_close(user);
        viewer_leave(&watcher);
        hub_rig_fini(&rig);
    }
}

static void an_awaited_poll_does_not_shorten_a_longer_grace(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct viewer desk = {0}, poll = {.polls = true};
    struct attach attach = {.grace_ms = 30000};
    struct user *user = hub_rig_open(&rig, "alice");
    viewer_join(&poll, &rig, "alice");
    assert_int_equal(viewer_attach(&desk, &rig, "alice", &attach), OK);
    hub_rig_turn(&rig);
    viewer_leave(&poll);
    viewer_leave(&desk);
    check_awaited(&rig, user, 30000);
    hub_user_close(user);
    hub_rig_fini(&rig);
}

static void a_poll_is_awaited_through_what_comes_and_goes_meanwhile(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct viewer watcher = {0}, desk = {0}, poll = {.polls = true};
    struct user *user = hub_rig_open(&rig, "alice");
    viewer_join(&watcher, &rig, "watcher");
    viewer_join(&desk, &rig, "alice");
    viewer_join(&poll, &rig, "alice");
    hub_rig_turn(&rig);
    viewer_skip(&watcher);
    viewer_leave(&poll);
    for (unsigned i = 0; i < 3; i++) {
        hub_rig_pass(&rig, 1000);
        viewer_say_goodbye(&desk);
        hub_rig_pass(&rig, 1000);
        viewer_join(&desk, &rig, "alice");
    }
    viewer_leave(&desk);
    hub_rig_turn(&rig);
    viewer_join(&desk, &rig, "alice");
    viewer_say_goodbye(&desk);
    check_awaited(&rig, user, 4000);
    assert_shown(&watcher, "[-alice]");
    hub_user_close(user);
    viewer_leave(&watcher);
    hub_rig_fini(&rig);
}

static void of_several_polls_the_longest_awaited_counts(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct viewer desk = {0}, polls[] = {{.polls = true}, {.polls = true}};
    struct attach brief = {.grace_ms = 2000};
    struct user *user = hub_rig_open(&rig, "alice");
    viewer_join(&desk, &rig, "alice");
    viewer_join(&polls[0], &rig, "alice");
    assert_int_equal(viewer_attach(&polls[1], &rig, "alice", &brief), OK);
    hub_rig_turn(&rig);
    viewer_leave(&polls[0]);
    viewer_leave(&polls[1]);
    viewer_say_goodbye(&desk);
    check_awaited(&rig, user, 10000);
    hub_user_close(user);
    hub_rig_fini(&rig);
}

static void a_poll_that_has_come_is_not_awaited(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct viewer desk = {0}, poll = {.polls = true};
    struct user *user = hub_rig_open(&rig, "alice");
    viewer_join(&desk, &rig, "alice");
    viewer_join(&poll, &rig, "alice");
    hub_rig_turn(&rig);
    viewer_leave(&poll);
    hub_rig_turn(&rig);
    viewer_join(&poll, &rig, "alice");
    hub_rig_turn(&rig);
    viewer_say_goodbye(&poll); /* it will not come again */
    viewer_say_goodbye(&desk);
    hub_rig_turn(&rig);
    assert_false(user_presence(user).available);

    viewer_join(&desk, &rig, "alice");
    viewer_join(&poll, &rig, "alice");
    hub_rig_turn(&rig);
    viewer_leave(&poll);
    hub_rig_pass(&rig, 10000); /* nor will this one, it seems */
    viewer_say_goodbye(&desk);
    hub_rig_turn(&rig);
    assert_false(user_presence(user).available);
    hub_user_close(user);
    hub_rig_fini(&rig);
}

static void who_was_awaited_is_not_after_a_reset_of_the_store(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct viewer desk = {0}, poll = {.polls = true};
    struct user *user = hub_rig_open(&rig, "alice"); /* stays in memory */
    viewer_join(&desk, &rig, "alice");
    viewer_join(&poll, &rig, "alice");
    hub_rig_turn(&rig);
    viewer_leave(&poll);
    fake_store_reset(rig.store, fake_store_head(rig.store), 0);
    hub_rig_turn(&rig);
    viewer_join(&desk, &rig, "alice");
    hub_rig_turn(&rig);
    viewer_say_goodbye(&desk);
    hub_rig_turn(&rig);
    assert_false(user_presence(user).available);
    hub_user_close(user);
    hub_rig_fini(&rig);
}

static void no_goodbye_is_told_while_a_poll_is_awaited(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_EVERYONE);
    struct viewer watcher = {0}, desk = {0}, poll = {.polls = true};
    viewer_join(&watcher, &rig, "watcher");
    viewer_join(&desk, &rig, "alice");
    viewer_join(&poll, &rig, "alice");
    struct user *user = hub_rig_open(&rig, "alice");
    hub_rig_turn(&rig);
    fake_store_lease_elsewhere(rig.store, "alice", LEASE_IDLE);
    hub_rig_turn(&rig);
    viewer_skip(&watcher);
    viewer_leave(&poll);
    viewer_say_goodbye(&desk);
    hub_rig_pass(&rig, 9999);
    assert_int_equal(fake_store_lease(rig.store, "alice"), LEASE_HELD);
    assert_false(user_is_idle(user));
    assert_shown(&watcher, "");
    hub_rig_pass(&rig, 1);
    assert_int_equal(fake_store_lease(rig.store, "alice"), LEASE_NONE);
    assert_true(user_is_idle(user)); /* no goodbye was told: there they still have their grace */
    fake_store_lease_elsewhere(rig.store, "alice", LEASE_NONE);
    hub_rig_turn(&rig);
    assert_shown(&watcher, "[-alice]");
    hub_user_close(user);
    viewer_leave(&watcher);
    hub_rig_fini(&rig);
}

/* --- marks: what a poll that comes again and again has seen already */

static void poll(struct rig *rig, struct viewer *viewer, const char *user, int64_t *mark)
{
    struct attach attach = {.resume = true, .since = hub_cursor(rig->hub), .presence_mark = *mark};
    assert_int_equal(viewer_attach(viewer, rig, user, &attach), OK);
    hub_rig_turn(rig);
    *mark = hub_presence_mark(rig->hub);
    viewer_leave(viewer);
}

static void a_poll_is_shown_presence_only_when_it_changed(void **state)
{
    (void)state;
    for (unsigned friends = FRIENDS_EVERYONE; friends <= FRIENDS_THREADS; friends++) {
        struct rig rig;
        hub_rig_init(&rig, friends);
        hub_rig_room(&rig, "alice", "hall");
        hub_rig_room(&rig, "bob", "hall");
        struct viewer alice = {0}, bob = {0};
        int64_t mark = 0;
        poll(&rig, &alice, "alice", &mark);
        assert_shown(&alice, "[+alice -bob] .");
        poll(&rig, &alice, "alice", &mark);
        assert_shown(&alice, ".");
        viewer_join(&bob, &rig, "bob");
        hub_rig_turn(&rig);
        poll(&rig, &alice, "alice", &mark);
        assert_shown(&alice, "[+alice +bob] .");
        poll(&rig, &alice, "alice", &mark);
        assert_shown(&alice, ".");
        viewer_leave(&bob);
        hub_rig_fini(&rig);
    }
}

static void strangers_do_not_move_a_mark(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    struct viewer alice = {0}, stranger = {0};
    int64_t mark = 0;
    poll(&rig, &alice, "alice", &mark);
    viewer_skip(&alice);
    viewer_join(&stranger, &rig, "stranger");
    hub_rig_turn(&rig);
    poll(&rig, &alice, "alice", &mark);
    assert_shown(&alice, ".");
    viewer_leave(&stranger);
    hub_rig_fini(&rig);
}

static void a_mark_of_an_earlier_run_is_old(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    struct viewer alice = {0};
    int64_t mark = 0;
    poll(&rig, &alice, "alice", &mark);
    hub_rig_fini(&rig);

    struct hub_options options = hub_rig_options(FRIENDS_THREADS);
    hub_rig_prepare(&rig, &options);
    fake_clock_advance(&rig.clock, 1000);
    hub_free(rig.hub);
    rig.hub = hub_new(&options, fake_store_port(rig.store), &rig.timers, &rig.clock.clock);
    assert_non_null(rig.hub);
    assert_int_equal(hub_rig_start(&rig), OK);
    poll(&rig, &alice, "alice", &mark);
    assert_shown(&alice, "[+alice] .");
    hub_rig_fini(&rig);
}

static void a_user_who_was_out_of_memory_sees_all_again(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    hub_rig_room(&rig, "alice", "hall");
    hub_rig_room(&rig, "bob", "hall");
    struct viewer alice = {0}, bob = {0};
    int64_t mark = 0;
    poll(&rig, &alice, "alice", &mark);
    viewer_skip(&alice);
    hub_rig_pass(&rig, 60000);
    viewer_join(&bob, &rig, "bob");
    hub_rig_turn(&rig);
    poll(&rig, &alice, "alice", &mark);
    assert_shown(&alice, "[+alice +bob] .");
    viewer_leave(&bob);
    hub_rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_thing_shown_is_how_everybody_is),
        cmocka_unit_test(a_user_is_available_while_any_session_is),
        cmocka_unit_test(grace_has_its_edge),
        cmocka_unit_test(a_session_may_have_a_grace_of_its_own),
        cmocka_unit_test(nobody_waits_for_who_has_said_goodbye),
        cmocka_unit_test(in_grace_a_user_is_idle_which_sessions_are_not_told),
        cmocka_unit_test(without_grace_leaving_is_told_in_the_same_turn),
        cmocka_unit_test(changes_of_one_turn_come_as_one_event),
        cmocka_unit_test(coming_and_going_within_a_turn_is_told_as_it_ends),
        cmocka_unit_test(only_fellows_are_seen_where_friends_are_threads),
        cmocka_unit_test(newcomers_to_a_thread_see_and_are_seen),
        cmocka_unit_test(whoever_leaves_the_last_common_thread_is_no_longer_seen),
        cmocka_unit_test(show_and_status_are_set_durably_and_told),
        cmocka_unit_test(a_presence_outlives_its_user_in_memory),
        cmocka_unit_test(unfit_statuses_are_refused),
        cmocka_unit_test(events_keep_what_they_say),
        cmocka_unit_test(an_awaited_poll_outlasts_every_other_session),
        cmocka_unit_test(an_awaited_poll_does_not_shorten_a_longer_grace),
        cmocka_unit_test(a_poll_is_awaited_through_what_comes_and_goes_meanwhile),
        cmocka_unit_test(of_several_polls_the_longest_awaited_counts),
        cmocka_unit_test(a_poll_that_has_come_is_not_awaited),
        cmocka_unit_test(who_was_awaited_is_not_after_a_reset_of_the_store),
        cmocka_unit_test(no_goodbye_is_told_while_a_poll_is_awaited),
        cmocka_unit_test(a_poll_is_shown_presence_only_when_it_changed),
        cmocka_unit_test(strangers_do_not_move_a_mark),
        cmocka_unit_test(a_mark_of_an_earlier_run_is_old),
        cmocka_unit_test(a_user_who_was_out_of_memory_sees_all_again),
    };
    return cmocka_run_group_tests_name("hub presence", tests, NULL, NULL);
}
