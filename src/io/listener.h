/* SPDX-License-Identifier: MIT */
/*
 * Listener: accepts connections and hands each to its taker with a lease.
 *
 * One place for HTTP and the line protocols alike, and so for the limits (io/peer.h). When the process is out of
 * descriptors, one kept in reserve is used to take waiting connections and close them, then accepting pauses for a
 * moment: no busy loop, and no connection left hanging in the backlog. Loop thread only.
 */
#ifndef IO_LISTENER_H
#define IO_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "io/loop.h"
#include "io/peer.h"

struct listener;

/* Takes an accepted socket (non-blocking, close-on-exec; TCP with TCP_NODELAY, keepalive and TCP_USER_TIMEOUT) and
 * its lease. */
typedef void listener_taker(void *ctx, int take_fd, struct peer *take_lease);

struct listener_config {
    /* `HOST:PORT` (a numeric address, `localhost` or `*`), `[IPv6]:PORT`, `unix:PATH`, `systemd` for all sockets
     * systemd passed or `systemd:NAME` for those of that FileDescriptorName. Port 0 lets the system choose. Before it
     * `tls:` for TLS, `proxy:` for a PROXY header, or `proxy:tls:` for both (the header comes first). */
    const char *spec;
    struct peers *peers;
    struct arrivals *arrivals; /* sees to TLS and PROXY headers (io/arrival.h); null: neither can be had */
    const char *const
        *protocols; /* the ALPN names of what is spoken behind TLS, best first, ending with null; null: none */
    listener_taker *take;
    void *ctx;
};

enum { LISTENER_WHY_SIZE = 256 };

/* Opens all sockets that `spec` names as a list (most name one) and starts accepting. ERR_BAD_FIELD: the spec is
 * malformed. ERR_INTERNAL: it cannot be opened. ERR_NO_MEMORY. On error nothing is open and `why` is a sentence for
 * people. A Unix socket's file is replaced if nobody listens on it. */
enum err listener_open(struct loop *loop, const struct listener_config *config, struct listener **ret_listener,
                       char why[LISTENER_WHY_SIZE]) must_check;

/* Whether `spec` has a form that listener_open takes; opens nothing. */
bool listener_spec_valid(const char *spec) must_check;

/* The real address of the socket number `index` as text (`127.0.0.1:8080`, `tls:[::1]:8443`, `unix:/run/x`), or null
 * beyond the last. Lives as long as the listener. */
const char *listener_address(const struct listener *listener, size_t index);

/* Stops accepting and closes, and removes the file of a Unix socket it made. Null is allowed. */
void listener_close(struct listener *listener);

#endif
