/* SPDX-License-Identifier: MIT */
/* Calls: their memory, and what each kind does to the database. */
#include "store/sqlite_call.h"

#include <stdlib.h>

static const enum {
    READS,
    WRITES,
    SEVERAL
} effects[CALL_KIND_COUNT] = {
#define ROW(name, effect) [name] = effect,
    CALL_TABLE(ROW)
#undef ROW
};

struct call *call_new(enum call_kind kind, size_t bytes)
{
    struct call *call = malloc(sizeof(*call) + bytes);
    if (!call)
        return NULL;
    *call = (struct call){.kind = kind};
    call->text_at = call->bytes;
    return call;
}

void call_init_refused(struct call *call, enum call_kind kind, enum err err)
{
    *call = (struct call){.kind = kind, .err = err, .refused = true};
}

struct span call_text(struct call *call, struct span text)
{
    if (call->refused || !text.data)
        return (struct span){NULL, 0};
    struct span copy = {call->text_at, text.len};
    if (text.len)
        memcpy(call->text_at, text.data, text.len);
    call->text_at += text.len;
    return copy;
}

static void unref_page(const struct message_page *page)
{
    for (size_t i = 0; i < page->count; i++)
        message_unref(page->messages[i]);
}

static void unref_threads(const struct thread_record *threads, size_t count)
{
    for (size_t i = 0; i < count; i++)
        message_unref(threads[i].last);
}

void call_reset_result(struct call *call)
{
    if (call->kind == CALL_HISTORY || call->kind == CALL_REPLAY)
        unref_page(&call->result.page);
    if (call->kind == CALL_THREADS_OF)
        unref_threads(call->result.threads.items, call->result.threads.count);
    arena_reset(&call->arena);
    call->result = (union call_result){0};
}

void call_fini(struct call *call)
{
    call_reset_result(call);
    if (call->kind == CALL_APPEND)
        message_unref(call->args.append);
}

bool call_writes(const struct call *call)
{
    return effects[call->kind] != READS;
}

bool call_has_steps(const struct call *call)
{
    return effects[call->kind] == SEVERAL;
}
