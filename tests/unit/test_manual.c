/* SPDX-License-Identifier: MIT */
/* nereid-chat(7) has a row for each route and for each error that a client can meet, and no others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"

/* The table of routes is private to this file. */
#include "adapters/nereid/nereid.c"

static char page[200000];

/* Reads the page as a reader sees it: `\-` is a hyphen. */
static int read_page(void **state)
{
    (void)state;
    char path[4096];
    const char *srcdir = getenv("srcdir");
    (void)snprintf(path, sizeof(path), "%s/man/nereid-chat.7", srcdir ? srcdir : ".");
    FILE *file = fopen(path, "r");
    if (!file) {
        (void)fprintf(stderr, "%s: cannot be read\n", path);
        return -1;
    }
    size_t len = 0;
    for (int c; (c = fgetc(file)) != EOF && len < sizeof(page) - 1;)
        if (c != '\\')
            page[len++] = (char)c;
    fclose(file);
    page[len] = '\0';
    return 0;
}

/* How many lines of the table with this head begin with `row`; all of them for "". */
static unsigned count_rows(const char *head, const char *row)
{
    const char *at = strstr(page, head);
    const char *end = at ? strstr(at, "\n.TE") : NULL;
    unsigned count = 0;
    assert_non_null(end);
    for (at = strchr(at + 1, '\n'); at && at < end; at = strchr(at + 1, '\n'))
        count += strncmp(at + 1, row, strlen(row)) == 0;
    return count;
}

static const char *who_word(const struct route *route)
{
    switch (route->who) {
    case ROUTE_ANYONE: return "anyone";
    case ROUTE_LOGIN: return "login";
    case ROUTE_LOGIN_OR_TOKEN: return strstr(route->pattern, "<token>") ? "token" : "login or token";
    }
    return "";
}

static void each_route_is_in_the_page(void **state)
{
    (void)state;
    static const char *const methods[HTTP_METHOD_COUNT] = {"GET", "POST", "DELETE"};
    const char *head = "\nmethod\tpath\twho\n";
    for (size_t i = 0; i < array_len(routes); i++) {
        char row[256];
        (void)snprintf(row, sizeof(row), "%s\t%s\t%s\n", methods[routes[i].method], routes[i].pattern + strlen(BASE),
                       who_word(&routes[i]));
        if (count_rows(head, row) != 1)
            fail_msg("the page has no row, or several, for: %s", row);
    }
    assert_int_equal(count_rows(head, ""), array_len(routes));
}

static void each_error_is_in_the_page(void **state)
{
    (void)state;
    const char *head = "\nerror\tstatus\twhen\n";
    unsigned expected = 0;
    for (unsigned i = OK + 1; i < ERR_COUNT; i++) {
        enum err err = (enum err)i;
        char row[256];
        (void)snprintf(row, sizeof(row), "%s\t%d\t", err_word(err), err_http_status(err));
        /* Nobody is there to meet ERR_GONE. */
        if (count_rows(head, row) != (err != ERR_GONE))
            fail_msg("the page has the wrong number of rows for: %s", row);
        expected += err != ERR_GONE;
    }
    assert_int_equal(count_rows(head, ""), expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_route_is_in_the_page),
        cmocka_unit_test(each_error_is_in_the_page),
    };
    return cmocka_run_group_tests(tests, read_page, NULL);
}
