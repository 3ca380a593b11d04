/* SPDX-License-Identifier: MIT */
/*
 * The keys that signatures of tokens are checked with, all for one algorithm.
 *
 * rhonabwy reads JWKs; GnuTLS reads PEM and does the checking. rhonabwy's own check of a token is not used: it compares
 * MACs with strcmp, inflates compressed payloads before the signature is known to be good, and also takes the JSON
 * serialization.
 */
#ifndef AUTH_JWT_KEY_H
#define AUTH_JWT_KEY_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/span.h"

struct jwt_algorithm;
struct jwt_key;
struct jwt_keys;

/* HS256, HS384, HS512, RS256, ES256 and EdDSA (Ed25519), in exactly this spelling (RFC 7518, RFC 8037); null for
 * anything else. */
const struct jwt_algorithm *jwt_algorithm_find(struct span name);
const char *jwt_algorithm_name(const struct jwt_algorithm *algorithm);

/* One key from a file: for HS* the secret itself, less one newline at its end, and at least as long as the hash; for
 * the others a public key in PEM (RSA of 2048 bits or more; EC on P-256; Ed25519). Findings are logged: ERR_BAD_FIELD,
 * ERR_NO_MEMORY. */
enum err jwt_keys_load(const char *path, const struct jwt_algorithm *algorithm, struct jwt_keys **ret_keys) must_check;

/* A JWK set. Keys for something else (kty, crv, use, key_ops, alg) are passed over; one that is for this algorithm and
 * malformed or too weak is an error, as are two of one kid and none at all. Nothing is fetched from anywhere. */
enum err jwt_keys_load_set(const char *path, const struct jwt_algorithm *algorithm,
                           struct jwt_keys **ret_keys) must_check;

/* Null is allowed. */
void jwt_keys_free(struct jwt_keys *keys);

/* The key called `kid` (null data: the token names none). A single key without a name, and the only key for a token
 * that names none, fit too. Null: no such key. */
const struct jwt_key *jwt_keys_find(const struct jwt_keys *keys, struct span kid);

/* Whether `signature` (raw bytes, as RFC 7518 has them) is that of `text` under the key. MACs are compared in constant
 * time. */
bool jwt_key_verify(const struct jwt_key *key, struct span text, struct span signature) must_check;

#endif
