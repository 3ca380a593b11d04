/* SPDX-License-Identifier: MIT */
/*
 * Connections on an epoll set of their own, of which the loop watches only the descriptor: a libuv handle for each
 * would take up two thirds of an idle connection's memory.
 *
 * A conn is in one of four lists. `dirty`: something was queued, or it was told to finish, since the last flush.
 * `finishing`: it is on its way out and has a deadline; all have the same time allowed, so the list is in order of
 * deadlines and one timer serves it. `over`: its socket is closed; it is freed at the end of the turn, when no event
 * can refer to it any more. `calm`: all others. Reading is polled for always, writing only while the system takes no
 * more.
 *
 *     OPEN ──> FINISHING (sends the rest) ──> LINGERING (FIN sent, waits for the peer's) ──> OVER (socket closed)
 *       └────────────────────── the peer goes, conn_abort, deadline ──────────────────────────^
 *
 * A queue of one is the rule, thousands the exception: the ring starts small, grows by doubling and is freed whenever
 * it runs empty.
 */
#include "io/conn.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utlist.h>

#include "base/metric.h"
#include "io/watch.h"

enum conn_state { CONN_OPEN, CONN_FINISHING, CONN_LINGERING, CONN_OVER };
enum conn_list { LIST_CALM, LIST_DIRTY, LIST_FINISHING, LIST_OVER, LIST_COUNT };
enum { QUEUE_FIRST_CAP = 4, QUEUE_CAP_MAX = 1 << 15, GATHER_MAX = 128, INPUT_SIZE = 1 << 16, EVENTS_PER_TURN = 256 };

struct conns {
    struct loop *loop;
    struct conns_limits limits;
    struct loop_task flush;
    struct timer deadline; /* of the first that is finishing */
    struct conn *lists[LIST_COUNT];
    struct watch *watch; /* of the epoll set */
    int epoll_fd;
    uint32_t count;
    char input[INPUT_SIZE]; /* for whoever reads just now */
};

static void flush_all(struct loop_task *task);
static void on_deadline(struct timer *timer);
static void on_events(void *ctx);

static bool conns_init(struct conns *conns)
{
    if (timer_init(loop_timers(conns->loop), &conns->deadline, on_deadline))
        return false;
    conns->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (conns->epoll_fd < 0)
        return false;
    conns->watch = watch_open(conns->loop, conns->epoll_fd, WATCH_READABLE, on_events, conns);
    return conns->watch;
}

static void conns_fini(struct conns *conns)
{
    watch_close(conns->watch);
    if (conns->epoll_fd >= 0)
        (void)close(conns->epoll_fd);
    timer_fini(loop_timers(conns->loop), &conns->deadline);
    free(conns);
}

struct conns *conns_new(struct loop *loop, struct conns_limits limits)
{
    struct conns *conns = calloc(1, sizeof(*conns));
    if (!conns)
        return NULL;
    conns->loop = loop;
    conns->limits = limits;
    conns->epoll_fd = -1;
    conns->flush.run = flush_all;
    if (!conns_init(conns)) {
        conns_fini(conns);
        return NULL;
    }
    loop_add_task(loop, LOOP_HOOK_FLUSH, &conns->flush);
    return conns;
}

void conns_free(struct conns *conns)
{
    if (!conns)
        return;
    assert(conns->count == 0);
    loop_remove_task(conns->loop, LOOP_HOOK_FLUSH, &conns->flush);
    conns_fini(conns);
}

struct loop *conns_loop(const struct conns *conns)
{
    return conns->loop;
}

uint32_t conns_count(const struct conns *conns)
{
    return conns->count;
}

/* --- the lists --- */

static void list_move(struct conn *conn, enum conn_list to)
{
    struct conn **lists = conn->conns->lists;
    DL_DELETE(lists[conn->listed], conn);
    DL_APPEND(lists[to], conn);
    conn->listed = (uint8_t)to;
}

static void mark_dirty(struct conn *conn)
{
    if (conn->listed == LIST_CALM)
        list_move(conn, LIST_DIRTY);
}

static void await_deadline(struct conn *conn)
{
    struct conns *conns = conn->conns;
    list_move(conn, LIST_FINISHING);
    if (!timer_is_set(&conns->deadline))
        timer_set(loop_timers(conns->loop), &conns->deadline, loop_now_ms(conns->loop) + conns->limits.finish_ms);
}

/* --- the queue --- */

static struct blob **queue_slot(const struct conn *conn, unsigned index)
{
    return &conn->queue[(conn->queue_first + index) & (conn->queue_cap - 1U)];
}

static bool queue_grow(struct conn *conn)
{
    unsigned cap = conn->queue_cap ? conn->queue_cap * 2U : QUEUE_FIRST_CAP;
    struct blob **queue = cap <= QUEUE_CAP_MAX ? malloc(cap * sizeof(struct blob *)) : NULL;
    if (!queue)
        return false;
    for (unsigned i = 0; i < conn->queue_count; i++)
        queue[i] = *queue_slot(conn, i);
    free(conn->queue);
    conn->queue = queue;
    conn->queue_first = 0;
    conn->queue_cap = (uint16_t)cap;
    return true;
}

static enum err queue_add(struct conn *conn, struct blob *blob)
{
    if (conn->queue_count == conn->queue_cap && !queue_grow(conn))
        return conn->queue_cap == QUEUE_CAP_MAX ? ERR_SLOW_READER : ERR_NO_MEMORY;
    *queue_slot(conn, conn->queue_count) = blob_ref(blob);
    conn->queue_count++;
    conn->queue_bytes += blob->len;
    metric_add(METRIC_QUEUE_BYTES, blob->len);
    return OK;
}

static void queue_free_if_empty(struct conn *conn)
{
    if (conn->queue_count)
        return;
    free(conn->queue);
    conn->queue = NULL;
    conn->queue_first = conn->queue_cap = 0;
    conn->paced_bytes = 0;
}

/* Takes `sent` bytes off the front. */
static void queue_consume(struct conn *conn, size_t sent)
{
    conn->queue_bytes -= (uint32_t)sent;
    metric_add(METRIC_QUEUE_BYTES, -(int64_t)sent);
    sent += conn->sent_bytes;
    while (conn->queue_count && sent >= (*queue_slot(conn, 0))->len) {
        struct blob *blob = *queue_slot(conn, 0);
        sent -= blob->len;
        blob_unref(blob);
        conn->queue_first = (uint16_t)((conn->queue_first + 1U) & (conn->queue_cap - 1U));
        conn->queue_count--;
    }
    conn->sent_bytes = (uint32_t)sent;
    queue_free_if_empty(conn);
}

static void queue_drop(struct conn *conn)
{
    metric_add(METRIC_QUEUE_BYTES, -(int64_t)conn->queue_bytes);
    for (unsigned i = 0; i < conn->queue_count; i++)
        blob_unref(*queue_slot(conn, i));
    conn->queue_count = 0;
    conn->queue_bytes = conn->sent_bytes = 0;
    queue_free_if_empty(conn);
}

/* --- the end --- */

static void conn_over(struct conn *conn)
{
    conn->state = CONN_OVER;
    queue_drop(conn);
    /* Explicitly: the set would keep it while another process has a copy of the descriptor. */
    (void)epoll_ctl(conn->conns->epoll_fd, EPOLL_CTL_DEL, conn->fd, NULL);
    (void)close(conn->fd);
    list_move(conn, LIST_OVER);
    loop_again(conn->conns->loop);
}

static void free_over(struct conns *conns)
{
    while (conns->lists[LIST_OVER]) {
        struct conn *conn = conns->lists[LIST_OVER];
        struct peer *lease = conn->lease;
        DL_DELETE(conns->lists[LIST_OVER], conn);
        conns->count--;
        conn->ops->free(conn);
        peer_release(lease);
    }
}

/* The peer is gone; whoever has told the connection to finish does not care any more. */
static void conn_lost(struct conn *conn)
{
    bool is_news = conn->state == CONN_OPEN;
    conn_over(conn);
    if (is_news && conn->ops->closed)
        conn->ops->closed(conn, ERR_GONE);
}

static void on_deadline(struct timer *timer)
{
    struct conns *conns = container_of(timer, struct conns, deadline);
    uint32_t now_ms = (uint32_t)loop_now_ms(conns->loop);
    struct conn *first;
    while ((first = conns->lists[LIST_FINISHING]) && (int32_t)(now_ms - first->finish_ms) >= 0)
        conn_over(first);
    if (first)
        timer_set(loop_timers(conns->loop), timer, loop_now_ms(conns->loop) + (int32_t)(first->finish_ms - now_ms));
}

void conns_cut(struct conns *conns)
{
    for (enum conn_list list = LIST_CALM; list < LIST_OVER; list++)
        while (conns->lists[list])
            conn_lost(conns->lists[list]);
    free_over(conns);
}

/* --- writing --- */

static int poll_for(struct conn *conn, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = conn};
    return epoll_ctl(conn->conns->epoll_fd, operation, conn->fd, &event);
}

/* It cannot fail for a descriptor that is in the set. */
static void set_blocked(struct conn *conn, bool blocked)
{
    if (conn->blocked == blocked)
        return;
    conn->blocked = blocked;
    (void)poll_for(conn, EPOLL_CTL_MOD, EPOLLIN | (blocked ? EPOLLOUT : 0U));
}

static ssize_t send_gathered(struct conn *conn)
{
    struct iovec pieces[GATHER_MAX];
    unsigned count = conn->queue_count < GATHER_MAX ? conn->queue_count : GATHER_MAX;
    for (unsigned i = 0; i < count; i++) {
        struct blob *blob = *queue_slot(conn, i);
        pieces[i] = (struct iovec){blob->data, blob->len};
    }
    pieces[0].iov_base = (char *)pieces[0].iov_base + conn->sent_bytes;
    pieces[0].iov_len -= conn->sent_bytes;
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
    return sendmsg(conn->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The same where there is one piece, as mostly there is: the system has less to look at. */
static ssize_t send_piece(struct conn *conn)
{
    const struct blob *blob = *queue_slot(conn, 0);
    return send(conn->fd, blob->data + conn->sent_bytes, blob->len - conn->sent_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* One write. False: the connection is broken. */
static bool conn_write(struct conn *conn)
{
    ssize_t sent = conn->queue_count == 1 ? send_piece(conn) : send_gathered(conn);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ENOMEM;
    queue_consume(conn, (size_t)sent);
    return true;
}

static void conn_linger(struct conn *conn)
{
    conn->state = CONN_LINGERING;
    if (shutdown(conn->fd, SHUT_WR))
        conn_over(conn);
}

/* Writes what the system takes and goes on to what comes next. */
static void conn_flush(struct conn *conn)
{
    bool had_queue = conn->queue_count > 0;
    if (had_queue && !conn_write(conn)) {
        conn_lost(conn);
        return;
    }
    set_blocked(conn, conn->queue_count > 0);
    if (conn->queue_count)
        return;
    if (conn->state == CONN_FINISHING)
        conn_linger(conn);
    else if (had_queue && conn->state == CONN_OPEN && conn->ops->drained)
        conn->ops->drained(conn);
}

/* What gets dirty by what is called from here is left for the next turn, which then comes at once. */
static void flush_all(struct loop_task *task)
{
    struct conns *conns = container_of(task, struct conns, flush);
    size_t count = 0;
    struct conn *conn;
    DL_COUNT(conns->lists[LIST_DIRTY], conn, count);
    while (count-- && conns->lists[LIST_DIRTY]) {
        conn = conns->lists[LIST_DIRTY];
        if (conn->state == CONN_FINISHING)
            await_deadline(conn);
        else
            list_move(conn, LIST_CALM);
        if (!conn->blocked)
            conn_flush(conn);
    }
    free_over(conns);
    if (conns->lists[LIST_DIRTY])
        loop_again(conns->loop);
}

/* --- events --- */

/* False: the peer has closed, or the connection is broken. */
static bool conn_read(struct conn *conn)
{
    struct conns *conns = conn->conns;
    ssize_t got = recv(conn->fd, conns->input, sizeof(conns->input), MSG_DONTWAIT);
    if (got <= 0)
        return got < 0 && (errno == EAGAIN || errno == EINTR);
    if (conn->ops->input && conn->state == CONN_OPEN)
        conn->ops->input(conn, (struct span){conns->input, (size_t)got});
    return true;
}

static void on_event(struct conn *conn, uint32_t events)
{
    bool readable = events & (EPOLLIN | EPOLLHUP | EPOLLERR);
    if (readable && !conn_read(conn)) {
        if (conn->state != CONN_OVER)
            conn_lost(conn);
        return;
    }
    if ((events & EPOLLOUT) && conn->state != CONN_OVER && conn->queue_count)
        conn_flush(conn);
}

/* What an event leads to may end other connections of the same batch, whose memory stays until the end of the turn. */
static void on_events(void *ctx)
{
    struct conns *conns = ctx;
    struct epoll_event events[EVENTS_PER_TURN];
    int count = epoll_wait(conns->epoll_fd, events, EVENTS_PER_TURN, 0);
    for (int i = 0; i < count; i++) {
        struct conn *conn = events[i].data.ptr;
        if (conn->state != CONN_OVER)
            on_event(conn, events[i].events);
    }
}

/* --- the interface --- */

enum err conn_open(struct conn *conn, struct conns *conns, const struct conn_ops *ops, int take_fd,
                   struct peer *take_lease)
{
    *conn = (struct conn){.ops = ops, .conns = conns, .lease = take_lease, .fd = take_fd, .state = CONN_OPEN};
    if (poll_for(conn, EPOLL_CTL_ADD, EPOLLIN))
        return errno == ENOMEM ? ERR_NO_MEMORY : ERR_INTERNAL;
    /* Also pushes out a head that MHD may have left corked. No effect on a Unix socket. */
    (void)setsockopt(take_fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    DL_APPEND(conns->lists[LIST_CALM], conn);
    conns->count++;
    return OK;
}

static enum err conn_queue(struct conn *conn, struct blob *blob)
{
    enum err err = queue_add(conn, blob);
    if (!err)
        mark_dirty(conn);
    return err;
}

enum err conn_send(struct conn *conn, struct blob *blob)
{
    if (conn->state != CONN_OPEN)
        return ERR_GONE;
    uint64_t queue_bytes = (uint64_t)conn->queue_bytes + blob->len;
    uint64_t cap = (uint64_t)conn->conns->limits.queue_bytes + conn->paced_bytes;
    return conn->queue_count && queue_bytes > cap ? ERR_SLOW_READER : conn_queue(conn, blob);
}

enum err conn_send_paced(struct conn *conn, struct blob *blob)
{
    if (conn->state != CONN_OPEN)
        return ERR_GONE;
    enum err err = conn_queue(conn, blob);
    conn->paced_bytes += err ? 0 : blob->len;
    return err;
}

void conn_finish(struct conn *conn, struct blob *last)
{
    if (conn->state != CONN_OPEN)
        return;
    if (last && last->len && queue_add(conn, last)) {
        conn_over(conn);
        return;
    }
    conn->state = CONN_FINISHING;
    conn->finish_ms = (uint32_t)loop_now_ms(conn->conns->loop) + conn->conns->limits.finish_ms;
    mark_dirty(conn);
}

void conn_abort(struct conn *conn)
{
    if (conn->state != CONN_OVER)
        conn_over(conn);
}

uint32_t conn_queued(const struct conn *conn)
{
    return conn->queue_bytes;
}

bool conn_is_open(const struct conn *conn)
{
    return conn->state == CONN_OPEN;
}

struct span conn_address(const struct conn *conn)
{
    return peer_address(conn->lease);
}
