/* SPDX-License-Identifier: MIT */
/*
 * Engine.IO: sessions over long polling and WebSocket, in revisions 4, 3 and 2 (which is spoken like 3).
 *
 *     GET path/ ─> handshake ─> ops->open ─> ops->message … ─> ops->close ─> ops->free
 *                                  └ a session: first polling or WebSocket, perhaps later upgraded to WebSocket
 *
 * A session is one client, told by its `sid`, which is as secret as a password. What is sent to it is queued as
 * WebSocket frames, whatever its transport: so the same bytes serve all clients; a poll's answer is made from the
 * frames' payloads. Loop thread only.
 */
#ifndef SOCKETIO_ENGINE_H
#define SOCKETIO_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "adapters/socketio/engine_packet.h"
#include "base/attr.h"
#include "base/blob.h"
#include "base/err.h"
#include "base/id.h"
#include "base/span.h"
#include "base/table.h"
#include "base/timer.h"
#include "http/router.h"
#include "io/conn.h"
#include "io/loop.h"

struct engine;

/* Why a session ended, with the words that Socket.IO has for it. */
#define ENGINE_END_TABLE(ROW)                                                                                          \
    ROW(ENGINE_TRANSPORT_CLOSE, "transport close") /* the peer has closed, or is gone */                               \
    ROW(ENGINE_TRANSPORT_ERROR, "transport error") /* it broke a rule of HTTP, WebSocket or Engine.IO */               \
    ROW(ENGINE_PING_TIMEOUT, "ping timeout")                                                                           \
    ROW(ENGINE_PARSE_ERROR, "parse error")   /* a packet that is none */                                               \
    ROW(ENGINE_FORCED_CLOSE, "forced close") /* engine_close */                                                        \
    ROW(ENGINE_SLOW_READER, "slow reader")   /* its queue would have exceeded its cap */                               \
    ROW(ENGINE_SHUTDOWN, "server shutting down")

enum engine_end {
#define ROW(name, word) name,
    ENGINE_END_TABLE(ROW)
#undef ROW
        ENGINE_END_COUNT
};

/* Static. */
const char *engine_end_word(enum engine_end end);

struct exchange;
struct line;

enum { ENGINE_SID_SIZE = 25 }; /* with its NUL */

/* Who made the handshake, as far as HTTP tells. One allocation, owned by the session (or by whoever else took it). */
struct visitor {
    struct span user;   /* by login or chat token in the HTTP layer; empty: nobody */
    struct span name;   /* display name; may be empty */
    int64_t expires_us; /* wall clock, when that identity ends; 0: does not */
    bool by_token;      /* identified by a chat token, `token` */
    struct id token;
    struct span address; /* numeric; empty for a Unix socket */
    struct span origin;  /* the Origin header; empty: none */
    struct span host;    /* the Host header as it came; empty: none */
    struct span query;   /* of the handshake's URL, as it was sent, without the question mark */
};

/* A visitor that owns its text, made from a request that was identified (request_identify). Null: no memory. */
struct visitor *visitor_new(const struct request *req) must_check;

/* --- the engine */

/* Messages that wait for a poll, as frames. */
struct engine_queue {
    struct blob **frames; /* owned references; null while there are none */
    uint32_t count, cap;
    uint32_t bytes;
    uint32_t paced_bytes; /* of what was queued as `paced` */
};

/* To be the first member of the upper layer's object. Fields belong to the engine, others only read them through the
 * calls below. */
struct engine_session {
    struct engine *engine;
    struct visitor *visitor;            /* owned */
    UT_hash_handle hh;                  /* by sid, from the handshake until it is over */
    struct engine_session *next, *prev; /* in the list that `listed` names */
    struct exchange *poll;              /* the GET that waits; null: none does */
    struct line *line;                  /* its WebSocket; null while it polls */
    struct line *probe;                 /* a WebSocket on its way to become that */
    struct engine_queue queue;
    struct timer beat; /* the next ping, or the end of the patience with the client */
    struct timer wait; /* while it polls: the end of a poll that is held, or of a close that nobody comes for */
    int64_t heard_ms;  /* revisions 3, 2: when the last packet came */
    struct engine_wire wire;
    uint8_t state, listed, grace;
    bool jsonp;
    bool pinged;        /* revision 4: the pong is due */
    bool upgrading;     /* the probe has been answered */
    bool poll_is_stale; /* it is to be answered by noop at the end of the turn */
    bool poll_is_late;  /* it came when the session had had its time, see engine_beat.c */
    bool left;          /* the client has closed; a poll that it sent just before is still answered */
    bool paced;         /* something was sent so, since ops->drained */
    char sid[ENGINE_SID_SIZE];
};

struct engine_ops {
    size_t session_bytes; /* of the object that begins with struct engine_session; it is zeroed */

    /* The handshake was made. May send and close. */
    void (*open)(struct engine_session *session);

    /* A message, whole; text is valid UTF-8. It lives until this returns. May send and close. */
    void (*message)(struct engine_session *session, struct span message, bool is_text);

    /* All that was queued has left, after something was sent `paced`. */
    void (*drained)(struct engine_session *session);

    /* It is over, whoever ended it (engine_close included: then it comes from inside that call). Nothing can be sent
     * any more. Exactly once. */
    void (*close)(struct engine_session *session, enum engine_end why);

    /* Nothing refers to it any more; the engine frees the memory after this. Exactly once, last, not from inside a
     * call of the engine. */
    void (*free)(struct engine_session *session);
};

struct engine_options {
    const char *path; /* such as "/socket.io"; outlives the engine */
    bool allow_old;   /* revisions 3 and 2 */
    bool jsonp;       /* for these */
    int64_t ping_interval_ms;
    int64_t ping_timeout_ms;
    int64_t upgrade_timeout_ms;
    size_t payload_bytes;          /* the longest message, and the longest body of a POST */
    uint32_t payload_packets;      /* in one POST */
    uint32_t fragments;            /* of one WebSocket message */
    uint32_t sessions;             /* in all; above: 503 */
    uint32_t sessions_per_address; /* 0: no limit; above: 429 */
    size_t queue_bytes;            /* what may wait for a client that polls; over WebSocket limits.queue holds */
};

/* `ctx` is engine_ctx of its sessions. All pointers outlive the engine; `options` is copied. Null: no memory. */
struct engine *engine_new(const struct engine_options *options, const struct engine_ops *ops, void *ctx,
                          struct loop *loop, struct conns *conns) must_check;

/* Mounts the path, with and without its last slash. ERR_NO_MEMORY: nothing was mounted. */
enum err engine_mount(struct engine *engine, struct router *router) must_check;

/* Many nodes: a sid begins with ENGINE_NODE_LEN characters that name this process (drawn once, the other 20 are
 * random). A poll or POST whose sid is of another is offered to `relay`, which takes it, to be answered by what that
 * node says, or returns false: 400, "Session ID unknown". WebSockets are not relayed. */
enum { ENGINE_NODE_LEN = 4 };
const char *engine_node(const struct engine *engine); /* with a NUL */
void engine_set_relay(struct engine *engine, bool (*relay)(void *ctx, struct span node, struct exchange *exchange),
                      void *ctx);

/* A poll or POST from another node; it is answered once, perhaps from inside. engine_exchange.h */
void engine_take(struct engine *engine, struct exchange *exchange);

/* Ends all sessions and refuses new ones. */
void engine_shut(struct engine *engine);

/* Its server has been closed, its connections freed. Null is allowed. */
void engine_free(struct engine *engine);

void *engine_ctx(const struct engine_session *session);
const char *engine_sid(const struct engine_session *session);
enum engine_revision engine_session_revision(const struct engine_session *session);
const struct visitor *engine_visitor(const struct engine_session *session);

/* Whether what is sent now leaves at once, or at the end of the turn: a WebSocket with nothing queued, or a poll
 * that waits. For volatile messages. */
bool engine_is_writable(const struct engine_session *session);

/* Bytes that wait for the client, in the session or in its WebSocket. */
uint32_t engine_queued(const struct engine_session *session);

/* A secret: `len` bytes, a multiple of three and at most 15, from the system's random source, as base64url with NUL. */
void engine_draw_text(char *text, size_t len);

/* A message as it is queued: a whole WebSocket frame. To be made once and shared by all sessions, binary ones by
 * those of one revision. Null: no memory. */
struct blob *engine_text(struct span message) must_check;
struct blob *engine_binary(enum engine_revision revision, struct span data) must_check;

/* Queues a message; the reference stays the caller's. A session whose queue would exceed its cap ends
 * (ENGINE_SLOW_READER, ops->close comes from inside); one that is over takes nothing. `paced`: for what its sender
 * paces by itself by ops->drained; the cap does not apply. */
void engine_send(struct engine_session *session, struct blob *framed, bool paced);

/* Ends it: what is queued leaves, then a close packet or frame. */
void engine_close(struct engine_session *session, enum engine_end why);

bool engine_is_open(const struct engine_session *session);

#endif
