/* SPDX-License-Identifier: MIT */
/*
 * The log: messages in, pages out.
 *
 * Cursors have no holes: only a committed message takes one, and retention removes from the start. So the number of
 * messages kept is head - oldest, which retention by count relies on.
 */
#include "store/sqlite_ops.h"

enum err log_bounds(struct database *db, struct store_bounds *ret_bounds)
{
    struct query query = query_on(db, SQL_BOUNDS);
    bool found = query_row(&query);
    if (found)
        *ret_bounds =
            (struct store_bounds){.head = query_column_cursor(&query, 0), .oldest = query_column_cursor(&query, 1)};
    enum err err = query_end(&query);
    return err ? err : found ? OK : ERR_STORE;
}

enum err run_start(struct database *db, struct call *call)
{
    return log_bounds(db, &call->result.bounds);
}

struct message *message_read(const struct query *query)
{
    struct message_fields fields = {
        .id = query_column_id(query, 1),
        .thread = query_column_id(query, 2),
        .type = (enum text_type)query_column_enum(query, 3, TEXT_TYPE_COUNT),
        .time_us = query_column_int(query, 4),
        .sender = query_span(query, 5),
        .sender_name = query_span(query, 6),
        .text = query_span(query, 7),
        .subject = query_span(query, 8),
        .language = query_span(query, 9),
        .attachments = query_span(query, 10),
    };
    struct message *message = message_new(&fields);
    if (message)
        message->cursor = query_column_cursor(query, 0);
    return message;
}

/* ERR_CONFLICT: the id is taken. */
static enum err insert(struct database *db, const struct message_fields *fields, const struct member_key *sender)
{
    struct query query = query_on(db, SQL_MESSAGE_ADD);
    query_id(&query, &fields->id);
    query_int(&query, sender->thread);
    query_int(&query, sender->user);
    query_int(&query, fields->type);
    query_int(&query, fields->time_us);
    query_text(&query, fields->sender_name);
    query_text(&query, fields->text);
    query_optional(&query, fields->subject);
    query_optional(&query, fields->language);
    query_optional(&query, fields->attachments);
    return query_run(&query);
}

/* Answers with what the message of this id came to. ERR_CONFLICT: it is somebody else's. ERR_NO_THREAD: there is
 * none. */
static enum err recall(struct database *db, const struct message_fields *fields, struct append_result *result)
{
    struct query query = query_on(db, SQL_MESSAGE_FIND);
    query_id(&query, &fields->id);
    enum err missing = ERR_NO_THREAD;
    if (query_row(&query)) {
        result->cursor = query_column_cursor(&query, 0);
        result->thread = query_column_id(&query, 1);
        result->repeated = true;
        missing = span_equal(query_span(&query, 2), fields->sender) ? OK : ERR_CONFLICT;
    }
    enum err err = query_end(&query);
    return err ? err : missing;
}

enum err run_append(struct database *db, struct call *call)
{
    const struct message_fields *fields = &call->args.append->fields;
    struct append_result *result = &call->result.append;
    *result = (struct append_result){.id = fields->id, .thread = fields->thread};
    struct member_key sender;
    enum err err = member_find(db, &fields->thread, fields->sender, &sender);
    /* A repeat is answered even to somebody who has left since. */
    if (err == ERR_NO_THREAD)
        return recall(db, fields, result);
    if (!err)
        err = insert(db, fields, &sender);
    if (err == ERR_CONFLICT)
        return recall(db, fields, result);
    result->cursor.major = (uint64_t)sqlite3_last_insert_rowid(db->handle);
    return err;
}

enum err run_message_find(struct database *db, struct call *call)
{
    struct query query = query_on(db, SQL_MESSAGE_FIND);
    query_id(&query, &call->args.message_find);
    bool found = query_row(&query);
    if (found)
        call->result.place = (struct message_place){query_column_id(&query, 1), query_column_cursor(&query, 0)};
    enum err err = query_end(&query);
    return err ? err : found ? OK : ERR_NOT_FOUND;
}

static struct query before(struct database *db, int64_t thread, struct cursor end, uint64_t limit)
{
    struct query query = query_on(db, SQL_MESSAGES_BEFORE);
    query_int(&query, thread);
    query_uint(&query, end.major ? end.major : INT64_MAX);
    query_uint(&query, limit);
    return query;
}

enum err message_last(struct database *db, int64_t thread, struct message **ret_message)
{
    struct query query = before(db, thread, (struct cursor){0}, 1);
    struct message *message = NULL;
    bool found = query_row(&query);
    if (found)
        message = message_read(&query);
    enum err err = query_end(&query);
    if (!err && found && !message)
        err = ERR_NO_MEMORY;
    if (!err)
        *ret_message = message;
    else
        message_unref(message);
    return err;
}

static void reverse(struct message **messages, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        struct message *other = messages[count - 1 - i];
        messages[count - 1 - i] = messages[i];
        messages[i] = other;
    }
}

/* Reads up to `limit` rows into the page, and notes whether there is one more. */
static enum err read_page(struct query *query, struct call *call, size_t limit)
{
    struct arena_list list = {0};
    struct message_page *page = &call->result.page;
    while (query_row(query)) {
        if (list.count == limit) {
            page->more = true;
            break;
        }
        struct message **slot = arena_list_add(&call->arena, &list, sizeof(*slot));
        struct message *message = slot ? message_read(query) : NULL;
        if (!message) {
            call->arena.failed = true;
            break;
        }
        *slot = message;
    }
    reverse(list.items, list.count);
    page->messages = list.items;
    page->count = list.count;
    return query_end(query);
}

enum err run_history(struct database *db, struct call *call)
{
    struct member_key member;
    enum err err = member_find(db, &call->args.history.thread, call->args.history.user, &member);
    struct store_bounds bounds = {0};
    if (!err)
        err = log_bounds(db, &bounds);
    if (err)
        return err;
    call->result.page = (struct message_page){.head = bounds.head, .oldest = bounds.oldest};
    size_t limit = call->args.history.limit;
    struct query query = before(db, member.thread, call->args.history.before, limit < SIZE_MAX ? limit + 1 : limit);
    return read_page(&query, call, limit);
}
