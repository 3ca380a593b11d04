/* SPDX-License-Identifier: MIT */
/* Threads are found by their members or their room's name; owners decide who is in; memory follows the store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/metric.h"
#include "core/hub.h"
#include "lib/failing_memory.h"
#include "lib/hub_rig.h"

enum { A_WHILE_MS = 11000 };

static void meet_all(struct rig *rig)
{
    const char *users[] = {"alice", "bob", "carol", "dave", "erin"};
    for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++)
        assert_int_equal(hub_rig_meet(rig, users[i], NULL), OK);
}

static void the_same_members_have_one_thread(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    meet_all(&rig);
    struct id pair = hub_rig_thread(&rig, "alice,bob");
    struct id three = hub_rig_thread(&rig, "alice,bob,carol");
    assert_false(id_equal(pair, three));
    assert_true(id_equal(hub_rig_thread(&rig, "bob,alice"), pair));
    assert_true(id_equal(hub_rig_thread(&rig, "carol,alice,bob"), three));
    assert_string_equal(hub_rig_members(&rig, three), "alice,bob,carol");
    hub_rig_fini(&rig);
}

static void repeats_and_oneself_count_once(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    meet_all(&rig);
    struct id pair = hub_rig_thread(&rig, "alice,bob,alice,bob");
    assert_true(id_equal(hub_rig_thread(&rig, "alice,bob"), pair));
    assert_string_equal(hub_rig_members(&rig, pair), "alice,bob");
    assert_true(id_equal(hub_rig_thread(&rig, "alice,bob,bob,bob,bob,bob"), pair));
    hub_rig_fini(&rig);
}

static void a_set_that_changed_is_another_thread(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    meet_all(&rig);
    struct id three = hub_rig_thread(&rig, "alice,bob,carol");
    assert_int_equal(hub_rig_remove(&rig, "carol", three, "carol"), OK);
    assert_true(id_equal(hub_rig_thread(&rig, "alice,bob"), three));
    assert_false(id_equal(hub_rig_thread(&rig, "alice,bob,carol"), three));
    hub_rig_fini(&rig);
}

static void a_room_has_the_same_id_for_all_and_its_first_is_owner(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    meet_all(&rig);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    assert_true(id_equal(hub_rig_room(&rig, "bob", "hall"), hall));
    assert_true(id_equal(hub_rig_room(&rig, "bob", "hall"), hall));
    assert_false(id_equal(hub_rig_room(&rig, "bob", "Hall"), hall));
    assert_string_equal(hub_rig_members(&rig, hall), "alice,bob");
    assert_int_equal(hub_rig_add(&rig, "bob", hall, "carol"), ERR_FORBIDDEN);
    assert_int_equal(hub_rig_add(&rig, "alice", hall, "carol"), OK);
    assert_string_equal(hub_rig_members(&rig, hall), "alice,bob,carol");
    hub_rig_fini(&rig);
}

static void unfit_requests_for_threads_are_refused(void **state)
{
    (void)state;
    static char longest[ROOM_NAME_MAX + 2];
    memset(longest, 'r', ROOM_NAME_MAX);
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    meet_all(&rig);
    struct id thread;
    assert_int_equal(hub_rig_try_room(&rig, "alice", longest, &thread), OK);
    longest[ROOM_NAME_MAX] = 'r';
    assert_int_equal(hub_rig_try_room(&rig, "alice", longest, &thread), ERR_BAD_FIELD);
    assert_int_equal(hub_rig_try_room(&rig, "alice", "", &thread), ERR_BAD_FIELD);
    assert_int_equal(hub_rig_try_room(&rig, "alice", "a\tb", &thread), ERR_BAD_FIELD);
    assert_int_equal(hub_rig_try_room(&rig, "alice", "\xed\xa0\x80", &thread), ERR_BAD_FIELD);
    assert_int_equal(hub_rig_try_thread(&rig, "alice", &thread), ERR_MISSING_FIELD);

    struct user *alice = hub_rig_open(&rig, "alice");
    struct span users[] = {SPAN_LITERAL("bob"), {0}};
    assert_int_equal(hub_thread_open(alice, users, 1, SPAN_LITERAL("hall"), NULL, NULL), ERR_BAD_FIELD);
    assert_int_equal(hub_thread_open(alice, users, 2, (struct span){0}, NULL, NULL), ERR_NOT_FRIENDS);
    hub_user_close(alice);
    hub_rig_fini(&rig);
}

static void only_friends_can_be_talked_to(void **state)
{
    (void)state;
    struct rig rig;
    struct id thread;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    meet_all(&rig);
    assert_int_equal(hub_rig_try_thread(&rig, "alice,nobody", &thread), ERR_NOT_FRIENDS);
    assert_int_equal(hub_rig_try_thread(&rig, "alice,erin", &thread), OK);
    hub_rig_fini(&rig);

    hub_rig_init(&rig, FRIENDS_THREADS);
    meet_all(&rig);
    assert_int_equal(hub_rig_try_thread(&rig, "alice,bob", &thread), ERR_NOT_FRIENDS);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    hub_rig_room(&rig, "bob", "hall");
    assert_int_equal(hub_rig_try_thread(&rig, "alice,bob", &thread), OK);
    assert_int_equal(hub_rig_add(&rig, "alice", hall, "carol"), ERR_NOT_FRIENDS);
    hub_rig_fini(&rig);
}

static void a_thread_holds_so_many_members_and_no_more(void **state)
{
    (void)state;
    struct rig rig;
    struct id thread;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    meet_all(&rig);
    int64_t hits = metric_value(METRIC_LIMIT_MEMBERS);
    assert_int_equal(hub_rig_try_thread(&rig, "alice,bob,carol,dave", &thread), OK);
    assert_int_equal(metric_value(METRIC_LIMIT_MEMBERS), hits);
    assert_int_equal(hub_rig_try_thread(&rig, "alice,bob,carol,dave,erin", &thread), ERR_TOO_MANY_MEMBERS);
    assert_int_equal(metric_value(METRIC_LIMIT_MEMBERS), hits + 1);

    const char *users[] = {"alice", "bob", "carol", "dave"};
    for (size_t i = 0; i < 4; i++)
        thread = hub_rig_room(&rig, users[i], "hall");
    assert_int_equal(hub_rig_add(&rig, "alice", thread, "erin"), ERR_TOO_MANY_MEMBERS);
    assert_int_equal(metric_value(METRIC_LIMIT_MEMBERS), hits + 2);
    assert_int_equal(hub_rig_try_room(&rig, "erin", "hall", &thread), ERR_TOO_MANY_MEMBERS);
    assert_int_equal(metric_value(METRIC_LIMIT_MEMBERS), hits + 3);
    hub_rig_fini(&rig);
}

static void owners_remove_others_and_anyone_themselves(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    meet_all(&rig);
    struct id thread = hub_rig_thread(&rig, "alice,bob,carol");
    assert_int_equal(hub_rig_remove(&rig, "bob", thread, "carol"), ERR_FORBIDDEN);
    assert_int_equal(hub_rig_remove(&rig, "dave", thread, "dave"), ERR_NO_THREAD);
    assert_int_equal(hub_rig_remove(&rig, "alice", thread, "dave"), ERR_NO_THREAD);
    assert_int_equal(hub_rig_remove(&rig, "alice", id_random(), "bob"), ERR_NO_THREAD);
    assert_int_equal(hub_rig_remove(&rig, "alice", thread, "carol"), OK);
    assert_int_equal(hub_rig_add(&rig, "dave", thread, "carol"), ERR_NO_THREAD);
    assert_int_equal(hub_rig_remove(&rig, "alice", thread, "alice"), OK);
    assert_int_equal(hub_rig_add(&rig, "bob", thread, "carol"), OK); /* bob is the owner now */
    assert_string_equal(hub_rig_members(&rig, thread), "bob,carol");
    hub_rig_fini(&rig);
}

static void whoever_is_added_hears_what_comes_after(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    meet_all(&rig);
    struct id thread = hub_rig_thread(&rig, "alice,bob");
    struct viewer carol = {0};
    viewer_join(&carol, &rig, "carol");
    hub_rig_turn(&rig);
    viewer_skip(&carol);

    assert_int_equal(hub_rig_send(&rig, thread, "alice", "one"), OK);
    assert_int_equal(hub_rig_add(&rig, "alice", thread, "carol"), OK);
    assert_int_equal(hub_rig_send(&rig, thread, "alice", "two"), OK);
    assert_shown(&carol, "alice:two");
    assert_int_equal(hub_rig_remove(&rig, "alice", thread, "carol"), OK);
    assert_int_equal(hub_rig_send(&rig, thread, "alice", "three"), OK);
    assert_shown(&carol, "");
    viewer_leave(&carol);
    hub_rig_fini(&rig);
}

static void a_thread_leaves_memory_with_its_last_active_member(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    hub_rig_room(&rig, "bob", "hall");
    struct viewer bob = {0};
    viewer_join(&bob, &rig, "bob");
    hub_rig_pass(&rig, 3 * A_WHILE_MS);
    assert_string_equal(hub_rig_members(&rig, hall), "alice,bob");
    viewer_leave(&bob);
    hub_rig_pass(&rig, 3 * A_WHILE_MS);
    assert_string_equal(hub_rig_members(&rig, hall), "");
    assert_int_equal(metric_value(METRIC_THREADS), 0);
    hub_rig_fini(&rig);
}

static void an_active_member_who_goes_takes_the_thread_along(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    hub_rig_room(&rig, "bob", "hall");
    hub_rig_pass(&rig, 3 * A_WHILE_MS);
    assert_int_equal(hub_rig_remove(&rig, "bob", hall, "bob"), OK);
    assert_int_equal(metric_value(METRIC_THREADS), 0);
    assert_int_equal(metric_value(METRIC_USERS), 1);
    hub_rig_fini(&rig);
}

static void messages_to_a_thread_out_of_memory_are_in_the_log(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    hub_rig_pass(&rig, 3 * A_WHILE_MS);
    fake_store_send_elsewhere(rig.store, hall, span_of("alice"), span_of("hi"));
    fake_store_tail(rig.store);
    assert_int_equal(hub_cursor(rig.hub).major, 1);
    struct viewer alice = {0};
    viewer_resume(&alice, &rig, "alice", (struct cursor){0});
    hub_rig_turn(&rig);
    assert_shown(&alice, "[+alice] alice:hi .");
    viewer_leave(&alice);
    hub_rig_fini(&rig);
}

/* The answer to an opening and the news of a thread cross: in whichever order they were asked, the user ends up in
 * it. */
static void joining_while_being_opened_is_not_lost(void **state)
{
    (void)state;
    for (unsigned steps = 0; steps < 4; steps++) {
        struct rig rig;
        hub_rig_init(&rig, FRIENDS_EVERYONE);
        meet_all(&rig);
        hub_rig_pass(&rig, 3 * A_WHILE_MS);
        struct user *alice = hub_rig_open(&rig, "alice");
        struct viewer bob = {0};
        struct user *opened = NULL;
        assert_int_equal(hub_user_open(rig.hub, span_of("bob"), (struct span){0}, hub_rig_note_user, &opened), OK);
        for (unsigned i = 0; i < steps; i++)
            (void)fake_store_step(rig.store);
        struct span users[] = {SPAN_LITERAL("bob")};
        struct id thread;
        assert_int_equal(hub_thread_open(alice, users, 1, (struct span){0}, hub_rig_note_thread, &thread), OK);
        hub_rig_turn(&rig);
        assert_non_null(opened);
        viewer_join(&bob, &rig, "bob");
        hub_rig_turn(&rig);
        viewer_skip(&bob);
        assert_int_equal(hub_rig_send(&rig, thread, "alice", "hi"), OK);
        assert_shown(&bob, "alice:hi");
        viewer_leave(&bob);
        hub_user_close(opened);
        hub_user_close(alice);
        hub_rig_fini(&rig);
    }
}

static void failures_of_the_store_reach_whoever_asked(void **state)
{
    (void)state;
    struct rig rig;
    struct id thread;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    meet_all(&rig);
    struct user *alice = hub_rig_open(&rig, "alice");
    fake_store_fail_next(rig.store, ERR_STORE_FULL);
    assert_int_equal(hub_rig_try_thread(&rig, "alice,bob", &thread), ERR_STORE_FULL);
    thread = hub_rig_thread(&rig, "alice,bob");
    fake_store_fail_next(rig.store, ERR_STORE);
    assert_int_equal(hub_rig_add(&rig, "alice", thread, "carol"), ERR_STORE);
    fake_store_fail_next(rig.store, ERR_STORE);
    assert_int_equal(hub_rig_remove(&rig, "alice", thread, "bob"), ERR_STORE);
    assert_string_equal(hub_rig_members(&rig, thread), "alice,bob");
    hub_user_close(alice);
    hub_rig_fini(&rig);
}

static void gather_thread(void *ctx, struct id thread)
{
    struct id **at = ctx;
    *(*at)++ = thread;
}

static void an_opened_user_knows_their_threads(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    meet_all(&rig);
    struct id pair = hub_rig_thread(&rig, "alice,bob");
    struct id others = hub_rig_thread(&rig, "bob,carol");
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    assert_true(id_equal(hall, hub_room_id(SPAN_LITERAL("hall"))));

    struct user *alice = hub_rig_open(&rig, "alice");
    struct id threads[8], *end = threads;
    hub_user_threads(alice, gather_thread, &end);
    assert_int_equal(end - threads, 2);
    assert_true(id_equal(threads[0], pair) || id_equal(threads[1], pair));
    assert_true(id_equal(threads[0], hall) || id_equal(threads[1], hall));
    assert_true(hub_is_member(alice, pair));
    assert_false(hub_is_member(alice, others));

    assert_int_equal(hub_rig_remove(&rig, "alice", pair, "alice"), OK);
    assert_false(hub_is_member(alice, pair));
    hub_user_close(alice);
    hub_rig_fini(&rig);
}

static void note_end(void *ctx, enum err err, const struct thread_record *thread)
{
    (void)thread;
    *(enum err *)ctx = err;
}

static void a_thread_can_be_left_by_whoever_is_not_in_memory(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    meet_all(&rig);
    struct id pair = hub_rig_thread(&rig, "alice,bob");
    hub_rig_pass(&rig, A_WHILE_MS);
    enum err left = ERR_INTERNAL, again = ERR_INTERNAL;
    assert_int_equal(hub_thread_leave(rig.hub, pair, SPAN_LITERAL("bob"), note_end, &left), OK);
    assert_int_equal(hub_thread_leave(rig.hub, pair, SPAN_LITERAL("bob"), note_end, &again), OK);
    hub_rig_turn(&rig);
    assert_int_equal(left, OK);
    assert_int_equal(again, ERR_NO_THREAD);
    struct user *alice = hub_rig_open(&rig, "alice");
    assert_string_equal(hub_rig_members(&rig, pair), "alice");
    hub_user_close(alice);
    hub_rig_fini(&rig);
}

/* --- rooms and doors */

struct entered {
    enum err err;
    struct id thread;
    size_t members;
};

static void note_entered(void *ctx, enum err err, const struct thread_record *thread)
{
    struct entered *entered = ctx;
    entered->err = err;
    if (err)
        return;
    entered->thread = thread->id;
    entered->members = thread->member_count;
}

static enum err enter(struct rig *rig, const char *name, struct id thread, struct entered *entered)
{
    struct user *user = hub_rig_open(rig, name);
    *entered = (struct entered){.err = ERR_COUNT};
    enum err err = hub_thread_visit(user, thread, note_entered, entered);
    hub_user_close(user); /* the call holds them */
    hub_rig_turn(rig);
    return err ? err : entered->err;
}

static void a_thread_is_entered_by_its_id(void **state)
{
    (void)state;
    struct rig rig;
    struct entered entered;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    meet_all(&rig);
    struct id hall = hub_rig_room(&rig, "alice", "hall"), pair = hub_rig_thread(&rig, "alice,bob");
    assert_int_equal(enter(&rig, "alice", pair, &entered), OK);
    assert_true(id_equal(entered.thread, pair) && entered.members == 2);
    assert_int_equal(enter(&rig, "carol", pair, &entered), ERR_NO_THREAD);
    assert_int_equal(enter(&rig, "carol", hall, &entered), OK);
    assert_true(id_equal(entered.thread, hall) && entered.members == 2);
    assert_int_equal(enter(&rig, "carol", hall, &entered), OK); /* is in it */
    assert_int_equal(entered.members, 2);
    assert_int_equal(enter(&rig, "carol", id_random(), &entered), ERR_NO_THREAD);
    hub_rig_fini(&rig);
}

static void rooms_that_are_not_open_are_for_their_members(void **state)
{
    (void)state;
    struct rig rig;
    struct entered entered;
    struct id hall, again;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    options.rooms_open = false;
    hub_rig_init_with(&rig, &options);
    meet_all(&rig);
    assert_int_equal(hub_rig_try_room(&rig, "alice", "hall", &hall), OK); /* who makes it is in */
    assert_int_equal(hub_rig_try_room(&rig, "bob", "hall", &again), ERR_FORBIDDEN);
    assert_int_equal(enter(&rig, "bob", hall, &entered), ERR_FORBIDDEN);
    assert_int_equal(hub_rig_add(&rig, "alice", hall, "bob"), OK);
    assert_int_equal(hub_rig_try_room(&rig, "bob", "hall", &again), OK);
    assert_int_equal(enter(&rig, "bob", hall, &entered), OK);
    assert_int_equal(hub_rig_remove(&rig, "alice", hall, "bob"), OK);
    assert_int_equal(enter(&rig, "bob", hall, &entered), ERR_FORBIDDEN);
    assert_int_equal(hub_rig_remove(&rig, "alice", hall, "alice"), OK);
    assert_int_equal(enter(&rig, "bob", hall, &entered), ERR_FORBIDDEN); /* what was said there is nobody's now */
    assert_int_equal(hub_rig_try_room(&rig, "alice", "hall", &again), ERR_FORBIDDEN);
    hub_rig_fini(&rig);
}

static enum err visit(struct rig *rig, const char *name, const char *room)
{
    struct user *user = hub_rig_open(rig, name);
    struct entered entered = {.err = ERR_COUNT};
    enum err err = hub_room_visit(user, span_of(room), note_entered, &entered);
    hub_rig_turn(rig);
    hub_user_close(user);
    return err ? err : entered.err;
}

static enum err end_visit(struct rig *rig, const char *name, struct id thread, bool stays)
{
    struct entered entered = {.err = ERR_COUNT};
    enum err err = hub_visit_end(rig->hub, thread, span_of(name), stays, note_entered, &entered);
    hub_rig_turn(rig);
    return err ? err : entered.err;
}

static void whoever_visits_is_a_member_until_the_last_visit_is_over(void **state)
{
    (void)state;
    struct rig rig;
    struct entered entered;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    struct user *alice = hub_rig_open(&rig, "alice");
    assert_int_equal(visit(&rig, "bob", "hall"), OK);
    assert_int_equal(enter(&rig, "bob", hall, &entered), OK); /* by its id */
    assert_string_equal(hub_rig_members(&rig, hall), "alice,bob");
    assert_int_equal(end_visit(&rig, "bob", hall, false), OK);
    assert_string_equal(hub_rig_members(&rig, hall), "alice,bob");
    assert_int_equal(end_visit(&rig, "bob", hall, true), OK); /* may be back */
    assert_string_equal(hub_rig_members(&rig, hall), "alice,bob");
    assert_int_equal(visit(&rig, "bob", "hall"), OK);
    assert_int_equal(end_visit(&rig, "bob", hall, false), OK);
    assert_string_equal(hub_rig_members(&rig, hall), "alice");
    assert_int_equal(end_visit(&rig, "bob", hall, false), ERR_NO_THREAD);
    hub_user_close(alice);
    hub_rig_fini(&rig);
}

static void a_visit_does_not_end_a_membership(void **state)
{
    (void)state;
    struct rig rig;
    struct entered entered;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    meet_all(&rig);
    struct id hall = hub_rig_room(&rig, "alice", "hall"), pair = hub_rig_thread(&rig, "alice,bob");
    struct user *alice = hub_rig_open(&rig, "alice");
    assert_int_equal(visit(&rig, "alice", "hall"), OK); /* who was a member before */
    assert_int_equal(end_visit(&rig, "alice", hall, false), OK);
    assert_int_equal(visit(&rig, "bob", "hall"), OK); /* who comes in for good meanwhile */
    hub_rig_room(&rig, "bob", "hall");
    assert_int_equal(end_visit(&rig, "bob", hall, false), OK);
    assert_int_equal(visit(&rig, "carol", "hall"), OK); /* who is added meanwhile */
    assert_int_equal(hub_rig_add(&rig, "alice", hall, "carol"), OK);
    assert_int_equal(end_visit(&rig, "carol", hall, false), OK);
    assert_string_equal(hub_rig_members(&rig, hall), "alice,bob,carol");
    assert_int_equal(enter(&rig, "bob", pair, &entered), OK); /* of a thread that is no room */
    assert_int_equal(end_visit(&rig, "bob", pair, false), OK);
    assert_string_equal(hub_rig_members(&rig, pair), "alice,bob");
    assert_int_equal(visit(&rig, "alice", ""), ERR_BAD_FIELD);
    hub_user_close(alice);
    hub_rig_fini(&rig);
}

static void a_full_room_cannot_be_entered(void **state)
{
    (void)state;
    struct rig rig;
    struct entered entered;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    static const char *const names[] = {"a", "b", "c", "d"};
    struct id hall = {{0}};
    for (size_t i = 0; i < array_len(names); i++)
        hall = hub_rig_room(&rig, names[i], "hall");
    assert_int_equal(enter(&rig, "e", hall, &entered), ERR_TOO_MANY_MEMBERS);
    assert_int_equal(enter(&rig, "d", hall, &entered), OK);
    hub_rig_fini(&rig);
}

static void failures_reach_whoever_enters(void **state)
{
    (void)state;
    struct rig rig;
    struct entered entered = {.err = ERR_COUNT};
    hub_rig_init_node(&rig, FRIENDS_EVERYONE);
    meet_all(&rig);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    struct user *bob = hub_rig_open(&rig, "bob");
    fake_store_fail_next(rig.store, ERR_STORE);
    assert_int_equal(hub_thread_visit(bob, hall, note_entered, &entered), OK);
    hub_rig_turn(&rig);
    assert_int_equal(entered.err, ERR_STORE);
    entered.err = ERR_COUNT;
    for (unsigned nth = 1; entered.err; nth++) {
        memory_fail_at(nth);
        enum err err = hub_thread_visit(bob, hall, note_entered, &entered);
        hub_rig_turn(&rig);
        memory_fail_at(0);
        assert_true(err ? err == ERR_NO_MEMORY : entered.err == ERR_NO_MEMORY || entered.err == OK);
        assert_true(nth < 100);
    }
    struct user *carol = hub_rig_open(&rig, "carol");
    assert_int_equal(hub_thread_visit(carol, hall, note_entered, &entered), OK);
    fake_store_reset(rig.store, fake_store_head(rig.store), 0); /* while the thread is asked for */
    hub_rig_turn(&rig);
    assert_int_equal(entered.err, ERR_STORE);
    hub_user_close(carol);
    hub_user_close(bob);
    hub_rig_fini(&rig);
}

static void a_thread_of_two_is_direct(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    hub_rig_room(&rig, "alice", "hall");
    hub_rig_room(&rig, "carol", "hall");
    struct id hall = hub_rig_room(&rig, "bob", "hall"), den = hub_rig_room(&rig, "alice", "den");
    hub_rig_room(&rig, "bob", "den");
    struct user *alice = hub_rig_open(&rig, "alice");
    struct id pair = hub_rig_thread(&rig, "alice,bob"), three = hub_rig_thread(&rig, "alice,bob,carol");
    struct id self = hub_rig_thread(&rig, "alice,alice");
    assert_true(hub_is_direct(rig.hub, pair));
    assert_false(hub_is_direct(rig.hub, three));
    assert_false(hub_is_direct(rig.hub, self));
    assert_false(hub_is_direct(rig.hub, hall));
    assert_false(hub_is_direct(rig.hub, den)); /* a room, even with two */
    assert_int_equal(hub_rig_add(&rig, "alice", pair, "carol"), OK);
    assert_false(hub_is_direct(rig.hub, pair));
    assert_int_equal(hub_rig_remove(&rig, "alice", three, "carol"), OK);
    assert_true(hub_is_direct(rig.hub, three));
    hub_user_close(alice);
    hub_rig_pass(&rig, 60000);
    assert_false(hub_is_direct(rig.hub, three)); /* not in memory */
    hub_rig_fini(&rig);
}

static void note_place(void *ctx, enum err err, const struct message_place *place)
{
    struct message_place *noted = ctx;
    *noted = err ? (struct message_place){.cursor = {UINT64_MAX, 0}} : *place;
    assert_true(!err || err == ERR_NOT_FOUND);
}

static void a_message_is_found_by_its_id(void **state)
{
    (void)state;
    struct rig rig;
    struct append_result sent;
    struct message_place place = {0};
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    assert_int_equal(hub_rig_send(&rig, hall, "alice", "one"), OK);
    struct message_fields fields = {.thread = hall, .sender = span_of("alice"), .text = span_of("two")};
    assert_int_equal(hub_rig_send_fields(&rig, &fields, &sent), OK);
    hub_message_find(rig.hub, sent.id, note_place, &place);
    hub_rig_turn(&rig);
    assert_int_equal(cursor_compare(place.cursor, sent.cursor), 0);
    assert_true(id_equal(place.thread, hall));
    hub_message_find(rig.hub, id_random(), note_place, &place);
    hub_rig_turn(&rig);
    assert_int_equal(place.cursor.major, UINT64_MAX);
    hub_rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_members_have_one_thread),
        cmocka_unit_test(repeats_and_oneself_count_once),
        cmocka_unit_test(a_set_that_changed_is_another_thread),
        cmocka_unit_test(a_room_has_the_same_id_for_all_and_its_first_is_owner),
        cmocka_unit_test(unfit_requests_for_threads_are_refused),
        cmocka_unit_test(only_friends_can_be_talked_to),
        cmocka_unit_test(a_thread_holds_so_many_members_and_no_more),
        cmocka_unit_test(owners_remove_others_and_anyone_themselves),
        cmocka_unit_test(whoever_is_added_hears_what_comes_after),
        cmocka_unit_test(a_thread_leaves_memory_with_its_last_active_member),
        cmocka_unit_test(an_active_member_who_goes_takes_the_thread_along),
        cmocka_unit_test(messages_to_a_thread_out_of_memory_are_in_the_log),
        cmocka_unit_test(joining_while_being_opened_is_not_lost),
        cmocka_unit_test(failures_of_the_store_reach_whoever_asked),
        cmocka_unit_test(an_opened_user_knows_their_threads),
        cmocka_unit_test(a_thread_can_be_left_by_whoever_is_not_in_memory),
        cmocka_unit_test(a_thread_is_entered_by_its_id),
        cmocka_unit_test(rooms_that_are_not_open_are_for_their_members),
        cmocka_unit_test(whoever_visits_is_a_member_until_the_last_visit_is_over),
        cmocka_unit_test(a_visit_does_not_end_a_membership),
        cmocka_unit_test(a_full_room_cannot_be_entered),
        cmocka_unit_test(failures_reach_whoever_enters),
        cmocka_unit_test(a_thread_of_two_is_direct),
        cmocka_unit_test(a_message_is_found_by_its_id),
    };
    return cmocka_run_group_tests_name("hub threads", tests, NULL, NULL);
}
