/* SPDX-License-Identifier: MIT */
/* The adapter's table of routes. */
#include "adapters/nereid/nereid.h"

#include <stdlib.h>

#include "adapters/nereid/adapter.h"

enum { PROBE_ADDRESSES_MAX = 10000 };

#define BASE "/nereid-chat"

static const struct route routes[] = {
    {HTTP_POST, BASE "/token", ROUTE_LOGIN, nereid_issue_token},
    {HTTP_DELETE, BASE "/token/<token>", ROUTE_LOGIN_OR_TOKEN, nereid_revoke_token},
    {HTTP_GET, BASE "/stream", ROUTE_LOGIN_OR_TOKEN, nereid_stream},
    {HTTP_POST, BASE "/stream", ROUTE_LOGIN_OR_TOKEN, nereid_stream},
    {HTTP_GET, BASE "/stream/<token>", ROUTE_LOGIN_OR_TOKEN, nereid_stream},
    {HTTP_POST, BASE "/stream/<token>", ROUTE_LOGIN_OR_TOKEN, nereid_stream},
    {HTTP_GET, BASE "/poll", ROUTE_LOGIN_OR_TOKEN, nereid_poll},
    {HTTP_GET, BASE "/poll/<token>", ROUTE_LOGIN_OR_TOKEN, nereid_poll},
    {HTTP_POST, BASE "/send-message", ROUTE_LOGIN_OR_TOKEN, nereid_send_message},
    {HTTP_POST, BASE "/send-message/<token>", ROUTE_LOGIN_OR_TOKEN, nereid_send_message},
    {HTTP_POST, BASE "/start-session", ROUTE_LOGIN, nereid_start_session},
    {HTTP_GET, BASE "/get-friends", ROUTE_LOGIN, nereid_get_friends},
    {HTTP_POST, BASE "/presence", ROUTE_LOGIN, nereid_set_presence},
    {HTTP_GET, BASE "/threads", ROUTE_LOGIN, nereid_threads},
    {HTTP_GET, BASE "/history/<thread>", ROUTE_LOGIN, nereid_history},
    {HTTP_POST, BASE "/threads/<thread>/members", ROUTE_LOGIN, nereid_add_member},
    {HTTP_DELETE, BASE "/threads/<thread>/members/<user>", ROUTE_LOGIN, nereid_remove_member},
    {HTTP_GET, BASE "/probe", ROUTE_ANYONE, nereid_probe},
};

struct nereid *nereid_new(const struct nereid_options *options, struct hub *hub, struct loop *loop, struct conns *conns)
{
    struct nereid *nereid = calloc(1, sizeof(*nereid));
    if (!nereid)
        return NULL;
    nereid->options = *options;
    nereid->hub = hub;
    nereid->loop = loop;
    nereid->conns = conns;
    nereid->first_slot = event_reserve_wires(WIRE_SLOTS);
    nereid->probe_rate = rate_new(options->probes_per_minute, options->probes_per_minute, PROBE_ADDRESSES_MAX);
    if (!nereid->probe_rate) {
        free(nereid);
        return NULL;
    }
    return nereid;
}

enum err nereid_mount(struct nereid *nereid, struct router *router)
{
    return router_mount(router, routes, array_len(routes), nereid);
}

void nereid_shut(struct nereid *nereid)
{
    nereid->shut = true;
    probes_end(nereid);
}

void nereid_free(struct nereid *nereid)
{
    if (!nereid)
        return;
    rate_free(nereid->probe_rate);
    free(nereid);
}
