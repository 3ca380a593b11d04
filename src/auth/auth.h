/* SPDX-License-Identifier: MIT */
/*
 * The chain of authentication methods behind core/auth.h.
 *
 *     credentials ─> demo | basic | header | jwt, in the configured order ─> identity, or a refusal
 *
 * A method that finds nothing of its own in the credentials passes them on; the first that does decides. Refusals are
 * counted, and logged with address, method and reason; credentials never are. Loop thread only.
 */
#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/span.h"
#include "core/auth.h"

struct loop;

enum auth_method {
    AUTH_DEMO,   /* Basic credentials with any password */
    AUTH_BASIC,  /* Basic credentials checked against a file of hashes */
    AUTH_HEADER, /* what a trusted proxy says */
    AUTH_JWT,    /* a signed JSON web token as Bearer */
    AUTH_METHOD_COUNT
};

/* All strings are copied. Null or empty is "not set". */
struct auth_options {
    const enum auth_method *methods;
    size_t method_count; /* at least 1 */

    /* basic */
    const char *users;                  /* file, see auth/users.h */
    uint32_t login_failures_per_minute; /* from one address (IPv6: one /64); 0: no limit */
    int64_t login_cache_ms;             /* how long a successful login is believed again; 0: not at all */

    /* header */
    const char *header;         /* names the header with the user id */
    const char *name_header;    /* the one with the display name; may be null */
    const char *const *trusted; /* peers: addresses, networks (10.0.0.0/8), `unix` for any Unix socket's peer */
    size_t trusted_count;

    /* jwt */
    const char *jwt_key;        /* file: the secret for HS*, else the public key in PEM. Or: */
    const char *jwt_jwks;       /* file: a JWK set (RFC 7517) */
    const char *jwt_algorithm;  /* HS256, HS384, HS512, RS256, ES256 or EdDSA; no other is accepted */
    const char *jwt_claim;      /* the claim with the user id; null: sub */
    const char *jwt_name_claim; /* the one with the display name; null: none */
    const char *jwt_audience;   /* null: not checked */
    const char *jwt_issuer;     /* null: not checked */
    int64_t jwt_skew_ms;        /* 0 to 60,000: how far clocks may be apart */
};

/* Reads the files and makes the chain. `loop` does the hashing; null where nothing will be asked (a check of the
 * configuration). `clock` (the loop's, or null for that) outlives the result. Null: something is wrong, and each
 * finding was logged as an error. */
struct auth *auth_new(const struct auth_options *options, struct loop *loop, const struct clock *clock) must_check;

/* Whoever waits for an answer gets ERR_SHUTTING_DOWN before this returns. Not from inside a `done`. Null is allowed. */
void auth_free(struct auth *auth);

/* Reads the users file again. ERR_BAD_FIELD, ERR_NO_MEMORY: the old users stay, and the findings were logged. */
enum err auth_reload(struct auth *auth) must_check;

/* The names and versions of the libraries; static. */
const char *auth_libraries(void);

/* A line for the users file, without its newline, hashed with yescrypt; the caller frees it. Takes a fraction of a
 * second of CPU. Errors: ERR_BAD_FIELD (not a user id, a display name or a password that could be used), ERR_NO_MEMORY,
 * ERR_INTERNAL. */
enum err auth_users_line(struct span user, struct span name, struct span password, char **ret_line) must_check;

#endif
