/* SPDX-License-Identifier: MIT */
/* Nodes, waiting and traffic for the tests of the Redis store. */
#include "redis_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WINDOW = 20 };

struct server server;
char log_path[SERVER_PATH_MAX];

struct id scene(struct harness *h)
{
    make_users(h, "alice bob");
    return thread_of(h, "alice bob");
}

void hurry(struct harness *h)
{
    h->options.lease_ms = 1000;
    h->options.lease_renewal_ms = 200;
    h->options.deadline_ms = 500;
    reopen_store(h);
}

/* --- nodes ------------------------------------------------------------------------------------------------------ */

struct harness *node_new(struct harness *h)
{
    struct harness *node = harness_new(h->factory);
    const struct clock *clock = node->options.clock;
    node->options = h->options;
    node->options.clock = clock;
    node->clock.wall_us = (int64_t)h->clock.wall_us;
    node->peer = h;
    h->peer = node;
    open_store(node);
    return node;
}

void node_free(struct harness *node)
{
    if (node->peer && node->peer->peer == node)
        node->peer->peer = NULL;
    harness_free(node);
}

static bool are_nodes(int count)
{
    return server_number(&server, "ZCARD chat:nodes") == count && server_number(&server, "EXISTS chat:dead") == 0;
}

void wait_for_nodes(struct harness *h, int count)
{
    wait_until(h, are_nodes(count));
}

void settle_both(struct harness *a, struct harness *b)
{
    settle(a);
    settle(b);
}

void catch_up(struct harness *b, const struct harness *a)
{
    wait_until(b, cursor_compare(b->head, a->head) >= 0);
}

const char *announced(struct harness *h)
{
    static struct buf text;
    buf_reset(&text);
    const char *at = text_of(&h->journal);
    while (*at) {
        size_t len = strcspn(at, ";") + 1;
        len += at[len] == ' ';
        if (strncmp(at, "done", 4) != 0)
            buf_add(&text, (struct span){at, len});
        at += len;
    }
    return text_of(&text);
}

void turn_for(struct harness *h, int64_t ms)
{
    int64_t start_ms = loop_now_ms(h->loop);
    while (loop_now_ms(h->loop) - start_ms < ms)
        harness_turn(h);
}

/* Of "bob off chat; ". */
static size_t event_len(const char *event)
{
    const char *end = strstr(event, "; ");
    assert_non_null(end);
    return (size_t)(end - event) + 2;
}

/* Whether a later event is of the same user, whose id is the event's first word. */
static bool is_overtaken(const char *event)
{
    size_t id_len = strcspn(event, " ") + 1;
    for (const char *at = event + event_len(event); *at; at += event_len(at))
        if (strncmp(at, event, id_len) == 0)
            return true;
    return false;
}

void assert_user_events(struct harness *h, const char *text)
{
    wait_until(h, h->version >= server_number(&server, "HGET chat:state version"));
    const char *told = text_of(&h->user_events);
    for (const char *at = text; *at; at += event_len(at)) {
        size_t len = event_len(at);
        if (strncmp(told, at, len) == 0)
            told += len;
        else if (!is_overtaken(at))
            fail_msg("\"%s\" was told instead of \"%s\"", text_of(&h->user_events), text);
    }
    if (*told)
        fail_msg("\"%s\" was told instead of \"%s\"", text_of(&h->user_events), text);
}

void kill_connections(const char *kind)
{
    server_do(&server, "CLIENT KILL TYPE %s SKIPME yes", kind);
}

bool is_ready(struct harness *h)
{
    const char *reason = NULL;
    bool ready = h->store->ops->ready(h->store, &reason);
    assert_int_equal(ready, reason == NULL);
    return ready;
}

void wait_until_ready(struct harness *h)
{
    wait_until(h, is_ready(h));
}

void wait_until_away(struct harness *h)
{
    wait_until(h, !is_ready(h));
}

/* --- the log ---------------------------------------------------------------------------------------------------- */

int logged(const char *words)
{
    FILE *file = fopen(log_path, "re");
    assert_non_null(file);
    char line[5000];
    int count = 0;
    while (fgets(line, sizeof(line), file))
        count += strstr(line, words) != NULL;
    (void)fclose(file);
    return count;
}

void forget_log(void)
{
    /* It is open for appending: the next line is its first. */
    assert_int_equal(truncate(log_path, 0), 0);
}

/* --- traffic ---------------------------------------------------------------------------------------------------- */

struct traffic *traffic_new(struct harness *h, struct id thread, const char *sender)
{
    struct traffic *traffic = calloc(1, sizeof(*traffic));
    assert_non_null(traffic);
    *traffic = (struct traffic){.h = h, .thread = thread, .sender = sender};
    buf_reset(&h->told);
    for (int i = 0; i < TRAFFIC_MAX; i++)
        traffic->shots[i] = (struct shot){.traffic = traffic, .id = id_random()};
    return traffic;
}

static void on_shot(void *ctx, enum err err, const struct append_result *result)
{
    struct shot *shot = ctx;
    assert_int_equal(err == OK, result != NULL);
    if (err)
        assert_int_equal(err, ERR_STORE);
    shot->state = err ? SHOT_UNSENT : SHOT_DONE;
    shot->traffic->done += err == OK;
    shot->traffic->under_way--;
}

static void shoot(struct traffic *traffic, int max)
{
    for (int i = 0; i < max && traffic->under_way < WINDOW; i++) {
        struct shot *shot = &traffic->shots[i];
        if (shot->state != SHOT_UNSENT)
            continue;
        struct message *message = draft(shot->id, traffic->thread, traffic->sender, "x");
        shot->state = SHOT_UNDER_WAY;
        traffic->sent = i < traffic->sent ? traffic->sent : i + 1;
        traffic->under_way++;
        traffic->h->store->ops->append(traffic->h->store, message, on_shot, shot);
        message_unref(message);
    }
}

static bool has_come_to(struct traffic *traffic, int done)
{
    if (is_ready(traffic->h))
        shoot(traffic, done + WINDOW);
    return traffic->done >= done;
}

void traffic_run(struct traffic *traffic, int done)
{
    assert_true(done <= TRAFFIC_MAX - WINDOW);
    wait_until(traffic->h, has_come_to(traffic, done));
}

static bool is_all_done(struct traffic *traffic)
{
    if (is_ready(traffic->h))
        shoot(traffic, traffic->sent);
    return traffic->done == traffic->sent;
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct id));
}

void traffic_check(const struct traffic *traffic, struct harness *h)
{
    size_t count = (size_t)traffic->sent;
    struct id *sent = calloc(count, sizeof(*sent));
    assert_non_null(sent);
    for (size_t i = 0; i < count; i++)
        sent[i] = traffic->shots[i].id;
    assert_int_equal(h->told.len, count * sizeof(*sent));
    qsort(sent, count, sizeof(*sent), compare_ids);
    qsort(h->told.data, count, sizeof(*sent), compare_ids);
    assert_memory_equal(h->told.data, sent, h->told.len);
    free(sent);
}

void traffic_finish(struct traffic *traffic)
{
    wait_until(traffic->h, is_all_done(traffic));
    traffic_check(traffic, traffic->h);
}
