/* SPDX-License-Identifier: MIT */
/* The guard: hiredis' functions that make reply objects, each behind a check. */
#include "store/redis_guard.h"

#include <assert.h>

enum { REPLY_BYTES_MAX = 40 * 1024 * 1024, OBJECT_BYTES = 80, MESSAGE_PARTS = 3, PATTERN_MESSAGE_PARTS = 4 };

static const char too_large[] = "a reply that is too large";

static bool refuse(struct guard *guard, const char *why)
{
    guard->why = why;
    return false;
}

/* Whether a whole reply may begin here. An error may always: with it hiredis ends the connection, and gives
 * it as the reason. */
static bool may_begin(struct guard *guard, const redisReadTask *task, bool is_message)
{
    if (!guard->asked && task->type == REDIS_REPLY_ERROR)
        return true;
    if (guard->asked) {
        guard->asked--;
        return true;
    }
    if (!guard->channel_count)
        return refuse(guard, "a reply to nothing");
    return is_message || refuse(guard, "something else than a published message");
}

/* What a message, or a subscription's confirmation, begins with. */
static bool may_be_word(struct guard *guard, struct span word)
{
    if (span_is(word, "pmessage"))
        return (guard->by_pattern = true) && guard->parts == PATTERN_MESSAGE_PARTS;
    guard->by_pattern = span_is(word, "psubscribe");
    return guard->parts == MESSAGE_PARTS &&
           (guard->by_pattern || span_is(word, "message") || span_is(word, "subscribe"));
}

static bool is_subscribed(const struct guard *guard, struct span name)
{
    for (unsigned i = 0; i < guard->channel_count; i++)
        if (guard->channels[i].is_pattern == guard->by_pattern && span_equal(guard->channels[i].name, name))
            return true;
    return false;
}

/* The parts of what comes without being asked for: a word, the channel or pattern, and anything. */
static bool may_be_part(struct guard *guard, const redisReadTask *task, const char *text, size_t len)
{
    if (!guard->channel_count || guard->asked)
        return true;
    struct span part = {text, len};
    bool good = true;
    if (task->idx == 0)
        good = may_be_word(guard, part);
    if (task->idx == 1)
        good = is_subscribed(guard, part);
    return good || refuse(guard, "a published message of another form");
}

/* Counts what an object will take, of the one reply that is being made. */
static bool may_take(struct guard *guard, size_t bytes)
{
    guard->taken += OBJECT_BYTES + bytes;
    return guard->taken <= REPLY_BYTES_MAX || refuse(guard, too_large);
}

static bool allows(const redisReadTask *task, const char *text, size_t len)
{
    struct guard *guard = task->privdata;
    if (task->parent)
        return may_be_part(guard, task, text, len) && may_take(guard, len);
    guard->taken = 0;
    return may_begin(guard, task, false) && may_take(guard, len);
}

static void *create_string(const redisReadTask *task, char *text, size_t len)
{
    const struct guard *guard = task->privdata;
    return allows(task, text, len) ? guard->inner->createString(task, text, len) : NULL;
}

static void *create_array(const redisReadTask *task, int elements)
{
    struct guard *guard = task->privdata;
    bool allowed;
    if (task->parent) {
        allowed = may_be_part(guard, task, NULL, 0);
    } else {
        guard->taken = 0;
        guard->parts = elements;
        allowed = may_begin(guard, task, elements == MESSAGE_PARTS || elements == PATTERN_MESSAGE_PARTS);
    }
    size_t count = elements > 0 ? (size_t)elements : 0;
    allowed = allowed && may_take(guard, count * sizeof(redisReply *));
    return allowed ? guard->inner->createArray(task, elements) : NULL;
}

static void *create_integer(const redisReadTask *task, long long number)
{
    const struct guard *guard = task->privdata;
    return allows(task, NULL, 0) ? guard->inner->createInteger(task, number) : NULL;
}

static void *create_nil(const redisReadTask *task)
{
    const struct guard *guard = task->privdata;
    return allows(task, NULL, 0) ? guard->inner->createNil(task) : NULL;
}

void guard_init(struct guard *guard, redisReader *reader)
{
    *guard = (struct guard){.inner = reader->fn};
    guard->functions =
        (redisReplyObjectFunctions){create_string, create_array, create_integer, create_nil, reader->fn->freeObject};
    reader->fn = &guard->functions;
    reader->privdata = guard;
}

void guard_ask(struct guard *guard)
{
    guard->asked++;
}

void guard_subscribe(struct guard *guard, struct span name, bool is_pattern)
{
    assert(guard->channel_count < GUARD_CHANNELS_MAX);
    guard->channels[guard->channel_count++] = (struct guard_channel){name, is_pattern};
}

bool guard_is_flooded(struct guard *guard, const redisReader *reader)
{
    if (reader->len <= REPLY_BYTES_MAX)
        return false;
    guard->why = too_large;
    return true;
}
