/* SPDX-License-Identifier: MIT */
/*
 * The authentication port: who is calling.
 *
 * A chain of methods is asked in the configured order. Each either knows nothing of the credentials (the next is
 * asked), or says who it is, or refuses. The answer comes through `done`, on the loop thread, perhaps before
 * `auth_check` returns (most methods), perhaps later (a password hash on a worker).
 */
#ifndef CORE_AUTH_H
#define CORE_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/span.h"

struct auth;

/* What came with the request. Valid until `done` was called. */
struct credentials {
    struct span address;       /* the peer's numeric address without a port; empty for a Unix socket's peer */
    struct span authorization; /* the Authorization header's value; empty: none */
    /* The value of header `name` (any case), empty where there is none or more than one. */
    struct span (*header)(const struct credentials *credentials, const char *name);
    /* Where to say why, before `done`, if they are refused: a static sentence. Untouched otherwise, or where there
     * were no credentials. Null: nobody wants to know. */
    const char **ret_reason;
};

struct identity {
    struct span user;   /* see user_valid */
    struct span name;   /* display name, printable, at most 256 bytes; may be empty */
    int64_t expires_us; /* wall clock; 0: as long as it is asked for each time */
};

/* ERR_UNAUTHORIZED: nobody. ERR_TOO_MANY: too many failures from this address; `retry_after_s` says when to come back.
 * ERR_NO_MEMORY, ERR_SHUTTING_DOWN. `identity` lives until `done` returns and is null on error. */
typedef void auth_done(void *ctx, enum err err, const struct identity *identity, unsigned retry_after_s);

void auth_check(struct auth *auth, const struct credentials *credentials, auth_done *done, void *ctx);

/* Whether somebody who logs in could be this user: 1 to 128 bytes of printable UTF-8 without a space at either end. */
bool user_valid(struct span user) must_check;

/* The value for a WWW-Authenticate header, or null where a browser should not be asked; lives as long as `auth`. */
const char *auth_challenge(const struct auth *auth);

#endif
