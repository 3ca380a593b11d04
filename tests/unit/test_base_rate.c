/* SPDX-License-Identifier: MIT */
/* Token buckets: what they allow, how long they make one wait, and that their table stays bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/rate.h"

static const struct span alice = SPAN_LITERAL("alice");
static const struct span bob = SPAN_LITERAL("bob");

/* How many takes succeed at once at `now_ms`. */
static unsigned take_all(struct rate *rate, struct span key, int64_t now_ms)
{
    unsigned taken = 0;
    while (taken < 1000 && rate_take(rate, key, now_ms) == 0)
        taken++;
    return taken;
}

static void a_full_bucket_holds_its_burst(void **state)
{
    (void)state;
    struct rate *rate = rate_new(60, 5, 10);
    assert_non_null(rate);
    assert_int_equal(take_all(rate, alice, 1000), 5);
    rate_free(rate);
}

static void it_refills_at_its_rate_and_not_above_its_burst(void **state)
{
    (void)state;
    struct rate *rate = rate_new(60, 5, 10);
    assert_int_equal(take_all(rate, alice, 1000), 5);
    assert_int_equal(take_all(rate, alice, 1999), 0);
    assert_int_equal(take_all(rate, alice, 2000), 1);
    assert_int_equal(take_all(rate, alice, 4500), 2);
    assert_int_equal(take_all(rate, alice, 5000), 1);
    assert_int_equal(take_all(rate, alice, 3600000), 5);
    rate_free(rate);
}

static void whoever_must_wait_is_told_how_long_and_that_is_enough(void **state)
{
    (void)state;
    struct rate *rate = rate_new(4, 2, 10);
    assert_int_equal(take_all(rate, alice, 0), 2);
    assert_int_equal(rate_take(rate, alice, 0), 15);
    assert_int_equal(rate_take(rate, alice, 14000), 1);
    assert_int_equal(rate_take(rate, alice, 14999), 1);
    assert_int_equal(rate_take(rate, alice, 15000), 0);
    rate_free(rate);
}

static void a_refused_take_takes_nothing(void **state)
{
    (void)state;
    struct rate *rate = rate_new(60, 1, 10);
    assert_int_equal(rate_take(rate, alice, 0), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(rate_take(rate, alice, 0), 1);
    assert_int_equal(rate_take(rate, alice, 1000), 0);
    rate_free(rate);
}

static void looking_takes_nothing(void **state)
{
    (void)state;
    struct rate *rate = rate_new(60, 1, 10);
    assert_int_equal(rate_wait(rate, alice, 0), 0);
    assert_int_equal(rate_wait(rate, alice, 0), 0);
    assert_int_equal(rate_take(rate, alice, 0), 0);
    assert_int_equal(rate_wait(rate, alice, 0), 1);
    assert_int_equal(rate_wait(rate, alice, 1000), 0);
    rate_free(rate);
}

static void keys_have_buckets_of_their_own(void **state)
{
    (void)state;
    struct rate *rate = rate_new(60, 2, 10);
    assert_int_equal(take_all(rate, alice, 0), 2);
    assert_int_equal(take_all(rate, bob, 0), 2);
    assert_int_equal(take_all(rate, SPAN_LITERAL("bo"), 0), 2);
    assert_int_equal(take_all(rate, SPAN_LITERAL("bob\0"), 0), 2);
    rate_free(rate);
}

/* The peer of a Unix socket has no address. */
static void no_key_is_a_key_too(void **state)
{
    (void)state;
    struct rate *rate = rate_new(60, 2, 10);
    assert_int_equal(take_all(rate, (struct span){0}, 0), 2);
    assert_int_equal(take_all(rate, SPAN_LITERAL(""), 0), 0);
    assert_int_equal(rate_wait(rate, (struct span){0}, 0), 1);
    rate_free(rate);
}

static void a_rate_of_0_is_no_limit(void **state)
{
    (void)state;
    struct rate *rate = rate_new(0, 1, 1);
    assert_int_equal(take_all(rate, alice, 0), 1000);
    assert_int_equal(rate_wait(rate, alice, 0), 0);
    rate_free(rate);
}

static void time_may_start_anywhere(void **state)
{
    (void)state;
    struct rate *rate = rate_new(60, 3, 10);
    assert_int_equal(take_all(rate, alice, INT64_C(1) << 40), 3);
    assert_int_equal(rate_take(rate, alice, INT64_C(1) << 40), 1);
    rate_free(rate);
}

static void when_the_table_is_full_the_one_idle_longest_gives_way(void **state)
{
    (void)state;
    struct rate *rate = rate_new(1, 1, 3);
    const struct span carol = SPAN_LITERAL("carol");
    const struct span dave = SPAN_LITERAL("dave");
    assert_int_equal(rate_take(rate, alice, 0), 0);
    assert_int_equal(rate_take(rate, bob, 1000), 0);
    assert_int_equal(rate_take(rate, carol, 2000), 0);
    assert_int_equal(rate_take(rate, dave, 3000), 0);
    assert_int_equal(rate_wait(rate, alice, 3000), 0);
    assert_int_not_equal(rate_wait(rate, bob, 3000), 0);
    assert_int_not_equal(rate_wait(rate, carol, 3000), 0);
    assert_int_not_equal(rate_wait(rate, dave, 3000), 0);
    rate_free(rate);
}

static void a_take_counts_as_use(void **state)
{
    (void)state;
    struct rate *rate = rate_new(1, 2, 2);
    assert_int_equal(rate_take(rate, alice, 0), 0);
    assert_int_equal(rate_take(rate, bob, 1), 0);
    assert_int_equal(rate_take(rate, alice, 2), 0);
    assert_int_equal(rate_take(rate, SPAN_LITERAL("carol"), 3), 0);
    assert_int_not_equal(rate_wait(rate, alice, 4), 0);
    rate_free(rate);
}

static void a_flood_of_keys_does_not_reach_a_busy_one(void **state)
{
    (void)state;
    struct rate *rate = rate_new(1, 1, 100);
    assert_int_equal(rate_take(rate, alice, 0), 0);
    for (int i = 0; i < 99; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "%d", i);
        assert_int_equal(rate_take(rate, span_of(key), 1), 0);
    }
    assert_int_not_equal(rate_take(rate, alice, 2), 0);
    rate_free(rate);
}

static void nothing_may_be_freed(void **state)
{
    (void)state;
    rate_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_bucket_holds_its_burst),
        cmocka_unit_test(it_refills_at_its_rate_and_not_above_its_burst),
        cmocka_unit_test(whoever_must_wait_is_told_how_long_and_that_is_enough),
        cmocka_unit_test(a_refused_take_takes_nothing),
        cmocka_unit_test(looking_takes_nothing),
        cmocka_unit_test(keys_have_buckets_of_their_own),
        cmocka_unit_test(no_key_is_a_key_too),
        cmocka_unit_test(a_rate_of_0_is_no_limit),
        cmocka_unit_test(time_may_start_anywhere),
        cmocka_unit_test(when_the_table_is_full_the_one_idle_longest_gives_way),
        cmocka_unit_test(a_take_counts_as_use),
        cmocka_unit_test(a_flood_of_keys_does_not_reach_a_busy_one),
        cmocka_unit_test(nothing_may_be_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
