/* SPDX-License-Identifier: MIT */
/* Parts: what a gateway is made of, made as the options say, and freed. How they work together is in gateway.c. */
#ifndef PARTS_H
#define PARTS_H

#include "adapters/nereid/nereid.h"
#include "adapters/socketio/socketio.h"
#include "adapters/talker/talker.h"
#include "admin/admin.h"
#include "conf/options.h"
#include "http/server.h"
#include "io/arrival.h"

/* An HTTP server with its routes and pages. */
struct front {
    struct router *router;
    struct http_server *server;
    struct statics *statics; /* null: none */
};

struct parts {
    const struct options *options;
    struct loop *loop;
    struct peers *peers;
    struct conns *conns;
    struct arrivals *arrivals;
    struct auth *auth;
    struct store *store; /* null once it was closed */
    char *store_url;     /* as it may be shown */
    struct hub *hub;
    struct nereid *nereid;
    struct socketio *socketio; /* null: not spoken */
    struct talker *talker;
    struct admin admin;
    struct front http;
    struct front operators;
    struct http_limits limits;
    const char **origins; /* ends with null */
    char *content_policy;
};

/* Makes all of them; nothing listens yet and the hub has not been started. `options` outlives them. ERR_BAD_FIELD:
 * parts_options_valid would refuse them; ERR_INTERNAL: it cannot be. The reason was logged, unless it was want of
 * memory. */
enum err parts_new(const struct options *options, struct parts **ret_parts) must_check;

/* Closes the store, unless that has been done, and stops the loop once it is closed. */
void parts_close_store(struct parts *parts);

/* Closes what is still open of client connections, at once. */
void parts_cut(struct parts *parts);

/* Listeners are closed. Closes the store if that has not been done, and frees everything. Null is allowed. */
void parts_free(struct parts *parts);

/* See gateway.h. */
bool parts_options_valid(const struct options *options);

#endif
