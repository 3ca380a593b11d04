/* SPDX-License-Identifier: MIT */
/*
 * Broadcasts as Socket.IO's adapters and emitters publish them on Redis, in MessagePack.
 *
 *     [uid, {type, data: [name, …], nsp}, {rooms, except, flags}]      and [packet, options] before 0.3
 *
 * Two dialects are read: the standard one with the extensions of msgpack-lite and notepack, and that of msgpack-js,
 * where 0xd8, 0xd9 and 0xc4 are something else. What comes in is checked whole before anything is allocated for it:
 * each count against the bytes that are left, at most MSGPACK_DEPTH_MAX levels, MSGPACK_VALUES_MAX values, keys that
 * are strings, valid UTF-8, nothing behind the end. Pure functions.
 */
#ifndef SOCKETIO_MSGPACK_H
#define SOCKETIO_MSGPACK_H

#include "adapters/socketio/socket.h"

enum { MSGPACK_DEPTH_MAX = 32, MSGPACK_VALUES_MAX = 1000000, MSGPACK_ROOMS_MAX = 10000 };

/* An event for an audience. What it refers to lives as long as it, and as the bytes it was read from. */
struct broadcast {
    struct span uid;  /* whose it is; null data: not said */
    struct span nsp;  /* "/" where not said */
    struct span data; /* JSON, an array: the event's name and arguments, with placeholders for attachments */
    struct blob *attachments[EMISSION_ATTACHMENTS_MAX];
    size_t attachment_count;
    struct audience audience;
    bool is_volatile;
};

/* Reads one. In JSON, a Date becomes the text that JavaScript makes of it; undefined becomes null, and is left out in
 * objects; numbers that JSON has not become null; integers stay as they are. ERR_BAD_REQUEST: not acceptable; *ret_why
 * is then a static sentence. ERR_NO_MEMORY. */
enum err broadcast_read(struct span bytes, struct broadcast **ret_broadcast, const char **ret_why) must_check;

/* Null is allowed. */
void broadcast_free(struct broadcast *broadcast);

/* Writes one in the standard dialect, as adapters since 2017 read it. ERR_BAD_JSON: `data` is not JSON, or too deep to
 * be read by others; ERR_NO_MEMORY. What `out` holds then is of no use. */
enum err broadcast_write(struct buf *out, const struct broadcast *broadcast) must_check;

/* Whether it was written by broadcast_write with this uid; looks at its first bytes only. */
bool broadcast_is_of(struct span bytes, struct span uid);

/* The library's name and version; static. */
const char *msgpack_library(void);

#endif
