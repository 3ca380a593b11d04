/* SPDX-License-Identifier: MIT */
/* The codec of Socket.IO 0.9. What its own parser would have forgiven (a type that is none, JSON that is none) is
 * refused: nobody writes it. */
#include "adapters/socketio/legacy_packet.h"

#include <inttypes.h>

#include "adapters/socketio/engine_packet.h"
#include "http/text.h"

enum { PACKET_MIN = 3, ID_DIGITS_MAX = 18, LENGTH_DIGITS_MAX = 9, MARK_LEN = 3 };

static const char mark[] = "\xef\xbf\xbd"; /* U+FFFD */

/* Cuts digits off the front of *text. False: there is none, or there are more than `max`. */
static bool cut_number(struct span *text, size_t max, uint64_t *ret_number)
{
    uint64_t number = 0;
    size_t len = 0;
    for (; len < text->len && text->data[len] >= '0' && text->data[len] <= '9'; len++) {
        if (len == max)
            return false;
        number = number * 10 + (uint64_t)(text->data[len] - '0');
    }
    if (len == 0)
        return false;
    *text = (struct span){text->data + len, text->len - len};
    *ret_number = number;
    return true;
}

/* --- packets in */

static bool read_id(struct span field, struct legacy_packet *packet)
{
    if (field.len == 0)
        return true;
    packet->has_id = true;
    if (!cut_number(&field, ID_DIGITS_MAX, &packet->id))
        return false;
    packet->asks = span_is(field, "+");
    return packet->asks || field.len == 0;
}

/* Clients have put a query behind the endpoint, and into the data. */
static void read_endpoint(struct span endpoint, struct legacy_packet *packet)
{
    struct span rest = endpoint;
    struct span name = text_cut(&rest, '?');
    packet->nsp = name.len ? name : SPAN_LITERAL("/");
    packet->query = rest.len ? rest : packet->data;
    if (packet->query.len && packet->query.data[0] == '?')
        packet->query = (struct span){packet->query.data + 1, packet->query.len - 1};
}

enum err legacy_packet_read(struct span text, struct legacy_packet *ret_packet)
{
    struct legacy_packet packet = {0};
    if (span_has(text, '\0')) /* which JSON has no room for, but jansson overlooks behind a number */
        return ERR_BAD_REQUEST;
    if (text.len < PACKET_MIN || text.data[1] != ':' || text.data[0] < '0' || text.data[0] - '0' >= LEGACY_TYPE_COUNT)
        return ERR_BAD_REQUEST;
    packet.type = (enum legacy_type)(text.data[0] - '0');
    text = (struct span){text.data + 2, text.len - 2};
    if (!span_has(text, ':') || !read_id(text_cut(&text, ':'), &packet))
        return ERR_BAD_REQUEST;
    struct span endpoint = text_cut(&text, ':');
    packet.data = text;
    read_endpoint(endpoint, &packet);
    *ret_packet = packet;
    return OK;
}

/* --- events in */

/* The array `[<name>,<items>]` as text; `items` has no brackets. */
static void write_array(struct buf *out, struct span name, struct span items)
{
    buf_add_char(out, '[');
    buf_add(out, name);
    if (items.len)
        buf_add_char(out, ',');
    buf_add(out, items);
    buf_add_char(out, ']');
}

/* What stands between the brackets of an array's text. */
static struct span inside(struct span array)
{
    struct span items = {array.data + 1, array.len - 2};
    while (items.len && strchr(" \t\r\n", items.data[items.len - 1]))
        items.len--;
    while (items.len && strchr(" \t\r\n", items.data[0]))
        items = (struct span){items.data + 1, items.len - 1};
    return items;
}

/* The texts of name and arguments in the text of an event, which is JSON. Of a key that is written with escapes nobody
 * knows the place. */
static enum err find_parts(struct span data, const json_t *event, struct span *ret_name, struct span *ret_items)
{
    const json_t *args = json_object_get(event, "args");
    struct span array = SPAN_LITERAL("[]");
    if (!json_is_string(json_object_get(event, "name")) || !json_find_value(data, "name", ret_name))
        return ERR_BAD_FIELD;
    if (args && (!json_is_array(args) || !json_find_value(data, "args", &array)))
        return ERR_BAD_FIELD;
    *ret_items = inside(array);
    return OK;
}

static enum err write_event(const struct legacy_packet *packet, unsigned depth, struct buf *out)
{
    json_t *event;
    struct span name, items;
    enum err err = json_parse(packet->data, depth + 1, &event); /* the object around it counts, too */
    if (err)
        return err;
    err = json_is_object(event) ? find_parts(packet->data, event, &name, &items) : ERR_BAD_FIELD;
    if (!err)
        write_array(out, name, items);
    json_decref(event);
    return err;
}

static enum err write_any(const struct legacy_packet *packet, unsigned depth, struct buf *out)
{
    const struct span name = SPAN_LITERAL("\"message\"");
    if (packet->type == LEGACY_EVENT)
        return write_event(packet, depth, out);
    if (packet->type == LEGACY_JSON) {
        write_array(out, name, packet->data);
        return packet->data.len ? OK : ERR_BAD_JSON;
    }
    struct buf text = BUF_INIT;
    buf_add_json(&text, packet->data);
    out->failed |= buf_failed(&text);
    write_array(out, name, buf_span(&text));
    buf_fini(&text);
    return OK;
}

/* The data of a JSON packet might close the array and go on behind it: what was put together has to be one array of
 * two. */
static bool is_sound(const struct legacy_packet *packet, const json_t *args)
{
    return json_is_array(args) && (packet->type == LEGACY_EVENT || json_array_size(args) == 2);
}

enum err legacy_event_read(const struct legacy_packet *packet, unsigned depth, struct legacy_event *ret_event)
{
    struct legacy_event event = {0};
    enum err err = write_any(packet, depth, &event.text);
    if (!err && buf_failed(&event.text))
        err = ERR_NO_MEMORY;
    if (!err)
        err = json_parse(buf_span(&event.text), depth, &event.args);
    if (!err && !is_sound(packet, event.args))
        err = ERR_BAD_JSON;
    if (err)
        legacy_event_fini(&event);
    else
        *ret_event = event;
    return err;
}

void legacy_event_fini(struct legacy_event *event)
{
    json_decref(event->args);
    buf_fini(&event->text);
    *event = (struct legacy_event){0};
}

enum err legacy_ack_read(const struct legacy_packet *packet, unsigned depth, uint64_t *ret_id, json_t **ret_args)
{
    struct span text = packet->data;
    uint64_t id;
    json_t *args;
    if (!cut_number(&text, ID_DIGITS_MAX, &id) || (text.len && text.data[0] != '+'))
        return ERR_BAD_REQUEST;
    struct span array = text.len > 1 ? (struct span){text.data + 1, text.len - 1} : SPAN_LITERAL("[]");
    enum err err = json_parse(array, depth, &args);
    if (err)
        return err;
    if (!json_is_array(args)) {
        json_decref(args);
        return ERR_BAD_FIELD;
    }
    *ret_id = id;
    *ret_args = args;
    return OK;
}

/* --- packets out */

static void write_endpoint(struct buf *out, struct span nsp)
{
    if (!span_is(nsp, "/"))
        buf_add(out, nsp);
}

void legacy_write(struct buf *out, enum legacy_type type, struct span nsp, struct span data)
{
    buf_printf(out, "%d::", (int)type);
    write_endpoint(out, nsp);
    if (data.len)
        buf_add_char(out, ':');
    buf_add(out, data);
}

/* Where the next U+2028 or U+2029 stands in the text; its length where there is none. */
static size_t find_separator(struct span text)
{
    size_t at = 0;
    for (; at + MARK_LEN <= text.len; at++)
        if (memcmp(text.data + at, "\xe2\x80\xa8", MARK_LEN) == 0 ||
            memcmp(text.data + at, "\xe2\x80\xa9", MARK_LEN) == 0)
            return at;
    return text.len;
}

/* The client reads the arguments of an ack up to the first end of a line, and takes these two for one; in JSON they
 * stand in strings only, where they may be escaped. */
static void write_on_one_line(struct buf *out, struct span json)
{
    for (size_t at = find_separator(json); at < json.len; at = find_separator(json)) {
        buf_add(out, (struct span){json.data, at});
        buf_add_text(out, json.data[at + 2] == '\xa8' ? "\\u2028" : "\\u2029");
        json = (struct span){json.data + at + MARK_LEN, json.len - at - MARK_LEN};
    }
    buf_add(out, json);
}

void legacy_write_ack(struct buf *out, struct span nsp, uint64_t id, struct span args)
{
    buf_printf(out, "%d::", (int)LEGACY_ACK);
    write_endpoint(out, nsp);
    buf_printf(out, ":%" PRIu64, id);
    if (!args.len)
        return;
    buf_add_text(out, "+[");
    write_on_one_line(out, args);
    buf_add_char(out, ']');
}

/* --- payloads */

static bool cut_mark(struct span *text)
{
    if (text->len < MARK_LEN || memcmp(text->data, mark, MARK_LEN) != 0)
        return false;
    *text = (struct span){text->data + MARK_LEN, text->len - MARK_LEN};
    return true;
}

struct legacy_payload legacy_payload_begin(struct span text)
{
    struct span rest = text;
    return (struct legacy_payload){text, cut_mark(&rest)};
}

enum err legacy_payload_next(struct legacy_payload *payload, struct span *ret_packet)
{
    struct span rest = payload->rest;
    uint64_t units;
    size_t len;
    if (!payload->framed) {
        *ret_packet = rest;
        payload->rest = (struct span){0};
        return OK;
    }
    if (!cut_mark(&rest) || !cut_number(&rest, LENGTH_DIGITS_MAX, &units) || !cut_mark(&rest) ||
        !utf16_take(rest, (size_t)units, &len))
        return ERR_BAD_REQUEST;
    *ret_packet = (struct span){rest.data, len};
    payload->rest = (struct span){rest.data + len, rest.len - len};
    return OK;
}

void legacy_payload_add(struct buf *out, struct span packet)
{
    buf_printf(out, "%s%zu%s", mark, utf16_len(packet), mark);
    buf_add(out, packet);
}
