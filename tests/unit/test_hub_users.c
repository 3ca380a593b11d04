/* SPDX-License-Identifier: MIT */
/* Users come into memory when they are opened, stay while something holds them, and leave a while after. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/metric.h"
#include "core/hub.h"
#include "lib/hub_rig.h"

enum { A_WHILE_MS = 11000 };

static void nobody(void *ctx, enum err err, struct user *user)
{
    (void)ctx;
    (void)err;
    (void)user;
    fail_msg("done was called");
}

static void an_opened_user_leaves_memory_a_while_after_they_are_closed(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    struct user *alice = hub_rig_open(&rig, "alice");
    hub_rig_pass(&rig, 10 * A_WHILE_MS);
    assert_int_equal(metric_value(METRIC_USERS), 1);

    hub_user_close(alice);
    hub_rig_pass(&rig, 1000);
    assert_int_equal(metric_value(METRIC_USERS), 1);
    hub_rig_pass(&rig, A_WHILE_MS);
    assert_int_equal(metric_value(METRIC_USERS), 0);
    hub_rig_fini(&rig);
}

static void each_closing_starts_the_while_anew(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    hub_user_close(hub_rig_open(&rig, "alice"));
    hub_rig_pass(&rig, 9000);
    hub_user_close(hub_rig_open(&rig, "alice"));
    hub_rig_pass(&rig, 9000);
    assert_int_equal(metric_value(METRIC_USERS), 1);
    hub_rig_fini(&rig);
}

struct counting {
    unsigned count;
    struct user *user;
};

static void count_user(void *ctx, enum err err, struct user *user)
{
    struct counting *counting = ctx;
    assert_int_equal(err, OK);
    counting->count++;
    counting->user = user;
}

static void whoever_is_opened_again_in_time_stays(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    struct user *alice = hub_rig_open(&rig, "alice");
    hub_rig_pass(&rig, 3 * A_WHILE_MS);
    assert_string_equal(hub_rig_members(&rig, hall), "alice");
    hub_user_close(alice);
    hub_rig_pass(&rig, 3 * A_WHILE_MS);
    assert_string_equal(hub_rig_members(&rig, hall), "");
    hub_rig_fini(&rig);
}

static void opening_somebody_in_memory_answers_at_once(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    struct user *alice = hub_rig_open(&rig, "alice");
    struct counting counting = {0};
    assert_int_equal(hub_user_open(rig.hub, span_of("alice"), (struct span){0}, count_user, &counting), OK);
    assert_int_equal(counting.count, 1);
    assert_ptr_equal(counting.user, alice);
    hub_user_close(alice);
    hub_user_close(alice);
    hub_rig_fini(&rig);
}

static void two_openings_at_once_give_one_user(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    hub_rig_room(&rig, "alice", "hall");
    hub_rig_pass(&rig, 2 * A_WHILE_MS);
    struct counting counting = {0};
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(hub_user_open(rig.hub, span_of("alice"), (struct span){0}, count_user, &counting), OK);
    assert_int_equal(counting.count, 0);
    hub_rig_turn(&rig);
    assert_int_equal(counting.count, 2);
    assert_int_equal(metric_value(METRIC_USERS), 1);
    assert_int_equal(metric_value(METRIC_THREADS), 1);
    hub_user_close(counting.user);
    hub_user_close(counting.user);
    hub_rig_fini(&rig);
}

static void a_session_keeps_its_user(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    struct viewer alice = {0};
    viewer_join(&alice, &rig, "alice");
    hub_rig_pass(&rig, 10 * A_WHILE_MS);
    assert_int_equal(metric_value(METRIC_USERS), 1);
    assert_int_equal(metric_value(METRIC_SESSIONS_STREAM), 1);
    viewer_leave(&alice);
    hub_rig_pass(&rig, 3 * A_WHILE_MS);
    assert_int_equal(metric_value(METRIC_USERS), 0);
    hub_rig_fini(&rig);
}

static void fellow_members_are_kept_as_long_as_the_thread(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    hub_rig_room(&rig, "alice", "hall");
    hub_rig_room(&rig, "bob", "hall");
    hub_rig_pass(&rig, 3 * A_WHILE_MS);
    assert_int_equal(metric_value(METRIC_USERS), 0);

    struct user *alice = hub_rig_open(&rig, "alice");
    assert_int_equal(metric_value(METRIC_USERS), 2);
    assert_int_equal(metric_value(METRIC_THREADS), 1);
    hub_user_close(alice);
    hub_rig_pass(&rig, 3 * A_WHILE_MS);
    assert_int_equal(metric_value(METRIC_USERS), 0);
    assert_int_equal(metric_value(METRIC_THREADS), 0);
    hub_rig_fini(&rig);
}

static void with_everyone_friends_the_known_stay(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    assert_int_equal(hub_rig_meet(&rig, "alice", NULL), OK);
    hub_rig_pass(&rig, 3 * A_WHILE_MS);
    assert_int_equal(metric_value(METRIC_USERS), 1);
    hub_rig_fini(&rig);
}

static void whoever_the_store_does_not_take_is_not_kept(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    fake_store_fail_next(rig.store, ERR_STORE_FULL);
    assert_int_equal(hub_rig_meet(&rig, "alice", NULL), ERR_STORE_FULL);
    assert_int_equal(metric_value(METRIC_USERS), 0);
    struct viewer bob = {0};
    viewer_join(&bob, &rig, "bob");
    hub_rig_turn(&rig);
    assert_shown(&bob, "[+bob] .");
    viewer_leave(&bob);
    hub_rig_fini(&rig);
}

static void a_name_is_known_from_then_on(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    assert_int_equal(hub_rig_meet(&rig, "alice", "Alice A."), OK);
    hub_rig_pass(&rig, 3 * A_WHILE_MS);
    assert_int_equal(metric_value(METRIC_USERS), 0);
    struct user *alice = hub_rig_open(&rig, "alice");
    assert_true(span_is(user_presence(alice).name, "Alice A."));
    assert_int_equal(hub_rig_meet(&rig, "alice", "Al"), OK);
    assert_true(span_is(user_presence(alice).name, "Al"));
    hub_user_close(alice);
    hub_rig_fini(&rig);
}

static void a_new_name_is_told_to_friends(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct viewer alice = {0};
    viewer_join(&alice, &rig, "alice");
    hub_rig_turn(&rig);
    viewer_skip(&alice);
    assert_int_equal(hub_rig_meet(&rig, "alice", "Alice"), OK);
    assert_shown(&alice, "[+alice]");
    assert_int_equal(hub_rig_meet(&rig, "alice", "Alice"), OK);
    assert_shown(&alice, "");
    viewer_leave(&alice);
    hub_rig_fini(&rig);
}

static void unfit_ids_and_names_are_refused(void **state)
{
    (void)state;
    static char longest[USER_ID_MAX + 2], longest_name[USER_NAME_MAX + 2];
    memset(longest, 'x', USER_ID_MAX);
    memset(longest_name, 'x', USER_NAME_MAX);
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    assert_int_equal(hub_rig_meet(&rig, longest, longest_name), OK);
    longest[USER_ID_MAX] = longest_name[USER_NAME_MAX] = 'x';
    const char *ids[] = {"", "a\nb", "\x7f", "\xff", "\xc3", longest};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        assert_int_equal(hub_user_open(rig.hub, span_of(ids[i]), (struct span){0}, nobody, NULL), ERR_BAD_FIELD);
    assert_int_equal(hub_user_open(rig.hub, span_of("a"), span_of(longest_name), nobody, NULL), ERR_BAD_FIELD);
    assert_int_equal(hub_user_open(rig.hub, span_of("a"), span_of("\x1b[2J"), nobody, NULL), ERR_BAD_FIELD);
    hub_rig_fini(&rig);
}

static void a_failing_store_fails_the_opening(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    fake_store_outage(rig.store, ERR_STORE);
    const char *reason = NULL;
    assert_false(hub_ready(rig.hub, &reason));
    assert_non_null(reason);
    assert_int_equal(hub_rig_meet(&rig, "alice", NULL), ERR_STORE);
    assert_int_equal(metric_value(METRIC_USERS), 0);
    fake_store_outage(rig.store, OK);
    assert_true(hub_ready(rig.hub, &reason));
    assert_int_equal(hub_rig_meet(&rig, "alice", NULL), OK);
    hub_rig_fini(&rig);
}

static void friends_are_listed_without_oneself(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct id hall = hub_rig_room(&rig, "bob", "hall");
    struct user *alice = hub_rig_open(&rig, "alice");
    assert_string_equal(hub_rig_friends(alice), "bob");
    hub_user_close(alice);
    hub_rig_fini(&rig);

    hub_rig_init(&rig, FRIENDS_THREADS);
    hall = hub_rig_room(&rig, "bob", "hall");
    alice = hub_rig_open(&rig, "alice");
    assert_string_equal(hub_rig_friends(alice), "");
    assert_true(id_equal(hub_rig_room(&rig, "alice", "hall"), hall));
    hub_rig_room(&rig, "carol", "hall");
    hub_rig_room(&rig, "alice", "den");
    hub_rig_room(&rig, "bob", "den");
    assert_string_equal(hub_rig_friends(alice), "bob,carol");
    hub_user_close(alice);
    hub_rig_fini(&rig);
}

/* --- starting and ending */

static void a_hub_starts_with_everybody_the_store_knows(void **state)
{
    (void)state;
    struct rig rig;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    hub_rig_prepare(&rig, &options);
    fake_store_set_head(rig.store, (struct cursor){7, 0});
    fake_store_add_user(rig.store, "alice", "Alice");
    fake_store_add_user(rig.store, "bob", "");
    assert_int_equal(hub_rig_start(&rig), OK);
    assert_int_equal(hub_cursor(rig.hub).major, 7);
    struct viewer carol = {0};
    viewer_join(&carol, &rig, "carol");
    hub_rig_turn(&rig);
    assert_shown(&carol, "[-alice -bob +carol] .");
    viewer_leave(&carol);
    hub_rig_fini(&rig);
}

static void a_hub_that_cannot_read_its_store_does_not_start(void **state)
{
    (void)state;
    struct rig rig;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    hub_rig_prepare(&rig, &options);
    fake_store_fail_next(rig.store, ERR_STORE);
    assert_int_equal(hub_rig_start(&rig), ERR_STORE);
    hub_rig_fini(&rig);
}

static void shutting_down_ends_sessions_and_refuses_new_ones(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct viewer alice = {0}, again = {0}, fresh = {0}, late = {0};
    viewer_join(&alice, &rig, "alice");
    viewer_join(&again, &rig, "alice");
    hub_rig_turn(&rig);
    viewer_join(&fresh, &rig, "bob");
    struct user *carol = hub_rig_open(&rig, "carol");

    hub_shut(rig.hub, ERR_SHUTTING_DOWN);
    assert_shown(&alice, "[+alice] . closed(shutting_down)");
    assert_shown(&again, "[+alice] . closed(shutting_down)");
    assert_shown(&fresh, "closed(shutting_down)");
    struct attach attach = {0};
    assert_int_equal(viewer_attach(&late, &rig, "dave", &attach), ERR_SHUTTING_DOWN);
    assert_int_equal(hub_attach(&late.session, fresh.session.ops, carol, &attach), ERR_SHUTTING_DOWN);
    assert_false(session_attached(&late.session));
    struct message_fields fields = {.sender = span_of("alice"), .text = span_of("hi")};
    assert_int_equal(hub_rig_send_fields(&rig, &fields, NULL), ERR_SHUTTING_DOWN);
    assert_int_equal(metric_value(METRIC_SESSIONS_STREAM), 0);
    hub_user_close(carol);
    hub_rig_fini(&rig);
}

static void note_user_err(void *ctx, enum err err, struct user *user)
{
    assert_null(user);
    *(enum err *)ctx = err;
}

static void note_err(void *ctx, enum err err)
{
    *(enum err *)ctx = err;
}

/* The store takes no call after `close`, and answers to earlier ones may come after it: nothing may follow from
 * them. */
static void nothing_is_asked_of_the_store_after_the_end(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    struct id token;
    assert_int_equal(hub_rig_token(&rig, "alice", &token), OK);
    enum err opened = OK, revoked = OK;
    assert_int_equal(hub_user_open(rig.hub, span_of("bob"), (struct span){0}, note_user_err, &opened), OK);
    hub_token_revoke(rig.hub, token, span_of("alice"), note_err, &revoked);
    hub_shut(rig.hub, ERR_SHUTTING_DOWN);
    hub_rig_fini(&rig);
    assert_int_equal(opened, ERR_SHUTTING_DOWN);
    assert_int_equal(revoked, ERR_SHUTTING_DOWN);
}

static void a_start_cut_short_asks_no_more_either(void **state)
{
    (void)state;
    struct rig rig;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    hub_rig_prepare(&rig, &options);
    enum err started = OK;
    hub_start(rig.hub, note_err, &started);
    hub_shut(rig.hub, ERR_SHUTTING_DOWN);
    hub_rig_fini(&rig);
    assert_int_equal(started, ERR_SHUTTING_DOWN);
}

/* Whose a name is, as `id`, `display`, both or neither. */
struct whose {
    enum err err;
    bool is_id, is_display;
};

static void note_whose(void *ctx, enum err err, bool is_id, bool is_display)
{
    *(struct whose *)ctx = (struct whose){err, is_id, is_display};
}

static void assert_whose(struct rig *rig, const char *name, const char *self, bool is_id, bool is_display)
{
    struct whose whose = {.err = ERR_INTERNAL};
    assert_int_equal(hub_name_find(rig->hub, span_of(name), span_of(self), note_whose, &whose), OK);
    hub_rig_turn(rig);
    assert_int_equal(whose.err, OK);
    if (whose.is_id != is_id || whose.is_display != is_display)
        fail_msg("%s: %d %d", name, whose.is_id, whose.is_display);
}

static void a_name_is_somebodys_id_or_display_name(void **state)
{
    (void)state;
    static char longest[USER_NAME_MAX + 2];
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    assert_int_equal(hub_rig_meet(&rig, "alice", "Alice Smith"), OK);
    assert_int_equal(hub_rig_meet(&rig, "bob", "alice"), OK);
    assert_whose(&rig, "alice", "", true, true);
    assert_whose(&rig, "bob", "", true, false);
    assert_whose(&rig, "Alice Smith", "", false, true);
    assert_whose(&rig, "Alice", "", false, false);
    assert_whose(&rig, "alice", "alice", false, true);
    assert_whose(&rig, "alice", "bob", true, false);
    assert_whose(&rig, "Alice Smith", "alice", false, false);
    struct whose whose;
    memset(longest, 'n', USER_NAME_MAX + 1);
    assert_int_equal(hub_name_find(rig.hub, span_of(longest), (struct span){0}, note_whose, &whose), ERR_BAD_FIELD);
    assert_int_equal(hub_name_find(rig.hub, SPAN_LITERAL(""), (struct span){0}, note_whose, &whose), ERR_BAD_FIELD);
    assert_int_equal(hub_name_find(rig.hub, SPAN_LITERAL("a\tb"), (struct span){0}, note_whose, &whose), ERR_BAD_FIELD);
    hub_rig_fini(&rig);
}

/* Where only fellows are in memory, the store knows the ids. */
static void a_name_is_looked_up_in_the_store_too(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init(&rig, FRIENDS_THREADS);
    fake_store_add_user(rig.store, "ann", "");
    fake_store_add_user(rig.store, "anna", "");
    fake_store_add_user(rig.store, "bo\xc3\xa9", "");
    assert_whose(&rig, "ann", "", true, false);
    assert_whose(&rig, "anna", "", true, false);
    assert_whose(&rig, "an", "", false, false);
    assert_whose(&rig, "anm", "", false, false);
    assert_whose(&rig, "ann", "ann", false, false);
    assert_whose(&rig, "anna ", "", false, false);
    assert_whose(&rig, "bo\xc3\xa9", "", true, false);
    assert_whose(&rig, "bo\xc3\xa8", "", false, false);
    assert_whose(&rig, "z", "", false, false);
    struct whose whose = {0};
    fake_store_fail_next(rig.store, ERR_STORE);
    assert_int_equal(hub_name_find(rig.hub, SPAN_LITERAL("ann"), (struct span){0}, note_whose, &whose), OK);
    hub_rig_turn(&rig);
    assert_int_equal(whose.err, ERR_STORE);
    hub_rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_opened_user_leaves_memory_a_while_after_they_are_closed),
        cmocka_unit_test(each_closing_starts_the_while_anew),
        cmocka_unit_test(whoever_is_opened_again_in_time_stays),
        cmocka_unit_test(opening_somebody_in_memory_answers_at_once),
        cmocka_unit_test(two_openings_at_once_give_one_user),
        cmocka_unit_test(a_session_keeps_its_user),
        cmocka_unit_test(fellow_members_are_kept_as_long_as_the_thread),
        cmocka_unit_test(with_everyone_friends_the_known_stay),
        cmocka_unit_test(whoever_the_store_does_not_take_is_not_kept),
        cmocka_unit_test(a_name_is_known_from_then_on),
        cmocka_unit_test(a_new_name_is_told_to_friends),
        cmocka_unit_test(unfit_ids_and_names_are_refused),
        cmocka_unit_test(a_failing_store_fails_the_opening),
        cmocka_unit_test(friends_are_listed_without_oneself),
        cmocka_unit_test(a_hub_starts_with_everybody_the_store_knows),
        cmocka_unit_test(a_hub_that_cannot_read_its_store_does_not_start),
        cmocka_unit_test(shutting_down_ends_sessions_and_refuses_new_ones),
        cmocka_unit_test(nothing_is_asked_of_the_store_after_the_end),
        cmocka_unit_test(a_start_cut_short_asks_no_more_either),
        cmocka_unit_test(a_name_is_somebodys_id_or_display_name),
        cmocka_unit_test(a_name_is_looked_up_in_the_store_too),
    };
    return cmocka_run_group_tests_name("hub users", tests, NULL, NULL);
}
