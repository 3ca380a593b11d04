/* SPDX-License-Identifier: MIT */
/* Sockets, what applications are told of them, and rooms. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/metric.h"
#include "lib/socketio_rig.h"

/* --- two applications in `/` that write down what they are told */

static struct buf diary;

struct visitors_state {
    char name[8];
    bool is_deaf;
};

static void visitors_connected(struct socket *socket, void *state, const json_t *auth unused_arg)
{
    struct visitors_state *visitors = state;
    assert_true(visitors->name[0] == '\0' && !visitors->is_deaf);
    assert_ptr_equal(socket_of_state(state), socket);
    buf_add_text(&diary, "visitors+ ");
}

static void visitors_disconnected(struct socket *socket, void *state unused_arg, const char *reason)
{
    buf_printf(&diary, "visitors-(%s) ", reason);
    assert_false(socket_is_connected(socket));
    assert_non_null(socket_visitor(socket));
    struct emission *left = emission_of(SPAN_LITERAL("/"), "left", (struct span){0});
    nsp_broadcast(socket_nsp(socket), &(struct audience){0}, left);
    emission_unref(left);
}

static void visitors_hello(struct socket *socket, void *state unused_arg, const struct incoming *event)
{
    buf_printf(&diary, "visitors:%.*s ", (int)event->text.len, event->text.data);
    socket_reply(socket, event->ack, SPAN_LITERAL("1,2"));
}

static void visitors_quit(struct socket *socket, void *state unused_arg, const struct incoming *event unused_arg)
{
    socket_disconnect(socket, false);
}

static bool visitors_hear(struct socket *socket unused_arg, void *state, struct span room unused_arg)
{
    return !((struct visitors_state *)state)->is_deaf;
}

static void visitors_freed(void *state)
{
    assert_non_null(socket_of_state(state));
    buf_add_text(&diary, "visitors~ ");
}

static const struct app_event visitors_events[] = {{"hello", visitors_hello}, {"quit", visitors_quit}, {NULL, NULL}};

static const struct app visitors = {
    .name = "visitors",
    .nsp = "/",
    .events = visitors_events,
    .state_bytes = sizeof(struct visitors_state),
    .connected = visitors_connected,
    .disconnected = visitors_disconnected,
    .hears = visitors_hear,
    .freed = visitors_freed,
};

static void doorman_connected(struct socket *socket, void *state, const json_t *auth)
{
    assert_ptr_equal(socket_of_state(state), socket);
    buf_add_text(&diary, auth ? "doorman+auth " : "doorman+ ");
}

static void doorman_hello(struct socket *socket unused_arg, void *state, const struct incoming *event unused_arg)
{
    buf_printf(&diary, "doorman%d ", ++*(char *)state);
}

static void doorman_drained(struct socket *socket unused_arg, void *state unused_arg)
{
    buf_add_text(&diary, "drained ");
}

static const struct app_event doorman_events[] = {{"hello", doorman_hello}, {"quit", doorman_hello}, {NULL, NULL}};

static const struct app doorman = {
    .name = "doorman",
    .nsp = "/",
    .events = doorman_events,
    .state_bytes = 1,
    .connected = doorman_connected,
    .drained = doorman_drained,
};

static const struct app quiet = {.name = "quiet", .nsp = "/quiet"};

static const struct app *const apps[] = {&visitors, &doorman, &quiet, NULL};

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
static struct paper alice, bob, carol;
static struct socket *alices, *bobs, *carols;

static int open_rig(void **state)
{
    (void)state;
    buf_reset(&diary);
    socketio_rig_open(&rig, apps, NULL);
    return 0;
}

static int close_rig(void **state)
{
    (void)state;
    socketio_rig_close(&rig);
    buf_fini(&diary);
    return 0;
}

/* Three connections to a namespace without an application that listens, their papers empty. */
static void all_connect_to(const char *nsp)
{
    struct paper *papers[] = {&alice, &bob, &carol};
    struct socket **sockets[] = {&alices, &bobs, &carols};
    static const char *const users[] = {"alice", "bob", "carol"};
    for (size_t i = 0; i < array_len(papers); i++) {
        paper_open(papers[i], &rig, users[i]);
        *sockets[i] = paper_connect(papers[i], nsp);
        assert_non_null(*sockets[i]);
        buf_reset(&papers[i]->text);
    }
    buf_reset(&diary);
}

static void all_go(void)
{
    paper_close(&alice, ENGINE_TRANSPORT_CLOSE);
    paper_close(&bob, ENGINE_TRANSPORT_CLOSE);
    paper_close(&carol, ENGINE_TRANSPORT_CLOSE);
}

static void join(struct socket *socket, const char *room)
{
    assert_int_equal(socket_join(socket, span_of(room)), OK);
}

/* Says `["x"]` to up to two rooms without up to two others; null: none. */
static void say_x(struct socket *any, const char *room, const char *other, const char *except, const char *more)
{
    const struct span rooms[] = {span_of(room), span_of(other)}, without[] = {span_of(except), span_of(more)};
    const struct audience audience = {rooms, (room != NULL) + (size_t)(other != NULL), without,
                                      (except != NULL) + (size_t)(more != NULL)};
    struct emission *emission = emission_of(nsp_name(socket_nsp(any)), "x", (struct span){0});
    assert_non_null(emission);
    nsp_broadcast(socket_nsp(any), &audience, emission);
    emission_unref(emission);
}

/* --- sockets */

static void every_application_of_a_namespace_hears_of_a_socket(void **state)
{
    (void)state;
    paper_open(&alice, &rig, "alice");
    alices = paper_connect(&alice, "/");
    assert_paper(&alice, "+/ ");
    assert_diary("visitors+ doorman+ ");
    assert_int_equal(strlen(socket_id(alices)), 20);
    assert_true(span_is(socket_visitor(alices)->user, "alice"));
    assert_int_equal(metric_value(METRIC_SOCKETS), 1);
    paper_close(&alice, ENGINE_PING_TIMEOUT);
    assert_diary("visitors-(ping timeout) ");
    socketio_rig_turn(&rig);
    assert_diary("visitors~ ");
}

static void an_unknown_namespace_is_refused(void **state)
{
    (void)state;
    paper_open(&alice, &rig, "");
    assert_null(paper_connect(&alice, "/nowhere"));
    assert_paper(&alice, "!/nowhere ");
    assert_null(paper_connect(&alice, ""));
    assert_paper(&alice, "! ");
    paper_close(&alice, ENGINE_TRANSPORT_CLOSE);
}

static void a_namespace_is_connected_once(void **state)
{
    (void)state;
    paper_open(&alice, &rig, "");
    assert_int_equal(client_connect(&alice.client, SPAN_LITERAL("/quiet"), NULL, NULL), CONNECT_DONE);
    assert_int_equal(client_connect(&alice.client, SPAN_LITERAL("/quiet"), NULL, NULL), CONNECT_AGAIN);
    assert_paper(&alice, "+/quiet ");
    paper_close(&alice, ENGINE_TRANSPORT_CLOSE);
}

static void an_event_goes_to_each_application_that_has_it(void **state)
{
    (void)state;
    paper_open(&alice, &rig, "alice");
    alices = paper_connect(&alice, "/");
    assert_diary("visitors+ doorman+ ");
    paper_say(&alice, alices, "[\"hello\",1.0]", 7);
    assert_diary("visitors:[\"hello\",1.0] doorman1 ");
    paper_say(&alice, alices, "[\"hello\"]", -1);
    assert_diary("visitors:[\"hello\"] doorman2 ");
    paper_say(&alice, alices, "[\"nothing\"]", 8);
    paper_say(&alice, alices, "[5]", -1);
    assert_diary("");
    assert_paper(&alice, "+/ =7[1,2] ");
    paper_close(&alice, ENGINE_TRANSPORT_CLOSE);
}

static void what_one_application_ends_no_other_handles(void **state)
{
    (void)state;
    paper_open(&alice, &rig, "alice");
    alices = paper_connect(&alice, "/");
    buf_reset(&diary);
    paper_say(&alice, alices, "[\"quit\"]", -1);
    assert_diary("visitors-(server namespace disconnect) ");
    assert_paper(&alice, "+/ -/ ");
    assert_non_null(paper_connect(&alice, "/")); /* the connection is as it was */
    assert_paper(&alice, "+/ ");
    paper_close(&alice, ENGINE_TRANSPORT_CLOSE);
}

static void ending_a_connection_ends_all_its_namespaces(void **state)
{
    (void)state;
    paper_open(&alice, &rig, "alice");
    alices = paper_connect(&alice, "/");
    assert_true(socket_is_alone(alices));
    assert_non_null(paper_connect(&alice, "/quiet"));
    assert_false(socket_is_alone(alices));
    buf_reset(&diary);
    assert_paper(&alice, "+/ +/quiet ");
    socket_disconnect(alices, true);
    assert_paper(&alice, "-/quiet -/ . ");
    assert_diary("visitors-(server namespace disconnect) ");
    socket_disconnect(alices, true);
    socket_say(alices, "late", (struct span){0});
    assert_paper(&alice, "");
    paper_close(&alice, ENGINE_TRANSPORT_CLOSE);
}

static void dropping_a_connection_says_nothing(void **state)
{
    (void)state;
    paper_open(&alice, &rig, "alice");
    alices = paper_connect(&alice, "/");
    buf_reset(&diary);
    socket_drop(alices);
    assert_paper(&alice, "+/ . ");
    assert_diary("visitors-(forced close) ");
    paper_close(&alice, ENGINE_TRANSPORT_CLOSE);
}

static void a_client_may_leave_a_namespace(void **state)
{
    (void)state;
    paper_open(&alice, &rig, "alice");
    alices = paper_connect(&alice, "/");
    buf_reset(&diary);
    client_left(&alice.client, alices);
    assert_diary("visitors-(client namespace disconnect) ");
    assert_paper(&alice, "+/ ");
    assert_null(client_socket(&alice.client, SPAN_LITERAL("/")));
    paper_close(&alice, ENGINE_TRANSPORT_CLOSE);
    assert_diary("");
}

static void a_socket_lives_while_somebody_refers_to_it(void **state)
{
    (void)state;
    paper_open(&alice, &rig, "alice");
    alices = socket_ref(paper_connect(&alice, "/"));
    buf_reset(&diary);
    paper_close(&alice, ENGINE_TRANSPORT_CLOSE);
    socketio_rig_turn(&rig);
    assert_diary("visitors-(transport close) ");
    assert_null(socket_visitor(alices));
    assert_int_equal(socket_join(alices, SPAN_LITERAL("late")), OK);
    assert_false(socket_is_in(alices, SPAN_LITERAL("late")));
    socket_unref(alices);
    assert_diary("");
    socketio_rig_turn(&rig);
    assert_diary("visitors~ ");
}

static void applications_hear_that_all_was_sent(void **state)
{
    (void)state;
    paper_open(&alice, &rig, "alice");
    assert_non_null(paper_connect(&alice, "/"));
    buf_reset(&diary);
    client_drained(&alice.client);
    assert_diary("drained ");
    paper_close(&alice, ENGINE_TRANSPORT_CLOSE);
}

static void old_clients_are_in_the_main_namespace_by_themselves(void **state)
{
    (void)state;
    paper_open(&alice, &rig, "");
    json_t *auth = client_query_auth(&alice.client, SPAN_LITERAL("token=a%20b&token=1&x"));
    assert_int_equal(client_connect_implicit(&alice.client, auth, "sid"), CONNECT_DONE);
    assert_string_equal(json_string_value(json_object_get(auth, "token")), "1");
    assert_string_equal(json_string_value(json_object_get(auth, "x")), "");
    json_decref(auth);
    alices = client_socket(&alice.client, SPAN_LITERAL("/"));
    assert_true(socket_is_implicit(alices));
    assert_string_equal(socket_id(alices), "sid");
    assert_diary("visitors+ doorman+auth ");
    assert_null(client_query_auth(&alice.client, SPAN_LITERAL("a=%zz")));
    assert_null(client_query_auth(&alice.client, (struct span){0}));
    paper_close(&alice, ENGINE_TRANSPORT_CLOSE);
}

/* --- questions */

static struct {
    unsigned calls;
    enum err err;
    size_t args;
} answer;

static void answered(void *ctx, struct socket *socket, enum err err, const json_t *args)
{
    assert_ptr_equal(ctx, &answer);
    assert_non_null(socket);
    answer.calls++;
    answer.err = err;
    answer.args = json_array_size(args);
}

static void ask(struct socket *socket, int64_t timeout_ms)
{
    memset(&answer, 0, sizeof(answer));
    assert_int_equal(socket_ask(socket, "well", SPAN_LITERAL("1"), timeout_ms, answered, &answer), OK);
}

static void a_question_is_answered_once(void **state)
{
    (void)state;
    json_t *args = json_pack("[ii]", 1, 2);
    all_connect_to("/quiet");
    ask(alices, 1000);
    assert_paper(&alice, "?[\"well\",1] ");
    client_acked(&bob.client, bobs, 0, args); /* a foreign one */
    client_acked(&alice.client, alices, 1, args);
    assert_int_equal(answer.calls, 0);
    client_acked(&alice.client, alices, 0, args);
    client_acked(&alice.client, alices, 0, args);
    assert_true(answer.calls == 1 && answer.err == OK && answer.args == 2);
    ask(bobs, 1000); /* ids count for the namespace */
    client_acked(&bob.client, bobs, 0, args);
    assert_int_equal(answer.calls, 0);
    client_acked(&bob.client, bobs, 1, args);
    assert_int_equal(answer.calls, 1);
    json_decref(args);
    all_go();
}

static void a_question_has_its_time(void **state)
{
    (void)state;
    all_connect_to("/quiet");
    ask(alices, 5);
    socketio_rig_pass(&rig, 20);
    assert_true(answer.calls == 1 && answer.err == ERR_TIMEOUT);
    all_go();
}

static void a_question_to_somebody_who_goes_is_over(void **state)
{
    (void)state;
    all_connect_to("/quiet");
    ask(alices, 1000);
    socket_disconnect(alices, false);
    assert_true(answer.calls == 1 && answer.err == ERR_GONE);
    socket_ref(bobs);
    paper_close(&bob, ENGINE_TRANSPORT_CLOSE);
    assert_int_equal(socket_ask(bobs, "well", (struct span){0}, 1000, answered, &answer), ERR_GONE);
    socket_unref(bobs);
    paper_close(&alice, ENGINE_TRANSPORT_CLOSE);
    paper_close(&carol, ENGINE_TRANSPORT_CLOSE);
}

/* --- rooms */

static void an_audience_gets_it_once_each(void **state)
{
    (void)state;
    all_connect_to("/quiet");
    join(alices, "a");
    join(alices, "b");
    join(bobs, "b");
    static const struct {
        const char *room, *other, *except, *more;
        bool gets[3];
    } cases[] = {
        {NULL, NULL, NULL, NULL, {1, 1, 1}},   {"a", NULL, NULL, NULL, {1, 0, 0}},
        {"b", NULL, NULL, NULL, {1, 1, 0}},    {"a", "b", NULL, NULL, {1, 1, 0}},
        {"b", "b", NULL, NULL, {1, 1, 0}},     {"b", NULL, "a", NULL, {0, 1, 0}},
        {NULL, NULL, "a", NULL, {0, 1, 1}},    {NULL, NULL, "a", "b", {0, 0, 1}},
        {"none", NULL, NULL, NULL, {0, 0, 0}}, {"a", "none", NULL, NULL, {1, 0, 0}},
        {"a", NULL, "none", NULL, {1, 0, 0}},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        say_x(alices, cases[i].room, cases[i].other, cases[i].except, cases[i].more);
        assert_paper(&alice, cases[i].gets[0] ? "[\"x\"] " : "");
        assert_paper(&bob, cases[i].gets[1] ? "[\"x\"] " : "");
        assert_paper(&carol, cases[i].gets[2] ? "[\"x\"] " : "");
    }
    all_go();
}

static void everybody_is_in_the_room_of_their_id(void **state)
{
    (void)state;
    all_connect_to("/quiet");
    assert_true(socket_is_in(alices, span_of(socket_id(alices))));
    assert_false(socket_is_in(alices, span_of(socket_id(bobs))));
    assert_int_equal(nsp_count(socket_nsp(alices), span_of(socket_id(alices))), 1);
    join(alices, socket_id(alices));
    say_x(alices, socket_id(alices), NULL, NULL, NULL);
    assert_paper(&alice, "[\"x\"] ");
    say_x(alices, NULL, NULL, socket_id(alices), socket_id(carols));
    assert_paper(&alice, "");
    assert_paper(&bob, "[\"x\"] ");
    assert_paper(&carol, "");
    join(bobs, socket_id(alices)); /* a room like any other */
    assert_int_equal(nsp_count(socket_nsp(alices), span_of(socket_id(alices))), 2);
    say_x(alices, socket_id(alices), NULL, NULL, NULL);
    assert_paper(&alice, "[\"x\"] ");
    assert_paper(&bob, "[\"x\"] ");
    all_go();
}

static void names_of_rooms_are_bytes(void **state)
{
    (void)state;
    static const struct span names[] = {
        {"42", 2}, {"a#b", 3}, {"a\0b", 3}, {"a\0c", 3}, {"", 0}, {"user(1)", 7}, {"*", 1}, {"[", 1}, {"\n", 1},
    };
    all_connect_to("/quiet");
    for (size_t i = 0; i < array_len(names); i++) {
        assert_int_equal(socket_join(alices, names[i]), OK);
        for (size_t other = 0; other < array_len(names); other++)
            assert_int_equal(socket_is_in(alices, names[other]), other == i);
        assert_int_equal(nsp_count(socket_nsp(alices), names[i]), 1);
        socket_leave(alices, names[i]);
        assert_int_equal(nsp_count(socket_nsp(alices), names[i]), 0);
    }
    all_go();
}

static void joining_and_leaving_twice_is_no_error(void **state)
{
    (void)state;
    all_connect_to("/quiet");
    join(alices, "a");
    join(alices, "a");
    assert_int_equal(nsp_count(socket_nsp(alices), SPAN_LITERAL("a")), 1);
    socket_leave(alices, SPAN_LITERAL("a"));
    socket_leave(alices, SPAN_LITERAL("a"));
    assert_false(socket_is_in(alices, SPAN_LITERAL("a")));
    all_go();
}

static void rooms_are_limited(void **state)
{
    (void)state;
    static char longest[ROOM_MAX + 1];
    int64_t hits = metric_value(METRIC_LIMIT_SOCKETIO_ROOMS);
    all_connect_to("/quiet");
    assert_int_equal(socket_join(alices, (struct span){longest, ROOM_MAX}), OK);
    assert_int_equal(socket_join(alices, (struct span){longest, ROOM_MAX + 1}), ERR_TOO_LARGE);
    join(alices, "b");
    join(alices, "c");
    join(alices, "d");
    join(alices, "d");
    assert_int_equal(socket_join(alices, SPAN_LITERAL("e")), ERR_TOO_MANY);
    assert_int_equal(metric_value(METRIC_LIMIT_SOCKETIO_ROOMS), hits + 1);
    socket_leave(alices, SPAN_LITERAL("b"));
    join(alices, "e");
    all_go();
}

static void who_goes_leaves_all_rooms(void **state)
{
    (void)state;
    all_connect_to("/quiet");
    join(alices, "a");
    join(bobs, "a");
    client_left(&alice.client, alices);
    assert_int_equal(nsp_count(socket_nsp(bobs), SPAN_LITERAL("a")), 1);
    say_x(bobs, "a", NULL, NULL, NULL);
    assert_paper(&alice, "");
    assert_paper(&bob, "[\"x\"] ");
    all_go();
}

static void who_may_not_hear_does_not(void **state)
{
    (void)state;
    all_connect_to("/");
    join(alices, "a");
    join(bobs, "a");
    ((struct visitors_state *)socket_state(alices, &visitors))->is_deaf = true;
    say_x(alices, "a", NULL, NULL, NULL);
    assert_paper(&alice, "");
    assert_paper(&bob, "[\"x\"] ");
    say_x(alices, socket_id(alices), NULL, NULL, NULL);
    assert_paper(&alice, "[\"x\"] ");
    say_x(alices, NULL, NULL, NULL, NULL);
    assert_paper(&alice, "[\"x\"] ");
    all_go();
}

static void what_is_volatile_may_be_dropped(void **state)
{
    (void)state;
    all_connect_to("/quiet");
    struct emission *emission = emission_of(SPAN_LITERAL("/quiet"), "now", (struct span){0});
    emission_set_volatile(emission);
    alice.is_stuck = true;
    nsp_deliver(socket_nsp(alices), &(struct audience){0}, emission);
    assert_paper(&alice, "");
    assert_paper(&bob, "[\"now\"] ");
    emission_unref(emission);
    all_go();
}

/* The first is cut off by what is sent to it, and the application says so to all: nobody misses anything, and nobody
 * gets anything twice. */
static void a_broadcast_survives_what_it_sets_off(void **state)
{
    (void)state;
    all_connect_to("/");
    join(alices, "a");
    join(bobs, "a");
    join(carols, "b");
    join(bobs, "b");
    alice.is_cut_by_next = true;
    say_x(bobs, "a", "b", NULL, NULL);
    assert_paper(&alice, ". ");
    assert_diary("visitors-(slow reader) ");
    assert_paper(&bob, "[\"left\"] [\"x\"] ");
    assert_paper(&carol, "[\"left\"] [\"x\"] ");
    all_go();
}

static void disconnect(void *ctx, struct socket *socket)
{
    (*(unsigned *)ctx)++;
    socket_disconnect(socket, false);
}

static void visits_may_disconnect(void **state)
{
    (void)state;
    unsigned visits = 0;
    struct span room = SPAN_LITERAL("a");
    all_connect_to("/");
    join(alices, "a");
    join(bobs, "a");
    nsp_each(socket_nsp(alices), &(struct audience){&room, 1, NULL, 0}, disconnect, &visits);
    assert_int_equal(visits, 2);
    assert_paper(&carol, "[\"left\"] [\"left\"] ");
    nsp_each(socket_nsp(carols), &(struct audience){0}, disconnect, &visits);
    assert_int_equal(visits, 3);
    all_go();
}

static void disconnect_everybody(void *ctx, struct socket *socket unused_arg)
{
    ++*(unsigned *)ctx;
    socket_disconnect(alices, false);
    socket_disconnect(bobs, false);
    socket_disconnect(carols, false);
}

static void who_is_gone_is_not_visited(void **state)
{
    (void)state;
    unsigned visits = 0;
    all_connect_to("/quiet");
    nsp_each(socket_nsp(alices), &(struct audience){0}, disconnect_everybody, &visits);
    assert_int_equal(visits, 1);
    all_go();
}

/* Above Engine.IO; the state of an application is its own affair. */
static void an_idle_socket_costs_less_than_400_bytes(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    struct paper *papers[COUNT];
    size_t before = mallinfo2().uordblks;
    for (size_t i = 0; i < COUNT; i++) {
        papers[i] = malloc(sizeof(struct paper));
        assert_non_null(papers[i]);
        paper_open(papers[i], &rig, "");
        assert_non_null(paper_connect(papers[i], "/quiet"));
        buf_fini(&papers[i]->text);
    }
    size_t taken = mallinfo2().uordblks - before;
    if (taken) { /* the allocator of sanitizers does not count */
        size_t each = taken / COUNT - sizeof(struct paper) + sizeof(struct client);
        print_message("%zu bytes for each socket and its client\n", each);
        assert_true(each < 400);
    }
    for (size_t i = 0; i < COUNT; i++) {
        paper_close(papers[i], ENGINE_TRANSPORT_CLOSE);
        free(papers[i]);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_rig, close_rig)
    const struct CMUnitTest tests[] = {
        TEST(every_application_of_a_namespace_hears_of_a_socket),
        TEST(an_unknown_namespace_is_refused),
        TEST(a_namespace_is_connected_once),
        TEST(an_event_goes_to_each_application_that_has_it),
        TEST(what_one_application_ends_no_other_handles),
        TEST(ending_a_connection_ends_all_its_namespaces),
        TEST(dropping_a_connection_says_nothing),
        TEST(a_client_may_leave_a_namespace),
        TEST(a_socket_lives_while_somebody_refers_to_it),
        TEST(applications_hear_that_all_was_sent),
        TEST(old_clients_are_in_the_main_namespace_by_themselves),
        TEST(a_question_is_answered_once),
        TEST(a_question_has_its_time),
        TEST(a_question_to_somebody_who_goes_is_over),
        TEST(an_audience_gets_it_once_each),
        TEST(everybody_is_in_the_room_of_their_id),
        TEST(names_of_rooms_are_bytes),
        TEST(joining_and_leaving_twice_is_no_error),
        TEST(rooms_are_limited),
        TEST(who_goes_leaves_all_rooms),
        TEST(who_may_not_hear_does_not),
        TEST(what_is_volatile_may_be_dropped),
        TEST(a_broadcast_survives_what_it_sets_off),
        TEST(visits_may_disconnect),
        TEST(who_is_gone_is_not_visited),
        TEST(an_idle_socket_costs_less_than_400_bytes),
    };
    return cmocka_run_group_tests_name("socketio_rooms", tests, NULL, NULL);
}
