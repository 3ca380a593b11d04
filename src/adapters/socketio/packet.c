/* SPDX-License-Identifier: MIT */
/*
 * A packet is read from its left to its right; what is cheap to refuse is refused before the JSON is parsed.
 * Placeholders are looked for with a stack of our own, for JSON from outside is not walked by recursion.
 */
#include "adapters/socketio/packet.h"

/* --- placeholders */

/* Where a walk stands in an array or an object. */
struct place {
    json_t *node;
    size_t index; /* of the next item of an array */
    void *iter;   /* the next member of an object */
};

static struct place place_in(json_t *node)
{
    return (struct place){node, 0, json_is_object(node) ? json_object_iter(node) : NULL};
}

/* The next child, or null. */
static json_t *place_next(struct place *place)
{
    if (json_is_array(place->node))
        return json_array_get(place->node, place->index++);
    json_t *child = place->iter ? json_object_iter_value(place->iter) : NULL;
    return child;
}

/* Moves on behind the child that place_next gave. */
static void place_step(struct place *place)
{
    if (place->iter)
        place->iter = json_object_iter_next(place->node, place->iter);
}

static int place_set_null(const struct place *place)
{
    if (place->iter)
        return json_object_iter_set_new(place->node, place->iter, json_null());
    return json_array_set_new(place->node, place->index - 1, json_null());
}

static bool is_placeholder(const json_t *value)
{
    return json_is_object(value) && json_is_true(json_object_get(value, "_placeholder"));
}

/* Calls `found` for each placeholder below `root`, and stops at the first error. */
static enum err placeholders_each(json_t *root, enum err (*found)(void *ctx, json_t *placeholder, struct place *at),
                                  void *ctx)
{
    struct place stack[PACKET_DEPTH_MAX];
    size_t depth = 0;
    stack[depth++] = place_in(root);
    while (depth) {
        struct place *at = &stack[depth - 1];
        json_t *child = place_next(at);
        if (!child) {
            depth--;
            continue;
        }
        bool placeholder = is_placeholder(child);
        enum err err = placeholder ? found(ctx, child, at) : OK;
        if (err)
            return err;
        place_step(at);
        bool descend = !placeholder && (json_is_array(child) || json_is_object(child));
        if (descend && depth < PACKET_DEPTH_MAX)
            stack[depth++] = place_in(child);
    }
    return OK;
}

struct count {
    unsigned attachments;
    unsigned seen; /* a bit for each */
};

static enum err count_placeholder(void *ctx, json_t *placeholder, struct place *at unused_arg)
{
    struct count *count = ctx;
    const json_t *num = json_object_get(placeholder, "num");
    if (!json_is_integer(num) || json_object_size(placeholder) != 2)
        return ERR_BAD_FIELD;
    json_int_t index = json_integer_value(num);
    if (index < 0 || index >= count->attachments || count->seen & 1U << index)
        return ERR_BAD_FIELD;
    count->seen |= 1U << index;
    return OK;
}

static enum err check_placeholders(json_t *json, unsigned attachments)
{
    struct count count = {attachments, 0};
    enum err err = placeholders_each(json, count_placeholder, &count);
    if (err)
        return err;
    return count.seen == (1U << attachments) - 1 ? OK : ERR_BAD_FIELD;
}

static enum err null_placeholder(void *ctx unused_arg, json_t *placeholder unused_arg, struct place *at)
{
    return place_set_null(at) ? ERR_NO_MEMORY : OK;
}

enum err placeholders_to_null(json_t *array)
{
    return placeholders_each(array, null_placeholder, NULL);
}

/* --- payloads */

static enum err check_nothing(const struct packet *packet, const struct packet_rules *rules unused_arg)
{
    return packet->json ? ERR_BAD_REQUEST : OK;
}

static enum err check_connect(const struct packet *packet, const struct packet_rules *rules unused_arg)
{
    return !packet->json || json_is_object(packet->json) ? OK : ERR_BAD_REQUEST;
}

static enum err check_error(const struct packet *packet, const struct packet_rules *rules unused_arg)
{
    return json_is_string(packet->json) || json_is_object(packet->json) ? OK : ERR_BAD_REQUEST;
}

static enum err check_array(const struct packet *packet)
{
    return json_is_array(packet->json) ? check_placeholders(packet->json, packet->attachments) : ERR_BAD_REQUEST;
}

static enum err check_ack(const struct packet *packet, const struct packet_rules *rules unused_arg)
{
    return packet->has_id ? check_array(packet) : ERR_BAD_REQUEST;
}

bool packet_is_reserved(const char *name)
{
    static const char *const reserved[] = {"connect",       "connect_error", "disconnect",
                                           "disconnecting", "newListener",   "removeListener"};
    for (size_t i = 0; i < array_len(reserved); i++)
        if (strcmp(reserved[i], name) == 0)
            return true;
    return false;
}

static enum err check_event(const struct packet *packet, const struct packet_rules *rules)
{
    const json_t *name = json_array_get(packet->json, 0);
    if (!json_is_string(name) && !json_is_number(name))
        return ERR_BAD_REQUEST;
    if (json_is_string(name) && packet_is_reserved(json_string_value(name)))
        return ERR_BAD_FIELD;
    if (json_is_string(name) && json_string_length(name) > rules->name_bytes)
        return ERR_TOO_LARGE;
    return check_array(packet);
}

static const struct {
    enum err (*check)(const struct packet *packet, const struct packet_rules *rules);
    bool may_have_id;
} types[PACKET_TYPE_COUNT] = {
    [PACKET_CONNECT] = {check_connect, false},    [PACKET_DISCONNECT] = {check_nothing, false},
    [PACKET_EVENT] = {check_event, true},         [PACKET_ACK] = {check_ack, true},
    [PACKET_CONNECT_ERROR] = {check_error, true}, [PACKET_BINARY_EVENT] = {check_event, true},
    [PACKET_BINARY_ACK] = {check_ack, true},
};

/* --- reading */

struct input {
    struct span left;
    const struct packet_rules *rules;
};

static void skip(struct input *in, size_t count)
{
    in->left.data += count;
    in->left.len -= count;
}

static bool next_is(const struct input *in, char byte)
{
    return in->left.len && *in->left.data == byte;
}

static bool next_is_digit(const struct input *in)
{
    return in->left.len && *in->left.data >= '0' && *in->left.data <= '9';
}

/* Decimal digits, at least one. False: there is none, or they mean more than `max`. */
static bool read_number(struct input *in, uint64_t max, uint64_t *ret_number)
{
    uint64_t number = 0;
    if (!next_is_digit(in))
        return false;
    for (; next_is_digit(in); skip(in, 1)) {
        uint64_t digit = (uint64_t)(*in->left.data - '0');
        if (number > (max - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *ret_number = number;
    return true;
}

static enum err read_type(struct input *in, struct packet *packet)
{
    if (!next_is_digit(in) || *in->left.data >= '0' + PACKET_TYPE_COUNT)
        return ERR_BAD_REQUEST;
    packet->type = (enum packet_type)(*in->left.data - '0');
    skip(in, 1);
    return OK;
}

static enum err read_attachments(struct input *in, struct packet *packet)
{
    uint64_t count;
    if (!packet_is_binary(packet->type))
        return OK;
    if (!read_number(in, UINT32_MAX, &count) || !next_is(in, '-') || count == 0)
        return ERR_BAD_REQUEST;
    if (count > in->rules->attachments)
        return ERR_TOO_MANY;
    packet->attachments = (unsigned)count;
    skip(in, 1);
    return OK;
}

/* The comma behind it may be missing where nothing follows. */
static enum err read_nsp(struct input *in, struct packet *packet)
{
    packet->nsp = SPAN_LITERAL("/");
    if (!next_is(in, '/'))
        return OK;
    const char *comma = memchr(in->left.data, ',', in->left.len);
    struct span nsp = {in->left.data, comma ? (size_t)(comma - in->left.data) : in->left.len};
    skip(in, nsp.len + (comma != NULL));
    const char *mark = in->rules->old ? memchr(nsp.data, '?', nsp.len) : NULL;
    if (mark) {
        packet->query = (struct span){mark + 1, (size_t)(nsp.data + nsp.len - mark) - 1};
        nsp.len = (size_t)(mark - nsp.data);
    }
    packet->nsp = nsp;
    return nsp.len > PACKET_NSP_MAX || packet->query.len > PACKET_QUERY_MAX ? ERR_TOO_LARGE : OK;
}

static enum err read_id(struct input *in, struct packet *packet)
{
    packet->has_id = next_is_digit(in);
    if (!packet->has_id)
        return OK;
    return types[packet->type].may_have_id && read_number(in, UINT64_MAX, &packet->id) ? OK : ERR_BAD_REQUEST;
}

static enum err read_payload(struct input *in, struct packet *packet)
{
    unsigned depth = in->rules->depth < PACKET_DEPTH_MAX ? in->rules->depth : PACKET_DEPTH_MAX;
    packet->text = in->left;
    enum err err = in->left.len ? json_parse(in->left, depth, &packet->json) : OK;
    return err ? err : types[packet->type].check(packet, in->rules);
}

enum err packet_read(struct span text, const struct packet_rules *rules, struct packet *ret_packet)
{
    static enum err (*const steps[])(struct input *, struct packet *) = {read_type, read_attachments, read_nsp, read_id,
                                                                         read_payload};
    struct input in = {text, rules};
    struct packet packet = {0};
    for (size_t i = 0; i < array_len(steps); i++) {
        enum err err = steps[i](&in, &packet);
        if (err) {
            packet_fini(&packet);
            return err;
        }
    }
    *ret_packet = packet;
    return OK;
}

void packet_fini(struct packet *packet)
{
    json_decref(packet->json);
    packet->json = NULL;
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static struct span trimmed(struct span text)
{
    for (; text.len && is_space(*text.data); text.len--)
        text.data++;
    while (text.len && is_space(text.data[text.len - 1]))
        text.len--;
    return text;
}

/* How long the string or number is that `text` begins with. */
static size_t item_len(struct span text)
{
    size_t at = 0;
    if (text.len == 0 || *text.data != '"') {
        while (at < text.len && text.data[at] != ',' && !is_space(text.data[at]))
            at++;
        return at;
    }
    for (at = 1; at < text.len && text.data[at] != '"'; at++)
        at += text.data[at] == '\\';
    return at < text.len ? at + 1 : text.len;
}

void packet_split(struct span array, struct span *ret_name, struct span *ret_args)
{
    array = trimmed(array);
    struct span inside = trimmed((struct span){array.data + 1, array.len - 2});
    size_t len = item_len(inside);
    *ret_name = (struct span){inside.data, len};
    struct span rest = trimmed((struct span){inside.data + len, inside.len - len});
    *ret_args = rest.len ? trimmed((struct span){rest.data + 1, rest.len - 1}) : rest; /* without the comma */
}

/* --- writing */

void packet_write(struct buf *out, const struct packet *packet)
{
    buf_add_char(out, (char)('0' + packet->type));
    if (packet_is_binary(packet->type))
        buf_printf(out, "%u-", packet->attachments);
    if (!span_is(packet->nsp, "/")) {
        buf_add(out, packet->nsp);
        buf_add_char(out, ',');
    }
    if (packet->has_id)
        buf_printf(out, "%llu", (unsigned long long)packet->id);
    buf_add(out, packet->text);
}

/* The code point at the head of valid UTF-8, and how many bytes it has. */
static uint32_t code_point(const unsigned char *text, size_t *ret_len)
{
    size_t len = text[0] < 0x80 ? 1 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
    uint32_t point = len == 1 ? text[0] : text[0] & (0x7fU >> len);
    for (size_t i = 1; i < len; i++)
        point = point << 6 | (text[i] & 0x3fU);
    *ret_len = len;
    return point;
}

static void add_escape(struct buf *out, uint32_t point)
{
    if (point >= 0x10000) {
        buf_printf(out, "\\u%04x", 0xd800 + ((point - 0x10000) >> 10));
        point = 0xdc00 + ((point - 0x10000) & 0x3ff);
    }
    buf_printf(out, "\\u%04x", point);
}

void packet_add_ascii(struct buf *out, struct span json)
{
    const unsigned char *text = (const unsigned char *)json.data;
    for (size_t from = 0, at = 0; at < json.len;) {
        while (at < json.len && text[at] < 0x80)
            at++;
        buf_add(out, (struct span){json.data + from, at - from});
        for (size_t len; at < json.len && text[at] >= 0x80; at += len)
            add_escape(out, code_point(text + at, &len));
        from = at;
    }
}
