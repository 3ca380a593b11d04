/* SPDX-License-Identifier: MIT */
/*
 * wslay reads, and answers pings and closes through a queue of its own. What we send is framed here, whole messages
 * only, so that one blob serves many connections; wslay's control frames may stand between any two of them.
 *
 * wslay's queue is emptied into the conn's only while that is empty. So pongs for a peer who pings but does not read
 * pile up in wslay's queue, where they are counted.
 *
 * wslay's context holds a buffer of 4 KB. It is given back when there is nothing in it: when the bytes that wslay has
 * read are just those of whole messages.
 */
#include "http/websocket.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

#include "base/buf.h"
#include "http/inside.h"

enum {
    CODE_PROTOCOL = 1002,
    CODE_ABNORMAL = 1006,
    CODE_POLICY = 1008,
    CODE_INTERNAL = 1011,
    KEY_LEN = 24,
    REASON_MAX = 123,
    FRAME_HEAD_MAX = 10,
    MASK_LEN = 4
};

/* --- handshake --- */

enum err websocket_accept(struct span key, char ret_accept[WEBSOCKET_ACCEPT_SIZE])
{
    static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[KEY_LEN + sizeof(magic) - 1];
    unsigned char digest[20];
    gnutls_datum_t hash = {digest, sizeof(digest)};
    gnutls_datum_t encoded;
    if (key.len != KEY_LEN)
        return ERR_INTERNAL;
    memcpy(text, key.data, KEY_LEN);
    memcpy(text + KEY_LEN, magic, sizeof(magic) - 1);
    if (gnutls_hash_fast(GNUTLS_DIG_SHA1, text, sizeof(text), digest) || gnutls_base64_encode2(&hash, &encoded))
        return ERR_INTERNAL;
    memcpy(ret_accept, encoded.data, WEBSOCKET_ACCEPT_SIZE - 1);
    ret_accept[WEBSOCKET_ACCEPT_SIZE - 1] = '\0';
    gnutls_free(encoded.data);
    return OK;
}

/* Sixteen bytes in base64. */
static bool is_key(struct span key)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (key.len != KEY_LEN || memcmp(key.data + KEY_LEN - 2, "==", 2) != 0)
        return false;
    for (size_t i = 0; i < KEY_LEN - 2; i++)
        if (!memchr(alphabet, key.data[i], sizeof(alphabet) - 1))
            return false;
    return true;
}

static void refuse(struct request *req, enum err err, handoff_opened *opened, void *ctx)
{
    handoff_expect(req, opened, ctx);
    req->handoff_err = err;
    request_fail(req, err, NULL, 0);
}

static void refuse_version(struct request *req, handoff_opened *opened, void *ctx)
{
    static const struct http_header headers[] = {{"Sec-WebSocket-Version", "13"}, {NULL, NULL}};
    struct blob *body = error_body(ERR_BAD_REQUEST, "the only WebSocket version supported is 13");
    handoff_expect(req, opened, ctx);
    req->handoff_err = ERR_BAD_REQUEST;
    request_reply(req, 426, "application/json", body, headers);
    blob_unref(body);
}

void websocket_upgrade(struct request *req, const char *subprotocol, handoff_opened *opened, void *ctx)
{
    char accept[WEBSOCKET_ACCEPT_SIZE];
    struct span key = request_header(req, "Sec-WebSocket-Key");
    if (req->origin == REQUEST_ORIGIN_FOREIGN) {
        refuse(req, ERR_BAD_ORIGIN, opened, ctx);
        return;
    }
    if (req->method != METHOD_GET || !is_key(key) || websocket_accept(key, accept)) {
        refuse(req, ERR_BAD_REQUEST, opened, ctx);
        return;
    }
    if (!span_is(request_header(req, "Sec-WebSocket-Version"), "13")) {
        refuse_version(req, opened, ctx);
        return;
    }
    bool is_named = subprotocol && request_lists(req, "Sec-WebSocket-Protocol", subprotocol);
    const struct http_header headers[] = {
        {"Sec-WebSocket-Accept", accept},
        {is_named ? "Sec-WebSocket-Protocol" : NULL, subprotocol},
        {NULL, NULL},
    };
    request_upgrade(req, "websocket", headers, opened, ctx);
}

/* --- frames out --- */

/* RFC 6455 section 5.2: never masked by a server, never fragmented here. */
static size_t length_bytes(uint64_t payload_len)
{
    if (payload_len < 126)
        return 0;
    return payload_len <= UINT16_MAX ? 2 : 8;
}

static struct blob *frame(unsigned opcode, struct span payload)
{
    unsigned char head[FRAME_HEAD_MAX] = {(unsigned char)(0x80 | opcode)};
    size_t len_bytes = length_bytes(payload.len);
    head[1] = (unsigned char)(len_bytes == 0 ? payload.len : len_bytes == 2 ? 126 : 127);
    for (size_t i = 0; i < len_bytes; i++)
        head[2 + i] = (unsigned char)((uint64_t)payload.len >> 8 * (len_bytes - 1 - i));
    size_t head_len = 2 + len_bytes;
    struct blob *blob = blob_new(head_len + payload.len);
    if (!blob)
        return NULL;
    memcpy(blob->data, head, head_len);
    if (payload.len)
        memcpy(blob->data + head_len, payload.data, payload.len);
    return blob;
}

struct blob *websocket_frame(struct span message, bool text)
{
    return frame(text ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME, message);
}

enum err websocket_send(struct websocket *websocket, struct blob *framed)
{
    return conn_send(&websocket->conn, framed);
}

void websocket_close(struct websocket *websocket, unsigned code, struct span reason)
{
    unsigned char payload[2 + REASON_MAX] = {(unsigned char)(code >> 8), (unsigned char)code};
    size_t len = reason.len < REASON_MAX ? reason.len : REASON_MAX;
    if (websocket->closing)
        return;
    websocket->closing = true;
    if (len)
        memcpy(payload + 2, reason.data, len);
    struct blob *last = frame(WSLAY_CONNECTION_CLOSE, (struct span){(char *)payload, 2 + len});
    if (last)
        conn_finish(&websocket->conn, last);
    else
        conn_abort(&websocket->conn);
    blob_unref(last);
}

void websocket_abort(struct websocket *websocket)
{
    websocket->closing = true;
    conn_abort(&websocket->conn);
}

/* --- what wslay asks and tells --- */

static ssize_t on_want_bytes(wslay_event_context_ptr wslay, uint8_t *buffer, size_t size, int flags unused_arg,
                             void *ctx)
{
    struct websocket *websocket = ctx;
    size_t len = websocket->input.len < size ? websocket->input.len : size;
    if (len == 0 || websocket->closing) {
        wslay_event_set_error(wslay, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(buffer, websocket->input.data, len);
    websocket->input = (struct span){websocket->input.data + len, websocket->input.len - len};
    websocket->ahead += (int64_t)len;
    return (ssize_t)len;
}

/* What wslay has to send goes to the buf that `take_control` is filling. */
static ssize_t on_bytes(wslay_event_context_ptr wslay unused_arg, const uint8_t *bytes, size_t len,
                        int flags unused_arg, void *ctx)
{
    struct websocket *websocket = ctx;
    buf_add(websocket->control, (struct span){(const char *)bytes, len});
    return (ssize_t)len;
}

static void break_off(struct websocket *websocket, unsigned code)
{
    (void)wslay_event_queue_close(websocket->wslay, (uint16_t)code, NULL, 0);
    wslay_event_shutdown_read(websocket->wslay);
}

static void on_frame(wslay_event_context_ptr wslay, const struct wslay_event_on_frame_recv_start_arg *arg, void *ctx)
{
    struct websocket *websocket = ctx;
    const struct websocket_limits *limits = websocket->limits;
    websocket->ahead -= (int64_t)(2 + length_bytes(arg->payload_length) + MASK_LEN + arg->payload_length);
    if (!wslay_is_ctrl_frame(arg->opcode)) {
        websocket->unfinished = !arg->fin;
        websocket->fragments = arg->opcode == WSLAY_CONTINUATION_FRAME ? websocket->fragments + 1 : 1;
        if (websocket->fragments > limits->fragments)
            break_off(websocket, CODE_POLICY);
    } else if (arg->opcode == WSLAY_CONNECTION_CLOSE && arg->payload_length == 1) {
        break_off(websocket, CODE_PROTOCOL); /* half a code; wslay takes it for none */
    } else if (wslay_event_get_queued_msg_count(wslay) >= limits->control_queue) {
        break_off(websocket, CODE_POLICY);
    }
}

static void on_message(wslay_event_context_ptr wslay, const struct wslay_event_on_msg_recv_arg *arg, void *ctx)
{
    struct websocket *websocket = ctx;
    if (wslay_is_ctrl_frame(arg->opcode) || websocket->closing || !wslay_event_get_read_enabled(wslay))
        return;
    struct span message = {(const char *)arg->msg, arg->msg_length};
    websocket->ops->message(websocket, message, arg->opcode == WSLAY_TEXT_FRAME);
}

static const struct wslay_event_callbacks callbacks = {
    .recv_callback = on_want_bytes,
    .send_callback = on_bytes,
    .on_frame_recv_start_callback = on_frame,
    .on_msg_recv_callback = on_message,
};

/* --- reading --- */

/* Empties wslay's queue. Null: there is nothing in it, or no memory. */
static struct blob *take_control(struct websocket *websocket)
{
    struct buf control = BUF_INIT;
    websocket->control = &control;
    struct blob *blob = NULL;
    if (wslay_event_send(websocket->wslay) == 0 && control.len)
        blob = buf_blob(&control);
    buf_fini(&control);
    return blob;
}

static void send_control(struct websocket *websocket)
{
    if (websocket->closing || conn_queued(&websocket->conn) || !websocket->wslay ||
        !wslay_event_want_write(websocket->wslay))
        return;
    struct blob *blob = take_control(websocket);
    if (blob && conn_send(&websocket->conn, blob)) {
        websocket->closing = true;
        conn_abort(&websocket->conn);
    }
    blob_unref(blob);
}

/* The peer has closed, or has broken the protocol and wslay has queued a close. */
static void end(struct websocket *websocket)
{
    wslay_event_context_ptr wslay = websocket->wslay;
    websocket->closing = true;
    struct blob *last = take_control(websocket);
    conn_finish(&websocket->conn, last);
    blob_unref(last);
    /* Its code is answered with the same, if it was one. */
    unsigned code = wslay_event_get_close_sent(wslay) ? wslay_event_get_status_code_sent(wslay)
                                                      : wslay_event_get_status_code_received(wslay);
    if (websocket->ops->closed)
        websocket->ops->closed(websocket, code);
}

static enum err wslay_begin(struct websocket *websocket)
{
    if (websocket->wslay)
        return OK;
    if (wslay_event_context_server_init(&websocket->wslay, &callbacks, websocket)) {
        websocket->wslay = NULL;
        return ERR_NO_MEMORY;
    }
    wslay_event_config_set_max_recv_msg_length(websocket->wslay, websocket->limits->message_bytes);
    return OK;
}

static void wslay_rest(struct websocket *websocket)
{
    if (websocket->ahead || websocket->unfinished || websocket->closing || !websocket->wslay ||
        wslay_event_want_write(websocket->wslay))
        return;
    wslay_event_context_free(websocket->wslay);
    websocket->wslay = NULL;
}

/* wslay does not tell a malformed frame header from a lack of memory, and has no code for either. */
static void fail(struct websocket *websocket, unsigned code)
{
    websocket_close(websocket, code, SPAN_LITERAL(""));
    if (websocket->ops->closed)
        websocket->ops->closed(websocket, code);
}

static void read_input(struct websocket *websocket, struct span input)
{
    websocket->input = input;
    if (!websocket->closing && wslay_begin(websocket)) {
        fail(websocket, CODE_INTERNAL);
        return;
    }
    while (websocket->input.len && !websocket->closing) {
        if (wslay_event_recv(websocket->wslay)) {
            fail(websocket, CODE_PROTOCOL);
            return;
        }
        if (!websocket->closing && !wslay_event_want_read(websocket->wslay)) {
            end(websocket);
            return;
        }
    }
    send_control(websocket);
    wslay_rest(websocket);
}

static void read_early(struct websocket *websocket)
{
    struct blob *early = websocket->early;
    if (!early)
        return;
    websocket->early = NULL;
    read_input(websocket, blob_span(early));
    blob_unref(early);
}

static void on_early_timer(struct timer *timer)
{
    read_early(container_of(timer, struct websocket, early_timer));
}

/* --- what the conn tells --- */

static struct websocket *websocket_of(struct conn *conn)
{
    return container_of(conn, struct websocket, conn);
}

static void on_input(struct conn *conn, struct span bytes)
{
    read_early(websocket_of(conn));
    read_input(websocket_of(conn), bytes);
}

static void on_drained(struct conn *conn)
{
    struct websocket *websocket = websocket_of(conn);
    send_control(websocket);
    wslay_rest(websocket);
    if (websocket->ops->drained && !websocket->closing)
        websocket->ops->drained(websocket);
}

static void on_closed(struct conn *conn, enum err err unused_arg)
{
    struct websocket *websocket = websocket_of(conn);
    websocket->closing = true;
    if (websocket->ops->closed)
        websocket->ops->closed(websocket, CODE_ABNORMAL);
}

static void websocket_fini(struct websocket *websocket)
{
    timer_fini(loop_timers(conns_loop(websocket->conn.conns)), &websocket->early_timer);
    if (websocket->wslay)
        wslay_event_context_free(websocket->wslay);
    blob_unref(websocket->early);
    websocket->wslay = NULL;
    websocket->early = NULL;
}

static void on_free(struct conn *conn)
{
    struct websocket *websocket = websocket_of(conn);
    websocket_fini(websocket);
    websocket->ops->free(websocket);
}

static const struct conn_ops conn_ops = {
    .input = on_input,
    .drained = on_drained,
    .closed = on_closed,
    .free = on_free,
};

/* --- opening --- */

static enum err prepare(struct websocket *websocket, struct timers *timers, struct span input)
{
    if (timer_init(timers, &websocket->early_timer, on_early_timer))
        return ERR_NO_MEMORY;
    websocket->early = input.len ? blob_copy(input) : NULL;
    return input.len && !websocket->early ? ERR_NO_MEMORY : OK;
}

enum err websocket_open(struct websocket *websocket, struct conns *conns, const struct websocket_ops *ops,
                        const struct websocket_limits *limits, struct handoff *handoff)
{
    struct loop *loop = conns_loop(conns);
    *websocket = (struct websocket){.ops = ops, .limits = limits};
    enum err err = prepare(websocket, loop_timers(loop), handoff->input);
    if (!err)
        err = conn_open(&websocket->conn, conns, &conn_ops, handoff->fd, handoff->lease);
    if (err) {
        websocket->conn.conns = conns;
        websocket_fini(websocket);
        return err;
    }
    handoff->fd = -1;
    handoff->lease = NULL;
    if (websocket->early)
        timer_set(loop_timers(loop), &websocket->early_timer, loop_now_ms(loop));
    return OK;
}
