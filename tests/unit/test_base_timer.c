/* SPDX-License-Identifier: MIT */
/* Timers: a heap of deadlines against a plain list, and what callbacks may do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/timer.h"

static struct timers timers;

/* What fired, in order. */
static struct timer *fired[1024];
static size_t fired_count;

static void record(struct timer *timer)
{
    assert_false(timer_is_set(timer));
    assert_true(fired_count < array_len(fired));
    fired[fired_count++] = timer;
}

static struct timer make(void (*fire)(struct timer *timer))
{
    struct timer timer;
    assert_int_equal(timer_init(&timers, &timer, fire), OK);
    return timer;
}

static int start(void **state)
{
    (void)state;
    timers = TIMERS_INIT;
    fired_count = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    timers_fini(&timers);
    return 0;
}

static void timers_fire_in_order_when_they_are_due(void **state)
{
    (void)state;
    struct timer a = make(record);
    struct timer b = make(record);
    struct timer c = make(record);
    timer_set(&timers, &a, 30);
    timer_set(&timers, &b, 10);
    timer_set(&timers, &c, 20);
    assert_int_equal(timers_next(&timers), 10);

    timers_run(&timers, 9);
    assert_int_equal(fired_count, 0);
    timers_run(&timers, 20);
    assert_int_equal(fired_count, 2);
    assert_ptr_equal(fired[0], &b);
    assert_ptr_equal(fired[1], &c);
    assert_true(timer_is_set(&a));
    assert_int_equal(timers_next(&timers), 30);
}

static void with_no_timer_set_there_is_no_deadline(void **state)
{
    (void)state;
    assert_int_equal(timers_next(&timers), INT64_MAX);
    struct timer a = make(record);
    assert_int_equal(timers_next(&timers), INT64_MAX);
    timer_set(&timers, &a, 5);
    timer_clear(&timers, &a);
    assert_int_equal(timers_next(&timers), INT64_MAX);
    timers_run(&timers, INT64_MAX);
    assert_int_equal(fired_count, 0);
}

static void setting_again_moves_the_deadline(void **state)
{
    (void)state;
    struct timer a = make(record);
    timer_set(&timers, &a, 10);
    timer_set(&timers, &a, 50);
    timers_run(&timers, 49);
    assert_int_equal(fired_count, 0);
    timer_set(&timers, &a, 20);
    timers_run(&timers, 49);
    assert_int_equal(fired_count, 1);
}

static void clearing_twice_or_unset_does_nothing(void **state)
{
    (void)state;
    struct timer a = make(record);
    timer_clear(&timers, &a);
    timer_set(&timers, &a, 1);
    timer_clear(&timers, &a);
    timer_clear(&timers, &a);
    assert_false(timer_is_set(&a));
}

static void fini_takes_a_timer_out_and_may_come_twice_or_on_zeros(void **state)
{
    (void)state;
    struct timer a = make(record);
    struct timer b = make(record);
    struct timer zero = {0};
    timer_set(&timers, &a, 1);
    timer_set(&timers, &b, 2);
    timer_fini(&timers, &a);
    timer_fini(&timers, &a);
    timer_fini(&timers, &zero);
    timers_run(&timers, 10);
    assert_int_equal(fired_count, 1);
    assert_ptr_equal(fired[0], &b);
    assert_int_equal(timers.reserved, 1);
}

static void set_again_at_once(struct timer *timer)
{
    record(timer);
    timer_set(&timers, timer, 100);
}

/* A timer that is set for now by its own callback must not keep the loop from its other work. */
static void a_timer_set_for_now_waits_for_the_next_run(void **state)
{
    (void)state;
    struct timer a = make(set_again_at_once);
    struct timer b = make(record);
    timer_set(&timers, &a, 100);
    timer_set(&timers, &b, 100);
    timers_run(&timers, 100);
    assert_int_equal(fired_count, 2);
    timers_run(&timers, 100);
    assert_int_equal(fired_count, 3);
    assert_ptr_equal(fired[2], &a);
}

static void set_again_earlier(struct timer *timer)
{
    record(timer);
    if (fired_count < 3)
        timer_set(&timers, timer, 99);
}

static void a_timer_set_for_the_past_fires_in_the_same_run(void **state)
{
    (void)state;
    struct timer a = make(set_again_earlier);
    timer_set(&timers, &a, 100);
    timers_run(&timers, 100);
    assert_int_equal(fired_count, 3);
}

static struct timer victim;

static void clear_victim(struct timer *timer)
{
    record(timer);
    timer_fini(&timers, &victim);
}

static void a_callback_may_end_another_timer_that_is_due(void **state)
{
    (void)state;
    struct timer a = make(clear_victim);
    victim = make(record);
    timer_set(&timers, &a, 1);
    timer_set(&timers, &victim, 2);
    timers_run(&timers, 10);
    assert_int_equal(fired_count, 1);
}

static void end_self(struct timer *timer)
{
    record(timer);
    timer_fini(&timers, timer);
    free(timer);
}

static void a_callback_may_free_its_timer(void **state)
{
    (void)state;
    struct timer *a = malloc(sizeof(*a));
    assert_non_null(a);
    *a = make(end_self);
    timer_set(&timers, a, 1);
    timers_run(&timers, 1);
    assert_int_equal(fired_count, 1);
    assert_int_equal(timers.reserved, 0);
}

/* --- random operations against a list in which the due ones are looked up by hand --- */

enum { MODEL_TIMERS = 200, MODEL_STEPS = 20000 };

static struct timer model[MODEL_TIMERS];
static int64_t model_due_ms[MODEL_TIMERS]; /* -1: not set */
static int64_t model_now_ms;
static int64_t model_last_ms; /* deadline of the one that fired last in this run */

static uint32_t draw(uint32_t below)
{
    static uint32_t seed = 2463534242;
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % below;
}

static void model_fire(struct timer *timer)
{
    size_t i = (size_t)(timer - model);
    assert_true(model_due_ms[i] >= 0 && model_due_ms[i] <= model_now_ms);
    assert_true(model_due_ms[i] >= model_last_ms);
    model_last_ms = model_due_ms[i];
    model_due_ms[i] = -1;
}

static int64_t model_next(void)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < MODEL_TIMERS; i++)
        if (model_due_ms[i] >= 0 && model_due_ms[i] < next)
            next = model_due_ms[i];
    return next;
}

static void model_step(void)
{
    size_t i = draw(MODEL_TIMERS);
    switch (draw(8)) {
    case 0:
        timer_clear(&timers, &model[i]);
        model_due_ms[i] = -1;
        break;
    case 1:
        timer_fini(&timers, &model[i]);
        assert_int_equal(timer_init(&timers, &model[i], model_fire), OK);
        model_due_ms[i] = -1;
        break;
    case 2:
        model_now_ms += draw(20);
        model_last_ms = 0;
        timers_run(&timers, model_now_ms);
        assert_true(model_next() > model_now_ms);
        break;
    default:
        model_due_ms[i] = model_now_ms + draw(300);
        timer_set(&timers, &model[i], model_due_ms[i]);
        break;
    }
}

static void random_operations_agree_with_a_plain_list(void **state)
{
    (void)state;
    for (size_t i = 0; i < MODEL_TIMERS; i++) {
        assert_int_equal(timer_init(&timers, &model[i], model_fire), OK);
        model_due_ms[i] = -1;
    }
    for (int step = 0; step < MODEL_STEPS; step++) {
        model_step();
        assert_int_equal(timers_next(&timers), model_next());
        size_t i = draw(MODEL_TIMERS);
        assert_int_equal(timer_is_set(&model[i]), model_due_ms[i] >= 0);
    }
}

#define timer_test(name) cmocka_unit_test_setup_teardown(name, start, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        timer_test(timers_fire_in_order_when_they_are_due),
        timer_test(with_no_timer_set_there_is_no_deadline),
        timer_test(setting_again_moves_the_deadline),
        timer_test(clearing_twice_or_unset_does_nothing),
        timer_test(fini_takes_a_timer_out_and_may_come_twice_or_on_zeros),
        timer_test(a_timer_set_for_now_waits_for_the_next_run),
        timer_test(a_timer_set_for_the_past_fires_in_the_same_run),
        timer_test(a_callback_may_end_another_timer_that_is_due),
        timer_test(a_callback_may_free_its_timer),
        timer_test(random_operations_agree_with_a_plain_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
