/* SPDX-License-Identifier: MIT */
/* Appending to the log, and reading a thread's history backwards. */
#include <stdlib.h>

#include "harness.h"

static void a_message_is_announced_before_its_sender_is_answered(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob");
    struct id thread = thread_of(h, "alice bob");
    struct id id = id_random();
    assert_ok(append_as(h, id, thread, "alice", "hello"));
    assert_journal(h, "message hello; done; ");
    assert_true(id_equal(h->got.append.id, id));
    assert_true(id_equal(h->got.append.thread, thread));
    assert_false(h->got.append.repeated);
}

static void cursors_increase(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob");
    struct id one = thread_of(h, "alice bob");
    struct id other = thread_of(h, "alice");
    struct cursor last = {0};
    for (int i = 0; i < 10; i++) {
        struct cursor cursor = say(h, i % 2 ? one : other, "alice", "x");
        assert_true(cursor_compare(cursor, last) > 0);
        last = cursor;
    }
}

static void only_members_send(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob carol");
    struct id thread = thread_of(h, "alice bob");
    assert_int_equal(append_as(h, id_random(), thread, "carol", "let me in"), ERR_NO_THREAD);
    assert_int_equal(append_as(h, id_random(), thread, "nobody", "x"), ERR_NO_THREAD);
    assert_int_equal(append_as(h, id_random(), id_random(), "alice", "x"), ERR_NO_THREAD);
    assert_ok(remove_member(h, thread, "bob"));
    assert_int_equal(append_as(h, id_random(), thread, "bob", "one more thing"), ERR_NO_THREAD);
    assert_journal(h, "done no_thread; done no_thread; done no_thread; thread alice* without bob; done; "
                      "done no_thread; ");
    assert_ok(read_history(h, thread, "alice", at(0), 10));
    assert_buf(h->got.texts, "");
}

static void a_repeat_is_answered_like_the_first_and_not_announced(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob");
    struct id thread = thread_of(h, "alice bob");
    struct id other = thread_of(h, "alice");
    struct id id = id_random();
    assert_ok(append_as(h, id, thread, "alice", "once"));
    struct cursor cursor = h->got.append.cursor;
    say(h, thread, "bob", "between");
    /* Whatever else it says now. */
    assert_ok(append_as(h, id, other, "alice", "twice"));
    assert_journal(h, "done; ");
    assert_true(h->got.append.repeated);
    assert_true(id_equal(h->got.append.id, id));
    assert_true(id_equal(h->got.append.thread, thread));
    assert_cursor(h->got.append.cursor, cursor);
    assert_ok(read_history(h, thread, "alice", at(0), 10));
    assert_buf(h->got.texts, "once|between");
    assert_ok(read_history(h, other, "alice", at(0), 10));
    assert_buf(h->got.texts, "");
}

static void a_repeat_is_known_after_a_restart_and_after_leaving(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob");
    struct id thread = thread_of(h, "alice bob");
    struct id id = id_random();
    assert_ok(append_as(h, id, thread, "alice", "once"));
    struct cursor cursor = h->got.append.cursor;
    reopen_store(h);
    assert_ok(append_as(h, id, thread, "alice", "once"));
    assert_true(h->got.append.repeated);
    assert_cursor(h->got.append.cursor, cursor);
    assert_ok(remove_member(h, thread, "alice"));
    assert_ok(append_as(h, id, thread, "alice", "once"));
    assert_true(h->got.append.repeated);
}

static void the_id_of_another_senders_message_is_a_conflict(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob carol");
    struct id thread = thread_of(h, "alice bob");
    struct id id = id_random();
    assert_ok(append_as(h, id, thread, "alice", "mine"));
    buf_reset(&h->journal);
    assert_int_equal(append_as(h, id, thread, "bob", "no, mine"), ERR_CONFLICT);
    assert_journal(h, "done conflict; ");
    assert_ok(read_history(h, thread, "bob", at(0), 10));
    assert_buf(h->got.texts, "mine");
}

static void a_repeat_in_the_same_breath_is_a_repeat(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice");
    struct id thread = thread_of(h, "alice");
    struct message *message = draft(id_random(), thread, "alice", "once");
    for (int i = 0; i < 3; i++)
        h->store->ops->append(h->store, message, on_append, ask(h));
    settle(h);
    assert_journal(h, "message once; done; done; done; ");
    assert_true(h->got.append.repeated);
    assert_cursor(h->got.append.cursor, message->cursor);
    message_unref(message);
}

static void assert_found(struct harness *h, struct id id, struct id thread, struct cursor cursor)
{
    assert_ok(find_message(h, id));
    assert_true(id_equal(h->got.place.thread, thread));
    assert_cursor(h->got.place.cursor, cursor);
}

static void a_message_is_found_by_its_id(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob");
    struct id pair = thread_of(h, "alice bob");
    struct id own = thread_of(h, "alice");
    const struct id ids[] = {id_random(), id_random(), id_random()};
    struct cursor cursors[array_len(ids)];
    for (size_t i = 0; i < array_len(ids); i++) {
        assert_ok(append_as(h, ids[i], i == 1 ? own : pair, "alice", "x"));
        cursors[i] = h->got.append.cursor;
    }
    for (int restart = 0; restart < 2; restart++) {
        for (size_t i = 0; i < array_len(ids); i++)
            assert_found(h, ids[i], i == 1 ? own : pair, cursors[i]);
        assert_int_equal(find_message(h, id_random()), ERR_NOT_FOUND);
        assert_int_equal(find_message(h, pair), ERR_NOT_FOUND);
        assert_ok(list_users(h, "", 10));
        reopen_store(h);
    }
    /* Whoever has left since: who may know of it is for the caller to say. */
    assert_ok(remove_member(h, own, "alice"));
    assert_found(h, ids[1], own, cursors[1]);
}

static void a_message_is_found_in_its_turn(void **state)
{
    struct harness *h = *state;
    const struct store_ops *ops = h->store->ops;
    make_users(h, "alice");
    struct id thread = thread_of(h, "alice");
    struct message *message = draft(id_random(), thread, "alice", "hello");
    ops->message_find(h->store, message->fields.id, on_message, ask(h));
    ops->append(h->store, message, on_append, ask(h));
    ops->message_find(h->store, message->fields.id, on_message, ask(h));
    settle(h);
    assert_journal(h, "done not_found; message hello; done; done; ");
    assert_cursor(h->got.place.cursor, message->cursor);
    message_unref(message);
}

static void a_failed_call_leaves_its_neighbours_alone(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob");
    struct id thread = thread_of(h, "alice bob");
    struct message *taken = draft(id_random(), thread, "alice", "a");
    struct message *conflict = draft(taken->fields.id, thread, "bob", "b");
    struct message *lost = draft(id_random(), id_random(), "bob", "c");
    struct message *last = draft(id_random(), thread, "bob", "d");
    const struct store_ops *ops = h->store->ops;
    ops->append(h->store, taken, on_append, ask(h));
    ops->append(h->store, conflict, on_append, ask(h));
    ops->append(h->store, lost, on_append, ask(h));
    ops->presence_put(h->store, SPAN_LITERAL("nobody"), SHOW_CHAT, SPAN_LITERAL(""), on_user, ask(h));
    ops->member_add(h->store, thread, SPAN_LITERAL("nobody"), 10, on_thread, ask(h));
    ops->append(h->store, last, on_append, ask(h));
    settle(h);
    assert_journal(h, "message a; done; done conflict; done no_thread; done no_user; done no_user; message d; done; ");
    reopen_store(h);
    assert_ok(read_history(h, thread, "alice", at(0), 10));
    assert_buf(h->got.texts, "a|d");
    message_unref(taken);
    message_unref(conflict);
    message_unref(lost);
    message_unref(last);
}

static void assert_same_text(struct span kept, struct span given)
{
    assert_int_equal(kept.data == NULL, given.data == NULL);
    assert_true(span_equal(kept, given));
}

static void assert_same_message(const struct message *kept, const struct message_fields *fields, struct cursor cursor)
{
    assert_cursor(kept->cursor, cursor);
    assert_true(id_equal(kept->fields.id, fields->id));
    assert_true(id_equal(kept->fields.thread, fields->thread));
    assert_int_equal(kept->fields.type, fields->type);
    assert_int_equal(kept->fields.time_us, fields->time_us);
    assert_same_text(kept->fields.sender, fields->sender);
    assert_same_text(kept->fields.sender_name, fields->sender_name);
    assert_same_text(kept->fields.text, fields->text);
    assert_same_text(kept->fields.subject, fields->subject);
    assert_same_text(kept->fields.language, fields->language);
    assert_same_text(kept->fields.attachments, fields->attachments);
}

/* As it is announced, in the history, and in a replay. */
static void assert_round_trip(struct harness *h, struct message_fields *fields)
{
    fields->id = id_random();
    struct cursor before = h->head;
    assert_ok(append_fields(h, fields));
    struct cursor cursor = h->got.append.cursor;
    assert_same_message(h->heard, fields, cursor);
    assert_ok(read_history(h, fields->thread, "alice", at(0), 1));
    assert_int_equal(h->got.kept_count, 1);
    assert_same_message(h->got.kept[0], fields, cursor);
    assert_ok(read_replay(h, "alice", before, 2, SIZE_MAX));
    assert_int_equal(h->got.kept_count, 1);
    assert_same_message(h->got.kept[0], fields, cursor);
}

static void messages_come_back_as_they_were_given(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice");
    struct message_fields fields = {
        .thread = thread_of(h, "alice"),
        .type = TEXT_HTML,
        .time_us = 1297350295123456,
        .sender = SPAN_LITERAL("alice"),
        .sender_name = SPAN_LITERAL("Alice \"Al\" O'Hara"),
        .text = SPAN_LITERAL("<b>it's</b> \"quoted\" \\ \n\t 日本語 🎉 ; -- %s"),
        .subject = SPAN_LITERAL("Re: ¿qué?"),
        .language = SPAN_LITERAL("zh-Hant-TW"),
        .attachments = SPAN_LITERAL("[{\"url\":\"https://example.org/\",\"size\":12}]"),
    };
    assert_round_trip(h, &fields);
    /* Absent and empty are two things, and a NUL is a character. */
    fields.subject = fields.language = fields.attachments = (struct span){NULL, 0};
    fields.sender_name = fields.text = SPAN_LITERAL("");
    fields.type = TEXT_PLAIN;
    assert_round_trip(h, &fields);
    fields.subject = SPAN_LITERAL("");
    fields.text = SPAN_LITERAL("before\0after");
    fields.type = TEXT_RST;
    assert_round_trip(h, &fields);
}

static void long_text_comes_back_whole(void **state)
{
    struct harness *h = *state;
    enum { LONG = 1 << 20 };
    make_users(h, "alice");
    char *text = malloc(LONG);
    assert_non_null(text);
    for (int i = 0; i < LONG; i++)
        text[i] = (char)('a' + i % 23);
    struct message_fields fields = {
        .thread = thread_of(h, "alice"), .sender = SPAN_LITERAL("alice"), .text = {text, LONG}};
    fields.sender_name = SPAN_LITERAL("");
    assert_round_trip(h, &fields);
    free(text);
}

/* --- history ---------------------------------------------------------------------------------------------------- */

static void history_is_read_backwards_in_pages(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob");
    struct id thread = thread_of(h, "alice bob");
    struct id other = thread_of(h, "alice");
    struct cursor cursors[6];
    for (int i = 1; i <= 5; i++) {
        cursors[i] = say(h, thread, "alice", (const char[]){(char)('0' + i), '\0'});
        say(h, other, "alice", "elsewhere");
    }
    assert_ok(read_history(h, thread, "bob", at(0), 2));
    assert_buf(h->got.texts, "4|5");
    assert_true(h->got.page.more);
    assert_false(h->got.page.gap);
    assert_ok(read_history(h, thread, "bob", cursors[4], 2));
    assert_buf(h->got.texts, "2|3");
    assert_true(h->got.page.more);
    assert_ok(read_history(h, thread, "bob", cursors[2], 2));
    assert_buf(h->got.texts, "1");
    assert_false(h->got.page.more);
    assert_ok(read_history(h, thread, "bob", cursors[1], 2));
    assert_buf(h->got.texts, "");
    assert_false(h->got.page.more);
    assert_ok(read_history(h, thread, "bob", at(0), 5));
    assert_buf(h->got.texts, "1|2|3|4|5");
    assert_false(h->got.page.more);
}

static void history_bounds_may_be_anything(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice");
    struct id thread = thread_of(h, "alice");
    say(h, thread, "alice", "only");
    assert_ok(read_history(h, thread, "alice", at(UINT64_MAX), SIZE_MAX));
    assert_buf(h->got.texts, "only");
    assert_false(h->got.page.more);
    assert_ok(read_history(h, thread, "alice", at(0), 0));
    assert_buf(h->got.texts, "");
    assert_true(h->got.page.more);
}

static void history_is_for_members(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob carol");
    struct id thread = thread_of(h, "alice bob");
    say(h, thread, "alice", "secret");
    assert_int_equal(read_history(h, thread, "carol", at(0), 10), ERR_NO_THREAD);
    assert_int_equal(read_history(h, thread, "nobody", at(0), 10), ERR_NO_THREAD);
    assert_int_equal(read_history(h, id_random(), "alice", at(0), 10), ERR_NO_THREAD);
    assert_ok(remove_member(h, thread, "bob"));
    assert_int_equal(read_history(h, thread, "bob", at(0), 10), ERR_NO_THREAD);
}

static void who_joins_later_reads_all_of_the_history(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob");
    struct id thread = thread_of(h, "alice");
    say(h, thread, "alice", "1");
    say(h, thread, "alice", "2");
    assert_ok(add_member(h, thread, "bob"));
    say(h, thread, "bob", "3");
    assert_ok(read_history(h, thread, "bob", at(0), 10));
    assert_buf(h->got.texts, "1|2|3");
}

static const struct CMUnitTest tests[] = {
    CASE(a_message_is_announced_before_its_sender_is_answered),
    CASE(cursors_increase),
    CASE(only_members_send),
    CASE(a_repeat_is_answered_like_the_first_and_not_announced),
    CASE(a_repeat_is_known_after_a_restart_and_after_leaving),
    CASE(the_id_of_another_senders_message_is_a_conflict),
    CASE(a_repeat_in_the_same_breath_is_a_repeat),
    CASE(a_message_is_found_by_its_id),
    CASE(a_message_is_found_in_its_turn),
    CASE(a_failed_call_leaves_its_neighbours_alone),
    CASE(messages_come_back_as_they_were_given),
    CASE(long_text_comes_back_whole),
    CASE(history_is_read_backwards_in_pages),
    CASE(history_bounds_may_be_anything),
    CASE(history_is_for_members),
    CASE(who_joins_later_reads_all_of_the_history),
};

const struct cases log_cases = {tests, array_len(tests)};
