/* SPDX-License-Identifier: MIT */
/* Threads: starting them, their members, the list of one's own, and their history. */
#include "adapters/nereid/adapter.h"

enum { HISTORY_DEFAULT = 50 };

static void write_members(struct buf *out, const struct stanza_style *style, const struct thread_record *thread)
{
    buf_add_text(out, "\"members\":[");
    for (size_t i = 0; i < thread->member_count; i++) {
        const struct member_record *member = &thread->members[i];
        if (i)
            buf_add_char(out, ',');
        stanza_write_person(out, style, member->user.id, member->user.name,
                            member->role == ROLE_OWNER ? "owner" : "guest");
    }
    buf_add_char(out, ']');
}

/* The message object, when it was sent, and its place in the log. */
static void write_dated_message(struct buf *out, const struct stanza_style *style, const struct message *message)
{
    char cursor[CURSOR_TEXT_SIZE];
    buf_add_char(out, '{');
    stanza_write_time(out, "timestamp", message->fields.time_us);
    buf_printf(out, ",\"cursor\":\"%s\",\"message\":", cursor_format(message->cursor, cursor));
    stanza_write_message(out, style, message);
    buf_add_char(out, '}');
}

/* A call whose answer is written in the style that was asked for: that is read before anything is done. */
struct thread_call {
    struct call call;
    struct stanza_style style;
};

static const struct stanza_style *style_of(struct call *call)
{
    return &container_of(call, struct thread_call, call)->style;
}

static void read_own_style(struct reader *in, struct call *call)
{
    read_style(in, call->nereid, &container_of(call, struct thread_call, call)->style);
}

/* --- one thread: start-session, members */

static void thread_changed(void *ctx, enum err err, const struct thread_record *thread)
{
    struct call *call = ctx;
    if (err) {
        call_fail(call, err, 0);
        return;
    }
    struct buf out = BUF_INIT;
    buf_add_char(&out, '{');
    stanza_write_id(&out, "thread_id", thread->id);
    buf_add_char(&out, ',');
    write_members(&out, style_of(call), thread);
    buf_add_char(&out, '}');
    call_reply(call, &out);
}

static void start_session(struct call *call)
{
    const struct span *users;
    size_t count;
    struct span room = {0};
    struct reader in = reader_of(call->req);
    read_own_style(&in, call);
    reader_note(&in, "user", request_fields(call->req, "user", &users, &count));
    read_text(&in, "room", &room);
    if (!in.err)
        reader_note(&in, "user or room", hub_thread_open(call->user, users, count, room, thread_changed, call));
    if (in.err == ERR_NOT_FRIENDS || in.err == ERR_TOO_MANY_MEMBERS)
        call_fail(call, in.err, 0);
    else if (in.err)
        call_refuse(call, &in);
}

void nereid_start_session(void *ctx, struct request *req)
{
    call_begin(ctx, req, sizeof(struct thread_call), start_session);
}

/* A thread id that is malformed is one that does not exist. */
static enum err read_thread(const struct request *req, struct id *ret_thread)
{
    return id_parse(request_param(req, "thread"), ret_thread) ? OK : ERR_NO_THREAD;
}

static void add_member(struct call *call)
{
    struct id thread;
    struct span user;
    struct reader in = reader_of(call->req);
    read_own_style(&in, call);
    reader_note(&in, "user", request_field(call->req, "user", &user));
    if (in.err) {
        call_refuse(call, &in);
        return;
    }
    enum err err = read_thread(call->req, &thread);
    if (!err)
        err = hub_member_add(call->user, thread, user, thread_changed, call);
    if (err)
        call_fail(call, err, 0);
}

void nereid_add_member(void *ctx, struct request *req)
{
    call_begin(ctx, req, sizeof(struct thread_call), add_member);
}

static void remove_member(struct call *call)
{
    struct id thread;
    struct reader in = reader_of(call->req);
    read_own_style(&in, call);
    if (in.err) {
        call_refuse(call, &in);
        return;
    }
    enum err err = read_thread(call->req, &thread);
    if (!err)
        err = hub_member_remove(call->user, thread, request_param(call->req, "user"), thread_changed, call);
    if (err)
        call_fail(call, err, 0);
}

void nereid_remove_member(void *ctx, struct request *req)
{
    call_begin(ctx, req, sizeof(struct thread_call), remove_member);
}

/* --- all of one's threads */

static void write_thread(struct buf *out, const struct stanza_style *style, const struct thread_record *thread)
{
    buf_add_char(out, '{');
    stanza_write_id(out, "thread_id", thread->id);
    buf_add_char(out, ',');
    if (thread->room.data) {
        buf_add_text(out, "\"room\":");
        buf_add_json(out, thread->room);
        buf_add_char(out, ',');
    }
    write_members(out, style, thread);
    buf_add_text(out, ",\"subject\":");
    if (thread->last && thread->last->fields.subject.data)
        buf_add_json(out, thread->last->fields.subject);
    else
        buf_add_text(out, "null");
    buf_add_text(out, ",\"last\":");
    if (thread->last)
        write_dated_message(out, style, thread->last);
    else
        buf_add_text(out, "null");
    buf_add_char(out, '}');
}

static void got_threads(void *ctx, enum err err, const struct thread_record *threads, size_t count)
{
    struct call *call = ctx;
    if (err) {
        call_fail(call, err, 0);
        return;
    }
    struct buf out = BUF_INIT;
    buf_add_text(&out, "{\"threads\":[");
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_add_char(&out, ',');
        write_thread(&out, style_of(call), &threads[i]);
    }
    buf_add_text(&out, "]}");
    call_reply(call, &out);
}

static void list_threads(struct call *call)
{
    struct reader in = reader_of(call->req);
    read_own_style(&in, call);
    if (in.err)
        call_refuse(call, &in);
    else
        hub_threads(call->nereid->hub, request_caller(call->req)->user, got_threads, call);
}

void nereid_threads(void *ctx, struct request *req)
{
    call_begin(ctx, req, sizeof(struct thread_call), list_threads);
}

/* --- history */

static void got_history(void *ctx, enum err err, const struct message_page *page)
{
    struct call *call = ctx;
    if (err) {
        call_fail(call, err, 0);
        return;
    }
    struct buf out = BUF_INIT;
    buf_add_text(&out, "{\"messages\":[");
    for (size_t i = 0; i < page->count; i++) {
        if (i)
            buf_add_char(&out, ',');
        write_dated_message(&out, style_of(call), page->messages[i]);
    }
    char cursor[CURSOR_TEXT_SIZE];
    if (page->more)
        buf_printf(&out, "],\"before\":\"%s\"}", cursor_format(page->messages[0]->cursor, cursor));
    else
        buf_add_text(&out, "],\"before\":null}");
    call_reply(call, &out);
}

static void read_before(struct reader *in, struct cursor *before)
{
    struct span text = {0};
    read_text(in, "before", &text);
    if (text.data && !cursor_parse(text, before))
        reader_note(in, "before", ERR_BAD_CURSOR);
}

static void read_history(struct call *call)
{
    struct nereid *nereid = call->nereid;
    int64_t max = nereid->options.history_max;
    int64_t limit = max < HISTORY_DEFAULT ? max : HISTORY_DEFAULT;
    struct cursor before = {0};
    struct id thread;
    struct reader in = reader_of(call->req);
    read_own_style(&in, call);
    read_before(&in, &before);
    read_count(&in, "limit", 1, max, &limit);
    if (in.err) {
        call_refuse(call, &in);
        return;
    }
    enum err err = read_thread(call->req, &thread);
    if (err) {
        call_fail(call, err, 0);
        return;
    }
    hub_history(nereid->hub, thread, request_caller(call->req)->user, before, (size_t)limit, got_history, call);
}

void nereid_history(void *ctx, struct request *req)
{
    call_begin(ctx, req, sizeof(struct thread_call), read_history);
}
