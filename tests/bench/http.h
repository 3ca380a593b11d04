/* SPDX-License-Identifier: MIT */
/*
 * The little HTTP that a load generator needs: connect, read the head of an answer, one blocking exchange.
 *
 * Only what our two servers say is understood: an answer with Content-Length, or a stream without an end.
 */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

enum { AUTHORIZATION_BYTES = 160, UUID_BYTES = 37 };

struct answer {
    int status;        /* 100 to 999 */
    size_t head_bytes; /* up to and with the empty line */
    size_t body_bytes; /* its Content-Length, 0 when there is none */
    bool closes;       /* says Connection: close */
};

/*
 * Reads the head of an answer at the start of `data`. False when it is not complete yet. Fails when it is no HTTP
 * answer at all.
 */
bool answer_parse(const char *data, size_t n, struct answer *ret);

/*
 * A non-blocking connection to `to`, being made: writable once it stands. It comes from the loopback address
 * 127.0.0.(2 + source % 200), so that many of them do not run out of ports. Fails when there is no descriptor.
 */
int connect_start(const struct sockaddr_in *to, unsigned source);

/* Fails with the socket's error when a connection that was started has failed. */
void connect_check(int fd);

/* Waits until a connection that was started is made. Fails when it is not made within 10 s. */
void connect_finish(int fd);

/*
 * Writes all `n` bytes to a non-blocking connection (wire.h) that is known to have room for them, as an idle one
 * has for a small request. Fails when it does not take them.
 */
void send_all(int fd, const char *data, size_t n);

/* The `Authorization` field of a user of the demo login with its line end: any password will do. */
void authorization_format(const char *user, char ret[AUTHORIZATION_BYTES]);

/*
 * Copies the first value of `key` in a JSON text, wherever it stands, to ret. Fails when there is none or it is no
 * UUID in lower case.
 */
void uuid_read(const char *json, const char *key, char ret[UUID_BYTES]);

/*
 * One exchange on a connection of its own. Sends `request` (n bytes, whole) and reads the answer to its end into
 * `ret_body`, NUL-terminated; returns the status. Fails after 10 s, or when the body is longer than `cap` - 1 bytes.
 */
int http_exchange(const struct sockaddr_in *to, const char *request, size_t n, char *ret_body, size_t cap);

#endif
