/* SPDX-License-Identifier: MIT */
/*
 * Opening many WebSockets at once.
 *
 * One epoll set, level-triggered, holds all connections that have been started, the open ones too, as in streams.c. The
 * server's frames are not parsed: an answer is a text that occurs in nothing else, searched for across reads with the
 * end of what came before, `tail`.
 */
#include "websockets.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http.h"
#include "support.h"

enum { OPEN_EVENTS = 512, HEAD_BYTES = 1024, READ_BYTES = 65536, MEDIUM_LENGTH = 126 };

enum websocket_state { WEBSOCKET_CONNECTING, WEBSOCKET_HEAD, WEBSOCKET_TALKING, WEBSOCKET_OPEN };

struct websocket {
    int fd;
    enum websocket_state state;
    unsigned step;
    size_t len; /* of `data`: the answer's head so far, then the tail */
    char data[HEAD_BYTES];
};

struct opening {
    const struct websocket_plan *plan;
    struct websocket *sockets;
    int epoll_fd;
    unsigned started;
    unsigned open;
    char buffer[HEAD_BYTES + READ_BYTES];
};

size_t websocket_frame_write(const char *packet, size_t n, char *ret)
{
    size_t at = 0;

    ret[at++] = (char)0x81;
    if (n < MEDIUM_LENGTH) {
        ret[at++] = (char)(0x80 | n);
    } else {
        ret[at++] = (char)(0x80 | MEDIUM_LENGTH);
        ret[at++] = (char)(n >> 8);
        ret[at++] = (char)n;
    }
    memset(ret + at, 0, 4);
    memcpy(ret + at + 4, packet, n);
    return at + 4 + n;
}

static void websocket_watch(struct opening *opening, struct websocket *socket, int op, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = socket};

    if (epoll_ctl(opening->epoll_fd, op, socket->fd, &event) < 0)
        fail("epoll_ctl: %s", strerror(errno));
}

static void websockets_start(struct opening *opening)
{
    const struct websocket_plan *plan = opening->plan;

    while (opening->started < plan->count && opening->started - opening->open < plan->concurrency) {
        struct websocket *socket = &opening->sockets[opening->started++];

        socket->fd = connect_start(plan->to, opening->started);
        websocket_watch(opening, socket, EPOLL_CTL_ADD, EPOLLOUT);
    }
}

static void websocket_connected(struct opening *opening, struct websocket *socket)
{
    char request[WEBSOCKET_PACKET_BYTES];
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: bmVyZWlkZCBiZW5jaCAgIA==\r\n\r\n",
                     opening->plan->path);

    if (n < 0 || n >= (int)sizeof request)
        fail("the path of a WebSocket is too long");
    connect_check(socket->fd);
    websocket_watch(opening, socket, EPOLL_CTL_MOD, EPOLLIN);
    socket->state = WEBSOCKET_HEAD;
    send_all(socket->fd, request, (size_t)n);
}

static void step_begin(struct opening *opening, struct websocket *socket)
{
    const struct websocket_plan *plan = opening->plan;
    char packet[WEBSOCKET_PACKET_BYTES];
    char frame[WEBSOCKET_PACKET_BYTES + WEBSOCKET_HEAD_BYTES];
    size_t n = plan->packet_write(plan->self, (unsigned)(socket - opening->sockets), socket->step, packet);

    send_all(socket->fd, frame, websocket_frame_write(packet, n, frame));
}

/* Keeps the end of the `n` bytes, in which the next answer may have begun. */
static void tail_keep(struct websocket *socket, const char *data, size_t n)
{
    socket->len = n < WEBSOCKET_ANSWER_BYTES ? n : WEBSOCKET_ANSWER_BYTES;
    memcpy(socket->data, data + n - socket->len, socket->len);
}

/* Goes on with its conversation as far as the `n` bytes take it. */
static void talk_take(struct opening *opening, struct websocket *socket, const char *data, size_t n)
{
    const struct websocket_plan *plan = opening->plan;
    const char *answer = plan->answers[socket->step];
    const char *found = memmem(data, n, answer, strlen(answer));

    if (found == NULL) {
        tail_keep(socket, data, n);
        return;
    }
    socket->len = 0;
    if (++socket->step < plan->steps) {
        step_begin(opening, socket);
        return;
    }
    socket->state = WEBSOCKET_OPEN;
    opening->open++;
}

static void head_take(struct opening *opening, struct websocket *socket, const char *data, size_t n)
{
    struct answer answer;

    if (!answer_parse(data, n, &answer)) {
        if (n >= HEAD_BYTES)
            fail("the head of an answer is too long");
        memcpy(socket->data, data, n);
        socket->len = n;
        return;
    }
    if (answer.status != 101)
        fail("WebSocket %u: %.*s", (unsigned)(socket - opening->sockets), (int)n, data);
    socket->state = WEBSOCKET_TALKING;
    talk_take(opening, socket, data + answer.head_bytes, n - answer.head_bytes);
}

static void websocket_readable(struct opening *opening, struct websocket *socket)
{
    char *data = opening->buffer;
    ssize_t got;

    memcpy(data, socket->data, socket->len);
    got = recv(socket->fd, data + socket->len, READ_BYTES, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        fail("WebSocket %u ended while others were opened", (unsigned)(socket - opening->sockets));
    if (socket->state == WEBSOCKET_HEAD)
        head_take(opening, socket, data, socket->len + (size_t)got);
    else if (socket->state == WEBSOCKET_TALKING)
        talk_take(opening, socket, data, socket->len + (size_t)got);
}

static void opening_wait(struct opening *opening, uint64_t deadline_ns)
{
    struct epoll_event events[OPEN_EVENTS];
    int n = epoll_wait(opening->epoll_fd, events, OPEN_EVENTS, ms_left(deadline_ns, "WebSockets to open"));

    for (int i = 0; i < n; i++) {
        struct websocket *socket = events[i].data.ptr;

        if (socket->state == WEBSOCKET_CONNECTING)
            websocket_connected(opening, socket);
        else
            websocket_readable(opening, socket);
    }
}

void websockets_open(const struct websocket_plan *plan, int *ret_fds, uint64_t deadline_ns)
{
    struct opening *opening = alloc_items(1, sizeof *opening);

    opening->plan = plan;
    opening->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    opening->sockets = alloc_items(plan->count, sizeof *opening->sockets);
    while (opening->open < plan->count) {
        websockets_start(opening);
        opening_wait(opening, deadline_ns);
    }
    for (unsigned i = 0; i < plan->count; i++)
        ret_fds[i] = opening->sockets[i].fd;
    close(opening->epoll_fd);
    free(opening->sockets);
    free(opening);
}
