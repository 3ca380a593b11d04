/* SPDX-License-Identifier: MIT */
/* Which of Redis' error replies mean what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/redis_trouble.h"

static void the_first_word_is_the_code(void **state)
{
    (void)state;
    assert_string_equal(trouble_of("LOADING Redis is loading the dataset in memory")->code, "LOADING");
    assert_int_equal(trouble_of("READONLY You can't write against a read only replica.")->reach, TROUBLE_LINK);
    assert_int_equal(trouble_of("OOM command not allowed when used memory > 'maxmemory'.")->reach, TROUBLE_SERVER);
    assert_int_equal(trouble_of("WRONGTYPE Operation against a key")->reach, TROUBLE_CALL);
    assert_string_equal(trouble_of("NOAUTH")->code, "NOAUTH");
}

static void scripts_of_older_servers_wrap_it(void **state)
{
    (void)state;
    const char *text = "ERR Error running script (call to f_0123): @user_script:9: @user_script: 9: "
                       "-OOM command not allowed when used memory > 'maxmemory'.";
    assert_string_equal(trouble_of(text)->code, "OOM");
}

static void others_concern_the_call_alone(void **state)
{
    (void)state;
    assert_int_equal(trouble_of("ERR value is not an integer")->reach, TROUBLE_CALL);
    assert_int_equal(trouble_of("LOADINGX what is this")->reach, TROUBLE_CALL);
    assert_int_equal(trouble_of("")->reach, TROUBLE_CALL);
    assert_non_null(trouble_of("")->sentence);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_word_is_the_code),
        cmocka_unit_test(scripts_of_older_servers_wrap_it),
        cmocka_unit_test(others_concern_the_call_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
