/* SPDX-License-Identifier: MIT */
/*
 * PROXY headers, versions 1 and 2.
 *
 * What cannot become a header is refused with the first wrong byte, so that a client that speaks something else is not
 * kept waiting. Version 1 is strict in all that is said of an address; of UNKNOWN nothing counts but its end.
 */
#include "io/proxy_header.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>

enum {
    V1_LEN_MAX = 107,
    V1_FIELD_COUNT = 4,
    V2_FIXED_LEN = 16,
    V2_VERSION_AT = 12,
    V2_FAMILY_AT = 13,
    V2_LENGTH_AT = 14,
    V2_VERSION = 2,
    V2_LOCAL = 0,
    V2_PROXY = 1,
    V2_STREAM = 1,
    V2_INET = 1,
    V2_INET6 = 2
};

static const char v1_start[] = "PROXY ";
static const char v2_start[] = "\r\n\r\n\0\r\nQUIT\n";

/* Whether `bytes` begin like `start`, as far as they go. */
static bool begins_like(struct span bytes, const char *start, size_t start_len)
{
    return memcmp(bytes.data, start, bytes.len < start_len ? bytes.len : start_len) == 0;
}

/* An address that nobody can have; as a peer it would pass for one without an address. */
static bool is_unspecified(const struct sockaddr_storage *source)
{
    const struct sockaddr_in *in = (const void *)source;
    const struct sockaddr_in6 *in6 = (const void *)source;
    return source->ss_family == AF_INET ? in->sin_addr.s_addr == 0 : IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
}

static void set_source(struct proxy_header *header, int family, const void *address, uint16_t port)
{
    struct sockaddr_in *in = (void *)&header->source;
    struct sockaddr_in6 *in6 = (void *)&header->source;
    header->has_source = true;
    header->source = (struct sockaddr_storage){.ss_family = (sa_family_t)family};
    if (family == AF_INET) {
        memcpy(&in->sin_addr, address, sizeof(in->sin_addr));
        in->sin_port = htons(port);
    } else {
        memcpy(&in6->sin6_addr, address, sizeof(in6->sin6_addr));
        in6->sin6_port = htons(port);
    }
}

/* --- version 1: a line --- */

/* The length of the line with its end. 0: there is none yet. Above V1_LEN_MAX: it is too long, or ends in another way.
 * */
static size_t v1_line_len(struct span bytes)
{
    for (size_t i = 0; i < bytes.len && i < V1_LEN_MAX; i++) {
        if (bytes.data[i] == '\n')
            return V1_LEN_MAX + 1;
        if (bytes.data[i] != '\r')
            continue;
        if (i + 1 == bytes.len)
            return i + 1 < V1_LEN_MAX ? 0 : V1_LEN_MAX + 1;
        return bytes.data[i + 1] == '\n' ? i + 2 : V1_LEN_MAX + 1;
    }
    return bytes.len < V1_LEN_MAX ? 0 : V1_LEN_MAX + 1;
}

/* Cuts `text` at its spaces. False: there are not exactly that many fields. */
static bool v1_cut(struct span text, struct span fields[V1_FIELD_COUNT])
{
    for (size_t i = 0; i < V1_FIELD_COUNT; i++) {
        const char *space = text.len ? memchr(text.data, ' ', text.len) : NULL;
        bool is_last = i + 1 == V1_FIELD_COUNT;
        if (is_last == (space != NULL))
            return false;
        fields[i] = (struct span){text.data, space ? (size_t)(space - text.data) : text.len};
        text = (struct span){text.data + fields[i].len + 1, space ? text.len - fields[i].len - 1 : 0};
    }
    return true;
}

/* inet_pton is as strict as the protocol: four numbers without leading zeros, no zone. */
static bool v1_address(struct span text, int family, unsigned char address[16])
{
    char copy[INET6_ADDRSTRLEN];
    if (text.len >= sizeof(copy) || span_has(text, '\0'))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    return inet_pton(family, copy, address) == 1;
}

static bool v1_port(struct span text, uint16_t *ret_port)
{
    unsigned port = 0;
    if (text.len == 0 || text.len > 5 || (text.len > 1 && text.data[0] == '0'))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        port = port * 10 + (unsigned)(text.data[i] - '0');
    }
    *ret_port = (uint16_t)port;
    return port <= UINT16_MAX;
}

static bool v1_source(struct span text, int family, struct proxy_header *header)
{
    struct span fields[V1_FIELD_COUNT];
    unsigned char source[16], destination[16];
    uint16_t source_port, destination_port;
    if (!v1_cut(text, fields) || !v1_address(fields[0], family, source) ||
        !v1_address(fields[1], family, destination) || !v1_port(fields[2], &source_port) ||
        !v1_port(fields[3], &destination_port))
        return false;
    set_source(header, family, source, source_port);
    return !is_unspecified(&header->source);
}

static bool takes_word(struct span *text, const char *word)
{
    size_t len = strlen(word);
    if (text->len < len || memcmp(text->data, word, len) != 0)
        return false;
    *text = (struct span){text->data + len, text->len - len};
    return true;
}

/* `line` is without its end and without what every line begins with. */
static bool v1_line(struct span line, struct proxy_header *header)
{
    if (takes_word(&line, "UNKNOWN"))
        return line.len == 0 || line.data[0] == ' ';
    if (takes_word(&line, "TCP4 "))
        return v1_source(line, AF_INET, header);
    return takes_word(&line, "TCP6 ") && v1_source(line, AF_INET6, header);
}

static enum proxy_header_state v1_parse(struct span bytes, struct proxy_header *header)
{
    size_t start_len = sizeof(v1_start) - 1;
    size_t len = v1_line_len(bytes);
    if (len == 0)
        return PROXY_HEADER_MORE;
    if (len > V1_LEN_MAX || len < start_len + 2)
        return PROXY_HEADER_BAD;
    header->len = len;
    struct span line = {bytes.data + start_len, len - start_len - 2};
    return v1_line(line, header) ? PROXY_HEADER_DONE : PROXY_HEADER_BAD;
}

/* --- version 2: bytes --- */

/* What a family's two addresses and ports take. */
static const uint16_t v2_address_lens[] = {0, 12, 36, 216};

static enum proxy_header_state v2_addresses(const unsigned char *fixed, size_t len, struct proxy_header *header)
{
    unsigned family = fixed[V2_FAMILY_AT] >> 4;
    unsigned transport = fixed[V2_FAMILY_AT] & 0xf;
    const unsigned char *at = fixed + V2_FIXED_LEN;
    if (len < v2_address_lens[family])
        return PROXY_HEADER_BAD;
    if (transport != V2_STREAM || (family != V2_INET && family != V2_INET6))
        return PROXY_HEADER_DONE;
    size_t port_at = family == V2_INET ? 8 : 32;
    set_source(header, family == V2_INET ? AF_INET : AF_INET6, at, (uint16_t)(at[port_at] << 8 | at[port_at + 1]));
    return is_unspecified(&header->source) ? PROXY_HEADER_BAD : PROXY_HEADER_DONE;
}

/* Whether what is there of version, command and family is possible. For LOCAL the family means nothing. */
static bool v2_is_possible(const unsigned char *data, size_t len)
{
    if (len <= V2_VERSION_AT)
        return true;
    unsigned command = data[V2_VERSION_AT] & 0xf;
    if (data[V2_VERSION_AT] >> 4 != V2_VERSION || command > V2_PROXY)
        return false;
    if (len <= V2_FAMILY_AT || command == V2_LOCAL)
        return true;
    return data[V2_FAMILY_AT] >> 4 < array_len(v2_address_lens) && (data[V2_FAMILY_AT] & 0xf) <= 2;
}

static enum proxy_header_state v2_parse(struct span bytes, struct proxy_header *header)
{
    const unsigned char *data = (const unsigned char *)bytes.data;
    if (!v2_is_possible(data, bytes.len))
        return PROXY_HEADER_BAD;
    if (bytes.len < V2_FIXED_LEN)
        return PROXY_HEADER_MORE;
    size_t len = (size_t)data[V2_LENGTH_AT] << 8 | data[V2_LENGTH_AT + 1];
    header->len = V2_FIXED_LEN + len;
    if (header->len > PROXY_HEADER_MAX)
        return PROXY_HEADER_BAD;
    if (bytes.len < header->len)
        return PROXY_HEADER_MORE;
    return (data[V2_VERSION_AT] & 0xf) == V2_LOCAL ? PROXY_HEADER_DONE : v2_addresses(data, len, header);
}

enum proxy_header_state proxy_header_parse(struct span bytes, struct proxy_header *ret_header)
{
    struct proxy_header header = {0};
    enum proxy_header_state state = PROXY_HEADER_BAD;
    if (bytes.len == 0)
        return PROXY_HEADER_MORE;
    if (begins_like(bytes, v1_start, sizeof(v1_start) - 1))
        state = v1_parse(bytes, &header);
    else if (begins_like(bytes, v2_start, sizeof(v2_start) - 1))
        state = v2_parse(bytes, &header);
    if (state == PROXY_HEADER_DONE)
        *ret_header = header;
    return state;
}
