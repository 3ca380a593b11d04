/* SPDX-License-Identifier: MIT */
/* The error table: every row has a word, a sentence and a status that fit together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"

static void ok_is_zero_and_no_error(void **state)
{
    (void)state;
    assert_int_equal(OK, 0);
    assert_string_equal(err_word(OK), "ok");
    assert_int_equal(err_http_status(OK), 200);
}

static void a_word_is_snake_case(void **state)
{
    (void)state;
    for (int err = 0; err < ERR_COUNT; err++) {
        const char *word = err_word((enum err)err);
        assert_true(strlen(word) > 0);
        assert_int_equal(strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(word));
    }
}

static void no_two_errors_share_a_word(void **state)
{
    (void)state;
    for (int a = 0; a < ERR_COUNT; a++)
        for (int b = a + 1; b < ERR_COUNT; b++)
            assert_string_not_equal(err_word((enum err)a), err_word((enum err)b));
}

static void an_error_is_a_4xx_or_5xx(void **state)
{
    (void)state;
    for (int err = OK + 1; err < ERR_COUNT; err++)
        assert_in_range(err_http_status((enum err)err), 400, 599);
}

static void a_sentence_has_no_full_stop(void **state)
{
    (void)state;
    for (int err = 0; err < ERR_COUNT; err++) {
        const char *sentence = err_sentence((enum err)err);
        assert_true(strlen(sentence) > 0);
        assert_int_not_equal(sentence[strlen(sentence) - 1], '.');
    }
}

static void statuses_are_those_that_clients_were_promised(void **state)
{
    (void)state;
    assert_int_equal(err_http_status(ERR_UNAUTHORIZED), 401);
    assert_int_equal(err_http_status(ERR_NO_TOKEN), 404);
    assert_int_equal(err_http_status(ERR_TOKEN_SCOPE), 403);
    assert_int_equal(err_http_status(ERR_BAD_CURSOR), 400);
    assert_int_equal(err_http_status(ERR_TOO_LARGE), 413);
    assert_int_equal(err_http_status(ERR_TOO_MANY), 429);
    assert_int_equal(err_http_status(ERR_STORE_FULL), 503);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ok_is_zero_and_no_error),     cmocka_unit_test(a_word_is_snake_case),
        cmocka_unit_test(no_two_errors_share_a_word),  cmocka_unit_test(an_error_is_a_4xx_or_5xx),
        cmocka_unit_test(a_sentence_has_no_full_stop), cmocka_unit_test(statuses_are_those_that_clients_were_promised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
