/* SPDX-License-Identifier: MIT */
/*
 * Relay: stands between TLS on a socket and plain bytes on one end of a socket pair, whose other end it gives away.
 *
 *     client ══ TLS ══ [outside  relay  inside] ── plain ── the end that is given away
 *
 * Its life:
 *
 *     relay_open ─ handshake ─┬─ opened(OK, fd) ─ pumping, until both sides have ended ─> freed
 *                             ├─ opened(error) ─> freed
 *                             └─ relay_abort ─> freed
 *
 * Ends are passed on after all bytes before them. What the inside ends with a shutdown or a close goes out as
 * close_notify and FIN; close_notify or a FIN from outside (also one without the other) is a shutdown of the inside. An
 * RST from outside closes the inside at once, and so does whatever is not TLS. A client that neither reads the rest nor
 * closes is cut off half a minute after the inside has been closed: nobody else waits for it.
 *
 * What one side does not take stops the reading from the other; a relay holds at most one TLS record for each way.
 * While it is idle it holds none. Renegotiation ends the connection.
 *
 * A relay has two descriptors, and the end that it gives away is a third. Steps of handshakes are few in each turn of
 * the loop, whoever waits for them, so that a flood of them does not hold up what is open. Loop thread only.
 */
#ifndef IO_RELAY_H
#define IO_RELAY_H

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "io/loop.h"
#include "io/tls.h"

struct relays;
struct relay;

/* What the relays of a loop share. Null: no memory or no descriptors. */
struct relays *relays_new(struct loop *loop) must_check;

/* Closes all relays at once, without calling anybody. Null is allowed. */
void relays_free(struct relays *relays);

/* Those that make their handshake, and those that are open. */
uint32_t relays_count(const struct relays *relays);

/* From now on nobody is waited for whose inside is closed, beyond half a second. */
void relays_drain(struct relays *relays);

/* The handshake is over. OK: `take_fd` carries the plain bytes, a non-blocking, close-on-exec socket. ERR_GONE: it
 * failed, or the client went away, and `why` is a sentence for people. ERR_INTERNAL: no descriptors. Comes from the
 * loop, once. */
typedef void relay_opened(void *ctx, enum err err, int take_fd, const char *why);

/* Starts the handshake on the socket; `protocols` as in tls_session_new. There is no deadline for it but relay_abort.
 * ERR_NO_MEMORY, ERR_INTERNAL: nothing was taken. */
enum err relay_open(struct relays *relays, struct tls *tls, const char *const *protocols, int take_fd,
                    relay_opened *opened, void *ctx, struct relay **ret_relay) must_check;

/* Gives a handshake up; `opened` will not be called. Only before it has been. */
void relay_abort(struct relay *relay);

#endif
