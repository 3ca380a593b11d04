/* SPDX-License-Identifier: MIT */
/*
 * Request: one HTTP request from the moment the router has found its handler until it is answered.
 *
 *     handler(ctx, req) ── reads what was asked ── exactly one answer, in the handler or later ──> req is gone
 *
 * By then the request has arrived whole, its framing is sound, its text is valid UTF-8, its body within the limits, its
 * caller known and allowed (router.h). A handler that cannot answer yet keeps `req` and returns; nothing else is
 * needed.
 *
 * The answer calls (request_reply… request_fail, request_stream, request_upgrade in stream.h) end the request: `req`
 * and every span read from it must not be touched after. They cannot fail for the caller: where there is no memory for
 * an answer the connection is closed.
 *
 * If the peer goes away meanwhile, the request stays valid and must still be answered; the answer is thrown away. Loop
 * thread only.
 */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/blob.h"
#include "base/err.h"
#include "base/id.h"
#include "base/json.h"
#include "base/span.h"

struct request;

/* Who is asking, as found by the router. */
struct caller {
    struct span user; /* empty on routes open to anyone */
    struct span name; /* display name; may be empty */
    bool by_token;    /* identified by a chat token, `token` */
    struct id token;
    int64_t expires_us; /* as in struct identity */
};

/* A header of an answer. Lists end with a null name. A value with control characters is left out. */
struct http_header {
    const char *name;
    const char *value;
};

/* --- what was asked; all spans live until the answer --- */

const struct caller *request_caller(const struct request *req);

/* HEAD goes to the handler of GET; the body of its answer is not sent. */
bool request_is_head(const struct request *req);

/* For routes that take any method. A HEAD is neither. */
bool request_is_get(const struct request *req);
bool request_is_post(const struct request *req);

/* Where a request comes from, as far as its Origin header says: no header, our own pages, a listed origin, any
 * other. */
enum request_origin { REQUEST_ORIGIN_NONE, REQUEST_ORIGIN_SAME, REQUEST_ORIGIN_LISTED, REQUEST_ORIGIN_FOREIGN };
enum request_origin request_origin(const struct request *req);

/* Whether the Host header is an address or localhost, or names nothing. A web page may have any other name lead to us
 * (DNS rebinding), and its origin is then taken for our own. */
bool request_is_by_address(const struct request *req);

/* Whether the request came as HTTP/1.0. */
bool request_is_http10(const struct request *req);

/* The path, percent-decoded once. */
struct span request_path(const struct request *req);

/* What stands in the path at `<name>` of the route's pattern, percent-decoded; empty where the pattern has none. */
struct span request_param(const struct request *req, const char *name);

/* What stands behind the question mark, as it came; empty where there is none. */
struct span request_raw_query(const struct request *req);

/* A field of the query alone, decoded; of several with this name the last. False, and *ret_value untouched: there is
 * none. */
bool request_query(const struct request *req, const char *name, struct span *ret_value);

/* The body as it came; any bytes. */
struct span request_body(const struct request *req);

/* The header's value; empty where there is none, or more than one. Any case. */
struct span request_header(const struct request *req, const char *name);

/* Whether `type` (such as "text/event-stream") is named in an Accept header, whatever its weight unless that is 0.
 * `*` names nothing. */
bool request_accepts(const struct request *req, const char *type);

/* The peer's numeric address; empty for a Unix socket. */
struct span request_address(const struct request *req);

/* Fields are looked up in the body, form-encoded or a JSON object, and where the body does not have them in the
 * query. Text is valid UTF-8. In JSON a number or boolean reads as its JSON text, and null as absent. */

/* One value. ERR_MISSING_FIELD: absent. ERR_BAD_FIELD: more than one, or neither text, number nor boolean.
 * ERR_NO_MEMORY. */
enum err request_field(struct request *req, const char *name, struct span *ret_value) must_check;

/* All values in order: the field repeated, or a JSON array. No value is no error: *ret_count is 0 then.
 * ERR_BAD_FIELD, ERR_NO_MEMORY. */
enum err request_fields(struct request *req, const char *name, const struct span **ret_values,
                        size_t *ret_count) must_check;

/* Any JSON value, and its text as it was written; a form or query field holds it as JSON text. Both borrowed.
 * ERR_MISSING_FIELD, ERR_BAD_FIELD (more than one), ERR_BAD_JSON, ERR_NO_MEMORY. */
enum err request_json(struct request *req, const char *name, json_t **ret_json, struct span *ret_text) must_check;

/* --- waiting --- */

/* On a route open to anyone: finds out who is asking all the same, as for ROUTE_LOGIN_OR_TOKEN. Calls `done(ctx, …)`
 * once, perhaps from inside. OK: request_caller says who. ERR_UNAUTHORIZED: no credentials, or wrong ones;
 * ERR_NO_TOKEN: a chat token that is none; ERR_BAD_ORIGIN: a foreign page, whose login does not count; ERR_TOO_MANY:
 * see core/auth.h; ERR_SHUTTING_DOWN, ERR_NO_MEMORY, errors of the store. The request must still be answered. */
void request_identify(struct request *req, void (*done)(void *ctx, enum err err, unsigned retry_after_s), void *ctx);

/* Calls `gone(ctx)` once if the peer goes away before the answer; never from inside this call, and not after the
 * answer. The request must still be answered, in `gone` or later. A peer that has only closed its sending side (FIN)
 * counts as gone only here, on watched requests: others are still answered. Without memory for a watch nothing is
 * watched. */
void request_watch(struct request *req, void (*gone)(void *ctx), void *ctx);

/* --- answers: exactly one of these, or of those in stream.h --- */

/* `type` is the Content-Type, null where `body` is null (as for 204). Takes its own reference to `body`. `headers`
 * may be null. All answers carry Cache-Control: no-store (unless `headers` has its own), X-Content-Type-Options:
 * nosniff, Referrer-Policy: no-referrer and what CORS asks for. */
void request_reply(struct request *req, int status, const char *type, struct blob *body,
                   const struct http_header *headers);

/* `json` as application/json. Consumes the reference; null means there was no memory to make it. */
void request_reply_json(struct request *req, int status, json_t *take_json);

/* The error as `{"error": word, "message": sentence}` with its status. `sentence` null: the one of the table.
 * `retry_after_s` 0: no Retry-After, except that a 503 always has one. */
void request_fail(struct request *req, enum err err, const char *sentence, unsigned retry_after_s);

/* `size` bytes of the file `take_fd` from its start; the descriptor is always consumed. */
void request_reply_file(struct request *req, int status, const char *type, int take_fd, uint64_t size,
                        const struct http_header *headers);

#endif
