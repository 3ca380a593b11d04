/* SPDX-License-Identifier: MIT */
/*
 * A real HTTP server on a free port of 127.0.0.1, in this process, and raw clients for it. Both sides run on the test's
 * thread: whoever waits for something turns the loop until it has happened, at most RIG_PATIENCE_MS.
 */
#ifndef TESTS_LIB_HTTP_RIG_H
#define TESTS_LIB_HTTP_RIG_H

#include <stdbool.h>
#include <stddef.h>

#include "http/router.h"
#include "http/server.h"
#include "http/stream.h"
#include "io/conn.h"
#include "io/listener.h"
#include "io/loop.h"
#include "io/peer.h"

enum { RIG_PATIENCE_MS = 5000, RIG_PASS_TURNS = 10, RIG_CLIENTS_MAX = 640 };

struct rig_client {
    int fd;     /* -1 once closed */
    char *text; /* all that came, with a NUL */
    size_t len;
    bool eof;   /* the server has closed its side, or worse */
    bool reset; /* worse: an RST */
};

struct http_rig {
    struct loop *loop;
    struct peers *peers;
    struct conns *conns;
    struct router *router;
    struct http_server *server;
    struct listener *listener;
    unsigned port;
    struct rig_client *clients[RIG_CLIENTS_MAX];
    size_t client_count;
    int fds; /* descriptors open before the first client came */
};

/* What most tests want; to be changed before rig_open. */
struct http_limits rig_limits(void);

/* A null router gives one without routes or checks; else it is taken over. */
void rig_open(struct http_rig *rig, const struct http_limits *limits, struct router *router);

/* Closes clients and server, and checks that nothing is left: no lease, no connection, no descriptor. */
void rig_close(struct http_rig *rig);

/* A connected client; it lives until rig_close. */
struct rig_client *rig_connect(struct http_rig *rig);

/* Sends all of `text`, turning the loop where the server has to read first. */
void rig_send(struct http_rig *rig, struct rig_client *client, const char *text);
void rig_send_bytes(struct http_rig *rig, struct rig_client *client, const char *bytes, size_t len);

/* FIN, RST or a plain close. */
void rig_client_fin(struct rig_client *client);
void rig_client_rst(struct rig_client *client);
void rig_client_close(struct rig_client *client);

/* One turn; reads whatever came for the clients. */
void rig_turn(struct http_rig *rig);

/* Turn until `is_so(ctx)`, or until the client has got `text`, or until its end. False: patience is over. */
bool rig_until(struct http_rig *rig, bool (*is_so)(void *ctx), void *ctx);
bool rig_until_text(struct http_rig *rig, struct rig_client *client, const char *text);
bool rig_until_eof(struct http_rig *rig, struct rig_client *client);

/* Turns for that long, and a few times at least even where the machine stood still: for what must not happen. */
void rig_pass(struct http_rig *rig, int64_t pass_ms);

/* Sends `request` on a new connection, and all that came until the server closed it or a whole answer was there. */
struct rig_client *rig_ask(struct http_rig *rig, const char *request);

/* The status of the answer number `index` on the connection; 0: there is none. */
int rig_status(const struct rig_client *client, size_t index);

/* Whether what came has this header line (`Name: value`) in its first head. */
bool rig_has_header(const struct rig_client *client, const char *line);

/* The body of the first answer. */
const char *rig_body(const struct rig_client *client);

/* Descriptors this process has open. */
int rig_count_fds(void);

#endif
