/* SPDX-License-Identifier: MIT */
/* Each allocation of ours on the way of a connection fails once: it is closed, nothing is left, and the next one works. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/arrival_rig.h"
#include "lib/failing_memory.h"

enum { ALLOCATIONS_MAX = 200, TURNS = 300 };

static const char header[] = "PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\n";

/* Sends and reads until all has come through, or the connection is over. */
static void talk(struct hall *hall, struct customer *customer)
{
    static char buffer[65536];
    size_t sent = 0, got = 0;
    for (int i = 0; i < TURNS && got < sizeof(buffer); i++) {
        if (sent < sizeof(buffer)) {
            ssize_t status = gnutls_record_send(customer->session, sent ? NULL : buffer, sent ? 0 : 16384);
            sent += status > 0 ? (size_t)status : 0;
        }
        if (hall->taken_count && i == 0)
            (void)send(hall->taken[0], buffer, sizeof(buffer), MSG_DONTWAIT | MSG_NOSIGNAL);
        loop_turn(hall->loop, 0);
        ssize_t status = gnutls_record_recv(customer->session, buffer, sizeof(buffer));
        if (status == 0 || (status < 0 && gnutls_error_is_fatal((int)status)))
            return;
        got += status > 0 ? (size_t)status : 0;
    }
}

/* A connection with all that there is, without looking at how far it comes. */
static void come_and_go(struct hall *hall)
{
    struct customer customer;
    customer_connect(&customer, hall, "first.test", "NORMAL");
    (void)send(customer.fd, header, sizeof(header) - 1, MSG_NOSIGNAL);
    for (int i = 0; i < TURNS && hall->taken_count == 0; i++) {
        int status = gnutls_handshake(customer.session);
        loop_turn(hall->loop, status == 0 ? 1 : 0);
        if (status && gnutls_error_is_fatal(status))
            break;
    }
    if (hall->taken_count)
        talk(hall, &customer);
    customer_close(&customer);
    hall_drop(hall);
}

static void a_connection_without_memory_leaves_nothing(void **state)
{
    (void)state;
    struct hall hall;
    unsigned nth = 1;
    hall_init(&hall);
    hall_open(&hall, "proxy:tls:127.0.0.1:0");
    come_and_go(&hall);
    assert_true(hall_arrivals_become(&hall, 0));
    for (;; nth++) {
        assert_true(nth < ALLOCATIONS_MAX);
        memory_fail_at(nth);
        come_and_go(&hall);
        bool failed = memory_has_failed();
        memory_fail_at(0);
        assert_true(hall_arrivals_become(&hall, 0));
        assert_int_equal(peers_count(hall.peers), 0);
        if (!failed)
            break;
    }
    assert_true(nth > 5);
    hall_close(&hall);
}

static void certificates_without_memory_stay_as_they_were(void **state)
{
    (void)state;
    struct hall hall;
    unsigned nth = 1;
    hall_init(&hall);
    hall_certificate(&hall, 1, certificate_for("second.test"));
    hall.options.certificate_count = 2;
    hall_open(&hall, "tls:127.0.0.1:0");
    for (;; nth++) {
        assert_true(nth < ALLOCATIONS_MAX);
        memory_fail_at(nth);
        enum err err = arrivals_reload(hall.arrivals);
        bool failed = memory_has_failed();
        memory_fail_at(0);
        assert_int_equal(err, failed ? ERR_NO_MEMORY : OK);
        if (!failed)
            break;
    }
    assert_true(nth > 2);
    hall_close(&hall);
}

static void arrivals_without_memory_are_none(void **state)
{
    (void)state;
    struct hall hall;
    hall_init(&hall);
    hall.loop = loop_new();
    hall.peers = peers_new(hall.limits);
    for (unsigned nth = 1;; nth++) {
        assert_true(nth < ALLOCATIONS_MAX);
        memory_fail_at(nth);
        hall.arrivals = arrivals_new(hall.loop, hall.peers, &hall.options);
        bool failed = memory_has_failed();
        memory_fail_at(0);
        assert_int_equal(hall.arrivals == NULL, failed);
        if (!failed)
            break;
    }
    hall_close(&hall);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_without_memory_leaves_nothing),
        cmocka_unit_test(certificates_without_memory_stay_as_they_were),
        cmocka_unit_test(arrivals_without_memory_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
