/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets.
 *
 * Options of accepted TCP connections are set on the listening socket: Linux hands them down, which saves four system
 * calls per connection. (A test looks at an accepted one.) Together they notice a vanished peer within a minute, with
 * or without bytes on their way to it.
 */
#include "io/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>
#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "base/log.h"
#include "base/metric.h"
#include "io/arrival.h"

enum {
    ACCEPTS_PER_TURN = 64,
    PAUSE_MS = 200,
    KEEPALIVE_IDLE_S = 30,
    KEEPALIVE_INTERVAL_S = 10,
    KEEPALIVE_COUNT = 3,
    VANISHED_MS = 30000,
    HOST_SIZE = 64,
    ADDRESS_TEXT_SIZE = 128
};

struct door {
    uv_poll_t poll;
    struct listener *listener;
    struct timer pause; /* set: not accepting until then */
    int fd;
    bool made_file;
    bool warned; /* about missing descriptors, since the last accept that worked */
    dev_t file_device;
    ino_t file_number;
    char address[ADDRESS_TEXT_SIZE]; /* with the prefixes of its spec */
    char *bare_address;              /* in there, behind them */
};

struct listener {
    struct loop *loop;
    struct peers *peers;
    struct arrivals *arrivals; /* null, or what sees to `way` */
    struct arrival_way way;    /* neither TLS nor a PROXY header: connections go straight to the taker */
    int reserve_fd;            /* given up to take and close connections when descriptors run out; -1: none */
    size_t door_count;
    size_t doors_closing;
    struct door *doors[]; /* owned; freed by their close callbacks */
};

/* What a spec says, before anything is opened. */
struct spec {
    bool proxy, tls;
    enum { SPEC_TCP, SPEC_UNIX, SPEC_SYSTEMD } kind;
    bool only_ipv6;
    char host[HOST_SIZE];
    uint16_t port;
    const char *rest; /* of SPEC_UNIX the path, of SPEC_SYSTEMD the name or "" */
};

static enum err fail(char *why, enum err err, const char *what, const char *detail)
{
    (void)snprintf(why, LISTENER_WHY_SIZE, "%s: %s", what, detail);
    return err;
}

/* --- specs --- */

static const char proxy_prefix[] = "proxy:";
static const char tls_prefix[] = "tls:";

static bool port_parse(const char *text, uint16_t *ret_port)
{
    unsigned port = 0;
    if (!text[0])
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        port = port * 10 + (unsigned)(*text - '0');
        if (port > UINT16_MAX)
            return false;
    }
    *ret_port = (uint16_t)port;
    return true;
}

static bool host_copy(char *host, const char *from, size_t len)
{
    if (len == 0 || len >= HOST_SIZE)
        return false;
    memcpy(host, from, len);
    host[len] = '\0';
    return true;
}

static bool spec_parse_ipv6(const char *text, struct spec *spec)
{
    const char *end = strchr(text, ']');
    struct in6_addr ignored;
    spec->only_ipv6 = true;
    return end && end[1] == ':' && port_parse(end + 2, &spec->port) &&
           host_copy(spec->host, text + 1, (size_t)(end - text - 1)) && inet_pton(AF_INET6, spec->host, &ignored) == 1;
}

/* `*` is every address: IPv6 with IPv4 in its IPv6 form. */
static bool spec_parse_ipv4(const char *text, struct spec *spec)
{
    const char *colon = strrchr(text, ':');
    struct in_addr ignored;
    if (!colon || !port_parse(colon + 1, &spec->port) || !host_copy(spec->host, text, (size_t)(colon - text)))
        return false;
    if (strcmp(spec->host, "localhost") == 0)
        return host_copy(spec->host, "127.0.0.1", 9);
    if (strcmp(spec->host, "*") == 0)
        return host_copy(spec->host, "::", 2);
    return inet_pton(AF_INET, spec->host, &ignored) == 1;
}

static bool takes_prefix(const char **text, const char *prefix)
{
    size_t len = strlen(prefix);
    if (strncmp(*text, prefix, len) != 0)
        return false;
    *text += len;
    return true;
}

static bool spec_parse(const char *text, struct spec *spec)
{
    *spec = (struct spec){.kind = SPEC_TCP};
    spec->proxy = takes_prefix(&text, proxy_prefix);
    spec->tls = takes_prefix(&text, tls_prefix);
    if (strncmp(text, "unix:", 5) == 0) {
        spec->kind = SPEC_UNIX;
        spec->rest = text + 5;
        return spec->rest[0] && strlen(spec->rest) < sizeof(((struct sockaddr_un *)0)->sun_path);
    }
    if (strncmp(text, "systemd", 7) == 0 && (text[7] == '\0' || text[7] == ':')) {
        spec->kind = SPEC_SYSTEMD;
        spec->rest = text[7] ? text + 8 : "";
        return !text[7] || text[8];
    }
    return text[0] == '[' ? spec_parse_ipv6(text, spec) : spec_parse_ipv4(text, spec);
}

bool listener_spec_valid(const char *text)
{
    struct spec spec;
    return spec_parse(text, &spec);
}

/* --- sockets --- */

static void set_option(int fd, int level, int option, int value)
{
    (void)setsockopt(fd, level, option, &value, sizeof(value));
}

static void set_tcp_options(int fd)
{
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, VANISHED_MS);
}

static int new_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static bool bind_and_listen(int fd, const struct sockaddr *address, socklen_t len)
{
    return bind(fd, address, len) == 0 && listen(fd, SOMAXCONN) == 0;
}

static int open_ip(const struct sockaddr *address, socklen_t len, bool only_ipv6)
{
    int fd = new_socket(address->sa_family);
    if (fd < 0)
        return -1;
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (address->sa_family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, only_ipv6);
    if (bind_and_listen(fd, address, len))
        return fd;
    int error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

static int open_tcp(const struct spec *spec)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(spec->port)};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = in6.sin6_port};
    if (inet_pton(AF_INET, spec->host, &in.sin_addr) == 1)
        return open_ip((const struct sockaddr *)&in, sizeof(in), false);
    (void)inet_pton(AF_INET6, spec->host, &in6.sin6_addr);
    int fd = open_ip((const struct sockaddr *)&in6, sizeof(in6), spec->only_ipv6);
    if (fd < 0 && errno == EAFNOSUPPORT && !spec->only_ipv6)
        return open_ip((const struct sockaddr *)&in, sizeof(in), false);
    return fd;
}

/* Whether the file is a socket that nobody listens on. */
static bool is_stale(const struct sockaddr_un *address)
{
    struct stat file;
    if (lstat(address->sun_path, &file) || !S_ISSOCK(file.st_mode))
        return false;
    int fd = new_socket(AF_UNIX);
    if (fd < 0)
        return false;
    bool is_refused = connect(fd, (const struct sockaddr *)address, sizeof(*address)) && errno == ECONNREFUSED;
    (void)close(fd);
    return is_refused;
}

static int open_unix(const struct spec *spec)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, spec->rest, strlen(spec->rest)); /* spec_parse has seen that it fits */
    int fd = new_socket(AF_UNIX);
    if (fd < 0)
        return -1;
    const struct sockaddr *any = (const struct sockaddr *)&address;
    if (bind_and_listen(fd, any, sizeof(address)))
        return fd;
    if (errno == EADDRINUSE && is_stale(&address) && unlink(address.sun_path) == 0 &&
        bind_and_listen(fd, any, sizeof(address)))
        return fd;
    int error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

/* As in the spec. */
static void write_prefixes(struct door *door)
{
    const struct arrival_way *way = &door->listener->way;
    int len = snprintf(door->address, sizeof(door->address), "%s%s", way->proxy ? proxy_prefix : "",
                       way->tls ? tls_prefix : "");
    door->bare_address = door->address + len;
}

static void write_address(struct door *door)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    } at = {.any = {0}};
    socklen_t len = sizeof(at);
    char host[INET6_ADDRSTRLEN] = "";
    write_prefixes(door);
    char *text = door->bare_address;
    size_t size = (size_t)(door->address + sizeof(door->address) - text);
    (void)getsockname(door->fd, &at.any, &len);
    if (at.any.sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &at.in.sin_addr, host, sizeof(host));
        (void)snprintf(text, size, "%s:%u", host, (unsigned)ntohs(at.in.sin_port));
    } else if (at.any.sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &at.in6.sin6_addr, host, sizeof(host));
        (void)snprintf(text, size, "[%s]:%u", host, (unsigned)ntohs(at.in6.sin6_port));
    } else {
        (void)snprintf(text, size, "unix:%.*s", (int)sizeof(at.un.sun_path), at.un.sun_path);
    }
}

/* --- accepting --- */

static void on_readable(uv_poll_t *poll, int status, int events);

static void door_resume(struct door *door)
{
    (void)uv_poll_start(&door->poll, UV_READABLE, on_readable);
}

static void on_pause_over(struct timer *timer)
{
    door_resume(container_of(timer, struct door, pause));
}

static void door_pause(struct door *door)
{
    struct loop *loop = door->listener->loop;
    (void)uv_poll_stop(&door->poll);
    timer_set(loop_timers(loop), &door->pause, loop_now_ms(loop) + PAUSE_MS);
}

static int open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Out of descriptors: the reserve takes connections one by one, just to close them. */
static void refuse_waiting(struct door *door)
{
    struct listener *listener = door->listener;
    if (!door->warned)
        log_event(LOG_WARN, "out of descriptors, refusing connections", log_text("listener", door->address));
    door->warned = true;
    for (int i = 0; i < ACCEPTS_PER_TURN && listener->reserve_fd >= 0; i++) {
        (void)close(listener->reserve_fd);
        int fd = accept4(door->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            (void)close(fd);
            metric_add(METRIC_REFUSED_FDS, 1);
        }
        listener->reserve_fd = open_reserve();
        if (fd < 0)
            break;
    }
    door_pause(door);
    if (listener->reserve_fd < 0)
        listener->reserve_fd = open_reserve();
}

static void take_connection(struct listener *listener, int fd, const struct sockaddr *from)
{
    struct peer *lease;
    if (listener->way.proxy || listener->way.tls) {
        arrivals_take(listener->arrivals, &listener->way, fd, from);
        return;
    }
    enum err err = peer_admit(listener->peers, from, &lease);
    if (err) {
        log_event(LOG_DEBUG, "connection refused", log_err(err));
        (void)close(fd);
        return;
    }
    metric_add(METRIC_ACCEPTED, 1);
    listener->way.take(listener->way.ctx, fd, lease);
}

/* False: nothing more to accept for now. */
static bool accept_one(struct door *door)
{
    struct sockaddr_storage from = {0};
    socklen_t len = sizeof(from);
    int fd = accept4(door->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        door->warned = false;
        take_connection(door->listener, fd, (const struct sockaddr *)&from);
        return true;
    }
    int error = errno;
    if (error == EMFILE || error == ENFILE)
        refuse_waiting(door);
    else if (error == ENOBUFS || error == ENOMEM)
        door_pause(door);
    /* Whoever gave up while waiting is no reason to stop accepting others. */
    return error == ECONNABORTED || error == EINTR;
}

static void on_readable(uv_poll_t *poll, int status unused_arg, int events unused_arg)
{
    struct door *door = container_of(poll, struct door, poll);
    for (int i = 0; i < ACCEPTS_PER_TURN && uv_is_active((uv_handle_t *)poll); i++)
        if (!accept_one(door))
            break;
}

/* --- opening and closing --- */

static void on_door_closed(uv_handle_t *handle)
{
    struct door *door = container_of(handle, struct door, poll);
    struct listener *listener = door->listener;
    free(door);
    if (--listener->doors_closing == 0)
        free(listener);
}

static void remember_file(struct door *door, const char *path)
{
    struct stat file;
    if (lstat(path, &file))
        return;
    door->made_file = true;
    door->file_device = file.st_dev;
    door->file_number = file.st_ino;
}

/* Not if somebody else has put a file there meanwhile. */
static void remove_file(const struct door *door)
{
    struct stat file;
    const char *path = door->bare_address + strlen("unix:");
    if (door->made_file && lstat(path, &file) == 0 && file.st_dev == door->file_device &&
        file.st_ino == door->file_number)
        (void)unlink(path);
}

/* Consumes the descriptor on success only. */
static enum err door_add(struct listener *listener, int take_fd)
{
    struct door *door = calloc(1, sizeof(*door));
    if (!door)
        return ERR_NO_MEMORY;
    if (timer_init(loop_timers(listener->loop), &door->pause, on_pause_over)) {
        free(door);
        return ERR_NO_MEMORY;
    }
    if (uv_poll_init(loop_uv(listener->loop), &door->poll, take_fd)) {
        timer_fini(loop_timers(listener->loop), &door->pause);
        free(door);
        return ERR_INTERNAL;
    }
    door->listener = listener;
    door->fd = take_fd;
    set_tcp_options(take_fd);
    write_address(door);
    listener->doors[listener->door_count++] = door;
    door_resume(door);
    return OK;
}

static struct listener *listener_new(struct loop *loop, const struct listener_config *config, const struct spec *spec,
                                     size_t doors)
{
    struct listener *listener = calloc(1, sizeof(*listener) + doors * sizeof(struct door *));
    if (!listener)
        return NULL;
    listener->loop = loop;
    listener->peers = config->peers;
    listener->arrivals = config->arrivals;
    listener->way = (struct arrival_way){spec->proxy, spec->tls, config->protocols, config->take, config->ctx};
    listener->reserve_fd = open_reserve();
    return listener;
}

static enum err open_one(struct loop *loop, const struct listener_config *config, const struct spec *spec,
                         struct listener **ret_listener, char *why)
{
    int fd = spec->kind == SPEC_UNIX ? open_unix(spec) : open_tcp(spec);
    if (fd < 0)
        return fail(why, ERR_INTERNAL, config->spec, strerror(errno));
    struct listener *listener = listener_new(loop, config, spec, 1);
    enum err err = listener ? door_add(listener, fd) : ERR_NO_MEMORY;
    if (err) {
        (void)close(fd);
        listener_close(listener);
        return fail(why, err, config->spec, err_sentence(err));
    }
    if (spec->kind == SPEC_UNIX)
        remember_file(listener->doors[0], spec->rest);
    *ret_listener = listener;
    return OK;
}

#ifdef HAVE_SYSTEMD
static bool is_wanted(int fd, const char *name, const char *wanted)
{
    return (!wanted[0] || (name && strcmp(name, wanted) == 0)) && sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) > 0;
}

static enum err open_systemd(struct loop *loop, const struct listener_config *config, const struct spec *spec,
                             struct listener **ret_listener, char *why)
{
    char **names = NULL;
    int count = sd_listen_fds_with_names(0, &names);
    struct listener *listener = listener_new(loop, config, spec, count > 0 ? (size_t)count : 0);
    enum err err = listener ? OK : ERR_NO_MEMORY;
    for (int i = 0; i < count && !err; i++) {
        int fd = SD_LISTEN_FDS_START + i;
        if (is_wanted(fd, names ? names[i] : NULL, spec->rest) &&
            fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0)
            err = door_add(listener, fd);
    }
    for (int i = 0; i < count && names; i++)
        free(names[i]);
    free(names);
    if (!err && listener->door_count == 0)
        err = ERR_INTERNAL;
    if (err) {
        listener_close(listener);
        return fail(why, err, config->spec, "systemd has passed no such listening socket");
    }
    *ret_listener = listener;
    return OK;
}
#else
static enum err open_systemd(struct loop *loop unused_arg, const struct listener_config *config,
                             const struct spec *spec unused_arg, struct listener **ret_listener unused_arg, char *why)
{
    return fail(why, ERR_INTERNAL, config->spec, "this build knows nothing of systemd");
}
#endif

/* Null: the spec asks for nothing that is not there. */
static const char *lacking(const struct spec *spec, const struct arrivals *arrivals)
{
    if (spec->tls && (!arrivals || !arrivals_speak_tls(arrivals)))
        return "there is no certificate for it (tls.certificate, tls.key)";
    if (spec->proxy && (!arrivals || !arrivals_trust_proxies(arrivals)))
        return "nobody is trusted to send PROXY headers (proxy.trusted)";
    return NULL;
}

enum err listener_open(struct loop *loop, const struct listener_config *config, struct listener **ret_listener,
                       char why[LISTENER_WHY_SIZE])
{
    struct spec spec;
    if (!spec_parse(config->spec, &spec))
        return fail(
            why, ERR_BAD_FIELD, config->spec,
            "not HOST:PORT, [IPv6]:PORT, unix:PATH or systemd[:NAME], with proxy: or tls: or proxy:tls: before it");
    const char *lack = lacking(&spec, config->arrivals);
    if (lack)
        return fail(why, ERR_INTERNAL, config->spec, lack);
    if (spec.kind == SPEC_SYSTEMD)
        return open_systemd(loop, config, &spec, ret_listener, why);
    return open_one(loop, config, &spec, ret_listener, why);
}

const char *listener_address(const struct listener *listener, size_t index)
{
    return index < listener->door_count ? listener->doors[index]->address : NULL;
}

void listener_close(struct listener *listener)
{
    if (!listener)
        return;
    if (listener->reserve_fd >= 0)
        (void)close(listener->reserve_fd);
    listener->doors_closing = listener->door_count;
    for (size_t i = 0; i < listener->door_count; i++) {
        struct door *door = listener->doors[i];
        timer_fini(loop_timers(listener->loop), &door->pause);
        uv_close((uv_handle_t *)&door->poll, on_door_closed);
        remove_file(door);
        (void)close(door->fd);
    }
    if (listener->door_count == 0)
        free(listener);
}
