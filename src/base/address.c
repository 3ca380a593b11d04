/* SPDX-License-Identifier: MIT */
/* Addresses and networks as bit strings. */
#include "base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

enum { MAPPED_PREFIX = 96, KEY_BITS_V6 = 64 };

static const uint8_t mapped[MAPPED_PREFIX / 8] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* inet_pton wants text that ends, and knows no zones. */
static bool parse_raw(struct span text, struct address *address)
{
    char copy[INET6_ADDRSTRLEN];
    const char *zone = text.len ? memchr(text.data, '%', text.len) : NULL;
    size_t len = zone ? (size_t)(zone - text.data) : text.len;
    if (len == 0 || len >= sizeof(copy) || memchr(text.data, '\0', len))
        return false;
    memcpy(copy, text.data, len);
    copy[len] = '\0';
    *address = (struct address){0};
    if (!zone && inet_pton(AF_INET, copy, address->bytes) == 1)
        address->bits = ADDRESS_V4;
    else if (inet_pton(AF_INET6, copy, address->bytes) == 1)
        address->bits = ADDRESS_V6;
    return address->bits != 0;
}

static bool is_mapped(const struct address *address)
{
    return address->bits == ADDRESS_V6 && memcmp(address->bytes, mapped, sizeof(mapped)) == 0;
}

static void unmap(struct address *address)
{
    address->bits = ADDRESS_V4;
    memmove(address->bytes, address->bytes + sizeof(mapped), 4);
    memset(address->bytes + 4, 0, sizeof(address->bytes) - 4);
}

bool address_parse(struct span text, struct address *ret_address)
{
    struct address address = {.bits = ADDRESS_UNIX};
    if (text.len && !parse_raw(text, &address))
        return false;
    if (is_mapped(&address))
        unmap(&address);
    *ret_address = address;
    return true;
}

struct address address_of_socket(const struct sockaddr *from)
{
    struct address address = {.bits = ADDRESS_UNIX};
    if (from->sa_family == AF_INET) {
        address.bits = ADDRESS_V4;
        memcpy(address.bytes, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
    } else if (from->sa_family == AF_INET6) {
        address.bits = ADDRESS_V6;
        memcpy(address.bytes, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
    }
    if (is_mapped(&address))
        unmap(&address);
    return address;
}

/* Whether the first `bits` bits are the same. */
static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8;
    unsigned rest = bits % 8;
    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

static bool bits_clear_after(const struct address *address, unsigned prefix)
{
    for (unsigned i = prefix; i < address->bits; i++)
        if (address->bytes[i / 8] & (0x80u >> (i % 8)))
            return false;
    return true;
}

/* One to three digits, no sign and no leading zero. */
static bool parse_prefix(struct span text, unsigned max, unsigned *ret_prefix)
{
    unsigned prefix = 0;
    if (text.len == 0 || text.len > 3 || (text.len > 1 && text.data[0] == '0'))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        prefix = prefix * 10 + (unsigned)(text.data[i] - '0');
    }
    if (prefix > max)
        return false;
    *ret_prefix = prefix;
    return true;
}

/* `text` is split at `slash`; null: one address is the whole network. */
static bool parse_parts(struct span text, const char *slash, struct network *network)
{
    size_t len = slash ? (size_t)(slash - text.data) : text.len;
    if (!parse_raw((struct span){text.data, len}, &network->base))
        return false;
    network->prefix = network->base.bits;
    if (!slash)
        return true;
    struct span prefix = {slash + 1, text.len - len - 1};
    return parse_prefix(prefix, network->base.bits, &network->prefix);
}

bool network_parse(struct span text, struct network *ret_network)
{
    struct network network = {0};
    if (span_is(text, "unix")) {
        *ret_network = network;
        return true;
    }
    if (text.len == 0 || !parse_parts(text, memchr(text.data, '/', text.len), &network))
        return false;
    if (!bits_clear_after(&network.base, network.prefix))
        return false;
    if (is_mapped(&network.base) && network.prefix >= MAPPED_PREFIX) {
        unmap(&network.base);
        network.prefix -= MAPPED_PREFIX;
    }
    *ret_network = network;
    return true;
}

bool network_has(const struct network *network, const struct address *address)
{
    return network->base.bits == address->bits && same_bits(network->base.bytes, address->bytes, network->prefix);
}

enum err networks_new(const char *option, const char *const *texts, size_t count, struct networks **ret_networks)
{
    struct networks *networks = calloc(1, sizeof(*networks) + count * sizeof(networks->items[0]));
    if (!networks)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        if (network_parse(span_of(texts[i]), &networks->items[networks->count]))
            networks->count++;
        else
            log_event(LOG_ERROR, "neither `unix`, an address nor a network without host bits",
                      log_text("option", option), log_text("value", texts[i]));
    }
    if (networks->count < count) {
        free(networks);
        return ERR_BAD_FIELD;
    }
    *ret_networks = networks;
    return OK;
}

bool networks_have(const struct networks *networks, const struct address *address)
{
    for (size_t i = 0; i < networks->count; i++)
        if (network_has(&networks->items[i], address))
            return true;
    return false;
}

void address_key(struct span text, struct address_key *ret_key)
{
    struct address address;
    *ret_key = (struct address_key){.len = 1, .bytes = "?"};
    if (!address_parse(text, &address))
        return;
    unsigned bits = address.bits == ADDRESS_V6 ? KEY_BITS_V6 : address.bits;
    ret_key->bytes[0] = (char)address.bits;
    memcpy(ret_key->bytes + 1, address.bytes, bits / 8);
    ret_key->len = 1 + bits / 8;
}
