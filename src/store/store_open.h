/* SPDX-License-Identifier: MIT */
/*
 * Opening a store by its URL.
 *
 * `sqlite:PATH` is a database file, made with mode 0600 if there is none; `sqlite::memory:` keeps everything in memory and forgets it
 * on close. The path is taken literally: there are no URI parameters.
 */
#ifndef STORE_STORE_OPEN_H
#define STORE_STORE_OPEN_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/span.h"

struct loop;
struct store;

/* What survives the loss of power, once acknowledged. */
enum durability {
    DURABILITY_FULL,   /* everything */
    DURABILITY_NORMAL, /* everything but perhaps the last seconds; never a torn database */
    DURABILITY_OFF,    /* nothing is promised; the end of the process alone loses nothing */
    DURABILITY_COUNT
};

struct store_options {
    enum durability durability;
    int64_t retention_ms;     /* messages older than this are removed; 0: kept */
    uint64_t retention_count; /* messages beyond the newest this many are removed; 0: kept */
    size_t queue_max;         /* calls not yet answered; one more fails with ERR_STORE; 0: no limit */
    const struct clock
        *clock; /* its wall_us is called from a worker thread and must outlive the store; null: the system's */
};

/* Opens the store at `url`, to be started and closed through its ops. Blocks while a database is opened and, after a crash, recovered.
 *
 * ERR_BAD_FIELD: not a URL of a store that this build has. ERR_STORE: it cannot be opened, or is somebody else's, damaged, of a newer
 * version or in use by another process. ERR_NO_MEMORY. Each is logged with its reason; a file that was refused is not changed. */
enum err store_open(struct loop *loop, const char *url, const struct store_options *options,
                    struct store **ret_store) must_check;

#endif
