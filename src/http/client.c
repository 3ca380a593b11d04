/* SPDX-License-Identifier: MIT */
/*
 * A connection while MHD has it: its lease, its deadlines and its end.
 *
 * MHD's own timeouts are of inactivity and are not used. Here one timer says how long the step at hand may take in all:
 *
 *     accepted ─ header_ms ─> head ─ request_ms since the beginning ─> all ─ (no limit) ─> answer ─ request_ms ─> idle ─ idle_ms ─> …
 *
 * MHD cannot be told to close a connection. Shutting its socket down makes MHD notice by itself.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "base/log.h"
#include "base/metric.h"
#include "http/inside.h"
#include "io/socket.h"

enum { DRAIN_REQUEST_MS = 1000 };

static void on_deadline(struct timer *timer);

struct client *client_new(struct shard *shard, int fd, struct peer *take_lease)
{
    struct http_server *server = shard->server;
    struct client *client = calloc(1, sizeof(*client));
    if (!client)
        return NULL;
    if (timer_init(loop_timers(server->loop), &client->deadline, on_deadline)) {
        free(client);
        return NULL;
    }
    client->server = server;
    client->shard = shard;
    shard->client_count++;
    client->fd = fd;
    client->lease = take_lease;
    client->began_ms = loop_now_ms(server->loop);
    DL_APPEND(server->clients, client);
    server->client_count++;
    timer_set(loop_timers(server->loop), &client->deadline, client->began_ms + server->limits.header_ms);
    return client;
}

/* --- lingering --- */

/* Keeps a closed connection's socket until the peer has read what was sent: a close while its bytes are unread would
 * send an RST, and an RST can overtake the answer in the peer's buffers. */
struct parting {
    struct conn conn;
};

static void parting_free(struct conn *conn)
{
    free(container_of(conn, struct parting, conn));
}

static const struct conn_ops parting_ops = {.free = parting_free};

/* Consumes the lease on success. */
static bool parting_start(struct client *client)
{
    struct parting *parting = malloc(sizeof(*parting));
    int fd = parting ? fcntl(client->fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (fd < 0 || conn_open(&parting->conn, client->server->conns, &parting_ops, fd, client->lease) != OK) {
        if (fd >= 0)
            (void)close(fd);
        free(parting);
        return false;
    }
    conn_finish(&parting->conn, NULL);
    return true;
}

void client_free(struct client *client)
{
    struct http_server *server = client->server;
    bool lingers = client->lease && !server->closing && (client->linger || socket_has_unread(client->fd));
    if (!lingers || !parting_start(client))
        peer_release(client->lease);
    timer_fini(loop_timers(server->loop), &client->deadline);
    DL_DELETE(server->clients, client);
    server->client_count--;
    client->shard->client_count--;
    free(client);
}

/* --- deadlines --- */

static void set_deadline(struct client *client, int64_t due_ms)
{
    timer_set(loop_timers(client->server->loop), &client->deadline, due_ms);
}

/* The request line is there. The first request began with the connection. */
void client_begins(struct client *client)
{
    if (!client->used)
        return;
    client->began_ms = loop_now_ms(client->server->loop);
    set_deadline(client, client->began_ms + client->server->limits.header_ms);
}

void client_has_head(struct client *client)
{
    client->used = true;
    set_deadline(client, client->began_ms + client->server->limits.request_ms);
}

void client_has_all(struct client *client)
{
    timer_clear(loop_timers(client->server->loop), &client->deadline);
}

void client_answers(struct client *client)
{
    set_deadline(client, loop_now_ms(client->server->loop) + client->server->limits.request_ms);
}

void client_idles(struct client *client)
{
    client->used = true;
    set_deadline(client, loop_now_ms(client->server->loop) + client->server->limits.idle_ms);
    if (client->server->draining)
        client_shut(client);
}

/* The server is going down. A request that has not arrived whole may not hold that up: its client may be gone, which
 * MHD does not always notice. */
void client_drain(struct client *client)
{
    int64_t due_ms = loop_now_ms(client->server->loop) + DRAIN_REQUEST_MS;
    if (!client->req)
        client_shut(client);
    else if (client->req->phase < PHASE_WAITING && client->deadline.due_ms > due_ms)
        set_deadline(client, due_ms);
}

void client_expire(struct client *client)
{
    if (client->connection)
        (void)MHD_set_connection_option(client->connection, MHD_CONNECTION_OPTION_TIMEOUT, 1U);
}

/* A socket that is handed off is not MHD's any more: a shutdown would reach the peer. MHD 0.9.75 does not always see the
 * end of one whose buffer is full of what it can do nothing with. */
void client_shut(struct client *client)
{
    if (!client->lease)
        return;
    (void)shutdown(client->fd, SHUT_RDWR);
    client_expire(client);
}

void client_say(struct client *client, enum err err)
{
    char text[512];
    struct blob *body = error_body(err, NULL);
    client->linger = true;
    if (!body)
        return;
    int len = snprintf(text, sizeof(text),
                       "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: application/json\r\n"
                       "Cache-Control: no-store\r\nContent-Length: %u\r\n\r\n%.*s",
                       err_http_status(err), MHD_get_reason_phrase_for((unsigned)err_http_status(err)), body->len,
                       (int)body->len, body->data);
    if (len > 0 && (size_t)len < sizeof(text))
        (void)send(client->fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
    blob_unref(body);
}

static void on_deadline(struct timer *timer)
{
    struct client *client = container_of(timer, struct client, deadline);
    bool is_asking = client->req ? !client->req->answered : !client->used && socket_has_heard(client->fd);
    bool is_idle = !client->req && !is_asking;
    metric_add(is_idle ? METRIC_LIMIT_IDLE : METRIC_LIMIT_REQUEST_TIME, 1);
    log_event(LOG_DEBUG, is_idle ? "idle connection closed" : "connection took too long",
              log_span("address", client_address(client)));
    if (is_asking)
        client_say(client, ERR_TIMEOUT);
    client_shut(client);
}

/* --- shorthands --- */

int client_fd(const struct client *client)
{
    return client->fd;
}

struct loop *client_loop(const struct client *client)
{
    return client->server->loop;
}

struct span client_address(const struct client *client)
{
    return client->lease ? peer_address(client->lease) : SPAN_LITERAL("");
}

const struct http_limits *client_limits(const struct client *client)
{
    return &client->server->limits;
}
