/* SPDX-License-Identifier: MIT */
/* From options to parts: what each part is told, and in which order they are made. Only this file and gateway.c know
 * all of them. */
#include "parts.h"

#include <stdlib.h>

#include "auth/auth.h"
#include "base/log.h"
#include "conf/form.h"
#include "http/static.h"
#include "store/store_open.h"

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

_Static_assert((int)FORM_ROOM_MAX == (int)ROOM_NAME_MAX, "what is taken for a room can be one");

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

static struct arrivals *make_arrivals(const struct options *options, struct loop *loop, struct peers *peers)
{
    struct arrivals_options arrivals = {
        .certificates = (const char *const *)options->tls.certificate.items,
        .keys = (const char *const *)options->tls.key.items,
        .certificate_count = options->tls.certificate.count,
        .priorities = options->tls.priorities,
        .proxies = (const char *const *)options->proxy.trusted.items,
        .proxy_count = options->proxy.trusted.count,
        .handshake_ms = options->tls.handshake_time_ms,
        .handshakes_per_minute = options->limits.handshake_rate_per_minute,
    };
    return arrivals_new(loop, peers, &arrivals);
}

static bool is_store_valid(const struct options *options)
{
    return store_check(options->store.url, if_set(options->store.credentials));
}

bool parts_options_valid(const struct options *options)
{
    struct auth *auth = make_auth(options, NULL);
    struct arrivals *arrivals = make_arrivals(options, NULL, NULL);
    bool valid = auth && arrivals;
    auth_free(auth);
    arrivals_free(arrivals);
    return is_store_valid(options) && valid;
}

static bool make_store(struct parts *parts)
{
    static const enum durability durabilities[] = {
        [CONF_DURABILITY_FULL] = DURABILITY_FULL,
        [CONF_DURABILITY_NORMAL] = DURABILITY_NORMAL,
        [CONF_DURABILITY_OFF] = DURABILITY_OFF,
    };
    const struct options *options = parts->options;
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
    return store_open(parts->loop, options->store.url, &store, &parts->store) == OK;
}

static struct hub *make_hub(struct parts *parts)
{
    const struct options *options = parts->options;
    struct hub_options hub = {
        .friends = options->nereid.friends == CONF_FRIENDS_EVERYONE ? FRIENDS_EVERYONE : FRIENDS_THREADS,
        .grace_ms = options->presence.grace_ms,
        .token_ttl_ms = options->token.ttl_ms,
        .token_ends_streams = options->token.ends_streams,
        .rooms_open = options->rooms.open,
        .sessions_per_user = options->limits.sessions_per_user,
        .streams_per_token = options->limits.streams_per_token,
        .members_max = options->limits.members,
        .text_max = (uint32_t)options->limits.text_bytes,
        .attachments_max = (uint32_t)options->limits.attachments_size_bytes,
        .sends_per_minute = options->limits.send_rate_per_minute,
        .tokens_per_minute = options->limits.token_rate_per_minute,
    };
    return hub_new(&hub, parts->store, loop_timers(parts->loop), loop_clock(parts->loop));
}

static struct nereid *make_nereid(struct parts *parts)
{
    const struct options *options = parts->options;
    struct nereid_options nereid = {
        .dialect = options->nereid.dialect == CONF_DIALECT_MODULE ? DIALECT_MODULE : DIALECT_SPEC,
        .entity_prefix = options->nereid.entity_prefix,
        .heartbeat_ms = options->nereid.heartbeat_ms,
        .poll_wait_ms = options->limits.poll_wait_ms,
        .history_max = options->limits.history,
        .attachments_max = options->limits.attachments,
        .probes_per_minute = options->limits.probe_rate_per_minute,
    };
    return nereid_new(&nereid, parts->hub, parts->loop, parts->conns);
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

static bool make_socketio(struct parts *parts)
{
    const struct options *options = parts->options;
    const struct store_ops *store = parts->store->ops;
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
    parts->socketio = socketio_new(&socketio, socketio_apps, parts->hub, parts->auth,
                                   store->bus ? store->bus(parts->store) : NULL, parts->loop, parts->conns);
    return parts->socketio != NULL;
}

static struct talker *make_talker(struct parts *parts)
{
    const struct options *options = parts->options;
    struct talker_options talker = {
        .line_bytes = options->talker.max_line_bytes,
        .json_depth = options->limits.json_depth,
        .connect_ms = options->talker.connect_time_ms,
        .silence_ms = options->talker.silence_ms,
        .pending = options->talker.pending,
        .idle_grace_ms = options->talker.idle_grace_ms,
    };
    return talker_new(&talker, parts->hub, parts->auth, parts->loop, parts->conns);
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
    struct parts *parts = ctx;
    struct check *check = malloc(sizeof(*check));
    if (!check) {
        done(done_ctx, ERR_NO_MEMORY, NULL);
        return;
    }
    *check = (struct check){done, done_ctx};
    hub_token_check(parts->hub, token, token_is_checked, check);
}

static bool list_origins(struct parts *parts)
{
    const struct conf_list *list = &parts->options->http.allow_origins;
    parts->origins = calloc(list->count + 1, sizeof(*parts->origins));
    for (size_t i = 0; parts->origins && i < list->count; i++)
        parts->origins[i] = list->items[i];
    return parts->origins != NULL;
}

static bool open_front(struct parts *parts, struct front *front, const struct router_config *config)
{
    front->router = router_new(config);
    if (front->router)
        front->server = http_server_open(parts->loop, parts->conns, front->router, &parts->limits);
    return front->server != NULL;
}

static bool join_content_policy(struct parts *parts)
{
    const struct conf_list *list = &parts->options->http.content_policy;
    struct buf policy = BUF_INIT;
    for (size_t i = 0; i < list->count; i++) {
        bool strict = strcmp(list->items[i], "strict") == 0;
        buf_printf(&policy, "%s%s", i ? "; " : "", strict ? strict_content_policy : list->items[i]);
    }
    parts->content_policy = buf_take_text(&policy);
    return parts->content_policy != NULL;
}

/* A folder that is not there costs its pages only. */
static bool open_pages(struct parts *parts, const char *option, const char *folder, struct front *front)
{
    const struct options *options = parts->options;
    unsigned max_age_s = (unsigned)(options->http.cache_ms / 1000);
    if (!folder[0])
        return true;
    enum err err = statics_open(folder, max_age_s, parts->content_policy, &front->statics);
    if (err == ERR_NO_MEMORY)
        return false;
    if (err)
        log_event(LOG_WARN, "no pages are served", log_text(option, folder), log_err(err));
    else
        router_set_fallback(front->router, statics_handle, front->statics);
    return true;
}

/* What files are read for. All of them, so that all findings are logged at once. */
static bool make_guards(struct parts *parts)
{
    parts->arrivals = make_arrivals(parts->options, parts->loop, parts->peers);
    parts->auth = make_auth(parts->options, parts->loop);
    return is_store_valid(parts->options) && parts->arrivals && parts->auth;
}

static bool make_base(struct parts *parts)
{
    const struct options *options = parts->options;
    struct peer_limits peer_limits = {options->limits.connections, options->limits.connections_per_address};
    struct conns_limits conn_limits = {(uint32_t)options->limits.queue_bytes,
                                       (uint32_t)(options->limits.drain_ms * 3 / 4) + 1};
    parts->limits = http_limits_of(options);
    return (parts->loop = loop_new()) && (parts->peers = peers_new(peer_limits)) &&
           (parts->conns = conns_new(parts->loop, conn_limits));
}

static bool make_core(struct parts *parts)
{
    return make_store(parts) && (parts->hub = make_hub(parts)) && (parts->nereid = make_nereid(parts)) &&
           make_socketio(parts) && (parts->talker = make_talker(parts));
}

static bool mount_socketio(struct parts *parts)
{
    return !parts->socketio || (socketio_mount(parts->socketio, parts->http.router) == OK &&
                                socketio_mount_emit(parts->socketio, parts->operators.router) == OK);
}

/* The URL without user and password, for showing. (A file's name may have an `@` too.) Null: no memory. */
static char *public_url(const char *url)
{
    const char *login = strstr(url, "://");
    const char *login_end = login ? strrchr(login, '@') : NULL;
    char *shown = NULL;
    if (!login_end)
        return strdup(url);
    return asprintf(&shown, "%.*s%s", (int)(login - url + 3), url, login_end + 1) < 0 ? NULL : shown;
}

static bool make_fronts(struct parts *parts)
{
    const struct options *options = parts->options;
    parts->store_url = public_url(options->store.url);
    if (!parts->store_url || !list_origins(parts) || !join_content_policy(parts))
        return false;
    struct router_config clients = {parts->auth, parts->origins, check_token, parts};
    struct router_config operators = {0};
    parts->admin = (struct admin){
        .hub = parts->hub,
        .version = PACKAGE_VERSION,
        .loop = parts->loop,
        .conns = parts->conns,
        .store = span_of(parts->store_url),
        .started_us = clock_wall_us(loop_clock(parts->loop)),
    };
    return open_front(parts, &parts->http, &clients) && nereid_mount(parts->nereid, parts->http.router) == OK &&
           open_pages(parts, "http.www", options->http.www, &parts->http) &&
           open_front(parts, &parts->operators, &operators) &&
           open_pages(parts, "admin.www", options->admin.www, &parts->operators) &&
           admin_mount(&parts->admin, parts->operators.router) == OK && mount_socketio(parts);
}

static enum err make_parts(struct parts *parts)
{
    if (!make_base(parts))
        return ERR_INTERNAL;
    if (!make_guards(parts))
        return ERR_BAD_FIELD;
    return make_core(parts) && make_fronts(parts) ? OK : ERR_INTERNAL;
}

enum err parts_new(const struct options *options, struct parts **ret_parts)
{
    struct parts *parts = calloc(1, sizeof(*parts));
    if (!parts)
        return ERR_NO_MEMORY;
    parts->options = options;
    enum err err = make_parts(parts);
    if (err)
        parts_free(parts);
    else
        *ret_parts = parts;
    return err;
}

/* --- taking down */

static void store_is_closed(void *ctx)
{
    struct parts *parts = ctx;
    parts->store = NULL;
    loop_stop(parts->loop);
}

void parts_close_store(struct parts *parts)
{
    if (parts->store)
        parts->store->ops->close(parts->store, store_is_closed, parts);
}

static void free_store(struct parts *parts)
{
    if (!parts->store)
        return;
    parts_close_store(parts);
    loop_run(parts->loop);
}

void parts_free(struct parts *parts)
{
    if (!parts)
        return;
    parts_cut(parts);
    auth_free(parts->auth);
    free_store(parts);
    router_free(parts->http.router);
    router_free(parts->operators.router);
    statics_close(parts->http.statics);
    statics_close(parts->operators.statics);
    nereid_free(parts->nereid);
    socketio_free(parts->socketio);
    talker_free(parts->talker);
    if (parts->hub)
        hub_free(parts->hub);
    conns_free(parts->conns);
    peers_free(parts->peers);
    if (parts->loop)
        loop_free(parts->loop);
    free(parts->origins);
    free(parts->store_url);
    free(parts->content_policy);
    free(parts);
}

void parts_cut(struct parts *parts)
{
    http_server_close(parts->http.server);
    http_server_close(parts->operators.server);
    arrivals_free(parts->arrivals);
    parts->http.server = parts->operators.server = NULL;
    parts->arrivals = NULL;
    if (parts->conns)
        conns_cut(parts->conns);
}
