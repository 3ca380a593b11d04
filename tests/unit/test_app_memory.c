/* SPDX-License-Identifier: MIT */
/*
 * The applications without memory: the same hour is lived again and again, each time with one allocation failing,
 * until it is lived to its end without reaching the chosen one. Nothing may crash or leak, nobody may stay in a room
 * or hold a name, and all must work afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "adapters/socketio/app.h"
#include "base/log.h"
#include "lib/failing_memory.h"
#include "lib/hub_rig.h"
#include "lib/socketio_rig.h"

enum { HOUR_MAX = 5000, PAPERS = 3, TURNS = 6, A_WHILE_MS = 60000 };

struct stage {
    struct rig hub;
    struct socketio_rig rig;
    struct paper papers[PAPERS];
    struct id pair;
};

static void settle(struct stage *stage)
{
    for (int i = 0; i < TURNS; i++) {
        hub_rig_turn(&stage->hub);
        socketio_rig_turn(&stage->rig);
    }
}

/* Guests are wanted, and there are logins. */
static void stage_open(struct stage *stage)
{
    struct socketio_options options = socketio_rig_options();
    options.entity_prefix = "user,";
    options.redis_prefix = "socket.io";
    options.sockets_room = "lobby";
    options.sockets_guests = true;
    options.messaging_authenticate_ms = A_WHILE_MS;
    hub_rig_init(&stage->hub, FRIENDS_EVERYONE);
    assert_int_equal(hub_rig_meet(&stage->hub, "bob", NULL), OK);
    stage->pair = hub_rig_thread(&stage->hub, "alice,bob");
    socketio_rig_open(&stage->rig, socketio_apps, &options);
    stage->rig.adapter->hub = stage->hub.hub;
}

static void stage_close(struct stage *stage)
{
    settle(stage);
    socketio_rig_close(&stage->rig);
    hub_rig_turn(&stage->hub);
    hub_rig_fini(&stage->hub);
}

/* What somebody in `nsp` says, if they could be connected. */
static struct socket *enter(struct stage *stage, size_t who, const char *user, const char *nsp)
{
    paper_open(&stage->papers[who], &stage->rig, user);
    struct socket *socket = paper_connect(&stage->papers[who], nsp);
    if (socket)
        socket_ref(socket);
    return socket;
}

static void say(struct stage *stage, size_t who, struct socket *socket, const char *array)
{
    if (socket && socket_is_connected(socket))
        paper_say(&stage->papers[who], socket, array, 1);
    settle(stage);
}

static void maxtalk_hour(struct stage *stage)
{
    char text[ID_TEXT_SIZE], talk[256];
    struct socket *alice = enter(stage, 0, "alice", "/max");
    struct socket *bob = enter(stage, 1, "bob", "/max");
    (void)snprintf(talk, sizeof(talk), "[\"talk\",{\"conversation\":\"%s\",\"timestamp\":1,\"messageID\":2}]",
                   id_format(stage->pair, text));
    say(stage, 0, alice, "[\"join\",{\"username\":\"alice\"}]");
    say(stage, 1, bob, "[\"join\",{\"username\":\"bob\"}]");
    say(stage, 1, bob, talk);
    say(stage, 1, bob, "[\"talk\",{}]");
    (void)hub_rig_send(&stage->hub, stage->pair, "bob", "hello");
    settle(stage);
    struct socket *sockets[] = {alice, bob};
    for (size_t i = 0; i < 2; i++) {
        paper_close(&stage->papers[i], ENGINE_TRANSPORT_CLOSE);
        if (sockets[i])
            socket_unref(sockets[i]);
    }
}

static void messaging_hour(struct stage *stage)
{
    struct socket *alice = enter(stage, 0, "alice", "/");
    struct socket *nobody = enter(stage, 1, "", "/");
    say(stage, 0, alice, "[\"authenticate\",{}]");
    say(stage, 1, nobody, "[\"authenticate\",{\"token\":\"00000000-0000-4000-8000-000000000000\"}]");
    (void)hub_rig_send(&stage->hub, stage->pair, "bob", "hello");
    (void)hub_rig_set_presence(&stage->hub, "bob", SHOW_AWAY, "out");
    settle(stage);
    struct socket *sockets[] = {alice, nobody};
    for (size_t i = 0; i < 2; i++) {
        paper_close(&stage->papers[i], ENGINE_TRANSPORT_CLOSE);
        if (sockets[i])
            socket_unref(sockets[i]);
    }
}

static void sockets_hour(struct stage *stage)
{
    static const char *const users[PAPERS] = {"alice", "", ""};
    static const char *const names[PAPERS] = {"[\"register\",\"alice\"]", "[\"register\",\"eve\"]",
                                              "[\"register\",\"eve\"]"};
    struct socket *sockets[PAPERS];
    for (size_t i = 0; i < PAPERS; i++) {
        sockets[i] = enter(stage, i, users[i], "/");
        say(stage, i, sockets[i], names[i]);
    }
    say(stage, 0, sockets[0], "[\"message\",{\"from\":\"x\",\"message\":\"hello\"}]");
    say(stage, 1, sockets[1], "[\"message\",{\"from\":\"x\",\"message\":\"hello\"}]");
    for (size_t i = 0; i < PAPERS; i++) {
        paper_close(&stage->papers[i], ENGINE_TRANSPORT_CLOSE);
        if (sockets[i])
            socket_unref(sockets[i]);
    }
    settle(stage);
}

/* Whatever happened before: two register in the room, and hear each other. (A guest may be in the thread still, for
 * whom there was no memory to leave.) */
static void must_work(struct stage *stage)
{
    struct socket *bob = enter(stage, 0, "bob", "/");
    struct socket *eve = enter(stage, 1, "", "/");
    assert_non_null(bob);
    assert_non_null(eve);
    say(stage, 0, bob, "[\"register\",\"bob\"]");
    say(stage, 1, eve, "[\"register\",\"eve\"]");
    say(stage, 1, eve, "[\"message\",\"well\"]");
    assert_paper(&stage->papers[0],
                 "+/ =1[true] [\"message\",{\"from\":\"Server\",\"message\":\"bob has joined the chat\"}] "
                 "[\"message\",{\"from\":\"Server\",\"message\":\"eve has joined the chat\"}] "
                 "[\"message\",{\"from\":\"eve\",\"message\":\"well\"}] ");
    socket_unref(bob);
    socket_unref(eve);
    paper_close(&stage->papers[1], ENGINE_TRANSPORT_CLOSE);
    settle(stage);
    assert_paper(&stage->papers[0], "[\"message\",{\"from\":\"Server\",\"message\":\"eve left the chat\"}] ");
    paper_close(&stage->papers[0], ENGINE_TRANSPORT_CLOSE);
    settle(stage);
}

/* False: the hour was over before the chosen allocation. */
static bool live_once(void (*hour)(struct stage *stage), unsigned nth)
{
    struct stage stage = {0};
    stage_open(&stage);
    memory_fail_at(nth);
    hour(&stage);
    bool failed = memory_has_failed();
    memory_fail_at(0);
    hub_rig_pass(&stage.hub, A_WHILE_MS);
    settle(&stage);
    assert_int_equal(metric_value(METRIC_SESSIONS_SOCKETIO), 0);
    must_work(&stage);
    stage_close(&stage);
    return failed;
}

static void live(void (*hour)(struct stage *stage))
{
    unsigned nth = 1;
    while (live_once(hour, nth))
        assert_true(++nth < HOUR_MAX);
    assert_true(nth > 50);
    print_message("# %u allocations\n", nth - 1);
}

static void maxtalk_survives(void **state)
{
    (void)state;
    live(maxtalk_hour);
}

static void messaging_survives(void **state)
{
    (void)state;
    live(messaging_hour);
}

static void sockets_survives(void **state)
{
    (void)state;
    live(sockets_hour);
}

static int be_quiet(void **state)
{
    (void)state;
    return log_open("/dev/null", LOG_ERROR, LOG_KEY_VALUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maxtalk_survives),
        cmocka_unit_test(messaging_survives),
        cmocka_unit_test(sockets_survives),
    };
    return cmocka_run_group_tests_name("applications without memory", tests, be_quiet, NULL);
}
