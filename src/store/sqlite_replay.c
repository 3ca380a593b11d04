/* SPDX-License-Identifier: MIT */
/*
 * Replay: what a user's threads have seen since a cursor, in log order, a page at a time.
 *
 * Each thread is a lane that is already in order (an index), so the page is a merge: a heap of lanes by their next
 * cursor. A page costs one look-up per thread and one or two per message, however long the log is and however little of
 * it is the user's.
 */
#include <stdlib.h>

#include "store/sqlite_ops.h"

struct lane {
    uint64_t next; /* the cursor of its next message */
    int64_t thread;
};

struct merge {
    struct lane *lanes; /* a binary heap, the earliest on top */
    size_t count;
};

static bool earlier(const struct merge *merge, size_t a, size_t b)
{
    return merge->lanes[a].next < merge->lanes[b].next;
}

static void sift_down(struct merge *merge, size_t at)
{
    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= merge->count)
            return;
        if (child + 1 < merge->count && earlier(merge, child + 1, child))
            child++;
        if (!earlier(merge, child, at))
            return;
        struct lane lane = merge->lanes[at];
        merge->lanes[at] = merge->lanes[child];
        merge->lanes[child] = lane;
        at = child;
    }
}

/* The thread's first cursor after `after`; 0 where there is none. */
static enum err next_cursor(struct database *db, int64_t thread, uint64_t after, uint64_t *ret_next)
{
    struct query query = query_on(db, SQL_MESSAGE_NEXT);
    query_int(&query, thread);
    query_uint(&query, after);
    uint64_t next = query_row(&query) ? query_column_cursor(&query, 0).major : 0;
    enum err err = query_end(&query);
    if (!err)
        *ret_next = next;
    return err;
}

/* Adds a thread that has something after `after`. */
static enum err add_lane(struct database *db, struct call *call, struct arena_list *lanes, int64_t thread,
                         uint64_t after)
{
    uint64_t next = 0;
    enum err err = next_cursor(db, thread, after, &next);
    if (err || !next)
        return err;
    struct lane *lane = arena_list_add(&call->arena, lanes, sizeof(*lane));
    if (!lane)
        return ERR_NO_MEMORY;
    *lane = (struct lane){next, thread};
    return OK;
}

/* A lane for each of the user's threads. There is a gap if retention has taken something from after both `since` and
 * their joining. */
static enum err open_lanes(struct database *db, struct call *call, struct merge *merge)
{
    struct message_page *page = &call->result.page;
    uint64_t since = call->args.replay.since.major;
    struct arena_list lanes = {0};
    enum err err = OK;
    struct query query = query_on(db, SQL_JOINED);
    query_text(&query, call->args.replay.user);
    while (!err && query_row(&query)) {
        uint64_t joined = query_column_cursor(&query, 1).major;
        uint64_t after = joined > since ? joined : since;
        page->gap |= after < page->oldest.major;
        err = add_lane(db, call, &lanes, query_column_int(&query, 0), after);
    }
    enum err ended = query_end(&query);
    *merge = (struct merge){lanes.items, lanes.count};
    for (size_t i = merge->count / 2; i-- > 0;)
        sift_down(merge, i);
    return err ? err : ended;
}

/* The message on top of the heap; its lane moves on. */
static enum err take_message(struct database *db, struct merge *merge, struct message **ret_message)
{
    struct lane *top = merge->lanes;
    struct query query = query_on(db, SQL_MESSAGE_AT);
    query_uint(&query, top->next);
    bool found = query_row(&query);
    struct message *message = found ? message_read(&query) : NULL;
    enum err err = query_end(&query);
    if (!err && !message)
        err = found ? ERR_NO_MEMORY : ERR_STORE;
    if (!err)
        err = next_cursor(db, top->thread, top->next, &top->next);
    if (err) {
        message_unref(message);
        return err;
    }
    if (!top->next)
        *top = merge->lanes[--merge->count];
    sift_down(merge, 0);
    *ret_message = message;
    return OK;
}

static enum err fill_page(struct database *db, struct call *call, struct merge *merge)
{
    struct message_page *page = &call->result.page;
    struct arena_list list = {0};
    size_t bytes = 0;
    enum err err = OK;
    while (merge->count && list.count < call->args.replay.count_max &&
           (list.count == 0 || bytes < call->args.replay.bytes_max)) {
        struct message **slot = arena_list_add(&call->arena, &list, sizeof(*slot));
        err = slot ? take_message(db, merge, slot) : ERR_NO_MEMORY;
        page->messages = list.items;
        if (err)
            break;
        page->count = list.count;
        bytes += (*slot)->fields.text.len;
    }
    page->more = merge->count > 0;
    return err;
}

enum err run_replay(struct database *db, struct call *call)
{
    struct store_bounds bounds;
    enum err err = log_bounds(db, &bounds);
    if (err)
        return err;
    call->result.page = (struct message_page){.head = bounds.head, .oldest = bounds.oldest};
    /* Most of those who come back have missed nothing. */
    if (call->args.replay.since.major >= bounds.head.major)
        return OK;
    struct merge merge = {NULL, 0};
    err = open_lanes(db, call, &merge);
    return err ? err : fill_page(db, call, &merge);
}
