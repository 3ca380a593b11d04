/* SPDX-License-Identifier: MIT */
/* Listening sockets of every kind, their real addresses, the limits on who gets in, and life without descriptors. */
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/metric.h"
#include "io/arrival.h"
#include "io/listener.h"

enum { TAKEN_MAX = 64, PATIENCE_TURNS = 1000 };

struct porch {
    struct loop *loop;
    struct peers *peers;
    struct arrivals *arrivals; /* null: neither TLS nor PROXY headers */
    struct listener *listener;
    char why[LISTENER_WHY_SIZE];
    int taken[TAKEN_MAX];
    struct peer *leases[TAKEN_MAX];
    size_t taken_count;
    char directory[64];
};

static void take(void *ctx, int fd, struct peer *lease)
{
    struct porch *porch = ctx;
    assert_true(porch->taken_count < TAKEN_MAX);
    porch->taken[porch->taken_count] = fd;
    porch->leases[porch->taken_count++] = lease;
}

static void porch_open(struct porch *porch, struct peer_limits limits)
{
    *porch = (struct porch){.directory = "/tmp/nereid-listener-XXXXXX"};
    assert_non_null(mkdtemp(porch->directory));
    porch->loop = loop_new();
    porch->peers = peers_new(limits);
    assert_non_null(porch->loop);
    assert_non_null(porch->peers);
}

static enum err open_spec(struct porch *porch, const char *spec)
{
    struct listener_config config = {
        .spec = spec, .peers = porch->peers, .arrivals = porch->arrivals, .take = take, .ctx = porch};
    return listener_open(porch->loop, &config, &porch->listener, porch->why);
}

/* What `proxy:` needs. */
static void trust_everybody_here(struct porch *porch)
{
    static const char *const here[] = {"127.0.0.1", "unix"};
    struct arrivals_options options = {
        .priorities = "NORMAL", .proxies = here, .proxy_count = array_len(here), .handshake_ms = 5000};
    porch->arrivals = arrivals_new(porch->loop, porch->peers, &options);
    assert_non_null(porch->arrivals);
}

static void drop_taken(struct porch *porch)
{
    for (size_t i = 0; i < porch->taken_count; i++) {
        (void)close(porch->taken[i]);
        peer_release(porch->leases[i]);
    }
    porch->taken_count = 0;
}

static void porch_close(struct porch *porch)
{
    drop_taken(porch);
    listener_close(porch->listener);
    arrivals_free(porch->arrivals);
    peers_free(porch->peers);
    loop_free(porch->loop);
    assert_int_equal(rmdir(porch->directory), 0);
}

static bool turn_until_taken(struct porch *porch, size_t count)
{
    for (int i = 0; i < PATIENCE_TURNS && porch->taken_count < count; i++)
        loop_turn(porch->loop, 5);
    return porch->taken_count >= count;
}

/* A client for the address that a listener gave. */
static int connect_to(const char *address)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    const char *colon = strrchr(address, ':');
    uint16_t port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    int fd, result;
    if (strncmp(address, "unix:", 5) == 0) {
        memcpy(un.sun_path, address + 5, strlen(address + 5));
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        result = connect(fd, (struct sockaddr *)&un, sizeof(un));
    } else if (address[0] == '[') {
        in6.sin6_addr = in6addr_loopback;
        in6.sin6_port = port;
        fd = socket(AF_INET6, SOCK_STREAM, 0);
        result = connect(fd, (struct sockaddr *)&in6, sizeof(in6));
    } else {
        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        in.sin_port = port;
        fd = socket(AF_INET, SOCK_STREAM, 0);
        result = connect(fd, (struct sockaddr *)&in, sizeof(in));
    }
    if (result == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static bool has_ipv6(void)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&in6, sizeof(in6)) == 0;
    if (fd >= 0)
        (void)close(fd);
    return has;
}

static const struct peer_limits plenty = {.connections = 1000};

/* --- specs --- */

static void specs_are_told_apart(void **state)
{
    (void)state;
    static const char *const good[] = {
        "127.0.0.1:8080", "0.0.0.0:0",        "*:80",       "localhost:65535", "[::1]:0",
        "[::]:1",         "unix:/run/x",      "unix:x",     "systemd",         "systemd:http",
        "tls:[::]:1",     "tls:systemd:http", "tls:unix:x", "proxy:*:80",      "proxy:tls:127.0.0.1:0",
        "proxy:systemd",
    };
    static const char *const bad[] = {
        "",
        ":",
        "8080",
        ":8080",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:8o",
        "127.0.0.1:999999999999",
        "::1:80",
        "[::1]",
        "[::1]80",
        "[::1]:",
        "[127.0.0.1]:80",
        "[]:80",
        "[::1:80",
        "example.org:80",
        "unix:",
        "systemd:",
        "systemdx",
        "256.0.0.1:80",
        ":::80",
        "tls:",
        "proxy:tls:",
        "tls:8443",
        "tls:tls:127.0.0.1:80",
        "tls:proxy:127.0.0.1:80",
        "proxy:proxy:127.0.0.1:80",
        "TLS:127.0.0.1:80",
    };
    char long_path[300] = "unix:/";
    for (size_t i = 0; i < array_len(good); i++)
        if (!listener_spec_valid(good[i]))
            fail_msg("%s", good[i]);
    for (size_t i = 0; i < array_len(bad); i++)
        if (listener_spec_valid(bad[i]))
            fail_msg("%s", bad[i]);
    memset(long_path + 6, 'x', 200);
    assert_false(listener_spec_valid(long_path));
}

static void a_bad_spec_opens_nothing_and_says_why(void **state)
{
    (void)state;
    struct porch porch;
    porch_open(&porch, plenty);
    assert_int_equal(open_spec(&porch, "nonsense"), ERR_BAD_FIELD);
    assert_non_null(strstr(porch.why, "nonsense"));
    porch_close(&porch);
}

/* --- kinds of sockets --- */

static void port_0_is_a_real_port_that_takes_connections(void **state)
{
    (void)state;
    static const char *const specs[] = {"127.0.0.1:0", "localhost:0", "*:0", "[::1]:0"};
    for (size_t i = 0; i < array_len(specs); i++) {
        struct porch porch;
        if (specs[i][0] == '[' && !has_ipv6())
            continue;
        porch_open(&porch, plenty);
        assert_int_equal(open_spec(&porch, specs[i]), OK);
        const char *address = listener_address(porch.listener, 0);
        assert_int_not_equal(strtoul(strrchr(address, ':') + 1, NULL, 10), 0);
        assert_null(listener_address(porch.listener, 1));
        int fd = connect_to(address);
        assert_true(fd >= 0);
        assert_true(turn_until_taken(&porch, 1));
        const char *loopback = specs[i][0] == '[' || address[1] == ':' ? "::1" : "127.0.0.1";
        assert_true(span_is(peer_address(porch.leases[0]), loopback));
        (void)close(fd);
        porch_close(&porch);
    }
}

static int option_of(int fd, int level, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);
    assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
    return value;
}

static void an_accepted_socket_has_its_options(void **state)
{
    (void)state;
    struct porch porch;
    porch_open(&porch, plenty);
    assert_int_equal(open_spec(&porch, "127.0.0.1:0"), OK);
    int client = connect_to(listener_address(porch.listener, 0));
    assert_true(turn_until_taken(&porch, 1));
    int fd = porch.taken[0];
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    int idle_s = option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE);
    int probes_s = option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL) * option_of(fd, IPPROTO_TCP, TCP_KEEPCNT);
    assert_true(idle_s > 0 && idle_s + probes_s <= 60);
    int vanished_ms = option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT);
    assert_true(vanished_ms > 0 && vanished_ms <= 60000);
    (void)close(client);
    porch_close(&porch);
}

static void a_unix_socket_is_made_used_and_removed(void **state)
{
    (void)state;
    struct porch porch;
    char spec[128];
    porch_open(&porch, plenty);
    (void)snprintf(spec, sizeof(spec), "unix:%s/socket", porch.directory);
    assert_int_equal(open_spec(&porch, spec), OK);
    assert_string_equal(listener_address(porch.listener, 0), spec);
    int fd = connect_to(spec);
    assert_true(fd >= 0);
    assert_true(turn_until_taken(&porch, 1));
    assert_int_equal(peer_address(porch.leases[0]).len, 0);
    (void)close(fd);
    porch_close(&porch); /* could not remove its directory if the file were still there */
}

static void say_who(int fd)
{
    static const char header[] = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n";
    assert_int_equal(send(fd, header, sizeof(header) - 1, 0), sizeof(header) - 1);
}

static void a_unix_socket_for_proxies_keeps_its_prefix(void **state)
{
    (void)state;
    struct porch porch;
    char spec[128];
    porch_open(&porch, plenty);
    trust_everybody_here(&porch);
    (void)snprintf(spec, sizeof(spec), "proxy:unix:%s/socket", porch.directory);
    assert_int_equal(open_spec(&porch, spec), OK);
    assert_string_equal(listener_address(porch.listener, 0), spec);
    int fd = connect_to(spec + strlen("proxy:"));
    say_who(fd);
    assert_true(turn_until_taken(&porch, 1));
    assert_true(span_is(peer_address(porch.leases[0]), "192.0.2.1"));
    (void)close(fd);
    porch_close(&porch); /* its file is gone too */
}

static void a_stale_unix_socket_is_replaced_but_a_live_one_is_not(void **state)
{
    (void)state;
    struct porch first, second;
    char spec[128];
    porch_open(&first, plenty);
    porch_open(&second, plenty);
    (void)snprintf(spec, sizeof(spec), "unix:%s/socket", first.directory);
    struct sockaddr_un stale = {.sun_family = AF_UNIX};
    memcpy(stale.sun_path, spec + 5, strlen(spec + 5));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&stale, sizeof(stale)), 0);
    (void)close(fd);
    assert_int_equal(open_spec(&first, spec), OK);
    assert_int_equal(open_spec(&second, spec), ERR_INTERNAL);
    assert_true(connect_to(spec) >= 0);
    porch_close(&second);
    assert_int_equal(access(spec + 5, F_OK), 0);
    porch_close(&first);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    (void)state;
    struct porch porch;
    char spec[128];
    porch_open(&porch, plenty);
    (void)snprintf(spec, sizeof(spec), "unix:%s/file", porch.directory);
    int fd = open(spec + 5, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(open_spec(&porch, spec), ERR_INTERNAL);
    assert_int_equal(unlink(spec + 5), 0);
    porch_close(&porch);
}

static void a_taken_port_is_an_error_with_its_reason(void **state)
{
    (void)state;
    struct porch first, second;
    porch_open(&first, plenty);
    porch_open(&second, plenty);
    assert_int_equal(open_spec(&first, "127.0.0.1:0"), OK);
    assert_int_equal(open_spec(&second, listener_address(first.listener, 0)), ERR_INTERNAL);
    assert_non_null(strstr(second.why, strerror(EADDRINUSE)));
    porch_close(&second);
    porch_close(&first);
}

static void systemd_without_sockets_is_an_error(void **state)
{
    (void)state;
    struct porch porch;
    porch_open(&porch, plenty);
    (void)unsetenv("LISTEN_FDS");
    assert_int_equal(open_spec(&porch, "systemd"), ERR_INTERNAL);
    porch_close(&porch);
}

#ifdef HAVE_SYSTEMD
/* A listening socket as descriptor 3, where systemd puts the first. Returns what was there. */
static int put_socket_first(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int kept = fcntl(3, F_DUPFD_CLOEXEC, 10);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(listen(fd, 5), 0);
    if (fd != 3) {
        assert_int_equal(dup2(fd, 3), 3);
        (void)close(fd);
    }
    return kept;
}

static void put_back(int kept)
{
    if (kept < 0)
        return;
    assert_int_equal(dup2(kept, 3), 3);
    (void)close(kept);
}

static void set_environment(void)
{
    char pid[16];
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    assert_int_equal(setenv("LISTEN_PID", pid, 1), 0);
    assert_int_equal(setenv("LISTEN_FDS", "1", 1), 0);
    assert_int_equal(setenv("LISTEN_FDNAMES", "http", 1), 0);
}

static void forget_environment(void)
{
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
}

static void sockets_from_systemd_are_found_by_their_name(void **state)
{
    (void)state;
    struct porch porch;
    int kept = put_socket_first();
    porch_open(&porch, plenty);
    set_environment();
    assert_int_equal(open_spec(&porch, "systemd:talker"), ERR_INTERNAL);
    assert_int_equal(open_spec(&porch, "systemd:http"), OK);
    int client = connect_to(listener_address(porch.listener, 0));
    assert_true(client >= 0);
    assert_true(turn_until_taken(&porch, 1));
    (void)close(client);
    forget_environment();
    porch_close(&porch);
    put_back(kept);
}

static void sockets_from_systemd_may_be_for_proxies(void **state)
{
    (void)state;
    struct porch porch;
    int kept = put_socket_first();
    porch_open(&porch, plenty);
    trust_everybody_here(&porch);
    set_environment();
    assert_int_equal(open_spec(&porch, "proxy:systemd:http"), OK);
    const char *address = listener_address(porch.listener, 0);
    assert_int_equal(strncmp(address, "proxy:127.0.0.1:", 16), 0);
    int client = connect_to(address + strlen("proxy:"));
    say_who(client);
    assert_true(turn_until_taken(&porch, 1));
    assert_true(span_is(peer_address(porch.leases[0]), "192.0.2.1"));
    (void)close(client);
    forget_environment();
    porch_close(&porch);
    put_back(kept);
}
#endif

static void a_closed_listener_takes_nobody(void **state)
{
    (void)state;
    struct porch porch;
    char address[64];
    porch_open(&porch, plenty);
    assert_int_equal(open_spec(&porch, "127.0.0.1:0"), OK);
    (void)snprintf(address, sizeof(address), "%s", listener_address(porch.listener, 0));
    listener_close(porch.listener);
    porch.listener = NULL;
    assert_int_equal(connect_to(address), -1);
    loop_turn(porch.loop, 0);
    assert_int_equal(porch.taken_count, 0);
    porch_close(&porch);
}

/* --- limits --- */

/* Whether the server closes the connection without a word. */
static bool is_refused(struct porch *porch, int fd)
{
    char byte;
    for (int i = 0; i < PATIENCE_TURNS; i++) {
        loop_turn(porch->loop, 5);
        ssize_t got = recv(fd, &byte, 1, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN))
            return true;
    }
    return false;
}

static void the_limit_on_all_connections_is_exact(void **state)
{
    (void)state;
    struct porch porch;
    int fds[4];
    porch_open(&porch, (struct peer_limits){.connections = 3});
    assert_int_equal(open_spec(&porch, "127.0.0.1:0"), OK);
    int64_t refused = metric_value(METRIC_REFUSED_CONNECTIONS);
    int64_t open = metric_value(METRIC_CONNECTIONS);
    for (int i = 0; i < 4; i++)
        fds[i] = connect_to(listener_address(porch.listener, 0));
    assert_true(turn_until_taken(&porch, 3));
    assert_true(is_refused(&porch, fds[3]));
    assert_int_equal(metric_value(METRIC_REFUSED_CONNECTIONS), refused + 1);
    assert_int_equal(metric_value(METRIC_CONNECTIONS), open + 3);
    drop_taken(&porch);
    assert_int_equal(metric_value(METRIC_CONNECTIONS), open);
    int again = connect_to(listener_address(porch.listener, 0));
    assert_true(turn_until_taken(&porch, 1));
    (void)close(again);
    for (int i = 0; i < 4; i++)
        (void)close(fds[i]);
    porch_close(&porch);
}

static void the_limit_per_address_is_exact(void **state)
{
    (void)state;
    struct porch porch;
    int fds[3];
    porch_open(&porch, (struct peer_limits){.connections = 100, .connections_per_address = 2});
    assert_int_equal(open_spec(&porch, "127.0.0.1:0"), OK);
    int64_t refused = metric_value(METRIC_REFUSED_ADDRESS);
    for (int i = 0; i < 3; i++)
        fds[i] = connect_to(listener_address(porch.listener, 0));
    assert_true(turn_until_taken(&porch, 2));
    assert_true(is_refused(&porch, fds[2]));
    assert_int_equal(metric_value(METRIC_REFUSED_ADDRESS), refused + 1);
    for (int i = 0; i < 3; i++)
        (void)close(fds[i]);
    porch_close(&porch);
}

/* --- peers alone --- */

static enum err admit_text(struct peers *peers, const char *text, struct peer **ret_lease)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
        return peer_admit(peers, (struct sockaddr *)&in, ret_lease);
    assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    return peer_admit(peers, (struct sockaddr *)&in6, ret_lease);
}

static void ipv6_counts_by_network_and_ipv4_by_address(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        const char *text;
        enum err err;
    } steps[] = {
        {"2001:db8::1", "2001:db8::1", OK},
        {"2001:db8::2", "2001:db8::2", OK},
        {"2001:db8::ffff:0:0:3", NULL, ERR_TOO_MANY}, /* the same /64 */
        {"2001:db8:0:1::1", "2001:db8:0:1::1", OK},
        {"192.0.2.1", "192.0.2.1", OK},
        {"::ffff:192.0.2.1", "192.0.2.1", OK}, /* the same address */
        {"192.0.2.1", NULL, ERR_TOO_MANY},
        {"192.0.2.2", "192.0.2.2", OK},
    };
    struct peer *leases[array_len(steps)] = {0};
    struct peers *peers = peers_new((struct peer_limits){.connections = 100, .connections_per_address = 2});
    for (size_t i = 0; i < array_len(steps); i++) {
        assert_int_equal(admit_text(peers, steps[i].address, &leases[i]), steps[i].err);
        if (steps[i].text)
            assert_true(span_is(peer_address(leases[i]), steps[i].text));
    }
    assert_int_equal(peers_count(peers), 6);
    peer_release(leases[0]);
    assert_int_equal(admit_text(peers, "2001:db8::9", &leases[0]), OK);
    for (size_t i = 0; i < array_len(steps); i++)
        peer_release(leases[i]);
    assert_int_equal(peers_count(peers), 0);
    peers_free(peers);
}

static void unix_sockets_have_no_limit_per_address(void **state)
{
    (void)state;
    struct sockaddr address = {.sa_family = AF_UNIX};
    struct peer *leases[5];
    struct peers *peers = peers_new((struct peer_limits){.connections = 5, .connections_per_address = 1});
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(peer_admit(peers, &address, &leases[i]), OK);
    assert_int_equal(peer_admit(peers, &address, &leases[0]), ERR_TOO_MANY);
    for (size_t i = 0; i < 5; i++)
        peer_release(leases[i]);
    peers_free(peers);
}

/* --- without descriptors --- */

static int next_fd(void)
{
    int fd = dup(0);
    assert_true(fd >= 0);
    (void)close(fd);
    return fd;
}

static void without_descriptors_connections_are_closed_and_no_time_is_burnt(void **state)
{
    (void)state;
    struct porch porch;
    struct rlimit old, tight;
    porch_open(&porch, plenty);
    assert_int_equal(open_spec(&porch, "127.0.0.1:0"), OK);
    int fds[5];
    for (int i = 0; i < 5; i++)
        fds[i] = connect_to(listener_address(porch.listener, 0));
    int64_t refused = metric_value(METRIC_REFUSED_FDS);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    tight = (struct rlimit){(rlim_t)next_fd(), old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    for (int i = 0; i < 5; i++)
        assert_true(is_refused(&porch, fds[i]));
    clock_t before = clock();
    for (int i = 0; i < 20; i++)
        loop_turn(porch.loop, 10);
    assert_true(clock() - before < CLOCKS_PER_SEC / 20);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(porch.taken_count, 0);
    assert_int_equal(metric_value(METRIC_REFUSED_FDS), refused + 5);
    int fd = connect_to(listener_address(porch.listener, 0));
    assert_true(turn_until_taken(&porch, 1)); /* it recovers by itself */
    (void)close(fd);
    for (int i = 0; i < 5; i++)
        (void)close(fds[i]);
    porch_close(&porch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(specs_are_told_apart),
        cmocka_unit_test(a_bad_spec_opens_nothing_and_says_why),
        cmocka_unit_test(port_0_is_a_real_port_that_takes_connections),
        cmocka_unit_test(an_accepted_socket_has_its_options),
        cmocka_unit_test(a_unix_socket_is_made_used_and_removed),
        cmocka_unit_test(a_unix_socket_for_proxies_keeps_its_prefix),
        cmocka_unit_test(a_stale_unix_socket_is_replaced_but_a_live_one_is_not),
        cmocka_unit_test(a_file_that_is_no_socket_is_left_alone),
        cmocka_unit_test(a_taken_port_is_an_error_with_its_reason),
        cmocka_unit_test(systemd_without_sockets_is_an_error),
#ifdef HAVE_SYSTEMD
        cmocka_unit_test(sockets_from_systemd_are_found_by_their_name),
        cmocka_unit_test(sockets_from_systemd_may_be_for_proxies),
#endif
        cmocka_unit_test(a_closed_listener_takes_nobody),
        cmocka_unit_test(the_limit_on_all_connections_is_exact),
        cmocka_unit_test(the_limit_per_address_is_exact),
        cmocka_unit_test(ipv6_counts_by_network_and_ipv4_by_address),
        cmocka_unit_test(unix_sockets_have_no_limit_per_address),
        cmocka_unit_test(without_descriptors_connections_are_closed_and_no_time_is_burnt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
