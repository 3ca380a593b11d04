/* SPDX-License-Identifier: MIT */
/* The whole adapter, put together and taken apart again. */
#include "adapters/socketio/socketio.h"

#include "adapters/socketio/socket_inside.h"

/* What an application has once. */
struct app_share {
    struct app_share *next;
    const struct app *app;
    bool started;
    max_align_t memory[];
};

/* --- applications */

void *app_shared(const struct socketio *adapter, const struct app *app)
{
    struct app_share *share = adapter->shares;
    while (share && share->app != app)
        share = share->next;
    return share ? share->memory : NULL;
}

static enum err start_app(struct socketio *adapter, const struct app *app)
{
    struct app_share *share = calloc(1, sizeof(*share) + app->shared_bytes);
    if (!share)
        return ERR_NO_MEMORY;
    share->app = app;
    share->next = adapter->shares;
    adapter->shares = share;
    enum err err = app->start ? app->start(adapter, share->memory) : OK;
    share->started = err == OK;
    return err;
}

static void stop_apps(struct socketio *adapter)
{
    struct app_share *share;
    while ((share = adapter->shares)) {
        if (share->started && share->app->stop)
            share->app->stop(adapter, share->memory);
        adapter->shares = share->next;
        free(share);
    }
}

/* --- making */

static enum err make_parts(struct socketio *adapter, const struct app *const *apps)
{
    adapter->picks = calloc(1, sizeof(*adapter->picks));
    if (!adapter->picks || nsps_new(adapter, apps))
        return ERR_NO_MEMORY;
    if (adapter->options.recovery_ms && !(adapter->recoveries = recoveries_new(adapter)))
        return ERR_NO_MEMORY;
    adapter->engine = engine_new(&adapter->options.engine, &engine_client_ops, adapter, adapter->loop, adapter->conns);
    if (!adapter->engine)
        return ERR_NO_MEMORY;
    if (adapter->options.legacy && !(adapter->legacy = legacy_new(adapter)))
        return ERR_NO_MEMORY;
    if (adapter->bus && !(adapter->remote = remote_new(adapter, adapter->bus)))
        return ERR_NO_MEMORY;
    enum err err = OK;
    for (; *apps && !err; apps++)
        err = start_app(adapter, *apps);
    return err;
}

struct socketio *socketio_new(const struct socketio_options *options, const struct app *const *apps, struct hub *hub,
                              struct auth *auth, struct bus *bus, struct loop *loop, struct conns *conns)
{
    struct socketio *adapter = calloc(1, sizeof(*adapter));
    if (!adapter)
        return NULL;
    adapter->options = *options;
    adapter->hub = hub;
    adapter->auth = auth;
    adapter->bus = bus;
    adapter->loop = loop;
    adapter->conns = conns;
    adapter->task.run = sockets_reap;
    loop_add_task(loop, LOOP_HOOK_HUB, &adapter->task);
    if (make_parts(adapter, apps)) {
        socketio_free(adapter);
        return NULL;
    }
    return adapter;
}

enum err socketio_mount(struct socketio *adapter, struct router *router)
{
    enum err err = engine_mount(adapter->engine, router);
    if (!err && adapter->legacy)
        err = legacy_mount(adapter->legacy, router);
    if (!err && adapter->options.bundles && *adapter->options.bundles)
        err = bundles_mount(adapter, router);
    return err;
}

/* --- the end */

void socketio_shut(struct socketio *adapter)
{
    engine_shut(adapter->engine);
    if (adapter->legacy)
        legacy_shut(adapter->legacy);
    if (adapter->remote)
        remote_shut(adapter->remote);
}

static void free_parts(struct socketio *adapter)
{
    engine_free(adapter->engine);
    if (adapter->legacy)
        legacy_free(adapter->legacy);
    recoveries_free(adapter->recoveries);
    sockets_reap(&adapter->task);
    stop_apps(adapter);
    if (adapter->remote)
        remote_free(adapter->remote);
    if (adapter->bundles)
        bundles_free(adapter->bundles);
}

void socketio_free(struct socketio *adapter)
{
    if (!adapter)
        return;
    free_parts(adapter);
    nsps_free(adapter);
    if (adapter->picks)
        free(adapter->picks->items);
    free(adapter->picks);
    loop_remove_task(adapter->loop, LOOP_HOOK_HUB, &adapter->task);
    free(adapter);
}
