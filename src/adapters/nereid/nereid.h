/* SPDX-License-Identifier: MIT */
/*
 * The nereid adapter: Browser based Chat over HTTP, under /nereid-chat.
 *
 * One object per process. Its routes are mounted on a router; its sessions live on the hub; its streams on `conns`.
 */
#ifndef NEREID_NEREID_H
#define NEREID_NEREID_H

#include "stanza/stanza.h"
#include "core/hub.h"
#include "http/router.h"
#include "io/conn.h"

struct nereid;

struct nereid_options {
    enum dialect dialect;       /* where a request does not say */
    const char *entity_prefix;  /* outlives the adapter */
    int64_t heartbeat_ms;       /* of silence, where a request does not say */
    int64_t poll_wait_ms;       /* the longest wait of a poll */
    uint32_t history_max;       /* messages of one page */
    uint32_t attachments_max;   /* objects in one message */
    uint32_t probes_per_minute; /* per address; 0: no limit */
};

/* All pointers outlive the adapter; `options` is copied. Null: no memory. */
struct nereid *nereid_new(const struct nereid_options *options, struct hub *hub, struct loop *loop,
                          struct conns *conns) must_check;

/* ERR_NO_MEMORY: nothing was mounted. */
enum err nereid_mount(struct nereid *nereid, struct router *router) must_check;

/* Ends what the hub does not know of (probes), and begins no more of it; sessions end by hub_shut. */
void nereid_shut(struct nereid *nereid);

/* Its sessions have ended and its requests were answered. Null is allowed. */
void nereid_free(struct nereid *nereid);

#endif
