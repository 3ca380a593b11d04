/* SPDX-License-Identifier: MIT */
/*
 * TLS: certificates with their keys, and sessions that use them (GnuTLS).
 *
 * A `struct tls` is what was in the files when they were read: immutable, shared, counted. To read them again is to
 * make a new one; sessions keep theirs. TLS 1.2 and 1.3 are spoken, whatever the priorities say. Sessions can be
 * resumed with tickets, also after the files were read again: the new one takes over the key for them. (GnuTLS derives
 * keys that change every few hours from it.)
 *
 * Loop thread only.
 */
#ifndef IO_TLS_H
#define IO_TLS_H

#include <gnutls/gnutls.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

struct tls;

struct tls_options {
    /* Files in PEM form: a certificate with the chain behind it, and its key. A client that names a host gets the first
     * certificate for it, wildcards included, or another for the same names that it can verify; whoever names none, or
     * one that no certificate is for, gets the first of all that it can verify. */
    const char *const *certificates;
    const char *const *keys;
    size_t count;           /* of pairs, at least 1 */
    const char *priorities; /* GnuTLS' notation */
};

/* Reads the files. `before` is what they were before; null at start. A certificate whose time is not now is refused if
 * there is one before, else only warned of. ERR_BAD_FIELD, ERR_NO_MEMORY: each finding was logged as an error. */
enum err tls_load(const struct tls_options *options, const struct tls *before, struct tls **ret_tls) must_check;

struct tls *tls_ref(struct tls *tls);

/* Null is allowed. */
void tls_unref(struct tls *tls);

/* When the first of the certificates ends, in seconds since 1970. */
int64_t tls_not_after(const struct tls *tls);

/* A server's session, to which the caller gives a transport. `protocols` are ALPN names, best first, ending with
 * null, or null: who offers others only is refused, who offers none is not. `tls` has to outlive the session, which
 * ends with gnutls_deinit. ERR_NO_MEMORY. */
enum err tls_session_new(struct tls *tls, const char *const *protocols, gnutls_session_t *ret_session) must_check;

#endif
