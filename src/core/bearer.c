/* SPDX-License-Identifier: MIT */
/* Checks of tokens; what is under way holds its own copies. */
#include "core/bearer.h"

#include <stdlib.h>
#include <string.h>

struct checking {
    struct credentials credentials;
    bearer_done *done;
    void *ctx;
    const char *reason; /* static; why it was refused */
    struct id token;
    char text[]; /* what the credentials point into */
};

/* --- answers */

static void checking_end(struct checking *checking, enum err err, const struct bearer *bearer)
{
    checking->done(checking->ctx, err, err ? NULL : bearer, checking->reason);
    free(checking);
}

static void token_found(void *ctx, enum err err, const struct token_record *token)
{
    struct checking *checking = ctx;
    struct bearer bearer = {.by_token = true, .token = checking->token};
    if (!err) {
        bearer.user = token->user;
        bearer.expires_us = token->expires_us;
    }
    checking_end(checking, err, &bearer);
}

static void identity_found(void *ctx, enum err err, const struct identity *identity, unsigned retry_after_s unused_arg)
{
    struct bearer bearer = {0};
    if (!err)
        bearer = (struct bearer){.user = identity->user, .name = identity->name, .expires_us = identity->expires_us};
    checking_end(ctx, err, &bearer);
}

/* --- checks */

static struct span no_header(const struct credentials *credentials unused_arg, const char *name unused_arg)
{
    return (struct span){0};
}

static const char scheme[] = "Bearer ";

/* The texts behind the struct: the header's value, the address. */
static struct checking *checking_new(struct span token, struct span address, bearer_done *done, void *ctx)
{
    size_t value_len = sizeof(scheme) - 1 + token.len;
    struct checking *checking = calloc(1, sizeof(*checking) + value_len + address.len);
    if (!checking)
        return NULL;
    checking->done = done;
    checking->ctx = ctx;
    memcpy(checking->text, scheme, sizeof(scheme) - 1);
    memcpy(checking->text + sizeof(scheme) - 1, token.data, token.len);
    if (address.len)
        memcpy(checking->text + value_len, address.data, address.len);
    checking->credentials = (struct credentials){
        .address = {checking->text + value_len, address.len},
        .authorization = {checking->text, value_len},
        .header = no_header,
        .ret_reason = &checking->reason,
    };
    return checking;
}

void bearer_check(struct hub *hub, struct auth *auth, struct span token, struct span address, bearer_done *done,
                  void *ctx)
{
    if (token.len == 0 || token.len > BEARER_TOKEN_MAX) {
        done(ctx, ERR_UNAUTHORIZED, NULL, token.len ? "the token is too long" : "the token is empty");
        return;
    }
    struct checking *checking = checking_new(token, address, done, ctx);
    if (!checking)
        done(ctx, ERR_NO_MEMORY, NULL, NULL);
    else if (id_parse(token, &checking->token))
        hub_token_check(hub, checking->token, token_found, checking);
    else
        auth_check(auth, &checking->credentials, identity_found, checking);
}
