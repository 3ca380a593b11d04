/* SPDX-License-Identifier: MIT */
/* A watch is one uv_poll, which has to outlive its owner's interest by one turn of the loop. */
#include "io/watch.h"

#include <stdlib.h>
#include <uv.h>

struct watch {
    uv_poll_t poll;
    enum watch_for what;
    void (*ready)(void *ctx);
    void *ctx;
};

static void on_closed(uv_handle_t *handle)
{
    free(container_of(handle, struct watch, poll));
}

/* With an error (a broken connection) libuv has already stopped polling. */
static void on_event(uv_poll_t *poll, int status, int events unused_arg)
{
    struct watch *watch = container_of(poll, struct watch, poll);
    if (watch->what == WATCH_GONE && status == 0)
        (void)uv_poll_stop(poll);
    watch->ready(watch->ctx);
}

struct watch *watch_open(struct loop *loop, int fd, enum watch_for what, void (*ready)(void *ctx), void *ctx)
{
    struct watch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return NULL;
    if (uv_poll_init(loop_uv(loop), &watch->poll, fd)) {
        free(watch);
        return NULL;
    }
    watch->what = what;
    watch->ready = ready;
    watch->ctx = ctx;
    if (uv_poll_start(&watch->poll, what == WATCH_GONE ? UV_DISCONNECT : UV_READABLE, on_event)) {
        watch_close(watch);
        return NULL;
    }
    return watch;
}

void watch_close(struct watch *watch)
{
    if (watch)
        uv_close((uv_handle_t *)&watch->poll, on_closed);
}
