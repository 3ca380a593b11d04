/* SPDX-License-Identifier: MIT */
/*
 * Token buckets in a hash kept in order of use.
 *
 * A bucket stores only when it will be full again, in microseconds: each take moves that moment one interval on, and
 * a take is refused when it lies more than `burst` intervals ahead (the generic cell rate algorithm).
 */
#include "base/rate.h"

#include <stdlib.h>

#include "base/table.h"

struct bucket {
    int64_t full_us; /* when it will hold `burst` again */
    UT_hash_handle hh;
    size_t len;
    char key[];
};

struct rate {
    int64_t interval_us; /* 0: no limit */
    uint32_t burst;
    uint32_t keys_max;
    struct bucket *buckets; /* in order of last use, the oldest first */
};

struct rate *rate_new(uint32_t per_minute, uint32_t burst, uint32_t keys_max)
{
    struct rate *rate = calloc(1, sizeof(*rate));
    if (!rate)
        return NULL;
    rate->interval_us = per_minute ? 60 * 1000000LL / per_minute : 0;
    rate->burst = burst;
    rate->keys_max = keys_max;
    return rate;
}

static void bucket_drop(struct rate *rate, struct bucket *bucket)
{
    HASH_DEL(rate->buckets, bucket);
    free(bucket);
}

void rate_free(struct rate *rate)
{
    if (!rate)
        return;
    while (rate->buckets)
        bucket_drop(rate, rate->buckets);
    free(rate);
}

static struct bucket *bucket_find(struct rate *rate, struct span key)
{
    struct bucket *bucket = NULL;
    /* memcmp must not be given null, which an empty key may have. */
    if (!key.data)
        key.data = "";
    HASH_FIND(hh, rate->buckets, key.data, key.len, bucket);
    return bucket;
}

static struct bucket *bucket_new(struct rate *rate, struct span key)
{
    if (HASH_COUNT(rate->buckets) >= rate->keys_max)
        bucket_drop(rate, rate->buckets);
    struct bucket *bucket = calloc(1, sizeof(*bucket) + key.len);
    if (!bucket)
        return NULL;
    bucket->len = key.len;
    if (key.len)
        memcpy(bucket->key, key.data, key.len);
    HASH_ADD_KEYPTR(hh, rate->buckets, bucket->key, bucket->len, bucket);
    if (!table_added(bucket)) {
        free(bucket);
        return NULL;
    }
    return bucket;
}

/* Moves a bucket to the end of the order of use. */
static void bucket_touch(struct rate *rate, struct bucket *bucket)
{
    if (!bucket->hh.next)
        return;
    HASH_DEL(rate->buckets, bucket);
    HASH_ADD_KEYPTR(hh, rate->buckets, bucket->key, bucket->len, bucket);
    if (!table_added(bucket))
        free(bucket);
}

static int64_t to_us(int64_t ms)
{
    return ms * 1000;
}

static uint32_t seconds_to_wait(const struct rate *rate, int64_t full_us, int64_t now_us)
{
    int64_t ahead = full_us > now_us ? full_us - now_us : 0;
    int64_t excess = ahead + rate->interval_us - rate->interval_us * rate->burst;
    return excess <= 0 ? 0 : (uint32_t)((excess + 999999) / 1000000);
}

uint32_t rate_wait(struct rate *rate, struct span key, int64_t now_ms)
{
    struct bucket *bucket = rate->interval_us ? bucket_find(rate, key) : NULL;
    return bucket ? seconds_to_wait(rate, bucket->full_us, to_us(now_ms)) : 0;
}

uint32_t rate_take(struct rate *rate, struct span key, int64_t now_ms)
{
    if (rate->interval_us == 0)
        return 0;
    uint32_t wait = rate_wait(rate, key, now_ms);
    if (wait)
        return wait;
    struct bucket *bucket = bucket_find(rate, key);
    if (!bucket)
        bucket = bucket_new(rate, key);
    if (!bucket)
        return 0;
    int64_t now_us = to_us(now_ms);
    bucket->full_us = (bucket->full_us > now_us ? bucket->full_us : now_us) + rate->interval_us;
    bucket_touch(rate, bucket);
    return 0;
}
