/* SPDX-License-Identifier: MIT */
/*
 * Engine.IO without memory: each allocation on the way of a handshake, a message, a poll and an upgrade fails once.
 * Whatever becomes of that session, what was asked is answered or closed, the layer above is told of one end, nothing
 * leaks, and the next one is served.
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

#include "adapters/socketio/engine.h"
#include "tests/lib/failing_memory.h"
#include "tests/lib/http_rig.h"

enum { TURNS_MAX = 400, ALLOCATIONS_MAX = 300, CALM_MS = 20000 };

#define UPGRADE                                                                                                        \
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"                                       \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

struct hall {
    struct http_rig rig;
    struct engine *engine;
    unsigned opened, closed, freed;
    char sid[ENGINE_SID_SIZE];
};

static struct hall *hall_of(const struct engine_session *session)
{
    return engine_ctx(session);
}

static void on_open(struct engine_session *session)
{
    hall_of(session)->opened++;
    memcpy(hall_of(session)->sid, engine_sid(session), ENGINE_SID_SIZE);
}

static void on_message(struct engine_session *session, struct span message, bool is_text)
{
    struct blob *frame = is_text ? engine_text(message) : engine_binary(engine_session_revision(session), message);
    engine_send(session, frame, false);
    blob_unref(frame);
}

static void on_drained(struct engine_session *session unused_arg)
{
}

static void on_close(struct engine_session *session, enum engine_end why unused_arg)
{
    hall_of(session)->closed++;
}

static void on_free(struct engine_session *session)
{
    hall_of(session)->freed++;
}

static const struct engine_ops ops = {
    sizeof(struct engine_session), on_open, on_message, on_drained, on_close, on_free,
};

static void hall_open(struct hall *hall)
{
    static const struct engine_options options = {
        .path = "/e",
        .allow_old = true,
        .jsonp = true,
        .ping_interval_ms = CALM_MS,
        .ping_timeout_ms = CALM_MS,
        .upgrade_timeout_ms = 1000,
        .payload_bytes = 10000,
        .payload_packets = 10,
        .fragments = 4,
        .sessions = 5,
        .sessions_per_address = 5,
        .queue_bytes = 10000,
    };
    struct http_limits limits = rig_limits();
    struct router *router = router_new(&(struct router_config){0});
    memset(hall, 0, sizeof(*hall));
    assert_non_null(router);
    rig_open(&hall->rig, &limits, router);
    hall->engine = engine_new(&options, &ops, hall, hall->rig.loop, hall->rig.conns);
    assert_non_null(hall->engine);
    assert_int_equal(engine_mount(hall->engine, router), OK);
}

static void hall_close(struct hall *hall)
{
    engine_shut(hall->engine);
    rig_pass(&hall->rig, 5);
    engine_free(hall->engine);
    assert_int_equal(hall->opened, hall->closed);
    assert_int_equal(hall->opened, hall->freed);
    rig_close(&hall->rig);
}

/* Turns without allocating on the client's side, until `ending` was received, the server has closed, or, after a
 * failure, there was any answer. */
static bool turn_until(struct hall *hall, struct rig_client *client, const char *ending)
{
    static char text[65536];
    size_t len = 0;
    for (int i = 0; i < TURNS_MAX; i++) {
        loop_turn(hall->rig.loop, 1);
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

/* What is asked of a new session, or, where `first` is null, without one. `%s` in `request` is its sid, and bytes
 * behind the request's end go along, a frame perhaps. */
struct story {
    const char *first;
    const char *request;
    const char *more;
    size_t more_len;
    const char *ending;
};

static void enter(struct hall *hall, const char *first)
{
    char text[256];
    (void)snprintf(text, sizeof(text), "GET /e/?transport=polling&%s HTTP/1.1\r\nHost: h\r\n\r\n", first);
    assert_int_equal(rig_status(rig_ask(&hall->rig, text), 0), 200);
}

static void tell(const struct story *story)
{
    unsigned nth = 0;
    bool failed;
    do {
        struct hall hall;
        char text[1024];
        hall_open(&hall);
        if (story->first)
            enter(&hall, story->first);
        struct rig_client *client = rig_connect(&hall.rig);
        int len = snprintf(text, sizeof(text), story->request, hall.sid);
        if (story->more_len)
            memcpy(text + len, story->more, story->more_len);
        rig_send_bytes(&hall.rig, client, text, (size_t)len + story->more_len);
        memory_fail_at(++nth);
        bool is_answered = turn_until(&hall, client, story->ending);
        failed = memory_has_failed();
        memory_fail_at(0);
        if (!is_answered)
            fail_msg("allocation %u: no answer", nth);
        rig_client_close(client);
        enter(&hall, "EIO=4");
        hall_close(&hall);
        assert_true(nth < ALLOCATIONS_MAX);
    } while (failed);
    assert_true(nth > 3); /* something did fail */
}

static void a_handshake(void **state unused_arg)
{
    tell(
        &(struct story){.request = "GET /e/?EIO=4&transport=polling HTTP/1.1\r\nHost: h\r\n\r\n", .ending = "\"sid\""});
    tell(
        &(struct story){.request = "GET /e/?EIO=3&transport=polling&j=1 HTTP/1.1\r\nHost: h\r\n\r\n", .ending = "sid"});
}

static void a_refusal(void **state unused_arg)
{
    tell(&(struct story){.request = "GET /e/?EIO=4&transport=x HTTP/1.1\r\nHost: h\r\n\r\n", .ending = "\"code\":0"});
}

static void a_post(void **state unused_arg)
{
    tell(&(struct story){.first = "EIO=4",
                         .request =
                             "POST /e/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: h\r\nContent-Length: 16\r\n\r\n"
                             "4hello\x1e"
                             "bAQIDBA==",
                         .more = "",
                         .ending = "\r\n\r\n"});
    tell(&(struct story){
        .first = "EIO=3&j=1",
        .request = "POST /e/?EIO=3&transport=polling&j=1&sid=%s HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\n"
                   "d=6%%3A4hello",
        .ending = "\r\n\r\n"});
}

static void a_poll_with_a_message(void **state unused_arg)
{
    tell(&(struct story){
        .first = "EIO=3&b64=1",
        .request = "POST /e/?EIO=3&transport=polling&sid=%1$s HTTP/1.1\r\nHost: h\r\nContent-Length: 15\r\n\r\n"
                   "3:4\xc3\x83\xc2\xa9"
                   "6:b4AQI="
                   "GET /e/?EIO=3&transport=polling&sid=%1$s HTTP/1.1\r\nHost: h\r\n\r\n",
        .ending = "3:4"});
}

static void a_websocket_with_a_message(void **state unused_arg)
{
    tell(&(struct story){.request = "GET /e/?EIO=4&transport=websocket HTTP/1.1\r\nHost: h\r\n" UPGRADE "\r\n",
                         .more = "\x81\x86\0\0\0\0"
                                 "4hello",
                         .more_len = 12,
                         .ending = "4hello"});
    tell(&(struct story){.request = "GET /e/?EIO=3&transport=websocket&b64=1 HTTP/1.1\r\nHost: h\r\n" UPGRADE "\r\n",
                         .more = "\x81\x86\0\0\0\0"
                                 "b4AQI=",
                         .more_len = 12,
                         .ending = "b4AQI="});
}

static void an_upgrade(void **state unused_arg)
{
    tell(&(struct story){.first = "EIO=4",
                         .request = "GET /e/?EIO=4&transport=websocket&sid=%s HTTP/1.1\r\nHost: h\r\n" UPGRADE "\r\n",
                         .more = "\x81\x86\0\0\0\0"
                                 "2probe\x81\x81\0\0\0\0"
                                 "5\x81\x83\0\0\0\0"
                                 "4hi",
                         .more_len = 28,
                         .ending = "4hi"});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handshake),
        cmocka_unit_test(a_refusal),
        cmocka_unit_test(a_post),
        cmocka_unit_test(a_poll_with_a_message),
        cmocka_unit_test(a_websocket_with_a_message),
        cmocka_unit_test(an_upgrade),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
