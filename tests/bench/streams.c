/* SPDX-License-Identifier: MIT */
/*
 * Opening many streams at once, each on a connection of its own, and holding them.
 *
 * One epoll set, level-triggered, holds all connections that have been started, the open ones too: a server that
 * tells everybody about each newcomer would otherwise find full sockets.
 */
#include "streams.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "http.h"
#include "support.h"

enum { OPEN_EVENTS = 512, ANSWER_BYTES = 1536, DRAIN_BYTES = 65536 };

enum stream_state { STREAM_CONNECTING, STREAM_HANDSHAKE, STREAM_TOKEN, STREAM_HEAD, STREAM_BODY, STREAM_OPEN };

struct stream {
    int fd;
    enum stream_state state;
    size_t len;
    char answer[ANSWER_BYTES];
};

struct opening {
    const struct stream_plan *plan;
    struct stream *streams;
    int epoll_fd;
    unsigned started;
    unsigned open;
};

static void stream_watch(struct opening *opening, struct stream *stream, int op, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = stream};

    if (epoll_ctl(opening->epoll_fd, op, stream->fd, &event) < 0)
        fail("epoll_ctl: %s", strerror(errno));
}

static void streams_start(struct opening *opening)
{
    const struct stream_plan *plan = opening->plan;

    while (opening->started < plan->count && opening->started - opening->open < plan->concurrency) {
        struct stream *stream = &opening->streams[opening->started++];

        stream->fd = connect_start(plan->to, opening->started);
        stream_watch(opening, stream, EPOLL_CTL_ADD, EPOLLOUT);
    }
}

static void stream_ask(struct opening *opening, struct stream *stream, const char *token)
{
    const struct stream_plan *plan = opening->plan;
    char request[STREAM_REQUEST_BYTES];
    unsigned index = (unsigned)(stream - opening->streams);
    size_t n = plan->stream_request_write(plan->self, index, token, request);

    stream->state = STREAM_HEAD;
    stream->len = 0;
    send_all(stream->fd, request, n);
}

static void stream_begin(struct opening *opening, struct stream *stream)
{
    const struct stream_plan *plan = opening->plan;
    char request[STREAM_REQUEST_BYTES];

    if (plan->token_request_write == NULL) {
        stream_ask(opening, stream, "");
        return;
    }
    stream->state = STREAM_TOKEN;
    send_all(stream->fd, request,
             plan->token_request_write(plan->self, (unsigned)(stream - opening->streams), request));
}

static void stream_connected(struct opening *opening, struct stream *stream)
{
    connect_check(stream->fd);
    stream_watch(opening, stream, EPOLL_CTL_MOD, EPOLLIN);
    if (opening->plan->tls == NULL) {
        stream_begin(opening, stream);
        return;
    }
    wire_secure(opening->plan->tls, stream->fd);
    stream->state = STREAM_HANDSHAKE;
    wire_handshake(stream->fd);
}

static void stream_shake(struct opening *opening, struct stream *stream)
{
    if (wire_handshake(stream->fd))
        stream_begin(opening, stream);
}

static void token_take(struct opening *opening, struct stream *stream, const struct answer *answer)
{
    char token[UUID_BYTES];

    if (stream->len < answer->head_bytes + answer->body_bytes)
        return;
    if (answer->closes)
        fail("the server closes a connection that asked for a token");
    uuid_read(stream->answer + answer->head_bytes, "token", token);
    stream_ask(opening, stream, token);
}

static void body_take(struct opening *opening, struct stream *stream, const char *body, size_t n)
{
    stream->state = STREAM_BODY;
    if (memchr(body, '{', n) == NULL)
        return;
    stream->state = STREAM_OPEN;
    opening->open++;
}

static void greeting_take(struct opening *opening, struct stream *stream)
{
    stream->answer[stream->len] = '\0';
    if (strstr(stream->answer, opening->plan->greeting) != NULL) {
        stream->state = STREAM_OPEN;
        opening->open++;
    } else if (stream->len == ANSWER_BYTES - 1) {
        fail("connection %u: %.400s", (unsigned)(stream - opening->streams), stream->answer);
    }
}

static void answer_take(struct opening *opening, struct stream *stream)
{
    struct answer answer;

    stream->answer[stream->len] = '\0';
    if (!answer_parse(stream->answer, stream->len, &answer)) {
        if (stream->len == ANSWER_BYTES - 1)
            fail("the head of an answer is too long");
        return;
    }
    if (answer.status != 200)
        fail("stream %u: %.400s", (unsigned)(stream - opening->streams), stream->answer);
    if (stream->state == STREAM_TOKEN)
        token_take(opening, stream, &answer);
    else
        body_take(opening, stream, stream->answer + answer.head_bytes, stream->len - answer.head_bytes);
}

static void stream_readable(struct opening *opening, struct stream *stream)
{
    static char drain[DRAIN_BYTES];
    const struct stream_plan *plan = opening->plan;
    bool keep = stream->state < STREAM_BODY;
    char *to = keep ? stream->answer + stream->len : drain;
    size_t room = keep ? ANSWER_BYTES - 1 - stream->len : sizeof drain;
    ssize_t got = wire_read(stream->fd, to, room);

    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        fail("stream %u ended while streams were opened: %.*s", (unsigned)(stream - opening->streams),
             keep ? (int)stream->len : 0, stream->answer);
    if (keep) {
        stream->len += (size_t)got;
        if (plan->greeting != NULL)
            greeting_take(opening, stream);
        else
            answer_take(opening, stream);
    } else if (stream->state == STREAM_BODY) {
        body_take(opening, stream, drain, (size_t)got);
    }
}

static void opening_wait(struct opening *opening, uint64_t deadline_ns)
{
    struct epoll_event events[OPEN_EVENTS];
    int n = epoll_wait(opening->epoll_fd, events, OPEN_EVENTS, ms_left(deadline_ns, "streams to open"));

    for (int i = 0; i < n; i++) {
        struct stream *stream = events[i].data.ptr;

        if (stream->state == STREAM_CONNECTING)
            stream_connected(opening, stream);
        else if (stream->state == STREAM_HANDSHAKE)
            stream_shake(opening, stream);
        else
            stream_readable(opening, stream);
    }
}

void streams_open(const struct stream_plan *plan, int *ret_fds, uint64_t deadline_ns)
{
    struct opening opening = {.plan = plan, .epoll_fd = epoll_create1(EPOLL_CLOEXEC)};

    opening.streams = alloc_items(plan->count, sizeof *opening.streams);
    while (opening.open < plan->count) {
        streams_start(&opening);
        opening_wait(&opening, deadline_ns);
    }
    for (unsigned i = 0; i < plan->count; i++)
        ret_fds[i] = opening.streams[i].fd;
    close(opening.epoll_fd);
    free(opening.streams);
}

void streams_close(const int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        wire_close(fds[i]);
}
