/* SPDX-License-Identifier: MIT */
/*
 * Transports of Socket.IO 0.9.
 *
 * A poll or POST may come from another node, and be passed on to it, as an exchange (engine_exchange.h); it is told
 * from those of the engine by its revision, LEGACY_REVISION. A WebSocket is not passed on: whoever comes with one to
 * another node than his handshake is told to begin anew.
 *
 * A line is a WebSocket on its way to a session, or at one. Once the session has let it go, or is over, it only closes;
 * its memory goes when the socket does.
 */
#include "adapters/socketio/legacy_inside.h"

enum { CODE_NORMAL = 1000, CODE_GOING_AWAY = 1001, CODE_UNSUPPORTED = 1003 };

struct legacy_line {
    struct websocket websocket;
    struct legacy *legacy;
    struct legacy_session *session; /* null: none any more */
    char sid[ENGINE_SID_SIZE];      /* until it is open */
};

static struct legacy_line *line_of(struct websocket *websocket)
{
    return container_of(websocket, struct legacy_line, websocket);
}

/* --- WebSockets */

static void line_message(struct websocket *websocket, struct span message, bool text)
{
    struct legacy_line *line = line_of(websocket);
    struct legacy_session *session = line->session;
    if (!session)
        return;
    session->heard_ms = loop_now_ms(line->legacy->adapter->loop);
    if (!text)
        legacy_session_end(session, ENGINE_TRANSPORT_ERROR);
    else
        (void)!legacy_client_take(session, message); /* false: it is over, and the line closed */
}

static void line_drained(struct websocket *websocket)
{
    struct legacy_line *line = line_of(websocket);
    if (line->session)
        legacy_session_drained(line->session);
}

static void line_closed(struct websocket *websocket, unsigned code unused_arg)
{
    struct legacy_line *line = line_of(websocket);
    struct legacy_session *session = line->session;
    line->session = NULL;
    if (session)
        legacy_session_lost(session);
}

static void line_free(struct websocket *websocket)
{
    free(line_of(websocket));
}

static const struct websocket_ops line_ops = {
    .message = line_message,
    .drained = line_drained,
    .closed = line_closed,
    .free = line_free,
};

enum err legacy_line_send(struct legacy_line *line, struct blob *framed, bool paced)
{
    return paced ? conn_send_paced(&line->websocket.conn, framed) : websocket_send(&line->websocket, framed);
}

uint32_t legacy_line_queued(const struct legacy_line *line)
{
    return conn_queued(&line->websocket.conn);
}

void legacy_line_close(struct legacy_line *line, enum engine_end why)
{
    line->session = NULL;
    if (why == ENGINE_SLOW_READER)
        websocket_abort(&line->websocket);
    else
        websocket_close(&line->websocket, why == ENGINE_SHUTDOWN ? CODE_GOING_AWAY : CODE_NORMAL, SPAN_LITERAL(""));
}

/* The session may be over by now, or the gateway about to end. */
static void join_session(struct legacy_line *line)
{
    struct legacy_session *session = legacy_find(line->legacy, span_of(line->sid));
    if (session && session->state != LEGACY_LEAVING) {
        line->session = session;
        legacy_session_take_line(session, line);
        return;
    }
    struct blob *error = websocket_frame(LEGACY_NOT_HANDSHAKEN_TEXT, true);
    if (error)
        (void)!websocket_send(&line->websocket, error); /* it closes all the same */
    blob_unref(error);
    websocket_close(&line->websocket, CODE_NORMAL, SPAN_LITERAL(""));
}

static void line_opened(void *ctx, enum err err, struct handoff *handoff)
{
    struct legacy_line *line = ctx;
    struct legacy *legacy = line->legacy;
    if (!err)
        err = websocket_open(&line->websocket, legacy->adapter->conns, &line_ops, &legacy->limits, handoff);
    if (err)
        free(line);
    else
        join_session(line);
}

/* A sid that is longer than ours is nobody's, cut or not. */
static void open_line(struct legacy *legacy, struct request *req, struct span sid)
{
    struct legacy_line *line = calloc(1, sizeof(*line));
    if (!line) {
        request_fail(req, ERR_NO_MEMORY, NULL, 0);
        return;
    }
    line->legacy = legacy;
    if (sid.len < sizeof(line->sid))
        memcpy(line->sid, sid.data, sid.len);
    websocket_upgrade(req, NULL, line_opened, line);
}

/* --- polling */

void legacy_answer(struct exchange *exchange, int status, struct blob *body)
{
    exchange->ops->reply(exchange, &(struct exchange_answer){status, "text/plain; charset=UTF-8", body, 0});
}

static void answer_text(struct exchange *exchange, int status, struct span text)
{
    struct blob *body = blob_copy(text);
    legacy_answer(exchange, status, body);
    blob_unref(body);
}

static void take_post(struct legacy_session *session, struct exchange *exchange)
{
    legacy_session_touch(session);
    if (legacy_client_take(session, exchange->body))
        answer_text(exchange, 200, SPAN_LITERAL("1"));
    else
        answer_text(exchange, 400, SPAN_LITERAL("bad payload"));
}

void legacy_take(struct legacy *legacy, struct exchange *exchange)
{
    struct legacy_session *session = legacy_find(legacy, exchange->sid);
    bool is_post = exchange->method == EXCHANGE_POST;
    if (!session || (is_post && session->state == LEGACY_LEAVING))
        answer_text(exchange, 200, LEGACY_NOT_HANDSHAKEN_TEXT);
    else if (is_post)
        take_post(session, exchange);
    else
        legacy_session_poll(session, exchange);
}

/* --- a request as an exchange */

struct legacy_call {
    struct exchange exchange;
    struct request *req;
};

/* What is said of a session that its node does not know any more is said in the engine's words. */
static void call_reply(struct exchange *exchange, const struct exchange_answer *answer)
{
    struct legacy_call *call = container_of(exchange, struct legacy_call, exchange);
    if (answer->type && strcmp(answer->type, "application/json") == 0)
        legacy_reply(call->req, 200, LEGACY_NOT_HANDSHAKEN_TEXT);
    else if (answer->body)
        request_reply(call->req, answer->status, "text/plain; charset=UTF-8", answer->body, NULL);
    else
        request_fail(call->req, ERR_NO_MEMORY, NULL, 0);
    free(call);
}

static void call_watch(struct exchange *exchange, void (*gone)(void *ctx), void *ctx)
{
    request_watch(container_of(exchange, struct legacy_call, exchange)->req, gone, ctx);
}

/* Null: no memory. */
static struct exchange *call_new(struct request *req, struct span sid)
{
    static const struct exchange_ops ops = {call_reply, call_watch};
    struct legacy_call *call = calloc(1, sizeof(*call));
    if (!call)
        return NULL;
    call->req = req;
    call->exchange = (struct exchange){
        .ops = &ops,
        .method = request_is_post(req) ? EXCHANGE_POST : EXCHANGE_GET,
        .transport = SPAN_LITERAL("polling"),
        .sid = sid,
        .eio = LEGACY_REVISION,
        .body = request_body(req),
    };
    return &call->exchange;
}

/* Whether it is another node's; then it is answered by that. */
static bool pass_on(const struct engine *engine, struct exchange *exchange)
{
    struct span sid = exchange->sid;
    if (!engine->relay || sid.len != ENGINE_SID_LEN || memcmp(sid.data, engine->node, ENGINE_NODE_LEN) == 0)
        return false;
    return engine->relay(engine->relay_ctx, (struct span){sid.data, ENGINE_NODE_LEN}, exchange);
}

static void take_polling(struct legacy *legacy, struct request *req, struct span sid)
{
    if (!request_is_post(req) && !request_is_get(req)) {
        request_fail(req, ERR_BAD_METHOD, NULL, 0);
        return;
    }
    struct exchange *exchange = call_new(req, sid);
    if (!exchange)
        request_fail(req, ERR_NO_MEMORY, NULL, 0);
    else if (!pass_on(legacy->adapter->engine, exchange))
        legacy_take(legacy, exchange);
}

/* --- requests */

/* What a page does as its last thing, on whatever transport: its answer is of no interest. */
void legacy_disconnect(void *ctx, struct request *req)
{
    struct legacy *legacy = ctx;
    if (legacy_is_refused(legacy, req))
        return;
    struct legacy_session *session = legacy_find(legacy, request_param(req, "sid"));
    if (session)
        legacy_session_end(session, ENGINE_TRANSPORT_CLOSE);
    legacy_reply(req, 200, SPAN_LITERAL(""));
}

void legacy_transport(void *ctx, struct request *req)
{
    struct legacy *legacy = ctx;
    struct span ignored;
    struct span transport = request_param(req, "transport");
    struct span sid = request_param(req, "sid");
    if (request_query(req, "disconnect", &ignored))
        legacy_disconnect(ctx, req);
    else if (legacy_is_refused(legacy, req))
        return;
    else if (span_is(transport, "xhr-polling"))
        take_polling(legacy, req, sid);
    else if (span_is(transport, "websocket"))
        open_line(legacy, req, sid);
    else
        legacy_reply(req, 200, LEGACY_NOT_SUPPORTED_TEXT);
}
