/* SPDX-License-Identifier: MIT */
/* WebSockets: the handshake over HTTP, then messages, control frames, limits and both ways to close, frame by frame. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/websocket.h"
#include "tests/lib/http_rig.h"

#define UPGRADE                                                                                                        \
    "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"                           \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

struct booth {
    struct http_rig rig;
    struct websocket websocket;
    struct rig_client *client;
    char text[256]; /* messages received, each followed by a bar */
    size_t last_len;
    unsigned messages, closed, freed, opened, failed;
    unsigned code;
    enum err open_err;
    bool echo;
    unsigned close_with; /* on the first message */
};

static const struct websocket_limits limits = {.message_bytes = 1000, .fragments = 4, .control_queue = 8};

static struct booth *booth_of(struct websocket *websocket)
{
    return container_of(websocket, struct booth, websocket);
}

static void on_message(struct websocket *websocket, struct span message, bool text)
{
    struct booth *booth = booth_of(websocket);
    booth->messages++;
    booth->last_len = message.len;
    if (message.len < 50) {
        strncat(booth->text, message.len ? message.data : "", message.len);
        strcat(booth->text, text ? "|" : "#|");
    }
    if (booth->close_with)
        websocket_close(websocket, booth->close_with, SPAN_LITERAL("enough"));
    if (!booth->echo)
        return;
    struct blob *framed = websocket_frame(message, text);
    (void)!websocket_send(websocket, framed);
    blob_unref(framed);
}

static void on_closed(struct websocket *websocket, unsigned code)
{
    booth_of(websocket)->closed++;
    booth_of(websocket)->code = code;
}

static void on_free(struct websocket *websocket)
{
    booth_of(websocket)->freed++;
}

static const struct websocket_ops ops = {on_message, NULL, on_closed, on_free};

static void on_opened(void *ctx, enum err err, struct handoff *handoff)
{
    struct booth *booth = ctx;
    booth->open_err = err;
    if (err) {
        booth->failed++;
        return;
    }
    assert_int_equal(websocket_open(&booth->websocket, booth->rig.conns, &ops, &limits, handoff), OK);
    booth->opened++;
}

static void handle(void *ctx, struct request *req)
{
    websocket_upgrade(req, "chat", on_opened, ctx);
}

static const struct route routes[] = {{HTTP_GET, "/ws", ROUTE_ANYONE, handle}};

static void booth_open(struct booth *booth)
{
    struct http_limits http_limits = rig_limits();
    struct router *router = router_new(&(struct router_config){0});
    memset(booth, 0, sizeof(*booth));
    assert_non_null(router);
    assert_int_equal(router_mount(router, routes, 1, booth), OK);
    rig_open(&booth->rig, &http_limits, router);
}

static bool is_told(void *ctx)
{
    return ((struct booth *)ctx)->opened || ((struct booth *)ctx)->failed;
}

static bool is_freed(void *ctx)
{
    return ((struct booth *)ctx)->freed;
}

static bool is_closed(void *ctx)
{
    return ((struct booth *)ctx)->closed;
}

static bool has_message(void *ctx)
{
    return ((struct booth *)ctx)->messages;
}

/* Opens a WebSocket, with `more` sent in the same segment as the handshake; what comes later is at the end of
 * client->text. */
static void booth_connect(struct booth *booth, const char *more, size_t more_len)
{
    char text[2048];
    int len = snprintf(text, sizeof(text), "GET /ws HTTP/1.1\r\nHost: h\r\n%s\r\n", UPGRADE);
    memcpy(text + len, more, more_len);
    booth->client = rig_connect(&booth->rig);
    rig_send_bytes(&booth->rig, booth->client, text, (size_t)len + more_len);
    assert_true(rig_until(&booth->rig, is_told, booth));
    assert_int_equal(booth->opened, 1);
    assert_true(rig_until_text(&booth->rig, booth->client, "\r\n\r\n"));
}

static void booth_close(struct booth *booth)
{
    rig_client_close(booth->client);
    if (booth->opened)
        assert_true(rig_until(&booth->rig, is_freed, booth));
    assert_true(booth->freed == booth->opened);
    rig_close(&booth->rig);
}

/* A frame as a client sends it, masked. `first` is FIN, RSV and opcode. */
static size_t mask_frame(char *out, unsigned first, const char *payload, size_t len)
{
    static const unsigned char mask[4] = {1, 2, 3, 4};
    size_t at = 0;
    out[at++] = (char)first;
    if (len < 126) {
        out[at++] = (char)(0x80 | len);
    } else {
        out[at++] = (char)(0x80 | 126);
        out[at++] = (char)(len >> 8);
        out[at++] = (char)len;
    }
    memcpy(out + at, mask, 4);
    at += 4;
    for (size_t i = 0; i < len; i++)
        out[at++] = (char)((unsigned char)payload[i] ^ mask[i % 4]);
    return at;
}

static void send_frame(struct booth *booth, unsigned first, const char *payload, size_t len)
{
    static char frame[4096];
    assert_true(len < 4000);
    rig_send_bytes(&booth->rig, booth->client, frame, mask_frame(frame, first, payload, len));
}

/* Waits for exactly these bytes after the handshake. */
static void expect_bytes(struct booth *booth, const char *bytes, size_t len)
{
    const char *body = rig_body(booth->client);
    size_t head = (size_t)(body - booth->client->text);
    for (int i = 0; i < 500 && booth->client->len < head + len; i++)
        rig_turn(&booth->rig);
    assert_int_equal(booth->client->len - head, len);
    assert_memory_equal(rig_body(booth->client), bytes, len);
}

/* Waits for the close frame with `code`, the last thing before the end. */
static void expect_close(struct booth *booth, unsigned code)
{
    assert_true(rig_until_eof(&booth->rig, booth->client));
    const char *body = rig_body(booth->client);
    size_t len = booth->client->len - (size_t)(body - booth->client->text);
    for (size_t at = 0; at + 4 <= len; at++)
        if ((unsigned char)body[at] == 0x88 && body[at + 1] >= 2 &&
            (unsigned)((unsigned char)body[at + 2] << 8 | (unsigned char)body[at + 3]) == code)
            return;
    fail_msg("no close frame with %u among %zu bytes, told %u", code, len, booth->code);
}

/* --- handshake --- */

static void the_accept_value_is_that_of_the_rfc(void **state)
{
    (void)state;
    char accept[WEBSOCKET_ACCEPT_SIZE];
    assert_int_equal(websocket_accept(SPAN_LITERAL("dGhlIHNhbXBsZSBub25jZQ=="), accept), OK);
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_int_equal(websocket_accept(SPAN_LITERAL("short"), accept), ERR_INTERNAL);
}

static void a_handshake_is_answered_101(void **state)
{
    (void)state;
    struct booth booth;
    booth_open(&booth);
    booth_connect(&booth, "", 0);
    assert_int_equal(rig_status(booth.client, 0), 101);
    assert_true(rig_has_header(booth.client, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_true(rig_has_header(booth.client, "Upgrade: websocket"));
    assert_null(strcasestr(booth.client->text, "Sec-WebSocket-Protocol"));
    assert_null(strcasestr(booth.client->text, "Sec-WebSocket-Extensions"));
    booth_close(&booth);
}

static void a_subprotocol_is_confirmed_if_named(void **state)
{
    (void)state;
    struct booth booth;
    booth_open(&booth);
    booth.client =
        rig_ask(&booth.rig, "GET /ws HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Protocol: other, chat\r\n" UPGRADE "\r\n");
    assert_true(rig_has_header(booth.client, "Sec-WebSocket-Protocol: chat"));
    booth_close(&booth);
}

static void bad_handshakes_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        int status;
        enum err err;
    } cases[] = {
        {"", 400, ERR_BAD_REQUEST},
        {"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n", 400, ERR_BAD_REQUEST},
        {"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n", 400,
         ERR_BAD_REQUEST},
        {"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ!==\r\n",
         400, ERR_BAD_REQUEST},
        {"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
         426, ERR_BAD_REQUEST},
        {"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", 400,
         ERR_BAD_REQUEST},
        {"Origin: https://evil.example\r\n" UPGRADE, 403, ERR_BAD_ORIGIN},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        struct booth booth;
        char text[1024];
        booth_open(&booth);
        (void)snprintf(text, sizeof(text), "GET /ws HTTP/1.1\r\nHost: h\r\n%s\r\n", cases[i].lines);
        booth.client = rig_ask(&booth.rig, text);
        assert_int_equal(rig_status(booth.client, 0), cases[i].status);
        assert_true(rig_until(&booth.rig, is_told, &booth));
        assert_int_equal(booth.open_err, cases[i].err);
        if (cases[i].status == 426)
            assert_true(rig_has_header(booth.client, "Sec-WebSocket-Version: 13"));
        booth_close(&booth);
    }
}

/* --- messages --- */

static void frames_are_as_the_rfc_has_them(void **state)
{
    (void)state;
    char long_text[70000];
    memset(long_text, 'x', sizeof(long_text));
    static const struct {
        size_t len;
        size_t head_len;
        unsigned char head[10];
    } cases[] = {
        {0, 2, {0x81, 0}},
        {5, 2, {0x81, 5}},
        {125, 2, {0x81, 125}},
        {126, 4, {0x81, 126, 0, 126}},
        {65535, 4, {0x81, 126, 255, 255}},
        {65536, 10, {0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        struct blob *framed = websocket_frame((struct span){long_text, cases[i].len}, true);
        assert_int_equal(framed->len, cases[i].head_len + cases[i].len);
        assert_memory_equal(framed->data, cases[i].head, cases[i].head_len);
        blob_unref(framed);
    }
    struct blob *binary = websocket_frame(SPAN_LITERAL("b"), false);
    assert_memory_equal(binary->data,
                        "\x82\x01"
                        "b",
                        3);
    blob_unref(binary);
}

static void messages_come_in_and_go_out(void **state)
{
    (void)state;
    struct booth booth;
    booth_open(&booth);
    booth.echo = true;
    booth_connect(&booth, "", 0);
    send_frame(&booth, 0x81, "hello", 5);
    expect_bytes(&booth, "\x81\x05hello", 7);
    send_frame(&booth, 0x82, "\0\xff", 2);
    expect_bytes(&booth, "\x81\x05hello\x82\x02\0\xff", 11);
    send_frame(&booth, 0x81, "", 0);
    expect_bytes(&booth, "\x81\x05hello\x82\x02\0\xff\x81\0", 13);
    booth_close(&booth);
}

static void a_message_in_the_segment_of_the_handshake_is_not_lost(void **state)
{
    (void)state;
    struct booth booth;
    char frame[64];
    size_t len = mask_frame(frame, 0x81, "early", 5);
    booth_open(&booth);
    booth_connect(&booth, frame, len);
    send_frame(&booth, 0x81, "later", 5);
    for (int i = 0; i < 200 && booth.messages < 2; i++)
        rig_turn(&booth.rig);
    assert_string_equal(booth.text, "early|later|");
    booth_close(&booth);
}

static void a_message_may_come_in_pieces_with_a_ping_between(void **state)
{
    (void)state;
    struct booth booth;
    booth_open(&booth);
    booth_connect(&booth, "", 0);
    send_frame(&booth, 0x01, "he", 2);
    send_frame(&booth, 0x89, "p", 1);
    send_frame(&booth, 0x00, "l", 1);
    send_frame(&booth, 0x80, "lo", 2);
    assert_true(rig_until(&booth.rig, has_message, &booth));
    assert_string_equal(booth.text, "hello|");
    expect_bytes(&booth, "\x8a\x01p", 3);
    booth_close(&booth);
}

static void bytes_may_come_one_by_one(void **state)
{
    (void)state;
    struct booth booth;
    char frame[64];
    size_t len = mask_frame(frame, 0x81, "slowly", 6);
    booth_open(&booth);
    booth_connect(&booth, "", 0);
    for (size_t i = 0; i < len; i++) {
        rig_send_bytes(&booth.rig, booth.client, frame + i, 1);
        rig_turn(&booth.rig);
    }
    assert_true(rig_until(&booth.rig, has_message, &booth));
    assert_string_equal(booth.text, "slowly|");
    booth_close(&booth);
}

static bool is_reading(void *ctx)
{
    return ((struct booth *)ctx)->websocket.wslay;
}

static bool is_resting(void *ctx)
{
    return !is_reading(ctx);
}

/* An idle connection holds no buffer to read into. */
static void between_messages_there_is_no_context(void **state)
{
    (void)state;
    struct booth booth;
    char frame[64];
    size_t len = mask_frame(frame, 0x81, "half", 4);
    booth_open(&booth);
    booth_connect(&booth, "", 0);
    assert_null(booth.websocket.wslay);
    rig_send_bytes(&booth.rig, booth.client, frame, len - 1);
    assert_true(rig_until(&booth.rig, is_reading, &booth));
    rig_send_bytes(&booth.rig, booth.client, frame + len - 1, 1);
    assert_true(rig_until(&booth.rig, is_resting, &booth));
    assert_string_equal(booth.text, "half|");
    send_frame(&booth, 0x01, "first", 5);
    assert_true(rig_until(&booth.rig, is_reading, &booth));
    rig_pass(&booth.rig, 20);
    assert_non_null(booth.websocket.wslay);
    send_frame(&booth, 0x80, "last", 4);
    assert_true(rig_until(&booth.rig, is_resting, &booth));
    assert_string_equal(booth.text, "half|firstlast|");
    send_frame(&booth, 0x89, "p", 1);
    expect_bytes(&booth, "\x8a\x01p", 3);
    assert_true(rig_until(&booth.rig, is_resting, &booth));
    booth_close(&booth);
}

/* --- what is not accepted --- */

static void what_breaks_the_protocol_closes_with_its_code(void **state)
{
    (void)state;
    static char long_text[1001];
    memset(long_text, 'x', sizeof(long_text));
    static const struct {
        unsigned first;
        const char *payload;
        size_t len;
        unsigned code;
    } cases[] = {
        {0x81, "\xff", 1, 1007},       /* not UTF-8 */
        {0x81, long_text, 1001, 1009}, /* one byte too long */
        {0x80, "x", 1, 1002},          /* a continuation of nothing */
        {0xc1, "x", 1, 1002},          /* an extension nobody has agreed on */
        {0x83, "x", 1, 1002},          /* an opcode that is not one */
        {0x09, "x", 1, 1002},          /* a ping in pieces */
        {0x88, "\x03\xed", 2, 1002},   /* 1005 is not for the wire */
        {0x88, "\x03", 1, 1002},       /* half a code */
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        struct booth booth;
        booth_open(&booth);
        booth_connect(&booth, "", 0);
        send_frame(&booth, cases[i].first, cases[i].payload, cases[i].len);
        expect_close(&booth, cases[i].code);
        assert_int_equal(booth.closed, 1);
        assert_int_equal(booth.code, cases[i].code);
        assert_int_equal(booth.messages, 0);
        booth_close(&booth);
    }
}

static void an_unmasked_frame_is_refused(void **state)
{
    (void)state;
    struct booth booth;
    booth_open(&booth);
    booth_connect(&booth, "", 0);
    rig_send_bytes(&booth.rig, booth.client, "\x81\x02hi", 4);
    expect_close(&booth, 1002);
    assert_int_equal(booth.messages, 0);
    booth_close(&booth);
}

static void the_message_limit_is_exact(void **state)
{
    (void)state;
    static char text[1000];
    struct booth booth;
    memset(text, 'x', sizeof(text));
    booth_open(&booth);
    booth_connect(&booth, "", 0);
    send_frame(&booth, 0x81, text, 1000);
    assert_true(rig_until(&booth.rig, has_message, &booth));
    assert_int_equal(booth.last_len, 1000);
    send_frame(&booth, 0x01, text, 600);
    send_frame(&booth, 0x80, text, 401);
    expect_close(&booth, 1009);
    booth_close(&booth);
}

static void the_fragment_limit_is_exact(void **state)
{
    (void)state;
    struct booth booth;
    booth_open(&booth);
    booth_connect(&booth, "", 0);
    for (unsigned round = 0; round < 2; round++) {
        send_frame(&booth, 0x01, "a", 1);
        for (unsigned i = 0; i < 2 + round; i++)
            send_frame(&booth, 0x00, "b", 1);
        send_frame(&booth, 0x80, "c", 1);
        if (round == 0)
            assert_true(rig_until(&booth.rig, has_message, &booth));
    }
    assert_string_equal(booth.text, "abbc|");
    expect_close(&booth, 1008);
    assert_int_equal(booth.messages, 1);
    booth_close(&booth);
}

static void a_flood_of_pings_in_one_segment_is_refused(void **state)
{
    (void)state;
    struct booth booth;
    char text[1024];
    size_t len = 0;
    booth_open(&booth);
    booth_connect(&booth, "", 0);
    for (int i = 0; i < 50; i++)
        len += mask_frame(text + len, 0x89, "ping", 4);
    rig_send_bytes(&booth.rig, booth.client, text, len);
    expect_close(&booth, 1008);
    booth_close(&booth);
}

/* --- closing --- */

static void a_close_of_the_peer_is_answered_and_told(void **state)
{
    (void)state;
    struct booth booth;
    booth_open(&booth);
    booth_connect(&booth, "", 0);
    send_frame(&booth, 0x88, "\x03\xe9gone", 6);
    assert_true(rig_until(&booth.rig, is_closed, &booth));
    assert_int_equal(booth.code, 1001);
    expect_close(&booth, 1001);
    assert_false(booth.client->reset);
    booth_close(&booth);
    assert_int_equal(booth.closed, 1);
}

static void a_close_without_a_code_is_answered_without_one(void **state)
{
    (void)state;
    struct booth booth;
    booth_open(&booth);
    booth_connect(&booth, "", 0);
    send_frame(&booth, 0x88, "", 0);
    expect_bytes(&booth, "\x88\0", 2);
    assert_true(rig_until_eof(&booth.rig, booth.client));
    assert_int_equal(booth.code, 1005);
    booth_close(&booth);
}

static void our_close_sends_what_was_queued_and_is_not_told(void **state)
{
    (void)state;
    struct booth booth;
    booth_open(&booth);
    booth_connect(&booth, "", 0);
    struct blob *framed = websocket_frame(SPAN_LITERAL("last"), true);
    assert_int_equal(websocket_send(&booth.websocket, framed), OK);
    websocket_close(&booth.websocket, 1001, SPAN_LITERAL("bye"));
    assert_int_equal(websocket_send(&booth.websocket, framed), ERR_GONE);
    blob_unref(framed);
    expect_bytes(&booth,
                 "\x81\x04last\x88\x05\x03\xe9"
                 "bye",
                 13);
    assert_true(rig_until_eof(&booth.rig, booth.client));
    booth_close(&booth);
    assert_int_equal(booth.closed, 0);
}

static void closing_inside_a_message_drops_what_follows(void **state)
{
    (void)state;
    struct booth booth;
    char text[128];
    booth_open(&booth);
    booth.close_with = 4000;
    size_t len = mask_frame(text, 0x81, "one", 3);
    len += mask_frame(text + len, 0x81, "two", 3);
    booth_connect(&booth, "", 0);
    rig_send_bytes(&booth.rig, booth.client, text, len);
    expect_close(&booth, 4000);
    assert_string_equal(booth.text, "one|");
    booth_close(&booth);
    assert_int_equal(booth.closed, 0);
}

static void a_peer_that_vanishes_is_told_once(void **state)
{
    (void)state;
    for (int by_rst = 0; by_rst < 2; by_rst++) {
        struct booth booth;
        booth_open(&booth);
        booth_connect(&booth, "", 0);
        if (by_rst)
            rig_client_rst(booth.client);
        else
            rig_client_close(booth.client);
        assert_true(rig_until(&booth.rig, is_freed, &booth));
        assert_int_equal(booth.closed, 1);
        assert_int_equal(booth.code, 1006);
        booth_close(&booth);
    }
}

static void a_peer_that_vanishes_with_the_handshake_leaves_nothing(void **state)
{
    (void)state;
    struct booth booth;
    char frame[64], text[1024];
    size_t len = mask_frame(frame, 0x81, "early", 5);
    booth_open(&booth);
    booth.client = rig_connect(&booth.rig);
    int head = snprintf(text, sizeof(text), "GET /ws HTTP/1.1\r\nHost: h\r\n%s\r\n", UPGRADE);
    memcpy(text + head, frame, len);
    rig_send_bytes(&booth.rig, booth.client, text, (size_t)head + len);
    rig_client_rst(booth.client);
    rig_pass(&booth.rig, 20);
    booth_close(&booth);
}

static void aborting_is_at_once(void **state)
{
    (void)state;
    struct booth booth;
    booth_open(&booth);
    booth_connect(&booth, "", 0);
    websocket_abort(&booth.websocket);
    assert_true(rig_until_eof(&booth.rig, booth.client));
    assert_true(rig_until(&booth.rig, is_freed, &booth));
    assert_int_equal(booth.closed, 0);
    booth_close(&booth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_accept_value_is_that_of_the_rfc),
        cmocka_unit_test(a_handshake_is_answered_101),
        cmocka_unit_test(a_subprotocol_is_confirmed_if_named),
        cmocka_unit_test(bad_handshakes_are_refused),
        cmocka_unit_test(frames_are_as_the_rfc_has_them),
        cmocka_unit_test(messages_come_in_and_go_out),
        cmocka_unit_test(a_message_in_the_segment_of_the_handshake_is_not_lost),
        cmocka_unit_test(a_message_may_come_in_pieces_with_a_ping_between),
        cmocka_unit_test(bytes_may_come_one_by_one),
        cmocka_unit_test(between_messages_there_is_no_context),
        cmocka_unit_test(what_breaks_the_protocol_closes_with_its_code),
        cmocka_unit_test(an_unmasked_frame_is_refused),
        cmocka_unit_test(the_message_limit_is_exact),
        cmocka_unit_test(the_fragment_limit_is_exact),
        cmocka_unit_test(a_flood_of_pings_in_one_segment_is_refused),
        cmocka_unit_test(a_close_of_the_peer_is_answered_and_told),
        cmocka_unit_test(a_close_without_a_code_is_answered_without_one),
        cmocka_unit_test(our_close_sends_what_was_queued_and_is_not_told),
        cmocka_unit_test(closing_inside_a_message_drops_what_follows),
        cmocka_unit_test(a_peer_that_vanishes_is_told_once),
        cmocka_unit_test(a_peer_that_vanishes_with_the_handshake_leaves_nothing),
        cmocka_unit_test(aborting_is_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
