/* SPDX-License-Identifier: MIT */
/* The table of metrics is fit to be exposed, and its numbers add up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "base/metric.h"

static const char *exposed(int metric)
{
    return metric_row((enum metric)metric)->exposed;
}

static void names_are_those_of_prometheus(void **state)
{
    (void)state;
    for (int i = 0; i < METRIC_COUNT; i++) {
        assert_int_equal(strncmp(exposed(i), "nereidd_", 8), 0);
        assert_int_equal(strspn(exposed(i), "abcdefghijklmnopqrstuvwxyz_"), strlen(exposed(i)));
    }
}

static void counters_end_in_total_and_others_do_not(void **state)
{
    (void)state;
    for (int i = 0; i < METRIC_COUNT; i++) {
        size_t len = strlen(exposed(i));
        bool is_total = len > 6 && strcmp(exposed(i) + len - 6, "_total") == 0;
        assert_int_equal(is_total, metric_row((enum metric)i)->kind == METRIC_KIND_COUNTER);
    }
}

static void rows_of_one_name_follow_each_other_and_the_first_has_the_help(void **state)
{
    (void)state;
    for (int i = 0; i < METRIC_COUNT; i++) {
        bool is_first = i == 0 || strcmp(exposed(i), exposed(i - 1)) != 0;
        assert_int_equal(metric_row((enum metric)i)->help[0] != '\0', is_first);
        for (int before = 0; is_first && before < i; before++)
            assert_string_not_equal(exposed(i), exposed(before));
    }
}

static void rows_of_one_name_are_of_one_kind_and_differ_in_their_label(void **state)
{
    (void)state;
    for (int a = 0; a < METRIC_COUNT; a++) {
        for (int b = a + 1; b < METRIC_COUNT && strcmp(exposed(a), exposed(b)) == 0; b++) {
            assert_int_equal(metric_row((enum metric)a)->kind, metric_row((enum metric)b)->kind);
            assert_string_not_equal(metric_row((enum metric)a)->label, metric_row((enum metric)b)->label);
        }
    }
}

static void a_label_is_one_word_in_quotes(void **state)
{
    (void)state;
    for (int i = 0; i < METRIC_COUNT; i++) {
        const char *label = metric_row((enum metric)i)->label;
        if (!*label)
            continue;
        size_t name = strspn(label, "abcdefghijklmnopqrstuvwxyz_");
        assert_true(name > 0);
        assert_int_equal(strncmp(label + name, "=\"", 2), 0);
        assert_ptr_equal(strchr(label + name + 2, '"'), label + strlen(label) - 1);
    }
}

static void numbers_add_up(void **state)
{
    (void)state;
    int64_t before = metric_value(METRIC_CONNECTIONS);
    metric_add(METRIC_CONNECTIONS, 3);
    metric_add(METRIC_CONNECTIONS, -1);
    assert_int_equal(metric_value(METRIC_CONNECTIONS), before + 2);
    assert_int_equal(metric_value(METRIC_ACCEPTED), 0);
}

static void a_gauge_can_be_set(void **state)
{
    (void)state;
    metric_add(METRIC_USERS, 3);
    metric_set(METRIC_USERS, 2);
    assert_int_equal(metric_value(METRIC_USERS), 2);
    metric_set(METRIC_USERS, 0);
    assert_int_equal(metric_value(METRIC_USERS), 0);
}

static void a_duration_falls_into_the_bucket_whose_bound_it_does_not_exceed(void **state)
{
    (void)state;
    static const int64_t bounds[] = METRIC_BUCKET_BOUNDS_US;
    assert_int_equal(array_len(bounds), METRIC_BUCKETS - 1);
    const struct metric_histogram *histogram = metric_histogram(METRIC_COMMIT_TIME);
    uint64_t sum = histogram->sum_us;
    for (size_t i = 0; i < array_len(bounds); i++) {
        struct metric_histogram before = *histogram;
        metric_observe(METRIC_COMMIT_TIME, bounds[i]);
        metric_observe(METRIC_COMMIT_TIME, bounds[i] + 1);
        assert_int_equal(histogram->buckets[i], before.buckets[i] + 1);
        assert_int_equal(histogram->buckets[i + 1], before.buckets[i + 1] + 1);
        sum += (uint64_t)(2 * bounds[i] + 1);
    }
    assert_int_equal(histogram->count, 2 * array_len(bounds));
    assert_int_equal(histogram->sum_us, sum);
}

static void a_clock_that_went_back_adds_nothing(void **state)
{
    (void)state;
    const struct metric_histogram *histogram = metric_histogram(METRIC_COMMIT_TIME);
    struct metric_histogram before = *histogram;
    metric_observe(METRIC_COMMIT_TIME, -5);
    assert_int_equal(histogram->buckets[0], before.buckets[0] + 1);
    assert_int_equal(histogram->sum_us, before.sum_us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_those_of_prometheus),
        cmocka_unit_test(counters_end_in_total_and_others_do_not),
        cmocka_unit_test(rows_of_one_name_follow_each_other_and_the_first_has_the_help),
        cmocka_unit_test(rows_of_one_name_are_of_one_kind_and_differ_in_their_label),
        cmocka_unit_test(a_label_is_one_word_in_quotes),
        cmocka_unit_test(numbers_add_up),
        cmocka_unit_test(a_gauge_can_be_set),
        cmocka_unit_test(a_duration_falls_into_the_bucket_whose_bound_it_does_not_exceed),
        cmocka_unit_test(a_clock_that_went_back_adds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
