/* SPDX-License-Identifier: MIT */
/*
 * The gateway: how the parts work together from the first listener to the last byte. They are made in parts.c.
 *
 * Draining: listeners close, the hub ends all sessions (streams get their last chunk, polls their answer), the HTTP
 * servers answer what is pending, relays of TLS send what they hold, the store finishes, the loop stops. A timer cuts
 * that short after limits.drain.
 */
#include "gateway.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "auth/auth.h"
#include "base/log.h"
#include "io/listener.h"
#include "parts.h"

enum { LISTENERS_MAX = 64, SPARE_DESCRIPTORS = 64, START_WAIT_MS = 2000, DOORS_MAX = 3 };

struct gateway {
    struct parts *parts;
    struct listener *listeners[LISTENERS_MAX];
    size_t listener_count;
    struct timer start_timer; /* to open without the store */
    struct timer drain_timer;
    struct loop_task tick;
    bool opened; /* the listeners are */
    bool failed; /* could not start */
    bool http_drained;
    bool operators_drained;
};

enum err gateway_new(const struct options *options, struct gateway **ret_gateway)
{
    struct gateway *gateway = calloc(1, sizeof(*gateway));
    enum err err = gateway ? parts_new(options, &gateway->parts) : ERR_NO_MEMORY;
    if (err) {
        log_event(LOG_ERROR, "cannot start");
        gateway_free(gateway);
        return err;
    }
    *ret_gateway = gateway;
    return OK;
}

bool gateway_options_valid(const struct options *options)
{
    return parts_options_valid(options);
}

/* --- draining */

static void front_drained(void *ctx)
{
    bool *drained = ctx;
    *drained = true;
}

static void close_listeners(struct gateway *gateway)
{
    while (gateway->listener_count)
        listener_close(gateway->listeners[--gateway->listener_count]);
}

static void drain_over(struct timer *timer)
{
    struct gateway *gateway = container_of(timer, struct gateway, drain_timer);
    log_event(LOG_WARN, "draining took too long", log_int("connections", peers_count(gateway->parts->peers)));
    parts_cut(gateway->parts);
    parts_close_store(gateway->parts);
}

static void drain(struct gateway *gateway)
{
    struct parts *parts = gateway->parts;
    parts->admin.draining = true;
    timer_clear(loop_timers(parts->loop), &gateway->start_timer);
    close_listeners(gateway);
    arrivals_drain(parts->arrivals);
    hub_shut(parts->hub, ERR_SHUTTING_DOWN);
    nereid_shut(parts->nereid);
    if (parts->socketio)
        socketio_shut(parts->socketio);
    talker_shut(parts->talker);
    http_server_drain(parts->http.server, front_drained, &gateway->http_drained);
    http_server_drain(parts->operators.server, front_drained, &gateway->operators_drained);
    timer_set(loop_timers(parts->loop), &gateway->drain_timer,
              loop_now_ms(parts->loop) + parts->options->limits.drain_ms);
}

static bool is_drained(const struct gateway *gateway)
{
    const struct parts *parts = gateway->parts;
    return parts->admin.draining && gateway->http_drained && gateway->operators_drained &&
           conns_count(parts->conns) == 0 && arrivals_count(parts->arrivals) == 0;
}

/* The end of a turn. */
static void tick(struct loop_task *task)
{
    struct gateway *gateway = container_of(task, struct gateway, tick);
    hub_tick(gateway->parts->hub);
    if (!timer_is_set(&gateway->drain_timer) || !is_drained(gateway))
        return;
    timer_clear(loop_timers(gateway->parts->loop), &gateway->drain_timer);
    parts_close_store(gateway->parts);
}

static void got_end_signal(void *ctx, int number)
{
    struct gateway *gateway = ctx;
    if (gateway->parts->admin.draining) {
        (void)signal(number, SIG_DFL);
        (void)raise(number);
        return;
    }
    log_event(LOG_INFO, "draining", log_int("signal", number),
              log_int("connections", peers_count(gateway->parts->peers)));
    drain(gateway);
}

/* Each part keeps what it has if the new is bad, and has logged why. */
static void got_reload_signal(void *ctx, int number unused_arg)
{
    const struct gateway *gateway = ctx;
    log_reopen();
    enum err users = auth_reload(gateway->parts->auth);
    enum err certificates = gateway->parts->arrivals ? arrivals_reload(gateway->parts->arrivals) : OK;
    if (!users && !certificates)
        log_event(LOG_INFO, "reloaded");
}

/* --- starting */

static void take_http(void *ctx, int fd, struct peer *lease)
{
    http_server_take(ctx, fd, lease);
}

static void take_talker(void *ctx, int fd, struct peer *lease)
{
    talker_take(ctx, fd, lease);
}

/* A kind of listener, and what is behind it. */
struct door {
    const char *name;
    const struct conf_list *specs;
    listener_taker *take;
    void *ctx;
    const char *const *protocols;
};

static bool open_door(struct gateway *gateway, const struct door *door)
{
    struct parts *parts = gateway->parts;
    for (size_t i = 0; i < door->specs->count; i++) {
        char why[LISTENER_WHY_SIZE] = "too many listeners";
        struct listener_config config = {
            .spec = door->specs->items[i],
            .peers = parts->peers,
            .arrivals = parts->arrivals,
            .protocols = door->protocols,
            .take = door->take,
            .ctx = door->ctx,
        };
        struct listener **at = &gateway->listeners[gateway->listener_count];
        if (gateway->listener_count == LISTENERS_MAX || listener_open(parts->loop, &config, at, why) != OK) {
            log_event(LOG_ERROR, "cannot listen", log_text("for", door->name), log_text("address", config.spec),
                      log_text("reason", why));
            return false;
        }
        gateway->listener_count++;
    }
    return true;
}

/* Tells whoever started us where we are; a script may wait for these lines. */
static void announce(struct gateway *gateway, size_t first, size_t end, const char *name)
{
    for (size_t i = first; i < end; i++) {
        const char *address;
        for (size_t k = 0; (address = listener_address(gateway->listeners[i], k)); k++) {
            (void)printf("listening %s %s\n", name, address);
            admin_listens(&gateway->parts->admin, name, address);
        }
    }
    (void)fflush(stdout);
}

/* Nothing is announced unless all could be opened. */
static bool open_doors(struct gateway *gateway, const struct door *doors, size_t count)
{
    size_t ends[DOORS_MAX];
    for (size_t i = 0; i < count; i++) {
        if (!open_door(gateway, &doors[i]))
            return false;
        ends[i] = gateway->listener_count;
    }
    for (size_t i = 0; i < count; i++)
        announce(gateway, i ? ends[i - 1] : 0, ends[i], doors[i].name);
    return true;
}

static void open_all(struct gateway *gateway)
{
    static const char *const http_protocols[] = {"http/1.1", "http/1.0", NULL};
    const struct parts *parts = gateway->parts;
    const struct options *options = parts->options;
    const struct door doors[DOORS_MAX] = {
        {"http", &options->http.listen, take_http, parts->http.server, http_protocols},
        {"talker", &options->talker.listen, take_talker, parts->talker, NULL},
        {"admin", &options->admin.listen, take_http, parts->operators.server, http_protocols},
    };
    gateway->opened = true;
    if (!open_doors(gateway, doors, array_len(doors))) {
        gateway->failed = true;
        drain(gateway);
        return;
    }
    log_event(LOG_INFO, "started", log_text("version", PACKAGE_VERSION), log_span("store", parts->admin.store));
}

/* A store that is elsewhere may be away for long; clients are told so rather than left without an answer. */
static void open_without_store(struct timer *timer)
{
    struct gateway *gateway = container_of(timer, struct gateway, start_timer);
    log_event(LOG_WARN, "starting without the store");
    open_all(gateway);
}

static void hub_started(void *ctx, enum err err)
{
    struct gateway *gateway = ctx;
    timer_clear(loop_timers(gateway->parts->loop), &gateway->start_timer);
    if (gateway->parts->admin.draining)
        return;
    if (err) {
        log_event(LOG_ERROR, "the store cannot be used", log_err(err));
        gateway->failed = true;
        drain(gateway);
    } else if (!gateway->opened) {
        open_all(gateway);
    }
}

/* As many descriptors as the system allows; a limit beyond that would be a promise that cannot be kept. With TLS each
 * connection takes three. */
static void raise_descriptor_limit(const struct parts *parts)
{
    uint64_t connections = parts->options->limits.connections;
    uint64_t wanted = connections * (arrivals_speak_tls(parts->arrivals) ? 3 : 1) + SPARE_DESCRIPTORS;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < wanted)
        log_event(LOG_WARN, "fewer descriptors than limits.connections asks for",
                  log_int("descriptors", (int64_t)limit.rlim_cur), log_int("connections", (int64_t)connections));
}

static bool watch_signals(struct gateway *gateway)
{
    /* Writes to a closed socket and beyond a file size limit are errors to be handled where they happen. */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    return loop_on_signal(gateway->parts->loop, SIGTERM, got_end_signal, gateway) == OK &&
           loop_on_signal(gateway->parts->loop, SIGINT, got_end_signal, gateway) == OK &&
           loop_on_signal(gateway->parts->loop, SIGHUP, got_reload_signal, gateway) == OK;
}

static bool init_timers(struct gateway *gateway)
{
    struct timers *timers = loop_timers(gateway->parts->loop);
    return timer_init(timers, &gateway->drain_timer, drain_over) == OK &&
           timer_init(timers, &gateway->start_timer, open_without_store) == OK;
}

bool gateway_run(struct gateway *gateway)
{
    struct parts *parts = gateway->parts;
    raise_descriptor_limit(parts);
    if (!init_timers(gateway) || !watch_signals(gateway)) {
        log_event(LOG_ERROR, "cannot start");
        return false;
    }
    gateway->tick.run = tick;
    loop_add_task(parts->loop, LOOP_HOOK_HUB, &gateway->tick);
    timer_set(loop_timers(parts->loop), &gateway->start_timer, loop_now_ms(parts->loop) + START_WAIT_MS);
    hub_start(parts->hub, hub_started, gateway);
    loop_run(parts->loop);
    log_event(LOG_INFO, "stopped");
    return !gateway->failed;
}

void gateway_free(struct gateway *gateway)
{
    if (!gateway)
        return;
    if (gateway->parts) {
        close_listeners(gateway);
        timer_fini(loop_timers(gateway->parts->loop), &gateway->start_timer);
        timer_fini(loop_timers(gateway->parts->loop), &gateway->drain_timer);
    }
    parts_free(gateway->parts);
    free(gateway);
}
