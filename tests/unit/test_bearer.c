/* SPDX-License-Identifier: MIT */
/* Who shows a token: chat tokens are asked of the hub, all others of the authentication methods (which are played
 * here, and answer when a test says so). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/bearer.h"
#include "lib/failing_memory.h"
#include "lib/hub_rig.h"

/* --- the methods */

static struct {
    const struct credentials *credentials;
    auth_done *done;
    void *ctx;
    unsigned asked;
} methods;

void auth_check(struct auth *auth, const struct credentials *credentials, auth_done *done, void *ctx)
{
    assert_null(auth);
    methods.credentials = credentials;
    methods.done = done;
    methods.ctx = ctx;
    methods.asked++;
}

static void methods_answer(enum err err, const struct identity *identity)
{
    auth_done *done = methods.done;
    methods.done = NULL;
    done(methods.ctx, err, err ? NULL : identity, 0);
}

/* --- whoever asked */

struct asker {
    unsigned answers;
    enum err err;
    char user[USER_ID_MAX + 1];
    char name[USER_NAME_MAX + 1];
    int64_t expires_us;
    bool by_token;
    struct id token;
    const char *reason;
};

static void asker_answered(void *ctx, enum err err, const struct bearer *bearer, const char *reason)
{
    struct asker *asker = ctx;
    asker->answers++;
    asker->err = err;
    asker->reason = reason;
    assert_int_equal(bearer == NULL, err != OK);
    if (err)
        return;
    memcpy(asker->user, bearer->user.data, bearer->user.len);
    if (bearer->name.len)
        memcpy(asker->name, bearer->name.data, bearer->name.len);
    asker->expires_us = bearer->expires_us;
    asker->by_token = bearer->by_token;
    asker->token = bearer->token;
}

/* What it is given goes right after the call. */
static struct asker *ask(struct asker *asker, struct rig *rig, const char *token)
{
    char *text = strdup(token), *address = strdup("192.0.2.1");
    *asker = (struct asker){0};
    bearer_check(rig->hub, NULL, span_of(text), span_of(address), asker_answered, asker);
    free(text);
    free(address);
    return asker;
}

/* --- */

static void a_chat_token_is_asked_of_the_hub(void **state)
{
    (void)state;
    struct rig rig;
    struct asker asker;
    struct id token;
    char text[ID_TEXT_SIZE];
    methods.asked = 0;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    int64_t issued_us = rig.clock.wall_us;
    assert_int_equal(hub_rig_token(&rig, "alice", &token), OK);
    ask(&asker, &rig, id_format(token, text));
    assert_int_equal(asker.answers, 0);
    hub_rig_turn(&rig);
    assert_int_equal(asker.answers, 1);
    assert_int_equal(asker.err, OK);
    assert_string_equal(asker.user, "alice");
    assert_true(asker.by_token && id_equal(asker.token, token));
    assert_int_equal(asker.expires_us, issued_us + INT64_C(3600000000));
    ask(&asker, &rig, id_format(id_random(), text));
    hub_rig_turn(&rig);
    assert_int_equal(asker.answers, 1);
    assert_int_equal(asker.err, ERR_NO_TOKEN);
    assert_int_equal(methods.asked, 0);
    hub_rig_fini(&rig);
}

static void any_other_is_asked_of_the_methods_as_a_bearer(void **state)
{
    (void)state;
    struct rig rig;
    struct asker asker;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    ask(&asker, &rig, "a.b.c");
    assert_int_equal(asker.answers, 0);
    assert_true(span_is(methods.credentials->authorization, "Bearer a.b.c"));
    assert_true(span_is(methods.credentials->address, "192.0.2.1"));
    assert_int_equal(methods.credentials->header(methods.credentials, "X-Remote-User").len, 0);
    struct identity identity = {SPAN_LITERAL("alice"), SPAN_LITERAL("Alice"), 123};
    methods_answer(OK, &identity);
    assert_int_equal(asker.answers, 1);
    assert_string_equal(asker.user, "alice");
    assert_string_equal(asker.name, "Alice");
    assert_int_equal(asker.expires_us, 123);
    assert_false(asker.by_token);
    hub_rig_fini(&rig);
}

static void a_refusal_says_why(void **state)
{
    (void)state;
    struct rig rig;
    struct asker asker;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    ask(&asker, &rig, "a.b.c");
    *methods.credentials->ret_reason = "the signature is wrong";
    methods_answer(ERR_UNAUTHORIZED, NULL);
    assert_int_equal(asker.err, ERR_UNAUTHORIZED);
    assert_string_equal(asker.reason, "the signature is wrong");
    ask(&asker, &rig, "a.b.c");
    methods_answer(ERR_TOO_MANY, NULL);
    assert_int_equal(asker.err, ERR_TOO_MANY);
    assert_null(asker.reason);
    hub_rig_fini(&rig);
}

static void what_cannot_be_a_token_is_refused_unread(void **state)
{
    (void)state;
    struct rig rig;
    struct asker asker;
    char longest[BEARER_TOKEN_MAX + 2];
    methods.asked = 0;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    memset(longest, 'x', sizeof(longest) - 1);
    longest[BEARER_TOKEN_MAX + 1] = '\0';
    assert_int_equal(ask(&asker, &rig, longest)->err, ERR_UNAUTHORIZED);
    assert_string_equal(asker.reason, "the token is too long");
    assert_int_equal(ask(&asker, &rig, "")->err, ERR_UNAUTHORIZED);
    assert_string_equal(asker.reason, "the token is empty");
    assert_int_equal(methods.asked, 0);
    longest[BEARER_TOKEN_MAX] = '\0';
    assert_int_equal(ask(&asker, &rig, longest)->answers, 0);
    methods_answer(ERR_UNAUTHORIZED, NULL);
    assert_int_equal(asker.answers, 1);
    hub_rig_fini(&rig);
}

static void without_memory_nobody_is_asked(void **state)
{
    (void)state;
    struct rig rig;
    struct asker asker = {0};
    methods.asked = 0;
    hub_rig_init(&rig, FRIENDS_EVERYONE);
    memory_fail_at(1);
    bearer_check(rig.hub, NULL, span_of("a.b.c"), span_of("192.0.2.1"), asker_answered, &asker);
    memory_fail_at(0);
    assert_int_equal(asker.answers, 1);
    assert_int_equal(asker.err, ERR_NO_MEMORY);
    assert_int_equal(methods.asked, 0);
    hub_rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chat_token_is_asked_of_the_hub),
        cmocka_unit_test(any_other_is_asked_of_the_methods_as_a_bearer),
        cmocka_unit_test(a_refusal_says_why),
        cmocka_unit_test(what_cannot_be_a_token_is_refused_unread),
        cmocka_unit_test(without_memory_nobody_is_asked),
    };
    return cmocka_run_group_tests_name("bearer", tests, NULL, NULL);
}
