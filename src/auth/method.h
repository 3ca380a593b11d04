/* SPDX-License-Identifier: MIT */
/*
 * What the chain and its methods agree on. Private to src/auth.
 *
 * A method is a row: how to make its state from the options, how to check credentials with it, how to free it. `check`
 * decides at once by filling the answer, or says VERDICT_LATER, keeps a copy of the attempt, and calls `attempt_finish`
 * exactly once afterwards.
 */
#ifndef AUTH_METHOD_H
#define AUTH_METHOD_H

#include "auth/auth.h"

enum { USER_MAX = 128, NAME_MAX_BYTES = 256 };

enum verdict {
    VERDICT_NOT_MINE, /* nothing of this method in the credentials */
    VERDICT_ACCEPTED,
    VERDICT_REFUSED,
    VERDICT_LATER
};

/* One caller of auth_check. Copied by value; the credentials live until the attempt is finished. */
struct attempt {
    struct auth *auth;
    const struct method *method; /* the one being asked */
    const struct credentials *credentials;
    auth_done *done;
    void *ctx;
};

/* Holds the identity's bytes itself, so it must not be copied. */
struct answer {
    enum err err;
    unsigned retry_after_s;
    const char *reason; /* static; why it was refused, for the log */
    struct identity identity;
    char user[USER_MAX];
    char name[NAME_MAX_BYTES];
};

struct method {
    const char *name;
    const char *challenge; /* for WWW-Authenticate; null: do not ask */

    /* Logs what is wrong. *ret_state may stay null for a method without state. */
    enum err (*init)(const struct auth_options *options, struct loop *loop, const struct clock *clock,
                     void **ret_state);
    enum verdict (*check)(void *state, const struct attempt *attempt, struct answer *answer);

    /* Reads files again; null: there are none. */
    enum err (*reload)(void *state);

    /* Finishes what is still open. */
    void (*fini)(void *state);
};

extern const struct method method_demo, method_basic, method_header, method_jwt;

static inline bool option_set(const char *option)
{
    return option && *option;
}

/* Printable, at most NAME_MAX_BYTES; may be empty. */
bool name_valid(struct span name);

/* Copies the identity into the answer. A user id that is not valid is a refusal, a name that is not valid is left
 * empty. */
enum verdict answer_accept(struct answer *answer, struct span user, struct span name);

/* `reason` is static. */
enum verdict answer_refuse(struct answer *answer, enum err err, const char *reason);
enum verdict answer_refuse_until(struct answer *answer, unsigned retry_after_s, const char *reason);

/* Logs and counts a refusal, and tells the caller. */
void attempt_finish(const struct attempt *attempt, const struct answer *answer);

/* Logs `event` with the address at most a few times a minute for each address. */
void attempt_warn(const struct attempt *attempt, const char *event);

#endif
