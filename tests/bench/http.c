/* SPDX-License-Identifier: MIT */
/* The little HTTP that a load generator needs: connect, read the head of an answer, one blocking exchange. */
#include "http.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support.h"
#include "wire.h"

enum {
    SOURCES = 200,
    EXCHANGE_S = 10,
    EXCHANGE_HEAD_BYTES = 4096,
    LINE_BYTES = 512,
};

static void field_read(const char *line, struct answer *answer)
{
    if (strncasecmp(line, "Content-Length:", 15) == 0)
        answer->body_bytes = strtoul(line + 15, NULL, 10);
    else if (strncasecmp(line, "Connection:", 11) == 0)
        answer->closes = strcasestr(line, "close") != NULL;
}

bool answer_parse(const char *data, size_t n, struct answer *ret)
{
    const char *end = memmem(data, n, "\r\n\r\n", 4);
    const char *line = data;

    if (end == NULL)
        return false;
    *ret = (struct answer){.head_bytes = (size_t)(end - data) + 4};
    if (strncmp(data, "HTTP/1.", 7) != 0 || (ret->status = atoi(data + 9)) < 100)
        fail("this is no HTTP answer: %.*s", (int)(n < 60 ? n : 60), data);
    while (line < end) {
        const char *next = (const char *)memmem(line, (size_t)(end + 2 - line), "\r\n", 2) + 2;
        char text[LINE_BYTES];

        snprintf(text, sizeof text, "%.*s", (int)(next - 2 - line), line);
        field_read(text, ret);
        line = next;
    }
    return true;
}

static void socket_options_set(int fd, unsigned source)
{
    struct sockaddr_in from = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(0x7f000002U + source % SOURCES),
    };
    int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0)
        fail("bind to a loopback address: %s", strerror(errno));
}

int connect_start(const struct sockaddr_in *to, unsigned source)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        fail("socket: %s", strerror(errno));
    socket_options_set(fd, source);
    if (connect(fd, (const struct sockaddr *)to, sizeof *to) < 0 && errno != EINPROGRESS)
        fail("connect: %s", strerror(errno));
    return fd;
}

void connect_check(int fd)
{
    int error = 0;
    socklen_t len = sizeof error;

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error != 0)
        fail("connect: %s", strerror(error));
}

void send_all(int fd, const char *data, size_t n)
{
    ssize_t sent = wire_write(fd, data, n);

    if (sent < 0)
        fail("send: %s", strerror(errno));
    if ((size_t)sent != n)
        fail("a request does not fit into its socket");
}

static void base64_format(const char *text, char *ret)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = strlen(text);

    for (size_t i = 0; i < n; i += 3) {
        unsigned three = 0;

        for (size_t k = 0; k < 3; k++)
            three = three << 8 | (i + k < n ? (unsigned char)text[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            *ret++ = i + k <= n ? digits[three >> (18 - 6 * k) & 63] : '=';
    }
    *ret = '\0';
}

void authorization_format(const char *user, char ret[AUTHORIZATION_BYTES])
{
    char login[64];
    char encoded[96];

    if (snprintf(login, sizeof login, "%s:bench", user) >= (int)sizeof login)
        fail("the user name %s is too long", user);
    base64_format(login, encoded);
    snprintf(ret, AUTHORIZATION_BYTES, "Authorization: Basic %s\r\n", encoded);
}

void uuid_read(const char *json, const char *key, char ret[UUID_BYTES])
{
    char quoted[32];
    const char *at;

    snprintf(quoted, sizeof quoted, "\"%s\"", key);
    at = strstr(json, quoted);
    at = at != NULL ? strchr(at + strlen(quoted), '"') : NULL;
    if (at == NULL || strspn(at + 1, "0123456789abcdef-") != UUID_BYTES - 1)
        fail("this has no %s: %.200s", key, json);
    memcpy(ret, at + 1, UUID_BYTES - 1);
    ret[UUID_BYTES - 1] = '\0';
}

static void wait_ready(int fd, short events, uint64_t deadline_ns)
{
    struct pollfd ready = {.fd = fd, .events = events};

    while (poll(&ready, 1, ms_left(deadline_ns, "an answer")) != 1)
        continue;
}

void connect_finish(int fd)
{
    wait_ready(fd, POLLOUT, deadline_in(EXCHANGE_S));
    connect_check(fd);
}

/* Reads until `want` bytes are there, 0 meaning: a whole head. Returns how many there are. */
static size_t answer_read(int fd, char *data, size_t len, size_t cap, size_t want, uint64_t deadline_ns)
{
    while (want > 0 ? len < want : memmem(data, len, "\r\n\r\n", 4) == NULL) {
        ssize_t got;

        if (len == cap)
            fail("an answer is longer than %zu bytes", cap);
        wait_ready(fd, POLLIN, deadline_ns);
        got = recv(fd, data + len, cap - len, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN))
            fail("the server closed a connection before its answer");
        len += got > 0 ? (size_t)got : 0;
    }
    return len;
}

int http_exchange(const struct sockaddr_in *to, const char *request, size_t n, char *ret_body, size_t cap)
{
    uint64_t deadline_ns = deadline_in(EXCHANGE_S);
    size_t data_cap = EXCHANGE_HEAD_BYTES + cap;
    char *data = alloc_items(data_cap + 1, 1);
    struct answer answer;
    int fd = connect_start(to, 0);
    size_t len;

    connect_finish(fd);
    send_all(fd, request, n);
    len = answer_read(fd, data, 0, data_cap, 0, deadline_ns);
    answer_parse(data, len, &answer);
    if (answer.body_bytes >= cap)
        fail("an answer of %zu bytes is too long", answer.body_bytes);
    if (answer.body_bytes > 0)
        answer_read(fd, data, len, data_cap, answer.head_bytes + answer.body_bytes, deadline_ns);
    memcpy(ret_body, data + answer.head_bytes, answer.body_bytes);
    ret_body[answer.body_bytes] = '\0';
    close(fd);
    free(data);
    return answer.status;
}
