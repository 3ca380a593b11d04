/* SPDX-License-Identifier: MIT */
/* What is in Redis of a node's visits comes to be what they are, whatever was lost on the way. */
#include <stdio.h>
#include <string.h>

#include "redis_rig.h"

/* Alice's room, called the lobby. */
static struct id make_lobby(struct harness *h)
{
    make_users(h, "alice bob carol dave");
    assert_ok(open_room(h, "lobby", "alice"));
    buf_reset(&h->journal);
    return h->got.thread;
}

static void visit_times(struct harness *h, const char *user, int times)
{
    for (int i = 0; i < times; i++)
        assert_ok(visit_room(h, "lobby", user));
}

/* How many visits there are at all, in Redis; "" for a member for good and for none. */
static const char *visits_in(struct id room, const char *user)
{
    char text[ID_TEXT_SIZE];
    return server_text(&server, "HGET chat:visits:%s:%s all", id_format(room, text), user);
}

static bool are_visits(struct id room, const char *user, const char *expected)
{
    return strcmp(visits_in(room, user), expected) == 0;
}

#define assert_visits(room, user, expected) assert_string_equal(visits_in((room), (user)), (expected))

static void assert_members(struct harness *h, struct id room, const char *expected)
{
    assert_ok(get_thread(h, room));
    assert_buf(h->got.members, expected);
}

/* Not waited for. */
static void start_end(struct harness *h, struct id room, const char *user, bool stays)
{
    h->store->ops->visit_end(h->store, room, span_of(user), stays, on_thread, ask(h));
}

static void start_visit(struct harness *h, struct id room, const char *user)
{
    struct span users = span_of(user);
    struct thread_request request = {
        .id = room, .room = SPAN_LITERAL("lobby"), .users = &users, .user_count = 1, .members_max = 10, .visit = true};
    h->store->ops->thread_open(h->store, &request, on_thread, ask(h));
}

static void lose_connections(struct harness *h)
{
    kill_connections("normal");
    wait_until_away(h);
}

/* --- the server is away, or refuses ----------------------------------------------------------------------------- */

static void what_ends_while_the_server_is_away_is_over_when_it_is_back(void **state)
{
    struct harness *h = *state;
    struct id room = make_lobby(h);
    visit_times(h, "bob", 2);
    visit_times(h, "carol", 1);
    visit_times(h, "dave", 2);
    lose_connections(h);
    start_end(h, room, "bob", false);
    start_end(h, room, "carol", false);
    /* The last word decides. */
    start_end(h, room, "dave", false);
    start_end(h, room, "dave", true);
    settle(h);
    assert_int_equal(h->got.err, ERR_STORE);
    wait_until_ready(h);
    wait_until(h, strstr(announced(h), "without carol"));
    assert_members(h, room, "alice* bob dave");
    assert_visits(room, "bob", "1");
    assert_visits(room, "dave", "0");
    assert_ok(end_visit(h, room, "bob", false));
    visit_times(h, "dave", 1);
    assert_ok(end_visit(h, room, "dave", false));
    assert_members(h, room, "alice*");
}

static void who_is_back_before_their_last_visit_is_known_to_be_over_stays(void **state)
{
    struct harness *h = *state;
    struct id room = make_lobby(h);
    visit_times(h, "bob", 1);
    lose_connections(h);
    start_end(h, room, "bob", false);
    settle(h);
    wait_until_ready(h);
    visit_times(h, "bob", 1);
    assert_members(h, room, "alice* bob");
    assert_ok(end_visit(h, room, "bob", true));
    assert_ok(end_visit(h, room, "alice", false));
    assert_members(h, room, "alice* bob");
}

/* The connection is there all the time. */
static void an_end_that_is_refused_is_made_later(void **state)
{
    struct harness *h = *state;
    struct id room = make_lobby(h);
    visit_times(h, "bob", 2);
    visit_times(h, "carol", 1);
    server_do(&server, "CONFIG SET min-replicas-to-write 1");
    assert_int_equal(end_visit(h, room, "bob", false), ERR_STORE);
    assert_int_equal(end_visit(h, room, "carol", false), ERR_STORE);
    assert_int_equal(visit_room(h, "lobby", "dave"), ERR_STORE);
    assert_visits(room, "bob", "2");
    server_do(&server, "CONFIG SET min-replicas-to-write 0");
    wait_until(h, strstr(announced(h), "without carol"));
    wait_until(h, are_visits(room, "bob", "1"));
    assert_members(h, room, "alice* bob");
}

/* What runs when nobody waits for the answer any more counts once, or not at all. */
static void what_was_done_and_not_answered_is_not_counted_twice(void **state)
{
    struct harness *h = *state;
    hurry(h);
    struct id room = make_lobby(h);
    visit_times(h, "bob", 2);
    visit_times(h, "carol", 1);
    server_pause(&server);
    start_end(h, room, "bob", false);
    start_end(h, room, "carol", false);
    start_visit(h, room, "dave");
    settle(h);
    assert_int_equal(h->got.err, ERR_STORE);
    server_resume(&server);
    wait_until_ready(h);
    wait_until(h, strstr(announced(h), "without carol"));
    assert_visits(room, "bob", "1");
    assert_false(are_visits(room, "dave", "1"));
    assert_ok(end_visit(h, room, "bob", false));
    visit_times(h, "dave", 1);
    assert_ok(end_visit(h, room, "dave", false));
    assert_members(h, room, "alice*");
}

/* As if the connection had broken behind the one, or the other. */
static void numbers_that_are_wrong_are_mended_with_the_next_connection(void **state)
{
    static const int errors[] = {-1, 1, 3};
    char text[ID_TEXT_SIZE];
    char host[19];
    struct harness *h = *state;
    struct id room = make_lobby(h);
    visit_times(h, "bob", 2);
    (void)id_format(room, text);
    (void)snprintf(host, sizeof(host), "%s", server_text(&server, "ZRANGE chat:nodes 0 0"));
    for (size_t i = 0; i < array_len(errors); i++) {
        server_do(&server, "HINCRBY chat:visits:%s:bob all %d", text, errors[i]);
        server_do(&server, "HINCRBY chat:visits:%s:bob %s %d", text, host, errors[i]);
        lose_connections(h);
        wait_until(h, are_visits(room, "bob", "2"));
    }
    assert_ok(end_visit(h, room, "bob", true));
    assert_ok(end_visit(h, room, "bob", false));
    assert_members(h, room, "alice*");
}

/* Bob's end is told as what it will be with the visit that is under way, which then is none. */
static void a_number_that_counted_on_a_visit_that_failed_is_mended(void **state)
{
    struct harness *h = *state;
    struct id room = make_lobby(h);
    visit_times(h, "bob", 1);
    server_do(&server, "RENAME chat:user:bob other:bob");
    start_visit(h, room, "bob");
    start_end(h, room, "bob", false);
    settle(h);
    server_do(&server, "RENAME other:bob chat:user:bob");
    wait_until(h, strstr(announced(h), "without bob"));
    assert_members(h, room, "alice*");
}

/* --- others took us for dead ------------------------------------------------------------------------------------ */

/* One more node, with bob's two visits, which others have given up. Turns no more until `a` has it as its peer. */
static struct harness *node_given_up(struct harness *a)
{
    struct harness *node = node_new(a);
    visit_times(node, "bob", 2);
    a->peer = NULL;
    wait_for_nodes(a, 1);
    return node;
}

static void the_visits_of_a_node_that_was_given_up_go_on_when_it_is_back(void **state)
{
    struct harness *a = *state;
    hurry(a);
    struct id room = make_lobby(a);
    struct harness *node = node_given_up(a);
    assert_visits(room, "bob", "0");
    visit_times(a, "bob", 1);
    a->peer = node;
    wait_for_nodes(a, 2);
    wait_until(a, are_visits(room, "bob", "3"));
    assert_ok(end_visit(node, room, "bob", false));
    assert_ok(end_visit(a, room, "bob", false));
    assert_members(a, room, "alice* bob");
    assert_ok(end_visit(node, room, "bob", false));
    assert_members(a, room, "alice*");
    node_free(node);
}

static void a_visit_that_ends_before_its_node_knows_that_it_was_given_up_ends_no_other(void **state)
{
    struct harness *a = *state;
    hurry(a);
    struct id room = make_lobby(a);
    a->options.deadline_ms = DEADLINE_MS; /* so that it goes on with the connections it has */
    struct harness *node = node_given_up(a);
    start_end(node, room, "bob", false);
    a->peer = node;
    settle(node);
    assert_ok(node->got.err);
    assert_buf(node->got.members, "alice* bob");
    wait_for_nodes(a, 2);
    assert_visits(room, "bob", "1");
    assert_ok(end_visit(node, room, "bob", false));
    assert_members(a, room, "alice*");
    node_free(node);
}

static void many_visits_are_told_when_a_node_is_back(void **state)
{
    struct harness *a = *state;
    enum { ROOMS = 230 }; /* more than are told at once (redis_visits.c) */
    char room[24];
    hurry(a);
    make_users(a, "alice bob");
    struct harness *node = node_new(a);
    struct id rooms[ROOMS];
    for (int i = 0; i < ROOMS; i++) {
        (void)snprintf(room, sizeof(room), "room %d", i);
        assert_ok(open_room(node, room, "alice"));
        assert_ok(visit_room(node, room, "bob"));
        rooms[i] = node->got.thread;
    }
    a->peer = NULL;
    wait_for_nodes(a, 1);
    for (int i = 0; i < ROOMS; i++)
        assert_visits(rooms[i], "bob", "0");
    a->peer = node;
    for (int i = 0; i < ROOMS; i++)
        wait_until(a, are_visits(rooms[i], "bob", "1"));
    node_free(node);
}

/* --- what is no visit any more ---------------------------------------------------------------------------------- */

static void visits_that_removal_has_ended_are_not_told_anew(void **state)
{
    struct harness *a = *state;
    struct id room = make_lobby(a);
    struct harness *b = node_new(a);
    visit_times(a, "bob", 2);
    visit_times(a, "carol", 2);
    assert_ok(remove_member(b, room, "bob"));
    wait_until(a, strstr(announced(a), "without bob"));
    visit_times(b, "bob", 1);
    /* The other is not heard of before the connection is back. */
    b->peer = NULL;
    assert_ok(remove_member(b, room, "carol"));
    visit_times(b, "carol", 1);
    kill_connections("normal");
    wait_until_away(b);
    b->peer = a;
    wait_until_away(a);
    wait_until_ready(a);
    wait_until_ready(b);
    wait_until(a, strstr(announced(a), "without carol"));
    assert_visits(room, "bob", "1");
    wait_until(a, are_visits(room, "carol", "1"));
    assert_ok(end_visit(b, room, "bob", false));
    assert_ok(end_visit(b, room, "carol", false));
    assert_members(b, room, "alice*");
    node_free(b);
}

static void who_has_come_in_for_good_has_no_visits_to_be_told(void **state)
{
    struct harness *h = *state;
    struct id room = make_lobby(h);
    visit_times(h, "alice", 1);
    visit_times(h, "bob", 2);
    assert_ok(add_member(h, room, "bob"));
    lose_connections(h);
    start_end(h, room, "bob", false);
    start_end(h, room, "alice", false);
    settle(h);
    wait_until_ready(h);
    assert_ok(end_visit(h, room, "bob", false));
    assert_members(h, room, "alice* bob");
    assert_visits(room, "alice", "");
    assert_visits(room, "bob", "");
}

static const struct CMUnitTest tests[] = {
    CASE(what_ends_while_the_server_is_away_is_over_when_it_is_back),
    CASE(who_is_back_before_their_last_visit_is_known_to_be_over_stays),
    CASE(an_end_that_is_refused_is_made_later),
    CASE(what_was_done_and_not_answered_is_not_counted_twice),
    CASE(numbers_that_are_wrong_are_mended_with_the_next_connection),
    CASE(a_number_that_counted_on_a_visit_that_failed_is_mended),
    CASE(the_visits_of_a_node_that_was_given_up_go_on_when_it_is_back),
    CASE(a_visit_that_ends_before_its_node_knows_that_it_was_given_up_ends_no_other),
    CASE(many_visits_are_told_when_a_node_is_back),
    CASE(visits_that_removal_has_ended_are_not_told_anew),
    CASE(who_has_come_in_for_good_has_no_visits_to_be_told),
};

const struct cases redis_visit_cases = {tests, array_len(tests)};
