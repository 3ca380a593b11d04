/* SPDX-License-Identifier: MIT */
/*
 * Threads and their members.
 *
 * The key of a thread follows its present members: whoever changes them sets it anew (rekey). Where two threads come to
 * have the same members, the one that had the key first keeps it. Rooms have no key: they are found by name only.
 */
#include <stdlib.h>

#include "base/log.h"
#include "store/sqlite_ops.h"

/* A thread's row, in call->result.thread.record as far as the caller sees it. */
struct thread_row {
    int64_t number;
    struct thread_record *record;
};

static enum err read_thread(struct query *query, struct arena *arena, struct thread_row *row)
{
    bool found = query_row(query);
    if (found) {
        row->number = query_column_int(query, 0);
        row->record->id = query_column_id(query, 1);
        row->record->room = arena_copy(arena, query_span(query, 2));
    }
    enum err err = query_end(query);
    return err ? err : found ? OK : ERR_NO_THREAD;
}

static enum err thread_find(struct database *db, enum sql by, const struct id *id, struct arena *arena,
                            struct thread_row *row)
{
    struct query query = query_on(db, by);
    query_id(&query, id);
    return read_thread(&query, arena, row);
}

/* Fills the members in anew. */
static enum err load_members(struct database *db, struct arena *arena, const struct thread_row *row)
{
    struct arena_list list = {0};
    struct query query = query_on(db, SQL_MEMBERS);
    query_int(&query, row->number);
    while (query_row(&query)) {
        struct member_record *member = arena_list_add(arena, &list, sizeof(*member));
        if (!member)
            break;
        member->user = user_read(&query, arena);
        member->role = query_column_int(&query, 4) == ROLE_OWNER ? ROLE_OWNER : ROLE_GUEST;
        member->joined = query_column_cursor(&query, 5);
    }
    row->record->members = list.items;
    row->record->member_count = list.count;
    return query_end(&query);
}

static enum err set_key(struct database *db, const struct thread_row *row, const struct id *key)
{
    struct query query = query_on(db, SQL_THREAD_SET_KEY);
    query_int(&query, row->number);
    query_id(&query, key);
    return query_run(&query);
}

/* Sets the key for the members as loaded. */
static enum err rekey(struct database *db, const struct thread_row *row)
{
    const struct thread_record *record = row->record;
    if (record->room.data)
        return OK;
    if (!record->member_count)
        return set_key(db, row, NULL);
    struct span *users = malloc(record->member_count * sizeof(*users));
    if (!users)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < record->member_count; i++)
        users[i] = record->members[i].user.id;
    struct id key;
    enum err err = members_key(users, record->member_count, &key) ? OK : ERR_NO_MEMORY;
    free(users);
    return err ? err : set_key(db, row, &key);
}

/* After a change: the members as they are now, the key for them, and an announcement. */
static enum err finish_change(struct database *db, struct call *call, const struct thread_row *row)
{
    enum err err = load_members(db, &call->arena, row);
    if (!err && call->arena.failed)
        err = ERR_NO_MEMORY;
    if (!err)
        err = rekey(db, row);
    call->result.thread.changed = true;
    return err;
}

static enum err member_insert(struct database *db, int64_t thread, int64_t user, enum role role)
{
    struct store_bounds bounds;
    enum err err = log_bounds(db, &bounds);
    if (err)
        return err;
    struct query query = query_on(db, SQL_MEMBER_ADD);
    query_int(&query, thread);
    query_int(&query, user);
    query_int(&query, role);
    query_uint(&query, bounds.head.major);
    return query_run(&query);
}

static enum err set_visits(struct database *db, const struct member_key *key, int64_t visits)
{
    struct query query = query_on(db, SQL_VISITS_SET);
    query_int(&query, key->thread);
    query_int(&query, key->user);
    query_int(&query, visits);
    return query_run(&query);
}

static enum err thread_add(struct database *db, const struct thread_request *request, struct thread_row *row)
{
    struct query query = query_on(db, SQL_THREAD_ADD);
    query_id(&query, &request->id);
    query_optional(&query, request->room);
    enum err err = query_run(&query);
    row->number = sqlite3_last_insert_rowid(db->handle);
    row->record->id = request->id;
    row->record->room = request->room;
    return err;
}

/* Makes the thread with the first `count` users, the first of them as its owner. */
static enum err thread_make(struct database *db, struct call *call, struct thread_row *row, size_t count)
{
    const struct thread_request *request = &call->args.thread_open;
    if (count > request->members_max)
        return ERR_TOO_MANY_MEMBERS;
    enum err err = thread_add(db, request, row);
    for (size_t i = 0; i < count && !err; i++) {
        int64_t user;
        err = user_number(db, request->users[i], &user);
        if (!err)
            err = member_insert(db, row->number, user, i == 0 ? ROLE_OWNER : ROLE_GUEST);
        if (!err && request->room.data && request->visit)
            err = set_visits(db, &(struct member_key){row->number, user}, 1);
    }
    return err ? err : finish_change(db, call, row);
}

/* How somebody comes, and where nobody is let in. */
struct coming {
    size_t members_max;
    bool members_only;
    bool visit;
};

/* A member who came for visits only is a member for good from now on, or for one visit more. Others stay what they
 * are. */
static enum err count_visit(struct database *db, const struct member_key *key, bool visit)
{
    struct query query = query_on(db, visit ? SQL_VISITS_ADD : SQL_VISITS_END);
    query_int(&query, key->thread);
    query_int(&query, key->user);
    return query_run(&query);
}

/* Brings a user into a thread whose members are loaded. */
static enum err join(struct database *db, struct call *call, const struct thread_row *row, struct span user,
                     struct coming coming)
{
    struct member_key key = {.thread = row->number};
    enum err err = user_number(db, user, &key.user);
    if (err)
        return err;
    const struct thread_record *record = row->record;
    for (size_t i = 0; i < record->member_count; i++)
        if (span_equal(record->members[i].user.id, user))
            return count_visit(db, &key, coming.visit);
    if (coming.members_only)
        return ERR_FORBIDDEN;
    if (record->member_count >= coming.members_max)
        return ERR_TOO_MANY_MEMBERS;
    /* A thread that everybody has left starts anew with whoever comes first. */
    err = member_insert(db, key.thread, key.user, record->member_count ? ROLE_GUEST : ROLE_OWNER);
    if (!err && coming.visit)
        err = set_visits(db, &key, 1);
    return err ? err : finish_change(db, call, row);
}

static enum err open_room(struct database *db, struct call *call, struct thread_row *row)
{
    const struct thread_request *request = &call->args.thread_open;
    enum err err = thread_find(db, SQL_THREAD_FIND, &request->id, &call->arena, row);
    if (err == ERR_NO_THREAD)
        return thread_make(db, call, row, 1);
    if (!err)
        err = load_members(db, &call->arena, row);
    struct coming coming = {request->members_max, request->members_only, request->visit};
    return err ? err : join(db, call, row, request->users[0], coming);
}

static enum err open_members(struct database *db, struct call *call, struct thread_row *row)
{
    const struct thread_request *request = &call->args.thread_open;
    struct id key;
    if (!members_key(request->users, request->user_count, &key))
        return ERR_NO_MEMORY;
    enum err err = thread_find(db, SQL_THREAD_FIND_KEY, &key, &call->arena, row);
    if (err == ERR_NO_THREAD)
        return thread_make(db, call, row, request->user_count);
    return err ? err : load_members(db, &call->arena, row);
}

enum err run_thread_open(struct database *db, struct call *call)
{
    struct thread_row row = {.record = &call->result.thread.record};
    return call->args.thread_open.room.data ? open_room(db, call, &row) : open_members(db, call, &row);
}

static enum err find_and_load(struct database *db, struct call *call, struct thread_row *row)
{
    enum err err = thread_find(db, SQL_THREAD_FIND, &call->args.member.thread, &call->arena, row);
    return err ? err : load_members(db, &call->arena, row);
}

enum err run_thread_get(struct database *db, struct call *call)
{
    struct thread_row row = {.record = &call->result.thread.record};
    return find_and_load(db, call, &row);
}

enum err run_member_add(struct database *db, struct call *call)
{
    struct thread_row row = {.record = &call->result.thread.record};
    enum err err = find_and_load(db, call, &row);
    struct coming coming = {.members_max = call->args.member.members_max};
    return err ? err : join(db, call, &row, call->args.member.user, coming);
}

enum err member_find(struct database *db, const struct id *thread, struct span user, struct member_key *ret_key)
{
    struct query query = query_on(db, SQL_MEMBER_FIND);
    query_id(&query, thread);
    query_text(&query, user);
    bool found = query_row(&query);
    if (found)
        *ret_key = (struct member_key){query_column_int(&query, 0), query_column_int(&query, 1)};
    enum err err = query_end(&query);
    return err ? err : found ? OK : ERR_NO_THREAD;
}

static enum err member_delete(struct database *db, const struct member_key *key)
{
    struct query query = query_on(db, SQL_MEMBER_REMOVE);
    query_int(&query, key->thread);
    query_int(&query, key->user);
    return query_run(&query);
}

/* Where no owner is left, the member longest in becomes one. */
static enum err ensure_owner(struct database *db, int64_t thread)
{
    struct query query = query_on(db, SQL_MEMBER_PROMOTE);
    query_int(&query, thread);
    query_int(&query, ROLE_OWNER);
    return query_run(&query);
}

static enum err leave(struct database *db, struct call *call, const struct thread_row *row,
                      const struct member_key *key)
{
    enum err err = member_delete(db, key);
    if (!err)
        err = ensure_owner(db, key->thread);
    return err ? err : finish_change(db, call, row);
}

/* A member, and the row of the thread. */
static enum err find_member(struct database *db, struct call *call, struct thread_row *row, struct member_key *ret_key)
{
    enum err err = member_find(db, &call->args.member.thread, call->args.member.user, ret_key);
    return err ? err : thread_find(db, SQL_THREAD_FIND, &call->args.member.thread, &call->arena, row);
}

enum err run_member_remove(struct database *db, struct call *call)
{
    struct thread_row row = {.record = &call->result.thread.record};
    struct member_key key;
    enum err err = find_member(db, call, &row, &key);
    return err ? err : leave(db, call, &row, &key);
}

/* -1: the member is one for good. */
static enum err find_visits(struct database *db, const struct member_key *key, int64_t *ret_visits)
{
    struct query query = query_on(db, SQL_VISITS_FIND);
    query_int(&query, key->thread);
    query_int(&query, key->user);
    bool found = query_row(&query);
    if (found)
        *ret_visits = query_column_int(&query, 0);
    enum err err = query_end(&query);
    return err ? err : found ? OK : ERR_NO_THREAD;
}

enum err run_visit_end(struct database *db, struct call *call)
{
    struct thread_row row = {.record = &call->result.thread.record};
    struct member_key key;
    int64_t visits = 0;
    enum err err = find_member(db, call, &row, &key);
    if (!err)
        err = find_visits(db, &key, &visits);
    if (!err && (visits == 0 || visits == 1) && !call->args.member.stays)
        return leave(db, call, &row, &key);
    if (!err && visits > 0)
        err = set_visits(db, &key, visits - 1);
    return err ? err : load_members(db, &call->arena, &row);
}

void visits_forget(struct database *db)
{
    struct query query = query_on(db, SQL_VISITS_FORGET);
    enum err err = query_run(&query);
    if (err)
        log_event(LOG_WARN, "who was visiting a room stays a member of it", log_text("reason", database_complaint(db)));
}

/* The threads themselves, before their members: one query at a time for each statement. */
static enum err list_threads(struct database *db, struct call *call, struct arena_list *rows)
{
    struct query query = query_on(db, SQL_THREADS_OF);
    query_text(&query, call->args.threads_of.user);
    struct arena_list records = {0};
    while (query_row(&query)) {
        int64_t *number = arena_list_add(&call->arena, rows, sizeof(*number));
        struct thread_record *record = arena_list_add(&call->arena, &records, sizeof(*record));
        if (!number || !record)
            break;
        *number = query_column_int(&query, 0);
        record->id = query_column_id(&query, 1);
        record->room = arena_copy(&call->arena, query_span(&query, 2));
    }
    call->result.threads.items = records.items;
    call->result.threads.count = records.count;
    return query_end(&query);
}

enum err run_threads_of(struct database *db, struct call *call)
{
    struct arena_list numbers = {0};
    enum err err = list_threads(db, call, &numbers);
    for (size_t i = 0; i < call->result.threads.count && !err && !call->arena.failed; i++) {
        struct thread_row row = {((const int64_t *)numbers.items)[i], &call->result.threads.items[i]};
        err = load_members(db, &call->arena, &row);
        if (!err && call->args.threads_of.with_last)
            err = message_last(db, row.number, &row.record->last);
    }
    return err;
}
