/* SPDX-License-Identifier: MIT */
/* The bus on Redis: what one node, or another program, publishes is heard by all, through outages, fairly, and never to
 * the store's harm. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/bus.h"
#include "redis_rig.h"

/* Who listens, and what it has heard as "channel:bytes; ". */
struct ear {
    struct bus_listener listener;
    struct buf heard;
    size_t count;
    size_t bytes;
    size_t last; /* bytes of the last message */
};

static void hear(struct bus_listener *listener, struct span channel, struct span bytes)
{
    struct ear *ear = container_of(listener, struct ear, listener);
    ear->count++;
    ear->bytes += bytes.len;
    ear->last = bytes.len;
    if (bytes.len > 200)
        return;
    buf_add(&ear->heard, channel);
    buf_add_char(&ear->heard, ':');
    buf_add(&ear->heard, bytes);
    buf_add_text(&ear->heard, "; ");
}

static struct bus *bus_of(struct harness *h)
{
    return h->store->ops->bus(h->store);
}

/* Ears outlive the bus. */
static struct ear ears[8];

static struct ear *listen(struct harness *h, size_t i, const char *pattern)
{
    struct ear *ear = &ears[i];
    buf_fini(&ear->heard);
    *ear = (struct ear){.listener = {.heard = hear}};
    bus_of(h)->ops->listen(bus_of(h), span_of(pattern), &ear->listener);
    return ear;
}

static enum err publish(struct harness *h, const char *channel, struct span bytes)
{
    return bus_of(h)->ops->publish(bus_of(h), span_of(channel), bytes);
}

/* How many connections listen to channels, other than those for the store's own events. */
static long long listeners(void)
{
    return server_number(&server, "PUBSUB NUMPAT");
}

static void what_is_published_is_heard_on_every_node(void **state)
{
    struct harness *a = *state;
    struct harness *b = node_new(a);
    struct ear *at_a = listen(a, 0, "other:*");
    struct ear *at_b = listen(b, 1, "other:*");
    wait_until_ready(a);
    wait_until_ready(b);
    assert_ok(publish(a, "other:one", SPAN_LITERAL("1\0\r\n$5")));
    assert_ok(publish(a, "other:\r\n*1", SPAN_LITERAL("")));
    assert_ok(publish(a, "another:one", SPAN_LITERAL("not for them")));
    assert_ok(publish(a, "other:two", SPAN_LITERAL("2")));
    static const struct span expected = SPAN_LITERAL("other:one:1\0\r\n$5; other:\r\n*1:; other:two:2; ");
    wait_until(a, at_a->count == 3 && at_b->count == 3);
    assert_true(span_equal(buf_span(&at_a->heard), expected));
    assert_true(span_equal(buf_span(&at_b->heard), expected));
    node_free(b);
}

static void a_pattern_means_what_it_means_in_redis(void **state)
{
    struct harness *h = *state;
    struct ear *star = listen(h, 0, "a*z");
    struct ear *meant = listen(h, 1, "a\\*z");
    struct ear *plain = listen(h, 2, "abz");
    struct ear *twin = listen(h, 3, "abz");
    wait_until_ready(h);
    server_do(&server, "PUBLISH a*z 1");
    server_do(&server, "PUBLISH abz 2");
    server_do(&server, "PUBLISH abc 3");
    wait_until(h, star->count == 2 && plain->count == 1 && meant->count == 1 && twin->count == 1);
    assert_buf(star->heard, "a*z:1; abz:2; ");
    assert_buf(meant->heard, "a*z:1; ");
    assert_buf(plain->heard, "abz:2; ");
    assert_buf(twin->heard, "abz:2; ");
}

static void one_who_listens_late_hears_as_well(void **state)
{
    struct harness *h = *state;
    struct ear *first = listen(h, 0, "other:*");
    wait_until_ready(h);
    struct ear *second = listen(h, 1, "another:*");
    wait_until_ready(h);
    server_do(&server, "PUBLISH other:1 x");
    server_do(&server, "PUBLISH another:1 y");
    wait_until(h, first->count == 1 && second->count == 1);
}

static void it_is_heard_again_after_an_outage(void **state)
{
    struct harness *h = *state;
    struct ear *ear = listen(h, 0, "other:*");
    wait_until_ready(h);
    h->reset_expected = true;
    for (int round = 0; round < 3; round++) {
        server_kill(&server);
        wait_until_away(h);
        assert_int_equal(publish(h, "other:1", SPAN_LITERAL("lost")), ERR_STORE);
        assert_true(server_start(&server, NULL));
        wait_until_ready(h);
        ear->count = 0;
        assert_ok(publish(h, "other:1", SPAN_LITERAL("again")));
        wait_until(h, ear->count == 1);
    }
}

/* Ends the connection that has subscribed to a pattern, and no other. */
static void kill_listener(void)
{
    const char *clients = server_text(&server, "CLIENT LIST TYPE pubsub");
    const char *line = strstr(clients, " psub=1");
    char id[24];
    assert_non_null(line);
    while (line > clients && line[-1] != '\n')
        line--;
    assert_int_equal(sscanf(line, "id=%23[0-9]", id), 1);
    server_do(&server, "CLIENT KILL ID %s", id);
    assert_int_equal(listeners(), 0);
}

/* Its own connection is lost: it comes back, and the store has not noticed. */
static void its_connection_alone_comes_back(void **state)
{
    struct harness *h = *state;
    struct ear *ear = listen(h, 0, "other:*");
    wait_until_ready(h);
    forget_log();
    for (int round = 0; round < 3; round++) {
        kill_listener();
        wait_until(h, listeners() == 1);
        ear->count = 0;
        server_do(&server, "PUBLISH other:1 again");
        wait_until(h, ear->count == 1);
        assert_true(is_ready(h));
        turn_for(h, 1100);
    }
    assert_int_equal(logged("Redis is away"), 0);
    assert_int_equal(logged("channels are not heard"), logged("channels are heard again"));
}

static void a_channel_that_is_not_permitted_is_said_and_left_out(void **state)
{
    struct harness *h = *state;
    server_do(&server, "ACL SETUSER default resetchannels &chat:events &other:*");
    reopen_store(h);
    forget_log();
    struct ear *refused = listen(h, 0, "secret:*");
    struct ear *ear = listen(h, 1, "other:*");
    struct ear *plain = listen(h, 2, "secret");
    wait_until_ready(h);
    assert_int_equal(logged("does not permit to listen"), 2);
    assert_int_equal(logged("Redis is away"), 0);
    assert_ok(publish(h, "other:1", SPAN_LITERAL("x")));
    wait_until(h, ear->count == 1);
    /* What may not be said is logged, too, and harms nothing. */
    for (int i = 0; i < 5; i++)
        assert_ok(publish(h, "secret:1", SPAN_LITERAL("x")));
    assert_ok(put_user(h, "alice", ""));
    assert_int_equal(logged("does not take what is to be published"), 1);
    assert_true(is_ready(h));
    /* It is tried again with the next connection. */
    server_do(&server, "ACL SETUSER default allchannels");
    kill_connections("normal");
    wait_until_away(h);
    wait_until_ready(h);
    server_do(&server, "PUBLISH secret:1 x");
    server_do(&server, "PUBLISH secret x");
    wait_until(h, refused->count == 1 && plain->count == 1);
}

static void large_messages_pass_and_larger_ones_do_not(void **state)
{
    enum { LARGEST = 16 * 1024 * 1024 };
    struct harness *h = *state;
    struct ear *ear = listen(h, 0, "other:*");
    wait_until_ready(h);
    char *bytes = calloc(1, LARGEST + 1);
    assert_non_null(bytes);
    assert_ok(publish(h, "other:1", (struct span){bytes, LARGEST}));
    wait_until(h, ear->count == 1);
    assert_int_equal(ear->last, LARGEST);
    assert_int_equal(publish(h, "other:1", (struct span){bytes, LARGEST + 1}), ERR_TOO_LARGE);
    server_do(&server, "PUBLISH other:1 %b", bytes, (size_t)LARGEST + 1);
    server_do(&server, "PUBLISH other:1 small");
    wait_until(h, ear->count == 2);
    assert_int_equal(ear->last, 5);
    free(bytes);
}

/* Says much at once, through a connection of its own. */
static void storm(const char *channel, int count, size_t len)
{
    char *bytes = calloc(1, len);
    assert_non_null(bytes);
    server_do(&server, "EVAL %s 0 %s %d %b",
              "for i = 1, tonumber(ARGV[2]) do redis.call('PUBLISH', ARGV[1], ARGV[3]) end", channel, count, bytes,
              len);
    free(bytes);
}

static void dawdle(struct bus_listener *listener, struct span channel, struct span bytes)
{
    struct ear *ear = container_of(listener, struct ear, listener);
    int64_t until = clock();
    (void)channel;
    ear->count++;
    ear->bytes += bytes.len;
    while (clock() - until < CLOCKS_PER_SEC / 5000) /* 0.2 ms */
        ;
}

/* 4,000 messages of which each takes 0.2 ms, and meanwhile calls of the store are answered. */
static void a_storm_does_not_hold_up_the_store(void **state)
{
    enum { MANY = 4000 };
    struct harness *h = *state;
    struct ear *ear = listen(h, 0, "other:*");
    ear->listener.heard = dawdle;
    wait_until_ready(h);
    storm("other:1", MANY, 100);
    wait_until(h, ear->count > 0);
    int calls = 0;
    while (ear->count < MANY) {
        size_t before = ear->count;
        assert_ok(put_user(h, "alice", ""));
        calls++;
        assert_in_range(ear->count - before, 0, MANY / 4);
    }
    assert_in_range(calls, 10, MANY);
}

/* What comes faster than it is heard is not read into memory, and Redis ends such a connection. */
static void too_much_at_once_is_lost_but_not_the_bus(void **state)
{
    struct harness *h = *state;
    struct ear *ear = listen(h, 0, "other:*");
    wait_until_ready(h);
    server_do(&server, "CONFIG SET client-output-buffer-limit %s", "pubsub 1mb 1mb 1");
    forget_log();
    storm("other:1", 200, 100000);
    wait_until(h, logged("channels are not heard") == 1);
    wait_until(h, logged("channels are heard again") == 1);
    assert_true(is_ready(h));
    ear->count = 0;
    assert_ok(publish(h, "other:1", SPAN_LITERAL("again")));
    wait_until(h, ear->count == 1);
    server_do(&server, "CONFIG SET client-output-buffer-limit %s", "pubsub 32mb 8mb 60");
}

static void a_store_without_listeners_is_ready(void **state)
{
    struct harness *h = *state;
    assert_true(is_ready(h));
    assert_int_equal(listeners(), 0);
    assert_ok(publish(h, "other:1", SPAN_LITERAL("x")));
}

static const struct CMUnitTest tests[] = {
    CASE(what_is_published_is_heard_on_every_node),
    CASE(a_pattern_means_what_it_means_in_redis),
    CASE(one_who_listens_late_hears_as_well),
    CASE(it_is_heard_again_after_an_outage),
    CASE(its_connection_alone_comes_back),
    CASE(a_channel_that_is_not_permitted_is_said_and_left_out),
    CASE(large_messages_pass_and_larger_ones_do_not),
    CASE(a_storm_does_not_hold_up_the_store),
    CASE(too_much_at_once_is_lost_but_not_the_bus),
    CASE(a_store_without_listeners_is_ready),
};

const struct cases redis_bus_cases = {tests, array_len(tests)};
