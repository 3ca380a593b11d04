/* SPDX-License-Identifier: MIT */
/*
 * Without memory: the same life is lived again and again, each time with one allocation failing, until it is lived to
 * its end without reaching the chosen one. Nothing may crash or leak, and the hub must work afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/log.h"
#include "core/hub.h"
#include "lib/failing_memory.h"
#include "lib/hub_rig.h"

enum { LIFE_MAX = 5000 };

static void attach_as(struct rig *rig, struct viewer *viewer, const char *user, const struct attach *attach)
{
    enum err err = viewer_attach(viewer, rig, user, attach);
    assert_true(err == OK || err == ERR_NO_MEMORY);
    hub_rig_turn(rig);
}

static void must_be_fair(enum err err)
{
    /* A user who could not be brought in is a stranger later on, and a thread that could not be made is not there. */
    assert_true(err == OK || err == ERR_NO_MEMORY || err == ERR_NO_THREAD || err == ERR_NOT_FRIENDS ||
                err == ERR_NO_TOKEN || err == ERR_NO_USER || err == ERR_FORBIDDEN);
}

static void note_err(void *ctx, enum err err)
{
    *(enum err *)ctx = err;
}

static void use_token(struct rig *rig, struct viewer *viewer)
{
    struct id token;
    enum err err = hub_rig_token(rig, "alice", &token), revoked = OK;
    must_be_fair(err);
    if (err)
        return;
    struct attach attach = {.token = &token, .expires_us = rig->clock.wall_us + 1000000};
    attach_as(rig, viewer, "alice", &attach);
    hub_token_revoke(rig->hub, token, span_of("alice"), note_err, &revoked);
    hub_rig_turn(rig);
    must_be_fair(revoked);
}

static void note_entered(void *ctx, enum err err, const struct thread_record *thread)
{
    (void)thread;
    *(enum err *)ctx = err;
}

/* One watch from the start, one of a thread that has to be read; a login with an end. */
static void watch_and_enter(struct rig *rig, struct viewer *viewer, struct watcher *watchers, struct id hall)
{
    struct attach attach = {.expires_us = rig->clock.wall_us + 1000000};
    enum err entered = OK;
    must_be_fair(watcher_try(&watchers[0], rig, hall));
    attach_as(rig, viewer, "dave", &attach);
    struct user *dave = session_attached(&viewer->session) ? viewer->session.user : NULL;
    if (dave)
        must_be_fair(hub_thread_visit(dave, hall, note_entered, &entered));
    must_be_fair(watcher_try(&watchers[1], rig, id_random()));
    hub_rig_turn(rig);
    must_be_fair(entered);
    must_be_fair(hub_rig_send(rig, hall, "alice", "zero"));
    if (dave && session_attached(&viewer->session))
        must_be_fair(hub_extend(&viewer->session, attach.expires_us + 1000000));
}

/* Each was told who is in its thread, or that it is over. */
static void end_watches(struct watcher *watchers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (watchers[i].over)
            assert_true(watchers[i].why == ERR_NO_MEMORY || watchers[i].why == ERR_NO_THREAD);
        else if (watchers[i].watch.watched)
            assert_int_not_equal(watchers[i].last[0], '\0');
        hub_unwatch(&watchers[i].watch);
    }
}

static void talk(struct rig *rig, struct viewer *viewers, struct watcher *watchers)
{
    struct attach live = {0}, resumed = {.resume = true};
    struct id hall = {{0}}, pair = {{0}};
    attach_as(rig, &viewers[0], "alice", &live);
    must_be_fair(hub_rig_try_room(rig, "alice", "hall", &hall));
    must_be_fair(hub_rig_try_room(rig, "bob", "hall", &hall));
    attach_as(rig, &viewers[1], "bob", &live);
    watch_and_enter(rig, &viewers[5], watchers, hall);
    must_be_fair(hub_rig_try_thread(rig, "alice,bob", &pair));
    must_be_fair(hub_rig_send(rig, hall, "alice", "one"));
    must_be_fair(hub_rig_send(rig, pair, "bob", "two"));
    must_be_fair(hub_rig_set_presence(rig, "bob", SHOW_AWAY, "out"));
    must_be_fair(hub_rig_meet(rig, "alice", "Alice"));
    attach_as(rig, &viewers[2], "bob", &resumed);
    must_be_fair(hub_rig_try_room(rig, "carol", "hall", &hall));
    must_be_fair(hub_rig_add(rig, "alice", pair, "carol"));
    must_be_fair(hub_rig_send(rig, hall, "carol", "three"));
    must_be_fair(hub_rig_remove(rig, "alice", pair, "carol"));
    fake_store_prune(rig->store, (struct cursor){1, 0});
    attach_as(rig, &viewers[3], "carol", &resumed);
}

/* Whatever happened before: three users meet in a room nobody has been in, and all is well. */
static void must_work(struct rig *rig)
{
    const char *users[] = {"alice", "bob", "carol"};
    struct viewer viewers[3] = {0};
    struct id den = {{0}};
    for (size_t i = 0; i < 3; i++)
        den = hub_rig_room(rig, users[i], "den");
    assert_int_equal(hub_rig_set_presence(rig, "bob", SHOW_CHAT, ""), OK);
    assert_string_equal(hub_rig_members(rig, den), "alice,bob,carol");
    for (size_t i = 0; i < 3; i++)
        viewer_join(&viewers[i], rig, users[i]);
    hub_rig_turn(rig);
    for (size_t i = 0; i < 3; i++)
        viewer_skip(&viewers[i]);
    assert_int_equal(hub_rig_send(rig, den, "alice", "well"), OK);
    assert_int_equal(hub_rig_set_presence(rig, "bob", SHOW_DND, "busy"), OK);
    for (size_t i = 0; i < 3; i++) {
        assert_shown(&viewers[i], "alice:well [+bob/dnd\"busy\"]");
        viewer_leave(&viewers[i]);
    }
}

/* Whoever was shown something is still attached, or was told why not. */
static void leave_all(struct viewer *viewers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (viewers[i].closed)
            assert_true(viewers[i].why == ERR_NO_MEMORY || viewers[i].why == ERR_NO_TOKEN ||
                        viewers[i].why == ERR_UNAUTHORIZED);
        viewer_leave(&viewers[i]);
    }
}

/* False: the life ended before the chosen allocation. */
static bool live_once(enum friends friends, unsigned nth)
{
    struct rig rig;
    struct viewer viewers[6] = {0};
    struct watcher watchers[2] = {0};
    struct hub_options options = hub_rig_options(friends);
    options.sends_per_minute = options.tokens_per_minute = 100;
    hub_rig_prepare(&rig, &options);
    fake_store_add_user(rig.store, "dave", "Dave");
    memory_fail_at(nth);
    if (hub_rig_start(&rig) == OK) {
        talk(&rig, viewers, watchers);
        use_token(&rig, &viewers[4]);
        hub_rig_pass(&rig, 5000);
        bool failed = memory_has_failed();
        memory_fail_at(0);
        must_work(&rig);
        leave_all(viewers, 6);
        end_watches(watchers, 2);
        hub_rig_pass(&rig, 60000);
        assert_int_equal(metric_value(METRIC_THREADS), 0);
        assert_true(friends == FRIENDS_EVERYONE || metric_value(METRIC_USERS) == 0);
        must_work(&rig);
        hub_rig_fini(&rig);
        return failed;
    }
    memory_fail_at(0);
    hub_rig_fini(&rig);
    return true;
}

static void one_failing_allocation_harms_nothing_else(void **state)
{
    (void)state;
    for (unsigned friends = FRIENDS_EVERYONE; friends <= FRIENDS_THREADS; friends++) {
        unsigned nth = 1;
        while (live_once(friends, nth))
            assert_true(++nth < LIFE_MAX);
        assert_true(nth > 50);
        print_message("# %u allocations\n", nth - 1);
    }
}

static void an_opening_that_fails_leaves_nobody_behind(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    hub_rig_room(&rig, "alice", "hall");
    hub_rig_room(&rig, "bob", "hall");
    hub_rig_room(&rig, "bob", "den");
    assert_int_equal(hub_rig_meet(&rig, "alice", "Alice"), OK);
    assert_int_equal(hub_rig_set_presence(&rig, "alice", SHOW_AWAY, "out"), OK);
    unsigned nth = 0;
    enum err err;
    do {
        hub_rig_pass(&rig, 60000);
        memory_fail_at(++nth);
        err = hub_rig_meet(&rig, "bob", "Bob");
        memory_fail_at(0);
        assert_true(err == OK || err == ERR_NO_MEMORY);
        assert_int_equal(metric_value(METRIC_USERS), err ? 0 : 2);
        assert_int_equal(metric_value(METRIC_THREADS), err ? 0 : 2);
    } while (err);
    assert_true(nth > 10);
    hub_rig_fini(&rig);
}

static void a_hub_that_cannot_be_made_leaves_nothing(void **state)
{
    (void)state;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    struct rig rig;
    hub_rig_prepare(&rig, &options);
    unsigned nth = 0;
    struct hub *hub = NULL;
    while (!hub) {
        memory_fail_at(++nth);
        hub = hub_new(&options, fake_store_port(rig.store), &rig.timers, &rig.clock.clock);
    }
    memory_fail_at(0);
    assert_true(nth > 1);
    hub_free(hub);
    hub_rig_fini(&rig);
}

/* Nobody may miss a message in silence. */
static void whoever_cannot_be_shown_a_message_is_cut_off_before_it(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    struct viewer alice = {0};
    viewer_join(&alice, &rig, "alice");
    hub_rig_turn(&rig);
    viewer_skip(&alice);
    assert_int_equal(hub_rig_send(&rig, hall, "alice", "one"), OK);
    fake_store_send_elsewhere(rig.store, hall, span_of("alice"), span_of("two"));
    memory_fail_at(1);
    fake_store_tail(rig.store);
    assert_true(memory_has_failed());
    assert_shown(&alice, "alice:one closed(no_memory)");
    assert_int_equal(session_cursor(&alice.session).major, 1);
    viewer_resume(&alice, &rig, "alice", session_cursor(&alice.session));
    hub_rig_turn(&rig);
    assert_shown(&alice, "[+alice] alice:two .");
    viewer_leave(&alice);
    hub_rig_fini(&rig);
}

/* A change of presence that could not be told is told later. */
static void presence_that_could_not_be_told_is_told_next(void **state)
{
    (void)state;
    for (unsigned friends = FRIENDS_EVERYONE; friends <= FRIENDS_THREADS; friends++) {
        for (unsigned nth = 1; nth <= 2; nth++) {
            struct rig rig;
            hub_rig_init(&rig, friends);
            hub_rig_room(&rig, "alice", "hall");
            hub_rig_room(&rig, "bob", "hall");
            struct viewer alice = {0}, bob = {0};
            viewer_join(&alice, &rig, "alice");
            viewer_join(&bob, &rig, "bob");
            hub_rig_turn(&rig);
            viewer_skip(&alice);
            viewer_leave(&bob);
            fake_clock_advance(&rig.clock, 10000);
            timers_run(&rig.timers, rig.clock.now_ms);
            memory_fail_at(nth);
            hub_tick(rig.hub);
            assert_true(memory_has_failed());
            assert_shown(&alice, "");
            hub_tick(rig.hub);
            assert_shown(&alice, "[-bob]");
            viewer_leave(&alice);
            hub_rig_fini(&rig);
        }
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
        cmocka_unit_test(one_failing_allocation_harms_nothing_else),
        cmocka_unit_test(an_opening_that_fails_leaves_nobody_behind),
        cmocka_unit_test(a_hub_that_cannot_be_made_leaves_nothing),
        cmocka_unit_test(whoever_cannot_be_shown_a_message_is_cut_off_before_it),
        cmocka_unit_test(presence_that_could_not_be_told_is_told_next),
    };
    return cmocka_run_group_tests_name("hub memory", tests, be_quiet, be_loud);
}
