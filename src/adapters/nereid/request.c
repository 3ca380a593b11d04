/* SPDX-License-Identifier: MIT */
/* What several handlers need of a request: the caller as a user, and fields with a type. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapters/nereid/adapter.h"
#include "http/text.h"

/* The last one is nginx's. */
const struct http_header stream_headers[] = {
    {"Cache-Control", "no-cache, no-store, no-transform"},
    {"X-Accel-Buffering", "no"},
    {NULL, NULL},
};

unsigned session_retry_s(enum err err)
{
    enum { ROOM_AGAIN_S = 10 };
    return err == ERR_TOO_MANY_SESSIONS ? ROOM_AGAIN_S : 0;
}

/* --- calls */

static void caller_opened(void *ctx, enum err err, struct user *user)
{
    struct call *call = ctx;
    call->user = user;
    if (err)
        call_fail(call, err, 0);
    else
        call->work(call);
}

void call_begin(struct nereid *nereid, struct request *req, size_t size, void (*work)(struct call *call))
{
    assert(size >= sizeof(struct call));
    struct call *call = calloc(1, size);
    if (!call) {
        request_fail(req, ERR_NO_MEMORY, NULL, 0);
        return;
    }
    *call = (struct call){.nereid = nereid, .req = req, .work = work};
    const struct caller *caller = request_caller(req);
    enum err err = hub_user_open(nereid->hub, caller->user, caller->name, caller_opened, call);
    if (err)
        call_fail(call, err, 0);
}

void call_end(struct call *call)
{
    if (call->user)
        hub_user_close(call->user);
    free(call);
}

void call_fail(struct call *call, enum err err, unsigned retry_after_s)
{
    request_fail(call->req, err, NULL, retry_after_s);
    call_end(call);
}

void reply_buf(struct request *req, struct buf *take_body)
{
    struct blob *body = buf_blob(take_body);
    buf_fini(take_body);
    if (body)
        request_reply(req, 200, "application/json", body, NULL);
    else
        request_fail(req, ERR_NO_MEMORY, NULL, 0);
    blob_unref(body);
}

void call_reply(struct call *call, struct buf *take_body)
{
    reply_buf(call->req, take_body);
    call_end(call);
}

/* --- fields */

void reader_note(struct reader *in, const char *field, enum err err)
{
    if (in->err || !err)
        return;
    in->err = err;
    in->field = field;
}

void request_refuse(const struct reader *in)
{
    char sentence[128];
    (void)snprintf(sentence, sizeof(sentence), "%s: %s", in->field, err_sentence(in->err));
    request_fail(in->req, in->err, sentence, 0);
}

void call_refuse(struct call *call, const struct reader *in)
{
    request_refuse(in);
    call_end(call);
}

void read_text(struct reader *in, const char *field, struct span *text)
{
    struct span value;
    if (in->err)
        return;
    enum err err = request_field(in->req, field, &value);
    if (!err)
        *text = value;
    else if (err != ERR_MISSING_FIELD)
        reader_note(in, field, err);
}

void read_count(struct reader *in, const char *field, int64_t min, int64_t max, int64_t *count)
{
    struct span text = {0};
    int64_t value;
    read_text(in, field, &text);
    if (!text.data)
        return;
    if (text_count(text, &value) && value >= min && value <= max)
        *count = value;
    else
        reader_note(in, field, ERR_BAD_FIELD);
}

void read_show(struct reader *in, enum show *show)
{
    struct span word = {0};
    read_text(in, "show", &word);
    if (word.data && !show_parse(word, show))
        reader_note(in, "show", ERR_BAD_FIELD);
}

void read_style(struct reader *in, const struct nereid *nereid, struct stanza_style *style)
{
    struct span word = {0};
    *style = (struct stanza_style){nereid->options.dialect, span_of(nereid->options.entity_prefix), nereid->hub};
    read_text(in, "dialect", &word);
    if (!word.data)
        return;
    if (span_is(word, "spec"))
        style->dialect = DIALECT_SPEC;
    else if (span_is(word, "module"))
        style->dialect = DIALECT_MODULE;
    else
        reader_note(in, "dialect", ERR_BAD_FIELD);
}

/* Polls hand out `cursor.mark`; streams take either form. */
static bool parse_since(struct span text, struct attach *attach)
{
    const char *dot = text.len ? memchr(text.data, '.', text.len) : NULL;
    struct cursor mark = {0};
    if (dot) {
        struct span rest = {dot + 1, (size_t)(text.data + text.len - dot - 1)};
        if (!cursor_parse(rest, &mark) || mark.minor || mark.major > INT64_MAX)
            return false;
        text.len = (size_t)(dot - text.data);
    }
    if (!cursor_parse(text, &attach->since))
        return false;
    attach->presence_mark = (int64_t)mark.major;
    attach->resume = true;
    return true;
}

static void read_since(struct reader *in, struct attach *attach)
{
    struct span text = {0};
    read_text(in, "since", &text);
    /* What a browser says when it reconnects is newer than what its page once put in the URL. */
    struct span header = request_header(in->req, "Last-Event-ID");
    if (header.len)
        text = header;
    if (text.data && !parse_since(text, attach))
        reader_note(in, "since", ERR_BAD_CURSOR);
}

void read_attach(struct reader *in, struct attach *attach, struct id *token)
{
    const struct caller *caller = request_caller(in->req);
    *attach = (struct attach){.expires_us = caller->expires_us};
    read_since(in, attach);
    if (!caller->by_token)
        return;
    *token = caller->token;
    attach->token = token;
}
