/* SPDX-License-Identifier: MIT */
/*
 * Talker without memory: a conversation is held again and again, each time with one allocation failing, until it is
 * held to its end without reaching the chosen one. Whatever becomes of it, nobody is left hanging, nothing leaks, and
 * the next one is as it should be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/log.h"
#include "lib/failing_memory.h"
#include "lib/talker_rig.h"

enum { ALLOCATIONS_MAX = 3000, TURNS = 3, GUESTS = 3 };

static struct guest guests[GUESTS];
static const char *const names[GUESTS] = {"alice", "bob", "carol"};

/* Turns that allocate nothing on the guests' side. */
static void turn(struct talker_rig *rig)
{
    for (int i = 0; i < TURNS; i++) {
        talker_rig_poll(rig);
        fake_store_settle(rig->hub.store);
        timers_run(&rig->hub.timers, rig->hub.clock.now_ms);
        hub_tick(rig->hub.hub);
    }
    talker_rig_poll(rig);
}

/* A conversation: alice is there; bob comes with what he saw last, both talk, bob breaks off, carol says goodbye. */
static void converse(struct talker_rig *rig, const char *connects[GUESTS])
{
    guest_say(&guests[1], connects[1]);
    turn(rig);
    guest_say(&guests[0], "{\"type\":\"message\",\"content\":\"hi\"}{\"type\":\"message\",\"content\":\"psst\","
                          "\"to\":\"bob\"}{\"type\":\"message\",\"content\":\"x\",\"to\":\"nobody\"}");
    guest_say(&guests[1], "{\"type\":\"mess");
    turn(rig);
    guest_say(&guests[1], "age\",\"content\":\"hello\"}");
    guest_say(&guests[2], connects[2]);
    turn(rig);
    guest_close(&guests[1]);
    guest_say(&guests[2], "{\"type\":\"message\",\"content\":\"bye\",\"to\":\"alice\"}{\"type\":\"close\"}");
    talker_rig_poll(rig);
    guest_close(&guests[2]); /* without waiting for it */
    turn(rig);
    guest_say(&guests[0], "{\"type\":\"close\"}{");
    turn(rig);
}

static void write_connect(struct talker_rig *rig, const char *user, char *text, size_t size)
{
    struct id token;
    char id[ID_TEXT_SIZE], last[ID_TEXT_SIZE];
    assert_int_equal(hub_rig_token(&rig->hub, user, &token), OK);
    (void)snprintf(text, size, "{\"type\":\"connect\",\"room\":\"hall\",\"token\":\"%s\",\"last_event_id\":\"%s\"}",
                   id_format(token, id), id_format(fake_store_message(rig->hub.store, 0)->fields.id, last));
}

/* Alice is connected, all have tokens, and a message was said. */
static void prepare(struct talker_rig *rig, char texts[GUESTS][256], const char *connects[GUESTS])
{
    talker_rig_open(rig, NULL);
    guest_enter(&guests[0], rig, "alice", "hall");
    assert_int_equal(hub_rig_send(&rig->hub, hub_room_id(span_of("hall")), "alice", "seen"), OK);
    for (int i = 1; i < GUESTS; i++) {
        write_connect(rig, names[i], texts[i], sizeof(texts[i]));
        connects[i] = texts[i];
        guest_open(&guests[i], rig);
    }
    talker_rig_turn(rig);
}

/* The same with all the memory there is, as it should be. */
static void check_next(struct talker_rig *rig)
{
    for (int i = 0; i < GUESTS; i++) {
        guest_close(&guests[i]);
        talker_rig_turn(rig);
    }
    hub_rig_pass(&rig->hub, talker_rig_options().idle_grace_ms);
    guest_enter(&guests[0], rig, "alice", "other");
    guest_enter(&guests[1], rig, "bob", "other");
    guest_say(&guests[0], "{\"type\":\"message\",\"content\":\"hi\"}");
    talker_rig_turn(rig);
    assert_heard(&guests[0], "connected(alice) users(alice) +bob alice:hi");
    assert_heard(&guests[1], "connected(bob) users(alice,bob) alice:hi");
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    char texts[GUESTS][256];
    const char *connects[GUESTS];
    unsigned nth = 0;
    bool failed;
    do {
        struct talker_rig rig;
        assert_true(++nth < ALLOCATIONS_MAX);
        prepare(&rig, texts, connects);
        memory_fail_at(nth);
        converse(&rig, connects);
        failed = memory_has_failed();
        memory_fail_at(0);
        guest_read(&guests[0]);
        assert_true(guests[0].eof); /* it said goodbye, or was ended */
        check_next(&rig);
        for (int i = 0; i < GUESTS; i++)
            guest_close(&guests[i]);
        talker_rig_turn(&rig);
        talker_rig_close(&rig);
    } while (failed);
    assert_true(nth > 50);
}

static void taking_a_connection_fails_whole(void **state)
{
    (void)state;
    unsigned nth = 0;
    bool failed;
    struct talker_rig rig;
    talker_rig_open(&rig, NULL);
    do {
        assert_true(++nth < ALLOCATIONS_MAX);
        memory_fail_at(nth);
        guest_open(&guests[0], &rig);
        failed = memory_has_failed();
        memory_fail_at(0);
        talker_rig_turn(&rig);
        guest_read(&guests[0]);
        assert_true(failed == guests[0].eof);
        guest_close(&guests[0]);
        talker_rig_turn(&rig);
    } while (failed);
    talker_rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_fails_once),
        cmocka_unit_test(taking_a_connection_fails_whole),
    };
    if (log_open("/dev/null", LOG_ERROR, LOG_KEY_VALUE))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
