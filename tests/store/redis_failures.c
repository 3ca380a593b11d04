/* SPDX-License-Identifier: MIT */
/* Redis ends, hangs, refuses, forgets: what was acknowledged stays, nothing comes twice, and all goes on by itself. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_rig.h"

static size_t count_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    size_t count = 0;
    while (readdir(directory))
        count++;
    (void)closedir(directory);
    return count;
}

/* --- connections ------------------------------------------------------------------------------------------------ */

/* Kills the connection that is the `nth` in age, not counting ours. */
static void kill_one(size_t nth)
{
    char list[16384];
    (void)snprintf(list, sizeof(list), "%s", server_text(&server, "CLIENT LIST"));
    long long own = server_number(&server, "CLIENT ID");
    long long ids[64];
    size_t count = 0;
    for (char *line = list; (line = strstr(line, "id=")); line = strchr(line, '\n')) {
        long long id = strtoll(line + 3, NULL, 10);
        if (id != own && count < array_len(ids))
            ids[count++] = id;
    }
    assert_true(count > 0);
    server_do(&server, "CLIENT KILL ID %lld", ids[nth % count]);
}

static void the_loss_of_any_connection_loses_and_doubles_nothing(void **state)
{
    struct harness *a = *state;
    struct id thread = scene(a);
    struct harness *b = node_new(a);
    struct traffic *traffic = traffic_new(a, thread, "alice");
    traffic_run(traffic, 50);
    size_t descriptors = count_descriptors();
    /* Three of each node. */
    for (size_t i = 0; i < 6; i++) {
        kill_one(i);
        traffic_run(traffic, 100 + 50 * (int)i);
    }
    traffic_finish(traffic);
    catch_up(b, a);
    traffic_check(traffic, b);
    wait_until_ready(b);
    assert_in_range(count_descriptors(), 1, descriptors + 1);
    free(traffic);
    node_free(b);
}

static void pending_calls_are_answered_when_a_connection_ends(void **state)
{
    struct harness *h = *state;
    struct id thread = scene(h);
    for (int i = 0; i < 20; i++) {
        struct message *message = draft(id_random(), thread, "alice", "x");
        h->store->ops->append(h->store, message, on_append, ask(h));
        h->store->ops->token_get(h->store, id_random(), on_token, ask(h));
        message_unref(message);
    }
    kill_connections("normal");
    settle(h);
    wait_until_ready(h);
    buf_reset(&h->journal);
    say(h, thread, "alice", "and on");
}

/* Brings carol in, or out, whatever fails meanwhile; who is out already is no member. */
static void insist_on_member(struct harness *h, struct id thread, bool in)
{
    enum err err = OK;
    do {
        wait_until_ready(h);
        err = in ? add_member(h, thread, "carol") : remove_member(h, thread, "carol");
    } while (err == ERR_STORE);
    assert_true(err == OK || (!in && err == ERR_NO_THREAD));
}

static void a_member_change_is_not_lost_with_a_connection(void **state)
{
    struct harness *a = *state;
    make_users(a, "alice bob carol");
    struct harness *b = node_new(a);
    struct id thread = thread_of(a, "alice bob");
    for (int i = 0; i < 4; i++) {
        insist_on_member(a, thread, i % 2 == 0);
        kill_one((size_t)i);
        const char *expected = i % 2 ? "without carol; " : "bob carol; ";
        wait_until(b, strstr(announced(b), expected));
        buf_reset(&b->journal);
    }
    wait_until_ready(a);
    node_free(b);
}

/* --- the server ------------------------------------------------------------------------------------------------- */

static void start_again(const char *const *more)
{
    if (!server_start(&server, more))
        fail_msg("no server");
}

/* For the next test. */
static void start_clean(void)
{
    server_clear(&server);
    start_again(NULL);
}

static void what_was_acknowledged_survives_kill_9(void **state)
{
    static const char *const durable[] = {"--appendonly", "yes", "--appendfsync", "always", NULL};
    struct harness *a = *state;
    close_store(a);
    server_clear(&server);
    start_again(durable);
    open_store(a);
    struct id thread = scene(a);
    struct harness *b = node_new(a);
    struct traffic *traffic = traffic_new(a, thread, "alice");
    for (int i = 1; i <= 4; i++) {
        traffic_run(traffic, 100 * i);
        server_kill(&server);
        wait_until_away(a);
        start_again(durable);
    }
    traffic_run(traffic, 500);
    traffic_finish(traffic);
    catch_up(b, a);
    traffic_check(traffic, b);
    free(traffic);
    node_free(b);
    close_store(a);
    start_clean();
    open_store(a);
}

static void a_server_that_forgot_everything_resets_the_nodes(void **state)
{
    struct harness *h = *state;
    struct id thread = scene(h);
    say(h, thread, "alice", "before");
    server_kill(&server);
    h->reset_expected = true;
    start_again(NULL);
    wait_until(h, h->resets == 1);
    assert_cursor(h->got.bounds.head, at(0));
    assert_true(h->got.bounds.version > 0);
    assert_int_equal(append_as(h, id_random(), thread, "alice", "lost"), ERR_NO_THREAD);
    thread = scene(h);
    say(h, thread, "alice", "after");
    assert_ok(read_replay(h, "bob", at(0), 10, 100));
    assert_buf(h->got.texts, "after");
    assert_int_equal(h->resets, 1);
}

static void data_that_others_deleted_reset_the_nodes(void **state)
{
    struct harness *h = *state;
    (void)say(h, scene(h), "alice", "before");
    h->reset_expected = true;
    server_do(&server, "FLUSHALL");
    kill_connections("normal");
    wait_until(h, h->resets == 1);
    assert_cursor(h->got.bounds.head, at(0));
    wait_until_ready(h);
    (void)say(h, scene(h), "alice", "after");

    /* Without a lost connection the next sign of life finds it out. */
    server_do(&server, "FLUSHALL");
    wait_until(h, h->resets == 2);
    wait_until_ready(h);
    (void)say(h, scene(h), "alice", "after that");
    assert_int_equal(h->resets, 2);
}

/* Takes the log's last message back, as if it had never come. ARGV: its id, the entry before it, and its own entry. */
static const char forget_message[] = "redis.call('HDEL', 'chat:ids', ARGV[1])\n"
                                     "for _, key in ipairs(redis.call('KEYS', 'chat:history:*')) do\n"
                                     "    redis.call('XDEL', key, ARGV[3])\n"
                                     "    redis.call('XSETID', key, ARGV[2])\n"
                                     "end\n"
                                     "redis.call('XDEL', 'chat:log', ARGV[3])\n"
                                     "redis.call('XSETID', 'chat:log', ARGV[2])\n"
                                     "redis.call('HSET', 'chat:state', 'last', ARGV[2], 'head', ARGV[2])";

/* As after a power cut, where not every write is on the disk at once. */
static void a_server_that_forgot_the_last_change_of_a_user_resets_the_nodes(void **state)
{
    struct harness *h = *state;
    (void)say(h, scene(h), "alice", "before");
    server_do(&server, "HINCRBY chat:state version -1");
    h->reset_expected = true;
    kill_connections("normal");
    wait_until(h, h->resets == 1);
    assert_cursor(h->got.bounds.head, h->head);
    wait_until_ready(h);
    assert_ok(set_presence(h, "alice", SHOW_XA, ""));
}

static void a_log_that_lost_its_end_resets_the_nodes(void **state)
{
    struct harness *h = *state;
    struct id thread = scene(h);
    struct cursor kept = say(h, thread, "alice", "kept");
    struct id lost = id_random();
    assert_ok(append_as(h, lost, thread, "alice", "lost"));
    struct cursor cursor = h->got.append.cursor;
    char text[ID_TEXT_SIZE];
    char id[64];
    (void)snprintf(id, sizeof(id), "%llu-%llu", (unsigned long long)kept.major, (unsigned long long)kept.minor);
    (void)id_format(lost, text);
    server_do(&server, "EVAL %s 0 %s %s %s", forget_message, text, id, server_text(&server, "HGET chat:ids %s", text));
    h->reset_expected = true;
    kill_connections("normal");
    wait_until(h, h->resets == 1);
    assert_cursor(h->got.bounds.head, kept);
    wait_until_ready(h);
    /* Nobody is given a cursor that somebody has seen with another message. */
    assert_true(cursor_compare(say(h, thread, "alice", "after"), cursor) > 0);
    assert_ok(read_replay(h, "bob", at(0), 10, 100));
    assert_buf(h->got.texts, "kept|after");
}

static void scripts_that_were_flushed_are_loaded_again(void **state)
{
    struct harness *h = *state;
    struct id thread = scene(h);
    server_do(&server, "SCRIPT FLUSH");
    struct traffic *traffic = traffic_new(h, thread, "alice");
    traffic_run(traffic, 10);
    traffic_finish(traffic);
    free(traffic);
}

static void a_server_that_hangs_fails_calls_in_time(void **state)
{
    struct harness *h = *state;
    hurry(h);
    struct id thread = scene(h);
    struct id id = id_random();
    buf_reset(&h->told);
    server_pause(&server);
    int64_t start_ms = loop_now_ms(h->loop);
    assert_int_equal(append_as(h, id, thread, "alice", "late"), ERR_STORE);
    int64_t took_ms = loop_now_ms(h->loop) - start_ms;
    assert_in_range(took_ms, 400, 10000);
    const char *reason = NULL;
    assert_false(h->store->ops->ready(h->store, &reason));
    assert_non_null(reason);
    assert_int_equal(put_user(h, "carol", ""), ERR_STORE);
    turn_for(h, 1000);
    assert_false(is_ready(h));
    server_resume(&server);
    wait_until_ready(h);
    /* Whether or not it came through then, it is there once now. */
    assert_ok(append_as(h, id, thread, "alice", "late"));
    assert_int_equal(h->told.len, sizeof(id));
}

static void nobody_is_taken_down_because_the_server_was_away(void **state)
{
    struct harness *a = *state;
    hurry(a);
    (void)scene(a);
    struct harness *b = node_new(a);
    a->leased = "alice";
    b->leased = "bob";
    a->store->ops->lease(a->store, SPAN_LITERAL("alice"), LEASE_HELD);
    b->store->ops->lease(b->store, SPAN_LITERAL("bob"), LEASE_HELD);
    wait_until(a, strstr(text_of(&a->user_events), "bob on"));
    wait_until(a, strstr(text_of(&a->user_events), "alice on"));
    size_t len = a->user_events.len;
    server_pause(&server);
    /* Longer than a lease. */
    turn_for(a, 1200);
    server_resume(&server);
    wait_until_ready(a);
    wait_until_ready(b);
    turn_for(a, 500);
    assert_int_equal(a->user_events.len, len);
    node_free(b);
}

static void a_store_starts_when_its_server_does(void **state)
{
    struct harness *h = *state;
    close_store(h);
    server_clear(&server);
    assert_ok(try_open_store(h));
    h->store->ops->start(h->store, &h->sink, on_bounds, ask(h));
    turn_for(h, 300);
    assert_int_equal(h->answered, h->asked - 1);
    assert_false(is_ready(h));
    int answered = h->answered;
    h->store->ops->user_put(h->store, SPAN_LITERAL("alice"), SPAN_LITERAL(""), on_user, ask(h));
    wait_until(h, h->answered > answered);
    assert_int_equal(h->got.err, ERR_STORE);
    assert_in_range(logged(" warn ") + logged(" error "), 1, 3);
    start_again(NULL);
    settle(h);
    assert_ok(h->got.err);
    assert_true(is_ready(h));
    say(h, scene(h), "alice", "hello");
}

static void on_never_started(void *ctx, enum err err, const struct store_bounds *bounds)
{
    on_plain(ctx, err);
    assert_int_not_equal(err, OK);
    assert_null(bounds);
}

static void a_store_may_be_closed_before_its_server_was_reached(void **state)
{
    struct harness *h = *state;
    close_store(h);
    server_kill(&server);
    assert_ok(try_open_store(h));
    h->store->ops->start(h->store, &h->sink, on_never_started, ask(h));
    turn_for(h, 50);
    close_store(h);
    assert_int_equal(h->answered, h->asked);
    start_again(NULL);
    open_store(h);
}

static void a_store_whose_server_hangs_can_be_closed(void **state)
{
    struct harness *h = *state;
    hurry(h);
    (void)scene(h);
    server_pause(&server);
    int64_t start_ms = loop_now_ms(h->loop);
    h->store->ops->user_put(h->store, SPAN_LITERAL("carol"), SPAN_LITERAL(""), on_user, ask(h));
    close_store(h);
    assert_int_equal(h->answered, h->asked);
    int64_t took_ms = loop_now_ms(h->loop) - start_ms;
    assert_in_range(took_ms, 0, 10000);
    server_resume(&server);
    open_store(h);
}

static void many_calls_while_the_server_hangs_are_all_answered(void **state)
{
    struct harness *h = *state;
    h->options.queue_max = 10;
    hurry(h);
    struct id thread = scene(h);
    server_pause(&server);
    for (int i = 0; i < 100; i++) {
        struct message *message = draft(id_random(), thread, "alice", "x");
        h->store->ops->append(h->store, message, on_append, ask(h));
        message_unref(message);
    }
    settle(h);
    server_resume(&server);
    wait_until_ready(h);
    buf_reset(&h->journal);
    say(h, thread, "alice", "x");
}

/* --- error replies ---------------------------------------------------------------------------------------------- */

static void become_a_replica(void)
{
    server_do(&server, "REPLICAOF 127.0.0.1 1");
}

static void become_a_master(void)
{
    server_do(&server, "REPLICAOF NO ONE");
}

static void take_no_memory(void)
{
    server_do(&server, "CONFIG SET maxmemory 1");
}

static void take_memory(void)
{
    server_do(&server, "CONFIG SET maxmemory 0");
}

static void want_replicas(void)
{
    server_do(&server, "CONFIG SET min-replicas-to-write 1");
}

static void want_no_replicas(void)
{
    server_do(&server, "CONFIG SET min-replicas-to-write 0");
}

static void want_a_password(void)
{
    server_do(&server, "CONFIG SET requirepass secret");
    kill_connections("normal");
}

static void want_no_password(void)
{
    server_do(&server, "CONFIG SET requirepass %s", "");
}

static void forbid_scripts(void)
{
    server_do(&server, "ACL SETUSER default -evalsha");
}

static void forbid_the_log(void)
{
    server_do(&server, "ACL SETUSER default resetkeys ~chat:[a-km-z]*");
    kill_connections("normal");
}

static void forbid_reading_the_log(void)
{
    server_do(&server, "ACL SETUSER default -xread");
    kill_connections("normal");
}

static void forbid_subscribing(void)
{
    server_do(&server, "ACL SETUSER default -subscribe");
    kill_connections("pubsub");
}

static void permit_everything(void)
{
    server_do(&server, "ACL SETUSER default on nopass ~* &* +@all");
}

static redisContext *busy;

/* A script that does not end, on a connection of its own. */
static void be_busy(void)
{
    server_do(&server, "CONFIG SET busy-reply-threshold 10");
    busy = redisConnectUnix(server.socket);
    assert_non_null(busy);
    assert_int_equal(redisAppendCommand(busy, "EVAL %s 0", "while true do end"), REDIS_OK);
    int done = 0;
    while (!done)
        assert_int_equal(redisBufferWrite(busy, &done), REDIS_OK);
    redisReply *reply = NULL;
    for (int i = 0; i < 1000 && (!reply || reply->type != REDIS_REPLY_ERROR); i++) {
        if (reply)
            freeReplyObject(reply);
        reply = server_reply(&server, "PING");
    }
    assert_int_equal(strncmp(reply->str, "BUSY", 4), 0);
    freeReplyObject(reply);
}

static void be_idle(void)
{
    server_do(&server, "SCRIPT KILL");
    redisFree(busy);
}

static const struct trouble_case {
    const char *words;   /* that the log says */
    void (*begin)(void); /* the trouble */
    void (*end)(void);
} troubles[] = {
    {"Redis is out of memory", take_no_memory, take_memory},
    {"Redis is a replica", become_a_replica, become_a_master},
    {"Redis has too few replicas", want_replicas, want_no_replicas},
    {"Redis asks for a password", want_a_password, want_no_password},
    {"Redis does not permit", forbid_scripts, permit_everything},
    {"Redis does not permit", forbid_the_log, permit_everything},
    {"Redis does not permit", forbid_reading_the_log, permit_everything},
    {"Redis does not permit", forbid_subscribing, permit_everything},
    {"Redis is busy with a script", be_busy, be_idle},
};

static void meet_trouble(struct harness *h, struct id thread, const struct trouble_case *trouble)
{
    struct id id = id_random();
    reopen_store(h);
    forget_log();
    buf_reset(&h->told);
    trouble->begin();
    /* It is noticed without any call. */
    wait_until_away(h);
    assert_int_equal(append_as(h, id, thread, "alice", "refused"), ERR_STORE);
    wait_until(h, logged(trouble->words));
    /* To try again for a while makes it no better, nor the log longer. */
    turn_for(h, 100);
    assert_false(is_ready(h));
    assert_int_equal(append_as(h, id, thread, "alice", "refused"), ERR_STORE);
    assert_in_range(logged(" warn ") + logged(" error "), 1, 3);
    trouble->end();
    wait_until_ready(h);
    /* One of the refused ones may have come through: its answer was lost with the connection. */
    assert_ok(append_as(h, id, thread, "alice", "taken"));
    assert_int_equal(h->told.len, sizeof(id));
}

static void error_replies_are_no_answers_and_pass(void **state)
{
    struct harness *h = *state;
    struct id thread = scene(h);
    h->options.deadline_ms = 500;
    for (size_t i = 0; i < array_len(troubles); i++)
        meet_trouble(h, thread, &troubles[i]);
}

static void a_server_that_loads_its_data_is_waited_for(void **state)
{
    static const char *const slowly[] = {"--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024",
                                         NULL};
    struct harness *h = *state;
    struct id thread = scene(h);
    struct cursor before = say(h, thread, "alice", "before");
    server_do(&server, "EVAL %s 0", "for i = 1, 1000 do redis.call('SET', 'other:' .. i, string.rep('x', 100)) end");
    server_do(&server, "SAVE");
    server_kill(&server);
    wait_until_away(h);
    start_again(slowly);
    wait_until(h, logged("LOADING"));
    assert_false(is_ready(h));
    wait_until_ready(h);
    say(h, thread, "alice", "after");
    assert_ok(read_replay(h, "bob", before, 10, 100));
    assert_buf(h->got.texts, "after");
    server_do(&server, "CONFIG SET key-load-delay 0");
    close_store(h);
    start_clean();
    open_store(h);
}

static void a_key_of_the_wrong_type_fails_the_call_alone(void **state)
{
    struct harness *h = *state;
    struct id thread = scene(h);
    say(h, thread, "alice", "1");
    server_do(&server, "RENAME chat:ids other:ids");
    server_do(&server, "SET chat:ids surprise");
    assert_int_equal(append_as(h, id_random(), thread, "alice", "refused"), ERR_STORE);
    assert_true(logged("WRONGTYPE") > 0);
    assert_ok(read_history(h, thread, "bob", at(0), 10));
    assert_buf(h->got.texts, "1");
    server_do(&server, "RENAME other:ids chat:ids");
    say(h, thread, "alice", "2");
}

static void a_key_that_is_forbidden_fails_the_call_alone(void **state)
{
    struct harness *h = *state;
    struct id thread = scene(h);
    server_do(&server, "ACL SETUSER default resetkeys ~chat:[a-hj-z]*");
    assert_int_equal(append_as(h, id_random(), thread, "alice", "refused"), ERR_STORE);
    assert_true(logged("Redis does not permit") > 0);
    assert_ok(read_history(h, thread, "bob", at(0), 10));
    assert_buf(h->got.texts, "");
    permit_everything();
    say(h, thread, "alice", "1");
    wait_until_ready(h);
}

/* --- strangers -------------------------------------------------------------------------------------------------- */

static void what_others_write_into_the_log_is_passed_over(void **state)
{
    struct harness *h = *state;
    struct id thread = scene(h);
    char text[ID_TEXT_SIZE];
    (void)id_format(thread, text);
    server_do(&server, "XADD chat:log * foo bar");
    server_do(&server, "XADD chat:log * thread nonsense");
    server_do(&server, "XADD chat:log * id nonsense thread %s user alice text x", text);
    server_do(&server, "XADD chat:log * id %s thread %s user alice type plain time x text x", text, text);
    server_do(&server, "XADD chat:log * id %s thread %s user alice type plain time 1 text %b", text, text, "\xff",
              (size_t)1);
    server_do(&server, "XADD chat:log * thread %s left %b", text, "\xff\n", (size_t)2);
    server_do(&server, "XADD chat:log * thread %s", "00000000-0000-4000-8000-000000000000");
    say(h, thread, "alice", "1");
    say(h, thread, "alice", "2");
    assert_int_equal(h->told.len, 2 * sizeof(struct id));
    assert_ok(read_replay(h, "bob", at(0), 10, 100));
    assert_buf(h->got.texts, "1|2");
    assert_true(is_ready(h));
}

static void what_others_publish_is_passed_over(void **state)
{
    struct harness *h = *state;
    (void)scene(h);
    static const char *const strange[] = {
        "",
        "nonsense",
        "[]",
        "{}",
        "null",
        "{\"kind\":\"user\"}",
        "{\"kind\":7}",
        "{\"kind\":\"token\"}",
        "{\"kind\":\"token\",\"token\":\"x\"}",
        "{\"kind\":\"later\",\"version\":\"x\"}",
        "{\"kind\":\"user\",\"previous\":\"x\",\"version\":\"y\",\"id\":\"alice\"}",
        "{\"kind\":\"user\",\"previous\":1,\"version\":99999999999999999999999999,\"id\":\"alice\"}",
        "{\"kind\":\"user\",\"kind\":\"user\"}",
    };
    for (size_t i = 0; i < array_len(strange); i++)
        server_do(&server, "PUBLISH chat:events %s", strange[i]);
    char deep[5001];
    memset(deep, '[', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    server_do(&server, "PUBLISH chat:events %s", deep);
    server_do(&server, "PUBLISH chat:events %b", "\xff\0\xff", (size_t)3);
    assert_ok(put_user(h, "alice", "Alice"));
    assert_user_events(h, "alice off chat; bob off chat; alice (Alice) off chat; ");
    assert_true(is_ready(h));
}

static void publish_user(long long previous, long long version, const char *more)
{
    char epoch[64];
    char event[400];
    (void)snprintf(epoch, sizeof(epoch), "%s", server_text(&server, "HGET chat:state epoch"));
    (void)snprintf(event, sizeof(event),
                   "{\"kind\":\"user\",\"store\":\"%s\",\"previous\":\"%lld\",\"version\":\"%lld\",\"id\":\"alice\","
                   "\"name\":\"\",\"show\":\"chat\",\"status\":\"\"%s}",
                   epoch, previous, version, more);
    server_do(&server, "PUBLISH chat:events %s", event);
}

/* As a node of an earlier version says it, and as one that is mistaken does. */
static void who_is_not_said_to_be_idle_is_not(void **state)
{
    struct harness *h = *state;
    static const struct {
        const char *more;
        const char *told;
    } rows[] = {
        {",\"available\":true,\"idle\":true", "alice idle chat; "},
        {",\"available\":true", "alice on chat; "},
        {",\"available\":true,\"idle\":\"true\"", "alice on chat; "},
        {",\"available\":false,\"idle\":true", "alice off chat; "},
        {"", "alice off chat; "},
    };
    (void)scene(h);
    wait_until(h, h->version >= server_number(&server, "HGET chat:state version"));
    for (size_t i = 0; i < array_len(rows); i++) {
        buf_reset(&h->user_events);
        int64_t version = h->version;
        publish_user(version, version + 1, rows[i].more);
        wait_until(h, h->version > version);
        assert_buf(h->user_events, rows[i].told);
    }
    /* And so with what is in Redis. */
    server_do(&server, "HSET chat:user:bob idle 1");
    assert_ok(put_user(h, "bob", ""));
    assert_false(h->got.user.idle);
    server_do(&server, "HSET chat:user:bob available 1");
    assert_ok(put_user(h, "bob", ""));
    assert_true(h->got.user.idle);
}

static void a_message_whose_place_others_spoilt_is_not_found(void **state)
{
    struct harness *h = *state;
    struct id thread = scene(h);
    struct id id = id_random();
    char text[ID_TEXT_SIZE];
    assert_ok(append_as(h, id, thread, "alice", "x"));
    (void)id_format(id, text);
    server_do(&server, "HSET chat:ids %s 1-1", text);
    assert_int_equal(find_message(h, id), ERR_NOT_FOUND);
    server_do(&server, "HSET chat:ids %s nonsense", text);
    assert_int_equal(find_message(h, id), ERR_STORE);
    server_do(&server, "HSET chat:ids %s %s", text, server_text(&server, "XADD chat:log * foo bar"));
    assert_int_equal(find_message(h, id), ERR_STORE);
    assert_true(is_ready(h));
    server_do(&server, "HDEL chat:ids %s", text);
    assert_int_equal(find_message(h, id), ERR_NOT_FOUND);
}

static void a_strange_record_spoils_nothing_else(void **state)
{
    struct harness *h = *state;
    struct id thread = scene(h);
    char text[ID_TEXT_SIZE];
    server_do(&server, "HSET chat:user:bob show strange");
    assert_int_equal(put_user(h, "bob", ""), ERR_STORE);
    assert_true(is_ready(h));
    assert_ok(get_thread(h, thread));
    assert_buf(h->got.members, "alice*");
    assert_ok(list_users(h, "", 10));
    assert_buf(h->got.users, "alice ");
    server_do(&server, "HSET chat:user:bob show dnd");
    assert_ok(get_thread(h, thread));
    assert_buf(h->got.members, "alice* bob");
    server_do(&server, "HSET chat:members:%s bob nonsense", id_format(thread, text));
    assert_ok(get_thread(h, thread));
    assert_buf(h->got.members, "alice*");
    assert_true(is_ready(h));
}

static const struct CMUnitTest tests[] = {
    CASE(the_loss_of_any_connection_loses_and_doubles_nothing),
    CASE(pending_calls_are_answered_when_a_connection_ends),
    CASE(a_member_change_is_not_lost_with_a_connection),
    CASE(what_was_acknowledged_survives_kill_9),
    CASE(a_server_that_forgot_everything_resets_the_nodes),
    CASE(data_that_others_deleted_reset_the_nodes),
    CASE(a_server_that_forgot_the_last_change_of_a_user_resets_the_nodes),
    CASE(a_log_that_lost_its_end_resets_the_nodes),
    CASE(scripts_that_were_flushed_are_loaded_again),
    CASE(a_server_that_hangs_fails_calls_in_time),
    CASE(nobody_is_taken_down_because_the_server_was_away),
    CASE(a_store_starts_when_its_server_does),
    CASE(a_store_may_be_closed_before_its_server_was_reached),
    CASE(a_store_whose_server_hangs_can_be_closed),
    CASE(many_calls_while_the_server_hangs_are_all_answered),
    CASE(error_replies_are_no_answers_and_pass),
    CASE(a_server_that_loads_its_data_is_waited_for),
    CASE(a_key_of_the_wrong_type_fails_the_call_alone),
    CASE(a_key_that_is_forbidden_fails_the_call_alone),
    CASE(what_others_write_into_the_log_is_passed_over),
    CASE(what_others_publish_is_passed_over),
    CASE(who_is_not_said_to_be_idle_is_not),
    CASE(a_message_whose_place_others_spoilt_is_not_found),
    CASE(a_strange_record_spoils_nothing_else),
};

const struct cases redis_failure_cases = {tests, array_len(tests)};
