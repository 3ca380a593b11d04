/* SPDX-License-Identifier: MIT */
/* Making certificates. Failures end the test program: they are not what is tested. */
#include "lib/certificate.h"

#include <fcntl.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PEM_SIZE_MAX = 8192, HOUR_S = 3600 };

struct certificate_wish certificate_for(const char *host)
{
    return (struct certificate_wish){.host = host, .begin_s = -HOUR_S, .end_s = HOUR_S};
}

static void must(int status)
{
    if (status < 0)
        abort();
}

static void write_file(const char *path, const char *text, size_t len, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    must(fd);
    must(fchmod(fd, mode));
    must(write(fd, text, len) == (ssize_t)len ? 0 : -1);
    (void)close(fd);
}

static void fill(gnutls_x509_crt_t crt, const struct certificate_wish *wish)
{
    unsigned char serial[8];
    must(gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial)));
    serial[0] &= 0x7f;
    must(gnutls_x509_crt_set_version(crt, 3));
    must(gnutls_x509_crt_set_serial(crt, serial, sizeof(serial)));
    must(gnutls_x509_crt_set_activation_time(crt, time(NULL) + wish->begin_s));
    must(gnutls_x509_crt_set_expiration_time(crt, time(NULL) + wish->end_s));
    must(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, wish->host, (unsigned)strlen(wish->host)));
    must(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, wish->host, (unsigned)strlen(wish->host),
                                              GNUTLS_FSAN_SET));
    must(gnutls_x509_crt_set_basic_constraints(crt, 1, -1));
    must(gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE | GNUTLS_KEY_KEY_CERT_SIGN));
}

void certificate_make(const struct certificate_wish *wish, const char *certificate_path, const char *key_path)
{
    gnutls_x509_crt_t crt;
    gnutls_x509_privkey_t key;
    char pem[PEM_SIZE_MAX];
    size_t len = sizeof(pem);
    must(gnutls_x509_privkey_init(&key));
    must(gnutls_x509_privkey_generate(key, wish->rsa ? GNUTLS_PK_RSA : GNUTLS_PK_ECDSA,
                                      wish->rsa ? 2048 : GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
    must(gnutls_x509_crt_init(&crt));
    fill(crt, wish);
    must(gnutls_x509_crt_set_key(crt, key));
    must(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0));
    must(gnutls_x509_crt_export(crt, GNUTLS_X509_FMT_PEM, pem, &len));
    write_file(certificate_path, pem, len, 0644);
    len = sizeof(pem);
    must(gnutls_x509_privkey_export(key, GNUTLS_X509_FMT_PEM, pem, &len));
    write_file(key_path, pem, len, 0600);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
}
