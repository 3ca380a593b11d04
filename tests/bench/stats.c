/* SPDX-License-Identifier: MIT */
/* Collected measurements: samples that grow, their quantiles, the median of a few rounds. */
#include "stats.h"

#include <stdlib.h>
#include <string.h>

#include "support.h"

void samples_add(struct samples *samples, double value)
{
    if (samples->n == samples->cap) {
        samples->cap = samples->cap ? samples->cap * 2 : 64;
        samples->values = realloc_items(samples->values, samples->cap, sizeof *samples->values);
    }
    samples->values[samples->n++] = value;
}

void samples_clear(struct samples *samples)
{
    samples->n = 0;
}

void samples_fini(struct samples *samples)
{
    free(samples->values);
    *samples = (struct samples){0};
}

static int value_compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

/* A sorted copy; free it with free(). */
static double *values_sorted(const struct samples *samples)
{
    double *values = alloc_items(samples->n, sizeof *values);

    memcpy(values, samples->values, samples->n * sizeof *values);
    qsort(values, samples->n, sizeof *values, value_compare);
    return values;
}

double samples_quantile(const struct samples *samples, double quantile)
{
    double rank = quantile * (double)samples->n;
    size_t at = (size_t)rank;
    double *values;
    double value;

    if (samples->n == 0)
        return 0;
    if ((double)at == rank && at > 0)
        at--;
    values = values_sorted(samples);
    value = values[at < samples->n ? at : samples->n - 1];
    free(values);
    return value;
}

double samples_median(const struct samples *samples)
{
    size_t half = samples->n / 2;
    double *values;
    double value;

    if (samples->n == 0)
        return 0;
    values = values_sorted(samples);
    value = samples->n % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
    free(values);
    return value;
}

double samples_ratio(const struct samples *samples, const struct samples *reference)
{
    struct samples ratios = {0};
    double median;

    for (size_t i = 0; i < samples->n && i < reference->n; i++)
        samples_add(&ratios, samples->values[i] / reference->values[i]);
    median = samples_median(&ratios);
    samples_fini(&ratios);
    return median;
}
