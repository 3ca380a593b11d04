/* SPDX-License-Identifier: MIT */
/* Names have one holder on all nodes, and none of them looks like the server's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/socketio/names.h"
#include "base/blob.h"

enum { NODES = 3, MESSAGES_MAX = 64, PATIENCE_MS = 5000 };

/* A bus without a server: it gives everything to everybody in one order, when it is told to. */
struct line {
    struct bus bus;
    struct bus_listener *listeners[NODES];
    size_t listener_count;
    struct blob *messages[MESSAGES_MAX];
    size_t sent, heard;
    enum err err; /* of publishing */
    char channel[64];
};

static enum err line_publish(struct bus *bus, struct span channel, struct span bytes)
{
    struct line *line = (struct line *)bus;
    if (line->err)
        return line->err;
    assert_true(line->sent < MESSAGES_MAX && channel.len < sizeof(line->channel));
    memcpy(line->channel, channel.data, channel.len);
    line->channel[channel.len] = '\0';
    line->messages[line->sent++] = blob_copy(bytes);
    return OK;
}

static void line_listen(struct bus *bus, struct span pattern, struct bus_listener *listener)
{
    struct line *line = (struct line *)bus;
    assert_string_equal(pattern.data ? "socket.io-names" : "", "socket.io-names");
    assert_int_equal(pattern.len, strlen("socket.io-names"));
    line->listeners[line->listener_count++] = listener;
}

static const struct bus_ops line_ops = {.publish = line_publish, .listen = line_listen};

static void line_say(struct line *line, const char *text)
{
    for (size_t i = 0; i < line->listener_count; i++)
        line->listeners[i]->heard(line->listeners[i], SPAN_LITERAL("socket.io-names"), span_of(text));
}

static void line_deliver(struct line *line)
{
    while (line->heard < line->sent) {
        struct blob *message = line->messages[line->heard++];
        for (size_t i = 0; i < line->listener_count; i++)
            line->listeners[i]->heard(line->listeners[i], span_of(line->channel), blob_span(message));
        blob_unref(message);
    }
}

struct world {
    struct loop *loop;
    struct line line;
    struct names *nodes[NODES];
};

static void world_init(struct world *world)
{
    *world = (struct world){.loop = loop_new(), .line = {.bus = {&line_ops}}};
    assert_non_null(world->loop);
    for (size_t i = 0; i < NODES; i++)
        assert_non_null(world->nodes[i] = names_new(&world->line.bus, "socket.io", "lobby", world->loop));
}

static void world_fini(struct world *world)
{
    for (size_t i = 0; i < NODES; i++)
        names_free(world->nodes[i]);
    loop_free(world->loop);
}

/* What became of a claim. */
struct claim {
    bool over;
    enum err err;
    struct name *name;
};

static void claimed(void *ctx, enum err err, struct name *name)
{
    struct claim *claim = ctx;
    assert_false(claim->over);
    assert_int_equal(!name, err != OK);
    *claim = (struct claim){true, err, name};
}

static struct claim ask_for(struct names *names, const char *text)
{
    struct claim claim = {0};
    names_claim(names, span_of(text), claimed, &claim);
    assert_true(claim.over);
    return claim;
}

static void wait_for(struct world *world, const struct claim *claim)
{
    int64_t until_ms = loop_now_ms(world->loop) + PATIENCE_MS;
    while (!claim->over && loop_now_ms(world->loop) < until_ms) {
        line_deliver(&world->line);
        loop_turn(world->loop, 100);
    }
    assert_true(claim->over);
}

static void a_single_node_answers_at_once(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    struct names *names = names_new(NULL, "socket.io", "lobby", loop);
    struct claim first = ask_for(names, "alice");
    assert_int_equal(first.err, OK);
    assert_true(span_is(name_text(first.name), "alice"));
    assert_int_equal(ask_for(names, "alice").err, ERR_CONFLICT);
    assert_int_equal(ask_for(names, "Alice").err, OK);
    names_release(names, first.name);
    assert_int_equal(ask_for(names, "alice").err, OK);
    names_free(names);
    loop_free(loop);
}

static void of_two_that_ask_at_once_the_first_gets_it(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct claim first = {0}, second = {0}, other = {0};
    names_claim(world.nodes[0], SPAN_LITERAL("alice"), claimed, &first);
    names_claim(world.nodes[1], SPAN_LITERAL("alice"), claimed, &second);
    names_claim(world.nodes[2], SPAN_LITERAL("bob"), claimed, &other);
    wait_for(&world, &second);
    assert_int_equal(second.err, ERR_CONFLICT);
    assert_false(first.over);
    wait_for(&world, &first);
    wait_for(&world, &other);
    assert_int_equal(first.err, OK);
    assert_int_equal(other.err, OK);

    struct claim third = {0};
    names_claim(world.nodes[2], SPAN_LITERAL("alice"), claimed, &third);
    wait_for(&world, &third);
    assert_int_equal(third.err, ERR_CONFLICT);

    names_release(world.nodes[0], first.name);
    struct claim again = {0};
    names_claim(world.nodes[1], SPAN_LITERAL("alice"), claimed, &again);
    wait_for(&world, &again);
    assert_int_equal(again.err, OK);
    world_fini(&world);
}

static void a_node_that_cannot_ask_gives_no_name(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    world.line.err = ERR_STORE;
    assert_int_equal(ask_for(world.nodes[0], "alice").err, ERR_STORE);
    assert_int_equal(world.line.sent, 0);
    world_fini(&world);
}

static void nonsense_on_the_bus_is_ignored(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "x",
        "[]",
        "{}",
        "{\"ask\":1}",
        "{\"ask\":\"x\",\"name\":\"alice\"}",
        "{\"held\":\"00000000-0000-4000-8000-000000000000\"}",
        "{\"ask\":\"00000000-0000-4000-8000-000000000000\",\"space\":\"lobby\"}",
        "{\"ask\":\"00000000-0000-4000-8000-000000000000\",\"space\":\"lobby\",\"name\":\"\"}",
        "{\"ask\":\"00000000-0000-4000-8000-000000000000\",\"space\":\"hall\",\"name\":\"alice\"}",
        "{\"ask\":\"00000000-0000-4000-8000-000000000000\",\"name\":[[[\"alice\"]]]}",
    };
    struct world world;
    world_init(&world);
    struct claim claim = {0};
    names_claim(world.nodes[0], SPAN_LITERAL("alice"), claimed, &claim);
    line_deliver(&world.line);
    size_t sent = world.line.sent;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        line_say(&world.line, texts[i]);
    assert_int_equal(world.line.sent, sent);
    line_say(&world.line, "{\"ask\":\"00000000-0000-4000-8000-000000000000\",\"space\":\"lobby\",\"name\":\"alice\"}");
    assert_int_equal(world.line.sent, sent + 1);
    line_deliver(&world.line);
    assert_false(claim.over);
    world_fini(&world);
}

/* --- what they look like */

static void names_are_printable_and_bounded(void **state)
{
    (void)state;
    static char longest[NAME_MAX_LEN + 2];
    memset(longest, 'n', NAME_MAX_LEN);
    assert_true(name_fits(span_of(longest)));
    longest[NAME_MAX_LEN] = 'n';
    assert_false(name_fits(span_of(longest)));
    assert_true(name_fits(SPAN_LITERAL("a b")));
    assert_true(name_fits(SPAN_LITERAL("\xc3\x89ric")));
    static const char *const unfit[] = {"", " a", "a ", "a\tb", "a\nb", "\xff", "a\xe2\x80\xae", " "};
    for (size_t i = 0; i < sizeof(unfit) / sizeof(unfit[0]); i++)
        assert_false(name_fits(span_of(unfit[i])));
}

static void nobody_looks_like_the_server(void **state)
{
    (void)state;
    static const char *const alike[] = {
        "server",         "Server",         "SERVER",
        "sErVeR",         "s erver",        "Server\xe2\x80\x8b",
        "\xc2\xa0Server", "Ser\xc2\xadver", "\xef\xbc\xb3\xef\xbd\x85\xef\xbd\x92\xef\xbd\x96\xef\xbd\x85\xef\xbd\x92",
        "S e r v e r",
    };
    for (size_t i = 0; i < sizeof(alike) / sizeof(alike[0]); i++)
        if (!name_resembles(span_of(alike[i]), "server"))
            fail_msg("%s", alike[i]);
    static const char *const others[] = {"", " ", "serve", "servers", "observer", "server1", "s\xc3\xa9rver"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (name_resembles(span_of(others[i]), "server"))
            fail_msg("%s", others[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_single_node_answers_at_once),
        cmocka_unit_test(of_two_that_ask_at_once_the_first_gets_it),
        cmocka_unit_test(a_node_that_cannot_ask_gives_no_name),
        cmocka_unit_test(nonsense_on_the_bus_is_ignored),
        cmocka_unit_test(names_are_printable_and_bounded),
        cmocka_unit_test(nobody_looks_like_the_server),
    };
    return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
