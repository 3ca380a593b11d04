/* SPDX-License-Identifier: MIT */
/* Blobs hold a copy of their bytes until the last reference is given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/blob.h"

static void a_copy_does_not_follow_its_source(void **state)
{
    (void)state;
    char text[] = "hello";
    struct blob *blob = blob_copy(span_of(text));
    assert_non_null(blob);
    text[0] = 'j';
    assert_true(span_is(blob_span(blob), "hello"));
    blob_unref(blob);
}

static void a_blob_lives_while_somebody_refers_to_it(void **state)
{
    (void)state;
    struct blob *blob = blob_copy(SPAN_LITERAL("hello"));
    assert_non_null(blob);
    assert_ptr_equal(blob_ref(blob), blob);
    blob_unref(blob);
    assert_true(span_is(blob_span(blob), "hello"));
    blob_unref(blob);
}

static void a_blob_may_be_empty(void **state)
{
    (void)state;
    struct blob *blob = blob_copy((struct span){0});
    assert_non_null(blob);
    assert_int_equal(blob_span(blob).len, 0);
    blob_unref(blob);
}

static void a_new_blob_is_filled_by_its_maker(void **state)
{
    (void)state;
    struct blob *blob = blob_new(3);
    assert_non_null(blob);
    memcpy(blob->data, "abc", 3);
    assert_true(span_is(blob_span(blob), "abc"));
    blob_unref(blob);
}

static void more_than_2_gigabytes_are_refused(void **state)
{
    (void)state;
    assert_null(blob_new((size_t)INT32_MAX + 1));
}

static void nothing_may_be_given_back(void **state)
{
    (void)state;
    blob_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_does_not_follow_its_source),
        cmocka_unit_test(a_blob_lives_while_somebody_refers_to_it),
        cmocka_unit_test(a_blob_may_be_empty),
        cmocka_unit_test(a_new_blob_is_filled_by_its_maker),
        cmocka_unit_test(more_than_2_gigabytes_are_refused),
        cmocka_unit_test(nothing_may_be_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
