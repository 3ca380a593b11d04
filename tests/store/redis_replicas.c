/* SPDX-License-Identifier: MIT */
/* Replicas that must have a message before it counts, and Sentinels that know who is master. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_rig.h"

struct server replica;
struct server sentinel;

/* Whether the replica has all that was written so far, and the server knows. */
static bool is_in_step(void)
{
    /* What was written before there was a replica has no place in the replication, and would seem to be everywhere. */
    if (!strstr(server_text(&server, "INFO replication"), "state=online"))
        return false;
    server_do(&server, "SET chat:probe x");
    return server_number(&server, "WAIT 1 100") == 1;
}

/* A replica of the server, which listens on the port returned. */
static int start_replica(struct harness *h)
{
    char port[16];
    char own_port[16];
    int number = server_listen(&server);
    (void)snprintf(port, sizeof(port), "%d", number);
    (void)snprintf(own_port, sizeof(own_port), "%d", server_free_port());
    server_do(&server, "CONFIG SET repl-diskless-sync-delay 0");
    /* A test that failed may have left one. */
    server_fini(&replica);
    assert_true(server_init(&replica, "test_redis_replica"));
    const char *const args[] = {"--port", own_port, "--replicaof", "127.0.0.1", port, NULL};
    assert_true(server_start(&replica, args));
    wait_until(h, is_in_step());
    return number;
}

static void a_message_counts_when_a_replica_has_it(void **state)
{
    struct harness *h = *state;
    (void)start_replica(h);
    struct id thread = scene(h);
    h->options.replicas = 1;
    reopen_store(h);
    say(h, thread, "alice", "1");
    (void)say_many(h, thread, "alice", 100);
    h->options.deadline_ms = 600;
    reopen_store(h);

    struct id id = id_random();
    buf_reset(&h->told);
    server_pause(&replica);
    assert_int_equal(append_as(h, id, thread, "alice", "2"), ERR_STORE);
    assert_true(logged("replicas") > 0);
    /* The connection is all right, and so are reads; but nobody is told of what the replica does not have. */
    h->ahead_expected = true;
    assert_ok(read_history(h, thread, "bob", at(0), 1));
    assert_int_equal(h->told.len, 0);
    server_resume(&replica);
    enum err err = ERR_STORE;
    wait_until(h, (err = append_as(h, id, thread, "alice", "2")) != ERR_STORE);
    assert_ok(err);
    assert_int_equal(h->told.len, sizeof(id));
    assert_true(is_ready(h));
    server_fini(&replica);

    /* Without any it waits in vain, and says so in time. */
    assert_int_equal(append_as(h, id_random(), thread, "alice", "3"), ERR_STORE);
}

/* Returns its port. */
static int start_sentinel(int master_port)
{
    char path[SERVER_PATH_MAX];
    char port[16];
    int number = server_free_port();
    (void)snprintf(port, sizeof(port), "%d", number);
    server_fini(&sentinel);
    assert_true(server_init(&sentinel, "test_redis_sentinel"));
    (void)snprintf(path, sizeof(path), "%s/sentinel.conf", sentinel.directory);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fprintf(file, "sentinel monitor chat 127.0.0.1 %d 1\n", master_port) > 0);
    assert_true(fputs("sentinel down-after-milliseconds chat 300\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    sentinel.config = path;
    assert_true(server_start(&sentinel, (const char *const[]){"--port", port, "--sentinel", NULL}));
    sentinel.config = NULL;
    return number;
}

static void open_by_sentinel(struct harness *h, int port, const char *master)
{
    char url[160];
    (void)snprintf(url, sizeof(url), "redis+sentinel://127.0.0.1:1,localhost:%d/%s", port, master);
    assert_ok(store_open(h->loop, url, &h->options, &h->store));
}

static void on_never_started(void *ctx, enum err err, const struct store_bounds *bounds)
{
    on_plain(ctx, err);
    assert_int_not_equal(err, OK);
    assert_null(bounds);
}

static bool is_known_to_sentinel(void)
{
    return strstr(server_text(&sentinel, "SENTINEL MASTER chat"), "num-slaves\n1\n");
}

static void the_master_is_found_and_followed_by_sentinels(void **state)
{
    struct harness *h = *state;
    struct id thread = scene(h);
    close_store(h);
    int port = start_sentinel(start_replica(h));

    open_by_sentinel(h, port, "nobody");
    h->store->ops->start(h->store, &h->sink, on_never_started, ask(h));
    wait_until(h, logged("does not know this master"));
    close_store(h);

    open_by_sentinel(h, port, "chat");
    h->store->ops->start(h->store, &h->sink, on_bounds, ask(h));
    settle(h);
    struct traffic *traffic = traffic_new(h, thread, "alice");
    traffic_run(traffic, 50);
    traffic_finish(traffic);
    wait_until(h, is_in_step());
    wait_until(h, is_known_to_sentinel());
    server_kill(&server);
    wait_until_away(h);
    traffic_run(traffic, 100);
    assert_int_equal(strncmp(server_text(&replica, "ROLE"), "master", 6), 0);
    traffic_finish(traffic);
    free(traffic);
    close_store(h);
    server_fini(&sentinel);
    server_fini(&replica);
    assert_true(server_start(&server, NULL));
    open_store(h);
}

static const struct CMUnitTest tests[] = {
    CASE(a_message_counts_when_a_replica_has_it),
    CASE(the_master_is_found_and_followed_by_sentinels),
};

const struct cases redis_replica_cases = {tests, array_len(tests)};
