/* SPDX-License-Identifier: MIT */
/*
 * MessagePack, read in three steps: a scan of our own that refuses what is not sound, and rewrites the old dialect as
 * the standard one; msgpack-c, which makes objects of it; and a walk over these that writes JSON. None of them recurs.
 *
 * A message that is sound in the standard dialect is taken for that. One in the old dialect is not, as soon as it has a
 * byte that means something else there: its length would have to come out right, and extensions that nobody writes are
 * refused.
 */
#include "adapters/socketio/msgpack.h"

#include <endian.h>
#include <math.h>
#include <msgpack.h>
#include <stdio.h>
#include <time.h>

#include "base/utf8.h"

/* --- the scan --------------------------------------------------------------------------------------------------- */

/* What a first byte announces: a length of `len_bytes` bytes (or `fixed`), then so many bytes or items. */
struct form {
    enum { BAD, PLAIN, TEXT, BYTES, EXTENSION, UNDEFINED, ARRAY, MAP } kind;
    unsigned char len_bytes;
    unsigned char fixed;
};

enum { FORMS_FROM = 0xc0, FORMS = 0x20 };

/* 0xc0 to 0xdf. */
static const struct form standard[FORMS] = {
    {PLAIN, 0, 0},      {BAD, 0, 0},       {PLAIN, 0, 0},     {PLAIN, 0, 0},     /* nil, -, false, true */
    {BYTES, 1, 0},      {BYTES, 2, 0},     {BYTES, 4, 0},                        /* bin */
    {EXTENSION, 1, 0},  {EXTENSION, 2, 0}, {EXTENSION, 4, 0},                    /* ext */
    {PLAIN, 0, 4},      {PLAIN, 0, 8},                                           /* float */
    {PLAIN, 0, 1},      {PLAIN, 0, 2},     {PLAIN, 0, 4},     {PLAIN, 0, 8},     /* uint */
    {PLAIN, 0, 1},      {PLAIN, 0, 2},     {PLAIN, 0, 4},     {PLAIN, 0, 8},     /* int */
    {EXTENSION, 0, 1},  {EXTENSION, 0, 2}, {EXTENSION, 0, 4}, {EXTENSION, 0, 8}, /* fixext */
    {EXTENSION, 0, 16}, {TEXT, 1, 0},      {TEXT, 2, 0},      {TEXT, 4, 0},      /* fixext 16, str */
    {ARRAY, 2, 0},      {ARRAY, 4, 0},     {MAP, 2, 0},       {MAP, 4, 0},
};

static const struct form old[FORMS] = {
    {PLAIN, 0, 0},     {BAD, 0, 0},   {PLAIN, 0, 0}, {PLAIN, 0, 0}, /* nil, -, false, true */
    {UNDEFINED, 0, 0}, {BAD, 0, 0},   {BAD, 0, 0},   {BAD, 0, 0},   {BAD, 0, 0},   {BAD, 0, 0},
    {PLAIN, 0, 4},     {PLAIN, 0, 8},                               /* float */
    {PLAIN, 0, 1},     {PLAIN, 0, 2}, {PLAIN, 0, 4}, {PLAIN, 0, 8}, /* uint */
    {PLAIN, 0, 1},     {PLAIN, 0, 2}, {PLAIN, 0, 4}, {PLAIN, 0, 8}, /* int */
    {BAD, 0, 0},       {BAD, 0, 0},   {BAD, 0, 0},   {BAD, 0, 0},   {BYTES, 2, 0}, {BYTES, 4, 0},
    {TEXT, 2, 0},      {TEXT, 4, 0},  {ARRAY, 2, 0}, {ARRAY, 4, 0}, {MAP, 2, 0},   {MAP, 4, 0},
};

static struct form form_of(const struct form *dialect, unsigned char first)
{
    if (first < 0x80 || first >= 0xe0)
        return (struct form){PLAIN, 0, 0};
    if (first < 0x90)
        return (struct form){MAP, 0, first & 0x0f};
    if (first < 0xa0)
        return (struct form){ARRAY, 0, first & 0x0f};
    if (first < 0xc0)
        return (struct form){TEXT, 0, first & 0x1f};
    return dialect[first - FORMS_FROM];
}

/* An array or a map whose items are being scanned. */
struct level {
    uint64_t left; /* of a map: keys and values */
    bool is_map;
};

struct scan {
    const struct form *dialect;
    struct span bytes;
    size_t at;
    struct level levels[MSGPACK_DEPTH_MAX];
    unsigned depth;
    uint64_t owed; /* values that were announced and have not come; each takes a byte at least */
    uint32_t values;
    struct buf *out; /* the same in the standard dialect; null: not wanted */
    const char *why;
};

static bool refuse(struct scan *scan, const char *why)
{
    scan->why = why;
    return false;
}

static size_t left_of(const struct scan *scan)
{
    return scan->bytes.len - scan->at;
}

/* Extensions that somebody writes: `size` is theirs, 0 for any. */
static bool is_extension(int8_t type, uint64_t size, unsigned char first)
{
    if (type == -1) /* the standard's timestamp; notepack 3's Date */
        return size == 4 || size == 8 || size == 12;
    if (type == 0) /* notepack: undefined, Date, ArrayBuffer */
        return first == 0xd4 || first == 0xd7 || (first >= 0xc7 && first <= 0xc9);
    return (type >= 0x01 && type <= 0x1d); /* msgpack-lite */
}

static bool open_level(struct scan *scan, uint64_t count, bool is_map)
{
    uint64_t items = is_map ? count * 2 : count;
    scan->owed += items;
    if (scan->owed > left_of(scan))
        return refuse(scan, "more items are announced than there are bytes");
    if (scan->depth == MSGPACK_DEPTH_MAX) /* an empty one is a level, too, as msgpack-c counts */
        return refuse(scan, "nested too deeply");
    if (items == 0)
        return true;
    scan->levels[scan->depth++] = (struct level){items, is_map};
    return true;
}

static uint64_t big_endian(const char *bytes, unsigned count)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < count; i++)
        number = number << 8 | (unsigned char)bytes[i];
    return number;
}

/* Writes what was scanned, which began at `from`, in the standard dialect: only the first byte is another, and
 * undefined is longer. */
static void rewrite(const struct scan *scan, struct form form, size_t from)
{
    static const char undefined[] = {(char)0xd4, 0, 0};
    struct span bytes = {scan->bytes.data + from, scan->at - from};
    if (!scan->out)
        return;
    if (form.kind == UNDEFINED) {
        buf_add(scan->out, (struct span){undefined, sizeof(undefined)});
    } else if (form.kind == BYTES) {
        buf_add_char(scan->out, form.len_bytes == 2 ? (char)0xc5 : (char)0xc6);
        buf_add(scan->out, (struct span){bytes.data + 1, bytes.len - 1});
    } else {
        buf_add(scan->out, bytes);
    }
}

static bool is_key_next(const struct scan *scan)
{
    const struct level *level = scan->depth ? &scan->levels[scan->depth - 1] : NULL;
    return level && level->is_map && level->left % 2 == 0;
}

/* The bytes of a value that is no array or map. */
static bool scan_bytes(struct scan *scan, struct form form, uint64_t len, unsigned char first)
{
    uint64_t all = form.kind == EXTENSION ? len + 1 : len;
    if (all > left_of(scan))
        return refuse(scan, "cut off");
    struct span bytes = {scan->bytes.data + scan->at, len};
    if (form.kind == TEXT && (!utf8_valid(bytes) || span_has(bytes, '\0')))
        return refuse(scan, "text that is not UTF-8, or has a zero byte");
    if (form.kind == EXTENSION && !is_extension((int8_t)bytes.data[0], len, first))
        return refuse(scan, "an unknown extension");
    scan->at += all;
    return true;
}

static void close_levels(struct scan *scan)
{
    while (scan->depth && scan->levels[scan->depth - 1].left == 0)
        scan->depth--;
}

static bool scan_value(struct scan *scan)
{
    size_t from = scan->at;
    unsigned char first = (unsigned char)scan->bytes.data[scan->at++];
    struct form form = form_of(scan->dialect, first);
    if (form.kind == BAD)
        return refuse(scan, "a byte that begins nothing");
    if (is_key_next(scan) && form.kind != TEXT)
        return refuse(scan, "a key that is no string");
    if (form.len_bytes > left_of(scan))
        return refuse(scan, "cut off");
    if (++scan->values > MSGPACK_VALUES_MAX)
        return refuse(scan, "too many values");
    uint64_t len = form.len_bytes ? big_endian(scan->bytes.data + scan->at, form.len_bytes) : form.fixed;
    scan->at += form.len_bytes;
    if (scan->depth) {
        scan->levels[scan->depth - 1].left--;
        scan->owed--;
    }
    bool is_array = form.kind == ARRAY;
    bool good = is_array || form.kind == MAP ? open_level(scan, len, !is_array) : scan_bytes(scan, form, len, first);
    if (good)
        rewrite(scan, form, from);
    close_levels(scan);
    return good;
}

static bool scan_all(struct scan *scan)
{
    do {
        if (!left_of(scan))
            return refuse(scan, "cut off");
        if (!scan_value(scan))
            return false;
    } while (scan->depth);
    return !left_of(scan) || refuse(scan, "something behind the end");
}

/* Whether it is sound, in one dialect or the other; in the old one it is rewritten to `rewritten`. What is wrong is
 * told by the standard one. */
static const char *scan_both(struct span bytes, struct buf *rewritten)
{
    struct scan scan = {.dialect = standard, .bytes = bytes};
    if (scan_all(&scan))
        return NULL;
    const char *why = scan.why;
    scan = (struct scan){.dialect = old, .bytes = bytes, .out = rewritten};
    return scan_all(&scan) ? NULL : why;
}

/* --- objects to JSON -------------------------------------------------------------------------------------------- */

static struct span text_of(const msgpack_object *object)
{
    return (struct span){object->via.str.ptr, object->via.str.size};
}

static bool is_undefined(const msgpack_object *object)
{
    return object->type == MSGPACK_OBJECT_EXT && object->via.ext.type == 0 && object->via.ext.size == 1;
}

/* As JavaScript writes it where it is a number of JSON's, give or take the form of the exponent. */
static void write_float(struct buf *out, double number)
{
    char text[32];
    if (!isfinite(number)) {
        buf_add_text(out, "null");
        return;
    }
    if (fabs(number) < 1e15 && number == floor(number)) {
        buf_printf(out, "%.0f", number == 0 ? 0.0 : number);
        return;
    }
    int digits = 15;
    do {
        (void)snprintf(text, sizeof(text), "%.*g", digits, number);
    } while (strtod(text, NULL) != number && ++digits <= 17);
    buf_add_text(out, text);
}

/* What JSON.stringify makes of a Date; one that is none becomes null. */
static void write_date(struct buf *out, double ms)
{
    static const double last_ms = 8.64e15;
    if (!isfinite(ms) || fabs(ms) > last_ms) {
        buf_add_text(out, "null");
        return;
    }
    int64_t whole_ms = (int64_t)ms;
    int64_t part_ms = (whole_ms % 1000 + 1000) % 1000;
    time_t seconds = (time_t)((whole_ms - part_ms) / 1000);
    struct tm tm;
    if (!gmtime_r(&seconds, &tm)) {
        buf_add_text(out, "null");
        return;
    }
    int year = tm.tm_year + 1900;
    if (year >= 0 && year <= 9999)
        buf_printf(out, "\"%04d", year);
    else
        buf_printf(out, "\"%c%06d", year < 0 ? '-' : '+', abs(year));
    buf_printf(out, "-%02d-%02dT%02d:%02d:%02d.%03dZ\"", tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
               (int)part_ms);
}

static double ms_of(int64_t seconds, uint64_t nanoseconds)
{
    uint64_t ms = nanoseconds / 1000000;
    return (double)seconds * 1000 + (double)ms;
}

/* The standard's timestamp: seconds; nanoseconds above seconds of 34 bits; or nanoseconds, then seconds. */
static double timestamp_ms(struct span bytes)
{
    if (bytes.len == 4)
        return ms_of((int64_t)big_endian(bytes.data, 4), 0);
    if (bytes.len == 8) {
        uint64_t both = big_endian(bytes.data, 8);
        return ms_of((int64_t)(both & 0x3ffffffff), both >> 34);
    }
    return ms_of((int64_t)big_endian(bytes.data + 4, 8), big_endian(bytes.data, 4));
}

static double double_of(uint64_t bits)
{
    double number;
    memcpy(&number, &bits, sizeof(number));
    return number;
}

/* msgpack-lite's Date: a number in MessagePack, of which dates need these forms. */
static double packed_ms(struct span bytes)
{
    unsigned char first = bytes.len ? (unsigned char)bytes.data[0] : 0;
    if (bytes.len == 1 && first < 0x80)
        return first;
    if (bytes.len == 9 && first == 0xcb)
        return double_of(big_endian(bytes.data + 1, 8));
    if (bytes.len == 9 && first == 0xcf)
        return (double)big_endian(bytes.data + 1, 8);
    if (bytes.len == 9 && first == 0xd3)
        return (double)(int64_t)big_endian(bytes.data + 1, 8);
    if (bytes.len == 5 && first == 0xce)
        return (double)big_endian(bytes.data + 1, 4);
    if (bytes.len == 5 && first == 0xd2)
        return (double)(int32_t)big_endian(bytes.data + 1, 4);
    return NAN;
}

/* An object tree on its way to JSON. */
struct writer {
    struct buf *out;
    struct broadcast *broadcast; /* takes the attachments */
    struct {
        const msgpack_object *object;
        uint32_t next;
        bool any; /* was written */
    } levels[MSGPACK_DEPTH_MAX];
    unsigned depth;
    const char *why;
};

static void write_attachment(struct writer *writer, struct span bytes)
{
    struct broadcast *broadcast = writer->broadcast;
    if (broadcast->attachment_count == EMISSION_ATTACHMENTS_MAX) {
        writer->why = "too many attachments";
        return;
    }
    struct blob *blob = blob_copy(bytes);
    if (!blob) {
        writer->out->failed = true;
        return;
    }
    buf_printf(writer->out, "{\"_placeholder\":true,\"num\":%zu}", broadcast->attachment_count);
    broadcast->attachments[broadcast->attachment_count++] = blob;
}

static void write_extension(struct writer *writer, const msgpack_object *object)
{
    enum { DATE_OF_LITE = 0x0d, ARRAYS_OF_LITE = 0x11 };
    struct span bytes = {object->via.ext.ptr, object->via.ext.size};
    int8_t type = object->via.ext.type;
    if (is_undefined(object))
        buf_add_text(writer->out, "null");
    else if (type == -1)
        write_date(writer->out, timestamp_ms(bytes));
    else if (type == DATE_OF_LITE)
        write_date(writer->out, packed_ms(bytes));
    else if (type == 0 && bytes.len == 8)
        write_date(writer->out, (double)(int64_t)big_endian(bytes.data, 8));
    else if (type == 0 || type >= ARRAYS_OF_LITE)
        write_attachment(writer, bytes);
    else
        buf_add_text(writer->out, "{}"); /* an Error, a RegExp, as in JSON */
}

static void open_object(struct writer *writer, const msgpack_object *object)
{
    if (writer->depth == MSGPACK_DEPTH_MAX) {
        writer->why = "nested too deeply";
        return;
    }
    buf_add_char(writer->out, object->type == MSGPACK_OBJECT_ARRAY ? '[' : '{');
    writer->levels[writer->depth].object = object;
    writer->levels[writer->depth].next = 0;
    writer->levels[writer->depth++].any = false;
}

static void write_value(struct writer *writer, const msgpack_object *object)
{
    struct buf *out = writer->out;
    switch (object->type) {
    case MSGPACK_OBJECT_NIL: buf_add_text(out, "null"); break;
    case MSGPACK_OBJECT_BOOLEAN: buf_add_text(out, object->via.boolean ? "true" : "false"); break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER: buf_printf(out, "%llu", (unsigned long long)object->via.u64); break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER: buf_printf(out, "%lld", (long long)object->via.i64); break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64: write_float(out, object->via.f64); break;
    case MSGPACK_OBJECT_STR: buf_add_json(out, text_of(object)); break;
    case MSGPACK_OBJECT_BIN: write_attachment(writer, (struct span){object->via.bin.ptr, object->via.bin.size}); break;
    case MSGPACK_OBJECT_EXT: write_extension(writer, object); break;
    case MSGPACK_OBJECT_ARRAY:
    case MSGPACK_OBJECT_MAP: open_object(writer, object); break;
    }
}

/* One that is not ours would stand for an attachment that there is not, and clients end their connection at that. */
static bool is_placeholder(const msgpack_object_kv *pair)
{
    return span_is(text_of(&pair->key), "_placeholder") && pair->val.type == MSGPACK_OBJECT_BOOLEAN &&
           pair->val.via.boolean;
}

/* The next item of the innermost array or object, or its end. */
static void write_next(struct writer *writer)
{
    unsigned top = writer->depth - 1;
    const msgpack_object *object = writer->levels[top].object;
    bool is_array = object->type == MSGPACK_OBJECT_ARRAY;
    uint32_t size = is_array ? object->via.array.size : object->via.map.size;
    uint32_t i = writer->levels[top].next++;
    if (i == size) {
        buf_add_char(writer->out, is_array ? ']' : '}');
        writer->depth--;
        return;
    }
    if (!is_array && is_placeholder(&object->via.map.ptr[i])) {
        writer->why = "a placeholder among the data";
        return;
    }
    const msgpack_object *value = is_array ? &object->via.array.ptr[i] : &object->via.map.ptr[i].val;
    if (!is_array && is_undefined(value))
        return;
    if (writer->levels[top].any)
        buf_add_char(writer->out, ',');
    writer->levels[top].any = true;
    if (!is_array) {
        buf_add_json(writer->out, text_of(&object->via.map.ptr[i].key));
        buf_add_char(writer->out, ':');
    }
    write_value(writer, value);
}

static const char *write_json(struct buf *out, const msgpack_object *object, struct broadcast *broadcast)
{
    struct writer writer = {.out = out, .broadcast = broadcast};
    write_value(&writer, object);
    while (writer.depth && !writer.why && !buf_failed(out))
        write_next(&writer);
    return writer.why;
}

/* --- broadcasts ------------------------------------------------------------------------------------------------- */

/* A broadcast with what it refers to. */
struct reading {
    struct broadcast broadcast;
    msgpack_unpacked unpacked;
    struct buf rewritten; /* the bytes, where they were in the old dialect */
    struct buf data;
    const char *why;
    bool no_memory;
};

/* The member of a map, or null. A key that comes twice means the first, as it would for nobody else: none is wanted. */
static const msgpack_object *member(struct reading *reading, const msgpack_object *map, const char *key)
{
    const msgpack_object *found = NULL;
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        if (!span_is(text_of(&map->via.map.ptr[i].key), key))
            continue;
        if (found)
            reading->why = "a key that comes twice";
        found = &map->via.map.ptr[i].val;
    }
    return found && found->type != MSGPACK_OBJECT_NIL && !is_undefined(found) ? found : NULL;
}

static struct span room_of_number(struct reading *reading, const msgpack_object *object)
{
    struct buf text = BUF_INIT;
    struct writer writer = {.out = &text};
    write_value(&writer, object);
    char *copy = buf_failed(&text) ? NULL : msgpack_zone_malloc(reading->unpacked.zone, text.len + 1);
    struct span room = {copy, text.len};
    if (copy)
        memcpy(copy, text.data, text.len);
    else
        reading->no_memory = true;
    buf_fini(&text);
    return room;
}

/* Rooms may be numbers. */
static struct span read_room(struct reading *reading, const msgpack_object *object)
{
    switch (object->type) {
    case MSGPACK_OBJECT_STR: return text_of(object);
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64: return room_of_number(reading, object);
    default: reading->why = "a room that is neither text nor a number"; return (struct span){NULL, 0};
    }
}

/* An empty map is how some encoders write a Set. */
static const struct span *read_rooms(struct reading *reading, const msgpack_object *list, size_t *ret_count)
{
    if (!list || (list->type == MSGPACK_OBJECT_MAP && list->via.map.size == 0))
        return NULL;
    if (list->type != MSGPACK_OBJECT_ARRAY || list->via.array.size > MSGPACK_ROOMS_MAX) {
        reading->why = "rooms that are no list, or too many";
        return NULL;
    }
    size_t count = list->via.array.size;
    struct span *rooms = msgpack_zone_malloc(reading->unpacked.zone, (count + 1) * sizeof(*rooms));
    reading->no_memory |= !rooms;
    for (size_t i = 0; rooms && i < count; i++)
        rooms[i] = read_room(reading, &list->via.array.ptr[i]);
    *ret_count = rooms ? count : 0;
    return rooms;
}

static void read_options(struct reading *reading, const msgpack_object *options)
{
    struct broadcast *broadcast = &reading->broadcast;
    struct audience *audience = &broadcast->audience;
    if (options->type == MSGPACK_OBJECT_NIL)
        return;
    if (options->type != MSGPACK_OBJECT_MAP) {
        reading->why = "options that are no map";
        return;
    }
    audience->rooms = read_rooms(reading, member(reading, options, "rooms"), &audience->room_count);
    audience->except = read_rooms(reading, member(reading, options, "except"), &audience->except_count);
    const msgpack_object *flags = member(reading, options, "flags");
    const msgpack_object *is_volatile =
        flags && flags->type == MSGPACK_OBJECT_MAP ? member(reading, flags, "volatile") : NULL;
    broadcast->is_volatile = is_volatile && is_volatile->type == MSGPACK_OBJECT_BOOLEAN && is_volatile->via.boolean;
}

static bool is_event(const msgpack_object *type)
{
    enum { EVENT = 2, BINARY_EVENT = 5 };
    return type && type->type == MSGPACK_OBJECT_POSITIVE_INTEGER &&
           (type->via.u64 == EVENT || type->via.u64 == BINARY_EVENT);
}

static bool has_name(const msgpack_object *data)
{
    if (!data || data->type != MSGPACK_OBJECT_ARRAY || data->via.array.size == 0)
        return false;
    msgpack_object_type type = data->via.array.ptr[0].type;
    return type == MSGPACK_OBJECT_STR || type == MSGPACK_OBJECT_POSITIVE_INTEGER ||
           type == MSGPACK_OBJECT_NEGATIVE_INTEGER;
}

static void read_packet(struct reading *reading, const msgpack_object *packet)
{
    if (packet->type != MSGPACK_OBJECT_MAP) {
        reading->why = "a packet that is no map";
        return;
    }
    const msgpack_object *data = member(reading, packet, "data");
    const msgpack_object *nsp = member(reading, packet, "nsp");
    if (!is_event(member(reading, packet, "type")) || !has_name(data) || (nsp && nsp->type != MSGPACK_OBJECT_STR)) {
        reading->why = "a packet that is no event";
        return;
    }
    reading->broadcast.nsp = nsp ? text_of(nsp) : SPAN_LITERAL("/");
    const char *why = write_json(&reading->data, data, &reading->broadcast);
    if (why)
        reading->why = why;
    reading->broadcast.data = buf_span(&reading->data);
    reading->no_memory |= buf_failed(&reading->data);
}

static void read_message(struct reading *reading, const msgpack_object *message)
{
    const msgpack_object *items = message->via.array.ptr;
    uint32_t count = message->type == MSGPACK_OBJECT_ARRAY ? message->via.array.size : 0;
    if (count == 3 && items[0].type == MSGPACK_OBJECT_STR) {
        reading->broadcast.uid = text_of(items++);
        count--;
    }
    if (count != 2) {
        reading->why = "not a uid, a packet and options";
        return;
    }
    read_packet(reading, &items[0]);
    if (!reading->why)
        read_options(reading, &items[1]);
}

static void unpack(struct reading *reading, struct span bytes)
{
    size_t at = 0;
    switch (msgpack_unpack_next(&reading->unpacked, bytes.data, bytes.len, &at)) {
    case MSGPACK_UNPACK_SUCCESS: read_message(reading, &reading->unpacked.data); break;
    case MSGPACK_UNPACK_NOMEM_ERROR: reading->no_memory = true; break;
    default: reading->why = "not MessagePack"; break;
    }
}

enum err broadcast_read(struct span bytes, struct broadcast **ret_broadcast, const char **ret_why)
{
    struct reading *reading = calloc(1, sizeof(*reading));
    if (!reading)
        return ERR_NO_MEMORY;
    msgpack_unpacked_init(&reading->unpacked);
    reading->why = scan_both(bytes, &reading->rewritten);
    reading->no_memory = buf_failed(&reading->rewritten);
    if (!reading->why && !reading->no_memory)
        unpack(reading, reading->rewritten.len ? buf_span(&reading->rewritten) : bytes);
    if (!reading->why && !reading->no_memory) {
        *ret_broadcast = &reading->broadcast;
        return OK;
    }
    enum err err = reading->no_memory ? ERR_NO_MEMORY : ERR_BAD_REQUEST;
    if (!reading->no_memory)
        *ret_why = reading->why;
    broadcast_free(&reading->broadcast);
    return err;
}

void broadcast_free(struct broadcast *broadcast)
{
    if (!broadcast)
        return;
    struct reading *reading = container_of(broadcast, struct reading, broadcast);
    for (size_t i = 0; i < broadcast->attachment_count; i++)
        blob_unref(broadcast->attachments[i]);
    msgpack_unpacked_destroy(&reading->unpacked);
    buf_fini(&reading->rewritten);
    buf_fini(&reading->data);
    free(reading);
}

/* --- writing ---------------------------------------------------------------------------------------------------- */

static int add_packed(void *ctx, const char *bytes, size_t len)
{
    struct buf *out = ctx;
    buf_add(out, (struct span){bytes, len});
    return buf_failed(out) ? -1 : 0;
}

static void pack_text(msgpack_packer *packer, struct span text)
{
    (void)msgpack_pack_str(packer, text.len);
    (void)msgpack_pack_str_body(packer, text.data, text.len);
}

/* JSON on its way to MessagePack. */
struct packing {
    msgpack_packer packer;
    const struct broadcast *broadcast;
    struct {
        json_t *json;
        size_t next;
        void *member;
    } levels[MSGPACK_DEPTH_MAX];
    unsigned depth;
    bool too_deep;
};

/* The attachment that an object stands for, or null. */
static const struct blob *attachment_of(const struct packing *packing, const json_t *object)
{
    json_t *num = json_object_get(object, "num");
    if (!json_is_true(json_object_get(object, "_placeholder")) || !json_is_integer(num))
        return NULL;
    json_int_t i = json_integer_value(num);
    bool known = i >= 0 && (size_t)i < packing->broadcast->attachment_count;
    return known ? packing->broadcast->attachments[i] : NULL;
}

static void pack_level(struct packing *packing, json_t *json)
{
    size_t size = json_is_array(json) ? json_array_size(json) : json_object_size(json);
    (void)(json_is_array(json) ? msgpack_pack_array : msgpack_pack_map)(&packing->packer, size);
    if (size == 0)
        return;
    if (packing->depth == array_len(packing->levels)) {
        packing->too_deep = true;
        return;
    }
    packing->levels[packing->depth].json = json;
    packing->levels[packing->depth].next = 0;
    packing->levels[packing->depth++].member = json_object_iter(json);
}

static void pack_value(struct packing *packing, json_t *json)
{
    msgpack_packer *packer = &packing->packer;
    const struct blob *blob;
    switch (json_typeof(json)) {
    case JSON_NULL: (void)msgpack_pack_nil(packer); break;
    case JSON_TRUE: (void)msgpack_pack_true(packer); break;
    case JSON_FALSE: (void)msgpack_pack_false(packer); break;
    case JSON_INTEGER: (void)msgpack_pack_int64(packer, json_integer_value(json)); break;
    case JSON_REAL: (void)msgpack_pack_double(packer, json_real_value(json)); break;
    case JSON_STRING: pack_text(packer, (struct span){json_string_value(json), json_string_length(json)}); break;
    case JSON_ARRAY: pack_level(packing, json); break;
    case JSON_OBJECT:
        blob = attachment_of(packing, json);
        if (blob) {
            (void)msgpack_pack_bin(packer, blob->len);
            (void)msgpack_pack_bin_body(packer, blob->data, blob->len);
        } else {
            pack_level(packing, json);
        }
        break;
    }
}

static void pack_next(struct packing *packing)
{
    unsigned top = packing->depth - 1;
    json_t *json = packing->levels[top].json;
    json_t *value = NULL;
    if (json_is_array(json)) {
        value = json_array_get(json, packing->levels[top].next++);
    } else if (packing->levels[top].member) {
        void *member = packing->levels[top].member;
        pack_text(&packing->packer, span_of(json_object_iter_key(member)));
        value = json_object_iter_value(member);
        packing->levels[top].member = json_object_iter_next(json, member);
    }
    if (value)
        pack_value(packing, value);
    else
        packing->depth--;
}

static void pack_rooms(msgpack_packer *packer, const char *key, const struct span *rooms, size_t count)
{
    pack_text(packer, span_of(key));
    (void)msgpack_pack_array(packer, count);
    for (size_t i = 0; i < count; i++)
        pack_text(packer, rooms[i]);
}

static void pack_options(msgpack_packer *packer, const struct broadcast *broadcast)
{
    const struct audience *audience = &broadcast->audience;
    (void)msgpack_pack_map(packer, 3);
    pack_rooms(packer, "rooms", audience->rooms, audience->room_count);
    pack_rooms(packer, "except", audience->except, audience->except_count);
    pack_text(packer, SPAN_LITERAL("flags"));
    (void)msgpack_pack_map(packer, broadcast->is_volatile);
    if (broadcast->is_volatile) {
        pack_text(packer, SPAN_LITERAL("volatile"));
        (void)msgpack_pack_true(packer);
    }
}

/* The message and the packet around the data. */
enum { LEVELS_AROUND = 2, EVENT_TYPE = 2 };

enum err broadcast_write(struct buf *out, const struct broadcast *broadcast)
{
    struct packing packing = {.broadcast = broadcast};
    msgpack_packer *packer = &packing.packer;
    json_t *data;
    enum err err = json_parse(broadcast->data, MSGPACK_DEPTH_MAX - LEVELS_AROUND, &data);
    if (err)
        return err == ERR_NO_MEMORY ? err : ERR_BAD_JSON;
    msgpack_packer_init(packer, out, add_packed);
    (void)msgpack_pack_array(packer, 3);
    pack_text(packer, broadcast->uid);
    (void)msgpack_pack_map(packer, 3);
    pack_text(packer, SPAN_LITERAL("type"));
    (void)msgpack_pack_int(packer, EVENT_TYPE);
    pack_text(packer, SPAN_LITERAL("data"));
    pack_value(&packing, data);
    while (packing.depth && !packing.too_deep)
        pack_next(&packing);
    pack_text(packer, SPAN_LITERAL("nsp"));
    pack_text(packer, broadcast->nsp);
    pack_options(packer, broadcast);
    json_decref(data);
    if (packing.too_deep)
        return ERR_BAD_JSON;
    return buf_failed(out) ? ERR_NO_MEMORY : OK;
}

bool broadcast_is_of(struct span bytes, struct span uid)
{
    enum { HEAD = 2 }; /* an array of three, and a short text */
    return bytes.len > HEAD + uid.len && (unsigned char)bytes.data[0] == 0x93 &&
           (unsigned char)bytes.data[1] == (0xa0 | uid.len) && memcmp(bytes.data + HEAD, uid.data, uid.len) == 0;
}

const char *msgpack_library(void)
{
    static char text[32];
    (void)snprintf(text, sizeof(text), "msgpack-c %s", msgpack_version());
    return text;
}
