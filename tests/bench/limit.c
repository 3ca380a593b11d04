/* SPDX-License-Identifier: MIT */
/*
 * limit: the least a chat broadcaster can do, as the reference that nereidd is measured against.
 *
 * One thread, one epoll set. `GET /stream` makes a connection a reader; `POST /send` wraps its body in an envelope
 * of a given size and writes it to every reader. There is no store, no log, no membership, no identity: what
 * it reaches is what this machine's kernel allows a single thread to reach.
 *
 * A loop turn handles every connection that is ready and only then writes: what was sent in one turn is one send()
 * per reader. All readers get the same bytes, so the turn's messages lie in one contiguous buffer and
 * no gather list is needed. With -1 each message is written as soon as it is parsed.
 *
 * A reader that is too slow for its socket gets a private copy of what is left, without a bound: this is
 * a yardstick and not a service.
 *
 * Nothing is freed while a batch of events is handled, because a later event of the batch may name the same peer:
 * closed peers wait in `closed` for the end of the turn.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS_PER_TURN = 1024,
    REQUEST_BYTES = 8192, /* head and body of one request */
    OVERHEAD_BYTES = 420, /* of an envelope beside its text, unless -e says otherwise */
    OVERHEAD_MAX_BYTES = 8192,
};

struct bytes {
    char *data;
    size_t len;
    size_t cap;
};

struct peer {
    int fd; /* -1 once closed */
    bool reads_stream;
    size_t reader_index; /* in readers[], if reads_stream */
    size_t request_len;
    char *request;        /* REQUEST_BYTES; freed when the peer becomes a reader */
    struct bytes backlog; /* what the socket did not take */
    struct peer *next_closed;
};

static int epoll_fd = -1;
static int listen_fd = -1;
static bool write_each;
static struct peer **readers;
static size_t reader_count;
static size_t reader_cap;
static struct bytes turn;
static struct peer *closed;
static char envelope_tail[OVERHEAD_MAX_BYTES + 8];
static size_t envelope_tail_len;

static const char envelope_head[] = "{\"timestamp\":\"2011-02-10T15:04:55.123456Z\",\"cursor\":\"0000000000\","
                                    "\"stanzas\":[{\"type\":\"message\",\"message\":{\"text\":\"";

static const char stream_head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nCache-Control: no-store\r\n"
                                  "Transfer-Encoding: chunked\r\n\r\n"
                                  "f\r\n{\"stanzas\":[]}\n\r\n";

static const char send_answer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{\"sent\":true}";

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "limit: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static void bytes_add(struct bytes *to, const void *data, size_t n)
{
    if (to->len + n > to->cap) {
        to->cap = (to->len + n) * 2;
        to->data = realloc(to->data, to->cap);
        if (to->data == NULL)
            die("memory");
    }
    memcpy(to->data + to->len, data, n);
    to->len += n;
}

static void peer_watch(struct peer *peer, int op, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = peer};

    if (epoll_ctl(epoll_fd, op, peer->fd, &event) < 0)
        die("epoll_ctl");
}

static void peer_close(struct peer *peer)
{
    if (peer->fd < 0)
        return;
    if (peer->reads_stream) {
        readers[peer->reader_index] = readers[--reader_count];
        readers[peer->reader_index]->reader_index = peer->reader_index;
    }
    close(peer->fd);
    peer->fd = -1;
    peer->next_closed = closed;
    closed = peer;
}

static void closed_free(void)
{
    while (closed != NULL) {
        struct peer *peer = closed;

        closed = peer->next_closed;
        free(peer->request);
        free(peer->backlog.data);
        free(peer);
    }
}

/* Sends what it can of `data`; returns how much, or -1 if the peer is gone. */
static ssize_t peer_send(struct peer *peer, const char *data, size_t n)
{
    ssize_t sent = send(peer->fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (sent < 0)
        peer_close(peer);
    return sent;
}

static void reader_write(struct peer *peer, const char *data, size_t n)
{
    ssize_t sent;

    if (peer->backlog.len > 0) {
        bytes_add(&peer->backlog, data, n);
        return;
    }
    sent = peer_send(peer, data, n);
    if (sent < 0 || (size_t)sent == n)
        return;
    bytes_add(&peer->backlog, data + sent, n - (size_t)sent);
    peer_watch(peer, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
}

static void reader_writable(struct peer *peer)
{
    struct bytes *left = &peer->backlog;
    ssize_t sent = peer_send(peer, left->data, left->len);

    if (sent < 0)
        return;
    left->len -= (size_t)sent;
    memmove(left->data, left->data + sent, left->len);
    if (left->len == 0)
        peer_watch(peer, EPOLL_CTL_MOD, EPOLLIN);
}

/* Backwards, because a reader that is gone is replaced by the last one. */
static void turn_write(void)
{
    if (turn.len == 0)
        return;
    for (size_t i = reader_count; i-- > 0;)
        reader_write(readers[i], turn.data, turn.len);
    turn.len = 0;
}

static void message_add(const char *text, size_t text_len)
{
    char size[20];
    size_t line = sizeof envelope_head - 1 + text_len + envelope_tail_len;
    int size_len = snprintf(size, sizeof size, "%zx\r\n", line);

    bytes_add(&turn, size, (size_t)size_len);
    bytes_add(&turn, envelope_head, sizeof envelope_head - 1);
    bytes_add(&turn, text, text_len);
    bytes_add(&turn, envelope_tail, envelope_tail_len);
    bytes_add(&turn, "\r\n", 2);
    if (write_each)
        turn_write();
}

static void reader_add(struct peer *peer)
{
    if (reader_count == reader_cap) {
        reader_cap = reader_cap ? reader_cap * 2 : 1024;
        readers = realloc(readers, reader_cap * sizeof *readers);
        if (readers == NULL)
            die("memory");
    }
    peer->reads_stream = true;
    peer->reader_index = reader_count;
    readers[reader_count++] = peer;
    free(peer->request);
    peer->request = NULL;
    reader_write(peer, stream_head, sizeof stream_head - 1);
}

static size_t request_body_bytes(const char *head)
{
    const char *field = strcasestr(head, "\r\nContent-Length:");

    return field ? strtoul(field + 17, NULL, 10) : 0;
}

/* Handles the first request in the buffer. Returns false when it is not complete, or the peer is no requester now. */
static bool request_take(struct peer *peer)
{
    char *end = memmem(peer->request, peer->request_len, "\r\n\r\n", 4);
    size_t head;
    size_t body;

    if (end == NULL)
        return false;
    if (strncmp(peer->request, "GET /stream", 11) == 0) {
        reader_add(peer);
        return false;
    }
    end[2] = '\0'; /* ends the text that strcasestr walks; put back below */
    body = request_body_bytes(peer->request);
    end[2] = '\r';
    head = (size_t)(end - peer->request) + 4;
    if (strncmp(peer->request, "POST /send", 10) != 0 || body > REQUEST_BYTES - head) {
        peer_close(peer);
        return false;
    }
    if (peer->request_len < head + body)
        return false;
    message_add(end + 4, body);
    peer->request_len -= head + body;
    memmove(peer->request, end + 4 + body, peer->request_len);
    return peer_send(peer, send_answer, sizeof send_answer - 1) >= 0;
}

static void peer_readable(struct peer *peer)
{
    char ignored[512];
    bool stream = peer->reads_stream;
    char *to = stream ? ignored : peer->request + peer->request_len;
    size_t room = stream ? sizeof ignored : REQUEST_BYTES - peer->request_len;
    ssize_t got = recv(peer->fd, to, room, MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        peer_close(peer);
        return;
    }
    if (stream)
        return;
    peer->request_len += (size_t)got;
    while (request_take(peer))
        continue;
    if (peer->request != NULL && peer->request_len == REQUEST_BYTES)
        peer_close(peer);
}

static void peers_accept(void)
{
    int one = 1;
    int fd;

    while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct peer *peer = calloc(1, sizeof *peer);

        if (peer == NULL || (peer->request = malloc(REQUEST_BYTES)) == NULL)
            die("memory");
        peer->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        peer_watch(peer, EPOLL_CTL_ADD, EPOLLIN);
    }
    if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
        die("accept");
}

static void listener_open(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t at_len = sizeof at;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listen_fd < 0 || bind(listen_fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(listen_fd, SOMAXCONN) < 0)
        die("listen");
    if (getsockname(listen_fd, (struct sockaddr *)&at, &at_len) < 0)
        die("getsockname");
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &event) < 0)
        die("epoll_ctl");
    printf("http 127.0.0.1:%u\n", ntohs(at.sin_port));
    fflush(stdout);
}

static void event_handle(const struct epoll_event *event)
{
    struct peer *peer = event->data.ptr;

    if (peer == NULL) {
        peers_accept();
        return;
    }
    if (peer->fd >= 0 && (event->events & EPOLLOUT))
        reader_writable(peer);
    if (peer->fd >= 0 && (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        peer_readable(peer);
}

static void envelope_init(size_t overhead_bytes)
{
    static const char open[] = "\",\"pad\":\"";
    static const char close[] = "\"}}]}\n";
    size_t fixed = sizeof envelope_head - 1 + sizeof open - 1 + sizeof close - 1;
    size_t pad = overhead_bytes > fixed ? overhead_bytes - fixed : 0;

    memcpy(envelope_tail, open, sizeof open - 1);
    memset(envelope_tail + sizeof open - 1, 'p', pad);
    memcpy(envelope_tail + sizeof open - 1 + pad, close, sizeof close - 1);
    envelope_tail_len = sizeof open - 1 + pad + sizeof close - 1;
}

static _Noreturn void usage_die(void)
{
    fprintf(stderr, "usage: limit [-1] [-e OVERHEAD_BYTES]\n");
    exit(EXIT_FAILURE);
}

static size_t options_read(int argc, char **argv)
{
    size_t overhead = OVERHEAD_BYTES;
    int option;

    while ((option = getopt(argc, argv, "1e:")) != -1) {
        if (option == '1')
            write_each = true;
        else if (option == 'e')
            overhead = strtoul(optarg, NULL, 10);
        else
            usage_die();
    }
    if (optind < argc || overhead > OVERHEAD_MAX_BYTES)
        usage_die();
    return overhead;
}

int main(int argc, char **argv)
{
    static struct epoll_event events[EVENTS_PER_TURN];

    envelope_init(options_read(argc, argv));
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        die("epoll_create1");
    listener_open();
    for (;;) {
        int n = epoll_wait(epoll_fd, events, EVENTS_PER_TURN, -1);

        if (n < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < n; i++)
            event_handle(&events[i]);
        turn_write();
        closed_free();
    }
}
