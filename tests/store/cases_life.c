/* SPDX-License-Identifier: MIT */
/* Order, start and end: what holds for all calls alike. */
#include <string.h>

#include "harness.h"

static void a_new_store_is_empty_and_ready(void **state)
{
    struct harness *h = *state;
    assert_cursor(h->got.bounds.head, at(0));
    assert_cursor(h->got.bounds.oldest, at(0));
    const char *reason = "untouched";
    assert_true(h->store->ops->ready(h->store, &reason));
    assert_string_equal(reason, "untouched");
}

static void the_head_is_known_after_a_restart(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice");
    struct cursor head = say_many(h, thread_of(h, "alice"), "alice", 7);
    reopen_store(h);
    assert_cursor(h->got.bounds.head, head);
    assert_cursor(h->got.bounds.oldest, at(0));
}

static void an_answer_never_comes_from_inside_the_call(void **state)
{
    struct harness *h = *state;
    const struct store_ops *ops = h->store->ops;
    ops->user_put(h->store, SPAN_LITERAL("alice"), SPAN_LITERAL(""), on_user, ask(h));
    ops->token_get(h->store, id_random(), on_token, ask(h));
    int answered = h->answered;
    settle(h);
    assert_int_equal(answered, h->asked - 2);
}

static void arguments_are_copied(void **state)
{
    struct harness *h = *state;
    char id[] = "alice";
    char name[] = "Alice";
    struct span user = span_of(id);
    struct thread_request request = {
        .id = id_random(), .room = span_of(name), .users = &user, .user_count = 1, .members_max = 9};
    h->store->ops->user_put(h->store, user, span_of(name), on_user, ask(h));
    h->store->ops->thread_open(h->store, &request, on_thread, ask(h));
    memset(id, 'x', sizeof(id) - 1);
    memset(name, 'y', sizeof(name) - 1);
    user = SPAN_LITERAL("nobody");
    settle(h);
    assert_string_equal(h->got.user.name, "Alice");
    assert_buf(h->got.members, "alice*");
    assert_buf(h->got.room, "Alice");
}

static void a_call_sees_what_calls_before_it_did(void **state)
{
    struct harness *h = *state;
    const struct store_ops *ops = h->store->ops;
    struct span alice = SPAN_LITERAL("alice");
    struct thread_request request = {.id = id_random(), .users = &alice, .user_count = 1, .members_max = 1};
    struct message *message = draft(id_random(), request.id, "alice", "hello");
    ops->user_put(h->store, alice, SPAN_LITERAL(""), on_user, ask(h));
    ops->thread_open(h->store, &request, on_thread, ask(h));
    ops->append(h->store, message, on_append, ask(h));
    ops->replay(h->store, alice, at(0), 10, 10, on_page, ask(h));
    settle(h);
    assert_journal(h, "done; thread alice*; done; message hello; done; done; ");
    assert_buf(h->got.texts, "hello");
    assert_cursor(h->got.page.head, message->cursor);
    message_unref(message);
}

/* One of many calls; they check that they are answered in the order they were made. */
struct runner {
    int number;
    int *next;
    struct cursor *sent; /* of the last message that was acknowledged */
    struct harness *h;
};

static void on_turn(void *ctx, enum err err)
{
    struct runner *runner = ctx;
    assert_int_equal(err, OK);
    assert_int_equal(runner->number, *runner->next);
    ++*runner->next;
    runner->h->answered++;
}

static void on_append_turn(void *ctx, enum err err, const struct append_result *result)
{
    on_turn(ctx, err);
    *((struct runner *)ctx)->sent = result->cursor;
}

static void on_user_turn(void *ctx, enum err err, const struct user_record *user)
{
    (void)user;
    on_turn(ctx, err);
}

/* Each read sees all that was sent before it, and all of that has been announced. */
static void on_page_turn(void *ctx, enum err err, const struct message_page *page)
{
    const struct runner *runner = ctx;
    on_turn(ctx, err);
    assert_cursor(page->head, *runner->sent);
    assert_cursor(page->head, runner->h->head);
}

static void make_turn(struct harness *h, struct runner *runner, struct id thread)
{
    const struct store_ops *ops = h->store->ops;
    struct message *message = draft(id_random(), thread, "alice", "x");
    switch (runner->number % 4) {
    case 0: ops->append(h->store, message, on_append_turn, runner); break;
    case 1: ops->user_put(h->store, SPAN_LITERAL("bob"), SPAN_LITERAL(""), on_user_turn, runner); break;
    case 2: ops->replay(h->store, SPAN_LITERAL("alice"), at(0), 1, 1, on_page_turn, runner); break;
    default: ops->presence_put(h->store, SPAN_LITERAL("bob"), SHOW_AWAY, SPAN_LITERAL(""), on_user_turn, runner); break;
    }
    message_unref(message);
    (void)ask(h);
}

static void ten_thousand_calls_are_answered_in_order(void **state)
{
    struct harness *h = *state;
    enum { MANY = 10000 };
    static struct runner runners[MANY];
    int next = 0;
    struct cursor sent = {0};
    make_users(h, "alice bob");
    struct id thread = thread_of(h, "alice");
    for (int i = 0; i < MANY; i++) {
        runners[i] = (struct runner){.number = i, .next = &next, .sent = &sent, .h = h};
        make_turn(h, &runners[i], thread);
        /* Some pile up, some do not. */
        if (i % 1000 < 20)
            loop_turn(h->loop, 0);
    }
    settle(h);
    assert_int_equal(next, MANY);
}

/* A page is read in the midst of messages, so that it has to be told where it stands among them. */
static void what_a_reader_was_shown_has_been_announced_and_no_more(void **state)
{
    struct harness *h = *state;
    const struct store_ops *ops = h->store->ops;
    make_users(h, "alice bob");
    struct id thread = thread_of(h, "alice bob");
    const char *const texts[] = {"1", "2", "3"};
    for (size_t i = 0; i < array_len(texts); i++) {
        struct message *message = draft(id_random(), thread, "alice", texts[i]);
        ops->append(h->store, message, on_append, ask(h));
        message_unref(message);
        ops->replay(h->store, SPAN_LITERAL("bob"), at(0), 10, 1000, on_page, ask(h));
        ops->history(h->store, thread, SPAN_LITERAL("bob"), at(0), 10, on_page, ask(h));
    }
    settle(h);
    /* on_page compares each page's head with the last message that was announced. */
    assert_journal(h, "message 1; done; done; done; message 2; done; done; done; message 3; done; done; done; ");
    assert_buf(h->got.texts, "1|2|3");
}

static void a_full_queue_refuses_in_its_turn(void **state)
{
    struct harness *h = *state;
    h->options.queue_max = 3;
    reopen_store(h);
    const struct store_ops *ops = h->store->ops;
    struct span names[] = {SPAN_LITERAL("a"), SPAN_LITERAL("b"), SPAN_LITERAL("c"), SPAN_LITERAL("d")};
    for (size_t i = 0; i < array_len(names); i++)
        ops->user_put(h->store, names[i], SPAN_LITERAL(""), on_user, ask(h));
    settle(h);
    assert_journal(h, "done; done; done; done store_unavailable; ");
    assert_ok(list_users(h, "", 10));
    assert_buf(h->got.users, "a b c ");
}

static void calls_made_before_close_are_answered(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice");
    struct id thread = thread_of(h, "alice");
    struct message *message = draft(id_random(), thread, "alice", "last words");
    for (int i = 0; i < 100; i++)
        h->store->ops->user_put(h->store, SPAN_LITERAL("alice"), SPAN_LITERAL(""), on_user, ask(h));
    h->store->ops->append(h->store, message, on_append, ask(h));
    close_store(h);
    assert_int_equal(h->answered, h->asked);
    message_unref(message);
    open_store(h);
    assert_ok(read_history(h, thread, "alice", at(0), 1));
    assert_buf(h->got.texts, "last words");
}

static void close_without_start_is_fine(void **state)
{
    struct harness *h = *state;
    close_store(h);
    assert_ok(try_open_store(h));
    close_store(h);
}

static void on_closed_inside(void *ctx)
{
    struct harness *h = ctx;
    h->closed = true;
}

static void close_from_inside_an_answer(void *ctx, enum err err)
{
    struct harness *h = ctx;
    on_plain(ctx, err);
    h->closed = false;
    h->store->ops->close(h->store, on_closed_inside, h);
    h->store = NULL;
}

static void a_store_may_be_closed_from_inside_an_answer(void **state)
{
    struct harness *h = *state;
    h->store->ops->token_put(h->store, id_random(), SPAN_LITERAL("alice"), 1, close_from_inside_an_answer, ask(h));
    while (!h->closed)
        loop_turn(h->loop, 100);
    assert_int_equal(h->answered, h->asked);
}

static const struct CMUnitTest tests[] = {
    CASE(a_new_store_is_empty_and_ready),
    CASE(the_head_is_known_after_a_restart),
    CASE(an_answer_never_comes_from_inside_the_call),
    CASE(arguments_are_copied),
    CASE(a_call_sees_what_calls_before_it_did),
    CASE(ten_thousand_calls_are_answered_in_order),
    CASE(what_a_reader_was_shown_has_been_announced_and_no_more),
    CASE(a_full_queue_refuses_in_its_turn),
    CASE(calls_made_before_close_are_answered),
    CASE(close_without_start_is_fine),
    CASE(a_store_may_be_closed_from_inside_an_answer),
};

const struct cases life_cases = {tests, array_len(tests)};
