/* SPDX-License-Identifier: MIT */
/*
 * The servers that the official suites of engine.io-protocol (revisions 4 and 3) and socket.io-protocol expect, in one
 * program:
 *
 *     /engine.io/   Engine.IO alone: every message comes back as it was sent
 *     /socket.io/   Socket.IO with the application in demo.c
 *
 * It listens on 127.0.0.1 and ::1, as localhost may be either, and prints `listening http ADDRESS` for each once it
 * answers. SIGTERM and SIGINT end it.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>

#include "adapters/socketio/socketio.h"
#include "base/log.h"
#include "http/server.h"
#include "io/listener.h"
#include "suite/demo.h"

enum { QUEUE_BYTES = 16 << 20, FINISH_MS = 1000, END_MS = 5000, TURN_MS = 50, OPEN_PAUSE_MS = 3 };

struct suite {
    long port;
    struct engine_options engine;
    int64_t connect_timeout_ms;
    struct loop *loop;
    struct peers *peers;
    struct conns *conns;
    struct router *router;
    struct http_server *server;
    struct engine *echo;
    struct socketio *socketio;
    struct listener *listeners[2];
};

/* --- arguments */

/* A whole number from 1 on, or 0 for the port. */
static long number(const char *text, long min)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*end || end == text || value < min || value > INT32_MAX) {
        (void)fprintf(stderr, "suite server: bad number: %s\n", text);
        exit(EX_USAGE);
    }
    return value;
}

static const char usage[] =
    "Usage: server [--port N] [--ping-interval MS] [--ping-timeout MS] [--upgrade-timeout MS]\n"
    "              [--connect-timeout MS] [--max-payload BYTES]\n"
    "Plays the servers of the official suites of Engine.IO (/engine.io/) and Socket.IO (/socket.io/), with\n"
    "the port 3000 and the timings 300, 200, 10000 and 1000 unless told otherwise. Port 0 takes a free one.\n";

static void read_arguments(struct suite *suite, int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"ping-interval", required_argument, NULL, 'i'},
        {"ping-timeout", required_argument, NULL, 't'},
        {"connect-timeout", required_argument, NULL, 'c'},
        {"max-payload", required_argument, NULL, 'm'},
        {"upgrade-timeout", required_argument, NULL, 'u'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'p': suite->port = number(optarg, 0); break;
        case 'i': suite->engine.ping_interval_ms = number(optarg, 1); break;
        case 't': suite->engine.ping_timeout_ms = number(optarg, 1); break;
        case 'c': suite->connect_timeout_ms = number(optarg, 1); break;
        case 'm': suite->engine.payload_bytes = (size_t)number(optarg, 1); break;
        case 'u': suite->engine.upgrade_timeout_ms = number(optarg, 1); break;
        case 'h': (void)fputs(usage, stdout); exit(EXIT_SUCCESS);
        default: (void)fputs(usage, stderr); exit(EX_USAGE);
        }
    }
}

/* --- the echo server */

/* The suites wait for the WebSocket to be open and only then for its first message. Where both come in one read the
 * client they use tells of both in one go, and the message has been missed. The answer to the handshake has left by
 * now, the message has not. */
static void echo_open(struct engine_session *session unused_arg)
{
    const struct timespec moment = {.tv_nsec = OPEN_PAUSE_MS * 1000000L};
    (void)nanosleep(&moment, NULL);
}

static void echo_message(struct engine_session *session, struct span message, bool is_text)
{
    struct blob *frame = is_text ? engine_text(message) : engine_binary(engine_session_revision(session), message);
    engine_send(session, frame, false);
    blob_unref(frame);
}

static void echo_drained(struct engine_session *session unused_arg)
{
}

static void echo_close(struct engine_session *session unused_arg, enum engine_end why unused_arg)
{
}

static void echo_free(struct engine_session *session unused_arg)
{
}

static const struct engine_ops echo_ops = {
    .session_bytes = sizeof(struct engine_session),
    .open = echo_open,
    .message = echo_message,
    .drained = echo_drained,
    .close = echo_close,
    .free = echo_free,
};

/* --- making it */

static struct http_limits http_limits(void)
{
    return (struct http_limits){
        .header_bytes = 8192,
        .url_bytes = 2048,
        .body_bytes = 65536,
        .json_depth = 32,
        .header_ms = 10000,
        .request_ms = 30000,
        .idle_ms = 60000,
    };
}

static bool make_echo(struct suite *suite)
{
    struct engine_options options = suite->engine;
    options.path = "/engine.io";
    suite->echo = engine_new(&options, &echo_ops, NULL, suite->loop, suite->conns);
    return suite->echo && engine_mount(suite->echo, suite->router) == OK;
}

static bool make_socketio(struct suite *suite)
{
    struct socketio_options options = {
        .engine = suite->engine,
        .legacy = true,
        .connect_timeout_ms = suite->connect_timeout_ms,
        .attachments = EMISSION_ATTACHMENTS_MAX,
        .rooms = 64,
        .json_depth = 32,
        .redis_prefix = "socket.io",
        .demo = true,
    };
    options.engine.path = "/socket.io";
    suite->socketio = socketio_new(&options, suite_apps, NULL, NULL, NULL, suite->loop, suite->conns);
    return suite->socketio && socketio_mount(suite->socketio, suite->router) == OK;
}

static bool make_parts(struct suite *suite)
{
    struct http_limits limits = http_limits();
    struct conns_limits conns_limits = {.queue_bytes = QUEUE_BYTES, .finish_ms = FINISH_MS};
    return (suite->loop = loop_new()) && (suite->peers = peers_new((struct peer_limits){.connections = 10000})) &&
           (suite->conns = conns_new(suite->loop, conns_limits)) &&
           (suite->router = router_new(&(struct router_config){0})) &&
           (suite->server = http_server_open(suite->loop, suite->conns, suite->router, &limits)) && make_echo(suite) &&
           make_socketio(suite);
}

static void on_accepted(void *ctx, int fd, struct peer *lease)
{
    http_server_take(((struct suite *)ctx)->server, fd, lease);
}

/* Port 0 is chosen for the first address and used for the second. */
static bool listen_at(struct suite *suite, size_t index, const char *host)
{
    char spec[64], why[LISTENER_WHY_SIZE];
    (void)snprintf(spec, sizeof(spec), "%s:%ld", host, suite->port);
    struct listener_config config = {.spec = spec, .peers = suite->peers, .take = on_accepted, .ctx = suite};
    if (listener_open(suite->loop, &config, &suite->listeners[index], why)) {
        (void)fprintf(stderr, "suite server: cannot listen on %s: %s\n", spec, why);
        return false;
    }
    const char *address = listener_address(suite->listeners[index], 0);
    suite->port = strtol(strrchr(address, ':') + 1, NULL, 10);
    (void)printf("listening http %s\n", address);
    return fflush(stdout) == 0;
}

/* A machine without IPv6 has no ::1, and then localhost is not that. */
static bool listen_all(struct suite *suite)
{
    bool good = listen_at(suite, 0, "127.0.0.1");
    return good && (listen_at(suite, 1, "[::1]") || true);
}

/* --- ending it */

static void on_signal(void *ctx, int number unused_arg)
{
    loop_stop(((struct suite *)ctx)->loop);
}

static void end(struct suite *suite)
{
    for (size_t i = 0; i < array_len(suite->listeners); i++)
        listener_close(suite->listeners[i]);
    if (suite->echo)
        engine_shut(suite->echo);
    if (suite->socketio)
        socketio_shut(suite->socketio);
    http_server_close(suite->server);
    for (int waited_ms = 0; suite->conns && conns_count(suite->conns) && waited_ms < END_MS; waited_ms += TURN_MS)
        loop_turn(suite->loop, TURN_MS);
    engine_free(suite->echo);
    socketio_free(suite->socketio);
    conns_free(suite->conns);
    router_free(suite->router);
    peers_free(suite->peers);
    loop_free(suite->loop);
}

int main(int argc, char **argv)
{
    struct suite suite = {
        .port = 3000,
        .connect_timeout_ms = 1000,
        .engine =
            {
                .allow_old = true,
                .jsonp = true,
                .ping_interval_ms = 300,
                .ping_timeout_ms = 200,
                .upgrade_timeout_ms = 10000,
                .payload_bytes = 1000000,
                .payload_packets = 10000,
                .fragments = 64,
                .sessions = 20000,
                .queue_bytes = QUEUE_BYTES,
            },
    };
    read_arguments(&suite, argc, argv);
    bool good = make_parts(&suite) && loop_on_signal(suite.loop, SIGTERM, on_signal, &suite) == OK &&
                loop_on_signal(suite.loop, SIGINT, on_signal, &suite) == OK && listen_all(&suite);
    if (good)
        loop_run(suite.loop);
    end(&suite);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
