/* SPDX-License-Identifier: MIT */
/* The admin routes. */
#include "admin/admin.h"

#include <inttypes.h>

#include "admin/inside.h"

void admin_reply(struct request *req, int status, const char *type, struct buf *take_body)
{
    struct blob *body = buf_blob(take_body);
    buf_fini(take_body);
    if (body)
        request_reply(req, status, type, body, NULL);
    else
        request_fail(req, ERR_NO_MEMORY, NULL, 0);
    blob_unref(body);
}

void admin_reply_json(struct request *req, struct buf *take_body)
{
    buf_add_char(take_body, '\n');
    admin_reply(req, 200, "application/json", take_body);
}

static void reply_line(struct request *req, int status, const char *line)
{
    struct buf out = BUF_INIT;
    buf_printf(&out, "%s\n", line);
    admin_reply(req, status, "text/plain; charset=utf-8", &out);
}

static void handle_healthz(void *ctx unused_arg, struct request *req)
{
    reply_line(req, 200, "ok");
}

static void handle_readyz(void *ctx, struct request *req)
{
    const struct admin *admin = ctx;
    const char *reason = "shutting down";
    if (!admin->draining && hub_ready(admin->hub, &reason))
        reply_line(req, 200, "ready");
    else
        reply_line(req, 503, reason);
}

/* --- metrics */

static void write_sample(struct buf *out, const char *name, const char *label, int64_t value)
{
    if (label[0])
        buf_printf(out, "%s{%s} %" PRId64 "\n", name, label, value);
    else
        buf_printf(out, "%s %" PRId64 "\n", name, value);
}

static void write_histogram(struct buf *out, const char *name, const struct metric_histogram *histogram)
{
    static const int64_t bounds_us[METRIC_BUCKETS - 1] = METRIC_BUCKET_BOUNDS_US;
    uint64_t below = 0;
    for (unsigned i = 0; i < METRIC_BUCKETS - 1; i++) {
        below += histogram->buckets[i];
        buf_printf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, (double)bounds_us[i] / 1e6, below);
    }
    buf_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, histogram->count);
    buf_printf(out, "%s_sum %.6f\n", name, (double)histogram->sum_us / 1e6);
    buf_printf(out, "%s_count %" PRIu64 "\n", name, histogram->count);
}

void admin_write_head(struct buf *out, const char *name, const char *kind, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

/* Rows of one exposed name follow each other: only the first has the help. */
static void write_row_head(struct buf *out, const struct metric_row *row, const struct metric_row *before)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    if (!before || !span_is(span_of(before->exposed), row->exposed))
        admin_write_head(out, row->exposed, kinds[row->kind], row->help);
}

static void write_metrics(struct buf *out)
{
    for (unsigned i = 0; i < METRIC_COUNT; i++) {
        const struct metric_row *row = metric_row((enum metric)i);
        write_row_head(out, row, i ? metric_row((enum metric)(i - 1)) : NULL);
        if (row->kind == METRIC_KIND_HISTOGRAM)
            write_histogram(out, row->exposed, metric_histogram((enum metric)i));
        else
            write_sample(out, row->exposed, row->label, metric_value((enum metric)i));
    }
}

static void handle_metrics(void *ctx, struct request *req)
{
    const struct admin *admin = ctx;
    struct buf out = BUF_INIT;
    admin_write_head(&out, "nereidd_build_info", "gauge", "Which build this is");
    buf_printf(&out, "nereidd_build_info{version=\"%s\"} 1\n", admin->version);
    write_metrics(&out);
    admin_write_process(&out, admin->started_us);
    admin_reply(req, 200, "text/plain; version=0.0.4; charset=utf-8", &out);
}

static const struct route routes[] = {
    {HTTP_GET, "/healthz", ROUTE_ANYONE, handle_healthz},
    {HTTP_GET, "/readyz", ROUTE_ANYONE, handle_readyz},
    {HTTP_GET, "/metrics", ROUTE_ANYONE, handle_metrics},
    {HTTP_GET, "/status", ROUTE_ANYONE, admin_status},
    {HTTP_GET, "/sessions", ROUTE_ANYONE, admin_sessions},
    {HTTP_GET, "/threads", ROUTE_ANYONE, admin_threads},
    {HTTP_GET, "/threads/<thread>/watch", ROUTE_ANYONE, admin_watch},
    {HTTP_GET, "/tokens", ROUTE_ANYONE, admin_tokens},
    {HTTP_POST, "/send", ROUTE_ANYONE, admin_send},
};

enum err admin_mount(struct admin *admin, struct router *router)
{
    return router_mount(router, routes, array_len(routes), admin);
}

void admin_listens(struct admin *admin, const char *name, const char *address)
{
    if (admin->listener_count == ADMIN_LISTENERS_MAX)
        return;
    admin->listeners[admin->listener_count].name = name;
    admin->listeners[admin->listener_count].address = address;
    admin->listener_count++;
}
