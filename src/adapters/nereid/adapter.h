/* SPDX-License-Identifier: MIT */
/* What the files of the nereid adapter share. */
#ifndef NEREID_ADAPTER_H
#define NEREID_ADAPTER_H

#include "adapters/nereid/nereid.h"
#include "adapters/nereid/wire.h"
#include "base/rate.h"
#include "http/stream.h"

struct probe;

struct nereid {
    struct nereid_options options;
    struct hub *hub;
    struct loop *loop;
    struct conns *conns;
    struct rate *probe_rate;
    struct probe *probes; /* under way */
    unsigned first_slot;  /* of event wires */
};

/* --- request.c: what several handlers need of a request */

/* Opens the caller as a user of the hub for `work`, which gets the request back; on failure the request is answered here. */
struct call {
    struct nereid *nereid;
    struct request *req;
    struct user *user; /* pinned until call_end */
    void (*work)(struct call *call);
};

/* `size` bytes, of which the first are a struct call, zeroed and handed to `work`; `work` or what follows ends with one of the call_… below. */
void call_begin(struct nereid *nereid, struct request *req, size_t size, void (*work)(struct call *call));

/* Lets the user go and frees the call; the request has been answered or handed on. */
void call_end(struct call *call);

/* Answers and ends. */
void call_reply(struct call *call, struct buf *take_body);
void call_fail(struct call *call, enum err err, unsigned retry_after_s);

/* Where the error speaks of a field, the sentence names it. */
void call_fail_field(struct call *call, enum err err, const char *field);

/* Answers with what was written as JSON, which is freed. */
void reply_buf(struct request *req, struct buf *take_body);

/* Reads optional fields. Absent: OK with the value untouched. ERR_BAD_FIELD; ERR_BAD_CURSOR. */
enum err read_count(struct request *req, const char *name, int64_t min, int64_t max, int64_t *ret_count) must_check;
enum err read_text(struct request *req, const char *name, struct span *ret_text) must_check;
enum err read_show(struct request *req, enum show *ret_show) must_check;
enum err read_dialect(struct request *req, enum dialect *ret_dialect) must_check;

/* `since`, or the Last-Event-ID header, with the presence mark that polls add. */
enum err read_since(struct request *req, struct attach *attach) must_check;

/* The style for this request. */
enum err read_style(struct nereid *nereid, struct request *req, struct stanza_style *ret_style) must_check;

/* How the caller attaches; `since` is read. */
enum err read_attach(struct request *req, struct attach *ret_attach, struct id *ret_token) must_check;

/* --- handlers, each in the file of its name */
void nereid_stream(void *ctx, struct request *req);
void nereid_poll(void *ctx, struct request *req);
void nereid_send_message(void *ctx, struct request *req);
void nereid_start_session(void *ctx, struct request *req);
void nereid_add_member(void *ctx, struct request *req);
void nereid_remove_member(void *ctx, struct request *req);
void nereid_threads(void *ctx, struct request *req);
void nereid_history(void *ctx, struct request *req);
void nereid_get_friends(void *ctx, struct request *req);
void nereid_set_presence(void *ctx, struct request *req);
void nereid_issue_token(void *ctx, struct request *req);
void nereid_revoke_token(void *ctx, struct request *req);
void nereid_probe(void *ctx, struct request *req);

/* Ends all probes under way. */
void probes_end(struct nereid *nereid);

#endif
