/* SPDX-License-Identifier: MIT */
/*
 * The gateway: every part is made here and nowhere else, so this file is also the map of what knows what.
 *
 * Draining: listeners close, the hub ends all sessions (streams get their last chunk, polls their answer), the HTTP servers answer what is
 * pending, the store finishes, the loop stops. A timer cuts that short after limits.drain.
 */
#include "gateway.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "adapters/nereid/nereid.h"
#include "adapters/socketio/socketio.h"
#include "admin/admin.h"
#include "auth/auth.h"
#include "base/log.h"
#include "http/server.h"
#include "http/static.h"
#include "io/listener.h"
#include "store/store_open.h"

enum { LISTENERS_MAX = 64, SPARE_DESCRIPTORS = 64, START_WAIT_MS = 2000 };

/* A kind of listener with the server behind it. */
struct front {
    const char *name;
    struct router *router;
    struct http_server *server;
    bool drained;
};

struct gateway {
    const struct options *options;
    struct loop *loop;
    struct peers *peers;
    struct conns *conns;
    struct auth *auth;
    struct store *store;
    struct hub *hub;
    struct nereid *nereid;
    struct socketio *socketio; /* null: not spoken */
    struct statics *statics;
    struct admin admin;
    struct front http;
    struct front operators;
    struct http_limits limits;
    struct listener *listeners[LISTENERS_MAX];
    size_t listener_count;
    const char **origins;     /* ends with null */
    struct timer start_timer; /* to open without the store */
    struct timer drain_timer;
    struct loop_task tick;
    bool opened; /* the listeners are */
    bool failed; /* could not start */
    bool store_closed;
};

/* --- options to the structs of the parts */

static enum auth_method method_of(unsigned word)
{
    static const enum auth_method methods[] = {
        [CONF_AUTH_DEMO] = AUTH_DEMO,
        [CONF_AUTH_BASIC] = AUTH_BASIC,
        [CONF_AUTH_HEADER] = AUTH_HEADER,
        [CONF_AUTH_JWT] = AUTH_JWT,
    };
    return methods[word];
}

static const char *algorithm_of(enum conf_jwt_algorithm word)
{
#define WORD(constant, text) [constant] = text,
    static const char *const texts[] = {CONF_JWT_ALGORITHM_WORDS(WORD)};
#undef WORD
    return texts[word];
}

static const char *if_set(const char *text)
{
    return text[0] ? text : NULL;
}

static struct auth *make_auth(const struct options *options, struct loop *loop)
{
    enum auth_method methods[CONF_WORDS_MAX];
    for (unsigned i = 0; i < options->auth.methods.count; i++)
        methods[i] = method_of(options->auth.methods.items[i]);
    struct auth_options auth = {
        .methods = methods,
        .method_count = options->auth.methods.count,
        .users = if_set(options->auth.users),
        .login_failures_per_minute = options->limits.login_failures_per_minute,
        .login_cache_ms = options->auth.login_cache_ms,
        .header = if_set(options->auth.header),
        .name_header = if_set(options->auth.name_header),
        .trusted = (const char *const *)options->auth.trusted.items,
        .trusted_count = options->auth.trusted.count,
        .jwt_key = if_set(options->auth.jwt_key),
        .jwt_jwks = if_set(options->auth.jwt_jwks),
        .jwt_algorithm = algorithm_of(options->auth.jwt_algorithm),
        .jwt_claim = if_set(options->auth.jwt_claim),
        .jwt_name_claim = if_set(options->auth.jwt_name_claim),
        .jwt_audience = if_set(options->auth.jwt_audience),
        .jwt_issuer = if_set(options->auth.jwt_issuer),
        .jwt_skew_ms = options->auth.jwt_skew_ms,
    };
    return auth_new(&auth, loop, loop ? loop_clock(loop) : NULL);
}

bool gateway_options_valid(const struct options *options)
{
    struct auth *auth = make_auth(options, NULL);
    bool valid = auth != NULL;
    auth_free(auth);
    return valid && store_check(options->store.url, if_set(options->store.credentials));
}

static bool make_store(struct gateway *gateway)
{
    static const enum durability durabilities[] = {
        [CONF_DURABILITY_FULL] = DURABILITY_FULL,
        [CONF_DURABILITY_NORMAL] = DURABILITY_NORMAL,
        [CONF_DURABILITY_OFF] = DURABILITY_OFF,
    };
    const struct options *options = gateway->options;
    struct store_options store = {
        .durability = durabilities[options->store.durability],
        .retention_ms = options->store.retention_ms,
        .retention_count = options->store.retention_count,
        .queue_max = options->store.queue,
        .credentials = if_set(options->store.credentials),
        .deadline_ms = options->store.deadline_ms,
        .lease_ms = options->store.lease_ms,
        .lease_renewal_ms = options->store.lease_renewal_ms,
        .grace_ms = options->presence.grace_ms,
        .message_bytes = options->limits.text_bytes + options->limits.attachments_size_bytes,
        .replicas = options->store.replicas,
    };
    /* The store has logged why it cannot be opened. */
    return store_open(gateway->loop, options->store.url, &store, &gateway->store) == OK;
}

static struct hub *make_hub(struct gateway *gateway)
{
    const struct options *options = gateway->options;
    struct hub_options hub = {
        .friends = options->nereid.friends == CONF_FRIENDS_EVERYONE ? FRIENDS_EVERYONE : FRIENDS_THREADS,
        .grace_ms = options->presence.grace_ms,
        .token_ttl_ms = options->token.ttl_ms,
        .token_ends_streams = options->token.ends_streams,
        .sessions_per_user = options->limits.sessions_per_user,
        .streams_per_token = options->limits.streams_per_token,
        .members_max = options->limits.members,
        .text_max = (uint32_t)options->limits.text_bytes,
        .attachments_max = (uint32_t)options->limits.attachments_size_bytes,
        .sends_per_minute = options->limits.send_rate_per_minute,
        .tokens_per_minute = options->limits.token_rate_per_minute,
    };
    return hub_new(&hub, gateway->store, loop_timers(gateway->loop), loop_clock(gateway->loop));
}

static struct nereid *make_nereid(struct gateway *gateway)
{
    const struct options *options = gateway->options;
    struct nereid_options nereid = {
        .dialect = options->nereid.dialect == CONF_DIALECT_MODULE ? DIALECT_MODULE : DIALECT_SPEC,
        .entity_prefix = options->nereid.entity_prefix,
        .heartbeat_ms = options->nereid.heartbeat_ms,
        .poll_wait_ms = options->limits.poll_wait_ms,
        .history_max = options->limits.history,
        .attachments_max = options->limits.attachments,
        .probes_per_minute = options->limits.probe_rate_per_minute,
    };
    return nereid_new(&nereid, gateway->hub, gateway->loop, gateway->conns);
}

static bool has_demo(const struct options *options)
{
    for (unsigned i = 0; i < options->auth.methods.count; i++)
        if (options->auth.methods.items[i] == CONF_AUTH_DEMO)
            return true;
    return false;
}

static struct engine_options engine_options_of(const struct options *options)
{
    return (struct engine_options){
        .path = options->socketio.path,
        .allow_old = options->socketio.old_clients,
        .jsonp = options->socketio.jsonp,
        .ping_interval_ms = options->socketio.ping_interval_ms,
        .ping_timeout_ms = options->socketio.ping_timeout_ms,
        .upgrade_timeout_ms = options->socketio.upgrade_timeout_ms,
        .payload_bytes = options->socketio.max_payload_bytes,
        .payload_packets = options->socketio.packets,
        .fragments = options->socketio.fragments,
        .sessions = options->socketio.sessions,
        .sessions_per_address = options->socketio.sessions_per_address,
        .queue_bytes = options->limits.queue_bytes,
    };
}

static bool make_socketio(struct gateway *gateway)
{
    const struct options *options = gateway->options;
    const struct store_ops *store = gateway->store->ops;
    bool demo = has_demo(options);
    struct socketio_options socketio = {
        .engine = engine_options_of(options),
        .legacy = options->socketio.legacy,
        .connect_timeout_ms = options->socketio.connect_timeout_ms,
        .attachments = options->socketio.attachments,
        .rooms = options->socketio.rooms,
        .json_depth = options->limits.json_depth,
        .recovery_ms = options->socketio.recovery ? options->socketio.recovery_time_ms : 0,
        .recovery_events = options->socketio.recovery_events,
        .bundles = if_set(options->socketio.client),
        .redis_prefix = options->socketio.redis_prefix,
        .entity_prefix = options->nereid.entity_prefix,
        .maxtalk_trust_username = options->maxtalk.trust_username || demo,
        .messaging_authenticate_ms = options->messaging.authenticate_time_ms,
        .sockets_room = options->sockets.room,
        .sockets_guests =
            options->sockets.guests == CONF_GUESTS_YES || (options->sockets.guests == CONF_GUESTS_DEMO && demo),
        .demo = demo,
    };
    if (!options->socketio.path[0])
        return true;
    gateway->socketio = socketio_new(&socketio, socketio_apps, gateway->hub, gateway->auth,
                                     store->bus ? store->bus(gateway->store) : NULL, gateway->loop, gateway->conns);
    return gateway->socketio != NULL;
}

static struct http_limits http_limits_of(const struct options *options)
{
    size_t header_bytes = options->limits.header_bytes;
    return (struct http_limits){
        .header_bytes = header_bytes,
        .url_bytes = options->limits.url_bytes < header_bytes ? options->limits.url_bytes : header_bytes,
        .body_bytes = options->limits.body_bytes,
        .json_depth = options->limits.json_depth,
        .header_ms = options->limits.header_time_ms,
        .request_ms = options->limits.request_time_ms,
        .idle_ms = options->limits.idle_ms,
    };
}

/* --- building */

/* A token check for the router, answered by the hub. */
struct check {
    token_done *done;
    void *ctx;
};

static void token_is_checked(void *ctx, enum err err, const struct token_record *token)
{
    struct check *check = ctx;
    struct identity identity = {0};
    if (!err)
        identity = (struct identity){.user = token->user, .expires_us = token->expires_us};
    check->done(check->ctx, err, err ? NULL : &identity);
    free(check);
}

static void check_token(void *ctx, struct id token, token_done *done, void *done_ctx)
{
    struct gateway *gateway = ctx;
    struct check *check = malloc(sizeof(*check));
    if (!check) {
        done(done_ctx, ERR_NO_MEMORY, NULL);
        return;
    }
    *check = (struct check){done, done_ctx};
    hub_token_check(gateway->hub, token, token_is_checked, check);
}

static bool list_origins(struct gateway *gateway)
{
    const struct conf_list *list = &gateway->options->http.allow_origins;
    gateway->origins = calloc(list->count + 1, sizeof(*gateway->origins));
    for (size_t i = 0; gateway->origins && i < list->count; i++)
        gateway->origins[i] = list->items[i];
    return gateway->origins != NULL;
}

static bool open_front(struct gateway *gateway, struct front *front, const char *name,
                       const struct router_config *config)
{
    front->name = name;
    front->router = router_new(config);
    if (front->router)
        front->server = http_server_open(gateway->loop, gateway->conns, front->router, &gateway->limits);
    return front->server != NULL;
}

static bool open_pages(struct gateway *gateway)
{
    const struct options *options = gateway->options;
    if (!options->http.www[0])
        return true;
    enum err err = statics_open(options->http.www, (unsigned)(options->http.cache_ms / 1000), &gateway->statics);
    if (err == ERR_NO_MEMORY)
        return false;
    if (err)
        log_event(LOG_WARN, "no pages are served", log_text("http.www", options->http.www), log_err(err));
    else
        router_set_fallback(gateway->http.router, statics_handle, gateway->statics);
    return true;
}

static bool make_parts(struct gateway *gateway)
{
    const struct options *options = gateway->options;
    struct peer_limits peer_limits = {options->limits.connections, options->limits.connections_per_address};
    struct conns_limits conn_limits = {(uint32_t)options->limits.queue_bytes,
                                       (uint32_t)(options->limits.drain_ms * 3 / 4) + 1};
    gateway->limits = http_limits_of(options);
    return (gateway->loop = loop_new()) && (gateway->peers = peers_new(peer_limits)) &&
           (gateway->conns = conns_new(gateway->loop, conn_limits)) &&
           (gateway->auth = make_auth(options, gateway->loop)) && make_store(gateway) &&
           (gateway->hub = make_hub(gateway)) && (gateway->nereid = make_nereid(gateway)) && make_socketio(gateway);
}

static bool mount_socketio(struct gateway *gateway)
{
    return !gateway->socketio || (socketio_mount(gateway->socketio, gateway->http.router) == OK &&
                                  socketio_mount_emit(gateway->socketio, gateway->operators.router) == OK);
}

static bool make_fronts(struct gateway *gateway)
{
    if (!list_origins(gateway))
        return false;
    struct router_config clients = {gateway->auth, gateway->origins, check_token, gateway};
    struct router_config operators = {0};
    gateway->admin = (struct admin){gateway->hub, PACKAGE_VERSION, false};
    return open_front(gateway, &gateway->http, "http", &clients) &&
           nereid_mount(gateway->nereid, gateway->http.router) == OK && open_pages(gateway) &&
           open_front(gateway, &gateway->operators, "admin", &operators) &&
           admin_mount(&gateway->admin, gateway->operators.router) == OK && mount_socketio(gateway);
}

struct gateway *gateway_new(const struct options *options)
{
    struct gateway *gateway = calloc(1, sizeof(*gateway));
    if (!gateway)
        return NULL;
    gateway->options = options;
    if (make_parts(gateway) && make_fronts(gateway))
        return gateway;
    log_event(LOG_ERROR, "cannot start");
    gateway_free(gateway);
    return NULL;
}

/* --- draining */

static void store_is_closed(void *ctx)
{
    struct gateway *gateway = ctx;
    gateway->store_closed = true;
    gateway->store = NULL;
    loop_stop(gateway->loop);
}

static void close_store(struct gateway *gateway)
{
    if (gateway->store)
        gateway->store->ops->close(gateway->store, store_is_closed, gateway);
}

static void front_drained(void *ctx)
{
    struct front *front = ctx;
    front->drained = true;
}

static void close_listeners(struct gateway *gateway)
{
    while (gateway->listener_count)
        listener_close(gateway->listeners[--gateway->listener_count]);
}

static void drain_over(struct timer *timer)
{
    struct gateway *gateway = container_of(timer, struct gateway, drain_timer);
    log_event(LOG_WARN, "draining took too long", log_int("connections", peers_count(gateway->peers)));
    http_server_close(gateway->http.server);
    http_server_close(gateway->operators.server);
    gateway->http.server = gateway->operators.server = NULL;
    close_store(gateway);
}

static void drain(struct gateway *gateway)
{
    gateway->admin.draining = true;
    timer_clear(loop_timers(gateway->loop), &gateway->start_timer);
    close_listeners(gateway);
    hub_shut(gateway->hub, ERR_SHUTTING_DOWN);
    nereid_shut(gateway->nereid);
    if (gateway->socketio)
        socketio_shut(gateway->socketio);
    http_server_drain(gateway->http.server, front_drained, &gateway->http);
    http_server_drain(gateway->operators.server, front_drained, &gateway->operators);
    timer_set(loop_timers(gateway->loop), &gateway->drain_timer,
              loop_now_ms(gateway->loop) + gateway->options->limits.drain_ms);
}

static bool is_drained(const struct gateway *gateway)
{
    return gateway->admin.draining && gateway->http.drained && gateway->operators.drained &&
           conns_count(gateway->conns) == 0;
}

/* The end of a turn. */
static void tick(struct loop_task *task)
{
    struct gateway *gateway = container_of(task, struct gateway, tick);
    hub_tick(gateway->hub);
    if (!is_drained(gateway) || !timer_is_set(&gateway->drain_timer))
        return;
    timer_clear(loop_timers(gateway->loop), &gateway->drain_timer);
    close_store(gateway);
}

static void got_end_signal(void *ctx, int number)
{
    struct gateway *gateway = ctx;
    if (gateway->admin.draining) {
        (void)signal(number, SIG_DFL);
        (void)raise(number);
        return;
    }
    log_event(LOG_INFO, "draining", log_int("signal", number), log_int("connections", peers_count(gateway->peers)));
    drain(gateway);
}

static void got_reload_signal(void *ctx, int number unused_arg)
{
    struct gateway *gateway = ctx;
    log_reopen();
    if (auth_reload(gateway->auth) == OK)
        log_event(LOG_INFO, "reloaded");
}

/* --- starting */

static void take_http(void *ctx, int fd, struct peer *lease)
{
    struct front *front = ctx;
    http_server_take(front->server, fd, lease);
}

static bool open_listeners(struct gateway *gateway, struct front *front, const struct conf_list *specs)
{
    for (size_t i = 0; i < specs->count; i++) {
        char why[LISTENER_WHY_SIZE] = "too many listeners";
        struct listener_config config = {specs->items[i], gateway->peers, take_http, front};
        struct listener **at = &gateway->listeners[gateway->listener_count];
        if (gateway->listener_count == LISTENERS_MAX || listener_open(gateway->loop, &config, at, why) != OK) {
            log_event(LOG_ERROR, "cannot listen", log_text("for", front->name), log_text("address", specs->items[i]),
                      log_text("reason", why));
            return false;
        }
        gateway->listener_count++;
    }
    return true;
}

/* Tells whoever started us where we are; a script may wait for these lines. */
static void announce(const struct gateway *gateway, size_t first, size_t end, const char *name)
{
    for (size_t i = first; i < end; i++) {
        const char *address;
        for (size_t k = 0; (address = listener_address(gateway->listeners[i], k)); k++)
            (void)printf("listening %s %s\n", name, address);
    }
    (void)fflush(stdout);
}

/* The store's URL without user and password. */
static struct span public_url(const char *url)
{
    const char *login_end = strrchr(url, '@');
    return span_of(login_end ? login_end + 1 : url);
}

static void open_all(struct gateway *gateway)
{
    bool open = open_listeners(gateway, &gateway->http, &gateway->options->http.listen);
    size_t http_count = gateway->listener_count;
    open = open && open_listeners(gateway, &gateway->operators, &gateway->options->admin.listen);
    gateway->opened = true;
    if (!open) {
        gateway->failed = true;
        drain(gateway);
        return;
    }
    announce(gateway, 0, http_count, gateway->http.name);
    announce(gateway, http_count, gateway->listener_count, gateway->operators.name);
    log_event(LOG_INFO, "started", log_text("version", PACKAGE_VERSION),
              log_span("store", public_url(gateway->options->store.url)));
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
    timer_clear(loop_timers(gateway->loop), &gateway->start_timer);
    if (gateway->admin.draining)
        return;
    if (err) {
        log_event(LOG_ERROR, "the store cannot be used", log_err(err));
        gateway->failed = true;
        drain(gateway);
    } else if (!gateway->opened) {
        open_all(gateway);
    }
}

/* As many descriptors as the system allows; a limit beyond that would be a promise that cannot be kept. */
static void raise_descriptor_limit(const struct options *options)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < options->limits.connections + SPARE_DESCRIPTORS)
        log_event(LOG_WARN, "fewer descriptors than limits.connections asks for",
                  log_int("descriptors", (int64_t)limit.rlim_cur), log_int("connections", options->limits.connections));
}

static bool watch_signals(struct gateway *gateway)
{
    /* Writes to a closed socket and beyond a file size limit are errors to be handled where they happen. */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    return loop_on_signal(gateway->loop, SIGTERM, got_end_signal, gateway) == OK &&
           loop_on_signal(gateway->loop, SIGINT, got_end_signal, gateway) == OK &&
           loop_on_signal(gateway->loop, SIGHUP, got_reload_signal, gateway) == OK;
}

bool gateway_run(struct gateway *gateway)
{
    raise_descriptor_limit(gateway->options);
    struct timers *timers = loop_timers(gateway->loop);
    if (timer_init(timers, &gateway->drain_timer, drain_over) != OK ||
        timer_init(timers, &gateway->start_timer, open_without_store) != OK || !watch_signals(gateway)) {
        log_event(LOG_ERROR, "cannot start");
        return false;
    }
    gateway->tick.run = tick;
    loop_add_task(gateway->loop, LOOP_HOOK_HUB, &gateway->tick);
    timer_set(timers, &gateway->start_timer, loop_now_ms(gateway->loop) + START_WAIT_MS);
    hub_start(gateway->hub, hub_started, gateway);
    loop_run(gateway->loop);
    log_event(LOG_INFO, "stopped");
    return !gateway->failed;
}

/* --- taking down */

static void free_store(struct gateway *gateway)
{
    if (!gateway->store)
        return;
    close_store(gateway);
    loop_run(gateway->loop);
}

void gateway_free(struct gateway *gateway)
{
    if (!gateway)
        return;
    close_listeners(gateway);
    http_server_close(gateway->http.server);
    http_server_close(gateway->operators.server);
    auth_free(gateway->auth);
    free_store(gateway);
    router_free(gateway->http.router);
    router_free(gateway->operators.router);
    statics_close(gateway->statics);
    nereid_free(gateway->nereid);
    socketio_free(gateway->socketio);
    if (gateway->hub)
        hub_free(gateway->hub);
    conns_free(gateway->conns);
    peers_free(gateway->peers);
    if (gateway->loop) {
        timer_fini(loop_timers(gateway->loop), &gateway->start_timer);
        timer_fini(loop_timers(gateway->loop), &gateway->drain_timer);
        loop_free(gateway->loop);
    }
    free(gateway->origins);
    free(gateway);
}
