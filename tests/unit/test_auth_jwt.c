/* SPDX-License-Identifier: MIT */
/* The method `jwt`: which tokens are let in, which are refused and why, and which keys nereidd starts with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <gnutls/crypto.h>
#include <rhonabwy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jwt_key.h"
#include "base/buf.h"
#include "base/metric.h"
#include "lib/caller.h"
#include "lib/token.h"

#define SECRET "0123456789abcdef0123456789ABCDEF"
#define SECRET_64 SECRET SECRET
#define NOW "1700000000"
#define HS256 "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
/* The claims of a good token but for its last brace, so that more can be added. */
#define GOOD "{\"sub\":\"alice\",\"iss\":\"https://login.example\",\"aud\":\"chat\",\"exp\":1700000600"

static struct stage stage;
static char key_path[128];

static int setup(void **state)
{
    (void)state;
    stage_init(&stage);
    (void)snprintf(key_path, sizeof(key_path), "%s/key", stage.folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stage_fini(&stage);
    return 0;
}

static struct auth_options options_for(const char *algorithm, const char *key, const char *set)
{
    static const enum auth_method methods[] = {AUTH_JWT};
    return (struct auth_options){.methods = methods,
                                 .method_count = 1,
                                 .jwt_key = key,
                                 .jwt_jwks = set,
                                 .jwt_algorithm = algorithm,
                                 .jwt_name_claim = "name",
                                 .jwt_audience = "chat",
                                 .jwt_issuer = "https://login.example",
                                 .jwt_skew_ms = 30000};
}

static struct auth *secret_chain(const char *algorithm, struct span secret)
{
    (void)stage_file(&stage, "key", 0600, secret);
    struct auth_options options = options_for(algorithm, key_path, NULL);
    return auth_new(&options, NULL, &stage.clock);
}

static struct auth *set_chain(const char *algorithm, const char *set)
{
    (void)stage_file(&stage, "key", 0600, span_of(set));
    struct auth_options options = options_for(algorithm, NULL, key_path);
    return auth_new(&options, NULL, &stage.clock);
}

static struct caller ask(struct auth *auth, struct span token)
{
    struct buf header = BUF_INIT;
    buf_add_text(&header, "Bearer ");
    buf_add(&header, token);
    assert_false(buf_failed(&header));
    struct caller caller = caller_at("192.0.2.1", NULL);
    caller.credentials.authorization = buf_span(&header);
    caller_ask(&caller, auth);
    assert_int_equal(caller.answers, 1);
    buf_fini(&header);
    return caller;
}

static void assert_refused(struct auth *auth, struct span token, const char *reason)
{
    char line[160];
    (void)snprintf(line, sizeof(line), "reason=\"%s\"", reason);
    stage_log_clear(&stage);
    int64_t failures = metric_value(METRIC_LOGIN_FAILURES);
    struct caller caller = ask(auth, token);
    if (caller.err != ERR_UNAUTHORIZED || !stage_logged(&stage, line))
        fail_msg("%.200s\nis not refused with: %s", token.data, reason);
    assert_int_equal(metric_value(METRIC_LOGIN_FAILURES), failures + 1);
}

static void assert_user(struct auth *auth, struct span token, const char *user)
{
    struct caller caller = ask(auth, token);
    if (caller.err || strcmp(caller.user, user) != 0)
        fail_msg("%.200s\nis not the token of: %s", token.data, user);
}

static struct buf signed_token(const char *header, const char *claims)
{
    struct buf token = BUF_INIT;
    token_start(&token, span_of(header), span_of(claims));
    token_sign_mac(&token, GNUTLS_MAC_SHA256, SPAN_LITERAL(SECRET));
    return token;
}

/* --- claims: rows of header, claims, and the user or the reason ------------------------------------------------- */

struct token_case {
    const char *claims;
    const char *user;   /* null: refused */
    const char *reason; /* of the refusal */
};

static void check_claims(const struct token_case *cases, size_t count)
{
    struct auth *auth = secret_chain("HS256", SPAN_LITERAL(SECRET));
    assert_non_null(auth);
    for (size_t i = 0; i < count; i++) {
        struct buf token = signed_token(HS256, cases[i].claims);
        if (cases[i].user)
            assert_user(auth, buf_span(&token), cases[i].user);
        else
            assert_refused(auth, buf_span(&token), cases[i].reason);
        buf_fini(&token);
    }
    auth_free(auth);
}

#define DATED(dates) "{\"sub\":\"alice\",\"iss\":\"https://login.example\",\"aud\":\"chat\"" dates "}"

static void dates_are_whole_seconds_with_some_skew(void **state)
{
    (void)state;
    static const struct token_case cases[] = {
        {DATED(",\"exp\":1700000001"), "alice", NULL},
        {DATED(",\"exp\":1699999971"), "alice", NULL},
        {DATED(",\"exp\":1699999970"), NULL, "the token has expired"},
        {DATED(",\"exp\":0"), NULL, "the token has expired"},
        {DATED(",\"exp\":253402300799"), "alice", NULL},
        {DATED(",\"exp\":253402300800"), NULL, "exp is not a date"},
        {DATED(",\"exp\":9223372036854775807"), NULL, "exp is not a date"},
        {DATED(",\"exp\":9223372036854775808"), NULL, "the claims are malformed"},
        {DATED(",\"exp\":-1"), NULL, "exp is not a date"},
        {DATED(",\"exp\":-9223372036854775808"), NULL, "exp is not a date"},
        {DATED(",\"exp\":1700000600.0"), NULL, "exp is not a date"},
        {DATED(",\"exp\":1700000600.5"), NULL, "exp is not a date"},
        {DATED(",\"exp\":1.7e10"), NULL, "exp is not a date"},
        {DATED(",\"exp\":1e999"), NULL, "the claims are malformed"},
        {DATED(",\"exp\":NaN"), NULL, "the claims are malformed"},
        {DATED(",\"exp\":\"1700000600\""), NULL, "exp is not a date"},
        {DATED(",\"exp\":true"), NULL, "exp is not a date"},
        {DATED(",\"exp\":null"), NULL, "exp is not a date"},
        {DATED(",\"exp\":[1700000600]"), NULL, "exp is not a date"},
        {DATED(""), NULL, "exp is missing"},
        {GOOD ",\"exp\":1800000000}", NULL, "the claims are malformed"}, /* exp twice */
        {GOOD ",\"nbf\":1700000030}", "alice", NULL},
        {GOOD ",\"nbf\":1700000031}", NULL, "the token is not valid yet"},
        {GOOD ",\"nbf\":\"0\"}", NULL, "nbf is not a date"},
        {GOOD ",\"nbf\":0.5}", NULL, "nbf is not a date"},
        {GOOD ",\"nbf\":-5}", NULL, "nbf is not a date"},
        {GOOD ",\"iat\":1700000030}", "alice", NULL},
        {GOOD ",\"iat\":1700000031}", NULL, "the token was issued in the future"},
        {GOOD ",\"iat\":{}}", NULL, "iat is not a date"},
    };
    check_claims(cases, array_len(cases));
}

/* When the identity ends: with the token, as late as it would still be let in. */
static void an_identity_ends_with_its_token(void **state)
{
    (void)state;
    struct auth *auth = secret_chain("HS256", SPAN_LITERAL(SECRET));
    struct buf token = signed_token(HS256, GOOD "}");
    struct caller caller = ask(auth, buf_span(&token));
    assert_int_equal(caller.err, OK);
    assert_int_equal(caller.expires_us, 1700000630000000);
    buf_fini(&token);
    auth_free(auth);
}

/* Whoever asks for a reason is told the one that the log has; credentials that nobody looked at have none. */
static void a_refusal_has_a_reason(void **state)
{
    (void)state;
    struct auth *auth = secret_chain("HS256", SPAN_LITERAL(SECRET));
    struct buf header = BUF_INIT;
    struct buf token = signed_token(HS256, DATED(",\"exp\":0"));
    buf_add_text(&header, "Bearer ");
    buf_add(&header, buf_span(&token));
    const char *reason = NULL;
    struct caller caller = caller_at("192.0.2.1", NULL);
    caller.credentials.authorization = buf_span(&header);
    caller.credentials.ret_reason = &reason;
    caller_ask(&caller, auth);
    assert_int_equal(caller.err, ERR_UNAUTHORIZED);
    assert_string_equal(reason, "the token has expired");

    reason = NULL;
    caller.credentials.authorization = (struct span){0};
    caller_ask(&caller, auth);
    assert_int_equal(caller.err, ERR_UNAUTHORIZED);
    assert_null(reason);
    buf_fini(&token);
    buf_fini(&header);
    auth_free(auth);
}

#define FOR(audience) "{\"sub\":\"alice\",\"iss\":\"https://login.example\",\"exp\":1700000600" audience "}"
#define FROM(issuer) "{\"sub\":\"alice\",\"aud\":\"chat\",\"exp\":1700000600" issuer "}"

static void audience_and_issuer_must_be_ours(void **state)
{
    (void)state;
    static const struct token_case cases[] = {
        {FOR(",\"aud\":\"chat\""), "alice", NULL},
        {FOR(",\"aud\":[\"mail\",\"chat\"]"), "alice", NULL},
        {FOR(",\"aud\":[1,\"chat\"]"), "alice", NULL},
        {FOR(""), NULL, "for another audience"},
        {FOR(",\"aud\":\"chats\""), NULL, "for another audience"},
        {FOR(",\"aud\":\"cha\""), NULL, "for another audience"},
        {FOR(",\"aud\":\"Chat\""), NULL, "for another audience"},
        {FOR(",\"aud\":\"\""), NULL, "for another audience"},
        {FOR(",\"aud\":[]"), NULL, "for another audience"},
        {FOR(",\"aud\":[\"mail\"]"), NULL, "for another audience"},
        {FOR(",\"aud\":[[\"chat\"]]"), NULL, "for another audience"},
        {FOR(",\"aud\":{\"chat\":\"chat\"}"), NULL, "for another audience"},
        {FOR(",\"aud\":null"), NULL, "for another audience"},
        {FROM(",\"iss\":\"https://login.example\""), "alice", NULL},
        {FROM(""), NULL, "another issuer"},
        {FROM(",\"iss\":\"https://login.example/\""), NULL, "another issuer"},
        {FROM(",\"iss\":[\"https://login.example\"]"), NULL, "another issuer"},
        {FROM(",\"iss\":1"), NULL, "another issuer"},
    };
    check_claims(cases, array_len(cases));
}

#define WHO(sub) "{\"iss\":\"https://login.example\",\"aud\":\"chat\",\"exp\":1700000600" sub "}"

static void the_user_is_a_claim(void **state)
{
    (void)state;
    static const struct token_case cases[] = {
        {WHO(",\"sub\":\"Zo\\u00eb\""), "Zo\xc3\xab", NULL},
        {WHO(",\"sub\":42"), "42", NULL},
        {WHO(",\"sub\":0"), "0", NULL},
        {WHO(",\"sub\":-9223372036854775808"), "-9223372036854775808", NULL},
        {WHO(""), NULL, "the claim with the user id is missing"},
        {WHO(",\"sub\":\"\""), NULL, "the claim with the user id is missing"},
        {WHO(",\"sub\":4.5"), NULL, "the claim with the user id is missing"},
        {WHO(",\"sub\":true"), NULL, "the claim with the user id is missing"},
        {WHO(",\"sub\":null"), NULL, "the claim with the user id is missing"},
        {WHO(",\"sub\":[\"alice\"]"), NULL, "the claim with the user id is missing"},
        {WHO(",\"sub\":\" alice\""), NULL, "not a user id"},
        {WHO(",\"sub\":\"al\\nice\""), NULL, "not a user id"},
        {WHO(",\"sub\":\"al\\u202eice\""), NULL, "not a user id"},
        {WHO(",\"sub\":\"al\\u0000ice\""), NULL, "the claims are malformed"},
        {WHO(",\"sub\":\"al\xff\""), NULL, "the claims are malformed"},
        {WHO(",\"sub\":\"alice\",\"sub\":\"bob\""), NULL, "the claims are malformed"},
    };
    check_claims(cases, array_len(cases));
}

static void claims_are_one_json_object(void **state)
{
    (void)state;
    static const struct token_case cases[] = {
        {"", NULL, "the claims are malformed"},
        {"null", NULL, "the claims are malformed"},
        {"[" GOOD "}]", NULL, "the claims are malformed"},
        {"\"alice\"", NULL, "the claims are malformed"},
        {GOOD, NULL, "the claims are malformed"},
        {GOOD "}x", NULL, "the claims are malformed"},
        {GOOD ",\"x\":[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]}", "alice", NULL},
        {GOOD ",\"x\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}", NULL, "the claims are malformed"},
    };
    check_claims(cases, array_len(cases));
}

static void the_name_is_a_claim_too(void **state)
{
    (void)state;
    static const struct {
        const char *claims, *name;
    } cases[] = {
        {GOOD ",\"name\":\"Alice L\"}", "Alice L"},
        {GOOD ",\"name\":\"\"}", ""},
        {GOOD ",\"name\":\"A\\u0007\"}", ""},
        {GOOD ",\"name\":7}", ""},
        {GOOD "}", ""},
    };
    struct auth *auth = secret_chain("HS256", SPAN_LITERAL(SECRET));
    for (size_t i = 0; i < array_len(cases); i++) {
        struct buf token = signed_token(HS256, cases[i].claims);
        struct caller caller = ask(auth, buf_span(&token));
        assert_int_equal(caller.err, OK);
        assert_string_equal(caller.name, cases[i].name);
        buf_fini(&token);
    }
    auth_free(auth);
}

static void what_is_not_configured_is_not_checked(void **state)
{
    (void)state;
    (void)stage_file(&stage, "key", 0600, SPAN_LITERAL(SECRET));
    struct auth_options options = options_for("HS256", key_path, NULL);
    options.jwt_audience = "";
    options.jwt_issuer = NULL;
    options.jwt_name_claim = "";
    options.jwt_claim = "uid";
    options.jwt_skew_ms = 0;
    struct auth *auth = auth_new(&options, NULL, &stage.clock);
    struct buf good = signed_token(HS256, "{\"uid\":\"bob\",\"name\":\"Bob\",\"aud\":\"mail\",\"exp\":1700000001}");
    struct buf late = signed_token(HS256, "{\"uid\":\"bob\",\"exp\":" NOW "}");
    struct buf other = signed_token(HS256, "{\"sub\":\"bob\",\"exp\":1700000001}");
    assert_user(auth, buf_span(&good), "bob");
    assert_string_equal(ask(auth, buf_span(&good)).name, "");
    assert_refused(auth, buf_span(&late), "the token has expired");
    assert_refused(auth, buf_span(&other), "the claim with the user id is missing");
    buf_fini(&good);
    buf_fini(&late);
    buf_fini(&other);
    auth_free(auth);
}

/* --- header ----------------------------------------------------------------------------------------------------- */

static void only_the_configured_algorithm_is_accepted(void **state)
{
    (void)state;
    static const char *const others[] = {
        "{\"alg\":\"none\"}",  "{\"alg\":\"None\"}",   "{\"alg\":\"nOnE\"}",    "{\"alg\":\"NONE\"}",
        "{\"alg\":\"HS384\"}", "{\"alg\":\"HS512\"}",  "{\"alg\":\"hs256\"}",   "{\"alg\":\"HS256 \"}",
        "{\"alg\":\"RS256\"}", "{\"alg\":\"ES256\"}",  "{\"alg\":\"EdDSA\"}",   "{\"alg\":\"\"}",
        "{\"alg\":null}",      "{\"alg\":256}",        "{\"alg\":[\"HS256\"]}", "{}",
        "{\"Alg\":\"HS256\"}", "{\"alg\":\"HS2567\"}", "{\"alg\":\"HS25\"}",
    };
    struct auth *auth = secret_chain("HS256", SPAN_LITERAL(SECRET));
    for (size_t i = 0; i < array_len(others); i++) {
        struct buf token = signed_token(others[i], GOOD "}");
        assert_refused(auth, buf_span(&token), "not the configured algorithm");
        /* Nor without a signature. */
        token.len = (size_t)((const char *)memrchr(token.data, '.', token.len) - token.data) + 1;
        assert_refused(auth, buf_span(&token), "not the configured algorithm");
        buf_fini(&token);
    }
    auth_free(auth);
}

static void headers_that_want_more_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *header, *reason;
    } cases[] = {
        {"{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}", "a critical header parameter is not understood"},
        {"{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}", "a critical header parameter is not understood"},
        {"{\"alg\":\"HS256\",\"crit\":[]}", "a critical header parameter is not understood"},
        {"{\"alg\":\"HS256\",\"crit\":null}", "a critical header parameter is not understood"},
        {"{\"alg\":\"HS256\",\"zip\":\"DEF\"}", "compressed tokens are not accepted"},
        {"{\"alg\":\"none\",\"alg\":\"HS256\"}", "the token's header is malformed"},
        {"{\"alg\":\"HS256\"", "the token's header is malformed"},
        {"[\"HS256\"]", "the token's header is malformed"},
        {"\"HS256\"", "the token's header is malformed"},
        {"", "the token's header is malformed"},
        {"{\"alg\":\"HS256\",\"x\":[[[[[[[[1]]]]]]]]}", "the token's header is malformed"},
    };
    struct auth *auth = secret_chain("HS256", SPAN_LITERAL(SECRET));
    for (size_t i = 0; i < array_len(cases); i++) {
        struct buf token = signed_token(cases[i].header, GOOD "}");
        assert_refused(auth, buf_span(&token), cases[i].reason);
        buf_fini(&token);
    }
    auth_free(auth);
}

/* A token cannot bring its own key: what it says of keys is not looked at, and the configured key decides. */
static void keys_in_the_token_have_no_say(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}}",
        "{\"alg\":\"HS256\",\"jku\":\"http://127.0.0.1:1/keys\"}",
        "{\"alg\":\"HS256\",\"x5u\":\"http://127.0.0.1:1/certificate\",\"x5c\":[\"AAAA\"]}",
    };
    struct auth *auth = secret_chain("HS256", SPAN_LITERAL(SECRET));
    for (size_t i = 0; i < array_len(headers); i++) {
        struct buf ours = signed_token(headers[i], GOOD "}");
        assert_user(auth, buf_span(&ours), "alice");
        struct buf theirs = BUF_INIT;
        token_start(&theirs, span_of(headers[i]), SPAN_LITERAL(GOOD "}"));
        token_sign_mac(&theirs, GNUTLS_MAC_SHA256, SPAN_LITERAL("\0\0\0"));
        assert_refused(auth, buf_span(&theirs), "the signature is wrong");
        buf_fini(&ours);
        buf_fini(&theirs);
    }
    auth_free(auth);
}

/* --- the text of a token ---------------------------------------------------------------------------------------- */

static void a_changed_token_is_refused(void **state)
{
    (void)state;
    struct auth *auth = secret_chain("HS256", SPAN_LITERAL(SECRET));
    struct buf token = signed_token(HS256, GOOD "}");
    assert_user(auth, buf_span(&token), "alice");
    for (size_t i = 0; i < token.len; i++) {
        char old = token.data[i];
        token.data[i] = old == 'A' ? 'B' : 'A';
        assert_int_equal(ask(auth, buf_span(&token)).err, ERR_UNAUTHORIZED);
        token.data[i] = old;
    }
    assert_user(auth, buf_span(&token), "alice");
    buf_fini(&token);
    auth_free(auth);
}

static void a_signature_has_one_form(void **state)
{
    (void)state;
    struct auth *auth = secret_chain("HS256", SPAN_LITERAL(SECRET));
    struct buf token = signed_token(HS256, GOOD "}");
    const char *signature = (const char *)memrchr(token.data, '.', token.len) + 1;
    size_t start = (size_t)(signature - token.data);
    static const char *const tails[] = {"=", "A", "AA", "==", "\n", " ", "\t", "%3D"};
    for (size_t i = 0; i < array_len(tails); i++) {
        struct buf longer = BUF_INIT;
        buf_add(&longer, buf_span(&token));
        buf_add_text(&longer, tails[i]);
        assert_int_equal(ask(auth, buf_span(&longer)).err, ERR_UNAUTHORIZED);
        buf_fini(&longer);
    }
    for (size_t len = start; len < token.len; len++)
        assert_int_equal(ask(auth, (struct span){token.data, len}).err, ERR_UNAUTHORIZED);
    assert_refused(auth, (struct span){token.data, start}, "the signature is wrong");
    /* The last character of 32 bytes in base64 has two bits to spare, and they are zero. */
    token.data[token.len - 1]++;
    assert_refused(auth, buf_span(&token), "the signature is malformed");
    buf_fini(&token);
    auth_free(auth);
}

static void what_has_three_parts_is_a_token(void **state)
{
    (void)state;
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"..", "the token's header is malformed"},
        {"a..", "the token's header is malformed"},
        {".a.", "the token's header is malformed"},
        {"{}.{}.{}", "the token's header is malformed"},
        {"e30=.e30.e30", "the token's header is malformed"},
        {"e30.e30.e30", "not the configured algorithm"},
        {"", "no method for these credentials"},
        {".", "no method for these credentials"},
        {"...", "no method for these credentials"},
        {"a.b.c.d.e", "no method for these credentials"},
        {"ed9a4a3c-6c1a-4a53-8f86-4ad5ae1a3a0b", "no method for these credentials"},
        {"{\"payload\":\"e30\",\"protected\":\"e30\",\"signature\":\"e30\"}", "no method for these credentials"},
    };
    struct auth *auth = secret_chain("HS256", SPAN_LITERAL(SECRET));
    for (size_t i = 0; i < array_len(cases); i++)
        assert_refused(auth, span_of(cases[i].text), cases[i].reason);
    auth_free(auth);
}

/* Fills up with a claim nobody reads, until the token has exactly `len` bytes or one less (no base64 has 4n+1). */
static struct buf token_of_len(size_t len)
{
    struct buf claims = BUF_INIT;
    struct buf token = BUF_INIT;
    buf_add_text(&claims, GOOD ",\"x\":\"");
    for (;;) {
        buf_add_text(&claims, "y\"}");
        buf_fini(&token);
        token_start(&token, SPAN_LITERAL(HS256), buf_span(&claims));
        token_sign_mac(&token, GNUTLS_MAC_SHA256, SPAN_LITERAL(SECRET));
        if (token.len >= len)
            break;
        claims.len -= 2;
    }
    buf_fini(&claims);
    return token;
}

static void tokens_have_at_most_4096_bytes(void **state)
{
    (void)state;
    struct auth *auth = secret_chain("HS256", SPAN_LITERAL(SECRET));
    struct buf fits = token_of_len(4095);
    struct buf over = token_of_len(4097);
    assert_in_range(fits.len, 4095, 4096);
    assert_in_range(over.len, 4097, 4098);
    assert_user(auth, buf_span(&fits), "alice");
    assert_refused(auth, buf_span(&over), "the token is longer than 4096 bytes");
    buf_reset(&over);
    for (size_t i = 0; i < 1 << 20; i++)
        buf_add_char(&over, i == 10 || i == 20 ? '.' : 'A');
    assert_refused(auth, buf_span(&over), "the token is longer than 4096 bytes");
    buf_fini(&fits);
    buf_fini(&over);
    auth_free(auth);
}

/* --- algorithms and keys ---------------------------------------------------------------------------------------- */

static void longer_hashes_work_too(void **state)
{
    (void)state;
    static const struct {
        const char *algorithm, *header;
        gnutls_mac_algorithm_t mac;
    } cases[] = {
        {"HS384", "{\"alg\":\"HS384\"}", GNUTLS_MAC_SHA384},
        {"HS512", "{\"alg\":\"HS512\"}", GNUTLS_MAC_SHA512},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        struct auth *auth = secret_chain(cases[i].algorithm, SPAN_LITERAL(SECRET_64));
        struct buf token = BUF_INIT;
        token_start(&token, span_of(cases[i].header), SPAN_LITERAL(GOOD "}"));
        token_sign_mac(&token, cases[i].mac, SPAN_LITERAL(SECRET_64));
        assert_user(auth, buf_span(&token), "alice");
        struct buf short_hash = signed_token(HS256, GOOD "}");
        assert_refused(auth, buf_span(&short_hash), "not the configured algorithm");
        buf_fini(&token);
        buf_fini(&short_hash);
        auth_free(auth);
    }
}

static void one_newline_after_the_secret_is_not_part_of_it(void **state)
{
    (void)state;
    struct buf token = signed_token(HS256, GOOD "}");
    struct auth *auth = secret_chain("HS256", SPAN_LITERAL(SECRET "\n"));
    assert_user(auth, buf_span(&token), "alice");
    auth_free(auth);
    auth = secret_chain("HS256", SPAN_LITERAL(SECRET "\n\n"));
    assert_refused(auth, buf_span(&token), "the signature is wrong");
    auth_free(auth);
    buf_fini(&token);
}

static void short_secrets_stop_the_start(void **state)
{
    (void)state;
    static const struct {
        const char *algorithm;
        size_t len_min;
    } cases[] = {{"HS256", 32}, {"HS384", 48}, {"HS512", 64}};
    for (size_t i = 0; i < array_len(cases); i++) {
        static const size_t lens[] = {0, 1, 31};
        for (size_t j = 0; j <= array_len(lens); j++) {
            size_t len = j < array_len(lens) ? lens[j] : cases[i].len_min - 1;
            stage_log_clear(&stage);
            assert_null(secret_chain(cases[i].algorithm, (struct span){SECRET_64, len}));
            assert_true(stage_logged(&stage, "the secret is shorter than the algorithm's hash"));
            assert_true(stage_logged(&stage, key_path));
        }
        struct auth *auth = secret_chain(cases[i].algorithm, (struct span){SECRET_64, cases[i].len_min});
        assert_non_null(auth);
        auth_free(auth);
    }
    /* The newline does not make up for the last byte. */
    assert_null(secret_chain("HS256", SPAN_LITERAL("0123456789abcdef0123456789ABCDE\n")));
}

static void bad_options_stop_the_start(void **state)
{
    (void)state;
    (void)stage_file(&stage, "key", 0600, SPAN_LITERAL(SECRET));
    static const struct {
        const char *algorithm;
        bool key, set;
        int64_t skew_ms;
        const char *logged;
    } cases[] = {
        {NULL, true, false, 0, "auth.jwt_algorithm is not set"},
        {"none", true, false, 0, "auth.jwt_algorithm is none of"},
        {"hs256", true, false, 0, "auth.jwt_algorithm is none of"},
        {"PS256", true, false, 0, "auth.jwt_algorithm is none of"},
        {"HS256", false, false, 0, "one of auth.jwt_key and auth.jwt_jwks"},
        {"HS256", true, true, 0, "one of auth.jwt_key and auth.jwt_jwks"},
        {"HS256", true, false, 60001, "auth.jwt_skew is not between 0 and 60 s"},
        {"HS256", true, false, -1, "auth.jwt_skew is not between 0 and 60 s"},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        struct auth_options options =
            options_for(cases[i].algorithm, cases[i].key ? key_path : NULL, cases[i].set ? key_path : NULL);
        options.jwt_skew_ms = cases[i].skew_ms;
        stage_log_clear(&stage);
        assert_null(auth_new(&options, NULL, &stage.clock));
        if (!stage_logged(&stage, cases[i].logged))
            fail_msg("%s", cases[i].logged);
    }
    struct auth_options missing = options_for("HS256", "/nonexistent/key", NULL);
    assert_null(auth_new(&missing, NULL, &stage.clock));
    assert_true(stage_logged(&stage, "No such file or directory"));
}

static void a_secret_that_others_can_read_stops_the_start(void **state)
{
    (void)state;
    (void)stage_file(&stage, "key", 0644, SPAN_LITERAL(SECRET));
    struct auth_options options = options_for("HS256", key_path, NULL);
    assert_null(auth_new(&options, NULL, &stage.clock));
    assert_true(stage_logged(&stage, "others may read or write it"));
}

/* --- public keys ------------------------------------------------------------------------------------------------ */

struct key_pair {
    gnutls_privkey_t private_key;
    gnutls_datum_t pem; /* the public key */
};

static struct key_pair pair_new(gnutls_pk_algorithm_t kind, unsigned bits)
{
    struct key_pair pair = {0};
    gnutls_pubkey_t public_key;
    assert_int_equal(gnutls_privkey_init(&pair.private_key), 0);
    assert_int_equal(gnutls_privkey_generate(pair.private_key, kind, bits, 0), 0);
    assert_int_equal(gnutls_pubkey_init(&public_key), 0);
    assert_int_equal(gnutls_pubkey_import_privkey(public_key, pair.private_key, 0, 0), 0);
    assert_int_equal(gnutls_pubkey_export2(public_key, GNUTLS_X509_FMT_PEM, &pair.pem), 0);
    gnutls_pubkey_deinit(public_key);
    return pair;
}

static void pair_free(struct key_pair *pair)
{
    gnutls_privkey_deinit(pair->private_key);
    gnutls_free(pair->pem.data);
}

static struct span pem_of(const struct key_pair *pair)
{
    return (struct span){(const char *)pair->pem.data, pair->pem.size};
}

/* May be read by all: it is public. */
static struct auth *pem_chain(const char *algorithm, struct span pem)
{
    (void)stage_file(&stage, "key", 0644, pem);
    struct auth_options options = options_for(algorithm, key_path, NULL);
    return auth_new(&options, NULL, &stage.clock);
}

static struct buf pair_token(const struct key_pair *pair, const char *header)
{
    struct buf token = BUF_INIT;
    token_start(&token, span_of(header), SPAN_LITERAL(GOOD "}"));
    token_sign_key(&token, pair->private_key);
    return token;
}

static const struct {
    const char *algorithm, *header;
    gnutls_pk_algorithm_t kind;
    unsigned bits;
} public_algorithms[] = {
    {"RS256", "{\"alg\":\"RS256\"}", GNUTLS_PK_RSA, 2048},
    {"ES256", "{\"alg\":\"ES256\"}", GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1)},
    {"EdDSA", "{\"alg\":\"EdDSA\"}", GNUTLS_PK_EDDSA_ED25519, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_ED25519)},
};

static void public_keys_verify_signatures(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_len(public_algorithms); i++) {
        struct key_pair pair = pair_new(public_algorithms[i].kind, public_algorithms[i].bits);
        struct key_pair other = pair_new(public_algorithms[i].kind, public_algorithms[i].bits);
        struct auth *auth = pem_chain(public_algorithms[i].algorithm, pem_of(&pair));
        assert_non_null(auth);
        struct buf good = pair_token(&pair, public_algorithms[i].header);
        struct buf forged = pair_token(&other, public_algorithms[i].header);
        assert_user(auth, buf_span(&good), "alice");
        assert_refused(auth, buf_span(&forged), "the signature is wrong");
        size_t whole = good.len;
        good.len = (size_t)((const char *)memrchr(good.data, '.', good.len) - good.data) + 1;
        assert_refused(auth, buf_span(&good), "the signature is wrong");
        good.len = whole - 4;
        assert_int_equal(ask(auth, buf_span(&good)).err, ERR_UNAUTHORIZED);
        buf_fini(&good);
        buf_fini(&forged);
        auth_free(auth);
        pair_free(&pair);
        pair_free(&other);
    }
}

/* The classic confusion: the public key is known to all, and so would be a MAC under it. */
static void a_mac_under_the_public_key_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_len(public_algorithms); i++) {
        struct key_pair pair = pair_new(public_algorithms[i].kind, public_algorithms[i].bits);
        struct auth *auth = pem_chain(public_algorithms[i].algorithm, pem_of(&pair));
        struct buf as_mac = BUF_INIT, as_signature = BUF_INIT;
        token_start(&as_mac, SPAN_LITERAL(HS256), SPAN_LITERAL(GOOD "}"));
        token_sign_mac(&as_mac, GNUTLS_MAC_SHA256, pem_of(&pair));
        assert_refused(auth, buf_span(&as_mac), "not the configured algorithm");
        token_start(&as_signature, span_of(public_algorithms[i].header), SPAN_LITERAL(GOOD "}"));
        token_sign_mac(&as_signature, GNUTLS_MAC_SHA256, pem_of(&pair));
        assert_refused(auth, buf_span(&as_signature), "the signature is wrong");
        buf_fini(&as_mac);
        buf_fini(&as_signature);
        auth_free(auth);
        /* Nor can the mistake be made in the configuration. */
        stage_log_clear(&stage);
        assert_null(secret_chain("HS256", pem_of(&pair)));
        assert_true(stage_logged(&stage, "a PEM key cannot be a secret"));
        pair_free(&pair);
    }
}

static void ec_signatures_may_start_with_zeros(void **state)
{
    (void)state;
    struct key_pair pair = pair_new(GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1));
    struct auth *auth = pem_chain("ES256", pem_of(&pair));
    /* One in 256 does; the chance to see none in so many is below 1e-17. */
    bool seen = false;
    for (int i = 0; i < 10000 && !seen; i++) {
        struct buf token = pair_token(&pair, "{\"alg\":\"ES256\"}");
        const char *signature = (const char *)memrchr(token.data, '.', token.len) + 1;
        seen = signature[0] == 'A' && signature[1] < 'Q';
        if (seen)
            assert_user(auth, buf_span(&token), "alice");
        buf_fini(&token);
    }
    assert_true(seen);
    auth_free(auth);
    pair_free(&pair);
}

static void keys_of_the_wrong_kind_stop_the_start(void **state)
{
    (void)state;
    static const struct {
        const char *algorithm;
        gnutls_pk_algorithm_t kind;
        unsigned bits;
        const char *logged;
    } cases[] = {
        {"RS256", GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), "RS256 needs an RSA key"},
        {"RS256", GNUTLS_PK_RSA, 1024, "less than 2048 bits"},
        {"ES256", GNUTLS_PK_RSA, 2048, "ES256 needs an EC key on the curve P-256"},
        {"ES256", GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP384R1), "on the curve P-256"},
        {"EdDSA", GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), "EdDSA needs an Ed25519 key"},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        struct key_pair pair = pair_new(cases[i].kind, cases[i].bits);
        stage_log_clear(&stage);
        assert_null(pem_chain(cases[i].algorithm, pem_of(&pair)));
        if (!stage_logged(&stage, cases[i].logged))
            fail_msg("%s", cases[i].logged);
        pair_free(&pair);
    }
    static const char *const bad[] = {"", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", SECRET};
    for (size_t i = 0; i < array_len(bad); i++) {
        stage_log_clear(&stage);
        assert_null(pem_chain("RS256", span_of(bad[i])));
        assert_true(stage_logged(&stage, "not a public key in PEM"));
    }
}

static void tokens_of_another_implementation_are_accepted(void **state)
{
    (void)state;
    struct auth *auth = secret_chain("HS256", SPAN_LITERAL(SECRET));
    jwt_t *jwt = NULL;
    assert_int_equal(r_jwt_init(&jwt), RHN_OK);
    assert_int_equal(r_jwt_set_sign_alg(jwt, R_JWA_ALG_HS256), RHN_OK);
    assert_int_equal(r_jwt_set_claim_str_value(jwt, "sub", "carol"), RHN_OK);
    assert_int_equal(r_jwt_set_claim_str_value(jwt, "iss", "https://login.example"), RHN_OK);
    assert_int_equal(r_jwt_set_claim_str_value(jwt, "aud", "chat"), RHN_OK);
    assert_int_equal(r_jwt_set_claim_int_value(jwt, "exp", 1700000600), RHN_OK);
    assert_int_equal(r_jwt_add_sign_key_symmetric(jwt, (const unsigned char *)SECRET, strlen(SECRET)), RHN_OK);
    char *token = r_jwt_serialize_signed(jwt, NULL, R_FLAG_IGNORE_REMOTE);
    assert_non_null(token);
    assert_user(auth, span_of(token), "carol");
    r_free(token);
    r_jwt_free(jwt);
    auth_free(auth);
}

/* --- key sets --------------------------------------------------------------------------------------------------- */

/* The examples of RFC 7515, appendices A.1 to A.3: their claims are an issuer, an expiry and a flag. */
#define RFC_CLAIMS "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

static const struct {
    const char *algorithm, *key, *token;
} rfc_examples[] = {
    {"HS256",
     "{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"
     "1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}",
     "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." RFC_CLAIMS ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
    {"RS256",
     "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-"
     "4qPCJrcS2mJPMEzP1Pt0Bm4d4"
     "QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-"
     "UTo7WTBE"
     "Ma2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"
     "h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h"
     "4FRWyuXpoQ\",\"e\":\"AQAB\"}",
     "eyJhbGciOiJSUzI1NiJ9." RFC_CLAIMS ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-"
     "0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZc"
     "AcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--"
     "xi12jzDwusC-eOkH"
     "WEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"},
    {"ES256",
     "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
     "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
     "eyJhbGciOiJFUzI1NiJ9." RFC_CLAIMS
     ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
};

static void the_examples_of_rfc_7515_are_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_len(rfc_examples); i++) {
        char set[1024];
        (void)snprintf(set, sizeof(set), "{\"keys\":[%s]}", rfc_examples[i].key);
        (void)stage_file(&stage, "key", 0600, span_of(set));
        struct auth_options options = options_for(rfc_examples[i].algorithm, NULL, key_path);
        options.jwt_audience = NULL;
        options.jwt_issuer = "joe";
        options.jwt_claim = "iss";
        struct auth *auth = auth_new(&options, NULL, &stage.clock);
        assert_non_null(auth);
        assert_refused(auth, span_of(rfc_examples[i].token), "the token has expired");
        stage.wall_us = 1300819379000000;
        assert_user(auth, span_of(rfc_examples[i].token), "joe");
        stage.wall_us = 1700000000000000;
        auth_free(auth);
    }
}

/* Its payload is not JSON, so only the signature is looked at. */
static void the_example_of_rfc_8037_verifies(void **state)
{
    (void)state;
    static const char text[] = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    struct auth *auth = set_chain("EdDSA", "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
                                           "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}");
    char token[256];
    (void)snprintf(token, sizeof(token), "%s.%s", text,
                   "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
    assert_refused(auth, span_of(token), "the claims are malformed");
    token[strlen(text) + 1] = 'i';
    assert_refused(auth, span_of(token), "the signature is wrong");
    auth_free(auth);
}

/* Two secrets: KEY_A is the first 32 bytes of SECRET; KEY_B is 32 times `b`. */
#define KEY_A "\"kty\":\"oct\",\"k\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlBQkNERUY\""
#define KEY_B "\"kty\":\"oct\",\"k\":\"YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI\""
#define B_SECRET "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void a_token_names_its_key(void **state)
{
    (void)state;
    static const struct {
        const char *set, *header, *secret, *reason;
    } cases[] = {
        {"{\"keys\":[{" KEY_A ",\"kid\":\"a\"},{" KEY_B ",\"kid\":\"b\"}]}", "{\"alg\":\"HS256\",\"kid\":\"a\"}",
         SECRET, NULL},
        {"{\"keys\":[{" KEY_A ",\"kid\":\"a\"},{" KEY_B ",\"kid\":\"b\"}]}", "{\"alg\":\"HS256\",\"kid\":\"b\"}",
         B_SECRET, NULL},
        {"{\"keys\":[{" KEY_A ",\"kid\":\"a\"},{" KEY_B ",\"kid\":\"b\"}]}", "{\"alg\":\"HS256\",\"kid\":\"b\"}",
         SECRET, "the signature is wrong"},
        {"{\"keys\":[{" KEY_A ",\"kid\":\"a\"},{" KEY_B ",\"kid\":\"b\"}]}", "{\"alg\":\"HS256\",\"kid\":\"c\"}",
         SECRET, "signed with an unknown key"},
        {"{\"keys\":[{" KEY_A ",\"kid\":\"a\"},{" KEY_B ",\"kid\":\"b\"}]}", "{\"alg\":\"HS256\",\"kid\":\"\"}", SECRET,
         "signed with an unknown key"},
        {"{\"keys\":[{" KEY_A ",\"kid\":\"a\"},{" KEY_B ",\"kid\":\"b\"}]}", HS256, SECRET,
         "signed with an unknown key"},
        {"{\"keys\":[{" KEY_A ",\"kid\":\"a\"}]}", HS256, SECRET, NULL},
        {"{\"keys\":[{" KEY_A ",\"kid\":\"a\"}]}", "{\"alg\":\"HS256\",\"kid\":\"b\"}", SECRET,
         "signed with an unknown key"},
        {"{\"keys\":[{" KEY_A "}]}", "{\"alg\":\"HS256\",\"kid\":\"b\"}", SECRET, NULL},
        /* Keys for something else are passed over. */
        {"{\"keys\":[{" KEY_B ",\"use\":\"enc\"},{" KEY_B ",\"alg\":\"HS512\"},{" KEY_B
         ",\"key_ops\":[\"sign\"]},{\"kty\":\"XYZ\"},7,{" KEY_A
         ",\"use\":\"sig\",\"alg\":\"HS256\",\"key_ops\":[\"verify\"]}]}",
         HS256, SECRET, NULL},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        struct auth *auth = set_chain("HS256", cases[i].set);
        assert_non_null(auth);
        struct buf token = BUF_INIT;
        token_start(&token, span_of(cases[i].header), SPAN_LITERAL(GOOD "}"));
        token_sign_mac(&token, GNUTLS_MAC_SHA256, span_of(cases[i].secret));
        if (cases[i].reason)
            assert_refused(auth, buf_span(&token), cases[i].reason);
        else
            assert_user(auth, buf_span(&token), "alice");
        buf_fini(&token);
        auth_free(auth);
    }
}

static void bad_sets_stop_the_start(void **state)
{
    (void)state;
    static const struct {
        const char *algorithm, *set, *logged;
    } cases[] = {
        {"HS256", "", "not JSON"},
        {"HS256", SECRET, "not JSON"},
        {"HS256", "[]", "the set has no key for auth.jwt_algorithm"},
        {"HS256", "{\"keys\":[]}", "the set has no key for auth.jwt_algorithm"},
        {"HS256", "{\"keys\":{" KEY_A "}}", "the set has no key for auth.jwt_algorithm"},
        {"RS256", "{\"keys\":[{" KEY_A "}]}", "the set has no key for auth.jwt_algorithm"},
        {"HS512", "{\"keys\":[{" KEY_A "}]}", "the secret is shorter than the algorithm's hash"},
        {"HS256", "{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2hvcnQ\",\"kid\":\"s\"}]}",
         "the secret is shorter than the algorithm's hash"},
        {"HS256", "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"s\"}]}", "a malformed JWK"},
        {"HS256", "{\"keys\":[{" KEY_A ",\"kid\":\"a\"},{" KEY_B ",\"kid\":\"a\"}]}", "two keys have this kid"},
        {"ES256", "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"}]}",
         "cannot use a key for tokens"},
        {"ES256", "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AAAA\",\"y\":\"AAAA\"}]}",
         "the set has no key"},
        {"RS256", "{\"keys\":[{\"kty\":\"RSA\",\"x5u\":\"http://127.0.0.1:1/c\"}]}", "a malformed JWK"},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        stage_log_clear(&stage);
        assert_null(set_chain(cases[i].algorithm, cases[i].set));
        if (!stage_logged(&stage, cases[i].logged))
            fail_msg("case %zu: %s", i, cases[i].logged);
    }
}

static void the_challenge_is_bearer(void **state)
{
    (void)state;
    struct auth *auth = secret_chain("HS256", SPAN_LITERAL(SECRET));
    assert_string_equal(auth_challenge(auth), "Bearer realm=\"nereidd\"");
    auth_free(auth);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(dates_are_whole_seconds_with_some_skew),
        TEST(an_identity_ends_with_its_token),
        TEST(a_refusal_has_a_reason),
        TEST(audience_and_issuer_must_be_ours),
        TEST(the_user_is_a_claim),
        TEST(claims_are_one_json_object),
        TEST(the_name_is_a_claim_too),
        TEST(what_is_not_configured_is_not_checked),
        TEST(only_the_configured_algorithm_is_accepted),
        TEST(headers_that_want_more_are_refused),
        TEST(keys_in_the_token_have_no_say),
        TEST(a_changed_token_is_refused),
        TEST(a_signature_has_one_form),
        TEST(what_has_three_parts_is_a_token),
        TEST(tokens_have_at_most_4096_bytes),
        TEST(longer_hashes_work_too),
        TEST(one_newline_after_the_secret_is_not_part_of_it),
        TEST(short_secrets_stop_the_start),
        TEST(bad_options_stop_the_start),
        TEST(a_secret_that_others_can_read_stops_the_start),
        TEST(public_keys_verify_signatures),
        TEST(a_mac_under_the_public_key_is_refused),
        TEST(ec_signatures_may_start_with_zeros),
        TEST(keys_of_the_wrong_kind_stop_the_start),
        TEST(tokens_of_another_implementation_are_accepted),
        TEST(the_examples_of_rfc_7515_are_accepted),
        TEST(the_example_of_rfc_8037_verifies),
        TEST(a_token_names_its_key),
        TEST(bad_sets_stop_the_start),
        TEST(the_challenge_is_bearer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
