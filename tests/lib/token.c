/* SPDX-License-Identifier: MIT */
/* Making tokens. Failures of GnuTLS end the test program: they are not what is tested. */
#include "lib/token.h"

#include <gnutls/crypto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { HALF_SIZE = 32 };

static void must(bool good)
{
    if (!good)
        abort();
}

void token_add_base64(struct buf *buf, struct span bytes)
{
    gnutls_datum_t in = {(unsigned char *)bytes.data, (unsigned)bytes.len};
    gnutls_datum_t out = {NULL, 0};
    if (bytes.len == 0)
        return;
    must(gnutls_base64_encode2(&in, &out) == 0);
    for (unsigned i = 0; i < out.size && out.data[i] != '='; i++) {
        char c = (char)out.data[i];
        if (c == '+')
            c = '-';
        buf_add_char(buf, c == '/' ? '_' : c);
    }
    gnutls_free(out.data);
}

void token_start(struct buf *token, struct span header, struct span claims)
{
    token_add_base64(token, header);
    buf_add_char(token, '.');
    token_add_base64(token, claims);
}

static void add_signature(struct buf *token, const void *bytes, size_t len)
{
    buf_add_char(token, '.');
    token_add_base64(token, (struct span){bytes, len});
    must(!buf_failed(token));
}

void token_sign_mac(struct buf *token, gnutls_mac_algorithm_t mac, struct span secret)
{
    uint8_t bytes[64];
    must(gnutls_hmac_fast(mac, secret.data, secret.len, token->data, token->len, bytes) == 0);
    add_signature(token, bytes, gnutls_hmac_get_len(mac));
}

/* Puts a number at the end of its half, or its end if it has zeros in front. */
static void put_half(uint8_t *half, const gnutls_datum_t *number)
{
    unsigned skip = number->size > HALF_SIZE ? number->size - HALF_SIZE : 0;
    unsigned len = number->size - skip;
    memset(half, 0, HALF_SIZE);
    memcpy(half + HALF_SIZE - len, number->data + skip, len);
}

static void add_ec_signature(struct buf *token, const gnutls_datum_t *der)
{
    gnutls_datum_t r = {NULL, 0};
    gnutls_datum_t s = {NULL, 0};
    uint8_t raw[2 * HALF_SIZE];
    must(gnutls_decode_rs_value(der, &r, &s) == 0);
    put_half(raw, &r);
    put_half(raw + HALF_SIZE, &s);
    gnutls_free(r.data);
    gnutls_free(s.data);
    add_signature(token, raw, sizeof(raw));
}

void token_sign_key(struct buf *token, gnutls_privkey_t key)
{
    int kind = gnutls_privkey_get_pk_algorithm(key, NULL);
    gnutls_digest_algorithm_t digest = kind == GNUTLS_PK_EDDSA_ED25519 ? GNUTLS_DIG_SHA512 : GNUTLS_DIG_SHA256;
    gnutls_datum_t data = {(unsigned char *)token->data, (unsigned)token->len};
    gnutls_datum_t signature = {NULL, 0};
    must(gnutls_privkey_sign_data(key, digest, 0, &data, &signature) == 0);
    if (kind == GNUTLS_PK_ECDSA)
        add_ec_signature(token, &signature);
    else
        add_signature(token, signature.data, signature.size);
    gnutls_free(signature.data);
}
