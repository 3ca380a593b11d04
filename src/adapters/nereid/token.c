/* SPDX-License-Identifier: MIT */
/* Chat tokens: issuing and revoking. */
#include "adapters/nereid/adapter.h"

static void token_issued(void *ctx, enum err err, struct id token, int64_t ttl_ms)
{
    struct call *call = ctx;
    if (err) {
        call_fail(call, err, 0);
        return;
    }
    char text[ID_TEXT_SIZE];
    struct buf out = BUF_INIT;
    buf_printf(&out, "{\"token\":\"%s\",\"expires_in\":%lld}", id_format(token, text), (long long)(ttl_ms / 1000));
    call_reply(call, &out);
}

static void issue_token(struct call *call)
{
    unsigned retry_s = 0;
    enum err err = hub_token_issue(call->user, token_issued, call, &retry_s);
    if (err)
        call_fail(call, err, retry_s);
}

void nereid_issue_token(void *ctx, struct request *req)
{
    call_begin(ctx, req, sizeof(struct call), issue_token);
}

static void token_revoked(void *ctx, enum err err)
{
    struct request *req = ctx;
    if (err)
        request_fail(req, err, NULL, 0);
    else
        request_reply(req, 204, NULL, NULL, NULL);
}

/* Who holds a token may end it: it is the token itself that the path names, and that the router has checked. */
void nereid_revoke_token(void *ctx, struct request *req)
{
    struct nereid *nereid = ctx;
    const struct caller *caller = request_caller(req);
    hub_token_revoke(nereid->hub, caller->token, caller->user, token_revoked, req);
}
