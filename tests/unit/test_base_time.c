/* SPDX-License-Identifier: MIT */
/* Points in time as RFC 3339 text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/time.h"

static void assert_time(int64_t wall_us, const char *expected)
{
    char text[TIME_TEXT_SIZE];
    assert_string_equal(time_format(wall_us, text), expected);
    assert_int_equal(strlen(text), TIME_TEXT_SIZE - 1);
}

static void the_fraction_is_always_there(void **state)
{
    (void)state;
    assert_time(0, "1970-01-01T00:00:00.000000Z");
    assert_time(1, "1970-01-01T00:00:00.000001Z");
    assert_time(999999, "1970-01-01T00:00:00.999999Z");
    assert_time(1000000, "1970-01-01T00:00:01.000000Z");
    assert_time(1297350295123456, "2011-02-10T15:04:55.123456Z");
}

static void calendars_have_leap_days_and_long_years(void **state)
{
    (void)state;
    assert_time(951827696000000, "2000-02-29T12:34:56.000000Z");
    assert_time(4107542400000000, "2100-03-01T00:00:00.000000Z");
    assert_time(2147483648000000, "2038-01-19T03:14:08.000000Z");
}

static void what_is_outside_of_1970_to_9999_is_clamped(void **state)
{
    (void)state;
    assert_time(-1, "1970-01-01T00:00:00.000000Z");
    assert_time(INT64_MIN, "1970-01-01T00:00:00.000000Z");
    assert_time(253402300799000000, "9999-12-31T23:59:59.000000Z");
    assert_time(253402300799999999, "9999-12-31T23:59:59.999999Z");
    assert_time(253402300800000000, "9999-12-31T23:59:59.999999Z");
    assert_time(INT64_MAX, "9999-12-31T23:59:59.999999Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fraction_is_always_there),
        cmocka_unit_test(calendars_have_leap_days_and_long_years),
        cmocka_unit_test(what_is_outside_of_1970_to_9999_is_clamped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
