/* SPDX-License-Identifier: MIT */
/*
 * Broadcasts from whoever can publish in Redis.
 *
 * Invariants: what is read is bounded and fit to be sent to clients; what JSON can hold of it is written in the
 * standard dialect, and means the same when it is read again; and the bytes of another message are not taken for our
 * own.
 */
#include <stdint.h>
#include <stdlib.h>

#include "adapters/socketio/msgpack.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_rooms(const struct span *rooms, size_t count)
{
    require(count <= MSGPACK_ROOMS_MAX);
    for (size_t i = 0; i < count; i++)
        require(utf8_valid(rooms[i]));
}

static void check(const struct broadcast *broadcast)
{
    struct span json = broadcast->data;
    require(json.len >= 2 && json.data[0] == '[' && json.data[json.len - 1] == ']');
    require(utf8_valid(json) && utf8_valid(broadcast->nsp) && utf8_valid(broadcast->uid));
    require(!span_has(json, '\n') && !span_has(json, '\0'));
    require(broadcast->attachment_count <= EMISSION_ATTACHMENTS_MAX);
    check_rooms(broadcast->audience.rooms, broadcast->audience.room_count);
    check_rooms(broadcast->audience.except, broadcast->audience.except_count);
}

static void compare(const struct broadcast *a, const struct broadcast *b)
{
    require(span_equal(a->data, b->data) && span_equal(a->nsp, b->nsp) && span_equal(a->uid, b->uid));
    require(a->is_volatile == b->is_volatile && a->attachment_count == b->attachment_count);
    require(a->audience.room_count == b->audience.room_count && a->audience.except_count == b->audience.except_count);
    for (size_t i = 0; i < a->attachment_count; i++)
        require(span_equal(blob_span(a->attachments[i]), blob_span(b->attachments[i])));
    for (size_t i = 0; i < a->audience.room_count; i++)
        require(span_equal(a->audience.rooms[i], b->audience.rooms[i]));
}

/* jansson has no integers beyond 64 bits and no key twice; the rest comes back. */
static void check_written(const struct broadcast *broadcast)
{
    struct buf out = BUF_INIT;
    struct broadcast *again = NULL;
    const char *why = NULL;
    enum err err = broadcast_write(&out, broadcast);
    require(err == OK || err == ERR_BAD_JSON);
    if (!err) {
        require(broadcast_read(buf_span(&out), &again, &why) == OK);
        compare(broadcast, again);
    }
    broadcast_free(again);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = {(const char *)data, size};
    struct broadcast *broadcast = NULL;
    const char *why = NULL;
    (void)broadcast_is_of(bytes, SPAN_LITERAL("emitter"));
    enum err err = broadcast_read(bytes, &broadcast, &why);
    require(err == OK || (err == ERR_BAD_REQUEST && why && !broadcast));
    if (err)
        return 0;
    check(broadcast);
    check_written(broadcast);
    broadcast_free(broadcast);
    return 0;
}
