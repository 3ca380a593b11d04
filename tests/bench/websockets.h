/* SPDX-License-Identifier: MIT */
/*
 * Opening many WebSockets at once, each on a connection of its own, taking each of them through a conversation, and
 * holding them.
 *
 *   connect --> upgrade request --> 101 --> answer 0 --> packet 1 --> answer 1 --> ... --> open
 */
#ifndef BENCH_WEBSOCKETS_H
#define BENCH_WEBSOCKETS_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

enum { WEBSOCKET_PACKET_BYTES = 512, WEBSOCKET_HEAD_BYTES = 8, WEBSOCKET_ANSWER_BYTES = 32 };

struct websocket_plan {
    const struct sockaddr_in *to;
    const char *path; /* with its query */
    unsigned count;
    unsigned concurrency; /* connections on their way to being open, at most */
    unsigned steps;       /* at least 1 */
    /* What has to have come before the step is done: ASCII, at most WEBSOCKET_ANSWER_BYTES. */
    const char *const *answers;
    /* Writes the packet that step `step` (1 and above) of WebSocket `index` begins with and returns its length. */
    size_t (*packet_write)(void *self, unsigned index, unsigned step, char ret[WEBSOCKET_PACKET_BYTES]);
    void *self;
};

/*
 * Opens all of the plan and puts their non-blocking descriptors into ret_fds, in order of index. What comes beside the
 * answers is thrown away, also while others are still being opened. Fails on any status but 101, when a connection
 * ends, and when the deadline passes.
 */
void websockets_open(const struct websocket_plan *plan, int *ret_fds, uint64_t deadline_ns);

/*
 * Writes the text packet of `n` bytes as a client's frame and returns its length, at most n + WEBSOCKET_HEAD_BYTES.
 * Its mask is zero, so that the packet stands in it as it is; servers unmask it like any other. `n` is below 65536.
 */
size_t websocket_frame_write(const char *packet, size_t n, char *ret);

#endif
