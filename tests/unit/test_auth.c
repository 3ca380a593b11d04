/* SPDX-License-Identifier: MIT */
/* The chain of methods, `demo` and `header`, the Authorization header, and addresses with their networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/base64.h"
#include "auth/login.h"
#include "base/metric.h"
#include "lib/caller.h"

static struct stage stage;

static int setup(void **state)
{
    (void)state;
    stage_init(&stage);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stage_fini(&stage);
    return 0;
}

static struct auth *chain_of(const struct auth_options *options)
{
    struct auth *auth = auth_new(options, NULL, &stage.clock);
    assert_non_null(auth);
    return auth;
}

static struct auth *demo_chain(void)
{
    static const enum auth_method methods[] = {AUTH_DEMO};
    return chain_of(&(struct auth_options){.methods = methods, .method_count = 1});
}

static const char *const trusted[] = {"192.0.2.7", "10.1.0.0/16", "2001:db8:1::/48"};

static struct auth *header_chain(void)
{
    static const enum auth_method methods[] = {AUTH_HEADER, AUTH_DEMO};
    return chain_of(&(struct auth_options){.methods = methods,
                                           .method_count = 2,
                                           .header = "X-Remote-User",
                                           .name_header = "X-Remote-Name",
                                           .trusted = trusted,
                                           .trusted_count = array_len(trusted)});
}

static void assert_refused(struct caller *caller, struct auth *auth, const char *reason)
{
    stage_log_clear(&stage);
    int64_t failures = metric_value(METRIC_LOGIN_FAILURES);
    caller_ask(caller, auth);
    assert_int_equal(caller->answers, 1);
    assert_int_equal(caller->err, ERR_UNAUTHORIZED);
    if (!stage_logged(&stage, reason))
        fail_msg("the log does not say: %s", reason);
    assert_int_equal(metric_value(METRIC_LOGIN_FAILURES), failures + 1);
}

static void assert_accepted(struct caller *caller, struct auth *auth, const char *user, const char *name)
{
    caller_ask(caller, auth);
    assert_int_equal(caller->answers, 1);
    assert_int_equal(caller->err, OK);
    assert_string_equal(caller->user, user);
    assert_string_equal(caller->name, name);
}

/* --- demo ------------------------------------------------------------------------------------------------------- */

static void demo_takes_the_user_and_any_password(void **state)
{
    (void)state;
    static const struct {
        const char *credentials, *user;
    } cases[] = {
        {"alice:secret", "alice"}, {"alice:", "alice"}, {"alice:a:b:c", "alice"}, {"Zo\xc3\xab Z.:x", "Zo\xc3\xab Z."},
        {"a,b:x", "a,b"},
    };
    struct auth *auth = demo_chain();
    for (size_t i = 0; i < array_len(cases); i++) {
        struct caller caller = caller_at("127.0.0.1", basic_of(cases[i].credentials));
        assert_accepted(&caller, auth, cases[i].user, "");
    }
    auth_free(auth);
}

static void demo_refuses_what_cannot_be_a_user(void **state)
{
    (void)state;
    char longest[129 + sizeof(":x")];
    memset(longest, 'u', 128);
    memcpy(longest + 128, ":x", sizeof(":x"));
    struct auth *auth = demo_chain();
    struct caller fits = caller_at("127.0.0.1", basic_of(longest));
    caller_ask(&fits, auth);
    assert_int_equal(fits.err, OK);
    assert_int_equal(strlen(fits.user), 128);

    memset(longest, 'u', 129);
    memcpy(longest + 129, ":x", sizeof(":x"));
    const char *const bad[] = {":x", " a:x", "a :x", "a\tb:x", "a\nb:x", "a\x7f:x", "\xe2\x80\xae:x", longest};
    for (size_t i = 0; i < array_len(bad); i++) {
        struct caller caller = caller_at("127.0.0.1", basic_of(bad[i]));
        assert_refused(&caller, auth, "not a user id");
    }
    auth_free(auth);
}

static void malformed_basic_credentials_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Basic YWxpY2U6eA",       /* no padding */
        "Basic YWxpY2U6eA=",      /* half of it */
        "Basic YWxpY2U6eB==",     /* bits left over */
        "Basic YWxp Y2U6eA==",    /* white space */
        "Basic YWxpY2U6eA==\t",   /* after it, too */
        "Basic YWxpY2U6eA==eA==", /* padding inside */
        "Basic YWxpY2U_eA==",     /* the other alphabet */
        "Basic YTpiA===",         /* more padding than there is */
        "Basic ====",             /* nothing else */
        "Basic    ",              /* nothing at all */
        "Basic YWxpY2U=",         /* no colon */
        "Basic YWxpY2UAOng=",     /* a NUL in the user */
        "Basic YWxpY2U6AA==",     /* a NUL in the password */
        "Basic YWxpY2X/Ong=",     /* not UTF-8 */
        "Basic YTr/",             /* neither the password */
    };
    struct auth *auth = demo_chain();
    for (size_t i = 0; i < array_len(bad); i++) {
        struct caller caller = caller_at("127.0.0.1", bad[i]);
        assert_refused(&caller, auth, "malformed Basic credentials");
    }
    auth_free(auth);
}

static void basic_credentials_are_bounded(void **state)
{
    (void)state;
    char text[LOGIN_TEXT_MAX + 8] = "a:";
    memset(text + 2, 'p', LOGIN_TEXT_MAX - 2);
    struct auth *auth = demo_chain();
    struct caller fits = caller_at("127.0.0.1", basic_of(text));
    assert_accepted(&fits, auth, "a", "");
    memset(text + 2, 'p', LOGIN_TEXT_MAX + 2);
    struct caller over = caller_at("127.0.0.1", basic_of(text));
    assert_refused(&over, auth, "malformed Basic credentials");
    auth_free(auth);
}

static void schemes_are_compared_without_case(void **state)
{
    (void)state;
    struct auth *auth = demo_chain();
    struct caller caller = caller_at("127.0.0.1", "bASIC  YWxpY2U6eA==");
    assert_accepted(&caller, auth, "alice", "");
    auth_free(auth);
}

/* --- the chain -------------------------------------------------------------------------------------------------- */

static void no_credentials_are_no_failure(void **state)
{
    (void)state;
    struct auth *auth = demo_chain();
    struct caller caller = caller_at("192.0.2.1", NULL);
    int64_t failures = metric_value(METRIC_LOGIN_FAILURES);
    caller_ask(&caller, auth);
    assert_int_equal(caller.answers, 1);
    assert_int_equal(caller.err, ERR_UNAUTHORIZED);
    assert_int_equal(metric_value(METRIC_LOGIN_FAILURES), failures);
    assert_false(stage_logged(&stage, "login failed"));
    auth_free(auth);
}

static void unknown_schemes_are_refused(void **state)
{
    (void)state;
    static const char *const unknown[] = {"Digest username=a", "Basic",        "Basi YTpi",
                                          "BasicYTpi",         "Bearer a.b.c", "\x01"};
    struct auth *auth = demo_chain();
    for (size_t i = 0; i < array_len(unknown); i++) {
        struct caller caller = caller_at("192.0.2.1", unknown[i]);
        assert_refused(&caller, auth, "address=192.0.2.1 method=none reason=\"no method for these credentials\"");
    }
    auth_free(auth);
}

static void logs_never_hold_credentials(void **state)
{
    (void)state;
    struct auth *auth = demo_chain();
    struct caller malformed = caller_at("192.0.2.1", "Basic c2VjcmV0aGVyZQ==");
    struct caller unknown = caller_at("192.0.2.1", "Other secrethere");
    struct caller bad_user = caller_at("192.0.2.1", basic_of(" badname:secrethere"));
    assert_refused(&malformed, auth, "login failed");
    assert_false(stage_logged(&stage, "c2Vj"));
    assert_false(stage_logged(&stage, "secrethere"));
    assert_refused(&unknown, auth, "login failed");
    assert_false(stage_logged(&stage, "secrethere"));
    assert_refused(&bad_user, auth, "login failed");
    assert_false(stage_logged(&stage, "badname"));
    assert_false(stage_logged(&stage, "secrethere"));
    auth_free(auth);
}

static void a_chain_needs_each_method_once(void **state)
{
    (void)state;
    static const enum auth_method twice[] = {AUTH_DEMO, AUTH_DEMO};
    assert_null(auth_new(&(struct auth_options){0}, NULL, &stage.clock));
    assert_true(stage_logged(&stage, "auth.methods is empty"));
    assert_null(auth_new(&(struct auth_options){.methods = twice, .method_count = 2}, NULL, &stage.clock));
    assert_true(stage_logged(&stage, "names a method twice"));
}

static void all_findings_are_logged_at_once(void **state)
{
    (void)state;
    static const enum auth_method all[] = {AUTH_BASIC, AUTH_HEADER, AUTH_JWT};
    assert_null(auth_new(&(struct auth_options){.methods = all, .method_count = 3}, NULL, &stage.clock));
    assert_true(stage_logged(&stage, "auth.users does not name a file"));
    assert_true(stage_logged(&stage, "auth.header does not name one"));
    assert_true(stage_logged(&stage, "one of auth.jwt_key and auth.jwt_jwks"));
}

static void the_challenge_suits_the_methods(void **state)
{
    (void)state;
    static const enum auth_method header[] = {AUTH_HEADER};
    struct auth *demo = demo_chain();
    struct auth *mixed = header_chain();
    struct auth *proxied = chain_of(&(struct auth_options){
        .methods = header, .method_count = 1, .header = "X-User", .trusted = trusted, .trusted_count = 1});
    assert_string_equal(auth_challenge(demo), "Basic realm=\"nereidd\", charset=\"UTF-8\"");
    assert_string_equal(auth_challenge(mixed), "Basic realm=\"nereidd\", charset=\"UTF-8\"");
    assert_null(auth_challenge(proxied));
    assert_int_equal(auth_reload(demo), OK);
    auth_free(demo);
    auth_free(mixed);
    auth_free(proxied);
    auth_free(NULL);
}

/* --- header ----------------------------------------------------------------------------------------------------- */

static struct caller proxied_caller(const char *address, const char *user, const char *name)
{
    struct caller caller = caller_at(address, NULL);
    caller.headers[0] = (struct caller_header){"x-remote-user", user};
    caller.headers[1] = (struct caller_header){"X-Remote-Name", name};
    return caller;
}

static void a_trusted_proxy_is_believed(void **state)
{
    (void)state;
    static const char *const addresses[] = {"192.0.2.7", "10.1.255.255", "2001:db8:1:ffff::1", "::ffff:10.1.0.1"};
    struct auth *auth = header_chain();
    for (size_t i = 0; i < array_len(addresses); i++) {
        struct caller caller = proxied_caller(addresses[i], "alice",
                                              "Alice L\xc3\xad"
                                              "dell");
        assert_accepted(&caller, auth, "alice",
                        "Alice L\xc3\xad"
                        "dell");
    }
    auth_free(auth);
}

static void the_header_of_anyone_else_is_ignored(void **state)
{
    (void)state;
    static const char *const addresses[] = {"192.0.2.8", "10.2.0.0", "2001:db8:2::1", "", "not an address"};
    struct auth *auth = header_chain();
    for (size_t i = 0; i < array_len(addresses); i++) {
        struct caller alone = proxied_caller(addresses[i], "alice", "Alice");
        stage_log_clear(&stage);
        caller_ask(&alone, auth);
        assert_int_equal(alone.err, ERR_UNAUTHORIZED);
        assert_true(stage_logged(&stage, "a peer outside auth.trusted sent auth.header"));
        /* The next method is asked, and decides without it. */
        struct caller caller = proxied_caller(addresses[i], "alice", "Alice");
        caller.credentials.authorization = span_of(basic_of("bob:x"));
        assert_accepted(&caller, auth, "bob", "");
    }
    auth_free(auth);
}

static void a_flood_of_forged_headers_is_logged_a_few_times(void **state)
{
    (void)state;
    struct auth *auth = header_chain();
    struct caller caller = proxied_caller("198.51.100.1", "alice", "");
    for (int i = 0; i < 100; i++)
        caller_ask(&caller, auth);
    assert_true(stage_logged(&stage, "outside auth.trusted"));
    stage_log_clear(&stage);
    caller_ask(&caller, auth);
    assert_false(stage_logged(&stage, "outside auth.trusted"));
    stage.now_ms += 60000;
    caller_ask(&caller, auth);
    assert_true(stage_logged(&stage, "outside auth.trusted"));
    auth_free(auth);
}

static void a_bad_name_is_left_out_and_a_bad_user_refused(void **state)
{
    (void)state;
    struct auth *auth = header_chain();
    struct caller bad_name = proxied_caller("192.0.2.7", "alice", "Ali\xff");
    assert_accepted(&bad_name, auth, "alice", "");
    struct caller bad_user = proxied_caller("192.0.2.7", "ali\xff", "Alice");
    assert_refused(&bad_user, auth, "method=header reason=\"not a user id\"");
    auth_free(auth);
}

static void without_the_header_the_next_method_is_asked(void **state)
{
    (void)state;
    struct auth *auth = header_chain();
    struct caller caller = caller_at("192.0.2.7", basic_of("bob:x"));
    assert_accepted(&caller, auth, "bob", "");
    auth_free(auth);
}

static void unix_is_a_peer_that_can_be_trusted(void **state)
{
    (void)state;
    static const enum auth_method methods[] = {AUTH_HEADER};
    static const char *const local[] = {"unix"};
    struct auth *auth = chain_of(&(struct auth_options){
        .methods = methods, .method_count = 1, .header = "X-Remote-User", .trusted = local, .trusted_count = 1});
    struct caller proxy = proxied_caller("", "alice", "Alice");
    assert_accepted(&proxy, auth, "alice", "");
    struct caller other = proxied_caller("127.0.0.1", "alice", "Alice");
    caller_ask(&other, auth);
    assert_int_equal(other.err, ERR_UNAUTHORIZED);
    auth_free(auth);
}

static void bad_trusted_values_stop_the_start(void **state)
{
    (void)state;
    static const enum auth_method methods[] = {AUTH_HEADER};
    static const char *const bad[] = {"10.0.0.0/8", "10.0.0.1/8", "proxy.example"};
    struct auth_options options = {.methods = methods, .method_count = 1, .header = "X-User", .trusted = bad};
    assert_null(auth_new(&options, NULL, &stage.clock));
    assert_true(stage_logged(&stage, "auth.trusted is empty"));
    options.trusted_count = array_len(bad);
    assert_null(auth_new(&options, NULL, &stage.clock));
    assert_true(stage_logged(&stage, "value=10.0.0.1/8"));
    assert_true(stage_logged(&stage, "value=proxy.example"));
    assert_false(stage_logged(&stage, "value=10.0.0.0/8"));
}

/* --- addresses -------------------------------------------------------------------------------------------------- */

static void networks_hold_their_addresses_and_no_others(void **state)
{
    (void)state;
    static const struct {
        const char *network, *address;
        bool has;
    } cases[] = {
        {"0.0.0.0/0", "255.255.255.255", true},
        {"0.0.0.0/0", "::1", false},
        {"0.0.0.0/0", "", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "127.0.0.1", false},
        {"::/0", "::ffff:127.0.0.1", false},
        {"::/0", "", false},
        {"127.0.0.0/8", "::ffff:127.9.9.9", true},
        {"::ffff:10.0.0.0/104", "10.255.0.1", true},
        {"::ffff:10.0.0.0/104", "11.0.0.1", false},
        {"192.0.2.128/25", "192.0.2.128", true},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.4/31", "192.0.2.5", true},
        {"192.0.2.4/31", "192.0.2.6", false},
        {"192.0.2.4/32", "192.0.2.5", false},
        {"fe80::/10", "fe80::1%eth0", true},
        {"2001:db8::/33", "2001:db8:7fff::", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"2001:db8::1", "2001:DB8:0:0::1", true},
        {"2001:db8::1/128", "2001:db8::2", false},
        {"unix", "", true},
        {"unix", "127.0.0.1", false},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        struct network network;
        struct address address;
        assert_true(network_parse(span_of(cases[i].network), &network));
        assert_true(address_parse(span_of(cases[i].address), &address));
        if (network_has(&network, &address) != cases[i].has)
            fail_msg("%s and %s", cases[i].network, cases[i].address);
    }
}

static void what_is_no_network_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "/",
        "/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/08",
        "10.0.0.0/8 ",
        "10.0.0/8",
        "10.0.0.0/8/8",
        "10.0.0.1/24",
        "2001:db8::/129",
        "2001:db8::1/64",
        "::1/0",
        "Unix",
        "localhost",
        "10.0.0.0/+8",
        "10.0.0.0/1000",
        "1:2:3:4:5:6:7:8:9",
        "300.0.0.1",
        "%eth0",
        "10.0.0.1%eth0",
    };
    for (size_t i = 0; i < array_len(bad); i++) {
        struct network network;
        if (network_parse(span_of(bad[i]), &network))
            fail_msg("%s", bad[i]);
    }
}

static void assert_same_key(const char *a, const char *b, bool same)
{
    struct address_key one, other;
    address_key(span_of(a), &one);
    address_key(span_of(b), &other);
    if (span_equal(address_key_span(&one), address_key_span(&other)) != same)
        fail_msg("%s and %s", a, b);
}

static void limits_count_ipv4_addresses_and_ipv6_subnets(void **state)
{
    (void)state;
    assert_same_key("192.0.2.1", "192.0.2.1", true);
    assert_same_key("192.0.2.1", "192.0.2.2", false);
    assert_same_key("192.0.2.1", "::ffff:192.0.2.1", true);
    assert_same_key("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", true);
    assert_same_key("2001:db8:0:1::1", "2001:db8:0:2::1", false);
    assert_same_key("", "", true);
    assert_same_key("", "0.0.0.0", false);
    assert_same_key("", "::", false);
    assert_same_key("garbage", "other garbage", true);
}

/* --- base64 ----------------------------------------------------------------------------------------------------- */

static void base64_url_has_one_text_for_each_value(void **state)
{
    (void)state;
    uint8_t bytes[BASE64_ROOM(64)];
    size_t len = 99;
    assert_int_equal(base64_decode(SPAN_LITERAL("-_-_"), BASE64_URL, bytes, &len), OK);
    assert_int_equal(len, 3);
    assert_memory_equal(bytes, "\xfb\xff\xbf", 3);
    assert_int_equal(base64_decode(SPAN_LITERAL("_w"), BASE64_URL, bytes, &len), OK);
    assert_int_equal(len, 1);
    assert_int_equal(bytes[0], 0xff);
    assert_int_equal(base64_decode(SPAN_LITERAL(""), BASE64_URL, bytes, &len), OK);
    assert_int_equal(len, 0);
    static const char *const bad[] = {"_x", "_w==", "_", "+/+/", "_w\n", " _w", "AAAAA", "\xff\xff"};
    for (size_t i = 0; i < array_len(bad); i++)
        if (base64_decode(span_of(bad[i]), BASE64_URL, bytes, &len) != ERR_BAD_FIELD)
            fail_msg("%s", bad[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(demo_takes_the_user_and_any_password),
        TEST(demo_refuses_what_cannot_be_a_user),
        TEST(malformed_basic_credentials_are_refused),
        TEST(basic_credentials_are_bounded),
        TEST(schemes_are_compared_without_case),
        TEST(no_credentials_are_no_failure),
        TEST(unknown_schemes_are_refused),
        TEST(logs_never_hold_credentials),
        TEST(a_chain_needs_each_method_once),
        TEST(all_findings_are_logged_at_once),
        TEST(the_challenge_suits_the_methods),
        TEST(a_trusted_proxy_is_believed),
        TEST(the_header_of_anyone_else_is_ignored),
        TEST(a_flood_of_forged_headers_is_logged_a_few_times),
        TEST(a_bad_name_is_left_out_and_a_bad_user_refused),
        TEST(without_the_header_the_next_method_is_asked),
        TEST(unix_is_a_peer_that_can_be_trusted),
        TEST(bad_trusted_values_stop_the_start),
        TEST(networks_hold_their_addresses_and_no_others),
        TEST(what_is_no_network_is_refused),
        TEST(limits_count_ipv4_addresses_and_ipv6_subnets),
        TEST(base64_url_has_one_text_for_each_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
