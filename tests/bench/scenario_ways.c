/* SPDX-License-Identifier: MIT */
/*
 * Scenarios in which those who listen come another way, by TLS or as Talker's clients, each beside plain streams.
 *
 * Both contenders are nereidd with its store in memory and the same options, up at once and taking turns. What differs
 * is how their readers came; messages are sent over plain HTTP to both.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "figures.h"
#include "report.h"
#include "scenario.h"
#include "stats.h"
#include "support.h"

enum { WARM_MS = 300, WINDOW_WIDE = 32, NAME_BYTES = 64, FIRST = 100, SPARE_FDS = 500, FDS_OF_TLS = 3, QUIET_S = 30 };

static const char plain_name[] = "plain";

static const char *way_name(enum way way)
{
    static const char *const names[] = {"plain", "TLS", "Talker"};

    return names[way];
}

static void row_write(const struct settings *settings, const struct scenario *scenario, const char *name,
                      const struct samples *other, const struct samples *plain, const char *unit)
{
    struct report_row row = {
        .scenario = scenario->name,
        .name = name,
        .value = samples_median(other),
        .unit = unit,
        .against = plain_name,
        .reference = samples_median(plain),
        .ratio = samples_ratio(other, plain),
    };

    report_row_write(settings->sink, &row);
}

/* Behind TLS a connection has a pair of sockets, too. */
static void descriptors_check(unsigned connections, enum way way)
{
    unsigned needed = connections * (way == WAY_TLS ? FDS_OF_TLS : 1) + SPARE_FDS;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < needed)
        fail("%u connections need a higher limit of open files (ulimit -n) than %llu", connections,
             (unsigned long long)limit.rlim_cur);
}

/* --- deliveries --------------------------------------------------------------------------------------------------- */

enum { PLAIN, OTHER, CONTENDERS };

struct contender {
    struct target target;
    struct fan *fan;
    struct figures figures;
};

static void contender_open(struct contender *contender, const struct settings *settings, enum way way,
                           struct wire_client *client, unsigned readers)
{
    *contender = (struct contender){0};
    target_start_tls(&contender->target, settings, client);
    contender->target.way = way;
    contender->fan = target_fan(&contender->target, readers);
}

static void contender_close(struct contender *contender)
{
    target_stop(&contender->target);
    fan_free(contender->fan);
    figures_fini(&contender->figures);
}

static void contender_measure(struct contender *contender, const struct fan_plan *plan)
{
    figures_measure(&contender->figures, contender->fan, plan, &contender->target.proc,
                    way_name(contender->target.way));
}

static void contest_write(const struct settings *settings, const struct scenario *scenario,
                          const struct contender *contenders, unsigned window)
{
    const struct contender *other = &contenders[OTHER];
    const struct contender *plain = &contenders[PLAIN];
    const struct {
        const char *what;
        const char *unit;
        const struct samples *other;
        const struct samples *plain;
    } figures[] = {
        {"", "deliveries/s", &other->figures.rates, &plain->figures.rates},
        {": server CPU", "us/delivery", &other->figures.cpu_us, &plain->figures.cpu_us},
        {": p50", "us", &other->figures.p50_us, &plain->figures.p50_us},
        {": p99", "us", &other->figures.p99_us, &plain->figures.p99_us},
        {": bench itself", "% of a CPU", &other->figures.client_shares, &plain->figures.client_shares},
    };

    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        char name[NAME_BYTES];

        snprintf(name, sizeof name, "%s, %u in flight%s", way_name(scenario->way), window, figures[i].what);
        row_write(settings, scenario, name, figures[i].other, figures[i].plain, figures[i].unit);
    }
}

static void contest_run(const struct settings *settings, struct contender *contenders, unsigned window)
{
    struct fan_plan plan = {.window = window, .run_ms = settings->round_ms};
    struct fan_plan warm = {.window = window, .run_ms = WARM_MS};

    for (unsigned i = 0; i < CONTENDERS; i++) {
        figures_clear(&contenders[i].figures);
        fan_run(contenders[i].fan, &warm, NULL);
    }
    for (unsigned round = 0; round < settings->rounds; round++) {
        for (unsigned i = 0; i < CONTENDERS; i++)
            contender_measure(&contenders[i], &plan);
    }
}

void ways_fanout_run(const struct settings *settings, const struct scenario *scenario)
{
    static const unsigned windows[] = {1, WINDOW_WIDE};
    struct wire_client *client = wire_client_new();
    struct contender contenders[CONTENDERS];

    descriptors_check(scenario->size, scenario->way);
    contender_open(&contenders[PLAIN], settings, WAY_PLAIN, client, scenario->size);
    contender_open(&contenders[OTHER], settings, scenario->way, client, scenario->size);
    for (unsigned i = 0; i < sizeof windows / sizeof *windows; i++) {
        contest_run(settings, contenders, windows[i]);
        contest_write(settings, scenario, contenders, windows[i]);
    }
    contender_close(&contenders[PLAIN]);
    contender_close(&contenders[OTHER]);
    wire_client_free(client);
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

struct idle {
    double user_bytes;
    double kernel_bytes;
};

/* Opens a crowd whose tokens and rooms are there before: what is left is the connections' own. */
static void idle_open(struct target *target, const char *crowd, unsigned count, const char (*tokens)[UUID_BYTES],
                      int *fds, struct idle *ret)
{
    uint64_t kernel_before;
    uint64_t before = proc_settled_anon_bytes(&target->proc);

    kernel_before = kernel_object_bytes();
    target_crowd(target, crowd, count, tokens, fds);
    ret->user_bytes = ((double)proc_settled_anon_bytes(&target->proc) - (double)before) / count;
    ret->kernel_bytes = ((double)kernel_object_bytes() - (double)kernel_before) / count;
}

static void crowd_prepare(struct target *target, const char *crowd, unsigned count, char (*tokens)[UUID_BYTES])
{
    target_crowd_gather(target, crowd, count);
    target_tokens(target, crowd, count, tokens);
}

/* The first few make what is made once. */
static struct idle idle_measure(const struct settings *settings, enum way way, struct wire_client *client,
                                unsigned count, int *fds)
{
    char(*tokens)[UUID_BYTES] = alloc_items(count, sizeof *tokens);
    char(*first_tokens)[UUID_BYTES] = alloc_items(FIRST, sizeof *first_tokens);
    int first[FIRST];
    struct idle idle;
    struct target target;

    target_start_tls(&target, settings, client);
    target.way = way;
    crowd_prepare(&target, "first", FIRST, first_tokens);
    crowd_prepare(&target, "idle", count, tokens);
    target_crowd(&target, "first", FIRST, (const char(*)[UUID_BYTES])first_tokens, first);
    idle_open(&target, "idle", count, (const char(*)[UUID_BYTES])tokens, fds, &idle);
    target_stop(&target);
    streams_close(fds, count);
    streams_close(first, FIRST);
    free(tokens);
    free(first_tokens);
    return idle;
}

void ways_memory_run(const struct settings *settings, const struct scenario *scenario)
{
    struct wire_client *client = wire_client_new();
    int *fds = alloc_items(scenario->size, sizeof *fds);
    struct idle other;
    struct idle plain;
    char name[NAME_BYTES];
    struct report_row row = {.scenario = scenario->name, .name = name, .unit = "bytes", .against = plain_name};

    descriptors_check(scenario->size, scenario->way);
    plain = idle_measure(settings, WAY_PLAIN, client, scenario->size, fds);
    other = idle_measure(settings, scenario->way, client, scenario->size, fds);
    snprintf(name, sizeof name, "%s: user memory per idle connection", way_name(scenario->way));
    row.value = other.user_bytes;
    row.reference = plain.user_bytes;
    row.ratio = other.user_bytes / plain.user_bytes;
    report_row_write(settings->sink, &row);
    snprintf(name, sizeof name, "%s: kernel memory, both ends", way_name(scenario->way));
    row.value = other.kernel_bytes;
    row.reference = plain.kernel_bytes;
    row.ratio = other.kernel_bytes / plain.kernel_bytes;
    report_row_write(settings->sink, &row);
    free(fds);
    wire_client_free(client);
}

/* --- connects ----------------------------------------------------------------------------------------------------- */

enum connect_kind { CONNECT_PLAIN, CONNECT_FULL, CONNECT_RESUMED, CONNECT_KINDS };

struct connects {
    struct target target;
    unsigned count;
    const char (*tokens)[UUID_BYTES];
    int *fds;
    struct samples rates[CONNECT_KINDS];  /* connects per second */
    struct samples cpu_us[CONNECT_KINDS]; /* the server's, per connect */
    struct samples client_shares[CONNECT_KINDS];
};

/* Until the server has noticed that they are all closed, so that the next round does not pay for this one. */
static void sessions_end(struct target *target)
{
    uint64_t deadline_ns = deadline_in(QUIET_S);

    while (target_metric(target, "nereidd_sessions{protocol=\"nereid-stream\"}") > 0) {
        ms_left(deadline_ns, "streams to end");
        pause_ms(50);
    }
}

/* One round. The first connection of TLS leaves its session to those that resume it. */
static void connects_measure(struct connects *connects, enum connect_kind kind, struct wire_client *client)
{
    struct target *target = &connects->target;
    uint64_t start_ns;
    uint64_t cpu_before_ns;
    uint64_t own_before_ns;
    double cpu_ns;
    double own_ns;
    double seconds;

    target->way = kind == CONNECT_PLAIN ? WAY_PLAIN : WAY_TLS;
    target->client = client;
    cpu_before_ns = proc_cpu_ns(&target->proc);
    own_before_ns = own_cpu_ns();
    start_ns = now_ns();
    target_crowd(target, "idle", connects->count, connects->tokens, connects->fds);
    seconds = (double)(now_ns() - start_ns) / 1e9;
    cpu_ns = (double)(proc_cpu_ns(&target->proc) - cpu_before_ns);
    own_ns = (double)(own_cpu_ns() - own_before_ns);
    if (kind == CONNECT_RESUMED)
        wire_client_resume(client, connects->fds[0]);
    streams_close(connects->fds, connects->count);
    sessions_end(target);
    samples_add(&connects->rates[kind], connects->count / seconds);
    samples_add(&connects->cpu_us[kind], cpu_ns / 1e3 / connects->count);
    samples_add(&connects->client_shares[kind], own_ns / 1e7 / seconds);
}

static void connects_write(const struct settings *settings, const struct scenario *scenario, struct connects *connects)
{
    static const char *const names[CONNECT_KINDS] = {"plain", "full handshake", "resumed session"};

    for (unsigned kind = CONNECT_FULL; kind < CONNECT_KINDS; kind++) {
        char name[NAME_BYTES];

        snprintf(name, sizeof name, "TLS, %s", names[kind]);
        row_write(settings, scenario, name, &connects->rates[kind], &connects->rates[CONNECT_PLAIN], "connects/s");
        snprintf(name, sizeof name, "TLS, %s: server CPU", names[kind]);
        row_write(settings, scenario, name, &connects->cpu_us[kind], &connects->cpu_us[CONNECT_PLAIN], "us/connect");
        snprintf(name, sizeof name, "TLS, %s: bench itself", names[kind]);
        row_write(settings, scenario, name, &connects->client_shares[kind], &connects->client_shares[CONNECT_PLAIN],
                  "% of a CPU");
    }
}

/* The round before the first is not counted: it makes the users, and the first session to be resumed. */
static void connects_rounds(struct connects *connects, const struct settings *settings, struct wire_client **clients)
{
    for (unsigned round = 0; round <= settings->rounds; round++) {
        for (unsigned kind = 0; kind < CONNECT_KINDS; kind++) {
            connects_measure(connects, kind, clients[kind]);
            if (round == 0) {
                samples_clear(&connects->rates[kind]);
                samples_clear(&connects->cpu_us[kind]);
                samples_clear(&connects->client_shares[kind]);
            }
        }
    }
}

void tls_connects_run(const struct settings *settings, const struct scenario *scenario)
{
    struct wire_client *clients[CONNECT_KINDS];
    struct connects connects = {.count = scenario->size, .fds = alloc_items(scenario->size, sizeof *connects.fds)};
    char(*tokens)[UUID_BYTES] = alloc_items(scenario->size, sizeof *tokens);

    descriptors_check(scenario->size, WAY_TLS);
    for (unsigned kind = 0; kind < CONNECT_KINDS; kind++)
        clients[kind] = wire_client_new();
    target_start_tls(&connects.target, settings, clients[CONNECT_FULL]);
    target_tokens(&connects.target, "idle", scenario->size, tokens);
    connects.tokens = (const char(*)[UUID_BYTES])tokens;
    connects_rounds(&connects, settings, clients);
    connects_write(settings, scenario, &connects);
    target_stop(&connects.target);
    for (unsigned kind = 0; kind < CONNECT_KINDS; kind++) {
        samples_fini(&connects.rates[kind]);
        samples_fini(&connects.cpu_us[kind]);
        samples_fini(&connects.client_shares[kind]);
        wire_client_free(clients[kind]);
    }
    free(connects.fds);
    free(tokens);
}
