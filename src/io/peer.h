/* SPDX-License-Identifier: MIT */
/*
 * Peers: who is connected, and how many times.
 *
 * Every accepted connection holds one lease: a pointer to the peer it came from. The lease is taken when the connection
 * is accepted, goes along when the connection is handed from one owner to the next, and is given back when its socket
 * is closed for good. So the limits count what is really open, streams included. Loop thread only.
 *
 *     peers ──> network (an IPv4 address, or an IPv6 /64: what one limit is about)
 *                  └──> peer (one address) <── lease ── connection
 */
#ifndef IO_PEER_H
#define IO_PEER_H

#include <stdint.h>
#include <sys/socket.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/span.h"

struct peers;
struct peer;

struct peer_limits {
    uint32_t connections;             /* in all; at least 1 */
    uint32_t connections_per_address; /* per IPv4 address or IPv6 /64; 0: no limit. Unix sockets have none. */
};

/* Null: no memory. */
struct peers *peers_new(struct peer_limits limits) must_check;

/* All leases have been given back. Null is allowed. */
void peers_free(struct peers *peers);

/* A lease for a connection from `address` (any family; all that are not IP count as one peer without an address).
 * ERR_TOO_MANY, counted in the metrics: a limit is reached. ERR_NO_MEMORY. Keeps METRIC_CONNECTIONS. */
enum err peer_admit(struct peers *peers, const struct sockaddr *address, struct peer **ret_lease) must_check;

/* Gives the lease back. Null is allowed. */
void peer_release(struct peer *lease);

/* Leases given out. */
uint32_t peers_count(const struct peers *peers);

/* The numeric address without a port, an IPv4 address in its IPv6 form as IPv4; empty for a Unix socket. Lives as
 * long as the lease. */
struct span peer_address(const struct peer *lease);

#endif
