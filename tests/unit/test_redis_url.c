/* SPDX-License-Identifier: MIT */
/* The URLs of Redis stores: what each form says, and what is refused with which reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "store/redis_url.h"

static struct redis_url parse(const char *text)
{
    struct redis_url url;
    const char *why = "";
    if (redis_url_parse(text, &url, &why) != OK)
        fail_msg("%s: %s", text, why);
    return url;
}

static void assert_refused(const char *text, const char *reason)
{
    struct redis_url url;
    const char *why = NULL;
    assert_int_equal(redis_url_parse(text, &url, &why), ERR_BAD_FIELD);
    assert_string_equal(why, reason);
}

static void assert_host(const struct redis_url *url, size_t index, const char *name, int port)
{
    assert_true(index < url->host_count);
    assert_string_equal(url->hosts[index].name, name);
    assert_int_equal(url->hosts[index].port, port);
}

static void a_host_is_enough(void **state)
{
    (void)state;
    struct redis_url url = parse("redis://redis.example");
    assert_host(&url, 0, "redis.example", 6379);
    assert_int_equal(url.host_count, 1);
    assert_int_equal(url.db, 0);
    assert_null(url.user);
    assert_null(url.password);
    assert_null(url.master);
    assert_null(url.path);
    redis_url_fini(&url);
}

static void all_parts_may_be_given(void **state)
{
    (void)state;
    struct redis_url url = parse("redis://chat:p%40ss%3aword@[2001:db8::1]:7000/12");
    assert_host(&url, 0, "2001:db8::1", 7000);
    assert_string_equal(url.user, "chat");
    assert_string_equal(url.password, "p@ss:word");
    assert_int_equal(url.db, 12);
    redis_url_fini(&url);
    url = parse("redis://:secret@127.0.0.1/");
    assert_null(url.user);
    assert_string_equal(url.password, "secret");
    assert_int_equal(url.db, 0);
    redis_url_fini(&url);
}

static void a_socket_is_named_by_its_path(void **state)
{
    (void)state;
    struct redis_url url = parse("redis+unix:/run/redis/redis.sock");
    assert_string_equal(url.path, "/run/redis/redis.sock");
    assert_int_equal(url.db, 0);
    redis_url_fini(&url);
    url = parse("redis+unix:redis.sock?db=3");
    assert_string_equal(url.path, "redis.sock");
    assert_int_equal(url.db, 3);
    redis_url_fini(&url);
}

static void sentinels_are_listed_before_the_masters_name(void **state)
{
    (void)state;
    struct redis_url url = parse("redis+sentinel://:pw@one,two:5000,[::1]/my%20master/2");
    assert_int_equal(url.host_count, 3);
    assert_host(&url, 0, "one", 26379);
    assert_host(&url, 1, "two", 5000);
    assert_host(&url, 2, "::1", 26379);
    assert_string_equal(url.master, "my master");
    assert_string_equal(url.password, "pw");
    assert_int_equal(url.db, 2);
    redis_url_fini(&url);
}

static void what_is_wrong_is_said(void **state)
{
    (void)state;
    static const char host[] = "a host is not of the form HOST, HOST:PORT or [V6]:PORT";
    static const char scheme[] = "it is none of redis://HOST, redis+unix:PATH and redis+sentinel://HOST,.../MASTER";
    assert_refused("redis:", scheme);
    assert_refused("rediss://host", scheme);
    assert_refused("redis://", host);
    assert_refused("redis://:6379", host);
    assert_refused("redis://host:", host);
    assert_refused("redis://host:0", host);
    assert_refused("redis://host:65536", host);
    assert_refused("redis://ho st", host);
    assert_refused("redis://[::1]x", host);
    assert_refused("redis://[::1", "a bracket is not closed");
    assert_refused("redis://one,two", "there is more than one host");
    assert_refused("redis://host/x", "the database is not a number");
    assert_refused("redis://host/1000001", "the database is not a number");
    assert_refused("redis://user@host", "a password must follow the user, behind a colon");
    assert_refused("redis://user:%4@host", "user or password is not well-formed");
    assert_refused("redis://user:%00@host", "user or password is not well-formed");
    assert_refused("redis+unix:", "the path is empty");
    assert_refused("redis+unix:/s?x=1", "only ?db= may follow the path");
    assert_refused("redis+sentinel://host", "the name of the master is missing behind the hosts");
    assert_refused("redis+sentinel://a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q/m", "there are too many hosts");
}

/* --- credentials in a file --- */

static void write_file(char path[32], const char *text, size_t len)
{
    (void)snprintf(path, 32, "/tmp/nereidd-test-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
    (void)close(fd);
}

static enum err read_credentials(struct redis_url *url, const char *text)
{
    char path[32];
    write_file(path, text, strlen(text));
    enum err err = redis_url_read_credentials(url, path);
    (void)unlink(path);
    return err;
}

static void a_file_holds_user_and_password_as_they_are(void **state)
{
    (void)state;
    struct redis_url url = parse("redis://old:one@host");
    assert_int_equal(read_credentials(&url, "chat:100%:sure\nmore\n"), OK);
    assert_string_equal(url.user, "chat");
    assert_string_equal(url.password, "100%:sure");
    assert_int_equal(read_credentials(&url, "secret"), OK);
    assert_null(url.user);
    assert_string_equal(url.password, "secret");
    redis_url_fini(&url);
}

static void a_file_without_credentials_is_refused(void **state)
{
    (void)state;
    struct redis_url url = parse("redis://host");
    char line[1100];
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    assert_int_equal(read_credentials(&url, ""), ERR_BAD_FIELD);
    assert_int_equal(read_credentials(&url, "\nsecret\n"), ERR_BAD_FIELD);
    assert_int_equal(read_credentials(&url, line), ERR_BAD_FIELD);
    line[1000] = '\0';
    assert_int_equal(read_credentials(&url, line), OK);
    assert_int_equal(redis_url_read_credentials(&url, "/nowhere/at/all"), ERR_BAD_FIELD);
    redis_url_fini(&url);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_is_enough),
        cmocka_unit_test(all_parts_may_be_given),
        cmocka_unit_test(a_socket_is_named_by_its_path),
        cmocka_unit_test(sentinels_are_listed_before_the_masters_name),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(a_file_holds_user_and_password_as_they_are),
        cmocka_unit_test(a_file_without_credentials_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
