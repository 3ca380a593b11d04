/* SPDX-License-Identifier: MIT */
/* More than fits into one step: what is done in batches, and what a node that fell behind has to catch up with. */
#include <stdio.h>
#include <string.h>

#include "redis_rig.h"

enum { CROWD = 1200, NAME_SIZE = 16 };

static struct span name_of(int number, char name[NAME_SIZE])
{
    (void)snprintf(name, NAME_SIZE, "user%04d", number);
    return span_of(name);
}

static void make_crowd(struct harness *h)
{
    char name[NAME_SIZE];
    for (int i = 0; i < CROWD; i++)
        h->store->ops->user_put(h->store, name_of(i, name), SPAN_LITERAL(""), on_user, ask(h));
    settle(h);
    assert_ok(h->got.err);
}

/* Insists that `h` was told this of each of the crowd exactly once. */
static void assert_crowd_told(struct harness *h, const char *how)
{
    wait_until(h, h->version >= server_number(&server, "HGET chat:state version"));
    int told[CROWD] = {0};
    const char *at = text_of(&h->user_events);
    int number = 0;
    int len = 0;
    while (sscanf(at, "user%4d %n", &number, &len) == 1) {
        assert_in_range(number, 0, CROWD - 1);
        if (strncmp(at + len, how, strlen(how)) == 0)
            told[number]++;
        at = strstr(at, "; ") + 2;
    }
    assert_string_equal(at, "");
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(told[i], 1);
    buf_reset(&h->user_events);
}

/* From now on its connections are gone, and it does not notice, nor anything else. */
static void fall_asleep(struct harness *node)
{
    node->peer->peer = NULL;
    kill_connections("normal");
    kill_connections("pubsub");
    /* The other one was hit, too. */
    wait_until_away(node->peer);
    wait_until_ready(node->peer);
}

static void wake_up(struct harness *node)
{
    node->peer->peer = node;
}

static void a_node_that_slept_catches_up_with_all_users(void **state)
{
    struct harness *a = *state;
    struct harness *b = node_new(a);
    fall_asleep(b);
    make_crowd(a);
    wake_up(b);
    assert_crowd_told(b, "off chat; ");
    assert_crowd_told(a, "off chat; ");
    /* Each may have changed more than once meanwhile. */
    assert_int_equal(b->overtook, CROWD);
    node_free(b);
}

static void send_many(struct harness *h, struct id thread, int count)
{
    for (int i = 0; i < count; i++) {
        struct message *message = draft(id_random(), thread, "alice", "x");
        h->store->ops->append(h->store, message, on_append, ask(h));
        message_unref(message);
    }
    settle(h);
    assert_ok(h->got.err);
}

static void assert_told_alike(struct harness *a, struct harness *b)
{
    catch_up(b, a);
    catch_up(a, b);
    assert_int_equal(b->told.len, a->told.len);
    assert_memory_equal(b->told.data, a->told.data, a->told.len);
}

static void a_node_that_slept_catches_up_with_the_log(void **state)
{
    struct harness *a = *state;
    make_users(a, "alice bob carol");
    struct id thread = thread_of(a, "alice bob");
    struct harness *b = node_new(a);
    fall_asleep(b);
    send_many(a, thread, 2500);
    assert_ok(add_member(a, thread, "carol"));
    send_many(a, thread, 10);
    wake_up(b);
    assert_told_alike(a, b);
    assert_int_equal(a->told.len, 2510 * sizeof(struct id));
    assert_non_null(strstr(announced(b), "thread alice* bob carol; message x; "));

    /* The same without a lost connection: it was only busy. */
    a->peer = NULL;
    send_many(a, thread, 2500);
    assert_ok(remove_member(a, thread, "carol"));
    a->peer = b;
    buf_reset(&b->journal);
    assert_ok(read_replay(b, "bob", at(0), 1, 1));
    assert_told_alike(a, b);
    assert_non_null(strstr(announced(b), "message x; thread alice* bob without carol; "));
    node_free(b);
}

static void a_node_that_slept_longer_than_messages_are_kept_is_reset(void **state)
{
    struct harness *a = *state;
    a->options.retention_count = 5;
    reopen_store(a);
    struct id thread = scene(a);
    struct harness *b = node_new(a);
    b->reset_expected = true;
    fall_asleep(b);
    (void)say_many(a, thread, "alice", 20);
    wait_for_oldest(a, "alice", a->said[15]);
    wake_up(b);
    wait_until(b, b->resets == 1);
    assert_cursor(b->got.bounds.oldest, a->said[15]);
    assert_cursor(b->head, a->head);
    say(a, thread, "alice", "and on");
    catch_up(b, a);
    assert_string_equal(announced(b), "message and on; ");
    node_free(b);
}

/* Answers wait for the log to come to where they were given, even if what stood there is gone. */
static void an_answer_does_not_wait_for_what_was_removed(void **state)
{
    struct harness *a = *state;
    a->options.retention_ms = 60000;
    reopen_store(a);
    struct id thread = scene(a);
    struct harness *b = node_new(a);
    b->reset_expected = true;
    a->peer = NULL;
    struct cursor last = say_many(a, thread, "alice", 5);
    pass_us(a, 120000000);
    wait_for_oldest(a, "alice", last);
    a->peer = b;
    assert_ok(get_thread(b, thread));
    assert_buf(b->got.members, "alice* bob");
    say(a, thread, "alice", "and on");
    catch_up(b, a);
    node_free(b);
}

/* --- leases ----------------------------------------------------------------------------------------------------- */

static bool is_crowd_idle;

static void visit_crowd(struct store_sink *sink, void (*visit)(void *ctx, struct span user, enum lease lease),
                        void *ctx)
{
    (void)sink;
    static char names[CROWD][NAME_SIZE];
    for (int i = 0; i < CROWD; i++)
        visit(ctx, name_of(i, names[i]), is_crowd_idle ? LEASE_IDLE : LEASE_HELD);
}

static void a_crowd_is_leased_and_taken_down(void **state)
{
    struct harness *a = *state;
    hurry(a);
    make_crowd(a);
    struct harness *b = node_new(a);
    b->sink.leases = visit_crowd;
    buf_reset(&a->user_events);
    /* Whom it has is leased when it connects, in whichever way it has them. */
    const char *const told[] = {"on chat; ", "idle chat; "};
    for (size_t i = 0; i < array_len(told); i++) {
        is_crowd_idle = i > 0;
        kill_connections("normal");
        wait_until_away(b);
        wait_until_ready(b);
        wait_for_nodes(a, 2);
        assert_crowd_told(a, told[i]);
    }
    /* It ends without a word. */
    a->peer = NULL;
    wait_for_nodes(a, 1);
    assert_crowd_told(a, "off chat; ");
    a->peer = b;
    node_free(b);
}

/* --- tokens ----------------------------------------------------------------------------------------------------- */

static struct id crowd_tokens[CROWD];

static void visit_tokens(struct store_sink *sink, void (*visit)(void *ctx, struct id token, int64_t expires_us),
                         void *ctx)
{
    (void)sink;
    for (int i = 0; i < CROWD; i++)
        visit(ctx, crowd_tokens[i], INT64_MAX);
}

static void the_end_of_a_token_is_noticed_among_many(void **state)
{
    struct harness *h = *state;
    char text[ID_TEXT_SIZE];
    for (int i = 0; i < CROWD; i++) {
        crowd_tokens[i] = id_random();
        h->store->ops->token_put(h->store, crowd_tokens[i], SPAN_LITERAL("alice"), h->clock.wall_us + 60000000,
                                 on_plain, ask(h));
    }
    settle(h);
    h->sink.tokens = visit_tokens;
    turn_for(h, 300);
    assert_string_equal(announced(h), "");
    const int ended[] = {0, 499, 500, 777, CROWD - 1};
    for (size_t i = 0; i < array_len(ended); i++)
        server_do(&server, "DEL chat:token:%s", id_format(crowd_tokens[ended[i]], text));
    for (size_t i = 0; i < array_len(ended); i++) {
        (void)id_format(crowd_tokens[ended[i]], text);
        wait_until(h, strstr(announced(h), text));
    }
    (void)id_format(crowd_tokens[1], text);
    assert_null(strstr(announced(h), text));
}

static const struct CMUnitTest tests[] = {
    CASE(a_node_that_slept_catches_up_with_all_users),
    CASE(a_node_that_slept_catches_up_with_the_log),
    CASE(a_node_that_slept_longer_than_messages_are_kept_is_reset),
    CASE(an_answer_does_not_wait_for_what_was_removed),
    CASE(a_crowd_is_leased_and_taken_down),
    CASE(the_end_of_a_token_is_noticed_among_many),
};

const struct cases redis_crowd_cases = {tests, array_len(tests)};
