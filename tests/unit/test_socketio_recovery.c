/* SPDX-License-Identifier: MIT */
/* Connection state recovery: what a client that was lost finds when it comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "lib/socketio_rig.h"

/* --- an application that can take up what it left */

struct notes_state {
    unsigned written;
    bool is_deaf;
    bool refuses;
};

static struct buf diary;

static void notes_connected(struct socket *socket unused_arg, void *state, const json_t *auth unused_arg)
{
    ((struct notes_state *)state)->written = 1;
    buf_add_text(&diary, "connected ");
}

static void notes_disconnected(struct socket *socket unused_arg, void *state, const char *reason unused_arg)
{
    ((struct notes_state *)state)->written++;
    buf_add_text(&diary, "disconnected ");
}

static void notes_recovered(struct socket *socket, void *state)
{
    struct notes_state *notes = state;
    buf_printf(&diary, "recovered%u ", notes->written);
    if (notes->refuses)
        socket_disconnect(socket, false);
    else
        socket_say(socket, "welcome", (struct span){0});
}

static bool notes_hear(struct socket *socket unused_arg, void *state, struct span room unused_arg)
{
    return !((struct notes_state *)state)->is_deaf;
}

static void notes_freed(void *state unused_arg)
{
    buf_add_text(&diary, "freed ");
}

static const struct app notes = {
    .name = "notes",
    .nsp = "/",
    .state_bytes = sizeof(struct notes_state),
    .connected = notes_connected,
    .disconnected = notes_disconnected,
    .recovered = notes_recovered,
    .hears = notes_hear,
    .freed = notes_freed,
};
static const struct app forgetful = {.name = "forgetful", .nsp = "/forgetful"};
static const struct app *const apps[] = {&notes, &forgetful, NULL};

static void check_diary(const char *expected, int line)
{
    buf_add_char(&diary, '\0');
    if (strcmp(diary.data, expected) != 0) {
        print_error("diary:    %s\nexpected: %s\n", diary.data, expected);
        _fail(__FILE__, line);
    }
    buf_reset(&diary);
}
#define assert_diary(expected) check_diary((expected), __LINE__)

static struct socketio_rig rig;
static struct paper alice, again, bob;
static struct socket *alices, *bobs;

static void open_with(uint32_t events, int64_t recovery_ms)
{
    struct socketio_options options = socketio_rig_options();
    options.recovery_ms = recovery_ms;
    options.recovery_events = events;
    buf_reset(&diary);
    socketio_rig_open(&rig, apps, &options);
    paper_open_again(&alice, &rig, "alice");
    paper_open_again(&bob, &rig, "bob");
    alices = paper_connect(&alice, "/");
    bobs = paper_connect(&bob, "/");
    assert_true(alice.pid[0] && bob.pid[0]);
    buf_reset(&alice.text);
    buf_reset(&bob.text);
    buf_reset(&diary);
}

static int open_rig(void **state)
{
    (void)state;
    open_with(100, 60000);
    return 0;
}

static int close_rig(void **state)
{
    (void)state;
    paper_close(&bob, ENGINE_TRANSPORT_CLOSE);
    socketio_rig_close(&rig);
    buf_fini(&diary);
    return 0;
}

static void say_to(const char *room, const char *except, const char *name)
{
    const struct span rooms = span_of(room), others = span_of(except);
    const struct audience audience = {&rooms, room != NULL, &others, except != NULL};
    struct emission *emission = emission_of(SPAN_LITERAL("/"), name, (struct span){0});
    nsp_broadcast(socket_nsp(bobs), &audience, emission);
    emission_unref(emission);
}

static void lose(struct paper *paper, enum engine_end why)
{
    paper_close(paper, why);
    socketio_rig_turn(&rig);
}

static void comes_back(const char *offset)
{
    paper_open_again(&again, &rig, "alice");
    assert_non_null(paper_come_back(&again, &alice, offset));
}

/* --- */

static void who_comes_back_gets_what_was_missed(void **state)
{
    (void)state;
    assert_int_equal(socket_join(alices, SPAN_LITERAL("a")), OK);
    say_to("a", NULL, "before");
    assert_paper(&alice, "[\"before\",\"1\"] ");
    lose(&alice, ENGINE_TRANSPORT_CLOSE);
    assert_diary("disconnected ");
    assert_int_equal(nsp_count(socket_nsp(bobs), SPAN_LITERAL("a")), 0);
    say_to("a", NULL, "room");
    say_to(NULL, NULL, "all");
    say_to("b", NULL, "other");
    say_to(NULL, "a", "not-her");
    say_to(socket_id(alices), NULL, "own");
    comes_back("1");
    assert_paper(&again, "[\"room\",\"2\"] [\"all\",\"3\"] [\"own\",\"6\"] +/ [\"welcome\",\"7\"] ");
    assert_string_equal(again.pid, alice.pid);
    assert_ptr_equal(client_socket(&again.client, SPAN_LITERAL("/")), alices);
    assert_true(socket_is_in(alices, SPAN_LITERAL("a")));
    say_to("a", NULL, "later");
    assert_paper(&again, "[\"later\",\"8\"] ");
    assert_diary("recovered2 ");
    lose(&again, ENGINE_TRANSPORT_CLOSE);
    assert_diary("disconnected ");
}

static void it_may_be_lost_again_and_again(void **state)
{
    (void)state;
    struct paper before = alice;
    lose(&alice, ENGINE_PING_TIMEOUT);
    for (unsigned i = 0; i < 3; i++) {
        say_to(NULL, NULL, "x");
        paper_open_again(&again, &rig, "alice");
        assert_ptr_equal(paper_come_back(&again, &before, i ? "1" : NULL), alices);
        lose(&again, ENGINE_TRANSPORT_ERROR);
    }
    assert_diary("disconnected recovered2 disconnected recovered3 disconnected recovered4 disconnected ");
}

static void without_an_offset_all_since_its_connect_is_new(void **state)
{
    (void)state;
    struct paper carol;
    say_to(NULL, NULL, "earlier");
    paper_open_again(&carol, &rig, "carol");
    assert_non_null(paper_connect(&carol, "/"));
    say_to(NULL, NULL, "in-flight");
    lose(&carol, ENGINE_TRANSPORT_CLOSE);
    say_to(NULL, NULL, "missed");
    paper_open_again(&again, &rig, "carol");
    assert_non_null(paper_come_back(&again, &carol, NULL));
    assert_paper(&again, "[\"in-flight\",\"2\"] [\"missed\",\"3\"] +/ [\"welcome\",\"4\"] ");
    lose(&again, ENGINE_TRANSPORT_CLOSE);
    lose(&alice, ENGINE_TRANSPORT_CLOSE);
}

static void who_left_on_purpose_starts_over(void **state)
{
    (void)state;
    client_left(&alice.client, alices);
    socketio_rig_turn(&rig);
    assert_diary("disconnected freed ");
    comes_back(NULL);
    assert_paper(&again, "+/ ");
    assert_diary("connected ");
    assert_string_not_equal(again.pid, alice.pid);
    socket_disconnect(client_socket(&again.client, SPAN_LITERAL("/")), false);
    socketio_rig_turn(&rig);
    assert_diary("disconnected freed ");
    paper_close(&again, ENGINE_TRANSPORT_CLOSE);
    paper_close(&alice, ENGINE_TRANSPORT_CLOSE);
}

static void who_broke_the_rules_starts_over(void **state)
{
    (void)state;
    lose(&alice, ENGINE_PARSE_ERROR);
    assert_diary("disconnected freed ");
    comes_back(NULL);
    assert_paper(&again, "+/ ");
    paper_close(&again, ENGINE_SLOW_READER);
}

static void another_user_starts_over(void **state)
{
    (void)state;
    lose(&alice, ENGINE_TRANSPORT_CLOSE);
    say_to(NULL, NULL, "secret");
    paper_open_again(&again, &rig, "mallory");
    assert_non_null(paper_come_back(&again, &alice, NULL));
    assert_paper(&again, "+/ ");
    paper_close(&again, ENGINE_TRANSPORT_CLOSE);
    comes_back(NULL); /* alice can still */
    assert_paper(&again, "[\"secret\",\"1\"] +/ [\"welcome\",\"2\"] ");
    paper_close(&again, ENGINE_TRANSPORT_CLOSE);
}

static void nonsense_starts_over(void **state)
{
    (void)state;
    static const char *const offsets[] = {
        "", "x", "-1", "1x", " 1", "99", "18446744073709551615", "99999999999999999999"};
    struct paper before = alice;
    lose(&alice, ENGINE_TRANSPORT_CLOSE);
    for (size_t i = 0; i < array_len(offsets); i++) {
        paper_open_again(&again, &rig, "alice");
        assert_non_null(paper_come_back(&again, &before, offsets[i]));
        assert_string_not_equal(again.pid, before.pid);
        assert_paper(&again, "+/ ");
        memcpy(before.pid, again.pid, sizeof(again.pid));
        lose(&again, ENGINE_TRANSPORT_CLOSE);
    }
}

static void it_may_come_back_before_we_know_that_it_is_lost(void **state)
{
    (void)state;
    say_to(NULL, NULL, "in-flight");
    paper_open_again(&again, &rig, "alice");
    assert_ptr_equal(paper_come_back(&again, &alice, NULL), alices);
    assert_paper(&alice, "[\"in-flight\",\"1\"] . ");
    assert_paper(&again, "[\"in-flight\",\"1\"] +/ [\"welcome\",\"2\"] ");
    assert_diary("disconnected recovered2 ");
    paper_close(&again, ENGINE_TRANSPORT_CLOSE);
    paper_close(&alice, ENGINE_TRANSPORT_CLOSE);
}

static void what_was_not_heard_is_not_missed(void **state)
{
    (void)state;
    struct notes_state *state_of_alice = socket_state(alices, &notes);
    assert_int_equal(socket_join(alices, SPAN_LITERAL("a")), OK);
    state_of_alice->is_deaf = true;
    lose(&alice, ENGINE_TRANSPORT_CLOSE);
    state_of_alice->is_deaf = false;
    say_to("a", NULL, "x");
    comes_back(NULL);
    assert_paper(&again, "+/ [\"welcome\",\"2\"] ");
    paper_close(&again, ENGINE_TRANSPORT_CLOSE);
}

static void an_application_may_still_refuse(void **state)
{
    (void)state;
    ((struct notes_state *)socket_state(alices, &notes))->refuses = true;
    lose(&alice, ENGINE_TRANSPORT_CLOSE);
    paper_open_again(&again, &rig, "alice");
    assert_null(paper_come_back(&again, &alice, NULL));
    assert_paper(&again, "+/ -/ ");
    socketio_rig_turn(&rig);
    assert_diary("disconnected recovered2 disconnected freed ");
    paper_close(&again, ENGINE_TRANSPORT_CLOSE);
}

static void volatile_events_and_questions_are_not_kept(void **state)
{
    (void)state;
    struct emission *emission = emission_of(SPAN_LITERAL("/"), "now", (struct span){0});
    emission_set_volatile(emission);
    nsp_deliver(socket_nsp(alices), &(struct audience){0}, emission);
    emission_unref(emission);
    assert_paper(&alice, "[\"now\"] ");
    lose(&alice, ENGINE_TRANSPORT_CLOSE);
    comes_back(NULL);
    assert_paper(&again, "+/ [\"welcome\",\"1\"] ");
    paper_close(&again, ENGINE_TRANSPORT_CLOSE);
}

/* One emission to each of several sockets has one offset, and nobody gets it twice. */
static void what_is_sent_one_by_one_is_told_apart(void **state)
{
    (void)state;
    struct emission *emission = emission_of(SPAN_LITERAL("/"), "x", (struct span){0});
    socket_emit(bobs, emission);
    say_to(socket_id(alices), NULL, "y");
    socket_emit(alices, emission);
    emission_unref(emission);
    assert_paper(&alice, "[\"y\",\"2\"] [\"x\",\"1\"] ");
    lose(&alice, ENGINE_TRANSPORT_CLOSE);
    comes_back("1");
    assert_paper(&again, "+/ [\"welcome\",\"4\"] ");
    paper_close(&again, ENGINE_TRANSPORT_CLOSE);
}

static void a_namespace_whose_application_cannot_has_no_pids(void **state)
{
    (void)state;
    assert_non_null(paper_connect(&alice, "/forgetful"));
    assert_string_equal(alice.pid, "");
    paper_close(&alice, ENGINE_TRANSPORT_CLOSE);
}

static void too_late_is_to_start_over(void **state)
{
    (void)state;
    open_with(100, 20);
    lose(&alice, ENGINE_TRANSPORT_CLOSE);
    assert_diary("disconnected ");
    socketio_rig_pass(&rig, 60);
    assert_diary("freed ");
    comes_back(NULL);
    assert_paper(&again, "+/ ");
    paper_close(&again, ENGINE_TRANSPORT_CLOSE);
    close_rig(state);
}

/* Two events are kept. */
static void whoever_missed_too_much_starts_over(void **state)
{
    (void)state;
    open_with(2, 60000);
    struct paper before = alice;
    lose(&alice, ENGINE_TRANSPORT_CLOSE);
    say_to(NULL, NULL, "1");
    say_to(NULL, NULL, "2");
    comes_back(NULL);
    assert_paper(&again, "[\"1\",\"1\"] [\"2\",\"2\"] +/ [\"welcome\",\"3\"] ");
    lose(&again, ENGINE_TRANSPORT_CLOSE);
    say_to(NULL, NULL, "4");
    paper_open_again(&again, &rig, "alice");
    assert_ptr_equal(paper_come_back(&again, &before, "2"), alices);
    assert_paper(&again, "[\"welcome\",\"3\"] [\"4\",\"4\"] +/ [\"welcome\",\"5\"] ");
    lose(&again, ENGINE_TRANSPORT_CLOSE);
    comes_back("2");
    assert_paper(&again, "+/ ");
    lose(&again, ENGINE_TRANSPORT_CLOSE);
    close_rig(state);
}

/* As many may wait as sessions may be open. */
static void too_many_who_wait_start_over(void **state)
{
    (void)state;
    struct paper papers[101];
    for (size_t i = 0; i < array_len(papers); i++) {
        paper_open_again(&papers[i], &rig, "");
        assert_non_null(paper_connect(&papers[i], "/"));
        paper_close(&papers[i], ENGINE_TRANSPORT_CLOSE);
    }
    paper_open_again(&again, &rig, "");
    assert_non_null(paper_come_back(&again, &papers[0], NULL));
    assert_string_not_equal(again.pid, papers[0].pid);
    paper_close(&again, ENGINE_TRANSPORT_CLOSE);
    paper_open_again(&again, &rig, "");
    assert_non_null(paper_come_back(&again, &papers[100], NULL));
    assert_string_equal(again.pid, papers[100].pid);
    paper_close(&again, ENGINE_TRANSPORT_CLOSE);
    paper_close(&alice, ENGINE_TRANSPORT_CLOSE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_rig, close_rig)
    const struct CMUnitTest tests[] = {
        TEST(who_comes_back_gets_what_was_missed),
        TEST(it_may_be_lost_again_and_again),
        TEST(without_an_offset_all_since_its_connect_is_new),
        TEST(who_left_on_purpose_starts_over),
        TEST(who_broke_the_rules_starts_over),
        TEST(another_user_starts_over),
        TEST(nonsense_starts_over),
        TEST(it_may_come_back_before_we_know_that_it_is_lost),
        TEST(what_was_not_heard_is_not_missed),
        TEST(an_application_may_still_refuse),
        TEST(volatile_events_and_questions_are_not_kept),
        TEST(what_is_sent_one_by_one_is_told_apart),
        TEST(a_namespace_whose_application_cannot_has_no_pids),
        TEST(too_many_who_wait_start_over),
        cmocka_unit_test(too_late_is_to_start_over),
        cmocka_unit_test(whoever_missed_too_much_starts_over),
    };
    return cmocka_run_group_tests_name("socketio_recovery", tests, NULL, NULL);
}
