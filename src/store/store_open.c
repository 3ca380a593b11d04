/* SPDX-License-Identifier: MIT */
/* Chooses the store by its URL: one row per kind. */
#include "store/store_open.h"

#include <string.h>
#include <time.h>

#include "base/log.h"
#include "store/redis.h"
#include "store/sqlite.h"

typedef enum err open_store(struct loop *loop, const char *url, const struct store_options *options,
                            struct store **ret_store);

static bool check_sqlite(const char *url unused_arg, const char *credentials unused_arg)
{
    return true;
}

static enum err open_sqlite(struct loop *loop, const char *url, const struct store_options *options,
                            struct store **ret_store)
{
    return sqlite_store_open(loop, url + strlen("sqlite:"), options, ret_store);
}

static const struct {
    const char *start;
    bool (*check)(const char *url, const char *credentials); /* logs what is wrong */
    open_store *open;
} kinds[] = {
    {"sqlite:", check_sqlite, open_sqlite},
    {"redis", redis_check, redis_store_open},
};

static int64_t system_now_ms(const struct clock *clock unused_arg)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_wall_us(const struct clock *clock unused_arg)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static const struct clock system_clock = {.now_ms = system_now_ms, .wall_us = system_wall_us};

/* The kind's index in the table, or -1, which is logged. */
static int find_kind(const char *url)
{
    for (size_t i = 0; i < array_len(kinds); i++)
        if (strncmp(url, kinds[i].start, strlen(kinds[i].start)) == 0)
            return (int)i;
    /* Only the scheme is shown: what follows may hold a password. */
    struct span scheme = {url, strcspn(url, ":")};
    log_event(LOG_ERROR, "this build has no store of this kind", log_span("scheme", scheme));
    return -1;
}

bool store_check(const char *url, const char *credentials)
{
    int kind = find_kind(url);
    return kind >= 0 && kinds[kind].check(url, credentials);
}

enum err store_open(struct loop *loop, const char *url, const struct store_options *options, struct store **ret_store)
{
    int kind = find_kind(url);
    if (kind < 0)
        return ERR_BAD_FIELD;
    struct store_options with_clock = *options;
    if (!with_clock.clock)
        with_clock.clock = &system_clock;
    return kinds[kind].open(loop, url, &with_clock, ret_store);
}
