/* SPDX-License-Identifier: MIT */
/*
 * The method `basic`: a password, checked against the users file.
 *
 * A hash is made to be slow, so it runs on a worker, at most RUNNING_MAX of them at a time (yescrypt also takes 16 MiB
 * each); others wait in a line of bounded length. When one's turn comes, the address's failures and the remembered
 * logins are looked at again: of a burst of guesses at most RUNNING_MAX - 1 more run than the limit lets through, and
 * of a burst with one right password only the first is hashed.
 *
 * A job outlives `basic_fini` while its worker runs, and then has no `basic` any more. Everything it needs on the
 * worker is its own.
 */
#include <crypt.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/address.h"
#include "auth/login.h"
#include "auth/login_cache.h"
#include "auth/method.h"
#include "auth/users.h"
#include "base/log.h"
#include "base/rate.h"
#include "io/loop.h"

enum { RUNNING_MAX = 2, WAITING_MAX = 64, CACHE_MAX = 4096, FAILURE_KEYS_MAX = 16384, BUSY_RETRY_S = 1 };

struct basic {
    struct loop *loop;
    const struct clock *clock;
    char *path; /* of the users file; owned */
    struct users *users;
    struct login_cache *cache;
    struct rate *failures;
    struct job *running, *waiting;
    unsigned running_count, waiting_count;
};

struct job {
    struct basic *basic; /* null once that is gone */
    struct attempt attempt;
    struct login login;
    bool known; /* `hash` is the user's, not a decoy */
    char hash[USERS_HASH_SIZE];
    enum err outcome; /* set on the worker */
    struct job *prev, *next;
};

/* --- setting up ------------------------------------------------------------------------------------------------- */

static void basic_release(struct basic *basic)
{
    rate_free(basic->failures);
    login_cache_free(basic->cache);
    users_free(basic->users);
    free(basic->path);
    free(basic);
}

static enum err basic_fill(struct basic *basic, const struct auth_options *options)
{
    uint32_t per_minute = options->login_failures_per_minute;
    basic->path = strdup(options->users);
    basic->cache = login_cache_new(options->login_cache_ms, CACHE_MAX);
    basic->failures = rate_new(per_minute, per_minute ? per_minute : 1, FAILURE_KEYS_MAX);
    if (!basic->path || !basic->cache || !basic->failures)
        return ERR_NO_MEMORY;
    return users_load(basic->path, &basic->users);
}

static enum err basic_init(const struct auth_options *options, struct loop *loop, const struct clock *clock,
                           void **ret_state)
{
    if (!option_set(options->users)) {
        log_event(LOG_ERROR, "auth.methods has `basic`, but auth.users does not name a file");
        return ERR_BAD_FIELD;
    }
    struct basic *basic = calloc(1, sizeof(*basic));
    if (!basic)
        return ERR_NO_MEMORY;
    basic->loop = loop;
    basic->clock = clock;
    enum err err = basic_fill(basic, options);
    if (err) {
        basic_release(basic);
        return err;
    }
    *ret_state = basic;
    return OK;
}

static enum err basic_reload(void *state)
{
    struct basic *basic = state;
    struct users *users;
    enum err err = users_load(basic->path, &users);
    if (err)
        return err;
    users_free(basic->users);
    basic->users = users;
    login_cache_clear(basic->cache);
    return OK;
}

/* --- deciding --------------------------------------------------------------------------------------------------- */

static uint32_t failures_wait(struct basic *basic, const struct attempt *attempt)
{
    struct address_key key;
    address_key(attempt->credentials->address, &key);
    return rate_wait(basic->failures, address_key_span(&key), clock_now_ms(basic->clock));
}

static void failures_add(struct basic *basic, const struct attempt *attempt)
{
    struct address_key key;
    address_key(attempt->credentials->address, &key);
    /* With the limit reached already, by a check that ran beside this one, there is nothing left to take. */
    uint32_t wait = rate_take(basic->failures, address_key_span(&key), clock_now_ms(basic->clock));
    (void)wait;
}

static enum verdict accept_user(struct basic *basic, struct span user, struct answer *answer)
{
    struct span name;
    /* The file may have been read again since the password was found right. */
    if (!users_name(basic->users, user, &name))
        return answer_refuse(answer, ERR_UNAUTHORIZED, "wrong user or password");
    return answer_accept(answer, user, name);
}

/* What needs no hash: a remembered login, and too many failures. */
static enum verdict decide_at_once(struct basic *basic, const struct attempt *attempt, const struct login *login,
                                   struct answer *answer)
{
    if (login_cache_has(basic->cache, login, clock_now_ms(basic->clock)))
        return accept_user(basic, login->user, answer);
    uint32_t wait_s = failures_wait(basic, attempt);
    return wait_s ? answer_refuse_until(answer, wait_s, "too many failures from this address") : VERDICT_LATER;
}

static enum verdict decide_by_outcome(struct basic *basic, const struct job *job, struct answer *answer)
{
    if (job->outcome == OK && job->known) {
        login_cache_add(basic->cache, &job->login, clock_now_ms(basic->clock));
        return accept_user(basic, job->login.user, answer);
    }
    if (job->outcome != OK && job->outcome != ERR_UNAUTHORIZED)
        return answer_refuse(answer, job->outcome, "a password could not be hashed");
    failures_add(basic, &job->attempt);
    return answer_refuse(answer, ERR_UNAUTHORIZED, "wrong user or password");
}

/* --- jobs ------------------------------------------------------------------------------------------------------- */

static void job_free(struct job *job)
{
    login_fini(&job->login);
    explicit_bzero(job->hash, sizeof(job->hash));
    free(job);
}

/* On a worker. */
static void job_run(void *ctx)
{
    struct job *job = ctx;
    void *data = NULL;
    int size = 0;
    errno = 0;
    const char *made = crypt_ra(job->login.password.data, job->hash, &data, &size);
    if (!made)
        job->outcome = errno == ENOMEM ? ERR_NO_MEMORY : ERR_UNAUTHORIZED;
    else if (strlen(made) != strlen(job->hash) || gnutls_memcmp(made, job->hash, strlen(made)) != 0)
        job->outcome = ERR_UNAUTHORIZED;
    else
        job->outcome = OK;
    if (data)
        explicit_bzero(data, (size_t)size);
    free(data);
}

static void run_waiting(struct basic *basic);

static void job_done(void *ctx)
{
    struct job *job = ctx;
    struct basic *basic = job->basic;
    if (basic) {
        struct answer answer;
        DL_DELETE(basic->running, job);
        basic->running_count--;
        (void)decide_by_outcome(basic, job, &answer);
        /* Before the answer, since that may ask again. */
        run_waiting(basic);
        attempt_finish(&job->attempt, &answer);
    }
    job_free(job);
}

/* The hash is taken now, from the file as it is now. */
static enum err job_start(struct basic *basic, struct job *job)
{
    const char *hash;
    job->known = users_hash(basic->users, job->login.user, &hash);
    memcpy(job->hash, hash, strlen(hash) + 1);
    enum err err = loop_work(basic->loop, job_run, job_done, job);
    if (err)
        return err;
    DL_APPEND(basic->running, job);
    basic->running_count++;
    return OK;
}

static void start_or_answer(struct basic *basic, struct job *job)
{
    struct answer answer;
    enum verdict verdict = decide_at_once(basic, &job->attempt, &job->login, &answer);
    if (verdict == VERDICT_LATER) {
        enum err err = job_start(basic, job);
        if (!err)
            return;
        (void)answer_refuse(&answer, err, "no worker for a password");
    }
    attempt_finish(&job->attempt, &answer);
    job_free(job);
}

static void run_waiting(struct basic *basic)
{
    while (basic->waiting && basic->running_count < RUNNING_MAX) {
        struct job *job = basic->waiting;
        DL_DELETE(basic->waiting, job);
        basic->waiting_count--;
        start_or_answer(basic, job);
    }
}

/* Consumes the login on VERDICT_LATER only. */
static enum verdict job_add(struct basic *basic, const struct attempt *attempt, const struct login *take_login,
                            struct answer *answer)
{
    if (basic->waiting_count >= WAITING_MAX)
        return answer_refuse_until(answer, BUSY_RETRY_S, "too many passwords are being checked");
    struct job *job = calloc(1, sizeof(*job));
    if (!job)
        return answer_refuse(answer, ERR_NO_MEMORY, "out of memory");
    job->basic = basic;
    job->attempt = *attempt;
    job->login = *take_login;
    DL_APPEND(basic->waiting, job);
    basic->waiting_count++;
    run_waiting(basic);
    return VERDICT_LATER;
}

static enum verdict basic_check(void *state, const struct attempt *attempt, struct answer *answer)
{
    struct basic *basic = state;
    struct span value;
    if (!scheme_value(attempt->credentials->authorization, "Basic", &value))
        return VERDICT_NOT_MINE;
    struct login login;
    enum err err = login_decode(value, &login);
    if (err)
        return answer_refuse(answer, err, "malformed Basic credentials");
    enum verdict verdict = decide_at_once(basic, attempt, &login, answer);
    if (verdict == VERDICT_LATER)
        verdict = job_add(basic, attempt, &login, answer);
    if (verdict != VERDICT_LATER)
        login_fini(&login);
    return verdict;
}

static void finish_for_shutdown(struct job *job)
{
    struct answer answer;
    (void)answer_refuse(&answer, ERR_SHUTTING_DOWN, "shutting down");
    attempt_finish(&job->attempt, &answer);
}

static void basic_fini(void *state)
{
    struct basic *basic = state;
    struct job *job;
    struct job *next;
    DL_FOREACH_SAFE (basic->running, job, next) {
        job->basic = NULL;
        finish_for_shutdown(job);
    }
    DL_FOREACH_SAFE (basic->waiting, job, next) {
        finish_for_shutdown(job);
        job_free(job);
    }
    basic_release(basic);
}

const struct method method_basic = {
    .name = "basic",
    .challenge = "Basic realm=\"nereidd\", charset=\"UTF-8\"",
    .init = basic_init,
    .check = basic_check,
    .reload = basic_reload,
    .fini = basic_fini,
};
