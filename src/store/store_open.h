/* SPDX-License-Identifier: MIT */
/*
 * Opening a store by its URL.
 *
 * `sqlite:PATH` is a database file, made with mode 0600 if there is none; `sqlite::memory:` keeps everything in memory
 * and forgets it on close. The path is taken literally: there are no URI parameters.
 *
 * `redis://[USER:PASSWORD@]HOST[:PORT][/DB]` is a Redis server, `redis+unix:PATH[?db=DB]` one on a Unix socket, and
 * `redis+sentinel://[USER:PASSWORD@]HOST[:PORT],…/MASTER[/DB]` whichever server these Sentinels call that master. User
 * and password are percent-decoded (RFC 3986 section 2.1); PASSWORD alone, as `:PASSWORD@`, is the default user's.
 */
#ifndef STORE_STORE_OPEN_H
#define STORE_STORE_OPEN_H

#include <stdbool.h>
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

    /* Of stores that are elsewhere; 0 and null stand for the default in brackets. */
    const char *credentials;  /* a file that holds USER:PASSWORD or PASSWORD [none] */
    int64_t deadline_ms;      /* of each command, and of connecting [2000] */
    int64_t lease_ms;         /* how long a node that says nothing keeps its leases [30000] */
    int64_t lease_renewal_ms; /* [10000] */
    int64_t grace_ms;         /* how long leases outlive an orderly close [0] */
    size_t message_bytes;     /* of the largest message, so that not too many are read at once [65536] */
    uint32_t replicas;        /* so many must have a message before its append succeeds [0] */
    const struct clock
        *clock; /* its wall_us is called from a worker thread and must outlive the store; null: the system's */
};

/* Whether `url` is one that this build can open, and the credentials (null: none) can be read; what is wrong is
 * logged. */
bool store_check(const char *url, const char *credentials) must_check;

/* Opens the store at `url`, to be started and closed through its ops. Blocks while a database is opened and, after a crash, recovered.
 *
 * A server that cannot be reached is no error: `start` waits for it.
 *
 * ERR_BAD_FIELD: not a URL of a store that this build has. ERR_STORE: it cannot be opened, or is somebody else's,
 * damaged, of a newer version or in use by another process. ERR_NO_MEMORY. Each is logged with its reason; a file
 * that was refused is not changed. */
enum err store_open(struct loop *loop, const char *url, const struct store_options *options,
                    struct store **ret_store) must_check;

#endif
