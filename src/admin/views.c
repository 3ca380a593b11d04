/* SPDX-License-Identifier: MIT */
/*
 * What is in this node's memory, as lists: GET /sessions, /threads, /tokens.
 *
 *     {"sessions":[{"user":…,"displayName":…,"available":true,"show":"chat","status":…,"protocol":"nereid-stream",
 *                   "address":"192.0.2.1","since":…,"token":false,"replaying":false,"queue_bytes":0},…],
 *      "matching":1,"total":1}
 *     {"threads":[{"id":…,"room":…,"last":…,"members":3,"available":2,"watches":0},…],"matching":1,"total":1}
 *     {"tokens":[{"begins":"0a1b2c3d","user":…,"expires":…,"sessions":1},…]}
 *
 * `status`, `room` and `last` (message) are only there where there is one. The first two are given in parts on request:
 *
 *     limit=N, offset=N   so many, behind so many; how many there are is in `matching`
 *     find=TEXT           only what has it in user, name or address; in room or id
 *     sort=WORD, -WORD    in this order, or the other way round: user, protocol, address, since, queue_bytes; id, room,
 *                         members, available, last
 */
#include <inttypes.h>

#include "admin/inside.h"
#include "stanza/stanza.h"

/* What is looked through, and what of it is wanted. */
struct walk {
    struct part part;
    struct span user, protocol; /* null data: all */
    struct gathered found;
    size_t total;
};

static void walk_reply(struct walk *walk, const char *key, void (*write)(struct buf *out, const void *item),
                       struct request *req)
{
    struct buf out = BUF_INIT;
    buf_printf(&out, "{\"%s\":[", key);
    gathered_write(&walk->found, &walk->part, &out, write);
    buf_printf(&out, "],\"matching\":%zu,\"total\":%zu}", walk->found.count, walk->total);
    gathered_fini(&walk->found);
    admin_reply_json(req, &out);
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

static struct span name_of(const struct presence *user)
{
    return user->name.len ? user->name : user->user;
}

static void write_session(struct buf *out, const void *item)
{
    const struct session_view *view = item;
    const struct presence *user = &view->user;
    add_text(out, "user", user->user);
    add_text(out, "displayName", name_of(user));
    buf_printf(out, "\"available\":%s,\"show\":\"%s\",", word_of(user->available), show_word(user->show));
    if (user->status.len)
        add_text(out, "status", user->status);
    add_text(out, "protocol", span_of(view->protocol));
    add_text(out, "address", view->place.address);
    stanza_write_time(out, "since", view->since_us);
    buf_printf(out, ",\"token\":%s,\"replaying\":%s,\"queue_bytes\":%" PRIu32 "}", word_of(view->by_token),
               word_of(view->replaying), view->place.queue_bytes);
}

static int by_since(const void *a, const void *b)
{
    const struct session_view *left = a, *right = b;
    return part_compare_numbers(left->since_us, right->since_us);
}

static int by_user(const void *a, const void *b)
{
    const struct session_view *left = a, *right = b;
    int order = part_compare_texts(left->user.user, right->user.user);
    return order ? order : by_since(a, b);
}

static int by_protocol(const void *a, const void *b)
{
    const struct session_view *left = a, *right = b;
    return strcmp(left->protocol, right->protocol);
}

static int by_address(const void *a, const void *b)
{
    const struct session_view *left = a, *right = b;
    return part_compare_texts(left->place.address, right->place.address);
}

static int by_queue(const void *a, const void *b)
{
    const struct session_view *left = a, *right = b;
    return part_compare_numbers(left->place.queue_bytes, right->place.queue_bytes);
}

static const struct part_order session_orders[] = {
    {"user", by_user},   {"protocol", by_protocol}, {"address", by_address},
    {"since", by_since}, {"queue_bytes", by_queue}, {NULL, NULL},
};

static bool is_wanted(const struct walk *walk, const struct session_view *view)
{
    return (!walk->user.data || span_equal(walk->user, view->user.user)) &&
           (!walk->protocol.data || span_is(walk->protocol, view->protocol)) &&
           (part_finds(&walk->part, view->user.user) || part_finds(&walk->part, name_of(&view->user)) ||
            part_finds(&walk->part, view->place.address));
}

static void see_session(void *ctx, const struct session_view *view)
{
    struct walk *walk = ctx;
    walk->total++;
    if (is_wanted(walk, view))
        gathered_add(&walk->found, view);
}

void admin_sessions(void *ctx, struct request *req)
{
    const struct admin *admin = ctx;
    struct walk walk = {.found.size = sizeof(struct session_view)};
    if (!admin_admits(req) || !part_read(req, session_orders, &walk.part))
        return;
    (void)request_query(req, "user", &walk.user);
    (void)request_query(req, "protocol", &walk.protocol);
    hub_view_sessions(admin->hub, see_session, &walk);
    walk_reply(&walk, "sessions", write_session, req);
}

/* --- threads */

static void write_thread(struct buf *out, const void *item)
{
    const struct thread_view *view = item;
    stanza_write_id(out, "id", view->id);
    buf_add_char(out, ',');
    if (view->room.data)
        add_text(out, "room", view->room);
    if (view->last_us) {
        stanza_write_time(out, "last", view->last_us);
        buf_add_char(out, ',');
    }
    buf_printf(out, "\"members\":%" PRIu32 ",\"available\":%" PRIu32 ",\"watches\":%" PRIu32 "}", view->members,
               view->available, view->watches);
}

static int by_id(const void *a, const void *b)
{
    const struct thread_view *left = a, *right = b;
    return memcmp(&left->id, &right->id, sizeof(left->id));
}

/* Threads without a name are behind those with one. */
static int by_room(const void *a, const void *b)
{
    const struct thread_view *left = a, *right = b;
    if (!left->room.data || !right->room.data)
        return !left->room.data - !right->room.data;
    return part_compare_texts(left->room, right->room);
}

static int by_members(const void *a, const void *b)
{
    const struct thread_view *left = a, *right = b;
    return part_compare_numbers(left->members, right->members);
}

static int by_available(const void *a, const void *b)
{
    const struct thread_view *left = a, *right = b;
    return part_compare_numbers(left->available, right->available);
}

static int by_last(const void *a, const void *b)
{
    const struct thread_view *left = a, *right = b;
    return part_compare_numbers(left->last_us, right->last_us);
}

static const struct part_order thread_orders[] = {
    {"id", by_id},     {"room", by_room}, {"members", by_members}, {"available", by_available},
    {"last", by_last}, {NULL, NULL},
};

static void see_thread(void *ctx, const struct thread_view *view)
{
    struct walk *walk = ctx;
    char id[ID_TEXT_SIZE];
    walk->total++;
    if (part_finds(&walk->part, view->room) || part_finds(&walk->part, span_of(id_format(view->id, id))))
        gathered_add(&walk->found, view);
}

void admin_threads(void *ctx, struct request *req)
{
    const struct admin *admin = ctx;
    struct walk walk = {.found.size = sizeof(struct thread_view)};
    if (!admin_admits(req) || !part_read(req, thread_orders, &walk.part))
        return;
    hub_view_threads(admin->hub, see_thread, &walk);
    walk_reply(&walk, "threads", write_thread, req);
}

/* --- tokens */

struct tokens {
    struct buf out;
    size_t count;
};

static void add_token(void *ctx, const struct token_view *view)
{
    struct tokens *tokens = ctx;
    struct buf *out = &tokens->out;
    buf_add_text(out, tokens->count++ ? ",{" : "{");
    add_text(out, "begins", span_of(view->begins));
    add_text(out, "user", view->user);
    stanza_write_time(out, "expires", view->expires_us);
    buf_printf(out, ",\"sessions\":%" PRIu32 "}", view->sessions);
}

void admin_tokens(void *ctx, struct request *req)
{
    const struct admin *admin = ctx;
    struct tokens tokens = {0};
    if (!admin_admits(req))
        return;
    buf_add_text(&tokens.out, "{\"tokens\":[");
    hub_view_tokens(admin->hub, add_token, &tokens);
    buf_add_text(&tokens.out, "]}");
    admin_reply_json(req, &tokens.out);
}
