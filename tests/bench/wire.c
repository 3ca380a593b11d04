/* SPDX-License-Identifier: MIT */
/*
 * Connections that may speak TLS.
 *
 * The sessions stand in a table by descriptor. So what holds a connection goes on holding an int, and a plain one costs
 * the lookup of a null pointer.
 */
#include "wire.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "support.h"

enum { PEM_BYTES = 4096, SERIAL = 1, VALID_S = 86400 };

struct wire_client {
    gnutls_certificate_credentials_t credentials;
    gnutls_datum_t ticket; /* data null: none */
};

struct secured {
    gnutls_session_t session;
    bool resumes;
};

static struct secured *table; /* by descriptor */
static size_t table_size;

static void tls_check(int code, const char *what)
{
    if (code < 0)
        fail("%s: %s", what, gnutls_strerror(code));
}

static struct secured *secured_find(int fd)
{
    struct secured *secured = (size_t)fd < table_size ? &table[fd] : NULL;

    return secured != NULL && secured->session != NULL ? secured : NULL;
}

static void table_make(void)
{
    struct rlimit limit;

    if (table != NULL)
        return;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        fail("getrlimit: %s", strerror(errno));
    table_size = (size_t)limit.rlim_cur;
    table = alloc_items(table_size, sizeof *table);
}

/* --- the certificate ---------------------------------------------------------------------------------------------- */

static void pem_save(const char *path, const void *pem, size_t n)
{
    mode_t mask = umask(077);
    FILE *file = fopen(path, "w");

    umask(mask);
    if (file == NULL || fwrite(pem, 1, n, file) != n || fclose(file) != 0)
        fail("%s: %s", path, strerror(errno));
}

static void certificate_sign(gnutls_x509_crt_t certificate, gnutls_x509_privkey_t key)
{
    static const unsigned char serial = SERIAL;
    time_t now = time(NULL);

    tls_check(gnutls_x509_crt_set_version(certificate, 3), "a certificate's version");
    tls_check(gnutls_x509_crt_set_serial(certificate, &serial, sizeof serial), "a certificate's number");
    tls_check(gnutls_x509_crt_set_dn(certificate, "CN=localhost", NULL), "a certificate's name");
    tls_check(gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_DNSNAME, "localhost", 9, GNUTLS_FSAN_SET),
              "a certificate's name");
    tls_check(gnutls_x509_crt_set_activation_time(certificate, now - VALID_S), "a certificate's time");
    tls_check(gnutls_x509_crt_set_expiration_time(certificate, now + VALID_S), "a certificate's time");
    tls_check(gnutls_x509_crt_set_key(certificate, key), "a certificate's key");
    tls_check(gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0), "signing a certificate");
}

void wire_certificate_make(const char *certificate_path, const char *key_path)
{
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t certificate;
    char pem[PEM_BYTES];
    size_t n = sizeof pem;

    tls_check(gnutls_x509_privkey_init(&key), "a key");
    tls_check(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
              "a key");
    tls_check(gnutls_x509_crt_init(&certificate), "a certificate");
    certificate_sign(certificate, key);
    tls_check(gnutls_x509_privkey_export(key, GNUTLS_X509_FMT_PEM, pem, &n), "a key as PEM");
    pem_save(key_path, pem, n);
    n = sizeof pem;
    tls_check(gnutls_x509_crt_export(certificate, GNUTLS_X509_FMT_PEM, pem, &n), "a certificate as PEM");
    pem_save(certificate_path, pem, n);
    gnutls_x509_crt_deinit(certificate);
    gnutls_x509_privkey_deinit(key);
}

/* --- clients ------------------------------------------------------------------------------------------------------ */

struct wire_client *wire_client_new(void)
{
    struct wire_client *client = alloc_items(1, sizeof *client);

    table_make();
    tls_check(gnutls_certificate_allocate_credentials(&client->credentials), "a client's credentials");
    return client;
}

void wire_client_free(struct wire_client *client)
{
    gnutls_free(client->ticket.data);
    gnutls_certificate_free_credentials(client->credentials);
    free(client);
}

void wire_client_resume(struct wire_client *client, int fd)
{
    struct secured *secured = secured_find(fd);

    if ((gnutls_session_get_flags(secured->session) & GNUTLS_SFLAGS_SESSION_TICKET) == 0)
        fail("the server gave no ticket for resuming its session");
    gnutls_free(client->ticket.data);
    tls_check(gnutls_session_get_data2(secured->session, &client->ticket), "a session to be resumed");
}

void wire_secure(struct wire_client *client, int fd)
{
    struct secured *secured = &table[fd];

    *secured = (struct secured){.resumes = client->ticket.data != NULL};
    tls_check(gnutls_init(&secured->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL), "a session");
    tls_check(gnutls_set_default_priority(secured->session), "a session's priorities");
    tls_check(gnutls_credentials_set(secured->session, GNUTLS_CRD_CERTIFICATE, client->credentials), "a session");
    tls_check(gnutls_server_name_set(secured->session, GNUTLS_NAME_DNS, "localhost", 9), "a session's host");
    if (secured->resumes)
        tls_check(gnutls_session_set_data(secured->session, client->ticket.data, client->ticket.size), "a session");
    gnutls_transport_set_int(secured->session, fd);
    gnutls_handshake_set_timeout(secured->session, 0);
}

bool wire_handshake(int fd)
{
    struct secured *secured = secured_find(fd);
    int code;

    do
        code = gnutls_handshake(secured->session);
    while (code < 0 && code != GNUTLS_E_AGAIN && gnutls_error_is_fatal(code) == 0);
    if (code == GNUTLS_E_AGAIN)
        return false;
    tls_check(code, "a handshake");
    if (secured->resumes && gnutls_session_is_resumed(secured->session) == 0)
        fail("a session was not resumed");
    return true;
}

/* --- bytes -------------------------------------------------------------------------------------------------------- */

/* One record, and what belongs to none: tickets. */
static ssize_t record_read(gnutls_session_t session, char *ret, size_t cap)
{
    ssize_t got;

    do
        got = gnutls_record_recv(session, ret, cap);
    while (got < 0 && got != GNUTLS_E_AGAIN && gnutls_error_is_fatal((int)got) == 0);
    return got;
}

ssize_t wire_read(int fd, void *ret, size_t cap)
{
    struct secured *secured = secured_find(fd);
    size_t len = 0;
    ssize_t got = 0;

    if (secured == NULL)
        return recv(fd, ret, cap, 0);
    while (len < cap && (got = record_read(secured->session, (char *)ret + len, cap - len)) > 0)
        len += (size_t)got;
    if (len > 0 || got == 0)
        return (ssize_t)len;
    errno = got == GNUTLS_E_AGAIN ? EAGAIN : ECONNRESET;
    return -1;
}

ssize_t wire_write(int fd, const void *data, size_t n)
{
    struct secured *secured = secured_find(fd);
    ssize_t sent;

    if (secured == NULL)
        return send(fd, data, n, MSG_NOSIGNAL);
    sent = gnutls_record_send(secured->session, data, n);
    if (sent >= 0)
        return sent;
    errno = sent == GNUTLS_E_AGAIN ? EAGAIN : ECONNRESET;
    return -1;
}

void wire_close(int fd)
{
    struct secured *secured = secured_find(fd);

    if (secured != NULL) {
        gnutls_deinit(secured->session);
        secured->session = NULL;
    }
    close(fd);
}
