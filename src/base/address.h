/* SPDX-License-Identifier: MIT */
/*
 * Addresses of peers, as text from outside and as keys for limits, and the networks they are in.
 *
 * IPv4 and IPv6 stay apart: `::/0` holds no IPv4 address. An IPv4 address written as IPv6 (::ffff:192.0.2.1) is the
 * IPv4 address. A zone (fe80::1%eth0) is left out of account.
 */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/span.h"

enum { ADDRESS_UNIX = 0, ADDRESS_V4 = 32, ADDRESS_V6 = 128 };

struct address {
    unsigned bits; /* how many count: ADDRESS_UNIX, ADDRESS_V4 or ADDRESS_V6 */
    uint8_t bytes[16];
};

/* All addresses that share the first `prefix` bits. */
struct network {
    struct address base;
    unsigned prefix;
};

struct address_key {
    size_t len;
    char bytes[17];
};

/* A numeric address without a port; empty is a Unix socket's peer. False (and *ret_address untouched): not an address.
 */
bool address_parse(struct span text, struct address *ret_address) must_check;

/* The address of a socket; of any family but IP it is that of a Unix socket's peer. */
struct address address_of_socket(const struct sockaddr *from);

/* `192.0.2.1`, `10.0.0.0/8`, `2001:db8::/32`, `unix`. False (and *ret_network untouched): anything else, bits set after
 * the prefix included. */
bool network_parse(struct span text, struct network *ret_network) must_check;

bool network_has(const struct network *network, const struct address *address);

/* The networks of an option's list, freed with free(). */
struct networks {
    size_t count;
    struct network items[];
};

/* ERR_BAD_FIELD: some of `texts` are none, each of which was logged with the name of the option. ERR_NO_MEMORY. */
enum err networks_new(const char *option, const char *const *texts, size_t count,
                      struct networks **ret_networks) must_check;

bool networks_have(const struct networks *networks, const struct address *address);

/* What limits per address count by: the IPv4 address, the /64 of an IPv6 address, one key for all Unix sockets' peers.
 * Text that is not an address shares one key too. */
void address_key(struct span text, struct address_key *ret_key);

static inline struct span address_key_span(const struct address_key *key)
{
    return (struct span){key->bytes, key->len};
}

#endif
