/* SPDX-License-Identifier: MIT */
/*
 * The method `jwt`: a signed token that somebody else's login made (RFC 7519, in RFC 7515's compact form).
 *
 * In order, each step only after the one before it: the length, the alphabet, the header (the algorithm must be the
 * configured one, and nothing critical is understood), the key, the signature, and only then the payload. Nothing that
 * a token says is ever fetched or unpacked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "auth/jwt_key.h"
#include "auth/login.h"
#include "auth/method.h"
#include "base/json.h"
#include "base/log.h"

enum { TOKEN_MAX = 4096, HEADER_DEPTH_MAX = 8, CLAIMS_DEPTH_MAX = 16, SKEW_MS_MAX = 60000, NUMBER_SIZE = 24 };

static const int64_t date_max_s = 253402300799; /* the last second of the year 9999 */
static const char out_of_memory[] = "out of memory";

struct jwt {
    const struct clock *clock;
    const struct jwt_algorithm *algorithm;
    struct jwt_keys *keys;
    char *claim;      /* these are owned */
    char *name_claim; /* null: no display names */
    char *audience;   /* null: not checked */
    char *issuer;     /* null: not checked */
    int64_t skew_ms;
};

/* --- setting up ------------------------------------------------------------------------------------------------- */

static void jwt_fini(void *state)
{
    struct jwt *jwt = state;
    jwt_keys_free(jwt->keys);
    free(jwt->claim);
    free(jwt->name_claim);
    free(jwt->audience);
    free(jwt->issuer);
    free(jwt);
}

static enum err check_options(const struct auth_options *options)
{
    const char *name = options->jwt_algorithm;
    if (option_set(options->jwt_key) == option_set(options->jwt_jwks))
        log_event(LOG_ERROR, "auth.methods has `jwt`, which needs one of auth.jwt_key and auth.jwt_jwks");
    else if (!option_set(name))
        log_event(LOG_ERROR, "auth.methods has `jwt`, but auth.jwt_algorithm is not set");
    else if (!jwt_algorithm_find(span_of(name)))
        log_event(LOG_ERROR, "auth.jwt_algorithm is none of HS256, HS384, HS512, RS256, ES256 and EdDSA",
                  log_text("value", name));
    else if (options->jwt_skew_ms < 0 || options->jwt_skew_ms > SKEW_MS_MAX)
        log_event(LOG_ERROR, "auth.jwt_skew is not between 0 and 60 s", log_int("ms", options->jwt_skew_ms));
    else
        return OK;
    return ERR_BAD_FIELD;
}

/* Copies an option; false: no memory. One that is not set becomes the default, which may be null. */
static bool copy_option(const char *option, const char *otherwise, char **ret_copy)
{
    const char *from = option_set(option) ? option : otherwise;
    if (from)
        *ret_copy = strdup(from);
    return !from || *ret_copy;
}

static enum err jwt_fill(struct jwt *jwt, const struct auth_options *options)
{
    bool copied = copy_option(options->jwt_claim, "sub", &jwt->claim) &&
                  copy_option(options->jwt_name_claim, NULL, &jwt->name_claim) &&
                  copy_option(options->jwt_audience, NULL, &jwt->audience) &&
                  copy_option(options->jwt_issuer, NULL, &jwt->issuer);
    if (!copied)
        return ERR_NO_MEMORY;
    jwt->algorithm = jwt_algorithm_find(span_of(options->jwt_algorithm));
    jwt->skew_ms = options->jwt_skew_ms;
    if (option_set(options->jwt_key))
        return jwt_keys_load(options->jwt_key, jwt->algorithm, &jwt->keys);
    return jwt_keys_load_set(options->jwt_jwks, jwt->algorithm, &jwt->keys);
}

static enum err jwt_init(const struct auth_options *options, struct loop *loop unused_arg, const struct clock *clock,
                         void **ret_state)
{
    enum err err = check_options(options);
    if (err)
        return err;
    struct jwt *jwt = calloc(1, sizeof(*jwt));
    if (!jwt)
        return ERR_NO_MEMORY;
    jwt->clock = clock;
    err = jwt_fill(jwt, options);
    if (err) {
        jwt_fini(jwt);
        return err;
    }
    *ret_state = jwt;
    return OK;
}

/* --- the token's parts ------------------------------------------------------------------------------------------ */

struct token {
    struct span header, payload, signature; /* each in base64url */
    struct span signed_text;                /* header, dot, payload */
};

/* False: not three parts. An encrypted token has five. */
static bool token_split(struct span text, struct token *token)
{
    const char *end = text.data + text.len;
    const char *first = memchr(text.data, '.', text.len);
    const char *second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    if (!second || memchr(second + 1, '.', (size_t)(end - second - 1)))
        return false;
    token->header = (struct span){text.data, (size_t)(first - text.data)};
    token->payload = (struct span){first + 1, (size_t)(second - first - 1)};
    token->signature = (struct span){second + 1, (size_t)(end - second - 1)};
    token->signed_text = (struct span){text.data, (size_t)(second - text.data)};
    return true;
}

/* The functions from here on return null, or the reason for a refusal. */
static const char *decode_object(struct span part, unsigned depth_max, const char *why, json_t **ret_object)
{
    uint8_t bytes[BASE64_ROOM(TOKEN_MAX)];
    size_t len;
    json_t *object;
    enum err err = base64_decode(part, BASE64_URL, bytes, &len);
    if (err)
        return err == ERR_NO_MEMORY ? out_of_memory : why;
    if (json_parse((struct span){(const char *)bytes, len}, depth_max, &object))
        return why;
    if (!json_is_object(object)) {
        json_decref(object);
        return why;
    }
    *ret_object = object;
    return NULL;
}

static const char *check_header(const struct jwt *jwt, const json_t *header, const struct jwt_key **ret_key)
{
    if (!span_is(json_text(header, "alg"), jwt_algorithm_name(jwt->algorithm)))
        return "not the configured algorithm";
    if (json_object_get(header, "crit"))
        return "a critical header parameter is not understood";
    if (json_object_get(header, "zip"))
        return "compressed tokens are not accepted";
    *ret_key = jwt_keys_find(jwt->keys, json_text(header, "kid"));
    return *ret_key ? NULL : "signed with an unknown key";
}

static const char *find_key(const struct jwt *jwt, const struct token *token, const struct jwt_key **ret_key)
{
    json_t *header;
    const char *why = decode_object(token->header, HEADER_DEPTH_MAX, "the token's header is malformed", &header);
    if (why)
        return why;
    why = check_header(jwt, header, ret_key);
    json_decref(header);
    return why;
}

static const char *check_signature(const struct jwt_key *key, const struct token *token)
{
    uint8_t bytes[BASE64_ROOM(TOKEN_MAX)];
    size_t len;
    enum err err = base64_decode(token->signature, BASE64_URL, bytes, &len);
    if (err)
        return err == ERR_NO_MEMORY ? out_of_memory : "the signature is malformed";
    struct span signature = {(const char *)bytes, len};
    return jwt_key_verify(key, token->signed_text, signature) ? NULL : "the signature is wrong";
}

/* --- claims ----------------------------------------------------------------------------------------------------- */

enum date { DATE_ABSENT, DATE_BAD, DATE_GIVEN };

/* A date is whole seconds since 1970, up to the year 9999. RFC 7519 would allow fractions; nobody needs them, and
 * refusing them leaves one way to read a number. */
static enum date claim_date(const json_t *claims, const char *name, int64_t *ret_ms)
{
    const json_t *value = json_object_get(claims, name);
    if (!value)
        return DATE_ABSENT;
    int64_t seconds = json_is_integer(value) ? json_integer_value(value) : -1;
    if (seconds < 0 || seconds > date_max_s)
        return DATE_BAD;
    *ret_ms = seconds * 1000;
    return DATE_GIVEN;
}

static const char *check_exp(const struct jwt *jwt, const json_t *claims, int64_t now_ms)
{
    int64_t expires_ms = 0;
    switch (claim_date(claims, "exp", &expires_ms)) {
    case DATE_ABSENT: return "exp is missing";
    case DATE_BAD: return "exp is not a date";
    default: return now_ms >= expires_ms + jwt->skew_ms ? "the token has expired" : NULL;
    }
}

static const char *check_nbf(const struct jwt *jwt, const json_t *claims, int64_t now_ms)
{
    int64_t start_ms = 0;
    switch (claim_date(claims, "nbf", &start_ms)) {
    case DATE_ABSENT: return NULL;
    case DATE_BAD: return "nbf is not a date";
    default: return now_ms < start_ms - jwt->skew_ms ? "the token is not valid yet" : NULL;
    }
}

static const char *check_iat(const struct jwt *jwt, const json_t *claims, int64_t now_ms)
{
    int64_t issued_ms = 0;
    switch (claim_date(claims, "iat", &issued_ms)) {
    case DATE_ABSENT: return NULL;
    case DATE_BAD: return "iat is not a date";
    default: return now_ms < issued_ms - jwt->skew_ms ? "the token was issued in the future" : NULL;
    }
}

static const char *check_iss(const struct jwt *jwt, const json_t *claims, int64_t now_ms unused_arg)
{
    return !jwt->issuer || span_is(json_text(claims, "iss"), jwt->issuer) ? NULL : "another issuer";
}

static bool is_text(const json_t *value, const char *text)
{
    return json_is_string(value) && span_is((struct span){json_string_value(value), json_string_length(value)}, text);
}

static const char *check_aud(const struct jwt *jwt, const json_t *claims, int64_t now_ms unused_arg)
{
    const json_t *audience = json_object_get(claims, "aud");
    if (!jwt->audience || is_text(audience, jwt->audience))
        return NULL;
    for (size_t i = 0; i < json_array_size(audience); i++)
        if (is_text(json_array_get(audience, i), jwt->audience))
            return NULL;
    return "for another audience";
}

static const char *(*const claim_checks[])(const struct jwt *jwt, const json_t *claims, int64_t now_ms) = {
    check_exp, check_nbf, check_iat, check_iss, check_aud,
};

static const char *check_claims(const struct jwt *jwt, const json_t *claims)
{
    int64_t now_ms = clock_wall_us(jwt->clock) / 1000;
    for (size_t i = 0; i < array_len(claim_checks); i++) {
        const char *why = claim_checks[i](jwt, claims, now_ms);
        if (why)
            return why;
    }
    return NULL;
}

/* User ids may be numbers, as those of databases are. */
static struct span claim_user(const json_t *claims, const char *name, char number[NUMBER_SIZE])
{
    const json_t *value = json_object_get(claims, name);
    if (!json_is_integer(value))
        return json_text(claims, name);
    (void)snprintf(number, NUMBER_SIZE, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return span_of(number);
}

/* The claims have been checked. */
static enum verdict accept_claims(const struct jwt *jwt, const json_t *claims, struct answer *answer)
{
    char number[NUMBER_SIZE];
    struct span user = claim_user(claims, jwt->claim, number);
    if (user.len == 0)
        return answer_refuse(answer, ERR_UNAUTHORIZED, "the claim with the user id is missing");
    struct span name = {0};
    if (jwt->name_claim)
        name = json_text(claims, jwt->name_claim);
    int64_t expires_ms = 0;
    (void)claim_date(claims, "exp", &expires_ms);
    enum verdict verdict = answer_accept(answer, user, name);
    answer->identity.expires_us = (expires_ms + jwt->skew_ms) * 1000;
    return verdict;
}

/* --- checking --------------------------------------------------------------------------------------------------- */

static const char *open_token(const struct jwt *jwt, struct span text, const struct token *token, json_t **ret_claims)
{
    const struct jwt_key *key;
    if (text.len > TOKEN_MAX)
        return "the token is longer than 4096 bytes";
    const char *why = find_key(jwt, token, &key);
    if (!why)
        why = check_signature(key, token);
    if (!why)
        why = decode_object(token->payload, CLAIMS_DEPTH_MAX, "the claims are malformed", ret_claims);
    return why;
}

static enum verdict jwt_check(void *state, const struct attempt *attempt, struct answer *answer)
{
    const struct jwt *jwt = state;
    struct span text;
    struct token token;
    json_t *claims;
    if (!scheme_value(attempt->credentials->authorization, "Bearer", &text) || !token_split(text, &token))
        return VERDICT_NOT_MINE;
    const char *why = open_token(jwt, text, &token, &claims);
    if (why)
        return answer_refuse(answer, why == out_of_memory ? ERR_NO_MEMORY : ERR_UNAUTHORIZED, why);
    why = check_claims(jwt, claims);
    enum verdict verdict = why ? answer_refuse(answer, ERR_UNAUTHORIZED, why) : accept_claims(jwt, claims, answer);
    json_decref(claims);
    return verdict;
}

const struct method method_jwt = {
    .name = "jwt",
    .challenge = "Bearer realm=\"nereidd\"",
    .init = jwt_init,
    .check = jwt_check,
    .fini = jwt_fini,
};
