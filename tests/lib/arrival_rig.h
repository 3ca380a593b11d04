/* SPDX-License-Identifier: MIT */
/*
 * A listener with arrivals on a loop of its own, and clients that speak TLS with it from the same thread.
 *
 * What cannot fail in a test is an assertion. Calls that wait turn the loop, for a bounded time.
 */
#ifndef TESTS_ARRIVAL_RIG_H
#define TESTS_ARRIVAL_RIG_H

#include <stdbool.h>
#include <sys/types.h>

#include <gnutls/gnutls.h>

#include "io/arrival.h"
#include "io/listener.h"
#include "lib/certificate.h"

enum { HALL_TAKEN_MAX = 16, HALL_PATIENCE_TURNS = 2000, HALL_PAIRS_MAX = 2 };

struct hall {
    char folder[64];
    char certificates[HALL_PAIRS_MAX][96];
    char keys[HALL_PAIRS_MAX][96];
    const char *certificate_list[HALL_PAIRS_MAX];
    const char *key_list[HALL_PAIRS_MAX];
    struct arrivals_options options;
    struct peer_limits limits;
    struct loop *loop;
    struct peers *peers;
    struct arrivals *arrivals;
    struct listener *listener;
    /* What the taker has got. */
    int taken[HALL_TAKEN_MAX];
    struct peer *leases[HALL_TAKEN_MAX];
    size_t taken_count;
};

/* In a folder of its own, with a certificate for first.test and loopback as a proxy. What is to be different is changed
 * before hall_open. */
void hall_init(struct hall *hall);

/* Makes the pair number `index` anew. */
void hall_certificate(struct hall *hall, size_t index, struct certificate_wish wish);

void hall_open(struct hall *hall, const char *spec);

/* Also after hall_init alone. */
void hall_close(struct hall *hall);

/* Closes what the taker has. */
void hall_drop(struct hall *hall);

/* Until the taker has had `count` connections. */
bool hall_takes(struct hall *hall, size_t count);

/* Until there are so many arrivals and relays. */
bool hall_arrivals_become(struct hall *hall, uint32_t count);

/* What comes next on a socket: bytes, 0 for the end, -1 for an error. */
ssize_t hall_read(struct hall *hall, int fd, char *buffer, size_t size);

/* A non-blocking connection. */
int hall_connect(const struct hall *hall);

struct customer {
    int fd;
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
};

/* Connects; `host` is the name to ask for, or null. */
void customer_connect(struct customer *customer, const struct hall *hall, const char *host, const char *priorities);
void customer_close(struct customer *customer);

/* Goes away with an RST. */
void customer_reset(struct customer *customer);

/* Both sides take turns until the client's handshake has succeeded (0) or failed. */
int customer_handshake(struct hall *hall, struct customer *customer);

/* Connects, and is there when the taker has got it. */
void customer_enter(struct customer *customer, struct hall *hall);

/* What the client reads next: bytes, 0 for close_notify, or an error that is not EAGAIN. */
ssize_t customer_read(struct hall *hall, struct customer *customer, char *buffer, size_t size);

#endif
