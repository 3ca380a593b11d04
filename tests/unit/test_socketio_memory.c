/* SPDX-License-Identifier: MIT */
/*
 * Socket.IO without memory: an hour of a few clients is lived again and again, each time with one allocation failing,
 * until it is lived to its end without reaching the chosen one. Whatever becomes of its clients, nothing leaks, and the
 * hour after it is as it should be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/socket.h>

#include "base/log.h"
#include "lib/failing_memory.h"
#include "lib/http_rig.h"
#include "lib/socketio_rig.h"

enum { ALLOCATIONS_MAX = 2000, TURNS_MAX = 400, SETTLE_TURNS = 3, ANSWER_SIZE = 4096, REQUESTS = 6 };

/* --- an application that uses all there is */

static void answered(void *ctx, struct socket *socket unused_arg, enum err err unused_arg,
                     const json_t *args unused_arg)
{
    ++*(unsigned *)ctx;
}

static unsigned answers;

static void connected(struct socket *socket, void *state unused_arg, const json_t *auth unused_arg)
{
    if (socket_join(socket, SPAN_LITERAL("a")) == OK && socket_join(socket, SPAN_LITERAL("b")) == OK)
        socket_say(socket, "welcome", SPAN_LITERAL("1"));
}

static void handle_say(struct socket *socket, void *state unused_arg, const struct incoming *event)
{
    struct span rooms[] = {SPAN_LITERAL("a"), SPAN_LITERAL("b")};
    struct emission *emission =
        emission_new(nsp_name(socket_nsp(socket)), event->text, event->attachments, event->attachment_count);
    if (emission)
        nsp_broadcast(socket_nsp(socket), &(struct audience){rooms, 2, NULL, 0}, emission);
    emission_unref(emission);
    socket_reply(socket, event->ack, SPAN_LITERAL("\"h\xc3\xa9llo\""));
}

static void handle_ask(struct socket *socket, void *state unused_arg, const struct incoming *event)
{
    unsigned before = answers;
    if (socket_ask(socket, "well", (struct span){0}, 1000, answered, &answers))
        assert_int_equal(answers, before);
    socket_reply_with(socket, event->ack, SPAN_LITERAL("true"), event->attachments, 0);
}

static void recovered(struct socket *socket, void *state unused_arg)
{
    socket_say(socket, "again", (struct span){0});
}

static const struct app_event events[] = {{"say", handle_say}, {"ask", handle_ask}, {NULL, NULL}};
static const struct app app = {
    .name = "all",
    .nsp = "/",
    .events = events,
    .state_bytes = 8,
    .connected = connected,
    .recovered = recovered,
};
static const struct app *const apps[] = {&app, NULL};

static struct socketio_options options(void)
{
    struct socketio_options options = socketio_rig_options();
    options.recovery_ms = 60000;
    options.recovery_events = 3;
    options.engine.payload_packets = 10;
    options.engine.fragments = 4;
    options.engine.queue_bytes = 100000;
    options.engine.ping_interval_ms = options.engine.ping_timeout_ms = 1000;
    return options;
}

/* --- clients without a network */

/* Whatever was lost on the way is not there to be used. */
static void live(struct socketio_rig *rig, struct paper papers[3])
{
    json_t *args = json_array();
    paper_open_again(&papers[0], rig, "alice");
    paper_open_again(&papers[1], rig, "bob");
    struct socket *alice = paper_connect(&papers[0], "/");
    struct socket *bob = paper_connect(&papers[1], "/");
    if (alice)
        paper_say(&papers[0], alice, "[\"say\",1]", 1);
    if (bob && client_socket(&papers[1].client, SPAN_LITERAL("/")))
        paper_say(&papers[1], bob, "[\"ask\"]", 2);
    if (bob && client_socket(&papers[1].client, SPAN_LITERAL("/")))
        client_acked(&papers[1].client, bob, 0, args);
    paper_close(&papers[0], ENGINE_TRANSPORT_CLOSE);
    if (bob && client_socket(&papers[1].client, SPAN_LITERAL("/")))
        paper_say(&papers[1], bob, "[\"say\",2]", -1);
    paper_open_again(&papers[2], rig, "alice");
    (void)paper_come_back(&papers[2], &papers[0], NULL);
    client_drained(&papers[2].client);
    paper_close(&papers[1], ENGINE_TRANSPORT_CLOSE);
    paper_close(&papers[2], ENGINE_TRANSPORT_CLOSE);
    json_decref(args);
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    struct paper papers[3];
    unsigned nth = 0;
    const struct socketio_options with = options();
    do {
        struct socketio_rig rig;
        assert_true(++nth < ALLOCATIONS_MAX);
        socketio_rig_open(&rig, apps, &with);
        memory_fail_at(nth);
        live(&rig, papers);
        bool failed = memory_has_failed();
        memory_fail_at(0);
        paper_open(&papers[0], &rig, "carol");
        assert_non_null(paper_connect(&papers[0], "/"));
        paper_say(&papers[0], client_socket(&papers[0].client, SPAN_LITERAL("/")), "[\"say\",3]", 3);
        assert_paper(&papers[0], "+/ [\"welcome\",1] [\"say\",3] =3[\"h\xc3\xa9llo\"] ");
        paper_close(&papers[0], ENGINE_TRANSPORT_CLOSE);
        socketio_rig_close(&rig);
        if (!failed)
            break;
    } while (true);
    assert_true(nth > 20);
}

static void making_it_fails_whole(void **state)
{
    (void)state;
    const struct socketio_options with = options();
    const struct conns_limits limits = {.queue_bytes = 1 << 20, .finish_ms = 1000};
    struct loop *loop = loop_new();
    struct conns *conns = conns_new(loop, limits);
    struct socketio *adapter = NULL;
    unsigned nth = 0;
    for (bool failed = true; failed;) {
        assert_true(++nth < ALLOCATIONS_MAX);
        memory_fail_at(nth);
        adapter = socketio_new(&with, apps, NULL, NULL, NULL, loop, conns);
        failed = memory_has_failed();
        memory_fail_at(0);
        assert_true(failed == !adapter);
    }
    assert_true(nth > 5);
    socketio_shut(adapter);
    socketio_free(adapter);
    conns_free(conns);
    assert_int_equal(loop_timers(loop)->reserved, 0);
    loop_free(loop);
}

/* --- clients that poll */

struct cell {
    struct http_rig rig;
    struct socketio *adapter;
    struct rig_client *clients[REQUESTS];
    size_t used;
    char answer[ANSWER_SIZE];
    char sid[ENGINE_SID_SIZE];
};

static void cell_open(struct cell *cell)
{
    struct http_limits limits = rig_limits();
    const struct socketio_options with = options();
    memset(cell, 0, sizeof(*cell));
    rig_open(&cell->rig, &limits, NULL);
    cell->adapter = socketio_new(&with, apps, NULL, NULL, NULL, cell->rig.loop, cell->rig.conns);
    assert_non_null(cell->adapter);
    assert_int_equal(socketio_mount(cell->adapter, cell->rig.router), OK);
    for (size_t i = 0; i < REQUESTS; i++)
        cell->clients[i] = rig_connect(&cell->rig);
}

static void cell_close(struct cell *cell)
{
    socketio_shut(cell->adapter);
    for (size_t i = 0; i < REQUESTS; i++)
        rig_client_close(cell->clients[i]);
    for (int i = 0; i < 10; i++)
        loop_turn(cell->rig.loop, 0);
    assert_null(cell->adapter->clients);
    socketio_free(cell->adapter);
    rig_close(&cell->rig);
}

/* Turns without allocating on this side until `ending` has come; after a failure any answer will do. */
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
static bool ask(struct cell *cell, unsigned revision, const char *body, const char *ending)
{
    char text[1024];
    int fd = cell->clients[cell->used++]->fd;
    int len =
        snprintf(text, sizeof(text),
                 "%s /socket.io/?EIO=%u&transport=polling%s%s HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n%s",
                 body ? "POST" : "GET", revision, cell->sid[0] ? "&sid=" : "", cell->sid, body ? strlen(body) : 0,
                 body ? body : "");
    assert_true(send(fd, text, (size_t)len, MSG_NOSIGNAL) == len);
    return turn_until(cell, fd, ending);
}

static bool shake(struct cell *cell, unsigned revision, const char *ending)
{
    if (!ask(cell, revision, NULL, ending))
        return false;
    const char *sid = strstr(cell->answer, "\"sid\":\"") + strlen("\"sid\":\"");
    memcpy(cell->sid, sid, ENGINE_SID_SIZE - 1);
    return true;
}

static bool poll_new(struct cell *cell)
{
    return shake(cell, 4, "\"maxPayload\":1000000}") &&
           ask(cell, 4,
               "40{\"a\":1}\x1e"
               "421[\"say\",\"\xc3\xa9\"]\x1e"
               "40/x,\x1e"
               "422[\"ask\"]",
               "\r\n\r\nok") &&
           ask(cell, 4,
               "451-3[\"say\",{\"_placeholder\":true,\"num\":0}]\x1e"
               "bAAE=",
               "\r\n\r\nok") &&
           ask(cell, 4, NULL, "433[\"h\xc3\xa9llo\"]");
}

static bool poll_old(struct cell *cell)
{
    return shake(cell, 3, "2:40") && ask(cell, 3, "14:421[\"say\",\"\xc3\xa9\"]10:422[\"ask\"]", "\r\n\r\nok") &&
           ask(cell, 3, NULL, "432[true]");
}

static void check_polling(bool (*live_by)(struct cell *cell))
{
    struct cell cell;
    unsigned nth = 0;
    bool failed;
    do {
        assert_true(++nth < ALLOCATIONS_MAX);
        cell_open(&cell);
        memory_fail_at(nth);
        bool lived = live_by(&cell);
        failed = memory_has_failed();
        memory_fail_at(0);
        assert_true(failed || lived);
        cell_close(&cell);
    } while (failed);
    assert_true(nth > 20);
}

static void new_clients_that_poll(void **state)
{
    (void)state;
    check_polling(poll_new);
}

static void old_clients_that_poll(void **state)
{
    (void)state;
    check_polling(poll_old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_fails_once),
        cmocka_unit_test(making_it_fails_whole),
        cmocka_unit_test(new_clients_that_poll),
        cmocka_unit_test(old_clients_that_poll),
    };
    if (log_open("/dev/null", LOG_ERROR, LOG_KEY_VALUE))
        return 1;
    return cmocka_run_group_tests_name("socketio_memory", tests, NULL, NULL);
}
