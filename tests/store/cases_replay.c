/* SPDX-License-Identifier: MIT */
/* What somebody who comes back is shown, and what retention has taken from it. */
#include <stdio.h>
#include <string.h>

#include "harness.h"

enum { ALL = 1000000 };

static void replay_shows_what_came_after_a_cursor_in_log_order(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob carol");
    struct id pair = thread_of(h, "alice bob");
    struct id room = thread_of(h, "alice bob carol");
    say(h, pair, "alice", "1");
    struct cursor since = say(h, room, "carol", "2");
    say(h, room, "carol", "3");
    say(h, pair, "bob", "4");
    say(h, pair, "alice", "5");
    struct cursor head = say(h, room, "alice", "6");

    assert_ok(read_replay(h, "bob", since, ALL, ALL));
    assert_buf(h->got.texts, "3|4|5|6");
    assert_false(h->got.page.more);
    assert_false(h->got.page.gap);
    assert_cursor(h->got.page.head, head);
    assert_cursor(h->got.kept[3]->cursor, head);
    assert_true(id_equal(h->got.kept[1]->fields.thread, pair));
    assert_ok(read_replay(h, "carol", since, ALL, ALL));
    assert_buf(h->got.texts, "3|6");
    assert_ok(read_replay(h, "bob", at(0), ALL, ALL));
    assert_buf(h->got.texts, "1|2|3|4|5|6");
}

static void at_the_head_there_is_nothing_to_replay(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob");
    struct id thread = thread_of(h, "alice");
    assert_ok(read_replay(h, "alice", at(0), ALL, ALL));
    assert_buf(h->got.texts, "");
    struct cursor head = say(h, thread, "alice", "1");
    assert_ok(read_replay(h, "alice", head, ALL, ALL));
    assert_buf(h->got.texts, "");
    assert_false(h->got.page.more);
    assert_false(h->got.page.gap);
    assert_cursor(h->got.page.head, head);
    /* A cursor from the future, or from another store, is no worse. */
    assert_ok(read_replay(h, "alice", at(UINT64_MAX), ALL, ALL));
    assert_buf(h->got.texts, "");
    /* Nor is somebody without threads, or unknown. */
    assert_ok(read_replay(h, "bob", at(0), ALL, ALL));
    assert_buf(h->got.texts, "");
    assert_ok(read_replay(h, "nobody", at(0), ALL, ALL));
    assert_buf(h->got.texts, "");
}

static void replay_stops_at_a_number_of_messages(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob");
    struct id one = thread_of(h, "alice");
    struct id two = thread_of(h, "alice bob");
    const char *const texts[] = {"1", "2", "3", "4", "5"};
    for (size_t i = 0; i < array_len(texts); i++)
        say(h, i % 2 ? one : two, "alice", texts[i]);
    assert_ok(read_replay(h, "alice", at(0), 3, ALL));
    assert_buf(h->got.texts, "1|2|3");
    assert_true(h->got.page.more);
    assert_ok(read_replay(h, "alice", h->got.kept[2]->cursor, 3, ALL));
    assert_buf(h->got.texts, "4|5");
    assert_false(h->got.page.more);
    assert_ok(read_replay(h, "alice", at(0), 5, ALL));
    assert_false(h->got.page.more);
}

static void replay_stops_at_a_number_of_bytes_but_shows_one(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice");
    struct id thread = thread_of(h, "alice");
    say(h, thread, "alice", "four");
    say(h, thread, "alice", "five5");
    say(h, thread, "alice", "six66");
    assert_ok(read_replay(h, "alice", at(0), ALL, 1));
    assert_buf(h->got.texts, "four");
    assert_true(h->got.page.more);
    assert_ok(read_replay(h, "alice", at(0), ALL, 4));
    assert_buf(h->got.texts, "four");
    assert_ok(read_replay(h, "alice", at(0), ALL, 5));
    assert_buf(h->got.texts, "four|five5");
    assert_true(h->got.page.more);
    assert_ok(read_replay(h, "alice", at(0), ALL, 10));
    assert_buf(h->got.texts, "four|five5|six66");
    assert_false(h->got.page.more);
}

static void replay_starts_at_joining(void **state)
{
    struct harness *h = *state;
    make_users(h, "alice bob");
    assert_ok(open_room(h, "lobby", "alice"));
    struct id room = h->got.thread;
    say(h, room, "alice", "before");
    assert_ok(open_room(h, "lobby", "bob"));
    say(h, room, "alice", "after");
    assert_ok(read_replay(h, "bob", at(0), ALL, ALL));
    assert_buf(h->got.texts, "after");
    assert_ok(read_replay(h, "alice", at(0), ALL, ALL));
    assert_buf(h->got.texts, "before|after");
    /* To leave and come back is to join anew. */
    assert_ok(remove_member(h, room, "bob"));
    say(h, room, "alice", "without bob");
    assert_ok(read_replay(h, "bob", at(0), ALL, ALL));
    assert_buf(h->got.texts, "");
    assert_ok(add_member(h, room, "bob"));
    say(h, room, "alice", "again");
    assert_ok(read_replay(h, "bob", at(0), ALL, ALL));
    assert_buf(h->got.texts, "again");
}

static void replay_merges_many_threads(void **state)
{
    struct harness *h = *state;
    enum { ROOMS = 40, MESSAGES = 400 };
    struct id rooms[ROOMS];
    make_users(h, "alice bob");
    for (int i = 0; i < ROOMS; i++) {
        char name[24];
        (void)snprintf(name, sizeof(name), "room %d", i);
        /* Every third is none of bob's. */
        assert_ok(open_room(h, name, "alice"));
        if (i % 3)
            assert_ok(open_room(h, name, "bob"));
        rooms[i] = h->got.thread;
    }
    struct buf expected = BUF_INIT;
    for (int i = 0; i < MESSAGES; i++) {
        int room = i * 7 % ROOMS;
        char text[24];
        (void)snprintf(text, sizeof(text), "%d", i);
        struct message *message = draft(id_random(), rooms[room], "alice", text);
        h->store->ops->append(h->store, message, on_append, ask(h));
        message_unref(message);
        if (room % 3)
            buf_printf(&expected, "%s|", text);
    }
    settle(h);

    struct buf seen = BUF_INIT;
    struct cursor since = {0};
    do {
        assert_ok(read_replay(h, "bob", since, 17, ALL));
        buf_add(&seen, buf_span(&h->got.texts));
        buf_add_char(&seen, '|');
        since = h->got.kept[h->got.kept_count - 1]->cursor;
    } while (h->got.page.more);
    assert_string_equal(text_of(&seen), text_of(&expected));
    buf_fini(&seen);
    buf_fini(&expected);
}

/* --- retention -------------------------------------------------------------------------------------------------- */

static void retention_keeps_the_newest_by_count(void **state)
{
    struct harness *h = *state;
    h->options.retention_count = 10;
    reopen_store(h);
    make_users(h, "alice");
    struct id thread = thread_of(h, "alice");
    (void)say_many(h, thread, "alice", 1700);
    wait_for_oldest(h, "alice", h->said[1690]);
    assert_cursor(h->got.page.oldest, h->said[1690]);
    assert_ok(read_history(h, thread, "alice", at(0), 100));
    assert_buf(h->got.texts, "1691|1692|1693|1694|1695|1696|1697|1698|1699|1700");
    assert_false(h->got.page.more);
}

static void retention_removes_what_is_too_old(void **state)
{
    struct harness *h = *state;
    h->options.retention_ms = 60000;
    reopen_store(h);
    make_users(h, "alice");
    struct id thread = thread_of(h, "alice");
    struct cursor old = say_many(h, thread, "alice", 3);
    pass_us(h, 30000000);
    say(h, thread, "alice", "young");
    pass_us(h, 30000001);
    wait_for_oldest(h, "alice", old);
    assert_ok(read_history(h, thread, "alice", at(0), 100));
    assert_buf(h->got.texts, "young");
    assert_cursor(h->got.page.oldest, old);
}

static void what_retention_took_is_not_found(void **state)
{
    struct harness *h = *state;
    h->options.retention_ms = 60000;
    reopen_store(h);
    make_users(h, "alice");
    struct id thread = thread_of(h, "alice");
    struct id old = id_random();
    struct id young = id_random();
    assert_ok(append_as(h, old, thread, "alice", "old"));
    struct cursor oldest = h->got.append.cursor;
    assert_ok(find_message(h, old));
    pass_us(h, 30000000);
    assert_ok(append_as(h, young, thread, "alice", "young"));
    pass_us(h, 30000001);
    wait_for_oldest(h, "alice", oldest);
    assert_int_equal(find_message(h, old), ERR_NOT_FOUND);
    assert_ok(find_message(h, young));
}

static void what_retention_took_is_told_as_a_gap(void **state)
{
    struct harness *h = *state;
    h->options.retention_count = 5;
    reopen_store(h);
    make_users(h, "alice bob");
    struct id thread = thread_of(h, "alice");
    struct cursor last = say_many(h, thread, "alice", 20);
    struct cursor oldest = h->said[15];
    wait_for_oldest(h, "alice", oldest);
    for (int i = 0; i < 2; i++) {
        assert_ok(read_replay(h, "alice", at(0), ALL, ALL));
        assert_true(h->got.page.gap);
        assert_cursor(h->got.page.oldest, oldest);
        assert_buf(h->got.texts, "16|17|18|19|20");
        assert_ok(read_replay(h, "alice", h->said[14], ALL, ALL));
        assert_true(h->got.page.gap);
        assert_ok(read_replay(h, "alice", oldest, ALL, ALL));
        assert_false(h->got.page.gap);
        assert_buf(h->got.texts, "16|17|18|19|20");
        /* It is known after a restart. */
        reopen_store(h);
        assert_cursor(h->got.bounds.oldest, oldest);
        assert_cursor(h->got.bounds.head, last);
    }
}

static void what_was_lost_before_joining_is_no_gap(void **state)
{
    struct harness *h = *state;
    h->options.retention_count = 5;
    reopen_store(h);
    make_users(h, "alice bob");
    struct id thread = thread_of(h, "alice");
    (void)say_many(h, thread, "alice", 20);
    wait_for_oldest(h, "alice", h->said[15]);
    assert_ok(add_member(h, thread, "bob"));
    say(h, thread, "alice", "welcome");
    assert_ok(read_replay(h, "bob", at(0), ALL, ALL));
    assert_false(h->got.page.gap);
    assert_buf(h->got.texts, "welcome");
}

static void a_thread_that_retention_emptied_goes_on(void **state)
{
    struct harness *h = *state;
    h->options.retention_count = 3;
    reopen_store(h);
    make_users(h, "alice");
    struct id quiet = thread_of(h, "alice");
    struct cursor lost = say(h, quiet, "alice", "lost");
    assert_ok(open_room(h, "lobby", "alice"));
    (void)say_many(h, h->got.thread, "alice", 3);
    wait_for_oldest(h, "alice", lost);
    assert_ok(read_history(h, quiet, "alice", at(0), 10));
    assert_buf(h->got.texts, "");
    assert_false(h->got.page.more);
    assert_ok(list_threads(h, "alice", true));
    assert_buf(h->got.threads, "alice*: ; alice*: 3; ");
    say(h, quiet, "alice", "found");
    assert_ok(read_history(h, quiet, "alice", at(0), 10));
    assert_buf(h->got.texts, "found");
    assert_ok(read_replay(h, "alice", lost, ALL, ALL));
    assert_non_null(strstr(text_of(&h->got.texts), "3|found"));
}

static void cursors_are_never_used_twice(void **state)
{
    struct harness *h = *state;
    h->options.retention_ms = 1000;
    reopen_store(h);
    make_users(h, "alice");
    struct id thread = thread_of(h, "alice");
    struct cursor last = say_many(h, thread, "alice", 3);
    pass_us(h, 2000000);
    wait_for_oldest(h, "alice", last);
    /* The log is empty now, and its head is where it was. */
    assert_cursor(h->got.page.head, last);
    reopen_store(h);
    assert_cursor(h->got.bounds.head, last);
    assert_true(cursor_compare(say(h, thread, "alice", "next"), last) > 0);
}

static const struct CMUnitTest tests[] = {
    CASE(replay_shows_what_came_after_a_cursor_in_log_order),
    CASE(at_the_head_there_is_nothing_to_replay),
    CASE(replay_stops_at_a_number_of_messages),
    CASE(replay_stops_at_a_number_of_bytes_but_shows_one),
    CASE(replay_starts_at_joining),
    CASE(replay_merges_many_threads),
    CASE(retention_keeps_the_newest_by_count),
    CASE(retention_removes_what_is_too_old),
    CASE(what_retention_took_is_not_found),
    CASE(what_retention_took_is_told_as_a_gap),
    CASE(what_was_lost_before_joining_is_no_gap),
    CASE(a_thread_that_retention_emptied_goes_on),
    CASE(cursors_are_never_used_twice),
};

const struct cases replay_cases = {tests, array_len(tests)};
