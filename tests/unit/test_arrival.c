/* SPDX-License-Identifier: MIT */
/* TLS and PROXY headers, between accept and the taker of a connection: real sockets, with GnuTLS as the client. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/metric.h"
#include "lib/arrival_rig.h"

/* As SPAN_LITERAL, for tables. */
#define LITERAL(text)                                                                                                  \
    {                                                                                                                  \
        (text), sizeof(text) - 1                                                                                       \
    }

/* --- much --- */

static void fill_pattern(char *buffer, size_t len, size_t at)
{
    for (size_t i = 0; i < len; i++)
        buffer[i] = (char)((at + i) * 7 >> 3);
}

static bool is_pattern(const char *buffer, size_t len, size_t at)
{
    for (size_t i = 0; i < len; i++)
        if (buffer[i] != (char)((at + i) * 7 >> 3))
            return false;
    return true;
}

/* Sends the pattern until nothing more is taken. */
static size_t fill_up(struct hall *hall, int fd)
{
    char buffer[16384];
    size_t sent = 0;
    for (int idle = 0; idle < 50; idle++) {
        fill_pattern(buffer, sizeof(buffer), sent);
        ssize_t status = send(fd, buffer, sizeof(buffer), MSG_DONTWAIT | MSG_NOSIGNAL);
        loop_turn(hall->loop, 0);
        if (status <= 0)
            continue;
        sent += (size_t)status;
        idle = 0;
    }
    return sent;
}

static bool reads_pattern(struct hall *hall, struct customer *customer, size_t len)
{
    char buffer[16384];
    size_t got = 0;
    for (;;) {
        ssize_t part = customer_read(hall, customer, buffer, sizeof(buffer));
        if (part <= 0)
            return part == 0 && got == len;
        if (!is_pattern(buffer, (size_t)part, got))
            return false;
        got += (size_t)part;
    }
}

/* Nothing can go on, and no time is burnt on trying. */
static bool loop_is_quiet(struct hall *hall)
{
    clock_t before = clock();
    for (int i = 0; i < 10; i++)
        loop_turn(hall->loop, 5);
    return clock() - before < CLOCKS_PER_SEC / 100;
}

/* --- sockets by hand --- */

static bool has_ended(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN);
}

/* Closed by the server, maybe after an alert. */
static bool is_ended(struct hall *hall, int fd)
{
    char buffer[64];
    for (;;) {
        ssize_t got = hall_read(hall, fd, buffer, sizeof(buffer));
        if (got <= 0)
            return got == 0 || errno == ECONNRESET;
    }
}

static void send_in_pieces(struct hall *hall, int fd, struct span bytes, size_t piece)
{
    for (size_t at = 0; at < bytes.len; at += piece) {
        size_t len = bytes.len - at < piece ? bytes.len - at : piece;
        assert_int_equal(send(fd, bytes.data + at, len, 0), len);
        loop_turn(hall->loop, 1);
    }
}

static void drop_last(struct hall *hall)
{
    hall->taken_count--;
    (void)close(hall->taken[hall->taken_count]);
    peer_release(hall->leases[hall->taken_count]);
}

/* What a client would send first, instead of sending it. */
static char pocket[4096];
static size_t pocket_len;

static ssize_t push_into_pocket(gnutls_transport_ptr_t ignored, const void *data, size_t len)
{
    (void)ignored;
    assert_true(pocket_len + len <= sizeof(pocket));
    memcpy(pocket + pocket_len, data, len);
    pocket_len += len;
    return (ssize_t)len;
}

static ssize_t pull_nothing(gnutls_transport_ptr_t ignored, void *data, size_t size)
{
    (void)ignored;
    (void)data;
    (void)size;
    errno = EAGAIN;
    return -1;
}

/* Every other byte has to wait for the next turn. */
static ssize_t push_one_byte(gnutls_transport_ptr_t where, const void *data, size_t len)
{
    static bool waits;
    waits = !waits;
    if (!waits && len)
        return send((int)(intptr_t)where, data, 1, MSG_NOSIGNAL);
    errno = EAGAIN;
    return -1;
}

static gnutls_pk_algorithm_t algorithm_seen(const struct customer *customer)
{
    unsigned count = 0, bits;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(customer->session, &count);
    gnutls_x509_crt_t crt;
    assert_int_equal(gnutls_x509_crt_init(&crt), 0);
    assert_int_equal(gnutls_x509_crt_import(crt, &chain[0], GNUTLS_X509_FMT_DER), 0);
    gnutls_pk_algorithm_t algorithm = (gnutls_pk_algorithm_t)gnutls_x509_crt_get_pk_algorithm(crt, &bits);
    gnutls_x509_crt_deinit(crt);
    return algorithm;
}

/* The name in the certificate that the server shows to who asks for `asked`. False: no handshake. */
static bool certificate_seen(struct hall *hall, const char *asked, char host[64])
{
    struct customer customer;
    customer_connect(&customer, hall, asked, "NORMAL");
    bool works = customer_handshake(hall, &customer) == 0;
    unsigned count = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(customer.session, &count);
    gnutls_x509_crt_t crt;
    size_t len = 64;
    assert_int_equal(gnutls_x509_crt_init(&crt), 0);
    works = works && count && gnutls_x509_crt_import(crt, &chain[0], GNUTLS_X509_FMT_DER) == 0 &&
            gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, host, &len) == 0;
    gnutls_x509_crt_deinit(crt);
    customer_close(&customer);
    return works;
}

/* --- TLS --- */

static void bytes_go_both_ways(void **state)
{
    (void)state;
    struct hall hall;
    struct customer customer;
    char buffer[64];
    hall_init(&hall);
    hall_open(&hall, "tls:127.0.0.1:0");
    assert_int_equal(strncmp(listener_address(hall.listener, 0), "tls:127.0.0.1:", 14), 0);
    customer_enter(&customer, &hall);
    assert_true(span_is(peer_address(hall.leases[0]), "127.0.0.1"));
    assert_int_equal(gnutls_record_send(customer.session, "hello", 5), 5);
    assert_int_equal(hall_read(&hall, hall.taken[0], buffer, sizeof(buffer)), 5);
    assert_memory_equal(buffer, "hello", 5);
    assert_int_equal(send(hall.taken[0], "world", 5, 0), 5);
    assert_int_equal(customer_read(&hall, &customer, buffer, sizeof(buffer)), 5);
    assert_memory_equal(buffer, "world", 5);
    customer_close(&customer);
    hall_drop(&hall);
    assert_true(hall_arrivals_become(&hall, 0));
    hall_close(&hall);
}

/* Sends much while the other side does not read: what comes out at last is all of it. */
static void much_waits_for_a_slow_client(void **state)
{
    (void)state;
    struct hall hall;
    struct customer customer;
    hall_init(&hall);
    hall_open(&hall, "tls:127.0.0.1:0");
    customer_connect(&customer, &hall, "first.test", "NORMAL");
    /* Small records, so that GnuTLS takes only a part of what it is given. */
    assert_int_equal(gnutls_record_set_max_recv_size(customer.session, 512), 0);
    assert_int_equal(customer_handshake(&hall, &customer), 0);
    assert_true(hall_takes(&hall, 1));
    size_t sent = fill_up(&hall, hall.taken[0]);
    assert_true(sent > 100000);
    assert_true(loop_is_quiet(&hall));
    assert_int_equal(shutdown(hall.taken[0], SHUT_WR), 0);
    assert_true(reads_pattern(&hall, &customer, sent));
    customer_close(&customer);
    hall_drop(&hall);
    assert_true(hall_arrivals_become(&hall, 0));
    hall_close(&hall);
}

static void much_waits_for_a_slow_taker(void **state)
{
    (void)state;
    struct hall hall;
    struct customer customer;
    char buffer[16384];
    size_t sent = 0, got = 0;
    hall_init(&hall);
    hall_open(&hall, "tls:127.0.0.1:0");
    customer_enter(&customer, &hall);
    for (int idle = 0; idle < 50; idle++) {
        fill_pattern(buffer, sizeof(buffer), sent);
        ssize_t status = gnutls_record_send(customer.session, buffer, sizeof(buffer));
        loop_turn(hall.loop, 0);
        if (status <= 0)
            continue;
        sent += (size_t)status;
        idle = 0;
    }
    assert_true(sent > 100000);
    assert_true(loop_is_quiet(&hall));
    while (got < sent) {
        ssize_t part = hall_read(&hall, hall.taken[0], buffer, sizeof(buffer));
        assert_true(part > 0 && is_pattern(buffer, (size_t)part, got));
        got += (size_t)part;
        (void)gnutls_record_send(customer.session, NULL, 0);
    }
    assert_true(got >= sent);
    customer_close(&customer);
    hall_close(&hall);
}

static void the_end_of_the_taker_comes_after_its_bytes(void **state)
{
    (void)state;
    struct hall hall;
    struct customer customer;
    char buffer[64];
    hall_init(&hall);
    hall_open(&hall, "tls:127.0.0.1:0");
    customer_enter(&customer, &hall);
    assert_int_equal(send(hall.taken[0], "last", 4, 0), 4);
    hall_drop(&hall);
    assert_int_equal(customer_read(&hall, &customer, buffer, sizeof(buffer)), 4);
    assert_int_equal(customer_read(&hall, &customer, buffer, sizeof(buffer)), 0); /* close_notify */
    assert_int_equal(recv(customer.fd, buffer, 1, 0), 0);                         /* and a FIN */
    assert_int_equal(arrivals_count(hall.arrivals), 1);                           /* until the client ends it too */
    customer_close(&customer);
    assert_true(hall_arrivals_become(&hall, 0));
    hall_close(&hall);
}

static void each_way_ends_by_itself(void **state)
{
    (void)state;
    struct hall hall;
    struct customer customer;
    char buffer[64];
    hall_init(&hall);
    hall_open(&hall, "tls:127.0.0.1:0");
    customer_enter(&customer, &hall);
    assert_int_equal(shutdown(hall.taken[0], SHUT_WR), 0);
    assert_int_equal(customer_read(&hall, &customer, buffer, sizeof(buffer)), 0);
    assert_int_equal(gnutls_record_send(customer.session, "still", 5), 5);
    assert_int_equal(hall_read(&hall, hall.taken[0], buffer, sizeof(buffer)), 5);
    assert_int_equal(gnutls_bye(customer.session, GNUTLS_SHUT_WR), 0);
    assert_int_equal(hall_read(&hall, hall.taken[0], buffer, sizeof(buffer)), 0);
    assert_true(hall_arrivals_become(&hall, 0));
    customer_close(&customer);
    hall_close(&hall);
}

enum parting { PART_NOTIFY, PART_FIN, PART_RST };

/* However a client goes, the taker reads what was sent before (but with an RST), then the end, and can close. */
static void the_end_of_the_client_reaches_the_taker(void **state)
{
    (void)state;
    for (enum parting parting = PART_NOTIFY; parting <= PART_RST; parting++) {
        struct hall hall;
        struct customer customer;
        char buffer[64];
        hall_init(&hall);
        hall_open(&hall, "tls:127.0.0.1:0");
        customer_enter(&customer, &hall);
        assert_int_equal(gnutls_record_send(customer.session, "bye", 3), 3);
        assert_int_equal(hall_read(&hall, hall.taken[0], buffer, sizeof(buffer)), 3);
        if (parting == PART_NOTIFY)
            assert_int_equal(gnutls_bye(customer.session, GNUTLS_SHUT_WR), 0);
        else if (parting == PART_FIN)
            assert_int_equal(shutdown(customer.fd, SHUT_WR), 0);
        else
            customer_reset(&customer);
        assert_int_equal(hall_read(&hall, hall.taken[0], buffer, sizeof(buffer)), 0);
        assert_int_equal(arrivals_count(hall.arrivals), parting == PART_RST ? 0 : 1);
        hall_drop(&hall);
        assert_true(hall_arrivals_become(&hall, 0));
        customer_close(&customer);
        hall_close(&hall);
    }
}

/* A client that has asked for all it wants may close its side, and not all say close_notify before. */
static void the_answer_arrives_behind_a_bare_fin(void **state)
{
    (void)state;
    struct hall hall;
    struct customer customer;
    char buffer[64];
    hall_init(&hall);
    hall_open(&hall, "tls:127.0.0.1:0");
    customer_enter(&customer, &hall);
    assert_int_equal(gnutls_record_send(customer.session, "ask", 3), 3);
    assert_int_equal(gnutls_record_send(customer.session, "more", 4), 4);
    assert_int_equal(shutdown(customer.fd, SHUT_WR), 0);
    assert_int_equal(hall_read(&hall, hall.taken[0], buffer, 3), 3);
    assert_int_equal(hall_read(&hall, hall.taken[0], buffer, sizeof(buffer)), 4);
    assert_int_equal(hall_read(&hall, hall.taken[0], buffer, sizeof(buffer)), 0);
    assert_int_equal(send(hall.taken[0], "reply", 5, 0), 5);
    assert_int_equal(shutdown(hall.taken[0], SHUT_WR), 0);
    assert_int_equal(customer_read(&hall, &customer, buffer, sizeof(buffer)), 5);
    assert_int_equal(customer_read(&hall, &customer, buffer, sizeof(buffer)), 0);
    assert_true(hall_arrivals_become(&hall, 0));
    customer_close(&customer);
    hall_close(&hall);
}

/* The system holds megabytes for a client that never reads. Nobody waits for it longer than is needed. */
static void a_client_that_never_reads_is_cut_off_in_the_end(void **state)
{
    (void)state;
    struct hall hall;
    struct customer customer;
    hall_init(&hall);
    hall_open(&hall, "tls:127.0.0.1:0");
    customer_enter(&customer, &hall);
    (void)fill_up(&hall, hall.taken[0]);
    hall_drop(&hall);
    assert_true(loop_is_quiet(&hall));
    assert_int_equal(arrivals_count(hall.arrivals), 1);
    arrivals_drain(hall.arrivals);
    assert_true(hall_arrivals_become(&hall, 0));
    customer_close(&customer);
    hall_close(&hall);
}

/* Also where one that has gone meanwhile was waited for longer, before. */
static void draining_waits_no_longer_for_who_was_waited_for_before(void **state)
{
    (void)state;
    struct hall hall;
    struct customer first, second;
    hall_init(&hall);
    hall_open(&hall, "tls:127.0.0.1:0");
    customer_enter(&first, &hall);
    drop_last(&hall);
    loop_turn(hall.loop, 1);
    customer_close(&first);
    assert_true(hall_arrivals_become(&hall, 0));
    customer_enter(&second, &hall);
    arrivals_drain(hall.arrivals);
    hall_drop(&hall); /* and this client does not close */
    assert_true(hall_arrivals_become(&hall, 0));
    customer_close(&second);
    hall_close(&hall);
}

static void old_versions_are_refused_whatever_the_priorities_say(void **state)
{
    (void)state;
    static const struct {
        const char *version;
        bool taken;
    } cases[] = {{"+VERS-TLS1.0", false}, {"+VERS-TLS1.1", false}, {"+VERS-TLS1.2", true}, {"+VERS-TLS1.3", true}};
    struct hall hall;
    hall_init(&hall);
    hall.options.priorities = "NORMAL:+VERS-TLS1.1:+VERS-TLS1.0";
    hall_open(&hall, "tls:127.0.0.1:0");
    for (size_t i = 0; i < array_len(cases); i++) {
        struct customer customer;
        char priorities[64];
        int64_t failures = metric_value(METRIC_TLS_FAILURES);
        (void)snprintf(priorities, sizeof(priorities), "NORMAL:-VERS-ALL:%s", cases[i].version);
        customer_connect(&customer, &hall, NULL, priorities);
        assert_int_equal(customer_handshake(&hall, &customer) == 0, cases[i].taken);
        assert_true(!cases[i].taken || hall_takes(&hall, 1));
        assert_int_equal(metric_value(METRIC_TLS_FAILURES), failures + !cases[i].taken);
        assert_int_equal(hall.taken_count, cases[i].taken);
        hall_drop(&hall);
        customer_close(&customer);
    }
    hall_close(&hall);
}

static void renegotiation_ends_the_connection(void **state)
{
    (void)state;
    struct hall hall;
    struct customer customer;
    char byte;
    hall_init(&hall);
    hall_open(&hall, "tls:127.0.0.1:0");
    customer_connect(&customer, &hall, NULL, "NORMAL:-VERS-ALL:+VERS-TLS1.2");
    assert_int_equal(customer_handshake(&hall, &customer), 0);
    assert_true(hall_takes(&hall, 1));
    assert_int_not_equal(customer_handshake(&hall, &customer), 0);
    assert_int_equal(hall_read(&hall, hall.taken[0], &byte, 1), 0);
    assert_true(hall_arrivals_become(&hall, 0));
    customer_close(&customer);
    hall_close(&hall);
}

static void new_keys_on_the_way_are_no_renegotiation(void **state)
{
    (void)state;
    struct hall hall;
    struct customer customer;
    char buffer[8];
    hall_init(&hall);
    hall_open(&hall, "tls:127.0.0.1:0");
    customer_connect(&customer, &hall, NULL, "NORMAL:-VERS-ALL:+VERS-TLS1.3");
    assert_int_equal(customer_handshake(&hall, &customer), 0);
    assert_true(hall_takes(&hall, 1));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(gnutls_session_key_update(customer.session, GNUTLS_KU_PEER), 0);
        assert_int_equal(gnutls_record_send(customer.session, "ask", 3), 3);
        assert_int_equal(hall_read(&hall, hall.taken[0], buffer, sizeof(buffer)), 3);
        assert_int_equal(send(hall.taken[0], "reply", 5, 0), 5);
        assert_int_equal(customer_read(&hall, &customer, buffer, sizeof(buffer)), 5);
    }
    customer_close(&customer);
    hall_close(&hall);
}

/* GnuTLS would answer at once, and can hold one record only. */
static void new_keys_while_a_record_waits_lose_nothing(void **state)
{
    (void)state;
    struct hall hall;
    struct customer customer;
    hall_init(&hall);
    hall_open(&hall, "tls:127.0.0.1:0");
    customer_connect(&customer, &hall, NULL, "NORMAL:-VERS-ALL:+VERS-TLS1.3");
    assert_int_equal(customer_handshake(&hall, &customer), 0);
    assert_true(hall_takes(&hall, 1));
    size_t sent = fill_up(&hall, hall.taken[0]);
    for (int i = 0; i < 3; i++)
        assert_int_equal(gnutls_session_key_update(customer.session, GNUTLS_KU_PEER), 0);
    assert_true(loop_is_quiet(&hall));
    assert_int_equal(shutdown(hall.taken[0], SHUT_WR), 0);
    assert_true(reads_pattern(&hall, &customer, sent));
    customer_close(&customer);
    hall_close(&hall);
}

static void the_name_asked_for_picks_the_certificate(void **state)
{
    (void)state;
    static const struct {
        const char *asked, *got;
    } cases[] = {{"first.test", "first.test"},
                 {"second.test", "second.test"},
                 {"SECOND.test", "second.test"},

                 {"third.test", "first.test"},
                 {NULL, "first.test"}};
    for (int first_is_rsa = 0; first_is_rsa < 2; first_is_rsa++) {
        struct hall hall;
        struct certificate_wish first = certificate_for("first.test"), second = certificate_for("second.test");
        hall_init(&hall);
        first.rsa = first_is_rsa;
        second.rsa = !first_is_rsa;
        hall_certificate(&hall, 0, first);
        hall_certificate(&hall, 1, second);
        hall.options.certificate_count = 2;
        hall_open(&hall, "tls:127.0.0.1:0");
        for (size_t i = 0; i < array_len(cases); i++) {
            char host[64];
            assert_true(certificate_seen(&hall, cases[i].asked, host));
            assert_string_equal(host, cases[i].got);
        }
        hall_close(&hall);
    }
}

static void wildcards_and_twins_are_found(void **state)
{
    (void)state;
    struct hall hall;
    struct certificate_wish wildcard = certificate_for("*.second.test");
    struct customer customer;
    char host[64];
    hall_init(&hall);
    hall_certificate(&hall, 1, wildcard);
    hall.options.certificate_count = 2;
    hall_open(&hall, "tls:127.0.0.1:0");
    assert_true(certificate_seen(&hall, "www.second.test", host));
    assert_string_equal(host, "*.second.test");
    assert_true(certificate_seen(&hall, "a.b.second.test", host));
    assert_string_equal(host, "first.test");
    /* An RSA certificate beside it for the name of the first: for clients that know nothing else. */
    wildcard = certificate_for("first.test");
    wildcard.rsa = true;
    hall_certificate(&hall, 1, wildcard);
    assert_int_equal(arrivals_reload(hall.arrivals), OK);
    static const struct {
        const char *priorities;
        gnutls_pk_algorithm_t algorithm;
    } cases[] = {{"NORMAL:-VERS-ALL:+VERS-TLS1.2:-ECDHE-ECDSA", GNUTLS_PK_RSA}, {"NORMAL", GNUTLS_PK_ECDSA}};
    for (size_t i = 0; i < array_len(cases); i++) {
        customer_connect(&customer, &hall, "first.test", cases[i].priorities);
        assert_int_equal(customer_handshake(&hall, &customer), 0);
        assert_int_equal(algorithm_seen(&customer), cases[i].algorithm);
        customer_close(&customer);
    }
    hall_close(&hall);
}

static void the_protocol_is_negotiated(void **state)
{
    (void)state;
    static const struct {
        const char *offered[3], *got;
        bool taken;
    } cases[] = {{{"h2", "http/1.1"}, "http/1.1", true},
                 {{"http/1.1"}, "http/1.1", true},
                 {{"h2"}, NULL, false},
                 {{NULL}, NULL, true}};
    struct hall hall;
    hall_init(&hall);
    hall_open(&hall, "tls:127.0.0.1:0");
    for (size_t i = 0; i < array_len(cases); i++) {
        struct customer customer;
        gnutls_datum_t names[3], got = {0};
        unsigned count = 0;
        for (; cases[i].offered[count]; count++)
            names[count] = (gnutls_datum_t){(unsigned char *)(uintptr_t)cases[i].offered[count],
                                            (unsigned)strlen(cases[i].offered[count])};
        customer_connect(&customer, &hall, NULL, "NORMAL");
        if (count)
            assert_int_equal(gnutls_alpn_set_protocols(customer.session, names, count, 0), 0);
        assert_int_equal(customer_handshake(&hall, &customer) == 0, cases[i].taken);
        (void)gnutls_alpn_get_selected_protocol(customer.session, &got);
        assert_true(span_is((struct span){(const char *)got.data, got.size}, cases[i].got ? cases[i].got : ""));
        customer_close(&customer);
    }
    hall_close(&hall);
}

/* Also with what the same files were before they were read again. */
static void sessions_are_resumed_with_tickets(void **state)
{
    (void)state;
    static const char *const versions[] = {"NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3"};
    for (size_t i = 0; i < array_len(versions); i++) {
        struct hall hall;
        struct customer first, second;
        gnutls_datum_t ticket;
        char byte;
        hall_init(&hall);
        hall_open(&hall, "tls:127.0.0.1:0");
        customer_connect(&first, &hall, "first.test", versions[i]);
        assert_int_equal(customer_handshake(&hall, &first), 0);
        assert_true(hall_takes(&hall, 1));
        assert_int_equal(send(hall.taken[0], "x", 1, 0), 1);
        assert_int_equal(customer_read(&hall, &first, &byte, 1), 1); /* a ticket of TLS 1.3 comes before it */
        assert_int_equal(gnutls_session_get_data2(first.session, &ticket), 0);
        assert_int_equal(arrivals_reload(hall.arrivals), OK);
        customer_connect(&second, &hall, "first.test", versions[i]);
        assert_int_equal(gnutls_session_set_data(second.session, ticket.data, ticket.size), 0);
        assert_int_equal(customer_handshake(&hall, &second), 0);
        assert_true(gnutls_session_is_resumed(second.session));
        gnutls_free(ticket.data);
        customer_close(&first);
        customer_close(&second);
        hall_close(&hall);
    }
}

static void what_is_not_tls_is_closed(void **state)
{
    (void)state;
    static const struct span texts[] = {
        LITERAL("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        LITERAL("{\"type\":\"connect\"}\n"),
        LITERAL("\x16\x03\x01\xff\xff"),
        LITERAL("\x16\x03\x01\x00\x04\x01\x00\x00\x00"),
        LITERAL("\xff\xff\xff\xff\xff\xff\xff\xff"),
        LITERAL("\x80\x2e\x01\x00\x02"),
    };
    struct hall hall;
    hall_init(&hall);
    hall.options.handshake_ms = 80;
    hall_open(&hall, "tls:127.0.0.1:0");
    for (size_t i = 0; i < array_len(texts); i++) {
        int fd = hall_connect(&hall);
        assert_true(send(fd, texts[i].data, texts[i].len, MSG_NOSIGNAL) > 0);
        assert_true(is_ended(&hall, fd));
        (void)close(fd);
    }
    assert_int_equal(hall.taken_count, 0);
    assert_int_equal(peers_count(hall.peers), 0);
    assert_int_equal(arrivals_count(hall.arrivals), 0);
    hall_close(&hall);
}

static void a_handshake_has_a_deadline_in_all(void **state)
{
    (void)state;
    struct hall hall;
    struct customer customer;
    hall_init(&hall);
    hall.options.handshake_ms = 80;
    hall_open(&hall, "tls:127.0.0.1:0");
    int64_t late = metric_value(METRIC_LIMIT_HANDSHAKE_TIME);
    customer_connect(&customer, &hall, NULL, "NORMAL");
    gnutls_transport_set_push_function(customer.session, push_into_pocket);
    gnutls_transport_set_pull_function(customer.session, pull_nothing);
    pocket_len = 0;
    assert_int_equal(gnutls_handshake(customer.session), GNUTLS_E_AGAIN);
    assert_true(pocket_len > 100);
    size_t sent = 0;
    /* A byte now and then buys no time: the first turn reads it, the second waits. */
    while (!has_ended(customer.fd) && sent < pocket_len - 1) {
        (void)send(customer.fd, pocket + sent++, 1, MSG_NOSIGNAL);
        loop_turn(hall.loop, 5);
        loop_turn(hall.loop, 5);
    }
    assert_true(sent < pocket_len - 1);
    assert_true(is_ended(&hall, customer.fd));
    assert_int_equal(metric_value(METRIC_LIMIT_HANDSHAKE_TIME), late + 1);
    assert_int_equal(arrivals_count(hall.arrivals), 0);
    customer_close(&customer);
    hall_close(&hall);
}

static void a_handshake_in_single_bytes_is_one(void **state)
{
    (void)state;
    struct hall hall;
    struct customer customer;
    hall_init(&hall);
    hall_open(&hall, "tls:127.0.0.1:0");
    customer_connect(&customer, &hall, NULL, "NORMAL");
    gnutls_transport_set_push_function(customer.session, push_one_byte);
    assert_int_equal(customer_handshake(&hall, &customer), 0);
    for (int i = 0; i < HALL_PATIENCE_TURNS && hall.taken_count == 0; i++)
        loop_turn(hall.loop, 1);
    assert_int_equal(hall.taken_count, 1);
    customer_close(&customer);
    hall_close(&hall);
}

/* Many hellos at once are answered a few at a time, so that others get their turn. */
static void many_handshakes_take_turns(void **state)
{
    (void)state;
    enum { MANY = 60, FEW = 16 };
    struct hall hall;
    struct customer customers[MANY];
    size_t answered = 0;
    hall_init(&hall);
    hall_open(&hall, "tls:127.0.0.1:0");
    for (size_t i = 0; i < MANY; i++) {
        customer_connect(&customers[i], &hall, NULL, "NORMAL");
        assert_int_equal(gnutls_handshake(customers[i].session), GNUTLS_E_AGAIN);
    }
    for (int i = 0; i < HALL_PATIENCE_TURNS && answered < MANY; i++) {
        size_t before = answered;
        loop_turn(hall.loop, 0);
        answered = 0;
        for (size_t k = 0; k < MANY; k++)
            answered += recv(customers[k].fd, &(char){0}, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
        assert_true(answered - before <= FEW);
    }
    assert_int_equal(answered, MANY);
    for (size_t i = 0; i < MANY; i++)
        customer_close(&customers[i]);
    assert_true(hall_arrivals_become(&hall, 0));
    hall_close(&hall);
}

static void handshakes_from_one_address_are_limited(void **state)
{
    (void)state;
    struct hall hall;
    struct customer customer;
    hall_init(&hall);
    hall.options.handshakes_per_minute = 3;
    hall_open(&hall, "tls:127.0.0.1:0");
    int64_t limited = metric_value(METRIC_LIMIT_HANDSHAKE_RATE);
    for (int i = 0; i < 3; i++) {
        customer_enter(&customer, &hall);
        customer_close(&customer);
    }
    int fd = hall_connect(&hall);
    assert_true(is_ended(&hall, fd));
    (void)close(fd);
    assert_int_equal(metric_value(METRIC_LIMIT_HANDSHAKE_RATE), limited + 1);
    hall_close(&hall);
}

static void who_makes_a_handshake_counts_as_connected(void **state)
{
    (void)state;
    struct hall hall;
    hall_init(&hall);
    hall.limits.connections_per_address = 2;
    hall_open(&hall, "tls:127.0.0.1:0");
    int fds[3];
    for (int i = 0; i < 3; i++)
        fds[i] = hall_connect(&hall);
    assert_true(is_ended(&hall, fds[2]));
    assert_int_equal(peers_count(hall.peers), 2);
    assert_int_equal(arrivals_count(hall.arrivals), 2);
    arrivals_drain(hall.arrivals);
    assert_true(is_ended(&hall, fds[0]));
    assert_true(is_ended(&hall, fds[1]));
    assert_int_equal(peers_count(hall.peers), 0);
    for (int i = 0; i < 3; i++)
        (void)close(fds[i]);
    hall_close(&hall);
}

/* --- certificates --- */

static void certificates_are_read_again(void **state)
{
    (void)state;
    struct hall hall;
    struct customer before;
    struct certificate_wish later = certificate_for("second.test");
    char host[64], buffer[8];
    hall_init(&hall);
    hall_open(&hall, "tls:127.0.0.1:0");
    customer_enter(&before, &hall);
    later.end_s = 7200;
    hall_certificate(&hall, 0, later);
    int64_t end = metric_value(METRIC_TLS_NOT_AFTER);
    assert_int_equal(arrivals_reload(hall.arrivals), OK);
    assert_int_equal(metric_value(METRIC_TLS_NOT_AFTER) / 60, (end + 3600) / 60);
    assert_true(certificate_seen(&hall, NULL, host));
    assert_string_equal(host, "second.test");
    assert_int_equal(send(hall.taken[0], "on", 2, 0), 2);
    assert_int_equal(customer_read(&hall, &before, buffer, sizeof(buffer)), 2);
    customer_close(&before);
    hall_close(&hall);
}

static void spoil_with_another_key(struct hall *hall)
{
    hall_certificate(hall, 1, certificate_for("first.test"));
    assert_int_equal(rename(hall->keys[1], hall->keys[0]), 0);
}

static void spoil_by_taking_it_away(struct hall *hall)
{
    assert_int_equal(unlink(hall->certificates[0]), 0);
}

static void spoil_by_taking_the_key_away(struct hall *hall)
{
    assert_int_equal(unlink(hall->keys[0]), 0);
}

static void spoil_by_letting_others_read(struct hall *hall)
{
    assert_int_equal(chmod(hall->keys[0], 0604), 0);
}

static void spoil_with_nonsense(struct hall *hall)
{
    int fd = open(hall->certificates[0], O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, "nonsense", 8), 8);
    (void)close(fd);
}

static void spoil_by_leaving_it_empty(struct hall *hall)
{
    assert_int_equal(truncate(hall->certificates[0], 0), 0);
}

static void spoil_with_an_expired_one(struct hall *hall)
{
    hall_certificate(hall, 0, (struct certificate_wish){"second.test", .begin_s = -7200, .end_s = -3600});
}

static void spoil_with_one_for_later(struct hall *hall)
{
    hall_certificate(hall, 0, (struct certificate_wish){"second.test", .begin_s = 3600, .end_s = 7200});
}

static const struct {
    void (*spoil)(struct hall *hall);
    bool at_start; /* refused there too */
} spoilers[] = {
    {spoil_with_another_key, true},       {spoil_by_taking_it_away, true},   {spoil_by_taking_the_key_away, true},
    {spoil_by_letting_others_read, true}, {spoil_with_nonsense, true},       {spoil_by_leaving_it_empty, true},
    {spoil_with_an_expired_one, false},   {spoil_with_one_for_later, false},
};

static void bad_files_leave_the_old_certificate_in_use(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_len(spoilers); i++) {
        struct hall hall;
        char host[64];
        hall_init(&hall);
        hall_open(&hall, "tls:127.0.0.1:0");
        spoilers[i].spoil(&hall);
        int64_t end = metric_value(METRIC_TLS_NOT_AFTER);
        assert_int_equal(arrivals_reload(hall.arrivals), ERR_BAD_FIELD);
        assert_int_equal(metric_value(METRIC_TLS_NOT_AFTER), end);
        assert_true(certificate_seen(&hall, NULL, host));
        assert_string_equal(host, "first.test");
        hall_close(&hall);
    }
}

static void bad_files_at_start_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_len(spoilers); i++) {
        struct hall hall;
        hall_init(&hall);
        spoilers[i].spoil(&hall);
        hall.arrivals = arrivals_new(NULL, NULL, &hall.options);
        assert_int_equal(hall.arrivals == NULL, spoilers[i].at_start);
        hall.loop = loop_new();
        hall_close(&hall);
    }
}

static void other_findings_at_start(void **state)
{
    (void)state;
    static const char *const nobody[] = {"localhost"};
    struct hall hall;
    hall_init(&hall);
    hall.options.priorities = "NORMAL:+NONSENSE";
    assert_null(arrivals_new(NULL, NULL, &hall.options));
    hall.options.priorities = "NORMAL:-VERS-ALL:+VERS-TLS1.1";
    assert_null(arrivals_new(NULL, NULL, &hall.options));
    hall.options.priorities = "NORMAL";
    hall.options.proxies = nobody;
    assert_null(arrivals_new(NULL, NULL, &hall.options));
    hall.loop = loop_new();
    hall_close(&hall);
}

/* --- PROXY headers --- */

static void a_proxy_says_whose_connection_it_is(void **state)
{
    (void)state;
    static const struct {
        struct span header;
        const char *address;
    } cases[] = {
        {LITERAL("PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\n"), "192.0.2.1"},
        {LITERAL("PROXY TCP6 2001:db8::1 ::1 1 2\r\n"), "2001:db8::1"},
        {LITERAL("PROXY UNKNOWN\r\n"), "127.0.0.1"},
        {LITERAL("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13\xc0\0\2\7\x7f\0\0\1\0\1\0\2\4\0\4\r\n\r\n"), "192.0.2.7"},
        {LITERAL("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"), "127.0.0.1"},
    };
    struct hall hall;
    char buffer[64];
    hall_init(&hall);
    hall_open(&hall, "proxy:127.0.0.1:0");
    for (size_t i = 0; i < array_len(cases); i++) {
        for (int in_pieces = 0; in_pieces < 2; in_pieces++) {
            int fd = hall_connect(&hall);
            send_in_pieces(&hall, fd, cases[i].header, in_pieces ? 3 : cases[i].header.len);
            assert_int_equal(send(fd, "\r\nPROXY", 7, 0), 7);
            assert_true(hall_takes(&hall, 1));
            assert_true(span_is(peer_address(hall.leases[0]), cases[i].address));
            assert_int_equal(hall_read(&hall, hall.taken[0], buffer, sizeof(buffer)), 7);
            assert_memory_equal(buffer, "\r\nPROXY", 7);
            hall_drop(&hall);
            (void)close(fd);
        }
    }
    assert_int_equal(arrivals_count(hall.arrivals), 0);
    hall_close(&hall);
}

/* The header's own segment may hold the beginning of what follows. */
static void not_a_byte_behind_the_header_is_taken(void **state)
{
    (void)state;
    static const char text[] = "PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\nGET / HTTP/1.1\r\n\r\n";
    struct hall hall;
    char buffer[64];
    hall_init(&hall);
    hall_open(&hall, "proxy:127.0.0.1:0");
    int fd = hall_connect(&hall);
    assert_int_equal(send(fd, text, sizeof(text) - 1, 0), sizeof(text) - 1);
    assert_true(hall_takes(&hall, 1));
    assert_int_equal(hall_read(&hall, hall.taken[0], buffer, sizeof(buffer)), 18);
    assert_memory_equal(buffer, "GET / HTTP/1.1\r\n\r\n", 18);
    (void)close(fd);
    hall_close(&hall);
}

static void behind_the_header_comes_tls(void **state)
{
    (void)state;
    static const char header[] = "PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\n";
    struct hall hall;
    struct customer customer;
    hall_init(&hall);
    hall_open(&hall, "proxy:tls:127.0.0.1:0");
    assert_int_equal(strncmp(listener_address(hall.listener, 0), "proxy:tls:127.0.0.1:", 20), 0);
    customer_connect(&customer, &hall, NULL, "NORMAL");
    assert_int_equal(send(customer.fd, header, sizeof(header) - 1, 0), sizeof(header) - 1);
    assert_int_equal(customer_handshake(&hall, &customer), 0);
    assert_true(hall_takes(&hall, 1));
    assert_true(span_is(peer_address(hall.leases[0]), "192.0.2.1"));
    customer_close(&customer);
    hall_close(&hall);
}

static void bad_and_late_headers_are_closed(void **state)
{
    (void)state;
    static const struct span texts[] = {
        LITERAL("GET / HTTP/1.1\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"),
        LITERAL("PROXY TCP4 192.0.2.1\r\n"),
        LITERAL("\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c"),
        LITERAL("\x16\x03\x01\x02"),
        LITERAL("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2"), /* cut */
        LITERAL("PROXY TCP4 192.0.2.1 192"),
        LITERAL(""),
    };
    struct hall hall;
    hall_init(&hall);
    hall.options.handshake_ms = 40;
    hall_open(&hall, "proxy:127.0.0.1:0");
    for (size_t i = 0; i < array_len(texts); i++) {
        int64_t refused = metric_value(METRIC_REFUSED_PROXY);
        int fd = hall_connect(&hall);
        if (texts[i].len)
            assert_int_equal(send(fd, texts[i].data, texts[i].len, 0), texts[i].len);
        assert_true(is_ended(&hall, fd));
        assert_int_equal(metric_value(METRIC_REFUSED_PROXY), refused + 1);
        (void)close(fd);
    }
    assert_int_equal(hall.taken_count, 0);
    assert_int_equal(peers_count(hall.peers), 0);
    hall_close(&hall);
}

static void headers_of_strangers_are_not_read(void **state)
{
    (void)state;
    static const char *const elsewhere[] = {"192.0.2.0/24", "unix"};
    struct hall hall;
    hall_init(&hall);
    hall.options.proxies = elsewhere;
    hall.options.proxy_count = 2;
    hall_open(&hall, "proxy:127.0.0.1:0");
    int64_t refused = metric_value(METRIC_REFUSED_PROXY);
    int fd = hall_connect(&hall);
    assert_int_equal(send(fd, "PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\n", 36, MSG_NOSIGNAL), 36);
    assert_true(is_ended(&hall, fd));
    (void)close(fd);
    assert_int_equal(metric_value(METRIC_REFUSED_PROXY), refused + 1);
    assert_int_equal(hall.taken_count, 0);
    hall_close(&hall);
}

static void limits_per_address_go_by_the_header(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\n", "PROXY TCP4 192.0.2.1 127.0.0.1 3 2\r\n",
        "PROXY TCP4 192.0.2.2 127.0.0.1 1 2\r\n", "PROXY TCP4 192.0.2.1 127.0.0.1 4 2\r\n"};
    struct hall hall;
    int fds[4];
    hall_init(&hall);
    hall.limits = (struct peer_limits){.connections = 3, .connections_per_address = 2};
    hall_open(&hall, "proxy:127.0.0.1:0");
    for (size_t i = 0; i < 3; i++) {
        fds[i] = hall_connect(&hall);
        assert_true(send(fds[i], headers[i], strlen(headers[i]), 0) > 0);
        assert_true(hall_takes(&hall, i + 1)); /* the third has a place although there are just three */
    }
    drop_last(&hall);
    fds[3] = hall_connect(&hall);
    assert_true(send(fds[3], headers[3], strlen(headers[3]), 0) > 0);
    assert_true(is_ended(&hall, fds[3]));
    assert_int_equal(hall.taken_count, 2);
    for (size_t i = 0; i < 4; i++)
        (void)close(fds[i]);
    hall_close(&hall);
}

static void specs_need_what_they_ask_for(void **state)
{
    (void)state;
    struct hall hall;
    char why[LISTENER_WHY_SIZE] = "";
    hall_init(&hall);
    hall.options.certificate_count = 0;
    hall.options.proxy_count = 0;
    hall_open(&hall, "127.0.0.1:0");
    struct listener *none = NULL;
    struct listener_config config = {.peers = hall.peers, .arrivals = hall.arrivals};
    for (int without = 0; without < 2; without++) {
        config.spec = "tls:127.0.0.1:0";
        assert_int_equal(listener_open(hall.loop, &config, &none, why), ERR_INTERNAL);
        assert_non_null(strstr(why, "tls.certificate"));
        config.spec = "proxy:127.0.0.1:0";
        assert_int_equal(listener_open(hall.loop, &config, &none, why), ERR_INTERNAL);
        assert_non_null(strstr(why, "proxy.trusted"));
        config.arrivals = NULL;
    }
    assert_null(none);
    hall_close(&hall);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_both_ways),
        cmocka_unit_test(much_waits_for_a_slow_client),
        cmocka_unit_test(much_waits_for_a_slow_taker),
        cmocka_unit_test(the_end_of_the_taker_comes_after_its_bytes),
        cmocka_unit_test(each_way_ends_by_itself),
        cmocka_unit_test(the_end_of_the_client_reaches_the_taker),
        cmocka_unit_test(the_answer_arrives_behind_a_bare_fin),
        cmocka_unit_test(a_client_that_never_reads_is_cut_off_in_the_end),
        cmocka_unit_test(draining_waits_no_longer_for_who_was_waited_for_before),
        cmocka_unit_test(old_versions_are_refused_whatever_the_priorities_say),
        cmocka_unit_test(renegotiation_ends_the_connection),
        cmocka_unit_test(new_keys_on_the_way_are_no_renegotiation),
        cmocka_unit_test(new_keys_while_a_record_waits_lose_nothing),
        cmocka_unit_test(the_name_asked_for_picks_the_certificate),
        cmocka_unit_test(wildcards_and_twins_are_found),
        cmocka_unit_test(the_protocol_is_negotiated),
        cmocka_unit_test(sessions_are_resumed_with_tickets),
        cmocka_unit_test(what_is_not_tls_is_closed),
        cmocka_unit_test(a_handshake_has_a_deadline_in_all),
        cmocka_unit_test(a_handshake_in_single_bytes_is_one),
        cmocka_unit_test(many_handshakes_take_turns),
        cmocka_unit_test(handshakes_from_one_address_are_limited),
        cmocka_unit_test(who_makes_a_handshake_counts_as_connected),
        cmocka_unit_test(certificates_are_read_again),
        cmocka_unit_test(bad_files_leave_the_old_certificate_in_use),
        cmocka_unit_test(bad_files_at_start_are_refused),
        cmocka_unit_test(other_findings_at_start),
        cmocka_unit_test(a_proxy_says_whose_connection_it_is),
        cmocka_unit_test(not_a_byte_behind_the_header_is_taken),
        cmocka_unit_test(behind_the_header_comes_tls),
        cmocka_unit_test(bad_and_late_headers_are_closed),
        cmocka_unit_test(headers_of_strangers_are_not_read),
        cmocka_unit_test(limits_per_address_go_by_the_header),
        cmocka_unit_test(specs_need_what_they_ask_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
