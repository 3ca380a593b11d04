/* SPDX-License-Identifier: MIT */
/*
 * One conversation under load: senders on keep-alive connections, readers on streams, and the check that every
 * reader gets every message once and all readers get them in the same order.
 *
 * Each message's text begins with `~` and eight hexadecimal digits, its number; `~` occurs nowhere else in what a
 * server sends. Readers are not parsed beyond that (the first message is, see fan_line_bytes), so that the bench
 * costs far less than the server. A duplicate, a gap, an unknown number or another order is a failure and never a
 * figure.
 *
 * A message is in flight from its request until the last reader has it.
 */
#ifndef BENCH_FAN_H
#define BENCH_FAN_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "stats.h"

/* FAN_SENDERS: connections of a fan that makes its own. */
enum { FAN_TEXT_BYTES = 200, FAN_REQUEST_BYTES = 1024, FAN_SENDERS = 64 };

struct fan;

/*
 * Writes the request that sends `text` (FAN_TEXT_BYTES of letters and digits, its `~` the only one in the request)
 * and returns its length.
 */
typedef size_t fan_request_fn(void *self, const char *text, char ret[FAN_REQUEST_BYTES]);

struct fan_plan {
    unsigned window; /* messages in flight at most, 1 to FAN_SENDERS / 2 */
    unsigned gap_ms; /* between the end of a message and the next, for an idle server; only with window 1 */
    unsigned run_ms; /* how long new messages are sent */
};

struct fan_result {
    uint64_t messages;
    uint64_t deliveries; /* messages times readers */
    double seconds;      /* from the first request to the last delivery */
};

struct fan_insisted {
    uint64_t acknowledged_ns; /* when, on the clock of now_ns */
    uint64_t delivered_ns;    /* when the last reader had it */
    unsigned refusals;
};

/*
 * A new fan over open streams; takes `readers` descriptors from reader_fds (it closes them) and connects
 * FAN_SENDERS senders to `to`. Free with fan_free.
 */
struct fan *fan_new(const struct sockaddr_in *to, const int *reader_fds, unsigned readers, fan_request_fn *request,
                    void *self);

/*
 * The same for messages in WebSocket frames, with one sender, the open connection `sender_fd`, which the fan takes. Its
 * messages are not answered; what comes in there is thrown away. Not for fan_insist.
 */
struct fan *fan_new_framed(const int *reader_fds, unsigned readers, int sender_fd, fan_request_fn *request, void *self);
void fan_free(struct fan *fan);

/*
 * Sends messages until the time is up and every reader has every one. Adds each message's microseconds from its
 * request to its last reader to `latencies` (may be NULL). Fails on any wrong delivery or answer, and when nothing
 * moves for 15 s.
 */
struct fan_result fan_run(struct fan *fan, const struct fan_plan *plan, struct samples *latencies);

/*
 * Sends one message again and again, as `request` writes it each time, until it is acknowledged; attempts that are
 * answered with 503 are followed by the next after a moment, without regard to Retry-After. Then waits until every
 * reader has it, once. Fails on any other answer, and when 15 s pass.
 */
struct fan_insisted fan_insist(struct fan *fan, fan_request_fn *request, void *self);

/*
 * Sends one message and returns all that the first reader gets until `end` has come behind the message's number,
 * NUL-terminated and to be freed; `*ret_number` is where that number begins in it, with its `~`.
 */
char *fan_capture(struct fan *fan, const char *end, size_t *ret_number);

/*
 * Sends one message and returns the length in bytes of the line that the first reader got for it, its newline
 * included. Fails when the line is not a stream's envelope, or an event of Talker, with that text as it was sent.
 */
size_t fan_line_bytes(struct fan *fan);

#endif
