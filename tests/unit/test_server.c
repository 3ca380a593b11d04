/* SPDX-License-Identifier: MIT */
/* The HTTP server over real sockets: answers at once and later, keep-alive, pipelining, limits, deadlines,
 * half-closed clients, draining and closing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/metric.h"
#include "tests/lib/http_rig.h"

/* --- handlers --- */

/* What the handlers of one test share. */
struct desk {
    struct http_rig rig;
    struct request *waiting[RIG_CLIENTS_MAX];
    size_t waiting_count;
    unsigned calls;
    unsigned gone;
};

static void answer_text(struct request *req, const char *text)
{
    struct blob *body = blob_copy(span_of(text));
    request_reply(req, 200, "text/plain", body, NULL);
    blob_unref(body);
}

static void handle_hello(void *ctx, struct request *req)
{
    struct desk *desk = ctx;
    desk->calls++;
    answer_text(req, "hello");
}

/* Says the length of the field `text`. */
static void handle_length(void *ctx, struct request *req)
{
    struct desk *desk = ctx;
    struct span text = SPAN_LITERAL("");
    char line[64];
    desk->calls++;
    enum err err = request_field(req, "text", &text);
    (void)snprintf(line, sizeof(line), "%s %zu", err_word(err), text.len);
    answer_text(req, line);
}

static void on_gone(void *ctx)
{
    struct desk *desk = ctx;
    desk->gone++;
}

static void handle_wait(void *ctx, struct request *req)
{
    struct desk *desk = ctx;
    desk->calls++;
    desk->waiting[desk->waiting_count++] = req;
}

static void handle_watch(void *ctx, struct request *req)
{
    handle_wait(ctx, req);
    request_watch(req, on_gone, ctx);
}

static const struct route routes[] = {
    {HTTP_GET, "/hello", ROUTE_ANYONE, handle_hello}, {HTTP_POST, "/length", ROUTE_ANYONE, handle_length},
    {HTTP_GET, "/wait", ROUTE_ANYONE, handle_wait},   {HTTP_POST, "/wait", ROUTE_ANYONE, handle_wait},
    {HTTP_GET, "/watch", ROUTE_ANYONE, handle_watch},
};

static void desk_open(struct desk *desk, const struct http_limits *limits)
{
    *desk = (struct desk){0};
    struct router *router = router_new(&(struct router_config){0});
    assert_non_null(router);
    assert_int_equal(router_mount(router, routes, array_len(routes), desk), OK);
    rig_open(&desk->rig, limits, router);
}

static bool somebody_waits(void *ctx)
{
    return ((struct desk *)ctx)->waiting_count > 0;
}

static bool somebody_is_gone(void *ctx)
{
    return ((struct desk *)ctx)->gone > 0;
}

static bool nobody_is_connected(void *ctx)
{
    return http_server_count(((struct desk *)ctx)->rig.server) == 0;
}

static void answer_waiting(struct desk *desk, const char *text)
{
    for (size_t i = 0; i < desk->waiting_count; i++)
        answer_text(desk->waiting[i], text);
    desk->waiting_count = 0;
}

static const char get_hello[] = "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n";

/* --- answers --- */

struct answers {
    struct rig_client *client;
    size_t count;
};

static bool has_answers(void *ctx)
{
    struct answers *answers = ctx;
    return rig_status(answers->client, answers->count - 1) != 0;
}

static void a_request_is_answered_with_the_headers_every_answer_has(void **state)
{
    (void)state;
    struct desk desk;
    struct http_limits limits = rig_limits();
    desk_open(&desk, &limits);
    struct rig_client *client = rig_ask(&desk.rig, get_hello);
    assert_int_equal(rig_status(client, 0), 200);
    assert_string_equal(rig_body(client), "hello");
    assert_true(rig_has_header(client, "Content-Type: text/plain"));
    assert_true(rig_has_header(client, "Cache-Control: no-store"));
    assert_true(rig_has_header(client, "X-Content-Type-Options: nosniff"));
    assert_true(rig_has_header(client, "Referrer-Policy: no-referrer"));
    assert_false(client->eof);
    rig_close(&desk.rig);
}

static void a_connection_takes_one_request_after_the_other(void **state)
{
    (void)state;
    struct desk desk;
    struct http_limits limits = rig_limits();
    desk_open(&desk, &limits);
    struct rig_client *client = rig_connect(&desk.rig);
    for (size_t i = 0; i < 5; i++) {
        rig_send(&desk.rig, client, get_hello);
        assert_true(rig_until(&desk.rig, has_answers, &(struct answers){client, i + 1}));
    }
    assert_int_equal(desk.calls, 5);
    assert_int_equal(peers_count(desk.rig.peers), 1);
    rig_close(&desk.rig);
}

static void a_hundred_requests_in_one_segment_are_answered_in_order(void **state)
{
    (void)state;
    struct desk desk;
    struct http_limits limits = rig_limits();
    char text[100 * sizeof(get_hello)] = "";
    desk_open(&desk, &limits);
    for (int i = 0; i < 100; i++)
        strcat(text, get_hello);
    struct rig_client *client = rig_connect(&desk.rig);
    rig_send(&desk.rig, client, text);
    assert_true(rig_until(&desk.rig, has_answers, &(struct answers){client, 100}));
    assert_int_equal(desk.calls, 100);
    rig_close(&desk.rig);
}

static void an_answer_may_come_later_and_what_was_pipelined_waits_for_it(void **state)
{
    (void)state;
    struct desk desk;
    struct http_limits limits = rig_limits();
    desk_open(&desk, &limits);
    struct rig_client *client = rig_connect(&desk.rig);
    rig_send(&desk.rig, client, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\nGET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(rig_until(&desk.rig, somebody_waits, &desk));
    rig_pass(&desk.rig, 50);
    assert_int_equal(client->len, 0);
    assert_int_equal(desk.calls, 1);
    answer_waiting(&desk, "late");
    assert_true(rig_until(&desk.rig, has_answers, &(struct answers){client, 2}));
    assert_true(strstr(client->text, "late") < strstr(client->text, "hello"));
    rig_close(&desk.rig);
}

/* MHD left alone would spin while a request waits: MHD_get_timeout says 0 for a connection that neither reads nor
 * writes. */
static void a_waiting_request_costs_no_time(void **state)
{
    (void)state;
    struct desk desk;
    struct http_limits limits = rig_limits();
    desk_open(&desk, &limits);
    struct rig_client *client = rig_connect(&desk.rig);
    rig_send(&desk.rig, client, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(rig_until(&desk.rig, somebody_waits, &desk));
    rig_pass(&desk.rig, 20);
    clock_t before = clock();
    for (int i = 0; i < 3; i++)
        loop_turn(desk.rig.loop, 100);
    assert_true(clock() - before < CLOCKS_PER_SEC / 20);
    answer_waiting(&desk, "now");
    assert_true(rig_until_text(&desk.rig, client, "now"));
    rig_close(&desk.rig);
}

/* libmicrohttpd cannot use what is in its buffer then, and would run on and on. */
static void an_endless_extension_of_a_chunk_costs_no_time(void **state)
{
    (void)state;
    struct desk desk;
    struct http_limits limits = rig_limits();
    static char bytes[1 << 16];
    limits.request_ms = 1000;
    desk_open(&desk, &limits);
    struct rig_client *client = rig_connect(&desk.rig);
    rig_send(&desk.rig, client, "POST /length HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4;");
    memset(bytes, 'x', sizeof(bytes));
    rig_send_bytes(&desk.rig, client, bytes, sizeof(bytes));
    rig_pass(&desk.rig, 50);
    clock_t before = clock();
    rig_pass(&desk.rig, 300);
    assert_true(clock() - before < CLOCKS_PER_SEC / 10);
    rig_close(&desk.rig);
}

/* More of them than one daemon of libmicrohttpd is given. */
static void many_requests_wait_side_by_side(void **state)
{
    (void)state;
    enum { MANY = 600 };
    struct desk desk;
    struct http_limits limits = rig_limits();
    desk_open(&desk, &limits);
    struct rig_client *clients[MANY];
    for (size_t i = 0; i < MANY; i++) {
        clients[i] = rig_connect(&desk.rig);
        rig_send(&desk.rig, clients[i], "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    for (int i = 0; i < 500 && desk.waiting_count < MANY; i++)
        rig_turn(&desk.rig);
    assert_int_equal(desk.waiting_count, MANY);
    desk.rig.fds = rig_count_fds() - 2 * MANY; /* further daemons stay open */
    answer_text(desk.waiting[--desk.waiting_count], "the last first");
    assert_true(rig_until_text(&desk.rig, clients[MANY - 1], "the last first"));
    answer_waiting(&desk, "now");
    for (size_t i = 0; i < MANY; i++)
        assert_true(rig_until_text(&desk.rig, clients[i], i < MANY - 1 ? "now" : "the last first"));
    rig_close(&desk.rig);
}

static void a_client_that_has_closed_its_sending_side_gets_its_answer(void **state)
{
    (void)state;
    struct desk desk;
    struct http_limits limits = rig_limits();
    desk_open(&desk, &limits);
    struct rig_client *at_once = rig_connect(&desk.rig);
    rig_send(&desk.rig, at_once, "GET /hello HTTP/1.0\r\n\r\n");
    rig_client_fin(at_once);
    assert_true(rig_until_eof(&desk.rig, at_once));
    assert_string_equal(rig_body(at_once), "hello");

    struct rig_client *later = rig_connect(&desk.rig);
    rig_send(&desk.rig, later, "GET /wait HTTP/1.0\r\n\r\n");
    rig_client_fin(later);
    assert_true(rig_until(&desk.rig, somebody_waits, &desk));
    rig_pass(&desk.rig, 30);
    answer_waiting(&desk, "late");
    assert_true(rig_until_eof(&desk.rig, later));
    assert_string_equal(rig_body(later), "late");
    rig_close(&desk.rig);
}

static void a_watched_request_learns_that_its_peer_is_gone(void **state)
{
    (void)state;
    struct desk desk;
    struct http_limits limits = rig_limits();
    for (int how = 0; how < 3; how++) {
        desk_open(&desk, &limits);
        struct rig_client *client = rig_connect(&desk.rig);
        rig_send(&desk.rig, client, "GET /watch HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_true(rig_until(&desk.rig, somebody_waits, &desk));
        assert_int_equal(desk.gone, 0);
        if (how == 0)
            rig_client_close(client);
        else if (how == 1)
            rig_client_fin(client);
        else
            rig_client_rst(client);
        assert_true(rig_until(&desk.rig, somebody_is_gone, &desk));
        rig_pass(&desk.rig, 20);
        assert_int_equal(desk.gone, 1);
        answer_waiting(&desk, "nobody reads this");
        rig_close(&desk.rig);
    }
}

static void a_peer_that_goes_while_nobody_watches_costs_nothing(void **state)
{
    (void)state;
    struct desk desk;
    struct http_limits limits = rig_limits();
    desk_open(&desk, &limits);
    struct rig_client *client = rig_connect(&desk.rig);
    rig_send(&desk.rig, client, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(rig_until(&desk.rig, somebody_waits, &desk));
    rig_client_rst(client);
    rig_pass(&desk.rig, 20);
    answer_waiting(&desk, "nobody reads this");
    assert_true(rig_until(&desk.rig, nobody_is_connected, &desk));
    rig_close(&desk.rig);
}

/* A FIN or RST at each step of a request that never gets whole. */
static void a_peer_that_goes_in_the_middle_of_a_request_leaves_nothing_behind(void **state)
{
    (void)state;
    static const char *const beginnings[] = {
        "",
        "GE",
        "GET /hello HTTP/1.1\r\n",
        "GET /hello HTTP/1.1\r\nHos",
        "POST /length HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n",
        "POST /length HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\ntext=",
        "POST /length HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ntext=\r\n",
    };
    struct desk desk;
    struct http_limits limits = rig_limits();
    desk_open(&desk, &limits);
    for (size_t i = 0; i < array_len(beginnings); i++) {
        for (int by_rst = 0; by_rst < 2; by_rst++) {
            struct rig_client *client = rig_connect(&desk.rig);
            rig_send(&desk.rig, client, beginnings[i]);
            rig_pass(&desk.rig, 5);
            if (by_rst)
                rig_client_rst(client);
            else
                rig_client_close(client);
            assert_true(rig_until(&desk.rig, nobody_is_connected, &desk));
        }
    }
    assert_int_equal(desk.calls, 0);
    rig_close(&desk.rig);
}

/* --- limits at their edges --- */

/* A request whose head has exactly `bytes`. */
static void write_head(char *text, size_t bytes)
{
    static const char begin[] = "GET /hello HTTP/1.1\r\nHost: h\r\nX-Filler: ";
    static const char end[] = "\r\n\r\n";
    size_t fill = bytes - (sizeof(begin) - 1) - (sizeof(end) - 1);
    memcpy(text, begin, sizeof(begin) - 1);
    memset(text + sizeof(begin) - 1, 'x', fill);
    memcpy(text + sizeof(begin) - 1 + fill, end, sizeof(end));
}

static void the_header_limit_is_exact(void **state)
{
    (void)state;
    struct desk desk;
    struct http_limits limits = rig_limits();
    char text[16384];
    limits.header_bytes = 8192;
    desk_open(&desk, &limits);
    int64_t hits = metric_value(METRIC_LIMIT_HEADER);
    write_head(text, 8192);
    assert_int_equal(rig_status(rig_ask(&desk.rig, text), 0), 200);
    assert_int_equal(metric_value(METRIC_LIMIT_HEADER), hits);
    write_head(text, 8193);
    struct rig_client *client = rig_ask(&desk.rig, text);
    assert_int_equal(rig_status(client, 0), 431);
    assert_true(rig_has_header(client, "Connection: close"));
    assert_true(rig_until_eof(&desk.rig, client));
    assert_false(client->reset);
    assert_int_equal(metric_value(METRIC_LIMIT_HEADER), hits + 1);
    rig_close(&desk.rig);
}

static void a_head_without_end_is_refused_in_bounded_memory(void **state)
{
    (void)state;
    struct desk desk;
    struct http_limits limits = rig_limits();
    desk_open(&desk, &limits);
    size_t len = 1 << 20;
    char *text = malloc(len + 1);
    assert_non_null(text);
    memset(text, 'x', len);
    text[len] = '\0';
    memcpy(text, "GET /hello HTTP/1.1\r\nCookie: a=", 31);
    assert_int_equal(rig_status(rig_ask(&desk.rig, text), 0), 431);
    memcpy(text, "GET /", 5);
    memset(text + 5, 'x', 40);
    assert_int_equal(rig_status(rig_ask(&desk.rig, text), 0), 414);
    free(text);
    rig_close(&desk.rig);
}

static void the_url_limit_is_exact(void **state)
{
    (void)state;
    struct desk desk;
    struct http_limits limits = rig_limits();
    char filler[100], text[256];
    limits.url_bytes = 64;
    desk_open(&desk, &limits);
    int64_t hits = metric_value(METRIC_LIMIT_URL);
    for (int over = 0; over < 2; over++) {
        size_t fill = 64 - strlen("/hello?") + (size_t)over;
        memset(filler, 'q', fill);
        (void)snprintf(text, sizeof(text), "GET /hello?%.*s HTTP/1.1\r\nHost: h\r\n\r\n", (int)fill, filler);
        assert_int_equal(rig_status(rig_ask(&desk.rig, text), 0), over ? 414 : 200);
    }
    assert_int_equal(metric_value(METRIC_LIMIT_URL), hits + 1);
    rig_close(&desk.rig);
}

static void many_arguments_and_many_headers_are_parsed_or_refused(void **state)
{
    (void)state;
    struct desk desk;
    struct http_limits limits = rig_limits();
    char *text = malloc(200000);
    assert_non_null(text);
    desk_open(&desk, &limits);
    strcpy(text, "GET /hello?");
    for (size_t at = strlen(text), i = 0; i < 900; i++, at += 2)
        memcpy(text + at, "a&", 3);
    strcat(text, " HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(rig_status(rig_ask(&desk.rig, text), 0), 200);
    strcpy(text, "GET /hello?");
    for (size_t at = strlen(text), i = 0; i < 20000; i++, at += 2)
        memcpy(text + at, "a&", 3);
    strcat(text, " HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(rig_status(rig_ask(&desk.rig, text), 0), 414);
    strcpy(text, "GET /hello HTTP/1.1\r\nHost: h\r\n");
    for (size_t at = strlen(text), i = 0; i < 1000; i++, at += 6)
        memcpy(text + at, "a: b\r\n", 7);
    strcat(text, "\r\n");
    assert_int_equal(rig_status(rig_ask(&desk.rig, text), 0), 431);
    clock_t before = clock();
    rig_pass(&desk.rig, 100);
    assert_true(clock() - before < CLOCKS_PER_SEC / 20);
    free(text);
    rig_close(&desk.rig);
}

static void the_body_limit_is_exact_with_a_length_and_without(void **state)
{
    (void)state;
    struct desk desk;
    struct http_limits limits = rig_limits();
    char body[128] = "text=", text[512];
    limits.body_bytes = 100;
    desk_open(&desk, &limits);
    int64_t hits = metric_value(METRIC_LIMIT_BODY);
    memset(body + strlen(body), 'b', sizeof(body) - strlen(body));
    for (int len = 100; len <= 101; len++) {
        (void)snprintf(text, sizeof(text), "POST /length HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%.*s", len,
                       len, body);
        struct rig_client *client = rig_ask(&desk.rig, text);
        assert_int_equal(rig_status(client, 0), len == 100 ? 200 : 413);
        if (len == 100)
            assert_string_equal(rig_body(client), "ok 95");
        (void)snprintf(text, sizeof(text),
                       "POST /length HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "32\r\n%.*s\r\n%x\r\n%.*s\r\n0\r\n\r\n",
                       50, body, (unsigned)len - 50, len - 50, body + 50);
        client = rig_ask(&desk.rig, text);
        assert_int_equal(rig_status(client, 0), len == 100 ? 200 : 413);
    }
    assert_int_equal(metric_value(METRIC_LIMIT_BODY), hits + 2);
    rig_close(&desk.rig);
}

static void a_client_that_goes_on_sending_can_read_why_it_was_refused(void **state)
{
    (void)state;
    struct desk desk;
    struct http_limits limits = rig_limits();
    desk_open(&desk, &limits);
    struct rig_client *client = rig_connect(&desk.rig);
    char chunk[8192];
    memset(chunk, 'x', sizeof(chunk));
    rig_send(&desk.rig, client, "POST /length HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
    for (int i = 0; i < 20; i++)
        rig_send_bytes(&desk.rig, client, chunk, sizeof(chunk));
    assert_true(rig_until_eof(&desk.rig, client));
    assert_int_equal(rig_status(client, 0), 413);
    assert_false(client->reset);
    rig_close(&desk.rig);
}

static void an_expectation_is_met_or_refused_without_reading_on(void **state)
{
    (void)state;
    struct desk desk;
    struct http_limits limits = rig_limits();
    desk_open(&desk, &limits);
    struct rig_client *client = rig_connect(&desk.rig);
    rig_send(&desk.rig, client,
             "POST /length HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\nExpect: 100-continue\r\n\r\n");
    assert_true(rig_until_text(&desk.rig, client, "HTTP/1.1 100 Continue\r\n\r\n"));
    rig_send(&desk.rig, client, "text=ab");
    assert_true(rig_until_text(&desk.rig, client, "ok 2"));
    client = rig_ask(&desk.rig, "POST /length HTTP/1.1\r\nHost: h\r\nContent-Length: 7000000\r\n"
                                "Expect: 100-continue\r\n\r\n");
    assert_int_equal(rig_status(client, 0), 413);
    client = rig_ask(&desk.rig, "POST /length HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\nExpect: tea\r\n\r\n");
    assert_int_equal(rig_status(client, 0), 417);
    assert_int_equal(desk.calls, 1);
    rig_close(&desk.rig);
}

/* --- deadlines --- */

static void a_head_that_takes_too_long_is_answered_408(void **state)
{
    (void)state;
    struct desk desk;
    struct http_limits limits = rig_limits();
    limits.header_ms = 100;
    desk_open(&desk, &limits);
    int64_t hits = metric_value(METRIC_LIMIT_REQUEST_TIME);
    struct rig_client *client = rig_connect(&desk.rig);
    for (int i = 0; i < 40 && !client->eof; i++) { /* a byte now and then buys no time */
        rig_send(&desk.rig, client, i ? "x" : "GET /hello HTTP/1.1\r\nX: ");
        rig_pass(&desk.rig, 10);
    }
    assert_true(rig_until_eof(&desk.rig, client));
    assert_int_equal(rig_status(client, 0), 408);
    assert_int_equal(metric_value(METRIC_LIMIT_REQUEST_TIME), hits + 1);
    rig_close(&desk.rig);
}

static void a_body_that_takes_too_long_is_answered_408(void **state)
{
    (void)state;
    struct desk desk;
    struct http_limits limits = rig_limits();
    limits.request_ms = 100;
    desk_open(&desk, &limits);
    struct rig_client *client = rig_connect(&desk.rig);
    rig_send(&desk.rig, client, "POST /length HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n");
    for (int i = 0; i < 40 && !client->eof; i++) {
        rig_send(&desk.rig, client, "x");
        rig_pass(&desk.rig, 10);
    }
    assert_true(rig_until_eof(&desk.rig, client));
    assert_int_equal(rig_status(client, 0), 408);
    assert_int_equal(desk.calls, 0);
    rig_close(&desk.rig);
}

static void a_connection_that_says_nothing_is_closed_without_a_word(void **state)
{
    (void)state;
    struct desk desk;
    struct http_limits limits = rig_limits();
    limits.header_ms = 50;
    desk_open(&desk, &limits);
    int64_t hits = metric_value(METRIC_LIMIT_IDLE);
    struct rig_client *silent = rig_connect(&desk.rig);
    assert_true(rig_until_eof(&desk.rig, silent));
    assert_int_equal(silent->len, 0);
    rig_close(&desk.rig);

    limits = rig_limits();
    limits.idle_ms = 80;
    desk_open(&desk, &limits);
    struct rig_client *served = rig_ask(&desk.rig, get_hello);
    size_t len = served->len;
    assert_true(rig_until_eof(&desk.rig, served));
    assert_int_equal(served->len, len);
    assert_int_equal(metric_value(METRIC_LIMIT_IDLE), hits + 2);
    rig_close(&desk.rig);
}

static void a_further_request_that_takes_too_long_is_answered_408(void **state)
{
    (void)state;
    struct desk desk;
    struct http_limits limits = rig_limits();
    limits.header_ms = 1000;
    desk_open(&desk, &limits);
    struct rig_client *client = rig_ask(&desk.rig, get_hello);
    rig_send(&desk.rig, client, "GET /hello HTTP/1.1\r\nHost");
    assert_true(rig_until_eof(&desk.rig, client));
    assert_int_equal(rig_status(client, 0), 200);
    assert_int_equal(rig_status(client, 1), 408);
    rig_close(&desk.rig);
}

static void a_waiting_request_has_no_deadline(void **state)
{
    (void)state;
    struct desk desk;
    struct http_limits limits = rig_limits();
    limits.header_ms = limits.request_ms = limits.idle_ms = 500;
    desk_open(&desk, &limits);
    struct rig_client *client = rig_connect(&desk.rig);
    rig_send(&desk.rig, client, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(rig_until(&desk.rig, somebody_waits, &desk));
    rig_pass(&desk.rig, 700);
    assert_false(client->eof);
    answer_waiting(&desk, "late");
    assert_true(rig_until_text(&desk.rig, client, "late"));
    rig_close(&desk.rig);
}

/* --- draining and closing --- */

static void on_drained(void *ctx)
{
    *(bool *)ctx = true;
}

static bool is_set(void *ctx)
{
    return *(bool *)ctx;
}

static void draining_answers_what_waits_and_closes_the_rest(void **state)
{
    (void)state;
    struct desk desk;
    struct http_limits limits = rig_limits();
    bool is_drained = false;
    desk_open(&desk, &limits);
    struct rig_client *idle = rig_ask(&desk.rig, get_hello);
    struct rig_client *new = rig_connect(&desk.rig);
    struct rig_client *waiting = rig_connect(&desk.rig);
    rig_send(&desk.rig, waiting, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\nGET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(rig_until(&desk.rig, somebody_waits, &desk));
    http_server_drain(desk.rig.server, on_drained, &is_drained);
    assert_true(rig_until_eof(&desk.rig, idle));
    assert_true(rig_until_eof(&desk.rig, new));
    rig_pass(&desk.rig, 20);
    assert_false(is_drained);
    assert_false(waiting->eof);
    answer_waiting(&desk, "last words");
    assert_true(rig_until(&desk.rig, is_set, &is_drained));
    assert_true(rig_until_eof(&desk.rig, waiting));
    assert_true(rig_has_header(waiting, "Connection: close"));
    assert_non_null(strstr(waiting->text, "last words"));
    assert_null(strstr(waiting->text, "hello"));
    struct rig_client *late = rig_connect(&desk.rig);
    assert_true(rig_until_eof(&desk.rig, late));
    rig_close(&desk.rig);
}

static void draining_an_empty_server_is_done_at_once(void **state)
{
    (void)state;
    struct desk desk;
    struct http_limits limits = rig_limits();
    bool is_drained = false;
    desk_open(&desk, &limits);
    http_server_drain(desk.rig.server, on_drained, &is_drained);
    assert_true(rig_until(&desk.rig, is_set, &is_drained));
    rig_close(&desk.rig);
}

static void closing_with_requests_waiting_leaves_them_to_be_answered(void **state)
{
    (void)state;
    struct desk desk;
    struct http_limits limits = rig_limits();
    desk_open(&desk, &limits);
    struct rig_client *clients[4];
    static const char *const requests[] = {
        "GET /wait HTTP/1.1\r\nHost: h\r\nX-Mine: kept\r\n\r\n",
        "GET /watch HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /length HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nte",
        get_hello,
    };
    for (size_t i = 0; i < array_len(clients); i++) {
        clients[i] = rig_connect(&desk.rig);
        rig_send(&desk.rig, clients[i], requests[i]);
    }
    while (desk.waiting_count < 2)
        rig_turn(&desk.rig);
    rig_pass(&desk.rig, 20);
    struct span mine = request_header(desk.waiting[0], "X-Mine");
    if (mine.len == 0)
        mine = request_header(desk.waiting[1], "X-Mine");
    http_server_close(desk.rig.server);
    desk.rig.server = NULL;
    assert_true(span_is(mine, "kept"));
    for (size_t i = 0; i < array_len(clients); i++)
        assert_true(rig_until_eof(&desk.rig, clients[i]));
    assert_int_equal(desk.gone, 0);
    answer_waiting(&desk, "nobody reads this");
    rig_close(&desk.rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_answered_with_the_headers_every_answer_has),
        cmocka_unit_test(a_connection_takes_one_request_after_the_other),
        cmocka_unit_test(a_hundred_requests_in_one_segment_are_answered_in_order),
        cmocka_unit_test(an_answer_may_come_later_and_what_was_pipelined_waits_for_it),
        cmocka_unit_test(a_waiting_request_costs_no_time),
        cmocka_unit_test(an_endless_extension_of_a_chunk_costs_no_time),
        cmocka_unit_test(many_requests_wait_side_by_side),
        cmocka_unit_test(a_client_that_has_closed_its_sending_side_gets_its_answer),
        cmocka_unit_test(a_watched_request_learns_that_its_peer_is_gone),
        cmocka_unit_test(a_peer_that_goes_while_nobody_watches_costs_nothing),
        cmocka_unit_test(a_peer_that_goes_in_the_middle_of_a_request_leaves_nothing_behind),
        cmocka_unit_test(the_header_limit_is_exact),
        cmocka_unit_test(a_head_without_end_is_refused_in_bounded_memory),
        cmocka_unit_test(the_url_limit_is_exact),
        cmocka_unit_test(many_arguments_and_many_headers_are_parsed_or_refused),
        cmocka_unit_test(the_body_limit_is_exact_with_a_length_and_without),
        cmocka_unit_test(a_client_that_goes_on_sending_can_read_why_it_was_refused),
        cmocka_unit_test(an_expectation_is_met_or_refused_without_reading_on),
        cmocka_unit_test(a_head_that_takes_too_long_is_answered_408),
        cmocka_unit_test(a_body_that_takes_too_long_is_answered_408),
        cmocka_unit_test(a_connection_that_says_nothing_is_closed_without_a_word),
        cmocka_unit_test(a_further_request_that_takes_too_long_is_answered_408),
        cmocka_unit_test(a_waiting_request_has_no_deadline),
        cmocka_unit_test(draining_answers_what_waits_and_closes_the_rest),
        cmocka_unit_test(draining_an_empty_server_is_done_at_once),
        cmocka_unit_test(closing_with_requests_waiting_leaves_them_to_be_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
