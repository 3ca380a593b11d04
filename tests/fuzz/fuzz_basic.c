/* SPDX-License-Identifier: MIT */
/*
 * An Authorization header is answered once, with a user id that is one or with nobody; and a users file is read whole
 * or not at all.
 *
 * Input: bytes that are both, the header's value as it stands and after `Basic `, and the text of a users file.
 */
#include <stdint.h>
#include <stdlib.h>

#include "auth/login.h"
#include "auth/method.h"
#include "auth/users.h"
#include "base/buf.h"
#include "base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unlike assert, there in every build. */
#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

static int64_t stand_still(const struct clock *clock)
{
    (void)clock;
    return 0;
}

static const struct clock fixed_clock = {stand_still, stand_still};

static struct auth *demo_chain(void)
{
    static const enum auth_method methods[] = {AUTH_DEMO};
    static struct auth *auth;
    if (!auth) {
        REQUIRE(log_open("/dev/null", LOG_INFO, LOG_KEY_VALUE) == OK);
        auth = auth_new(&(struct auth_options){.methods = methods, .method_count = 1}, NULL, &fixed_clock);
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
    REQUIRE(!identity || user_valid(identity->user));
    REQUIRE(retry_after_s == 0);
}

static void check_header(struct span value)
{
    struct credentials credentials = {SPAN_LITERAL("192.0.2.1"), value, no_header, NULL};
    unsigned answers = 0;
    auth_check(demo_chain(), &credentials, answered, &answers);
    REQUIRE(answers == 1);
}

/* What was decoded is two strings without NUL, the first without a colon. */
static void check_login(struct span value)
{
    struct login login;
    if (login_decode(value, &login))
        return;
    REQUIRE(strlen(login.user.data) == login.user.len && strlen(login.password.data) == login.password.len);
    REQUIRE(!strchr(login.user.data, ':'));
    login_fini(&login);
}

static void check_users(struct span text)
{
    struct users *users;
    const char *hash;
    if (users_parse("users", text, &users))
        return;
    REQUIRE(!users_hash(users, SPAN_LITERAL("\n"), &hash) && hash && strlen(hash) < USERS_HASH_SIZE);
    users_free(users);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    struct buf header = BUF_INIT;
    buf_add_text(&header, "Basic ");
    buf_add(&header, text);
    REQUIRE(!buf_failed(&header));
    check_header(text);
    check_header(buf_span(&header));
    check_login(text);
    check_users(text);
    buf_fini(&header);
    return 0;
}
