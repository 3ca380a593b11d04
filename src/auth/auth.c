/* SPDX-License-Identifier: MIT */
/*
 * The chain: asks one method after the other, then logs, counts and answers in one place.
 *
 * Refusals because of a limit, and other things a peer can cause at any rate, are logged through a rate limit of their
 * own; refused credentials are logged each time, so that a tool that bans addresses sees them all.
 */
#include "auth/auth.h"

#include <stdlib.h>

#include "base/address.h"
#include "auth/method.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/rate.h"
#include "base/utf8.h"

enum { WARNINGS_PER_MINUTE = 6, WARNINGS_KEYS_MAX = 1024 };

struct link {
    const struct method *method;
    void *state; /* owned */
};

struct auth {
    struct link links[AUTH_METHOD_COUNT];
    size_t link_count;
    const struct clock *clock;
    struct rate *warnings;
};

static const struct method *const methods[AUTH_METHOD_COUNT] = {
    [AUTH_DEMO] = &method_demo,
    [AUTH_BASIC] = &method_basic,
    [AUTH_HEADER] = &method_header,
    [AUTH_JWT] = &method_jwt,
};

static bool has_method(const struct auth *auth, const struct method *method)
{
    for (size_t i = 0; i < auth->link_count; i++)
        if (auth->links[i].method == method)
            return true;
    return false;
}

static enum err add_link(struct auth *auth, const struct auth_options *options, struct loop *loop,
                         enum auth_method which)
{
    const struct method *method = methods[which];
    if (has_method(auth, method)) {
        log_event(LOG_ERROR, "auth.methods names a method twice", log_text("method", method->name));
        return ERR_BAD_FIELD;
    }
    void *state = NULL;
    enum err err = method->init ? method->init(options, loop, auth->clock, &state) : OK;
    if (err)
        return err;
    auth->links[auth->link_count++] = (struct link){method, state};
    return OK;
}

static enum err add_links(struct auth *auth, const struct auth_options *options, struct loop *loop)
{
    enum err first = options->method_count ? OK : ERR_BAD_FIELD;
    if (first)
        log_event(LOG_ERROR, "auth.methods is empty");
    /* Go on after an error, so that all findings are logged at once. */
    for (size_t i = 0; i < options->method_count; i++) {
        enum err err = add_link(auth, options, loop, options->methods[i]);
        if (!first)
            first = err;
    }
    return first;
}

struct auth *auth_new(const struct auth_options *options, struct loop *loop, const struct clock *clock)
{
    struct auth *auth = calloc(1, sizeof(*auth));
    if (!auth)
        return NULL;
    auth->clock = clock;
    auth->warnings = rate_new(WARNINGS_PER_MINUTE, WARNINGS_PER_MINUTE, WARNINGS_KEYS_MAX);
    if (!auth->warnings || add_links(auth, options, loop)) {
        auth_free(auth);
        return NULL;
    }
    return auth;
}

void auth_free(struct auth *auth)
{
    if (!auth)
        return;
    for (size_t i = 0; i < auth->link_count; i++)
        if (auth->links[i].method->fini)
            auth->links[i].method->fini(auth->links[i].state);
    rate_free(auth->warnings);
    free(auth);
}

enum err auth_reload(struct auth *auth)
{
    enum err first = OK;
    for (size_t i = 0; i < auth->link_count; i++) {
        const struct link *link = &auth->links[i];
        enum err err = link->method->reload ? link->method->reload(link->state) : OK;
        if (!first)
            first = err;
    }
    return first;
}

const char *auth_challenge(const struct auth *auth)
{
    const char *bearer = NULL;
    for (size_t i = 0; i < auth->link_count; i++) {
        const struct method *method = auth->links[i].method;
        if (method == &method_jwt)
            bearer = method->challenge;
        else if (method->challenge)
            return method->challenge;
    }
    return bearer;
}

static struct span address_text(const struct attempt *attempt)
{
    struct span address = attempt->credentials->address;
    return address.len ? address : SPAN_LITERAL("unix");
}

static bool may_warn(const struct attempt *attempt)
{
    struct address_key key;
    address_key(attempt->credentials->address, &key);
    return rate_take(attempt->auth->warnings, address_key_span(&key), clock_now_ms(attempt->auth->clock)) == 0;
}

void attempt_warn(const struct attempt *attempt, const char *event)
{
    if (may_warn(attempt))
        log_event(LOG_WARN, event, log_span("address", address_text(attempt)));
}

static void log_refusal(const struct attempt *attempt, const struct answer *answer)
{
    log_event(LOG_INFO, "login failed", log_span("address", address_text(attempt)),
              log_text("method", attempt->method ? attempt->method->name : "none"), log_text("reason", answer->reason));
}

void attempt_finish(const struct attempt *attempt, const struct answer *answer)
{
    if (answer->err && attempt->credentials->ret_reason)
        *attempt->credentials->ret_reason = answer->reason;
    switch (answer->err) {
    case OK:
    case ERR_SHUTTING_DOWN: break;
    case ERR_UNAUTHORIZED:
        metric_add(METRIC_LOGIN_FAILURES, 1);
        log_refusal(attempt, answer);
        break;
    case ERR_TOO_MANY:
        metric_add(METRIC_LOGIN_FAILURES, 1);
        metric_add(METRIC_LIMIT_LOGINS, 1);
        if (may_warn(attempt))
            log_refusal(attempt, answer);
        break;
    default:
        if (may_warn(attempt))
            log_refusal(attempt, answer);
        break;
    }
    attempt->done(attempt->ctx, answer->err, answer->err ? NULL : &answer->identity, answer->retry_after_s);
}

/* Nobody knew the credentials. Sending none is how every browser starts, and is not a failure. */
static void finish_unknown(struct attempt *attempt, struct answer *answer)
{
    attempt->method = NULL;
    (void)answer_refuse(answer, ERR_UNAUTHORIZED, "no method for these credentials");
    if (attempt->credentials->authorization.len)
        attempt_finish(attempt, answer);
    else
        attempt->done(attempt->ctx, ERR_UNAUTHORIZED, NULL, 0);
}

void auth_check(struct auth *auth, const struct credentials *credentials, auth_done *done, void *ctx)
{
    struct attempt attempt = {.auth = auth, .credentials = credentials, .done = done, .ctx = ctx};
    struct answer answer;
    for (size_t i = 0; i < auth->link_count; i++) {
        attempt.method = auth->links[i].method;
        switch (attempt.method->check(auth->links[i].state, &attempt, &answer)) {
        case VERDICT_NOT_MINE: continue;
        case VERDICT_LATER: return;
        case VERDICT_ACCEPTED:
        case VERDICT_REFUSED: attempt_finish(&attempt, &answer); return;
        }
    }
    finish_unknown(&attempt, &answer);
}

bool user_valid(struct span user)
{
    return user.len >= 1 && user.len <= USER_MAX && user.data[0] != ' ' && user.data[user.len - 1] != ' ' &&
           utf8_printable(user);
}

bool name_valid(struct span name)
{
    return name.len <= NAME_MAX_BYTES && utf8_printable(name);
}

static struct span copy_into(char *to, struct span bytes)
{
    if (bytes.len)
        memcpy(to, bytes.data, bytes.len);
    return (struct span){to, bytes.len};
}

enum verdict answer_accept(struct answer *answer, struct span user, struct span name)
{
    if (!user_valid(user))
        return answer_refuse(answer, ERR_UNAUTHORIZED, "not a user id");
    answer->err = OK;
    answer->retry_after_s = 0;
    answer->reason = NULL;
    answer->identity.expires_us = 0;
    answer->identity.user = copy_into(answer->user, user);
    answer->identity.name = copy_into(answer->name, name_valid(name) ? name : (struct span){0});
    return VERDICT_ACCEPTED;
}

enum verdict answer_refuse(struct answer *answer, enum err err, const char *reason)
{
    answer->err = err;
    answer->retry_after_s = 0;
    answer->reason = reason;
    return VERDICT_REFUSED;
}

enum verdict answer_refuse_until(struct answer *answer, unsigned retry_after_s, const char *reason)
{
    (void)answer_refuse(answer, ERR_TOO_MANY, reason);
    answer->retry_after_s = retry_after_s;
    return VERDICT_REFUSED;
}
