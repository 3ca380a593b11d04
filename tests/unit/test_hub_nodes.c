/* SPDX-License-Identifier: MIT */
/* One node among several: what others do arrives from the store, what is done here is told when the store says so,
 * and the store may be away, late, or not what it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/metric.h"
#include "core/hub.h"
#include "lib/hub_rig.h"

enum { GRACE_MS = 10000 };

static struct cursor at(uint64_t major)
{
    return (struct cursor){major, 0};
}

/* --- presence is the union over the nodes */

static void whoever_is_on_another_node_is_available_here(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_EVERYONE);
    struct viewer alice = {0};
    fake_store_attend_elsewhere(rig.store, "bob", true);
    viewer_join(&alice, &rig, "alice");
    hub_rig_turn(&rig);
    assert_shown(&alice, "[+alice +bob] .");
    fake_store_set_elsewhere(rig.store, "bob", "Bob", SHOW_AWAY, "out");
    hub_rig_turn(&rig);
    assert_shown(&alice, "[+bob/away\"out\"]");
    fake_store_attend_elsewhere(rig.store, "carol", true); /* nobody had heard of her */
    fake_store_attend_elsewhere(rig.store, "bob", false);
    hub_rig_turn(&rig);
    assert_shown(&alice, "[-bob/away\"out\" +carol]");
    viewer_leave(&alice);
    hub_rig_fini(&rig);
}

static void a_hub_starts_with_who_is_on_other_nodes(void **state)
{
    (void)state;
    struct rig rig;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    hub_rig_prepare(&rig, &options);
    fake_store_attend_elsewhere(rig.store, "bob", true);
    fake_store_count_versions(rig.store);
    assert_int_equal(hub_rig_start(&rig), OK);
    assert_int_equal(hub_presence_mark(rig.hub), fake_store_version(rig.store));
    struct viewer alice = {0};
    viewer_join(&alice, &rig, "alice");
    hub_rig_turn(&rig);
    assert_shown(&alice, "[+alice +bob] .");
    viewer_leave(&alice);
    hub_rig_fini(&rig);
}

static void somebody_on_two_nodes_leaves_with_the_last_session(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_EVERYONE);
    struct viewer alice = {0}, bob = {0};
    viewer_join(&alice, &rig, "alice");
    viewer_join(&bob, &rig, "bob");
    hub_rig_turn(&rig);
    viewer_skip(&alice);
    fake_store_attend_elsewhere(rig.store, "bob", true);
    viewer_leave(&bob);
    hub_rig_pass(&rig, GRACE_MS);
    assert_shown(&alice, "");
    viewer_join(&bob, &rig, "bob");
    hub_rig_turn(&rig);
    fake_store_attend_elsewhere(rig.store, "bob", false);
    hub_rig_turn(&rig);
    assert_shown(&alice, "");
    viewer_leave(&bob);
    hub_rig_pass(&rig, GRACE_MS);
    assert_shown(&alice, "[-bob]");
    viewer_leave(&alice);
    hub_rig_fini(&rig);
}

static void coming_is_told_once_with_the_word_of_the_store(void **state)
{
    (void)state;
    for (unsigned friends = FRIENDS_EVERYONE; friends <= FRIENDS_THREADS; friends++) {
        struct rig rig;
        hub_rig_init_node(&rig, friends);
        hub_rig_room(&rig, "alice", "hall");
        hub_rig_room(&rig, "bob", "hall");
        struct viewer alice = {0}, bob = {0};
        viewer_join(&alice, &rig, "alice");
        hub_rig_turn(&rig);
        viewer_skip(&alice);
        fake_store_hold_news(rig.store, true);
        viewer_join(&bob, &rig, "bob");
        hub_rig_turn(&rig);
        assert_shown(&bob, "[+alice +bob] ."); /* what is known here already */
        assert_shown(&alice, "");
        fake_store_hold_news(rig.store, false);
        hub_rig_turn(&rig);
        assert_shown(&alice, "[+bob]");
        assert_shown(&bob, ""); /* nothing has changed since the snapshot */
        viewer_leave(&alice);
        viewer_leave(&bob);
        hub_rig_fini(&rig);
    }
}

static void leaving_does_not_flicker_before_the_word_of_the_store(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_EVERYONE);
    struct viewer alice = {0}, bob = {0};
    viewer_join(&alice, &rig, "alice");
    viewer_join(&bob, &rig, "bob");
    hub_rig_turn(&rig);
    viewer_skip(&alice);
    fake_store_hold_news(rig.store, true);
    viewer_leave(&bob);
    hub_rig_pass(&rig, GRACE_MS);
    assert_shown(&alice, "");
    viewer_join(&bob, &rig, "bob");
    hub_rig_turn(&rig);
    assert_shown(&bob, "[+alice +bob] .");
    fake_store_hold_news(rig.store, false); /* gone, and back */
    hub_rig_turn(&rig);
    assert_int_equal(strcspn(alice.text, "-"), alice.len); /* told no more than that he is there */
    viewer_leave(&alice);
    viewer_leave(&bob);
    hub_rig_fini(&rig);
}

/* Gone before the store was ever reached: nothing will come from it. */
static void nobody_stays_available_whose_lease_was_never_taken(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_EVERYONE);
    struct viewer alice = {0}, bob = {0}, late = {0};
    viewer_join(&alice, &rig, "alice");
    hub_rig_turn(&rig);
    fake_store_hold_news(rig.store, true);
    viewer_join(&bob, &rig, "bob");
    hub_rig_turn(&rig);
    viewer_leave(&bob);
    hub_rig_pass(&rig, GRACE_MS);
    viewer_join(&late, &rig, "alice");
    hub_rig_turn(&rig);
    assert_shown(&late, "[+alice -bob] .");
    viewer_leave(&alice);
    viewer_leave(&late);
    hub_rig_fini(&rig);
}

static void old_news_are_not_taken_over(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_EVERYONE);
    struct viewer alice = {0};
    viewer_join(&alice, &rig, "alice");
    hub_rig_turn(&rig);
    viewer_skip(&alice);
    fake_store_hold_news(rig.store, true);
    fake_store_set_elsewhere(rig.store, "alice", "Al", SHOW_DND, "");
    fake_store_set_elsewhere(rig.store, "alice", "Alice", SHOW_CHAT, "");
    assert_int_equal(hub_rig_set_presence(&rig, "alice", SHOW_XA, "gone"), OK); /* the answer is ahead of the news */
    struct user *user = hub_rig_open(&rig, "alice");
    assert_int_equal(user_presence(user).show, SHOW_XA);
    hub_user_close(user);
    assert_shown(&alice, "");
    fake_store_hold_news(rig.store, false);
    hub_rig_turn(&rig);
    assert_shown(&alice, "[+alice/xa\"gone\"]");
    viewer_leave(&alice);
    hub_rig_fini(&rig);
}

static void fellows_on_other_nodes_are_seen_where_friends_are_threads(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_THREADS);
    hub_rig_room(&rig, "alice", "hall");
    struct id hall = hub_rig_room(&rig, "bob", "hall");
    hub_rig_pass(&rig, 60000); /* bob is no longer active here */
    struct viewer alice = {0};
    viewer_join(&alice, &rig, "alice");
    hub_rig_turn(&rig);
    assert_shown(&alice, "[+alice -bob] .");
    fake_store_attend_elsewhere(rig.store, "bob", true);
    fake_store_attend_elsewhere(rig.store, "stranger", true);
    hub_rig_turn(&rig);
    assert_shown(&alice, "[+bob]");
    fake_store_attend_elsewhere(rig.store, "carol", true);
    fake_store_join_elsewhere(rig.store, hall, "carol");
    hub_rig_turn(&rig);
    assert_shown(&alice, "[+carol]");
    fake_store_leave_elsewhere(rig.store, hall, "bob");
    fake_store_attend_elsewhere(rig.store, "bob", false);
    hub_rig_turn(&rig);
    assert_shown(&alice, "");
    viewer_leave(&alice);
    hub_rig_pass(&rig, 60000);
    assert_int_equal(metric_value(METRIC_USERS), 0);
    hub_rig_fini(&rig);
}

/* An answer may have been made before a change of somebody who was not in memory when it was announced. */
static void an_answer_older_than_the_news_does_not_count(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_THREADS);
    hub_rig_room(&rig, "alice", "hall");
    hub_rig_room(&rig, "bob", "hall");
    hub_rig_pass(&rig, 60000);
    assert_int_equal(metric_value(METRIC_USERS), 0);
    struct user *opened = NULL;
    assert_int_equal(hub_user_open(rig.hub, span_of("alice"), (struct span){0}, hub_rig_note_user, &opened), OK);
    assert_true(fake_store_step(rig.store));
    assert_true(fake_store_read_ahead(rig.store)); /* alice's threads, where bob is not there */
    fake_store_attend_elsewhere(rig.store, "bob", true);
    hub_rig_turn(&rig);
    assert_non_null(opened);
    struct viewer alice = {0};
    viewer_join(&alice, &rig, "alice");
    hub_rig_turn(&rig);
    assert_shown(&alice, "[+alice +bob] .");
    hub_user_close(opened);
    viewer_leave(&alice);
    hub_rig_fini(&rig);
}

static void who_has_left_meanwhile_is_not_brought_back_by_an_answer(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_THREADS);
    hub_rig_room(&rig, "alice", "hall");
    struct id hall = hub_rig_room(&rig, "bob", "hall");
    hub_rig_pass(&rig, 60000);
    struct viewer alice = {0};
    viewer_join(&alice, &rig, "alice");
    hub_rig_turn(&rig);
    struct user *bob = NULL;
    assert_int_equal(hub_user_open(rig.hub, span_of("bob"), (struct span){0}, hub_rig_note_user, &bob), OK);
    assert_true(fake_store_step(rig.store));
    assert_true(fake_store_read_ahead(rig.store)); /* bob's threads: the hall */
    fake_store_leave_elsewhere(rig.store, hall, "bob");
    hub_rig_turn(&rig);
    assert_non_null(bob);
    assert_string_equal(hub_rig_members(&rig, hall), "alice");
    assert_string_equal(hub_rig_friends(bob), "");
    viewer_leave(&alice);
    hub_rig_pass(&rig, 60000); /* the hall leaves memory with alice */
    assert_string_equal(hub_rig_members(&rig, hall), "");
    hub_user_close(bob);
    hub_rig_fini(&rig);
}

/* --- idle, which is no presence */

static void visit_user(void *ctx, struct span user, enum lease lease)
{
    char *text = ctx;
    size_t len = strlen(text);
    assert_int_not_equal(lease, LEASE_NONE);
    snprintf(text + len, 100 - len, "%s%.*s%s", len ? "," : "", (int)user.len, user.data,
             lease == LEASE_IDLE ? "?" : "");
}

static bool is_idle(struct rig *rig, const char *name)
{
    struct user *user = hub_rig_open(rig, name);
    bool idle = user_is_idle(user);
    hub_user_close(user);
    return idle;
}

static void somebody_is_idle_when_all_nodes_say_so(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_EVERYONE);
    struct viewer alice = {0}, bob = {0};
    viewer_join(&alice, &rig, "alice");
    viewer_join(&bob, &rig, "bob");
    fake_store_lease_elsewhere(rig.store, "bob", LEASE_HELD);
    hub_rig_turn(&rig);
    viewer_skip(&alice);
    viewer_leave(&bob);
    hub_rig_turn(&rig);
    assert_false(is_idle(&rig, "bob")); /* he is on the other node */
    fake_store_lease_elsewhere(rig.store, "bob", LEASE_IDLE);
    hub_rig_turn(&rig);
    assert_true(is_idle(&rig, "bob"));
    viewer_join(&bob, &rig, "bob");
    assert_false(is_idle(&rig, "bob"));
    hub_rig_turn(&rig);
    viewer_leave(&bob);
    hub_rig_turn(&rig);
    fake_store_lease_elsewhere(rig.store, "bob", LEASE_NONE);
    hub_rig_turn(&rig);
    assert_true(is_idle(&rig, "bob"));
    assert_shown(&alice, "");
    hub_rig_pass(&rig, GRACE_MS);
    assert_false(is_idle(&rig, "bob"));
    assert_shown(&alice, "[-bob]");
    viewer_leave(&alice);
    hub_rig_fini(&rig);
}

static void somebody_whose_lease_was_never_taken_is_idle_here(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_EVERYONE);
    struct viewer bob = {0};
    fake_store_hold_news(rig.store, true);
    viewer_join(&bob, &rig, "bob");
    viewer_leave(&bob);
    struct user *user = hub_rig_open(&rig, "bob");
    assert_true(user_is_idle(user));
    fake_store_hold_news(rig.store, false);
    hub_rig_turn(&rig);
    assert_true(user_is_idle(user));
    hub_user_close(user);
    hub_rig_fini(&rig);
}

static void a_poll_keeps_its_lease_between_two(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_EVERYONE);
    struct viewer poll = {.polls = true}, stream = {0};
    for (unsigned i = 0; i < 3; i++) {
        viewer_join(&poll, &rig, "alice");
        hub_rig_turn(&rig);
        int64_t version = fake_store_version(rig.store);
        viewer_leave(&poll);
        hub_rig_pass(&rig, GRACE_MS - 1);
        assert_string_equal(fake_store_leases(rig.store), "alice");
        assert_int_equal(fake_store_version(rig.store), version); /* nothing was written */
    }
    viewer_join(&stream, &rig, "alice");
    viewer_leave(&stream);
    assert_string_equal(fake_store_leases(rig.store), "alice?");
    viewer_join(&stream, &rig, "alice");
    viewer_say_goodbye(&stream);
    assert_string_equal(fake_store_leases(rig.store), "alice");
    hub_rig_turn(&rig);
    assert_string_equal(fake_store_leases(rig.store), "");
    hub_rig_fini(&rig);
}

static void a_goodbye_ends_the_grace_on_all_nodes(void **state)
{
    (void)state;
    for (unsigned friends = FRIENDS_EVERYONE; friends <= FRIENDS_THREADS; friends++) {
        struct rig rig;
        hub_rig_init_node(&rig, friends);
        hub_rig_room(&rig, "alice", "hall");
        hub_rig_room(&rig, "bob", "hall");
        struct viewer alice = {0}, bob = {0};
        viewer_join(&alice, &rig, "alice");
        viewer_join(&bob, &rig, "bob");
        hub_rig_turn(&rig);
        viewer_skip(&alice);
        viewer_leave(&bob);
        hub_rig_turn(&rig);
        fake_store_lease_elsewhere(rig.store, "bob", LEASE_HELD);
        hub_rig_turn(&rig);
        fake_store_lease_elsewhere(rig.store, "bob", LEASE_GOODBYE); /* there; here he was waited for */
        hub_rig_turn(&rig);
        assert_shown(&alice, "[-bob]");
        assert_false(is_idle(&rig, "bob"));
        assert_string_equal(fake_store_leases(rig.store), "alice");
        char text[100] = "";
        fake_store_sink(rig.store)->leases(fake_store_sink(rig.store), visit_user, text);
        assert_string_equal(text, "alice"); /* nor is it taken again */
        viewer_join(&bob, &rig, "bob");
        fake_store_lease_elsewhere(rig.store, "bob", LEASE_IDLE);
        hub_rig_turn(&rig);
        viewer_say_goodbye(&bob); /* here; there he is waited for */
        hub_rig_turn(&rig);
        assert_shown(&alice, "[+bob] [-bob]");
        viewer_join(&bob, &rig, "bob");
        fake_store_lease_elsewhere(rig.store, "bob", LEASE_HELD);
        hub_rig_turn(&rig);
        viewer_say_goodbye(&bob); /* he is still there */
        hub_rig_turn(&rig);
        viewer_join(&bob, &rig, "bob");
        hub_rig_turn(&rig);
        fake_store_lease_elsewhere(rig.store, "bob", LEASE_GOODBYE); /* he is still here */
        hub_rig_turn(&rig);
        assert_shown(&alice, "[+bob]");
        viewer_leave(&bob);
        viewer_leave(&alice);
        hub_rig_pass(&rig, 60000);
        assert_string_equal(fake_store_leases(rig.store), "");
        hub_rig_fini(&rig);
    }
}

/* Of a lease that the store has not heard of it cannot say that it is over. */
static void a_grace_is_not_ended_by_news_from_before_it(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_EVERYONE);
    struct viewer bob = {0};
    hub_user_close(hub_rig_open(&rig, "bob"));
    hub_rig_turn(&rig);
    fake_store_hold_news(rig.store, true);
    fake_store_set_elsewhere(rig.store, "bob", "", SHOW_AWAY, "");
    viewer_join(&bob, &rig, "bob");
    viewer_leave(&bob);
    fake_store_hold_news(rig.store, false);
    assert_true(is_idle(&rig, "bob"));
    assert_string_equal(fake_store_leases(rig.store), "bob?");
    hub_rig_pass(&rig, 60000);
    hub_rig_fini(&rig);
}

/* Neither to whoever is live, nor to a poll that comes back with what it knew before, nor where an answer of the store
 * is ahead of what it announces. */
static void idle_alone_is_told_to_no_session(void **state)
{
    (void)state;
    for (unsigned friends = FRIENDS_EVERYONE; friends <= FRIENDS_THREADS; friends++) {
        struct rig rig;
        hub_rig_init_node(&rig, friends);
        hub_rig_room(&rig, "alice", "hall");
        hub_rig_room(&rig, "bob", "hall");
        fake_store_lease_elsewhere(rig.store, "bob", LEASE_HELD);
        struct viewer alice = {0}, poll = {.polls = true};
        viewer_join(&alice, &rig, "alice");
        viewer_join(&poll, &rig, "alice");
        hub_rig_turn(&rig);
        viewer_leave(&poll);
        struct attach attach = {.resume = true, .presence_mark = session_presence_mark(&poll.session)};
        viewer_skip(&alice);
        fake_store_lease_elsewhere(rig.store, "bob", LEASE_IDLE);
        hub_rig_turn(&rig);
        assert_true(is_idle(&rig, "bob"));
        fake_store_hold_news(rig.store, true);
        fake_store_lease_elsewhere(rig.store, "bob", LEASE_HELD);
        assert_int_equal(hub_rig_meet(&rig, "bob", "Bob"), OK); /* an answer, with news */
        assert_false(is_idle(&rig, "bob"));
        fake_store_hold_news(rig.store, false);
        hub_rig_turn(&rig);
        assert_shown(&alice, "[+bob]"); /* of his name */
        fake_store_lease_elsewhere(rig.store, "bob", LEASE_IDLE);
        hub_rig_turn(&rig);
        attach.presence_mark = session_presence_mark(&alice.session) - 1;
        fake_store_hold_news(rig.store, true);
        fake_store_lease_elsewhere(rig.store, "bob", LEASE_HELD);
        assert_int_equal(hub_rig_set_presence(&rig, "bob", SHOW_CHAT, ""), OK); /* an answer, without news */
        assert_false(is_idle(&rig, "bob"));
        fake_store_hold_news(rig.store, false);
        hub_rig_turn(&rig);
        assert_int_equal(viewer_attach(&poll, &rig, "alice", &attach), OK);
        hub_rig_turn(&rig);
        assert_shown(&alice, "");
        assert_shown(&poll, ".");
        viewer_leave(&poll);
        viewer_leave(&alice);
        hub_rig_fini(&rig);
    }
}

/* The other node has told of a change that was taken back together with one of idleness; here an answer was ahead of
 * both. */
static void what_was_taken_back_is_told_though_only_idleness_seems_new(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_EVERYONE);
    fake_store_lease_elsewhere(rig.store, "bob", LEASE_HELD);
    hub_rig_turn(&rig);
    fake_store_hold_news(rig.store, true);
    fake_store_set_elsewhere(rig.store, "bob", "", SHOW_DND, "");
    int64_t mark = fake_store_version(rig.store);
    fake_store_set_elsewhere(rig.store, "bob", "", SHOW_CHAT, "");
    fake_store_lease_elsewhere(rig.store, "bob", LEASE_IDLE);
    assert_int_equal(hub_rig_set_presence(&rig, "bob", SHOW_CHAT, ""), OK);
    struct viewer alice = {0};
    struct attach attach = {.resume = true, .presence_mark = mark};
    assert_int_equal(viewer_attach(&alice, &rig, "alice", &attach), OK);
    hub_rig_turn(&rig);
    assert_shown(&alice, ".");
    fake_store_hold_news(rig.store, false);
    hub_rig_turn(&rig);
    assert_shown(&alice, "[+alice +bob]");
    assert_true(is_idle(&rig, "bob"));
    viewer_leave(&alice);
    hub_rig_fini(&rig);
}

/* The same, where this node was cut off and hears only how it ended. */
static void what_was_taken_back_meanwhile_is_told_to_who_comes_after(void **state)
{
    (void)state;
    for (unsigned friends = FRIENDS_EVERYONE; friends <= FRIENDS_THREADS; friends++) {
        struct rig rig;
        hub_rig_init_node(&rig, friends);
        hub_rig_room(&rig, "alice", "hall");
        hub_rig_room(&rig, "bob", "hall");
        fake_store_lease_elsewhere(rig.store, "bob", LEASE_HELD);
        hub_rig_turn(&rig);
        fake_store_hold_news(rig.store, true);
        fake_store_set_elsewhere(rig.store, "bob", "", SHOW_DND, "");
        struct attach attach = {.resume = true, .presence_mark = fake_store_version(rig.store)};
        fake_store_set_elsewhere(rig.store, "bob", "", SHOW_CHAT, "");
        fake_store_lease_elsewhere(rig.store, "bob", LEASE_IDLE);
        fake_store_overtake_news(rig.store);
        fake_store_hold_news(rig.store, false);
        hub_rig_turn(&rig);
        struct viewer alice = {0};
        assert_int_equal(viewer_attach(&alice, &rig, "alice", &attach), OK);
        hub_rig_turn(&rig);
        assert_shown(&alice, "[+alice +bob] .");
        viewer_leave(&alice);
        hub_rig_fini(&rig);
    }
}

static void nobody_is_idle_after_a_reset(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_THREADS);
    struct viewer alice = {0};
    viewer_join(&alice, &rig, "alice");
    hub_rig_turn(&rig);
    viewer_leave(&alice);
    struct user *user = hub_rig_open(&rig, "alice");
    hub_rig_turn(&rig);
    assert_true(user_is_idle(user));
    fake_store_reset(rig.store, fake_store_head(rig.store), 0);
    assert_string_equal(fake_store_leases(rig.store), "");
    assert_false(user_is_idle(user));
    hub_user_close(user);
    hub_rig_pass(&rig, 60000);
    hub_rig_fini(&rig);
}

/* --- leases */

static void a_lease_is_held_from_the_first_session_to_the_end_of_grace(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_THREADS);
    struct viewer phone = {0}, desk = {0};
    hub_user_close(hub_rig_open(&rig, "alice")); /* a request alone is no session */
    assert_string_equal(fake_store_leases(rig.store), "");
    viewer_join(&phone, &rig, "alice");
    assert_string_equal(fake_store_leases(rig.store), "alice");
    viewer_join(&desk, &rig, "alice");
    viewer_leave(&phone);
    assert_string_equal(fake_store_leases(rig.store), "alice");
    viewer_leave(&desk);
    assert_string_equal(fake_store_leases(rig.store), "alice?");
    hub_rig_pass(&rig, GRACE_MS - 1);
    viewer_join(&desk, &rig, "alice");
    assert_string_equal(fake_store_leases(rig.store), "alice");
    viewer_leave(&desk);
    hub_rig_pass(&rig, GRACE_MS - 1);
    assert_string_equal(fake_store_leases(rig.store), "alice?");
    hub_rig_pass(&rig, 1);
    assert_string_equal(fake_store_leases(rig.store), "");
    hub_rig_fini(&rig);
}

static void leases_end_with_the_store_when_the_hub_is_shut(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_EVERYONE);
    struct viewer alice = {0};
    viewer_join(&alice, &rig, "alice");
    hub_rig_turn(&rig);
    hub_shut(rig.hub, ERR_SHUTTING_DOWN);
    hub_rig_pass(&rig, GRACE_MS);
    assert_string_equal(fake_store_leases(rig.store), "alice");
    hub_rig_fini(&rig);
}

static void the_store_can_ask_for_whom_leases_are_to_be_held(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_EVERYONE);
    struct viewer alice = {0}, bob = {0};
    hub_user_close(hub_rig_open(&rig, "zoe"));
    fake_store_attend_elsewhere(rig.store, "carol", true);
    viewer_join(&alice, &rig, "alice");
    viewer_join(&bob, &rig, "bob");
    hub_rig_turn(&rig);
    viewer_leave(&bob); /* in grace */
    char text[100] = "";
    struct store_sink *sink = fake_store_sink(rig.store);
    sink->leases(sink, visit_user, text);
    assert_string_equal(text, "alice,bob?");
    hub_rig_pass(&rig, GRACE_MS);
    text[0] = '\0';
    sink->leases(sink, visit_user, text);
    assert_string_equal(text, "alice");
    viewer_leave(&alice);
    hub_rig_fini(&rig);
}

struct visited {
    unsigned count;
    struct id token;
    int64_t expires_us;
};

static void visit_token(void *ctx, struct id token, int64_t expires_us)
{
    struct visited *visited = ctx;
    visited->count++;
    visited->token = token;
    visited->expires_us = expires_us;
}

static void the_store_can_ask_for_tokens_in_use(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_EVERYONE);
    struct id used, unused;
    assert_int_equal(hub_rig_token(&rig, "alice", &used), OK);
    assert_int_equal(hub_rig_token(&rig, "alice", &unused), OK);
    struct viewer alice = {0};
    struct attach attach = {.token = &used, .expires_us = rig.clock.wall_us + 5000000};
    assert_int_equal(viewer_attach(&alice, &rig, "alice", &attach), OK);
    hub_rig_turn(&rig);
    struct visited visited = {0};
    struct store_sink *sink = fake_store_sink(rig.store);
    sink->tokens(sink, visit_token, &visited);
    assert_int_equal(visited.count, 1);
    assert_true(id_equal(visited.token, used));
    assert_int_equal(visited.expires_us, attach.expires_us);
    fake_store_end_token_elsewhere(rig.store, used);
    assert_shown(&alice, "[+alice] . closed(no_token)");
    visited.count = 0;
    sink->tokens(sink, visit_token, &visited); /* the revoked one is remembered, but not in use */
    assert_int_equal(visited.count, 0);
    hub_rig_fini(&rig);
}

/* --- marks mean the same on every node */

static void poll(struct rig *rig, struct viewer *viewer, const char *user, int64_t *mark)
{
    struct attach attach = {.resume = true, .since = hub_cursor(rig->hub), .presence_mark = *mark};
    viewer->polls = true;
    assert_int_equal(viewer_attach(viewer, rig, user, &attach), OK);
    hub_rig_turn(rig);
    viewer_leave(viewer);
    *mark = session_presence_mark(&viewer->session);
}

static void a_poll_with_the_mark_of_another_node_is_shown_what_is_new(void **state)
{
    (void)state;
    for (unsigned friends = FRIENDS_EVERYONE; friends <= FRIENDS_THREADS; friends++) {
        struct rig rig;
        hub_rig_init_node(&rig, friends);
        hub_rig_room(&rig, "alice", "hall");
        hub_rig_room(&rig, "bob", "hall");
        struct viewer alice = {0};
        int64_t mark = 0;
        poll(&rig, &alice, "alice", &mark);
        assert_int_equal(mark, fake_store_version(rig.store));
        assert_shown(&alice, "[+alice -bob] .");
        poll(&rig, &alice, "alice", &mark);
        assert_shown(&alice, ".");
        int64_t before = mark;
        fake_store_attend_elsewhere(rig.store, "bob", true);
        mark = fake_store_version(rig.store); /* shown by the other node */
        poll(&rig, &alice, "alice", &mark);
        assert_shown(&alice, ".");
        poll(&rig, &alice, "alice", &before); /* not shown */
        /* Among fellows everybody: to come into a thread has no version. */
        assert_shown(&alice, friends == FRIENDS_EVERYONE ? "[+bob] ." : "[+alice +bob] .");
        assert_int_equal(before, mark);
        hub_rig_fini(&rig);
    }
}

static void a_poll_ahead_of_this_node_is_told_when_it_gets_there(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_EVERYONE);
    struct viewer alice = {0};
    viewer_join(&alice, &rig, "alice");
    hub_rig_turn(&rig);
    viewer_leave(&alice);
    fake_store_hold_news(rig.store, true);
    fake_store_attend_elsewhere(rig.store, "bob", true);
    struct attach attach = {.resume = true, .presence_mark = fake_store_version(rig.store)};
    fake_store_attend_elsewhere(rig.store, "carol", true);
    assert_int_equal(viewer_attach(&alice, &rig, "alice", &attach), OK);
    hub_rig_turn(&rig);
    assert_shown(&alice, ".");
    fake_store_hold_news(rig.store, false);
    hub_rig_turn(&rig);
    assert_shown(&alice, "[+bob +carol]"); /* bob once more, carol not missed */
    viewer_leave(&alice);
    hub_rig_fini(&rig);
}

static void a_mark_does_not_pass_what_was_not_told(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_EVERYONE);
    struct viewer alice = {.polls = true}, bob = {0};
    viewer_join(&alice, &rig, "alice");
    viewer_join(&bob, &rig, "bob");
    hub_rig_turn(&rig);
    int64_t mark = session_presence_mark(&alice.session);
    fake_store_attend_elsewhere(rig.store, "carol", true);
    (void)fake_store_step(rig.store); /* announced, but the turn has not ended */
    assert_int_equal(session_presence_mark(&alice.session), mark);
    viewer_leave(&alice);
    hub_tick(rig.hub);
    assert_int_equal(session_presence_mark(&alice.session), mark);
    assert_int_equal(session_presence_mark(&bob.session), fake_store_version(rig.store));
    viewer_skip(&alice);
    poll(&rig, &alice, "alice", &mark);
    assert_shown(&alice, "[+carol] .");
    viewer_leave(&bob);
    hub_rig_fini(&rig);
}

/* Of what is new to a poll, what the store has not announced yet is no part. */
static void who_comes_while_a_poll_is_shown_what_is_new_is_told_to_it(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_EVERYONE);
    struct viewer alice = {0}, bob = {0};
    hub_user_close(hub_rig_open(&rig, "bob"));
    hub_user_close(hub_rig_open(&rig, "carol"));
    viewer_join(&alice, &rig, "alice");
    hub_rig_turn(&rig);
    struct attach attach = {.resume = true, .presence_mark = session_presence_mark(&alice.session)};
    viewer_leave(&alice);
    fake_store_attend_elsewhere(rig.store, "carol", true);
    hub_rig_turn(&rig);
    fake_store_hold_news(rig.store, true);
    viewer_join(&bob, &rig, "bob");
    assert_int_equal(viewer_attach(&alice, &rig, "alice", &attach), OK);
    hub_rig_turn(&rig);
    assert_shown(&alice, "[+carol] .");
    fake_store_hold_news(rig.store, false);
    hub_rig_turn(&rig);
    assert_shown(&alice, "[+bob]");
    viewer_leave(&alice);
    viewer_leave(&bob);
    hub_rig_fini(&rig);
}

/* What was announced within the turn is told at its end, and only then is it in the mark: shown with what is new, it
 * would be told to the next poll once more. */
static void who_is_announced_while_a_poll_is_shown_what_is_new_is_told_to_it_once(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_EVERYONE);
    struct viewer alice = {.polls = true};
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    viewer_join(&alice, &rig, "alice");
    hub_rig_turn(&rig);
    struct attach attach = {.resume = true,
                            .since = session_cursor(&alice.session),
                            .presence_mark = session_presence_mark(&alice.session)};
    viewer_leave(&alice);
    assert_int_equal(hub_rig_send(&rig, hall, "alice", "missed"), OK);
    viewer_skip(&alice);
    assert_int_equal(viewer_attach(&alice, &rig, "alice", &attach), OK);
    hub_tick(rig.hub); /* asks the store for what was missed */
    fake_store_hold_news(rig.store, true);
    fake_store_attend_elsewhere(rig.store, "bob", true);
    fake_store_hold_news(rig.store, false); /* announced before the answer */
    hub_tick(rig.hub);
    fake_store_attend_elsewhere(rig.store, "carol", true);
    (void)fake_store_step(rig.store); /* announced, then answered, and the turn has not ended */
    assert_shown(&alice, "alice:missed [+bob] .");
    viewer_leave(&alice);
    int64_t mark = session_presence_mark(&alice.session);
    hub_tick(rig.hub);
    poll(&rig, &alice, "alice", &mark);
    assert_shown(&alice, "[+carol] .");
    hub_rig_fini(&rig);
}

/* The other node had heard of bob's coming and going again, this one has only read how it ended. */
static void what_was_taken_back_is_told_to_who_heard_the_first_half(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_EVERYONE);
    hub_user_close(hub_rig_open(&rig, "bob"));
    hub_rig_turn(&rig);
    fake_store_hold_news(rig.store, true);
    fake_store_set_elsewhere(rig.store, "bob", "", SHOW_DND, "");
    int64_t mark = fake_store_version(rig.store);
    fake_store_set_elsewhere(rig.store, "bob", "", SHOW_CHAT, "");
    hub_rig_pass(&rig, 60000);
    hub_user_close(hub_rig_open(&rig, "bob"));
    struct viewer alice = {0};
    struct attach attach = {.resume = true, .presence_mark = mark};
    assert_int_equal(viewer_attach(&alice, &rig, "alice", &attach), OK);
    hub_rig_turn(&rig);
    assert_shown(&alice, ".");
    fake_store_hold_news(rig.store, false);
    hub_rig_turn(&rig);
    assert_shown(&alice, "[+alice -bob]");
    viewer_leave(&alice);
    hub_rig_fini(&rig);
}

static void strangers_do_not_concern_a_poll(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_THREADS);
    struct viewer alice = {0};
    int64_t mark = 0;
    poll(&rig, &alice, "alice", &mark);
    viewer_skip(&alice);
    fake_store_attend_elsewhere(rig.store, "stranger", true);
    hub_rig_turn(&rig);
    poll(&rig, &alice, "alice", &mark);
    assert_shown(&alice, ".");
    assert_int_equal(mark, fake_store_version(rig.store));
    hub_rig_fini(&rig);
}

static void who_comes_into_a_thread_between_two_polls_is_shown(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_THREADS);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    struct viewer alice = {0};
    int64_t mark = 0;
    poll(&rig, &alice, "alice", &mark);
    viewer_skip(&alice);
    fake_store_attend_elsewhere(rig.store, "bob", true);
    hub_rig_turn(&rig);
    mark = fake_store_version(rig.store);
    fake_store_join_elsewhere(rig.store, hall, "bob");
    hub_rig_turn(&rig);
    poll(&rig, &alice, "alice", &mark);
    assert_shown(&alice, "[+alice +bob] .");
    poll(&rig, &alice, "alice", &mark);
    assert_shown(&alice, ".");
    hub_rig_fini(&rig);
}

/* --- the log */

static void a_member_gets_what_came_after_they_had_joined(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_EVERYONE);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    struct viewer alice = {0}, bob = {0};
    viewer_join(&alice, &rig, "alice");
    viewer_join(&bob, &rig, "bob");
    hub_rig_turn(&rig);
    viewer_skip(&alice);
    viewer_skip(&bob);
    fake_store_send_elsewhere(rig.store, hall, span_of("alice"), span_of("before"));
    fake_store_join_elsewhere(rig.store, hall, "bob"); /* known before the log has come there */
    fake_store_send_elsewhere(rig.store, hall, span_of("alice"), span_of("after"));
    fake_store_tail(rig.store);
    assert_shown(&alice, "alice:before alice:after");
    assert_shown(&bob, "alice:after");
    viewer_leave(&bob);
    viewer_resume(&bob, &rig, "bob", at(0));
    hub_rig_turn(&rig);
    assert_shown(&bob, "[+alice +bob] alice:after .");
    viewer_leave(&alice);
    viewer_leave(&bob);
    hub_rig_fini(&rig);
}

static void a_cursor_from_a_node_that_is_ahead_is_good(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_EVERYONE);
    struct id hall = hub_rig_room(&rig, "alice", "hall");
    fake_store_send_elsewhere(rig.store, hall, span_of("alice"), span_of("1"));
    fake_store_send_elsewhere(rig.store, hall, span_of("alice"), span_of("2"));
    assert_int_equal(hub_cursor(rig.hub).major, 0);
    struct viewer alice = {0};
    struct attach attach = {.resume = true, .since = at(1), .presence_mark = INT64_MAX};
    assert_int_equal(viewer_attach(&alice, &rig, "alice", &attach), OK);
    hub_rig_turn(&rig);
    assert_shown(&alice, "alice:2 .");
    fake_store_send_elsewhere(rig.store, hall, span_of("alice"), span_of("3"));
    fake_store_tail(rig.store);
    assert_shown(&alice, "alice:3");
    viewer_leave(&alice);
    hub_rig_fini(&rig);
}

/* --- a reset */

static void a_reset_ends_all_sessions_and_forgets_what_was_known(void **state)
{
    (void)state;
    for (unsigned friends = FRIENDS_EVERYONE; friends <= FRIENDS_THREADS; friends++) {
        struct rig rig;
        hub_rig_init_node(&rig, friends);
        hub_rig_room(&rig, "alice", "hall");
        struct id hall = hub_rig_room(&rig, "bob", "hall");
        assert_int_equal(hub_rig_send(&rig, hall, "bob", "kept"), OK);
        assert_int_equal(hub_rig_send(&rig, hall, "bob", "lost"), OK);
        struct viewer alice = {0}, fresh = {0};
        viewer_join(&alice, &rig, "alice");
        hub_rig_turn(&rig);
        viewer_skip(&alice);
        viewer_join(&fresh, &rig, "alice");
        struct user *bob = hub_rig_open(&rig, "bob");
        int64_t kept = fake_store_version(rig.store);
        assert_int_equal(hub_rig_set_presence(&rig, "bob", SHOW_DND, ""), OK);
        viewer_skip(&alice);

        fake_store_reset(rig.store, at(1), kept);
        assert_shown(&alice, "closed(store_unavailable)");
        assert_int_equal(fresh.why, ERR_STORE);
        assert_int_equal(hub_cursor(rig.hub).major, 1);
        assert_int_equal(hub_presence_mark(rig.hub), kept);
        assert_int_equal(metric_value(METRIC_THREADS), 0);
        assert_string_equal(fake_store_leases(rig.store), "");
        /* Known presence, so that nothing is shown under the lost cursor first. */
        struct attach attach = {.resume = true, .since = at(2), .presence_mark = INT64_MAX};
        assert_int_equal(session_cursor(&alice.session).major, 2);
        assert_int_not_equal(hub_attach(&fresh.session, alice.session.ops, bob, &attach), OK);
        hub_user_close(bob);
        hub_rig_turn(&rig);

        assert_int_equal(viewer_attach(&alice, &rig, "alice", &attach), OK);
        hub_rig_turn(&rig);
        assert_shown(&alice, "gap<0 .");
        assert_int_equal(hub_rig_send(&rig, hall, "bob", "new"), OK);
        assert_shown(&alice, "bob:new");
        assert_string_equal(fake_store_leases(rig.store), "alice");
        viewer_leave(&alice);
        hub_rig_fini(&rig);
    }
}

static void a_mark_of_what_was_lost_does_not_count(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_EVERYONE);
    struct viewer alice = {0};
    int64_t mark = 0, kept = fake_store_version(rig.store);
    for (unsigned show = 0; show < 2 * SHOW_COUNT; show++)
        fake_store_set_elsewhere(rig.store, "bob", "", show % SHOW_COUNT, "");
    poll(&rig, &alice, "alice", &mark);
    assert_int_equal(mark, kept + 2 * SHOW_COUNT + 3);
    fake_store_reset(rig.store, at(0), kept);
    hub_rig_turn(&rig);
    viewer_skip(&alice);
    int64_t lost = mark;
    poll(&rig, &alice, "alice", &mark);
    assert_shown(&alice, "[+alice -bob/xa] .");
    assert_true(mark < lost);
    poll(&rig, &alice, "alice", &mark);
    assert_shown(&alice, ".");
    hub_rig_fini(&rig);
}

static void note_err_of_user(void *ctx, enum err err, struct user *user)
{
    assert_null(user);
    *(enum err *)ctx = err;
}

static void note_err(void *ctx, enum err err)
{
    *(enum err *)ctx = err;
}

static void answers_from_before_a_reset_are_old(void **state)
{
    (void)state;
    for (unsigned friends = FRIENDS_EVERYONE; friends <= FRIENDS_THREADS; friends++) {
        struct rig rig;
        hub_rig_init_node(&rig, friends);
        hub_rig_room(&rig, "bob", "hall");
        struct user *carol = hub_rig_open(&rig, "carol");
        enum err opened = OK, reading = OK, set = OK;
        assert_int_equal(hub_user_open(rig.hub, span_of("alice"), (struct span){0}, note_err_of_user, &reading), OK);
        assert_true(fake_store_step(rig.store)); /* her threads are asked for */
        assert_int_equal(hub_user_open(rig.hub, span_of("dave"), (struct span){0}, note_err_of_user, &opened), OK);
        assert_int_equal(hub_presence_set(carol, SHOW_AWAY, (struct span){0}, note_err, &set), OK);
        fake_store_reset(rig.store, at(0), 0);
        hub_rig_turn(&rig);
        assert_int_equal(reading, ERR_STORE);
        assert_int_equal(opened, ERR_STORE);
        assert_int_equal(set, ERR_STORE);
        hub_user_close(carol);
        assert_int_equal(hub_rig_meet(&rig, "alice", NULL), OK);
        hub_rig_fini(&rig);
    }
}

static void after_a_reset_everybody_is_read_again_however_long_it_takes(void **state)
{
    (void)state;
    struct rig rig;
    hub_rig_init_node(&rig, FRIENDS_EVERYONE);
    fake_store_attend_elsewhere(rig.store, "bob", true);
    hub_rig_turn(&rig);
    fake_store_set_elsewhere(rig.store, "bob", "", SHOW_AWAY, ""); /* never announced */
    fake_store_outage(rig.store, ERR_STORE);
    fake_store_reset(rig.store, at(0), 0);
    hub_rig_turn(&rig);
    hub_rig_pass(&rig, 5000);
    fake_store_outage(rig.store, OK);
    const char *reason = NULL;
    assert_false(hub_ready(rig.hub, &reason));
    assert_string_equal(reason, "the users have not been read yet");
    assert_int_equal(hub_rig_meet(&rig, "alice", NULL), ERR_STORE);
    hub_rig_pass(&rig, 1000);
    assert_true(hub_ready(rig.hub, &reason));
    struct viewer alice = {0};
    viewer_join(&alice, &rig, "alice");
    hub_rig_turn(&rig);
    assert_shown(&alice, "[+alice +bob/away] .");
    viewer_leave(&alice);
    hub_rig_fini(&rig);
}

static void a_reset_while_everybody_is_read_begins_again(void **state)
{
    (void)state;
    struct rig rig;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    hub_rig_prepare(&rig, &options);
    fake_store_add_user(rig.store, "bob", "");
    fake_store_count_versions(rig.store);
    enum err started = ERR_COUNT;
    hub_start(rig.hub, note_err, &started);
    assert_true(fake_store_step(rig.store));
    fake_store_reset(rig.store, at(0), 0);
    assert_true(fake_store_step(rig.store));
    assert_int_equal(started, ERR_COUNT);
    hub_rig_turn(&rig);
    assert_int_equal(started, OK);
    struct user *alice = hub_rig_open(&rig, "alice");
    assert_string_equal(hub_rig_friends(alice), "bob");
    hub_user_close(alice);
    hub_rig_fini(&rig);
}

/* --- a store that is late */

static void note_threads(void *ctx, enum err err, const struct thread_record *threads, size_t count)
{
    assert_null(threads);
    assert_int_equal(count, 0);
    *(enum err *)ctx = err;
}

static void note_page(void *ctx, enum err err, const struct message_page *page)
{
    assert_null(page);
    *(enum err *)ctx = err;
}

static void note_token(void *ctx, enum err err, const struct token_record *token)
{
    assert_null(token);
    *(enum err *)ctx = err;
}

/* Whatever needs the store is answered at once. */
static void assert_closed(struct rig *rig)
{
    struct id id = id_random();
    struct message_fields fields = {.thread = id, .sender = span_of("alice"), .text = span_of("hi")};
    assert_int_equal(hub_rig_meet(rig, "alice", NULL), ERR_STORE);
    assert_int_equal(hub_rig_send_fields(rig, &fields, NULL), ERR_STORE);
    enum err errs[4] = {OK, OK, OK, OK};
    hub_threads(rig->hub, span_of("alice"), note_threads, &errs[0]);
    hub_history(rig->hub, id, span_of("alice"), at(0), 10, note_page, &errs[1]);
    hub_token_check(rig->hub, id, note_token, &errs[2]);
    hub_token_revoke(rig->hub, id, span_of("alice"), note_err, &errs[3]);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(errs[i], ERR_STORE);
    assert_int_equal(fake_store_pending(rig->store), 0);
}

static void until_the_store_is_reached_nothing_is_asked_of_it(void **state)
{
    (void)state;
    for (unsigned friends = FRIENDS_EVERYONE; friends <= FRIENDS_THREADS; friends++) {
        struct rig rig;
        struct hub_options options = hub_rig_options(friends);
        hub_rig_prepare(&rig, &options);
        const char *reason = NULL;
        assert_false(hub_ready(rig.hub, &reason));
        assert_string_equal(reason, "the store has not been reached yet");
        fake_store_add_user(rig.store, "bob", "");
        fake_store_count_versions(rig.store);
        fake_store_away(rig.store, true);
        enum err started = ERR_COUNT;
        hub_start(rig.hub, note_err, &started);
        hub_rig_pass(&rig, 60000);
        assert_int_equal(started, ERR_COUNT);
        assert_closed(&rig);
        assert_false(hub_ready(rig.hub, &reason));
        assert_string_equal(reason, "the fake store is away");

        fake_store_away(rig.store, false);
        hub_rig_turn(&rig);
        assert_int_equal(started, OK);
        assert_true(hub_ready(rig.hub, &reason));
        struct viewer alice = {0};
        viewer_join(&alice, &rig, "alice");
        hub_rig_turn(&rig);
        assert_shown(&alice, friends == FRIENDS_EVERYONE ? "[+alice -bob] ." : "[+alice] .");
        viewer_leave(&alice);
        hub_rig_fini(&rig);
    }
}

static void a_failed_start_leaves_the_hub_closed(void **state)
{
    (void)state;
    struct rig rig;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    hub_rig_prepare(&rig, &options);
    fake_store_fail_next(rig.store, ERR_STORE);
    assert_int_equal(hub_rig_start(&rig), ERR_STORE);
    assert_closed(&rig);
    hub_rig_fini(&rig);
}

static void a_store_that_goes_while_everybody_is_read_is_waited_for(void **state)
{
    (void)state;
    struct rig rig;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    hub_rig_prepare(&rig, &options);
    fake_store_count_versions(rig.store);
    enum err started = ERR_COUNT;
    hub_start(rig.hub, note_err, &started);
    assert_true(fake_store_step(rig.store));
    fake_store_outage(rig.store, ERR_STORE);
    hub_rig_turn(&rig);
    assert_int_equal(started, ERR_COUNT);
    fake_store_outage(rig.store, OK);
    hub_rig_pass(&rig, 1000);
    assert_int_equal(started, OK);
    hub_rig_fini(&rig);
}

static void shutting_down_before_the_store_is_reached_works(void **state)
{
    (void)state;
    for (unsigned shut = 0; shut < 2; shut++) {
        struct rig rig;
        struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
        hub_rig_prepare(&rig, &options);
        fake_store_away(rig.store, true);
        enum err started = ERR_COUNT;
        hub_start(rig.hub, note_err, &started);
        hub_rig_turn(&rig);
        if (shut)
            hub_shut(rig.hub, ERR_SHUTTING_DOWN);
        hub_rig_fini(&rig); /* closes the store */
        assert_int_equal(started, ERR_STORE);
    }
}

static void shutting_down_while_the_store_is_waited_for_works(void **state)
{
    (void)state;
    struct rig rig;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    hub_rig_prepare(&rig, &options);
    fake_store_count_versions(rig.store);
    enum err started = ERR_COUNT;
    hub_start(rig.hub, note_err, &started);
    assert_true(fake_store_step(rig.store));
    fake_store_outage(rig.store, ERR_STORE);
    hub_rig_turn(&rig);
    hub_shut(rig.hub, ERR_SHUTTING_DOWN);
    assert_int_equal(started, ERR_COUNT); /* not from within */
    hub_rig_pass(&rig, 1);
    assert_int_equal(started, ERR_SHUTTING_DOWN);
    hub_rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_is_on_another_node_is_available_here),
        cmocka_unit_test(a_hub_starts_with_who_is_on_other_nodes),
        cmocka_unit_test(somebody_on_two_nodes_leaves_with_the_last_session),
        cmocka_unit_test(coming_is_told_once_with_the_word_of_the_store),
        cmocka_unit_test(leaving_does_not_flicker_before_the_word_of_the_store),
        cmocka_unit_test(nobody_stays_available_whose_lease_was_never_taken),
        cmocka_unit_test(old_news_are_not_taken_over),
        cmocka_unit_test(fellows_on_other_nodes_are_seen_where_friends_are_threads),
        cmocka_unit_test(an_answer_older_than_the_news_does_not_count),
        cmocka_unit_test(who_has_left_meanwhile_is_not_brought_back_by_an_answer),
        cmocka_unit_test(somebody_is_idle_when_all_nodes_say_so),
        cmocka_unit_test(somebody_whose_lease_was_never_taken_is_idle_here),
        cmocka_unit_test(a_poll_keeps_its_lease_between_two),
        cmocka_unit_test(a_goodbye_ends_the_grace_on_all_nodes),
        cmocka_unit_test(a_grace_is_not_ended_by_news_from_before_it),
        cmocka_unit_test(idle_alone_is_told_to_no_session),
        cmocka_unit_test(what_was_taken_back_is_told_though_only_idleness_seems_new),
        cmocka_unit_test(what_was_taken_back_meanwhile_is_told_to_who_comes_after),
        cmocka_unit_test(nobody_is_idle_after_a_reset),
        cmocka_unit_test(a_lease_is_held_from_the_first_session_to_the_end_of_grace),
        cmocka_unit_test(leases_end_with_the_store_when_the_hub_is_shut),
        cmocka_unit_test(the_store_can_ask_for_whom_leases_are_to_be_held),
        cmocka_unit_test(the_store_can_ask_for_tokens_in_use),
        cmocka_unit_test(a_poll_with_the_mark_of_another_node_is_shown_what_is_new),
        cmocka_unit_test(a_poll_ahead_of_this_node_is_told_when_it_gets_there),
        cmocka_unit_test(a_mark_does_not_pass_what_was_not_told),
        cmocka_unit_test(who_comes_while_a_poll_is_shown_what_is_new_is_told_to_it),
        cmocka_unit_test(who_is_announced_while_a_poll_is_shown_what_is_new_is_told_to_it_once),
        cmocka_unit_test(what_was_taken_back_is_told_to_who_heard_the_first_half),
        cmocka_unit_test(strangers_do_not_concern_a_poll),
        cmocka_unit_test(who_comes_into_a_thread_between_two_polls_is_shown),
        cmocka_unit_test(a_member_gets_what_came_after_they_had_joined),
        cmocka_unit_test(a_cursor_from_a_node_that_is_ahead_is_good),
        cmocka_unit_test(a_reset_ends_all_sessions_and_forgets_what_was_known),
        cmocka_unit_test(a_mark_of_what_was_lost_does_not_count),
        cmocka_unit_test(answers_from_before_a_reset_are_old),
        cmocka_unit_test(after_a_reset_everybody_is_read_again_however_long_it_takes),
        cmocka_unit_test(a_reset_while_everybody_is_read_begins_again),
        cmocka_unit_test(until_the_store_is_reached_nothing_is_asked_of_it),
        cmocka_unit_test(a_failed_start_leaves_the_hub_closed),
        cmocka_unit_test(a_store_that_goes_while_everybody_is_read_is_waited_for),
        cmocka_unit_test(shutting_down_before_the_store_is_reached_works),
        cmocka_unit_test(shutting_down_while_the_store_is_waited_for_works),
    };
    return cmocka_run_group_tests_name("hub nodes", tests, NULL, NULL);
}
