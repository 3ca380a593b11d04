/* SPDX-License-Identifier: MIT */
/* From the origin of a page to its base domain. */
#include "adapters/socketio/site.h"

/* Takes `scheme://` off; an origin without it (`null`) has no host. */
static struct span after_scheme(struct span origin)
{
    const char *slashes = origin.len ? memmem(origin.data, origin.len, "://", 3) : NULL;
    if (!slashes)
        return (struct span){0};
    return (struct span){slashes + 3, (size_t)(origin.data + origin.len - slashes - 3)};
}

/* `host`, `host:port`, `[address]:port` without the port. */
static struct span without_port(struct span authority)
{
    const char *end = authority.len && authority.data[0] == '[' ? memchr(authority.data, ']', authority.len) : NULL;
    if (end)
        return (struct span){authority.data, (size_t)(end - authority.data + 1)};
    const char *colon = authority.len ? memchr(authority.data, ':', authority.len) : NULL;
    if (colon)
        authority.len = (size_t)(colon - authority.data);
    if (authority.len && authority.data[authority.len - 1] == '.')
        authority.len--;
    return authority;
}

static bool is_host_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || (byte && strchr("-_.:[]", byte));
}

static char lower_case(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
}

/* False: too long, empty, or nothing that a host has. */
static bool copy_host(struct span host, char out[SITE_SIZE])
{
    if (host.len == 0 || host.len >= SITE_SIZE || host.data[0] == '.')
        return false;
    for (size_t i = 0; i < host.len; i++) {
        out[i] = lower_case(host.data[i]);
        if (!is_host_byte(out[i]))
            return false;
    }
    return true;
}

/* The last label of `name`, which is cut off with its dot. */
static struct span take_label(struct span *name)
{
    size_t at = name->len;
    while (at > 0 && name->data[at - 1] != '.')
        at--;
    struct span label = {name->data + at, name->len - at};
    name->len = at ? at - 1 : 0;
    return label;
}

/* Addresses of either kind; no top level has only digits. */
static bool is_address(struct span name)
{
    struct span last = take_label(&name);
    if (span_has(last, ']'))
        return true;
    for (size_t i = 0; i < last.len; i++)
        if (last.data[i] < '0' || last.data[i] > '9')
            return false;
    return true;
}

static bool is_second_level(struct span top, struct span second)
{
    static const char *const usual[] = {"ac", "co", "com", "edu", "gob", "gov", "mil", "ne", "net", "nom", "or", "org"};
    for (size_t i = 0; i < array_len(usual); i++)
        if (top.len == 2 && span_is(second, usual[i]))
            return true;
    return false;
}

static struct span base_domain(struct span host)
{
    if (is_address(host))
        return host;
    struct span rest = host;
    struct span top = take_label(&rest);
    struct span second = take_label(&rest);
    struct span first = second;
    if (rest.len && is_second_level(top, second))
        first = take_label(&rest);
    return first.len ? (struct span){first.data, (size_t)(host.data + host.len - first.data)} : host;
}

bool site_of(struct span origin, struct span host, char out[SITE_SIZE], struct span *ret_site)
{
    struct span name = without_port(origin.len ? after_scheme(origin) : host);
    if (!copy_host(name, out))
        return false;
    *ret_site = base_domain((struct span){out, name.len});
    return true;
}
