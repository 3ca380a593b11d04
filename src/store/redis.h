/* SPDX-License-Identifier: MIT */
/*
 * The store port on Redis, shared by any number of nodes.
 *
 *     ops ──> calls ── scripts ──> Redis ── replies ──> the line ──> done
 *                                    └───── the log's tail ───^──> sink
 *
 * What calls do is in src/store/lua, what stands in Redis in nereid-redis(7). A cursor is the id of an entry of the
 * log, a stream; every node reads it from its tail and announces what it finds there, its own messages included.
 *
 * While Redis is away calls fail with ERR_STORE at once; it is connected to again and again, and the tail goes on where
 * it was.
 */
#ifndef STORE_REDIS_H
#define STORE_REDIS_H

#include <stdbool.h>

#include "store/store_open.h"

/* See store_check. */
bool redis_check(const char *url, const char *credentials) must_check;

/* See store_open; the clock is there. */
enum err redis_store_open(struct loop *loop, const char *url, const struct store_options *options,
                          struct store **ret_store) must_check;

/* The library's name and version; static. */
const char *redis_library(void);

#endif
