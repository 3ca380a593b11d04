/* SPDX-License-Identifier: MIT */
/*
 * What the official socket.io-protocol suite expects of the server under test, in the namespaces
 * `/` and `/custom`:
 *
 *     connected         gets `auth` with what came with CONNECT, or {}; a moment later, for the suite loses the second
 *                       of two frames that arrive at once
 *     message           comes back as `message-back` with the same arguments
 *     message-with-ack  is acknowledged with the same arguments
 *
 * and what shows the rest:
 *
 *     ask               gets `question` with the same arguments, to be acknowledged within a second; then `answer` with
 *                       the ack's, or `no-answer`
 *     join, leave       a room, acknowledged with true or false
 *     to                a room first: the others in it get `said` with the same arguments
 */
#ifndef TESTS_SUITE_DEMO_H
#define TESTS_SUITE_DEMO_H

#include "adapters/socketio/socket.h"

/* Ends with null. */
extern const struct app *const suite_apps[];

#endif
