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
    bool shut;            /* no more probes */
    unsigned first_slot;  /* of event wires */
};

/* --- request.c: what several handlers need of a request */

/* Tell proxies to hand a stream on as it comes. */
extern const struct http_header stream_headers[];

/* When to come back after hub_attach or hub_may_attach has refused; 0: nobody can say. */
unsigned session_retry_s(enum err err);

/* Opens the caller as a user of the hub for `work`, which gets the request back; on failure the request is answered
 * here. */
struct call {
    struct nereid *nereid;
    struct request *req;
    struct user *user; /* pinned until call_end */
    void (*work)(struct call *call);
};

/* `size` bytes, of which the first are a struct call, zeroed and handed to `work`; `work` or what follows ends with
 * one of the call_… below. */
void call_begin(struct nereid *nereid, struct request *req, size_t size, void (*work)(struct call *call));

/* Lets the user go and frees the call; the request has been answered or handed on. */
void call_end(struct call *call);

/* Answers and ends. */
void call_reply(struct call *call, struct buf *take_body);
void call_fail(struct call *call, enum err err, unsigned retry_after_s);

/* Answers with what was written as JSON, which is freed. */
void reply_buf(struct request *req, struct buf *take_body);

/* Reads fields one after the other and remembers the first that is wrong; after that nothing is read, and targets
 * stay as they are. */
struct reader {
    struct request *req;
    enum err err;      /* OK so far */
    const char *field; /* that was wrong */
};

static inline struct reader reader_of(struct request *req)
{
    return (struct reader){.req = req};
}

/* Notes that `field` is wrong, unless one before was; OK is no error. */
void reader_note(struct reader *in, const char *field, enum err err);

/* Answers with the error and the name of the field. */
void request_refuse(const struct reader *in);

/* The same, and ends the call. */
void call_refuse(struct call *call, const struct reader *in);

/* All of these are optional: where the field is absent its target stays as it is. */
void read_text(struct reader *in, const char *field, struct span *text);
void read_count(struct reader *in, const char *field, int64_t min, int64_t max, int64_t *count);
void read_show(struct reader *in, enum show *show);

/* How stanzas are to be written for this request: `dialect`, or as configured. */
void read_style(struct reader *in, const struct nereid *nereid, struct stanza_style *style);

/* How the caller attaches: `since` or the Last-Event-ID header, with the presence mark that polls add, the end of the
 * identity, and the token, which is put at `token`. */
void read_attach(struct reader *in, struct attach *attach, struct id *token);

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
