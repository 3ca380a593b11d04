/* SPDX-License-Identifier: MIT */
/* The rig: everything is looked at from the client's side, as bytes. */
#include "tests/lib/http_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int rig_count_fds(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory))
        count++;
    (void)closedir(directory);
    return count;
}

/* --- opening and closing --- */

struct http_limits rig_limits(void)
{
    return (struct http_limits){
        .header_bytes = 8192,
        .url_bytes = 2048,
        .body_bytes = 65536,
        .json_depth = 16,
        .header_ms = 10000,
        .request_ms = 30000,
        .idle_ms = 60000,
    };
}

static void on_accepted(void *ctx, int fd, struct peer *lease)
{
    struct http_rig *rig = ctx;
    http_server_take(rig->server, fd, lease);
}

static void open_listener(struct http_rig *rig)
{
    char why[LISTENER_WHY_SIZE];
    struct listener_config config = {
        .spec = "127.0.0.1:0",
        .peers = rig->peers,
        .take = on_accepted,
        .ctx = rig,
    };
    assert_int_equal(listener_open(rig->loop, &config, &rig->listener, why), OK);
    const char *address = listener_address(rig->listener, 0);
    rig->port = (unsigned)strtoul(strrchr(address, ':') + 1, NULL, 10);
}

void rig_open(struct http_rig *rig, const struct http_limits *limits, struct router *router)
{
    *rig = (struct http_rig){0};
    rig->loop = loop_new();
    assert_non_null(rig->loop);
    rig->peers = peers_new((struct peer_limits){.connections = 1000});
    rig->conns = conns_new(rig->loop, (struct conns_limits){.queue_bytes = 262144, .finish_ms = 1000});
    rig->router = router ? router : router_new(&(struct router_config){0});
    assert_non_null(rig->router);
    rig->server = http_server_open(rig->loop, rig->conns, rig->router, limits);
    assert_non_null(rig->server);
    open_listener(rig);
    rig->fds = rig_count_fds();
}

static bool is_quiet(void *ctx)
{
    struct http_rig *rig = ctx;
    return peers_count(rig->peers) == 0 && conns_count(rig->conns) == 0;
}

void rig_close(struct http_rig *rig)
{
    for (size_t i = 0; i < rig->client_count; i++)
        rig_client_close(rig->clients[i]);
    assert_true(rig_until(rig, is_quiet, rig));
    if (rig->server) /* closed by the test, it has taken descriptors of its own along */
        assert_int_equal(rig_count_fds(), rig->fds);
    listener_close(rig->listener);
    http_server_close(rig->server);
    router_free(rig->router);
    conns_free(rig->conns);
    peers_free(rig->peers);
    loop_free(rig->loop);
    for (size_t i = 0; i < rig->client_count; i++) {
        free(rig->clients[i]->text);
        free(rig->clients[i]);
    }
}

/* --- clients --- */

struct rig_client *rig_connect(struct http_rig *rig)
{
    struct rig_client *client = calloc(1, sizeof(*client));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)rig->port)};
    assert_non_null(client);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(client->fd >= 0);
    assert_int_equal(connect(client->fd, (struct sockaddr *)&address, sizeof(address)), 0);
    client->text = calloc(1, 1);
    assert_true(rig->client_count < RIG_CLIENTS_MAX);
    rig->clients[rig->client_count++] = client;
    return client;
}

void rig_send_bytes(struct http_rig *rig, struct rig_client *client, const char *bytes, size_t len)
{
    int64_t until_ms = now_ms() + RIG_PATIENCE_MS;
    while (len && now_ms() < until_ms) {
        ssize_t sent = send(client->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN)
            return; /* the server has had enough: a test's business */
        if (sent < 0)
            rig_turn(rig);
        bytes += sent > 0 ? sent : 0;
        len -= sent > 0 ? (size_t)sent : 0;
    }
}

void rig_send(struct http_rig *rig, struct rig_client *client, const char *text)
{
    rig_send_bytes(rig, client, text, strlen(text));
}

void rig_client_close(struct rig_client *client)
{
    if (client->fd >= 0)
        (void)close(client->fd);
    client->fd = -1;
}

void rig_client_fin(struct rig_client *client)
{
    assert_int_equal(shutdown(client->fd, SHUT_WR), 0);
}

void rig_client_rst(struct rig_client *client)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    rig_client_close(client);
}

static void read_client(struct rig_client *client)
{
    char bytes[16384];
    while (client->fd >= 0 && !client->eof) {
        ssize_t got = recv(client->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0) {
            client->eof = true;
            client->reset = got < 0;
            return;
        }
        client->text = realloc(client->text, client->len + (size_t)got + 1);
        assert_non_null(client->text);
        memcpy(client->text + client->len, bytes, (size_t)got);
        client->len += (size_t)got;
        client->text[client->len] = '\0';
    }
}

/* --- turning --- */

void rig_turn(struct http_rig *rig)
{
    loop_turn(rig->loop, 2);
    for (size_t i = 0; i < rig->client_count; i++)
        read_client(rig->clients[i]);
}

bool rig_until(struct http_rig *rig, bool (*is_so)(void *ctx), void *ctx)
{
    int64_t until_ms = now_ms() + RIG_PATIENCE_MS;
    while (!is_so(ctx)) {
        if (now_ms() > until_ms)
            return false;
        rig_turn(rig);
    }
    return true;
}

void rig_pass(struct http_rig *rig, int64_t pass_ms)
{
    int64_t until_ms = now_ms() + pass_ms;
    for (int turns = 0; turns < RIG_PASS_TURNS || now_ms() < until_ms; turns++)
        rig_turn(rig);
}

struct wanted {
    struct rig_client *client;
    const char *text;
};

static bool has_text(void *ctx)
{
    struct wanted *wanted = ctx;
    return memmem(wanted->client->text, wanted->client->len, wanted->text, strlen(wanted->text));
}

bool rig_until_text(struct http_rig *rig, struct rig_client *client, const char *text)
{
    return rig_until(rig, has_text, &(struct wanted){client, text});
}

static bool is_over(void *ctx)
{
    return ((struct rig_client *)ctx)->eof;
}

bool rig_until_eof(struct http_rig *rig, struct rig_client *client)
{
    return rig_until(rig, is_over, client);
}

/* --- answers --- */

/* Where the answer that begins at `text` ends, by its Content-Length; null: not all of it is there. */
static const char *answer_end(const char *text)
{
    const char *blank = strstr(text, "\r\n\r\n");
    if (!blank)
        return NULL;
    const char *length = strcasestr(text, "\r\nContent-Length: ");
    size_t len = length && length < blank ? strtoul(length + 18, NULL, 10) : 0;
    return strlen(blank + 4) >= len ? blank + 4 + len : NULL;
}

static bool has_answer(void *ctx)
{
    struct rig_client *client = ctx;
    return client->eof || answer_end(client->text);
}

struct rig_client *rig_ask(struct http_rig *rig, const char *request)
{
    struct rig_client *client = rig_connect(rig);
    rig_send(rig, client, request);
    assert_true(rig_until(rig, has_answer, client));
    return client;
}

int rig_status(const struct rig_client *client, size_t index)
{
    const char *text = client->text;
    for (size_t i = 0; i < index && text; i++)
        text = answer_end(text);
    if (!text || strncmp(text, "HTTP/1.1 ", 9) != 0)
        return 0;
    return (int)strtol(text + 9, NULL, 10);
}

bool rig_has_header(const struct rig_client *client, const char *line)
{
    const char *blank = strstr(client->text, "\r\n\r\n");
    char wanted[512];
    (void)snprintf(wanted, sizeof(wanted), "\r\n%s\r\n", line);
    const char *found = strcasestr(client->text, wanted);
    return blank && found && found <= blank;
}

const char *rig_body(const struct rig_client *client)
{
    const char *blank = strstr(client->text, "\r\n\r\n");
    return blank ? blank + 4 : "";
}
