/* SPDX-License-Identifier: MIT */
/*
 * What a connection goes through before its taker gets it.
 *
 * An arrival lives from accept until the hand-over, with one deadline for all of it. Its socket is polled by itself
 * while the PROXY header comes, and by the relay after that.
 *
 * The header is looked at with MSG_PEEK, and then exactly those bytes are read that belong to it: what follows is the
 * taker's, or TLS. Pieces are taken off the socket as they come, so one that stays away is waited for, not asked for in
 * each turn.
 */
#include "io/arrival.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "base/address.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/rate.h"
#include "io/proxy_header.h"
#include "io/relay.h"
#include "io/watch.h"

enum { HANDSHAKE_ADDRESSES_MAX = 65536, WARNINGS_PER_MINUTE = 6 };

struct arrival {
    struct arrivals *arrivals;
    struct arrival_way way;
    struct sockaddr_storage from;
    struct peer *lease;
    struct timer deadline;
    struct watch *watch; /* while the PROXY header comes */
    char *header;        /* what came of it; owned */
    size_t header_len;
    struct relay *relay; /* during the handshake; it has the socket then */
    int fd;              /* -1: somebody else has it */
    struct arrival *next, *prev;
};

struct arrivals {
    struct loop *loop;
    struct peers *peers;
    int64_t handshake_ms;
    struct tls_options files; /* its strings are owned */
    struct tls *tls;          /* null: not spoken */
    struct relays *relays;
    struct rate *handshakes;
    struct rate *warnings;
    struct arrival *waiting;
    struct networks *proxies; /* owned */
};

static void on_header_bytes(void *ctx);
static void on_arrival_deadline(struct timer *timer);

/* --- an arrival's end --- */

/* Without its socket and its lease, which somebody else has by now, or nobody. */
static void arrival_free(struct arrival *arrival)
{
    struct arrivals *arrivals = arrival->arrivals;
    watch_close(arrival->watch);
    timer_fini(loop_timers(arrivals->loop), &arrival->deadline);
    free(arrival->header);
    DL_DELETE(arrivals->waiting, arrival);
    free(arrival);
}

static void arrival_close(struct arrival *arrival)
{
    struct peer *lease = arrival->lease;
    int fd = arrival->fd;
    if (arrival->relay)
        relay_abort(arrival->relay);
    arrival_free(arrival);
    if (fd >= 0)
        (void)close(fd);
    peer_release(lease);
}

static void hand_over(struct arrival *arrival, int take_fd)
{
    struct arrival_way way = arrival->way;
    struct peer *lease = arrival->lease;
    arrival_free(arrival);
    way.take(way.ctx, take_fd, lease);
}

/* --- TLS --- */

/* Peers on Unix sockets are not told apart, and not limited. */
static bool may_shake_hands(struct arrivals *arrivals, struct span address)
{
    struct address_key key;
    if (address.len == 0)
        return true;
    address_key(address, &key);
    if (rate_take(arrivals->handshakes, address_key_span(&key), loop_now_ms(arrivals->loop)) == 0)
        return true;
    metric_add(METRIC_LIMIT_HANDSHAKE_RATE, 1);
    log_event(LOG_DEBUG, "too many TLS handshakes from one address", log_span("address", address));
    return false;
}

static void on_opened(void *ctx, enum err err, int take_fd, const char *why)
{
    struct arrival *arrival = ctx;
    arrival->relay = NULL;
    if (!err) {
        hand_over(arrival, take_fd);
        return;
    }
    log_event(LOG_DEBUG, "TLS handshake failed", log_span("address", peer_address(arrival->lease)),
              log_text("why", why));
    arrival_close(arrival);
}

static void begin_handshake(struct arrival *arrival)
{
    struct arrivals *arrivals = arrival->arrivals;
    if (!may_shake_hands(arrivals, peer_address(arrival->lease)) ||
        relay_open(arrivals->relays, arrivals->tls, arrival->way.protocols, arrival->fd, on_opened, arrival,
                   &arrival->relay) != OK) {
        arrival_close(arrival);
        return;
    }
    arrival->fd = -1;
}

/* All that it has to say about itself has been said. */
static void arrival_goes_on(struct arrival *arrival)
{
    if (arrival->way.tls)
        begin_handshake(arrival);
    else
        hand_over(arrival, arrival->fd);
}

/* --- the PROXY header --- */

static bool is_trusted_proxy(const struct arrivals *arrivals, const struct sockaddr *from)
{
    struct address address = address_of_socket(from);
    return networks_have(arrivals->proxies, &address);
}

/* Whoever is turned away here is a mistake in somebody's configuration or worse; but not as many lines as connections.
 * */
static void refuse_proxy(struct arrivals *arrivals, const struct sockaddr *from, const char *why)
{
    struct peer *lease;
    bool warn = rate_take(arrivals->warnings, (struct span){0}, loop_now_ms(arrivals->loop)) == 0;
    metric_add(METRIC_REFUSED_PROXY, 1);
    /* A lease for a moment: it knows how to write addresses. */
    if (!log_wants(warn ? LOG_WARN : LOG_DEBUG) || peer_admit(arrivals->peers, from, &lease) != OK)
        return;
    log_event(warn ? LOG_WARN : LOG_DEBUG, "connection for proxies refused", log_span("address", peer_address(lease)),
              log_text("why", why));
    peer_release(lease);
}

static void refuse_header(struct arrival *arrival, const char *why)
{
    struct arrivals *arrivals = arrival->arrivals;
    struct sockaddr_storage from = arrival->from;
    arrival_close(arrival);
    refuse_proxy(arrivals, (const struct sockaddr *)&from, why);
}

/* From here on the connection is that of the address in the header, and counts as one of it. */
static void header_is_there(struct arrival *arrival, const struct proxy_header *header)
{
    const struct sockaddr_storage *source = header->has_source ? &header->source : &arrival->from;
    watch_close(arrival->watch);
    arrival->watch = NULL;
    peer_release(arrival->lease);
    arrival->lease = NULL;
    enum err err = peer_admit(arrival->arrivals->peers, (const struct sockaddr *)source, &arrival->lease);
    if (!err) {
        arrival_goes_on(arrival);
        return;
    }
    log_event(LOG_DEBUG, "connection refused", log_err(err));
    arrival_close(arrival);
}

/* Takes off the socket what was looked at. It is there, so this does not fail. */
static bool take_off(const struct arrival *arrival, size_t len)
{
    char *at = arrival->header + arrival->header_len;
    return len == 0 || recv(arrival->fd, at, len, MSG_DONTWAIT) == (ssize_t)len;
}

static void on_header_bytes(void *ctx)
{
    struct arrival *arrival = ctx;
    struct proxy_header header;
    size_t had = arrival->header_len;
    ssize_t got = recv(arrival->fd, arrival->header + had, PROXY_HEADER_MAX - had, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        refuse_header(arrival, "it ended before its PROXY header");
        return;
    }
    size_t all = had + (size_t)got;
    enum proxy_header_state state = proxy_header_parse((struct span){arrival->header, all}, &header);
    size_t len = state == PROXY_HEADER_DONE ? header.len : all;
    if (state == PROXY_HEADER_BAD || !take_off(arrival, len - had)) {
        refuse_header(arrival, "what it sent is no PROXY header");
        return;
    }
    arrival->header_len = len;
    if (state == PROXY_HEADER_DONE)
        header_is_there(arrival, &header);
}

static void begin_header(struct arrival *arrival)
{
    arrival->header = malloc(PROXY_HEADER_MAX);
    if (arrival->header)
        arrival->watch = watch_open(arrival->arrivals->loop, arrival->fd, WATCH_READABLE, on_header_bytes, arrival);
    if (!arrival->watch)
        arrival_close(arrival);
}

/* --- arriving --- */

static void on_arrival_deadline(struct timer *timer)
{
    struct arrival *arrival = container_of(timer, struct arrival, deadline);
    if (!arrival->relay) {
        refuse_header(arrival, "its PROXY header did not come in time");
        return;
    }
    metric_add(METRIC_LIMIT_HANDSHAKE_TIME, 1);
    log_event(LOG_DEBUG, "TLS handshake took too long", log_span("address", peer_address(arrival->lease)));
    arrival_close(arrival);
}

/* A proxy's connections are not limited per address before it is known whose they are. */
static enum err admit(struct arrivals *arrivals, const struct arrival_way *way, const struct sockaddr *from,
                      struct peer **ret_lease)
{
    static const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    return peer_admit(arrivals->peers, way->proxy ? &nobody : from, ret_lease);
}

static socklen_t address_len(const struct sockaddr *from)
{
    if (from->sa_family == AF_INET)
        return sizeof(struct sockaddr_in);
    return from->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(from->sa_family);
}

/* Consumes the socket and the lease on success only. Null: no memory. */
static struct arrival *arrival_new(struct arrivals *arrivals, const struct arrival_way *way, int take_fd,
                                   const struct sockaddr *from, struct peer *take_lease)
{
    struct arrival *arrival = calloc(1, sizeof(*arrival));
    if (!arrival)
        return NULL;
    if (timer_init(loop_timers(arrivals->loop), &arrival->deadline, on_arrival_deadline)) {
        free(arrival);
        return NULL;
    }
    arrival->arrivals = arrivals;
    arrival->way = *way;
    arrival->fd = take_fd;
    arrival->lease = take_lease;
    memcpy(&arrival->from, from, address_len(from));
    DL_APPEND(arrivals->waiting, arrival);
    timer_set(loop_timers(arrivals->loop), &arrival->deadline, loop_now_ms(arrivals->loop) + arrivals->handshake_ms);
    return arrival;
}

void arrivals_take(struct arrivals *arrivals, const struct arrival_way *way, int take_fd, const struct sockaddr *from)
{
    struct peer *lease;
    if (way->proxy && !is_trusted_proxy(arrivals, from)) {
        (void)close(take_fd);
        refuse_proxy(arrivals, from, "it is not in proxy.trusted");
        return;
    }
    enum err err = admit(arrivals, way, from, &lease);
    if (err) {
        log_event(LOG_DEBUG, "connection refused", log_err(err));
        (void)close(take_fd);
        return;
    }
    metric_add(METRIC_ACCEPTED, 1);
    struct arrival *arrival = arrival_new(arrivals, way, take_fd, from, lease);
    if (!arrival) {
        (void)close(take_fd);
        peer_release(lease);
    } else if (way->proxy) {
        begin_header(arrival);
    } else {
        arrival_goes_on(arrival);
    }
}

/* --- making and ending --- */

static void strings_free(const char *const *strings, size_t count)
{
    for (size_t i = 0; strings && i < count; i++)
        free((char *)(uintptr_t)strings[i]);
    free((void *)(uintptr_t)strings);
}

/* Null: no memory. */
static const char *const *strings_copy(const char *const *strings, size_t count)
{
    const char **copy = calloc(count + 1, sizeof(*copy));
    for (size_t i = 0; copy && i < count; i++) {
        copy[i] = strdup(strings[i]);
        if (copy[i])
            continue;
        strings_free(copy, count);
        return NULL;
    }
    return copy;
}

static enum err copy_files(struct arrivals *arrivals, const struct arrivals_options *options)
{
    struct tls_options *files = &arrivals->files;
    files->count = options->certificate_count;
    files->certificates = strings_copy(options->certificates, files->count);
    files->keys = strings_copy(options->keys, files->count);
    files->priorities = strdup(options->priorities);
    return files->certificates && files->keys && files->priorities ? OK : ERR_NO_MEMORY;
}

static void use_certificates(struct arrivals *arrivals, struct tls *take_tls)
{
    tls_unref(arrivals->tls);
    arrivals->tls = take_tls;
    metric_add(METRIC_TLS_NOT_AFTER, tls_not_after(take_tls) - metric_value(METRIC_TLS_NOT_AFTER));
}

static enum err make_loop_parts(struct arrivals *arrivals, const struct arrivals_options *options)
{
    uint32_t per_minute = options->handshakes_per_minute;
    arrivals->relays = relays_new(arrivals->loop);
    arrivals->handshakes = rate_new(per_minute, per_minute ? per_minute : 1, HANDSHAKE_ADDRESSES_MAX);
    arrivals->warnings = rate_new(WARNINGS_PER_MINUTE, WARNINGS_PER_MINUTE, 1);
    return arrivals->relays && arrivals->handshakes && arrivals->warnings ? OK : ERR_NO_MEMORY;
}

static enum err fill(struct arrivals *arrivals, const struct arrivals_options *options)
{
    enum err err = copy_files(arrivals, options);
    if (err)
        return err;
    err = networks_new("proxy.trusted", options->proxies, options->proxy_count, &arrivals->proxies);
    enum err files_err = arrivals->files.count ? arrivals_reload(arrivals) : OK;
    err = err ? err : files_err;
    return err || !arrivals->loop ? err : make_loop_parts(arrivals, options);
}

struct arrivals *arrivals_new(struct loop *loop, struct peers *peers, const struct arrivals_options *options)
{
    struct arrivals *arrivals = calloc(1, sizeof(*arrivals));
    if (!arrivals)
        return NULL;
    arrivals->loop = loop;
    arrivals->peers = peers;
    arrivals->handshake_ms = options->handshake_ms;
    if (fill(arrivals, options) == OK)
        return arrivals;
    arrivals_free(arrivals);
    return NULL;
}

enum err arrivals_reload(struct arrivals *arrivals)
{
    struct tls *tls;
    if (arrivals->files.count == 0)
        return OK;
    enum err err = tls_load(&arrivals->files, arrivals->tls, &tls);
    if (!err)
        use_certificates(arrivals, tls);
    return err;
}

bool arrivals_speak_tls(const struct arrivals *arrivals)
{
    return arrivals->tls != NULL;
}

bool arrivals_trust_proxies(const struct arrivals *arrivals)
{
    return arrivals->proxies->count > 0;
}

uint32_t arrivals_count(const struct arrivals *arrivals)
{
    /* A relay that makes its handshake is an arrival too. */
    uint32_t count = relays_count(arrivals->relays);
    const struct arrival *arrival;
    DL_FOREACH (arrivals->waiting, arrival)
        count += arrival->relay == NULL;
    return count;
}

void arrivals_drain(struct arrivals *arrivals)
{
    while (arrivals->waiting)
        arrival_close(arrivals->waiting);
    relays_drain(arrivals->relays);
}

void arrivals_free(struct arrivals *arrivals)
{
    if (!arrivals)
        return;
    while (arrivals->waiting)
        arrival_close(arrivals->waiting);
    relays_free(arrivals->relays);
    tls_unref(arrivals->tls);
    rate_free(arrivals->handshakes);
    rate_free(arrivals->warnings);
    free(arrivals->proxies);
    strings_free(arrivals->files.certificates, arrivals->files.count);
    strings_free(arrivals->files.keys, arrivals->files.count);
    free((char *)(uintptr_t)arrivals->files.priorities);
    free(arrivals);
}
