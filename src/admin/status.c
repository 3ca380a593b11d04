/* SPDX-License-Identifier: MIT */
/*
 * GET /status: this process in a few lines.
 *
 *     {"version":"0.1.0","ready":true,"reason":null,"pid":4711,"started":…,"now":…,"store":"sqlite:chat.db",
 *      "listeners":[{"name":"http","address":"127.0.0.1:8080"},…],"connections":3,"sessions":{"nereid-stream":2,…},
 *      "users":5,"threads":2,"messages":{"in":7,"out":12},"queue_bytes":0,"cursor":"7"}
 */
#include <inttypes.h>
#include <unistd.h>

#include "admin/inside.h"
#include "base/metric.h"
#include "base/span.h"
#include "stanza/stanza.h"

static void write_ready(struct buf *out, const struct admin *admin)
{
    const char *reason = "shutting down";
    bool ready = !admin->draining && hub_ready(admin->hub, &reason);
    buf_printf(out, "\"ready\":%s,\"reason\":", ready ? "true" : "false");
    if (ready)
        buf_add_text(out, "null");
    else
        buf_add_json(out, span_of(reason));
}

static void write_listeners(struct buf *out, const struct admin *admin)
{
    buf_add_text(out, ",\"listeners\":[");
    for (unsigned i = 0; i < admin->listener_count && !admin->draining; i++) {
        buf_add_text(out, i ? ",{\"name\":" : "{\"name\":");
        buf_add_json(out, span_of(admin->listeners[i].name));
        buf_add_text(out, ",\"address\":");
        buf_add_json(out, span_of(admin->listeners[i].address));
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
}

static void write_count(struct buf *out, const char *key, enum metric metric)
{
    buf_printf(out, "\"%s\":%" PRId64, key, metric_value(metric));
}

/* What a metric's label says: `protocol="talker"` is talker. */
static struct span label_value(const char *label)
{
    const char *begin = strchr(label, '"');
    const char *end = begin ? strchr(begin + 1, '"') : NULL;
    return end ? (struct span){begin + 1, (size_t)(end - begin - 1)} : span_of(label);
}

/* One number for each protocol that has a gauge of sessions. */
static void write_sessions(struct buf *out)
{
    unsigned count = 0;
    buf_add_text(out, ",\"sessions\":{");
    for (unsigned i = 0; i < METRIC_COUNT; i++) {
        const struct metric_row *row = metric_row((enum metric)i);
        if (!span_is(span_of(row->exposed), metric_row(METRIC_SESSIONS_STREAM)->exposed))
            continue;
        if (count++)
            buf_add_char(out, ',');
        buf_add_json(out, label_value(row->label));
        buf_printf(out, ":%" PRId64, metric_value((enum metric)i));
    }
    buf_add_char(out, '}');
}

static void write_counts(struct buf *out, const struct admin *admin)
{
    char cursor[CURSOR_TEXT_SIZE];
    write_count(out, "connections", METRIC_CONNECTIONS);
    write_sessions(out);
    buf_add_char(out, ',');
    write_count(out, "users", METRIC_USERS);
    buf_add_char(out, ',');
    write_count(out, "threads", METRIC_THREADS);
    buf_add_text(out, ",\"messages\":{");
    write_count(out, "in", METRIC_MESSAGES_IN);
    buf_add_char(out, ',');
    write_count(out, "out", METRIC_MESSAGES_OUT);
    buf_add_text(out, "},");
    write_count(out, "queue_bytes", METRIC_QUEUE_BYTES);
    buf_printf(out, ",\"cursor\":\"%s\"", cursor_format(hub_cursor(admin->hub), cursor));
}

void admin_status(void *ctx, struct request *req)
{
    const struct admin *admin = ctx;
    struct buf out = BUF_INIT;
    if (!admin_admits(req))
        return;
    buf_add_text(&out, "{\"version\":");
    buf_add_json(&out, span_of(admin->version));
    buf_add_char(&out, ',');
    write_ready(&out, admin);
    buf_printf(&out, ",\"pid\":%d,", (int)getpid());
    stanza_write_time(&out, "started", admin->started_us);
    buf_add_char(&out, ',');
    stanza_write_time(&out, "now", clock_wall_us(loop_clock(admin->loop)));
    buf_add_text(&out, ",\"store\":");
    buf_add_json(&out, admin->store);
    write_listeners(&out, admin);
    buf_add_char(&out, ',');
    write_counts(&out, admin);
    buf_add_char(&out, '}');
    admin_reply_json(req, &out);
}
