/* SPDX-License-Identifier: MIT */
/*
 * The admin routes: /healthz, /readyz and /metrics, for operators and their machines. No login; to be mounted on a
 * listener that only they reach.
 *
 *     /healthz   200 while the loop turns
 *     /readyz    200 while clients can be served, else 503 with the reason
 *     /metrics   the table of base/metric.h in Prometheus' text format, version 0.0.4
 */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "core/hub.h"
#include "http/router.h"

/* What /readyz and /metrics look at. All pointers outlive the routes. */
struct admin {
    const struct hub *hub;
    const char *version;
    bool draining; /* written by whoever drains */
};

/* ERR_NO_MEMORY: nothing was mounted. */
enum err admin_mount(struct admin *admin, struct router *router) must_check;

#endif
