/* SPDX-License-Identifier: MIT */
/*
 * How a request comes in through MHD, and its answer goes out.
 *
 * MHD calls for one request, in this order:
 *
 *     intake_target      once, with the request line
 *     intake_call        once with the head, once for each piece of body, once at the end, then as often as it wakes up
 *     intake_completed   once, whatever happened
 *
 * A request that is refused at its head is answered in that call, which makes MHD close the connection after the answer
 * and look at nothing that follows. Others are answered at the end, so that their connection can be used again.
 *
 * A request that is not answered at the end is suspended, but only in the call after that: MHD remembers what a
 * connection was waiting for when it was suspended, and would go on reading when it is resumed, find the FIN of a
 * client that has closed its sending side, and drop the answer. One call later it is waiting for nothing.
 */
#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/log.h"
#include "base/metric.h"
#include "http/framing.h"
#include "http/inside.h"

/* --- the request line --- */

static struct client *client_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info->socket_context;
}

/* MHD would split the query now, keep each argument in the memory of the connection, and in 0.9.75 spin without end
 * when that is used up. So it is shown an empty query; the text is its own buffer and may be written to. */
static void hide_query(const char *target)
{
    char *mark = strchr(target, '?');
    if (mark && mark[1])
        mark[1] = '\0';
}

void *intake_target(void *server unused_arg, const char *target, struct MHD_Connection *connection)
{
    struct client *client = client_of(connection);
    client->shard->told = true;
    struct request *req = request_new(client, span_of(target));
    hide_query(target);
    client_begins(client);
    client->req = req;
    return req;
}

/* --- the head --- */

struct head {
    struct request *req;
    struct framing framing;
    char *text; /* where the next line is copied to */
};

static enum MHD_Result take_line(void *cls, enum MHD_ValueKind kind unused_arg, const char *name, size_t name_len,
                                 const char *value, size_t value_len)
{
    struct head *head = cls;
    struct request *req = head->req;
    framing_add(&head->framing, (struct span){name, name_len}, (struct span){value, value_len});
    if (head->framing.err)
        return MHD_NO;
    memcpy(head->text, name, name_len);
    memcpy(head->text + name_len, value, value_len);
    req->lines[req->line_count++] = (struct header_line){
        {head->text, name_len},
        {head->text + name_len, value_len},
    };
    head->text += name_len + value_len;
    return MHD_YES;
}

static enum method find_method(const char *word)
{
    static const struct {
        const char *word;
        enum method method;
    } methods[] = {
        {"GET", METHOD_GET},       {"HEAD", METHOD_HEAD},       {"POST", METHOD_POST},
        {"DELETE", METHOD_DELETE}, {"OPTIONS", METHOD_OPTIONS},
    };
    for (size_t i = 0; i < array_len(methods); i++)
        if (strcmp(word, methods[i].word) == 0)
            return methods[i].method;
    return METHOD_OTHER;
}

static size_t head_bytes(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info ? info->header_size : 0;
}

/* The three parts of the request line stand in one piece, a character apart, unless there is a NUL in it or a blank
 * too many; a blank inside the target is one, too. */
static bool is_line_whole(const struct request *req, const char *method, const char *url, const char *version)
{
    return framing_is_token(span_of(method)) && url == method + strlen(method) + 1 &&
           version == url + req->target_len + 1 && !memchr(url, ' ', req->target_len);
}

static enum err limit_exceeded(const struct request *req, size_t bytes, uint64_t body_bytes)
{
    const struct http_limits *limits = client_limits(req->client);
    if (req->target_len > limits->url_bytes) {
        metric_add(METRIC_LIMIT_URL, 1);
        return ERR_URL_TOO_LONG;
    }
    if (bytes > limits->header_bytes) {
        metric_add(METRIC_LIMIT_HEADER, 1);
        return ERR_HEADERS_TOO_LARGE;
    }
    if (body_bytes > req->body_max) {
        metric_add(METRIC_LIMIT_BODY, 1);
        return ERR_TOO_LARGE;
    }
    return OK;
}

/* Copies the header lines and judges them. */
static enum err read_lines(struct request *req, struct MHD_Connection *connection, const char *method,
                           const char *version, struct framing *ret_framing)
{
    size_t bytes = head_bytes(connection);
    int count = MHD_get_connection_values_n(connection, MHD_HEADER_KIND, NULL, NULL);
    struct head head = {.req = req};
    req->lines = request_alloc(req, (size_t)count * sizeof(*req->lines));
    head.text = request_alloc(req, bytes);
    if (!req->lines || !head.text)
        return ERR_NO_MEMORY;
    framing_begin(&head.framing, version + strlen(version), method + bytes, req->http10);
    (void)MHD_get_connection_values_n(connection, MHD_HEADER_KIND, take_line, &head);
    enum err err = framing_check(&head.framing);
    if (err && err != ERR_BAD_EXPECT)
        metric_add(METRIC_LIMIT_FRAMING, 1);
    *ret_framing = head.framing;
    return err ? err : limit_exceeded(req, bytes, head.framing.length);
}

static void take_head(struct request *req, struct MHD_Connection *connection, const char *url, const char *method,
                      const char *version)
{
    struct framing framing = {0};
    req->method = find_method(method);
    req->http10 = strcmp(version, "HTTP/1.0") == 0;
    req->body_max = router_body_bytes(req->client->server->router, req, client_limits(req->client)->body_bytes);
    enum err err = limit_exceeded(req, head_bytes(connection), 0);
    if (!err && !is_line_whole(req, method, url, version)) {
        err = ERR_BAD_FRAMING;
        framing.sentence = "the request line is malformed";
    }
    if (!err)
        err = read_lines(req, connection, method, version, &framing);
    client_has_head(req->client);
    req->phase = PHASE_BODY;
    if (!err)
        return;
    req->client->linger = true;
    request_fail(req, err, framing.sentence, 0);
}

/* --- the body --- */

static enum err take_piece(struct request *req, struct span piece)
{
    if (piece.len > req->body_max - req->body.len) {
        metric_add(METRIC_LIMIT_BODY, 1);
        return ERR_TOO_LARGE;
    }
    buf_add(&req->body, piece);
    return buf_failed(&req->body) ? ERR_NO_MEMORY : OK;
}

/* --- the answer --- */

static enum MHD_Result queue_answer(struct request *req, struct MHD_Connection *connection)
{
    req->phase = PHASE_DONE;
    if (!req->response)
        return MHD_NO;
    client_answers(req->client);
    enum MHD_Result result = MHD_queue_response(connection, req->status, req->response);
    MHD_destroy_response(req->response);
    req->response = NULL;
    return result;
}

static void count_error(unsigned status)
{
    if (status >= 500)
        metric_add(METRIC_REQUEST_ERRORS_SERVER, 1);
    else if (status >= 400)
        metric_add(METRIC_REQUEST_ERRORS_CLIENT, 1);
}

/* Nobody is there to take the answer. */
static void drop_orphan(struct request *req)
{
    if (req->opened)
        handoff_deliver(req);
    else
        request_free(req);
}

void request_answer(struct request *req, unsigned status, struct MHD_Response *take_response)
{
    assert(!req->answered);
    count_error(take_response ? status : 500);
    req->answered = true;
    req->status = status;
    req->response = take_response;
    watch_close(req->watch);
    req->watch = NULL;
    if (!req->client) {
        drop_orphan(req);
        return;
    }
    struct http_server *server = req->client->server;
    if (server->draining && take_response && !req->opened)
        (void)MHD_add_response_header(take_response, "Connection", "close");
    if (req->suspended) {
        LL_PREPEND(server->answered, req);
        /* The answer may come from a hook behind the one that sends it. */
        loop_again(server->loop);
    }
}

/* --- what MHD calls --- */

static enum MHD_Result suspend(struct request *req, struct MHD_Connection *connection)
{
    if (req->client->server->closing)
        return MHD_NO;
    req->suspended = true;
    MHD_suspend_connection(connection);
    return MHD_YES;
}

static enum MHD_Result call_with_piece(struct request *req, const char *upload, size_t *upload_size)
{
    enum err err = take_piece(req, (struct span){upload, *upload_size});
    *upload_size = 0;
    if (!err)
        return MHD_YES;
    client_say(req->client, err);
    return MHD_NO;
}

enum MHD_Result intake_call(void *server unused_arg, struct MHD_Connection *connection, const char *url,
                            const char *method, const char *version, const char *upload, size_t *upload_size,
                            void **ctx)
{
    struct request *req = *ctx;
    if (!req)
        return MHD_NO;
    req->client->shard->told = true;
    if (req->phase == PHASE_HEAD) {
        take_head(req, connection, url, method, version);
        return req->answered ? queue_answer(req, connection) : MHD_YES;
    }
    if (req->phase == PHASE_BODY && *upload_size)
        return call_with_piece(req, upload, upload_size);
    if (req->phase == PHASE_BODY) {
        req->phase = PHASE_WAITING;
        client_has_all(req->client);
        router_dispatch(req->client->server->router, req);
        return req->answered ? queue_answer(req, connection) : MHD_YES;
    }
    return req->answered ? queue_answer(req, connection) : suspend(req, connection);
}

void intake_completed(void *server_, struct MHD_Connection *connection unused_arg, void **ctx,
                      enum MHD_RequestTerminationCode code unused_arg)
{
    struct http_server *server = server_;
    struct request *req = *ctx;
    *ctx = NULL;
    if (!req)
        return;
    struct client *client = req->client;
    client->shard->told = true;
    client->req = NULL;
    client_idles(client);
    watch_close(req->watch);
    req->watch = NULL;
    req->client = NULL;
    req->router = NULL; /* it may be freed before an orphan is */
    if (req->answered && req->opened)
        LL_APPEND(server->handoffs, req);
    else if (req->answered || req->phase < PHASE_WAITING)
        request_free(req);
}
