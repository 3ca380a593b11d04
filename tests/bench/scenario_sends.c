/* SPDX-License-Identifier: MIT */
/*
 * Acknowledged sends: how many messages per second nereidd makes durable and answers, against what SQLite alone
 * commits of the same rows, in transactions of the size that nereidd reached, in the same run on the same disk.
 */
#include <stdio.h>
#include <string.h>

#include "load.h"
#include "report.h"
#include "scenario.h"
#include "sqlite_alone.h"
#include "stats.h"
#include "support.h"

enum { ROUND_FACTOR = 4, SENDS_S = 60 };

static const double target_sends = 0.5;

struct sends {
    struct target *target;
    uint64_t end_ns;
};

static size_t send_write(void *self, uint64_t index, char ret[LOAD_REQUEST_BYTES])
{
    const struct sends *sends = self;
    char text[FAN_TEXT_BYTES + 1];

    if (now_ns() >= sends->end_ns)
        return 0;
    memset(text, 's', FAN_TEXT_BYTES);
    snprintf(text, sizeof text, "%010llu", (unsigned long long)index);
    text[10] = 's';
    text[FAN_TEXT_BYTES] = '\0';
    return target_send_request(sends->target, text, ret);
}

static void send_answered(void *self, uint64_t index, int status, const char *body, size_t body_bytes)
{
    (void)self;
    (void)body_bytes;
    if (status != 200)
        fail("message %llu was answered with %d: %.200s", (unsigned long long)index, status, body);
}

struct round {
    double sends_per_s;
    double alone_per_s;
    double batch_rows;
    double cpu_us; /* the server's, per message */
};

static uint64_t round_load(const struct settings *settings, struct target *target, unsigned connections,
                           struct round *round)
{
    static const struct load_ops ops = {send_write, send_answered};
    double commits_before = target_metric(target, "nereidd_store_commits_total");
    uint64_t cpu_before_ns = proc_cpu_ns(&target->proc);
    uint64_t start_ns = now_ns();
    struct sends sends = {.target = target, .end_ns = start_ns + settings->round_ms * NS_PER_MS * ROUND_FACTOR};
    uint64_t sent = load_run(&target->http, connections, &ops, &sends, deadline_in(SENDS_S));
    double seconds = (double)(now_ns() - start_ns) / 1e9;
    double commits = target_metric(target, "nereidd_store_commits_total") - commits_before;

    if (commits < 1)
        fail("%llu messages were answered and nothing was committed", (unsigned long long)sent);
    round->sends_per_s = (double)sent / seconds;
    round->batch_rows = (double)sent / commits;
    round->cpu_us = (double)(proc_cpu_ns(&target->proc) - cpu_before_ns) / 1e3 / (double)sent;
    return sent;
}

static void round_run(const struct settings *settings, unsigned connections, struct round *round)
{
    struct target target;
    char source[TARGET_PATH_BYTES];
    char copy[TARGET_PATH_BYTES + 8];
    struct alone_result alone;
    uint64_t sent;

    target_start(&target, settings, TARGET_FILE, 0);
    target_lonely_room(&target);
    sent = round_load(settings, &target, connections, round);
    target_stop(&target);
    target_database(&target, source);
    snprintf(copy, sizeof copy, "%s-alone", source);
    alone = sqlite_alone_run(source, copy, (unsigned)(round->batch_rows + 0.5));
    if (alone.rows != sent)
        fail("%llu messages were acknowledged and %zu are stored", (unsigned long long)sent, alone.rows);
    round->alone_per_s = (double)alone.rows / alone.seconds;
}

static void row_write(const struct settings *settings, const struct scenario *scenario, struct report_row row)
{
    row.scenario = scenario->name;
    report_row_write(settings->sink, &row);
}

void sends_run(const struct settings *settings, const struct scenario *scenario)
{
    struct samples sends = {0};
    struct samples alone = {0};
    struct samples batches = {0};
    struct samples cpu = {0};
    char name[64];

    for (unsigned i = 0; i < settings->rounds; i++) {
        struct round round;

        round_run(settings, scenario->size, &round);
        samples_add(&sends, round.sends_per_s);
        samples_add(&alone, round.alone_per_s);
        samples_add(&batches, round.batch_rows);
        samples_add(&cpu, round.cpu_us);
    }
    snprintf(name, sizeof name, "file, %u connections", scenario->size);
    row_write(settings, scenario,
              (struct report_row){.name = name,
                                  .value = samples_median(&sends),
                                  .unit = "messages/s",
                                  .against = "SQLite alone",
                                  .reference = samples_median(&alone),
                                  .ratio = samples_ratio(&sends, &alone),
                                  .aim = AIM_AT_LEAST,
                                  .target = target_sends});
    row_write(
        settings, scenario,
        (struct report_row){.name = "messages in one commit", .value = samples_median(&batches), .unit = "messages"});
    row_write(settings, scenario,
              (struct report_row){.name = "server CPU", .value = samples_median(&cpu), .unit = "us/message"});
    samples_fini(&sends);
    samples_fini(&alone);
    samples_fini(&batches);
    samples_fini(&cpu);
}
