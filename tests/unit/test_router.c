/* SPDX-License-Identifier: MIT */
/* Finding the handler and the caller: patterns, methods, HEAD and OPTIONS, logins and tokens, origins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/auth.h"
#include "tests/lib/http_rig.h"

#define GOOD_TOKEN "11111111-2222-4333-8444-555555555555"
#define DEAD_TOKEN "99999999-2222-4333-8444-555555555555"
#define ALICE "Authorization: Basic YWxpY2U6cA==\r\n"

struct hall {
    struct http_rig rig;
    struct auth *auth;
    struct router *router;
    unsigned token_checks;
    bool later; /* token checks are answered by the test */
    token_done *done;
    void *done_ctx;
    struct id asked;
};

/* --- handlers say what they saw --- */

static void say(struct request *req, const char *name)
{
    const struct caller *caller = request_caller(req);
    char text[512];
    (void)snprintf(text, sizeof(text), "%s user=%.*s token=%d a=%.*s b=%.*s", name, (int)caller->user.len,
                   caller->user.data ? caller->user.data : "", caller->by_token, (int)request_param(req, "a").len,
                   request_param(req, "a").data, (int)request_param(req, "b").len, request_param(req, "b").data);
    struct blob *body = blob_copy(span_of(text));
    request_reply(req, 200, "text/plain", body, NULL);
    blob_unref(body);
}

#define HANDLER(name)                                                                                                  \
    static void handle_##name(void *ctx, struct request *req)                                                          \
    {                                                                                                                  \
        (void)ctx;                                                                                                     \
        say(req, #name);                                                                                               \
    }

HANDLER(open)
HANDLER(post)
HANDLER(literal)
HANDLER(param)
HANDLER(two)
HANDLER(login)
HANDLER(either)
HANDLER(token)
HANDLER(fallback)

static const struct route routes[] = {
    {HTTP_GET, "/open", ROUTE_ANYONE, handle_open},         {HTTP_POST, "/open", ROUTE_ANYONE, handle_post},
    {HTTP_GET, "/p/literal", ROUTE_ANYONE, handle_literal}, {HTTP_GET, "/p/<a>", ROUTE_ANYONE, handle_param},
    {HTTP_GET, "/p/<a>/x/<b>", ROUTE_ANYONE, handle_two},   {HTTP_GET, "/login", ROUTE_LOGIN, handle_login},
    {HTTP_POST, "/login", ROUTE_LOGIN, handle_login},
};

/* Says what a raw route sees of a request. */
static void handle_raw(void *ctx, struct request *req)
{
    (void)ctx;
    char text[512];
    struct span query = SPAN_LITERAL("-");
    struct span body = request_body(req);
    (void)request_query(req, "q", &query);
    (void)snprintf(text, sizeof(text), "get=%d post=%d origin=%d q=%.*s raw=%.*s bytes=%zu", request_is_get(req),
                   request_is_post(req), request_origin(req), (int)query.len, query.data,
                   (int)request_raw_query(req).len, request_raw_query(req).data ? request_raw_query(req).data : "",
                   body.len);
    struct blob *blob = blob_copy(span_of(text));
    request_reply(req, 200, "text/plain", blob, NULL);
    blob_unref(blob);
}

static void tell_identified(void *ctx, enum err err, unsigned retry_after_s)
{
    struct request *req = ctx;
    (void)retry_after_s;
    say(req, err_word(err));
}

static void handle_who(void *ctx, struct request *req)
{
    (void)ctx;
    request_identify(req, tell_identified, req);
}

enum { RAW_BYTES = 100 };

static const struct route raw_routes[] = {
    {HTTP_ANY, "/raw", ROUTE_ANYONE, handle_raw},
    {HTTP_ANY, "/raw/who", ROUTE_ANYONE, handle_who},
};

static const struct route more_routes[] = {
    {HTTP_GET, "/either", ROUTE_LOGIN_OR_TOKEN, handle_either},
    {HTTP_POST, "/either", ROUTE_LOGIN_OR_TOKEN, handle_either},
    {HTTP_GET, "/token/<token>", ROUTE_LOGIN_OR_TOKEN, handle_token},
    {HTTP_DELETE, "/token/<token>", ROUTE_LOGIN_OR_TOKEN, handle_token},
};

static void check_token(void *ctx, struct id token, token_done *done, void *done_ctx)
{
    struct hall *hall = ctx;
    struct id good;
    struct identity bob = {.user = SPAN_LITERAL("bob"), .name = SPAN_LITERAL("Bob")};
    hall->token_checks++;
    hall->asked = token;
    if (hall->later) {
        hall->done = done;
        hall->done_ctx = done_ctx;
        return;
    }
    assert_true(id_parse(SPAN_LITERAL(GOOD_TOKEN), &good));
    if (id_equal(token, good))
        done(done_ctx, OK, &bob);
    else
        done(done_ctx, ERR_NO_TOKEN, NULL);
}

static void hall_open_with(struct hall *hall, const char *const *origins)
{
    static const enum auth_method methods[] = {AUTH_DEMO};
    struct http_limits limits = rig_limits();
    *hall = (struct hall){0};
    hall->auth = auth_new(&(struct auth_options){.methods = methods, .method_count = 1}, NULL, NULL);
    assert_non_null(hall->auth);
    struct router *router = router_new(&(struct router_config){
        .auth = hall->auth,
        .origins = origins,
        .token_check = check_token,
        .token_ctx = hall,
    });
    assert_non_null(router);
    assert_int_equal(router_mount(router, routes, array_len(routes), NULL), OK);
    assert_int_equal(router_mount(router, more_routes, array_len(more_routes), NULL), OK);
    assert_int_equal(router_mount_raw(router, raw_routes, array_len(raw_routes), RAW_BYTES, NULL), OK);
    hall->router = router;
    rig_open(&hall->rig, &limits, router);
}

static void hall_open(struct hall *hall)
{
    static const char *const origins[] = {"https://good.example", "http://localhost:3000", NULL};
    hall_open_with(hall, origins);
}

static void hall_close(struct hall *hall)
{
    rig_close(&hall->rig);
    auth_free(hall->auth);
}

/* Asks with further header lines, each with its line end. */
static struct rig_client *ask(struct hall *hall, const char *request_line, const char *lines)
{
    char text[2048];
    (void)snprintf(text, sizeof(text), "%s HTTP/1.1\r\nHost: here.example\r\nConnection: close\r\n%s\r\n", request_line,
                   lines);
    struct rig_client *client = rig_connect(&hall->rig);
    rig_send(&hall->rig, client, text);
    assert_true(rig_until_eof(&hall->rig, client));
    rig_client_close(client);
    return client;
}

static int status_of(struct hall *hall, const char *request_line, const char *lines)
{
    return rig_status(ask(hall, request_line, lines), 0);
}

static void assert_says(struct hall *hall, const char *request_line, const char *lines, const char *body)
{
    struct rig_client *client = ask(hall, request_line, lines);
    if (rig_status(client, 0) != 200 || !strstr(rig_body(client), body))
        fail_msg("%s\nis not: %s\nbut: %s", request_line, body, client->text);
}

static void assert_fails(struct hall *hall, const char *request_line, const char *lines, int status, const char *word)
{
    struct rig_client *client = ask(hall, request_line, lines);
    char error[64];
    (void)snprintf(error, sizeof(error), "{\"error\": \"%s\", \"message\": \"", word);
    if (rig_status(client, 0) != status || strncmp(rig_body(client), error, strlen(error)) != 0)
        fail_msg("%s\nis not: %d %s\nbut: %s", request_line, status, word, client->text);
    assert_true(rig_has_header(client, "Content-Type: application/json"));
}

/* --- paths --- */

static void a_path_leads_to_its_handler(void **state)
{
    (void)state;
    struct hall hall;
    hall_open(&hall);
    assert_says(&hall, "GET /open", "", "open ");
    assert_says(&hall, "GET /open?query=1", "", "open ");
    assert_says(&hall, "GET /o%70en", "", "open ");
    assert_says(&hall, "GET http://here.example/open", "", "open ");
    assert_says(&hall, "GET /p/literal", "", "literal ");
    assert_says(&hall, "GET /p/other", "", "param user= token=0 a=other");
    assert_says(&hall, "GET /p/a%20b%2Fc%C3%A4+", "", "a=a b/c\xc3\xa4+ b=");
    assert_says(&hall, "GET /p/1/x/2", "", "two user= token=0 a=1 b=2");
    hall_close(&hall);
}

static void other_paths_are_not_found(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "GET /",        "GET /ope",     "GET /open/",    "GET //open",      "GET /./open",      "GET /x/../open",
        "GET /OPEN",    "GET /p/",      "GET /p",        "GET /p//x/2",     "GET /p/1/x",       "GET /open;a=b",
        "GET /%2Fopen", "GET /open%2F", "POST /nothing", "DELETE /nothing", "OPTIONS /nothing",
    };
    struct hall hall;
    hall_open(&hall);
    for (size_t i = 0; i < array_len(lines); i++)
        assert_fails(&hall, lines[i], "", 404, "not_found");
    hall_close(&hall);
}

static void malformed_paths_are_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "GET /p/%00", "GET /p/x%00y",    "GET /p/%",          "GET /p/%2", "GET /p/%zz", "GET /p/%0a",
        "GET /p/%7f", "GET /p/x\x01",    "GET /p/x#fragment", "GET p/x",   "GET ?x",     "CONNECT here.example:80",
        "GET *",      "GET /open?a=%zz", "GET /open?a=%00",
    };
    struct hall hall;
    hall_open(&hall);
    for (size_t i = 0; i < array_len(lines); i++)
        assert_fails(&hall, lines[i], "", 400, "bad_request");
    assert_fails(&hall, "GET /p/%ff", "", 400, "bad_utf8");
    assert_fails(&hall, "GET /p/\xff", "", 400, "bad_utf8");
    assert_fails(&hall, "GET /open?a=%C3", "", 400, "bad_utf8");
    hall_close(&hall);
}

/* --- methods --- */

static void a_wrong_method_is_told_the_right_ones(void **state)
{
    (void)state;
    static const char *const lines[] = {"DELETE /open", "PUT /open", "TRACE /open", "get /open", "PATCH /open"};
    struct hall hall;
    hall_open(&hall);
    for (size_t i = 0; i < array_len(lines); i++) {
        assert_fails(&hall, lines[i], "", 405, "bad_method");
        assert_true(rig_has_header(ask(&hall, lines[i], ""), "Allow: GET, HEAD, POST, OPTIONS"));
    }
    struct rig_client *client = ask(&hall, "POST /token/x", "");
    assert_int_equal(rig_status(client, 0), 405);
    assert_true(rig_has_header(client, "Allow: GET, HEAD, DELETE, OPTIONS"));
    hall_close(&hall);
}

static void head_is_get_without_the_body(void **state)
{
    (void)state;
    struct hall hall;
    char line[64];
    hall_open(&hall);
    struct rig_client *get = ask(&hall, "GET /open", "");
    struct rig_client *head = ask(&hall, "HEAD /open", "");
    (void)snprintf(line, sizeof(line), "Content-Length: %zu", strlen(rig_body(get)));
    assert_int_equal(rig_status(head, 0), 200);
    assert_true(rig_has_header(head, line));
    assert_string_equal(rig_body(head), "");
    assert_int_equal(status_of(&hall, "HEAD /nothing", ""), 404);
    hall_close(&hall);
}

static void options_tells_the_methods(void **state)
{
    (void)state;
    struct hall hall;
    hall_open(&hall);
    struct rig_client *client = ask(&hall, "OPTIONS /open", "");
    assert_int_equal(rig_status(client, 0), 204);
    assert_true(rig_has_header(client, "Allow: GET, HEAD, POST, OPTIONS"));
    assert_null(strcasestr(client->text, "Access-Control"));
    assert_int_equal(status_of(&hall, "OPTIONS *", ""), 204);
    assert_int_equal(status_of(&hall, "OPTIONS /login", ""), 204); /* no login for that */
    hall_close(&hall);
}

static void the_fallback_answers_what_has_no_route(void **state)
{
    (void)state;
    struct hall hall;
    hall_open(&hall);
    router_set_fallback(hall.router, handle_fallback, NULL);
    assert_says(&hall, "GET /any/thing", "", "fallback ");
    assert_int_equal(status_of(&hall, "HEAD /any/thing", ""), 200);
    assert_says(&hall, "GET /open", "", "open ");
    assert_fails(&hall, "POST /any/thing", "", 404, "not_found");
    assert_fails(&hall, "GET /login", "", 401, "unauthorized");
    assert_true(rig_has_header(ask(&hall, "OPTIONS /any/thing", ""), "Allow: GET, HEAD, OPTIONS"));
    hall_close(&hall);
}

/* --- callers --- */

static void a_login_is_asked_for_where_it_is_needed(void **state)
{
    (void)state;
    struct hall hall;
    hall_open(&hall);
    assert_says(&hall, "GET /login", ALICE, "login user=alice token=0");
    assert_says(&hall, "GET /either", ALICE, "either user=alice token=0");
    assert_says(&hall, "GET /open", ALICE, "open user= token=0");
    struct rig_client *client = ask(&hall, "GET /login", "");
    assert_int_equal(rig_status(client, 0), 401);
    assert_non_null(strcasestr(client->text, "\r\nWWW-Authenticate: Basic "));
    assert_fails(&hall, "GET /either", "", 401, "unauthorized");
    assert_fails(&hall, "GET /login", ALICE ALICE, 401, "unauthorized"); /* two are none */
    assert_fails(&hall, "GET /login", "Authorization: Bearer nonsense\r\n", 401, "unauthorized");
    hall_close(&hall);
}

static void a_token_says_who_calls(void **state)
{
    (void)state;
    struct hall hall;
    hall_open(&hall);
    assert_says(&hall, "GET /either", "Authorization: Bearer " GOOD_TOKEN "\r\n", "either user=bob token=1");
    assert_says(&hall, "GET /either", "authorization: bearer " GOOD_TOKEN "\r\n", "either user=bob token=1");
    assert_says(&hall, "GET /token/" GOOD_TOKEN, "", "token user=bob token=1");
    assert_says(&hall, "GET /token/" GOOD_TOKEN, ALICE, "token user=bob token=1");
    assert_says(&hall, "DELETE /token/" GOOD_TOKEN, "", "token user=bob token=1");
    assert_fails(&hall, "GET /login", "Authorization: Bearer " GOOD_TOKEN "\r\n", 403, "token_scope");
    assert_fails(&hall, "GET /login", "Authorization: Bearer " DEAD_TOKEN "\r\n", 404, "no_token");
    assert_fails(&hall, "GET /either", "Authorization: Bearer " DEAD_TOKEN "\r\n", 404, "no_token");
    hall_close(&hall);
}

/* Every failure of a token looks the same from outside, and takes the same look-up. */
static void all_bad_tokens_look_alike(void **state)
{
    (void)state;
    static const char *const tokens[] = {
        DEAD_TOKEN,
        "nonsense",
        "..%2Fopen",
        "%2e",
        "*",
        "a%20b",
        "%C3%A4",
        "------------------------------------",
        "11111111-2222-4333-8444-55555555555",
        "00000000-0000-0000-0000-000000000000",
        "11111111-2222-4333-8444-5555555555550",
    };
    struct hall hall;
    hall_open(&hall);
    struct rig_client *first = ask(&hall, "GET /token/" DEAD_TOKEN, "");
    for (size_t i = 0; i < array_len(tokens); i++) {
        char line[128];
        unsigned before = hall.token_checks;
        (void)snprintf(line, sizeof(line), "GET /token/%s", tokens[i]);
        struct rig_client *client = ask(&hall, line, "");
        assert_int_equal(rig_status(client, 0), 404);
        assert_string_equal(rig_body(client), rig_body(first));
        assert_int_equal(client->len, first->len);
        assert_int_equal(hall.token_checks, before + 1);
    }
    hall_close(&hall);
}

static bool is_asked(void *ctx)
{
    return ((struct hall *)ctx)->done;
}

static void a_token_check_may_take_its_time(void **state)
{
    (void)state;
    struct hall hall;
    struct identity bob = {.user = SPAN_LITERAL("bob"), .name = SPAN_LITERAL("Bob")};
    hall_open(&hall);
    hall.later = true;
    struct rig_client *client = rig_connect(&hall.rig);
    rig_send(&hall.rig, client, "GET /token/" GOOD_TOKEN " HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(rig_until(&hall.rig, is_asked, &hall));
    rig_pass(&hall.rig, 20);
    assert_int_equal(client->len, 0);
    hall.done(hall.done_ctx, OK, &bob);
    assert_true(rig_until_text(&hall.rig, client, "user=bob"));
    hall_close(&hall);
}

static void a_store_that_fails_is_not_the_tokens_fault(void **state)
{
    (void)state;
    struct hall hall;
    hall_open(&hall);
    hall.later = true;
    struct rig_client *client = rig_connect(&hall.rig);
    rig_send(&hall.rig, client, "GET /token/" GOOD_TOKEN " HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(rig_until(&hall.rig, is_asked, &hall));
    hall.done(hall.done_ctx, ERR_STORE, NULL);
    assert_true(rig_until_text(&hall.rig, client, "store_unavailable"));
    assert_int_equal(rig_status(client, 0), 503);
    hall_close(&hall);
}

static void a_check_that_ends_after_the_server_harms_nobody(void **state)
{
    (void)state;
    struct hall hall;
    struct identity bob = {.user = SPAN_LITERAL("bob"), .name = SPAN_LITERAL("Bob")};
    hall_open(&hall);
    hall.later = true;
    struct rig_client *client = rig_connect(&hall.rig);
    rig_send(&hall.rig, client, "GET /token/" GOOD_TOKEN " HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(rig_until(&hall.rig, is_asked, &hall));
    http_server_close(hall.rig.server);
    hall.rig.server = NULL;
    hall.done(hall.done_ctx, OK, &bob);
    assert_true(rig_until_eof(&hall.rig, client));
    assert_int_equal(client->len, 0);
    hall_close(&hall);
}

/* --- protocols with rules of their own --- */

static void a_raw_route_takes_any_method(void **state)
{
    (void)state;
    struct hall hall;
    hall_open(&hall);
    assert_says(&hall, "GET /raw?q=1&q=a%20b&x", "", "get=1 post=0 origin=0 q=a b raw=q=1&q=a%20b&x bytes=0");
    assert_says(&hall, "POST /raw", "", "get=0 post=1 origin=0 q=- raw= bytes=0");
    assert_says(&hall, "PUT /raw", "", "get=0 post=0 ");
    assert_says(&hall, "BREW /raw", "", "get=0 post=0 ");
    assert_int_equal(status_of(&hall, "HEAD /raw", ""), 200);
    assert_true(rig_has_header(ask(&hall, "OPTIONS /raw", ""), "Allow: GET, HEAD, POST, OPTIONS"));
    hall_close(&hall);
}

static void a_raw_route_decides_on_origins_itself(void **state)
{
    (void)state;
    struct hall hall;
    hall_open(&hall);
    assert_says(&hall, "POST /raw", "Origin: http://here.example\r\n", "origin=1");
    assert_says(&hall, "POST /raw", "Origin: https://good.example\r\n", "origin=2");
    assert_says(&hall, "POST /raw", "Origin: https://evil.example\r\n", "origin=3");
    hall_close(&hall);
}

static void a_raw_route_takes_any_body_up_to_its_limit(void **state)
{
    (void)state;
    char body[RAW_BYTES + 2];
    char lines[512];
    struct hall hall;
    hall_open(&hall);
    memset(body, '{', sizeof(body));
    (void)snprintf(lines, sizeof(lines), "Content-Type: image/png\r\nContent-Length: %d\r\n\r\n%.*s", RAW_BYTES,
                   RAW_BYTES, body);
    assert_non_null(strstr(ask(&hall, "POST /raw", lines)->text, "bytes=100"));
    (void)snprintf(lines, sizeof(lines), "Content-Length: %d\r\n\r\n%.*s", RAW_BYTES + 1, RAW_BYTES + 1, body);
    assert_int_equal(status_of(&hall, "POST /raw", lines), 413);
    (void)snprintf(lines, sizeof(lines), "Transfer-Encoding: chunked\r\n\r\n64\r\n%.*s\r\n1\r\n{\r\n0\r\n", RAW_BYTES,
                   body);
    assert_int_equal(status_of(&hall, "POST /raw", lines), 413);
    hall_close(&hall);
}

static void a_handler_may_ask_who_is_calling(void **state)
{
    (void)state;
    struct hall hall;
    hall_open(&hall);
    assert_says(&hall, "GET /raw/who", ALICE, "ok user=alice token=0");
    assert_says(&hall, "GET /raw/who", "Authorization: Bearer " GOOD_TOKEN "\r\n", "ok user=bob token=1");
    assert_says(&hall, "GET /raw/who", "", "unauthorized user=");
    assert_says(&hall, "GET /raw/who", "Authorization: Bearer " DEAD_TOKEN "\r\n", "no_token user=");
    assert_says(&hall, "GET /raw/who", ALICE "Origin: https://evil.example\r\n", "bad_origin user=");
    hall_close(&hall);
}

/* --- origins --- */

static void a_listed_origin_is_echoed(void **state)
{
    (void)state;
    static const char *const origins[] = {"https://good.example", "http://localhost:3000"};
    struct hall hall;
    char line[128], header[128];
    hall_open(&hall);
    for (size_t i = 0; i < array_len(origins); i++) {
        (void)snprintf(line, sizeof(line), "Origin: %s\r\n" ALICE, origins[i]);
        (void)snprintf(header, sizeof(header), "Access-Control-Allow-Origin: %s", origins[i]);
        struct rig_client *client = ask(&hall, "POST /login", line);
        assert_int_equal(rig_status(client, 0), 200);
        assert_true(rig_has_header(client, header));
        assert_true(rig_has_header(client, "Access-Control-Allow-Credentials: true"));
        assert_true(rig_has_header(client, "Vary: Origin"));
        assert_true(rig_has_header(ask(&hall, "GET /nothing", line), header)); /* so that the page sees why */
    }
    hall_close(&hall);
}

static void other_origins_get_no_cors_and_cannot_use_a_login(void **state)
{
    (void)state;
    static const char *const origins[] = {
        "https://evil.example",
        "null",
        "https://good.example.evil.example",
        "https://evilgood.example",
        "http://good.example",
        "https://good.example:444",
        "https://GOOD.example",
        "https://good.example/",
        "https://good.example, https://good.example",
        "",
        "http://here.example.evil.example",
        "ftp://here.example",
        "http://here.example:8080",
    };
    struct hall hall;
    char line[256];
    hall_open(&hall);
    for (size_t i = 0; i < array_len(origins); i++) {
        (void)snprintf(line, sizeof(line), "Origin: %s\r\n" ALICE, origins[i]);
        assert_fails(&hall, "GET /login", line, 403, "bad_origin");
        assert_fails(&hall, "POST /login", line, 403, "bad_origin");
        assert_fails(&hall, "POST /open", line, 403, "bad_origin");
        assert_fails(&hall, "DELETE /token/" GOOD_TOKEN, line, 403, "bad_origin");
        struct rig_client *client = ask(&hall, "GET /open", line);
        assert_int_equal(rig_status(client, 0), 200);
        assert_null(strcasestr(client->text, "Access-Control"));
        assert_true(rig_has_header(client, "Vary: Origin"));
        assert_says(&hall, "GET /token/" GOOD_TOKEN, line, "user=bob"); /* but no page may read it */
    }
    assert_fails(&hall, "GET /login", "Origin: https://good.example\r\nOrigin: https://good.example\r\n" ALICE, 403,
                 "bad_origin");
    hall_close(&hall);
}

static void our_own_pages_need_no_cors(void **state)
{
    (void)state;
    static const char *const origins[] = {"http://here.example", "https://here.example", "https://HERE.example"};
    struct hall hall;
    char line[128];
    hall_open_with(&hall, NULL);
    for (size_t i = 0; i < array_len(origins); i++) {
        (void)snprintf(line, sizeof(line), "Origin: %s\r\n" ALICE, origins[i]);
        struct rig_client *client = ask(&hall, "POST /login", line);
        assert_int_equal(rig_status(client, 0), 200);
        assert_null(strcasestr(client->text, "Access-Control"));
        assert_null(strcasestr(client->text, "\r\nVary:"));
    }
    assert_fails(&hall, "POST /login", "Origin: https://good.example\r\n" ALICE, 403, "bad_origin");
    hall_close(&hall);
}

static void a_preflight_is_answered_for_listed_origins_only(void **state)
{
    (void)state;
    struct hall hall;
    hall_open(&hall);
    struct rig_client *good = ask(&hall, "OPTIONS /login",
                                  "Origin: https://good.example\r\nAccess-Control-Request-Method: POST\r\n"
                                  "Access-Control-Request-Headers: x-unknown\r\n");
    assert_int_equal(rig_status(good, 0), 204);
    assert_true(rig_has_header(good, "Access-Control-Allow-Origin: https://good.example"));
    assert_true(rig_has_header(good, "Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS"));
    assert_true(rig_has_header(good, "Access-Control-Allow-Headers: Authorization, Content-Type, Last-Event-ID"));
    assert_true(rig_has_header(good, "Access-Control-Max-Age: 600"));
    struct rig_client *evil =
        ask(&hall, "OPTIONS /login", "Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n");
    assert_int_equal(rig_status(evil, 0), 204);
    assert_null(strcasestr(evil->text, "Access-Control"));
    hall_close(&hall);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_leads_to_its_handler),
        cmocka_unit_test(other_paths_are_not_found),
        cmocka_unit_test(malformed_paths_are_refused),
        cmocka_unit_test(a_wrong_method_is_told_the_right_ones),
        cmocka_unit_test(head_is_get_without_the_body),
        cmocka_unit_test(options_tells_the_methods),
        cmocka_unit_test(the_fallback_answers_what_has_no_route),
        cmocka_unit_test(a_login_is_asked_for_where_it_is_needed),
        cmocka_unit_test(a_token_says_who_calls),
        cmocka_unit_test(all_bad_tokens_look_alike),
        cmocka_unit_test(a_token_check_may_take_its_time),
        cmocka_unit_test(a_store_that_fails_is_not_the_tokens_fault),
        cmocka_unit_test(a_check_that_ends_after_the_server_harms_nobody),
        cmocka_unit_test(a_raw_route_takes_any_method),
        cmocka_unit_test(a_raw_route_decides_on_origins_itself),
        cmocka_unit_test(a_raw_route_takes_any_body_up_to_its_limit),
        cmocka_unit_test(a_handler_may_ask_who_is_calling),
        cmocka_unit_test(a_listed_origin_is_echoed),
        cmocka_unit_test(other_origins_get_no_cors_and_cannot_use_a_login),
        cmocka_unit_test(our_own_pages_need_no_cors),
        cmocka_unit_test(a_preflight_is_answered_for_listed_origins_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
