/* SPDX-License-Identifier: MIT */
/*
 * The way of a request to its handler, and the checks on it.
 *
 * All routes of all tables are looked at for each request; with a few dozen rows that is cheaper than any index. A
 * match is scored by which of its segments are literal, the first counting most, so a literal segment wins over a
 * parameter.
 */
#include "http/router.h"

#include <assert.h>
#include <stdlib.h>
#include <strings.h>

#include "base/metric.h"
#include "http/inside.h"

struct mount {
    const struct route *routes;
    size_t count;
    size_t body_bytes; /* what a body may have; 0: what the server says, and it is read as fields */
    void *ctx;
    struct mount *next;
};

struct router {
    struct router_config config;
    struct mount *mounts; /* owned */
    void (*fallback)(void *ctx, struct request *req);
    void *fallback_ctx;
};

static const char *const method_words[HTTP_METHOD_COUNT] = {"GET", "POST", "DELETE", "GET, HEAD, POST"};

struct router *router_new(const struct router_config *config)
{
    struct router *router = calloc(1, sizeof(*router));
    if (router)
        router->config = *config;
    return router;
}

void router_free(struct router *router)
{
    if (!router)
        return;
    while (router->mounts) {
        struct mount *mount = router->mounts;
        router->mounts = mount->next;
        free(mount);
    }
    free(router);
}

static enum err mount_routes(struct router *router, const struct mount *fields)
{
    struct mount *mount = malloc(sizeof(*mount));
    if (!mount)
        return ERR_NO_MEMORY;
    *mount = *fields;
    mount->next = router->mounts;
    router->mounts = mount;
    return OK;
}

enum err router_mount(struct router *router, const struct route *routes, size_t count, void *ctx)
{
    return mount_routes(router, &(struct mount){.routes = routes, .count = count, .ctx = ctx});
}

enum err router_mount_raw(struct router *router, const struct route *routes, size_t count, size_t body_bytes, void *ctx)
{
    assert(body_bytes > 0);
    return mount_routes(router,
                        &(struct mount){.routes = routes, .count = count, .body_bytes = body_bytes, .ctx = ctx});
}

void router_set_fallback(struct router *router, void (*handle)(void *ctx, struct request *req), void *ctx)
{
    router->fallback = handle;
    router->fallback_ctx = ctx;
}

bool router_has_origins(const struct router *router)
{
    return router->config.origins && router->config.origins[0];
}

/* --- patterns --- */

/* The segment at the front of *path, which begins with its slash. False: no further one. */
static bool next_segment(struct span *path, struct span *ret_segment)
{
    if (path->len == 0 || path->data[0] != '/')
        return false;
    const char *begin = path->data + 1;
    const char *end = memchr(begin, '/', path->len - 1);
    size_t len = end ? (size_t)(end - begin) : path->len - 1;
    *ret_segment = (struct span){begin, len};
    *path = (struct span){begin + len, path->len - 1 - len};
    return true;
}

static bool is_param(struct span segment)
{
    return segment.len > 2 && segment.data[0] == '<' && segment.data[segment.len - 1] == '>';
}

static struct span param_name(struct span segment)
{
    return (struct span){segment.data + 1, segment.len - 2};
}

/* Escapes are rare in paths: only a segment that has one is decoded to be compared. */
static bool is_same_segment(struct span literal, struct span raw)
{
    char decoded[64];
    size_t len;
    if (!raw.len || !memchr(raw.data, '%', raw.len))
        return span_equal(literal, raw);
    return raw.len <= sizeof(decoded) && percent_decode(raw, PERCENT_PATH, decoded, &len) == OK &&
           span_equal(literal, (struct span){decoded, len});
}

/* How well the path matches: 0 not at all, else one bit for each segment that is literal, the first the highest. */
static unsigned match_score(const char *pattern_text, struct span path)
{
    struct span pattern = span_of(pattern_text);
    struct span want, have;
    unsigned score = 1;
    while (next_segment(&pattern, &want)) {
        if (!next_segment(&path, &have))
            return 0;
        if (is_param(want) ? have.len == 0 : !is_same_segment(want, have))
            return 0;
        score = score << 1 | !is_param(want);
    }
    return path.len == 0 ? score : 0;
}

/* --- finding the route --- */

struct found {
    unsigned score; /* 0: no pattern matches */
    const struct route *by_method[HTTP_METHOD_COUNT];
    const struct mount *mounts[HTTP_METHOD_COUNT]; /* where each of them stands */
};

static void consider(struct found *found, const struct route *route, const struct mount *mount, struct span path)
{
    unsigned score = match_score(route->pattern, path);
    if (score == 0 || score < found->score)
        return;
    if (score > found->score)
        *found = (struct found){.score = score};
    found->by_method[route->method] = route;
    found->mounts[route->method] = mount;
}

static struct found find(const struct router *router, struct span path)
{
    struct found found = {0};
    for (const struct mount *mount = router->mounts; mount; mount = mount->next)
        for (size_t i = 0; i < mount->count; i++)
            consider(&found, &mount->routes[i], mount, path);
    return found;
}

/* Which of the routes takes the method; HTTP_METHOD_COUNT: none. */
static enum http_method route_of(const struct found *found, enum method method)
{
    static const enum http_method methods[] = {
        [METHOD_GET] = HTTP_GET,
        [METHOD_HEAD] = HTTP_GET,
        [METHOD_POST] = HTTP_POST,
        [METHOD_DELETE] = HTTP_DELETE,
        [METHOD_OPTIONS] = HTTP_METHOD_COUNT,
        [METHOD_OTHER] = HTTP_METHOD_COUNT,
    };
    if (found->by_method[HTTP_ANY])
        return HTTP_ANY;
    enum http_method wanted = methods[method];
    return wanted < HTTP_METHOD_COUNT && found->by_method[wanted] ? wanted : HTTP_METHOD_COUNT;
}

size_t router_body_bytes(const struct router *router, const struct request *req, size_t otherwise)
{
    struct found found = find(router, request_target_path(req));
    enum http_method method = route_of(&found, req->method);
    if (method == HTTP_METHOD_COUNT || !found.mounts[method]->body_bytes)
        return otherwise;
    return found.mounts[method]->body_bytes;
}

static enum err read_params(struct request *req, const char *pattern_text)
{
    struct span pattern = span_of(pattern_text);
    struct span path = req->raw_path;
    struct span want, have;
    size_t count = 0;
    while (next_segment(&pattern, &want) && next_segment(&path, &have)) {
        if (!is_param(want))
            continue;
        assert(count < ROUTE_PARAMS_MAX);
        char *text = request_alloc(req, have.len);
        size_t len;
        if (!text)
            return ERR_NO_MEMORY;
        enum err err = percent_decode(have, PERCENT_PATH, text, &len);
        if (err)
            return err;
        req->params[count++] = (struct path_param){param_name(want), {text, len}};
    }
    return OK;
}

/* --- origins --- */

/* Whether an origin is `http://HOST` or `https://HOST` for the Host the client has named. Behind a proxy we cannot
 * know which. */
static bool is_own(const struct request *req, struct span origin)
{
    struct span host = request_header(req, "Host");
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < array_len(schemes) && host.len; i++) {
        size_t len = strlen(schemes[i]);
        if (origin.len == len + host.len && memcmp(origin.data, schemes[i], len) == 0 &&
            strncasecmp(origin.data + len, host.data, host.len) == 0)
            return true;
    }
    return false;
}

static enum request_origin find_origin(const struct router *router, const struct request *req)
{
    struct span origin;
    size_t count = request_header_count(req, "Origin", &origin);
    if (count == 0)
        return REQUEST_ORIGIN_NONE;
    if (count > 1)
        return REQUEST_ORIGIN_FOREIGN;
    for (const char *const *listed = router->config.origins; listed && *listed; listed++)
        if (span_is(origin, *listed))
            return REQUEST_ORIGIN_LISTED;
    return is_own(req, origin) ? REQUEST_ORIGIN_SAME : REQUEST_ORIGIN_FOREIGN;
}

/* --- what is answered without a handler --- */

enum { ALLOW_SIZE = 64 };

/* The methods of a path as in an Allow header. */
static void write_allow(const struct found *found, char allow[ALLOW_SIZE])
{
    allow[0] = '\0';
    for (size_t i = 0; i < HTTP_METHOD_COUNT; i++) {
        if (!found->by_method[i])
            continue;
        strcat(allow, method_words[i]);
        strcat(allow, i == HTTP_GET ? ", HEAD, " : ", ");
    }
    strcat(allow, "OPTIONS");
}

static void answer_options(struct request *req, const char *allow)
{
    struct span ignored;
    bool is_preflight =
        req->origin == REQUEST_ORIGIN_LISTED && request_header_count(req, "Access-Control-Request-Method", &ignored);
    const struct http_header plain[] = {{"Allow", allow}, {NULL, NULL}};
    const struct http_header preflight[] = {
        {"Allow", allow},
        {"Access-Control-Allow-Methods", allow},
        {"Access-Control-Allow-Headers", "Authorization, Content-Type, Last-Event-ID"},
        {"Access-Control-Max-Age", "600"},
        {NULL, NULL},
    };
    request_reply(req, 204, NULL, NULL, is_preflight ? preflight : plain);
}

static void answer_bad_method(struct request *req, const char *allow)
{
    struct blob *body = error_body(ERR_BAD_METHOD, NULL);
    const struct http_header headers[] = {{"Allow", allow}, {NULL, NULL}};
    request_reply(req, err_http_status(ERR_BAD_METHOD), "application/json", body, headers);
    blob_unref(body);
}

static void answer_unauthorized(struct request *req)
{
    const struct auth *auth = req->router->config.auth;
    const char *challenge = auth ? auth_challenge(auth) : NULL;
    struct blob *body = error_body(ERR_UNAUTHORIZED, NULL);
    const struct http_header headers[] = {{challenge ? "WWW-Authenticate" : NULL, challenge}, {NULL, NULL}};
    request_reply(req, err_http_status(ERR_UNAUTHORIZED), "application/json", body, headers);
    blob_unref(body);
}

/* --- callers --- */

static void call_handler(struct request *req)
{
    enum err err = req->raw ? OK : request_read_body(req, client_limits(req->client)->json_depth);
    if (err)
        request_fail(req, err, NULL, 0);
    else
        req->route->handle(req->route_ctx, req);
}

static bool keep_identity(struct request *req, const struct identity *identity)
{
    req->caller.user = request_copy(req, identity->user);
    req->caller.name = request_copy(req, identity->name);
    req->caller.expires_us = identity->expires_us;
    return req->caller.user.data && req->caller.name.data;
}

/* Tells whoever asked who is calling. */
static void identified(struct request *req, enum err err, const struct identity *identity, unsigned retry_after_s)
{
    if (!err && !keep_identity(req, identity))
        err = ERR_NO_MEMORY;
    if (!req->client)
        err = ERR_SHUTTING_DOWN;
    req->identified(req->identified_ctx, err, retry_after_s);
}

static void on_token_checked(void *ctx, enum err err, const struct identity *identity)
{
    identified(ctx, err, identity, 0);
}

/* What is no UUID is looked up all the same, as one that nobody has: then it takes as long as any other. */
static void check_token(struct request *req, struct span text)
{
    const struct router_config *config = &req->router->config;
    struct id token;
    if (!id_parse(text, &token))
        token = id_random();
    req->caller.by_token = true;
    req->caller.token = token;
    if (config->token_check)
        config->token_check(config->token_ctx, token, on_token_checked, req);
    else
        identified(req, ERR_NO_TOKEN, NULL, 0);
}

static void on_login_checked(void *ctx, enum err err, const struct identity *identity, unsigned retry_after_s)
{
    identified(ctx, err, identity, retry_after_s);
}

static struct span credentials_header(const struct credentials *credentials, const char *name)
{
    return request_header(container_of(credentials, const struct request, credentials), name);
}

/* A browser adds a login on its own, whatever page makes the request. */
static void check_login(struct request *req)
{
    struct auth *auth = req->router->config.auth;
    if (req->origin == REQUEST_ORIGIN_FOREIGN || !auth) {
        identified(req, req->origin == REQUEST_ORIGIN_FOREIGN ? ERR_BAD_ORIGIN : ERR_UNAUTHORIZED, NULL, 0);
        return;
    }
    req->credentials = (struct credentials){
        .address = request_copy(req, request_address(req)),
        .authorization = request_header(req, "Authorization"),
        .header = credentials_header,
    };
    auth_check(auth, &req->credentials, on_login_checked, req);
}

/* The UUID of an `Authorization: Bearer UUID`; anything else there is left to the authentication methods. */
static bool bearer_token(const struct request *req, struct span *ret_text)
{
    static const char scheme[] = "Bearer ";
    struct span value = request_header(req, "Authorization");
    size_t len = sizeof(scheme) - 1;
    struct id ignored;
    if (value.len != len + ID_TEXT_LEN || strncasecmp(value.data, scheme, len) != 0)
        return false;
    *ret_text = (struct span){value.data + len, ID_TEXT_LEN};
    return id_parse(*ret_text, &ignored);
}

void request_identify(struct request *req, void (*done)(void *ctx, enum err err, unsigned retry_after_s), void *ctx)
{
    struct span token;
    req->identified = done;
    req->identified_ctx = ctx;
    if (strstr(req->route->pattern, "<token>"))
        check_token(req, request_param(req, "token"));
    else if (bearer_token(req, &token))
        check_token(req, token);
    else
        check_login(req);
}

/* Admits the caller, or not. */
static void on_identified(void *ctx, enum err err, unsigned retry_after_s)
{
    struct request *req = ctx;
    if (!err && req->caller.by_token && req->route->who == ROUTE_LOGIN)
        err = ERR_TOKEN_SCOPE;
    if (err == ERR_UNAUTHORIZED)
        answer_unauthorized(req);
    else if (err)
        request_fail(req, err, NULL, retry_after_s);
    else
        call_handler(req);
}

/* --- dispatch --- */

static bool is_unsafe(enum method method)
{
    return method == METHOD_POST || method == METHOD_DELETE;
}

static void dispatch_to(struct request *req, const struct found *found, enum http_method method)
{
    req->route = found->by_method[method];
    req->route_ctx = found->mounts[method]->ctx;
    req->raw = found->mounts[method]->body_bytes > 0;
    enum err err = read_params(req, req->route->pattern);
    if (!err && !req->raw && is_unsafe(req->method) && req->origin == REQUEST_ORIGIN_FOREIGN)
        err = ERR_BAD_ORIGIN;
    if (err)
        request_fail(req, err, NULL, 0);
    else if (req->route->who == ROUTE_ANYONE)
        call_handler(req);
    else
        request_identify(req, on_identified, req);
}

static void dispatch_fallback(const struct router *router, struct request *req)
{
    bool is_read = req->method == METHOD_GET || req->method == METHOD_HEAD;
    if (router->fallback && is_read)
        router->fallback(router->fallback_ctx, req);
    else if (router->fallback && req->method == METHOD_OPTIONS)
        answer_options(req, "GET, HEAD, OPTIONS");
    else
        request_fail(req, ERR_NOT_FOUND, NULL, 0);
}

void router_dispatch(const struct router *router, struct request *req)
{
    metric_add(METRIC_REQUESTS, 1);
    req->router = router;
    req->origin = find_origin(router, req);
    enum err err = request_read_target(req);
    if (err) {
        request_fail(req, err, err == ERR_BAD_REQUEST ? "the URL is malformed" : NULL, 0);
        return;
    }
    if (span_is(req->path, "*")) {
        answer_options(req, "GET, HEAD, POST, DELETE, OPTIONS");
        return;
    }
    struct found found = find(router, req->raw_path);
    enum http_method method = route_of(&found, req->method);
    char allow[ALLOW_SIZE];
    write_allow(&found, allow);
    if (!found.score)
        dispatch_fallback(router, req);
    else if (req->method == METHOD_OPTIONS)
        answer_options(req, allow);
    else if (method == HTTP_METHOD_COUNT)
        answer_bad_method(req, allow);
    else
        dispatch_to(req, &found, method);
}
