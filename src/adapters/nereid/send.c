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

static void send_failed_field(struct send_call *send, enum err err, const char *field)
{
    buf_fini(&send->attachments);
    call_fail_field(&send->call, err, field);
}

static void message_sent(void *ctx, enum err err, const struct append_result *result)
{
    struct send_call *send = ctx;
    if (err) {
        send_fail(send, err, NULL, 0);
        return;
    }
    char id[ID_TEXT_SIZE], thread[ID_TEXT_SIZE];
    struct buf out = BUF_INIT;
    buf_printf(&out, "{\"UUID\":\"%s\",\"thread\":\"%s\"}", id_format(result->id, id),
               id_format(result->thread, thread));
    reply_buf(send->call.req, &out);
    send_end(send);
}

static void send_to_thread(struct send_call *send, struct id thread)
{
    struct refusal refusal;
    send->fields.thread = thread;
    enum err err = hub_send(send->call.nereid->hub, &send->fields, message_sent, send, &refusal);
    if (err && refusal.field)
        send_failed_field(send, err, refusal.field);
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

static enum err read_id(struct request *req, const char *name, struct id *ret_id)
{
    struct span text = {0};
    enum err err = read_text(req, name, &text);
    if (err || !text.data)
        return err;
    return id_parse(text, ret_id) ? OK : ERR_BAD_FIELD;
}

static enum err read_type(struct request *req, enum text_type *ret_type)
{
    struct span word = {0};
    enum err err = read_text(req, "type", &word);
    if (err || !word.data)
        return err;
    return text_type_parse(word, ret_type) ? OK : ERR_BAD_FIELD;
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

/* Reads all but where it goes; on error *ret_field says what is wrong. */
static enum err read_message(struct send_call *send, const char **ret_field)
{
    struct request *req = send->call.req;
    struct message_fields *fields = &send->fields;
    fields->sender = request_caller(req)->user;
    enum err err = (*ret_field = "attachments", read_attachments(send));
    if (!err)
        err = (*ret_field = "message", request_field(req, "message", &fields->text));
    if (err == ERR_MISSING_FIELD && fields->attachments.data)
        err = OK;
    if (!err)
        err = (*ret_field = "type", read_type(req, &fields->type));
    if (!err)
        err = (*ret_field = "subject", read_text(req, "subject", &fields->subject));
    if (!err)
        err = (*ret_field = "language", read_text(req, "language", &fields->language));
    if (!err)
        err = (*ret_field = "id", read_id(req, "id", &fields->id));
    return err;
}

static void send_to_users(struct send_call *send)
{
    const struct span *to;
    size_t count;
    enum err err = request_fields(send->call.req, "to", &to, &count);
    if (err || count == 0) {
        send_failed_field(send, err ? err : ERR_MISSING_FIELD, err ? "to" : "thread_id or to");
        return;
    }
    err = hub_thread_open(send->call.user, to, count, (struct span){0}, thread_found, send);
    if (err)
        send_fail(send, err, NULL, 0);
}

static void send_message(struct call *call)
{
    struct send_call *send = container_of(call, struct send_call, call);
    const char *field;
    enum err err = read_message(send, &field);
    struct span thread_text = {0};
    struct id thread;
    if (!err)
        err = (field = "thread_id", read_text(call->req, "thread_id", &thread_text));
    if (err)
        send_failed_field(send, err, field);
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
