/* SPDX-License-Identifier: MIT */
/* Tokens for tests of auth/jwt: good ones and every kind of bad one, signed with GnuTLS from header and claims as text.
 */
#ifndef LIB_TOKEN_H
#define LIB_TOKEN_H

#include <gnutls/abstract.h>

#include "base/buf.h"
#include "base/span.h"

/* Adds base64url without padding. */
void token_add_base64(struct buf *buf, struct span bytes);

/* Starts a token: header, dot, claims. */
void token_start(struct buf *token, struct span header, struct span claims);

/* Adds the dot and the MAC of what is there. */
void token_sign_mac(struct buf *token, gnutls_mac_algorithm_t mac, struct span secret);

/* Adds the dot and the raw signature of what is there by `key`, as RFC 7518 wants it: for RSA, EC on P-256 and Ed25519.
 */
void token_sign_key(struct buf *token, gnutls_privkey_t key);

#endif
