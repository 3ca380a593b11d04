/* SPDX-License-Identifier: MIT */
/* The method `demo`: anybody is who they say they are. The configuration refuses it where strangers could reach it. */
#include "auth/login.h"
#include "auth/method.h"

static enum verdict demo_check(void *state unused_arg, const struct attempt *attempt, struct answer *answer)
{
    struct span value;
    if (!scheme_value(attempt->credentials->authorization, "Basic", &value))
        return VERDICT_NOT_MINE;
    struct login login;
    enum err err = login_decode(value, &login);
    if (err)
        return answer_refuse(answer, err, "malformed Basic credentials");
    enum verdict verdict = answer_accept(answer, login.user, (struct span){0});
    login_fini(&login);
    return verdict;
}

const struct method method_demo = {
    .name = "demo",
    .challenge = "Basic realm=\"nereidd\", charset=\"UTF-8\"",
    .check = demo_check,
};
