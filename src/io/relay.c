/* SPDX-License-Identifier: MIT */
/*
 * The pump.
 *
 * All sockets of all relays are in one epoll set, which the loop watches (a libuv handle for each would be larger than
 * the relay). Which events a side waits for is computed from the relay's state after each step. A side that waits for
 * none is polled edge-triggered: errors and the end of a connection cannot be switched off, and would else be reported
 * in each turn.
 *
 * Bytes on their way out that the system does not take are held by GnuTLS, as the record it has made of them; a copy is
 * kept beside it because it does not tell how many of them are in that record before it is sent. Bytes on their way in
 * are copied only if the inside does not take them.
 *
 * What is over stays in memory until the end of the turn: other events of the same batch may point to it.
 */
#include "io/relay.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "base/log.h"
#include "base/metric.h"
#include "io/watch.h"

enum {
    EVENTS_PER_TURN = 256,
    RECORDS_PER_EVENT = 4,   /* for each way */
    HANDSHAKES_PER_TURN = 8, /* steps; the dearest takes about a millisecond */
    SCRATCH_SIZE = 16384,    /* the largest record */
    LEAVE_MS = 30000,        /* for the client to read the rest and to close, after the inside has been closed */
    LEAVE_DRAINING_MS = 500,
    LEAVING_MAX = 1024 /* the next one cuts off the one that has been leaving longest */
};

enum relay_state { RELAY_HANDSHAKING, RELAY_OPEN, RELAY_OVER };

struct side {
    int fd;
    bool is_inside;
    uint32_t events; /* that it is polled for */
};

/* Bytes that a side has not taken yet. */
struct rest {
    char *data; /* owned; null: none */
    uint16_t at, len;
};

struct relay {
    struct relays *relays;
    struct side outside, inside;
    gnutls_session_t session;
    struct tls *tls;      /* a reference */
    struct rest out;      /* beginning with what GnuTLS holds as a record */
    struct rest in;       /* for the inside */
    relay_opened *opened; /* null once called */
    void *ctx;
    struct relay *next, *prev;           /* in the list of its state */
    struct relay *list_next, *list_prev; /* among those that are due for a step, or that are leaving */
    int64_t leave_ms;                    /* when a leaving one is cut off */
    uint8_t state;
    bool due : 1;           /* for a step of its handshake */
    bool leaving : 1;       /* its inside has been closed */
    bool has_fin : 1;       /* of the client, with close_notify or without */
    bool outside_ended : 1; /* no more bytes come from there */
    bool inside_ended : 1;
    bool inside_shut : 1; /* the end from outside has been passed on */
    bool bye_pending : 1; /* close_notify waits for the system to take it */
    bool bye_said : 1;    /* close_notify and FIN */
};

struct relays {
    struct loop *loop;
    struct loop_task task;
    struct timer deadline; /* of the first in `leaving` */
    struct watch *watch;   /* of the epoll set */
    struct relay *alive;
    struct relay *over;
    struct relay *due;
    struct relay *leaving;
    int64_t leave_wait_ms;
    uint32_t leaving_count;
    uint32_t count;
    int epoll_fd;
    char scratch[SCRATCH_SIZE]; /* for the step at hand; plain text, so it is wiped at the end */
};

static void on_events(void *ctx);
static void run_turn(struct loop_task *task);
static void on_leave_deadline(struct timer *timer);

/* --- polling --- */

static struct relay *relay_of(struct side *side)
{
    return side->is_inside ? container_of(side, struct relay, inside) : container_of(side, struct relay, outside);
}

static uint32_t edge_if_none(uint32_t events)
{
    return events ? events : (uint32_t)EPOLLET;
}

static int side_add(struct side *side, const struct relays *relays, uint32_t events)
{
    struct epoll_event event = {.events = edge_if_none(events), .data.ptr = side};
    side->events = event.events;
    return epoll_ctl(relays->epoll_fd, EPOLL_CTL_ADD, side->fd, &event);
}

/* It cannot fail for a descriptor that is in the set. */
static void side_poll(struct side *side, const struct relays *relays, uint32_t events)
{
    struct epoll_event event = {.events = edge_if_none(events), .data.ptr = side};
    if (event.events == side->events)
        return;
    side->events = event.events;
    (void)epoll_ctl(relays->epoll_fd, EPOLL_CTL_MOD, side->fd, &event);
}

static void side_close(struct side *side, const struct relays *relays)
{
    if (side->fd < 0)
        return;
    (void)epoll_ctl(relays->epoll_fd, EPOLL_CTL_DEL, side->fd, NULL);
    (void)close(side->fd);
    side->fd = -1;
}

static bool is_blocked_outside(const struct relay *relay)
{
    return relay->out.data || relay->bye_pending;
}

/* Not while a record waits to go out: what is read may make GnuTLS send something of its own (an update of the keys),
 * and it can hold one record only. */
static bool may_read_outside(const struct relay *relay)
{
    return !relay->outside_ended && !relay->in.data && !is_blocked_outside(relay);
}

static void relay_poll(struct relay *relay)
{
    bool reads_outside = may_read_outside(relay);
    bool reads_inside = !relay->inside_ended && !is_blocked_outside(relay);
    side_poll(&relay->outside, relay->relays,
              (reads_outside ? (uint32_t)EPOLLIN : 0U) | (is_blocked_outside(relay) ? (uint32_t)EPOLLOUT : 0U));
    if (relay->inside.fd < 0)
        return;
    side_poll(&relay->inside, relay->relays,
              (reads_inside ? (uint32_t)EPOLLIN : 0U) | (relay->in.data ? (uint32_t)EPOLLOUT : 0U));
}

/* --- rests --- */

static bool rest_set(struct rest *rest, const char *data, size_t len)
{
    rest->data = malloc(len);
    if (!rest->data)
        return false;
    memcpy(rest->data, data, len);
    rest->at = 0;
    rest->len = (uint16_t)len;
    return true;
}

static void rest_drop(struct rest *rest)
{
    if (rest->data)
        explicit_bzero(rest->data, rest->len);
    free(rest->data);
    rest->data = NULL;
}

static void rest_consume(struct rest *rest, size_t len)
{
    rest->at = (uint16_t)(rest->at + len);
    if (rest->at >= rest->len)
        rest_drop(rest);
}

/* --- lists and the end --- */

static void due_leave(struct relay *relay)
{
    if (relay->due)
        DL_DELETE2(relay->relays->due, relay, list_prev, list_next);
    relay->due = false;
}

static void leaving_leave(struct relay *relay)
{
    if (!relay->leaving)
        return;
    DL_DELETE2(relay->relays->leaving, relay, list_prev, list_next);
    relay->relays->leaving_count--;
    relay->leaving = false;
}

static void relay_over(struct relay *relay)
{
    struct relays *relays = relay->relays;
    if (relay->state == RELAY_OVER)
        return;
    metric_add(METRIC_TLS_CONNECTIONS, relay->state == RELAY_OPEN ? -1 : 0);
    relay->state = RELAY_OVER;
    due_leave(relay);
    leaving_leave(relay);
    side_close(&relay->outside, relays);
    side_close(&relay->inside, relays);
    DL_DELETE(relays->alive, relay);
    DL_APPEND(relays->over, relay);
    loop_again(relays->loop);
}

static void relay_free(struct relay *relay)
{
    relay->relays->count--;
    rest_drop(&relay->out);
    rest_drop(&relay->in);
    gnutls_deinit(relay->session);
    tls_unref(relay->tls);
    free(relay);
}

static void free_over(struct relays *relays)
{
    while (relays->over) {
        struct relay *relay = relays->over;
        DL_DELETE(relays->over, relay);
        relay_free(relay);
    }
}

static void arm_deadline(struct relays *relays)
{
    if (relays->leaving)
        timer_set(loop_timers(relays->loop), &relays->deadline, relays->leaving->leave_ms);
}

static void on_leave_deadline(struct timer *timer)
{
    struct relays *relays = container_of(timer, struct relays, deadline);
    while (relays->leaving && relays->leaving->leave_ms <= loop_now_ms(relays->loop))
        relay_over(relays->leaving);
    arm_deadline(relays);
}

/* The inside is closed: nobody takes bytes any more, and the lease is not held by anybody. */
static void relay_leaves(struct relay *relay)
{
    struct relays *relays = relay->relays;
    if (relay->leaving)
        return;
    rest_drop(&relay->in);
    if (relays->leaving_count == LEAVING_MAX)
        relay_over(relays->leaving);
    relay->leaving = true;
    relay->leave_ms = loop_now_ms(relays->loop) + relays->leave_wait_ms;
    DL_APPEND2(relays->leaving, relay, list_prev, list_next);
    relays->leaving_count++;
    if (!timer_is_set(&relays->deadline))
        arm_deadline(relays);
}

/* --- from the inside out --- */

static bool is_later(ssize_t status)
{
    return status == GNUTLS_E_AGAIN || status == GNUTLS_E_INTERRUPTED;
}

/* False: the connection is broken. */
static bool send_out(struct relay *relay, const char *data, size_t len)
{
    while (len) {
        ssize_t sent = gnutls_record_send(relay->session, data, len);
        if (is_later(sent))
            return rest_set(&relay->out, data, len);
        if (sent < 0)
            return false;
        data += sent;
        len -= (size_t)sent;
    }
    return true;
}

/* Goes on with what GnuTLS holds, then with what it has not seen yet. */
static bool flush_out(struct relay *relay)
{
    struct rest *out = &relay->out;
    bool is_held = true;
    while (out->data) {
        ssize_t sent = is_held ? gnutls_record_send(relay->session, NULL, 0)
                               : gnutls_record_send(relay->session, out->data + out->at, (size_t)(out->len - out->at));
        if (is_later(sent))
            return true;
        if (sent < 0)
            return false;
        is_held = false;
        rest_consume(out, (size_t)sent);
    }
    return true;
}

static bool say_bye(struct relay *relay)
{
    int status = gnutls_bye(relay->session, GNUTLS_SHUT_WR);
    relay->bye_pending = is_later(status);
    if (relay->bye_pending)
        return true;
    relay->bye_said = true;
    return status == 0 && shutdown(relay->outside.fd, SHUT_WR) == 0;
}

static bool pump_out(struct relay *relay)
{
    char *scratch = relay->relays->scratch;
    if (!flush_out(relay))
        return false;
    for (int i = 0; i < RECORDS_PER_EVENT && !relay->out.data && !relay->inside_ended; i++) {
        ssize_t got = recv(relay->inside.fd, scratch, SCRATCH_SIZE, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        relay->inside_ended = got <= 0;
        if (got > 0 && !send_out(relay, scratch, (size_t)got))
            return false;
        if (got < SCRATCH_SIZE)
            break; /* most likely that was all; else it is told again */
    }
    if (relay->inside_ended && relay->leaving)
        side_close(&relay->inside, relay->relays); /* there is nothing more to be had from it */
    bool has_all = relay->inside_ended && !relay->out.data;
    return !has_all || relay->bye_said || say_bye(relay);
}

/* --- from the outside in --- */

/* What the inside does not take any more is thrown away. */
static bool give_in(struct relay *relay, const char *data, size_t len)
{
    if (relay->leaving)
        return true;
    ssize_t sent = send(relay->inside.fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
        relay_leaves(relay);
        return true;
    }
    size_t taken = sent > 0 ? (size_t)sent : 0;
    return taken == len || rest_set(&relay->in, data + taken, len - taken);
}

static bool flush_in(struct relay *relay)
{
    struct rest *in = &relay->in;
    if (!in->data)
        return true;
    ssize_t sent = send(relay->inside.fd, in->data + in->at, (size_t)(in->len - in->at), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0)
        rest_consume(in, (size_t)sent);
    else if (sent < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
        relay_leaves(relay);
    return true;
}

/* One record, or a part of it; after a short one it is likely that there are no more. False: the connection is broken,
 * or spoken in a way that is not allowed. */
static bool take_record(struct relay *relay, bool *ret_more)
{
    char *scratch = relay->relays->scratch;
    ssize_t got = gnutls_record_recv(relay->session, scratch, SCRATCH_SIZE);
    *ret_more = got == SCRATCH_SIZE || (got > 0 && gnutls_record_check_pending(relay->session));
    if (got > 0)
        return give_in(relay, scratch, (size_t)got);
    if (got == GNUTLS_E_AGAIN) {
        relay->outside_ended = relay->has_fin;
        return true;
    }
    if (got == GNUTLS_E_REHANDSHAKE) {
        (void)gnutls_alert_send(relay->session, GNUTLS_AL_FATAL, GNUTLS_A_NO_RENEGOTIATION);
        log_event(LOG_DEBUG, "renegotiation refused");
        return false;
    }
    relay->outside_ended = got == 0;
    *ret_more = !relay->outside_ended;
    return relay->outside_ended || !gnutls_error_is_fatal((int)got);
}

static bool pump_in(struct relay *relay)
{
    bool more = true;
    if (!flush_in(relay))
        return false;
    for (int i = 0; more && may_read_outside(relay); i++) {
        /* What GnuTLS has read already does not make the socket readable. */
        if (i >= RECORDS_PER_EVENT && gnutls_record_check_pending(relay->session) == 0)
            break;
        if (!take_record(relay, &more))
            return false;
    }
    if (relay->outside_ended && !relay->in.data && !relay->inside_shut) {
        relay->inside_shut = true;
        (void)shutdown(relay->inside.fd, SHUT_WR);
    }
    return true;
}

/* --- both ways --- */

static void relay_pump(struct relay *relay, bool out, bool in)
{
    bool works = (!out || pump_out(relay)) && (!in || pump_in(relay));
    bool is_done = relay->bye_said && relay->outside_ended && !relay->in.data;
    if (!works || is_done)
        relay_over(relay);
    else
        relay_poll(relay);
}

static void on_open_event(struct relay *relay, const struct side *side, uint32_t events)
{
    if (!side->is_inside && (events & EPOLLERR)) {
        relay_over(relay);
        return;
    }
    if (side->is_inside && (events & (EPOLLHUP | EPOLLERR)))
        relay_leaves(relay);
    bool reads = events & (EPOLLIN | EPOLLHUP | EPOLLERR);
    bool writes = events & EPOLLOUT;
    relay_pump(relay, side->is_inside ? reads : writes, side->is_inside ? writes : reads);
}

/* --- handshakes --- */

/* In its turn. Until then nothing is polled for, or the loop would hear of it over and over. */
static void handshake_due(struct relay *relay)
{
    if (relay->due)
        return;
    relay->due = true;
    DL_APPEND2(relay->relays->due, relay, list_prev, list_next);
    side_poll(&relay->outside, relay->relays, 0);
    loop_again(relay->relays->loop);
}

static void handshake_failed(struct relay *relay, enum err err, const char *why)
{
    relay_opened *opened = relay->opened;
    metric_add(METRIC_TLS_FAILURES, 1);
    relay->opened = NULL;
    relay_over(relay);
    opened(relay->ctx, err, -1, why);
}

static void handshake_done(struct relay *relay)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair)) {
        metric_add(METRIC_REFUSED_FDS, 1);
        handshake_failed(relay, ERR_INTERNAL, strerror(errno));
        return;
    }
    relay->inside.fd = pair[0];
    if (side_add(&relay->inside, relay->relays, EPOLLIN)) {
        (void)close(pair[1]);
        handshake_failed(relay, ERR_INTERNAL, strerror(errno));
        return;
    }
    relay_opened *opened = relay->opened;
    relay->opened = NULL;
    relay->state = RELAY_OPEN;
    metric_add(METRIC_TLS_HANDSHAKES, 1);
    metric_add(METRIC_TLS_CONNECTIONS, 1);
    opened(relay->ctx, OK, pair[1], NULL);
    relay_pump(relay, true, true);
}

/* The version is looked at once more, should a later GnuTLS understand priorities in another way. */
static void handshake_step(struct relay *relay)
{
    int status = gnutls_handshake(relay->session);
    if (status == 0 && gnutls_protocol_get_version(relay->session) < GNUTLS_TLS1_2)
        status = GNUTLS_E_UNSUPPORTED_VERSION_PACKET;
    bool writes = gnutls_record_get_direction(relay->session) == 1;
    if (is_later(status) && relay->has_fin && !writes)
        status = GNUTLS_E_PREMATURE_TERMINATION;
    if (status == 0) {
        handshake_done(relay);
    } else if (is_later(status)) {
        side_poll(&relay->outside, relay->relays, writes ? (uint32_t)EPOLLOUT : (uint32_t)EPOLLIN);
    } else if (!gnutls_error_is_fatal(status)) {
        handshake_due(relay);
    } else {
        (void)gnutls_alert_send_appropriate(relay->session, status);
        handshake_failed(relay, ERR_GONE, gnutls_strerror(status));
    }
}

static void run_handshakes(struct relays *relays)
{
    for (int i = 0; i < HANDSHAKES_PER_TURN && relays->due; i++) {
        struct relay *relay = relays->due;
        due_leave(relay);
        handshake_step(relay);
    }
    if (relays->due)
        loop_again(relays->loop);
}

/* --- events --- */

static void run_turn(struct loop_task *task)
{
    struct relays *relays = container_of(task, struct relays, task);
    run_handshakes(relays);
    free_over(relays);
}

static void on_events(void *ctx)
{
    struct relays *relays = ctx;
    struct epoll_event events[EVENTS_PER_TURN];
    int count = epoll_wait(relays->epoll_fd, events, EVENTS_PER_TURN, 0);
    for (int i = 0; i < count; i++) {
        struct side *side = events[i].data.ptr;
        struct relay *relay = relay_of(side);
        if (relay->state == RELAY_HANDSHAKING)
            handshake_due(relay);
        else if (relay->state == RELAY_OPEN)
            on_open_event(relay, side, events[i].events);
    }
}

/* --- the interface --- */

static bool relays_init(struct relays *relays)
{
    if (timer_init(loop_timers(relays->loop), &relays->deadline, on_leave_deadline))
        return false;
    relays->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (relays->epoll_fd < 0)
        return false;
    relays->watch = watch_open(relays->loop, relays->epoll_fd, WATCH_READABLE, on_events, relays);
    return relays->watch;
}

static void relays_fini(struct relays *relays)
{
    watch_close(relays->watch);
    if (relays->epoll_fd >= 0)
        (void)close(relays->epoll_fd);
    timer_fini(loop_timers(relays->loop), &relays->deadline);
    explicit_bzero(relays->scratch, sizeof(relays->scratch));
    free(relays);
}

struct relays *relays_new(struct loop *loop)
{
    struct relays *relays = calloc(1, sizeof(*relays));
    if (!relays)
        return NULL;
    relays->loop = loop;
    relays->epoll_fd = -1;
    relays->leave_wait_ms = LEAVE_MS;
    relays->task.run = run_turn;
    if (!relays_init(relays)) {
        relays_fini(relays);
        return NULL;
    }
    loop_add_task(loop, LOOP_HOOK_HTTP, &relays->task);
    return relays;
}

void relays_free(struct relays *relays)
{
    if (!relays)
        return;
    while (relays->alive)
        relay_over(relays->alive);
    free_over(relays);
    assert(relays->count == 0);
    loop_remove_task(relays->loop, LOOP_HOOK_HTTP, &relays->task);
    relays_fini(relays);
}

uint32_t relays_count(const struct relays *relays)
{
    return relays->count;
}

void relays_drain(struct relays *relays)
{
    int64_t latest_ms = loop_now_ms(relays->loop) + LEAVE_DRAINING_MS;
    struct relay *relay;
    relays->leave_wait_ms = LEAVE_DRAINING_MS;
    DL_FOREACH2(relays->leaving, relay, list_next)
    relay->leave_ms = relay->leave_ms < latest_ms ? relay->leave_ms : latest_ms;
    timer_clear(loop_timers(relays->loop), &relays->deadline);
    arm_deadline(relays);
}

/* Reads for GnuTLS, and keeps the client's FIN from it: one without close_notify it would take for the end of both
 * sides, and what the inside still has to say would be lost. */
static ssize_t pull(gnutls_transport_ptr_t ptr, void *data, size_t len)
{
    struct relay *relay = ptr;
    ssize_t got = recv(relay->outside.fd, data, len, MSG_DONTWAIT);
    if (got)
        return got;
    relay->has_fin = true;
    errno = EAGAIN;
    return -1;
}

enum err relay_open(struct relays *relays, struct tls *tls, const char *const *protocols, int take_fd,
                    relay_opened *opened, void *ctx, struct relay **ret_relay)
{
    struct relay *relay = calloc(1, sizeof(*relay));
    if (!relay)
        return ERR_NO_MEMORY;
    *relay = (struct relay){.relays = relays, .opened = opened, .ctx = ctx, .state = RELAY_HANDSHAKING};
    relay->outside = (struct side){.fd = take_fd};
    relay->inside = (struct side){.fd = -1, .is_inside = true};
    enum err err = tls_session_new(tls, protocols, &relay->session);
    if (!err && side_add(&relay->outside, relays, EPOLLIN)) {
        gnutls_deinit(relay->session);
        err = ERR_INTERNAL;
    }
    if (err) {
        free(relay);
        return err;
    }
    gnutls_transport_set_ptr2(relay->session, relay, (gnutls_transport_ptr_t)(intptr_t)take_fd);
    gnutls_transport_set_pull_function(relay->session, pull);
    relay->tls = tls_ref(tls);
    DL_APPEND(relays->alive, relay);
    relays->count++;
    *ret_relay = relay;
    return OK;
}

void relay_abort(struct relay *relay)
{
    metric_add(METRIC_TLS_FAILURES, 1);
    relay->opened = NULL;
    relay_over(relay);
}
