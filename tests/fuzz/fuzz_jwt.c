/* SPDX-License-Identifier: MIT */
/*
 * A token is answered once, with a user id that is one or with nobody.
 *
 * Input: `r` and a token as it stands; or `s`, a line that is the header and the rest, which are the claims: the driver
 * encodes and signs them, so that what comes after the signature is reached too.
 */
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "auth/method.h"
#include "base/buf.h"
#include "base/log.h"

#define SECRET "0123456789abcdef0123456789ABCDEF"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unlike assert, there in every build. */
#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

static int64_t now_ms(const struct clock *clock)
{
    (void)clock;
    return 0;
}

static int64_t wall_us(const struct clock *clock)
{
    (void)clock;
    return 1700000000000000;
}

static const struct clock fixed_clock = {now_ms, wall_us};

static void write_key(char *path)
{
    int fd = mkstemp(path);
    REQUIRE(fd >= 0 && write(fd, SECRET, strlen(SECRET)) == (ssize_t)strlen(SECRET));
    REQUIRE(close(fd) == 0);
}

static struct auth *jwt_chain(void)
{
    static const enum auth_method methods[] = {AUTH_JWT};
    static struct auth *auth;
    if (!auth) {
        const char *folder = getenv("TMPDIR");
        char path[4096];
        REQUIRE(snprintf(path, sizeof(path), "%s/fuzz_jwt-XXXXXX", folder ? folder : "/tmp") < (int)sizeof(path));
        REQUIRE(log_open("/dev/null", LOG_INFO, LOG_KEY_VALUE) == OK);
        write_key(path);
        struct auth_options options = {.methods = methods,
                                       .method_count = 1,
                                       .jwt_key = path,
                                       .jwt_algorithm = "HS256",
                                       .jwt_name_claim = "name",
                                       .jwt_audience = "chat",
                                       .jwt_issuer = "login",
                                       .jwt_skew_ms = 60000};
        auth = auth_new(&options, NULL, &fixed_clock);
        REQUIRE(unlink(path) == 0);
    }
    REQUIRE(auth);
    return auth;
}

static struct span no_header(const struct credentials *credentials, const char *name)
{
    (void)credentials;
    (void)name;
    return (struct span){0};
}

static void answered(void *ctx, enum err err, const struct identity *identity, unsigned retry_after_s)
{
    unsigned *answers = ctx;
    ++*answers;
    REQUIRE(err == OK || err == ERR_UNAUTHORIZED);
    REQUIRE((err == OK) == (identity != NULL));
    REQUIRE(!identity || (user_valid(identity->user) && name_valid(identity->name)));
    REQUIRE(retry_after_s == 0);
}

static void add_base64(struct buf *buf, const void *bytes, size_t len)
{
    gnutls_datum_t in = {(unsigned char *)bytes, (unsigned)len};
    gnutls_datum_t out = {NULL, 0};
    REQUIRE(len == 0 || gnutls_base64_encode2(&in, &out) == 0);
    for (unsigned i = 0; i < out.size && out.data[i] != '='; i++) {
        char c = (char)out.data[i];
        buf_add_char(buf, (char)(c == '+' ? '-' : c == '/' ? '_' : c));
    }
    gnutls_free(out.data);
}

static void add_signed(struct buf *buf, struct span text)
{
    const char *end = text.len ? memchr(text.data, '\n', text.len) : NULL;
    size_t header_len = end ? (size_t)(end - text.data) : text.len;
    size_t claims_start = end ? header_len + 1 : text.len;
    size_t start = buf->len;
    uint8_t mac[32];
    add_base64(buf, text.data, header_len);
    buf_add_char(buf, '.');
    add_base64(buf, text.data + claims_start, text.len - claims_start);
    REQUIRE(!buf_failed(buf));
    REQUIRE(gnutls_hmac_fast(GNUTLS_MAC_SHA256, SECRET, strlen(SECRET), buf->data + start, buf->len - start, mac) == 0);
    buf_add_char(buf, '.');
    add_base64(buf, mac, sizeof(mac));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct span text = {(const char *)data + 1, size - 1};
    struct buf header = BUF_INIT;
    buf_add_text(&header, "Bearer ");
    if (data[0] == 's')
        add_signed(&header, text);
    else
        buf_add(&header, text);
    REQUIRE(!buf_failed(&header));
    struct credentials credentials = {SPAN_LITERAL("192.0.2.1"), buf_span(&header), no_header, NULL};
    unsigned answers = 0;
    auth_check(jwt_chain(), &credentials, answered, &answers);
    REQUIRE(answers == 1);
    buf_fini(&header);
    return 0;
}
