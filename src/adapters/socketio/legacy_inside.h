/* SPDX-License-Identifier: MIT */
/*
 * What the files that speak Socket.IO 0.9 know of each other, and nobody else.
 *
 *     legacy.c          routes, handshakes
 *     legacy_line.c     transports: polls and WebSockets
 *     legacy_session.c  sessions: what waits for a client, deadlines, the end
 *     legacy_client.c   packets to and from the sockets
 *
 * A session is told by its sid, which is as secret as a password. Its first request by a transport opens it; from then
 * on it has at most one transport at a time: a WebSocket, or a poll that waits, and between two polls none. A new one
 * takes over from the one before.
 *
 *     handshake ─> NEW ── first transport ──> OPEN ── ended ──> OVER ─> freed on the next turn
 *                   └─ unused ─> OVER           └─ ended between two polls ─> LEAVING ── last poll ─> OVER
 */
#ifndef SOCKETIO_LEGACY_INSIDE_H
#define SOCKETIO_LEGACY_INSIDE_H

#include "adapters/socketio/adapter.h"
#include "adapters/socketio/engine_inside.h"
#include "adapters/socketio/legacy_packet.h"
#include "base/table.h"
#include "http/websocket.h"

struct legacy_line;

/* What stands where a poll has Engine.IO's revision. */
#define LEGACY_REVISION SPAN_LITERAL("0.9")

/* All in milliseconds, in the proportions of the original's defaults, which they are where socketio.ping_interval has
 * its own. */
struct legacy_times {
    int64_t beat;    /* 25 s: a heartbeat on a WebSocket */
    int64_t silence; /* 60 s: nothing was heard on it, and it is given up */
    int64_t poll;    /* 20 s: a poll is answered */
    int64_t absence; /* 60 s: without a transport */
    int64_t unused;  /* 30 s: a handshake, and what is left for a last poll */
};

struct legacy {
    struct socketio *adapter;
    struct legacy_times times;
    struct websocket_limits limits;
    struct legacy_session *sessions; /* by sid */
    char **patterns;                 /* of the routes; owned */
    struct route *routes;            /* owned */
    bool closing;
};

enum legacy_state { LEGACY_NEW, LEGACY_OPEN, LEGACY_LEAVING, LEGACY_OVER };

struct legacy_session {
    struct client client;
    struct legacy *legacy;
    struct visitor *visitor; /* owned */
    UT_hash_handle hh;
    struct timer timer;
    enum legacy_state state;
    bool polls;                /* its last transport was polling */
    bool ends;                 /* on the next turn */
    struct exchange *poll;     /* that waits; null: none does */
    struct legacy_line *line;  /* its WebSocket, or null */
    struct engine_queue queue; /* what waits for a poll, framed */
    int64_t since_ms;          /* since when it is as it is: new, waiting, absent, leaving */
    int64_t heard_ms;          /* on the WebSocket */
    int64_t beat_ms;           /* when a heartbeat was sent */
    char sid[ENGINE_SID_SIZE];
};

/* --- legacy_session.c */

/* A session for a visitor, who is taken on success only. Errors as engine_admit. */
enum err legacy_session_new(struct legacy *legacy, struct visitor *take_visitor,
                            struct legacy_session **ret_session) must_check;

/* One that is not over, or null. */
struct legacy_session *legacy_find(struct legacy *legacy, struct span sid);

/* A shutdown ends them all; later they are freed. */
void legacy_sessions_end(struct legacy *legacy);
void legacy_sessions_free(struct legacy *legacy);

/* A transport is there; the first opens the session. A poll of one that is leaving is the last. `touch` is for a POST,
 * which is no transport. */
void legacy_session_poll(struct legacy_session *session, struct exchange *exchange);
void legacy_session_take_line(struct legacy_session *session, struct legacy_line *line);
void legacy_session_touch(struct legacy_session *session);

/* The poll's or the line's peer is gone. */
void legacy_session_lost(struct legacy_session *session);

/* Queues a framed packet; the reference stays the caller's, null stands for no memory and ends the session. `paced` as
 * in engine_send. */
void legacy_session_send(struct legacy_session *session, struct blob *framed, bool paced);

/* Makes a packet and queues it. */
void legacy_session_say(struct legacy_session *session, enum legacy_type type, struct span nsp, struct span data);

bool legacy_session_is_writable(const struct legacy_session *session);

/* Bytes that wait for the client, in the session or in its WebSocket. */
uint32_t legacy_session_queued(const struct legacy_session *session);

/* All on the line has left. */
void legacy_session_drained(struct legacy_session *session);

/* Ends it; client_end comes from inside. No effect on one that is over. */
void legacy_session_end(struct legacy_session *session, enum engine_end why);

/* Ends it on the next turn. */
void legacy_session_end_soon(struct legacy_session *session);

/* --- legacy_client.c */

extern const struct client_ops legacy_client_ops;

/* The session is open: `/` is connected. */
void legacy_client_open(struct legacy_session *session);

/* What came in: a packet or a payload, any bytes. False: it was none, and the session is over. */
bool legacy_client_take(struct legacy_session *session, struct span text) must_check;

/* --- legacy_line.c */

/* Handlers; `ctx` is the struct legacy. */
void legacy_transport(void *ctx, struct request *req);
void legacy_disconnect(void *ctx, struct request *req);

/* Answers with a line of text; a null body stands for no memory. */
void legacy_answer(struct exchange *exchange, int status, struct blob *body);

/* On a WebSocket. Errors as conn_send. */
enum err legacy_line_send(struct legacy_line *line, struct blob *framed, bool paced) must_check;
uint32_t legacy_line_queued(const struct legacy_line *line); /* bytes */

/* Lets the session go and closes the WebSocket. */
void legacy_line_close(struct legacy_line *line, enum engine_end why);

/* --- legacy.c */

/* Answers with a line of text. */
void legacy_reply(struct request *req, int status, struct span text);

/* Whether the request may not be served: then it is answered. */
bool legacy_is_refused(const struct legacy *legacy, struct request *req);

#endif
