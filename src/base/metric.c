/* SPDX-License-Identifier: MIT */
/* The numbers behind the table of metrics. */
#include "base/metric.h"

#include <assert.h>

static const struct metric_row rows[METRIC_COUNT] = {
#define ROW(name, kind, exposed, label, help) [name] = {METRIC_KIND_##kind, exposed, label, help},
    METRIC_TABLE(ROW)
#undef ROW
};

static const int64_t bucket_bounds_us[METRIC_BUCKETS - 1] = METRIC_BUCKET_BOUNDS_US;

static union {
    int64_t number;
    struct metric_histogram histogram;
} values[METRIC_COUNT];

void metric_add(enum metric metric, int64_t by)
{
    assert(rows[metric].kind != METRIC_KIND_HISTOGRAM);
    values[metric].number += by;
}

void metric_set(enum metric metric, int64_t value)
{
    assert(rows[metric].kind == METRIC_KIND_GAUGE);
    values[metric].number = value;
}

void metric_observe(enum metric metric, int64_t duration_us)
{
    assert(rows[metric].kind == METRIC_KIND_HISTOGRAM);
    struct metric_histogram *histogram = &values[metric].histogram;
    unsigned bucket = 0;
    while (bucket < METRIC_BUCKETS - 1 && duration_us > bucket_bounds_us[bucket])
        bucket++;
    histogram->buckets[bucket]++;
    histogram->count++;
    histogram->sum_us += duration_us > 0 ? (uint64_t)duration_us : 0;
}

int64_t metric_value(enum metric metric)
{
    assert(rows[metric].kind != METRIC_KIND_HISTOGRAM);
    return values[metric].number;
}

const struct metric_row *metric_row(enum metric metric)
{
    return &rows[metric];
}

const struct metric_histogram *metric_histogram(enum metric metric)
{
    assert(rows[metric].kind == METRIC_KIND_HISTOGRAM);
    return &values[metric].histogram;
}
