/* SPDX-License-Identifier: MIT */
/* Envelopes and server-sent events around stanzas. */
#include "adapters/nereid/wire.h"

#include "http/stream.h"

const char *wire_content_type(enum wire_format format)
{
    return format == WIRE_SSE ? "text/event-stream" : "application/x-ndjson";
}

/* Frames what was written and lets go of the buffer. */
static struct blob *take_blob(const struct wire *wire, struct buf *out)
{
    struct blob *blob = NULL;
    if (!buf_failed(out))
        blob = wire->chunked ? stream_chunk(buf_span(out)) : buf_blob(out);
    buf_fini(out);
    return blob;
}

static void open_dated(struct buf *out, int64_t time_us)
{
    buf_add_char(out, '{');
    stanza_write_time(out, "timestamp", time_us);
}

void wire_open_envelope(struct buf *out, int64_t time_us, const char *cursor)
{
    open_dated(out, time_us);
    buf_printf(out, ",\"cursor\":\"%s\",\"stanzas\":[", cursor);
}

static void open_envelope(struct buf *out, int64_t time_us, struct cursor cursor)
{
    char text[CURSOR_TEXT_SIZE];
    wire_open_envelope(out, time_us, cursor_format(cursor, text));
}

/* --- events */

static void before_in_list(struct buf *out, const struct event *event unused_arg, size_t index)
{
    if (index)
        buf_add_char(out, ',');
}

static void after_in_list(struct buf *out unused_arg)
{
}

static void before_sse(struct buf *out, const struct event *event, size_t index unused_arg)
{
    char text[CURSOR_TEXT_SIZE];
    buf_printf(out, "id: %s\ndata: ", cursor_format(event->cursor, text));
}

static void after_sse(struct buf *out)
{
    buf_add_text(out, "\n\n");
}

static void write_event(const struct wire *wire, struct buf *out, const struct event *event)
{
    if (wire->format == WIRE_SSE) {
        stanza_write_event(out, &wire->style, event, before_sse, after_sse);
        return;
    }
    open_envelope(out, event->time_us, event->cursor);
    stanza_write_event(out, &wire->style, event, before_in_list, after_in_list);
    buf_add_text(out, "]}\n");
}

static unsigned slot_of(const struct wire *wire)
{
    return ((unsigned)wire->format * DIALECT_COUNT + (unsigned)wire->style.dialect) * 2 + (wire->chunked ? 1 : 0);
}

struct blob *wire_event(const struct wire *wire, struct event *event, unsigned first_slot)
{
    struct blob **slot = &event->wires[first_slot + slot_of(wire)];
    if (!*slot) {
        struct buf out = BUF_INIT;
        write_event(wire, &out, event);
        *slot = take_blob(wire, &out);
    }
    return *slot;
}

struct blob *wire_stanzas(const struct stanza_style *style, struct event *event, unsigned first_slot)
{
    struct blob **slot = &event->wires[first_slot + WIRE_SLOTS - DIALECT_COUNT + (unsigned)style->dialect];
    if (!*slot) {
        struct buf out = BUF_INIT;
        stanza_write_event(&out, style, event, before_in_list, after_in_list);
        *slot = buf_blob(&out);
        buf_fini(&out);
    }
    return *slot;
}

/* --- what is no event */

/* A comment moves no cursor and is seen by no page; an event named like this is, by pages that listen for it. */
static void write_heartbeat_event(struct buf *out, int64_t time_us, struct cursor cursor)
{
    char text[CURSOR_TEXT_SIZE];
    buf_printf(out, "event: heartbeat\nid: %s\ndata: ", cursor_format(cursor, text));
    open_dated(out, time_us);
    buf_add_text(out, "}\n\n");
}

static void write_heartbeat(const struct wire *wire, struct buf *out, bool visible, int64_t time_us,
                            struct cursor cursor)
{
    if (wire->format == WIRE_NDJSON) {
        open_envelope(out, time_us, cursor);
        buf_add_text(out, "]}\n");
    } else if (visible) {
        write_heartbeat_event(out, time_us, cursor);
    } else {
        buf_add_text(out, wire->style.dialect == DIALECT_MODULE ? "data: \"{}\"\n\n" : ":\n\n");
    }
}

struct blob *wire_heartbeat(const struct wire *wire, bool visible, int64_t time_us, struct cursor cursor)
{
    struct buf out = BUF_INIT;
    write_heartbeat(wire, &out, visible, time_us, cursor);
    return take_blob(wire, &out);
}

static void add_spaces(struct buf *out, size_t count)
{
    static const char spaces[64] = "                                                               ";
    for (; count > 63; count -= 63)
        buf_add(out, (struct span){spaces, 63});
    buf_add(out, (struct span){spaces, count});
}

struct blob *wire_padding(const struct wire *wire, int64_t time_us, struct cursor cursor, size_t bytes)
{
    struct buf out = BUF_INIT;
    if (wire->format == WIRE_NDJSON) {
        open_envelope(&out, time_us, cursor);
        buf_add_text(&out, "],\"pad\":\"");
        add_spaces(&out, bytes);
        buf_add_text(&out, "\"}\n");
    } else {
        buf_add_char(&out, ':');
        add_spaces(&out, bytes);
        buf_add_text(&out, "\n\n");
    }
    return take_blob(wire, &out);
}

struct blob *wire_farewell(const struct wire *wire, int64_t time_us, enum err why)
{
    struct buf out = BUF_INIT;
    if (wire->format == WIRE_SSE)
        buf_add_text(&out, "event: end\ndata: ");
    open_dated(&out, time_us);
    buf_printf(&out, ",\"stanzas\":[],\"error\":\"%s\",\"message\":\"%s\"}\n", err_word(why), err_sentence(why));
    if (wire->format == WIRE_SSE)
        buf_add_char(&out, '\n');
    return take_blob(wire, &out);
}
