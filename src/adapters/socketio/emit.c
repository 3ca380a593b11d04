/* SPDX-License-Identifier: MIT */
/*
 * POST /emit on the admin listener: what an emitter does, without Redis.
 *
 *     {"nsp": "/", "room": "user(1)", "except": ["user(2)"], "event": "update", "args": [1, {"two": 2}],
 *      "volatile": false, "attachments": ["aGVsbG8="]}                 (or "rooms": […])
 *
 * Only `event` has to be there. Arguments go out as they are written; `{"_placeholder": true, "num": 0}` among them
 * stands for the first of the attachments.
 */
#include "adapters/socketio/adapter.h"
#include "adapters/socketio/packet.h"
#include "adapters/socketio/rooms.h"
#include "base/base64.h"

enum { DEPTH_AROUND = 1 }; /* the body's object */

struct emitting {
    struct socketio *adapter;
    json_t *body;
    struct span text;  /* of the body */
    const char *field; /* that is not acceptable */
    struct nsp *nsp;
    struct rooms rooms, except;
    struct span room;
    struct buf packet; /* `2[…]` or `51-[…]`, as a client would send it */
    size_t packet_head;
    struct blob *attachments[EMISSION_ATTACHMENTS_MAX];
    size_t attachment_count;
};

static void emitting_fini(struct emitting *emitting)
{
    for (size_t i = 0; i < emitting->attachment_count; i++)
        blob_unref(emitting->attachments[i]);
    rooms_fini(&emitting->rooms);
    rooms_fini(&emitting->except);
    buf_fini(&emitting->packet);
    json_decref(emitting->body);
}

/* --- fields ----------------------------------------------------------------------------------------------------- */

static enum err bad(struct emitting *emitting, const char *field, enum err err)
{
    emitting->field = field;
    return err;
}

static enum err read_nsp(struct emitting *emitting)
{
    const json_t *nsp = json_object_get(emitting->body, "nsp");
    struct span name = nsp ? json_text(emitting->body, "nsp") : SPAN_LITERAL("/");
    if (!name.data)
        return bad(emitting, "nsp", ERR_BAD_FIELD);
    emitting->nsp = nsp_find(emitting->adapter, name);
    return emitting->nsp ? OK : bad(emitting, "nsp", ERR_NOT_FOUND);
}

static enum err read_rooms(struct emitting *emitting, const char *field, struct rooms *rooms)
{
    enum err err = rooms_read(json_object_get(emitting->body, field), rooms);
    return err ? bad(emitting, field, err) : OK;
}

/* `room` is short for a list of one. */
static enum err read_audience(struct emitting *emitting)
{
    const json_t *room = json_object_get(emitting->body, "room");
    enum err err = read_rooms(emitting, "rooms", &emitting->rooms);
    if (!err)
        err = read_rooms(emitting, "except", &emitting->except);
    if (err || !room)
        return err;
    emitting->room = json_text(emitting->body, "room");
    return emitting->room.data && !json_object_get(emitting->body, "rooms") ? OK : bad(emitting, "room", ERR_BAD_FIELD);
}

static enum err read_attachment(struct emitting *emitting, const json_t *item)
{
    struct span text = {json_string_value(item), json_string_length(item)};
    size_t len = 0;
    if (!text.data || emitting->attachment_count == emitting->adapter->options.attachments)
        return text.data ? ERR_TOO_MANY : ERR_BAD_FIELD;
    uint8_t *bytes = malloc(BASE64_ROOM(text.len));
    enum err err = bytes ? base64_decode(text, BASE64, bytes, &len) : ERR_NO_MEMORY;
    struct blob *blob = err ? NULL : blob_copy((struct span){(const char *)bytes, len});
    if (blob)
        emitting->attachments[emitting->attachment_count++] = blob;
    else if (!err)
        err = ERR_NO_MEMORY;
    free(bytes);
    return err;
}

static enum err read_attachments(struct emitting *emitting)
{
    const json_t *list = json_object_get(emitting->body, "attachments");
    size_t i;
    const json_t *item;
    if (list && !json_is_array(list))
        return bad(emitting, "attachments", ERR_BAD_FIELD);
    json_array_foreach (list, i, item) {
        enum err err = read_attachment(emitting, item);
        if (err)
            return bad(emitting, "attachments", err == ERR_TOO_MANY ? ERR_BAD_FIELD : err);
    }
    return OK;
}

/* The arguments as they are written, without the brackets. */
static enum err write_args(struct emitting *emitting)
{
    struct buf args = BUF_INIT;
    struct span text;
    if (!json_object_get(emitting->body, "args"))
        return OK;
    if (!json_is_array(json_object_get(emitting->body, "args")) || !json_find_value(emitting->text, "args", &text))
        return bad(emitting, "args", ERR_BAD_FIELD);
    json_minify(&args, text);
    if (args.len > 2) {
        buf_add_char(&emitting->packet, ',');
        buf_add(&emitting->packet, (struct span){args.data + 1, args.len - 2});
    }
    enum err err = buf_failed(&args) ? ERR_NO_MEMORY : OK;
    buf_fini(&args);
    return err;
}

/* The same rules as for an event that a client sends: its name, and one placeholder for each attachment. */
static bool is_acceptable(const struct emitting *emitting, struct span text)
{
    const struct socketio_options *options = &emitting->adapter->options;
    struct packet_rules rules = {false, options->json_depth, options->attachments, EVENT_NAME_MAX};
    struct packet packet = {0};
    bool acceptable = packet_read(text, &rules, &packet) == OK;
    packet_fini(&packet);
    return acceptable;
}

static enum err check_name(struct emitting *emitting, struct span event)
{
    struct buf packet = BUF_INIT;
    buf_printf(&packet, "%d[", PACKET_EVENT);
    buf_add_json(&packet, event);
    buf_add_char(&packet, ']');
    enum err err = buf_failed(&packet) ? ERR_NO_MEMORY : OK;
    if (!err && !is_acceptable(emitting, buf_span(&packet)))
        err = bad(emitting, "event", ERR_BAD_FIELD);
    buf_fini(&packet);
    return err;
}

static enum err read_event(struct emitting *emitting)
{
    struct span event = json_text(emitting->body, "event");
    struct buf *packet = &emitting->packet;
    if (!event.data)
        return bad(emitting, "event", json_object_get(emitting->body, "event") ? ERR_BAD_FIELD : ERR_MISSING_FIELD);
    enum err err = check_name(emitting, event);
    if (err)
        return err;
    if (emitting->attachment_count)
        buf_printf(packet, "%d%zu-", PACKET_BINARY_EVENT, emitting->attachment_count);
    else
        buf_printf(packet, "%d", PACKET_EVENT);
    emitting->packet_head = packet->len;
    buf_add_char(packet, '[');
    buf_add_json(packet, event);
    err = write_args(emitting);
    buf_add_char(packet, ']');
    if (!err && buf_failed(packet))
        err = ERR_NO_MEMORY;
    return err || is_acceptable(emitting, buf_span(packet)) ? err : bad(emitting, "args", ERR_BAD_FIELD);
}

/* A word that is misspelt must not send to everybody what was meant for one room. */
static enum err check_fields(struct emitting *emitting)
{
    enum { SHOWN_MAX = 64 };
    static const char *const known[] = {"nsp", "room", "rooms", "except", "event", "args", "volatile", "attachments"};
    const char *key;
    json_t *value;
    json_object_foreach (emitting->body, key, value) {
        bool found = false;
        for (size_t i = 0; i < array_len(known); i++)
            found |= strcmp(key, known[i]) == 0;
        if (!found)
            return bad(emitting, strlen(key) <= SHOWN_MAX ? key : "a field that is not known", ERR_BAD_FIELD);
    }
    const json_t *is_volatile = json_object_get(emitting->body, "volatile");
    return !is_volatile || json_is_boolean(is_volatile) ? OK : bad(emitting, "volatile", ERR_BAD_FIELD);
}

static enum err read_body(struct emitting *emitting)
{
    enum err err = json_parse(emitting->text, emitting->adapter->options.json_depth + DEPTH_AROUND, &emitting->body);
    if (!err && !json_is_object(emitting->body))
        err = ERR_BAD_JSON;
    if (!err)
        err = check_fields(emitting);
    if (!err)
        err = read_nsp(emitting);
    if (!err)
        err = read_audience(emitting);
    if (!err)
        err = read_attachments(emitting);
    return err ? err : read_event(emitting);
}

/* --- sending ---------------------------------------------------------------------------------------------------- */

static void count_one(void *ctx, struct socket *socket unused_arg)
{
    size_t *count = ctx;
    (*count)++;
}

static enum err emit(const struct emitting *emitting, size_t *ret_count)
{
    struct audience audience = {emitting->rooms.items, emitting->rooms.count, emitting->except.items,
                                emitting->except.count};
    struct span data = {emitting->packet.data + emitting->packet_head, emitting->packet.len - emitting->packet_head};
    struct emission *emission =
        emission_new(nsp_name(emitting->nsp), data, emitting->attachments, emitting->attachment_count);
    if (!emission)
        return ERR_NO_MEMORY;
    if (emitting->room.data) {
        audience.rooms = &emitting->room;
        audience.room_count = 1;
    }
    if (json_is_true(json_object_get(emitting->body, "volatile")))
        emission_set_volatile(emission);
    *ret_count = 0;
    nsp_each(emitting->nsp, &audience, count_one, ret_count);
    nsp_broadcast(emitting->nsp, &audience, emission);
    emission_unref(emission);
    return OK;
}

static void fail(struct request *req, const struct emitting *emitting, enum err err)
{
    char sentence[160];
    if (err == ERR_NOT_FOUND) {
        request_fail(req, err, "nsp: no application has this namespace", 0);
    } else if (emitting->field) {
        (void)snprintf(sentence, sizeof(sentence), "%s: %s", emitting->field, err_sentence(err));
        request_fail(req, err, sentence, 0);
    } else {
        request_fail(req, err, NULL, 0);
    }
}

/* Services may know us by any name, and have no origin. A page is only believed to be of here if it came by address. */
static bool is_foreign_page(const struct request *req)
{
    enum request_origin origin = request_origin(req);
    return origin == REQUEST_ORIGIN_FOREIGN || (origin != REQUEST_ORIGIN_NONE && !request_is_by_address(req));
}

static void handle_emit(void *ctx, struct request *req)
{
    struct emitting emitting = {.adapter = ctx, .text = request_body(req)};
    size_t count = 0;
    enum err err = is_foreign_page(req) ? ERR_BAD_ORIGIN : read_body(&emitting);
    if (!err)
        err = emit(&emitting, &count);
    if (err)
        fail(req, &emitting, err);
    else
        request_reply_json(req, 200, json_pack("{s:I}", "sockets", (json_int_t)count));
    emitting_fini(&emitting);
}

static const struct route routes[] = {{HTTP_POST, "/emit", ROUTE_ANYONE, handle_emit}};

enum err socketio_mount_emit(struct socketio *adapter, struct router *operators)
{
    return router_mount_raw(operators, routes, array_len(routes), adapter->options.engine.payload_bytes, adapter);
}
