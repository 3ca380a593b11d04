/* SPDX-License-Identifier: MIT */
/* The syntax checks of texts. */
#include "conf/form.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/un.h>

#include "base/attr.h"

enum { HOST_MAX = 253, PORT_MAX = 65535, UNIX_PATH_MAX = sizeof(((struct sockaddr_un *)0)->sun_path) - 1 };

static const char digits[] = "0123456789";
static const char host_bytes[] = "abcdefghijklmnopqrstuvwxyz0123456789.-";

/* Whether `text` has at least one byte and only such as are in `set`. */
static bool is_made_of(struct span text, const char *set)
{
    for (size_t i = 0; i < text.len; i++)
        if (!text.data[i] || !strchr(set, text.data[i]))
            return false;
    return text.len > 0;
}

static bool starts_with(struct span text, const char *start)
{
    size_t len = strlen(start);
    return text.len >= len && memcmp(text.data, start, len) == 0;
}

static struct span behind(struct span text, size_t len)
{
    return (struct span){text.data + len, text.len - len};
}

/* Decimal, without leading zeros, up to `max`. */
static bool read_number(struct span text, unsigned long max, unsigned long *ret_number)
{
    char copy[8];
    if (text.len >= sizeof(copy) || !is_made_of(text, digits) || (text.len > 1 && text.data[0] == '0'))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    *ret_number = strtoul(copy, NULL, 10);
    return *ret_number <= max;
}

static bool is_port(struct span text)
{
    unsigned long port;
    return read_number(text, PORT_MAX, &port);
}

/* The numeric address in the form inet_pton gives; 0 if it is none, else its length: 4 or 16. */
static size_t read_address(struct span text, uint8_t bytes[16])
{
    char copy[INET6_ADDRSTRLEN];
    if (text.len >= sizeof(copy) || (text.len && memchr(text.data, '\0', text.len)))
        return 0;
    if (text.len)
        memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, bytes) == 1)
        return 4;
    return inet_pton(AF_INET6, copy, bytes) == 1 ? 16 : 0;
}

static size_t address_len(struct span text)
{
    uint8_t bytes[16];
    return read_address(text, bytes);
}

/* A host name, or an IPv4 address: what is made of digits and dots only must be one. */
static bool is_name(struct span text)
{
    if (text.len > HOST_MAX || !is_made_of(text, host_bytes))
        return false;
    return !is_made_of(text, "0123456789.") || address_len(text) == 4;
}

/* Splits at the last `mark`; false if there is none. */
static bool split_at(struct span text, char mark, struct span *ret_before, struct span *ret_behind)
{
    const char *at = text.len ? memrchr(text.data, mark, text.len) : NULL;
    if (!at)
        return false;
    size_t len = (size_t)(at - text.data);
    *ret_before = (struct span){text.data, len};
    *ret_behind = behind(text, len + 1);
    return true;
}

/* Takes the brackets off an IPv6 address; false if it has none or they hold something else. */
static bool take_brackets(struct span *host)
{
    if (host->len < 2 || host->data[0] != '[' || host->data[host->len - 1] != ']')
        return false;
    struct span inner = {host->data + 1, host->len - 2};
    if (address_len(inner) != 16)
        return false;
    *host = inner;
    return true;
}

/* Nothing is looked up, so a name is good only if everybody knows its address. */
static bool is_listen_host(struct span text)
{
    return span_is(text, "*") || span_is(text, "localhost") || address_len(text) == 4;
}

/* In the order in which they are written. */
static const char *const layer_prefixes[] = {[LISTEN_PROXY] = "proxy:", [LISTEN_TLS] = "tls:"};

/* Takes the layers up to and including `last` off the front. */
static struct span behind_layers(struct span text, enum listen_layer last)
{
    for (unsigned layer = 0; layer <= (unsigned)last; layer++)
        if (starts_with(text, layer_prefixes[layer]))
            text = behind(text, strlen(layer_prefixes[layer]));
    return text;
}

bool listen_has_layer(struct span text, enum listen_layer layer)
{
    if (layer > 0)
        text = behind_layers(text, layer - 1);
    return starts_with(text, layer_prefixes[layer]);
}

static bool is_listen(struct span text)
{
    text = behind_layers(text, LISTEN_TLS);
    struct span host;
    struct span port;
    if (span_is(text, "systemd"))
        return true;
    if (starts_with(text, "systemd:"))
        return text.len > strlen("systemd:");
    if (starts_with(text, "unix:"))
        return text.len > strlen("unix:") && text.len - strlen("unix:") <= UNIX_PATH_MAX;
    if (!split_at(text, ':', &host, &port) || !is_port(port))
        return false;
    return take_brackets(&host) || is_listen_host(host);
}

bool listen_is_local(struct span text)
{
    text = behind_layers(text, LISTEN_TLS);
    if (starts_with(text, "unix:"))
        return true;
    struct span host;
    struct span port;
    if (!split_at(text, ':', &host, &port))
        return false;
    (void)take_brackets(&host);
    uint8_t bytes[16];
    switch (read_address(host, bytes)) {
    case 4: return bytes[0] == 127;
    case 16: return memcmp(bytes, &in6addr_loopback, sizeof(bytes)) == 0;
    default: return span_is(host, "localhost");
    }
}

/* scheme://host[:port] in lower case and with nothing behind it. A default port is not written by browsers, but which
 * one that is depends on the scheme and is left to the person. */
static bool is_origin(struct span text)
{
    size_t scheme = 0;
    while (scheme < text.len && strchr("abcdefghijklmnopqrstuvwxyz0123456789+-.", text.data[scheme]) &&
           text.data[scheme])
        scheme++;
    if (scheme == 0 || text.data[0] < 'a' || !starts_with(behind(text, scheme), "://"))
        return false;
    struct span host = behind(text, scheme + strlen("://"));
    struct span port;
    if (is_name(host) || take_brackets(&host))
        return true;
    return split_at(host, ':', &host, &port) && is_port(port) && (is_name(host) || take_brackets(&host));
}

/* Whether all bits of the address from bit `prefix` on are 0. */
static bool ends_in_zeros(const uint8_t *bytes, size_t len, unsigned long prefix)
{
    for (size_t bit = prefix; bit < len * 8; bit++)
        if (bytes[bit / 8] & 0x80u >> bit % 8)
            return false;
    return true;
}

/* Bits behind the prefix are most likely a mistake, and not guessed about. */
static bool is_network(struct span text)
{
    uint8_t bytes[16];
    struct span address = text;
    struct span prefix;
    unsigned long bits;
    if (span_is(text, "unix"))
        return true;
    bool whole = !split_at(text, '/', &address, &prefix);
    size_t len = read_address(address, bytes);
    if (len == 0 || whole)
        return len > 0;
    return read_number(prefix, len * 8, &bits) && ends_in_zeros(bytes, len, bits);
}

static bool is_header_name(struct span text)
{
    return text.len == 0 || is_made_of(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                             "!#$%&'*+-.^_`|~");
}

/* One line of visible ASCII and spaces (RFC 9110 section 5.5), or empty. */
static bool is_header_value(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < ' ' || text.data[i] > '~')
            return false;
    return true;
}

/* What stands behind the scheme is the store's own affair (store_check). */
static bool is_store_url(struct span text)
{
    static const char *const schemes[] = {"sqlite:", "redis:", "redis+unix:", "redis+sentinel:"};
    for (size_t i = 0; i < array_len(schemes); i++)
        if (starts_with(text, schemes[i]))
            return text.len > strlen(schemes[i]);
    return false;
}

/* Segments of what need not be escaped. */
static bool is_url_path(struct span text)
{
    if (text.len == 0)
        return true;
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] == '/' && (i + 1 == text.len || text.data[i + 1] == '/'))
            return false;
    return text.data[0] == '/' && is_made_of(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                                   "-._~/");
}

static bool is_anything(struct span text)
{
    (void)text;
    return true;
}

static bool is_something(struct span text)
{
    return text.len > 0;
}

static bool is_room(struct span text)
{
    return text.len > 0 && text.len <= FORM_ROOM_MAX;
}

const struct form form_listen = {
    is_listen,
    "ADDRESS:PORT, [V6]:PORT, unix:PATH or systemd:NAME",
    "ADDRESS:PORT, [V6]:PORT, unix:PATH or systemd:NAME",
    false,
};
const struct form form_origin = {
    is_origin,
    "an origin such as https://chat.example",
    "origins such as https://chat.example",
    false,
};
const struct form form_network = {
    is_network,
    "an address, a network such as 10.0.0.0/8, or unix",
    "addresses, networks such as 10.0.0.0/8, or unix",
    false,
};
const struct form form_header_name = {is_header_name, "a header name", "header names", false};
const struct form form_header_value = {is_header_value, "the value of a header, in ASCII", "values of headers", false};
const struct form form_store_url = {
    is_store_url,
    "sqlite:PATH, redis://HOST, redis+unix:PATH or redis+sentinel://HOST,.../MASTER",
    "sqlite:PATH, redis://HOST, redis+unix:PATH or redis+sentinel://HOST,.../MASTER",
    true,
};
const struct form form_url_path = {is_url_path, "a path such as /socket.io", "paths such as /socket.io", false};
const struct form form_text = {is_something, "a text that is not empty", "texts that are not empty", false};
const struct form form_path = {is_anything, "a path", "paths", false};
const struct form form_claim = {is_something, "the name of a claim", "names of claims", false};
const struct form form_room = {is_room, "a name of 1 to 128 bytes", "names of 1 to 128 bytes", false};
