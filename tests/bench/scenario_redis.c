/* SPDX-License-Identifier: MIT */
/* Scenarios with nodes on one Redis: from node to node, and what happens when Redis is killed. */
#include <stdio.h>

#include "fan.h"
#include "redis.h"
#include "report.h"
#include "scenario.h"
#include "stats.h"
#include "support.h"

enum { GAP_MS = 4, WARM_MS = 200, RECOVERIES_MAX = 5, TRAFFIC_MS = 1200, TRAFFIC_WINDOW = 8, NAME_BYTES = 64 };

static const double target_across = 2.0;
static const double target_recovery_s = 2.0;

static void row_write(const struct settings *settings, const struct scenario *scenario, struct report_row row)
{
    row.scenario = scenario->name;
    report_row_write(settings->sink, &row);
}

/* --- latency ------------------------------------------------------------------------------------------------------ */

/* A conversation whose sender is at the first node. */
struct side {
    struct fan *fan;
    struct samples p50_us;
    struct samples p99_us;
};

static void side_open(struct side *side, struct target *sender_at, struct target *readers_at, const char *room,
                      unsigned readers)
{
    struct fan_plan warm = {.window = 1, .gap_ms = GAP_MS, .run_ms = WARM_MS};

    *side = (struct side){.fan = target_fan_across(sender_at, readers_at, room, readers)};
    fan_run(side->fan, &warm, NULL);
}

static void side_measure(struct side *side, const struct settings *settings)
{
    struct fan_plan plan = {.window = 1, .gap_ms = GAP_MS, .run_ms = settings->round_ms};
    struct samples latencies = {0};

    if (fan_run(side->fan, &plan, &latencies).messages == 0)
        fail("nothing was delivered in %u ms", plan.run_ms);
    samples_add(&side->p50_us, samples_quantile(&latencies, 0.5));
    samples_add(&side->p99_us, samples_quantile(&latencies, 0.99));
    samples_fini(&latencies);
}

static void side_close(struct side *side)
{
    fan_free(side->fan);
    samples_fini(&side->p50_us);
    samples_fini(&side->p99_us);
}

static void latency_write(const struct settings *settings, const struct scenario *scenario, const char *name,
                          struct samples *across, struct samples *within, enum aim aim)
{
    row_write(settings, scenario,
              (struct report_row){.name = name,
                                  .value = samples_median(across),
                                  .unit = "us",
                                  .against = "same node",
                                  .reference = samples_median(within),
                                  .ratio = samples_ratio(across, within),
                                  .aim = aim,
                                  .target = target_across});
}

void redis_latency_run(const struct settings *settings, const struct scenario *scenario)
{
    struct redis redis;
    struct target first;
    struct target second;
    struct side within;
    struct side across;

    redis_start(&redis, settings, false);
    target_start_on(&first, settings, redis.url);
    target_start_on(&second, settings, redis.url);
    side_open(&within, &first, &first, "within", scenario->size);
    side_open(&across, &first, &second, "across", scenario->size);
    for (unsigned i = 0; i < settings->rounds; i++) {
        side_measure(&within, settings);
        side_measure(&across, settings);
    }
    latency_write(settings, scenario, "reader at another node, p50", &across.p50_us, &within.p50_us, AIM_AT_MOST);
    latency_write(settings, scenario, "reader at another node, p99", &across.p99_us, &within.p99_us, AIM_NONE);
    target_stop(&first);
    target_stop(&second);
    side_close(&within);
    side_close(&across);
    redis_stop(&redis);
}

/* --- recovery ----------------------------------------------------------------------------------------------------- */

struct recovery {
    struct samples start_s;        /* Redis: from its death to its first answer */
    struct samples acknowledged_s; /* from that answer to the first message's */
    struct samples delivered_s;    /* from that answer until every reader has this message */
    struct samples refusals;
};

static double seconds_between(uint64_t from_ns, uint64_t to_ns)
{
    return ((double)to_ns - (double)from_ns) / 1e9;
}

/* The traffic afterwards shows that all streams are there still and miss nothing. */
static void recovery_round(struct recovery *recovery, struct redis *redis, struct target *target, struct fan *fan)
{
    struct fan_plan traffic = {.window = TRAFFIC_WINDOW, .run_ms = TRAFFIC_MS};
    uint64_t killed_ns = now_ns();
    struct fan_insisted insisted;
    uint64_t back_ns;

    redis_kill(redis);
    redis_start_again(redis);
    redis_wait(redis);
    back_ns = now_ns();
    insisted = fan_insist(fan, target_send_again_request, target);
    samples_add(&recovery->start_s, seconds_between(killed_ns, back_ns));
    samples_add(&recovery->acknowledged_s, seconds_between(back_ns, insisted.acknowledged_ns));
    samples_add(&recovery->delivered_s, seconds_between(back_ns, insisted.delivered_ns));
    samples_add(&recovery->refusals, insisted.refusals);
    if (fan_run(fan, &traffic, NULL).messages == 0)
        fail("nothing was delivered in %u ms", traffic.run_ms);
}

static void recovery_write(const struct settings *settings, const struct scenario *scenario, struct recovery *recovery)
{
    char name[NAME_BYTES];

    snprintf(name, sizeof name, "Redis is back, message at all %u streams", scenario->size);
    row_write(settings, scenario,
              (struct report_row){.name = "Redis is back, message acknowledged",
                                  .value = samples_median(&recovery->acknowledged_s),
                                  .unit = "s",
                                  .aim = AIM_AT_MOST,
                                  .target = target_recovery_s});
    row_write(settings, scenario,
              (struct report_row){.name = name, .value = samples_median(&recovery->delivered_s), .unit = "s"});
    row_write(settings, scenario,
              (struct report_row){
                  .name = "Redis is killed, answers again", .value = samples_median(&recovery->start_s), .unit = "s"});
    row_write(settings, scenario,
              (struct report_row){
                  .name = "refused meanwhile", .value = samples_median(&recovery->refusals), .unit = "attempts"});
    samples_fini(&recovery->start_s);
    samples_fini(&recovery->acknowledged_s);
    samples_fini(&recovery->delivered_s);
    samples_fini(&recovery->refusals);
}

void redis_recovery_run(const struct settings *settings, const struct scenario *scenario)
{
    unsigned rounds = settings->rounds < RECOVERIES_MAX ? settings->rounds : RECOVERIES_MAX;
    struct fan_plan warm = {.window = TRAFFIC_WINDOW, .run_ms = TRAFFIC_MS};
    struct recovery recovery = {0};
    struct redis redis;
    struct target target;
    struct fan *fan;

    redis_start(&redis, settings, true);
    target_start_on(&target, settings, redis.url);
    fan = target_fan(&target, scenario->size);
    fan_run(fan, &warm, NULL);
    for (unsigned i = 0; i < rounds; i++)
        recovery_round(&recovery, &redis, &target, fan);
    recovery_write(settings, scenario, &recovery);
    target_stop(&target);
    fan_free(fan);
    redis_stop(&redis);
}
