/* SPDX-License-Identifier: MIT */
/* Presence by request: how friends are, and how one is oneself. */
#include "adapters/nereid/adapter.h"

/* --- get-friends */

struct friend_list {
    struct buf out;
    struct stanza_style style;
    size_t count;
};

static void add_friend(void *ctx, const struct presence *friend)
{
    struct friend_list *list = ctx;
    if (list->count++)
        buf_add_char(&list->out, ',');
    stanza_write_presence(&list->out, &list->style, friend);
}

static void get_friends(struct call *call)
{
    struct friend_list list = {.out = BUF_INIT};
    struct reader in = reader_of(call->req);
    read_style(&in, call->nereid, &list.style);
    if (in.err) {
        call_refuse(call, &in);
        return;
    }
    buf_add_text(&list.out, "{\"friends\":[");
    hub_friends(call->user, add_friend, &list);
    buf_add_text(&list.out, "]}");
    call_reply(call, &list.out);
}

void nereid_get_friends(void *ctx, struct request *req)
{
    call_begin(ctx, req, sizeof(struct call), get_friends);
}

/* --- presence */

struct presence_call {
    struct call call;
    struct stanza_style style;
};

static void presence_set(void *ctx, enum err err)
{
    struct presence_call *asked = ctx;
    if (err) {
        call_fail(&asked->call, err, 0);
        return;
    }
    struct presence presence = user_presence(asked->call.user);
    struct buf out = BUF_INIT;
    stanza_write_presence(&out, &asked->style, &presence);
    call_reply(&asked->call, &out);
}

/* What is not given stays as it was. */
static void set_presence(struct call *call)
{
    struct presence_call *asked = container_of(call, struct presence_call, call);
    struct presence presence = user_presence(call->user);
    struct reader in = reader_of(call->req);
    read_style(&in, call->nereid, &asked->style);
    read_show(&in, &presence.show);
    read_text(&in, "status", &presence.status);
    if (!in.err)
        reader_note(&in, "status", hub_presence_set(call->user, presence.show, presence.status, presence_set, asked));
    if (in.err)
        call_refuse(call, &in);
}

void nereid_set_presence(void *ctx, struct request *req)
{
    call_begin(ctx, req, sizeof(struct presence_call), set_presence);
}
