/* SPDX-License-Identifier: MIT */
/*
 * The probe: timed marks on a stream, by which a client finds out what lies between.
 *
 * Marks that come as they are sent: streams pass. Marks that come in lumps: a hop holds back so many bytes. All at the
 * end: a hop waits for the end. Each mark is one line, `{"mark":1,"of":5,"timestamp":…,"pad":"…"}`; the last is
 * followed by the end of the stream.
 */
#include <stdlib.h>
#include <utlist.h>

#include "adapters/nereid/adapter.h"
#include "base/log.h"
#include "base/time.h"

enum { MARKS_DEFAULT = 5, MARKS_MAX = 100, GAP_DEFAULT_MS = 200, GAP_MAX_MS = 20000, PAD_MAX = 65536 };
enum { LASTS_MAX_MS = 600000 };

struct probe {
    struct stream stream;
    struct timer timer; /* the next mark */
    struct nereid *nereid;
    struct probe *prev, *next; /* in nereid->probes */
    int64_t marks;
    int64_t gap_ms;
    int64_t pad;
    int64_t mark; /* sent so far */
};

static struct probe *probe_of(struct conn *conn)
{
    return container_of(conn, struct probe, stream.conn);
}

static void probe_stop(struct probe *probe)
{
    timer_clear(loop_timers(probe->nereid->loop), &probe->timer);
}

static enum err send_mark(struct probe *probe)
{
    char time[TIME_TEXT_SIZE];
    struct buf out = BUF_INIT;
    probe->mark++;
    buf_printf(&out, "{\"mark\":%lld,\"of\":%lld,\"timestamp\":\"%s\",\"pad\":\"%*s\"}\n", (long long)probe->mark,
               (long long)probe->marks, time_format(clock_wall_us(loop_clock(probe->nereid->loop)), time),
               (int)probe->pad, "");
    enum err err = buf_failed(&out) ? ERR_NO_MEMORY : stream_write(&probe->stream, buf_span(&out));
    buf_fini(&out);
    return err;
}

static void note_slow_reader(const struct probe *probe)
{
    const struct conn *conn = &probe->stream.conn;
    metric_add(METRIC_LIMIT_QUEUE, 1);
    log_event(LOG_INFO, "probe ended: slow reader", log_span("address", conn_address(conn)),
              log_int("queued_bytes", conn_queued(conn)));
}

static void mark_due(struct timer *timer)
{
    struct probe *probe = container_of(timer, struct probe, timer);
    struct loop *loop = probe->nereid->loop;
    enum err err = send_mark(probe);
    if (err == ERR_SLOW_READER)
        note_slow_reader(probe);
    if (err || probe->mark == probe->marks)
        stream_end(&probe->stream, NULL);
    else
        timer_set(loop_timers(loop), timer, loop_now_ms(loop) + probe->gap_ms);
}

static void probe_gone(struct conn *conn, enum err err unused_arg)
{
    probe_stop(probe_of(conn));
}

/* Also for one that never opened. */
static void probe_free(struct probe *probe)
{
    timer_fini(loop_timers(probe->nereid->loop), &probe->timer);
    free(probe);
}

static void probe_closed(struct conn *conn)
{
    struct probe *probe = probe_of(conn);
    DL_DELETE(probe->nereid->probes, probe);
    probe_free(probe);
}

static const struct conn_ops probe_conn_ops = {.closed = probe_gone, .free = probe_closed};

static void probe_opened(void *ctx, enum err err, struct handoff *handoff)
{
    struct probe *probe = ctx;
    if (!err)
        err = stream_open(&probe->stream, probe->nereid->conns, &probe_conn_ops, handoff);
    if (err) {
        probe_free(probe);
        return;
    }
    DL_APPEND(probe->nereid->probes, probe);
    if (probe->nereid->shut)
        stream_end(&probe->stream, NULL);
    else
        timer_set(loop_timers(probe->nereid->loop), &probe->timer, loop_now_ms(probe->nereid->loop));
}

void probes_end(struct nereid *nereid)
{
    struct probe *probe;
    DL_FOREACH (nereid->probes, probe) {
        probe_stop(probe);
        stream_end(&probe->stream, NULL);
    }
}

static void read_probe(struct reader *in, struct probe *probe)
{
    probe->marks = MARKS_DEFAULT;
    probe->gap_ms = GAP_DEFAULT_MS;
    read_count(in, "marks", 1, MARKS_MAX, &probe->marks);
    read_count(in, "gap", 0, GAP_MAX_MS, &probe->gap_ms);
    read_count(in, "pad", 0, PAD_MAX, &probe->pad);
    if ((probe->marks - 1) * probe->gap_ms > LASTS_MAX_MS)
        reader_note(in, "gap", ERR_BAD_FIELD);
}

/* Null: no memory. */
static struct probe *probe_new(struct nereid *nereid)
{
    struct probe *probe = calloc(1, sizeof(*probe));
    if (!probe)
        return NULL;
    probe->nereid = nereid;
    if (timer_init(loop_timers(nereid->loop), &probe->timer, mark_due) == OK)
        return probe;
    free(probe);
    return NULL;
}

void nereid_probe(void *ctx, struct request *req)
{
    struct nereid *nereid = ctx;
    if (nereid->shut) {
        request_fail(req, ERR_SHUTTING_DOWN, NULL, 0);
        return;
    }
    uint32_t wait_s = rate_take(nereid->probe_rate, request_address(req), loop_now_ms(nereid->loop));
    if (wait_s) {
        metric_add(METRIC_LIMIT_PROBES, 1);
        request_fail(req, ERR_TOO_MANY, NULL, wait_s);
        return;
    }
    struct probe *probe = probe_new(nereid);
    struct reader in = reader_of(req);
    if (!probe) {
        request_fail(req, ERR_NO_MEMORY, NULL, 0);
        return;
    }
    read_probe(&in, probe);
    if (in.err) {
        probe_free(probe);
        request_refuse(&in);
        return;
    }
    request_stream(req, "application/x-ndjson", stream_headers, probe_opened, probe);
}
