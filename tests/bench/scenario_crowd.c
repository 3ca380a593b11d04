/* SPDX-License-Identifier: MIT */
/* Scenarios with many idle streams: their memory, what they cost their neighbours, how fast they connect. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "report.h"
#include "scenario.h"
#include "stats.h"
#include "support.h"

enum { NEIGHBOUR_READERS = 10, NAME_BYTES = 64, SPARE_FDS = 500, WARM_MS = 300 };

static const double target_stream_bytes = 1024;
static const double target_neighbours = 1.3;
static const double target_connects_s = 3;

static void row_write(const struct settings *settings, const struct scenario *scenario, struct report_row *row)
{
    row->scenario = scenario->name;
    report_row_write(settings->sink, row);
}

/* Both the bench and the server need a descriptor for each stream. */
static void descriptors_check(unsigned streams)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < streams + SPARE_FDS)
        fail("%u streams need a higher limit of open files (ulimit -n) than %llu", streams,
             (unsigned long long)limit.rlim_cur);
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

void memory_run(const struct settings *settings, const struct scenario *scenario)
{
    int *fds = alloc_items(scenario->size, sizeof *fds);
    struct report_row row = {
        .name = "user memory per idle stream",
        .unit = "bytes",
        .aim = AIM_AT_MOST,
        .target = target_stream_bytes,
    };
    struct report_row kernel = {.name = "kernel memory per stream, both ends", .unit = "bytes"};
    struct target target;
    uint64_t before;
    uint64_t kernel_before;

    descriptors_check(scenario->size);
    target_start(&target, settings, TARGET_FILE, 0);
    before = proc_settled_anon_bytes(&target.proc);
    kernel_before = kernel_object_bytes();
    target_crowd(&target, "idle", scenario->size, NULL, fds);
    row.value = ((double)proc_settled_anon_bytes(&target.proc) - (double)before) / scenario->size;
    kernel.value = ((double)kernel_object_bytes() - (double)kernel_before) / scenario->size;
    row_write(settings, scenario, &row);
    row_write(settings, scenario, &kernel);
    target_stop(&target);
    streams_close(fds, scenario->size);
    free(fds);
}

/* --- neighbours --------------------------------------------------------------------------------------------------- */

struct neighbour {
    struct target target;
    struct fan *fan;
    struct samples p50_us;
    struct samples p99_us;
    struct samples cpu_us;
};

static void neighbour_open(struct neighbour *neighbour, const struct settings *settings, enum target_kind kind)
{
    struct fan_plan warm = {.window = 1, .run_ms = WARM_MS};

    *neighbour = (struct neighbour){0};
    target_start(&neighbour->target, settings, kind, 0);
    neighbour->fan = target_fan(&neighbour->target, NEIGHBOUR_READERS);
    fan_run(neighbour->fan, &warm, NULL);
}

static void neighbour_measure(struct neighbour *neighbour, const struct settings *settings)
{
    struct fan_plan plan = {.window = 1, .run_ms = settings->round_ms};
    struct samples latencies = {0};
    uint64_t before_ns = proc_cpu_ns(&neighbour->target.proc);
    struct fan_result result = fan_run(neighbour->fan, &plan, &latencies);
    double cpu_ns = (double)(proc_cpu_ns(&neighbour->target.proc) - before_ns);

    if (result.messages == 0)
        fail("nothing was delivered in %u ms", plan.run_ms);
    samples_add(&neighbour->p50_us, samples_quantile(&latencies, 0.5));
    samples_add(&neighbour->p99_us, samples_quantile(&latencies, 0.99));
    samples_add(&neighbour->cpu_us, cpu_ns / 1e3 / (double)result.messages);
    samples_fini(&latencies);
}

static void neighbour_close(struct neighbour *neighbour)
{
    target_stop(&neighbour->target);
    fan_free(neighbour->fan);
    samples_fini(&neighbour->p50_us);
    samples_fini(&neighbour->p99_us);
    samples_fini(&neighbour->cpu_us);
}

static void neighbour_write(const struct settings *settings, const struct scenario *scenario, const char *name,
                            const char *unit, struct samples *crowded, struct samples *alone, enum aim aim)
{
    struct report_row row = {
        .name = name,
        .value = samples_median(crowded),
        .unit = unit,
        .against = "none beside",
        .reference = samples_median(alone),
        .ratio = samples_ratio(crowded, alone),
        .aim = aim,
        .target = target_neighbours,
    };

    row_write(settings, scenario, &row);
}

static void neighbours_measure(const struct settings *settings, const struct scenario *scenario, enum target_kind kind,
                               int *fds)
{
    struct neighbour alone;
    struct neighbour crowded;
    enum aim aim = kind == TARGET_MEMORY ? AIM_AT_MOST : AIM_NONE;
    char names[3][NAME_BYTES];

    neighbour_open(&alone, settings, kind);
    neighbour_open(&crowded, settings, kind);
    target_crowd(&crowded.target, "idle", scenario->size, NULL, fds);
    for (unsigned round = 0; round < settings->rounds; round++) {
        neighbour_measure(&alone, settings);
        neighbour_measure(&crowded, settings);
    }
    for (unsigned i = 0; i < 3; i++)
        snprintf(names[i], NAME_BYTES, "%s, %u idle beside: %s", target_name(kind), scenario->size,
                 i == 0   ? "p50"
                 : i == 1 ? "p99"
                          : "server CPU");
    neighbour_write(settings, scenario, names[0], "us", &crowded.p50_us, &alone.p50_us, aim);
    neighbour_write(settings, scenario, names[1], "us", &crowded.p99_us, &alone.p99_us, aim);
    neighbour_write(settings, scenario, names[2], "us/message", &crowded.cpu_us, &alone.cpu_us, aim);
    neighbour_close(&alone);
    neighbour_close(&crowded);
    streams_close(fds, scenario->size);
}

/* In memory the wait for the disk does not hide or feign what the neighbours cost; in a file it is as in use. */
void neighbours_run(const struct settings *settings, const struct scenario *scenario)
{
    int *fds = alloc_items(scenario->size, sizeof *fds);

    descriptors_check(scenario->size);
    neighbours_measure(settings, scenario, TARGET_MEMORY, fds);
    neighbours_measure(settings, scenario, TARGET_FILE, fds);
    free(fds);
}

/* --- connects ----------------------------------------------------------------------------------------------------- */

static double crowd_seconds(struct target *target, const char *crowd, unsigned count, const char (*tokens)[UUID_BYTES],
                            int *fds)
{
    uint64_t start_ns = now_ns();

    target_crowd(target, crowd, count, tokens, fds);
    return (double)(now_ns() - start_ns) / 1e9;
}

/* One round on a fresh server: every connection asks for its token and then for its stream. */
static double connects_with_request(const struct settings *settings, enum target_kind kind, unsigned count, int *fds)
{
    struct target target;
    double seconds;

    target_start(&target, settings, kind, 0);
    seconds = crowd_seconds(&target, "idle", count, NULL, fds);
    target_stop(&target);
    streams_close(fds, count);
    return seconds;
}

/* One round on a fresh server: the clients have their tokens already, as after a restart of a proxy. */
static double connects_with_tokens(const struct settings *settings, unsigned count, int *fds)
{
    char(*tokens)[UUID_BYTES] = alloc_items(count, sizeof *tokens);
    struct target target;
    double seconds;

    target_start(&target, settings, TARGET_FILE, 0);
    target_tokens(&target, "idle", count, tokens);
    seconds = crowd_seconds(&target, "idle", count, (const char(*)[UUID_BYTES])tokens, fds);
    target_stop(&target);
    streams_close(fds, count);
    free(tokens);
    return seconds;
}

static void connects_write(const struct settings *settings, const struct scenario *scenario, const char *name,
                           struct samples *seconds, enum aim aim)
{
    struct report_row row = {
        .name = name,
        .value = samples_median(seconds),
        .unit = "s",
        .aim = aim,
        .target = target_connects_s,
    };

    row_write(settings, scenario, &row);
    samples_fini(seconds);
}

void connects_run(const struct settings *settings, const struct scenario *scenario)
{
    enum { ROUNDS_MAX = 3 };
    unsigned rounds = settings->rounds < ROUNDS_MAX ? settings->rounds : ROUNDS_MAX;
    int *fds = alloc_items(scenario->size, sizeof *fds);
    struct samples requested = {0};
    struct samples given = {0};
    struct samples limit = {0};

    descriptors_check(scenario->size);
    for (unsigned round = 0; round < rounds; round++) {
        samples_add(&limit, connects_with_request(settings, TARGET_LIMIT, scenario->size, fds));
        if (settings->nereidd == NULL)
            continue;
        samples_add(&given, connects_with_tokens(settings, scenario->size, fds));
        samples_add(&requested, connects_with_request(settings, TARGET_FILE, scenario->size, fds));
    }
    if (settings->nereidd != NULL) {
        connects_write(settings, scenario, "connect, stream by token", &given, AIM_AT_MOST);
        connects_write(settings, scenario, "connect, ask for token, stream", &requested, AIM_AT_MOST);
    }
    connects_write(settings, scenario, "limit: connect, stream", &limit, AIM_NONE);
    free(fds);
}
