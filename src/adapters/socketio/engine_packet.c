/* SPDX-License-Identifier: MIT */
/*
 * Lengths in UTF-16 code units are found by walking over the text: four bytes of UTF-8 are two units, any other
 * character is one.
 *
 * Clients of Socket.IO 1.x encode text to UTF-8, take its bytes for characters and send these as UTF-8. Nothing but the
 * text tells: where all characters are bytes, and those are valid UTF-8 with some that is not ASCII, it is taken for
 * that. A client of 2.x who sends just such text is misread.
 */
#include "adapters/socketio/engine_packet.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/utf8.h"

enum { SEPARATOR = 0x1e, LENGTH_END = 0xff, LENGTH_DIGITS_MAX = 10, JSONP_DIGITS_MAX = 10 };

static struct span skip(struct span text, size_t len)
{
    return (struct span){text.data + len, text.len - len};
}

/* --- memory */

void engine_room_fini(struct engine_room *room)
{
    free(room->bytes);
    *room = (struct engine_room){0};
}

/* Null: no memory. What was in it is gone. */
static char *room_of(struct engine_room *room, size_t size)
{
    if (size <= room->size && room->bytes)
        return room->bytes;
    engine_room_fini(room);
    room->bytes = malloc(size ? size : 1);
    room->size = room->bytes ? size : 0;
    return room->bytes;
}

/* --- packets */

static bool type_of_digit(char digit, enum engine_packet_type *ret_type)
{
    if (digit < '0' || digit >= '0' + ENGINE_PACKET_TYPE_COUNT)
        return false;
    *ret_type = (enum engine_packet_type)(digit - '0');
    return true;
}

static enum err read_base64(enum engine_revision revision, struct span text, struct engine_room *room,
                            struct engine_packet *ret_packet)
{
    enum engine_packet_type type = ENGINE_PACKET_MESSAGE;
    size_t head = revision == ENGINE_4 ? 1 : 2; /* `b`, or `b4` */
    if (text.len < head || (head == 2 && !type_of_digit(text.data[1], &type)))
        return ERR_BAD_REQUEST;
    text = skip(text, head);
    char *bytes = room_of(room, BASE64_ROOM(text.len));
    size_t len;
    if (!bytes)
        return ERR_NO_MEMORY;
    enum err err = base64_decode(text, BASE64, (uint8_t *)bytes, &len);
    if (err)
        return err == ERR_NO_MEMORY ? err : ERR_BAD_REQUEST;
    *ret_packet = (struct engine_packet){type, false, {bytes, len}};
    return OK;
}

static enum err read_text(enum engine_revision revision, struct span text, struct engine_room *room,
                          struct engine_packet *ret_packet)
{
    enum engine_packet_type type;
    if (text.len && text.data[0] == 'b')
        return read_base64(revision, text, room, ret_packet);
    if (!text.len || !type_of_digit(text.data[0], &type))
        return ERR_BAD_REQUEST;
    *ret_packet = (struct engine_packet){type, true, skip(text, 1)};
    return OK;
}

static enum err read_binary(enum engine_revision revision, struct span bytes, struct engine_packet *ret_packet)
{
    if (revision == ENGINE_4) {
        *ret_packet = (struct engine_packet){ENGINE_PACKET_MESSAGE, false, bytes};
        return OK;
    }
    if (!bytes.len || (unsigned char)bytes.data[0] >= ENGINE_PACKET_TYPE_COUNT)
        return ERR_BAD_REQUEST;
    *ret_packet = (struct engine_packet){(enum engine_packet_type)bytes.data[0], false, skip(bytes, 1)};
    return OK;
}

enum err engine_packet_read(enum engine_revision revision, struct span frame, bool is_text, struct engine_room *room,
                            struct engine_packet *ret_packet)
{
    return is_text ? read_text(revision, frame, room, ret_packet) : read_binary(revision, frame, ret_packet);
}

/* --- UTF-16 and doubled UTF-8 */

static size_t sequence_len(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (lead < 0xe0)
        return 2;
    return lead < 0xf0 ? 3 : 4;
}

size_t utf16_len(struct span text)
{
    size_t units = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        units += (c & 0xc0) != 0x80 ? (c >= 0xf0 ? 2 : 1) : 0;
    }
    return units;
}

bool utf16_take(struct span text, size_t units, size_t *ret_len)
{
    size_t at = 0;
    while (units) {
        if (at >= text.len)
            return false;
        size_t len = sequence_len((unsigned char)text.data[at]);
        size_t width = len == 4 ? 2 : 1;
        if (width > units)
            return false;
        units -= width;
        at += len;
    }
    *ret_len = at;
    return true;
}

enum doubling { DOUBLING_UNKNOWN, DOUBLING_NO, DOUBLING_YES };

/* Undoes one encoding of valid UTF-8 into `to`, which has text.len bytes. Unknown: it is ASCII. */
static enum doubling undouble(struct span text, char *to, size_t *ret_len)
{
    size_t len = 0;
    bool is_ascii = true;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c > 0xc3)
            return DOUBLING_NO;
        if (c >= 0x80) {
            is_ascii = false;
            c = (unsigned char)((c & 3) << 6 | ((unsigned char)text.data[++i] & 0x3f));
        }
        to[len++] = (char)c;
    }
    *ret_len = len;
    if (is_ascii)
        return DOUBLING_UNKNOWN;
    return utf8_valid((struct span){to, len}) ? DOUBLING_YES : DOUBLING_NO;
}

static enum err read_doubled(struct engine_wire *wire, struct engine_room *room, struct engine_packet *packet)
{
    char *bytes = room_of(room, packet->data.len);
    size_t len;
    if (!bytes)
        return ERR_NO_MEMORY;
    enum doubling doubling = undouble(packet->data, bytes, &len);
    if (doubling == DOUBLING_UNKNOWN)
        return OK;
    wire->doubled = doubling == DOUBLING_YES;
    if (wire->doubled)
        packet->data = (struct span){bytes, len};
    return OK;
}

static bool is_ascii(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] >= 0x80)
            return false;
    return true;
}

/* --- payloads in */

enum err engine_payload_begin(struct engine_payload *payload, struct engine_wire *wire, struct span body,
                              bool is_binary, uint32_t packets_max)
{
    if (!body.len || (is_binary && wire->revision == ENGINE_4) || (!is_binary && !utf8_valid(body)))
        return ERR_BAD_REQUEST;
    *payload = (struct engine_payload){.wire = wire, .rest = body, .left = packets_max, .is_binary = is_binary};
    return OK;
}

void engine_payload_end(struct engine_payload *payload)
{
    engine_room_fini(&payload->room);
}

/* Each of these cuts a piece off the rest, and says whether there was a sound one. */

static bool cut_by_separator(struct engine_payload *payload, struct span *ret_piece)
{
    struct span rest = payload->rest;
    const char *end = rest.len ? memchr(rest.data, SEPARATOR, rest.len) : NULL;
    size_t len = end ? (size_t)(end - rest.data) : rest.len;
    *ret_piece = (struct span){rest.data, len};
    payload->rest = skip(rest, end ? len + 1 : len);
    payload->is_over = !end;
    return true;
}

/* Decimal digits up to `end`; values above '0' are told by `zero`. */
static bool cut_length(struct span *rest, unsigned char zero, unsigned char end, size_t *ret_length)
{
    size_t length = 0;
    for (size_t i = 0; i < rest->len && i <= LENGTH_DIGITS_MAX; i++) {
        unsigned char c = (unsigned char)rest->data[i];
        if (c == end && i) {
            *rest = skip(*rest, i + 1);
            *ret_length = length;
            return true;
        }
        if (c < zero || c > zero + 9)
            return false;
        length = length * 10 + (size_t)(c - zero);
    }
    return false;
}

static bool cut_by_units(struct engine_payload *payload, struct span *ret_piece)
{
    size_t units, len;
    if (!cut_length(&payload->rest, '0', ':', &units) || !utf16_take(payload->rest, units, &len))
        return false;
    *ret_piece = (struct span){payload->rest.data, len};
    payload->rest = skip(payload->rest, len);
    payload->is_over = !payload->rest.len;
    return true;
}

static bool cut_by_bytes(struct engine_payload *payload, bool *ret_is_text, struct span *ret_piece)
{
    unsigned char kind = (unsigned char)payload->rest.data[0];
    size_t len;
    payload->rest = skip(payload->rest, 1);
    if (kind > 1 || !cut_length(&payload->rest, 0, LENGTH_END, &len) || len > payload->rest.len)
        return false;
    *ret_is_text = kind == 0;
    *ret_piece = (struct span){payload->rest.data, len};
    payload->rest = skip(payload->rest, len);
    payload->is_over = !payload->rest.len;
    return !*ret_is_text || utf8_valid(*ret_piece);
}

static bool cut_piece(struct engine_payload *payload, bool *ret_is_text, struct span *ret_piece)
{
    *ret_is_text = true;
    if (payload->wire->revision == ENGINE_4)
        return cut_by_separator(payload, ret_piece);
    if (payload->is_binary)
        return cut_by_bytes(payload, ret_is_text, ret_piece);
    return cut_by_units(payload, ret_piece);
}

static enum err read_piece(struct engine_payload *payload, bool is_text, struct span piece,
                           struct engine_packet *ret_packet)
{
    struct engine_wire *wire = payload->wire;
    enum err err = engine_packet_read(wire->revision, piece, is_text, &payload->room, ret_packet);
    bool may_be_doubled = wire->revision != ENGINE_4 && !payload->is_binary && !err && ret_packet->is_text;
    if (may_be_doubled && !is_ascii(ret_packet->data))
        err = read_doubled(wire, &payload->room, ret_packet);
    return err;
}

bool engine_payload_next(struct engine_payload *payload, struct engine_packet *ret_packet, enum err *ret_err)
{
    *ret_err = OK;
    while (!payload->is_over) {
        struct span piece = {0};
        bool is_text;
        if (payload->left-- == 0) {
            *ret_err = ERR_TOO_MANY;
        } else if (!cut_piece(payload, &is_text, &piece)) {
            *ret_err = ERR_BAD_REQUEST;
        } else {
            /* A length of 0 in text is skipped; clients write it for no packets at all. */
            if (!piece.len && payload->wire->revision != ENGINE_4 && !payload->is_binary)
                continue;
            *ret_err = read_piece(payload, is_text, piece, ret_packet);
        }
        payload->is_over |= *ret_err != OK;
        return *ret_err == OK;
    }
    return false;
}

/* --- payloads out */

bool engine_piece_is_binary(const struct engine_wire *wire, struct engine_piece piece)
{
    return wire->revision != ENGINE_4 && !wire->base64 && !piece.is_text;
}

void engine_piece_as_text(struct buf *out, enum engine_revision revision, struct span bytes)
{
    buf_add_char(out, 'b');
    if (revision != ENGINE_4 && bytes.len) {
        buf_add_char(out, (char)('0' + bytes.data[0]));
        bytes = skip(bytes, 1);
    }
    base64_add(out, bytes);
}

static void add_binary(struct buf *out, struct engine_piece piece)
{
    char digits[LENGTH_DIGITS_MAX];
    size_t count = 0, len = piece.bytes.len;
    do {
        digits[LENGTH_DIGITS_MAX - ++count] = (char)(len % 10);
        len /= 10;
    } while (len);
    buf_add_char(out, piece.is_text ? 0 : 1);
    buf_add(out, (struct span){digits + LENGTH_DIGITS_MAX - count, count});
    buf_add_char(out, (char)LENGTH_END);
    buf_add(out, piece.bytes);
}

/* The bytes of `text` as characters, in UTF-8; as many as there are bytes is also the length of that in UTF-16. */
static void add_doubled(struct buf *out, struct span text)
{
    buf_printf(out, "%zu:", text.len);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c >= 0x80) {
            buf_add_char(out, (char)(0xc0 | c >> 6));
            c = (unsigned char)(0x80 | (c & 0x3f));
        }
        buf_add_char(out, (char)c);
    }
}

static void add_text(struct buf *out, const struct engine_wire *wire, struct span text)
{
    if (wire->doubled) {
        add_doubled(out, text);
        return;
    }
    buf_printf(out, "%zu:", utf16_len(text));
    buf_add(out, text);
}

static void add_base64(struct buf *out, struct span bytes)
{
    size_t data_len = bytes.len ? bytes.len - 1 : 0;
    buf_printf(out, "%zu:", BASE64_SIZE(data_len) + 2);
    engine_piece_as_text(out, ENGINE_3, bytes);
}

void engine_payload_add(struct buf *out, const struct engine_wire *wire, bool is_binary, struct engine_piece piece)
{
    if (wire->revision == ENGINE_4) {
        if (out->len)
            buf_add_char(out, SEPARATOR);
        if (piece.is_text)
            buf_add(out, piece.bytes);
        else
            engine_piece_as_text(out, ENGINE_4, piece.bytes);
    } else if (is_binary) {
        add_binary(out, piece);
    } else if (piece.is_text) {
        add_text(out, wire, piece.bytes);
    } else {
        add_base64(out, piece.bytes);
    }
}

/* --- JSONP */

void engine_jsonp_write(struct buf *out, struct span j, struct span payload)
{
    size_t digits = 0;
    buf_add_text(out, "___eio[");
    for (size_t i = 0; i < j.len && digits < JSONP_DIGITS_MAX; i++) {
        if (j.data[i] < '0' || j.data[i] > '9')
            continue;
        buf_add_char(out, j.data[i]);
        digits++;
    }
    buf_add_text(out, "](");
    buf_add_json(out, payload);
    buf_add_text(out, ");");
}

size_t engine_jsonp_restore(char *text, size_t len)
{
    size_t to = 0;
    for (size_t i = 0; i < len; i++) {
        bool is_escape = text[i] == '\\' && i + 1 < len;
        if (is_escape && text[i + 1] == 'n') {
            text[to++] = '\n';
            i++;
        } else if (is_escape && text[i + 1] == '\\' && i + 2 < len && text[i + 2] == 'n') {
            text[to++] = '\\';
            text[to++] = 'n';
            i += 2;
        } else {
            text[to++] = text[i];
        }
    }
    return to;
}
