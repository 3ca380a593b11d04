/* SPDX-License-Identifier: MIT */
/* A table of the kinds of lines, and one of changes. */
#include "ctl/scene.h"

#include "ctl/answer.h"
#include "ctl/text.h"

enum { SCENE_DEPTH = 600 }; /* beyond the highest limits.json_depth: attachments are part of a line */

/* --- people */

static void add_person(struct buf *out, const json_t *person)
{
    struct span id = json_text(person, "id"), name = json_text(person, "displayName");
    if (name.len && !span_equal(name, id)) {
        text_add_safe(out, name);
        buf_add_text(out, " (");
        text_add_safe(out, id);
        buf_add_char(out, ')');
    } else {
        text_add_safe(out, id);
    }
}

static void add_status(struct buf *out, const json_t *member)
{
    struct span status = json_text(member, "status");
    if (!status.len)
        return;
    buf_add_text(out, ": ");
    text_add_safe(out, status);
}

/* How somebody is who is here; nothing for `chat`, which is how everybody is. */
static const char *condition_of(const json_t *member)
{
    struct span show = json_text(member, "show");
    if (answer_says(member, "idle"))
        return "idle";
    if (span_is(show, "away"))
        return "away";
    if (span_is(show, "dnd"))
        return "busy";
    return span_is(show, "xa") ? "away for long" : NULL;
}

/* --- the first line */

static void add_present(struct buf *out, const json_t *members, bool here, const char *lead)
{
    size_t i, count = 0;
    const json_t *member;
    json_array_foreach (members, i, member) {
        const char *condition = here ? condition_of(member) : NULL;
        if (answer_says(member, "available") != here)
            continue;
        buf_add_text(out, count++ ? ", " : lead);
        add_person(out, member);
        if (condition)
            buf_printf(out, " (%s)", condition);
    }
    if (here && !count)
        buf_add_text(out, ": nobody is here");
}

static enum scene write_thread(struct buf *out, const json_t *line)
{
    struct span room = json_text(line, "room"), id = json_text(line, "thread");
    const json_t *members = json_object_get(line, "members");
    if (room.data) {
        buf_add_text(out, "* room ");
        text_add_safe(out, room);
        buf_add_text(out, " (");
        text_add_safe(out, id);
        buf_add_char(out, ')');
    } else {
        buf_add_text(out, "* thread ");
        text_add_safe(out, id);
    }
    add_present(out, members, true, ": ");
    add_present(out, members, false, "; not here: ");
    return SCENE_TEXT;
}

/* --- messages and members */

static void add_clock(struct buf *out, const json_t *line)
{
    char text[WHEN_SIZE];
    const char *when = answer_time(json_text(line, "timestamp"), text);
    text_add_safe(out, span_of(strlen(when) == WHEN_SIZE - 1 ? when + 11 : when)); /* without the date */
    buf_add_char(out, ' ');
}

static enum scene write_message(struct buf *out, const json_t *line)
{
    const json_t *message = json_object_get(line, "message");
    struct span subject = json_text(message, "subject");
    size_t attachments = json_array_size(json_object_get(message, "attachments"));
    add_clock(out, line);
    add_person(out, json_object_get(message, "sender"));
    buf_add_text(out, ": ");
    if (subject.len) {
        buf_add_char(out, '[');
        text_add_safe(out, subject);
        buf_add_text(out, "] ");
    }
    text_add_safe(out, json_text(message, "text"));
    if (attachments)
        buf_printf(out, " (+%zu attached)", attachments);
    return SCENE_TEXT;
}

/* What a change reads like; `how`: followed by how they are now. */
static const struct {
    const char *change, *text;
    bool how;
} changes[] = {
    {"joined", "has joined", false},     {"left", "has left", false}, {"available", "is here", false},
    {"unavailable", "is gone", false},   {"idle", "is idle", false},  {"back", "is back", false},
    {"role", "has another role", false}, {"show", "is ", true},
};

static void add_change(struct buf *out, struct span change, const json_t *member)
{
    const char *condition = condition_of(member);
    for (size_t i = 0; i < array_len(changes); i++) {
        if (!span_is(change, changes[i].change))
            continue;
        buf_add_text(out, changes[i].text);
        if (!changes[i].how)
            return;
        buf_add_text(out, condition ? condition : "free to chat");
        add_status(out, member);
        return;
    }
    text_add_safe(out, change);
}

static enum scene write_member(struct buf *out, const json_t *line)
{
    const json_t *member = json_object_get(line, "member");
    add_clock(out, line);
    buf_add_text(out, "* ");
    add_person(out, member);
    buf_add_char(out, ' ');
    add_change(out, json_text(line, "change"), member);
    return SCENE_TEXT;
}

static enum scene write_end(struct buf *out, const json_t *line)
{
    text_add_safe(out, json_text(line, "message"));
    return SCENE_END;
}

/* --- lines */

static const struct {
    const char *type;
    enum scene (*write)(struct buf *out, const json_t *line);
} kinds[] = {
    {"thread", write_thread},
    {"message", write_message},
    {"member", write_member},
    {"end", write_end},
};

enum scene scene_write(struct buf *out, struct span line)
{
    json_t *json = NULL;
    enum scene scene = SCENE_NOTHING;
    if (json_parse(line, SCENE_DEPTH, &json) != OK)
        return SCENE_BAD;
    struct span type = json_text(json, "type");
    for (size_t i = 0; i < array_len(kinds); i++)
        if (span_is(type, kinds[i].type))
            scene = kinds[i].write(out, json);
    json_decref(json);
    return type.len ? scene : SCENE_BAD;
}
