/* SPDX-License-Identifier: MIT */
/*
 * Arrivals: what stands between accept and the taker of a connection: a PROXY header, a TLS handshake.
 *
 *     accepted ─> [PROXY header: whose connection it is] ─> [TLS handshake] ─> taker
 *                                                                 └─ relay: TLS outside <─> a socket pair inside
 *
 * Behind TLS the taker gets one end of a socket pair, so that all that comes after, MHD and hand-off included, reads
 * and writes plain bytes and knows nothing of TLS. The relay lives until both sides are over: an end of either side is
 * passed on to the other, after all bytes before it. Bytes that the one side does not take stop the reading from the
 * other, so what a relay holds is bounded.
 *
 * The lease of a connection that has been handed on is the taker's; before that it is held here. With a PROXY header
 * the lease is one of the client's address; until the header is there it is one without an address, for the proxy's own
 * connections are not limited per address.
 *
 * A connection over TLS takes three descriptors: the socket, and the two ends of the pair.
 *
 * Loop thread only; a handshake's arithmetic is done there as well, a bounded number of steps each turn.
 */
#ifndef IO_ARRIVAL_H
#define IO_ARRIVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "io/loop.h"
#include "io/peer.h"

struct arrivals;

struct arrivals_options {
    /* Files with certificate chains and with their keys, in the same order; 0: no TLS is spoken. */
    const char *const *certificates;
    const char *const *keys;
    size_t certificate_count;
    const char *priorities; /* GnuTLS' notation */

    const char *const *proxies; /* addresses, networks, `unix`: who may send a PROXY header */
    size_t proxy_count;

    int64_t handshake_ms;           /* from accept until the taker gets it */
    uint32_t handshakes_per_minute; /* from one address (IPv6: one /64); 0: no limit */
};

/* Reads the files. Null: something is wrong or there is no memory, and each finding was logged as an error. `loop` and
 * `peers` outlive it; both null where nothing will arrive (a check of the configuration). The strings are copied. */
struct arrivals *arrivals_new(struct loop *loop, struct peers *peers,
                              const struct arrivals_options *options) must_check;

/* Reads the certificate files again. Connections that are open keep theirs. ERR_BAD_FIELD, ERR_NO_MEMORY: what was
 * there stays, and the findings were logged. A certificate whose time is over is such a finding here; at start only a
 * warning. */
enum err arrivals_reload(struct arrivals *arrivals) must_check;

/* Whether there is a certificate. */
bool arrivals_speak_tls(const struct arrivals *arrivals);

/* Whether there is anybody who may send a PROXY header. */
bool arrivals_trust_proxies(const struct arrivals *arrivals);

/* Takes a socket that is ready for use and its lease. */
typedef void arrival_taker(void *ctx, int take_fd, struct peer *take_lease);

/* What a connection has to get through. */
struct arrival_way {
    bool proxy; /* a PROXY header */
    bool tls;
    const char *const *protocols; /* ALPN names for TLS, best first, ending with null; null: none */
    arrival_taker *take;
    void *ctx;
};

/* Takes an accepted non-blocking socket of the peer `from`; the taker gets it or what stands for it, now or later, or
 * never. With `tls` there is a certificate. `way` is copied; what it points to outlives the arrivals. */
void arrivals_take(struct arrivals *arrivals, const struct arrival_way *way, int take_fd, const struct sockaddr *from);

/* Connections that wait to be handed on, and relays. */
uint32_t arrivals_count(const struct arrivals *arrivals);

/* Closes what has not been handed on. Relays go on until their sides are over. */
void arrivals_drain(struct arrivals *arrivals);

/* Closes everything at once and frees. Null is allowed. */
void arrivals_free(struct arrivals *arrivals);

#endif
