/* SPDX-License-Identifier: MIT */
/* Messages between nodes: fields with their lengths. */
#include "adapters/socketio/relay_message.h"

#include <inttypes.h>
#include <stdio.h>

enum { FIELDS_MAX = 10, NUMBER_SIZE = 24, DIGITS_MAX = 18, RETRY_MAX_S = 3600 };

enum { KIND, NODE, NUMBER, HEAD };
enum { ASK_METHOD = HEAD, ASK_BODY_KIND, ASK_EIO, ASK_J, ASK_B64, ASK_SID, ASK_BODY, ASK_COUNT };
enum { DONE_STATUS = HEAD, DONE_TYPE, DONE_RETRY, DONE_BODY, DONE_COUNT };

/* --- writing */

static void write_field(struct buf *out, struct span field)
{
    if (!field.data) {
        buf_add_char(out, '-');
        return;
    }
    buf_printf(out, "%zu:", field.len);
    buf_add(out, field);
}

static void write_number(struct buf *out, uint64_t number)
{
    char text[NUMBER_SIZE];
    (void)snprintf(text, sizeof(text), "%" PRIu64, number);
    write_field(out, span_of(text));
}

static struct span present(struct span body)
{
    return body.data ? body : SPAN_LITERAL("");
}

static void write_ask(struct buf *out, const struct relay_message *message)
{
    const struct span fields[] = {
        message->is_post ? SPAN_LITERAL("POST") : SPAN_LITERAL("GET"),
        message->is_binary ? SPAN_LITERAL("binary") : SPAN_LITERAL("text"),
        message->eio,
        message->j,
        message->b64,
        message->sid,
        present(message->body),
    };
    for (size_t i = 0; i < array_len(fields); i++)
        write_field(out, fields[i]);
}

static void write_done(struct buf *out, const struct relay_message *message)
{
    write_number(out, (uint64_t)message->status);
    write_field(out, present(message->type));
    write_number(out, message->retry_after_s);
    write_field(out, present(message->body));
}

static const char *const kinds[] = {[RELAY_ASK] = "ask", [RELAY_DONE] = "done", [RELAY_GONE] = "gone"};

void relay_message_write(struct buf *out, const struct relay_message *message)
{
    write_field(out, span_of(kinds[message->kind]));
    write_field(out, span_of(message->ticket.node));
    write_number(out, message->ticket.number);
    if (message->kind == RELAY_ASK)
        write_ask(out, message);
    if (message->kind == RELAY_DONE)
        write_done(out, message);
}

/* --- reading */

static bool read_number(struct span text, uint64_t max, uint64_t *ret_number)
{
    uint64_t number = 0;
    if (text.len == 0 || text.len > DIGITS_MAX || (text.data[0] == '0' && text.len > 1))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(text.data[i] - '0');
    }
    *ret_number = number;
    return number <= max;
}

/* Cuts one field off. */
static bool read_field(struct span *rest, struct span *ret_field)
{
    uint64_t len;
    if (rest->data[0] == '-') {
        *ret_field = (struct span){NULL, 0};
        *rest = (struct span){rest->data + 1, rest->len - 1};
        return true;
    }
    size_t digits_max = rest->len < DIGITS_MAX + 1 ? rest->len : DIGITS_MAX + 1;
    const char *colon = memchr(rest->data, ':', digits_max);
    if (!colon || !read_number((struct span){rest->data, (size_t)(colon - rest->data)}, SIZE_MAX, &len))
        return false;
    struct span after = {colon + 1, rest->len - (size_t)(colon + 1 - rest->data)};
    if (len > after.len)
        return false;
    *ret_field = (struct span){after.data, len};
    *rest = (struct span){after.data + len, after.len - len};
    return true;
}

bool relay_node_valid(struct span name)
{
    static const struct span letters = {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", 64};
    for (size_t i = 0; i < name.len; i++)
        if (!span_has(letters, name.data[i]))
            return false;
    return name.len == ENGINE_NODE_LEN;
}

static bool read_ask(const struct span *fields, size_t count, struct relay_message *message)
{
    if (count != ASK_COUNT || !fields[ASK_SID].data || !fields[ASK_BODY].data)
        return false;
    message->is_post = span_is(fields[ASK_METHOD], "POST");
    message->is_binary = span_is(fields[ASK_BODY_KIND], "binary");
    message->eio = fields[ASK_EIO];
    message->j = fields[ASK_J];
    message->b64 = fields[ASK_B64];
    message->sid = fields[ASK_SID];
    message->body = fields[ASK_BODY];
    return (message->is_post || span_is(fields[ASK_METHOD], "GET")) &&
           (message->is_binary || span_is(fields[ASK_BODY_KIND], "text"));
}

static bool read_done(const struct span *fields, size_t count, struct relay_message *message)
{
    uint64_t status;
    uint64_t retry_after_s;
    if (count != DONE_COUNT || !read_number(fields[DONE_STATUS], 599, &status) || status < 200 ||
        !read_number(fields[DONE_RETRY], RETRY_MAX_S, &retry_after_s) || !fields[DONE_BODY].data ||
        !fields[DONE_TYPE].data || fields[DONE_TYPE].len >= RELAY_TYPE_SIZE || span_has(fields[DONE_TYPE], '\0'))
        return false;
    message->status = (int)status;
    message->type = fields[DONE_TYPE];
    message->retry_after_s = (unsigned)retry_after_s;
    message->body = fields[DONE_BODY];
    return true;
}

static bool read_rest(struct span kind, const struct span *fields, size_t count, struct relay_message *message)
{
    if (span_is(kind, kinds[RELAY_ASK])) {
        message->kind = RELAY_ASK;
        return read_ask(fields, count, message);
    }
    if (span_is(kind, kinds[RELAY_DONE])) {
        message->kind = RELAY_DONE;
        return read_done(fields, count, message);
    }
    message->kind = RELAY_GONE;
    return span_is(kind, kinds[RELAY_GONE]) && count == HEAD;
}

bool relay_message_read(struct span bytes, struct relay_message *ret_message)
{
    struct span fields[FIELDS_MAX];
    struct relay_message message;
    size_t count = 0;
    memset(&message, 0, sizeof(message));
    while (bytes.len)
        if (count == FIELDS_MAX || !read_field(&bytes, &fields[count++]))
            return false;
    if (count < HEAD || !fields[NODE].data || !relay_node_valid(fields[NODE]) ||
        !read_number(fields[NUMBER], UINT64_MAX, &message.ticket.number) ||
        !read_rest(fields[KIND], fields, count, &message))
        return false;
    memcpy(message.ticket.node, fields[NODE].data, ENGINE_NODE_LEN);
    memcpy(ret_message, &message, sizeof(message));
    return true;
}
