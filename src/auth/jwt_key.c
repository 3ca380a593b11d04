/* SPDX-License-Identifier: MIT */
/* Keys for tokens: reading, judging, and using them. */
#include "auth/jwt_key.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <rhonabwy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/auth.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"

enum { FILE_SIZE_MAX = 1 << 20, SET_DEPTH_MAX = 8, RSA_BITS_MIN = 2048, P256_SIZE = 32, MAC_SIZE_MAX = 64 };

enum key_kind { KEY_SECRET, KEY_RSA, KEY_EC, KEY_ED };

struct jwt_algorithm {
    const char *name;
    enum key_kind kind;
    const char *kty; /* of its JWKs */
    const char *crv; /* likewise; null: none */
    gnutls_mac_algorithm_t mac;
    gnutls_sign_algorithm_t sign;
};

static const struct jwt_algorithm algorithms[] = {
    {.name = "HS256", .kind = KEY_SECRET, .kty = "oct", .mac = GNUTLS_MAC_SHA256},
    {.name = "HS384", .kind = KEY_SECRET, .kty = "oct", .mac = GNUTLS_MAC_SHA384},
    {.name = "HS512", .kind = KEY_SECRET, .kty = "oct", .mac = GNUTLS_MAC_SHA512},
    {.name = "RS256", .kind = KEY_RSA, .kty = "RSA", .sign = GNUTLS_SIGN_RSA_SHA256},
    {.name = "ES256", .kind = KEY_EC, .kty = "EC", .crv = "P-256", .sign = GNUTLS_SIGN_ECDSA_SHA256},
    {.name = "EdDSA", .kind = KEY_ED, .kty = "OKP", .crv = "Ed25519", .sign = GNUTLS_SIGN_EDDSA_ED25519},
};

struct jwt_key {
    const struct jwt_algorithm *algorithm;
    char *kid;                  /* owned; null: it has no name */
    struct buf secret;          /* for KEY_SECRET */
    gnutls_pubkey_t public_key; /* for the others; owned */
    struct jwt_key *next;
};

struct jwt_keys {
    struct jwt_key *first;
};

const struct jwt_algorithm *jwt_algorithm_find(struct span name)
{
    for (size_t i = 0; i < array_len(algorithms); i++)
        if (span_is(name, algorithms[i].name))
            return &algorithms[i];
    return NULL;
}

const char *jwt_algorithm_name(const struct jwt_algorithm *algorithm)
{
    return algorithm->name;
}

static void key_free(struct jwt_key *key)
{
    free(key->kid);
    file_wipe(&key->secret);
    if (key->public_key)
        gnutls_pubkey_deinit(key->public_key);
    free(key);
}

void jwt_keys_free(struct jwt_keys *keys)
{
    if (!keys)
        return;
    while (keys->first) {
        struct jwt_key *key = keys->first;
        keys->first = key->next;
        key_free(key);
    }
    free(keys);
}

const struct jwt_key *jwt_keys_find(const struct jwt_keys *keys, struct span kid)
{
    const struct jwt_key *only = keys->first->next ? NULL : keys->first;
    if (only && (!kid.data || !only->kid))
        return only;
    for (const struct jwt_key *key = keys->first; key && kid.data; key = key->next)
        if (key->kid && span_is(kid, key->kid))
            return key;
    return NULL;
}

/* --- judging ---------------------------------------------------------------------------------------------------- */

static const char *judge_secret(const struct jwt_key *key)
{
    if (key->secret.len < gnutls_hmac_get_len(key->algorithm->mac))
        return "the secret is shorter than the algorithm's hash (32 bytes for HS256, 48 for HS384, 64 for HS512)";
    if (memmem(key->secret.data, key->secret.len, "-----BEGIN ", strlen("-----BEGIN ")))
        return "a PEM key cannot be a secret: choose the algorithm that it is for";
    return NULL;
}

static bool is_p256(gnutls_pubkey_t public_key)
{
    gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;
    return gnutls_pubkey_export_ecc_raw2(public_key, &curve, NULL, NULL, 0) == 0 && curve == GNUTLS_ECC_CURVE_SECP256R1;
}

static const char *judge_public(const struct jwt_key *key)
{
    unsigned bits = 0;
    int found = gnutls_pubkey_get_pk_algorithm(key->public_key, &bits);
    switch (key->algorithm->kind) {
    case KEY_RSA:
        if (found != GNUTLS_PK_RSA)
            return "RS256 needs an RSA key";
        return bits < RSA_BITS_MIN ? "the RSA key has less than 2048 bits" : NULL;
    case KEY_EC:
        return found == GNUTLS_PK_ECDSA && is_p256(key->public_key) ? NULL : "ES256 needs an EC key on the curve P-256";
    default: return found == GNUTLS_PK_EDDSA_ED25519 ? NULL : "EdDSA needs an Ed25519 key";
    }
}

static const char *judge(const struct jwt_key *key)
{
    return key->algorithm->kind == KEY_SECRET ? judge_secret(key) : judge_public(key);
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

static enum err refuse(const char *path, const char *kid, const char *why)
{
    log_event(LOG_ERROR, "cannot use a key for tokens", log_text("file", path), log_text("kid", kid ? kid : ""),
              log_text("why", why));
    return ERR_BAD_FIELD;
}

/* Appends, so that the order of a set is kept. Consumes the key. */
static enum err keys_add(struct jwt_keys *keys, struct jwt_key *take_key, const char *path)
{
    const char *why = judge(take_key);
    struct jwt_key **end = &keys->first;
    for (; *end; end = &(*end)->next)
        if (!why && take_key->kid && (*end)->kid && strcmp(take_key->kid, (*end)->kid) == 0)
            why = "two keys have this kid";
    if (!why) {
        *end = take_key;
        return OK;
    }
    enum err err = refuse(path, take_key->kid, why);
    key_free(take_key);
    return err;
}

static struct jwt_key *key_new(const struct jwt_algorithm *algorithm)
{
    struct jwt_key *key = calloc(1, sizeof(*key));
    if (key)
        key->algorithm = algorithm;
    return key;
}

static enum err key_take_file(struct jwt_key *key, struct buf *file, const char *path)
{
    if (key->algorithm->kind == KEY_SECRET) {
        key->secret = *file;
        *file = BUF_INIT;
        if (key->secret.len && key->secret.data[key->secret.len - 1] == '\n')
            key->secret.len--;
        return OK;
    }
    if (gnutls_pubkey_init(&key->public_key))
        return ERR_NO_MEMORY;
    gnutls_datum_t pem = {(unsigned char *)file->data, (unsigned)file->len};
    if (file->len == 0 || gnutls_pubkey_import(key->public_key, &pem, GNUTLS_X509_FMT_PEM))
        return refuse(path, NULL, "not a public key in PEM");
    return OK;
}

/* Tells the file's bytes apart by `fill`. */
static enum err load(const char *path, const struct jwt_algorithm *algorithm,
                     enum err (*fill)(struct jwt_keys *keys, const struct jwt_algorithm *algorithm, struct buf *file,
                                      const char *path),
                     struct jwt_keys **ret_keys)
{
    struct buf file = BUF_INIT;
    struct jwt_keys *keys = calloc(1, sizeof(*keys));
    enum err err = keys ? OK : ERR_NO_MEMORY;
    if (!err)
        err = file_read(path, algorithm->kind == KEY_SECRET ? FILE_SECRET : FILE_PUBLIC, FILE_SIZE_MAX, &file);
    if (!err)
        err = fill(keys, algorithm, &file, path);
    file_wipe(&file);
    if (err) {
        jwt_keys_free(keys);
        return err;
    }
    *ret_keys = keys;
    return OK;
}

static enum err fill_one(struct jwt_keys *keys, const struct jwt_algorithm *algorithm, struct buf *file,
                         const char *path)
{
    struct jwt_key *key = key_new(algorithm);
    if (!key)
        return ERR_NO_MEMORY;
    enum err err = key_take_file(key, file, path);
    if (err) {
        key_free(key);
        return err;
    }
    return keys_add(keys, key, path);
}

enum err jwt_keys_load(const char *path, const struct jwt_algorithm *algorithm, struct jwt_keys **ret_keys)
{
    return load(path, algorithm, fill_one, ret_keys);
}

/* --- reading a set ---------------------------------------------------------------------------------------------- */

/* True where the member is not there at all. */
static bool absent_or(const json_t *jwk, const char *member, const char *value)
{
    return !json_object_get(jwk, member) || span_is(json_text(jwk, member), value);
}

static bool may_verify(const json_t *jwk)
{
    const json_t *operations = json_object_get(jwk, "key_ops");
    if (!operations)
        return true;
    for (size_t i = 0; i < json_array_size(operations); i++) {
        const char *operation = json_string_value(json_array_get(operations, i));
        if (operation && strcmp(operation, "verify") == 0)
            return true;
    }
    return false;
}

static bool is_for(const json_t *jwk, const struct jwt_algorithm *algorithm)
{
    return span_is(json_text(jwk, "kty"), algorithm->kty) &&
           (!algorithm->crv || span_is(json_text(jwk, "crv"), algorithm->crv)) && absent_or(jwk, "use", "sig") &&
           absent_or(jwk, "alg", algorithm->name) && may_verify(jwk);
}

static enum err take_secret(struct jwt_key *key, jwk_t *jwk)
{
    /* In base64url, so longer than what it decodes to. */
    struct span text = json_text(jwk, "k");
    size_t len = text.len;
    char *bytes = malloc(len + 1);
    if (!bytes)
        return ERR_NO_MEMORY;
    enum err err = r_jwk_export_to_symmetric_key(jwk, (unsigned char *)bytes, &len) == RHN_OK ? OK : ERR_BAD_FIELD;
    if (!err)
        buf_add(&key->secret, (struct span){bytes, len});
    explicit_bzero(bytes, text.len);
    free(bytes);
    if (!err && buf_failed(&key->secret))
        err = ERR_NO_MEMORY;
    return err;
}

static enum err take_jwk(struct jwt_key *key, json_t *json, const char *path)
{
    jwk_t *jwk = NULL;
    if (r_jwk_init(&jwk) != RHN_OK)
        return ERR_NO_MEMORY;
    enum err err = r_jwk_import_from_json_t(jwk, json) == RHN_OK ? OK : ERR_BAD_FIELD;
    if (!err && key->algorithm->kind == KEY_SECRET)
        err = take_secret(key, jwk);
    if (!err && key->algorithm->kind != KEY_SECRET) {
        key->public_key = r_jwk_export_to_gnutls_pubkey(jwk, R_FLAG_IGNORE_REMOTE);
        err = key->public_key ? OK : ERR_BAD_FIELD;
    }
    r_jwk_free(jwk);
    return err == ERR_BAD_FIELD ? refuse(path, key->kid, "a malformed JWK") : err;
}

static enum err add_jwk(struct jwt_keys *keys, const struct jwt_algorithm *algorithm, json_t *json, const char *path)
{
    struct jwt_key *key = key_new(algorithm);
    if (!key)
        return ERR_NO_MEMORY;
    struct span kid = json_text(json, "kid");
    if (kid.data)
        key->kid = span_copy(kid);
    enum err err = kid.data && !key->kid ? ERR_NO_MEMORY : take_jwk(key, json, path);
    if (err) {
        key_free(key);
        return err;
    }
    return keys_add(keys, key, path);
}

static enum err add_jwks(struct jwt_keys *keys, const struct jwt_algorithm *algorithm, const json_t *set,
                         const char *path)
{
    enum err first = OK;
    const json_t *members = json_object_get(set, "keys");
    for (size_t i = 0; i < json_array_size(members); i++) {
        json_t *jwk = json_array_get(members, i);
        if (!is_for(jwk, algorithm))
            continue;
        enum err err = add_jwk(keys, algorithm, jwk, path);
        if (!first)
            first = err;
    }
    if (!first && !keys->first)
        first = refuse(path, NULL, "the set has no key for auth.jwt_algorithm");
    return first;
}

static enum err fill_set(struct jwt_keys *keys, const struct jwt_algorithm *algorithm, struct buf *file,
                         const char *path)
{
    json_t *set;
    if (json_parse(buf_span(file), SET_DEPTH_MAX, &set))
        return refuse(path, NULL, "not JSON");
    enum err err = add_jwks(keys, algorithm, set, path);
    json_decref(set);
    return err;
}

enum err jwt_keys_load_set(const char *path, const struct jwt_algorithm *algorithm, struct jwt_keys **ret_keys)
{
    return load(path, algorithm, fill_set, ret_keys);
}

/* --- verifying -------------------------------------------------------------------------------------------------- */

static gnutls_datum_t datum_of(struct span bytes)
{
    return (gnutls_datum_t){(unsigned char *)bytes.data, (unsigned)bytes.len};
}

static bool verify_mac(const struct jwt_key *key, struct span text, struct span signature)
{
    uint8_t mac[MAC_SIZE_MAX];
    size_t len = gnutls_hmac_get_len(key->algorithm->mac);
    if (signature.len != len)
        return false;
    if (gnutls_hmac_fast(key->algorithm->mac, key->secret.data, key->secret.len, text.data, text.len, mac))
        return false;
    return gnutls_memcmp(mac, signature.data, len) == 0;
}

static bool verify_data(const struct jwt_key *key, struct span text, gnutls_datum_t signature)
{
    gnutls_datum_t data = datum_of(text);
    return gnutls_pubkey_verify_data2(key->public_key, key->algorithm->sign, 0, &data, &signature) >= 0;
}

/* A DER integer has no superfluous zeros in front; the halves of the raw signature may. */
static gnutls_datum_t integer_of(const char *bytes)
{
    size_t zeros = 0;
    while (zeros < P256_SIZE - 1 && bytes[zeros] == 0)
        zeros++;
    return datum_of((struct span){bytes + zeros, P256_SIZE - zeros});
}

static bool verify_ec(const struct jwt_key *key, struct span text, struct span signature)
{
    if (signature.len != 2 * P256_SIZE)
        return false;
    gnutls_datum_t r = integer_of(signature.data);
    gnutls_datum_t s = integer_of(signature.data + P256_SIZE);
    gnutls_datum_t der = {NULL, 0};
    if (gnutls_encode_rs_value(&der, &r, &s))
        return false;
    bool good = verify_data(key, text, der);
    gnutls_free(der.data);
    return good;
}

bool jwt_key_verify(const struct jwt_key *key, struct span text, struct span signature)
{
    switch (key->algorithm->kind) {
    case KEY_SECRET: return verify_mac(key, text, signature);
    case KEY_EC: return verify_ec(key, text, signature);
    default: return signature.len && verify_data(key, text, datum_of(signature));
    }
}

const char *auth_libraries(void)
{
    static char text[64];
    (void)snprintf(text, sizeof(text), "GnuTLS %s, rhonabwy %s", gnutls_check_version(NULL), RHONABWY_VERSION_STR);
    return text;
}
