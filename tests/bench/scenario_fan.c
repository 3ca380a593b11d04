/* SPDX-License-Identifier: MIT */
/*
 * Scenarios with readers who get messages: fan-out and latency.
 *
 * All contenders are up at once and take turns, round after round, so that what else happens on the machine befalls
 * them alike. A figure is the median of its rounds, a ratio the median of the rounds' ratios.
 */
#include <stdio.h>

#include "fan.h"
#include "figures.h"
#include "report.h"
#include "scenario.h"
#include "stats.h"
#include "support.h"

enum { WARM_MS = 100, WINDOW_WIDE = 32, LATENCY_GAP_MS = 4, NAME_BYTES = 64 };

static const double target_single = 0.8;
static const double target_wide = 1.0;

struct contender {
    enum target_kind kind;
    struct target target;
    struct fan *fan;
    struct figures figures;
};

struct contest {
    const struct settings *settings;
    const struct scenario *scenario;
    struct contender contenders[TARGET_KINDS];
    unsigned count;
};

static void contender_open(struct contest *contest, enum target_kind kind)
{
    struct contender *contender = &contest->contenders[contest->count++];
    size_t line_bytes = contest->contenders[0].target.line_bytes;

    contender->kind = kind;
    target_start(&contender->target, contest->settings, kind,
                 line_bytes > FAN_TEXT_BYTES ? line_bytes - FAN_TEXT_BYTES : 0);
    contender->fan = target_fan(&contender->target, contest->scenario->size);
}

/* nereidd first: limit's envelopes are made as long as its are. */
static void contest_open(struct contest *contest, const struct settings *settings, const struct scenario *scenario)
{
    *contest = (struct contest){.settings = settings, .scenario = scenario};
    if (settings->nereidd != NULL) {
        contender_open(contest, TARGET_FILE);
        contender_open(contest, TARGET_MEMORY);
    }
    contender_open(contest, TARGET_LIMIT);
    contender_open(contest, TARGET_LIMIT_EACH);
}

static void contest_close(struct contest *contest)
{
    for (unsigned i = 0; i < contest->count; i++) {
        struct contender *contender = &contest->contenders[i];

        target_stop(&contender->target);
        fan_free(contender->fan);
        figures_fini(&contender->figures);
    }
}

static void contender_measure(struct contender *contender, const struct fan_plan *plan)
{
    figures_measure(&contender->figures, contender->fan, plan, &contender->target.proc, target_name(contender->kind));
}

static void contest_run(struct contest *contest, const struct fan_plan *plan)
{
    struct fan_plan warm = {.window = plan->window, .run_ms = WARM_MS};

    for (unsigned i = 0; i < contest->count; i++) {
        figures_clear(&contest->contenders[i].figures);
        fan_run(contest->contenders[i].fan, &warm, NULL);
    }
    for (unsigned round = 0; round < contest->settings->rounds; round++) {
        for (unsigned i = 0; i < contest->count; i++)
            contender_measure(&contest->contenders[i], plan);
    }
}

static struct contender *contender_find(struct contest *contest, enum target_kind kind)
{
    for (unsigned i = 0; i < contest->count; i++) {
        if (contest->contenders[i].kind == kind)
            return &contest->contenders[i];
    }
    return NULL;
}

static void row_write(const struct contest *contest, struct report_row *row)
{
    row->scenario = contest->scenario->name;
    report_row_write(contest->settings->sink, row);
}

static void rate_write(struct contest *contest, struct contender *contender, unsigned window, enum target_kind against,
                       enum aim aim)
{
    struct contender *reference = contender_find(contest, against);
    char name[NAME_BYTES];
    struct report_row row = {
        .name = name,
        .value = samples_median(&contender->figures.rates),
        .unit = "deliveries/s",
        .against = target_name(against),
        .reference = samples_median(&reference->figures.rates),
        .ratio = samples_ratio(&contender->figures.rates, &reference->figures.rates),
        .aim = aim,
        .target = window == 1 ? target_single : target_wide,
    };

    snprintf(name, sizeof name, "%s, %u in flight", target_name(contender->kind), window);
    row_write(contest, &row);
}

static void cpu_write(struct contest *contest, struct contender *contender, unsigned window)
{
    struct contender *reference = contender_find(contest, TARGET_LIMIT);
    char name[NAME_BYTES];
    struct report_row row = {
        .name = name,
        .value = samples_median(&contender->figures.cpu_us),
        .unit = "us/delivery",
        .against = target_name(TARGET_LIMIT),
        .reference = samples_median(&reference->figures.cpu_us),
        .ratio = samples_ratio(&contender->figures.cpu_us, &reference->figures.cpu_us),
    };

    snprintf(name, sizeof name, "%s, %u in flight: server CPU", target_name(contender->kind), window);
    row_write(contest, &row);
}

static void client_write(struct contest *contest, unsigned window)
{
    struct contender *reference = contender_find(contest, TARGET_LIMIT);
    char name[NAME_BYTES];
    struct report_row row = {
        .name = name,
        .value = samples_median(&reference->figures.client_shares),
        .unit = "% of a CPU",
    };

    snprintf(name, sizeof name, "bench itself with limit, %u in flight", window);
    row_write(contest, &row);
}

static void fanout_write(struct contest *contest, unsigned window)
{
    for (unsigned i = 0; i < contest->count; i++) {
        struct contender *contender = &contest->contenders[i];
        bool judged = contender->kind == TARGET_FILE || contender->kind == TARGET_MEMORY;

        if (contender->kind != TARGET_LIMIT)
            rate_write(contest, contender, window, TARGET_LIMIT, judged && window == 1 ? AIM_AT_LEAST : AIM_NONE);
        if (judged && window > 1)
            rate_write(contest, contender, window, TARGET_LIMIT_EACH, AIM_AT_LEAST);
        if (contender->kind != TARGET_LIMIT)
            cpu_write(contest, contender, window);
    }
    client_write(contest, window);
}

void fanout_run(const struct settings *settings, const struct scenario *scenario)
{
    static const unsigned windows[] = {1, WINDOW_WIDE};
    struct contest contest;

    contest_open(&contest, settings, scenario);
    for (unsigned i = 0; i < sizeof windows / sizeof *windows; i++) {
        struct fan_plan plan = {.window = windows[i], .run_ms = settings->round_ms};

        contest_run(&contest, &plan);
        fanout_write(&contest, windows[i]);
    }
    contest_close(&contest);
}

static void latency_write(struct contest *contest, struct contender *contender)
{
    char name[NAME_BYTES];
    struct report_row row = {.name = name, .unit = "us", .value = samples_median(&contender->figures.p50_us)};

    snprintf(name, sizeof name, "%s, %u reader, p50", target_name(contender->kind), contest->scenario->size);
    row_write(contest, &row);
    row.value = samples_median(&contender->figures.p99_us);
    snprintf(name, sizeof name, "%s, %u reader, p99", target_name(contender->kind), contest->scenario->size);
    row_write(contest, &row);
}

void latency_run(const struct settings *settings, const struct scenario *scenario)
{
    struct fan_plan plan = {.window = 1, .gap_ms = LATENCY_GAP_MS, .run_ms = settings->round_ms};
    struct contest contest;

    contest_open(&contest, settings, scenario);
    contest_run(&contest, &plan);
    for (unsigned i = 0; i < contest.count; i++)
        latency_write(&contest, &contest.contenders[i]);
    contest_close(&contest);
}
