/* SPDX-License-Identifier: MIT */
/* The applications, and what they know of each other. */
#ifndef SOCKETIO_APP_H
#define SOCKETIO_APP_H

#include "adapters/socketio/socket.h"

extern const struct app app_maxtalk;   /* /max */
extern const struct app app_messaging; /* / */
extern const struct app app_sockets;   /* / */

/* This socket need not authenticate in messaging: it is in `/` for something else. */
void messaging_excuse(struct socket *socket);

/* {"error": word, "message": sentence}, as arguments. */
void app_write_error(struct buf *out, enum err err, const char *sentence);

/* Whether a refusal passes by itself. Then the connection is dropped, so that the client tries again. */
bool app_is_passing(enum err err);

/* Joins the room `kind(of)`, such as user(alice). Errors as socket_join. */
enum err app_join_room(struct socket *socket, const char *kind, struct span of) must_check;

#endif
