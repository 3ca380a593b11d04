/* SPDX-License-Identifier: MIT */
/* The method `basic`: passwords on workers, remembered logins, the limit on failures, and the users file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "auth/login_cache.h"
#include "auth/users.h"
#include "base/metric.h"
#include "io/loop.h"
#include "lib/caller.h"

enum { FAILURES = 3, CACHE_MS = 60000 };

static struct stage stage;
static struct loop *loop;
static char users_path[128];

/* The cheapest yescrypt, a millisecond: what is tested is not how slow it is. */
static void hash_cheaply(const char *password, char hash[CRYPT_OUTPUT_SIZE])
{
    static struct crypt_data data;
    char *setting = crypt_gensalt_ra("$y$", 1, NULL, 0);
    assert_non_null(setting);
    const char *made = crypt_r(password, setting, &data);
    assert_non_null(made);
    (void)snprintf(hash, CRYPT_OUTPUT_SIZE, "%s", made);
    free(setting);
}

static void write_users(const char *alice_password)
{
    char alice[CRYPT_OUTPUT_SIZE], bob[CRYPT_OUTPUT_SIZE], text[1024];
    hash_cheaply(alice_password, alice);
    hash_cheaply("p:w", bob);
    (void)snprintf(text, sizeof(text), "# users\n\nalice:%s:Alice: the first\nbob:%s", alice, bob);
    (void)stage_file(&stage, "users", 0600, span_of(text));
}

static int setup(void **state)
{
    (void)state;
    stage_init(&stage);
    (void)snprintf(users_path, sizeof(users_path), "%s/users", stage.folder);
    write_users("wonder");
    loop = loop_new();
    return loop ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    loop_free(loop);
    stage_fini(&stage);
    return 0;
}

static struct auth *basic_chain(uint32_t failures_per_minute, int64_t cache_ms)
{
    static const enum auth_method methods[] = {AUTH_BASIC};
    struct auth_options options = {.methods = methods,
                                   .method_count = 1,
                                   .users = users_path,
                                   .login_failures_per_minute = failures_per_minute,
                                   .login_cache_ms = cache_ms};
    return auth_new(&options, loop, &stage.clock);
}

static struct caller ask(struct auth *auth, const char *address, const char *credentials)
{
    struct caller caller = caller_at(address, basic_of(credentials));
    caller_ask(&caller, auth);
    if (!caller.answers)
        caller_wait(&caller, loop);
    return caller;
}

/* --- passwords -------------------------------------------------------------------------------------------------- */

static void the_right_password_is_accepted(void **state)
{
    (void)state;
    struct auth *auth = basic_chain(FAILURES, CACHE_MS);
    struct caller alice = ask(auth, "192.0.2.1", "alice:wonder");
    assert_int_equal(alice.err, OK);
    assert_string_equal(alice.user, "alice");
    assert_string_equal(alice.name, "Alice: the first");
    struct caller bob = ask(auth, "192.0.2.1", "bob:p:w");
    assert_int_equal(bob.err, OK);
    assert_string_equal(bob.name, "");
    auth_free(auth);
}

static void all_else_is_refused_in_the_same_way(void **state)
{
    (void)state;
    static const char *const wrong[] = {"alice:wonde",  "alice:wonderr", "alice:",    "alice:Wonder",  "Alice:wonder",
                                        "carol:wonder", "carol:",        "# users:x", "alice :wonder", ":",
                                        "bob:p"};
    struct auth *auth = basic_chain(0, CACHE_MS);
    for (size_t i = 0; i < array_len(wrong); i++) {
        int64_t failures = metric_value(METRIC_LOGIN_FAILURES);
        stage_log_clear(&stage);
        struct caller caller = ask(auth, "192.0.2.1", wrong[i]);
        assert_int_equal(caller.err, ERR_UNAUTHORIZED);
        assert_int_equal(caller.retry_after_s, 0);
        assert_true(stage_logged(&stage, "address=192.0.2.1 method=basic reason=\"wrong user or password\""));
        assert_int_equal(metric_value(METRIC_LOGIN_FAILURES), failures + 1);
    }
    auth_free(auth);
}

static void nobody_gets_in_with_the_password_of_the_decoy(void **state)
{
    (void)state;
    char hash[CRYPT_OUTPUT_SIZE], text[1024];
    hash_cheaply("only", hash);
    (void)snprintf(text, sizeof(text), "only:%s:\n", hash);
    (void)stage_file(&stage, "users", 0600, span_of(text));
    struct auth *auth = basic_chain(0, CACHE_MS);
    /* Somebody unknown is checked against the hash of the only user there is. */
    assert_int_equal(ask(auth, "192.0.2.1", "nobody:only").err, ERR_UNAUTHORIZED);
    assert_int_equal(ask(auth, "192.0.2.1", "only:only").err, OK);
    assert_int_equal(ask(auth, "192.0.2.1", "nobody:only").err, ERR_UNAUTHORIZED);
    auth_free(auth);
}

static void very_long_passwords_are_refused(void **state)
{
    (void)state;
    char credentials[700] = "alice:";
    memset(credentials + strlen(credentials), 'p', 600);
    struct auth *auth = basic_chain(FAILURES, CACHE_MS);
    assert_int_equal(ask(auth, "192.0.2.1", credentials).err, ERR_UNAUTHORIZED);
    auth_free(auth);
}

/* --- remembered logins ------------------------------------------------------------------------------------------ */

static bool is_answered_at_once(struct auth *auth, const char *credentials)
{
    struct caller caller = caller_at("192.0.2.1", basic_of(credentials));
    caller_ask(&caller, auth);
    bool at_once = caller.answers == 1;
    if (!at_once)
        caller_wait(&caller, loop);
    assert_int_equal(caller.err, OK);
    return at_once;
}

static void a_login_is_remembered_for_a_while(void **state)
{
    (void)state;
    struct auth *auth = basic_chain(FAILURES, CACHE_MS);
    assert_false(is_answered_at_once(auth, "alice:wonder"));
    assert_true(is_answered_at_once(auth, "alice:wonder"));
    assert_false(is_answered_at_once(auth, "bob:p:w"));
    stage.now_ms += CACHE_MS - 1;
    assert_true(is_answered_at_once(auth, "alice:wonder"));
    stage.now_ms += 1;
    assert_false(is_answered_at_once(auth, "alice:wonder"));
    auth_free(auth);
}

static void without_a_cache_each_login_is_hashed(void **state)
{
    (void)state;
    struct auth *auth = basic_chain(FAILURES, 0);
    assert_false(is_answered_at_once(auth, "alice:wonder"));
    assert_false(is_answered_at_once(auth, "alice:wonder"));
    auth_free(auth);
}

static void a_remembered_user_still_needs_the_password(void **state)
{
    (void)state;
    struct auth *auth = basic_chain(FAILURES, CACHE_MS);
    assert_false(is_answered_at_once(auth, "alice:wonder"));
    assert_int_equal(ask(auth, "192.0.2.1", "alice:other").err, ERR_UNAUTHORIZED);
    assert_int_equal(ask(auth, "192.0.2.1", "bob:wonder").err, ERR_UNAUTHORIZED);
    auth_free(auth);
}

static struct login login_of(char *user_nul_password, size_t len)
{
    size_t user_len = strlen(user_nul_password);
    return (struct login){
        user_nul_password, {user_nul_password, user_len}, {user_nul_password + user_len + 1, len - user_len - 1}};
}

static void the_cache_forgets_the_oldest_when_full(void **state)
{
    (void)state;
    char one[] = "a\0pw", two[] = "b\0pw", three[] = "c\0pw";
    struct login a = login_of(one, 4), b = login_of(two, 4), c = login_of(three, 4);
    struct login_cache *cache = login_cache_new(1000, 2);
    assert_non_null(cache);
    login_cache_add(cache, &a, 0);
    login_cache_add(cache, &b, 1);
    login_cache_add(cache, &a, 2);
    login_cache_add(cache, &c, 3);
    assert_false(login_cache_has(cache, &b, 4));
    assert_true(login_cache_has(cache, &a, 4));
    assert_true(login_cache_has(cache, &c, 4));
    assert_true(login_cache_has(cache, &a, 1001));
    assert_false(login_cache_has(cache, &a, 1002));
    login_cache_clear(cache);
    assert_false(login_cache_has(cache, &c, 4));
    login_cache_free(cache);
    login_cache_free(NULL);
}

/* --- limits ----------------------------------------------------------------------------------------------------- */

static void failures_are_limited_per_address(void **state)
{
    (void)state;
    struct auth *auth = basic_chain(FAILURES, CACHE_MS);
    for (int i = 0; i < FAILURES; i++)
        assert_int_equal(ask(auth, "192.0.2.1", "alice:guess").err, ERR_UNAUTHORIZED);
    int64_t limited = metric_value(METRIC_LIMIT_LOGINS);
    struct caller caller = ask(auth, "192.0.2.1", "alice:wonder");
    assert_int_equal(caller.err, ERR_TOO_MANY);
    assert_in_range(caller.retry_after_s, 1, 60 / FAILURES);
    assert_int_equal(metric_value(METRIC_LIMIT_LOGINS), limited + 1);
    assert_int_equal(ask(auth, "192.0.2.2", "alice:wonder").err, OK);
    /* And after the time it was told, the first may come back. */
    stage.now_ms += caller.retry_after_s * 1000;
    assert_int_equal(ask(auth, "192.0.2.1", "bob:p:w").err, OK);
    auth_free(auth);
}

static void an_ipv6_subnet_counts_as_one_address(void **state)
{
    (void)state;
    struct auth *auth = basic_chain(FAILURES, CACHE_MS);
    assert_int_equal(ask(auth, "2001:db8::1", "alice:guess").err, ERR_UNAUTHORIZED);
    assert_int_equal(ask(auth, "2001:db8::2", "alice:guess").err, ERR_UNAUTHORIZED);
    assert_int_equal(ask(auth, "2001:db8::3:4:5:6", "alice:guess").err, ERR_UNAUTHORIZED);
    assert_int_equal(ask(auth, "2001:db8::7", "alice:guess").err, ERR_TOO_MANY);
    assert_int_equal(ask(auth, "2001:db8:0:1::1", "alice:guess").err, ERR_UNAUTHORIZED);
    auth_free(auth);
}

static void who_is_logged_in_is_not_hurt_by_the_guesses_of_a_neighbour(void **state)
{
    (void)state;
    struct auth *auth = basic_chain(FAILURES, CACHE_MS);
    assert_int_equal(ask(auth, "192.0.2.1", "alice:wonder").err, OK);
    for (int i = 0; i < FAILURES; i++)
        assert_int_equal(ask(auth, "192.0.2.1", "alice:guess").err, ERR_UNAUTHORIZED);
    assert_int_equal(ask(auth, "192.0.2.1", "alice:guess").err, ERR_TOO_MANY);
    assert_int_equal(ask(auth, "192.0.2.1", "alice:wonder").err, OK);
    auth_free(auth);
}

static void successes_are_not_limited(void **state)
{
    (void)state;
    struct auth *auth = basic_chain(FAILURES, 0);
    for (int i = 0; i < 3 * FAILURES; i++)
        assert_int_equal(ask(auth, "192.0.2.1", "alice:wonder").err, OK);
    auth_free(auth);
}

enum { BURST = 40 };

static unsigned count_err(const struct caller *callers, size_t count, enum err err)
{
    unsigned found = 0;
    for (size_t i = 0; i < count; i++)
        found += callers[i].err == err;
    return found;
}

static void a_burst_of_guesses_gets_no_more_tries_than_single_ones(void **state)
{
    (void)state;
    struct auth *auth = basic_chain(FAILURES, CACHE_MS);
    struct caller callers[BURST];
    for (size_t i = 0; i < BURST; i++) {
        callers[i] = caller_at("192.0.2.1", basic_of("alice:guess"));
        caller_ask(&callers[i], auth);
    }
    for (size_t i = 0; i < BURST; i++)
        caller_wait(&callers[i], loop);
    /* Two run at a time, so one more than the limit may have been under way. */
    assert_in_range(count_err(callers, BURST, ERR_UNAUTHORIZED), FAILURES, FAILURES + 1);
    assert_int_equal(count_err(callers, BURST, ERR_UNAUTHORIZED) + count_err(callers, BURST, ERR_TOO_MANY), BURST);
    auth_free(auth);
}

static void a_burst_of_one_right_password_is_let_in(void **state)
{
    (void)state;
    struct auth *auth = basic_chain(FAILURES, CACHE_MS);
    struct caller callers[BURST];
    for (size_t i = 0; i < BURST; i++) {
        callers[i] = caller_at("192.0.2.1", basic_of("alice:wonder"));
        caller_ask(&callers[i], auth);
    }
    /* The first answer lets those out of the line that wait for the same. */
    caller_wait(&callers[0], loop);
    unsigned answered = 0;
    for (size_t i = 0; i < BURST; i++)
        answered += callers[i].answers;
    /* One other may have been on a worker at the same time. */
    assert_in_range(answered, BURST - 1, BURST);
    caller_wait(&callers[1], loop);
    assert_int_equal(count_err(callers, BURST, OK), BURST);
    auth_free(auth);
}

enum { LINE = 2 + 64 };

static void the_line_of_those_who_wait_is_bounded(void **state)
{
    (void)state;
    struct auth *auth = basic_chain(0, CACHE_MS);
    struct caller callers[LINE];
    for (size_t i = 0; i < LINE; i++) {
        callers[i] = caller_at("192.0.2.1", basic_of("alice:guess"));
        caller_ask(&callers[i], auth);
        assert_int_equal(callers[i].answers, 0);
    }
    struct caller over = caller_at("192.0.2.2", basic_of("bob:p:w"));
    caller_ask(&over, auth);
    assert_int_equal(over.answers, 1);
    assert_int_equal(over.err, ERR_TOO_MANY);
    assert_int_equal(over.retry_after_s, 1);
    for (size_t i = 0; i < LINE; i++)
        caller_wait(&callers[i], loop);
    assert_int_equal(count_err(callers, LINE, ERR_UNAUTHORIZED), LINE);
    assert_int_equal(ask(auth, "192.0.2.2", "bob:p:w").err, OK);
    auth_free(auth);
}

static void whoever_waits_is_told_of_the_end(void **state)
{
    (void)state;
    struct auth *auth = basic_chain(FAILURES, CACHE_MS);
    struct caller callers[5];
    for (size_t i = 0; i < array_len(callers); i++) {
        callers[i] = caller_at("192.0.2.1", basic_of("alice:wonder"));
        caller_ask(&callers[i], auth);
        assert_int_equal(callers[i].answers, 0);
    }
    auth_free(auth);
    /* The workers are still at it; teardown waits for them. */
    for (size_t i = 0; i < array_len(callers); i++) {
        assert_int_equal(callers[i].answers, 1);
        assert_int_equal(callers[i].err, ERR_SHUTTING_DOWN);
    }
}

/* --- reading the file again ------------------------------------------------------------------------------------- */

static void a_reload_brings_new_passwords_and_forgets_logins(void **state)
{
    (void)state;
    struct auth *auth = basic_chain(0, CACHE_MS);
    assert_int_equal(ask(auth, "192.0.2.1", "alice:wonder").err, OK);
    write_users("looking-glass");
    assert_int_equal(ask(auth, "192.0.2.1", "alice:wonder").err, OK);
    assert_int_equal(auth_reload(auth), OK);
    assert_int_equal(ask(auth, "192.0.2.1", "alice:wonder").err, ERR_UNAUTHORIZED);
    assert_int_equal(ask(auth, "192.0.2.1", "alice:looking-glass").err, OK);
    auth_free(auth);
}

static void a_bad_file_changes_nothing(void **state)
{
    (void)state;
    struct auth *auth = basic_chain(0, CACHE_MS);
    (void)stage_file(&stage, "users", 0600, SPAN_LITERAL("alice\n"));
    assert_int_equal(auth_reload(auth), ERR_BAD_FIELD);
    assert_true(stage_logged(&stage, "line=1"));
    assert_int_equal(ask(auth, "192.0.2.1", "alice:wonder").err, OK);
    auth_free(auth);
}

static void somebody_removed_meanwhile_does_not_get_in(void **state)
{
    (void)state;
    struct auth *auth = basic_chain(0, CACHE_MS);
    struct caller caller = caller_at("192.0.2.1", basic_of("alice:wonder"));
    caller_ask(&caller, auth);
    assert_int_equal(caller.answers, 0);
    (void)stage_file(&stage, "users", 0600, SPAN_LITERAL("# nobody\n"));
    assert_int_equal(auth_reload(auth), OK);
    caller_wait(&caller, loop);
    assert_int_equal(caller.err, ERR_UNAUTHORIZED);
    assert_int_equal(ask(auth, "192.0.2.1", "alice:wonder").err, ERR_UNAUTHORIZED);
    auth_free(auth);
}

/* --- the users file --------------------------------------------------------------------------------------------- */

static void a_file_that_others_can_read_or_write_is_refused(void **state)
{
    (void)state;
    static const unsigned bad[] = {0644, 0604, 0602, 0601, 0666}, good[] = {0600, 0640, 0400, 0660};
    for (size_t i = 0; i < array_len(bad); i++) {
        stage_log_clear(&stage);
        assert_int_equal(chmod(users_path, bad[i]), 0);
        assert_null(basic_chain(0, 0));
        assert_true(stage_logged(&stage, "others may read or write it"));
        assert_true(stage_logged(&stage, users_path));
    }
    for (size_t i = 0; i < array_len(good); i++) {
        assert_int_equal(chmod(users_path, good[i]), 0);
        struct auth *auth = basic_chain(0, 0);
        assert_non_null(auth);
        auth_free(auth);
    }
}

static void a_file_that_cannot_be_read_is_refused(void **state)
{
    (void)state;
    struct users *users;
    assert_int_equal(users_load("/nonexistent/users", &users), ERR_BAD_FIELD);
    assert_true(stage_logged(&stage, "No such file or directory"));
    assert_int_equal(users_load(stage.folder, &users), ERR_BAD_FIELD);
    assert_true(stage_logged(&stage, "not a regular file"));
}

#define HASH "$6$rounds=1000$salt$hash"

static void each_bad_line_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *line, *why;
    } cases[] = {
        {"alice", "line=1", "expected user:hash:display name"},
        {"# comment\n\nalice\n", "line=3", "expected user:hash:display name"},
        {"ok:" HASH ":\n:" HASH ":name\n", "line=2", "not a user id"},
        {" a:" HASH "\n", "line=1", "not a user id"},
        {"a\x01:" HASH "\n", "line=1", "not a user id"},
        {"a:" HASH ":na\tme\n", "line=1", "not a display name"},
        {"a:" HASH ":\xff\n", "line=1", "not a display name"},
        {"a::name\n", "line=1", "not a hash that crypt(3) knows"},
        {"a:*:name\n", "line=1", "not a hash that crypt(3) knows"},
        {"a:!" HASH ":name\n", "line=1", "not a hash that crypt(3) knows"},
        {"a:secret:name\n", "line=1", "too weak"},
        {"a:$1$salt$hash:name\n", "line=1", "too weak"},
        {"a:" HASH ":\nb:" HASH "\na:" HASH ":again\n", "line=3", "the user was named before"},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        struct users *users = NULL;
        stage_log_clear(&stage);
        assert_int_equal(users_parse("the-file", span_of(cases[i].text), &users), ERR_BAD_FIELD);
        assert_null(users);
        if (!stage_logged(&stage, "file=the-file") || !stage_logged(&stage, cases[i].line) ||
            !stage_logged(&stage, cases[i].why))
            fail_msg("case %zu: %s", i, cases[i].why);
    }
}

static void all_bad_lines_are_named_at_once(void **state)
{
    (void)state;
    struct users *users;
    assert_int_equal(users_parse("f", SPAN_LITERAL("a\nok:" HASH "\nb\n"), &users), ERR_BAD_FIELD);
    assert_true(stage_logged(&stage, "line=1"));
    assert_false(stage_logged(&stage, "line=2"));
    assert_true(stage_logged(&stage, "line=3"));
    /* Not what they say: a password may stand where a hash should. */
    stage_log_clear(&stage);
    assert_int_equal(users_parse("f", SPAN_LITERAL("a:my password:x\n"), &users), ERR_BAD_FIELD);
    assert_false(stage_logged(&stage, "my password"));
}

static void assert_name(const struct users *users, const char *user, const char *expected)
{
    struct span name;
    assert_true(users_name(users, span_of(user), &name));
    assert_true(span_is(name, expected));
}

static void lines_are_read_as_they_stand(void **state)
{
    (void)state;
    struct users *users;
    struct span name;
    assert_int_equal(users_parse("f",
                                 SPAN_LITERAL("# a comment: with:colons\r\n\r\na:" HASH ":A\r\nb b:" HASH
                                              "\n\nc@d:" HASH ":C:D \nZo\xc3\xab:" HASH ":Zo\xc3\xab"),
                                 &users),
                     OK);
    assert_name(users, "a", "A");
    assert_name(users, "b b", "");
    assert_name(users, "c@d", "C:D ");
    assert_name(users, "Zo\xc3\xab", "Zo\xc3\xab");
    assert_false(users_name(users, SPAN_LITERAL("A"), &name));
    assert_false(users_name(users, SPAN_LITERAL("# a comment"), &name));
    users_free(users);
    users_free(NULL);
}

static void an_unknown_user_costs_what_most_users_cost(void **state)
{
    (void)state;
    static const struct {
        const char *text, *decoy;
    } cases[] = {
        {"", "$y$"},
        {"a:$6$rounds=5000$sa$ha\nb:$6$rounds=9000$sa$ha\nc:$6$rounds=9000$se$he\n", "$6$rounds=9000$"},
        {"a:$y$j9T$sa$ha\nb:$y$j9T$se$he\nc:$6$sa$ha\n", "$y$j9T$"},
        {"a:$2b$10$abcdefghijklmnopqrstuu\nb:$2b$12$abcdefghijklmnopqrstuu\nc:$2b$12$abcdefghijklmnopqrstuu\n",
         "$2b$12$"},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        struct users *users;
        const char *hash;
        assert_int_equal(users_parse("f", span_of(cases[i].text), &users), OK);
        assert_false(users_hash(users, SPAN_LITERAL("nobody"), &hash));
        if (strncmp(hash, cases[i].decoy, strlen(cases[i].decoy)) != 0)
            fail_msg("%s for %s", hash, cases[i].decoy);
        users_free(users);
    }
}

static void a_line_can_be_made_and_used(void **state)
{
    (void)state;
    char *line = NULL;
    assert_int_equal(
        auth_users_line(SPAN_LITERAL("dora"), SPAN_LITERAL("Dora: D"), SPAN_LITERAL("p\xc3\xa4ss:word"), &line), OK);
    assert_true(strncmp(line, "dora:$y$", strlen("dora:$y$")) == 0);
    assert_null(strchr(line, '\n'));
    (void)stage_file(&stage, "users", 0600, span_of(line));
    free(line);
    struct auth *auth = basic_chain(FAILURES, CACHE_MS);
    assert_non_null(auth);
    struct caller caller = ask(auth, "192.0.2.1", "dora:p\xc3\xa4ss:word");
    assert_int_equal(caller.err, OK);
    assert_string_equal(caller.name, "Dora: D");
    assert_int_equal(ask(auth, "192.0.2.1", "dora:other").err, ERR_UNAUTHORIZED);
    auth_free(auth);
}

static void a_line_that_could_not_be_used_is_not_made(void **state)
{
    (void)state;
    char long_password[600];
    memset(long_password, 'p', sizeof(long_password));
    const struct {
        struct span user, name, password;
    } cases[] = {
        {SPAN_LITERAL(""), SPAN_LITERAL(""), SPAN_LITERAL("p")},
        {SPAN_LITERAL("a:b"), SPAN_LITERAL(""), SPAN_LITERAL("p")},
        {SPAN_LITERAL("#a"), SPAN_LITERAL(""), SPAN_LITERAL("p")},
        {SPAN_LITERAL("a\n"), SPAN_LITERAL(""), SPAN_LITERAL("p")},
        {SPAN_LITERAL("a"), SPAN_LITERAL("A\nB"), SPAN_LITERAL("p")},
        {SPAN_LITERAL("a"), SPAN_LITERAL(""), SPAN_LITERAL("")},
        {SPAN_LITERAL("a"), SPAN_LITERAL(""), SPAN_LITERAL("p\0q")},
        {SPAN_LITERAL("a"), SPAN_LITERAL(""), SPAN_LITERAL("\xff")},
        {SPAN_LITERAL("a"), SPAN_LITERAL(""), {long_password, 512}},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        char *line = NULL;
        assert_int_equal(auth_users_line(cases[i].user, cases[i].name, cases[i].password, &line), ERR_BAD_FIELD);
        assert_null(line);
    }
    assert_true(password_valid((struct span){long_password, 511}));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(the_right_password_is_accepted),
        TEST(all_else_is_refused_in_the_same_way),
        TEST(nobody_gets_in_with_the_password_of_the_decoy),
        TEST(very_long_passwords_are_refused),
        TEST(a_login_is_remembered_for_a_while),
        TEST(without_a_cache_each_login_is_hashed),
        TEST(a_remembered_user_still_needs_the_password),
        TEST(the_cache_forgets_the_oldest_when_full),
        TEST(failures_are_limited_per_address),
        TEST(an_ipv6_subnet_counts_as_one_address),
        TEST(who_is_logged_in_is_not_hurt_by_the_guesses_of_a_neighbour),
        TEST(successes_are_not_limited),
        TEST(a_burst_of_guesses_gets_no_more_tries_than_single_ones),
        TEST(a_burst_of_one_right_password_is_let_in),
        TEST(the_line_of_those_who_wait_is_bounded),
        TEST(whoever_waits_is_told_of_the_end),
        TEST(a_reload_brings_new_passwords_and_forgets_logins),
        TEST(a_bad_file_changes_nothing),
        TEST(somebody_removed_meanwhile_does_not_get_in),
        TEST(a_file_that_others_can_read_or_write_is_refused),
        TEST(a_file_that_cannot_be_read_is_refused),
        TEST(each_bad_line_is_named),
        TEST(all_bad_lines_are_named_at_once),
        TEST(lines_are_read_as_they_stand),
        TEST(an_unknown_user_costs_what_most_users_cost),
        TEST(a_line_can_be_made_and_used),
        TEST(a_line_that_could_not_be_used_is_not_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
