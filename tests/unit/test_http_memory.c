/* SPDX-License-Identifier: MIT */
/*
 * HTTP without memory: each allocation on the way of a request fails once. Whatever becomes of that request, it ends
 * soon, nothing leaks, and the next one is served.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "http/websocket.h"
#include "tests/lib/failing_memory.h"
#include "tests/lib/http_rig.h"

enum { TURNS_MAX = 400, ALLOCATIONS_MAX = 300 };

#define TOKEN "11111111-2222-4333-8444-555555555555"

/* The one stream or WebSocket that a request may lead to. */
struct cell {
    struct http_rig rig;
    struct stream stream;
    struct websocket websocket;
    struct request *waiting;
    bool open; /* one of the two, not yet freed */
    unsigned opened, failed;
};

static void on_stream_free(struct conn *conn)
{
    container_of(conn, struct cell, stream.conn)->open = false;
}

static void on_socket_free(struct websocket *websocket)
{
    container_of(websocket, struct cell, websocket)->open = false;
}

static void on_message(struct websocket *websocket, struct span message, bool text)
{
    struct blob *framed = websocket_frame(message, text);
    if (!framed || websocket_send(websocket, framed))
        websocket_close(websocket, 1011, SPAN_LITERAL(""));
    blob_unref(framed);
}

static const struct conn_ops stream_ops = {.free = on_stream_free};
static const struct websocket_ops socket_ops = {.message = on_message, .free = on_socket_free};
static const struct websocket_limits socket_limits = {.message_bytes = 100, .fragments = 4, .control_queue = 4};

static void on_stream_opened(void *ctx, enum err err, struct handoff *handoff)
{
    struct cell *cell = ctx;
    if (err || stream_open(&cell->stream, cell->rig.conns, &stream_ops, handoff)) {
        cell->failed++;
        return;
    }
    cell->opened++;
    cell->open = true;
    if (stream_write(&cell->stream, SPAN_LITERAL("hello\n")))
        conn_abort(&cell->stream.conn);
    else
        stream_end(&cell->stream, NULL);
}

static void on_socket_opened(void *ctx, enum err err, struct handoff *handoff)
{
    struct cell *cell = ctx;
    if (err || websocket_open(&cell->websocket, cell->rig.conns, &socket_ops, &socket_limits, handoff)) {
        cell->failed++;
        return;
    }
    cell->opened++;
    cell->open = true;
}

static void handle_fields(void *ctx, struct request *req)
{
    (void)ctx;
    struct span text;
    const struct span *texts;
    size_t count;
    enum err err = request_field(req, "number", &text);
    if (!err)
        err = request_fields(req, "many", &texts, &count);
    if (err)
        request_fail(req, err, NULL, 0);
    else
        request_reply_json(req, 200, json_pack("{s:i}", "count", (int)count));
}

static void handle_stream(void *ctx, struct request *req)
{
    request_stream(req, "application/x-ndjson", NULL, on_stream_opened, ctx);
}

static void handle_socket(void *ctx, struct request *req)
{
    websocket_upgrade(req, NULL, on_socket_opened, ctx);
}

static void on_gone(void *ctx)
{
    (void)ctx; /* it is answered all the same */
}

static void handle_wait(void *ctx, struct request *req)
{
    struct cell *cell = ctx;
    cell->waiting = req;
    request_watch(req, on_gone, cell);
}

static const struct route routes[] = {
    {HTTP_POST, "/fields/<a>", ROUTE_ANYONE, handle_fields},
    {HTTP_GET, "/token/<token>", ROUTE_LOGIN_OR_TOKEN, handle_fields},
    {HTTP_GET, "/stream", ROUTE_ANYONE, handle_stream},
    {HTTP_GET, "/socket", ROUTE_ANYONE, handle_socket},
    {HTTP_GET, "/wait", ROUTE_ANYONE, handle_wait},
};

static void check_token(void *ctx, struct id token, token_done *done, void *done_ctx)
{
    (void)ctx;
    (void)token;
    struct identity bob = {.user = SPAN_LITERAL("bob"), .name = SPAN_LITERAL("Bob")};
    done(done_ctx, OK, &bob);
}

static void cell_open(struct cell *cell)
{
    static const char *const origins[] = {"https://good.example", NULL};
    struct http_limits limits = rig_limits();
    struct router *router = router_new(&(struct router_config){.origins = origins, .token_check = check_token});
    memset(cell, 0, sizeof(*cell));
    assert_non_null(router);
    assert_int_equal(router_mount(router, routes, array_len(routes), cell), OK);
    rig_open(&cell->rig, &limits, router);
}

/* Turns without allocating anything on the client's side. True: there was the whole answer, an end, or after a
 * failure any answer. */
static bool turn_until_answered(struct cell *cell, struct rig_client *client, const char *ending)
{
    static char text[65536];
    size_t len = 0;
    for (int i = 0; i < TURNS_MAX; i++) {
        loop_turn(cell->rig.loop, 2);
        if (cell->waiting) {
            struct request *req = cell->waiting;
            cell->waiting = NULL;
            request_reply(req, 204, NULL, NULL, NULL);
        }
        ssize_t got = recv(client->fd, text + len, sizeof(text) - 1 - len, MSG_DONTWAIT);
        if (got == 0)
            return true;
        len += got > 0 ? (size_t)got : 0;
        text[len] = '\0';
        if (memmem(text, len, ending, strlen(ending)) || (memory_has_failed() && strstr(text, "\r\n\r\n")))
            return true;
    }
    return false;
}

static void try_each_allocation(const char *request, size_t len, const char *ending)
{
    unsigned nth = 0;
    bool failed;
    do {
        struct cell cell;
        cell_open(&cell);
        struct rig_client *client = rig_connect(&cell.rig);
        rig_send_bytes(&cell.rig, client, request, len);
        memory_fail_at(++nth);
        bool is_answered = turn_until_answered(&cell, client, ending);
        failed = memory_has_failed();
        memory_fail_at(0);
        if (!is_answered)
            fail_msg("allocation %u: no answer", nth);
        assert_true(cell.opened + cell.failed <= 1);
        rig_client_close(client);
        assert_int_equal(rig_status(rig_ask(&cell.rig, "GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n"), 0), 404);
        rig_close(&cell.rig);
        assert_false(cell.open);
        assert_true(nth < ALLOCATIONS_MAX);
    } while (failed);
    assert_true(nth > 3); /* something did fail */
}

#define TRY(request, ending) try_each_allocation(request, sizeof(request) - 1, ending)

static void a_request_with_fields(void **state)
{
    (void)state;
    TRY("POST /fields/x%20y?q=1 HTTP/1.1\r\nHost: h\r\nOrigin: https://good.example\r\n"
        "Content-Type: application/json\r\nContent-Length: 39\r\n\r\n"
        "{\"number\": 1.5, \"many\": [\"a\", 2, true]}",
        "\"count\"");
    TRY("POST /fields/x HTTP/1.1\r\nHost: h\r\nContent-Length: 21\r\n\r\nnumber=1&many=a&many=", "\"count\"");
}

static void a_request_with_a_token(void **state)
{
    (void)state;
    TRY("GET /token/" TOKEN "?number=1 HTTP/1.1\r\nHost: h\r\n\r\n", "\"count\"");
}

static void a_request_that_is_refused_at_its_head(void **state)
{
    (void)state;
    TRY("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", "bad_framing");
}

static void a_request_that_waits(void **state)
{
    (void)state;
    TRY("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 204");
}

static void a_stream(void **state)
{
    (void)state;
    TRY("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n", "0\r\n\r\n");
    TRY("GET /stream HTTP/1.0\r\n\r\n", "hello\n");
}

static void a_websocket_with_an_early_message_and_a_ping(void **state)
{
    (void)state;
    TRY("GET /socket HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        "\x89\x80\0\0\0\0\x81\x82\0\0\0\0hi",
        "\x81\x02hi");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_with_fields),
        cmocka_unit_test(a_request_with_a_token),
        cmocka_unit_test(a_request_that_is_refused_at_its_head),
        cmocka_unit_test(a_request_that_waits),
        cmocka_unit_test(a_stream),
        cmocka_unit_test(a_websocket_with_an_early_message_and_a_ping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
