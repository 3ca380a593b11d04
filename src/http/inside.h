/* SPDX-License-Identifier: MIT */
/*
 * What the files of this folder know of each other, and nobody else.
 *
 *     server.c   connections, spread over shards; turns
 *     shard.c    a daemon of MHD
 *     client.c   one connection: deadlines
 *     intake.c   makes a request, gives it to the router, frees it
 *     router.c   finds caller and handler
 *     request.c  what was asked: head, fields, memory
 *     reply.c    the answer
 *     handoff.c  the answer that takes the socket along
 *
 * A request is freed by server.c when MHD is done with it (NOTIFY_COMPLETED) and it has been answered, whichever is
 * later. Between the two it is an orphan: `client` is null, and nothing but its own memory may be touched.
 */
#ifndef HTTP_INSIDE_H
#define HTTP_INSIDE_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "http/form.h"
#include "http/request.h"
#include "http/router.h"
#include "http/server.h"
#include "http/stream.h"
#include "io/watch.h"

struct client; /* a connection while MHD has it; server.c */

enum method { METHOD_GET, METHOD_HEAD, METHOD_POST, METHOD_DELETE, METHOD_OPTIONS, METHOD_OTHER };

enum phase {
    PHASE_HEAD,    /* the request line has arrived */
    PHASE_BODY,    /* the head is checked */
    PHASE_WAITING, /* all has arrived, the handler has it */
    PHASE_DONE     /* the answer is MHD's */
};

struct header_line {
    struct span name;
    struct span value;
};

struct memory; /* something allocated for a request; request.c */

enum { ROUTE_PARAMS_MAX = 4 };

struct path_param {
    struct span name;
    struct span value;
};

struct request {
    struct client *client; /* null: an orphan */
    enum phase phase;
    bool suspended; /* MHD does not look at the connection */
    bool answered;

    /* what was asked */
    enum method method;
    bool http10;
    struct header_line *lines; /* the header lines, in `memory` */
    size_t line_count;
    struct span path; /* decoded */
    struct span raw_path;
    struct span raw_query;
    struct buf body;
    size_t body_max; /* bytes */
    struct form query;
    struct form form;  /* of the body */
    json_t *json;      /* of the body, an object; null if it is a form */
    json_t *kept_json; /* an array of what was parsed from fields; null while there is none */
    struct memory *memory;

    /* the router's */
    const struct router *router;
    const struct route *route;
    void *route_ctx;
    bool raw; /* body and origin are the handler's affair */
    struct path_param params[ROUTE_PARAMS_MAX];
    enum request_origin origin;
    struct caller caller;
    struct credentials credentials;
    void (*identified)(void *ctx, enum err err, unsigned retry_after_s);
    void *identified_ctx;

    /* waiting */
    struct watch *watch;
    void (*gone)(void *ctx);
    void *gone_ctx;

    /* the answer */
    struct MHD_Response *response; /* null: no memory, the connection is closed */
    unsigned status;
    handoff_opened *opened; /* for an answer that takes the socket along */
    void *opened_ctx;
    struct handoff handoff;
    enum err handoff_err; /* while handoff.fd is -1 */

    struct request *next; /* in a list of server.c */

    size_t target_len;
    char target[]; /* as sent, with a NUL */
};

/* --- request.c --- */

/* Null: no memory. */
struct request *request_new(struct client *client, struct span target) must_check;
void request_free(struct request *req);

/* `size` bytes that live as long as the request. Null: no memory. */
void *request_alloc(struct request *req, size_t size) must_check;

/* A copy that lives as long as the request; null data: no memory. An empty text is never null. */
struct span request_copy(struct request *req, struct span text) must_check;

/* The path of the target, as it was sent; empty where it has none. */
struct span request_target_path(const struct request *req);

/* Splits the target and decodes path and query. ERR_BAD_REQUEST, ERR_BAD_UTF8, ERR_NO_MEMORY. */
enum err request_read_target(struct request *req) must_check;

/* Makes fields of the body, as its content type says. ERR_BAD_JSON, ERR_BAD_TYPE, ERR_BAD_REQUEST, ERR_BAD_UTF8,
 * ERR_NO_MEMORY. */
enum err request_read_body(struct request *req, unsigned json_depth) must_check;

/* How many lines have this name; the value of the first goes to *ret_value where there is one. */
size_t request_header_count(const struct request *req, const char *name, struct span *ret_value);

/* Whether a header that is a list has `word` among its members, in any case. */
bool request_lists(const struct request *req, const char *name, const char *word);

/* --- router.c --- */

/* Gives the request to its handler, or answers it. */
void router_dispatch(const struct router *router, struct request *req);

/* How long a body may be for the route that the request will take; `otherwise` where no route says. */
size_t router_body_bytes(const struct router *router, const struct request *req, size_t otherwise);

/* Whether origins are listed at all, so that answers vary. */
bool router_has_origins(const struct router *router);

/* --- reply.c --- */

/* The default headers and those of `headers`, which have the last word. False: no memory. */
bool response_add_headers(struct MHD_Response *response, const struct request *req,
                          const struct http_header *headers) must_check;
bool response_add_header(struct MHD_Response *response, const char *name, const char *value) must_check;

/* The body of an error answer. Null: no memory. */
struct blob *error_body(enum err err, const char *sentence) must_check;

/* --- handoff.c --- */

/* Whatever the answer is going to be, `opened` is told of it: req->handoff_err, ERR_GONE unless set otherwise, where
 * it takes no socket along. */
void handoff_expect(struct request *req, handoff_opened *opened, void *ctx);

/* Tells the requester how it ended, once MHD has let go of the socket, and frees the request. */
void handoff_deliver(struct request *req);

/* --- answering: intake.c --- */

/* What MHD calls for a request; see there. */
void *intake_target(void *server, const char *target, struct MHD_Connection *connection);
enum MHD_Result intake_call(void *server, struct MHD_Connection *connection, const char *url, const char *method,
                            const char *version, const char *upload, size_t *upload_size, void **req);
void intake_completed(void *server, struct MHD_Connection *connection, void **req,
                      enum MHD_RequestTerminationCode code);

/* Takes the answer; null where there is no memory for one. */
void request_answer(struct request *req, unsigned status, struct MHD_Response *take_response);

/* --- client.c --- */

struct client {
    struct http_server *server;
    struct shard *shard;
    struct MHD_Connection *connection; /* null until MHD has taken it */
    struct request *req;               /* the one that MHD is busy with, or null */
    struct peer *lease;                /* null once handed off */
    struct timer deadline;
    int64_t began_ms; /* when the request at hand began, or the connection */
    int fd;           /* MHD's */
    bool used;        /* has had a request */
    bool linger;      /* the peer may still be sending when we close */
    struct client *next, *prev;
};

/* Null: no memory. The lease is taken on success only. */
struct client *client_new(struct shard *shard, int fd, struct peer *take_lease) must_check;

/* MHD lets go of the connection and is about to close its descriptor. */
void client_free(struct client *client);

/* The steps of a request, for the deadlines. */
void client_begins(struct client *client);
void client_has_head(struct client *client);
void client_has_all(struct client *client);
void client_answers(struct client *client);
void client_idles(struct client *client);

/* An answer past MHD, where MHD takes none any more; the connection has to be closed after it. */
void client_say(struct client *client, enum err err);

/* For one that is about to end: MHD looks in each run at the connections that have a timeout of their own, so it gets
 * one. */
void client_expire(struct client *client);

/* Makes MHD see the end of the connection. */
void client_shut(struct client *client);
void client_drain(struct client *client);

/* Shorthands that request.c needs. */
int client_fd(const struct client *client);
struct loop *client_loop(const struct client *client);
struct span client_address(const struct client *client);
const struct http_limits *client_limits(const struct client *client);

/* --- shard.c --- */

/* One daemon of MHD with some of the connections. */
struct shard {
    struct http_server *server;
    struct MHD_Daemon *daemon;
    struct watch *watch; /* of MHD's epoll descriptor */
    size_t client_count;
    bool due;          /* MHD has something to do, and it is in server->due */
    struct timer rest; /* until MHD runs again, where it has run in vain */
    unsigned vain;     /* runs, one upon another, that MHD wanted and in which it had nothing to tell */
    bool told;         /* MHD has told something since the last run */
    struct shard *next_due;
    struct shard *next; /* of the server */
};

/* Null: no memory or no descriptors. */
struct shard *shard_open(struct http_server *server) must_check;

/* Its clients have been shut and are not suspended: lets MHD close them, then stops it. */
void shard_close(struct shard *shard);

/* MHD is to run for this shard. */
void shard_due(struct shard *shard);

/* Lets it run. */
void shard_run(struct shard *shard);

/* --- server.c --- */

struct http_server {
    struct loop *loop;
    struct conns *conns;
    struct router *router;
    struct http_limits limits;
    struct shard *shards; /* at least one */
    struct shard *due;
    struct loop_task task;
    struct timer trim; /* after a burst of hand-offs */
    struct client *clients;
    size_t client_count;
    struct client *adding;    /* on its way into MHD */
    struct request *answered; /* suspended, and answered since */
    struct request *handoffs; /* MHD is done with them */
    bool draining;
    bool closing;
    void (*drained)(void *ctx);
    void *drained_ctx;
};

#endif
