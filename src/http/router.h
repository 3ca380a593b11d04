/* SPDX-License-Identifier: MIT */
/*
 * Router: which handler answers, and whether the caller may ask.
 *
 * A protocol brings its routes as a table and mounts it. A request goes through these steps, and the first that objects
 * answers:
 *
 *     match path ──> 404 not_found            OPTIONS ──> 204 with Allow; a preflight from a listed origin gets its CORS answer
 *     match method ─> 405 with Allow          HEAD goes where GET goes
 *     origin ───────> 403 bad_origin          see below
 *     caller ───────> 401 with WWW-Authenticate, 404 no_token, 403 token_scope, 429
 *     handler
 *
 * Patterns: segments separated by `/`; a segment `<name>` matches any one segment that is not empty and becomes
 * request_param(req, "name"). A literal segment is preferred to a parameter. Paths are compared after percent-decoding,
 * except that an encoded slash stays part of its segment. No other normalisation: `//`, `/./` and `/../` match nothing.
 *
 * Callers. Where the pattern holds `<token>`, that chat token says who is calling and nothing else is looked at.
 * Elsewhere `Authorization: Bearer <UUID>` does, and else the authentication methods (core/auth.h) are asked. A token
 * that is malformed is answered like one that is unknown, after the same look-up.
 *
 * Origins. With no Origin header (not a browser, or a plain same-origin GET) nothing is checked. An origin that is
 * listed exactly is echoed with `Vary: Origin` and credentials allowed (a listed origin is trusted with the login of
 * its user: that is what listing it means). One that equals the Host header, http or https, is our own page and needs
 * no CORS headers. Any other is foreign: it gets no CORS headers, and 403 bad_origin for POST and DELETE, for
 * WebSockets, and for whatever is allowed by a login that a browser adds on its own (all but chat tokens), so no
 * foreign page can act for a user.
 */
#ifndef HTTP_ROUTER_H
#define HTTP_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/id.h"
#include "core/auth.h"
#include "http/request.h"

struct router;

/* HTTP_ANY is every method, known or not, but OPTIONS; its pattern has no other route. */
enum http_method { HTTP_GET, HTTP_POST, HTTP_DELETE, HTTP_ANY, HTTP_METHOD_COUNT };

enum route_who {
    ROUTE_ANYONE,
    ROUTE_LOGIN,         /* a login; a chat token gives 403 token_scope */
    ROUTE_LOGIN_OR_TOKEN /* either; with `<token>` in the pattern that token and nothing else */
};

struct route {
    enum http_method method;
    const char *pattern;
    enum route_who who;
    void (*handle)(void *ctx, struct request *req); /* `ctx` as mounted */
};

/* The answer of a token check. OK: `identity` is whose token it is, and lives until this returns. ERR_NO_TOKEN, or
 * an error of the store. */
typedef void token_done(void *ctx, enum err err, const struct identity *identity);

struct router_config {
    struct auth *auth;          /* null: every login is refused */
    const char *const *origins; /* listed origins, `scheme://host[:port]`, ending with null; null: none */

    /* Looks a token up and calls `done(done_ctx, …)` once, from inside or later. Null: every token is unknown. */
    void (*token_check)(void *token_ctx, struct id token, token_done *done, void *done_ctx);
    void *token_ctx;
};

/* What `config` points to outlives the router. Null: no memory. */
struct router *router_new(const struct router_config *config) must_check;

/* The servers that use it are closed. Null is allowed. */
void router_free(struct router *router);

/* Adds `count` routes; the table outlives the router. ERR_NO_MEMORY: none was added. A pattern twice for one method
 * is a bug. */
enum err router_mount(struct router *router, const struct route *routes, size_t count, void *ctx) must_check;

/* The same for a protocol with rules of its own: a body of up to `body_bytes`, of any type, is taken as it came
 * (request_body), and a foreign Origin is the handler's to refuse (request_origin). */
enum err router_mount_raw(struct router *router, const struct route *routes, size_t count, size_t body_bytes,
                          void *ctx) must_check;

/* Answers GET and HEAD of paths that no pattern matches (static files), for anyone. */
void router_set_fallback(struct router *router, void (*handle)(void *ctx, struct request *req), void *ctx);

#endif
