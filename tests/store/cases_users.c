/* SPDX-License-Identifier: MIT */
/* Users, their presence, and tokens. */
#include <stdlib.h>

#include "harness.h"

static void a_user_is_known_after_user_put(void **state)
{
    struct harness *h = *state;
    assert_ok(put_user(h, "alice", "Alice"));
    assert_string_equal(h->got.user.id, "alice");
    assert_string_equal(h->got.user.name, "Alice");
    assert_string_equal(h->got.user.status, "");
    assert_int_equal(h->got.user.show, SHOW_CHAT);
    assert_ok(list_users(h, "", 10));
    assert_buf(h->got.users, "alice ");
}

static void a_name_is_replaced_by_a_name_only(void **state)
{
    struct harness *h = *state;
    assert_ok(put_user(h, "alice", ""));
    assert_string_equal(h->got.user.name, "");
    assert_ok(put_user(h, "alice", "Alice"));
    assert_ok(put_user(h, "alice", ""));
    assert_string_equal(h->got.user.name, "Alice");
    assert_ok(put_user(h, "alice", "Alice B."));
    assert_ok(put_user(h, "alice", ""));
    assert_string_equal(h->got.user.name, "Alice B.");
}

static void presence_is_kept_as_last_set(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob");
    assert_ok(set_presence(h, "alice", SHOW_DND, "in a \"meeting\" — 会议"));
    assert_ok(set_presence(h, "bob", SHOW_XA, "gone"));
    assert_ok(set_presence(h, "bob", SHOW_AWAY, ""));
    reopen_store(h);
    assert_ok(put_user(h, "alice", "Alice"));
    assert_int_equal(h->got.user.show, SHOW_DND);
    assert_string_equal(h->got.user.status, "in a \"meeting\" — 会议");
    assert_ok(put_user(h, "bob", ""));
    assert_int_equal(h->got.user.show, SHOW_AWAY);
    assert_string_equal(h->got.user.status, "");
}

static void presence_of_a_stranger_is_refused(void **state)
{
    struct harness *h = *state;
    assert_int_equal(set_presence(h, "nobody", SHOW_CHAT, "hi"), ERR_NO_USER);
    assert_ok(list_users(h, "", 10));
    assert_buf(h->got.users, "");
}

static void users_are_listed_in_pages_by_the_bytes_of_their_ids(void **state)
{
    struct harness *h = *state;
    make_users(h, "bob a Zoe alice élan al ab");
    assert_ok(list_users(h, "", 3));
    assert_buf(h->got.users, "Zoe a ab ");
    assert_ok(list_users(h, "ab", 3));
    assert_buf(h->got.users, "al alice bob ");
    assert_ok(list_users(h, "bob", 3));
    assert_buf(h->got.users, "élan ");
    assert_ok(list_users(h, "élan", 3));
    assert_buf(h->got.users, "");
    assert_ok(list_users(h, "aa", 1));
    assert_buf(h->got.users, "ab ");
    assert_ok(list_users(h, "", 0));
    assert_buf(h->got.users, "");
}

static void ids_are_taken_literally(void **state)
{
    struct harness *h = *state;
    const char *const odd[] = {"'; DROP TABLE users; --", "100%", "a_b", "ALICE", "alice", "\"x\"", "*", "日本"};
    for (size_t i = 0; i < array_len(odd); i++)
        assert_ok(put_user(h, odd[i], odd[i]));
    for (size_t i = 0; i < array_len(odd); i++) {
        assert_ok(put_user(h, odd[i], ""));
        assert_string_equal(h->got.user.id, odd[i]);
        assert_string_equal(h->got.user.name, odd[i]);
    }
}

static void a_list_tells_how_users_are(void **state)
{
    struct harness *h = *state;
    assert_ok(put_user(h, "alice", "Alice"));
    assert_ok(set_presence(h, "alice", SHOW_DND, "in a meeting"));
    assert_ok(list_users(h, "", 10));
    assert_string_equal(h->got.user.id, "alice");
    assert_string_equal(h->got.user.name, "Alice");
    assert_string_equal(h->got.user.status, "in a meeting");
    assert_int_equal(h->got.user.show, SHOW_DND);
    assert_false(h->got.user.available);
}

static void setting_a_presence_tells_how_the_user_is(void **state)
{
    struct harness *h = *state;
    assert_ok(put_user(h, "alice", "Alice"));
    assert_ok(set_presence(h, "alice", SHOW_XA, "on leave"));
    assert_string_equal(h->got.user.id, "alice");
    assert_string_equal(h->got.user.name, "Alice");
    assert_string_equal(h->got.user.status, "on leave");
    assert_int_equal(h->got.user.show, SHOW_XA);
    assert_false(h->got.user.available);
}

static void ids_may_be_long(void **state)
{
    struct harness *h = *state;
    char id[129];
    for (size_t i = 0; i < sizeof(id) - 1; i++)
        id[i] = (char)('!' + i % 90);
    id[sizeof(id) - 1] = '\0';
    assert_ok(put_user(h, id, id));
    assert_ok(set_presence(h, id, SHOW_AWAY, id));
    assert_ok(list_users(h, "", 2));
    assert_string_equal(h->got.user.id, id);
    assert_string_equal(h->got.user.name, id);
    assert_string_equal(h->got.user.status, id);
    struct id token = id_random();
    assert_ok(put_token(h, token, id, h->clock.wall_us + 3600000000));
    assert_ok(get_token(h, token));
    assert_string_equal(h->got.token_user, id);
}

/* --- leases and versions ---------------------------------------------------------------------------------------- */

static void a_lease_is_not_answered_and_harms_nothing(void **state)
{
    struct harness *h = *state;
    const struct store_ops *ops = h->store->ops;
    struct span alice = SPAN_LITERAL("alice");
    make_users(h, "alice bob");
    ops->lease(h->store, alice, LEASE_HELD);
    ops->lease(h->store, alice, LEASE_HELD);
    ops->lease(h->store, SPAN_LITERAL("bob"), LEASE_NONE);
    ops->lease(h->store, alice, LEASE_IDLE);
    assert_ok(list_users(h, "", 10));
    ops->lease(h->store, alice, LEASE_NONE);
    ops->lease(h->store, alice, LEASE_NONE);
    ops->lease(h->store, alice, LEASE_HELD);
    assert_ok(list_users(h, "", 10));
    assert_journal(h, "done; done; ");
    assert_buf(h->got.users, "alice bob ");
    ops->lease(h->store, alice, LEASE_GOODBYE);
    ops->lease(h->store, alice, LEASE_GOODBYE);
    reopen_store(h);
    assert_ok(list_users(h, "", 1));
    assert_string_equal(h->got.user.id, "alice");
}

/* A store that counts no versions has one node only, and leaves all that to the hub. */
static void leases_make_users_available_and_idle_where_there_may_be_other_nodes(void **state)
{
    struct harness *h = *state;
    bool nodes = h->got.bounds.version > 0;
    const struct {
        enum lease lease;
        bool available, idle;
    } steps[] = {
        {LEASE_IDLE, nodes, nodes}, {LEASE_HELD, nodes, false}, {LEASE_IDLE, nodes, nodes},
        {LEASE_NONE, false, false}, {LEASE_HELD, nodes, false}, {LEASE_GOODBYE, false, false},
    };
    make_users(h, "alice");
    for (size_t i = 0; i < array_len(steps); i++) {
        int64_t before = h->version;
        h->store->ops->lease(h->store, SPAN_LITERAL("alice"), steps[i].lease);
        assert_ok(list_users(h, "", 10));
        assert_int_equal(h->got.user.available, steps[i].available);
        assert_int_equal(h->got.user.idle, steps[i].idle);
        /* Each of them is a change like any other. */
        assert_int_equal(h->got.user.version > before, nodes);
        wait_until(h, h->version == h->got.user.version || !nodes);
    }
    if (nodes)
        assert_buf(h->user_events, "alice off chat; alice idle chat; alice on chat; alice idle chat; alice off chat; "
                                   "alice on chat; alice off chat; ");
}

/* Either a store has versions, and then tells of every change, or it has none at all. */
static void versions_increase_with_every_change_of_a_user(void **state)
{
    struct harness *h = *state;
    int64_t first = h->got.bounds.version;
    assert_ok(put_user(h, "alice", "Alice"));
    int64_t put = h->got.user.version;
    assert_int_equal(put > 0, first > 0);
    assert_ok(put_user(h, "bob", ""));
    int64_t other = h->got.user.version;
    assert_ok(set_presence(h, "alice", SHOW_DND, "busy"));
    int64_t set = h->got.user.version;
    /* What changes nothing is no version. */
    assert_ok(put_user(h, "alice", "Alice"));
    assert_int_equal(h->got.user.version, set);
    assert_ok(put_user(h, "bob", ""));
    assert_int_equal(h->got.user.version, other);
    if (first) {
        assert_true(first < put && put < other && other < set);
        wait_until(h, h->version == set);
        assert_buf(h->user_events, "alice (Alice) off chat; bob off chat; alice (Alice) off dnd \"busy\"; ");
    } else {
        assert_int_equal(other, 0);
        assert_int_equal(set, 0);
        assert_buf(h->user_events, "");
    }
    reopen_store(h);
    assert_int_equal(h->got.bounds.version, set);
}

/* --- tokens ----------------------------------------------------------------------------------------------------- */

static void assert_expires(struct harness *h, int64_t expires_us)
{
    assert_true(llabs(h->got.token_expires_us - expires_us) <= h->factory->token_slack_us);
}

static void a_token_says_whose_it_is(void **state)
{
    struct harness *h = *state;
    struct id token = id_random();
    int64_t expires_us = h->clock.wall_us + 3600000000;
    assert_ok(put_token(h, token, "alice", expires_us));
    assert_ok(put_token(h, id_random(), "bob", expires_us));
    assert_ok(get_token(h, token));
    assert_string_equal(h->got.token_user, "alice");
    assert_expires(h, expires_us);
    assert_int_equal(get_token(h, id_random()), ERR_NO_TOKEN);
}

static void a_token_outlives_a_restart(void **state)
{
    struct harness *h = *state;
    struct id token = id_random();
    assert_ok(put_token(h, token, "alice", h->clock.wall_us + 3600000000));
    reopen_store(h);
    assert_ok(get_token(h, token));
    assert_string_equal(h->got.token_user, "alice");
}

static void a_token_ends_when_its_time_is_up(void **state)
{
    struct harness *h = *state;
    struct id token = id_random();
    int64_t slack_us = h->factory->token_slack_us;
    assert_ok(put_token(h, token, "alice", h->clock.wall_us + 60000000));
    pass_us(h, 60000000 - 1 - slack_us);
    assert_ok(get_token(h, token));
    pass_us(h, 1 + slack_us);
    assert_int_equal(get_token(h, token), ERR_NO_TOKEN);
    /* To delete it is to find none, too. */
    assert_int_equal(delete_token(h, token), ERR_NO_TOKEN);
}

static void a_token_that_has_ended_already_is_none(void **state)
{
    struct harness *h = *state;
    struct id token = id_random();
    const int64_t ago_us[] = {0, 1, 3600000000};
    for (size_t i = 0; i < array_len(ago_us); i++) {
        assert_ok(put_token(h, token, "alice", h->clock.wall_us - ago_us[i]));
        pass_us(h, h->factory->token_slack_us);
        assert_int_equal(get_token(h, token), ERR_NO_TOKEN);
    }
    assert_int_equal(delete_token(h, token), ERR_NO_TOKEN);
}

static void a_deleted_token_is_gone(void **state)
{
    struct harness *h = *state;
    struct id token = id_random();
    assert_ok(put_token(h, token, "alice", h->clock.wall_us + 60000000));
    assert_ok(delete_token(h, token));
    assert_int_equal(get_token(h, token), ERR_NO_TOKEN);
    assert_int_equal(delete_token(h, token), ERR_NO_TOKEN);
}

static void putting_a_token_again_renews_it(void **state)
{
    struct harness *h = *state;
    struct id token = id_random();
    assert_ok(put_token(h, token, "alice", h->clock.wall_us + 10000000));
    assert_ok(put_token(h, token, "alice", h->clock.wall_us + 50000000));
    pass_us(h, 20000000);
    assert_ok(get_token(h, token));
    assert_expires(h, h->clock.wall_us + 30000000);
}

static const struct CMUnitTest tests[] = {
    CASE(a_user_is_known_after_user_put),
    CASE(a_name_is_replaced_by_a_name_only),
    CASE(presence_is_kept_as_last_set),
    CASE(presence_of_a_stranger_is_refused),
    CASE(users_are_listed_in_pages_by_the_bytes_of_their_ids),
    CASE(ids_are_taken_literally),
    CASE(a_list_tells_how_users_are),
    CASE(setting_a_presence_tells_how_the_user_is),
    CASE(ids_may_be_long),
    CASE(a_lease_is_not_answered_and_harms_nothing),
    CASE(leases_make_users_available_and_idle_where_there_may_be_other_nodes),
    CASE(versions_increase_with_every_change_of_a_user),
    CASE(a_token_says_whose_it_is),
    CASE(a_token_outlives_a_restart),
    CASE(a_token_ends_when_its_time_is_up),
    CASE(a_token_that_has_ended_already_is_none),
    CASE(a_deleted_token_is_gone),
    CASE(putting_a_token_again_renews_it),
};

const struct cases user_cases = {tests, array_len(tests)};
