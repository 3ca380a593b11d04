/* SPDX-License-Identifier: MIT */
/* Checks of identities; what is under way holds its socket. */
#include "adapters/socketio/who.h"

#include <stdlib.h>

#include "adapters/socketio/adapter.h"
#include "core/bearer.h"
#include "http/form.h"

struct finding {
    struct socket *socket; /* a reference */
    who_done *done;
    void *ctx;
};

/* --- tokens */

static void bearer_found(void *ctx, enum err err, const struct bearer *bearer, const char *reason)
{
    struct finding *finding = ctx;
    struct socket *socket = finding->socket;
    struct who who = {0};
    if (!socket_is_connected(socket))
        err = ERR_GONE;
    if (!err)
        who = (struct who){bearer->user, bearer->name, bearer->expires_us, bearer->by_token, bearer->token};
    finding->done(finding->ctx, socket, err, err ? NULL : &who, reason);
    socket_unref(socket);
    free(finding);
}

static void check_token(struct socket *socket, struct span token, who_done *done, void *ctx)
{
    const struct socketio *adapter = socket_adapter(socket);
    struct finding *finding = malloc(sizeof(*finding));
    if (!finding) {
        done(ctx, socket, ERR_NO_MEMORY, NULL, NULL);
        return;
    }
    *finding = (struct finding){socket_ref(socket), done, ctx};
    bearer_check(adapter->hub, adapter->auth, token, socket_visitor(socket)->address, bearer_found, finding);
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
    bool fits = token.len <= BEARER_TOKEN_MAX && !span_has(token, '\0');
    return span_copy(fits ? token : SPAN_LITERAL(""));
}
