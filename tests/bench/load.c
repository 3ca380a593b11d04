/* SPDX-License-Identifier: MIT */
/*
 * Many requests over a few keep-alive connections.
 *
 * A connection is connecting, then has a request under way until there are no more; epoll is level-triggered and
 * asks for writability only while connecting, because a request always fits into an empty socket.
 */
#include "load.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http.h"
#include "support.h"

enum { LOAD_EVENTS = 256, FIRST_ANSWER_BYTES = 2048 };

struct load_conn {
    int fd;
    bool connecting;
    uint64_t index; /* of the request under way */
    char *answer;   /* owned; cap + 1 bytes */
    size_t len;
    size_t cap;
};

struct load {
    const struct sockaddr_in *to;
    const struct load_ops *ops;
    void *self;
    int epoll_fd;
    unsigned busy; /* connections that still have something to do */
    uint64_t asked;
    uint64_t answered;
    bool no_more;
};

static void conn_connect(struct load *load, struct load_conn *conn)
{
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = conn};

    conn->fd = connect_start(load->to, 0);
    conn->connecting = true;
    if (epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, conn->fd, &event) < 0)
        fail("epoll_ctl: %s", strerror(errno));
}

static void conn_finish(struct load *load, struct load_conn *conn)
{
    close(conn->fd);
    conn->fd = -1;
    load->busy--;
}

static void conn_ask(struct load *load, struct load_conn *conn)
{
    char request[LOAD_REQUEST_BYTES];
    size_t n = load->no_more ? 0 : load->ops->request_write(load->self, load->asked, request);

    if (n == 0) {
        load->no_more = true;
        conn_finish(load, conn);
        return;
    }
    conn->index = load->asked++;
    send_all(conn->fd, request, n);
}

static void conn_connected(struct load *load, struct load_conn *conn)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};

    connect_check(conn->fd);
    conn->connecting = false;
    if (epoll_ctl(load->epoll_fd, EPOLL_CTL_MOD, conn->fd, &event) < 0)
        fail("epoll_ctl: %s", strerror(errno));
    conn_ask(load, conn);
}

static void conn_answered(struct load *load, struct load_conn *conn, const struct answer *answer)
{
    char *body = conn->answer + answer->head_bytes;

    body[answer->body_bytes] = '\0';
    conn->len = 0;
    load->answered++;
    load->ops->answer_take(load->self, conn->index, answer->status, body, answer->body_bytes);
    if (!answer->closes) {
        conn_ask(load, conn);
        return;
    }
    close(conn->fd);
    conn_connect(load, conn);
}

static void conn_readable(struct load *load, struct load_conn *conn)
{
    struct answer answer;
    ssize_t got;

    if (conn->len == conn->cap) {
        conn->cap *= 2;
        conn->answer = realloc_items(conn->answer, conn->cap + 1, 1);
    }
    got = recv(conn->fd, conn->answer + conn->len, conn->cap - conn->len, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        fail("the server closed a connection within request %llu", (unsigned long long)conn->index);
    conn->len += (size_t)got;
    if (!answer_parse(conn->answer, conn->len, &answer) || conn->len < answer.head_bytes + answer.body_bytes)
        return;
    if (conn->len > answer.head_bytes + answer.body_bytes)
        fail("the server answered more than it was asked for");
    conn_answered(load, conn, &answer);
}

static void load_wait(struct load *load, uint64_t deadline_ns)
{
    struct epoll_event events[LOAD_EVENTS];
    int n = epoll_wait(load->epoll_fd, events, LOAD_EVENTS, ms_left(deadline_ns, "answers"));

    for (int i = 0; i < n; i++) {
        struct load_conn *conn = events[i].data.ptr;

        if (conn->connecting)
            conn_connected(load, conn);
        else
            conn_readable(load, conn);
    }
}

uint64_t load_run(const struct sockaddr_in *to, unsigned concurrency, const struct load_ops *ops, void *self,
                  uint64_t deadline_ns)
{
    struct load load = {.to = to, .ops = ops, .self = self, .busy = concurrency};
    struct load_conn *conns = alloc_items(concurrency, sizeof *conns);

    load.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned i = 0; i < concurrency; i++) {
        conns[i].cap = FIRST_ANSWER_BYTES;
        conns[i].answer = alloc_items(FIRST_ANSWER_BYTES + 1, 1);
        conn_connect(&load, &conns[i]);
    }
    while (load.busy > 0)
        load_wait(&load, deadline_ns);
    close(load.epoll_fd);
    for (unsigned i = 0; i < concurrency; i++)
        free(conns[i].answer);
    free(conns);
    return load.answered;
}
