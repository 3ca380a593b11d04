/* SPDX-License-Identifier: MIT */
/* Several nodes on one Redis: one log, one set of threads, one view of who is there. */
#include <stdio.h>
#include <string.h>

#include "redis_rig.h"

/* --- one log ---------------------------------------------------------------------------------------------------- */

static void send_through(struct harness *h, struct id id, struct id thread, const char *sender, const char *text)
{
    struct message *message = draft(id, thread, sender, text);
    h->store->ops->append(h->store, message, on_append, ask(h));
    message_unref(message);
}

static void messages_are_announced_once_on_every_node_in_one_order(void **state)
{
    struct harness *a = *state;
    struct id thread = scene(a);
    struct harness *b = node_new(a);
    enum { MANY = 300 };
    for (int i = 0; i < MANY; i++) {
        send_through(a, id_random(), thread, "alice", "from a");
        send_through(b, id_random(), thread, "bob", "from b");
        if (i % 7 == 0)
            harness_turn(i % 2 ? a : b);
    }
    settle_both(a, b);
    catch_up(a, b);
    catch_up(b, a);
    /* The harness insists on growing cursors, so none came twice. */
    assert_int_equal(a->told.len, 2 * MANY * sizeof(struct id));
    assert_int_equal(b->told.len, a->told.len);
    assert_memory_equal(a->told.data, b->told.data, a->told.len);
    assert_cursor(a->head, b->head);
    node_free(b);
}

/* The harness compares each page's head with what has been announced on the reader's node. */
static void a_reader_on_another_node_is_shown_what_was_announced_there(void **state)
{
    struct harness *a = *state;
    struct id thread = scene(a);
    struct harness *b = node_new(a);
    const struct store_ops *ops = b->store->ops;
    for (int i = 0; i < 150; i++) {
        for (int j = 0; j < 1 + i % 4; j++)
            send_through(a, id_random(), thread, "alice", "x");
        ops->replay(b->store, SPAN_LITERAL("bob"), at(0), 1, 1, on_page, ask(b));
        ops->history(b->store, thread, SPAN_LITERAL("bob"), at(0), 1, on_page, ask(b));
        if (i % 3 == 0)
            send_through(b, id_random(), thread, "bob", "y");
        harness_turn(a);
    }
    settle_both(a, b);
    catch_up(a, b);
    catch_up(b, a);
    assert_int_equal(a->told.len, b->told.len);
    assert_memory_equal(a->told.data, b->told.data, a->told.len);
    node_free(b);
}

/* The harness compares the place found with what has been announced on the node that looked for it. */
static void a_message_found_on_another_node_was_announced_there(void **state)
{
    struct harness *a = *state;
    struct id thread = scene(a);
    struct harness *b = node_new(a);
    struct id id = {{0}};
    for (int i = 0; i < 100; i++) {
        id = id_random();
        send_through(a, id, thread, "alice", "x");
        /* It is looked for while it is on its way to Redis or back, or once it is there. */
        for (int turns = 0; turns < i % 5; turns++)
            loop_turn(a->loop, 1);
        b->store->ops->message_find(b->store, id, on_message, ask(b));
        settle_both(a, b);
    }
    assert_ok(find_message(b, id));
    assert_true(id_equal(b->got.place.thread, thread));
    assert_cursor(b->got.place.cursor, a->got.append.cursor);
    node_free(b);
}

static void who_comes_back_to_another_node_goes_on_there(void **state)
{
    struct harness *a = *state;
    struct id thread = scene(a);
    struct harness *b = node_new(a);
    struct cursor since = say(a, thread, "alice", "1");
    say(a, thread, "alice", "2");
    say(b, thread, "bob", "3");
    assert_ok(read_replay(b, "bob", since, 10, 1000));
    assert_buf(b->got.texts, "2|3");
    assert_ok(read_replay(a, "bob", since, 10, 1000));
    assert_buf(a->got.texts, "2|3");
    node_free(b);
}

static void a_message_sent_through_two_nodes_at_once_is_one(void **state)
{
    struct harness *a = *state;
    struct id thread = scene(a);
    struct harness *b = node_new(a);
    enum { ROUNDS = 50 };
    for (int i = 0; i < ROUNDS; i++) {
        struct id id = id_random();
        send_through(a, id, thread, "alice", "twice");
        send_through(b, id, thread, "alice", "twice");
        settle_both(a, b);
        assert_ok(a->got.err);
        assert_ok(b->got.err);
        assert_true(a->got.append.repeated != b->got.append.repeated);
        assert_cursor(a->got.append.cursor, b->got.append.cursor);
    }
    catch_up(b, a);
    assert_int_equal(a->told.len, ROUNDS * sizeof(struct id));
    assert_int_equal(b->told.len, ROUNDS * sizeof(struct id));
    node_free(b);
}

static void an_id_taken_on_another_node_is_a_conflict(void **state)
{
    struct harness *a = *state;
    struct id thread = scene(a);
    struct harness *b = node_new(a);
    struct id id = id_random();
    assert_ok(append_as(a, id, thread, "alice", "mine"));
    assert_int_equal(append_as(b, id, thread, "bob", "no, mine"), ERR_CONFLICT);
    node_free(b);
}

/* --- one set of threads ----------------------------------------------------------------------------------------- */

static void open_through(struct harness *h, const struct span *users, size_t count)
{
    struct thread_request request = {.id = id_random(), .users = users, .user_count = count, .members_max = 10};
    h->store->ops->thread_open(h->store, &request, on_thread, ask(h));
}

static int count_of(const char *text, const char *word)
{
    int count = 0;
    while ((text = strstr(text, word))) {
        text += strlen(word);
        count++;
    }
    return count;
}

static void members_who_meet_on_two_nodes_at_once_get_one_thread(void **state)
{
    struct harness *a = *state;
    enum { ROUNDS = 30 };
    make_users(a, "alice");
    struct harness *b = node_new(a);
    for (int i = 0; i < ROUNDS; i++) {
        char name[24];
        (void)snprintf(name, sizeof(name), "user%02d", i);
        make_users(a, name);
        buf_reset(&a->journal);
        buf_reset(&b->journal);
        const struct span there[] = {SPAN_LITERAL("alice"), span_of(name)};
        const struct span back[] = {span_of(name), SPAN_LITERAL("alice")};
        open_through(a, there, 2);
        open_through(b, back, 2);
        settle_both(a, b);
        assert_true(id_equal(a->got.thread, b->got.thread));
        assert_string_equal(text_of(&a->got.members), text_of(&b->got.members));
        wait_until(a, count_of(text_of(&a->journal), "thread ") && count_of(text_of(&b->journal), "thread "));
        assert_int_equal(count_of(text_of(&a->journal), "thread "), 1);
        assert_int_equal(count_of(text_of(&b->journal), "thread "), 1);
    }
    node_free(b);
}

static void who_enters_a_room_on_two_nodes_at_once_is_in_one_room(void **state)
{
    struct harness *a = *state;
    make_users(a, "alice bob");
    struct harness *b = node_new(a);
    struct span alice = SPAN_LITERAL("alice");
    struct span bob = SPAN_LITERAL("bob");
    struct thread_request request = {
        .id = id_random(), .room = SPAN_LITERAL("lobby"), .user_count = 1, .members_max = 2};
    request.users = &alice;
    a->store->ops->thread_open(a->store, &request, on_thread, ask(a));
    request.users = &bob;
    b->store->ops->thread_open(b->store, &request, on_thread, ask(b));
    settle_both(a, b);
    assert_ok(get_thread(a, request.id));
    assert_int_equal(a->got.member_count, 2);
    assert_int_equal(count_of(text_of(&a->got.members), "*"), 1);
    node_free(b);
}

static bool no_keys_like(const char *pattern)
{
    redisReply *reply = server_reply(&server, "KEYS %s", pattern);
    bool none = reply->elements == 0;
    freeReplyObject(reply);
    return none;
}

static bool has_no_visits(void)
{
    return no_keys_like("chat:visit*");
}

static void who_visits_a_room_at_two_nodes_leaves_it_with_the_last_visit(void **state)
{
    struct harness *a = *state;
    make_users(a, "alice bob");
    struct harness *b = node_new(a);
    assert_ok(open_room(a, "lobby", "alice"));
    struct id room = a->got.thread;
    assert_ok(visit_room(a, "lobby", "bob"));
    assert_ok(visit_room(b, "lobby", "bob"));
    assert_ok(end_visit(a, room, "bob", false));
    assert_ok(end_visit(b, room, "bob", false));
    wait_until(a, strstr(announced(a), "without bob"));
    wait_until(b, strstr(announced(b), "without bob"));
    assert_string_equal(announced(a), "thread alice*; thread alice* bob; thread alice* without bob; ");
    assert_true(has_no_visits());
    node_free(b);
}

static void the_visits_at_a_node_that_dies_are_over(void **state)
{
    struct harness *a = *state;
    hurry(a);
    make_users(a, "alice bob");
    assert_ok(open_room(a, "lobby", "alice"));
    struct id room = a->got.thread;
    struct harness *dead = node_new(a);
    for (int i = 0; i < 2; i++)
        assert_ok(visit_room(dead, "lobby", "bob"));
    assert_ok(visit_room(dead, "lobby", "alice"));
    assert_ok(visit_room(a, "lobby", "bob"));
    a->peer = NULL;
    wait_for_nodes(a, 1);
    /* Nobody is removed by that; but what is left here is the last visit. */
    assert_ok(get_thread(a, room));
    assert_buf(a->got.members, "alice* bob");
    assert_ok(end_visit(a, room, "bob", false));
    assert_ok(end_visit(a, room, "alice", false));
    assert_buf(a->got.members, "alice*");
    assert_true(has_no_visits());
    a->peer = dead;
    node_free(dead);
}

static void visits_go_on_when_connections_end(void **state)
{
    struct harness *a = *state;
    make_users(a, "alice bob");
    assert_ok(open_room(a, "lobby", "alice"));
    struct id room = a->got.thread;
    struct harness *b = node_new(a);
    for (int i = 0; i < 2; i++)
        assert_ok(visit_room(b, "lobby", "bob"));
    kill_connections("normal");
    wait_until_away(b);
    wait_until_ready(a);
    wait_until_ready(b);
    /* The names that they had are given up by now. */
    wait_for_nodes(a, 2);
    assert_ok(end_visit(b, room, "bob", false));
    assert_buf(b->got.members, "alice* bob");
    assert_ok(end_visit(b, room, "bob", false));
    assert_buf(b->got.members, "alice*");
    node_free(b);
}

static void visits_that_removal_has_ended_do_not_end_again_with_their_node(void **state)
{
    struct harness *a = *state;
    hurry(a);
    make_users(a, "alice bob carol");
    assert_ok(open_room(a, "lobby", "alice"));
    struct id room = a->got.thread;
    struct harness *dead = node_new(a);
    for (int i = 0; i < 2; i++) {
        assert_ok(visit_room(dead, "lobby", "bob"));
        assert_ok(visit_room(dead, "lobby", "carol"));
    }
    assert_ok(remove_member(a, room, "bob"));
    assert_ok(remove_member(a, room, "carol"));
    assert_true(has_no_visits());
    /* Bob comes again at both nodes, carol at the living one only. */
    assert_ok(visit_room(dead, "lobby", "bob"));
    for (int i = 0; i < 2; i++) {
        assert_ok(visit_room(a, "lobby", "bob"));
        assert_ok(visit_room(a, "lobby", "carol"));
    }
    a->peer = NULL;
    wait_for_nodes(a, 1);
    assert_ok(end_visit(a, room, "bob", false));
    assert_ok(end_visit(a, room, "carol", false));
    assert_buf(a->got.members, "alice* bob carol");
    assert_ok(end_visit(a, room, "bob", false));
    assert_ok(end_visit(a, room, "carol", false));
    assert_buf(a->got.members, "alice*");
    assert_true(has_no_visits());
    a->peer = dead;
    node_free(dead);
}

static void the_end_of_a_visit_that_comes_late_ends_none_at_another_node(void **state)
{
    struct harness *a = *state;
    make_users(a, "alice bob");
    struct harness *b = node_new(a);
    assert_ok(open_room(a, "lobby", "alice"));
    struct id room = a->got.thread;
    assert_ok(visit_room(b, "lobby", "bob"));
    assert_ok(remove_member(a, room, "bob"));
    assert_int_equal(end_visit(b, room, "bob", false), ERR_NO_THREAD);
    assert_ok(visit_room(a, "lobby", "bob"));
    for (int i = 0; i < 4; i++) {
        assert_ok(end_visit(b, room, "bob", i % 2));
        assert_buf(b->got.members, "alice* bob");
    }
    /* Nor one too many at a node that has others. */
    assert_ok(visit_room(b, "lobby", "bob"));
    for (int i = 0; i < 2; i++) {
        assert_ok(end_visit(b, room, "bob", false));
        assert_buf(b->got.members, "alice* bob");
    }
    assert_ok(end_visit(a, room, "bob", false));
    assert_buf(a->got.members, "alice*");
    assert_true(has_no_visits());
    node_free(b);
}

static void nothing_is_kept_of_the_visits_of_who_comes_in_for_good(void **state)
{
    struct harness *a = *state;
    make_users(a, "alice bob carol");
    struct harness *b = node_new(a);
    assert_ok(open_room(a, "lobby", "alice"));
    struct id room = a->got.thread;
    assert_ok(visit_room(a, "lobby", "bob"));
    assert_ok(visit_room(b, "lobby", "bob"));
    assert_ok(visit_room(b, "lobby", "carol"));
    assert_false(has_no_visits());
    assert_ok(open_room(a, "lobby", "bob"));
    assert_ok(add_member(a, room, "carol"));
    assert_true(has_no_visits());
    assert_ok(end_visit(b, room, "carol", false));
    assert_buf(b->got.members, "alice* bob carol");
    /* Who is removed and visits again at one node is not made to leave by what the other has still to tell. */
    assert_ok(remove_member(a, room, "bob"));
    assert_ok(visit_room(a, "lobby", "bob"));
    assert_ok(end_visit(b, room, "bob", false));
    assert_buf(b->got.members, "alice* carol bob");
    node_free(b);
}

static void many_visits_at_a_node_that_dies_are_over_bit_by_bit(void **state)
{
    struct harness *a = *state;
    enum { ROOMS = 130 }; /* more than are taken down at once (pulse.lua) */
    char room[24];
    hurry(a);
    make_users(a, "alice bob");
    struct harness *dead = node_new(a);
    for (int i = 0; i < ROOMS; i++) {
        (void)snprintf(room, sizeof(room), "room %d", i);
        assert_ok(open_room(dead, room, "alice"));
        assert_ok(visit_room(dead, room, "bob"));
    }
    a->peer = NULL;
    wait_for_nodes(a, 1);
    assert_true(no_keys_like("chat:visitors:*"));
    for (int i = 0; i < ROOMS; i++) {
        (void)snprintf(room, sizeof(room), "room %d", i);
        assert_ok(visit_room(a, room, "bob"));
        assert_ok(end_visit(a, a->got.thread, "bob", false));
        assert_buf(a->got.members, "alice*");
    }
    assert_true(has_no_visits());
    a->peer = dead;
    node_free(dead);
}

static void members_are_announced_on_every_node_in_their_place_among_messages(void **state)
{
    struct harness *a = *state;
    make_users(a, "alice bob carol");
    struct harness *b = node_new(a);
    assert_ok(open_thread(a, "alice bob"));
    struct id thread = a->got.thread;
    assert_ok(append_as(a, id_random(), thread, "alice", "1"));
    catch_up(b, a);
    assert_ok(add_member(a, thread, "carol"));
    assert_ok(append_as(a, id_random(), thread, "carol", "2"));
    catch_up(b, a);
    assert_ok(remove_member(a, thread, "carol"));
    assert_ok(append_as(a, id_random(), thread, "alice", "3"));
    catch_up(b, a);
    const char *const expected = "thread alice* bob; message 1; thread alice* bob carol; message 2; "
                                 "thread alice* bob without carol; message 3; ";
    assert_string_equal(announced(b), expected);
    assert_string_equal(announced(a), expected);
    node_free(b);
}

static void many_changes_of_members_leave_every_node_with_the_last(void **state)
{
    struct harness *a = *state;
    make_users(a, "alice bob carol");
    struct harness *b = node_new(a);
    struct id thread = thread_of(a, "alice bob");
    const struct store_ops *ops = a->store->ops;
    for (int i = 0; i < 50; i++) {
        ops->member_add(a->store, thread, SPAN_LITERAL("carol"), 10, on_thread, ask(a));
        send_through(a, id_random(), thread, "carol", "here");
        ops->member_remove(a->store, thread, SPAN_LITERAL("carol"), on_thread, ask(a));
        send_through(a, id_random(), thread, "alice", "gone");
    }
    settle_both(a, b);
    catch_up(b, a);
    assert_int_equal(a->told.len, 100 * sizeof(struct id));
    assert_int_equal(b->told.len, a->told.len);
    /* Changes that came in together may be told by one announcement, the last of which is how things are. */
    const char *text = announced(b);
    const char *last = strstr(text, "thread ");
    for (const char *next = last; next; next = strstr(next + 1, "thread "))
        last = next;
    assert_non_null(last);
    assert_int_equal(strncmp(last, "thread alice* bob", strlen("thread alice* bob")), 0);
    assert_null(strstr(last, "bob carol"));
    node_free(b);
}

/* --- users and tokens ------------------------------------------------------------------------------------------- */

static void changes_of_users_reach_every_node_in_order(void **state)
{
    struct harness *a = *state;
    struct harness *b = node_new(a);
    assert_ok(put_user(a, "alice", "Alice"));
    assert_ok(put_user(b, "bob", ""));
    assert_ok(set_presence(a, "bob", SHOW_DND, "in a \"meeting\" — 会议\x01"));
    assert_ok(put_user(b, "alice", "Alice B."));
    assert_ok(set_presence(b, "bob", SHOW_AWAY, ""));
    const char *const expected = "alice (Alice) off chat; bob off chat; bob off dnd \"in a \"meeting\" — 会议\x01\"; "
                                 "alice (Alice B.) off chat; bob off away; ";
    assert_user_events(a, expected);
    assert_user_events(b, expected);
    assert_int_equal(a->version, b->version);
    node_free(b);
}

enum { USERS = 8 };

/* Until it is done, whatever fails meanwhile. */
static void insist_on_status(struct harness *h, const char *user, const char *status)
{
    enum err err = OK;
    do {
        wait_until_ready(h);
        err = set_presence(h, user, SHOW_CHAT, status);
    } while (err == ERR_STORE);
    assert_ok(err);
}

static void change_users(struct harness *h, const char *status, void (*trouble)(void))
{
    for (int i = 0; i < USERS; i++) {
        char name[24];
        (void)snprintf(name, sizeof(name), "user%d", i);
        insist_on_status(h, name, status);
        if (i == USERS / 2)
            trouble();
    }
}

static void assert_told_of_users(struct harness *h, const char *status)
{
    wait_until(h, h->version >= server_number(&server, "HGET chat:state version"));
    for (int i = 0; i < USERS; i++) {
        char event[48];
        (void)snprintf(event, sizeof(event), "user%d off chat \"%s\"; ", i, status);
        if (!strstr(text_of(&h->user_events), event))
            fail_msg("nobody told of %s", event);
    }
}

static void end_subscriptions(void)
{
    kill_connections("pubsub");
}

static void end_all_connections(void)
{
    kill_connections("pubsub");
    kill_connections("normal");
}

static void no_change_of_a_user_is_missed_when_connections_end(void **state)
{
    struct harness *a = *state;
    make_users(a, "user0 user1 user2 user3 user4 user5 user6 user7");
    struct harness *b = node_new(a);
    for (int round = 0; round < 4; round++) {
        char status[24];
        (void)snprintf(status, sizeof(status), "round %d", round);
        change_users(round % 2 ? a : b, status, round < 2 ? end_subscriptions : end_all_connections);
        assert_told_of_users(a, status);
        assert_told_of_users(b, status);
    }
    node_free(b);
}

static void a_token_deleted_on_one_node_ends_on_the_other(void **state)
{
    struct harness *a = *state;
    struct harness *b = node_new(a);
    struct id token = id_random();
    char text[ID_TEXT_SIZE];
    char expected[80];
    assert_ok(put_token(a, token, "alice", a->clock.wall_us + 3600000000));
    assert_ok(get_token(b, token));
    assert_string_equal(b->got.token_user, "alice");
    assert_ok(delete_token(a, token));
    (void)snprintf(expected, sizeof(expected), "token %s ended; ", id_format(token, text));
    wait_until(b, strstr(announced(b), "token "));
    assert_string_equal(announced(b), expected);
    node_free(b);
}

/* --- leases ----------------------------------------------------------------------------------------------------- */

static void lease(struct harness *h, const char *user, enum lease lease)
{
    h->leased = lease == LEASE_HELD ? user : NULL;
    h->idle = lease == LEASE_IDLE ? user : NULL;
    h->store->ops->lease(h->store, span_of(user), lease);
    /* A lease is not answered, but what comes after it is. */
    assert_ok(list_users(h, "", 0));
}

static void a_user_is_there_while_any_node_has_a_session(void **state)
{
    struct harness *a = *state;
    struct id thread = scene(a);
    struct harness *b = node_new(a);
    buf_reset(&a->user_events);
    lease(a, "alice", LEASE_HELD);
    assert_user_events(a, "alice on chat; ");
    assert_ok(get_thread(b, thread));
    assert_true(b->got.user.available);
    lease(b, "alice", LEASE_HELD);
    lease(a, "alice", LEASE_NONE);
    assert_ok(put_user(a, "alice", ""));
    assert_true(a->got.user.available);
    lease(b, "alice", LEASE_NONE);
    assert_user_events(a, "alice on chat; alice off chat; ");
    assert_user_events(b, "alice on chat; alice off chat; ");
    assert_ok(put_user(b, "alice", ""));
    assert_false(b->got.user.available);
    node_free(b);
}

static void a_node_that_dies_takes_its_users_with_it_once(void **state)
{
    struct harness *a = *state;
    hurry(a);
    (void)scene(a);
    struct harness *dead = node_new(a);
    lease(dead, "bob", LEASE_HELD);
    lease(a, "alice", LEASE_HELD);
    struct harness *b = node_new(a);
    buf_reset(&a->user_events);
    buf_reset(&b->user_events);
    /* From here on a and b are each other's peers, and nobody turns the third. */
    wait_until(a, strstr(text_of(&a->user_events), "bob off"));
    turn_for(a, 600);
    assert_user_events(a, "bob off chat; ");
    assert_user_events(b, "bob off chat; ");
    wait_for_nodes(a, 2);
    assert_int_equal(server_number(&server, "EXISTS chat:here:bob chat:dead"), 0);

    /* It was only held up, and comes back. */
    a->peer = dead;
    wait_until(a, strstr(text_of(&a->user_events), "bob on"));
    assert_user_events(a, "bob off chat; bob on chat; ");
    a->peer = b;
    node_free(b);
    dead->peer = a;
    a->peer = dead;
    node_free(dead);
}

static void a_lease_is_renewed_while_its_node_lives(void **state)
{
    struct harness *a = *state;
    hurry(a);
    (void)scene(a);
    struct harness *b = node_new(a);
    lease(b, "bob", LEASE_HELD);
    turn_for(a, 1600);
    lease(b, "bob", LEASE_NONE);
    const char *const expected = "alice off chat; bob off chat; bob on chat; bob off chat; ";
    assert_user_events(a, expected);
    node_free(b);
}

static void a_node_that_ends_in_order_leaves_at_once(void **state)
{
    struct harness *a = *state;
    (void)scene(a);
    struct harness *b = node_new(a);
    lease(b, "bob", LEASE_HELD);
    node_free(b);
    buf_reset(&a->user_events);
    wait_until(a, strstr(text_of(&a->user_events), "bob off"));
    assert_int_equal(server_number(&server, "ZCARD chat:nodes"), 1);
}

static void nobody_leaves_while_a_node_is_started_anew(void **state)
{
    struct harness *a = *state;
    (void)scene(a);
    a->options.grace_ms = 600;
    struct harness *b = node_new(a);
    lease(b, "bob", LEASE_HELD);
    assert_user_events(a, "alice off chat; bob off chat; bob on chat; ");
    reopen_store(b);
    lease(b, "bob", LEASE_HELD);
    /* The leases of the node that was have ended by now. */
    wait_for_nodes(a, 2);
    assert_user_events(a, "alice off chat; bob off chat; bob on chat; ");
    assert_ok(put_user(a, "bob", ""));
    assert_true(a->got.user.available);
    node_free(b);
}

static void nobody_leaves_when_connections_end(void **state)
{
    struct harness *a = *state;
    (void)scene(a);
    struct harness *b = node_new(a);
    lease(b, "bob", LEASE_HELD);
    lease(a, "alice", LEASE_HELD);
    for (int i = 0; i < 3; i++) {
        kill_connections(i == 1 ? "pubsub" : "normal");
        wait_until_away(a);
        wait_until_ready(a);
        wait_until_ready(b);
        wait_for_nodes(a, 2);
    }
    assert_user_events(a, "alice off chat; bob off chat; bob on chat; alice on chat; ");
    node_free(b);
}

static void leases_made_while_the_server_is_away_are_made_good(void **state)
{
    struct harness *a = *state;
    (void)scene(a);
    struct harness *b = node_new(a);
    lease(a, "alice", LEASE_HELD);
    kill_connections("normal");
    wait_until_away(a);
    a->leased = "bob";
    a->store->ops->lease(a->store, SPAN_LITERAL("alice"), LEASE_NONE);
    a->store->ops->lease(a->store, SPAN_LITERAL("bob"), LEASE_HELD);
    wait_until(b, strstr(text_of(&b->user_events), "bob on") && strstr(text_of(&b->user_events), "alice off"));
    assert_user_events(b, "alice on chat; bob on chat; alice off chat; ");
    node_free(b);
}

/* --- idle leases ------------------------------------------------------------------------------------------------ */

static void a_user_is_idle_while_all_their_leases_are(void **state)
{
    struct harness *a = *state;
    struct id thread = scene(a);
    struct harness *b = node_new(a);
    buf_reset(&a->user_events);
    buf_reset(&b->user_events);
    lease(a, "alice", LEASE_IDLE);
    assert_ok(get_thread(b, thread));
    assert_true(b->got.user.available);
    assert_true(b->got.user.idle);
    lease(b, "alice", LEASE_HELD);
    assert_ok(put_user(a, "alice", ""));
    assert_false(a->got.user.idle);
    lease(a, "alice", LEASE_NONE);
    lease(b, "alice", LEASE_IDLE);
    assert_ok(set_presence(b, "alice", SHOW_AWAY, "brb"));
    assert_true(b->got.user.idle);
    lease(b, "alice", LEASE_NONE);
    assert_ok(put_user(b, "alice", ""));
    assert_false(b->got.user.idle);
    assert_user_events(a, "alice idle chat; alice on chat; alice idle chat; alice idle away \"brb\"; "
                          "alice off away \"brb\"; ");
    assert_user_events(b, "alice idle chat; alice on chat; alice idle chat; alice idle away \"brb\"; "
                          "alice off away \"brb\"; ");
    assert_int_equal(server_number(&server, "EXISTS chat:here:alice chat:idle:alice"), 0);
    node_free(b);
}

/* What changes nothing for others is not told to them. */
static void an_idle_lease_beside_one_that_is_held_is_nobodys_business(void **state)
{
    struct harness *a = *state;
    (void)scene(a);
    struct harness *b = node_new(a);
    lease(a, "alice", LEASE_IDLE);
    lease(a, "alice", LEASE_HELD);
    assert_ok(put_user(a, "alice", ""));
    int64_t version = a->got.user.version;
    lease(b, "alice", LEASE_IDLE);
    lease(b, "alice", LEASE_HELD);
    lease(b, "alice", LEASE_IDLE);
    lease(b, "alice", LEASE_NONE);
    assert_ok(put_user(a, "alice", ""));
    assert_int_equal(a->got.user.version, version);
    lease(a, "alice", LEASE_IDLE);
    assert_ok(put_user(a, "alice", ""));
    version = a->got.user.version;
    lease(b, "alice", LEASE_IDLE);
    lease(a, "alice", LEASE_NONE);
    assert_ok(put_user(a, "alice", ""));
    assert_int_equal(a->got.user.version, version);
    assert_true(a->got.user.idle);
    node_free(b);
}

static void who_is_held_by_a_node_that_dies_is_idle_if_another_has_them_idle(void **state)
{
    struct harness *a = *state;
    hurry(a);
    (void)scene(a);
    struct harness *dead = node_new(a);
    lease(dead, "bob", LEASE_HELD);
    lease(a, "bob", LEASE_IDLE);
    assert_ok(put_user(a, "bob", ""));
    assert_false(a->got.user.idle);
    buf_reset(&a->user_events);
    a->peer = NULL;
    wait_for_nodes(a, 1);
    assert_user_events(a, "bob idle chat; ");

    /* It was only held up, and comes back as what it was. */
    a->peer = dead;
    wait_for_nodes(a, 2);
    wait_until(a, strstr(text_of(&a->user_events), "bob on"));
    assert_user_events(a, "bob idle chat; bob on chat; ");
    node_free(dead);
}

static void a_node_that_dies_takes_those_who_were_idle_with_it(void **state)
{
    struct harness *a = *state;
    hurry(a);
    (void)scene(a);
    struct harness *dead = node_new(a);
    lease(dead, "bob", LEASE_IDLE);
    buf_reset(&a->user_events);
    a->peer = NULL;
    wait_for_nodes(a, 1);
    assert_user_events(a, "bob off chat; ");
    assert_int_equal(server_number(&server, "EXISTS chat:here:bob chat:idle:bob"), 0);
    a->peer = dead;
    wait_until(a, strstr(text_of(&a->user_events), "bob idle"));
    assert_user_events(a, "bob off chat; bob idle chat; ");
    node_free(dead);
}

static void a_goodbye_ends_the_idle_leases_of_all_nodes(void **state)
{
    struct harness *a = *state;
    (void)scene(a);
    struct harness *b = node_new(a);
    buf_reset(&a->user_events);
    buf_reset(&b->user_events);
    lease(a, "alice", LEASE_HELD);
    lease(a, "alice", LEASE_IDLE);
    lease(b, "alice", LEASE_HELD);
    lease(b, "alice", LEASE_GOODBYE);
    assert_user_events(a, "alice on chat; alice idle chat; alice on chat; alice off chat; ");
    assert_user_events(b, "alice on chat; alice idle chat; alice on chat; alice off chat; ");
    assert_int_equal(server_number(&server, "EXISTS chat:here:alice chat:idle:alice"), 0);
    /* To give up a lease that has ended in this way is no news; and one taken after it is a lease like any other. */
    buf_reset(&b->user_events);
    lease(a, "alice", LEASE_NONE);
    lease(a, "alice", LEASE_GOODBYE);
    assert_user_events(b, "");
    lease(a, "alice", LEASE_HELD);
    lease(a, "alice", LEASE_IDLE);
    assert_user_events(b, "alice on chat; alice idle chat; ");
    node_free(b);
}

static void a_goodbye_does_not_end_a_lease_that_is_held_elsewhere(void **state)
{
    struct harness *a = *state;
    (void)scene(a);
    struct harness *b = node_new(a);
    struct harness *c = node_new(a);
    c->peer = NULL;
    a->peer = b;
    c->leased = "alice";
    c->store->ops->lease(c->store, SPAN_LITERAL("alice"), LEASE_IDLE);
    assert_ok(list_users(c, "", 0));
    lease(a, "alice", LEASE_HELD);
    lease(b, "alice", LEASE_HELD);
    buf_reset(&a->user_events);
    lease(b, "alice", LEASE_GOODBYE);
    assert_ok(put_user(a, "alice", ""));
    assert_true(a->got.user.available);
    assert_false(a->got.user.idle);
    assert_int_equal(server_number(&server, "SCARD chat:here:alice"), 1);
    assert_int_equal(server_number(&server, "EXISTS chat:idle:alice"), 0);
    assert_user_events(a, "");
    /* Only where somebody was left out of it is there a lease that can become idle. */
    lease(a, "alice", LEASE_IDLE);
    assert_user_events(a, "alice idle chat; ");
    lease(a, "alice", LEASE_NONE);
    assert_user_events(a, "alice idle chat; alice off chat; ");
    node_free(c);
    a->peer = b;
    node_free(b);
}

static void nobody_stirs_when_connections_end(void **state)
{
    struct harness *a = *state;
    make_users(a, "alice bob carol");
    struct harness *b = node_new(a);
    lease(a, "alice", LEASE_IDLE);
    a->leased = "bob";
    a->store->ops->lease(a->store, SPAN_LITERAL("bob"), LEASE_HELD);
    lease(b, "carol", LEASE_IDLE);
    a->store->ops->lease(a->store, SPAN_LITERAL("carol"), LEASE_HELD);
    a->leased = "bob carol";
    assert_ok(list_users(a, "", 0));
    wait_until(a, a->version >= server_number(&server, "HGET chat:state version"));
    buf_reset(&a->user_events);
    for (int i = 0; i < 3; i++) {
        kill_connections("normal");
        wait_until_away(a);
        wait_until_ready(a);
        wait_until_ready(b);
        wait_for_nodes(a, 2);
    }
    assert_user_events(a, "");
    assert_ok(put_user(a, "alice", ""));
    assert_true(a->got.user.idle);
    assert_int_equal(server_number(&server, "SCARD chat:idle:alice"), 1);
    assert_int_equal(server_number(&server, "SCARD chat:idle:carol"), 1);
    assert_int_equal(server_number(&server, "EXISTS chat:idle:bob"), 0);
    node_free(b);
}

static void what_became_idle_while_the_server_is_away_is_made_good(void **state)
{
    struct harness *a = *state;
    (void)scene(a);
    struct harness *b = node_new(a);
    lease(a, "alice", LEASE_HELD);
    lease(b, "bob", LEASE_IDLE);
    assert_user_events(b, "alice on chat; bob idle chat; ");
    kill_connections("normal");
    wait_until_away(a);
    a->leased = NULL;
    a->idle = "alice";
    b->leased = "bob";
    b->idle = NULL;
    wait_until_ready(a);
    wait_until_ready(b);
    /* Alice is once the name that had held her is given up, not before. */
    wait_for_nodes(a, 2);
    wait_until(b, strstr(text_of(&b->user_events), "bob on") && strstr(text_of(&b->user_events), "alice idle"));
    assert_ok(put_user(a, "alice", ""));
    assert_true(a->got.user.idle);
    assert_ok(put_user(a, "bob", ""));
    assert_false(a->got.user.idle);
    assert_null(strstr(text_of(&b->user_events), "off"));
    node_free(b);
}

static const struct CMUnitTest tests[] = {
    CASE(messages_are_announced_once_on_every_node_in_one_order),
    CASE(a_reader_on_another_node_is_shown_what_was_announced_there),
    CASE(a_message_found_on_another_node_was_announced_there),
    CASE(who_comes_back_to_another_node_goes_on_there),
    CASE(a_message_sent_through_two_nodes_at_once_is_one),
    CASE(an_id_taken_on_another_node_is_a_conflict),
    CASE(members_who_meet_on_two_nodes_at_once_get_one_thread),
    CASE(who_enters_a_room_on_two_nodes_at_once_is_in_one_room),
    CASE(who_visits_a_room_at_two_nodes_leaves_it_with_the_last_visit),
    CASE(the_visits_at_a_node_that_dies_are_over),
    CASE(visits_go_on_when_connections_end),
    CASE(visits_that_removal_has_ended_do_not_end_again_with_their_node),
    CASE(the_end_of_a_visit_that_comes_late_ends_none_at_another_node),
    CASE(nothing_is_kept_of_the_visits_of_who_comes_in_for_good),
    CASE(many_visits_at_a_node_that_dies_are_over_bit_by_bit),
    CASE(members_are_announced_on_every_node_in_their_place_among_messages),
    CASE(many_changes_of_members_leave_every_node_with_the_last),
    CASE(changes_of_users_reach_every_node_in_order),
    CASE(no_change_of_a_user_is_missed_when_connections_end),
    CASE(a_token_deleted_on_one_node_ends_on_the_other),
    CASE(a_user_is_there_while_any_node_has_a_session),
    CASE(a_node_that_dies_takes_its_users_with_it_once),
    CASE(a_lease_is_renewed_while_its_node_lives),
    CASE(a_node_that_ends_in_order_leaves_at_once),
    CASE(nobody_leaves_while_a_node_is_started_anew),
    CASE(nobody_leaves_when_connections_end),
    CASE(leases_made_while_the_server_is_away_are_made_good),
    CASE(a_user_is_idle_while_all_their_leases_are),
    CASE(an_idle_lease_beside_one_that_is_held_is_nobodys_business),
    CASE(who_is_held_by_a_node_that_dies_is_idle_if_another_has_them_idle),
    CASE(a_node_that_dies_takes_those_who_were_idle_with_it),
    CASE(a_goodbye_ends_the_idle_leases_of_all_nodes),
    CASE(a_goodbye_does_not_end_a_lease_that_is_held_elsewhere),
    CASE(nobody_stirs_when_connections_end),
    CASE(what_became_idle_while_the_server_is_away_is_made_good),
};

const struct cases redis_node_cases = {tests, array_len(tests)};
