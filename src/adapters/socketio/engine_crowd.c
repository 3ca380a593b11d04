/* SPDX-License-Identifier: MIT */
/* How many sessions each address has; an address is an IPv4 address, or a /64 of IPv6, which is what one customer
 * gets. */
#include <arpa/inet.h>
#include <stdlib.h>

#include "adapters/socketio/engine_inside.h"

enum { NETWORK_LEN = 8, ADDRESS_LEN = 16, V4_AT = 12 };

struct crowd {
    UT_hash_handle hh;
    unsigned char key[ADDRESS_LEN]; /* of IPv6 the network only, of IPv4 the mapped address */
    uint32_t count;
};

/* What is no IP address (a Unix socket) is the key of zeros. */
static void key_of(struct span address, unsigned char key[ADDRESS_LEN])
{
    char text[INET6_ADDRSTRLEN] = "";
    memset(key, 0, ADDRESS_LEN);
    if (!address.len || address.len >= sizeof(text))
        return;
    memcpy(text, address.data, address.len);
    if (inet_pton(AF_INET, text, key + V4_AT) == 1)
        key[V4_AT - 1] = key[V4_AT - 2] = 0xff;
    else if (inet_pton(AF_INET6, text, key) == 1)
        memset(key + NETWORK_LEN, 0, ADDRESS_LEN - NETWORK_LEN);
}

static struct crowd *crowd_find(struct crowd *crowds, const unsigned char key[ADDRESS_LEN])
{
    struct crowd *crowd;
    HASH_FIND(hh, crowds, key, ADDRESS_LEN, crowd);
    return crowd;
}

static struct crowd *crowd_new(struct crowd **crowds, const unsigned char key[ADDRESS_LEN])
{
    struct crowd *crowd = calloc(1, sizeof(*crowd));
    if (!crowd)
        return NULL;
    memcpy(crowd->key, key, ADDRESS_LEN);
    HASH_ADD(hh, *crowds, key, ADDRESS_LEN, crowd);
    if (table_added(crowd))
        return crowd;
    free(crowd);
    return NULL;
}

enum err crowd_enter(struct crowd **crowds, struct span address, uint32_t max)
{
    unsigned char key[ADDRESS_LEN];
    if (!max || !address.len)
        return OK;
    key_of(address, key);
    struct crowd *crowd = crowd_find(*crowds, key);
    if (crowd && crowd->count >= max)
        return ERR_TOO_MANY;
    if (!crowd && !(crowd = crowd_new(crowds, key)))
        return ERR_NO_MEMORY;
    crowd->count++;
    return OK;
}

void crowd_leave(struct crowd **crowds, struct span address)
{
    unsigned char key[ADDRESS_LEN];
    if (!*crowds || !address.len)
        return;
    key_of(address, key);
    struct crowd *crowd = crowd_find(*crowds, key);
    if (!crowd || --crowd->count)
        return;
    HASH_DELETE(hh, *crowds, crowd);
    free(crowd);
}
