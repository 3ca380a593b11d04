/* SPDX-License-Identifier: MIT */
/*
 * Requests whose framing another server might read differently are refused, alone as a pure function and over a real
 * connection, where what follows them must never be read as a request.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/metric.h"
#include "http/framing.h"
#include "tests/lib/http_rig.h"

/* --- the rules alone --- */

struct line_case {
    const char *lines[4][2]; /* name and value */
    enum err http11;
    enum err http10;
};

#define HOST                                                                                                           \
    {                                                                                                                  \
        "Host", "h"                                                                                                    \
    }

static const struct line_case line_cases[] = {
    {{HOST}, OK, OK},
    {{{"host", "h:80"}}, OK, OK},
    {{{NULL}}, ERR_BAD_FRAMING, OK}, /* no Host */
    {{HOST, HOST}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},
    {{HOST, {"HOST", "other"}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},
    {{{"Host", "a b"}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},
    {{{"Host", "a, b"}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},
    {{{"Host", "h/path"}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},

    {{HOST, {"Content-Length", "0"}}, OK, OK},
    {{HOST, {"Content-Length", "0005"}}, OK, OK},
    {{HOST, {"Content-Length", "18446744073709551615"}}, OK, OK},
    {{HOST, {"Content-Length", "18446744073709551616"}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},
    {{HOST, {"Content-Length", "99999999999999999999"}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},
    {{HOST, {"Content-Length", ""}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},
    {{HOST, {"Content-Length", "+5"}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},
    {{HOST, {"Content-Length", "-1"}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},
    {{HOST, {"Content-Length", "0x5"}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},
    {{HOST, {"Content-Length", "5 "}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},
    {{HOST, {"Content-Length", "5, 5"}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},
    {{HOST, {"Content-Length", "5"}, {"Content-Length", "5"}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},
    {{HOST, {"Content-Length", "5"}, {"content-length", "6"}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},

    {{HOST, {"Transfer-Encoding", "chunked"}}, OK, ERR_BAD_FRAMING},
    {{HOST, {"Transfer-Encoding", "Chunked"}}, OK, ERR_BAD_FRAMING},
    {{HOST, {"Transfer-Encoding", "xchunked"}}, ERR_BAD_CODING, ERR_BAD_CODING},
    {{HOST, {"Transfer-Encoding", "chunked "}}, ERR_BAD_CODING, ERR_BAD_CODING},
    {{HOST, {"Transfer-Encoding", "gzip, chunked"}}, ERR_BAD_CODING, ERR_BAD_CODING},
    {{HOST, {"Transfer-Encoding", "identity"}}, ERR_BAD_CODING, ERR_BAD_CODING},
    {{HOST, {"Transfer-Encoding", ""}}, ERR_BAD_CODING, ERR_BAD_CODING},
    {{HOST, {"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "chunked"}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},
    {{HOST, {"Content-Length", "5"}, {"Transfer-Encoding", "chunked"}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},
    {{HOST, {"Transfer-Encoding", "chunked"}, {"Content-Length", "5"}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},

    {{HOST, {"Transfer-Encoding ", "chunked"}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},
    {{HOST, {"Transfer-Encoding\t", "chunked"}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},
    {{HOST, {" Folded", "x"}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},
    {{HOST, {"", "x"}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},
    {{HOST, {"N\x01", "x"}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},
    {{HOST, {"N\x7f", "x"}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},
    {{HOST, {"N\xc3\xa4", "x"}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},
    {{HOST, {"N(", "x"}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},
    {{HOST, {"!#$%&'*+-.^_`|~09aZ", "x"}}, OK, OK},
    {{HOST, {"X", "tab\tand \xc3\xa4"}}, OK, OK},
    {{HOST, {"X", "a\rb"}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},
    {{HOST, {"X", "a\x01"}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},
    {{HOST, {"X", "a\x7f"}}, ERR_BAD_FRAMING, ERR_BAD_FRAMING},

    {{HOST, {"Expect", "100-continue"}}, OK, OK},
    {{HOST, {"Expect", "100-Continue"}}, OK, OK},
    {{HOST, {"Expect", "a miracle"}}, ERR_BAD_EXPECT, ERR_BAD_EXPECT},
};

static enum err judge(const struct line_case *line_case, bool http10)
{
    struct framing framing;
    framing_begin(&framing, NULL, NULL, http10);
    for (size_t i = 0; i < 4 && line_case->lines[i][0]; i++)
        framing_add(&framing, span_of(line_case->lines[i][0]), span_of(line_case->lines[i][1]));
    enum err err = framing_check(&framing);
    assert_int_equal(err != OK, framing.sentence != NULL);
    return err;
}

static void each_rule_holds(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_len(line_cases); i++) {
        if (judge(&line_cases[i], false) != line_cases[i].http11 || judge(&line_cases[i], true) != line_cases[i].http10)
            fail_msg("case %zu", i);
    }
}

static void a_nul_in_a_name_or_value_is_refused(void **state)
{
    (void)state;
    struct framing framing;
    framing_begin(&framing, NULL, NULL, true);
    framing_add(&framing, SPAN_LITERAL("X"), SPAN_LITERAL("a\0b"));
    assert_int_equal(framing_check(&framing), ERR_BAD_FRAMING);
    framing_begin(&framing, NULL, NULL, true);
    framing_add(&framing, SPAN_LITERAL("X\0Y"), SPAN_LITERAL("a"));
    assert_int_equal(framing_check(&framing), ERR_BAD_FRAMING);
}

/* A head as MHD leaves it, `_` standing for NUL; walked with the lines that are named by their offsets. */
struct walk_case {
    const char *head;
    const char *names[3];
    enum err err;
};

static const struct walk_case walk_cases[] = {
    {"HTTP/1.0__Host_ h__X_y____", {"Host", "X"}, OK},
    {"HTTP/1.0_Host_ h_X_y__", {"Host", "X"}, OK}, /* bare line feeds */
    {"HTTP/1.0____", {NULL}, OK},
    {"HTTP/1.0__Host_ h \t__X_ \ty__ __", {"Host", "X"}, ERR_BAD_FRAMING},
    {"HTTP/1.0__Host_ h__X_y__ folded____", {"Host", "X"}, ERR_BAD_FRAMING},
    {"HTTP/1.0__Host_ h__ folded__X_y____", {"Host", "X"}, ERR_BAD_FRAMING},
    {"HTTP/1.0__Host_ h_hidden__X_y____", {"Host", "X"}, ERR_BAD_FRAMING}, /* a NUL in a value */
    {"HTTP/1.0__Host_ h___X_y____", {"Host", "X"}, ERR_BAD_FRAMING},
    {"HTTP/1.0__Host_ h__X_y_____", {"Host", "X"}, ERR_BAD_FRAMING},
    {"HTTP/1.0__Host_ h__X_y__Z_w____", {"Host", "X"}, ERR_BAD_FRAMING}, /* a line that is not named */
};

static struct span find_text(const char *head, size_t len, const char *text)
{
    const char *found = memmem(head, len, text, strlen(text));
    assert_non_null(found);
    return (struct span){found, strlen(text)};
}

static void the_lines_must_make_up_the_whole_head(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_len(walk_cases); i++) {
        const struct walk_case *walk_case = &walk_cases[i];
        size_t len = strlen(walk_case->head);
        char head[64];
        struct framing framing;
        for (size_t at = 0; at < len; at++)
            head[at] = walk_case->head[at];
        for (size_t at = 0; at < len; at++)
            if (head[at] == '_')
                head[at] = '\0';
        framing_begin(&framing, head + 8, head + len, true);
        for (size_t n = 0; n < 3 && walk_case->names[n]; n++) {
            struct span name = find_text(head, len, walk_case->names[n]);
            const char *value = name.data + name.len + 1;
            value += strspn(value, " \t");
            framing_add(&framing, name, span_of(value));
        }
        if (framing_check(&framing) != walk_case->err)
            fail_msg("case %zu", i);
    }
}

static void a_line_outside_the_head_is_refused(void **state)
{
    (void)state;
    char head[] = "HTTP/1.0\0\0A\0b\0\0\0\0";
    struct framing framing;
    framing_begin(&framing, head + 8, head + sizeof(head) - 1, true);
    framing_add(&framing, SPAN_LITERAL("A"), SPAN_LITERAL("b"));
    assert_int_equal(framing_check(&framing), ERR_BAD_FRAMING);
}

/* --- over a connection --- */

static unsigned smuggled_calls;

static void handle_target(void *ctx, struct request *req)
{
    (void)ctx;
    struct span text = SPAN_LITERAL("");
    (void)!request_field(req, "text", &text);
    struct blob *body = blob_copy(text);
    request_reply(req, 200, "text/plain", body, NULL);
    blob_unref(body);
}

static void handle_smuggled(void *ctx, struct request *req)
{
    (void)ctx;
    smuggled_calls++;
    request_reply(req, 200, NULL, NULL, NULL);
}

static const struct route routes[] = {
    {HTTP_GET, "/", ROUTE_ANYONE, handle_target},
    {HTTP_POST, "/", ROUTE_ANYONE, handle_target},
    {HTTP_GET, "/smuggled", ROUTE_ANYONE, handle_smuggled},
};

struct wire_case {
    const char *request;
    int status; /* 0: closed, with or without an answer of MHD's own, but never a success */
};

#define SMUGGLED "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
#define POST "POST / HTTP/1.1\r\nHost: h\r\n"

/* Each is sent with a smuggled request behind it, and must end with the connection closed. */
static const struct wire_case wire_cases[] = {
    {POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {POST "Transfer-Encoding: chunked\r\nContent-Length: 38\r\n\r\n0\r\n\r\n", 400},
    {POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\ntext=", 400},
    {POST "Content-Length: 5\r\nContent-Length: 0\r\n\r\ntext=", 400},
    {POST "Content-Length: 0\r\nContent-Length: 5\r\n\r\n", 400},
    {POST "Content-Length: +5\r\n\r\ntext=", 400},
    {POST "Content-Length: 5, 5\r\n\r\ntext=", 400},
    {POST "Content-Length: 0x5\r\n\r\ntext=", 400},
    {POST "Content-Length: -1\r\n\r\ntext=", 400},
    {POST "Content-Length: \r\n\r\n", 400},
    {POST "Content-Length: 18446744073709551616\r\n\r\n", 413},
    {POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501},
    {POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
    {POST "Transfer-Encoding: identity\r\n\r\n", 501},
    {POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
    {POST "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n", 400},
    {POST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400},
    {POST "Transfer-Encoding:\r\n\tchunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400},
    {POST "X: y\r\n Content-Length: 5\r\n\r\n", 400},
    {POST " Content-Length: 5\r\n\r\n", 400},
    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: h\r\nHost: other\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: h\r\n: empty\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: h\r\nNo colon\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: h\r\nX\x01: y\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: h\r\nX: y\x7f\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: h\r\nX: y\rContent-Length: 38\r\n\r\n", 400},
    {"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
    {"GET / x HTTP/1.1\r\nHost: h\r\n\r\n", 400},
    {"GET /  HTTP/1.1\r\nHost: h\r\n\r\n", 400},
    {"GET / HTTP/0.9\r\nHost: h\r\n\r\n", 505},
    {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
    {"GET / HTCPCP/1.1\r\nHost: h\r\n\r\n", 400},
    {"GET /\r\n\r\n", 0},
    {"G\x16T / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
    {"G(T / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
    {POST "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF1\r\n", 413},
    {POST "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n0123456789012345678901234567890123456789", -1},
    {POST "Transfer-Encoding: chunked\r\n\r\n0x10\r\n", 400},
    {POST "Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400},
    {POST "Transfer-Encoding: chunked\r\n\r\n5\r\ntext=x\r\n0\r\n\r\n", 400},
    {POST "Transfer-Encoding: chunked\r\n\r\n;x\r\n", 400},
};

static void open_rig(struct http_rig *rig)
{
    struct http_limits limits = rig_limits();
    struct router *router = router_new(&(struct router_config){0});
    limits.request_ms = 1000;
    assert_non_null(router);
    assert_int_equal(router_mount(router, routes, array_len(routes), NULL), OK);
    rig_open(rig, &limits, router);
    smuggled_calls = 0;
}

static void try_wire_case(struct http_rig *rig, const char *request, size_t len, int status, size_t number)
{
    struct rig_client *client = rig_connect(rig);
    rig_send_bytes(rig, client, request, len);
    rig_send(rig, client, SMUGGLED);
    if (!rig_until_eof(rig, client))
        fail_msg("case %zu is not closed", number);
    int got = rig_status(client, 0);
    if (status > 0 ? got != status : got == 200)
        fail_msg("case %zu: %d\n%s", number, got, client->text);
    if (smuggled_calls)
        fail_msg("case %zu let a request through", number);
    rig_client_close(client);
}

static void what_is_ambiguous_is_refused_and_nothing_behind_it_is_read(void **state)
{
    (void)state;
    struct http_rig rig;
    for (size_t i = 0; i < array_len(wire_cases); i++) {
        open_rig(&rig);
        try_wire_case(&rig, wire_cases[i].request, strlen(wire_cases[i].request), wire_cases[i].status, i);
        assert_int_equal(rig_status(rig_ask(&rig, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"), 0), 200);
        rig_close(&rig);
    }
}

static void a_nul_anywhere_in_the_head_is_refused(void **state)
{
    (void)state;
    static const struct span requests[] = {
        SPAN_LITERAL("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n"), /* the hello of TLS */
        SPAN_LITERAL("GET /\0x HTTP/1.1\r\nHost: h\r\n\r\n"),
        SPAN_LITERAL("G\0T / HTTP/1.1\r\nHost: h\r\n\r\n"),
        SPAN_LITERAL("GET / HTTP/1.1\0\r\nHost: h\r\n\r\n"),
        SPAN_LITERAL("GET / HTTP/1.1\r\nHo\0st: h\r\n\r\n"),
        SPAN_LITERAL("GET / HTTP/1.1\r\nHost: h\0x\r\n\r\n"),
        SPAN_LITERAL("GET / HTTP/1.1\r\nHost: h\r\nX: y\0\r\n\r\n"),
        SPAN_LITERAL("GET / HTTP/1.1\r\nHost: h\r\nX: \0Content-Length: 38\r\n\r\n"),
    };
    struct http_rig rig;
    for (size_t i = 0; i < array_len(requests); i++) {
        open_rig(&rig);
        try_wire_case(&rig, requests[i].data, requests[i].len, 0, i);
        rig_close(&rig);
    }
}

static void what_is_sound_still_passes(void **state)
{
    (void)state;
    static const char *const requests[] = {
        POST "Content-Length: 6\r\n\r\ntext=a",
        POST "Content-Length: 0006\r\n\r\ntext=a",
        POST "Transfer-Encoding: chunked\r\n\r\n6\r\ntext=a\r\n0\r\n\r\n",
        POST "Transfer-Encoding: CHUNKED\r\n\r\n6;extension=1\r\ntext=a\r\n0\r\nTrailer: x\r\n\r\n",
        "\r\n\r\nPOST / HTTP/1.1\nHost: h\nContent-Length: 6\n\ntext=a",
        "POST / HTTP/1.0\r\nContent-Length: 6\r\n\r\ntext=a",
        "POST /?text=a HTTP/1.0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost:h\r\nX-Blanks: \t y \t \r\nX-Empty:\r\nContent-Length: 6\r\n\r\ntext=a",
        "POST http://h/ HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\ntext=a",
    };
    struct http_rig rig;
    int64_t hits = metric_value(METRIC_LIMIT_FRAMING);
    open_rig(&rig);
    for (size_t i = 0; i < array_len(requests); i++) {
        struct rig_client *client = rig_ask(&rig, requests[i]);
        if (rig_status(client, 0) != 200 || strcmp(rig_body(client), "a") != 0)
            fail_msg("case %zu: %s", i, client->text);
    }
    assert_int_equal(metric_value(METRIC_LIMIT_FRAMING), hits);
    rig_close(&rig);
}

static void chunks_of_one_byte_and_endless_trailers_are_bounded(void **state)
{
    (void)state;
    struct http_rig rig;
    open_rig(&rig);
    struct rig_client *client = rig_connect(&rig);
    rig_send(&rig, client, POST "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 70000 && !client->eof; i++)
        rig_send(&rig, client, "1\r\nx\r\n");
    assert_true(rig_until_eof(&rig, client));
    assert_true(rig_status(client, 0) == 413 || rig_status(client, 0) == 408);
    client = rig_connect(&rig);
    rig_send(&rig, client, POST "Transfer-Encoding: chunked\r\n\r\n0\r\n");
    for (int i = 0; i < 10000 && !client->eof; i++)
        rig_send(&rig, client, "Trailer: x\r\n");
    assert_true(rig_until_eof(&rig, client));
    assert_int_not_equal(rig_status(client, 0), 200);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_holds),
        cmocka_unit_test(a_nul_in_a_name_or_value_is_refused),
        cmocka_unit_test(the_lines_must_make_up_the_whole_head),
        cmocka_unit_test(a_line_outside_the_head_is_refused),
        cmocka_unit_test(what_is_ambiguous_is_refused_and_nothing_behind_it_is_read),
        cmocka_unit_test(a_nul_anywhere_in_the_head_is_refused),
        cmocka_unit_test(what_is_sound_still_passes),
        cmocka_unit_test(chunks_of_one_byte_and_endless_trailers_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
