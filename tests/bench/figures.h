/* SPDX-License-Identifier: MIT */
/* Figures: what is measured of one server each time its fan runs, and kept over all rounds. */
#ifndef BENCH_FIGURES_H
#define BENCH_FIGURES_H

#include "fan.h"
#include "proc.h"
#include "stats.h"

/* Zeroed figures are empty and valid. */
struct figures {
    struct samples rates;         /* deliveries per second */
    struct samples cpu_us;        /* the server's, per delivery */
    struct samples client_shares; /* of the bench's own time that it computed, in percent */
    struct samples p50_us;
    struct samples p99_us;
};

/* Runs the fan and adds what came of it. Fails for a server, `name`, that delivered nothing. */
void figures_measure(struct figures *figures, struct fan *fan, const struct fan_plan *plan, const struct proc *server,
                     const char *name);

/* Forgets the values and keeps the memory. */
void figures_clear(struct figures *figures);

/* Frees the memory and leaves them empty. */
void figures_fini(struct figures *figures);

#endif
