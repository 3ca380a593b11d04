/* SPDX-License-Identifier: MIT */
/*
 * Tokens, and grants: the tokens that sessions are open with.
 *
 * The store keeps tokens. A grant stands in memory for a token that some session was opened with, so that its end (by
 * time or by revocation) ends those sessions; it goes with the last of them. A revoked token's grant stays a while
 * without sessions: whoever had the token checked before and attaches only now is refused.
 */
#include "core/state.h"

#include <stdlib.h>

#include "base/log.h"

struct grant {
    UT_hash_handle hh;
    struct id token;
    struct hub *hub;
    struct session *sessions;
    struct timer timer; /* the token's expiry, where that ends sessions; of a revoked one, the end of the grant */
    int64_t expires_us;
    uint32_t session_count;
    bool revoked;
};

static const int64_t us_per_ms = 1000;

/* Longer than a request may take from the check of its token to its session. */
enum { REVOKED_KEPT_MS = 60000 };

static struct grant *grant_find(const struct hub *hub, struct id token)
{
    struct grant *grant = NULL;
    HASH_FIND(hh, hub->grants, &token, sizeof(token), grant);
    return grant;
}

static void grant_drop(struct grant *grant)
{
    HASH_DEL(grant->hub->grants, grant);
    timer_fini(grant->hub->timers, &grant->timer);
    free(grant);
}

/* Ends its sessions; the last to leave drops it, unless it was revoked. */
static void grant_end(struct grant *grant)
{
    struct session *session = grant->sessions;
    while (session) {
        struct session *next = session->grant_next;
        session_end(session, ERR_NO_TOKEN);
        session = next;
    }
}

static void grant_expired(struct timer *timer)
{
    struct grant *grant = container_of(timer, struct grant, timer);
    if (grant->revoked)
        grant_drop(grant);
    else
        grant_end(grant);
}

static struct grant *grant_new(struct hub *hub, struct id token, int64_t expires_us)
{
    struct grant *grant = calloc(1, sizeof(*grant));
    if (!grant)
        return NULL;
    grant->hub = hub;
    grant->token = token;
    grant->expires_us = expires_us;
    if (timer_init(hub->timers, &grant->timer, grant_expired) != OK) {
        free(grant);
        return NULL;
    }
    HASH_ADD(hh, hub->grants, token, sizeof(token), grant);
    if (!table_added(grant)) {
        timer_fini(hub->timers, &grant->timer);
        free(grant);
        return NULL;
    }
    if (hub->options.token_ends_streams) {
        int64_t left_ms = (expires_us - clock_wall_us(hub->clock)) / us_per_ms;
        timer_set(hub->timers, &grant->timer, clock_now_ms(hub->clock) + (left_ms > 0 ? left_ms : 0));
    }
    return grant;
}

enum err grant_has_room(const struct hub *hub, struct id token)
{
    const struct grant *grant = grant_find(hub, token);
    if (grant && grant->revoked)
        return ERR_NO_TOKEN;
    if (!grant || grant->session_count < hub->options.streams_per_token)
        return OK;
    metric_add(METRIC_LIMIT_STREAMS, 1);
    return ERR_TOO_MANY_SESSIONS;
}

enum err grant_join(struct hub *hub, struct session *session, struct id token, int64_t expires_us)
{
    struct grant *grant = grant_find(hub, token);
    if (!grant)
        grant = grant_new(hub, token, expires_us);
    if (!grant)
        return ERR_NO_MEMORY;
    session->grant = grant;
    session->grant_prev = NULL;
    session->grant_next = grant->sessions;
    if (grant->sessions)
        grant->sessions->grant_prev = session;
    grant->sessions = session;
    grant->session_count++;
    return OK;
}

void grant_leave(struct session *session)
{
    struct grant *grant = session->grant;
    if (session->grant_prev)
        session->grant_prev->grant_next = session->grant_next;
    else
        grant->sessions = session->grant_next;
    if (session->grant_next)
        session->grant_next->grant_prev = session->grant_prev;
    session->grant = NULL;
    if (--grant->session_count == 0 && !grant->revoked)
        grant_drop(grant);
}

void grants_forget(struct hub *hub)
{
    while (hub->grants)
        grant_drop(hub->grants);
}

void grant_revoked(struct store_sink *sink, struct id token)
{
    struct hub *hub = container_of(sink, struct hub, sink);
    struct grant *grant = grant_find(hub, token);
    if (!grant)
        grant = grant_new(hub, token, 0);
    if (!grant) {
        log_event(LOG_WARN, "a revoked token may still be used by a request under way", log_err(ERR_NO_MEMORY));
        return;
    }
    grant->revoked = true;
    grant_end(grant);
    timer_set(hub->timers, &grant->timer, clock_now_ms(hub->clock) + REVOKED_KEPT_MS);
}

void grants_used(struct store_sink *sink, void (*visit)(void *ctx, struct id token, int64_t expires_us), void *ctx)
{
    const struct hub *hub = container_of(sink, struct hub, sink);
    struct grant *grant, *next;
    HASH_ITER (hh, hub->grants, grant, next)
        if (grant->session_count)
            visit(ctx, grant->token, grant->expires_us);
}

void hub_view_tokens(const struct hub *hub, void (*visit)(void *ctx, const struct token_view *view), void *ctx)
{
    const struct grant *grant, *next;
    HASH_ITER (hh, hub->grants, grant, next) {
        if (!grant->session_count)
            continue;
        char text[ID_TEXT_SIZE];
        struct token_view view = {
            .user = user_id(grant->sessions->user), .expires_us = grant->expires_us, .sessions = grant->session_count};
        memcpy(view.begins, id_format(grant->token, text), sizeof(view.begins) - 1);
        visit(ctx, &view);
    }
}

static struct span id_bytes(const struct id *id)
{
    return (struct span){(const char *)id->bytes, sizeof(id->bytes)};
}

/* --- issuing */

struct issuing {
    struct id token;
    int64_t ttl_ms;
    hub_token_done *done;
    void *ctx;
};

static void token_is_put(void *ctx, enum err err)
{
    struct issuing *issuing = ctx;
    issuing->done(issuing->ctx, err, issuing->token, issuing->ttl_ms);
    free(issuing);
}

enum err hub_token_issue(struct user *user, hub_token_done *done, void *ctx, unsigned *ret_retry_s)
{
    struct hub *hub = user->hub;
    if (hub_closed(hub))
        return hub_closed(hub);
    uint32_t wait_s = rate_take(hub->tokens, user_id(user), clock_now_ms(hub->clock));
    if (wait_s) {
        metric_add(METRIC_LIMIT_TOKENS, 1);
        *ret_retry_s = wait_s;
        return ERR_TOO_MANY;
    }
    struct issuing *issuing = malloc(sizeof(*issuing));
    if (!issuing)
        return ERR_NO_MEMORY;
    *issuing = (struct issuing){id_random(), hub->options.token_ttl_ms, done, ctx};
    int64_t expires_us = clock_wall_us(hub->clock) + issuing->ttl_ms * us_per_ms;
    hub->store->ops->token_put(hub->store, issuing->token, user_id(user), expires_us, token_is_put, issuing);
    return OK;
}

/* --- checking */

void hub_token_check(struct hub *hub, struct id token, store_token_done *done, void *ctx)
{
    const struct grant *grant = grant_find(hub, token);
    /* Where there are other nodes and programs, only the store knows. */
    if (!hub->versioned && grant && grant->session_count && grant->expires_us > clock_wall_us(hub->clock)) {
        struct token_record record = {user_id(grant->sessions->user), grant->expires_us};
        done(ctx, OK, &record);
        return;
    }
    if (hub_closed(hub))
        done(ctx, hub_closed(hub), NULL);
    else
        hub->store->ops->token_get(hub->store, token, done, ctx);
}

/* --- revoking */

struct revoking {
    struct hub *hub;
    struct id token;
    struct blob *user; /* who must own it */
    store_done *done;
    void *ctx;
};

static void revoking_end(struct revoking *revoking, enum err err)
{
    revoking->done(revoking->ctx, err);
    blob_unref(revoking->user);
    free(revoking);
}

static void token_is_deleted(void *ctx, enum err err)
{
    struct revoking *revoking = ctx;
    if (!err) {
        grant_revoked(&revoking->hub->sink, revoking->token);
        log_event(LOG_INFO, "token revoked", log_secret("token", id_bytes(&revoking->token)),
                  log_span("user", blob_span(revoking->user)));
    }
    revoking_end(revoking, err);
}

static void token_is_found(void *ctx, enum err err, const struct token_record *token)
{
    struct revoking *revoking = ctx;
    if (!err && !span_equal(token->user, blob_span(revoking->user)))
        err = ERR_NO_TOKEN;
    if (!err)
        err = revoking->hub->shut ? revoking->hub->shut : hub_closed(revoking->hub);
    if (err) {
        revoking_end(revoking, err);
        return;
    }
    struct store *store = revoking->hub->store;
    store->ops->token_delete(store, revoking->token, token_is_deleted, revoking);
}

void hub_token_revoke(struct hub *hub, struct id token, struct span user, store_done *done, void *ctx)
{
    if (hub_closed(hub)) {
        done(ctx, hub_closed(hub));
        return;
    }
    struct revoking *revoking = malloc(sizeof(*revoking));
    struct blob *copy = revoking ? blob_copy(user) : NULL;
    if (!copy) {
        free(revoking);
        done(ctx, ERR_NO_MEMORY);
        return;
    }
    *revoking = (struct revoking){hub, token, copy, done, ctx};
    hub->store->ops->token_get(hub->store, token, token_is_found, revoking);
}
