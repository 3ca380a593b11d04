/* SPDX-License-Identifier: MIT */
/*
 * Requests: who may, the handshake, errors.
 *
 * What makes a session is checked in the order in which Engine.IO's own server does it; the session counts against the
 * caps from the moment it is admitted, although a WebSocket's handshake ends only in a later turn. A call is a request
 * on its way through all this, and the exchange that its session may keep.
 */
#include <stdlib.h>

#include "adapters/socketio/engine_inside.h"
#include "http/text.h"

struct call {
    struct exchange exchange;
    struct engine *engine;
    struct request *req;
    struct visitor *visitor; /* owned; of a handshake for a WebSocket, once admitted */
    enum engine_revision revision;
    char sid[ENGINE_SID_SIZE]; /* of an upgrade */
};

/* --- errors */

static struct blob *refusal_body(unsigned code, const char *message)
{
    struct buf text = BUF_INIT;
    buf_printf(&text, "{\"code\":%u,\"message\":", code);
    buf_add_json(&text, span_of(message));
    buf_add_char(&text, '}');
    struct blob *body = buf_failed(&text) ? NULL : buf_blob(&text);
    buf_fini(&text);
    return body;
}

static void refuse(struct exchange *exchange, int status, unsigned code, const char *message, unsigned retry_after_s)
{
    struct blob *body = refusal_body(code, message);
    exchange->ops->reply(exchange, &(struct exchange_answer){status, "application/json", body, retry_after_s});
    blob_unref(body);
}

void exchange_refuse(struct exchange *exchange, enum engine_refusal refusal)
{
    static const char *const messages[ENGINE_REFUSAL_COUNT] = {
        [ENGINE_UNKNOWN_TRANSPORT] = "Transport unknown",
        [ENGINE_UNKNOWN_SID] = "Session ID unknown",
        [ENGINE_BAD_METHOD] = "Bad handshake method",
        [ENGINE_BAD_REQUEST] = "Bad request",
        [ENGINE_FORBIDDEN] = "Forbidden",
        [ENGINE_BAD_VERSION] = "Unsupported protocol version",
    };
    refuse(exchange, refusal == ENGINE_FORBIDDEN ? 403 : 400, refusal, messages[refusal], 0);
}

/* A login that was refused, or a limit: to clients it is all "Forbidden", with a message and a status of its own. */
static void refuse_error(struct exchange *exchange, enum err err, unsigned retry_after_s)
{
    int status = err_http_status(err);
    if (err == ERR_TOO_MANY_SESSIONS)
        status = 503;
    else if (status != 429 && status != 503)
        status = 403;
    if (status == 503 && !retry_after_s)
        retry_after_s = 1;
    refuse(exchange, status, ENGINE_FORBIDDEN, err_sentence(err), retry_after_s);
}

/* --- a request as an exchange */

static struct call *call_of(struct exchange *exchange)
{
    return container_of(exchange, struct call, exchange);
}

static void call_reply(struct exchange *exchange, const struct exchange_answer *answer)
{
    struct call *call = call_of(exchange);
    char seconds[16] = "";
    if (answer->retry_after_s)
        (void)snprintf(seconds, sizeof(seconds), "%u", answer->retry_after_s);
    const struct http_header headers[] = {{"Retry-After", seconds}, {NULL, NULL}};
    if (answer->body)
        request_reply(call->req, answer->status, answer->type, answer->body, headers);
    else
        request_fail(call->req, ERR_NO_MEMORY, NULL, 0);
    free(call);
}

static void call_watch(struct exchange *exchange, void (*gone)(void *ctx), void *ctx)
{
    request_watch(call_of(exchange)->req, gone, ctx);
}

static const struct exchange_ops call_ops = {call_reply, call_watch};

static struct span query(const struct request *req, const char *name)
{
    struct span value = {NULL, 0};
    if (request_query(req, name, &value) && !value.data)
        value = SPAN_LITERAL("");
    return value;
}

/* The media type alone decides; whatever else a client calls it is text. */
static bool has_binary_type(const struct request *req)
{
    struct span type = request_header(req, "Content-Type");
    return text_is_word(text_trim(text_cut(&type, ';')), "application/octet-stream");
}

static struct call *call_new(struct engine *engine, struct request *req)
{
    struct call *call = calloc(1, sizeof(*call));
    if (!call)
        return NULL;
    call->engine = engine;
    call->req = req;
    call->exchange = (struct exchange){
        .ops = &call_ops,
        .method = request_is_get(req)    ? EXCHANGE_GET
                  : request_is_post(req) ? EXCHANGE_POST
                                         : EXCHANGE_OTHER,
        .is_foreign = request_origin(req) == REQUEST_ORIGIN_FOREIGN,
        .is_binary = has_binary_type(req),
        .is_upgrade = text_is_word(request_header(req, "Upgrade"), "websocket"),
        .transport = query(req, "transport"),
        .sid = query(req, "sid"),
        .eio = query(req, "EIO"),
        .j = query(req, "j"),
        .b64 = query(req, "b64"),
        .body = request_body(req),
    };
    return call;
}

/* --- who made the handshake */

static struct span put(char **at, struct span text)
{
    struct span copy = {*at, text.len};
    if (text.len)
        memcpy(*at, text.data, text.len);
    *at += text.len;
    return copy;
}

struct visitor *visitor_new(const struct request *req)
{
    const struct caller *caller = request_caller(req);
    struct span address = request_address(req), origin = request_header(req, "Origin");
    struct span host = request_header(req, "Host"), raw_query = request_raw_query(req);
    size_t len = caller->user.len + caller->name.len + address.len + origin.len + host.len + raw_query.len;
    struct visitor *visitor = malloc(sizeof(*visitor) + len);
    if (!visitor)
        return NULL;
    char *at = (char *)(visitor + 1);
    *visitor = (struct visitor){
        .user = put(&at, caller->user),
        .name = put(&at, caller->name),
        .expires_us = caller->expires_us,
        .by_token = caller->by_token,
        .token = caller->token,
        .address = put(&at, address),
        .origin = put(&at, origin),
        .host = put(&at, host),
        .query = put(&at, raw_query),
    };
    return visitor;
}

/* --- opening sessions */

static void open_polling(struct call *call, struct visitor *take_visitor)
{
    struct engine *engine = call->engine;
    struct exchange *exchange = &call->exchange;
    struct engine_session *session = session_new(engine, call->revision, take_visitor);
    if (!session) {
        engine_dismiss(engine, take_visitor->address);
        free(take_visitor);
        refuse_error(exchange, ERR_NO_MEMORY, 0);
        return;
    }
    session->jsonp = exchange->j.data != NULL;
    session->wire.base64 = session->jsonp || exchange->b64.len > 0;
    session->poll = exchange;
    session_open(session);
    poll_answer_first(session);
}

static void open_websocket(struct call *call, struct handoff *handoff)
{
    struct engine *engine = call->engine;
    struct line *line = handoff ? line_new(engine, handoff) : NULL;
    /* The engine may have been shut since the session was admitted. */
    struct engine_session *session = line && !engine->shut ? session_new(engine, call->revision, call->visitor) : NULL;
    if (session) {
        session->wire.base64 = call->exchange.b64.len > 0;
        line_join(line, session);
        session_open(session);
        return;
    }
    line_close(line, engine->shut ? ENGINE_SHUTDOWN : ENGINE_TRANSPORT_ERROR);
    engine_dismiss(engine, call->visitor->address);
    free(call->visitor);
}

static void on_websocket_opened(void *ctx, enum err err, struct handoff *handoff)
{
    struct call *call = ctx;
    open_websocket(call, err ? NULL : handoff);
    free(call);
}

/* A second WebSocket of a session is closed by line_probe, one of a session that has gone meanwhile here. */
static void on_upgrade_opened(void *ctx, enum err err, struct handoff *handoff)
{
    struct call *call = ctx;
    struct line *line = err ? NULL : line_new(call->engine, handoff);
    struct engine_session *session = session_find(call->engine, span_of(call->sid));
    if (line && session)
        line_probe(line, session);
    else
        line_close(line, ENGINE_TRANSPORT_CLOSE);
    free(call);
}

/* --- the handshake */

static bool is_polling(const struct exchange *exchange)
{
    return span_is(exchange->transport, "polling");
}

static bool read_revision(const struct engine *engine, struct span eio, enum engine_revision *ret_revision)
{
    static const struct {
        const char *text;
        enum engine_revision revision;
    } revisions[] = {{"4", ENGINE_4}, {"3", ENGINE_3}, {"2", ENGINE_2}};
    for (size_t i = 0; i < array_len(revisions); i++) {
        if (!span_is(eio, revisions[i].text))
            continue;
        *ret_revision = revisions[i].revision;
        return revisions[i].revision == ENGINE_4 || engine->options.allow_old;
    }
    return false;
}

/* JSONP is a script that any page may fetch, with whatever the browser adds by itself; so it is for nobody who is
 * known by a login. */
static bool may_use_jsonp(const struct call *call, enum engine_refusal *ret_refusal)
{
    const struct caller *caller = request_caller(call->req);
    if (!is_polling(&call->exchange) || !call->exchange.j.data)
        return true;
    *ret_refusal = caller->user.len && !caller->by_token ? ENGINE_FORBIDDEN : ENGINE_BAD_REQUEST;
    return *ret_refusal != ENGINE_FORBIDDEN && call->engine->options.jsonp && call->revision != ENGINE_4;
}

static void make_session(struct call *call)
{
    struct exchange *exchange = &call->exchange;
    struct visitor *visitor = visitor_new(call->req);
    enum err err = visitor ? engine_admit(call->engine, visitor->address) : ERR_NO_MEMORY;
    if (err) {
        free(visitor);
        refuse_error(exchange, err, 0);
    } else if (is_polling(exchange)) {
        open_polling(call, visitor);
    } else {
        call->visitor = visitor;
        websocket_upgrade(call->req, NULL, on_websocket_opened, call);
    }
}

bool caller_is_nobody(const struct request *req, enum err err)
{
    return err == ERR_UNAUTHORIZED && !request_header(req, "Authorization").len;
}

static void on_identified(void *ctx, enum err err, unsigned retry_after_s)
{
    struct call *call = ctx;
    enum engine_refusal refusal;
    if (err && !caller_is_nobody(call->req, err))
        refuse_error(&call->exchange, err, retry_after_s);
    else if (!read_revision(call->engine, call->exchange.eio, &call->revision))
        exchange_refuse(&call->exchange, ENGINE_BAD_VERSION);
    else if (!may_use_jsonp(call, &refusal))
        exchange_refuse(&call->exchange, refusal);
    else
        make_session(call);
}

static void shake_hands(struct call *call)
{
    struct exchange *exchange = &call->exchange;
    if (exchange->method != EXCHANGE_GET)
        exchange_refuse(exchange, ENGINE_BAD_METHOD);
    else if (!is_polling(exchange) && !exchange->is_upgrade)
        exchange_refuse(exchange, ENGINE_BAD_REQUEST);
    else
        request_identify(call->req, on_identified, call);
}

/* --- what has a session */

/* A session speaks one revision and one transport, but for an upgrade. */
static bool fits(const struct engine_session *session, const struct exchange *exchange)
{
    char revision[] = {(char)('0' + session->wire.revision), '\0'};
    if (!span_is(exchange->eio, revision))
        return false;
    if (!is_polling(exchange))
        return exchange->is_upgrade && exchange->method == EXCHANGE_GET;
    bool is_jsonp = exchange->j.data != NULL;
    return !session->line && exchange->method != EXCHANGE_OTHER && is_jsonp == session->jsonp;
}

/* Whether it is another node's; then it is answered by that. */
static bool pass_on(struct engine *engine, struct exchange *exchange)
{
    struct span sid = exchange->sid;
    if (!engine->relay || !is_polling(exchange) || exchange->method == EXCHANGE_OTHER || sid.len != ENGINE_SID_LEN ||
        memcmp(sid.data, engine->node, ENGINE_NODE_LEN) == 0)
        return false;
    return engine->relay(engine->relay_ctx, (struct span){sid.data, ENGINE_NODE_LEN}, exchange);
}

static void take_poll(struct engine_session *session, struct exchange *exchange)
{
    if (exchange->method == EXCHANGE_GET)
        poll_get(session, exchange);
    else
        poll_post(session, exchange);
}

void engine_take(struct engine *engine, struct exchange *exchange)
{
    struct engine_session *session = session_find(engine, exchange->sid);
    if (!session)
        exchange_refuse(exchange, ENGINE_UNKNOWN_SID);
    else if (!is_polling(exchange) || !fits(session, exchange))
        exchange_refuse(exchange, ENGINE_BAD_REQUEST);
    else
        take_poll(session, exchange);
}

static void go_on(struct call *call)
{
    struct engine *engine = call->engine;
    struct exchange *exchange = &call->exchange;
    struct engine_session *session = session_find(engine, exchange->sid);
    if (!session && pass_on(engine, exchange))
        return;
    if (!session || !fits(session, exchange) || is_polling(exchange)) {
        engine_take(engine, exchange);
        return;
    }
    memcpy(call->sid, session->sid, ENGINE_SID_SIZE);
    websocket_upgrade(call->req, NULL, on_upgrade_opened, call);
}

/* --- routes */

static void on_request(void *ctx, struct request *req)
{
    struct call *call = call_new(ctx, req);
    if (!call) {
        request_fail(req, ERR_NO_MEMORY, NULL, 0);
        return;
    }
    struct exchange *exchange = &call->exchange;
    if (!is_polling(exchange) && !span_is(exchange->transport, "websocket"))
        exchange_refuse(exchange, ENGINE_UNKNOWN_TRANSPORT);
    else if (exchange->is_foreign)
        exchange_refuse(exchange, ENGINE_FORBIDDEN);
    else if (exchange->sid.data)
        go_on(call);
    else
        shake_hands(call);
}

static char *pattern_of(const char *path, const char *end)
{
    struct buf text = BUF_INIT;
    buf_add_text(&text, path);
    buf_add_text(&text, end);
    return buf_take_text(&text);
}

enum err engine_mount(struct engine *engine, struct router *router)
{
    static const char *const ends[] = {"/", ""};
    for (size_t i = 0; i < array_len(ends); i++) {
        engine->patterns[i] = pattern_of(engine->options.path, ends[i]);
        if (!engine->patterns[i])
            return ERR_NO_MEMORY;
        engine->routes[i] = (struct route){HTTP_ANY, engine->patterns[i], ROUTE_ANYONE, on_request};
    }
    return router_mount_raw(router, engine->routes, array_len(engine->routes), engine->options.payload_bytes, engine);
}
