/* SPDX-License-Identifier: MIT */
/* Threads by member set, rooms by name, roles, and the coming and going of members. */
#include <stdio.h>
#include <string.h>

#include "harness.h"

static void the_same_members_have_the_same_thread(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob carol");
    assert_ok(open_thread(h, "alice bob carol"));
    assert_buf(h->got.members, "alice* bob carol");
    assert_buf(h->got.room, "");
    assert_journal(h, "thread alice* bob carol; done; ");
    struct id thread = h->got.thread;

    const char *const orders[] = {"alice carol bob", "bob alice carol", "carol bob alice", "alice bob carol"};
    for (size_t i = 0; i < array_len(orders); i++) {
        assert_ok(open_thread(h, orders[i]));
        assert_true(id_equal(h->got.thread, thread));
        assert_buf(h->got.members, "alice* bob carol");
        /* Nothing changed, so nothing is announced. */
        assert_journal(h, "done; ");
    }
}

static void other_members_have_another_thread(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob carol");
    struct id three = thread_of(h, "alice bob carol");
    struct id two = thread_of(h, "bob alice");
    struct id one = thread_of(h, "alice");
    assert_false(id_equal(three, two));
    assert_false(id_equal(two, one));
    assert_true(id_equal(one, thread_of(h, "alice")));
    assert_true(id_equal(two, thread_of(h, "alice bob")));
    assert_buf(h->got.members, "bob* alice");
}

static void a_thread_is_made_under_the_id_given(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice");
    struct span alice = SPAN_LITERAL("alice");
    struct thread_request request = {.id = id_random(), .users = &alice, .user_count = 1, .members_max = 1};
    h->store->ops->thread_open(h->store, &request, on_thread, ask(h));
    settle(h);
    assert_ok(h->got.err);
    assert_true(id_equal(h->got.thread, request.id));
    assert_ok(get_thread(h, request.id));
    assert_buf(h->got.members, "alice*");
}

static void a_thread_needs_known_users(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice");
    assert_int_equal(open_thread(h, "alice nobody"), ERR_NO_USER);
    assert_int_equal(open_thread(h, "nobody alice"), ERR_NO_USER);
    assert_int_equal(open_room(h, "lobby", "nobody"), ERR_NO_USER);
    assert_journal(h, "done no_user; done no_user; done no_user; ");
    /* Nothing of it was made. */
    assert_ok(list_threads(h, "alice", false));
    assert_buf(h->got.threads, "");
    assert_ok(open_room(h, "lobby", "alice"));
    assert_buf(h->got.members, "alice*");
}

static void a_thread_has_a_largest_number_of_members(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob carol");
    assert_int_equal(open_thread_max(h, NULL, "alice bob carol", 2), ERR_TOO_MANY_MEMBERS);
    assert_ok(open_thread_max(h, NULL, "alice bob carol", 3));
    struct id thread = h->got.thread;
    /* A thread that is there already is found under any bound. */
    assert_ok(open_thread_max(h, NULL, "bob alice carol", 1));
    assert_true(id_equal(h->got.thread, thread));

    assert_ok(open_thread_max(h, "lobby", "alice", 1));
    assert_int_equal(open_thread_max(h, "lobby", "bob", 1), ERR_TOO_MANY_MEMBERS);
    assert_ok(open_thread_max(h, "lobby", "alice", 1));
    assert_buf(h->got.members, "alice*");
    assert_ok(open_thread_max(h, "lobby", "bob", 2));
    assert_int_equal(add_member_max(h, h->got.thread, "carol", 2), ERR_TOO_MANY_MEMBERS);
    assert_ok(add_member_max(h, h->got.thread, "bob", 2));
    assert_buf(h->got.members, "alice* bob");
}

static void a_room_is_found_by_its_name_and_joined(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob");
    assert_ok(open_room(h, "Café \"1\"", "alice"));
    assert_buf(h->got.room, "Café \"1\"");
    struct id room = h->got.thread;
    assert_journal(h, "thread alice*; done; ");
    assert_ok(open_room(h, "Café \"1\"", "bob"));
    assert_true(id_equal(h->got.thread, room));
    assert_buf(h->got.members, "alice* bob");
    assert_journal(h, "thread alice* bob; done; ");
    assert_ok(open_room(h, "Café \"1\"", "bob"));
    assert_journal(h, "done; ");

    assert_ok(open_room(h, "Café \"2\"", "bob"));
    assert_false(id_equal(h->got.thread, room));
    assert_buf(h->got.members, "bob*");
    reopen_store(h);
    assert_ok(get_thread(h, room));
    assert_buf(h->got.members, "alice* bob");
    assert_buf(h->got.room, "Café \"1\"");
}

static void a_room_for_its_members_only_lets_nobody_else_in(void **state)
{
    struct harness *h = *state;
    enum { MANY = 10 };
    make_users(h, "alice bob carol");
    /* Somebody has to be the first. */
    assert_ok(open_members_room(h, "office", "alice", MANY));
    struct id room = h->got.thread;
    assert_journal(h, "thread alice*; done; ");
    assert_int_equal(open_members_room(h, "office", "bob", MANY), ERR_FORBIDDEN);
    assert_journal(h, "done forbidden; ");
    assert_ok(get_thread(h, room));
    assert_buf(h->got.members, "alice*");

    /* Who was added is one of them, in whatever way the room is asked for. */
    assert_ok(add_member(h, room, "bob"));
    assert_ok(open_members_room(h, "office", "bob", MANY));
    assert_true(id_equal(h->got.thread, room));
    assert_ok(open_members_room(h, "office", "alice", MANY));
    assert_buf(h->got.members, "alice* bob");
    assert_ok(open_room(h, "office", "carol"));
    assert_buf(h->got.members, "alice* bob carol");

    /* And not any more once they were removed. */
    assert_ok(remove_member(h, room, "bob"));
    assert_int_equal(open_members_room(h, "office", "bob", MANY), ERR_FORBIDDEN);
}

static void a_room_for_its_members_only_says_what_is_wrong_first(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob");
    assert_int_equal(open_members_room(h, "office", "nobody", 1), ERR_NO_USER);
    assert_ok(open_members_room(h, "office", "alice", 1));
    assert_int_equal(open_members_room(h, "office", "nobody", 1), ERR_NO_USER);
    assert_int_equal(open_members_room(h, "office", "bob", 1), ERR_FORBIDDEN);
    assert_ok(open_members_room(h, "office", "alice", 1));
}

static void a_room_for_its_members_only_that_everybody_left_lets_nobody_in(void **state)
{
    struct harness *h = *state;
    enum { MANY = 10 };
    make_users(h, "alice bob");
    assert_ok(open_members_room(h, "office", "alice", MANY));
    struct id room = h->got.thread;
    assert_ok(append_as(h, id_random(), room, "alice", "secret"));
    assert_ok(remove_member(h, room, "alice"));
    buf_reset(&h->journal);
    assert_int_equal(open_members_room(h, "office", "bob", MANY), ERR_FORBIDDEN);
    assert_int_equal(open_members_room(h, "office", "alice", MANY), ERR_FORBIDDEN);
    assert_journal(h, "done forbidden; done forbidden; ");
    assert_int_equal(read_history(h, room, "bob", (struct cursor){0}, MANY), ERR_NO_THREAD);
    reopen_store(h);
    assert_int_equal(open_members_room(h, "office", "bob", MANY), ERR_FORBIDDEN);
    /* Another one can be made. */
    assert_ok(open_members_room(h, "attic", "bob", MANY));
    assert_buf(h->got.members, "bob*");
    /* Where everybody may enter, it starts anew. */
    assert_ok(open_room(h, "office", "bob"));
    assert_true(id_equal(h->got.thread, room));
    assert_buf(h->got.members, "bob*");
}

static void a_room_is_not_the_thread_of_its_members(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob");
    assert_ok(open_room(h, "lobby", "alice"));
    assert_ok(open_room(h, "lobby", "bob"));
    struct id room = h->got.thread;
    assert_false(id_equal(thread_of(h, "alice bob"), room));
    assert_false(id_equal(thread_of(h, "alice"), room));
}

static void an_added_member_is_a_guest(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob carol");
    struct id thread = thread_of(h, "alice bob");
    assert_ok(add_member(h, thread, "carol"));
    assert_buf(h->got.members, "alice* bob carol");
    assert_journal(h, "thread alice* bob carol; done; ");
    assert_ok(add_member(h, thread, "carol"));
    assert_buf(h->got.members, "alice* bob carol");
    assert_journal(h, "done; ");
    assert_int_equal(add_member(h, thread, "nobody"), ERR_NO_USER);
    assert_int_equal(add_member(h, id_random(), "carol"), ERR_NO_THREAD);
    assert_journal(h, "done no_user; done no_thread; ");
}

static void a_removed_member_is_gone(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob carol");
    struct id thread = thread_of(h, "alice bob");
    assert_ok(remove_member(h, thread, "bob"));
    assert_buf(h->got.members, "alice*");
    assert_journal(h, "thread alice* without bob; done; ");
    assert_int_equal(remove_member(h, thread, "bob"), ERR_NO_THREAD);
    assert_int_equal(remove_member(h, thread, "carol"), ERR_NO_THREAD);
    assert_int_equal(remove_member(h, thread, "nobody"), ERR_NO_THREAD);
    assert_int_equal(remove_member(h, id_random(), "alice"), ERR_NO_THREAD);
    reopen_store(h);
    assert_ok(get_thread(h, thread));
    assert_buf(h->got.members, "alice*");
    assert_int_equal(get_thread(h, id_random()), ERR_NO_THREAD);
}

static void the_member_longest_in_follows_the_last_owner(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob carol dave");
    struct id thread = thread_of(h, "alice carol bob");
    assert_ok(add_member(h, thread, "dave"));
    assert_ok(remove_member(h, thread, "alice"));
    assert_buf(h->got.members, "carol* bob dave");
    /* A guest's leaving changes nothing for the others. */
    assert_ok(remove_member(h, thread, "bob"));
    assert_buf(h->got.members, "carol* dave");
    /* Who comes back starts at the end of the line. */
    assert_ok(add_member(h, thread, "alice"));
    assert_buf(h->got.members, "carol* dave alice");
    assert_ok(remove_member(h, thread, "carol"));
    assert_buf(h->got.members, "dave* alice");
}

static void a_room_that_everybody_left_starts_anew(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob");
    assert_ok(open_room(h, "lobby", "alice"));
    struct id room = h->got.thread;
    buf_reset(&h->journal);
    assert_ok(remove_member(h, room, "alice"));
    assert_int_equal(h->got.member_count, 0);
    assert_journal(h, "thread  without alice; done; ");
    assert_ok(get_thread(h, room));
    assert_ok(open_room(h, "lobby", "bob"));
    assert_true(id_equal(h->got.thread, room));
    assert_buf(h->got.members, "bob*");
}

static void the_thread_of_a_set_follows_its_present_members(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob carol");
    struct id first = thread_of(h, "alice bob");
    assert_ok(add_member(h, first, "carol"));
    assert_true(id_equal(thread_of(h, "carol bob alice"), first));

    /* The pair is alone no more: it gets a thread of its own. */
    struct id second = thread_of(h, "alice bob");
    assert_false(id_equal(second, first));
    assert_buf(h->got.members, "alice* bob");

    /* When the third leaves there are two threads of the pair; the one that was the pair's stays it. */
    assert_ok(remove_member(h, first, "carol"));
    assert_buf(h->got.members, "alice* bob");
    assert_true(id_equal(thread_of(h, "alice bob"), second));

    /* All of that is as true after a restart. */
    reopen_store(h);
    assert_true(id_equal(thread_of(h, "bob alice"), second));
    struct id third = thread_of(h, "alice bob carol");
    assert_false(id_equal(third, first));
    assert_false(id_equal(third, second));
}

static void a_set_is_free_again_when_its_thread_changes(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob");
    struct id pair = thread_of(h, "alice bob");
    assert_ok(remove_member(h, pair, "bob"));
    assert_true(id_equal(thread_of(h, "alice"), pair));
    assert_ok(remove_member(h, pair, "alice"));
    assert_false(id_equal(thread_of(h, "alice"), pair));
    assert_false(id_equal(thread_of(h, "alice bob"), pair));
}

static void the_threads_of_a_user_come_in_order_of_joining(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob carol");
    struct id late = thread_of(h, "bob carol");
    struct id pair = thread_of(h, "alice bob");
    assert_ok(open_room(h, "lobby", "alice"));
    assert_ok(add_member(h, late, "alice"));
    say(h, pair, "bob", "first");
    say(h, pair, "alice", "second");
    say(h, late, "carol", "third");

    assert_ok(list_threads(h, "alice", true));
    assert_buf(h->got.threads, "alice* bob: second; alice*: ; bob* carol alice: third; ");
    assert_ok(list_threads(h, "alice", false));
    assert_buf(h->got.threads, "alice* bob: ; alice*: ; bob* carol alice: ; ");
    assert_ok(remove_member(h, pair, "alice"));
    assert_ok(list_threads(h, "alice", true));
    assert_buf(h->got.threads, "alice*: ; bob* carol alice: third; ");
    assert_ok(list_threads(h, "nobody", true));
    assert_buf(h->got.threads, "");
}

static void who_joins_is_told_where_in_the_log(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob carol");
    struct id thread = thread_of(h, "alice");
    assert_cursor(h->got.joined, at(0));
    struct cursor first = say(h, thread, "alice", "1");
    assert_ok(add_member(h, thread, "bob"));
    assert_cursor(h->got.joined, first);
    assert_ok(open_room(h, "lobby", "alice"));
    assert_cursor(h->got.joined, first);
    struct cursor second = say(h, h->got.thread, "alice", "2");
    assert_ok(open_room(h, "lobby", "carol"));
    assert_cursor(h->got.joined, second);
    assert_ok(get_thread(h, thread));
    assert_cursor(h->got.joined, first);
}

static void members_are_told_with_their_presence(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob");
    assert_ok(put_user(h, "alice", "Alice"));
    assert_ok(set_presence(h, "alice", SHOW_XA, "on leave"));
    struct id thread = thread_of(h, "alice bob");
    assert_ok(get_thread(h, thread));
    assert_string_equal(h->got.user.id, "alice");
    assert_string_equal(h->got.user.name, "Alice");
    assert_string_equal(h->got.user.status, "on leave");
    assert_int_equal(h->got.user.show, SHOW_XA);
}

static void a_thread_can_have_many_members(void **state)
{
    struct harness *h = *state;
    enum { MANY = 300 };
    make_users(h, "owner");
    assert_ok(open_room(h, "hall", "owner"));
    struct id room = h->got.thread;
    for (int i = 0; i < MANY; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "user%03d", i);
        h->store->ops->user_put(h->store, span_of(name), SPAN_LITERAL(""), on_user, ask(h));
        h->store->ops->member_add(h->store, room, span_of(name), MANY + 1, on_thread, ask(h));
        if (i % 50 == 0)
            settle(h);
    }
    settle(h);
    assert_ok(get_thread(h, room));
    assert_int_equal(h->got.member_count, MANY + 1);
    assert_non_null(strstr(text_of(&h->got.members), "owner* user000 user001 "));
    assert_int_equal(add_member_max(h, room, "owner", MANY + 1), OK);
}

/* --- visits ----------------------------------------------------------------------------------------------------- */

/* Alice's room, called the lobby. */
static struct id make_lobby(struct harness *h)
{
    make_users(h, "alice bob carol dave erin");
    assert_ok(open_room(h, "lobby", "alice"));
    buf_reset(&h->journal);
    return h->got.thread;
}

static void who_visits_a_room_is_a_member_until_the_visit_is_over(void **state)
{
    struct harness *h = *state;
    struct id room = make_lobby(h);
    assert_ok(visit_room(h, "lobby", "bob"));
    assert_true(id_equal(h->got.thread, room));
    assert_journal(h, "thread alice* bob; done; ");
    assert_ok(append_as(h, id_random(), room, "bob", "hello"));
    assert_ok(end_visit(h, room, "bob", false));
    assert_buf(h->got.members, "alice*");
    assert_journal(h, "message hello; done; thread alice* without bob; done; ");
    assert_int_equal(end_visit(h, room, "bob", false), ERR_NO_THREAD);
    assert_int_equal(end_visit(h, room, "nobody", false), ERR_NO_THREAD);
    assert_int_equal(end_visit(h, id_random(), "alice", false), ERR_NO_THREAD);
    assert_ok(get_thread(h, room));
    assert_buf(h->got.members, "alice*");
}

static void several_visits_at_once_end_with_the_last(void **state)
{
    struct harness *h = *state;
    struct id room = make_lobby(h);
    for (int i = 0; i < 3; i++)
        assert_ok(visit_room(h, "lobby", "bob"));
    assert_buf(h->got.members, "alice* bob");
    buf_reset(&h->journal);
    for (int i = 0; i < 2; i++) {
        assert_ok(end_visit(h, room, "bob", i > 0));
        assert_buf(h->got.members, "alice* bob");
    }
    assert_journal(h, "done; done; ");
    assert_ok(end_visit(h, room, "bob", false));
    assert_journal(h, "thread alice* without bob; done; ");
}

static void who_stays_after_a_visit_is_a_member_until_the_next_is_over(void **state)
{
    struct harness *h = *state;
    struct id room = make_lobby(h);
    assert_ok(visit_room(h, "lobby", "bob"));
    for (int i = 0; i < 3; i++) {
        assert_ok(end_visit(h, room, "bob", true));
        assert_buf(h->got.members, "alice* bob");
    }
    assert_ok(visit_room(h, "lobby", "bob"));
    assert_ok(end_visit(h, room, "bob", false));
    assert_buf(h->got.members, "alice*");
    /* One who has stayed can also be sent off at once. */
    assert_ok(visit_room(h, "lobby", "bob"));
    assert_ok(end_visit(h, room, "bob", true));
    assert_ok(end_visit(h, room, "bob", false));
    assert_buf(h->got.members, "alice*");
}

static void a_visit_makes_nobody_leave_who_is_a_member_anyway(void **state)
{
    struct harness *h = *state;
    struct id room = make_lobby(h);
    assert_ok(add_member(h, room, "bob"));
    /* One comes in for good during a visit; another is added by others. */
    assert_ok(visit_room(h, "lobby", "carol"));
    assert_ok(open_room(h, "lobby", "carol"));
    assert_ok(visit_room(h, "lobby", "dave"));
    assert_ok(add_member(h, room, "dave"));
    assert_ok(visit_room(h, "lobby", "erin"));
    const char *const stay[] = {"alice", "bob", "carol", "dave"};
    for (size_t i = 0; i < array_len(stay); i++) {
        assert_ok(visit_room(h, "lobby", stay[i]));
        for (int j = 0; j < 3; j++)
            assert_ok(end_visit(h, room, stay[i], j == 2));
    }
    assert_buf(h->got.members, "alice* bob carol dave erin");
    assert_ok(end_visit(h, room, "erin", false));
    assert_buf(h->got.members, "alice* bob carol dave");
    /* Who was removed and comes again for a visit is a visitor. */
    assert_ok(remove_member(h, room, "carol"));
    assert_ok(visit_room(h, "lobby", "carol"));
    assert_ok(end_visit(h, room, "carol", false));
    assert_buf(h->got.members, "alice* bob dave");
}

static void a_visitor_who_was_removed_has_no_visits_left(void **state)
{
    struct harness *h = *state;
    struct id room = make_lobby(h);
    for (int i = 0; i < 2; i++)
        assert_ok(visit_room(h, "lobby", "bob"));
    assert_ok(remove_member(h, room, "bob"));
    assert_int_equal(end_visit(h, room, "bob", false), ERR_NO_THREAD);
    assert_ok(add_member(h, room, "bob"));
    assert_ok(end_visit(h, room, "bob", false));
    assert_buf(h->got.members, "alice* bob");
}

static void a_room_made_by_a_visitor_is_theirs_as_long_as_they_are_there(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob");
    assert_ok(visit_room(h, "lobby", "alice"));
    struct id room = h->got.thread;
    assert_buf(h->got.members, "alice*");
    assert_ok(open_room(h, "lobby", "bob"));
    assert_ok(end_visit(h, room, "alice", false));
    assert_buf(h->got.members, "bob*");
    assert_ok(remove_member(h, room, "bob"));
    assert_ok(visit_room(h, "lobby", "alice"));
    assert_buf(h->got.members, "alice*");
    assert_ok(end_visit(h, room, "alice", false));
    assert_int_equal(h->got.member_count, 0);
    /* In a thread without a name nobody is a visitor. */
    struct id pair = thread_of(h, "alice bob");
    assert_ok(end_visit(h, pair, "bob", false));
    assert_buf(h->got.members, "alice* bob");
}

static bool was_the_last_visit(struct harness *h, struct id room, const char *user)
{
    assert_ok(visit_room(h, "lobby", user));
    assert_ok(end_visit(h, room, user, false));
    return !strstr(text_of(&h->got.members), user);
}

static void visitors_are_known_after_a_restart(void **state)
{
    struct harness *h = *state;
    struct id room = make_lobby(h);
    for (int i = 0; i < 2; i++)
        assert_ok(visit_room(h, "lobby", "bob"));
    assert_ok(visit_room(h, "lobby", "carol"));
    assert_ok(end_visit(h, room, "carol", true));
    reopen_store(h);
    assert_ok(end_visit(h, room, "alice", false));
    assert_buf(h->got.members, "alice* bob carol");
    /* Visits are over with their node; where there may be others it takes a while until that is known. */
    wait_until(h, was_the_last_visit(h, room, "bob"));
    assert_buf(h->got.members, "alice* carol");
    assert_ok(visit_room(h, "lobby", "carol"));
    assert_ok(end_visit(h, room, "carol", false));
    assert_buf(h->got.members, "alice*");
}

static const struct CMUnitTest tests[] = {
    CASE(the_same_members_have_the_same_thread),
    CASE(other_members_have_another_thread),
    CASE(a_thread_is_made_under_the_id_given),
    CASE(a_thread_needs_known_users),
    CASE(a_thread_has_a_largest_number_of_members),
    CASE(a_room_is_found_by_its_name_and_joined),
    CASE(a_room_for_its_members_only_lets_nobody_else_in),
    CASE(a_room_for_its_members_only_says_what_is_wrong_first),
    CASE(a_room_for_its_members_only_that_everybody_left_lets_nobody_in),
    CASE(who_visits_a_room_is_a_member_until_the_visit_is_over),
    CASE(several_visits_at_once_end_with_the_last),
    CASE(who_stays_after_a_visit_is_a_member_until_the_next_is_over),
    CASE(a_visit_makes_nobody_leave_who_is_a_member_anyway),
    CASE(a_visitor_who_was_removed_has_no_visits_left),
    CASE(a_room_made_by_a_visitor_is_theirs_as_long_as_they_are_there),
    CASE(visitors_are_known_after_a_restart),
    CASE(a_room_is_not_the_thread_of_its_members),
    CASE(an_added_member_is_a_guest),
    CASE(a_removed_member_is_gone),
    CASE(the_member_longest_in_follows_the_last_owner),
    CASE(a_room_that_everybody_left_starts_anew),
    CASE(the_thread_of_a_set_follows_its_present_members),
    CASE(a_set_is_free_again_when_its_thread_changes),
    CASE(the_threads_of_a_user_come_in_order_of_joining),
    CASE(who_joins_is_told_where_in_the_log),
    CASE(members_are_told_with_their_presence),
    CASE(a_thread_can_have_many_members),
};

const struct cases thread_cases = {tests, array_len(tests)};
