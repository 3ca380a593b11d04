/* SPDX-License-Identifier: MIT */
/* The listener, the clients and the patience. */
#include "lib/arrival_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const http_protocols[] = {"http/1.1", NULL};

static void take(void *ctx, int fd, struct peer *lease)
{
    struct hall *hall = ctx;
    assert_true(hall->taken_count < HALL_TAKEN_MAX);
    hall->taken[hall->taken_count] = fd;
    hall->leases[hall->taken_count++] = lease;
}

void hall_certificate(struct hall *hall, size_t index, struct certificate_wish wish)
{
    certificate_make(&wish, hall->certificates[index], hall->keys[index]);
}

void hall_init(struct hall *hall)
{
    static const char *const loopback[] = {"127.0.0.1"};
    *hall = (struct hall){.folder = "/tmp/nereid-arrival-XXXXXX", .limits = {.connections = 100}};
    assert_non_null(mkdtemp(hall->folder));
    for (size_t i = 0; i < HALL_PAIRS_MAX; i++) {
        (void)snprintf(hall->certificates[i], sizeof(hall->certificates[i]), "%s/%zu.pem", hall->folder, i);
        (void)snprintf(hall->keys[i], sizeof(hall->keys[i]), "%s/%zu.key", hall->folder, i);
        hall->certificate_list[i] = hall->certificates[i];
        hall->key_list[i] = hall->keys[i];
    }
    hall->options = (struct arrivals_options){
        .certificates = hall->certificate_list,
        .keys = hall->key_list,
        .certificate_count = 1,
        .priorities = "NORMAL",
        .proxies = loopback,
        .proxy_count = 1,
        .handshake_ms = 5000,
    };
    hall_certificate(hall, 0, certificate_for("first.test"));
}

void hall_open(struct hall *hall, const char *spec)
{
    char why[LISTENER_WHY_SIZE] = "";
    hall->loop = loop_new();
    hall->peers = peers_new(hall->limits);
    hall->arrivals = arrivals_new(hall->loop, hall->peers, &hall->options);
    assert_non_null(hall->arrivals);
    struct listener_config config = {.spec = spec,
                                     .peers = hall->peers,
                                     .arrivals = hall->arrivals,
                                     .protocols = http_protocols,
                                     .take = take,
                                     .ctx = hall};
    assert_int_equal(listener_open(hall->loop, &config, &hall->listener, why), OK);
}

void hall_drop(struct hall *hall)
{
    for (size_t i = 0; i < hall->taken_count; i++) {
        if (hall->taken[i] >= 0)
            (void)close(hall->taken[i]);
        peer_release(hall->leases[i]);
    }
    hall->taken_count = 0;
}

void hall_close(struct hall *hall)
{
    hall_drop(hall);
    listener_close(hall->listener);
    arrivals_free(hall->arrivals);
    peers_free(hall->peers);
    loop_free(hall->loop);
    for (size_t i = 0; i < HALL_PAIRS_MAX; i++) {
        (void)unlink(hall->certificates[i]);
        (void)unlink(hall->keys[i]);
    }
    assert_int_equal(rmdir(hall->folder), 0);
}

bool hall_takes(struct hall *hall, size_t count)
{
    for (int i = 0; i < HALL_PATIENCE_TURNS && hall->taken_count < count; i++)
        loop_turn(hall->loop, 5);
    return hall->taken_count >= count;
}

int hall_connect(const struct hall *hall)
{
    const char *port = strrchr(listener_address(hall->listener, 0), ':') + 1;
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
    return fd;
}

/* --- a client over TLS --- */

void customer_connect(struct customer *customer, const struct hall *hall, const char *host, const char *priorities)
{
    customer->fd = hall_connect(hall);
    assert_int_equal(gnutls_init(&customer->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK), 0);
    assert_int_equal(gnutls_certificate_allocate_credentials(&customer->credentials), 0);
    assert_int_equal(gnutls_credentials_set(customer->session, GNUTLS_CRD_CERTIFICATE, customer->credentials), 0);
    assert_int_equal(gnutls_priority_set_direct(customer->session, priorities, NULL), 0);
    if (host)
        assert_int_equal(gnutls_server_name_set(customer->session, GNUTLS_NAME_DNS, host, strlen(host)), 0);
    gnutls_transport_set_int(customer->session, customer->fd);
}

void customer_close(struct customer *customer)
{
    gnutls_deinit(customer->session);
    gnutls_certificate_free_credentials(customer->credentials);
    if (customer->fd >= 0)
        (void)close(customer->fd);
}

void customer_reset(struct customer *customer)
{
    struct linger linger = {.l_onoff = 1};
    assert_int_equal(setsockopt(customer->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    (void)close(customer->fd);
    customer->fd = -1;
}

int customer_handshake(struct hall *hall, struct customer *customer)
{
    int status = GNUTLS_E_AGAIN;
    for (int i = 0; i < HALL_PATIENCE_TURNS && status == GNUTLS_E_AGAIN; i++) {
        status = gnutls_handshake(customer->session);
        loop_turn(hall->loop, 1);
    }
    return status;
}

void customer_enter(struct customer *customer, struct hall *hall)
{
    size_t count = hall->taken_count;
    customer_connect(customer, hall, "first.test", "NORMAL");
    assert_int_equal(customer_handshake(hall, customer), 0);
    assert_true(hall_takes(hall, count + 1));
}

ssize_t customer_read(struct hall *hall, struct customer *customer, char *buffer, size_t size)
{
    ssize_t got;
    for (int i = 0; (got = gnutls_record_recv(customer->session, buffer, size)) == GNUTLS_E_AGAIN; i++) {
        if (i == HALL_PATIENCE_TURNS)
            break;
        loop_turn(hall->loop, 1);
    }
    return got;
}

ssize_t hall_read(struct hall *hall, int fd, char *buffer, size_t size)
{
    ssize_t got;
    for (int i = 0; (got = recv(fd, buffer, size, MSG_DONTWAIT)) < 0 && errno == EAGAIN; i++) {
        if (i == HALL_PATIENCE_TURNS)
            break;
        loop_turn(hall->loop, 1);
    }
    return got;
}

bool hall_arrivals_become(struct hall *hall, uint32_t count)
{
    for (int i = 0; i < HALL_PATIENCE_TURNS && arrivals_count(hall->arrivals) != count; i++)
        loop_turn(hall->loop, 1);
    return arrivals_count(hall->arrivals) == count;
}
