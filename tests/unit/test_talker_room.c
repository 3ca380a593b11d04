/* SPDX-License-Identifier: MIT */
/*
 * Rooms of Talker on a store that answers when it is told to: what each in a room hears, and what is left of a client
 * that goes away between any two answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "lib/talker_rig.h"

enum { STEPS_MAX = 20, PATIENCE_MS = 20000 };

static struct guest alice, bob, carol;

static bool is_member(struct talker_rig *rig, const char *user, const char *room)
{
    struct cursor joined;
    return fake_store_member(rig->hub.store, hub_room_id(span_of(room)), span_of(user), &joined);
}

static void leave_all(struct talker_rig *rig)
{
    guest_close(&alice);
    guest_close(&bob);
    guest_close(&carol);
    talker_rig_turn(rig);
    talker_rig_close(rig);
}

static void open_two(struct talker_rig *rig)
{
    talker_rig_open(rig, NULL);
    guest_enter(&alice, rig, "alice", "hall");
    guest_enter(&bob, rig, "bob", "hall");
    carol.fd = -1;
    guest_skip(&alice);
    guest_skip(&bob);
}

/* --- what is heard */

static void newcomers_get_a_list_and_the_others_their_name(void **state)
{
    (void)state;
    struct talker_rig rig;
    talker_rig_open(&rig, NULL);
    guest_enter(&alice, &rig, "alice", "hall");
    assert_heard(&alice, "connected(alice) users(alice)");
    guest_enter(&bob, &rig, "bob", "hall");
    guest_enter(&carol, &rig, "carol", "elsewhere");
    assert_heard(&alice, "+bob");
    assert_heard(&bob, "connected(bob) users(alice,bob)");
    assert_heard(&carol, "connected(carol) users(carol)");
    leave_all(&rig);
}

static void those_who_come_together_are_in_each_others_lists(void **state)
{
    (void)state;
    struct talker_rig rig;
    talker_rig_open(&rig, NULL);
    struct guest *guests[] = {&alice, &bob, &carol};
    static const char *const names[] = {"alice", "bob", "carol"};
    for (int i = 0; i < 3; i++) {
        guest_open(guests[i], &rig);
        guest_connect(guests[i], names[i], "hall", "");
    }
    talker_rig_turn(&rig);
    for (int i = 0; i < 3; i++) {
        char expected[64];
        (void)snprintf(expected, sizeof(expected), "connected(%s) users(alice,bob,carol)", names[i]);
        assert_heard(guests[i], expected);
    }
    leave_all(&rig);
}

static void a_message_is_heard_by_all_and_a_private_one_by_one(void **state)
{
    (void)state;
    struct talker_rig rig;
    open_two(&rig);
    guest_enter(&carol, &rig, "carol", "hall");
    guest_skip(&carol);
    guest_say(&alice,
              "{\"type\":\"message\",\"content\":\"hi\"}{\"type\":\"message\",\"content\":\"psst\",\"to\":\"bob\"}");
    talker_rig_turn(&rig);
    assert_heard(&alice, "+carol alice:hi");
    assert_heard(&bob, "+carol alice:hi alice>psst");
    assert_heard(&carol, "alice:hi");
    guest_say(&alice, "{\"type\":\"message\",\"content\":\"psst\",\"to\":\"dave\"}");
    talker_rig_turn(&rig);
    assert_heard(&alice, "error(nobody of this id or name is in the room)");
    leave_all(&rig);
}

static void a_private_message_is_heard_where_its_sender_is_a_member(void **state)
{
    (void)state;
    struct talker_rig rig;
    open_two(&rig);
    (void)hub_rig_room(&rig.hub, "dave", "hall"); /* whom the room has not seen yet */
    assert_int_equal(hub_rig_meet(&rig.hub, "erin", NULL), OK);
    assert_int_equal(hub_rig_send(&rig.hub, hub_rig_thread(&rig.hub, "dave,bob"), "dave", "psst"), OK);
    assert_int_equal(hub_rig_send(&rig.hub, hub_rig_thread(&rig.hub, "erin,bob"), "erin", "psst"), OK);
    assert_int_equal(hub_rig_send(&rig.hub, hub_rig_thread(&rig.hub, "bob,dave"), "bob", "yes?"), OK);
    talker_rig_turn(&rig);
    assert_heard(&bob, "dave>psst");
    leave_all(&rig);
}

static void nobody_is_heard_before_they_have_come(void **state)
{
    (void)state;
    struct talker_rig rig;
    static struct viewer dave;
    open_two(&rig);
    struct id hall = hub_rig_room(&rig.hub, "dave", "hall");
    viewer_join(&dave, &rig.hub, "dave");
    hub_rig_post(&rig.hub, hall, "dave", "hi");
    fake_store_settle(rig.hub.store);
    talker_rig_turn(&rig);
    assert_heard(&bob, "+dave dave:hi");
    viewer_leave(&dave);
    leave_all(&rig);
}

static void a_receiver_that_is_null_is_none(void **state)
{
    (void)state;
    struct talker_rig rig;
    open_two(&rig);
    guest_say(&alice, "{\"type\":\"message\",\"content\":\"hi\",\"to\":null}");
    talker_rig_turn(&rig);
    assert_heard(&alice, "alice:hi");
    assert_heard(&bob, "alice:hi");
    leave_all(&rig);
}

static void a_broken_connection_is_idle_then_back_then_gone(void **state)
{
    (void)state;
    struct talker_rig rig;
    open_two(&rig);
    guest_close(&bob);
    talker_rig_turn(&rig);
    assert_heard(&alice, "?bob");
    guest_enter(&bob, &rig, "bob", "hall");
    assert_heard(&bob, "connected(bob) users(alice,bob)");
    assert_heard(&alice, "!bob");
    guest_close(&bob);
    talker_rig_turn(&rig);
    hub_rig_pass(&rig.hub, talker_rig_options().idle_grace_ms - 1);
    talker_rig_turn(&rig);
    assert_heard(&alice, "?bob");
    hub_rig_pass(&rig.hub, 1);
    talker_rig_turn(&rig);
    assert_heard(&alice, "-bob");
    assert_true(is_member(&rig, "bob", "hall"));
    leave_all(&rig);
}

static void close_leaves_and_takes_the_membership_along(void **state)
{
    (void)state;
    struct talker_rig rig;
    open_two(&rig);
    guest_enter(&carol, &rig, "bob", "hall");
    guest_skip(&carol);
    guest_say(&bob, "{\"type\":\"close\"}");
    talker_rig_turn(&rig);
    assert_heard(&bob, ".");
    assert_heard(&alice, "");
    assert_true(is_member(&rig, "bob", "hall"));
    guest_say(&carol, "{\"type\":\"close\"}");
    talker_rig_turn(&rig);
    assert_heard(&alice, "-bob");
    assert_false(is_member(&rig, "bob", "hall"));
    leave_all(&rig);
}

static const char last_words[] = "{\"type\":\"message\",\"content\":\"psst\",\"to\":\"bob\"}"
                                 "{\"type\":\"message\",\"content\":\"bye\"}"
                                 "{\"type\":\"close\"}{\"type\":\"message\",\"content\":\"too late\"}";

/* A turn for each answer of the store. */
static void turn_slowly(struct talker_rig *rig)
{
    do {
        talker_rig_poll(rig);
        timers_run(&rig->hub.timers, rig->hub.clock.now_ms);
        hub_tick(rig->hub.hub);
    } while (fake_store_pending(rig->hub.store) && fake_store_step(rig->hub.store));
    talker_rig_turn(rig);
}

/* Whether or not the client waits for it. */
static void close_waits_for_what_was_said_before_it(void **state)
{
    (void)state;
    for (int waits = 0; waits < 2; waits++) {
        struct talker_rig rig;
        open_two(&rig);
        guest_say(&alice, last_words);
        talker_rig_poll(&rig);
        guest_say(&alice, "{\"type\":\"message\",\"content\":\"too late\"}");
        if (!waits)
            guest_close(&alice);
        turn_slowly(&rig);
        assert_heard(&bob, "alice:bye alice>psst -alice");
        if (waits)
            assert_heard(&alice, "alice:bye .");
        assert_false(is_member(&rig, "alice", "hall"));
        leave_all(&rig);
    }
}

static void close_waits_for_refusals_as_well(void **state)
{
    (void)state;
    struct talker_rig rig;
    open_two(&rig);
    guest_say(&alice, last_words);
    talker_rig_poll(&rig);
    fake_store_outage(rig.hub.store, ERR_STORE);
    fake_store_settle(rig.hub.store);
    fake_store_outage(rig.hub.store, OK);
    talker_rig_turn(&rig);
    assert_heard(&alice, "error(the message was not sent: the store cannot take this now) "
                         "error(the message was not sent: the store cannot take this now) .");
    assert_heard(&bob, "-alice");
    leave_all(&rig);
}

/* Whatever ends the wait: it was a goodbye. */
static void a_goodbye_that_waits_is_one_at_the_end_too(void **state)
{
    (void)state;
    for (int waits = 0; waits < 2; waits++) {
        struct talker_rig rig;
        open_two(&rig);
        guest_say(&alice, last_words);
        talker_rig_poll(&rig);
        if (!waits)
            guest_close(&alice);
        talker_rig_poll(&rig);
        hub_shut(rig.hub.hub, ERR_SHUTTING_DOWN);
        talker_rig_turn(&rig);
        assert_false(is_member(&rig, "alice", "hall"));
        assert_true(is_member(&rig, "bob", "hall"));
        leave_all(&rig);
    }
}

/* The one that goes gives its membership to the one that comes, wherever that is on its way. */
static void a_membership_is_handed_to_a_connection_under_way(void **state)
{
    (void)state;
    for (int steps = 0; steps < STEPS_MAX; steps++) {
        struct talker_rig rig;
        open_two(&rig);
        guest_open(&carol, &rig);
        guest_connect(&carol, "bob", "hall", "");
        talker_rig_poll(&rig);
        for (int i = 0; i < steps && fake_store_pending(rig.hub.store); i++)
            (void)fake_store_step(rig.hub.store);
        guest_say(&bob, "{\"type\":\"close\"}");
        talker_rig_turn(&rig);
        guest_skip(&carol);
        assert_false(carol.eof);
        guest_say(&carol, "{\"type\":\"message\",\"content\":\"here\"}");
        talker_rig_turn(&rig);
        assert_heard(&carol, "bob:here");
        guest_say(&carol, "{\"type\":\"close\"}");
        talker_rig_turn(&rig);
        assert_false(is_member(&rig, "bob", "hall"));
        leave_all(&rig);
    }
}

static void whoever_is_removed_is_told_and_closed(void **state)
{
    (void)state;
    struct talker_rig rig;
    open_two(&rig);
    assert_int_equal(hub_rig_remove(&rig.hub, "alice", hub_room_id(span_of("hall")), "bob"), OK);
    talker_rig_turn(&rig);
    assert_heard(&bob, "error(you are no longer in this room) .");
    assert_heard(&alice, "-bob");
    leave_all(&rig);
}

static void a_full_room_is_closed_to_others(void **state)
{
    (void)state;
    struct talker_rig rig;
    open_two(&rig);
    (void)hub_rig_room(&rig.hub, "dave", "hall");
    (void)hub_rig_room(&rig.hub, "erin", "hall");
    guest_enter(&carol, &rig, "carol", "hall");
    assert_heard(&carol, "error(the room is full) .");
    leave_all(&rig);
}

static void away_is_idle(void **state)
{
    (void)state;
    struct talker_rig rig;
    open_two(&rig);
    assert_int_equal(hub_rig_set_presence(&rig.hub, "bob", SHOW_AWAY, ""), OK);
    talker_rig_turn(&rig);
    assert_heard(&alice, "?bob");
    assert_int_equal(hub_rig_set_presence(&rig.hub, "bob", SHOW_DND, "busy"), OK);
    talker_rig_turn(&rig);
    assert_heard(&alice, "?bob");
    guest_close(&bob); /* idle already */
    talker_rig_turn(&rig);
    assert_heard(&alice, "");
    assert_int_equal(hub_rig_set_presence(&rig.hub, "bob", SHOW_CHAT, ""), OK);
    talker_rig_turn(&rig);
    assert_heard(&alice, "?bob");
    guest_enter(&bob, &rig, "bob", "hall");
    assert_heard(&alice, "!bob");
    leave_all(&rig);
}

/* --- what was missed */

static void the_last_event_is_where_one_goes_on(void **state)
{
    (void)state;
    struct talker_rig rig;
    char id[ID_TEXT_SIZE], more[128];
    open_two(&rig);
    guest_say(&alice, "{\"type\":\"message\",\"content\":\"seen\"}");
    talker_rig_turn(&rig);
    id_format(fake_store_message(rig.hub.store, 0)->fields.id, id);
    guest_close(&bob);
    guest_say(&alice, "{\"type\":\"message\",\"content\":\"missed\"}");
    talker_rig_turn(&rig);
    assert_int_equal(hub_rig_send(&rig.hub, hub_rig_room(&rig.hub, "bob", "elsewhere"), "bob", "not here"), OK);
    (void)snprintf(more, sizeof(more), ",\"last_event_id\":\"%s\"", id);
    guest_open(&bob, &rig);
    guest_connect(&bob, "bob", "hall", more);
    talker_rig_turn(&rig);
    assert_heard(&bob, "connected(bob) users(alice,bob) alice:missed");
    guest_open(&carol, &rig);
    guest_connect(&carol, "carol", "elsewhere", more);
    talker_rig_turn(&rig);
    assert_heard(&carol, "connected(carol) users(bob,carol) "
                         "error(the last_event_id is not known here: what came after it is not shown)");
    leave_all(&rig);
}

/* Of bob's two connections one breaks off, and the other says goodbye. */
static void what_was_said_while_one_was_no_member_is_told_of(void **state)
{
    (void)state;
    struct talker_rig rig;
    char id[ID_TEXT_SIZE], more[128];
    open_two(&rig);
    guest_enter(&carol, &rig, "bob", "hall");
    guest_say(&alice, "{\"type\":\"message\",\"content\":\"seen\"}");
    talker_rig_turn(&rig);
    id_format(fake_store_message(rig.hub.store, 0)->fields.id, id);
    (void)snprintf(more, sizeof(more), ",\"last_event_id\":\"%s\"", id);
    guest_close(&bob);
    talker_rig_turn(&rig);
    guest_say(&carol, "{\"type\":\"close\"}");
    talker_rig_turn(&rig);
    guest_open(&bob, &rig);
    guest_connect(&bob, "bob", "hall", more);
    talker_rig_turn(&rig);
    assert_heard(&bob, "connected(bob) users(alice,bob)"); /* nothing was said */
    guest_say(&bob, "{\"type\":\"close\"}");
    guest_say(&alice, "{\"type\":\"message\",\"content\":\"missed\"}");
    talker_rig_turn(&rig);
    guest_close(&bob);
    guest_open(&bob, &rig);
    guest_connect(&bob, "bob", "hall", more);
    talker_rig_turn(&rig);
    assert_heard(&bob, "connected(bob) users(alice,bob) error(you have not been a member all the time since the "
                       "last_event_id: what was said in the room meanwhile is not shown)");
    leave_all(&rig);
}

/* --- who goes away meanwhile */

/* Alice is in the hall. Lets bob connect and the store answer `steps` times, then does `end`. False: he was connected
 * by then. */
static bool go_after(struct talker_rig *rig, int steps, void (*end)(struct talker_rig *rig))
{
    talker_rig_open(rig, NULL);
    guest_enter(&alice, rig, "alice", "hall");
    guest_open(&bob, rig);
    carol.fd = -1;
    guest_connect(&bob, "bob", "hall", ",\"last_event_id\":\"00000000-0000-4000-8000-000000000001\"");
    talker_rig_poll(rig);
    for (int i = 0; i < steps && fake_store_pending(rig->hub.store); i++) {
        (void)fake_store_step(rig->hub.store);
        talker_rig_poll(rig);
    }
    guest_read(&bob);
    bool is_early = bob.len == 0;
    end(rig);
    talker_rig_turn(rig);
    return is_early;
}

static void break_off(struct talker_rig *rig unused_arg)
{
    guest_close(&bob);
}

static void be_shut(struct talker_rig *rig)
{
    talker_shut(rig->talker);
}

static void say_too_early(struct talker_rig *rig unused_arg)
{
    guest_say(&bob, "{\"type\":\"ping\"}");
}

static void who_goes_before_connected_was_never_there(void **state)
{
    (void)state;
    static void (*const ends[])(struct talker_rig * rig) = {break_off, be_shut, say_too_early};
    for (size_t i = 0; i < array_len(ends); i++) {
        int steps = 0;
        for (; steps < STEPS_MAX; steps++) {
            struct talker_rig rig;
            bool is_early = go_after(&rig, steps, ends[i]);
            if (is_early) {
                assert_false(is_member(&rig, "bob", "hall"));
                if (i > 0)
                    assert_heard(&bob, i == 1 ? "error(the server is shutting down) ."
                                              : "error(wait for connected before you say anything) .");
                guest_say(&alice, "{\"type\":\"message\",\"content\":\"alone\"}");
                talker_rig_turn(&rig);
                assert_heard(&alice, "connected(alice) users(alice) alice:alone");
            }
            leave_all(&rig);
            if (!is_early)
                break;
        }
        assert_in_range(steps, 3, STEPS_MAX - 1); /* token, user, thread, message */
    }
}

static void who_was_a_member_before_stays_one(void **state)
{
    (void)state;
    struct talker_rig rig;
    talker_rig_open(&rig, NULL);
    (void)hub_rig_room(&rig.hub, "bob", "hall");
    guest_open(&bob, &rig);
    alice.fd = carol.fd = -1;
    guest_connect(&bob, "bob", "hall", "");
    talker_rig_poll(&rig);
    guest_close(&bob);
    talker_rig_turn(&rig);
    assert_true(is_member(&rig, "bob", "hall"));
    guest_enter(&bob, &rig, "bob", "hall");
    guest_say(&bob, "{\"type\":\"close\"}");
    talker_rig_turn(&rig);
    assert_true(is_member(&rig, "bob", "hall"));
    leave_all(&rig);
}

/* What the store refuses is told, and nothing is left of it. */
static void failures_of_the_store_are_told(void **state)
{
    (void)state;
    for (int steps = 0; steps < STEPS_MAX; steps++) {
        struct talker_rig rig;
        talker_rig_open(&rig, NULL);
        guest_open(&bob, &rig);
        alice.fd = carol.fd = -1;
        guest_connect(&bob, "bob", "hall", ",\"last_event_id\":\"00000000-0000-4000-8000-000000000001\"");
        talker_rig_poll(&rig);
        for (int i = 0; i < steps && fake_store_pending(rig.hub.store); i++) {
            (void)fake_store_step(rig.hub.store);
            talker_rig_poll(&rig);
        }
        bool is_early = fake_store_pending(rig.hub.store) > 0;
        fake_store_outage(rig.hub.store, ERR_STORE);
        talker_rig_turn(&rig);
        fake_store_outage(rig.hub.store, OK);
        if (is_early)
            assert_heard(&bob, "error(the store cannot take this now) .");
        leave_all(&rig);
        if (!is_early)
            return;
    }
    fail();
}

static void a_reset_of_the_store_ends_the_room_and_the_next_one_begins(void **state)
{
    (void)state;
    struct talker_rig rig;
    open_two(&rig);
    fake_store_reset(rig.hub.store, fake_store_head(rig.hub.store), 0);
    talker_rig_turn(&rig);
    assert_heard(&alice, "error(the store cannot take this now) .");
    guest_close(&alice);
    guest_enter(&alice, &rig, "alice", "hall");
    assert_heard(&alice, "connected(alice) users(alice)");
    leave_all(&rig);
}

static void messages_that_are_refused_are_told(void **state)
{
    (void)state;
    struct talker_rig rig;
    char text[200];
    open_two(&rig);
    (void)snprintf(text, sizeof(text), "{\"type\":\"message\",\"content\":\"%0120d\"}", 0);
    guest_say(&alice, text);
    talker_rig_turn(&rig);
    assert_heard(&alice, "error(the message was not sent: it is too long)");
    guest_say(&alice, "{\"type\":\"message\",\"content\":\"x\"}");
    talker_rig_poll(&rig);
    fake_store_outage(rig.hub.store, ERR_STORE);
    talker_rig_turn(&rig);
    fake_store_outage(rig.hub.store, OK);
    assert_heard(&alice, "error(the message was not sent: the store cannot take this now)");
    guest_say(&alice, "{\"type\":\"message\",\"content\":\"x\",\"to\":\"bob\"}");
    talker_rig_poll(&rig);
    guest_close(&alice); /* the message is on its way, and arrives */
    talker_rig_turn(&rig);
    assert_heard(&bob, "alice>x ?alice");
    leave_all(&rig);
}

static void the_store_is_waited_for_with_a_few_messages_only(void **state)
{
    (void)state;
    struct talker_rig rig;
    unsigned pending = talker_rig_options().pending;
    int64_t hits = metric_value(METRIC_LIMIT_TALKER_PENDING);
    open_two(&rig);
    for (unsigned i = 0; i < pending + 1; i++)
        guest_say(&alice, "{\"type\":\"message\",\"content\":\"x\",\"to\":\"bob\"}");
    talker_rig_poll(&rig);
    assert_heard(&alice, "error(the message was not sent: wait for those before it)");
    assert_int_equal(metric_value(METRIC_LIMIT_TALKER_PENDING), hits + 1);
    assert_int_equal(fake_store_pending(rig.hub.store), pending);
    talker_rig_turn(&rig);
    assert_heard(&bob, "alice>x alice>x alice>x alice>x alice>x alice>x alice>x alice>x");
    guest_say(&alice, "{\"type\":\"message\",\"content\":\"again\"}");
    talker_rig_turn(&rig);
    assert_heard(&bob, "alice:again");
    leave_all(&rig);
}

static void a_private_message_that_is_refused_asks_nothing_of_the_store(void **state)
{
    (void)state;
    struct talker_rig rig;
    char text[220];
    open_two(&rig);
    (void)snprintf(text, sizeof(text), "{\"type\":\"message\",\"to\":\"bob\",\"content\":\"%0120d\"}", 0);
    guest_say(&alice, text);
    talker_rig_poll(&rig);
    assert_int_equal(fake_store_pending(rig.hub.store), 0);
    assert_heard(&alice, "error(the message was not sent: it is too long)");
    leave_all(&rig);
}

/* --- deadlines */

enum { SILENCE_MS = 300, PAUSE_MS = 180, LATE_MS = 250, TRIES = 20 };

/* A pause that is shorter than the silence that is allowed, but two of them are not. False: the machine has made it
 * longer than that. */
static bool pause_timely(struct talker_rig *rig)
{
    int64_t begin_ms = loop_now_ms(rig->loop);
    while (loop_now_ms(rig->loop) < begin_ms + PAUSE_MS)
        loop_turn(rig->loop, 1);
    talker_rig_turn(rig);
    return loop_now_ms(rig->loop) < begin_ms + LATE_MS;
}

/* False: it says nothing, for the machine was too busy. */
static bool try_silence(void)
{
    struct talker_rig rig;
    struct talker_options options = talker_rig_options();
    options.connect_ms = options.silence_ms = SILENCE_MS;
    talker_rig_open(&rig, &options);
    guest_enter(&alice, &rig, "alice", "hall");
    guest_open(&bob, &rig);
    carol.fd = -1;
    assert_heard(&alice, "connected(alice) users(alice)");
    bool timely = pause_timely(&rig);
    guest_say(&alice, "{\"type\":\"ping\"}");
    guest_say(&bob, "{");
    timely = pause_timely(&rig) && timely;
    if (timely) {
        assert_heard(&alice, "");
        assert_heard(&bob, "error(you have not connected to a room in time) .");
        guest_say(&alice, "\n{");
        (void)pause_timely(&rig);
        assert_heard(&alice, "error(nothing has been heard from you for too long) .");
    }
    leave_all(&rig);
    return timely;
}

static void silence_and_slow_connecting_end(void **state)
{
    (void)state;
    int tries = 1;
    while (!try_silence())
        assert_true(tries++ < TRIES);
}

static void a_goodbye_waits_no_longer_than_silence_may_last(void **state)
{
    (void)state;
    struct talker_rig rig;
    struct talker_options options = talker_rig_options();
    int64_t hits = metric_value(METRIC_LIMIT_TALKER_SILENCE);
    options.silence_ms = 100;
    talker_rig_open(&rig, &options);
    guest_enter(&alice, &rig, "alice", "hall");
    bob.fd = carol.fd = -1;
    guest_skip(&alice);
    guest_say(&alice, "{\"type\":\"message\",\"content\":\"x\"}{\"type\":\"close\"}");
    int64_t end_ms = loop_now_ms(rig.loop) + PATIENCE_MS;
    while (!alice.eof && loop_now_ms(rig.loop) < end_ms) {
        loop_turn(rig.loop, 1);
        guest_read(&alice);
    }
    assert_heard(&alice, ".");
    assert_int_equal(metric_value(METRIC_LIMIT_TALKER_SILENCE), hits);
    talker_rig_turn(&rig);
    assert_false(is_member(&rig, "alice", "hall"));
    leave_all(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(newcomers_get_a_list_and_the_others_their_name),
        cmocka_unit_test(those_who_come_together_are_in_each_others_lists),
        cmocka_unit_test(a_message_is_heard_by_all_and_a_private_one_by_one),
        cmocka_unit_test(a_private_message_is_heard_where_its_sender_is_a_member),
        cmocka_unit_test(nobody_is_heard_before_they_have_come),
        cmocka_unit_test(a_receiver_that_is_null_is_none),
        cmocka_unit_test(a_broken_connection_is_idle_then_back_then_gone),
        cmocka_unit_test(close_leaves_and_takes_the_membership_along),
        cmocka_unit_test(close_waits_for_what_was_said_before_it),
        cmocka_unit_test(close_waits_for_refusals_as_well),
        cmocka_unit_test(a_goodbye_that_waits_is_one_at_the_end_too),
        cmocka_unit_test(a_membership_is_handed_to_a_connection_under_way),
        cmocka_unit_test(whoever_is_removed_is_told_and_closed),
        cmocka_unit_test(a_full_room_is_closed_to_others),
        cmocka_unit_test(away_is_idle),
        cmocka_unit_test(the_last_event_is_where_one_goes_on),
        cmocka_unit_test(what_was_said_while_one_was_no_member_is_told_of),
        cmocka_unit_test(who_goes_before_connected_was_never_there),
        cmocka_unit_test(who_was_a_member_before_stays_one),
        cmocka_unit_test(failures_of_the_store_are_told),
        cmocka_unit_test(a_reset_of_the_store_ends_the_room_and_the_next_one_begins),
        cmocka_unit_test(messages_that_are_refused_are_told),
        cmocka_unit_test(the_store_is_waited_for_with_a_few_messages_only),
        cmocka_unit_test(a_private_message_that_is_refused_asks_nothing_of_the_store),
        cmocka_unit_test(silence_and_slow_connecting_end),
        cmocka_unit_test(a_goodbye_waits_no_longer_than_silence_may_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
