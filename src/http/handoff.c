/* SPDX-License-Identifier: MIT */
/*
 * How a socket leaves MHD.
 *
 * The answer is one whose body MHD has to ask for. When it asks for the first time the head is out. That moment the
 * descriptor is duplicated and MHD told that there was an error, on which it closes its own: with MHD_USE_TURBO without
 * a shutdown, so the peer notices nothing. The same for an upgrade, where MHD itself offers the socket. Only after MHD
 * has closed its copy is the requester told.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/metric.h"
#include "http/inside.h"

static void take_socket(struct request *req)
{
    struct client *client = req->client;
    int fd = fcntl(client->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        metric_add(METRIC_REFUSED_FDS, 1);
        req->handoff_err = ERR_INTERNAL;
        return;
    }
    req->handoff.fd = fd;
    req->handoff.lease = client->lease;
    client->lease = NULL;
}

static void give_up_socket(struct handoff *handoff)
{
    if (handoff->fd < 0)
        return;
    (void)close(handoff->fd);
    peer_release(handoff->lease);
    handoff->fd = -1;
}

void handoff_deliver(struct request *req)
{
    struct handoff *handoff = &req->handoff;
    if (handoff->fd >= 0)
        req->opened(req->opened_ctx, OK, handoff);
    else
        req->opened(req->opened_ctx, req->handoff_err, NULL);
    give_up_socket(handoff);
    request_free(req);
}

void handoff_expect(struct request *req, handoff_opened *opened, void *ctx)
{
    req->opened = opened;
    req->opened_ctx = ctx;
    req->handoff_err = ERR_GONE;
}

static void answer_or_close(struct request *req, unsigned status, struct MHD_Response *take_response, bool is_complete)
{
    if (take_response && !is_complete) {
        MHD_destroy_response(take_response);
        take_response = NULL;
    }
    if (!take_response)
        req->handoff_err = ERR_NO_MEMORY;
    request_answer(req, status, take_response);
}

/* --- streams --- */

/* MHD 0.9.75 does not clean up a connection that ends in here until it has another look at it, and by itself it
 * looks only at the oldest. */
static void let_go(struct client *client)
{
    client_expire(client);
    shard_due(client->shard);
}

static ssize_t on_head_sent(void *ctx, uint64_t at unused_arg, char *buffer unused_arg, size_t size unused_arg)
{
    struct request *req = ctx;
    take_socket(req);
    let_go(req->client);
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

/* The answer to a HEAD is given out as one to HTTP/1.0: MHD would end a chunked one with a last chunk. */
static struct MHD_Response *stream_response(struct request *req)
{
    struct MHD_Response *response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1, on_head_sent, req, NULL);
    if (response && req->method == METHOD_HEAD)
        (void)MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    return response;
}

void request_stream(struct request *req, const char *type, const struct http_header *headers, handoff_opened *opened,
                    void *ctx)
{
    handoff_expect(req, opened, ctx);
    req->handoff.chunked = !req->http10;
    struct MHD_Response *response = stream_response(req);
    bool is_complete = response && response_add_header(response, "Content-Type", type) &&
                       response_add_headers(response, req, headers) &&
                       response_add_header(response, "Connection", "close");
    answer_or_close(req, 200, response, is_complete);
}

/* --- upgrades --- */

static void on_upgraded(void *ctx, struct MHD_Connection *connection unused_arg, void *req_again unused_arg,
                        const char *input, size_t input_len, MHD_socket fd unused_arg,
                        struct MHD_UpgradeResponseHandle *upgrade)
{
    struct request *req = ctx;
    struct shard *shard = req->client->shard;
    take_socket(req);
    if (input_len)
        req->handoff.input = request_copy(req, (struct span){input, input_len});
    if (req->handoff.input.len != input_len) {
        give_up_socket(&req->handoff);
        req->handoff_err = ERR_NO_MEMORY;
    }
    (void)MHD_upgrade_action(upgrade, MHD_UPGRADE_ACTION_CLOSE);
    shard_due(shard);
}

void request_upgrade(struct request *req, const char *protocol, const struct http_header *headers,
                     handoff_opened *opened, void *ctx)
{
    handoff_expect(req, opened, ctx);
    if (req->http10 || !request_lists(req, "Connection", "upgrade") || !request_lists(req, "Upgrade", protocol)) {
        req->handoff_err = ERR_BAD_REQUEST;
        request_fail(req, ERR_BAD_REQUEST, "this address is for an upgrade of the connection", 0);
        return;
    }
    struct MHD_Response *response = MHD_create_response_for_upgrade(on_upgraded, req);
    bool is_complete = response && response_add_header(response, "Upgrade", protocol);
    for (; is_complete && headers && headers->name; headers++)
        is_complete = response_add_header(response, headers->name, headers->value);
    answer_or_close(req, 101, response, is_complete);
}
