/* SPDX-License-Identifier: MIT */
/* Watching a thread: who is in it, how they are, what is said there; and that it stays in memory for as long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/metric.h"
#include "core/hub.h"
#include "lib/failing_memory.h"
#include "lib/hub_rig.h"

enum { GRACE_MS = 10000 };

/* --- what a watch is told */

static void a_watch_sees_who_is_in_the_thread_and_how_they_are(void **state)
{
    (void)state;
    for (unsigned friends = FRIENDS_EVERYONE; friends <= FRIENDS_THREADS; friends++) {
        struct rig rig;
        hub_rig_init(&rig, friends);
        struct id hall = hub_rig_room(&rig, "alice", "hall");
        hub_rig_room(&rig, "bob", "hall");
        struct viewer alice = {0}, bob = {0};
        struct watcher watcher = {0};
        viewer_join(&alice, &rig, "alice");
        hub_rig_turn(&rig);
        watcher_start(&watcher, &rig, hall);
        assert_seen(&watcher, ""); /* never from inside */
        hub_rig_turn(&rig);
        assert_seen(&watcher, "{@+alice -bob}");
        viewer_join(&bob, &rig, "bob");
        hub_rig_turn(&rig);
        assert_seen(&watcher, "{@+alice +bob}");
        assert_int_equal(hub_rig_set_presence(&rig, "bob", SHOW_AWAY, "out"), OK);
        assert_seen(&watcher, "{@+alice +bob/away\"out\"}");
        assert_int_equal(hub_rig_meet(&rig, "alice", "Alice"), OK);
        assert_seen(&watcher, "="); /* a name has changed, which this watcher does not write down */
        hub_rig_room(&rig, "carol", "hall");
        assert_seen(&watcher, "{@+alice +bob/away\"out\" -carol}");
        assert_int_equal(hub_rig_remove(&rig, "alice", hall, "bob"), OK);
        assert_seen(&watcher, "{@+alice -carol}");
        assert_int_equal(hub_rig_set_presence(&rig, "bob", SHOW_CHAT, ""), OK);
        assert_seen(&watcher, ""); /* he is no longer in there */
        hub_unwatch(&watcher.watch);
        viewer_leave(&alice);
        viewer_leave(&bob);
        hub_rig_fini(&rig);
    }
}

static void whoever_breaks_off_is_idle_then_gone(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    struct viewer phone = {0}, desk = {0};
    struct watcher watcher = {0};
    watcher_start(&watcher, &rig, hall);
    viewer_join(&phone, &rig, "alice");
    viewer_join(&desk, &rig, "alice");
    hub_rig_turn(&rig);
    assert_seen(&watcher, "{@+alice}");
    viewer_leave(&phone);
    hub_rig_turn(&rig);
    assert_seen(&watcher, ""); /* the desk is left */
    viewer_leave(&desk);
    hub_rig_turn(&rig);
    assert_seen(&watcher, "{@?alice}");
    hub_rig_pass(&rig, GRACE_MS - 1);
    viewer_join(&phone, &rig, "alice");
    hub_rig_turn(&rig);
    assert_seen(&watcher, "{@+alice}");
    viewer_leave(&phone);
    hub_rig_turn(&rig);
    hub_rig_pass(&rig, GRACE_MS);
    assert_seen(&watcher, "{@?alice} {@-alice}");
    hub_unwatch(&watcher.watch);
    hub_rig_fini(&rig);
}

static void whoever_says_goodbye_is_never_idle(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    struct viewer phone = {0}, desk = {0};
    struct watcher watcher = {0};
    watcher_start(&watcher, &rig, hall);
    viewer_join(&phone, &rig, "alice");
    viewer_join(&desk, &rig, "alice");
    hub_rig_turn(&rig);
    assert_seen(&watcher, "{@+alice}");
    viewer_say_goodbye(&phone);
    hub_rig_turn(&rig);
    assert_seen(&watcher, "");
    viewer_say_goodbye(&desk);
    hub_tick(rig.hub);
    assert_seen(&watcher, "");
    hub_rig_turn(&rig);
    assert_seen(&watcher, "{@-alice}");
    viewer_join(&phone, &rig, "alice");
    hub_rig_turn(&rig);
    assert_seen(&watcher, "{@+alice}");
    viewer_say_goodbye(&phone);
    viewer_join(&phone, &rig, "alice");
    hub_rig_turn(&rig);
    assert_seen(&watcher, ""); /* back before anybody was told */
    hub_unwatch(&watcher.watch);
    viewer_leave(&phone);
    hub_rig_fini(&rig);
}

static void somebody_between_two_polls_is_not_idle(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    struct viewer alice = {.polls = true};
    struct watcher watcher = {0};
    watcher_start(&watcher, &rig, hall);
    for (unsigned i = 0; i < 3; i++) {
        viewer_join(&alice, &rig, "alice");
        hub_rig_turn(&rig);
        viewer_leave(&alice);
        hub_rig_pass(&rig, GRACE_MS - 1);
    }
    assert_seen(&watcher, "{@+alice}");
    hub_rig_pass(&rig, 1);
    assert_seen(&watcher, "{@-alice}");
    hub_unwatch(&watcher.watch);
    hub_rig_fini(&rig);
}

static void a_watch_hears_every_message_before_the_sessions_do(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    struct id hall = hub_rig_room(&rig, "alice", "hall"), den = hub_rig_room(&rig, "alice", "den");
    struct watcher watcher = {0}, late = {0};
    watcher_start(&watcher, &rig, hall);
    hub_rig_turn(&rig);
    assert_int_equal(hub_rig_send(&rig, hall, "alice", "one"), OK);
    assert_int_equal(hub_rig_send(&rig, den, "alice", "elsewhere"), OK);
    watcher_start(&late, &rig, hall);
    assert_int_equal(hub_rig_send(&rig, hall, "alice", "two"), OK);
    assert_seen(&watcher, "{@-alice} alice:one alice:two");
    assert_seen(&late, "alice:two {@-alice}");
    hub_unwatch(&watcher.watch);
    hub_unwatch(&late.watch);
    hub_rig_fini(&rig);
}

static void a_watch_that_is_over_hears_nothing(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    struct watcher watcher = {0}, other = {.leaves = true}, never = {0};
    watcher_start(&watcher, &rig, hall);
    watcher_start(&other, &rig, hall);
    watcher_start(&never, &rig, hall);
    hub_unwatch(&never.watch);
    hub_unwatch(&never.watch);
    hub_rig_turn(&rig);
    assert_int_equal(hub_rig_send(&rig, hall, "alice", "one"), OK);
    hub_unwatch(&watcher.watch);
    assert_int_equal(hub_rig_send(&rig, hall, "alice", "two"), OK);
    assert_seen(&watcher, "{@-alice} alice:one");
    assert_seen(&other, "{@-alice}"); /* left by itself */
    assert_seen(&never, "");
    hub_rig_fini(&rig);
}

/* --- the thread in memory */

static void a_watch_keeps_a_thread_in_memory_of_which_nobody_is(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    hub_rig_pass(&rig, 60000);
    assert_int_equal(metric_value(METRIC_THREADS), 0);
    struct watcher watcher = {0};
    watcher_start(&watcher, &rig, hall);
    assert_null(hub_watched_room(&watcher.watch).data);
    hub_rig_turn(&rig);
    assert_seen(&watcher, "{@-alice}");
    assert_true(span_is(hub_watched_room(&watcher.watch), "hall"));
    hub_rig_room(&rig, "bob", "hall");
    assert_int_equal(hub_rig_send(&rig, hall, "bob", "hello"), OK);
    hub_rig_pass(&rig, 60000); /* bob is no longer active */
    assert_seen(&watcher, "{@-alice -bob} bob:hello");
    assert_int_equal(hub_rig_send(&rig, hall, "alice", "still"), OK);
    assert_seen(&watcher, "alice:still");
    assert_int_equal(metric_value(METRIC_THREADS), 1);
    hub_unwatch(&watcher.watch);
    hub_rig_pass(&rig, 60000);
    assert_int_equal(metric_value(METRIC_THREADS), 0);
    assert_int_equal(metric_value(METRIC_USERS), 0);
    hub_rig_fini(&rig);
}

static void a_thread_that_a_member_brings_while_it_is_read_is_the_one(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    hub_rig_pass(&rig, 60000);
    struct viewer alice = {0};
    struct watcher watcher = {0}, second = {0};
    struct user *user = NULL;
    assert_int_equal(hub_user_open(rig.hub, span_of("alice"), (struct span){0}, hub_rig_note_user, &user), OK);
    assert_true(fake_store_step(rig.store)); /* her threads are asked for */
    watcher_start(&watcher, &rig, hall);
    hub_rig_turn(&rig);
    assert_non_null(user);
    watcher_start(&second, &rig, hall);
    viewer_join(&alice, &rig, "alice");
    hub_user_close(user);
    hub_rig_turn(&rig);
    assert_seen(&watcher, "{@-alice} {@+alice}");
    assert_seen(&second, "{@+alice}");
    hub_unwatch(&second.watch);
    viewer_leave(&alice);
    hub_rig_turn(&rig);
    hub_rig_pass(&rig, 60000);
    assert_seen(&watcher, "{@?alice} {@-alice}");
    hub_unwatch(&watcher.watch);
    hub_rig_fini(&rig);
}

static void a_watch_of_no_thread_ends(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct watcher watcher = {0}, again = {0};
    watcher_start(&watcher, &rig, id_random());
    hub_rig_turn(&rig);
    assert_seen(&watcher, "ended(no_thread)");
    struct id den = hub_room_id(span_of("den"));
    watcher_start(&again, &rig, den);
    hub_unwatch(&again.watch); /* while it is being read */
    hub_rig_room(&rig, "alice", "den");
    hub_rig_turn(&rig);
    assert_seen(&again, "");
    hub_rig_fini(&rig);
}

static void everybody_may_leave_a_thread_that_is_watched(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    struct watcher watcher = {0};
    watcher_start(&watcher, &rig, hall);
    hub_rig_turn(&rig);
    assert_int_equal(hub_rig_remove(&rig, "alice", hall, "alice"), OK);
    hub_rig_room(&rig, "bob", "hall");
    assert_seen(&watcher, "{@-alice} {} {@-bob}");
    hub_unwatch(&watcher.watch);
    hub_rig_fini(&rig);
}

static void one_occupant_can_be_asked_for(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    hub_rig_meet(&rig, "bob", "Bob");
    struct watcher watcher = {0};
    struct occupant occupant = {.role = ROLE_OWNER, .idle = true};
    watcher_start(&watcher, &rig, hall);
    hub_rig_turn(&rig);
    assert_true(hub_occupant(&watcher.watch, span_of("alice"), &occupant));
    assert_true(span_is(occupant.presence.user, "alice"));
    assert_int_equal(occupant.role, ROLE_OWNER);
    assert_false(occupant.idle);
    assert_false(occupant.presence.available);
    assert_false(hub_occupant(&watcher.watch, span_of("bob"), &occupant));
    assert_false(hub_occupant(&watcher.watch, span_of("nobody"), &occupant));
    assert_true(span_is(occupant.presence.user, "alice")); /* untouched */
    hub_unwatch(&watcher.watch);
    assert_false(hub_occupant(&watcher.watch, span_of("alice"), &occupant));
    hub_rig_fini(&rig);
}

/* --- the end */

static void a_reset_of_the_store_ends_watches(void **state)
{
    (void)state;
    for (unsigned friends = FRIENDS_EVERYONE; friends <= FRIENDS_THREADS; friends++) {
        struct rig rig;
        hub_rig_init_node(&rig, friends);
        struct id hall = hub_rig_room(&rig, "alice", "hall");
        struct viewer alice = {0};
        struct watcher watcher = {0}, reading = {0};
        viewer_join(&alice, &rig, "alice");
        watcher_start(&watcher, &rig, hall);
        hub_rig_turn(&rig);
        assert_seen(&watcher, "{@+alice}");
        watcher_start(&reading, &rig, id_random());
        fake_store_reset(rig.store, fake_store_head(rig.store), 0);
        assert_seen(&watcher, "ended(store_unavailable)");
        assert_seen(&reading, "ended(store_unavailable)");
        hub_rig_turn(&rig);
        watcher_start(&watcher, &rig, hall);
        hub_rig_turn(&rig);
        assert_seen(&watcher, "{@-alice}");
        hub_unwatch(&watcher.watch);
        hub_rig_fini(&rig);
    }
}

static void shutting_the_hub_ends_watches(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    struct viewer alice = {0};
    struct watcher watcher = {0}, reading = {0};
    viewer_join(&alice, &rig, "alice");
    watcher_start(&watcher, &rig, hall);
    hub_rig_turn(&rig);
    assert_seen(&watcher, "{@+alice}");
    watcher_start(&reading, &rig, id_random());
    hub_shut(rig.hub, ERR_SHUTTING_DOWN);
    assert_seen(&watcher, "ended(shutting_down)");
    assert_seen(&reading, "ended(shutting_down)");
    assert_int_equal(watcher_try(&watcher, &rig, hall), ERR_SHUTTING_DOWN);
    hub_rig_fini(&rig);
}

static void nothing_can_be_watched_before_the_start(void **state)
{
    (void)state;
    struct rig rig;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    hub_rig_prepare(&rig, &options);
    struct watcher watcher = {0};
    assert_int_equal(watcher_try(&watcher, &rig, id_random()), ERR_STORE);
    hub_unwatch(&watcher.watch);
    assert_int_equal(hub_rig_start(&rig), OK);
    hub_rig_fini(&rig);
}

/* What a watch could have missed it is not left without knowing. */
static void a_message_that_has_no_memory_ends_watches(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    struct watcher watcher = {0};
    watcher_start(&watcher, &rig, hall);
    hub_rig_turn(&rig);
    fake_store_send_elsewhere(rig.store, hall, span_of("alice"), span_of("one"));
    memory_fail_at(1);
    fake_store_tail(rig.store);
    memory_fail_at(0);
    assert_seen(&watcher, "{@-alice} ended(no_memory)");
    watcher_start(&watcher, &rig, hall);
    hub_rig_turn(&rig);
    assert_seen(&watcher, "{@-alice}");
    hub_unwatch(&watcher.watch);
    hub_rig_fini(&rig);
}

static void a_thread_that_cannot_be_followed_ends_watches(void **state)
{
    (void)state;
    for (unsigned nth = 1, failed = 1; failed; nth++) {
        struct rig rig;
        hub_rig_init_node(&rig, FRIENDS_THREADS);
        struct id hall = hub_rig_room(&rig, "alice", "hall");
        fake_store_attend_elsewhere(rig.store, "bob", true);
        struct viewer alice = {0};
        struct watcher watcher = {0};
        viewer_join(&alice, &rig, "alice");
        watcher_start(&watcher, &rig, hall);
        hub_rig_turn(&rig);
        assert_seen(&watcher, "{@+alice}");
        memory_fail_at(nth);
        fake_store_join_elsewhere(rig.store, hall, "bob");
        failed = memory_has_failed();
        memory_fail_at(0);
        hub_rig_turn(&rig);
        assert_seen(&watcher, failed ? "ended(no_memory)" : "{@+alice +bob}");
        assert_int_equal(session_attached(&alice.session), !failed);
        hub_unwatch(&watcher.watch);
        viewer_leave(&alice);
        hub_rig_fini(&rig);
        assert_true(nth < 50);
    }
}

static void a_watch_without_memory_is_an_error(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    hub_rig_room(&rig, "bob", "hall");
    hub_rig_pass(&rig, 60000);
    unsigned nth = 0;
    enum err err;
    do {
        struct watcher watcher = {0};
        memory_fail_at(++nth);
        err = watcher_try(&watcher, &rig, hall);
        hub_rig_turn(&rig);
        bool failed = memory_has_failed();
        memory_fail_at(0);
        if (!err && failed)
            assert_int_equal(watcher.why, err = ERR_NO_MEMORY);
        if (!err)
            assert_seen(&watcher, "{@-alice -bob}");
        hub_unwatch(&watcher.watch);
        hub_rig_turn(&rig);
        assert_int_equal(metric_value(METRIC_THREADS), 0);
        assert_int_equal(metric_value(METRIC_USERS), 0);
    } while (err);
    assert_true(nth > 4);
    hub_rig_fini(&rig);
}

/* --- what `changed` may do */

struct busy {
    struct thread_watch watch;
    struct rig *rig;
    struct busy *other; /* is unwatched */
    struct viewer *comes, *goes;
    unsigned told;
};

static void busy_changed(struct thread_watch *watch)
{
    struct busy *busy = container_of(watch, struct busy, watch);
    if (busy->told++)
        return;
    if (busy->other)
        hub_unwatch(&busy->other->watch);
    if (busy->comes)
        viewer_join(busy->comes, busy->rig, "bob");
    if (busy->goes)
        viewer_say_goodbye(busy->goes);
}

static void busy_ended(struct thread_watch *watch, enum err why)
{
    (void)watch;
    (void)why;
}

static const struct thread_watch_ops busy_ops = {busy_changed, NULL, busy_ended};

static void a_watch_may_end_others_and_sessions_may_come_and_go_when_it_is_told(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    hub_rig_room(&rig, "bob", "hall");
    struct viewer alice = {0}, bob = {0}, carol = {0};
    struct busy third = {.rig = &rig}, second = {.rig = &rig},
                first = {.rig = &rig, .other = &second, .comes = &bob, .goes = &alice};
    struct user *user = hub_rig_open(&rig, "bob"); /* so that it is known at once */
    viewer_join(&alice, &rig, "alice");
    viewer_join(&carol, &rig, "carol");
    hub_rig_turn(&rig);
    viewer_skip(&carol);
    assert_int_equal(hub_watch(rig.hub, &first.watch, &busy_ops, hall), OK);
    assert_int_equal(hub_watch(rig.hub, &second.watch, &busy_ops, hall), OK);
    assert_int_equal(hub_watch(rig.hub, &third.watch, &busy_ops, hall), OK);
    hub_rig_turn(&rig);
    assert_shown(&carol, "[-alice +bob]");
    assert_true(first.told >= 2 && third.told == first.told);
    assert_int_equal(second.told, 0);
    hub_user_close(user);
    hub_unwatch(&first.watch);
    hub_unwatch(&third.watch);
    viewer_leave(&bob);
    viewer_leave(&carol);
    hub_rig_fini(&rig);
}

/* The object around a watch may go in its last callback. */
static void freed_when_ended(struct thread_watch *watch, enum err why)
{
    (void)why;
    free(container_of(watch, struct busy, watch));
}

static void freed_when_changed(struct thread_watch *watch)
{
    hub_unwatch(watch);
    free(container_of(watch, struct busy, watch));
}

static void a_watch_may_be_freed_in_its_last_callback(void **state)
{
    (void)state;
    static const struct thread_watch_ops ops = {freed_when_changed, NULL, freed_when_ended};
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct id hall = hub_rig_room(&rig, "alice", "hall"), none = id_random();
    for (unsigned i = 0; i < 4; i++) {
        struct busy *busy = calloc(1, sizeof(*busy));
        assert_non_null(busy);
        assert_int_equal(hub_watch(rig.hub, &busy->watch, &ops, i % 2 ? hall : none), OK);
    }
    hub_rig_turn(&rig);
    hub_rig_fini(&rig);
}

/* --- among nodes */

static void others_are_watched_on_all_nodes(void **state)
{
    (void)state;
    for (unsigned friends = FRIENDS_EVERYONE; friends <= FRIENDS_THREADS; friends++) {
        struct rig rig;
        hub_rig_init_node(&rig, friends);
        struct id hall = hub_rig_room(&rig, "alice", "hall");
        hub_rig_room(&rig, "bob", "hall");
        hub_rig_pass(&rig, 60000);
        struct watcher watcher = {0};
        watcher_start(&watcher, &rig, hall);
        hub_rig_turn(&rig);
        assert_seen(&watcher, "{@-alice -bob}");
        fake_store_lease_elsewhere(rig.store, "bob", LEASE_HELD);
        hub_rig_turn(&rig);
        assert_seen(&watcher, "{@-alice +bob}");
        fake_store_lease_elsewhere(rig.store, "bob", LEASE_IDLE);
        hub_rig_turn(&rig);
        assert_seen(&watcher, "{@-alice ?bob}");
        fake_store_lease_elsewhere(rig.store, "bob", LEASE_NONE);
        fake_store_attend_elsewhere(rig.store, "carol", true);
        fake_store_join_elsewhere(rig.store, hall, "carol");
        hub_rig_turn(&rig);
        assert_seen(&watcher, "{@-alice -bob +carol}");
        fake_store_send_elsewhere(rig.store, hall, span_of("carol"), span_of("from afar"));
        fake_store_tail(rig.store);
        assert_seen(&watcher, "carol:from afar");
        hub_unwatch(&watcher.watch);
        hub_rig_fini(&rig);
    }
}

static int be_quiet(void **state)
{
    (void)state;
    return log_open("/dev/null", LOG_ERROR, LOG_KEY_VALUE) == OK ? 0 : -1;
}

static int be_loud(void **state)
{
    (void)state;
    log_close();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_watch_sees_who_is_in_the_thread_and_how_they_are),
        cmocka_unit_test(whoever_breaks_off_is_idle_then_gone),
        cmocka_unit_test(whoever_says_goodbye_is_never_idle),
        cmocka_unit_test(somebody_between_two_polls_is_not_idle),
        cmocka_unit_test(a_watch_hears_every_message_before_the_sessions_do),
        cmocka_unit_test(a_watch_that_is_over_hears_nothing),
        cmocka_unit_test(a_watch_keeps_a_thread_in_memory_of_which_nobody_is),
        cmocka_unit_test(a_thread_that_a_member_brings_while_it_is_read_is_the_one),
        cmocka_unit_test(a_watch_of_no_thread_ends),
        cmocka_unit_test(everybody_may_leave_a_thread_that_is_watched),
        cmocka_unit_test(one_occupant_can_be_asked_for),
        cmocka_unit_test(a_reset_of_the_store_ends_watches),
        cmocka_unit_test(shutting_the_hub_ends_watches),
        cmocka_unit_test(nothing_can_be_watched_before_the_start),
        cmocka_unit_test(a_message_that_has_no_memory_ends_watches),
        cmocka_unit_test(a_thread_that_cannot_be_followed_ends_watches),
        cmocka_unit_test(a_watch_without_memory_is_an_error),
        cmocka_unit_test(a_watch_may_end_others_and_sessions_may_come_and_go_when_it_is_told),
        cmocka_unit_test(a_watch_may_be_freed_in_its_last_callback),
        cmocka_unit_test(others_are_watched_on_all_nodes),
    };
    return cmocka_run_group_tests_name("hub watch", tests, be_quiet, be_loud);
}
