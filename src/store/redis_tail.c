/* SPDX-License-Identifier: MIT */
/*
 * The tail of the log: one XREAD after the other, each waiting for new entries.
 *
 * A change of members only names its thread. The thread's record is fetched, which holds the line up for one round
 * trip; it may be newer than the entry, which does no harm: its members carry when they joined.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/metric.h"
#include "store/redis_store.h"
#include "store/redis_trouble.h"

enum {
    READ_COUNT_MAX = 200,
    READ_BYTES = 16 * 1024 * 1024,
    READ_WAIT_MS = 2000,
    LATE_WAIT_MS = 100,
    ENTRIES_MAX = 1000
};

/* --- fetching a thread --- */

static bool is_gone(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STATUS && strcmp(reply->str, err_word(ERR_NO_THREAD)) == 0;
}

/* A record that another program has spoilt: the thread stays as it was known. */
static bool is_spoilt(const redisReply *reply)
{
    bool refused = reply_is_error(reply) && trouble_of(reply->str)->reach == TROUBLE_CALL;
    return refused || reply->type == REDIS_REPLY_ARRAY;
}

/* Not to know who is in a thread is to deliver its messages wrongly: what else went wrong is tried again, by a new
 * connection that reads on from before this entry. */
static void got_record(void *ctx, const redisReply *reply)
{
    struct entry *entry = ctx;
    struct redis_store *store = entry->store;
    if (!reply)
        return; /* the link's end drops the entry */
    bool read = reply_one_thread(reply, &entry->arena, &entry->record);
    if (entry->arena.failed) {
        link_fail(&store->link, "out of memory", NULL);
    } else if (read || is_gone(reply) || is_spoilt(reply)) {
        entry->state = read ? ENTRY_READY : ENTRY_SKIPPED;
        if (!read && !is_gone(reply))
            store_puzzled(store, "a thread's record in Redis is none of ours", (struct log_field){0});
        line_move(store);
    } else if (reply_is_error(reply)) {
        metric_add(METRIC_REDIS_ERRORS, 1);
        link_fail(&store->link, trouble_of(reply->str)->sentence, reply->str);
    } else {
        store_confused(store);
    }
}

static void fetch_record(struct redis_store *store, struct entry *entry)
{
    char id[ID_TEXT_SIZE];
    struct span words[] = {SCRIPT_HEAD, span_of(id_format(entry->log.thread, id))};
    entry->state = ENTRY_FETCHING;
    link_script(&store->link, SCRIPT_THREAD_GET, array_len(words), words, got_record, entry);
}

/* --- reading --- */

static void skip(struct entry *entry)
{
    char id[STREAM_ID_SIZE];
    entry->state = ENTRY_SKIPPED;
    store_puzzled(entry->store, "an entry of the log in Redis is none of ours",
                  log_text("id", stream_id_format(entry->log.cursor, id)));
}

/* Whether the thread's record is being fetched for an entry that came in with this one: it will be newer than both. */
static bool is_being_fetched(const struct redis_store *store, const struct entry *entry)
{
    for (const struct entry *other = store->batch; other; other = other->next)
        if (other != entry && other->state == ENTRY_FETCHING && id_equal(other->log.thread, entry->log.thread))
            return true;
    return false;
}

/* False: the reply makes no sense, or there is no memory; the link is to be given up. */
static bool take_entry(struct redis_store *store, const redisReply *reply)
{
    struct entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return false;
    entry->store = store;
    enum err err = reply_entry(reply, &entry->log);
    bool ordered = cursor_compare(entry->log.cursor, store->read) > 0;
    if (err == ERR_NO_MEMORY || !ordered) {
        message_unref(entry->log.message);
        free(entry);
        return false;
    }
    store->read = entry->log.cursor;
    entry->claim = store->claims;
    entry->log.left = err ? (struct span){0} : arena_copy(&entry->arena, entry->log.left);
    line_add_entry(store, entry);
    if (entry->arena.failed)
        return false;
    if (!store->batch)
        store->batch = entry;
    if (err)
        skip(entry);
    else if (!entry->log.message && is_being_fetched(store, entry))
        entry->state = ENTRY_SKIPPED;
    else if (!entry->log.message)
        fetch_record(store, entry);
    return true;
}

static void is_marked(void *ctx, const redisReply *reply)
{
    struct redis_store *store = ctx;
    if (reply && reply_is_error(reply))
        store_complain(store, reply);
}

/* Replicas are asked about what a connection has written, not about what it has read: so something is written behind
 * it. */
static void claim_what_comes(struct redis_store *store)
{
    static const struct span words[] = {{"HSET", 4}, {"chat:state", 10}, {"read", 4}, {"1", 1}};
    store->claims++;
    wire_command(&store->link.commands, array_len(words), words, 0, is_marked, store);
}

static bool take_entries(struct redis_store *store, const redisReply *reply)
{
    const redisReply *stream = reply->elements == 1 ? reply->element[0] : NULL;
    if (!stream || stream->type != REDIS_REPLY_ARRAY || stream->elements != 2 ||
        stream->element[1]->type != REDIS_REPLY_ARRAY)
        return false;
    const redisReply *entries = stream->element[1];
    store->batch = NULL;
    if (store->options.replicas)
        claim_what_comes(store);
    /* To ask for a record may be what finds the link lost: then all that came is read again. */
    for (size_t i = 0; i < entries->elements && store->ready; i++)
        if (!take_entry(store, entries->element[i]))
            return false;
    return entries->elements > 0;
}

static void got_entries(void *ctx, const redisReply *reply)
{
    struct redis_store *store = ctx;
    store->reading = false;
    if (!reply)
        return;
    if (reply_is_error(reply)) {
        metric_add(METRIC_REDIS_ERRORS, 1);
        if (store->ready)
            link_fail(&store->link, trouble_of(reply->str)->sentence, reply->str);
        return;
    }
    if (reply->type == REDIS_REPLY_NIL) {
        /* What an answer has seen and is not here was trimmed before it could be read. */
        if (!store->entries && cursor_compare(store->horizon, store->position) > 0)
            store->position = store->horizon;
    } else if (reply->type != REDIS_REPLY_ARRAY || !take_entries(store, reply)) {
        store_confused(store);
        return;
    }
    line_move(store);
}

void tail_read(struct redis_store *store)
{
    if (!store->ready || store->reading || store->entry_count >= ENTRIES_MAX)
        return;
    char from[STREAM_ID_SIZE];
    char count[INT_TEXT_SIZE];
    char wait[INT_TEXT_SIZE];
    /* What an answer has seen comes at once, or never: then not long is waited for it. */
    bool late = cursor_compare(store->seen, store->read) > 0;
    size_t fitting = READ_BYTES / store->options.message_bytes + 1;
    const struct span words[] = {
        SPAN_LITERAL("XREAD"),
        SPAN_LITERAL("COUNT"),
        int_format(fitting < READ_COUNT_MAX ? (int64_t)fitting : READ_COUNT_MAX, count),
        SPAN_LITERAL("BLOCK"),
        int_format(late ? LATE_WAIT_MS : READ_WAIT_MS, wait),
        SPAN_LITERAL("STREAMS"),
        SPAN_LITERAL("chat:log"),
        span_of(stream_id_format(store->read, from)),
    };
    store->reading = true;
    store->horizon = store->seen;
    wire_command(&store->link.tail, array_len(words), words, READ_WAIT_MS, got_entries, store);
}
