/* SPDX-License-Identifier: MIT */
/*
 * The admin routes without memory: each allocation on the way of a request fails once. Whatever becomes of that
 * request, it ends, nothing leaks, nobody stays in memory, and the next one is served.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>

#include "admin/admin.h"
#include "base/log.h"
#include "lib/failing_memory.h"
#include "lib/http_rig.h"
#include "lib/hub_rig.h"

enum { TURNS_MAX = 4000, ALLOCATIONS_MAX = 500, TEXT_MAX = 65536 };

struct stage {
    struct rig hub;
    struct http_rig http;
    struct admin admin;
    struct viewer alice;
    struct id room;
    char text[TEXT_MAX]; /* what the client got */
    size_t len;
    bool closed;
};

static void stage_open(struct stage *stage)
{
    struct http_limits limits = rig_limits();
    struct router *router = router_new(&(struct router_config){0});
    assert_non_null(router);
    memset(stage, 0, sizeof(*stage));
    hub_rig_init(&stage->hub, FRIENDS_EVERYONE);
    stage->room = hub_rig_room(&stage->hub, "alice", "lobby");
    viewer_join(&stage->alice, &stage->hub, "alice");
    hub_rig_turn(&stage->hub);
    assert_int_equal(admin_mount(&stage->admin, router), OK);
    rig_open(&stage->http, &limits, router);
    stage->admin.hub = stage->hub.hub;
    stage->admin.version = "1";
    stage->admin.loop = stage->http.loop;
    stage->admin.conns = stage->http.conns;
    admin_listens(&stage->admin, "admin", "nowhere");
}

static void turn(struct stage *stage, const struct rig_client *client)
{
    loop_turn(stage->http.loop, 0);
    hub_rig_turn(&stage->hub);
    ssize_t got = recv(client->fd, stage->text + stage->len, TEXT_MAX - 1 - stage->len, MSG_DONTWAIT);
    stage->closed |= got == 0;
    stage->len += got > 0 ? (size_t)got : 0;
    stage->text[stage->len] = '\0';
}

static bool is_answered(const struct stage *stage, const char *ending)
{
    bool any = memory_has_failed() && strstr(stage->text, "\r\n\r\n") && !strstr(stage->text, "chunked");
    return stage->closed || any || strstr(stage->text, ending);
}

/* Turns until `ending` came, or something that ends the request instead. */
static bool turn_until(struct stage *stage, const struct rig_client *client, const char *ending)
{
    for (int i = 0; i < TURNS_MAX && !is_answered(stage, ending); i++)
        turn(stage, client);
    return is_answered(stage, ending);
}

static bool has_no_watch(void *ctx)
{
    struct stage *stage = ctx;
    hub_rig_turn(&stage->hub);
    return conns_count(stage->http.conns) == 0;
}

static void stage_close(struct stage *stage)
{
    for (size_t i = 0; i < stage->http.client_count; i++)
        rig_client_close(stage->http.clients[i]);
    assert_true(rig_until(&stage->http, has_no_watch, stage));
    viewer_leave(&stage->alice);
    hub_rig_pass(&stage->hub, 20000);
    rig_close(&stage->http);
    assert_null(stage->admin.sends);
    hub_rig_fini(&stage->hub);
}

/* What happens once the request is answered with `ending`; or null. */
typedef void aftermath(struct stage *stage, const struct rig_client *client);

static void must_work(struct stage *stage)
{
    struct rig_client *client = rig_connect(&stage->http);
    stage->len = 0;
    stage->closed = false;
    rig_send(&stage->http, client, "GET /threads HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_true(turn_until(stage, client, "{\"threads\":[")); /* of which the hub may have had to let the one go */
    assert_false(stage->closed);
}

static void try_each_allocation(const char *request, const char *ending, aftermath *then)
{
    static struct stage stage;
    unsigned nth = 0;
    bool failed;
    do {
        stage_open(&stage);
        struct rig_client *client = rig_connect(&stage.http);
        rig_send(&stage.http, client, request);
        memory_fail_at(++nth);
        bool answered = turn_until(&stage, client, ending);
        if (answered && then && !stage.closed)
            then(&stage, client);
        failed = memory_has_failed();
        memory_fail_at(0);
        if (!answered)
            fail_msg("allocation %u: no answer", nth);
        if (!failed)
            assert_non_null(strstr(stage.text, ending));
        must_work(&stage);
        stage_close(&stage);
        assert_true(nth < ALLOCATIONS_MAX);
    } while (failed);
    assert_true(nth > 3); /* something did fail */
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

static void views(void **state)
{
    (void)state;
    try_each_allocation(GET("/status"), "\"cursor\":\"0\"}", NULL);
    try_each_allocation(GET("/sessions"), "\"user\":\"alice\"", NULL);
    try_each_allocation(GET("/sessions?sort=-since&limit=1&find=ALI"), "\"matching\":1,\"total\":1}", NULL);
    try_each_allocation(GET("/threads"), "\"room\":\"lobby\"", NULL);
    try_each_allocation(GET("/threads?sort=last&offset=0&find=Lobby"), "\"matching\":1,\"total\":1}", NULL);
    try_each_allocation(GET("/metrics"), "process_start_time_seconds", NULL);
    try_each_allocation(GET("/tokens"), "{\"tokens\":[]}", NULL);
}

static void a_message_of_a_guest(void **state)
{
    (void)state;
    try_each_allocation("POST /send HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                        "Content-Length: 33\r\n\r\n{\"thread\":\"lobby\",\"text\":\"hello\"}",
                        "\"repeated\":false}", NULL);
}

static void say_and_go_away(struct stage *stage, const struct rig_client *client)
{
    (void)hub_rig_send(&stage->hub, stage->room, "alice", "psst");
    (void)turn_until(stage, client, "psst");
    struct id ignored;
    (void)hub_rig_try_room(&stage->hub, "bob", "lobby", &ignored);
    (void)hub_rig_set_presence(&stage->hub, "alice", SHOW_AWAY, "out");
    (void)turn_until(stage, client, "\"show\":\"away\"");
}

static void a_watch(void **state)
{
    (void)state;
    try_each_allocation(GET("/threads/lobby/watch"), "\"type\":\"thread\"", say_and_go_away);
}

static void a_watch_of_no_thread(void **state)
{
    (void)state;
    try_each_allocation(GET("/threads/nowhere/watch"), "no_thread", NULL);
}

static int be_quiet(void **state)
{
    (void)state;
    return log_open("/dev/null", LOG_ERROR, LOG_KEY_VALUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views),
        cmocka_unit_test(a_message_of_a_guest),
        cmocka_unit_test(a_watch),
        cmocka_unit_test(a_watch_of_no_thread),
    };
    return cmocka_run_group_tests(tests, be_quiet, NULL);
}
