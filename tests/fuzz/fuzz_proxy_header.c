/* SPDX-License-Identifier: MIT */
/*
 * PROXY headers from arbitrary bytes.
 *
 * Invariants: a header ends within the bytes that were given and within PROXY_HEADER_MAX; its own bytes alone give the same
 * answer; without its last one it is not done; a source is an IP address that somebody can have. What is bad stays bad,
 * whatever follows, and nothing is waited for beyond the longest header.
 */
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>

#include "io/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static enum proxy_header_state parse(const uint8_t *data, size_t size, struct proxy_header *header)
{
    return proxy_header_parse((struct span){(const char *)data, size}, header);
}

static void check_source(const struct proxy_header *header)
{
    const struct sockaddr_in *in = (const void *)&header->source;
    const struct sockaddr_in6 *in6 = (const void *)&header->source;
    if (!header->has_source)
        return;
    require(header->source.ss_family == AF_INET || header->source.ss_family == AF_INET6);
    if (header->source.ss_family == AF_INET)
        require(in->sin_addr.s_addr != 0);
    else
        require(!IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr));
}

static void check_done(const uint8_t *data, size_t size, const struct proxy_header *header)
{
    struct proxy_header again, shorter;
    require(header->len > 0 && header->len <= size && header->len <= PROXY_HEADER_MAX);
    require(parse(data, header->len, &again) == PROXY_HEADER_DONE);
    require(again.len == header->len && memcmp(&again.source, &header->source, sizeof(again.source)) == 0);
    require(parse(data, header->len - 1, &shorter) == PROXY_HEADER_MORE);
    check_source(header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header header, earlier;
    enum proxy_header_state state = parse(data, size, &header);
    if (state == PROXY_HEADER_DONE)
        check_done(data, size, &header);
    else if (state == PROXY_HEADER_MORE)
        require(size < PROXY_HEADER_MAX);
    size_t step = size / 64 + 1;
    for (size_t len = 0; len < size; len += step)
        if (parse(data, len, &earlier) == PROXY_HEADER_BAD)
            require(state == PROXY_HEADER_BAD);
    return 0;
}
