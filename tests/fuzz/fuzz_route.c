/* SPDX-License-Identifier: MIT */
/*
 * Request targets, origins and bodies from arbitrary bytes, through the router to a handler, without a connection.
 *
 * Input: a byte for method and version, then target, Origin, Content-Type and body, a line feed between them.
 * Invariants: each request is answered exactly once; what reaches a handler is valid UTF-8 without NUL; a login is
 * never asked for on behalf of a foreign origin.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "http/inside.h"
#include "http/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_text(struct span text)
{
    require(utf8_valid(text));
    require(text.len == 0 || !memchr(text.data, 0, text.len));
}

static void handle(void *ctx, struct request *req)
{
    (void)ctx;
    struct span value;
    const struct span *values;
    size_t count;
    json_t *json;
    check_text(request_path(req));
    check_text(request_param(req, "a"));
    check_text(request_param(req, "token"));
    if (request_field(req, "f", &value) == OK)
        check_text(value);
    if (request_fields(req, "f", &values, &count) == OK)
        for (size_t i = 0; i < count; i++)
            check_text(values[i]);
    if (request_json(req, "j", &json, &value) == OK)
        require(json);
    (void)request_accepts(req, "text/event-stream");
    request_reply(req, 204, NULL, NULL, NULL);
}

static void check_token(void *ctx, struct id token, token_done *done, void *done_ctx)
{
    (void)ctx;
    struct identity anyone = {.user = SPAN_LITERAL("u")};
    if (token.bytes[0] & 1)
        done(done_ctx, OK, &anyone);
    else
        done(done_ctx, ERR_NO_TOKEN, NULL);
}

static const struct route routes[] = {
    {HTTP_GET, "/a", ROUTE_ANYONE, handle},
    {HTTP_POST, "/a", ROUTE_ANYONE, handle},
    {HTTP_GET, "/a/<a>", ROUTE_ANYONE, handle},
    {HTTP_GET, "/a/<a>/b/<token>", ROUTE_LOGIN_OR_TOKEN, handle},
    {HTTP_DELETE, "/t/<token>", ROUTE_LOGIN_OR_TOKEN, handle},
    {HTTP_POST, "/l", ROUTE_LOGIN, handle},
};

static const struct route raw_routes[] = {{HTTP_ANY, "/r", ROUTE_ANYONE, handle}};

static struct router *make_router(void)
{
    static const char *const origins[] = {"https://good.example", NULL};
    struct router *router = router_new(&(struct router_config){.origins = origins, .token_check = check_token});
    require(router && router_mount(router, routes, array_len(routes), NULL) == OK);
    require(router_mount_raw(router, raw_routes, array_len(raw_routes), 64, NULL) == OK);
    return router;
}

static struct span next_part(struct span *rest)
{
    return text_cut(rest, '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct router *router;
    if (!router)
        router = make_router();
    if (size < 1)
        return 0;
    struct http_server server = {.limits = {.json_depth = 8}};
    struct client client = {.server = &server, .fd = -1};
    struct span rest = {(const char *)data + 1, size - 1};
    struct span target = next_part(&rest);
    struct request *req = request_new(&client, target.data ? target : SPAN_LITERAL(""));
    require(req);
    struct header_line lines[3] = {
        {SPAN_LITERAL("Host"), SPAN_LITERAL("h")},
        {SPAN_LITERAL("Origin"), next_part(&rest)},
        {SPAN_LITERAL("Content-Type"), next_part(&rest)},
    };
    req->method = data[0] % (METHOD_OTHER + 1);
    req->lines = lines;
    req->line_count = 3;
    req->phase = PHASE_WAITING;
    buf_add(&req->body, rest);
    router_dispatch(router, req);
    require(req->answered);
    require(req->status >= 200 && req->status < 500);
    if (req->origin == REQUEST_ORIGIN_FOREIGN && req->method == METHOD_POST && !req->raw)
        require(req->status >= 400);
    request_free(req);
    return 0;
}
