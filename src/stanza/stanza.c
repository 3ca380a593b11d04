/* SPDX-License-Identifier: MIT */
/* The writers of stanzas in both dialects. */
#include "stanza/stanza.h"

#include "base/time.h"

static void add_key(struct buf *out, const char *key)
{
    buf_add_char(out, '"');
    buf_add_text(out, key);
    buf_add_text(out, "\":");
}

void stanza_write_time(struct buf *out, const char *key, int64_t wall_us)
{
    char text[TIME_TEXT_SIZE];
    add_key(out, key);
    buf_add_char(out, '"');
    buf_add_text(out, time_format(wall_us, text));
    buf_add_char(out, '"');
}

void stanza_write_id(struct buf *out, const char *key, struct id id)
{
    char text[ID_TEXT_SIZE];
    add_key(out, key);
    buf_add_char(out, '"');
    buf_add_text(out, id_format(id, text));
    buf_add_char(out, '"');
}

/* `"key":text`, or null in the module dialect and nothing in the other where there is no text; a comma behind. */
static void add_optional(struct buf *out, const struct stanza_style *style, const char *key, struct span text)
{
    if (!text.data && style->dialect == DIALECT_SPEC)
        return;
    add_key(out, key);
    if (text.data)
        buf_add_json(out, text);
    else
        buf_add_text(out, "null");
    buf_add_char(out, ',');
}

/* Whether the id can be a JSON integer that every reader takes for the same number. */
static bool is_integer(struct span id)
{
    if (id.len == 0 || id.len > 15 || (id.data[0] == '0' && id.len > 1))
        return false;
    for (size_t i = 0; i < id.len; i++)
        if (id.data[i] < '0' || id.data[i] > '9')
            return false;
    return true;
}

static void add_user_id(struct buf *out, const struct stanza_style *style, struct span user)
{
    add_key(out, "id");
    if (style->dialect == DIALECT_MODULE && is_integer(user))
        buf_add(out, user);
    else
        buf_add_json(out, user);
}

void stanza_write_person(struct buf *out, const struct stanza_style *style, struct span user, struct span name,
                         const char *role)
{
    bool module = style->dialect == DIALECT_MODULE;
    buf_add_text(out, module ? "{\"url\":null,\"objectType\":\"nereid.user\"," : "{\"objectType\":\"person\",");
    add_user_id(out, style, user);
    buf_add_text(out, ",\"displayName\":");
    buf_add_json(out, name.len ? name : user);
    if (role) {
        buf_add_text(out, ",\"role\":\"");
        buf_add_text(out, role);
        buf_add_char(out, '"');
    }
    buf_add_char(out, '}');
}

struct member_list {
    struct buf *out;
    const struct stanza_style *style;
    size_t count;
};

static void add_member(void *ctx, struct span user, struct span name)
{
    struct member_list *list = ctx;
    if (list->count++)
        buf_add_char(list->out, ',');
    stanza_write_person(list->out, list->style, user, name, NULL);
}

static void add_members(struct buf *out, const struct stanza_style *style, struct id thread)
{
    struct member_list list = {out, style, 0};
    buf_add_text(out, ",\"members\":[");
    hub_members(style->hub, thread, add_member, &list);
    buf_add_char(out, ']');
}

void stanza_write_message(struct buf *out, const struct stanza_style *style, const struct message *message)
{
    const struct message_fields *fields = &message->fields;
    buf_add_char(out, '{');
    add_optional(out, style, "subject", fields->subject);
    add_key(out, "text");
    buf_add_json(out, fields->text);
    buf_printf(out, ",\"type\":\"%s\",", text_type_word(fields->type));
    add_optional(out, style, "language", fields->language);
    add_key(out, "attachments");
    buf_add(out, fields->attachments.data ? fields->attachments : SPAN_LITERAL("[]"));
    buf_add_char(out, ',');
    stanza_write_id(out, "id", fields->id);
    buf_add_char(out, ',');
    stanza_write_id(out, "thread", fields->thread);
    buf_add_text(out, ",\"sender\":");
    stanza_write_person(out, style, fields->sender, fields->sender_name, NULL);
    if (style->dialect == DIALECT_MODULE)
        add_members(out, style, fields->thread);
    buf_add_char(out, '}');
}

static void add_entity(struct buf *out, const struct stanza_style *style, const struct presence *presence)
{
    add_key(out, "entity");
    if (style->dialect == DIALECT_MODULE) {
        stanza_write_person(out, style, presence->user, presence->name, NULL);
        return;
    }
    struct buf entity = BUF_INIT;
    buf_add(&entity, style->entity_prefix);
    buf_add(&entity, presence->user);
    buf_add_json(out, buf_span(&entity));
    out->failed |= entity.failed;
    buf_fini(&entity);
    buf_add_char(out, ',');
    add_user_id(out, style, presence->user);
    buf_add_text(out, ",\"displayName\":");
    buf_add_json(out, presence->name.len ? presence->name : presence->user);
}

void stanza_write_presence(struct buf *out, const struct stanza_style *style, const struct presence *presence)
{
    buf_add_char(out, '{');
    add_entity(out, style, presence);
    buf_printf(out, ",\"show\":\"%s\",", show_word(presence->show));
    struct span status = presence->status.len ? presence->status : (struct span){0};
    add_optional(out, style, "status", status);
    buf_printf(out, "\"available\":%s}", presence->available ? "true" : "false");
}

static void open_stanza(struct buf *out, const struct event *event, const char *type)
{
    buf_add_char(out, '{');
    stanza_write_time(out, "timestamp", event->time_us);
    buf_printf(out, ",\"type\":\"%s\",\"%s\":", type, type);
}

void stanza_write_presences(struct buf *out, const struct stanza_style *style, const struct event *event)
{
    buf_add_char(out, '[');
    for (size_t i = 0; i < event->presence.count; i++) {
        if (i)
            buf_add_char(out, ',');
        stanza_write_presence(out, style, &event->presence.items[i]);
    }
    buf_add_char(out, ']');
}

static void write_presence_list(struct buf *out, const struct stanza_style *style, const struct event *event)
{
    open_stanza(out, event, "presence");
    stanza_write_presences(out, style, event);
    buf_add_char(out, '}');
}

static void write_gap(struct buf *out, const struct event *event)
{
    char cursor[CURSOR_TEXT_SIZE];
    open_stanza(out, event, "gap");
    buf_printf(out, "{\"oldest\":\"%s\"}}", cursor_format(event->oldest, cursor));
}

static void write_stanza(struct buf *out, const struct stanza_style *style, const struct event *event, size_t index)
{
    switch (event->kind) {
    case EVENT_MESSAGE:
        open_stanza(out, event, "message");
        stanza_write_message(out, style, event->message);
        buf_add_char(out, '}');
        break;
    case EVENT_PRESENCE:
        if (style->dialect == DIALECT_SPEC) {
            write_presence_list(out, style, event);
        } else {
            open_stanza(out, event, "presence");
            stanza_write_presence(out, style, &event->presence.items[index]);
            buf_add_char(out, '}');
        }
        break;
    case EVENT_GAP: write_gap(out, event); break;
    }
}

void stanza_write_event(struct buf *out, const struct stanza_style *style, const struct event *event,
                        void (*before)(struct buf *out, const struct event *event, size_t index),
                        void (*after)(struct buf *out))
{
    bool several = event->kind == EVENT_PRESENCE && style->dialect == DIALECT_MODULE;
    size_t count = several ? event->presence.count : 1;
    for (size_t i = 0; i < count; i++) {
        before(out, event, i);
        write_stanza(out, style, event, i);
        after(out);
    }
}
