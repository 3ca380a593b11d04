/* SPDX-License-Identifier: MIT */
/*
 * The admin routes, for operators and their machines. No login; to be mounted on a listener that only they reach.
 *
 *     GET  /healthz                  200 while the loop turns
 *     GET  /readyz                   200 while clients can be served, else 503 with the reason
 *     GET  /metrics                  the table of base/metric.h, and what the system knows of the process, in
 *                                    Prometheus' text format, version 0.0.4
 *     GET  /status                   this process in a few lines
 *     GET  /sessions                 who is connected; ?user=, ?protocol=: only these
 *     GET  /threads                  the threads in memory; both lists in parts, if wanted (views.c)
 *     GET  /threads/<thread>/watch   one thread as an endless answer: who is in it, and what is said
 *     GET  /tokens                   the tokens that sessions are open with, without the tokens themselves
 *     POST /send                     says something in a thread
 *
 * From /status on they answer in JSON, tell only what is in the memory of this node, and nothing that lets anybody in.
 * As a browser on the operator's machine reaches this listener too, they refuse every page of another origin, and every
 * request that was meant for a host by name, which might be a page's own name that leads here (DNS rebinding).
 */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "core/hub.h"
#include "http/router.h"
#include "io/conn.h"
#include "io/loop.h"

enum { ADMIN_LISTENERS_MAX = 128 };

/* What the routes look at, and act on. All pointers outlive the routes. */
struct admin {
    struct hub *hub;
    const char *version;
    bool draining; /* written by whoever drains */
    struct loop *loop;
    struct conns *conns;     /* for watches */
    struct span store;       /* where the store is, without user and password */
    int64_t started_us;      /* wall clock */
    struct sending *sends;   /* under way; the routes' own, as is what follows */
    unsigned listener_count; /* see admin_listens */
    struct {
        const char *name, *address;
    } listeners[ADMIN_LISTENERS_MAX];
};

/* ERR_NO_MEMORY: nothing was mounted. */
enum err admin_mount(struct admin *admin, struct router *router) must_check;

/* Tells of a listener (what it is for, where it is) for /status. Both texts live until `draining` is set. Beyond
 * ADMIN_LISTENERS_MAX they are not shown. */
void admin_listens(struct admin *admin, const char *name, const char *address);

#endif
