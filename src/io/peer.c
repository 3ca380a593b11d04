/* SPDX-License-Identifier: MIT */
/*
 * Two hashes: networks, which the limit per address is about, and peers, one for each address that has a connection
 * open. Both go with their last lease, so the tables are never larger than the number of connections.
 */
#include "io/peer.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "base/metric.h"

enum { ADDRESS_LEN = 16, IPV6_NETWORK_LEN = 8 };

/* An address in IPv6 form; all zero for what is not IP, `is_ip` included. */
struct address {
    unsigned char bytes[ADDRESS_LEN];
    unsigned char is_ip;
};

struct network {
    struct address prefix; /* the key: of an IPv6 address only the first 64 bits */
    uint32_t leases;
    UT_hash_handle hh;
};

struct peer {
    struct address address; /* the key */
    struct peers *peers;
    struct network *network;
    uint32_t leases;
    UT_hash_handle hh;
    char text[INET6_ADDRSTRLEN];
};

struct peers {
    struct peer_limits limits;
    uint32_t leases;
    struct network *networks;
    struct peer *peers;
};

static const struct address no_address;

struct peers *peers_new(struct peer_limits limits)
{
    struct peers *peers = calloc(1, sizeof(*peers));
    if (peers)
        peers->limits = limits;
    return peers;
}

void peers_free(struct peers *peers)
{
    if (!peers)
        return;
    assert(peers->leases == 0);
    free(peers);
}

uint32_t peers_count(const struct peers *peers)
{
    return peers->leases;
}

static bool is_ipv4(const struct address *address)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(address->bytes, mapped, sizeof(mapped)) == 0;
}

static struct address address_of(const struct sockaddr *from)
{
    struct address address = no_address;
    if (from->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)from;
        memcpy(address.bytes, &in6->sin6_addr, ADDRESS_LEN);
        address.is_ip = 1;
    } else if (from->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)from;
        address.bytes[10] = address.bytes[11] = 0xff;
        memcpy(address.bytes + 12, &in->sin_addr, 4);
        address.is_ip = 1;
    }
    return address;
}

static struct address prefix_of(struct address address)
{
    if (!is_ipv4(&address))
        memset(address.bytes + IPV6_NETWORK_LEN, 0, ADDRESS_LEN - IPV6_NETWORK_LEN);
    return address;
}

static void write_text(struct peer *peer)
{
    const unsigned char *bytes = peer->address.bytes;
    if (is_ipv4(&peer->address))
        (void)inet_ntop(AF_INET, bytes + 12, peer->text, sizeof(peer->text));
    else if (peer->address.is_ip)
        (void)inet_ntop(AF_INET6, bytes, peer->text, sizeof(peer->text));
}

static void network_drop_if_unused(struct peers *peers, struct network *network)
{
    if (network->leases)
        return;
    HASH_DEL(peers->networks, network);
    free(network);
}

static struct network *network_get(struct peers *peers, struct address prefix)
{
    struct network *network = NULL;
    HASH_FIND(hh, peers->networks, &prefix, sizeof(prefix), network);
    if (network)
        return network;
    network = calloc(1, sizeof(*network));
    if (!network)
        return NULL;
    network->prefix = prefix;
    HASH_ADD(hh, peers->networks, prefix, sizeof(network->prefix), network);
    if (!network->hh.tbl) {
        free(network);
        return NULL;
    }
    return network;
}

static struct peer *peer_get(struct peers *peers, struct network *network, struct address address)
{
    struct peer *peer = NULL;
    HASH_FIND(hh, peers->peers, &address, sizeof(address), peer);
    if (peer)
        return peer;
    peer = calloc(1, sizeof(*peer));
    if (!peer)
        return NULL;
    peer->address = address;
    peer->peers = peers;
    peer->network = network;
    write_text(peer);
    HASH_ADD(hh, peers->peers, address, sizeof(peer->address), peer);
    if (!peer->hh.tbl) {
        free(peer);
        return NULL;
    }
    return peer;
}

static bool network_is_full(const struct peers *peers, const struct network *network)
{
    uint32_t most = peers->limits.connections_per_address;
    return most && network->leases >= most && network->prefix.is_ip;
}

enum err peer_admit(struct peers *peers, const struct sockaddr *from, struct peer **ret_lease)
{
    if (peers->leases >= peers->limits.connections) {
        metric_add(METRIC_REFUSED_CONNECTIONS, 1);
        return ERR_TOO_MANY;
    }
    struct address address = address_of(from);
    struct network *network = network_get(peers, prefix_of(address));
    if (!network)
        return ERR_NO_MEMORY;
    if (network_is_full(peers, network)) {
        metric_add(METRIC_REFUSED_ADDRESS, 1);
        return ERR_TOO_MANY;
    }
    struct peer *peer = peer_get(peers, network, address);
    if (!peer) {
        network_drop_if_unused(peers, network);
        return ERR_NO_MEMORY;
    }
    peer->leases++;
    network->leases++;
    peers->leases++;
    metric_add(METRIC_CONNECTIONS, 1);
    *ret_lease = peer;
    return OK;
}

void peer_release(struct peer *lease)
{
    if (!lease)
        return;
    struct peers *peers = lease->peers;
    struct network *network = lease->network;
    assert(lease->leases && network->leases && peers->leases);
    metric_add(METRIC_CONNECTIONS, -1);
    peers->leases--;
    network->leases--;
    if (--lease->leases == 0) {
        HASH_DEL(peers->peers, lease);
        free(lease);
    }
    network_drop_if_unused(peers, network);
}

struct span peer_address(const struct peer *lease)
{
    return span_of(lease->text);
}
