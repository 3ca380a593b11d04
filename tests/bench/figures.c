/* SPDX-License-Identifier: MIT */
/* Measuring one run of a fan. */
#include "figures.h"

#include "support.h"

void figures_measure(struct figures *figures, struct fan *fan, const struct fan_plan *plan, const struct proc *server,
                     const char *name)
{
    struct samples latencies = {0};
    uint64_t cpu_before_ns = proc_cpu_ns(server);
    uint64_t own_before_ns = own_cpu_ns();
    struct fan_result result = fan_run(fan, plan, &latencies);
    double cpu_ns = (double)(proc_cpu_ns(server) - cpu_before_ns);
    double own_ns = (double)(own_cpu_ns() - own_before_ns);

    if (result.deliveries == 0)
        fail("%s delivered nothing in %u ms", name, plan->run_ms);
    samples_add(&figures->rates, (double)result.deliveries / result.seconds);
    samples_add(&figures->cpu_us, cpu_ns / 1e3 / (double)result.deliveries);
    samples_add(&figures->client_shares, own_ns / 1e7 / result.seconds);
    samples_add(&figures->p50_us, samples_quantile(&latencies, 0.5));
    samples_add(&figures->p99_us, samples_quantile(&latencies, 0.99));
    samples_fini(&latencies);
}

void figures_clear(struct figures *figures)
{
    samples_clear(&figures->rates);
    samples_clear(&figures->cpu_us);
    samples_clear(&figures->client_shares);
    samples_clear(&figures->p50_us);
    samples_clear(&figures->p99_us);
}

void figures_fini(struct figures *figures)
{
    samples_fini(&figures->rates);
    samples_fini(&figures->cpu_us);
    samples_fini(&figures->client_shares);
    samples_fini(&figures->p50_us);
    samples_fini(&figures->p99_us);
}
