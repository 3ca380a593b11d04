/* SPDX-License-Identifier: MIT */
/* The Authorization header: its scheme, and the user and password of Basic (RFC 7617). */
#ifndef AUTH_LOGIN_H
#define AUTH_LOGIN_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/span.h"

enum { LOGIN_TEXT_MAX = 1024 };

struct login {
    char *text; /* owned: user, NUL, password, NUL */
    struct span user;
    struct span password;
};

/* What follows the scheme, which is compared without case, and the spaces after it. False (and *ret_value untouched):
 * another scheme. */
bool scheme_value(struct span authorization, const char *scheme, struct span *ret_value) must_check;

/* Decodes `user:password`; the user may not hold a colon, the password may. ERR_UNAUTHORIZED: not strict base64, no
 * colon, NUL or other invalid UTF-8, or more than LOGIN_TEXT_MAX bytes. ERR_NO_MEMORY. On OK pair with login_fini. */
enum err login_decode(struct span value, struct login *ret_login) must_check;

/* Wipes and frees. */
void login_fini(struct login *login);

#endif
