/* SPDX-License-Identifier: MIT */
/*
 * Connections that may speak TLS: reading and writing by descriptor, whether or not there is TLS on it.
 *
 *   connect_start -> [wire_secure -> wire_handshake ...] -> wire_read, send_all -> wire_close
 *
 * A descriptor that wire_secure was never called for is a plain one. Not for threads.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct wire_client; /* how TLS is spoken, by all connections of a kind */

/* Makes a key (ECDSA, P-256) and a certificate signed with it, and writes both files as PEM. */
void wire_certificate_make(const char *certificate_path, const char *key_path);

/* One that takes any certificate (a client that checks one computes more, and the server does not). Free with
 * wire_client_free when its connections are closed. */
struct wire_client *wire_client_new(void);
void wire_client_free(struct wire_client *client);

/* From now on its handshakes resume the session of this connection, which must have had something to read. Fails when
 * the server gave no ticket. */
void wire_client_resume(struct wire_client *client, int fd);

/* TLS on a connection that stands, as a client. */
void wire_secure(struct wire_client *client, int fd);

/* Goes on with the handshake. False: it is not over yet, the socket has to be readable first. Fails when it fails, and
 * when it was to resume a session and did not. */
bool wire_handshake(int fd);

/* Like recv with no flags on a non-blocking socket: fewer bytes than `cap` mean that there were no more. */
ssize_t wire_read(int fd, void *ret, size_t cap);

/* Like send. */
ssize_t wire_write(int fd, const void *data, size_t n);

/* Closes it, without a word of TLS before. */
void wire_close(int fd);

#endif
