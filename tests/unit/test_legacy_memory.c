/* SPDX-License-Identifier: MIT */
/*
 * Socket.IO 0.9 without memory: each allocation in the life of a session fails once, over polling and over WebSocket.
 * Whatever becomes of that session, it ends, nothing leaks, and the next one goes through.
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

#include "adapters/socketio/legacy_inside.h"
#include "tests/lib/failing_memory.h"
#include "tests/lib/http_rig.h"

enum { TURNS_MAX = 400, ALLOCATIONS_MAX = 1000, ANSWER_SIZE = 4096, CLIENTS = 6, BEAT_MS = 50, SETTLE_TURNS = 3 };

struct cell {
    struct http_rig rig;
    struct socketio *adapter;
    struct rig_client *clients[CLIENTS];
    size_t used;
    char answer[ANSWER_SIZE];
    char sid[ENGINE_SID_SIZE];
};

/* --- an application that answers all it hears */

static void handle_say(struct socket *socket, void *state, const struct incoming *event)
{
    (void)state;
    socket_say(socket, "said", SPAN_LITERAL("\"h\xc3\xa9llo\""));
    socket_reply(socket, event->ack, SPAN_LITERAL("true"));
}

static const struct app_event events[] = {{"say", handle_say}, {"message", handle_say}, {NULL, NULL}};
static const struct app app = {.name = "echo", .nsp = "/", .events = events};
static const struct app room_app = {.name = "room", .nsp = "/room", .events = events};
static const struct app *const apps[] = {&app, &room_app, NULL};

/* --- the gateway around it */

static void cell_open(struct cell *cell)
{
    struct http_limits limits = rig_limits();
    struct socketio_options options = {
        .engine = {.path = "/s",
                   .ping_interval_ms = BEAT_MS,
                   .payload_bytes = 1000,
                   .payload_packets = 10,
                   .fragments = 4,
                   .sessions = 10,
                   .sessions_per_address = 10,
                   .queue_bytes = 10000},
        .legacy = true,
        .rooms = 10,
        .json_depth = 8,
    };
    memset(cell, 0, sizeof(*cell));
    rig_open(&cell->rig, &limits, NULL);
    cell->adapter = socketio_new(&options, apps, NULL, NULL, NULL, cell->rig.loop, cell->rig.conns);
    assert_non_null(cell->adapter);
    assert_int_equal(socketio_mount(cell->adapter, cell->rig.router), OK);
    for (size_t i = 0; i < CLIENTS; i++)
        cell->clients[i] = rig_connect(&cell->rig);
}

static void cell_close(struct cell *cell)
{
    socketio_shut(cell->adapter);
    for (size_t i = 0; i < CLIENTS; i++)
        rig_client_close(cell->clients[i]);
    for (int i = 0; i < 10; i++)
        loop_turn(cell->rig.loop, 0);
    struct socketio *adapter = cell->adapter;
    assert_null(adapter->legacy->sessions);
    assert_null(adapter->clients);
    socketio_free(adapter);
    rig_close(&cell->rig);
}

/* Turns without allocating anything on this side, until `ending` has come or the peer has closed; after a failure any
 * answer will do. */
static bool turn_until(struct cell *cell, int fd, const char *ending)
{
    size_t len = 0;
    for (int i = 0; i < TURNS_MAX; i++) {
        loop_turn(cell->rig.loop, 2);
        ssize_t got = recv(fd, cell->answer + len, sizeof(cell->answer) - 1 - len, MSG_DONTWAIT);
        if (got == 0)
            return false;
        len += got > 0 ? (size_t)got : 0;
        cell->answer[len] = '\0';
        if (memmem(cell->answer, len, ending, strlen(ending)))
            return true;
        if (memory_has_failed() && strstr(cell->answer, "\r\n\r\n") && i > SETTLE_TURNS)
            return false;
    }
    return false;
}

/* Asks on a connection of its own. False: the answer was none that has `ending` in it. */
static bool ask(struct cell *cell, const char *head, const char *body, const char *ending)
{
    char text[1024];
    int fd = cell->clients[cell->used++]->fd;
    int len = snprintf(text, sizeof(text), "%s%s%s HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n%s", head,
                       cell->sid, "?t=1", strlen(body), body);
    assert_true(send(fd, text, (size_t)len, MSG_NOSIGNAL) == len);
    return turn_until(cell, fd, ending);
}

static bool shake(struct cell *cell)
{
    static const char tail[] = ":1:1:websocket,xhr-polling";
    bool is_taken = ask(cell, "GET /s/1/", "", tail);
    const char *end = is_taken ? strstr(cell->answer, tail) : NULL;
    if (!end)
        return false;
    memcpy(cell->sid, end - (ENGINE_SID_SIZE - 1), ENGINE_SID_SIZE - 1);
    const char *line = memrchr(cell->sid, '\n', ENGINE_SID_SIZE - 1);
    if (line) /* a sid may be shorter */
        memmove(cell->sid, line + 1, strlen(line));
    return true;
}

#define POLL "GET /s/1/xhr-polling/"
#define POST "POST /s/1/xhr-polling/"
#define MARK "\xef\xbf\xbd"

static bool by_polling(struct cell *cell)
{
    return shake(cell) && ask(cell, POLL, "", "1::") &&
           ask(cell, POST,
               MARK "37" MARK "5:1+::{\"name\":\"say\",\"args\":[[1,\"\xc3\xa9\"]]}" MARK "10" MARK "1::/room?a",
               "\n1") &&
           ask(cell, POLL, "", "1::/room") && ask(cell, "GET /s/1/xhr-polling/", "", "8::");
}

/* Frames of the client, masked with zeros: an event, a connect, a close. */
static const char frames[] = "\x81\xa5\0\0\0\0"
                             "5:1+::{\"name\":\"say\",\"args\":[[1,\"a\"]]}"
                             "\x81\x89\0\0\0\0"
                             "1::/room?"
                             "\x88\x80\0\0\0\0";

static bool by_websocket(struct cell *cell)
{
    char text[512];
    if (!shake(cell))
        return false;
    int fd = cell->clients[cell->used++]->fd;
    int len = snprintf(text, sizeof(text),
                       "GET /s/1/websocket/%s HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                       "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                       cell->sid);
    assert_true(send(fd, text, (size_t)len, MSG_NOSIGNAL) == len);
    if (!turn_until(cell, fd, "1::"))
        return false;
    assert_true(send(fd, frames, sizeof(frames) - 1, MSG_NOSIGNAL) == sizeof(frames) - 1);
    return turn_until(cell, fd, "1::/room");
}

static void try_each_allocation(bool (*live)(struct cell *cell))
{
    unsigned nth = 0;
    bool failed;
    do {
        struct cell cell;
        cell_open(&cell);
        memory_fail_at(++nth);
        bool is_done = live(&cell);
        failed = memory_has_failed();
        memory_fail_at(0);
        if (!failed && !is_done)
            fail_msg("nothing failed, and yet it did not go through: %s", cell.answer);
        cell_close(&cell);
        assert_true(nth < ALLOCATIONS_MAX);
    } while (failed);
    assert_true(nth > 20); /* something did fail */
}

static void a_session_that_polls(void **state)
{
    (void)state;
    try_each_allocation(by_polling);
}

static void a_session_over_a_websocket(void **state)
{
    (void)state;
    try_each_allocation(by_websocket);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_that_polls),
        cmocka_unit_test(a_session_over_a_websocket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
