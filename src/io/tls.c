/* SPDX-License-Identifier: MIT */
/*
 * Credentials on GnuTLS.
 *
 * GnuTLS picks from a credentials object what a client can verify, the first that will do. By its own choice it would
 * also go by the name that is asked for, but it compares names byte by byte and so knows no wildcards. So for each
 * certificate there is an object with it and all others for the very same names (an RSA and an ECDSA certificate may
 * stand beside each other), and one with all: the first certificate that the asked name fits decides which is used, and
 * if there is none it is the one with all.
 */
#include "io/tls.h"

#include <gnutls/x509.h>
#include <gnutls/x509-ext.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "base/span.h"

enum { FILE_SIZE_MAX = 1 << 20, PROTOCOLS_MAX = 8 };

/* Behind whatever the priorities say: no old versions, and our order counts, not the client's. */
static const char always[] = ":-VERS-SSL3.0:-VERS-TLS1.0:-VERS-TLS1.1:%SERVER_PRECEDENCE";

/* A certificate with its key, and what is used for the names that it is for. */
struct pair {
    const char *certificate_path, *key_path; /* while the files are read */
    struct buf certificate, key;             /* the same */
    gnutls_x509_crt_t leaf;
    gnutls_certificate_credentials_t group;
};

struct tls {
    unsigned refs;
    gnutls_certificate_credentials_t all;
    gnutls_priority_t priorities;
    gnutls_datum_t ticket_key;
    int64_t not_after;
    size_t count;
    struct pair pairs[];
};

static enum err refuse(const char *file, const char *why)
{
    log_event(LOG_ERROR, "cannot use a certificate", log_text("file", file), log_text("why", why));
    return ERR_BAD_FIELD;
}

/* GnuTLS does not tell which of the two files it is. */
static enum err refuse_pair(const struct pair *pair, int status)
{
    bool differ = status == GNUTLS_E_CERTIFICATE_KEY_MISMATCH;
    log_event(LOG_ERROR, "cannot use a certificate", log_text("file", pair->certificate_path),
              log_text("key", pair->key_path),
              log_text("why", differ ? "it is not the key of the certificate" : gnutls_strerror(status)));
    return status == GNUTLS_E_MEMORY_ERROR ? ERR_NO_MEMORY : ERR_BAD_FIELD;
}

/* --- files --- */

static gnutls_datum_t datum_of(const struct buf *buf)
{
    return (gnutls_datum_t){(unsigned char *)buf->data, (unsigned)buf->len};
}

static enum err read_pair(struct pair *pair)
{
    enum err err = file_read(pair->certificate_path, FILE_PUBLIC, FILE_SIZE_MAX, &pair->certificate);
    enum err key_err = file_read(pair->key_path, FILE_SECRET, FILE_SIZE_MAX, &pair->key);
    return err ? err : key_err;
}

static void forget_files(struct pair *pair)
{
    file_wipe(&pair->certificate);
    file_wipe(&pair->key);
    pair->certificate_path = pair->key_path = NULL;
}

/* --- time --- */

static void write_time(char text[32], time_t at)
{
    struct tm when;
    if (!gmtime_r(&at, &when) || strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &when) == 0)
        text[0] = '\0';
}

/* The end of the first certificate of a chain counts. Without `strict` a wrong time is only said: a clock that is not
 * set yet is no reason not to start. */
static enum err check_time(struct tls *tls, const char *file, gnutls_x509_crt_t leaf, bool strict)
{
    time_t now = time(NULL), begin = gnutls_x509_crt_get_activation_time(leaf);
    time_t end = gnutls_x509_crt_get_expiration_time(leaf);
    char end_text[32];
    write_time(end_text, end);
    if (tls->not_after == 0 || end < tls->not_after)
        tls->not_after = end;
    if (begin <= now && now < end)
        return OK;
    log_event(strict ? LOG_ERROR : LOG_WARN, now < end ? "a certificate is not valid yet" : "a certificate has expired",
              log_text("file", file), log_text("end", end_text));
    return strict ? ERR_BAD_FIELD : OK;
}

/* --- loading --- */

/* Adds the pair to `credentials` and returns its place there, or an error of GnuTLS. */
static int add_to(gnutls_certificate_credentials_t credentials, const struct pair *pair)
{
    gnutls_datum_t certificate = datum_of(&pair->certificate), key = datum_of(&pair->key);
    return gnutls_certificate_set_x509_key_mem2(credentials, &certificate, &key, GNUTLS_X509_FMT_PEM, NULL, 0);
}

static enum err new_credentials(gnutls_certificate_credentials_t *credentials)
{
    if (gnutls_certificate_allocate_credentials(credentials))
        return ERR_NO_MEMORY;
    gnutls_certificate_set_flags(*credentials, GNUTLS_CERTIFICATE_API_V2);
    return OK;
}

/* The first certificate of the chain; the others are of no interest here. */
static enum err take_leaf(struct tls *tls, struct pair *pair, unsigned index)
{
    gnutls_x509_crt_t *chain;
    unsigned count;
    int status = gnutls_certificate_get_x509_crt(tls->all, index, &chain, &count);
    if (status < 0)
        return refuse(pair->certificate_path, gnutls_strerror(status));
    pair->leaf = chain[0];
    for (unsigned i = 1; i < count; i++)
        gnutls_x509_crt_deinit(chain[i]);
    gnutls_free(chain);
    return OK;
}

static enum err load_pair(struct tls *tls, struct pair *pair, bool strict)
{
    enum err err = read_pair(pair);
    if (err)
        return err;
    int index = add_to(tls->all, pair);
    if (index < 0)
        return refuse_pair(pair, index);
    err = take_leaf(tls, pair, (unsigned)index);
    return err ? err : check_time(tls, pair->certificate_path, pair->leaf, strict);
}

/* Whether both are for the same list of names. Without such a list a certificate is alone. */
static bool same_names(const struct pair *a, const struct pair *b)
{
    gnutls_datum_t names_a = {0}, names_b = {0};
    bool same = gnutls_x509_crt_get_extension_by_oid2(a->leaf, GNUTLS_X509EXT_OID_SAN, 0, &names_a, NULL) == 0 &&
                gnutls_x509_crt_get_extension_by_oid2(b->leaf, GNUTLS_X509EXT_OID_SAN, 0, &names_b, NULL) == 0 &&
                names_a.size == names_b.size && memcmp(names_a.data, names_b.data, names_a.size) == 0;
    gnutls_free(names_a.data);
    gnutls_free(names_b.data);
    return same;
}

static enum err make_group(struct tls *tls, struct pair *pair)
{
    enum err err = new_credentials(&pair->group);
    for (size_t i = 0; i < tls->count && !err; i++)
        if ((&tls->pairs[i] == pair || same_names(&tls->pairs[i], pair)) && add_to(pair->group, &tls->pairs[i]) < 0)
            err = ERR_NO_MEMORY; /* nothing else is left: it worked once */
    return err;
}

/* All pairs are looked at, so that all that is wrong is said at once. */
static enum err load_pairs(struct tls *tls, const struct tls_options *options, bool strict)
{
    enum err err = new_credentials(&tls->all);
    if (err)
        return err;
    for (size_t i = 0; i < tls->count; i++) {
        struct pair *pair = &tls->pairs[i];
        pair->certificate_path = options->certificates[i];
        pair->key_path = options->keys[i];
        enum err pair_err = load_pair(tls, pair, strict);
        err = err ? err : pair_err;
    }
    for (size_t i = 0; i < tls->count && !err; i++)
        err = make_group(tls, &tls->pairs[i]);
    for (size_t i = 0; i < tls->count; i++)
        forget_files(&tls->pairs[i]);
    return err;
}

static bool has_new_version(gnutls_priority_t priorities)
{
    const unsigned *versions;
    int count = gnutls_priority_protocol_list(priorities, &versions);
    for (int i = 0; i < count; i++)
        if (versions[i] == GNUTLS_TLS1_2 || versions[i] == GNUTLS_TLS1_3)
            return true;
    return false;
}

static enum err set_priorities(struct tls *tls, const char *text)
{
    char all[1024];
    const char *wrong = text;
    int len = snprintf(all, sizeof(all), "%s%s", text, always);
    int status = GNUTLS_E_INVALID_REQUEST;
    if (len > 0 && (size_t)len < sizeof(all))
        status = gnutls_priority_init(&tls->priorities, all, &wrong);
    if (status == GNUTLS_E_MEMORY_ERROR)
        return ERR_NO_MEMORY;
    if (status == 0 && has_new_version(tls->priorities))
        return OK;
    log_event(LOG_ERROR, "cannot use tls.priorities", log_text("value", text),
              log_text("why", status ? gnutls_strerror(status) : "neither TLS 1.2 nor TLS 1.3 is left"));
    return ERR_BAD_FIELD;
}

static enum err set_ticket_key(struct tls *tls, const struct tls *before)
{
    if (!before)
        return gnutls_session_ticket_key_generate(&tls->ticket_key) ? ERR_NO_MEMORY : OK;
    tls->ticket_key.data = gnutls_malloc(before->ticket_key.size);
    if (!tls->ticket_key.data)
        return ERR_NO_MEMORY;
    memcpy(tls->ticket_key.data, before->ticket_key.data, before->ticket_key.size);
    tls->ticket_key.size = before->ticket_key.size;
    return OK;
}

static void pair_fini(struct pair *pair)
{
    if (pair->group)
        gnutls_certificate_free_credentials(pair->group);
    if (pair->leaf)
        gnutls_x509_crt_deinit(pair->leaf);
}

static void tls_free(struct tls *tls)
{
    for (size_t i = 0; i < tls->count; i++)
        pair_fini(&tls->pairs[i]);
    if (tls->all)
        gnutls_certificate_free_credentials(tls->all);
    if (tls->priorities)
        gnutls_priority_deinit(tls->priorities);
    if (tls->ticket_key.data)
        gnutls_memset(tls->ticket_key.data, 0, tls->ticket_key.size);
    gnutls_free(tls->ticket_key.data);
    free(tls);
}

enum err tls_load(const struct tls_options *options, const struct tls *before, struct tls **ret_tls)
{
    struct tls *tls = calloc(1, sizeof(*tls) + options->count * sizeof(tls->pairs[0]));
    if (!tls)
        return ERR_NO_MEMORY;
    tls->refs = 1;
    tls->count = options->count;
    enum err err = set_priorities(tls, options->priorities);
    enum err pairs_err = load_pairs(tls, options, before != NULL);
    err = err ? err : pairs_err;
    if (!err)
        err = set_ticket_key(tls, before);
    if (err) {
        tls_free(tls);
        return err;
    }
    *ret_tls = tls;
    return OK;
}

struct tls *tls_ref(struct tls *tls)
{
    tls->refs++;
    return tls;
}

void tls_unref(struct tls *tls)
{
    if (tls && --tls->refs == 0)
        tls_free(tls);
}

int64_t tls_not_after(const struct tls *tls)
{
    return tls->not_after;
}

/* --- sessions --- */

/* RFC 7301, 3.2: without a common protocol the handshake fails. */
static int set_protocols(gnutls_session_t session, const char *const *protocols)
{
    gnutls_datum_t names[PROTOCOLS_MAX];
    unsigned count = 0;
    for (; protocols && protocols[count] && count < PROTOCOLS_MAX; count++)
        names[count] =
            (gnutls_datum_t){(unsigned char *)(uintptr_t)protocols[count], (unsigned)strlen(protocols[count])};
    if (count == 0)
        return 0;
    return gnutls_alpn_set_protocols(session, names, count, GNUTLS_ALPN_MANDATORY | GNUTLS_ALPN_SERVER_PRECEDENCE);
}

/* The first pair that the asked name fits, or null. RFC 6066, 3: a DNS name without a trailing dot, case does not
 * matter. */
static const struct pair *pair_for_name(const struct tls *tls, gnutls_session_t session)
{
    char name[256]; /* a DNS name has at most 253 bytes */
    size_t size = sizeof(name);
    unsigned type = 0;
    if (gnutls_server_name_get(session, name, &size, &type, 0) || type != GNUTLS_NAME_DNS)
        return NULL;
    for (size_t i = 0; i < tls->count; i++)
        if (gnutls_x509_crt_check_hostname(tls->pairs[i].leaf, name))
            return &tls->pairs[i];
    return NULL;
}

static int on_client_hello(gnutls_session_t session)
{
    const struct tls *tls = gnutls_session_get_ptr(session);
    const struct pair *pair = pair_for_name(tls, session);
    return pair ? gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, pair->group) : 0;
}

enum err tls_session_new(struct tls *tls, const char *const *protocols, gnutls_session_t *ret_session)
{
    gnutls_session_t session;
    if (gnutls_init(&session, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL))
        return ERR_NO_MEMORY;
    if (gnutls_priority_set(session, tls->priorities) ||
        gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->all) ||
        gnutls_session_ticket_enable_server(session, &tls->ticket_key) || set_protocols(session, protocols)) {
        gnutls_deinit(session);
        return ERR_NO_MEMORY;
    }
    gnutls_certificate_server_set_request(session, GNUTLS_CERT_IGNORE);
    gnutls_session_set_ptr(session, tls);
    if (tls->count > 1)
        gnutls_handshake_set_post_client_hello_function(session, on_client_hello);
    *ret_session = session;
    return OK;
}
