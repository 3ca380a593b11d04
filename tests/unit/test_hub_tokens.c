/* SPDX-License-Identifier: MIT */
/* Tokens say who somebody is; their end ends the sessions opened with them, as does that of a login. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/metric.h"
#include "core/hub.h"
#include "lib/failing_memory.h"
#include "lib/hub_rig.h"

enum { HOUR_MS = 3600 * 1000 };

struct checked {
    enum err err;
    char user[USER_ID_MAX + 1];
    int64_t expires_us;
};

static void note_checked(void *ctx, enum err err, const struct token_record *token)
{
    struct checked *checked = ctx;
    *checked = (struct checked){.err = err};
    if (err)
        return;
    memcpy(checked->user, token->user.data, token->user.len);
    checked->expires_us = token->expires_us;
}

static enum err check(struct rig *rig, struct id token, struct checked *checked)
{
    *checked = (struct checked){.err = ERR_COUNT};
    hub_token_check(rig->hub, token, note_checked, checked);
    hub_rig_turn(rig);
    return checked->err;
}

static void note_err(void *ctx, enum err err)
{
    *(enum err *)ctx = err;
}

static enum err revoke(struct rig *rig, struct id token, const char *user)
{
    enum err err = ERR_COUNT;
    hub_token_revoke(rig->hub, token, span_of(user), note_err, &err);
    hub_rig_turn(rig);
    return err;
}

/* Opens a session with a token as an adapter does: check, then attach. */
static enum err enter(struct rig *rig, struct viewer *viewer, struct id token)
{
    struct checked checked;
    enum err err = check(rig, token, &checked);
    if (err)
        return err;
    struct attach attach = {.token = &token, .expires_us = checked.expires_us};
    err = viewer_attach(viewer, rig, checked.user, &attach);
    hub_rig_turn(rig);
    return err;
}

static void a_token_is_checked_by_the_store_until_it_expires(void **state)
{
    (void)state;
    struct rig rig;
    struct id token;
    struct checked checked;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    int64_t issued_us = rig.clock.wall_us;
    assert_int_equal(hub_rig_token(&rig, "alice", &token), OK);
    assert_int_equal(check(&rig, token, &checked), OK);
    assert_string_equal(checked.user, "alice");
    assert_int_equal(checked.expires_us, issued_us + HOUR_MS * 1000LL);
    assert_int_equal(check(&rig, id_random(), &checked), ERR_NO_TOKEN);
    fake_clock_advance(&rig.clock, HOUR_MS - 1);
    assert_int_equal(check(&rig, token, &checked), OK);
    fake_clock_advance(&rig.clock, 1);
    assert_int_equal(check(&rig, token, &checked), ERR_NO_TOKEN);
    hub_rig_fini(&rig);
}

static void a_token_in_use_is_checked_at_once(void **state)
{
    (void)state;
    struct rig rig;
    struct id token;
    struct viewer alice = {0};
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    assert_int_equal(hub_rig_token(&rig, "alice", &token), OK);
    assert_int_equal(enter(&rig, &alice, token), OK);
    struct checked checked = {.err = ERR_COUNT};
    hub_token_check(rig.hub, token, note_checked, &checked);
    assert_int_equal(checked.err, OK);
    assert_string_equal(checked.user, "alice");
    assert_int_equal(fake_store_pending(rig.store), 0);
    viewer_leave(&alice);
    hub_token_check(rig.hub, token, note_checked, &checked);
    assert_int_equal(fake_store_pending(rig.store), 1);
    hub_rig_turn(&rig);
    hub_rig_fini(&rig);
}

static void never(void *ctx, enum err err, struct id token, int64_t ttl_ms)
{
    (void)ctx;
    (void)err;
    (void)token;
    (void)ttl_ms;
    fail_msg("done was called");
}

static void issuing_is_held_to_a_rate(void **state)
{
    (void)state;
    struct rig rig;
    struct id token;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    options.tokens_per_minute = 2;
    hub_rig_init_with(&rig, &options);
    assert_int_equal(hub_rig_token(&rig, "alice", &token), OK);
    assert_int_equal(hub_rig_token(&rig, "alice", &token), OK);
    struct user *alice = hub_rig_open(&rig, "alice");
    unsigned retry_s = 0;
    int64_t hits = metric_value(METRIC_LIMIT_TOKENS);
    assert_int_equal(hub_token_issue(alice, never, NULL, &retry_s), ERR_TOO_MANY);
    assert_int_equal(retry_s, 30);
    assert_int_equal(metric_value(METRIC_LIMIT_TOKENS), hits + 1);
    hub_user_close(alice);
    assert_int_equal(hub_rig_token(&rig, "bob", &token), OK);
    fake_clock_advance(&rig.clock, 30 * 1000);
    assert_int_equal(hub_rig_token(&rig, "alice", &token), OK);
    hub_rig_fini(&rig);
}

static void a_token_that_could_not_be_kept_is_an_error(void **state)
{
    (void)state;
    struct rig rig;
    struct id token;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct user *alice = hub_rig_open(&rig, "alice");
    fake_store_fail_next(rig.store, ERR_STORE_FULL);
    assert_int_equal(hub_rig_token(&rig, "alice", &token), ERR_STORE_FULL);
    hub_user_close(alice);
    hub_rig_fini(&rig);
}

static void a_token_opens_so_many_streams(void **state)
{
    (void)state;
    struct rig rig;
    struct id token, other;
    struct viewer viewers[4] = {0};
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    assert_int_equal(hub_rig_token(&rig, "alice", &token), OK);
    assert_int_equal(hub_rig_token(&rig, "alice", &other), OK);
    int64_t hits = metric_value(METRIC_LIMIT_STREAMS);
    assert_int_equal(enter(&rig, &viewers[0], token), OK);
    assert_int_equal(enter(&rig, &viewers[1], token), OK);
    assert_int_equal(enter(&rig, &viewers[2], token), ERR_TOO_MANY_SESSIONS);
    assert_int_equal(metric_value(METRIC_LIMIT_STREAMS), hits + 1);
    assert_int_equal(enter(&rig, &viewers[2], other), OK);
    viewer_leave(&viewers[0]);
    assert_int_equal(enter(&rig, &viewers[3], token), OK);
    for (size_t i = 1; i < 4; i++)
        viewer_leave(&viewers[i]);
    hub_rig_fini(&rig);
}

static void expiry_ends_the_sessions_of_a_token_and_no_others(void **state)
{
    (void)state;
    struct rig rig;
    struct id token, later;
    struct viewer first = {0}, second = {0}, other = {0}, login = {0};
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    assert_int_equal(hub_rig_token(&rig, "alice", &token), OK);
    assert_int_equal(enter(&rig, &first, token), OK);
    assert_int_equal(enter(&rig, &second, token), OK);
    viewer_join(&login, &rig, "alice");
    hub_rig_pass(&rig, 1000);
    assert_int_equal(hub_rig_token(&rig, "alice", &later), OK);
    assert_int_equal(enter(&rig, &other, later), OK);
    viewer_skip(&first);
    viewer_skip(&second);
    hub_rig_pass(&rig, HOUR_MS - 1001);
    assert_shown(&first, "");
    hub_rig_pass(&rig, 1);
    assert_shown(&first, "closed(no_token)");
    assert_shown(&second, "closed(no_token)");
    assert_true(session_attached(&other.session));
    assert_true(session_attached(&login.session));
    struct checked checked;
    assert_int_equal(check(&rig, token, &checked), ERR_NO_TOKEN);
    viewer_leave(&other);
    viewer_leave(&login);
    hub_rig_fini(&rig);
}

static void where_streams_outlive_their_token_they_stay(void **state)
{
    (void)state;
    struct rig rig;
    struct id token;
    struct viewer alice = {0};
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    options.token_ends_streams = false;
    hub_rig_init_with(&rig, &options);
    assert_int_equal(hub_rig_token(&rig, "alice", &token), OK);
    assert_int_equal(enter(&rig, &alice, token), OK);
    hub_rig_pass(&rig, 2 * HOUR_MS);
    assert_shown(&alice, "[+alice] .");
    struct checked checked;
    assert_int_equal(check(&rig, token, &checked), ERR_NO_TOKEN);
    viewer_leave(&alice);
    hub_rig_fini(&rig);
}

static void revoking_ends_sessions_whatever_the_option(void **state)
{
    (void)state;
    for (unsigned ends = 0; ends < 2; ends++) {
        struct rig rig;
        struct id token;
        struct viewer first = {0}, second = {0};
        struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
        options.token_ends_streams = ends;
        hub_rig_init_with(&rig, &options);
        assert_int_equal(hub_rig_token(&rig, "alice", &token), OK);
        assert_int_equal(enter(&rig, &first, token), OK);
        assert_int_equal(enter(&rig, &second, token), OK);
        viewer_skip(&first);
        viewer_skip(&second);
        assert_int_equal(revoke(&rig, token, "alice"), OK);
        assert_shown(&first, "closed(no_token)");
        assert_shown(&second, "closed(no_token)");
        struct checked checked;
        assert_int_equal(check(&rig, token, &checked), ERR_NO_TOKEN);
        assert_int_equal(revoke(&rig, token, "alice"), ERR_NO_TOKEN);
        hub_rig_fini(&rig);
    }
}

static void a_token_revoked_since_its_check_opens_nothing(void **state)
{
    (void)state;
    struct rig rig;
    struct id token;
    struct checked checked;
    struct viewer late = {0};
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    assert_int_equal(hub_rig_token(&rig, "alice", &token), OK);
    assert_int_equal(check(&rig, token, &checked), OK);
    assert_int_equal(revoke(&rig, token, "alice"), OK);
    assert_int_equal(enter(&rig, &late, token), ERR_NO_TOKEN);
    hub_rig_pass(&rig, 2 * 60 * 1000);
    hub_rig_fini(&rig);
}

static void nobody_revokes_the_token_of_another(void **state)
{
    (void)state;
    struct rig rig;
    struct id token;
    struct viewer alice = {0};
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    assert_int_equal(hub_rig_token(&rig, "alice", &token), OK);
    assert_int_equal(enter(&rig, &alice, token), OK);
    assert_int_equal(revoke(&rig, token, "mallory"), ERR_NO_TOKEN);
    assert_int_equal(revoke(&rig, token, "alic"), ERR_NO_TOKEN);
    assert_true(session_attached(&alice.session));
    fake_store_fail_next(rig.store, ERR_STORE);
    assert_int_equal(revoke(&rig, token, "alice"), ERR_STORE);
    assert_true(session_attached(&alice.session));
    viewer_leave(&alice);
    hub_rig_fini(&rig);
}

static void a_token_that_ends_elsewhere_ends_here(void **state)
{
    (void)state;
    struct rig rig;
    struct id token, unused;
    struct viewer alice = {0};
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    assert_int_equal(hub_rig_token(&rig, "alice", &token), OK);
    assert_int_equal(hub_rig_token(&rig, "alice", &unused), OK);
    assert_int_equal(enter(&rig, &alice, token), OK);
    viewer_skip(&alice);
    fake_store_end_token_elsewhere(rig.store, unused);
    assert_shown(&alice, "");
    fake_store_end_token_elsewhere(rig.store, token);
    assert_shown(&alice, "closed(no_token)");
    hub_rig_fini(&rig);
}

/* --- the time a login has */

static void come_until(struct rig *rig, struct viewer *viewer, int64_t expires_us)
{
    struct attach attach = {.expires_us = expires_us};
    assert_int_equal(viewer_attach(viewer, rig, "alice", &attach), OK);
    hub_rig_turn(rig);
    viewer_skip(viewer);
}

static void a_session_ends_with_the_login_it_was_opened_with(void **state)
{
    (void)state;
    struct rig rig;
    struct viewer forever = {0}, hour = {0}, past = {0};
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    come_until(&rig, &forever, 0);
    come_until(&rig, &hour, rig.clock.wall_us + HOUR_MS * 1000LL - 1);
    come_until(&rig, &past, rig.clock.wall_us);
    assert_int_equal(past.why, ERR_UNAUTHORIZED);
    hub_rig_pass(&rig, HOUR_MS - 1);
    assert_shown(&hour, "");
    hub_rig_pass(&rig, 1);
    assert_shown(&hour, "closed(unauthorized)");
    assert_shown(&forever, "");
    viewer_leave(&forever);
    hub_rig_fini(&rig);
}

static void a_wall_clock_set_back_gives_a_login_more_time(void **state)
{
    (void)state;
    struct rig rig;
    struct viewer alice = {0};
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    come_until(&rig, &alice, rig.clock.wall_us + HOUR_MS * 1000LL);
    rig.clock.wall_us -= 60 * 1000000;
    hub_rig_pass(&rig, HOUR_MS + 59999);
    assert_shown(&alice, "");
    hub_rig_pass(&rig, 1);
    assert_shown(&alice, "closed(unauthorized)");
    hub_rig_fini(&rig);
}

static void a_newer_login_extends_a_session(void **state)
{
    (void)state;
    struct rig rig;
    struct viewer alice = {0};
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    come_until(&rig, &alice, rig.clock.wall_us + HOUR_MS * 1000LL);
    assert_int_equal(hub_extend(&alice.session, rig.clock.wall_us + 2 * HOUR_MS * 1000LL), OK);
    hub_rig_pass(&rig, HOUR_MS);
    assert_shown(&alice, "");
    assert_int_equal(hub_extend(&alice.session, 0), OK);
    hub_rig_pass(&rig, 2 * HOUR_MS);
    assert_shown(&alice, "");
    memory_fail_at(1);
    assert_int_equal(hub_extend(&alice.session, rig.clock.wall_us + 1000), ERR_NO_MEMORY);
    memory_fail_at(0);
    hub_rig_pass(&rig, 1000);
    assert_shown(&alice, ""); /* it ends when it would have: never */
    assert_int_equal(hub_extend(&alice.session, rig.clock.wall_us + 1000), OK);
    hub_rig_pass(&rig, 1);
    assert_shown(&alice, "closed(unauthorized)");
    assert_int_equal(hub_extend(&alice.session, rig.clock.wall_us + 1000), OK); /* no effect */
    hub_rig_fini(&rig);
}

static void a_login_does_not_extend_a_session_by_token(void **state)
{
    (void)state;
    struct rig rig;
    struct id token;
    struct viewer alice = {0};
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    assert_int_equal(hub_rig_token(&rig, "alice", &token), OK);
    assert_int_equal(enter(&rig, &alice, token), OK);
    viewer_skip(&alice);
    assert_int_equal(hub_extend(&alice.session, rig.clock.wall_us + 2 * HOUR_MS * 1000LL), OK);
    hub_rig_pass(&rig, HOUR_MS);
    assert_shown(&alice, "closed(no_token)");
    hub_rig_fini(&rig);
}

static void a_login_whose_end_has_no_memory_is_not_taken(void **state)
{
    (void)state;
    struct rig rig;
    struct viewer alice = {0};
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    struct user *user = hub_rig_open(&rig, "alice");
    struct attach attach = {.expires_us = rig.clock.wall_us + 1000};
    memory_fail_at(1);
    assert_int_equal(viewer_attach(&alice, &rig, "alice", &attach), ERR_NO_MEMORY);
    memory_fail_at(0);
    hub_user_close(user);
    hub_rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_checked_by_the_store_until_it_expires),
        cmocka_unit_test(a_token_in_use_is_checked_at_once),
        cmocka_unit_test(issuing_is_held_to_a_rate),
        cmocka_unit_test(a_token_that_could_not_be_kept_is_an_error),
        cmocka_unit_test(a_token_opens_so_many_streams),
        cmocka_unit_test(expiry_ends_the_sessions_of_a_token_and_no_others),
        cmocka_unit_test(where_streams_outlive_their_token_they_stay),
        cmocka_unit_test(revoking_ends_sessions_whatever_the_option),
        cmocka_unit_test(a_token_revoked_since_its_check_opens_nothing),
        cmocka_unit_test(nobody_revokes_the_token_of_another),
        cmocka_unit_test(a_token_that_ends_elsewhere_ends_here),
        cmocka_unit_test(a_session_ends_with_the_login_it_was_opened_with),
        cmocka_unit_test(a_wall_clock_set_back_gives_a_login_more_time),
        cmocka_unit_test(a_newer_login_extends_a_session),
        cmocka_unit_test(a_login_does_not_extend_a_session_by_token),
        cmocka_unit_test(a_login_whose_end_has_no_memory_is_not_taken),
    };
    return cmocka_run_group_tests_name("hub tokens", tests, NULL, NULL);
}
