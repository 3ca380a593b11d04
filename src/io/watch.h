/* SPDX-License-Identifier: MIT */
/*
 * Watch: tells when a descriptor is ready, for descriptors that somebody else owns and reads.
 *
 * The owner keeps the descriptor open until watch_close has returned. One descriptor has at most one watch. Loop thread
 * only.
 */
#ifndef IO_WATCH_H
#define IO_WATCH_H

#include "base/attr.h"
#include "base/err.h"
#include "io/loop.h"

struct watch;

enum watch_for {
    WATCH_READABLE, /* each turn while there is something to read */
    WATCH_GONE      /* the peer closed its side, or the connection is broken; bytes do not count */
};

/* Calls `ready(ctx)` from the loop. WATCH_GONE calls once. Null: no memory, or the descriptor cannot be watched. */
struct watch *watch_open(struct loop *loop, int fd, enum watch_for what, void (*ready)(void *ctx),
                         void *ctx) must_check;

/* No call comes after this. Null is allowed. */
void watch_close(struct watch *watch);

#endif
