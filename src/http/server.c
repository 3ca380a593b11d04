/* SPDX-License-Identifier: MIT */
/*
 * MHD on the loop: connections are spread over shards (shard.c), and MHD runs for those shards that are due at the end
 * of each turn.
 *
 * A shard takes so many connections that one more epoll descriptor does not count, and so few that walking through them
 * does not: MHD walks all suspended connections of a daemon whenever one of them is resumed, and idle long polls are
 * just that.
 */
#include "http/server.h"

#include <assert.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

#include "base/log.h"
#include "http/inside.h"

enum { RUNS_PER_TURN = 16, TRIM_MS = 1000, SHARD_CLIENTS = 256 };

/* --- turns --- */

static void resume(struct request *req)
{
    req->suspended = false;
    MHD_resume_connection(req->client->connection);
    shard_due(req->client->shard);
}

static void resume_answered(struct http_server *server)
{
    while (server->answered) {
        struct request *req = server->answered;
        LL_DELETE(server->answered, req);
        resume(req);
    }
}

/* The memory that MHD used for connections that have left it lies scattered in the heap: a stream that is to cost
 * little must not leave that behind. Once per burst, because it takes a walk through the heap. */
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

/* Each shard that is due now, once. */
static void run_due(struct http_server *server)
{
    struct shard *due = server->due;
    server->due = NULL;
    while (due) {
        struct shard *shard = due;
        due = due->next_due;
        shard_run(shard);
    }
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
        run_due(server);
        resume_answered(server);
    }
    deliver_handoffs(server);
    if (server->due || server->answered)
        loop_again(server->loop);
    tell_if_drained(server);
}

/* --- opening --- */

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
    bool opened = timer_init(loop_timers(loop), &server->trim, on_trim) == OK && (server->shards = shard_open(server));
    if (!opened) {
        log_event(LOG_ERROR, "the HTTP server cannot start");
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

/* One with room, which may be a new one; without memory for that the last one takes more. */
static struct shard *find_shard(struct http_server *server)
{
    struct shard *shard = server->shards;
    while (shard->client_count >= SHARD_CLIENTS && shard->next)
        shard = shard->next;
    if (shard->client_count < SHARD_CLIENTS)
        return shard;
    shard->next = shard_open(server);
    return shard->next ? shard->next : shard;
}

/* MHD closes the descriptor of a connection it does not take, and has told of its end if it had told of its
 * beginning. */
static void add_to_mhd(struct client *client)
{
    struct http_server *server = client->server;
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    server->adding = client;
    enum MHD_Result result = MHD_add_connection(client->shard->daemon, client->fd, &nobody, sizeof(nobody));
    if (result == MHD_YES || !server->adding)
        return;
    server->adding = NULL;
    client->fd = -1;
    client_free(client);
}

void http_server_take(struct http_server *server, int take_fd, struct peer *take_lease)
{
    struct client *client = server->draining ? NULL : client_new(find_shard(server), take_fd, take_lease);
    if (!client) {
        (void)close(take_fd);
        peer_release(take_lease);
        return;
    }
    shard_due(client->shard);
    add_to_mhd(client);
}

/* --- closing --- */

void http_server_drain(struct http_server *server, void (*done)(void *ctx), void *ctx)
{
    struct client *client;
    struct shard *shard;
    server->draining = true;
    server->drained = done;
    server->drained_ctx = ctx;
    DL_FOREACH (server->clients, client)
        client_drain(client);
    LL_FOREACH (server->shards, shard)
        shard_due(shard);
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
    shut_all(server);
    while (server->shards) {
        struct shard *shard = server->shards;
        server->shards = shard->next;
        shard_close(shard);
    }
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
