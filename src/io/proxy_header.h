/* SPDX-License-Identifier: MIT */
/*
 * PROXY headers: what a proxy says first on a connection, about whose it is (HAProxy's proxy-protocol.txt, versions 1
 * and 2). Pure: bytes in, an address out.
 */
#ifndef IO_PROXY_HEADER_H
#define IO_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/attr.h"
#include "base/span.h"

/* The longest header: a line of version 1 may have 107 bytes; version 2 could say 65,551 and is cut short here. */
enum { PROXY_HEADER_MAX = 2048 };

enum proxy_header_state {
    PROXY_HEADER_MORE, /* all bytes so far belong to a header that may still become a good one */
    PROXY_HEADER_DONE,
    PROXY_HEADER_BAD /* this is no header, or a malformed one: nothing that follows can be believed */
};

struct proxy_header {
    /* False: the connection is the proxy's own (LOCAL), or was not one over TCP on IP (UNKNOWN, UNSPEC, a Unix socket,
     * datagrams): its own address counts. */
    bool has_source;
    struct sockaddr_storage source; /* AF_INET or AF_INET6, never the unspecified address */
    size_t len;                     /* bytes of the header, at most those that were given */
};

/* Looks at all bytes that came so far, from the first on. `*ret_header` is written if it is done. Checksums and other
 * extensions of version 2 are skipped. */
enum proxy_header_state proxy_header_parse(struct span bytes, struct proxy_header *ret_header) must_check;

#endif
