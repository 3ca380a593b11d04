/* SPDX-License-Identifier: MIT */
/*
 * What is in this node's memory, as lists: GET /sessions, /threads, /tokens.
 *
 *     {"sessions":[{"user":…,"displayName":…,"available":true,"show":"chat","status":…,"protocol":"nereid-stream",
 *                   "address":"192.0.2.1","since":…,"token":false,"replaying":false,"queue_bytes":0},…]}
 *     {"threads":[{"id":…,"room":…,"members":3,"available":2,"watches":0},…]}
 *     {"tokens":[{"begins":"0a1b2c3d","user":…,"expires":…,"sessions":1},…]}
 *
 * `status` and `room` are only there where there is one.
 */
#include <inttypes.h>

#include "admin/inside.h"
#include "stanza/stanza.h"

struct list {
    struct buf out;
    size_t count;
    struct span user, protocol; /* null data: all */
};

static void list_open(struct list *list, const char *key)
{
    buf_printf(&list->out, "{\"%s\":[", key);
}

/* Begins an item; what is written next is its first member. */
static void list_item(struct list *list)
{
    buf_add_text(&list->out, list->count++ ? ",{" : "{");
}

static void list_reply(struct list *list, struct request *req)
{
    buf_add_text(&list->out, "]}");
    admin_reply_json(req, &list->out);
}

static void add_text(struct buf *out, const char *key, struct span text)
{
    buf_printf(out, "\"%s\":", key);
    buf_add_json(out, text);
    buf_add_char(out, ',');
}

static const char *word_of(bool yes)
{
    return yes ? "true" : "false";
}

/* --- sessions */

static bool is_wanted(const struct list *list, const struct session_view *view)
{
    return (!list->user.data || span_equal(list->user, view->user.user)) &&
           (!list->protocol.data || span_is(list->protocol, view->protocol));
}

static void add_session(void *ctx, const struct session_view *view)
{
    struct list *list = ctx;
    struct buf *out = &list->out;
    const struct presence *user = &view->user;
    if (!is_wanted(list, view))
        return;
    list_item(list);
    add_text(out, "user", user->user);
    add_text(out, "displayName", user->name.len ? user->name : user->user);
    buf_printf(out, "\"available\":%s,\"show\":\"%s\",", word_of(user->available), show_word(user->show));
    if (user->status.len)
        add_text(out, "status", user->status);
    add_text(out, "protocol", span_of(view->protocol));
    add_text(out, "address", view->place.address);
    stanza_write_time(out, "since", view->since_us);
    buf_printf(out, ",\"token\":%s,\"replaying\":%s,\"queue_bytes\":%" PRIu32 "}", word_of(view->by_token),
               word_of(view->replaying), view->place.queue_bytes);
}

void admin_sessions(void *ctx, struct request *req)
{
    const struct admin *admin = ctx;
    struct list list = {0};
    if (!admin_admits(req))
        return;
    (void)request_query(req, "user", &list.user);
    (void)request_query(req, "protocol", &list.protocol);
    list_open(&list, "sessions");
    hub_view_sessions(admin->hub, add_session, &list);
    list_reply(&list, req);
}

/* --- threads */

static void add_thread(void *ctx, const struct thread_view *view)
{
    struct list *list = ctx;
    struct buf *out = &list->out;
    list_item(list);
    stanza_write_id(out, "id", view->id);
    buf_add_char(out, ',');
    if (view->room.data)
        add_text(out, "room", view->room);
    buf_printf(out, "\"members\":%" PRIu32 ",\"available\":%" PRIu32 ",\"watches\":%" PRIu32 "}", view->members,
               view->available, view->watches);
}

void admin_threads(void *ctx, struct request *req)
{
    const struct admin *admin = ctx;
    struct list list = {0};
    if (!admin_admits(req))
        return;
    list_open(&list, "threads");
    hub_view_threads(admin->hub, add_thread, &list);
    list_reply(&list, req);
}

/* --- tokens */

static void add_token(void *ctx, const struct token_view *view)
{
    struct list *list = ctx;
    struct buf *out = &list->out;
    list_item(list);
    add_text(out, "begins", span_of(view->begins));
    add_text(out, "user", view->user);
    stanza_write_time(out, "expires", view->expires_us);
    buf_printf(out, ",\"sessions\":%" PRIu32 "}", view->sessions);
}

void admin_tokens(void *ctx, struct request *req)
{
    const struct admin *admin = ctx;
    struct list list = {0};
    if (!admin_admits(req))
        return;
    list_open(&list, "tokens");
    hub_view_tokens(admin->hub, add_token, &list);
    list_reply(&list, req);
}
