/* SPDX-License-Identifier: MIT */
/*
 * POST /send: an operator says something in a thread, as a user.
 *
 *     {"thread": UUID or room, "text": …, "user": "operator", "id": UUID}
 *     {"id":…,"thread":…,"cursor":…,"repeated":false}
 *
 * `user` and `id` may be left out. The user visits the thread for the message: who is a member anyhow stays one, even
 * one who is only remembered from a visit of their own; who is none is a guest as long as it takes, which only rooms
 * allow. A user who is opened is known for good, so what may be refused is looked at before, but for an id that is taken.
 *
 *     message checked ─> thread looked at ─> user opened ─> visit began ─> sent ─> visit ended ─> answered
 */
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "admin/inside.h"
#include "base/log.h"
#include "core/auth.h"
#include "stanza/stanza.h"

static const char operator_user[] = "operator";

struct sending {
    struct admin *admin;
    struct request *req;
    struct user *user;
    struct message_fields fields; /* spans are the request's */
    struct append_result result;
    enum err err;
    unsigned retry_s;
    const char *field; /* that is not acceptable, or null */
    bool guest;        /* a member for this visit only, as far as this node knows */
    struct sending *prev, *next;
};

/* --- answering */

static void answer_sent(struct sending *sending)
{
    const struct append_result *result = &sending->result;
    char cursor[CURSOR_TEXT_SIZE];
    struct buf out = BUF_INIT;
    buf_add_char(&out, '{');
    stanza_write_id(&out, "id", result->id);
    buf_add_char(&out, ',');
    stanza_write_id(&out, "thread", result->thread);
    buf_printf(&out, ",\"cursor\":\"%s\",\"repeated\":%s}", cursor_format(result->cursor, cursor),
               result->repeated ? "true" : "false");
    admin_reply_json(sending->req, &out);
}

static void answer_failed(const struct sending *sending)
{
    char sentence[128];
    const char *why = NULL;
    if (sending->field) {
        (void)snprintf(sentence, sizeof(sentence), "%s: %s", sending->field, err_sentence(sending->err));
        why = sentence;
    } else if (sending->err == ERR_NO_THREAD) {
        why = "there is no such thread, or it is no room and this user is no member of it";
    } else if (sending->err == ERR_FORBIDDEN) {
        why = "rooms are open to their members only, and this user is none";
    }
    request_fail(sending->req, sending->err, why, sending->retry_s);
}

/* Who said what to whom may have to be known later; what was said is in the log of messages. */
static void write_audit(const struct sending *sending)
{
    char id[ID_TEXT_SIZE], thread[ID_TEXT_SIZE];
    log_event(LOG_INFO, "operator sent a message", log_span("user", sending->fields.sender),
              log_text("thread", id_format(sending->result.thread, thread)),
              log_text("id", id_format(sending->result.id, id)), log_span("address", request_address(sending->req)));
}

static void sending_end(struct sending *sending)
{
    if (sending->err) {
        answer_failed(sending);
    } else {
        write_audit(sending);
        answer_sent(sending);
    }
    DL_DELETE(sending->admin->sends, sending);
    if (sending->user)
        hub_user_close(sending->user);
    free(sending);
}

static void fail(struct sending *sending, enum err err)
{
    sending->err = err;
    sending_end(sending);
}

/* --- the steps */

/* Whether the user may be in the thread only for other sends that are under way. */
static bool is_guest_already(const struct sending *sending)
{
    const struct sending *other;
    DL_FOREACH (sending->admin->sends, other)
        if (other->guest && id_equal(other->fields.thread, sending->fields.thread) &&
            span_equal(other->fields.sender, sending->fields.sender))
            return true;
    return false;
}

/* The message is in the log, and that is what is answered. */
static void visit_ended(void *ctx, enum err err, const struct thread_record *thread unused_arg)
{
    struct sending *sending = ctx;
    if (err && err != ERR_NO_THREAD)
        log_event(LOG_INFO, "operator leaves the thread later", log_span("user", sending->fields.sender), log_err(err));
    sending_end(sending);
}

static void end_visit(struct sending *sending, enum err err)
{
    sending->err = err;
    err = hub_visit_end(sending->admin->hub, sending->fields.thread, sending->fields.sender, !sending->guest,
                        visit_ended, sending);
    if (err)
        visit_ended(sending, err, NULL);
}

static void message_sent(void *ctx, enum err err, const struct append_result *result)
{
    struct sending *sending = ctx;
    if (!err)
        sending->result = *result;
    end_visit(sending, err);
}

static void visit_began(void *ctx, enum err err, const struct thread_record *thread unused_arg)
{
    struct sending *sending = ctx;
    if (err) {
        fail(sending, err);
        return;
    }
    err = hub_send_checked(sending->admin->hub, &sending->fields, message_sent, sending);
    if (err)
        end_visit(sending, err);
}

static void sender_opened(void *ctx, enum err err, struct user *user)
{
    struct sending *sending = ctx;
    sending->user = user;
    if (!err)
        sending->guest = !hub_is_member(user, sending->fields.thread) || is_guest_already(sending);
    if (!err)
        err = hub_thread_visit(user, sending->fields.thread, visit_began, sending);
    if (err)
        fail(sending, err);
}

static void got_thread(void *ctx, enum err err, const struct thread_record *thread)
{
    struct sending *sending = ctx;
    struct hub *hub = sending->admin->hub;
    struct span sender = sending->fields.sender;
    if (!err)
        err = hub_may_visit(hub, thread, sender);
    if (!err)
        err = hub_user_open(hub, sender, (struct span){0}, sender_opened, sending);
    if (err)
        fail(sending, err);
}

/* --- reading */

/* A field that may be left out keeps what it was. */
static void read_field(struct sending *sending, const char *name, bool required, struct span *text)
{
    struct span value;
    if (sending->err)
        return;
    enum err err = request_field(sending->req, name, &value);
    if (!err) {
        *text = value;
    } else if (required || err != ERR_MISSING_FIELD) {
        sending->err = err;
        sending->field = name;
    }
}

static void refuse_field(struct sending *sending, const char *name)
{
    if (sending->err)
        return;
    sending->err = ERR_BAD_FIELD;
    sending->field = name;
}

static void read_sending(struct sending *sending)
{
    struct message_fields *fields = &sending->fields;
    struct span thread = {0}, id = {0};
    *fields = (struct message_fields){.sender = span_of(operator_user)};
    read_field(sending, "thread", true, &thread);
    read_field(sending, "text", true, &fields->text);
    read_field(sending, "user", false, &fields->sender);
    read_field(sending, "id", false, &id);
    if (!user_valid(fields->sender))
        refuse_field(sending, "user");
    if (thread.data && !admin_thread_named(thread, &fields->thread))
        refuse_field(sending, "thread");
    if (id.data && !id_parse(id, &fields->id))
        refuse_field(sending, "id");
}

/* Whether the message may be sent; the thread is not looked at. */
static void check_message(struct sending *sending)
{
    struct refusal refusal = {0};
    sending->err = hub_send_check(sending->admin->hub, &sending->fields, &refusal);
    sending->field = refusal.field;
    sending->retry_s = refusal.retry_s;
}

static void begin(struct sending *sending)
{
    read_sending(sending);
    if (!sending->err)
        check_message(sending);
    if (sending->err)
        sending_end(sending);
    else
        hub_thread_get(sending->admin->hub, sending->fields.thread, got_thread, sending);
}

void admin_send(void *ctx, struct request *req)
{
    struct admin *admin = ctx;
    if (!admin_admits(req))
        return;
    struct sending *sending = calloc(1, sizeof(*sending));
    if (!sending) {
        request_fail(req, ERR_NO_MEMORY, NULL, 0);
        return;
    }
    sending->admin = admin;
    sending->req = req;
    DL_APPEND(admin->sends, sending);
    begin(sending);
}
