/* SPDX-License-Identifier: MIT */
/*
 * A daemon of MHD on the loop.
 *
 * MHD works only inside MHD_run, which is called from one place, at the end of a turn, if there is a reason. Its epoll
 * descriptor being readable is one; the others are things MHD itself does not wake up for: a new connection, a resumed
 * one, the end of an upgrade, and whatever it left for the next call (MHD_get_timeout says 0).
 *
 * MHD 0.9.75 says 0 without end where a connection's buffer is full of what it can do nothing with, such as an endless
 * extension of a chunk. So after some runs in which it has told nothing, it gets a rest between two of them.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/log.h"
#include "http/inside.h"

enum {
    RUNS_TO_CLOSE = 100,
    RUNS_IN_VAIN = 64,
    REST_MS = 5,
    CONNECTIONS_MAX = 1 << 30, /* the limit is io/peer.h's */
    POOL_EXTRA = 8192          /* for MHD's own records of the header lines, and the answer's head */
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

/* --- running --- */

void shard_due(struct shard *shard)
{
    if (shard->due)
        return;
    shard->due = true;
    LL_PREPEND2(shard->server->due, shard, next_due);
}

static void on_readable(void *ctx)
{
    shard_due(ctx);
}

static void on_rested(struct timer *timer)
{
    shard_due(container_of(timer, struct shard, rest));
}

/* MHD wants to run again. */
static void run_again(struct shard *shard)
{
    struct loop *loop = shard->server->loop;
    shard->vain = shard->told ? 0 : shard->vain + 1;
    shard->told = false;
    if (shard->vain < RUNS_IN_VAIN)
        shard_due(shard);
    else
        timer_set(loop_timers(loop), &shard->rest, loop_now_ms(loop) + REST_MS);
}

void shard_run(struct shard *shard)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;
    shard->due = false;
    (void)MHD_run(shard->daemon);
    if (MHD_get_timeout(shard->daemon, &wait_ms) == MHD_YES && wait_ms == 0)
        run_again(shard);
    else
        shard->vain = 0;
}

/* --- opening and closing --- */

/* MHD's memory for a connection: it begins to read into half of it, and has to copy the cookies out of a head once
 * more. */
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

static bool watch_daemon(struct shard *shard)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(shard->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info || info->epoll_fd < 0)
        return false;
    shard->watch = watch_open(shard->server->loop, info->epoll_fd, WATCH_READABLE, on_readable, shard);
    return shard->watch;
}

struct shard *shard_open(struct http_server *server)
{
    struct shard *shard = calloc(1, sizeof(*shard));
    if (!shard)
        return NULL;
    shard->server = server;
    if (timer_init(loop_timers(server->loop), &shard->rest, on_rested) == OK)
        shard->daemon = start_daemon(server);
    if (shard->daemon && watch_daemon(shard))
        return shard;
    if (shard->daemon)
        MHD_stop_daemon(shard->daemon);
    timer_fini(loop_timers(server->loop), &shard->rest);
    free(shard);
    return NULL;
}

void shard_close(struct shard *shard)
{
    timer_fini(loop_timers(shard->server->loop), &shard->rest);
    watch_close(shard->watch);
    for (int i = 0; i < RUNS_TO_CLOSE && shard->client_count; i++)
        (void)MHD_run(shard->daemon);
    MHD_stop_daemon(shard->daemon);
    free(shard);
}
