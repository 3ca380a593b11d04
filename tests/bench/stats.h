/* SPDX-License-Identifier: MIT */
/* Collected measurements: samples that grow, their quantiles, the median of a few rounds. */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stddef.h>

struct samples {
    double *values; /* owned; in order of arrival */
    size_t n;
    size_t cap;
};

/* Zeroed samples are empty and valid. */
void samples_add(struct samples *samples, double value);

/* Forgets the values and keeps the memory. */
void samples_clear(struct samples *samples);

/* Frees the memory and leaves them empty. */
void samples_fini(struct samples *samples);

/*
 * The smallest value that at least `quantile` (0 to 1) of all values do not exceed, 0.5 being the lower median. 0
 * when there are none.
 */
double samples_quantile(const struct samples *samples, double quantile);

/* The median, the mean of the two middle values when n is even. 0 when there are none. */
double samples_median(const struct samples *samples);

/*
 * The median of values[i] / reference->values[i]: what was measured side by side is compared side by side, so that a
 * disturbance that lasts for some rounds does not decide. Both have as many values, none of the reference's is 0.
 */
double samples_ratio(const struct samples *samples, const struct samples *reference);

#endif
