/* SPDX-License-Identifier: MIT */
#include "lib/socketio_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <cmocka.h>

#include "base/metric.h"

enum { PASS_TURNS = 10 };

/* --- the paper */

static struct paper *paper_of(const struct client *client)
{
    return container_of(client, struct paper, client);
}

static void write_connected(struct client *client, struct socket *socket)
{
    struct paper *paper = paper_of(client);
    struct span nsp = nsp_name(socket_nsp(socket));
    buf_printf(&paper->text, "+%.*s ", (int)nsp.len, nsp.data);
    paper->pid[0] = '\0';
    if (socket_pid(socket))
        snprintf(paper->pid, sizeof(paper->pid), "%s", socket_pid(socket));
}

static void write_refused(struct client *client, struct span nsp, const char *sentence unused_arg)
{
    buf_printf(&paper_of(client)->text, "!%.*s ", (int)nsp.len, nsp.data);
}

static void close_paper(struct client *client, enum engine_end why)
{
    if (client->over)
        return;
    buf_add_text(&paper_of(client)->text, ". ");
    client_end(client, why);
}

static void write_event(struct client *client, struct emission *emission, bool paced unused_arg)
{
    struct paper *paper = paper_of(client);
    size_t count;
    struct blob *const *frames = emission_frames(emission, paper->recovers ? ENGINE_4 : ENGINE_3, &count);
    if (!frames || paper->is_cut_by_next) {
        close_paper(client, frames ? ENGINE_SLOW_READER : ENGINE_FORCED_CLOSE);
        return;
    }
    struct span frame = blob_span(frames[0]);
    const char *array = memchr(frame.data, '[', frame.len);
    if (emission_wants_ack(emission))
        buf_add_char(&paper->text, '?');
    buf_add(&paper->text, (struct span){array, frame.len - (size_t)(array - frame.data)});
    buf_add_char(&paper->text, ' ');
}

static void write_reply(struct client *client, struct span nsp unused_arg, uint64_t id, struct span args)
{
    buf_printf(&paper_of(client)->text, "=%llu[%.*s] ", (unsigned long long)id, (int)args.len, args.data);
}

static void write_disconnected(struct client *client, struct span nsp)
{
    buf_printf(&paper_of(client)->text, "-%.*s ", (int)nsp.len, nsp.data);
}

static bool paper_is_writable(const struct client *client)
{
    return !paper_of(client)->is_stuck;
}

static const struct visitor *paper_visitor(const struct client *client)
{
    return &paper_of(client)->visitor;
}

static uint32_t paper_queued(const struct client *client)
{
    return (uint32_t)buf_span(&paper_of(client)->text).len;
}

#define PAPER_OPS                                                                                                      \
    .connected = write_connected, .refused = write_refused, .emit = write_event, .reply = write_reply,                 \
    .disconnected = write_disconnected, .close = close_paper, .is_writable = paper_is_writable,                        \
    .queued = paper_queued, .visitor = paper_visitor

static const struct client_ops paper_ops = {PAPER_OPS};
static const struct client_ops paper_ops_again = {PAPER_OPS, .recovers = true};

static void open_with(struct paper *paper, struct socketio_rig *rig, const char *user, const struct client_ops *ops)
{
    *paper = (struct paper){.visitor = {.user = span_of(user)}, .recovers = ops->recovers};
    client_begin(&paper->client, ops, rig->adapter);
}

void paper_open(struct paper *paper, struct socketio_rig *rig, const char *user)
{
    open_with(paper, rig, user, &paper_ops);
}

void paper_open_again(struct paper *paper, struct socketio_rig *rig, const char *user)
{
    open_with(paper, rig, user, &paper_ops_again);
}

void paper_close(struct paper *paper, enum engine_end why)
{
    client_end(&paper->client, why);
    buf_fini(&paper->text);
}

struct socket *paper_connect(struct paper *paper, const char *nsp)
{
    (void)client_connect(&paper->client, span_of(nsp), NULL, NULL);
    return client_socket(&paper->client, span_of(nsp));
}

struct socket *paper_come_back(struct paper *paper, const struct paper *before, const char *offset)
{
    json_t *auth =
        offset ? json_pack("{ssss}", "pid", before->pid, "offset", offset) : json_pack("{ss}", "pid", before->pid);
    assert_non_null(auth);
    (void)client_connect(&paper->client, SPAN_LITERAL("/"), auth, NULL);
    json_decref(auth);
    return client_socket(&paper->client, SPAN_LITERAL("/"));
}

void paper_say(struct paper *paper, struct socket *socket, const char *array, int64_t ack)
{
    struct incoming event = {.text = span_of(array), .ack = {ack >= 0, (uint64_t)ack}};
    assert_int_equal(json_parse(event.text, 32, &event.args), OK);
    client_event(&paper->client, socket, &event);
    json_decref(event.args);
}

void paper_check(struct paper *paper, const char *expected, const char *file, int line)
{
    buf_add_char(&paper->text, '\0');
    assert_false(buf_failed(&paper->text));
    if (strcmp(paper->text.data, expected) != 0) {
        print_error("written:  %s\nexpected: %s\n", paper->text.data, expected);
        _fail(file, line);
    }
    buf_reset(&paper->text);
}

/* --- the rig */

struct socketio_options socketio_rig_options(void)
{
    return (struct socketio_options){
        .engine = {.path = "/socket.io", .allow_old = true, .payload_bytes = 1000000, .sessions = 100},
        .connect_timeout_ms = 1000,
        .attachments = 10,
        .rooms = 4,
        .json_depth = 32,
    };
}

void socketio_rig_open(struct socketio_rig *rig, const struct app *const *apps, const struct socketio_options *options)
{
    const struct socketio_options usual = socketio_rig_options();
    const struct conns_limits limits = {.queue_bytes = 1 << 20, .finish_ms = 1000};
    rig->loop = loop_new();
    assert_non_null(rig->loop);
    rig->conns = conns_new(rig->loop, limits);
    assert_non_null(rig->conns);
    rig->adapter = socketio_new(options ? options : &usual, apps, NULL, NULL, NULL, rig->loop, rig->conns);
    assert_non_null(rig->adapter);
}

void socketio_rig_close(struct socketio_rig *rig)
{
    socketio_shut(rig->adapter);
    socketio_rig_turn(rig);
    assert_null(rig->adapter->clients);
    socketio_free(rig->adapter);
    conns_free(rig->conns);
    assert_int_equal(loop_timers(rig->loop)->reserved, 0);
    loop_free(rig->loop);
    assert_int_equal(metric_value(METRIC_SOCKETS), 0);
}

void socketio_rig_turn(struct socketio_rig *rig)
{
    loop_turn(rig->loop, 0);
}

void socketio_rig_pass(struct socketio_rig *rig, int64_t pass_ms)
{
    int64_t end_ms = loop_now_ms(rig->loop) + pass_ms;
    for (int turns = 0; turns < PASS_TURNS || loop_now_ms(rig->loop) <= end_ms; turns++)
        loop_turn(rig->loop, 1);
}
