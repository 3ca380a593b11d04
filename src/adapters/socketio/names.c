/* SPDX-License-Identifier: MIT */
/* Names: claims, what nodes tell each other about them, and what names look like. */
#include "adapters/socketio/names.h"

#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "base/table.h"
#include "base/utf8.h"

enum { MESSAGE_DEPTH_MAX = 2 };

struct name {
    UT_hash_handle hh;
    struct names *names;
    struct timer timer;
    struct id question; /* tells this claim from others */
    names_done *done;   /* null once it is held */
    void *ctx;
    bool asked; /* the question has come back: who asks later is refused */
    uint8_t len;
    char text[];
};

struct names {
    struct bus_listener listener;
    struct bus *bus;
    struct loop *loop;
    struct name *table;
    struct span space;
    struct buf channel;
    struct buf pattern;
};

struct span name_text(const struct name *name)
{
    return (struct span){name->text, name->len};
}

/* --- the table */

static struct name *find_name(const struct names *names, struct span text)
{
    struct name *name = NULL;
    HASH_FIND(hh, names->table, text.data, text.len, name);
    return name;
}

bool names_has(const struct names *names, struct span text)
{
    return text.len && find_name(names, text);
}

static void drop_name(struct name *name)
{
    HASH_DEL(name->names->table, name);
    timer_fini(loop_timers(name->names->loop), &name->timer);
    free(name);
}

static void refuse_claim(struct name *name, enum err err)
{
    names_done *done = name->done;
    void *ctx = name->ctx;
    drop_name(name);
    done(ctx, err, NULL);
}

static void grant_claim(struct name *name)
{
    names_done *done = name->done;
    name->done = NULL;
    done(name->ctx, OK, name);
}

/* Nobody has objected, or the question itself was not heard. */
static void claim_due(struct timer *timer)
{
    struct name *name = container_of(timer, struct name, timer);
    if (name->asked)
        grant_claim(name);
    else
        refuse_claim(name, ERR_STORE);
}

static struct name *add_name(struct names *names, struct span text)
{
    struct name *name = calloc(1, sizeof(*name) + text.len);
    if (!name || timer_init(loop_timers(names->loop), &name->timer, claim_due) != OK) {
        free(name);
        return NULL;
    }
    name->names = names;
    name->len = (uint8_t)text.len;
    memcpy(name->text, text.data, text.len);
    HASH_ADD_KEYPTR(hh, names->table, name->text, name->len, name);
    if (table_added(name))
        return name;
    timer_fini(loop_timers(names->loop), &name->timer);
    free(name);
    return NULL;
}

/* --- what nodes tell each other: {"ask": question, "space": …, "name": …} and {"held": question} */

static enum err publish(const struct names *names, const struct buf *message)
{
    if (buf_failed(message))
        return ERR_NO_MEMORY;
    return names->bus->ops->publish(names->bus, buf_span(&names->channel), buf_span(message));
}

static void write_question(struct buf *out, const char *key, struct id question)
{
    char text[ID_TEXT_SIZE];
    buf_printf(out, "{\"%s\":\"%s\"", key, id_format(question, text));
}

static enum err ask(const struct name *name)
{
    struct buf out = BUF_INIT;
    write_question(&out, "ask", name->question);
    buf_add_text(&out, ",\"space\":");
    buf_add_json(&out, name->names->space);
    buf_add_text(&out, ",\"name\":");
    buf_add_json(&out, name_text(name));
    buf_add_char(&out, '}');
    enum err err = publish(name->names, &out);
    buf_fini(&out);
    return err;
}

static void object(const struct names *names, struct id question)
{
    struct buf out = BUF_INIT;
    write_question(&out, "held", question);
    buf_add_char(&out, '}');
    if (publish(names, &out) != OK)
        log_event(LOG_WARN, "cannot tell other nodes that a name is taken");
    buf_fini(&out);
}

static void heard_question(struct names *names, struct id question, const json_t *message)
{
    struct span text = json_text(message, "name");
    struct name *name = text.len ? find_name(names, text) : NULL;
    if (!name || !span_equal(json_text(message, "space"), names->space))
        return;
    if (id_equal(name->question, question)) {
        if (name->done && !name->asked)
            timer_set(loop_timers(names->loop), &name->timer, loop_now_ms(names->loop) + NAMES_OBJECTION_MS);
        name->asked = true;
    } else if (name->asked) {
        object(names, question);
    }
}

static void heard_objection(struct names *names, struct id question)
{
    struct name *name, *next;
    HASH_ITER (hh, names->table, name, next) {
        if (name->done && id_equal(name->question, question)) {
            refuse_claim(name, ERR_CONFLICT);
            return;
        }
    }
}

static void heard(struct bus_listener *listener, struct span channel unused_arg, struct span bytes)
{
    struct names *names = container_of(listener, struct names, listener);
    json_t *message;
    struct id question;
    if (json_parse(bytes, MESSAGE_DEPTH_MAX, &message) != OK)
        return;
    if (id_parse(json_text(message, "ask"), &question))
        heard_question(names, question, message);
    else if (id_parse(json_text(message, "held"), &question))
        heard_objection(names, question);
    json_decref(message);
}

/* --- claims */

void names_claim(struct names *names, struct span text, names_done *done, void *ctx)
{
    bool taken = find_name(names, text) != NULL;
    struct name *name = taken ? NULL : add_name(names, text);
    if (!name) {
        done(ctx, taken ? ERR_CONFLICT : ERR_NO_MEMORY, NULL);
        return;
    }
    name->question = id_random();
    name->done = done;
    name->ctx = ctx;
    if (!names->bus) {
        grant_claim(name);
        return;
    }
    enum err err = ask(name);
    if (err)
        refuse_claim(name, err);
    else
        timer_set(loop_timers(names->loop), &name->timer, loop_now_ms(names->loop) + NAMES_ECHO_MS);
}

void names_release(struct names *names unused_arg, struct name *name)
{
    drop_name(name);
}

/* --- making */

/* The pattern that matches this text only. */
static void write_pattern(struct buf *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (strchr("*?[]\\^", text.data[i]))
            buf_add_char(out, '\\');
        buf_add_char(out, text.data[i]);
    }
}

struct names *names_new(struct bus *bus, const char *prefix, const char *space, struct loop *loop)
{
    struct names *names = calloc(1, sizeof(*names));
    if (!names)
        return NULL;
    names->bus = bus;
    names->loop = loop;
    names->space = span_of(space);
    names->listener.heard = heard;
    buf_add_text(&names->channel, prefix);
    buf_add_text(&names->channel, "-names");
    write_pattern(&names->pattern, buf_span(&names->channel));
    if (buf_failed(&names->channel) || buf_failed(&names->pattern)) {
        names_free(names);
        return NULL;
    }
    if (bus)
        bus->ops->listen(bus, buf_span(&names->pattern), &names->listener);
    return names;
}

void names_free(struct names *names)
{
    if (!names)
        return;
    while (names->table)
        drop_name(names->table);
    buf_fini(&names->channel);
    buf_fini(&names->pattern);
    free(names);
}

/* --- what names look like */

bool name_fits(struct span text)
{
    return text.len >= 1 && text.len <= NAME_MAX_LEN && text.data[0] != ' ' && text.data[text.len - 1] != ' ' &&
           utf8_printable(text);
}

/* Decodes the first code point of valid text. */
static size_t decode_point(struct span text, uint32_t *ret_point)
{
    unsigned char lead = (unsigned char)text.data[0];
    size_t len = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    uint32_t point = len == 1 ? lead : lead & (0x7fu >> len);
    for (size_t i = 1; i < len; i++)
        point = point << 6 | ((unsigned char)text.data[i] & 0x3fu);
    *ret_point = point;
    return len;
}

/* Blanks, and what takes no place at all. */
static bool is_unseen(uint32_t point)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x20, 0x20},     {0xa0, 0xa0},     {0xad, 0xad},     {0x34f, 0x34f},     {0x61c, 0x61c},
        {0x115f, 0x1160}, {0x1680, 0x1680}, {0x17b4, 0x17b5}, {0x180b, 0x180f},   {0x2000, 0x200f},
        {0x202f, 0x202f}, {0x205f, 0x2064}, {0x206a, 0x206f}, {0x2800, 0x2800},   {0x3000, 0x3000},
        {0x3164, 0x3164}, {0xfe00, 0xfe0f}, {0xffa0, 0xffa0}, {0xe0000, 0xe0fff},
    };
    for (size_t i = 0; i < array_len(ranges); i++)
        if (point >= ranges[i].first && point <= ranges[i].last)
            return true;
    return false;
}

/* The lower-case ASCII letter that it looks like, or itself. */
static uint32_t plain_letter(uint32_t point)
{
    enum { WIDE_FIRST = 0xff01, WIDE_LAST = 0xff5e, WIDE_BEFORE = 0xfee0 };
    if (point >= WIDE_FIRST && point <= WIDE_LAST)
        point -= WIDE_BEFORE;
    return point >= 'A' && point <= 'Z' ? point - 'A' + 'a' : point;
}

bool name_resembles(struct span text, const char *word)
{
    while (text.len) {
        uint32_t point;
        size_t len = decode_point(text, &point);
        text = (struct span){text.data + len, text.len - len};
        if (is_unseen(point))
            continue;
        if (!*word || plain_letter(point) != (uint32_t)*word)
            return false;
        word++;
    }
    return !*word;
}
