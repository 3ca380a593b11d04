/* SPDX-License-Identifier: MIT */
/* Certificates for tests, made with GnuTLS: self-signed, with their keys, as files in PEM form. */
#ifndef TESTS_CERTIFICATE_H
#define TESTS_CERTIFICATE_H

#include <stdbool.h>
#include <stdint.h>

struct certificate_wish {
    const char *host; /* the name it is for */
    bool rsa;         /* 2048 bits; else ECDSA on P-256 */
    int64_t begin_s;  /* from now */
    int64_t end_s;    /* from now */
};

/* A certificate for an hour. */
struct certificate_wish certificate_for(const char *host);

/* Writes both files; the key's can be read by its owner only. An error ends the program. */
void certificate_make(const struct certificate_wish *wish, const char *certificate_path, const char *key_path);

#endif
