/* SPDX-License-Identifier: MIT */
/*
 * Acknowledged sends on Redis: how many messages per second nereidd puts into the log and answers, against what
 * redis-benchmark adds of the same entries to a stream of the same server over as many connections. The two take turns.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "redis.h"
#include "report.h"
#include "scenario.h"
#include "stats.h"
#include "support.h"

enum {
    ROUND_FACTOR = 2,
    SENDS_S = 60,
    ALONE_FIRST = 20000,
    INDEX_DIGITS = 10,
    PAGE_ENTRIES = 1000,
    ID_BYTES = 48,
    NAME_BYTES = 64,
};

static const double target_redis_sends = 0.5;

struct contest {
    const struct settings *settings;
    const struct scenario *scenario;
    struct redis redis;
    struct target target;
    char last[ID_BYTES];    /* of the log, when the round began */
    redisReply *entry;      /* of a message, as redis-benchmark is to add it */
    unsigned alone_count;   /* as many as take about as long as a round */
    struct samples sends;   /* messages per second */
    struct samples alone;   /* XADD per second */
    struct samples node_us; /* CPU per message */
    struct samples redis_us;
    struct samples bench_us;
    struct samples alone_us; /* the server's CPU per XADD */
};

/* --- sending ------------------------------------------------------------------------------------------------------ */

struct sends {
    struct target *target;
    uint64_t end_ns;
    uint64_t asked;
    uint64_t cap;
    uint64_t *asked_then; /* of each message: how many had been asked for when it was acknowledged */
};

static size_t send_write(void *self, uint64_t index, char ret[LOAD_REQUEST_BYTES])
{
    struct sends *sends = self;
    char text[FAN_TEXT_BYTES + 1];

    if (now_ns() >= sends->end_ns)
        return 0;
    memset(text, 's', FAN_TEXT_BYTES);
    snprintf(text, sizeof text, "%010llu", (unsigned long long)index);
    text[INDEX_DIGITS] = 's';
    text[FAN_TEXT_BYTES] = '\0';
    sends->asked = index + 1;
    return target_send_request(sends->target, text, ret);
}

static void send_answered(void *self, uint64_t index, int status, const char *body, size_t body_bytes)
{
    struct sends *sends = self;

    (void)body_bytes;
    if (status != 200)
        fail("message %llu was answered with %d: %.200s", (unsigned long long)index, status, body);
    if (sends->asked > sends->cap) {
        sends->cap = sends->asked * 2;
        sends->asked_then = realloc_items(sends->asked_then, sends->cap, sizeof *sends->asked_then);
    }
    sends->asked_then[index] = sends->asked;
}

/* --- what became of it -------------------------------------------------------------------------------------------- */

static const char *entry_field(const redisReply *fields, const char *name)
{
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        if (strcmp(fields->element[i]->str, name) == 0)
            return fields->element[i + 1]->str;
    }
    return NULL;
}

/* Adds the indices of the messages of a page of the log to `order`; moves on `last`. False when there are no more. */
static bool page_read(struct contest *contest, uint64_t *order, uint64_t *n, uint64_t sent)
{
    redisReply *page = redis_ask(&contest->redis, "XRANGE chat:log (%s + COUNT %d", contest->last, PAGE_ENTRIES);
    bool more = page->elements > 0;

    for (size_t i = 0; i < page->elements; i++) {
        const char *text = entry_field(page->element[i]->element[1], "text");

        snprintf(contest->last, sizeof contest->last, "%s", page->element[i]->element[0]->str);
        if (text == NULL)
            continue;
        if (*n == sent)
            fail("%llu messages were acknowledged, and more are in the log", (unsigned long long)sent);
        order[(*n)++] = strtoull(text, NULL, 10);
    }
    freeReplyObject(page);
    return more;
}

static void once_check(const uint64_t *order, uint64_t n)
{
    bool *seen = alloc_items(n, sizeof *seen);

    for (uint64_t i = 0; i < n; i++) {
        if (order[i] >= n || seen[order[i]])
            fail("message %llu is in the log twice, or was never sent", (unsigned long long)order[i]);
        seen[order[i]] = true;
    }
    free(seen);
}

/* A message that was acknowledged before another was sent stands before it. */
static void order_check(const uint64_t *order, uint64_t n, const uint64_t *asked_then)
{
    uint64_t least = UINT64_MAX; /* asked for when any of the messages further down was acknowledged */

    for (uint64_t i = n; i-- > 0;) {
        if (order[i] >= least)
            fail("message %llu stands in the log before one that was acknowledged earlier than it was sent",
                 (unsigned long long)order[i]);
        if (asked_then[order[i]] < least)
            least = asked_then[order[i]];
    }
}

static void log_check(struct contest *contest, const struct sends *sends, uint64_t sent)
{
    uint64_t *order = alloc_items(sent, sizeof *order);
    uint64_t n = 0;

    while (page_read(contest, order, &n, sent))
        continue;
    if (n != sent)
        fail("%llu messages were acknowledged, and %llu are in the log", (unsigned long long)sent,
             (unsigned long long)n);
    once_check(order, n);
    order_check(order, n, sends->asked_then);
    free(order);
}

/* --- rounds ------------------------------------------------------------------------------------------------------- */

static void sends_round(struct contest *contest)
{
    static const struct load_ops ops = {send_write, send_answered};
    struct target *target = &contest->target;
    uint64_t node_ns = proc_cpu_ns(&target->proc);
    uint64_t redis_ns = proc_cpu_ns(&contest->redis.proc);
    uint64_t bench_ns = own_cpu_ns();
    uint64_t start_ns = now_ns();
    struct sends sends = {.target = target,
                          .end_ns = start_ns + contest->settings->round_ms * NS_PER_MS * ROUND_FACTOR};
    uint64_t sent = load_run(&target->http, contest->scenario->size, &ops, &sends, deadline_in(SENDS_S));
    double seconds = (double)(now_ns() - start_ns) / 1e9;
    double per_message = 1 / 1e3 / (double)(sent > 0 ? sent : 1);

    samples_add(&contest->sends, (double)sent / seconds);
    samples_add(&contest->node_us, (double)(proc_cpu_ns(&target->proc) - node_ns) * per_message);
    samples_add(&contest->redis_us, (double)(proc_cpu_ns(&contest->redis.proc) - redis_ns) * per_message);
    samples_add(&contest->bench_us, (double)(own_cpu_ns() - bench_ns) * per_message);
    log_check(contest, &sends, sent);
    free(sends.asked_then);
}

static void alone_round(struct contest *contest)
{
    const redisReply *fields = contest->entry->element[0]->element[1];
    struct redis_alone_result alone =
        redis_alone(&contest->redis, fields, contest->scenario->size, contest->alone_count);

    samples_add(&contest->alone, alone.adds_per_s);
    samples_add(&contest->alone_us, alone.cpu_us);
    contest->alone_count = (unsigned)(alone.adds_per_s * contest->settings->round_ms * ROUND_FACTOR / 1e3) + 1;
}

static void samples_all(struct contest *contest, void (*each)(struct samples *samples))
{
    each(&contest->sends);
    each(&contest->alone);
    each(&contest->node_us);
    each(&contest->redis_us);
    each(&contest->bench_us);
    each(&contest->alone_us);
}

/* The first round of each is not counted: it shows what an entry looks like, and how long a round is. */
static void contest_open(struct contest *contest, const struct settings *settings, const struct scenario *scenario,
                         bool appendonly)
{
    *contest = (struct contest){.settings = settings, .scenario = scenario, .alone_count = ALONE_FIRST, .last = "0-0"};
    redis_start(&contest->redis, settings, appendonly);
    target_start_on(&contest->target, settings, contest->redis.url);
    target_lonely_room(&contest->target);
    sends_round(contest);
    contest->entry = redis_ask(&contest->redis, "XREVRANGE chat:log + - COUNT 1");
    if (contest->entry->elements != 1)
        fail("the log is empty");
    alone_round(contest);
    samples_all(contest, samples_clear);
}

static void contest_close(struct contest *contest)
{
    target_stop(&contest->target);
    freeReplyObject(contest->entry);
    redis_stop(&contest->redis);
    samples_all(contest, samples_fini);
}

static void row_write(const struct contest *contest, const char *what, struct report_row row)
{
    char name[NAME_BYTES];

    snprintf(name, sizeof name, "%s: %s", contest->redis.appendonly ? "appendonly" : "no file", what);
    row.scenario = contest->scenario->name;
    row.name = name;
    report_row_write(contest->settings->sink, &row);
}

static void contest_write(struct contest *contest)
{
    const char *unit = "us/message";

    row_write(contest, "sends",
              (struct report_row){.value = samples_median(&contest->sends),
                                  .unit = "messages/s",
                                  .against = "XADD",
                                  .reference = samples_median(&contest->alone),
                                  .ratio = samples_ratio(&contest->sends, &contest->alone),
                                  .aim = contest->redis.appendonly ? AIM_NONE : AIM_AT_LEAST,
                                  .target = target_redis_sends});
    row_write(contest, "CPU of nereidd", (struct report_row){.value = samples_median(&contest->node_us), .unit = unit});
    row_write(contest, "CPU of redis-server",
              (struct report_row){.value = samples_median(&contest->redis_us),
                                  .unit = unit,
                                  .against = "XADD",
                                  .reference = samples_median(&contest->alone_us),
                                  .ratio = samples_ratio(&contest->redis_us, &contest->alone_us)});
    row_write(contest, "CPU of the bench",
              (struct report_row){.value = samples_median(&contest->bench_us), .unit = unit});
}

void redis_sends_run(const struct settings *settings, const struct scenario *scenario)
{
    for (int appendonly = 0; appendonly <= 1; appendonly++) {
        struct contest contest;

        contest_open(&contest, settings, scenario, appendonly);
        for (unsigned i = 0; i < settings->rounds; i++) {
            sends_round(&contest);
            alone_round(&contest);
        }
        contest_write(&contest);
        contest_close(&contest);
    }
}
