/* SPDX-License-Identifier: MIT */
/* What a handler reads of a request: fields of forms, JSON bodies and queries alike, headers, and the forms of an
 * answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/metric.h"
#include "http/form.h"
#include "tests/lib/http_rig.h"

/* --- forms alone --- */

struct form_case {
    const char *text;
    enum err err;
    const char *fields[4][2];
};

static const struct form_case form_cases[] = {
    {"", OK, {{NULL}}},
    {"&&&", OK, {{NULL}}},
    {"a=1", OK, {{"a", "1"}}},
    {"a=1&b=2&a=3", OK, {{"a", "1"}, {"b", "2"}, {"a", "3"}}},
    {"a", OK, {{"a", ""}}},
    {"a=", OK, {{"a", ""}}},
    {"=1", OK, {{"", "1"}}},
    {"a=b=c", OK, {{"a", "b=c"}}},
    {"a+b=c+d%2B", OK, {{"a b", "c d+"}}},
    {"%61=%C3%A4%0A", OK, {{"a", "\xc3\xa4\n"}}},
    {"a=%26%3D", OK, {{"a", "&="}}},
    {"a=%", ERR_BAD_REQUEST, {{NULL}}},
    {"a=%4", ERR_BAD_REQUEST, {{NULL}}},
    {"a=%4g", ERR_BAD_REQUEST, {{NULL}}},
    {"a=%00", ERR_BAD_REQUEST, {{NULL}}},
    {"a=1&b=%80", ERR_BAD_UTF8, {{NULL}}},
    {"a=%ED%A0%80", ERR_BAD_UTF8, {{NULL}}},
};

static void forms_are_decoded_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_len(form_cases); i++) {
        const struct form_case *form_case = &form_cases[i];
        struct form form = {0};
        if (form_parse(span_of(form_case->text), &form) != form_case->err)
            fail_msg("case %zu", i);
        size_t count = 0;
        for (; count < 4 && form_case->fields[count][0]; count++) {
            assert_true(count < form.count);
            assert_true(span_is(form.fields[count].name, form_case->fields[count][0]));
            assert_true(span_is(form.fields[count].value, form_case->fields[count][1]));
        }
        assert_int_equal(form.count, count);
        form_fini(&form);
    }
}

static void a_path_keeps_its_plus_and_has_no_control_characters(void **state)
{
    (void)state;
    char out[16];
    size_t len = 0;
    assert_int_equal(percent_decode(SPAN_LITERAL("a+%2b"), PERCENT_PATH, out, &len), OK);
    assert_true(span_is((struct span){out, len}, "a++"));
    assert_int_equal(percent_decode(SPAN_LITERAL("%0a"), PERCENT_PATH, out, &len), ERR_BAD_REQUEST);
    assert_int_equal(percent_decode(SPAN_LITERAL("%7F"), PERCENT_PATH, out, &len), ERR_BAD_REQUEST);
    assert_int_equal(percent_decode(SPAN_LITERAL("\n"), PERCENT_PATH, out, &len), ERR_BAD_REQUEST);
    assert_int_equal(percent_decode(SPAN_LITERAL("%25"), PERCENT_PATH, out, &len), OK);
    assert_true(span_is((struct span){out, len}, "%"));
}

/* --- a handler that says what it reads --- */

static void add_field(struct buf *text, struct request *req, const char *name)
{
    struct span value = SPAN_LITERAL("");
    enum err err = request_field(req, name, &value);
    buf_printf(text, "%s:", name);
    if (err)
        buf_add_text(text, err_word(err));
    else
        buf_add(text, value);
    buf_add_char(text, ';');
}

static void add_fields(struct buf *text, struct request *req, const char *name)
{
    const struct span *values;
    size_t count;
    enum err err = request_fields(req, name, &values, &count);
    buf_printf(text, "%s=", name);
    if (err)
        buf_add_text(text, err_word(err));
    for (size_t i = 0; !err && i < count; i++) {
        buf_add(text, values[i]);
        buf_add_char(text, ',');
    }
    buf_add_char(text, ';');
}

static void add_json(struct buf *text, struct request *req, const char *name)
{
    json_t *json;
    struct span written;
    enum err err = request_json(req, name, &json, &written);
    if (!err) /* asking twice is asking once */
        err = request_json(req, name, &json, &written);
    char *dumped = err ? NULL : json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT);
    buf_printf(text, "%s~%s;", name, dumped ? dumped : err_word(err));
    free(dumped);
}

static void handle(void *ctx, struct request *req)
{
    (void)ctx;
    struct buf text = BUF_INIT;
    add_field(&text, req, "one");
    add_fields(&text, req, "many");
    add_json(&text, req, "json");
    struct blob *body = buf_blob(&text);
    request_reply(req, 200, "text/plain", body, NULL);
    blob_unref(body);
    buf_fini(&text);
}

static void handle_headers(void *ctx, struct request *req)
{
    (void)ctx;
    struct buf text = BUF_INIT;
    buf_printf(&text, "sse=%d any=%d http10=%d head=%d x=", request_accepts(req, "text/event-stream"),
               request_accepts(req, "*/*"), request_is_http10(req), request_is_head(req));
    buf_add(&text, request_header(req, "X-Thing"));
    buf_add_text(&text, " from=");
    buf_add(&text, request_address(req));
    buf_add_text(&text, " path=");
    buf_add(&text, request_path(req));
    struct blob *body = buf_blob(&text);
    request_reply(req, 200, "text/plain", body, NULL);
    blob_unref(body);
    buf_fini(&text);
}

static void handle_fail(void *ctx, struct request *req)
{
    (void)ctx;
    request_fail(req, ERR_TOO_MANY, "slow \"down\"", 7);
}

static void handle_json(void *ctx, struct request *req)
{
    (void)ctx;
    request_reply_json(req, 201, json_pack("{s:s}", "text", "a\nb \xe2\x80\xa8"));
}

static void handle_no_json(void *ctx, struct request *req)
{
    (void)ctx;
    request_reply_json(req, 201, NULL);
}

static void handle_empty(void *ctx, struct request *req)
{
    (void)ctx;
    static const struct http_header headers[] = {
        {"X-Good", "fine"}, {"X-Split", "a\r\nInjected: yes"}, {"X-Bell", "a\x07"}, {"Cache-Control", "max-age=5"},
        {NULL, NULL},
    };
    request_reply(req, 204, NULL, NULL, headers);
}

static const struct route routes[] = {
    {HTTP_GET, "/read", ROUTE_ANYONE, handle},
    {HTTP_POST, "/read", ROUTE_ANYONE, handle},
    {HTTP_GET, "/headers", ROUTE_ANYONE, handle_headers},
    {HTTP_GET, "/fail", ROUTE_ANYONE, handle_fail},
    {HTTP_GET, "/json", ROUTE_ANYONE, handle_json},
    {HTTP_GET, "/no-json", ROUTE_ANYONE, handle_no_json},
    {HTTP_GET, "/empty", ROUTE_ANYONE, handle_empty},
};

static void open_rig(struct http_rig *rig)
{
    struct http_limits limits = rig_limits();
    struct router *router = router_new(&(struct router_config){0});
    limits.json_depth = 3;
    assert_non_null(router);
    assert_int_equal(router_mount(router, routes, array_len(routes), NULL), OK);
    rig_open(rig, &limits, router);
}

struct body_case {
    const char *query;
    const char *type; /* null: none */
    const char *body;
    int status;
    const char *says;
};

#define FORM "application/x-www-form-urlencoded"

static const struct body_case body_cases[] = {
    {"", FORM, "one=1&many=a&many=b&json=%5B1%5D", 200, "one:1;many=a,b,;json~[1];"},
    {"", "application/json", "{\"one\": \"1\", \"many\": [\"a\", \"b\"], \"json\": [1]}", 200,
     "one:1;many=a,b,;json~[1];"},
    {"", "application/json; charset=utf-8", "{\"one\": 1.5, \"many\": \"a\", \"json\": {\"x\": null}}", 200,
     "one:1.5;many=a,;json~{\"x\":null};"},
    {"", "application/problem+json", "{\"one\": true}", 200, "one:true;many=;json~missing_field;"},
    {"?one=q&many=q1&many=q2&json=1", NULL, "", 200, "one:q;many=q1,q2,;json~1;"},
    {"?one=q&many=q1", FORM, "one=b", 200, "one:b;many=q1,;json~missing_field;"}, /* the body before the query */
    {"?one=q", "application/json", "{\"one\": null}", 200, "one:q;many=;json~missing_field;"},
    {"", FORM, "one=1&one=2&json=1&json=2", 200, "one:bad_field;many=;json~bad_field;"},
    {"", "application/json", "{\"one\": [1], \"many\": [[1]]}", 200,
     "one:bad_field;many=bad_field;json~missing_field;"},
    {"", FORM, "json=%7B", 200, "one:missing_field;many=;json~bad_json;"},
    /* curl -d calls everything a form; what is JSON is taken as that */
    {"", FORM, "{\"one\": \"1\"}", 200, "one:1;many=;json~missing_field;"},
    {"", FORM, "{one=1", 200, "one:missing_field;many=;json~missing_field;"},
    {"", NULL, " {\"one\": \"1\"}", 200, "one:1;many=;json~missing_field;"},
    {"", "text/plain", "one=1", 200, "one:1;many=;json~missing_field;"},
    {"", NULL, "{\"one\": ", 400, "bad_json"},
    {"", "application/json", "one=1", 400, "bad_json"},
    {"", "application/json", "[1]", 400, "bad_json"},
    {"", "application/json", "{\"one\": 1, \"one\": 2}", 400, "bad_json"},
    {"", "application/json", "{\"one\": \"\\u0000\"}", 400, "bad_json"},
    {"", "application/json", "{\"one\": \"\xff\"}", 400, "bad_utf8"},
    {"", "application/json", "{\"json\": [[1]]}", 200, "json~[[1]]"},
    {"", "application/json", "{\"json\": [[[1]]]}", 400, "bad_json"}, /* too deep */
    {"", FORM, "one=%ff", 400, "bad_utf8"},
    {"", FORM, "one=%", 400, "bad_request"},
    {"", "multipart/form-data; boundary=x", "--x", 415, "bad_type"},
    {"", "image/png", "x", 415, "bad_type"},
};

static void fields_read_alike_wherever_they_stand(void **state)
{
    (void)state;
    struct http_rig rig;
    open_rig(&rig);
    for (size_t i = 0; i < array_len(body_cases); i++) {
        const struct body_case *body_case = &body_cases[i];
        char text[1024], type[128] = "";
        if (body_case->type)
            (void)snprintf(type, sizeof(type), "Content-Type: %s\r\n", body_case->type);
        (void)snprintf(text, sizeof(text), "POST /read%s HTTP/1.1\r\nHost: h\r\n%sContent-Length: %zu\r\n\r\n%s",
                       body_case->query, type, strlen(body_case->body), body_case->body);
        struct rig_client *client = rig_ask(&rig, text);
        if (rig_status(client, 0) != body_case->status || !strstr(rig_body(client), body_case->says))
            fail_msg("case %zu: %s", i, client->text);
        rig_client_close(client);
    }
    rig_close(&rig);
}

static void json_that_is_only_too_deep_is_counted(void **state)
{
    (void)state;
    struct http_rig rig;
    open_rig(&rig);
    int64_t hits = metric_value(METRIC_LIMIT_JSON);
    assert_int_equal(rig_status(rig_ask(&rig, "POST /read HTTP/1.1\r\nHost: h\r\nContent-Length: 18\r\n\r\n"
                                              "{\"a\": [[[[1]]]] }  "),
                                0),
                     400);
    assert_int_equal(metric_value(METRIC_LIMIT_JSON), hits + 1);
    assert_int_equal(rig_status(rig_ask(&rig, "POST /read HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n{\"a\""), 0),
                     400);
    assert_int_equal(metric_value(METRIC_LIMIT_JSON), hits + 1);
    rig_close(&rig);
}

static void headers_are_found_in_any_case_and_only_if_single(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        const char *says;
    } cases[] = {
        {"x-thing: 1\r\n", "x=1 "},
        {"X-THING: a b\r\n", "x=a b "},
        {"X-Thing: 1\r\nX-Thing: 2\r\n", "x= "},
        {"Accept: text/event-stream\r\n", "sse=1 any=0"},
        {"Accept: text/html, Text/Event-Stream;q=0.5\r\n", "sse=1 any=0"},
        {"Accept: text/html\r\nAccept: text/event-stream\r\n", "sse=1"},
        {"Accept: text/event-stream;q=0\r\n", "sse=0"},
        {"Accept: text/event-stream; q=0.00 , */*\r\n", "sse=0 any=1"},
        {"Accept: */*\r\n", "sse=0 any=1"},
        {"Accept: text/event-streamx\r\n", "sse=0"},
        {"X-Thing:\t\r\n", "from=127.0.0.1 path=/headers"},
    };
    struct http_rig rig;
    open_rig(&rig);
    for (size_t i = 0; i < array_len(cases); i++) {
        char text[512];
        (void)snprintf(text, sizeof(text), "GET /headers HTTP/1.1\r\nHost: h\r\n%s\r\n", cases[i].lines);
        struct rig_client *client = rig_ask(&rig, text);
        if (!strstr(rig_body(client), cases[i].says))
            fail_msg("case %zu: %s", i, client->text);
        rig_client_close(client);
    }
    struct rig_client *old = rig_ask(&rig, "GET /headers HTTP/1.0\r\n\r\n");
    assert_non_null(strstr(rig_body(old), "http10=1 head=0"));
    rig_close(&rig);
}

/* --- answers --- */

static void an_error_is_json_with_its_status(void **state)
{
    (void)state;
    struct http_rig rig;
    open_rig(&rig);
    int64_t errors = metric_value(METRIC_REQUEST_ERRORS_CLIENT);
    struct rig_client *client = rig_ask(&rig, "GET /fail HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(rig_status(client, 0), 429);
    assert_true(rig_has_header(client, "Content-Type: application/json"));
    assert_true(rig_has_header(client, "Retry-After: 7"));
    assert_string_equal(rig_body(client), "{\"error\": \"too_many\", \"message\": \"slow \\\"down\\\"\"}\n");
    assert_int_equal(metric_value(METRIC_REQUEST_ERRORS_CLIENT), errors + 1);
    rig_close(&rig);
}

static void json_is_one_line(void **state)
{
    (void)state;
    struct http_rig rig;
    open_rig(&rig);
    struct rig_client *client = rig_ask(&rig, "GET /json HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(rig_status(client, 0), 201);
    assert_string_equal(strchr(rig_body(client), '\n'), "\n");
    assert_int_equal(rig_status(rig_ask(&rig, "GET /no-json HTTP/1.1\r\nHost: h\r\n\r\n"), 0), 503);
    rig_close(&rig);
}

static void a_header_value_cannot_split_the_answer(void **state)
{
    (void)state;
    struct http_rig rig;
    open_rig(&rig);
    struct rig_client *client = rig_ask(&rig, "GET /empty HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(rig_status(client, 0), 204);
    assert_true(rig_has_header(client, "X-Good: fine"));
    assert_null(strstr(client->text, "Injected"));
    assert_null(strstr(client->text, "X-Bell"));
    assert_true(rig_has_header(client, "Cache-Control: max-age=5"));
    assert_null(strstr(client->text, "no-store"));
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_are_decoded_once),
        cmocka_unit_test(a_path_keeps_its_plus_and_has_no_control_characters),
        cmocka_unit_test(fields_read_alike_wherever_they_stand),
        cmocka_unit_test(json_that_is_only_too_deep_is_counted),
        cmocka_unit_test(headers_are_found_in_any_case_and_only_if_single),
        cmocka_unit_test(an_error_is_json_with_its_status),
        cmocka_unit_test(json_is_one_line),
        cmocka_unit_test(a_header_value_cannot_split_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
