/* SPDX-License-Identifier: MIT */
/* Users, their presence as last set, and tokens. */
#include "store/sqlite_ops.h"

enum { NUMBER_COLUMN = 4 };

struct user_record user_read(const struct query *query, struct arena *arena)
{
    return (struct user_record){
        .id = arena_copy(arena, query_span(query, 0)),
        .name = arena_copy(arena, query_span(query, 1)),
        .status = arena_copy(arena, query_span(query, 2)),
        .show = (enum show)query_column_enum(query, 3, SHOW_COUNT),
    };
}

enum err user_number(struct database *db, struct span id, int64_t *ret_number)
{
    struct query query = query_on(db, SQL_USER_FIND);
    query_text(&query, id);
    bool found = query_row(&query);
    if (found)
        *ret_number = query_column_int(&query, NUMBER_COLUMN);
    enum err err = query_end(&query);
    return err ? err : found ? OK : ERR_NO_USER;
}

static enum err user_get(struct database *db, struct span id, struct arena *arena, struct user_record *ret_user)
{
    struct query query = query_on(db, SQL_USER_FIND);
    query_text(&query, id);
    bool found = query_row(&query);
    if (found)
        *ret_user = user_read(&query, arena);
    enum err err = query_end(&query);
    return err ? err : found ? OK : ERR_NO_USER;
}

static enum err set_name(struct database *db, enum sql sql, struct span id, struct span name)
{
    struct query query = query_on(db, sql);
    query_text(&query, id);
    query_text(&query, name);
    return query_run(&query);
}

enum err run_user_put(struct database *db, struct call *call)
{
    struct span id = call->args.user_put.id;
    struct span name = call->args.user_put.name;
    struct user_record *user = &call->result.user;
    enum err err = user_get(db, id, &call->arena, user);
    if (err == ERR_NO_USER) {
        *user = (struct user_record){.id = id, .name = name};
        return set_name(db, SQL_USER_ADD, id, name);
    }
    /* Most calls find what they bring: then nothing is written. */
    if (!err && name.len && !span_equal(user->name, name)) {
        user->name = name;
        err = set_name(db, SQL_USER_RENAME, id, name);
    }
    return err;
}

enum err run_users_list(struct database *db, struct call *call)
{
    struct arena_list list = {0};
    struct query query = query_on(db, SQL_USERS_AFTER);
    query_text(&query, call->args.users_list.after);
    query_uint(&query, call->args.users_list.limit);
    while (query_row(&query)) {
        struct user_record *user = arena_list_add(&call->arena, &list, sizeof(*user));
        if (!user)
            break;
        *user = user_read(&query, &call->arena);
    }
    call->result.users.items = list.items;
    call->result.users.count = list.count;
    return query_end(&query);
}

enum err run_presence_put(struct database *db, struct call *call)
{
    struct query query = query_on(db, SQL_PRESENCE_SET);
    query_text(&query, call->args.presence_put.id);
    query_text(&query, call->args.presence_put.status);
    query_int(&query, call->args.presence_put.show);
    enum err err = query_run(&query);
    return err ? err : user_get(db, call->args.presence_put.id, &call->arena, &call->result.user);
}

enum err run_token_put(struct database *db, struct call *call)
{
    struct query query = query_on(db, SQL_TOKEN_PUT);
    query_id(&query, &call->args.token.id);
    query_text(&query, call->args.token.user);
    query_int(&query, call->args.token.expires_us);
    return query_run(&query);
}

enum err run_token_get(struct database *db, struct call *call, int64_t wall_us)
{
    struct query query = query_on(db, SQL_TOKEN_FIND);
    query_id(&query, &call->args.token.id);
    query_int(&query, wall_us);
    bool found = query_row(&query);
    if (found)
        call->result.token = (struct token_record){
            .user = arena_copy(&call->arena, query_span(&query, 0)),
            .expires_us = query_column_int(&query, 1),
        };
    enum err err = query_end(&query);
    return err ? err : found ? OK : ERR_NO_TOKEN;
}

enum err run_token_delete(struct database *db, struct call *call, int64_t wall_us)
{
    struct query query = query_on(db, SQL_TOKEN_DELETE);
    query_id(&query, &call->args.token.id);
    query_int(&query, wall_us);
    enum err err = query_run(&query);
    return err ? err : sqlite3_changes(db->handle) ? OK : ERR_NO_TOKEN;
}
