/* SPDX-License-Identifier: MIT */
/* The base domain of the page that a client belongs to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "adapters/socketio/site.h"

struct site_case {
    const char *origin;
    const char *host;
    const char *site; /* null: there is none */
};

static void check(const struct site_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[SITE_SIZE];
        struct span site = {0};
        bool found = site_of(span_of(cases[i].origin), span_of(cases[i].host), text, &site);
        if (found != (cases[i].site != NULL) || (found && !span_is(site, cases[i].site)))
            fail_msg("%s, %s: %.*s", cases[i].origin, cases[i].host, (int)site.len, site.data ? site.data : "");
    }
}

static void a_site_is_the_base_domain_of_the_origin(void **state)
{
    (void)state;
    static const struct site_case cases[] = {
        {"https://example.com", "", "example.com"},
        {"https://www.example.com", "", "example.com"},
        {"http://a.b.c.example.com:8080", "", "example.com"},
        {"https://WWW.Example.COM", "", "example.com"},
        {"https://www.example.com.", "", "example.com"},
        {"https://xn--bcher-kva.example", "", "xn--bcher-kva.example"},
        {"moz-extension://www.example.com", "", "example.com"},
    };
    check(cases, sizeof(cases) / sizeof(cases[0]));
}

static void some_countries_have_a_second_level(void **state)
{
    (void)state;
    static const struct site_case cases[] = {
        {"https://www.example.co.uk", "", "example.co.uk"},
        {"https://example.co.uk", "", "example.co.uk"},
        {"https://co.uk", "", "co.uk"},
        {"https://a.b.example.com.au", "", "example.com.au"},
        {"https://www.abc.de", "", "abc.de"},
        {"https://www.co.com", "", "co.com"},
    };
    check(cases, sizeof(cases) / sizeof(cases[0]));
}

static void addresses_and_bare_names_are_sites_as_they_are(void **state)
{
    (void)state;
    static const struct site_case cases[] = {
        {"http://localhost:8080", "", "localhost"},
        {"http://192.0.2.17:81", "", "192.0.2.17"},
        {"http://[2001:db8::1]:80", "", "[2001:db8::1]"},
        {"http://[::1]", "", "[::1]"},
    };
    check(cases, sizeof(cases) / sizeof(cases[0]));
}

/* A browser leaves the origin out where the page comes from the host it asks. */
static void without_an_origin_it_is_the_host(void **state)
{
    (void)state;
    static const struct site_case cases[] = {
        {"", "chat.example.com:8080", "example.com"},
        {"", "127.0.0.1:80", "127.0.0.1"},
        {"https://other.example", "chat.example.com", "other.example"},
        {"", "", NULL},
    };
    check(cases, sizeof(cases) / sizeof(cases[0]));
}

static void what_has_no_host_is_no_site(void **state)
{
    (void)state;
    static char long_host[300] = "https://";
    memset(long_host + 8, 'a', 260);
    const struct site_case cases[] = {
        {"null", "chat.example.com", NULL},  {"file://", "", NULL},
        {"https://:80", "", NULL},           {"https://a b.example", "", NULL},
        {"https://a)b", "", NULL},           {"https://\xc3\xa9.example", "", NULL},
        {"https://.com", "", NULL},          {"https://a/b", "", NULL},
        {"https://u@example.com", "", NULL}, {long_host, "", NULL},
        {"", "a(b).example", NULL},
    };
    check(cases, sizeof(cases) / sizeof(cases[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_site_is_the_base_domain_of_the_origin),
        cmocka_unit_test(some_countries_have_a_second_level),
        cmocka_unit_test(addresses_and_bare_names_are_sites_as_they_are),
        cmocka_unit_test(without_an_origin_it_is_the_host),
        cmocka_unit_test(what_has_no_host_is_no_site),
    };
    return cmocka_run_group_tests_name("site", tests, NULL, NULL);
}
