/* SPDX-License-Identifier: MIT */
/* The host that a request was meant for. */
#include <strings.h>

#include "base/address.h"
#include "http/request.h"

/* A Host header (RFC 9110 section 7.2) without its port, and without the brackets of IPv6. False: malformed. */
static bool host_name(struct span host, struct span *ret_name)
{
    bool bracketed = host.len && host.data[0] == '[';
    const char *end = host.len ? memchr(host.data, bracketed ? ']' : ':', host.len) : NULL;
    size_t len = end ? (size_t)(end - host.data) : host.len;
    if (bracketed && (!end || (len + 1 < host.len && host.data[len + 1] != ':')))
        return false;
    *ret_name = bracketed ? (struct span){host.data + 1, len - 1} : (struct span){host.data, len};
    return true;
}

bool request_is_by_address(const struct request *req)
{
    static const char local[] = "localhost";
    struct address address;
    struct span name;
    if (!host_name(request_header(req, "Host"), &name))
        return false;
    bool is_local = name.len == sizeof(local) - 1 && strncasecmp(name.data, local, name.len) == 0;
    return is_local || address_parse(name, &address);
}
