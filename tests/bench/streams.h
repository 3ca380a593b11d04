/* SPDX-License-Identifier: MIT */
/*
 * Opening many streams at once, each on a connection of its own, and holding them.
 *
 *   connect --> (handshake) --> (token request --> token) --> stream request --> head --> first byte of the body: open
 *                                                          \-> first line ------------> greeting: open
 */
#ifndef BENCH_STREAMS_H
#define BENCH_STREAMS_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

enum { STREAM_REQUEST_BYTES = 512 };

struct stream_plan {
    const struct sockaddr_in *to;
    unsigned count;
    unsigned concurrency;    /* connections on their way to being open, at most */
    struct wire_client *tls; /* NULL: without TLS */
    /* Not HTTP: the server says this, within the first KB, when a connection's request was taken. NULL: HTTP. */
    const char *greeting;
    void *self; /* of the two functions below */
    /*
     * Writes the request for the token of stream `index`, sent first and on the same connection, and returns its
     * length. NULL: the stream needs none.
     */
    size_t (*token_request_write)(void *self, unsigned index, char ret[STREAM_REQUEST_BYTES]);
    /* Writes the request for stream `index` and returns its length. `token` is empty if none was asked for. */
    size_t (*stream_request_write)(void *self, unsigned index, const char *token, char ret[STREAM_REQUEST_BYTES]);
};

/*
 * Opens all streams of the plan and puts their non-blocking descriptors into ret_fds, in order of index. An open
 * stream has sent its head and the first `{` of its body, or the greeting; what else has come by then is thrown away,
 * and what comes while others are still being opened is read and thrown away too. Fails on any answer but 200, when a
 * stream ends, and when the deadline passes.
 */
void streams_open(const struct stream_plan *plan, int *ret_fds, uint64_t deadline_ns);

/* Closes `count` connections. */
void streams_close(const int *fds, unsigned count);

#endif
