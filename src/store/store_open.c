/* SPDX-License-Identifier: MIT */
/* Chooses the store by its URL: one row per kind. */
#include "store/store_open.h"

#include <string.h>
#include <time.h>

#include "base/log.h"
#include "store/sqlite.h"

typedef enum err open_store(struct loop *loop, const char *rest, const struct store_options *options,
                            struct store **ret_store);

static const struct {
    const char *scheme;
    open_store *open;
} kinds[] = {
    {"sqlite:", sqlite_store_open},
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

static open_store *find_kind(const char *url, const char **ret_rest)
{
    for (size_t i = 0; i < array_len(kinds); i++) {
        size_t len = strlen(kinds[i].scheme);
        if (strncmp(url, kinds[i].scheme, len) == 0) {
            *ret_rest = url + len;
            return kinds[i].open;
        }
    }
    return NULL;
}

enum err store_open(struct loop *loop, const char *url, const struct store_options *options, struct store **ret_store)
{
    const char *rest = NULL;
    open_store *open = find_kind(url, &rest);
    if (!open) {
        /* Only the scheme is shown: what follows may hold a password. */
        struct span scheme = {url, strcspn(url, ":")};
        log_event(LOG_ERROR, "this build has no store of this kind", log_span("scheme", scheme),
                  log_text("known", kinds[0].scheme));
        return ERR_BAD_FIELD;
    }
    struct store_options with_clock = *options;
    if (!with_clock.clock)
        with_clock.clock = &system_clock;
    return open(loop, rest, &with_clock, ret_store);
}
