/* SPDX-License-Identifier: MIT */
/* Users, their presence, and tokens. */
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

/* --- tokens ----------------------------------------------------------------------------------------------------- */

static void a_token_says_whose_it_is(void **state)
{
    struct harness *h = *state;
    struct id token = id_random();
    int64_t expires_us = h->clock.wall_us + 3600000000;
    assert_ok(put_token(h, token, "alice", expires_us));
    assert_ok(put_token(h, id_random(), "bob", expires_us));
    assert_ok(get_token(h, token));
    assert_string_equal(h->got.token_user, "alice");
    assert_int_equal(h->got.token_expires_us, expires_us);
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
    assert_ok(put_token(h, token, "alice", h->clock.wall_us + 1000000));
    h->clock.wall_us += 999999;
    assert_ok(get_token(h, token));
    h->clock.wall_us += 1;
    assert_int_equal(get_token(h, token), ERR_NO_TOKEN);
    /* To delete it is to find none, too. */
    assert_int_equal(delete_token(h, token), ERR_NO_TOKEN);
}

static void a_deleted_token_is_gone(void **state)
{
    struct harness *h = *state;
    struct id token = id_random();
    assert_ok(put_token(h, token, "alice", h->clock.wall_us + 1000000));
    assert_ok(delete_token(h, token));
    assert_int_equal(get_token(h, token), ERR_NO_TOKEN);
    assert_int_equal(delete_token(h, token), ERR_NO_TOKEN);
}

static void putting_a_token_again_renews_it(void **state)
{
    struct harness *h = *state;
    struct id token = id_random();
    assert_ok(put_token(h, token, "alice", h->clock.wall_us + 1000000));
    assert_ok(put_token(h, token, "alice", h->clock.wall_us + 5000000));
    h->clock.wall_us += 2000000;
    assert_ok(get_token(h, token));
    assert_int_equal(h->got.token_expires_us, h->clock.wall_us + 3000000);
}

static const struct CMUnitTest tests[] = {
    CASE(a_user_is_known_after_user_put),
    CASE(a_name_is_replaced_by_a_name_only),
    CASE(presence_is_kept_as_last_set),
    CASE(presence_of_a_stranger_is_refused),
    CASE(users_are_listed_in_pages_by_the_bytes_of_their_ids),
    CASE(ids_are_taken_literally),
    CASE(a_token_says_whose_it_is),
    CASE(a_token_outlives_a_restart),
    CASE(a_token_ends_when_its_time_is_up),
    CASE(a_deleted_token_is_gone),
    CASE(putting_a_token_again_renews_it),
};

const struct cases user_cases = {tests, array_len(tests)};
