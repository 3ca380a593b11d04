/* SPDX-License-Identifier: MIT */
/*
 * An emission is one allocation: the struct, the places for its attachments and frames, the texts. Frames are made when
 * first asked for. The text frame is the same for all revisions of Engine.IO unless there is an offset, which only
 * those get that can use it (revision 4), or text that is not ASCII, which the old ones get in escapes
 * (packet_add_ascii). Binary frames differ: the old revisions have a type byte in front.
 */
#include "adapters/socketio/emission.h"

#include "adapters/socketio/packet.h"
#include "http/websocket.h"

enum { FAMILY_NEW, FAMILY_OLD, FAMILY_COUNT };

struct emission {
    uint32_t refs;
    uint8_t count; /* of attachments */
    bool is_volatile;
    bool has_ack;
    uint64_t ack;
    struct span nsp;     /* in this allocation */
    struct span data;    /* in this allocation */
    struct blob *offset; /* owned, a JSON string; null: none */
    struct blob *legacy; /* owned, null until asked for */
    struct blob *blobs[];
    /* attachments[count], then for each family: the text frame, the attachments' frames */
};

static struct blob **frames_of(struct emission *emission, int family)
{
    return emission->blobs + emission->count + (size_t)family * (emission->count + 1U);
}

static size_t blob_count(size_t attachments)
{
    return attachments + FAMILY_COUNT * (attachments + 1);
}

struct emission *emission_new(struct span nsp, struct span data, struct blob *const *attachments, size_t count)
{
    while (data.len && data.data[data.len - 1] != ']') /* what may be behind it is white space */
        data.len--;
    if (count > EMISSION_ATTACHMENTS_MAX)
        return NULL;
    size_t fixed = sizeof(struct emission) + blob_count(count) * sizeof(struct blob *);
    struct emission *emission = calloc(1, fixed + nsp.len + data.len);
    if (!emission)
        return NULL;
    char *text = (char *)emission + fixed;
    memcpy(text, nsp.data, nsp.len);
    memcpy(text + nsp.len, data.data, data.len);
    emission->refs = 1;
    emission->nsp = (struct span){text, nsp.len};
    emission->data = (struct span){text + nsp.len, data.len};
    emission->count = (uint8_t)count;
    for (size_t i = 0; i < count; i++)
        emission->blobs[i] = blob_ref(attachments[i]);
    return emission;
}

struct emission *emission_of(struct span nsp, const char *name, struct span args)
{
    struct buf data = BUF_INIT;
    buf_add_char(&data, '[');
    buf_add_json(&data, span_of(name));
    if (args.len)
        buf_add_char(&data, ',');
    buf_add(&data, args);
    buf_add_char(&data, ']');
    struct emission *emission = buf_failed(&data) ? NULL : emission_new(nsp, buf_span(&data), NULL, 0);
    buf_fini(&data);
    return emission;
}

struct emission *emission_ref(struct emission *emission)
{
    emission->refs++;
    return emission;
}

void emission_unref(struct emission *emission)
{
    if (!emission || --emission->refs)
        return;
    for (size_t i = 0; i < blob_count(emission->count); i++)
        blob_unref(emission->blobs[i]);
    blob_unref(emission->offset);
    blob_unref(emission->legacy);
    free(emission);
}

void emission_set_volatile(struct emission *emission)
{
    emission->is_volatile = true;
}

bool emission_is_volatile(const struct emission *emission)
{
    return emission->is_volatile;
}

void emission_set_ack(struct emission *emission, uint64_t id)
{
    emission->has_ack = true;
    emission->ack = id;
}

bool emission_wants_ack(const struct emission *emission)
{
    return emission->has_ack;
}

enum err emission_set_offset(struct emission *emission, struct span offset)
{
    struct buf json = BUF_INIT;
    buf_add_json(&json, offset);
    struct blob *blob = buf_blob(&json);
    buf_fini(&json);
    if (!blob)
        return ERR_NO_MEMORY;
    blob_unref(emission->offset);
    emission->offset = blob;
    struct blob **frame = frames_of(emission, FAMILY_NEW); /* one that was made before does not have it */
    blob_unref(*frame);
    *frame = NULL;
    return OK;
}

bool emission_has_offset(const struct emission *emission)
{
    return emission->offset != NULL;
}

bool emission_offset_is(const struct emission *emission, struct span offset)
{
    struct span json = emission->offset ? blob_span(emission->offset) : (struct span){0};
    return json.len == offset.len + 2 && memcmp(json.data + 1, offset.data, offset.len) == 0;
}

struct span emission_nsp(const struct emission *emission)
{
    return emission->nsp;
}

struct span emission_data(const struct emission *emission)
{
    return emission->data;
}

struct blob *const *emission_attachments(const struct emission *emission, size_t *ret_count)
{
    *ret_count = emission->count;
    return emission->blobs;
}

/* --- Engine.IO */

static bool is_ascii(struct span text)
{
    unsigned char all = 0;
    for (size_t i = 0; i < text.len; i++)
        all |= (unsigned char)text.data[i];
    return all < 0x80;
}

static void write_head(struct buf *out, const struct emission *emission)
{
    const struct packet packet = {
        .type = emission->count ? PACKET_BINARY_EVENT : PACKET_EVENT,
        .attachments = emission->count,
        .nsp = emission->nsp,
        .has_id = emission->has_ack,
        .id = emission->ack,
    };
    packet_write(out, &packet);
}

/* The offset becomes one more argument. */
static void write_data(struct buf *out, const struct emission *emission)
{
    struct span data = emission->data;
    if (!emission->offset) {
        buf_add(out, data);
        return;
    }
    buf_add(out, (struct span){data.data, data.len - 1}); /* without its bracket */
    buf_add_char(out, ',');
    buf_add(out, blob_span(emission->offset));
    buf_add_char(out, ']');
}

static struct blob *text_frame(const struct emission *emission, int family)
{
    struct buf text = BUF_INIT;
    write_head(&text, emission);
    if (family == FAMILY_NEW)
        write_data(&text, emission);
    else
        packet_add_ascii(&text, emission->data);
    struct blob *frame = buf_failed(&text) ? NULL : engine_text(buf_span(&text));
    buf_fini(&text);
    return frame;
}

static struct blob *text_frame_for(struct emission *emission, int family)
{
    struct blob *other = *frames_of(emission, !family);
    if (other && !emission->offset && is_ascii(emission->data))
        return blob_ref(other);
    return text_frame(emission, family);
}

struct blob *const *emission_frames(struct emission *emission, enum engine_revision revision, size_t *ret_count)
{
    int family = revision == ENGINE_4 ? FAMILY_NEW : FAMILY_OLD;
    struct blob **frames = frames_of(emission, family);
    if (!frames[0])
        frames[0] = text_frame_for(emission, family);
    bool whole = frames[0] != NULL;
    for (size_t i = 1; whole && i <= emission->count; i++) {
        if (!frames[i])
            frames[i] = engine_binary(revision, blob_span(emission->blobs[i - 1]));
        whole = frames[i] != NULL;
    }
    *ret_count = emission->count + 1U;
    return whole ? frames : NULL;
}

/* --- Socket.IO 0.9 */

/* The data without attachments, which it cannot carry. Null: no memory. */
static char *data_without_attachments(const struct emission *emission)
{
    json_t *data = NULL;
    if (!emission->count)
        return span_copy(emission->data);
    if (json_parse(emission->data, PACKET_DEPTH_MAX, &data) || placeholders_to_null(data)) {
        json_decref(data);
        return NULL;
    }
    char *text = json_dumps(data, JSON_COMPACT);
    json_decref(data);
    return text;
}

/* `5:<id+>:<endpoint>:{"name":…,"args":[…]}`; names are always strings there. */
static void write_legacy(struct buf *out, const struct emission *emission, struct span data)
{
    struct span name, args;
    packet_split(data, &name, &args);
    const char *quote = *name.data == '"' ? "" : "\"";
    buf_add_text(out, "5:");
    if (emission->has_ack)
        buf_printf(out, "%llu+", (unsigned long long)emission->ack);
    buf_add_char(out, ':');
    if (!span_is(emission->nsp, "/"))
        buf_add(out, emission->nsp);
    buf_add_text(out, ":{\"name\":");
    buf_add_text(out, quote);
    buf_add(out, name);
    buf_add_text(out, quote);
    buf_add_text(out, ",\"args\":[");
    buf_add(out, args);
    buf_add_text(out, "]}");
}

struct blob *emission_legacy_frame(struct emission *emission)
{
    if (emission->legacy)
        return emission->legacy;
    char *data = data_without_attachments(emission);
    if (!data)
        return NULL;
    struct buf text = BUF_INIT;
    write_legacy(&text, emission, span_of(data));
    emission->legacy = buf_failed(&text) ? NULL : websocket_frame(buf_span(&text), true);
    buf_fini(&text);
    free(data);
    return emission->legacy;
}
