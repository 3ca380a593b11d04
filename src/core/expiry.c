/* SPDX-License-Identifier: MIT */
/*
 * Expiry: the end that a login has, and with it the sessions that were opened with it. Those that do not end have none
 * of this. (Tokens end in token.c, for all their sessions at once.)
 */
#include "core/state.h"

#include <stdlib.h>

struct expiry {
    struct timer timer;
    struct session *session; /* which owns this */
    int64_t expires_us;
};

static struct hub *hub_of(const struct expiry *expiry)
{
    return expiry->session->user->hub;
}

static void set_timer(struct expiry *expiry)
{
    enum { US_PER_MS = 1000 };
    const struct hub *hub = hub_of(expiry);
    int64_t left_us = expiry->expires_us - clock_wall_us(hub->clock);
    int64_t left_ms = left_us > 0 ? left_us / US_PER_MS + (left_us % US_PER_MS != 0) : 0;
    timer_set(hub->timers, &expiry->timer, clock_now_ms(hub->clock) + left_ms);
}

/* By the wall clock, which may have been set back. */
static void expiry_due(struct timer *timer)
{
    struct expiry *expiry = container_of(timer, struct expiry, timer);
    if (clock_wall_us(hub_of(expiry)->clock) < expiry->expires_us)
        set_timer(expiry);
    else
        session_end(expiry->session, ERR_UNAUTHORIZED);
}

static struct expiry *expiry_new(struct session *session)
{
    struct expiry *expiry = malloc(sizeof(*expiry));
    if (!expiry)
        return NULL;
    *expiry = (struct expiry){.session = session};
    if (timer_init(hub_of(expiry)->timers, &expiry->timer, expiry_due) == OK)
        return expiry;
    free(expiry);
    return NULL;
}

enum err expiry_start(struct session *session, int64_t expires_us)
{
    if (!session->expiry)
        session->expiry = expiry_new(session);
    if (!session->expiry)
        return ERR_NO_MEMORY;
    session->expiry->expires_us = expires_us;
    set_timer(session->expiry);
    return OK;
}

void expiry_stop(struct session *session)
{
    if (!session->expiry)
        return;
    timer_fini(session->user->hub->timers, &session->expiry->timer);
    free(session->expiry);
    session->expiry = NULL;
}
