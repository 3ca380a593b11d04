/* SPDX-License-Identifier: MIT */
/*
 * What the files of the engine know of each other, and nobody else.
 *
 *     engine.c          sessions: the table, the caps, what is sent, how they end
 *     engine_beat.c     heartbeats
 *     engine_http.c     requests: who may, the handshake, errors
 *     engine_poll.c     the transport of GET and POST
 *     engine_socket.c   the transport of WebSockets, and the upgrade to it
 *
 *     OPEN ── engine_close, while nobody polls ──> CLOSING ── somebody does, or 30 s ──> OVER
 *       └───────────────────────── all other ends ────────────────────────────────────────^
 *
 * A session that is over is in no table and has neither poll nor line; it is freed at the end of the turn.
 */
#ifndef SOCKETIO_ENGINE_INSIDE_H
#define SOCKETIO_ENGINE_INSIDE_H

#include "adapters/socketio/engine.h"
#include "adapters/socketio/engine_exchange.h"
#include "http/websocket.h"

enum { ENGINE_SID_LEN = ENGINE_SID_SIZE - 1 };

enum engine_state { ENGINE_IS_OPEN, ENGINE_IS_CLOSING, ENGINE_IS_OVER };

struct crowd; /* sessions of one address; engine_crowd.c */

struct engine {
    struct engine_options options;
    const struct engine_ops *ops;
    void *ctx;
    struct loop *loop;
    struct conns *conns;
    struct engine_session *sessions; /* by sid; owned */
    struct engine_session *dirty;    /* whose polls are answered at the end of the turn */
    struct engine_session *over;     /* to be freed then; owned */
    struct crowd *crowds;            /* owned */
    struct blob *ping, *pong;        /* frames */
    struct websocket_limits limits;
    struct loop_task task;
    struct route routes[2];
    char *patterns[2]; /* owned */
    bool (*relay)(void *ctx, struct span node, struct exchange *exchange);
    void *relay_ctx;
    int64_t stalled_ms; /* when the loop was last found to have slept too long, and how long; engine_beat.c */
    int64_t stall_ms;
    int64_t logged_ms; /* when it was last said that there are too many sessions */
    uint32_t count;    /* admitted sessions, those included that are still being opened */
    bool shut;
    char node[ENGINE_NODE_LEN + 1];
};

/* --- engine.c */

/* Room for one more session of this address. ERR_SHUTTING_DOWN; ERR_TOO_MANY_SESSIONS: there are as many as there
 * may be; ERR_TOO_MANY: of this address; ERR_NO_MEMORY. To be given back by engine_dismiss, which a session does at
 * its end. */
enum err engine_admit(struct engine *engine, struct span address) must_check;
void engine_dismiss(struct engine *engine, struct span address);

/* An open session that was admitted, in the table, with neither poll nor line, nothing sent yet. Null: no memory;
 * nothing was taken. */
struct engine_session *session_new(struct engine *engine, enum engine_revision revision,
                                   struct visitor *take_visitor) must_check;

/* Sends the open packet and begins; either `line` or `poll` is its transport. */
void session_open(struct engine_session *session);

/* Null: there is none. */
struct engine_session *session_find(const struct engine *engine, struct span sid);

/* What a packet of the client means, but for those of the upgrade. The session may be over after this.
 * ERR_BAD_REQUEST: it was one that a client does not send, and the session is over. */
enum err session_take(struct engine_session *session, const struct engine_packet *packet);

/* Queues a frame. Errors as conn_send. */
enum err session_push(struct engine_session *session, struct blob *frame, bool paced) must_check;

/* Ends it at once, if it is not over: what is queued is dropped, a poll that waits is answered, WebSockets are
 * closed, ops->close is called. */
void session_over(struct engine_session *session, enum engine_end why);

/* Counts an end that was a bad one. */
void engine_count_end(enum engine_end why);

/* The last part of any end; transports have been told. */
void session_retire(struct engine_session *session);

/* What is to be said to the waiting poll is looked at when the turn ends. */
void session_mark_dirty(struct engine_session *session);

struct timers *session_timers(const struct engine_session *session);
int64_t session_now_ms(const struct engine_session *session);

/* The message in a frame of ours. */
struct engine_piece piece_of_frame(const struct blob *frame);

/* --- engine_crowd.c: how many sessions each address has */

/* ERR_TOO_MANY, ERR_NO_MEMORY: nothing was counted. `max` 0: nothing is counted at all. */
enum err crowd_enter(struct crowd **crowds, struct span address, uint32_t max) must_check;
void crowd_leave(struct crowd **crowds, struct span address);

/* --- engine_beat.c */
enum err beat_init(struct engine_session *session) must_check;
void beat_start(struct engine_session *session);
void beat_pong(struct engine_session *session);

/* A packet came, whatever it was. */
void beat_heard(struct engine_session *session);

/* Whether the session has had its time, and only what has arrived already can save it. */
bool beat_is_late(const struct engine_session *session);

/* Looks for a stall of the loop; at the end of each turn. */
void beat_watch(struct engine *engine);

/* --- engine_http.c */

/* Error codes, as Engine.IO's own server has them. */
enum engine_refusal {
    ENGINE_UNKNOWN_TRANSPORT,
    ENGINE_UNKNOWN_SID,
    ENGINE_BAD_METHOD,
    ENGINE_BAD_REQUEST,
    ENGINE_FORBIDDEN,
    ENGINE_BAD_VERSION,
    ENGINE_REFUSAL_COUNT
};

void exchange_refuse(struct exchange *exchange, enum engine_refusal refusal);

/* Whether an identification that failed with `err` leaves the caller nobody, which is for the application to judge:
 * there were no credentials. With wrong ones one is refused. */
bool caller_is_nobody(const struct request *req, enum err err);

/* --- engine_poll.c */
enum err poll_init(struct engine_session *session) must_check;

/* A GET or POST of a session that polls, or did until it was closed. */
void poll_get(struct engine_session *session, struct exchange *exchange);
void poll_post(struct engine_session *session, struct exchange *exchange);

/* The poll that opens a session: answered at once. */
void poll_answer_first(struct engine_session *session);

/* Something was queued, or the session need not wait any longer. */
void poll_wake(struct engine_session *session);

/* At the end of the turn. */
void poll_answer_due(struct engine_session *session);

/* What the waiting poll, if there is one, is told when the session is over, or goes on elsewhere. */
void poll_end(struct engine_session *session, bool is_timeout);
void poll_dismiss(struct engine_session *session); /* with a noop: the client has closed */
void poll_refuse(struct engine_session *session);  /* with an error: the client polls no more */

/* Says goodbye by the poll that waits, or keeps it for one that comes. True: said. */
bool poll_close(struct engine_session *session) must_check;

enum err queue_add(struct engine_queue *queue, struct blob *frame, bool paced, uint32_t cap_bytes) must_check;
void queue_clear(struct engine_queue *queue);

/* --- engine_socket.c */

/* A line on the socket of `handoff`, of nobody yet. Null: nothing was taken. */
struct line *line_new(struct engine *engine, struct handoff *handoff) must_check;

/* The session talks over it from now on. */
void line_join(struct line *line, struct engine_session *session);

/* It is to become the session's by an upgrade. */
void line_probe(struct line *line, struct engine_session *session);

enum err line_send(struct line *line, struct blob *frame, bool paced) must_check;
bool line_is_writable(const struct line *line);
uint32_t line_queued(const struct line *line); /* bytes */

/* Sends what is queued, then a close frame. The line is nobody's then; null is allowed. */
void line_close(struct line *line, enum engine_end why);

#endif
