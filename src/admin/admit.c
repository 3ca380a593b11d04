/* SPDX-License-Identifier: MIT */
/* Who may ask, and for which thread. */
#include <strings.h>

#include "admin/inside.h"
#include "base/address.h"
#include "base/utf8.h"

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

static bool is_here(struct span host)
{
    static const char local[] = "localhost";
    struct address address;
    struct span name;
    if (!host_name(host, &name))
        return false;
    bool is_local = name.len == sizeof(local) - 1 && strncasecmp(name.data, local, name.len) == 0;
    return is_local || address_parse(name, &address);
}

bool admin_admits(struct request *req)
{
    if (request_origin(req) == REQUEST_ORIGIN_FOREIGN)
        request_fail(req, ERR_BAD_ORIGIN, NULL, 0);
    else if (!is_here(request_header(req, "Host")))
        request_fail(req, ERR_FORBIDDEN, "this is asked for by address or as localhost, not by another name", 0);
    else
        return true;
    return false;
}

bool admin_thread_named(struct span name, struct id *ret_thread)
{
    if (id_parse(name, ret_thread))
        return true;
    if (name.len == 0 || name.len > ROOM_NAME_MAX || !utf8_printable(name))
        return false;
    *ret_thread = hub_room_id(name);
    return true;
}
