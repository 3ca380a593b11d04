/* SPDX-License-Identifier: MIT */
/*
 * A Redis server that says arbitrary things, to hiredis' parser behind our guard, and to all that reads its replies.
 *
 * The first byte says how many replies were asked for, and whether the connection is subscribed to a channel and to a
 * pattern.
 *
 * Invariants: no more replies come than were asked for; what comes without being asked for is a message of what was
 * subscribed to; a record that was read holds only text that the rest of the program may be given.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "store/redis_guard.h"
#include "store/redis_reply.h"
#include "store/redis_trouble.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_user(const struct user_record *user)
{
    require(user_id_valid(user->id) && utf8_valid(user->name) && utf8_valid(user->status));
    require(user->available || !user->idle);
}

static void read_users(const redisReply *reply, struct arena *arena)
{
    struct user_record user;
    struct user_record *users = NULL;
    size_t count = 0;
    if (reply_user(reply, arena, &user))
        check_user(&user);
    if (reply->type != REDIS_REPLY_ARRAY || !reply_users(reply, 0, arena, &users, &count))
        return;
    for (size_t i = 0; i < count; i++)
        check_user(&users[i]);
}

static void read_thread(const redisReply *reply, struct arena *arena)
{
    struct thread_record thread;
    if (!reply_one_thread(reply, arena, &thread))
        return;
    for (size_t i = 0; i < thread.member_count; i++)
        check_user(&thread.members[i].user);
    message_unref(thread.last);
}

static void read_entry(const redisReply *reply)
{
    struct log_entry entry;
    if (reply_entry(reply, &entry) != OK || !entry.message)
        return;
    require(user_id_valid(entry.message->fields.sender) && utf8_valid(entry.message->fields.text));
    message_unref(entry.message);
}

static void read_all(const redisReply *reply)
{
    struct arena arena = {0};
    struct cursor cursor;
    int64_t number;
    if (reply_is_error(reply))
        require(trouble_of(reply->str)->sentence);
    if (reply_cursor(reply, 0, &cursor))
        require(reply_text(reply, 0).len > 0);
    if (reply_int(reply, 0, &number))
        require(reply->type == REDIS_REPLY_ARRAY);
    read_users(reply, &arena);
    read_thread(reply, &arena);
    read_entry(reply);
    arena_reset(&arena);
}

/* With an error hiredis ends the connection, whenever it comes. */
static void check_message(const redisReply *reply)
{
    if (reply_is_error(reply))
        return;
    require(reply->type == REDIS_REPLY_ARRAY && reply->element[0]->type == REDIS_REPLY_STRING);
    bool by_pattern = reply->element[0]->str[0] == 'p';
    require(reply->elements == (span_is(reply_text(reply, 0), "pmessage") ? 4 : 3));
    require(span_is(reply_text(reply, 1), by_pattern ? "socket.io#*" : "chat:events"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct guard guard;
    redisContext context = {.reader = redisReaderCreate()};
    void *reply = NULL;
    if (size == 0 || !context.reader) {
        redisReaderFree(context.reader);
        return 0;
    }
    guard_init(&guard, context.reader);
    unsigned asked = data[0] & 0x3f;
    for (unsigned i = 0; i < asked; i++)
        guard_ask(&guard);
    if (data[0] & 0x80)
        guard_subscribe(&guard, SPAN_LITERAL("chat:events"), false);
    if (data[0] & 0x40)
        guard_subscribe(&guard, SPAN_LITERAL("socket.io#*"), true);
    (void)redisReaderFeed(context.reader, (const char *)data + 1, size - 1);
    while (redisReaderGetReply(context.reader, &reply) == REDIS_OK && reply) {
        if (asked)
            asked--;
        else
            check_message(reply);
        read_all(reply);
        freeReplyObject(reply);
    }
    redisReaderFree(context.reader);
    return 0;
}
