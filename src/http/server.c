/* SPDX-License-Identifier: MIT */
/*
 * MHD on the loop.
 *
 * MHD works only inside MHD_run, which is called from one place: the task at the end of each turn, if there is a reason (`due`). Its
 * epoll descriptor being readable is one; the others are things MHD itself does not wake up for: a new connection, a resumed one, the end of an
 * upgrade, and whatever it left for the next call (MHD_get_timeout says 0). Resumes are gathered, because each MHD_run with one
 * walks all suspended connections.
 */
#include "http/server.h"

#include <assert.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

#include "base/log.h"
#include "http/inside.h"

enum {
    RUNS_PER_TURN = 16,
    RUNS_TO_CLOSE = 100,
    CONNECTIONS_MAX = 1 << 30, /* the limit is io/peer.h's */
    TRIM_MS = 1000,
    POOL_EXTRA = 8192 /* for MHD's own records of the header lines, and the answer's head */
};

/* --- what MHD tells --- */

/* Only the format: the arguments may hold a URL, and a URL may hold a token. */
static void on_message(void *ctx unused_arg, const char *format, va_list args unused_arg)
{
    log_event(LOG_DEBUG, "libmicrohttpd says", log_text("message", format));
}

static void on_panic(void *ctx unused_arg, const char *file, unsigned line, const char *reason)
{
    log_event(LOG_ERROR, "libmicrohttpd gave up", log_text("file", file), log_int("line", line),
              log_text("reason", reason));
    abort();
}

/* Paths and queries are decoded by us. */
static size_t leave_escaped(void *ctx unused_arg, struct MHD_Connection *connection unused_arg, char *text)
{
    return strlen(text);
}

static void on_connection(void *ctx, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = ctx;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_context = server->adding;
        server->adding->connection = connection;
        server->adding = NULL;
    } else if (*socket_context) {
        client_free(*socket_context);
        *socket_context = NULL;
    }
}

/* --- turns --- */

static void on_readable(void *ctx)
{
    struct http_server *server = ctx;
    server->due = true;
}

static void resume(struct request *req)
{
    req->suspended = false;
    MHD_resume_connection(req->client->connection);
    req->client->server->due = true;
}

static void resume_answered(struct http_server *server)
{
    while (server->answered) {
        struct request *req = server->answered;
        LL_DELETE(server->answered, req);
        resume(req);
    }
}

/* The memory that MHD used for connections that have left it lies scattered in the heap: a stream that is to cost little must not leave that
 * behind. Once per burst, because it takes a walk through the heap. */
static void on_trim(struct timer *timer unused_arg)
{
    (void)malloc_trim(0);
}

static void trim_later(struct http_server *server)
{
    if (!timer_is_set(&server->trim))
        timer_set(loop_timers(server->loop), &server->trim, loop_now_ms(server->loop) + TRIM_MS);
}

static void deliver_handoffs(struct http_server *server)
{
    if (server->handoffs)
        trim_later(server);
    while (server->handoffs) {
        struct request *req = server->handoffs;
        LL_DELETE(server->handoffs, req);
        handoff_deliver(req);
    }
}

static void run_once(struct http_server *server)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;
    server->due = false;
    (void)MHD_run(server->daemon);
    if (MHD_get_timeout(server->daemon, &wait_ms) == MHD_YES && wait_ms == 0)
        server->due = true;
}

static void tell_if_drained(struct http_server *server)
{
    if (!server->draining || server->client_count || server->handoffs || !server->drained)
        return;
    void (*drained)(void *ctx) = server->drained;
    server->drained = NULL;
    drained(server->drained_ctx);
}

static void on_turn(struct loop_task *task)
{
    struct http_server *server = container_of(task, struct http_server, task);
    resume_answered(server);
    for (int i = 0; i < RUNS_PER_TURN && server->due; i++) {
        run_once(server);
        resume_answered(server);
    }
    deliver_handoffs(server);
    if (server->due || server->answered)
        loop_again(server->loop);
    tell_if_drained(server);
}

/* --- opening --- */

/* MHD's memory for a connection: it begins to read into half of it, and has to copy the cookies out of a head once more. */
static size_t pool_bytes(const struct http_limits *limits)
{
    return 2 * limits->header_bytes + POOL_EXTRA;
}

static struct MHD_Daemon *start_daemon(struct http_server *server)
{
    MHD_set_panic_func(on_panic, NULL);
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_TURBO | MHD_USE_ERROR_LOG |
                                MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE,
                            0, NULL, NULL, intake_call, server,                              /* */
                            MHD_OPTION_EXTERNAL_LOGGER, on_message, NULL,                    /* */
                            MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,             /* */
                            MHD_OPTION_NOTIFY_COMPLETED, intake_completed, server,           /* */
                            MHD_OPTION_URI_LOG_CALLBACK, intake_target, server,              /* */
                            MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,               /* */
                            MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,          /* */
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, pool_bytes(&server->limits), /* */
                            /* it does not say itself what framing.c says better */
                            MHD_OPTION_STRICT_FOR_CLIENT, 0, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
}

static bool watch_daemon(struct http_server *server)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info || info->epoll_fd < 0)
        return false;
    server->watch = watch_open(server->loop, info->epoll_fd, WATCH_READABLE, on_readable, server);
    return server->watch;
}

struct http_server *http_server_open(struct loop *loop, struct conns *conns, struct router *router,
                                     const struct http_limits *limits)
{
    struct http_server *server = calloc(1, sizeof(*server));
    if (!server)
        return NULL;
    server->loop = loop;
    server->conns = conns;
    server->router = router;
    server->limits = *limits;
    server->task.run = on_turn;
    bool opened = timer_init(loop_timers(loop), &server->trim, on_trim) == OK &&
                  (server->daemon = start_daemon(server)) && watch_daemon(server);
    if (!opened) {
        log_event(LOG_ERROR, "the HTTP server cannot start");
        if (server->daemon)
            MHD_stop_daemon(server->daemon);
        timer_fini(loop_timers(loop), &server->trim);
        free(server);
        return NULL;
    }
    loop_add_task(loop, LOOP_HOOK_HTTP, &server->task);
    return server;
}

size_t http_server_count(const struct http_server *server)
{
    return server->client_count;
}

/* MHD closes the descriptor of a connection it does not take, and has told of its end if it had told of its beginning. */
static void add_to_mhd(struct http_server *server, struct client *client)
{
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    server->adding = client;
    enum MHD_Result result = MHD_add_connection(server->daemon, client->fd, &nobody, sizeof(nobody));
    if (result == MHD_YES || !server->adding)
        return;
    server->adding = NULL;
    client->fd = -1;
    client_free(client);
}

void http_server_take(struct http_server *server, int take_fd, struct peer *take_lease)
{
    struct client *client = server->draining ? NULL : client_new(server, take_fd, take_lease);
    if (!client) {
        (void)close(take_fd);
        peer_release(take_lease);
        return;
    }
    add_to_mhd(server, client);
    server->due = true;
}

/* --- closing --- */

void http_server_drain(struct http_server *server, void (*done)(void *ctx), void *ctx)
{
    struct client *client;
    server->draining = true;
    server->drained = done;
    server->drained_ctx = ctx;
    DL_FOREACH (server->clients, client)
        client_drain(client);
    server->due = true;
    loop_again(server->loop);
}

/* MHD aborts the process when it is stopped with a connection suspended. */
static void shut_all(struct http_server *server)
{
    struct client *client;
    server->answered = NULL;
    DL_FOREACH (server->clients, client) {
        client_shut(client);
        if (client->req && client->req->suspended)
            resume(client->req);
    }
}

void http_server_close(struct http_server *server)
{
    if (!server)
        return;
    server->closing = true;
    loop_remove_task(server->loop, LOOP_HOOK_HTTP, &server->task);
    watch_close(server->watch);
    shut_all(server);
    for (int i = 0; i < RUNS_TO_CLOSE && server->clients; i++)
        run_once(server);
    MHD_stop_daemon(server->daemon);
    assert(!server->clients);
    deliver_handoffs(server);
    timer_fini(loop_timers(server->loop), &server->trim);
    free(server);
}

const char *http_library(void)
{
    static char text[32];
    (void)snprintf(text, sizeof(text), "libmicrohttpd %s", MHD_get_version());
    return text;
}
