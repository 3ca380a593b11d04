/* SPDX-License-Identifier: MIT */
/*
 * Engine.IO sessions as the layer above sees them: what it is told and in which order, what its messages become, the
 * caps, and what happens while the loop sleeps. The wire itself is looked at from outside in
 * tests/system/engine.test.js.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "adapters/socketio/engine.h"
#include "adapters/socketio/engine_exchange.h"
#include "tests/lib/http_rig.h"

enum {
    CALM_MS = 20000,
    INTERVAL_MS = 100,
    TIMEOUT_MS = 60,
    QUEUE_BYTES = 1000,
    SESSIONS = 5,
    SESSIONS_PER_ADDRESS = 3,
    EXACT_MS = 100
};

#define TOKEN "11111111-2222-4333-8444-555555555555"
#define UPGRADE                                                                                                        \
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"                                       \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

struct hall {
    struct http_rig rig;
    struct engine *engine;
    struct engine_session *last; /* opened; null once freed */
    char told[1024];             /* all that the engine has told, each with a bar behind it */
    const char *greeting;        /* sent in `open`; null: nothing */
    bool echoes;
    bool closes; /* in `open` */
    char sid[ENGINE_SID_SIZE];
    struct exchange *relayed;
    char node[ENGINE_NODE_LEN + 1]; /* that it was to be relayed to */
};

/* --- the layer above */

static struct hall *hall_of(const struct engine_session *session)
{
    return engine_ctx(session);
}

static void tell(struct hall *hall, const char *what, struct span text)
{
    size_t len = strlen(hall->told);
    (void)snprintf(hall->told + len, sizeof(hall->told) - len, "%s%.*s|", what, (int)text.len,
                   text.len ? text.data : "");
}

static void say(struct engine_session *session, const char *text, bool paced)
{
    struct blob *frame = engine_text(span_of(text));
    assert_non_null(frame);
    engine_send(session, frame, paced);
    blob_unref(frame);
}

static void on_open(struct engine_session *session)
{
    struct hall *hall = hall_of(session);
    hall->last = session;
    memcpy(hall->sid, engine_sid(session), ENGINE_SID_SIZE);
    tell(hall, "open", span_of(""));
    if (hall->greeting)
        say(session, hall->greeting, false);
    if (hall->closes)
        engine_close(session, ENGINE_FORCED_CLOSE);
}

static void on_message(struct engine_session *session, struct span message, bool is_text)
{
    struct hall *hall = hall_of(session);
    tell(hall, is_text ? "text " : "binary ", message);
    if (!hall->echoes)
        return;
    struct blob *frame = is_text ? engine_text(message) : engine_binary(engine_session_revision(session), message);
    engine_send(session, frame, false);
    blob_unref(frame);
}

static void on_drained(struct engine_session *session)
{
    tell(hall_of(session), "drained", span_of(""));
}

static void on_close(struct engine_session *session, enum engine_end why)
{
    assert_false(engine_is_open(session));
    tell(hall_of(session), "close ", span_of(engine_end_word(why)));
}

static void on_free(struct engine_session *session)
{
    struct hall *hall = hall_of(session);
    tell(hall, "free", span_of(""));
    if (hall->last == session)
        hall->last = NULL;
}

static const struct engine_ops ops = {
    sizeof(struct engine_session), on_open, on_message, on_drained, on_close, on_free,
};

/* --- the hall */

static void check_token(void *ctx unused_arg, struct id token, token_done *done, void *done_ctx)
{
    struct id known;
    struct identity bob = {.user = SPAN_LITERAL("bob"), .name = SPAN_LITERAL("Bob"), .expires_us = 77};
    bool is_known = id_parse(SPAN_LITERAL(TOKEN), &known) && id_equal(token, known);
    done(done_ctx, is_known ? OK : ERR_NO_TOKEN, is_known ? &bob : NULL);
}

static struct engine_options engine_options(void)
{
    return (struct engine_options){
        .path = "/e",
        .allow_old = true,
        .ping_interval_ms = CALM_MS,
        .ping_timeout_ms = CALM_MS,
        .upgrade_timeout_ms = 1000,
        .payload_bytes = 10000,
        .payload_packets = 10,
        .fragments = 4,
        .sessions = SESSIONS,
        .queue_bytes = QUEUE_BYTES,
    };
}

static void hall_open_with(struct hall *hall, const struct engine_options *options)
{
    struct http_limits limits = rig_limits();
    struct router *router = router_new(&(struct router_config){.token_check = check_token});
    memset(hall, 0, sizeof(*hall));
    assert_non_null(router);
    rig_open(&hall->rig, &limits, router);
    hall->engine = engine_new(options, &ops, hall, hall->rig.loop, hall->rig.conns);
    assert_non_null(hall->engine);
    assert_int_equal(engine_mount(hall->engine, router), OK);
}

static void hall_open(struct hall *hall)
{
    struct engine_options options = engine_options();
    hall_open_with(hall, &options);
}

/* One whose clients have little time. */
static void hall_open_hasty(struct hall *hall)
{
    struct engine_options options = engine_options();
    options.ping_interval_ms = INTERVAL_MS;
    options.ping_timeout_ms = TIMEOUT_MS;
    hall_open_with(hall, &options);
}

/* Checks that all sessions are closed and freed, each once. */
static void hall_close(struct hall *hall)
{
    engine_shut(hall->engine);
    rig_pass(&hall->rig, 20);
    engine_free(hall->engine);
    assert_null(hall->last);
    rig_close(&hall->rig);
}

static void check_told(struct hall *hall, const char *told)
{
    assert_string_equal(hall->told, told);
    hall->told[0] = '\0';
}

/* --- clients that poll */

static struct rig_client *ask(struct hall *hall, const char *query, const char *headers)
{
    char text[1024];
    (void)snprintf(text, sizeof(text), "GET /e/?%s HTTP/1.1\r\nHost: h.example\r\n%s\r\n", query, headers);
    return rig_ask(&hall->rig, text);
}

static void enter(struct hall *hall, const char *query)
{
    assert_int_equal(rig_status(ask(hall, query, ""), 0), 200);
    hall->told[0] = '\0';
}

static const char *session_request(const struct hall *hall, const char *method, const char *body)
{
    static char text[4096];
    (void)snprintf(text, sizeof(text),
                   "%s /e/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n%s", method,
                   hall->sid, strlen(body), body);
    return text;
}

/* A poll that is not answered yet. */
static struct rig_client *begin_poll(struct hall *hall)
{
    struct rig_client *client = rig_connect(&hall->rig);
    rig_send(&hall->rig, client, session_request(hall, "GET", ""));
    rig_pass(&hall->rig, 10);
    return client;
}

static const char *poll_body(struct hall *hall)
{
    return rig_body(rig_ask(&hall->rig, session_request(hall, "GET", "")));
}

static int post(struct hall *hall, const char *body)
{
    return rig_status(rig_ask(&hall->rig, session_request(hall, "POST", body)), 0);
}

static const char *body_of(struct hall *hall, struct rig_client *client)
{
    assert_true(rig_until_text(&hall->rig, client, "\r\n\r\n"));
    rig_turn(&hall->rig);
    return rig_body(client);
}

/* --- clients on a WebSocket */

/* A frame as a client sends it; the mask is none. */
static void send_frame(struct hall *hall, struct rig_client *client, const char *text)
{
    char frame[256] = {(char)0x81, (char)(0x80 | strlen(text))};
    memcpy(frame + 6, text, strlen(text));
    rig_send_bytes(&hall->rig, client, frame, 6 + strlen(text));
}

static struct rig_client *open_socket(struct hall *hall, const char *query)
{
    char text[1024];
    struct rig_client *client = rig_connect(&hall->rig);
    (void)snprintf(text, sizeof(text), "GET /e/?%s HTTP/1.1\r\nHost: h\r\n" UPGRADE "\r\n", query);
    rig_send(&hall->rig, client, text);
    assert_true(rig_until_text(&hall->rig, client, "\r\n\r\n"));
    return client;
}

/* --- what the layer above is told */

static void a_session_opens_and_is_freed_once(void **state unused_arg)
{
    struct hall hall;
    hall_open(&hall);
    struct rig_client *client = ask(&hall, "EIO=4&transport=polling", "");
    assert_true(rig_has_header(client, "Content-Type: text/plain; charset=UTF-8"));
    assert_true(rig_has_header(client, "Cache-Control: no-store"));
    char expected[256];
    (void)snprintf(expected, sizeof(expected),
                   "0{\"sid\":\"%s\",\"upgrades\":[\"websocket\"],\"pingInterval\":20000,\"pingTimeout\":20000,"
                   "\"maxPayload\":10000}",
                   hall.sid);
    assert_string_equal(rig_body(client), expected);
    assert_int_equal(strspn(hall.sid, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), 24);
    assert_memory_equal(hall.sid, engine_node(hall.engine), ENGINE_NODE_LEN);
    assert_int_equal(engine_session_revision(hall.last), ENGINE_4);
    check_told(&hall, "open|");
    engine_close(hall.last, ENGINE_FORCED_CLOSE);
    check_told(&hall, "close forced close|");
    hall_close(&hall);
    assert_string_equal(hall.told, "free|");
}

static void what_open_sends_comes_with_the_handshake(void **state unused_arg)
{
    struct hall hall;
    hall_open(&hall);
    hall.greeting = "0";
    struct rig_client *client = ask(&hall, "EIO=3&transport=polling", "");
    const char *body = rig_body(client);
    assert_memory_equal(body, "120:0{", 6);
    assert_string_equal(body + strlen(body) - 4, "2:40");
    check_told(&hall, "open|");
    hall.closes = true;
    body = rig_body(ask(&hall, "EIO=4&transport=polling", ""));
    assert_string_equal(body + strlen(body) - 5, "\x1e"
                                                 "40\x1e"
                                                 "1");
    hall_close(&hall);
}

static void messages_of_one_turn_go_in_one_answer(void **state unused_arg)
{
    struct hall hall;
    hall_open(&hall);
    enter(&hall, "EIO=4&transport=polling");
    assert_false(engine_is_writable(hall.last));
    struct rig_client *poll = begin_poll(&hall);
    assert_true(engine_is_writable(hall.last));
    say(hall.last, "a", false);
    assert_false(engine_is_writable(hall.last));
    say(hall.last, "b", true);
    check_told(&hall, "");
    assert_string_equal(body_of(&hall, poll), "4a\x1e"
                                              "4b");
    check_told(&hall, "drained|");
    say(hall.last, "c", false);
    assert_string_equal(poll_body(&hall), "4c");
    check_told(&hall, ""); /* it was not paced */
    hall_close(&hall);
}

static void packets_of_a_post_come_in_order(void **state unused_arg)
{
    struct hall hall;
    hall_open(&hall);
    enter(&hall, "EIO=4&transport=polling");
    assert_int_equal(post(&hall, "4a\x1e"
                                 "bYg==\x1e"
                                 "6\x1e"
                                 "4c"),
                     200);
    check_told(&hall, "text a|binary b|text c|");
    assert_int_equal(post(&hall, "4d\x1exyz\x1e"
                                 "4e"),
                     400);
    rig_turn(&hall.rig);
    check_told(&hall, "text d|close parse error|free|");
    assert_int_equal(post(&hall, "4f"), 400);
    hall_close(&hall);
}

static void too_many_packets_end_the_session(void **state unused_arg)
{
    struct hall hall;
    hall_open(&hall);
    enter(&hall, "EIO=4&transport=polling");
    assert_int_equal(post(&hall, "6\x1e"
                                 "6\x1e"
                                 "6\x1e"
                                 "6\x1e"
                                 "6\x1e"
                                 "6\x1e"
                                 "6\x1e"
                                 "6\x1e"
                                 "6\x1e"
                                 "6"),
                     200);
    assert_int_equal(post(&hall, "6\x1e"
                                 "6\x1e"
                                 "6\x1e"
                                 "6\x1e"
                                 "6\x1e"
                                 "6\x1e"
                                 "6\x1e"
                                 "6\x1e"
                                 "6\x1e"
                                 "6\x1e"
                                 "4x"),
                     400);
    rig_turn(&hall.rig);
    check_told(&hall, "close parse error|free|");
    hall_close(&hall);
}

static void a_poller_who_goes_away_is_gone(void **state unused_arg)
{
    struct hall hall;
    hall_open(&hall);
    enter(&hall, "EIO=4&transport=polling");
    rig_client_fin(begin_poll(&hall));
    rig_pass(&hall.rig, 50);
    check_told(&hall, "close transport close|free|");
    hall_close(&hall);
}

static void a_close_waits_for_the_next_poll(void **state unused_arg)
{
    struct hall hall;
    hall_open(&hall);
    enter(&hall, "EIO=4&transport=polling");
    say(hall.last, "last words", false);
    engine_close(hall.last, ENGINE_FORCED_CLOSE);
    say(hall.last, "too late", false);
    engine_close(hall.last, ENGINE_FORCED_CLOSE);
    assert_int_equal(post(&hall, "4too late"), 200);
    check_told(&hall, "close forced close|");
    assert_string_equal(poll_body(&hall), "4last words\x1e"
                                          "1");
    rig_turn(&hall.rig);
    check_told(&hall, "free|");
    assert_string_equal(poll_body(&hall), "{\"code\":1,\"message\":\"Session ID unknown\"}");
    hall_close(&hall);
}

static void a_poll_that_waits_is_told_of_the_close_at_once(void **state unused_arg)
{
    struct hall hall;
    hall_open(&hall);
    enter(&hall, "EIO=4&transport=polling");
    struct rig_client *poll = begin_poll(&hall);
    say(hall.last, "last words", false);
    engine_close(hall.last, ENGINE_FORCED_CLOSE);
    assert_string_equal(body_of(&hall, poll), "4last words\x1e"
                                              "1");
    hall_close(&hall);
}

/* --- caps */

static void a_queue_over_its_cap_ends_the_session(void **state unused_arg)
{
    struct hall hall;
    char text[401];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    hall_open(&hall);
    enter(&hall, "EIO=4&transport=polling");
    say(hall.last, text, true);
    say(hall.last, text, true);
    say(hall.last, text, false); /* what is paced does not count against others */
    say(hall.last, text, false);
    check_told(&hall, "");
    say(hall.last, text, false);
    check_told(&hall, "close slow reader|");
    hall_close(&hall);
}

static void one_message_may_be_longer_than_the_cap(void **state unused_arg)
{
    struct hall hall;
    char text[1501];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    hall_open(&hall);
    enter(&hall, "EIO=4&transport=polling");
    say(hall.last, text, false);
    check_told(&hall, "");
    assert_int_equal(strlen(poll_body(&hall)), 1501);
    hall_close(&hall);
}

/* Pongs that nobody fetches are bytes like any other. */
static void pings_without_polls_end_the_session(void **state unused_arg)
{
    struct hall hall;
    char body[4096] = "", request[4600];
    for (int i = 0; i < 10; i++)
        (void)strcat(body, "1:2");
    hall_open(&hall);
    enter(&hall, "EIO=3&transport=polling");
    (void)snprintf(request, sizeof(request),
                   "POST /e/?EIO=3&transport=polling&sid=%s HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n%s",
                   hall.sid, strlen(body), body);
    for (int i = 0; i < 40 && !hall.told[0]; i++)
        (void)rig_ask(&hall.rig, request);
    rig_turn(&hall.rig);
    check_told(&hall, "close slow reader|free|");
    hall_close(&hall);
}

static void there_are_not_more_sessions_than_may_be(void **state unused_arg)
{
    struct hall hall;
    hall_open(&hall);
    for (int i = 0; i < SESSIONS; i++)
        assert_int_equal(rig_status(ask(&hall, "EIO=4&transport=polling", ""), 0), 200);
    struct rig_client *refused = ask(&hall, "EIO=4&transport=polling", "");
    assert_int_equal(rig_status(refused, 0), 503);
    assert_true(rig_has_header(refused, "Retry-After: 1"));
    assert_memory_equal(rig_body(refused), "{\"code\":4,\"message\":\"", 21);
    assert_int_equal(rig_status(ask(&hall, "EIO=4&transport=websocket", UPGRADE), 0), 503);
    assert_int_equal(post(&hall, "1"), 200);
    assert_int_equal(rig_status(ask(&hall, "EIO=4&transport=polling", ""), 0), 200);
    hall_close(&hall);
}

static void an_address_has_not_more_than_its_share(void **state unused_arg)
{
    struct hall hall;
    struct engine_options options = engine_options();
    options.sessions_per_address = SESSIONS_PER_ADDRESS;
    hall_open_with(&hall, &options);
    for (int i = 0; i < SESSIONS_PER_ADDRESS - 1; i++)
        assert_int_equal(rig_status(ask(&hall, "EIO=4&transport=polling", ""), 0), 200);
    struct rig_client *socket = open_socket(&hall, "EIO=4&transport=websocket");
    assert_int_equal(rig_status(ask(&hall, "EIO=4&transport=polling", ""), 0), 429);
    rig_client_close(socket);
    rig_pass(&hall.rig, 20);
    assert_int_equal(rig_status(ask(&hall, "EIO=4&transport=polling", ""), 0), 200);
    hall_close(&hall);
}

/* --- who it is */

static void the_visitor_is_who_made_the_handshake(void **state unused_arg)
{
    struct hall hall;
    hall_open(&hall);
    assert_int_equal(rig_status(ask(&hall, "EIO=4&transport=polling&x=%20",
                                    "Authorization: Bearer " TOKEN "\r\nOrigin: http://h.example\r\n"),
                                0),
                     200);
    const struct visitor *visitor = engine_visitor(hall.last);
    assert_true(span_is(visitor->user, "bob") && span_is(visitor->name, "Bob") && visitor->by_token);
    assert_int_equal(visitor->expires_us, 77);
    assert_true(span_is(visitor->address, "127.0.0.1") && span_is(visitor->host, "h.example"));
    assert_true(span_is(visitor->origin, "http://h.example"));
    assert_true(span_is(visitor->query, "EIO=4&transport=polling&x=%20"));
    hall_close(&hall);
}

static void nobody_is_let_in_and_an_impostor_is_not(void **state unused_arg)
{
    struct hall hall;
    hall_open(&hall);
    assert_int_equal(rig_status(ask(&hall, "EIO=4&transport=polling", ""), 0), 200);
    assert_int_equal(engine_visitor(hall.last)->user.len, 0);
    static const char *const wrong[] = {"Authorization: Bearer 99999999-2222-4333-8444-555555555555\r\n",
                                        "Authorization: Basic Ym9iOmJvYg==\r\n"};
    for (size_t i = 0; i < array_len(wrong); i++) {
        struct rig_client *client = ask(&hall, "EIO=4&transport=polling", wrong[i]);
        assert_int_equal(rig_status(client, 0), 403);
        assert_memory_equal(rig_body(client), "{\"code\":4,", 10);
    }
    hall_close(&hall);
}

/* --- exchanges of other nodes */

struct fake {
    struct exchange exchange;
    int status; /* of the answer; 0: none yet */
    char body[256];
    void (*gone)(void *ctx);
    void *gone_ctx;
};

static void fake_reply(struct exchange *exchange, const struct exchange_answer *answer)
{
    struct fake *fake = container_of(exchange, struct fake, exchange);
    assert_int_equal(fake->status, 0);
    fake->status = answer->status;
    (void)snprintf(fake->body, sizeof(fake->body), "%.*s", (int)answer->body->len, answer->body->data);
}

static void fake_watch(struct exchange *exchange, void (*gone)(void *ctx), void *ctx)
{
    struct fake *fake = container_of(exchange, struct fake, exchange);
    fake->gone = gone;
    fake->gone_ctx = ctx;
}

static struct fake fake_of(const struct hall *hall, enum exchange_method method, const char *body)
{
    static const struct exchange_ops fake_ops = {fake_reply, fake_watch};
    return (struct fake){.exchange = {
                             .ops = &fake_ops,
                             .method = method,
                             .transport = SPAN_LITERAL("polling"),
                             .sid = span_of(hall->sid),
                             .eio = SPAN_LITERAL("4"),
                             .body = span_of(body),
                         }};
}

static void polls_of_other_nodes_are_answered(void **state unused_arg)
{
    struct hall hall;
    hall_open(&hall);
    enter(&hall, "EIO=4&transport=polling");
    struct fake poll = fake_of(&hall, EXCHANGE_GET, ""), sent = fake_of(&hall, EXCHANGE_POST, "4from afar");
    engine_take(hall.engine, &poll.exchange);
    engine_take(hall.engine, &sent.exchange);
    assert_string_equal(sent.body, "ok");
    check_told(&hall, "text from afar|");
    say(hall.last, "to afar", false);
    rig_turn(&hall.rig);
    assert_string_equal(poll.body, "4to afar");
    struct fake again = fake_of(&hall, EXCHANGE_GET, "");
    engine_take(hall.engine, &again.exchange);
    again.gone(again.gone_ctx);
    check_told(&hall, "close transport close|");
    struct fake late = fake_of(&hall, EXCHANGE_GET, "");
    engine_take(hall.engine, &late.exchange);
    assert_string_equal(late.body, "{\"code\":1,\"message\":\"Session ID unknown\"}");
    hall_close(&hall);
}

static bool relay(void *ctx, struct span node, struct exchange *exchange)
{
    struct hall *hall = ctx;
    memcpy(hall->node, node.data, ENGINE_NODE_LEN);
    if (!span_is(node, "here"))
        return false;
    struct blob *body = blob_copy(SPAN_LITERAL("from there"));
    exchange->ops->reply(exchange, &(struct exchange_answer){200, "text/plain", body, 0});
    blob_unref(body);
    return true;
}

static void polls_for_other_nodes_are_relayed(void **state unused_arg)
{
    struct hall hall;
    hall_open(&hall);
    engine_set_relay(hall.engine, relay, &hall);
    struct rig_client *client = ask(&hall, "EIO=4&transport=polling&sid=hereAAAAAAAAAAAAAAAAAAAA", "");
    assert_string_equal(rig_body(client), "from there");
    client = ask(&hall, "EIO=4&transport=polling&sid=awayAAAAAAAAAAAAAAAAAAAA", "");
    assert_string_equal(hall.node, "away");
    assert_string_equal(rig_body(client), "{\"code\":1,\"message\":\"Session ID unknown\"}");
    char query[128];
    hall.node[0] = '\0';
    (void)snprintf(query, sizeof(query), "EIO=4&transport=polling&sid=%sAAAAAAAAAAAAAAAAAAAA",
                   engine_node(hall.engine));
    assert_int_equal(rig_status(ask(&hall, query, ""), 0), 400);
    assert_string_equal(hall.node, "");
    hall_close(&hall);
}

/* --- WebSockets and the upgrade */

static void a_websocket_echoes(void **state unused_arg)
{
    struct hall hall;
    hall_open(&hall);
    hall.echoes = true;
    struct rig_client *client = open_socket(&hall, "EIO=4&transport=websocket");
    assert_true(rig_until_text(&hall.rig, client, "\"upgrades\":[]"));
    assert_true(engine_is_writable(hall.last));
    send_frame(&hall, client, "4hello");
    assert_true(rig_until_text(&hall.rig, client, "4hello"));
    check_told(&hall, "open|text hello|");
    rig_client_rst(client);
    rig_pass(&hall.rig, 50);
    check_told(&hall, "close transport close|free|");
    hall_close(&hall);
}

static struct rig_client *probe(struct hall *hall)
{
    char query[128];
    (void)snprintf(query, sizeof(query), "EIO=4&transport=websocket&sid=%s", hall->sid);
    return open_socket(hall, query);
}

static void an_upgrade_loses_nothing_and_keeps_the_order(void **state unused_arg)
{
    struct hall hall;
    hall_open(&hall);
    enter(&hall, "EIO=4&transport=polling");
    struct rig_client *poll = begin_poll(&hall);
    struct rig_client *client = probe(&hall);
    send_frame(&hall, client, "2probe");
    assert_true(rig_until_text(&hall.rig, client, "3probe"));
    assert_string_equal(body_of(&hall, poll), "6");
    say(hall.last, "one", false);
    assert_string_equal(poll_body(&hall), "4one");
    say(hall.last, "two", false);
    say(hall.last, "three", false);
    rig_pass(&hall.rig, 20);
    assert_null(strstr(client->text, "two"));
    send_frame(&hall, client, "5");
    say(hall.last, "four", false);
    assert_true(rig_until_text(&hall.rig, client, "four"));
    const char *tail = client->text + client->len - strlen("..4two..4three..4four");
    assert_memory_equal(tail,
                        "\x81\4"
                        "4two\x81\6"
                        "4three\x81\5"
                        "4four",
                        21);
    assert_string_equal(poll_body(&hall), "{\"code\":3,\"message\":\"Bad request\"}");
    rig_client_close(client);
    hall_close(&hall);
}

static void a_failed_probe_leaves_the_session_polling(void **state unused_arg)
{
    struct hall hall;
    static const char *const wrong[] = {"5", "4hello", "2", "xyz"};
    hall_open(&hall);
    enter(&hall, "EIO=4&transport=polling");
    for (size_t i = 0; i < array_len(wrong); i++) {
        struct rig_client *client = probe(&hall);
        send_frame(&hall, client, wrong[i]);
        assert_true(rig_until_eof(&hall.rig, client));
        rig_client_close(client);
    }
    struct rig_client *client = probe(&hall);
    send_frame(&hall, client, "2probe");
    assert_true(rig_until_text(&hall.rig, client, "3probe"));
    rig_client_close(client);
    rig_pass(&hall.rig, 20);
    check_told(&hall, "");
    say(hall.last, "still here", false);
    assert_string_equal(poll_body(&hall), "4still here");
    hall_close(&hall);
}

/* --- time */

static int64_t real_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_told(void *ctx)
{
    return ((struct hall *)ctx)->told[0];
}

/* How late the end came; the machine may be slow, but never fast. */
static int64_t end_lateness_ms(const char *query)
{
    struct hall hall;
    hall_open_hasty(&hall);
    int64_t began_ms = real_ms();
    enter(&hall, query);
    assert_true(rig_until(&hall.rig, is_told, &hall));
    int64_t lived_ms = real_ms() - began_ms;
    rig_turn(&hall.rig);
    check_told(&hall, "close ping timeout|free|");
    hall_close(&hall);
    return lived_ms - INTERVAL_MS - TIMEOUT_MS;
}

static void a_silent_client_has_just_its_time(void **state unused_arg)
{
    static const char *const queries[] = {"EIO=4&transport=polling", "EIO=3&transport=polling"};
    for (size_t i = 0; i < array_len(queries); i++) {
        int64_t late_ms = INT64_MAX;
        for (int tries = 0; tries < 10 && late_ms > EXACT_MS; tries++)
            late_ms = end_lateness_ms(queries[i]);
        assert_in_range(late_ms, 0, EXACT_MS);
    }
}

static void sleep_ms(int64_t time_ms)
{
    const struct timespec time = {.tv_sec = time_ms / 1000, .tv_nsec = time_ms % 1000 * 1000000};
    (void)nanosleep(&time, NULL);
}

/* The loop sleeps from right behind the ping until behind the deadline; the pong is there when it wakes. */
static void a_pong_that_waits_is_heard(void **state unused_arg)
{
    for (int behind_ms = 5; behind_ms < 100; behind_ms += 60) {
        struct hall hall;
        hall_open_hasty(&hall);
        struct rig_client *client = open_socket(&hall, "EIO=4&transport=websocket");
        assert_true(rig_until_text(&hall.rig, client,
                                   "\x81\1"
                                   "2"));
        hall.told[0] = '\0';
        send_frame(&hall, client, "3");
        sleep_ms(TIMEOUT_MS + behind_ms);
        rig_pass(&hall.rig, INTERVAL_MS - 30);
        check_told(&hall, "");
        rig_client_close(client);
        hall_close(&hall);
    }
}

/* The ping leaves only when the time for the pong is almost over. */
static void a_ping_that_left_late_has_its_time(void **state unused_arg)
{
    struct hall hall;
    hall_open_hasty(&hall);
    enter(&hall, "EIO=4&transport=polling");
    sleep_ms(INTERVAL_MS + TIMEOUT_MS + 20);
    rig_turn(&hall.rig);
    assert_string_equal(poll_body(&hall), "2");
    assert_int_equal(post(&hall, "3"), 200);
    rig_pass(&hall.rig, TIMEOUT_MS + 20);
    check_told(&hall, "");
    hall_close(&hall);
}

static void the_wrong_direction_is_an_error(void **state unused_arg)
{
    struct hall hall;
    hall_open(&hall);
    enter(&hall, "EIO=4&transport=polling");
    assert_int_equal(post(&hall, "2"), 400);
    rig_turn(&hall.rig);
    check_told(&hall, "close transport error|free|");
    hall_close(&hall);
}

/* --- the end of the engine */

static void shutting_ends_all_and_lets_nobody_in(void **state unused_arg)
{
    struct hall hall;
    hall_open(&hall);
    enter(&hall, "EIO=4&transport=polling");
    struct rig_client *poll = begin_poll(&hall);
    enter(&hall, "EIO=4&transport=polling");
    engine_shut(hall.engine);
    assert_string_equal(body_of(&hall, poll), "1");
    check_told(&hall, "close server shutting down|close server shutting down|free|free|");
    assert_int_equal(rig_status(ask(&hall, "EIO=4&transport=polling", ""), 0), 503);
    hall_close(&hall);
}

static void a_session_is_small(void **state unused_arg)
{
    assert_in_range(sizeof(struct engine_session), 1, 320);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_opens_and_is_freed_once),
        cmocka_unit_test(what_open_sends_comes_with_the_handshake),
        cmocka_unit_test(messages_of_one_turn_go_in_one_answer),
        cmocka_unit_test(packets_of_a_post_come_in_order),
        cmocka_unit_test(too_many_packets_end_the_session),
        cmocka_unit_test(a_poller_who_goes_away_is_gone),
        cmocka_unit_test(a_close_waits_for_the_next_poll),
        cmocka_unit_test(a_poll_that_waits_is_told_of_the_close_at_once),
        cmocka_unit_test(a_queue_over_its_cap_ends_the_session),
        cmocka_unit_test(one_message_may_be_longer_than_the_cap),
        cmocka_unit_test(pings_without_polls_end_the_session),
        cmocka_unit_test(there_are_not_more_sessions_than_may_be),
        cmocka_unit_test(an_address_has_not_more_than_its_share),
        cmocka_unit_test(the_visitor_is_who_made_the_handshake),
        cmocka_unit_test(nobody_is_let_in_and_an_impostor_is_not),
        cmocka_unit_test(polls_of_other_nodes_are_answered),
        cmocka_unit_test(polls_for_other_nodes_are_relayed),
        cmocka_unit_test(a_websocket_echoes),
        cmocka_unit_test(an_upgrade_loses_nothing_and_keeps_the_order),
        cmocka_unit_test(a_failed_probe_leaves_the_session_polling),
        cmocka_unit_test(a_silent_client_has_just_its_time),
        cmocka_unit_test(a_pong_that_waits_is_heard),
        cmocka_unit_test(a_ping_that_left_late_has_its_time),
        cmocka_unit_test(the_wrong_direction_is_an_error),
        cmocka_unit_test(shutting_ends_all_and_lets_nobody_in),
        cmocka_unit_test(a_session_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
