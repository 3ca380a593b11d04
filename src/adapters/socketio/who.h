/* SPDX-License-Identifier: MIT */
/*
 * Who a socket is: what the HTTP layer has found out at the handshake, or a token that the client shows in Socket.IO.
 *
 *     in the event  >  HTTP login or chat token  >  in CONNECT's auth  >  in the handshake's query
 *
 * The first there is decides.
 *
 * A token is a chat token (a UUID) or a JWT (core/bearer.h); anything else is refused. Loop thread only.
 */
#ifndef SOCKETIO_WHO_H
#define SOCKETIO_WHO_H

#include "adapters/socketio/socket.h"

struct who {
    struct span user;
    struct span name;   /* display name; may be empty */
    int64_t expires_us; /* wall clock; 0: does not end */
    bool by_token;      /* a chat token, `token`: the core ends its sessions */
    struct id token;
};

/* `who` lives until this returns, and is null where nobody was shown, which is no error, or with an error:
 * ERR_UNAUTHORIZED, ERR_NO_TOKEN (refused; `reason` is a static sentence, or null), ERR_TOO_MANY, ERR_STORE,
 * ERR_NO_MEMORY, ERR_SHUTTING_DOWN, ERR_GONE (the socket was disconnected meanwhile). */
typedef void who_done(void *ctx, struct socket *socket, enum err err, const struct who *who, const char *reason);

/* Finds it out; `done` is called once, perhaps from inside. `in_event` is a token that came in an event, null data:
 * none was; `shown` what who_shown has kept, or null. Both are copied. The socket is held until then. */
void who_find(struct socket *socket, struct span in_event, const char *shown, who_done *done, void *ctx);

/* A copy of the `token` in what came with CONNECT, for the caller to free; null: there is none, or no memory. */
char *who_shown(const json_t *auth) must_check;

#endif
