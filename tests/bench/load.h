/* SPDX-License-Identifier: MIT */
/*
 * Many requests over a few keep-alive connections: each connection has one request under way and sends the next as
 * soon as the answer is there. For logins, tokens and acknowledged sends.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

enum { LOAD_REQUEST_BYTES = 2048 };

struct load_ops {
    /* Writes request `index` (0, 1, 2 ...) and returns its length; 0 ends the run: no more is asked for. */
    size_t (*request_write)(void *self, uint64_t index, char ret[LOAD_REQUEST_BYTES]);
    /* Takes the answer to request `index`, in the order of arrival. `body` has body_bytes and a NUL. */
    void (*answer_take)(void *self, uint64_t index, int status, const char *body, size_t body_bytes);
};

/*
 * Runs until request_write has said 0 and every answer is there. Returns how many were answered. Fails when the
 * deadline passes or a connection ends within an answer; one that ends after it is made anew.
 */
uint64_t load_run(const struct sockaddr_in *to, unsigned concurrency, const struct load_ops *ops, void *self,
                  uint64_t deadline_ns);

#endif
