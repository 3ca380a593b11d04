/* SPDX-License-Identifier: MIT */
/*
 * Streams and upgrades leave libmicrohttpd with their socket. These tests pin what that rests on (the descriptor can be
 * duplicated when the head is out, MHD closes its copy, and no shutdown reaches the peer), so that another version of
 * MHD cannot break it silently.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/http_rig.h"

/* One stream of a client, as an adapter would hold it. */
struct stand {
    struct http_rig rig;
    struct stream stream;
    struct request *waiting;
    bool refuse;       /* leaves the handoff untaken */
    size_t others;     /* connections that MHD has beside this one */
    bool answer_later; /* the stream is begun by the test, not in the handler */
    unsigned opened;
    unsigned failed;
    enum err open_err;
    unsigned closed;
    unsigned freed;
    char input[64];
    char address[64];
};

static struct stand *stand_of(struct conn *conn)
{
    return container_of(conn, struct stand, stream.conn);
}

static void on_closed(struct conn *conn, enum err err)
{
    assert_int_equal(err, ERR_GONE);
    assert_int_equal(stand_of(conn)->freed, 0);
    stand_of(conn)->closed++;
}

static void on_free(struct conn *conn)
{
    stand_of(conn)->freed++;
}

static const struct conn_ops ops = {.closed = on_closed, .free = on_free};

static void on_opened(void *ctx, enum err err, struct handoff *handoff)
{
    struct stand *stand = ctx;
    stand->open_err = err;
    if (err) {
        assert_null(handoff);
        stand->failed++;
        return;
    }
    /* MHD has let go already: nothing of it may touch the socket any more. */
    assert_int_equal(http_server_count(stand->rig.server), stand->others);
    stand->opened++;
    (void)snprintf(stand->input, sizeof(stand->input), "%.*s", (int)handoff->input.len,
                   handoff->input.len ? handoff->input.data : "");
    struct span address = peer_address(handoff->lease);
    (void)snprintf(stand->address, sizeof(stand->address), "%.*s", (int)address.len, address.data);
    if (stand->refuse)
        return;
    assert_int_equal(stream_open(&stand->stream, stand->rig.conns, &ops, handoff), OK);
    assert_int_equal(handoff->fd, -1);
}

static void begin_stream(struct stand *stand, struct request *req)
{
    static const struct http_header headers[] = {
        {"Cache-Control", "no-cache, no-store, no-transform"},
        {"X-Accel-Buffering", "no"},
        {NULL, NULL},
    };
    request_stream(req, "application/x-ndjson", headers, on_opened, stand);
}

static void handle_stream(void *ctx, struct request *req)
{
    struct stand *stand = ctx;
    if (stand->answer_later)
        stand->waiting = req;
    else
        begin_stream(stand, req);
}

static void handle_upgrade(void *ctx, struct request *req)
{
    request_upgrade(req, "chat", NULL, on_opened, ctx);
}

static const struct route routes[] = {
    {HTTP_GET, "/stream", ROUTE_ANYONE, handle_stream},
    {HTTP_POST, "/stream", ROUTE_ANYONE, handle_stream},
    {HTTP_GET, "/upgrade", ROUTE_ANYONE, handle_upgrade},
};

static void stand_open(struct stand *stand)
{
    struct http_limits limits = rig_limits();
    struct router *router = router_new(&(struct router_config){0});
    memset(stand, 0, sizeof(*stand));
    assert_non_null(router);
    assert_int_equal(router_mount(router, routes, array_len(routes), stand), OK);
    rig_open(&stand->rig, &limits, router);
}

static bool is_told(void *ctx)
{
    struct stand *stand = ctx;
    return stand->opened || stand->failed;
}

static bool is_freed(void *ctx)
{
    return ((struct stand *)ctx)->freed > 0;
}

static bool is_waiting(void *ctx)
{
    return ((struct stand *)ctx)->waiting;
}

static const char get_stream[] = "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n";
static const char get_stream_10[] = "GET /stream HTTP/1.0\r\n\r\n";
static const char get_upgrade[] = "GET /upgrade HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n";

static struct rig_client *open_stream(struct stand *stand, const char *request)
{
    struct rig_client *client = rig_connect(&stand->rig);
    rig_send(&stand->rig, client, request);
    assert_true(rig_until(&stand->rig, is_told, stand));
    assert_int_equal(stand->opened, 1);
    return client;
}

static void write_text(struct stand *stand, const char *text)
{
    assert_int_equal(stream_write(&stand->stream, span_of(text)), OK);
}

/* --- the three kinds --- */

static void http11_gets_a_chunked_stream(void **state)
{
    (void)state;
    struct stand stand;
    stand_open(&stand);
    struct rig_client *client = open_stream(&stand, get_stream);
    assert_true(rig_until_text(&stand.rig, client, "\r\n\r\n"));
    assert_int_equal(rig_status(client, 0), 200);
    assert_true(rig_has_header(client, "Transfer-Encoding: chunked"));
    assert_true(rig_has_header(client, "Connection: close"));
    assert_true(rig_has_header(client, "Content-Type: application/x-ndjson"));
    assert_true(rig_has_header(client, "Cache-Control: no-cache, no-store, no-transform"));
    assert_string_equal(rig_body(client), "");
    write_text(&stand, "first\n");
    write_text(&stand, "second line\n");
    assert_true(rig_until_text(&stand.rig, client, "second"));
    assert_string_equal(rig_body(client), "6\r\nfirst\n\r\nc\r\nsecond line\n\r\n");
    stream_end(&stand.stream, NULL);
    assert_true(rig_until_eof(&stand.rig, client));
    assert_false(client->reset);
    assert_string_equal(rig_body(client), "6\r\nfirst\n\r\nc\r\nsecond line\n\r\n0\r\n\r\n");
    rig_client_close(client);
    assert_true(rig_until(&stand.rig, is_freed, &stand));
    assert_int_equal(stand.closed, 0);
    rig_close(&stand.rig);
}

static void http10_gets_bytes_until_the_close(void **state)
{
    (void)state;
    struct stand stand;
    stand_open(&stand);
    struct rig_client *client = open_stream(&stand, get_stream_10);
    write_text(&stand, "first\n");
    assert_true(rig_until_text(&stand.rig, client, "first"));
    assert_null(strcasestr(client->text, "transfer-encoding"));
    assert_null(strcasestr(client->text, "content-length"));
    struct blob *last = blob_copy(SPAN_LITERAL("last\n"));
    stream_end(&stand.stream, last);
    blob_unref(last);
    assert_true(rig_until_eof(&stand.rig, client));
    assert_string_equal(rig_body(client), "first\nlast\n");
    rig_close(&stand.rig);
}

static void an_upgrade_brings_along_what_the_peer_had_already_sent(void **state)
{
    (void)state;
    struct stand stand;
    char text[sizeof(get_upgrade) + 16];
    stand_open(&stand);
    (void)snprintf(text, sizeof(text), "%shello", get_upgrade);
    struct rig_client *client = open_stream(&stand, text);
    assert_string_equal(stand.input, "hello");
    assert_string_equal(stand.address, "127.0.0.1");
    write_text(&stand, "raw");
    assert_true(rig_until_text(&stand.rig, client, "raw"));
    assert_int_equal(rig_status(client, 0), 101);
    assert_true(rig_has_header(client, "Upgrade: chat"));
    assert_string_equal(rig_body(client), "raw");
    conn_finish(&stand.stream.conn, NULL);
    assert_true(rig_until_eof(&stand.rig, client));
    rig_close(&stand.rig);
}

static void an_upgrade_nobody_asked_for_is_refused(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "GET /upgrade HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /upgrade HTTP/1.1\r\nHost: h\r\nUpgrade: chat\r\n\r\n",
        "GET /upgrade HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n",
        "GET /upgrade HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n",
    };
    struct stand stand;
    for (size_t i = 0; i < array_len(requests); i++) {
        stand_open(&stand);
        assert_int_equal(rig_status(rig_ask(&stand.rig, requests[i]), 0), 400);
        assert_true(rig_until(&stand.rig, is_told, &stand));
        assert_int_equal(stand.failed, 1);
        assert_int_equal(stand.open_err, ERR_BAD_REQUEST);
        rig_close(&stand.rig);
    }
}

/* --- what it rests on --- */

static void mhd_keeps_no_copy_and_the_lease_goes_along(void **state)
{
    (void)state;
    static const char *const requests[] = {get_stream, get_stream_10, get_upgrade};
    for (size_t i = 0; i < array_len(requests); i++) {
        struct stand stand;
        stand_open(&stand);
        /* An older connection: MHD 0.9.75 by itself cleans up only behind the oldest. */
        assert_int_equal(rig_status(rig_ask(&stand.rig, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"), 0), 404);
        stand.others = 1;
        int before = rig_count_fds();
        struct rig_client *client = open_stream(&stand, requests[i]);
        assert_int_equal(http_server_count(stand.rig.server), 1);
        assert_int_equal(rig_count_fds(), before + 2); /* the client's end and the stream's */
        assert_int_equal(peers_count(stand.rig.peers), 2);
        assert_int_equal(conns_count(stand.rig.conns), 1);
        rig_pass(&stand.rig, 50);
        assert_false(client->eof);
        write_text(&stand, "still there");
        assert_true(rig_until_text(&stand.rig, client, "still there"));
        rig_client_close(client);
        assert_true(rig_until(&stand.rig, is_freed, &stand));
        assert_int_equal(peers_count(stand.rig.peers), 1);
        rig_close(&stand.rig);
    }
}

static void what_is_pipelined_behind_a_stream_is_not_read_as_a_request(void **state)
{
    (void)state;
    struct stand stand;
    char text[2 * sizeof(get_stream)];
    stand_open(&stand);
    (void)snprintf(text, sizeof(text), "%s%s", get_stream, get_stream);
    struct rig_client *client = open_stream(&stand, text);
    rig_send(&stand.rig, client, get_stream);
    write_text(&stand, "x");
    assert_true(rig_until_text(&stand.rig, client, "1\r\nx\r\n"));
    rig_pass(&stand.rig, 20);
    assert_int_equal(stand.opened, 1);
    assert_false(client->eof);
    rig_close(&stand.rig);
}

static void a_handoff_that_is_not_taken_is_closed(void **state)
{
    (void)state;
    struct stand stand;
    stand_open(&stand);
    stand.refuse = true;
    struct rig_client *client = open_stream(&stand, get_stream);
    assert_true(rig_until_eof(&stand.rig, client));
    assert_int_equal(peers_count(stand.rig.peers), 0);
    rig_close(&stand.rig);
}

static void head_of_a_stream_is_the_head_alone(void **state)
{
    (void)state;
    struct stand stand;
    stand_open(&stand);
    struct rig_client *client = rig_ask(&stand.rig, "HEAD /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(rig_until_eof(&stand.rig, client));
    assert_int_equal(rig_status(client, 0), 200);
    assert_true(rig_has_header(client, "Content-Type: application/x-ndjson"));
    assert_string_equal(rig_body(client), "");
    assert_true(rig_until(&stand.rig, is_told, &stand));
    assert_int_equal(stand.open_err, ERR_GONE);
    rig_close(&stand.rig);
}

/* --- the peer goes: FIN and RST at each state --- */

enum leaving { BY_CLOSE, BY_FIN, BY_RST, LEAVING_COUNT };

static void leave(struct rig_client *client, enum leaving how)
{
    if (how == BY_CLOSE)
        rig_client_close(client);
    else if (how == BY_FIN)
        rig_client_fin(client);
    else
        rig_client_rst(client);
}

static void a_peer_that_goes_from_an_open_stream_is_noticed_once(void **state)
{
    (void)state;
    static const char *const requests[] = {get_stream, get_stream_10, get_upgrade};
    for (size_t i = 0; i < array_len(requests); i++) {
        for (enum leaving how = 0; how < LEAVING_COUNT; how++) {
            struct stand stand;
            stand_open(&stand);
            struct rig_client *client = open_stream(&stand, requests[i]);
            leave(client, how);
            assert_true(rig_until(&stand.rig, is_freed, &stand));
            assert_int_equal(stand.closed, 1);
            assert_int_equal(stand.freed, 1);
            rig_close(&stand.rig);
        }
    }
}

/* The request has been read, but the stream not begun: before the head is out. */
static void a_peer_that_goes_before_the_head_is_out_is_told_to_the_requester(void **state)
{
    (void)state;
    static const char *const requests[] = {get_stream, get_stream_10};
    for (size_t i = 0; i < array_len(requests); i++) {
        for (enum leaving how = 0; how < LEAVING_COUNT; how++) {
            struct stand stand;
            stand_open(&stand);
            stand.answer_later = true;
            struct rig_client *client = rig_connect(&stand.rig);
            rig_send(&stand.rig, client, requests[i]);
            assert_true(rig_until(&stand.rig, is_waiting, &stand));
            leave(client, how);
            rig_pass(&stand.rig, 10);
            begin_stream(&stand, stand.waiting);
            assert_true(rig_until(&stand.rig, is_told, &stand));
            /* The system may take the head all the same, and then the stream sees it at once. */
            if (stand.opened)
                assert_true(rig_until(&stand.rig, is_freed, &stand));
            else
                assert_int_equal(stand.open_err, ERR_GONE);
            assert_int_equal(stand.closed, stand.opened);
            assert_int_equal(stand.freed, stand.opened);
            rig_close(&stand.rig);
        }
    }
}

/* Request and FIN or RST in one go: the peer is gone while the head goes out. */
static void a_peer_that_goes_during_the_handoff_leaves_nothing_behind(void **state)
{
    (void)state;
    static const char *const requests[] = {get_stream, get_stream_10, get_upgrade};
    for (size_t i = 0; i < array_len(requests); i++) {
        for (enum leaving how = 0; how < LEAVING_COUNT; how++) {
            struct stand stand;
            stand_open(&stand);
            struct rig_client *client = rig_connect(&stand.rig);
            rig_send(&stand.rig, client, requests[i]);
            leave(client, how);
            rig_pass(&stand.rig, 20);
            if (stand.opened)
                assert_true(rig_until(&stand.rig, is_freed, &stand));
            assert_true(stand.opened + stand.failed <= 1);
            assert_int_equal(stand.closed, stand.opened);
            assert_int_equal(stand.freed, stand.opened);
            rig_close(&stand.rig);
        }
    }
}

static void a_peer_that_goes_while_a_stream_ends_is_no_news(void **state)
{
    (void)state;
    for (enum leaving how = 0; how < LEAVING_COUNT; how++) {
        struct stand stand;
        stand_open(&stand);
        struct rig_client *client = open_stream(&stand, get_stream);
        stream_end(&stand.stream, NULL);
        leave(client, how);
        assert_true(rig_until(&stand.rig, is_freed, &stand));
        assert_int_equal(stand.closed, 0);
        assert_int_equal(stand.freed, 1);
        rig_close(&stand.rig);
    }
}

/* --- the server goes --- */

static void a_stream_survives_the_server_it_came_from(void **state)
{
    (void)state;
    struct stand stand;
    stand_open(&stand);
    struct rig_client *client = open_stream(&stand, get_stream);
    http_server_close(stand.rig.server);
    stand.rig.server = NULL;
    write_text(&stand, "still there");
    assert_true(rig_until_text(&stand.rig, client, "still there"));
    stream_end(&stand.stream, NULL);
    assert_true(rig_until_eof(&stand.rig, client));
    rig_close(&stand.rig);
}

static void a_stream_begun_after_the_server_was_closed_fails(void **state)
{
    (void)state;
    struct stand stand;
    stand_open(&stand);
    stand.answer_later = true;
    struct rig_client *client = rig_connect(&stand.rig);
    rig_send(&stand.rig, client, get_stream);
    assert_true(rig_until(&stand.rig, is_waiting, &stand));
    http_server_close(stand.rig.server);
    stand.rig.server = NULL;
    begin_stream(&stand, stand.waiting);
    assert_int_equal(stand.failed, 1);
    assert_int_equal(stand.open_err, ERR_GONE);
    rig_close(&stand.rig);
}

static void on_drained(void *ctx)
{
    *(bool *)ctx = true;
}

static bool is_set(void *ctx)
{
    return *(bool *)ctx;
}

static void draining_leaves_streams_alone(void **state)
{
    (void)state;
    struct stand stand;
    bool is_drained = false;
    stand_open(&stand);
    struct rig_client *client = open_stream(&stand, get_stream);
    http_server_drain(stand.rig.server, on_drained, &is_drained);
    assert_true(rig_until(&stand.rig, is_set, &is_drained));
    rig_pass(&stand.rig, 20);
    assert_false(client->eof);
    stream_end(&stand.stream, NULL);
    assert_true(rig_until_text(&stand.rig, client, "0\r\n\r\n"));
    rig_close(&stand.rig);
}

static void a_stream_that_begins_while_draining_is_handed_over_whole(void **state)
{
    (void)state;
    struct stand stand;
    bool is_drained = false;
    stand_open(&stand);
    stand.answer_later = true;
    struct rig_client *client = rig_connect(&stand.rig);
    rig_send(&stand.rig, client, get_stream);
    assert_true(rig_until(&stand.rig, is_waiting, &stand));
    http_server_drain(stand.rig.server, on_drained, &is_drained);
    begin_stream(&stand, stand.waiting);
    assert_true(rig_until(&stand.rig, is_told, &stand));
    assert_int_equal(stand.opened, 1);
    rig_pass(&stand.rig, 20);
    assert_false(client->eof);
    assert_true(is_drained);
    stream_end(&stand.stream, NULL);
    assert_true(rig_until_text(&stand.rig, client, "0\r\n\r\n"));
    rig_close(&stand.rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http11_gets_a_chunked_stream),
        cmocka_unit_test(http10_gets_bytes_until_the_close),
        cmocka_unit_test(an_upgrade_brings_along_what_the_peer_had_already_sent),
        cmocka_unit_test(an_upgrade_nobody_asked_for_is_refused),
        cmocka_unit_test(mhd_keeps_no_copy_and_the_lease_goes_along),
        cmocka_unit_test(what_is_pipelined_behind_a_stream_is_not_read_as_a_request),
        cmocka_unit_test(a_handoff_that_is_not_taken_is_closed),
        cmocka_unit_test(head_of_a_stream_is_the_head_alone),
        cmocka_unit_test(a_peer_that_goes_from_an_open_stream_is_noticed_once),
        cmocka_unit_test(a_peer_that_goes_before_the_head_is_out_is_told_to_the_requester),
        cmocka_unit_test(a_peer_that_goes_during_the_handoff_leaves_nothing_behind),
        cmocka_unit_test(a_peer_that_goes_while_a_stream_ends_is_no_news),
        cmocka_unit_test(a_stream_survives_the_server_it_came_from),
        cmocka_unit_test(a_stream_begun_after_the_server_was_closed_fails),
        cmocka_unit_test(draining_leaves_streams_alone),
        cmocka_unit_test(a_stream_that_begins_while_draining_is_handed_over_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
