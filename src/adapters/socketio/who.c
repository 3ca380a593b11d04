/* SPDX-License-Identifier: MIT */
/* Checks of identities; what is under way holds its socket and its own copies. */
#include "adapters/socketio/who.h"

#include <stdlib.h>
#include <string.h>

#include "adapters/socketio/adapter.h"
#include "http/form.h"

struct finding {
    struct credentials credentials;
    struct socket *socket; /* a reference */
    who_done *done;
    void *ctx;
    const char *reason; /* static; why it was refused */
    struct id token;
    char text[]; /* what the credentials point into */
};

/* --- answers */

static void finding_end(struct finding *finding, enum err err, const struct who *who)
{
    struct socket *socket = finding->socket;
    bool gone = !socket_is_connected(socket);
    finding->done(finding->ctx, socket, gone ? ERR_GONE : err, gone || err ? NULL : who, finding->reason);
    socket_unref(socket);
    free(finding);
}

static void token_found(void *ctx, enum err err, const struct token_record *token)
{
    struct finding *finding = ctx;
    struct who who = {.by_token = true, .token = finding->token};
    if (!err) {
        who.user = token->user;
        who.expires_us = token->expires_us;
    }
    finding_end(finding, err, &who);
}

static void identity_found(void *ctx, enum err err, const struct identity *identity, unsigned retry_after_s unused_arg)
{
    struct who who = {0};
    if (!err)
        who = (struct who){.user = identity->user, .name = identity->name, .expires_us = identity->expires_us};
    finding_end(ctx, err, &who);
}

/* --- checks */

static struct span no_header(const struct credentials *credentials unused_arg, const char *name unused_arg)
{
    return (struct span){0};
}

static const char scheme[] = "Bearer ";

/* The texts behind the struct: the header's value, the address. */
static struct finding *finding_new(struct socket *socket, struct span token, who_done *done, void *ctx)
{
    struct span address = socket_visitor(socket)->address;
    size_t value_len = sizeof(scheme) - 1 + token.len;
    struct finding *finding = calloc(1, sizeof(*finding) + value_len + address.len);
    if (!finding)
        return NULL;
    finding->socket = socket_ref(socket);
    finding->done = done;
    finding->ctx = ctx;
    memcpy(finding->text, scheme, sizeof(scheme) - 1);
    memcpy(finding->text + sizeof(scheme) - 1, token.data, token.len);
    if (address.len)
        memcpy(finding->text + value_len, address.data, address.len);
    finding->credentials = (struct credentials){
        .address = {finding->text + value_len, address.len},
        .authorization = {finding->text, value_len},
        .header = no_header,
        .ret_reason = &finding->reason,
    };
    return finding;
}

static void check_token(struct socket *socket, struct span token, who_done *done, void *ctx)
{
    const struct socketio *adapter = socket_adapter(socket);
    if (token.len == 0 || token.len > WHO_TOKEN_MAX) {
        done(ctx, socket, ERR_UNAUTHORIZED, NULL, token.len ? "the token is too long" : "the token is empty");
        return;
    }
    struct finding *finding = finding_new(socket, token, done, ctx);
    if (!finding)
        done(ctx, socket, ERR_NO_MEMORY, NULL, NULL);
    else if (id_parse(token, &finding->token))
        hub_token_check(adapter->hub, finding->token, token_found, finding);
    else
        auth_check(adapter->auth, &finding->credentials, identity_found, finding);
}

/* --- where it stands */

static void tell_visitor(struct socket *socket, who_done *done, void *ctx)
{
    const struct visitor *visitor = socket_visitor(socket);
    struct who who = {visitor->user, visitor->name, visitor->expires_us, visitor->by_token, visitor->token};
    done(ctx, socket, OK, &who, NULL);
}

/* Of several the last, as everywhere in queries. */
static struct span find_field(const struct form *form, const char *name)
{
    for (size_t i = form->count; i > 0; i--)
        if (span_is(form->fields[i - 1].name, name))
            return form->fields[i - 1].value;
    return (struct span){0};
}

static void check_query(struct socket *socket, who_done *done, void *ctx)
{
    struct form form = {0};
    enum err err = form_parse(socket_visitor(socket)->query, &form);
    struct span token = err ? (struct span){0} : find_field(&form, "token");
    if (err == ERR_NO_MEMORY)
        done(ctx, socket, err, NULL, NULL);
    else if (token.data)
        check_token(socket, token, done, ctx);
    else
        done(ctx, socket, OK, NULL, NULL);
    form_fini(&form);
}

void who_find(struct socket *socket, struct span in_event, const char *shown, who_done *done, void *ctx)
{
    if (in_event.data)
        check_token(socket, in_event, done, ctx);
    else if (socket_visitor(socket)->user.len)
        tell_visitor(socket, done, ctx);
    else if (shown)
        check_token(socket, span_of(shown), done, ctx);
    else
        check_query(socket, done, ctx);
}

char *who_shown(const json_t *auth)
{
    struct span token = json_text(auth, "token");
    if (!token.data)
        return NULL;
    bool fits = token.len <= WHO_TOKEN_MAX && !span_has(token, '\0');
    return span_copy(fits ? token : SPAN_LITERAL(""));
}
