/* SPDX-License-Identifier: MIT */
/*
 * The client's bundles, served as they are in npm's folder: a page says <script src="/socket.io/socket.io.js"> as it
 * would with any server of Socket.IO.
 *
 * Only these names have routes, all else below the path is the engine's, or nobody's. Where no folder is given, or
 * there is none, a page's own files may have the names.
 */
#include "adapters/socketio/adapter.h"
#include "base/log.h"
#include "http/static.h"

static const char *const names[] = {
    "socket.io.js",         "socket.io.js.map",         "socket.io.min.js",         "socket.io.min.js.map",
    "socket.io.esm.min.js", "socket.io.esm.min.js.map", "socket.io.msgpack.min.js", "socket.io.msgpack.min.js.map",
};

struct bundles {
    struct statics *statics;
    size_t path_len; /* of what stands before a name's slash */
    char *patterns[array_len(names)];
    struct route routes[array_len(names)];
};

/* Browsers ask again each time, and are told that nothing has changed: so an update of the client is seen at once. */
enum { MAX_AGE_S = 0 };

static void handle(void *ctx, struct request *req)
{
    const struct bundles *bundles = ctx;
    struct span path = request_path(req);
    statics_reply(bundles->statics, req, (struct span){path.data + bundles->path_len, path.len - bundles->path_len});
}

static bool make_routes(struct bundles *bundles, const char *path)
{
    bundles->path_len = strlen(path);
    for (size_t i = 0; i < array_len(names); i++) {
        char *pattern = NULL;
        if (asprintf(&pattern, "%s/%s", path, names[i]) < 0)
            return false;
        bundles->patterns[i] = pattern;
        bundles->routes[i] = (struct route){HTTP_GET, pattern, ROUTE_ANYONE, handle};
    }
    return true;
}

/* Null: no memory. */
static struct bundles *bundles_new(const char *path, struct statics *take_statics)
{
    struct bundles *bundles = calloc(1, sizeof(*bundles));
    if (!bundles)
        return NULL;
    bundles->statics = take_statics;
    if (make_routes(bundles, path))
        return bundles;
    bundles->statics = NULL;
    bundles_free(bundles);
    return NULL;
}

enum err bundles_mount(struct socketio *adapter, struct router *router)
{
    const struct socketio_options *options = &adapter->options;
    struct statics *statics;
    enum err err = statics_open(options->bundles, MAX_AGE_S, "", &statics);
    if (err == ERR_NOT_FOUND) {
        log_event(LOG_WARN, "the folder with the bundles of Socket.IO's client cannot be opened, none are served",
                  log_text("folder", options->bundles));
        return OK;
    }
    if (err)
        return err;
    adapter->bundles = bundles_new(options->engine.path, statics);
    if (adapter->bundles)
        return router_mount(router, adapter->bundles->routes, array_len(names), adapter->bundles);
    statics_close(statics);
    return ERR_NO_MEMORY;
}

void bundles_free(struct bundles *bundles)
{
    if (!bundles)
        return;
    for (size_t i = 0; i < array_len(names); i++)
        free(bundles->patterns[i]);
    statics_close(bundles->statics);
    free(bundles);
}
