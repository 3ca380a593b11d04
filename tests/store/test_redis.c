/* SPDX-License-Identifier: MIT */
/* The Redis store: the conformance suite, and what is its own: the keys that others may rely on, several nodes,
 * failures. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "redis_rig.h"

/* --- the factory ------------------------------------------------------------------------------------------------ */

/* Signs of life and steps of retention come more often than in earnest, so that tests need not wait for them.
 * Deadlines are long, for machines that are busy; tests of deadlines set their own. */
enum { PULSE_MS = 100 };

static enum err open_redis(struct store_factory *factory, struct loop *loop, const struct store_options *options,
                           struct store **ret_store)
{
    (void)factory;
    struct store_options quick = *options;
    if (!quick.lease_renewal_ms)
        quick.lease_renewal_ms = PULSE_MS;
    if (!quick.deadline_ms)
        quick.deadline_ms = DEADLINE_MS;
    return store_open(loop, server.url, &quick, ret_store);
}

/* Whatever state a failed test has left. */
static void wipe_redis(struct store_factory *factory)
{
    (void)factory;
    if (server.pid)
        server_resume(&server);
    else if (!server_start(&server, NULL))
        fail_msg("no server");
    freeReplyObject(server_reply(&server, "SCRIPT KILL"));
    server_do(&server, "REPLICAOF NO ONE");
    server_do(&server, "CONFIG SET maxmemory 0 min-replicas-to-write 0 port 0");
    server_do(&server, "ACL SETUSER default on nopass ~* &* +@all");
    server_do(&server, "FLUSHALL");
    server_do(&server, "SCRIPT FLUSH");
    forget_log();
}

/* Only the ends of tokens are in the server's keeping. */
static void pass_in_redis(struct store_factory *factory, int64_t us)
{
    static const char script[] = "for _, key in ipairs(redis.call('KEYS', 'chat:token:*')) do\n"
                                 "    local left = redis.call('PTTL', key)\n"
                                 "    if left >= 0 then redis.call('PEXPIRE', key, left - ARGV[1]) end\n"
                                 "end";
    (void)factory;
    server_do(&server, "EVAL %s 0 %lld", script, (long long)(us + 999) / 1000);
}

static struct store_factory factory = {
    .open = open_redis, .wipe = wipe_redis, .pass = pass_in_redis, .token_slack_us = 1000000};

/* --- tokens ----------------------------------------------------------------------------------------------------- */

static const char *token_key(struct id token)
{
    static char key[64];
    char text[ID_TEXT_SIZE];
    (void)snprintf(key, sizeof(key), "chat:token:%s", id_format(token, text));
    return key;
}

static void a_token_is_a_key_with_the_users_id(void **state)
{
    struct harness *h = *state;
    struct id token = id_random();
    assert_ok(put_token(h, token, "alice", h->clock.wall_us + 3600000000));
    assert_string_equal(server_text(&server, "TYPE %s", token_key(token)), "string");
    assert_string_equal(server_text(&server, "GET %s", token_key(token)), "alice");
    assert_in_range(server_number(&server, "PTTL %s", token_key(token)), 3590000, 3600000);
    assert_ok(delete_token(h, token));
    assert_int_equal(server_number(&server, "EXISTS %s", token_key(token)), 0);
}

static void a_token_that_others_set_is_one(void **state)
{
    struct harness *h = *state;
    struct id token = id_random();
    server_do(&server, "SET %s %s EX 60", token_key(token), "alice 日本");
    assert_ok(get_token(h, token));
    assert_string_equal(h->got.token_user, "alice 日本");
    assert_true(llabs(h->got.token_expires_us - (h->clock.wall_us + 60000000)) < 2000000);
    server_do(&server, "DEL %s", token_key(token));
    assert_int_equal(get_token(h, token), ERR_NO_TOKEN);
    server_do(&server, "SETEX %s 60 bob", token_key(token));
    assert_ok(get_token(h, token));
    assert_string_equal(h->got.token_user, "bob");
    assert_ok(delete_token(h, token));
}

static void a_token_that_others_set_may_have_no_end(void **state)
{
    struct harness *h = *state;
    struct id token = id_random();
    server_do(&server, "SET %s alice", token_key(token));
    assert_ok(get_token(h, token));
    assert_true(h->got.token_expires_us > h->clock.wall_us + INT64_C(1000000) * 3600 * 24 * 365);
}

static void a_key_that_is_no_token_of_anybody_is_none(void **state)
{
    struct harness *h = *state;
    struct id token = id_random();
    char long_id[130];
    memset(long_id, 'x', sizeof(long_id));
    const struct span bad[] = {
        SPAN_LITERAL(""),      SPAN_LITERAL("a\nb"), SPAN_LITERAL("a\0b"),         SPAN_LITERAL("\xff"),
        SPAN_LITERAL("a\x7f"), {long_id, 129},       SPAN_LITERAL("\xed\xa0\x80"),
    };
    server_do(&server, "RPUSH %s alice", token_key(token));
    assert_int_equal(get_token(h, token), ERR_STORE);
    assert_true(logged("WRONGTYPE") > 0);
    for (size_t i = 0; i < array_len(bad); i++) {
        server_do(&server, "SET %s %b EX 60", token_key(token), bad[i].data, bad[i].len);
        assert_int_equal(get_token(h, token), ERR_NO_TOKEN);
    }
    assert_true(is_ready(h));
}

static void a_token_that_others_delete_is_told(void **state)
{
    struct harness *h = *state;
    hurry(h);
    for (size_t i = 0; i < 3; i++) {
        h->tokens[i] = id_random();
        server_do(&server, "SET %s alice EX 60", token_key(h->tokens[i]));
    }
    h->token_count = 3;
    turn_for(h, 500);
    assert_journal(h, "");
    server_do(&server, "DEL %s", token_key(h->tokens[1]));
    char text[ID_TEXT_SIZE];
    char expected[80];
    (void)snprintf(expected, sizeof(expected), "token %s ended; ", id_format(h->tokens[1], text));
    wait_until(h, h->journal.len > 0);
    assert_journal(h, expected);
}

/* --- keys ------------------------------------------------------------------------------------------------------- */

static void use_everything(struct harness *h)
{
    struct id thread = scene(h);
    assert_ok(open_room(h, "lobby", "alice"));
    assert_ok(open_room(h, "lobby", "bob"));
    assert_ok(remove_member(h, h->got.thread, "bob"));
    assert_ok(set_presence(h, "bob", SHOW_DND, "busy"));
    h->store->ops->lease(h->store, SPAN_LITERAL("alice"), LEASE_HELD);
    assert_ok(put_token(h, id_random(), "alice", h->clock.wall_us + 60000000));
    assert_ok(visit_room(h, "lobby", "bob"));
    h->store->ops->lease(h->store, SPAN_LITERAL("bob"), LEASE_IDLE);
    say(h, thread, "alice", "hello");
    assert_ok(find_message(h, h->got.append.id));
    assert_ok(read_history(h, thread, "bob", at(0), 10));
    assert_ok(read_replay(h, "bob", at(0), 10, 100));
    assert_ok(list_threads(h, "alice", true));
}

static void all_keys_begin_with_chat(void **state)
{
    struct harness *h = *state;
    use_everything(h);
    redisReply *reply = server_reply(&server, "KEYS *");
    assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
    assert_in_range(reply->elements, 10, 40);
    for (size_t i = 0; i < reply->elements; i++)
        assert_int_equal(strncmp(reply->element[i]->str, "chat:", 5), 0);
    freeReplyObject(reply);
}

static void other_programs_can_read_the_log(void **state)
{
    struct harness *h = *state;
    char text[ID_TEXT_SIZE];
    struct id thread = scene(h);
    struct cursor cursor = say(h, thread, "alice", "hello");
    char id[64];
    (void)snprintf(id, sizeof(id), "%llu-%llu", (unsigned long long)cursor.major, (unsigned long long)cursor.minor);
    const char *entry = server_text(&server, "XRANGE chat:log %s %s", id, id);
    assert_non_null(strstr(entry, "user\nalice\n"));
    assert_non_null(strstr(entry, "text\nhello\n"));
    assert_non_null(strstr(entry, id_format(thread, text)));
    (void)id_format(h->got.append.id, text);
    assert_string_equal(server_text(&server, "HGET chat:ids %s", text), id);
    (void)id_format(thread, text);
    assert_int_equal(server_number(&server, "XLEN chat:history:%s", text), 1);
    assert_non_null(strstr(server_text(&server, "XRANGE chat:history:%s - +", text), id));
}

static void retention_trims_all_that_is_kept_of_a_message(void **state)
{
    struct harness *h = *state;
    char text[ID_TEXT_SIZE];
    h->options.retention_count = 10;
    reopen_store(h);
    struct id thread = scene(h);
    (void)say_many(h, thread, "alice", 100);
    wait_for_oldest(h, "alice", h->said[90]);
    (void)id_format(thread, text);
    assert_int_equal(server_number(&server, "XLEN chat:log"), 10);
    assert_int_equal(server_number(&server, "HLEN chat:ids"), 10);
    assert_int_equal(server_number(&server, "XLEN chat:history:%s", text), 10);
    /* A node that starts now, and one that comes back, stand where the others do. */
    struct harness *node = node_new(h);
    assert_cursor(node->got.bounds.oldest, h->said[90]);
    kill_connections("normal");
    wait_until_away(h);
    wait_until_ready(h);
    wait_until_ready(node);
    say(h, thread, "alice", "and on");
    catch_up(node, h);
    node_free(node);
}

/* --- where the server is ---------------------------------------------------------------------------------------- */

static void urls_that_are_none_are_refused(void **state)
{
    struct harness *h = *state;
    static const char *const bad[] = {
        "redis:",
        "redis://",
        "redis://user:secret@",
        "redis://user:secret@host:0",
        "redis://user:secret@host:65536",
        "redis://user:secret@host:80x",
        "redis://user:secret@ho st",
        "redis://user:secret@host/x",
        "redis://user:secret@a,b",
        "redis://secret@host",
        "redis://user:secret%@host",
        "redis://user:secret%0@host",
        "redis://user:secret%zz@host",
        "redis://user:secret%00@host",
        "redis://user:secret@[::1",
        "redis+unix:",
        "redis+unix:/secret?x=1",
        "redis+unix:/secret?db=x",
        "redis+sentinel://user:secret@host",
        "redis+sentinel://user:secret@host/",
        "redis+sentinel://user:secret@/master",
        "redis+sentinel://user:secret@a,,b/master",
        "rediss://user:secret@host",
        "redis+cluster://user:secret@host",
    };
    for (size_t i = 0; i < array_len(bad); i++) {
        struct store *store = NULL;
        forget_log();
        if (store_check(bad[i], NULL) || store_open(h->loop, bad[i], &h->options, &store) != ERR_BAD_FIELD || store)
            fail_msg("%s was taken", bad[i]);
        assert_in_range(logged(" error "), 1, 2);
        assert_int_equal(logged("secret"), 0);
    }
}

static void urls_of_redis_are_known(void **state)
{
    (void)state;
    static const char *const good[] = {
        "redis://localhost",
        "redis://localhost/",
        "redis://localhost:6380/3",
        "redis://[::1]:6380",
        "redis://user:secret@192.0.2.1",
        "redis://:secret@host",
        "redis://us%3Aer:sec%40ret@host",
        "redis+unix:/run/redis/redis.sock",
        "redis+unix:relative.sock?db=2",
        "redis+sentinel://host/master",
        "redis+sentinel://user:secret@a:1,b,[::1]:3/master/5",
    };
    for (size_t i = 0; i < array_len(good); i++)
        if (!store_check(good[i], NULL))
            fail_msg("%s was refused", good[i]);
    assert_int_equal(logged("secret"), 0);
}

static void try_url(struct harness *h, const char *url)
{
    assert_ok(store_open(h->loop, url, &h->options, &h->store));
    h->store->ops->start(h->store, &h->sink, on_bounds, ask(h));
    settle(h);
    buf_reset(&h->journal);
    (void)say(h, scene(h), "alice", "hello");
    close_store(h);
}

static void a_server_is_reached_by_tcp_with_a_login_that_may_little(void **state)
{
    struct harness *h = *state;
    char url[160];
    char path[SERVER_PATH_MAX];
    close_store(h);
    int port = server_listen(&server);
    server_do(&server, "ACL SETUSER gate on >s3cr@t:%% resetkeys ~chat:* resetchannels &chat:* -@all +@read +@write "
                       "+@stream +@pubsub +@scripting +@connection +role +time");
    server_do(&server, "ACL SETUSER default >other");
    (void)snprintf(url, sizeof(url), "redis://gate:s3cr%%40t%%3A%%25@localhost:%d", port);
    try_url(h, url);
    (void)snprintf(url, sizeof(url), "redis://:other@127.0.0.1:%d", port);
    try_url(h, url);

    (void)snprintf(path, sizeof(path), "%s/credentials", server.directory);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs("gate:s3cr@t:%\n", file) >= 0);
    (void)fclose(file);
    h->options.credentials = path;
    (void)snprintf(url, sizeof(url), "redis://127.0.0.1:%d/", port);
    try_url(h, url);
    assert_int_equal(logged("s3cr"), 0);
    assert_int_equal(logged(" warn ") + logged(" error "), 0);
    server_do(&server, "ACL DELUSER gate");
    server_do(&server, "ACL SETUSER default on nopass");
    server_do(&server, "CONFIG SET port 0");
    h->options.credentials = NULL;
}

static void credentials_that_cannot_be_read_are_refused(void **state)
{
    struct harness *h = *state;
    struct store *store = NULL;
    h->options.credentials = "/nonexistent/credentials";
    assert_int_equal(store_open(h->loop, server.url, &h->options, &store), ERR_BAD_FIELD);
    assert_null(store);
    assert_false(store_check(server.url, h->options.credentials));
    assert_int_equal(logged("/nonexistent/credentials"), 2);
}

static void a_wrong_password_is_said_and_waited_for(void **state)
{
    struct harness *h = *state;
    char url[SERVER_PATH_MAX + 32];
    char path[SERVER_PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/credentials", server.directory);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs("wrong", file) >= 0);
    (void)fclose(file);
    close_store(h);
    server_do(&server, "ACL SETUSER default resetpass >right");
    h->options.credentials = path;
    (void)snprintf(url, sizeof(url), "%s?db=1", server.url);
    forget_log();
    assert_ok(store_open(h->loop, url, &h->options, &h->store));
    h->store->ops->start(h->store, &h->sink, on_bounds, ask(h));
    wait_until(h, logged("WRONGPASS"));
    assert_false(is_ready(h));
    assert_int_equal(logged("wrong"), 0);
    server_do(&server, "ACL SETUSER default >wrong");
    settle(h);
    assert_true(is_ready(h));
    server_do(&server, "ACL SETUSER default on nopass");
    h->options.credentials = NULL;
}

/* Two gateways may share a server: what is published is seen in all of its databases. */
static enum err open_second(struct store_factory *unused, struct loop *loop, const struct store_options *options,
                            struct store **ret_store)
{
    (void)unused;
    char url[SERVER_PATH_MAX + 32];
    (void)snprintf(url, sizeof(url), "%s?db=2", server.url);
    return store_open(loop, url, options, ret_store);
}

static void another_database_is_another_store(void **state)
{
    struct harness *a = *state;
    struct store_factory second = {.open = open_second, .wipe = wipe_redis};
    struct harness *b = harness_new(&second);
    struct id token = id_random();
    b->peer = a;
    a->peer = b;
    open_store(b);
    struct id thread = scene(a);
    say(a, thread, "alice", "here");
    assert_ok(put_token(a, token, "alice", a->clock.wall_us + 60000000));
    assert_ok(put_token(b, token, "alice", b->clock.wall_us + 60000000));
    assert_ok(delete_token(a, token));
    make_users(b, "carol");
    assert_ok(set_presence(a, "alice", SHOW_XA, ""));
    wait_until(b, strstr(text_of(&b->user_events), "carol"));
    turn_for(b, 300);
    assert_buf(b->user_events, "carol off chat; ");
    assert_string_equal(announced(b), "");
    assert_int_equal(b->told.len, 0);
    assert_ok(get_token(b, token));
    assert_ok(list_users(b, "", 10));
    assert_buf(b->got.users, "carol ");
    assert_user_events(a, "alice off chat; bob off chat; alice off xa; ");
    a->peer = NULL;
    harness_free(b);
}

static const struct CMUnitTest tests[] = {
    CASE(a_token_is_a_key_with_the_users_id),
    CASE(a_token_that_others_set_is_one),
    CASE(a_token_that_others_set_may_have_no_end),
    CASE(a_key_that_is_no_token_of_anybody_is_none),
    CASE(a_token_that_others_delete_is_told),
    CASE(all_keys_begin_with_chat),
    CASE(other_programs_can_read_the_log),
    CASE(retention_trims_all_that_is_kept_of_a_message),
    CASE(urls_that_are_none_are_refused),
    CASE(urls_of_redis_are_known),
    CASE(a_server_is_reached_by_tcp_with_a_login_that_may_little),
    CASE(credentials_that_cannot_be_read_are_refused),
    CASE(a_wrong_password_is_said_and_waited_for),
    CASE(another_database_is_another_store),
};

const struct cases redis_cases = {tests, array_len(tests)};

static int run(void)
{
    const struct cases *const lists[] = {&redis_cases,       &redis_node_cases,    &redis_visit_cases,
                                         &redis_crowd_cases, &redis_replica_cases, &redis_failure_cases,
                                         &redis_bus_cases};
    static struct CMUnitTest all[128];
    size_t count = 0;
    for (size_t i = 0; i < array_len(lists); i++) {
        memcpy(&all[count], lists[i]->tests, lists[i]->count * sizeof(all[0]));
        count += lists[i]->count;
    }
    return suite_run(&factory, (struct cases){all, count});
}

int main(void)
{
    char directory[] = "/tmp/test_redis_log.XXXXXX";
    if (!mkdtemp(directory))
        return 1;
    (void)snprintf(log_path, sizeof(log_path), "%s/log", directory);
    if (!server_init(&server, "test_redis") || log_open(log_path, LOG_INFO, LOG_KEY_VALUE))
        return 1;
    int failed = server_start(&server, NULL) ? run() : 1;
    server_fini(&sentinel);
    server_fini(&replica);
    server_fini(&server);
    log_close();
    (void)unlink(log_path);
    (void)rmdir(directory);
    return failed;
}
