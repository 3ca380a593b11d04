/* SPDX-License-Identifier: MIT */
/* Events as text. */
#include "adapters/talker/writer.h"

#include <inttypes.h>

enum { US_PER_S = 1000000 };

static void add_time(struct buf *out, int64_t time_us)
{
    buf_printf(out, ",\"time\":%" PRId64, time_us / US_PER_S);
}

/* Without the closing bracket. */
static void add_identity(struct buf *out, struct span id, struct span name)
{
    buf_add_text(out, "{\"id\":");
    buf_add_json(out, id);
    buf_add_text(out, ",\"name\":");
    buf_add_json(out, name.len ? name : id);
}

static void add_user(struct buf *out, const struct talker_user *user)
{
    add_identity(out, user->id, user->name);
    if (user->show != SHOW_CHAT)
        buf_printf(out, ",\"show\":\"%s\"", show_word(user->show));
    if (user->status.len) {
        buf_add_text(out, ",\"status\":");
        buf_add_json(out, user->status);
    }
    if (user->idle)
        buf_add_text(out, ",\"idle\":true");
    buf_add_char(out, '}');
}

static void end_event(struct buf *out)
{
    buf_add_text(out, "}\n");
}

void talker_write_connected(struct buf *out, const struct talker_user *user)
{
    buf_add_text(out, "{\"type\":\"connected\",\"user\":");
    add_identity(out, user->id, user->name);
    buf_add_char(out, '}');
    end_event(out);
}

void talker_write_users_begin(struct buf *out)
{
    buf_add_text(out, "{\"type\":\"users\",\"users\":[");
}

void talker_write_users_add(struct buf *out, const struct talker_user *user)
{
    if (out->len && out->data[out->len - 1] != '[')
        buf_add_char(out, ',');
    add_user(out, user);
}

void talker_write_users_end(struct buf *out)
{
    buf_add_char(out, ']');
    end_event(out);
}

void talker_write_presence(struct buf *out, const char *type, const struct talker_user *user, int64_t time_us)
{
    buf_printf(out, "{\"type\":\"%s\",\"user\":", type);
    add_user(out, user);
    add_time(out, time_us);
    end_event(out);
}

void talker_write_leave(struct buf *out, struct span id, int64_t time_us)
{
    buf_add_text(out, "{\"type\":\"leave\",\"user\":");
    buf_add_json(out, id);
    add_time(out, time_us);
    end_event(out);
}

void talker_write_message(struct buf *out, const struct message *message, bool is_private)
{
    const struct message_fields *fields = &message->fields;
    char id[ID_TEXT_SIZE];
    buf_printf(out, "{\"type\":\"message\",\"id\":\"%s\",\"content\":", id_format(fields->id, id));
    buf_add_json(out, fields->text);
    if (fields->type != TEXT_PLAIN)
        buf_printf(out, ",\"format\":\"%s\"", text_type_word(fields->type));
    buf_add_text(out, ",\"user\":");
    add_identity(out, fields->sender, fields->sender_name);
    buf_add_char(out, '}');
    add_time(out, fields->time_us);
    if (is_private)
        buf_add_text(out, ",\"private\":true");
    end_event(out);
}

void talker_write_error(struct buf *out, struct span sentence)
{
    buf_add_text(out, "{\"type\":\"error\",\"message\":");
    buf_add_json(out, sentence);
    end_event(out);
}
