/* SPDX-License-Identifier: MIT */
/* The line: answers and entries of the log in the one order there is (redis_store.h). */
#include <stdlib.h>

#include "store/redis_store.h"

void line_add_call(struct redis_store *store, struct redis_call *call)
{
    call->number = ++store->call_count;
    *store->calls_tail = call;
    store->calls_tail = &call->next;
    store->waiting++;
    if (!store->unanswered)
        store->unanswered = call;
}

void line_add_entry(struct redis_store *store, struct entry *take_entry)
{
    take_entry->after = store->call_count;
    *store->entries_tail = take_entry;
    store->entries_tail = &take_entry->next;
    store->entry_count++;
}

static void give_answer(struct redis_store *store, struct redis_call *call)
{
    store->calls = call->next;
    if (!store->calls)
        store->calls_tail = &store->calls;
    store->waiting--;
    call_deliver(call);
    call_drop(call);
}

static void drop_entry(struct redis_store *store, struct entry *entry)
{
    store->entries = entry->next;
    if (!store->entries)
        store->entries_tail = &store->entries;
    store->entry_count--;
    message_unref(entry->log.message);
    arena_reset(&entry->arena);
    free(entry);
}

static void announce(struct redis_store *store, struct entry *entry)
{
    store->position = entry->log.cursor;
    if (entry->log.left.len)
        visits_removed(store, entry->log.thread, entry->log.left);
    if (entry->state == ENTRY_READY && entry->log.message)
        store->sink->message(store->sink, entry->log.message);
    else if (entry->state == ENTRY_READY)
        store->sink->thread(store->sink, &entry->record, entry->log.left);
    drop_entry(store, entry);
}

/* The call's script ran before the next entry was written, and after all that have been announced. */
static bool is_due(const struct redis_store *store, const struct redis_call *call)
{
    if (!call->answered)
        return false;
    /* What replicas do not have yet is not told; nobody is to wait for that without an end. */
    if (store->short_of_replicas)
        return true;
    if (cursor_compare(call->position, store->position) <= 0)
        return true;
    return store->entries && cursor_compare(call->position, store->entries->log.cursor) < 0;
}

static bool may_be_announced(struct redis_store *store, const struct entry *entry)
{
    while (store->unanswered && store->unanswered->answered)
        store->unanswered = store->unanswered->next;
    if (store->options.replicas && entry->claim > store->confirmed)
        return false;
    return entry->state != ENTRY_FETCHING && (!store->unanswered || store->unanswered->number > entry->after);
}

static bool move_one(struct redis_store *store)
{
    struct redis_call *call = store->calls;
    struct entry *entry = store->entries;
    if (call && call == store->unanswered && call->answered)
        store->unanswered = call->next;
    if (call && is_due(store, call)) {
        give_answer(store, call);
        return true;
    }
    if (entry && may_be_announced(store, entry)) {
        announce(store, entry);
        return true;
    }
    return false;
}

void line_move(struct redis_store *store)
{
    if (store->moving)
        return;
    store->moving = true;
    while (move_one(store))
        continue;
    store->moving = false;
    tail_read(store);
    if (store->closing)
        loop_post(store->port);
}

void line_break(struct redis_store *store)
{
    for (struct redis_call *call = store->calls; call; call = call->next)
        call->position = (struct cursor){0};
    while (store->entries)
        drop_entry(store, store->entries);
    store->read = store->position;
    loop_post(store->port);
}
