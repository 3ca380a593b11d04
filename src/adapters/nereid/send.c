/* SPDX-License-Identifier: MIT */
/* send-message: from fields to the log. */
#include "adapters/nereid/adapter.h"
#include "base/json.h"

struct send_call {
    struct call call;
    struct message_fields fields;
    struct buf attachments;
};

static void send_end(struct send_call *send)
{
    buf_fini(&send->attachments);
    call_end(&send->call);
}

static void send_fail(struct send_call *send, enum err err, const char *sentence, unsigned retry_after_s)
{
    request_fail(send->call.req, err, sentence, retry_after_s);
    send_end(send);
}

static void send_refuse(struct send_call *send, const struct reader *in)
{
    request_refuse(in);
    send_end(send);
}

static void message_sent(void *ctx, enum err err, const struct append_result *result)
{
    struct send_call *send = ctx;
    if (err) {
        send_fail(send, err, NULL, 0);
        return;
    }
    struct buf out = BUF_INIT;
    buf_add_char(&out, '{');
    stanza_write_id(&out, "UUID", result->id);
    buf_add_char(&out, ',');
    stanza_write_id(&out, "thread", result->thread);
    buf_add_char(&out, '}');
    reply_buf(send->call.req, &out);
    send_end(send);
}

static void send_to_thread(struct send_call *send, struct id thread)
{
    struct refusal refusal;
    send->fields.thread = thread;
    enum err err = hub_send(send->call.nereid->hub, &send->fields, message_sent, send, &refusal);
    if (err && refusal.field)
        send_refuse(send, &(struct reader){send->call.req, err, refusal.field});
    else if (err)
        send_fail(send, err, NULL, refusal.retry_s);
}

static void thread_found(void *ctx, enum err err, const struct thread_record *thread)
{
    struct send_call *send = ctx;
    if (err)
        send_fail(send, err, NULL, 0);
    else
        send_to_thread(send, thread->id);
}

/* --- fields */

static void read_id(struct reader *in, const char *field, struct id *id)
{
    struct span text = {0};
    read_text(in, field, &text);
    if (text.data && !id_parse(text, id))
        reader_note(in, field, ERR_BAD_FIELD);
}

static void read_type(struct reader *in, enum text_type *type)
{
    struct span word = {0};
    read_text(in, "type", &word);
    if (word.data && !text_type_parse(word, type))
        reader_note(in, "type", ERR_BAD_FIELD);
}

static bool are_objects(const json_t *list)
{
    size_t index;
    const json_t *item;
    json_array_foreach (list, index, item)
        if (!json_is_object(item))
            return false;
    return true;
}

/* A list of objects, kept as given: order of keys, numbers and escapes stay what they were. */
static enum err read_attachments(struct send_call *send)
{
    json_t *list;
    struct span text;
    enum err err = request_json(send->call.req, "attachments", &list, &text);
    if (err)
        return err == ERR_MISSING_FIELD ? OK : err;
    if (!json_is_array(list) || !are_objects(list))
        return ERR_BAD_FIELD;
    if (json_array_size(list) > send->call.nereid->options.attachments_max) {
        metric_add(METRIC_LIMIT_ATTACHMENTS, 1);
        return ERR_TOO_LARGE;
    }
    if (json_array_size(list) == 0)
        return OK;
    json_minify(&send->attachments, text);
    send->fields.attachments = buf_span(&send->attachments);
    return buf_failed(&send->attachments) ? ERR_NO_MEMORY : OK;
}

/* Reads all but where it goes. The text may be missing where there are attachments. */
static void read_message(struct reader *in, struct send_call *send)
{
    struct message_fields *fields = &send->fields;
    fields->sender = request_caller(in->req)->user;
    reader_note(in, "attachments", read_attachments(send));
    read_text(in, "message", &fields->text);
    if (!fields->text.data && !fields->attachments.data)
        reader_note(in, "message", ERR_MISSING_FIELD);
    read_type(in, &fields->type);
    read_text(in, "subject", &fields->subject);
    read_text(in, "language", &fields->language);
    read_id(in, "id", &fields->id);
}

static void send_to_users(struct send_call *send)
{
    const struct span *to;
    size_t count;
    struct reader in = reader_of(send->call.req);
    reader_note(&in, "to", request_fields(in.req, "to", &to, &count));
    if (!in.err && count == 0)
        reader_note(&in, "thread_id or to", ERR_MISSING_FIELD);
    if (in.err) {
        send_refuse(send, &in);
        return;
    }
    enum err err = hub_thread_open(send->call.user, to, count, (struct span){0}, thread_found, send);
    if (err)
        send_fail(send, err, NULL, 0);
}

static void send_message(struct call *call)
{
    struct send_call *send = container_of(call, struct send_call, call);
    struct reader in = reader_of(call->req);
    struct span thread_text = {0};
    struct id thread;
    read_message(&in, send);
    read_text(&in, "thread_id", &thread_text);
    if (in.err)
        send_refuse(send, &in);
    else if (thread_text.len == 0)
        send_to_users(send);
    else if (id_parse(thread_text, &thread))
        send_to_thread(send, thread);
    else
        send_fail(send, ERR_NO_THREAD, NULL, 0);
}

void nereid_send_message(void *ctx, struct request *req)
{
    call_begin(ctx, req, sizeof(struct send_call), send_message);
}
