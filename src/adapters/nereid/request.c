/* SPDX-License-Identifier: MIT */
/* What several handlers need of a request: the caller as a user, and fields with a type. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapters/nereid/adapter.h"

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

void call_fail_field(struct call *call, enum err err, const char *field)
{
    char sentence[128];
    (void)snprintf(sentence, sizeof(sentence), "%s: %s", field, err_sentence(err));
    request_fail(call->req, err, sentence, 0);
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

enum err read_text(struct request *req, const char *name, struct span *ret_text)
{
    struct span text;
    enum err err = request_field(req, name, &text);
    if (!err)
        *ret_text = text;
    return err == ERR_MISSING_FIELD ? OK : err;
}

enum err read_count(struct request *req, const char *name, int64_t min, int64_t max, int64_t *ret_count)
{
    struct span text = {0};
    enum err err = read_text(req, name, &text);
    if (err || !text.data)
        return err;
    int64_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || i > 9)
            return ERR_BAD_FIELD;
        count = count * 10 + (text.data[i] - '0');
    }
    if (text.len == 0 || count < min || count > max)
        return ERR_BAD_FIELD;
    *ret_count = count;
    return OK;
}

enum err read_show(struct request *req, enum show *ret_show)
{
    struct span word = {0};
    enum err err = read_text(req, "show", &word);
    if (err || !word.data)
        return err;
    return show_parse(word, ret_show) ? OK : ERR_BAD_FIELD;
}

enum err read_dialect(struct request *req, enum dialect *ret_dialect)
{
    struct span word = {0};
    enum err err = read_text(req, "dialect", &word);
    if (err || !word.data)
        return err;
    if (span_is(word, "spec"))
        *ret_dialect = DIALECT_SPEC;
    else if (span_is(word, "module"))
        *ret_dialect = DIALECT_MODULE;
    else
        return ERR_BAD_FIELD;
    return OK;
}

enum err read_style(struct nereid *nereid, struct request *req, struct stanza_style *ret_style)
{
    struct stanza_style style = {nereid->options.dialect, span_of(nereid->options.entity_prefix), nereid->hub};
    enum err err = read_dialect(req, &style.dialect);
    if (!err)
        *ret_style = style;
    return err;
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

enum err read_since(struct request *req, struct attach *attach)
{
    struct span text = {0};
    enum err err = read_text(req, "since", &text);
    if (err)
        return ERR_BAD_CURSOR;
    /* What a browser says when it reconnects is newer than what its page once put in the URL. */
    struct span header = request_header(req, "Last-Event-ID");
    if (header.len)
        text = header;
    if (!text.data)
        return OK;
    return parse_since(text, attach) ? OK : ERR_BAD_CURSOR;
}

enum err read_attach(struct request *req, struct attach *ret_attach, struct id *ret_token)
{
    const struct caller *caller = request_caller(req);
    struct attach attach = {0};
    enum err err = read_since(req, &attach);
    if (err)
        return err;
    if (caller->by_token) {
        *ret_token = caller->token;
        attach.token = ret_token;
        attach.token_expires_us = caller->expires_us;
    }
    *ret_attach = attach;
    return OK;
}
