/* SPDX-License-Identifier: MIT */
/* Broadcasts and messages between nodes, with each allocation failing in turn: an error, and nothing lost or half
 * done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adapters/socketio/msgpack.h"
#include "adapters/socketio/relay_message.h"
#include "adapters/socketio/rooms.h"
#include "lib/failing_memory.h"

enum { TRIES_MAX = 200 };

static const char data[] = "[\"e\",{\"a\":[1,2.5,\"0123456789012345678901234567890123456789\"]},"
                           "{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]";

static void fill(struct broadcast *broadcast, const struct span *room)
{
    *broadcast = (struct broadcast){
        .uid = SPAN_LITERAL("node"),
        .nsp = SPAN_LITERAL("/"),
        .data = span_of(data),
        .attachments = {blob_copy(SPAN_LITERAL("one")), blob_copy(SPAN_LITERAL("two"))},
        .attachment_count = 2,
        .audience = {room, 1, room, 1},
    };
    assert_non_null(broadcast->attachments[0]);
    assert_non_null(broadcast->attachments[1]);
}

static void empty(struct broadcast *broadcast)
{
    blob_unref(broadcast->attachments[0]);
    blob_unref(broadcast->attachments[1]);
}

static void writing_a_broadcast_fails_cleanly(void **state)
{
    (void)state;
    const struct span room = SPAN_LITERAL("room");
    struct broadcast broadcast;
    enum err err = ERR_NO_MEMORY;
    fill(&broadcast, &room);
    for (unsigned nth = 1; err; nth++) {
        struct buf out = BUF_INIT;
        assert_in_range(nth, 1, TRIES_MAX);
        memory_fail_at(nth);
        err = broadcast_write(&out, &broadcast);
        assert_true(err != OK || !memory_has_failed());
        memory_fail_at(0);
        buf_fini(&out);
    }
    empty(&broadcast);
}

/* The same message in either dialect; the old one has an undefined in it, for which it is rewritten. */
static void read_with_failures(struct span bytes)
{
    enum err err = ERR_NO_MEMORY;
    unsigned failures = 0;
    for (unsigned nth = 1; err; nth++) {
        struct broadcast *broadcast = NULL;
        const char *why = NULL;
        assert_in_range(nth, 1, TRIES_MAX);
        memory_fail_at(nth);
        err = broadcast_read(bytes, &broadcast, &why);
        failures += memory_has_failed();
        memory_fail_at(0);
        assert_true(err == OK || (err == ERR_NO_MEMORY && !broadcast));
        broadcast_free(broadcast);
    }
    assert_true(failures > 2);
}

static void reading_a_broadcast_fails_cleanly(void **state)
{
    (void)state;
    static const char old[] = "\x92\x82\xa4type\x02\xa4"
                              "data\x93\xa1"
                              "e\xc4\xd8\0\3abc\x81\xa5rooms\x92\xa1"
                              "a\7";
    const struct span room = SPAN_LITERAL("room");
    struct broadcast broadcast;
    struct buf out = BUF_INIT;
    fill(&broadcast, &room);
    assert_int_equal(broadcast_write(&out, &broadcast), OK);
    read_with_failures(buf_span(&out));
    read_with_failures((struct span){old, sizeof(old) - 1});
    buf_fini(&out);
    empty(&broadcast);
}

static void reading_rooms_fails_cleanly(void **state)
{
    (void)state;
    json_t *list = json_pack("[s,i,s]", "a", 7, "b");
    enum err err = ERR_NO_MEMORY;
    for (unsigned nth = 1; err; nth++) {
        struct rooms rooms = {0};
        assert_in_range(nth, 1, TRIES_MAX);
        memory_fail_at(nth);
        err = rooms_read(list, &rooms);
        memory_fail_at(0);
        assert_int_equal(err ? 0 : 3, rooms.count);
        rooms_fini(&rooms);
    }
    json_decref(list);
}

static void writing_a_message_to_a_node_is_remembered_as_failed(void **state)
{
    (void)state;
    const struct relay_message message = {.kind = RELAY_ASK, .ticket = {"AAAA", 1}, .sid = SPAN_LITERAL("AAAA1")};
    struct buf out = BUF_INIT;
    memory_fail_at(1);
    relay_message_write(&out, &message);
    memory_fail_at(0);
    assert_true(buf_failed(&out));
    buf_fini(&out);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(writing_a_broadcast_fails_cleanly),
        cmocka_unit_test(reading_a_broadcast_fails_cleanly),
        cmocka_unit_test(reading_rooms_fails_cleanly),
        cmocka_unit_test(writing_a_message_to_a_node_is_remembered_as_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
