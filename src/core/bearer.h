/* SPDX-License-Identifier: MIT */
/*
 * Bearer: who shows a token. For protocols in which clients show one themselves, outside of HTTP's headers.
 *
 * A token is a chat token (a UUID) or what the authentication methods take as `Authorization: Bearer` (a JWT). Loop
 * thread only.
 */
#ifndef CORE_BEARER_H
#define CORE_BEARER_H

#include "core/auth.h"
#include "core/hub.h"

enum { BEARER_TOKEN_MAX = 4096 };

struct bearer {
    struct span user;
    struct span name;   /* display name; may be empty */
    int64_t expires_us; /* wall clock; 0: does not end */
    bool by_token;      /* a chat token, `token` */
    struct id token;
};

/* On OK `bearer` lives until this returns; it is null on error: ERR_UNAUTHORIZED, ERR_NO_TOKEN (refused; `reason` is a
 * static sentence, or null), ERR_TOO_MANY, ERR_STORE, ERR_NO_MEMORY, ERR_SHUTTING_DOWN. */
typedef void bearer_done(void *ctx, enum err err, const struct bearer *bearer, const char *reason);

/* Finds out whose token it is. `address` is the client's numeric one, for limits on failures; both are copied. `done`
 * is called once, perhaps from inside. A token that is empty or longer than BEARER_TOKEN_MAX is refused unread. */
void bearer_check(struct hub *hub, struct auth *auth, struct span token, struct span address, bearer_done *done,
                  void *ctx);

#endif
