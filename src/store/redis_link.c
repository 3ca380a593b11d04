/* SPDX-License-Identifier: MIT */
/*
 * The link: one attempt after the other, each a chain of callbacks; whatever goes wrong in one ends it by `link_fail`.
 */
#include "store/redis_link.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/log.h"
#include "base/metric.h"
#include "io/loop.h"
#include "store/redis_reply.h"
#include "store/redis_trouble.h"

enum { WAIT_MIN_MS = 100, WAIT_MAX_MS = 5000, STEADY_MS = 1000, WATCH_MS = 1000 };

static const char away[] = "Redis cannot be reached";
static const struct span events_channel = {"chat:events", sizeof("chat:events") - 1};

/* A host name that is being looked up. */
struct lookup {
    uv_getaddrinfo_t request;
    struct link *link; /* null: nobody wants to know any more */
    struct wire *wire; /* to be opened there */
    int port;
};

/* --- giving up and trying again --- */

static void close_wires(struct link *link)
{
    wire_close(&link->sentinel);
    wire_close(&link->events);
    wire_close(&link->tail);
    wire_close(&link->commands);
}

/* Half of the wait is drawn by lot, so that nodes do not come back all at once. */
static int64_t next_wait_ms(struct link *link)
{
    int64_t wait_ms = WAIT_MIN_MS << (link->attempts < 6 ? link->attempts : 6);
    if (wait_ms > link->wait_max_ms)
        wait_ms = link->wait_max_ms;
    link->attempts++;
    struct id lot = id_random();
    return wait_ms / 2 + (lot.bytes[0] * 256 + lot.bytes[1]) * (wait_ms / 2) / 65536;
}

static void forget_lookup(struct link *link)
{
    if (link->lookup)
        link->lookup->link = NULL;
    link->lookup = NULL;
}

static void log_lost(struct link *link, const char *why)
{
    if (!link->lost_ms)
        link->lost_ms = loop_now_ms(link->loop);
    if (strcmp(link->logged, why) == 0)
        return;
    (void)snprintf(link->logged, sizeof(link->logged), "%s", why);
    log_event(LOG_WARN, "Redis is away", log_text("reason", link->reason), log_text("detail", why),
              log_text("host", link->host_found), log_int("port", link->port_found));
}

void link_fail(struct link *link, const char *reason, const char *why)
{
    bool was_up = link->up;
    int64_t now_ms = loop_now_ms(link->loop);
    link->up = false;
    link->reason = reason;
    if (was_up && now_ms - link->up_ms >= STEADY_MS)
        link->attempts = 0;
    link->host++;
    log_lost(link, why ? why : reason);
    forget_lookup(link);
    close_wires(link);
    timer_set(loop_timers(link->loop), &link->timer, now_ms + next_wait_ms(link));
    if (was_up) {
        metric_add(METRIC_REDIS_UP, -1);
        link->ops->down(link);
    }
}

static void fail_by_reply(struct link *link, const redisReply *error)
{
    link_fail(link, trouble_of(error->str)->sentence, error->str);
}

/* A subscription that is refused ends its connection, so an error reply may be the reason. */
/* A server may say why it closes the connection: that it takes no more, or does not permit to subscribe. */
static void on_wire_down(struct link *link, const struct wire *wire)
{
    const struct trouble *trouble = trouble_of(wire->why);
    link_fail(link, trouble->code[0] ? trouble->sentence : away, wire->why);
}

/* --- up --- */

static void check_up(struct link *link)
{
    if (!link->tail_ready || !link->events_ready)
        return;
    link->up = true;
    link->reason = NULL;
    link->up_ms = loop_now_ms(link->loop);
    metric_add(METRIC_REDIS_UP, 1);
    metric_add(METRIC_REDIS_CONNECTS, 1);
    log_event(LOG_INFO, "Redis is there", log_text("host", link->host_found), log_int("port", link->port_found),
              log_int("after_ms", link->lost_ms ? link->up_ms - link->lost_ms : 0));
    link->lost_ms = 0;
    link->logged[0] = '\0';
    if (link->url->master)
        timer_set(loop_timers(link->loop), &link->timer, link->up_ms + WATCH_MS);
    link->ops->up(link);
}

/* --- logging in --- */

static void ask(struct wire *wire, size_t count, const struct span *words, wire_done *done, void *ctx)
{
    wire_command(wire, count, words, 0, done, ctx);
}

unsigned link_log_in(const struct link *link, struct wire *wire, wire_done *done, void *ctx)
{
    const struct redis_url *url = link->url;
    unsigned asked = 0;
    if (url->password) {
        const struct span words[] = {SPAN_LITERAL("AUTH"), span_of(url->user), span_of(url->password)};
        const struct span short_words[] = {words[0], words[2]};
        ask(wire, url->user ? 3 : 2, url->user ? words : short_words, done, ctx);
        asked++;
    }
    char number[16];
    (void)snprintf(number, sizeof(number), "%d", url->db);
    const struct span select[] = {SPAN_LITERAL("SELECT"), span_of(number)};
    ask(wire, array_len(select), select, done, ctx);
    return asked + 1;
}

static void on_tail_step(void *ctx, const redisReply *reply)
{
    struct link *link = ctx;
    if (!reply)
        return;
    if (reply_is_error(reply)) {
        fail_by_reply(link, reply);
        return;
    }
    if (--link->steps == 0) {
        link->tail_ready = true;
        check_up(link);
    }
}

static void on_events_step(void *ctx, const redisReply *reply)
{
    struct link *link = ctx;
    if (reply && reply_is_error(reply))
        fail_by_reply(link, reply);
}

/* Whoever may not read the log is told so here, rather than after all else has come up. */
static void on_tail_up(struct wire *wire)
{
    struct link *link = container_of(wire, struct link, tail);
    const struct span end[] = {SPAN_LITERAL("XREAD"), SPAN_LITERAL("STREAMS"), SPAN_LITERAL("chat:log"),
                               SPAN_LITERAL("18446744073709551615-18446744073709551615")};
    link->steps = link_log_in(link, wire, on_tail_step, link) + 1;
    ask(wire, array_len(end), end, on_tail_step, link);
}

static void on_events_up(struct wire *wire)
{
    struct link *link = container_of(wire, struct link, events);
    (void)link_log_in(link, wire, on_events_step, link);
    wire_subscribe(wire, events_channel, false);
}

void link_open_wire(const struct link *link, struct wire *wire)
{
    const char *path = link->url->path;
    struct wire_address address = {path, link->host_found, link->port_found};
    wire_open(wire, &address);
}

/* All that is to be known before the other wires are opened. */
static void commands_ready(struct link *link)
{
    link->tail_ready = link->events_ready = false;
    link_open_wire(link, &link->tail);
    link_open_wire(link, &link->events);
}

/* Each reply of the commands wire's log-in. */
static void on_step(void *ctx, const redisReply *reply)
{
    struct link *link = ctx;
    if (!reply)
        return;
    if (reply_is_error(reply)) {
        fail_by_reply(link, reply);
        return;
    }
    if (--link->steps == 0)
        commands_ready(link);
}

/* A replica would take no writes. Who may not ask for the role is told by the first write. */
static void on_role(void *ctx, const redisReply *reply)
{
    struct link *link = ctx;
    if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements && reply->element[0]->type == REDIS_REPLY_STRING &&
        strcmp(reply->element[0]->str, "master") != 0) {
        link_fail(link, "Redis is a replica, which takes no writes", reply->element[0]->str);
        return;
    }
    if (reply && --link->steps == 0)
        commands_ready(link);
}

/* A script that is being loaded. */
struct loading {
    struct link *link;
    enum script script;
};

static void on_script_loaded(void *ctx, const redisReply *reply)
{
    struct loading *loading = ctx;
    struct link *link = loading->link;
    enum script script = loading->script;
    free(loading);
    if (!reply)
        return;
    if (reply->type == REDIS_REPLY_STRING && reply->len == SHA_TEXT_SIZE - 1)
        memcpy(link->shas[script], reply->str, SHA_TEXT_SIZE);
    else if (!reply_is_error(reply)) {
        link_fail(link, away, "an answer that makes no sense");
        return;
    }
    on_step(link, reply);
}

static void load_script(struct link *link, enum script script)
{
    struct loading *loading = malloc(sizeof(*loading));
    if (!loading) {
        link_fail(link, "out of memory", NULL);
        return;
    }
    *loading = (struct loading){link, script};
    const struct span words[] = {SPAN_LITERAL("SCRIPT"), SPAN_LITERAL("LOAD"), span_of(script_text(script))};
    ask(&link->commands, array_len(words), words, on_script_loaded, loading);
}

static void on_commands_up(struct wire *wire)
{
    struct link *link = container_of(wire, struct link, commands);
    const struct span role[] = {SPAN_LITERAL("ROLE")};
    link->steps = link_log_in(link, wire, on_step, link) + 1 + SCRIPT_COUNT;
    ask(wire, array_len(role), role, on_role, link);
    for (unsigned i = 0; i < SCRIPT_COUNT && wire_is_open(wire); i++)
        load_script(link, i);
}

static void on_event(struct wire *wire, struct span subscribed unused_arg, struct span channel unused_arg,
                     struct span payload)
{
    struct link *link = container_of(wire, struct link, events);
    if (payload.data) {
        if (link->up)
            link->ops->event(link, payload);
        return;
    }
    link->events_ready = true;
    check_up(link);
}

/* --- finding the server --- */

/* A Sentinel is of no use. A link that is up needs none: it asks the next one later. */
static void sentinel_failed(struct link *link, const char *reason, const char *why)
{
    if (!link->up) {
        link_fail(link, reason, why);
        return;
    }
    wire_close(&link->sentinel);
    link->host++;
    timer_set(loop_timers(link->loop), &link->timer, loop_now_ms(link->loop) + WATCH_MS);
}

static void lookup_failed(struct link *link, const char *why)
{
    forget_lookup(link);
    sentinel_failed(link, "the host name of Redis is not known", why);
}

static void found_host(struct link *link, struct wire *wire, const char *numeric, int port)
{
    struct wire_address address = {NULL, numeric, port};
    if (wire == &link->commands) {
        (void)snprintf(link->host_found, sizeof(link->host_found), "%s", numeric);
        link->port_found = port;
    }
    wire_open(wire, &address);
}

static void on_looked_up(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct lookup *lookup = request->data;
    struct link *link = lookup->link;
    char numeric[INET6_ADDRSTRLEN];
    bool good = status == 0 &&
                getnameinfo(found->ai_addr, found->ai_addrlen, numeric, sizeof(numeric), NULL, 0, NI_NUMERICHOST) == 0;
    uv_freeaddrinfo(found);
    if (link) {
        link->lookup = NULL;
        timer_clear(loop_timers(link->loop), &link->timer);
        if (good)
            found_host(link, lookup->wire, numeric, lookup->port);
        else
            lookup_failed(link, status ? uv_strerror(status) : "no address");
    }
    free(lookup);
}

/* Opens the wire to a host, by name or address. */
static void open_host(struct link *link, struct wire *wire, const char *name, int port, int64_t deadline_ms)
{
    struct in6_addr any;
    if (uv_inet_pton(AF_INET, name, &any) == 0 || uv_inet_pton(AF_INET6, name, &any) == 0) {
        found_host(link, wire, name, port);
        return;
    }
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct lookup *lookup = malloc(sizeof(*lookup));
    if (lookup) {
        *lookup = (struct lookup){.link = link, .wire = wire, .port = port};
        lookup->request.data = lookup;
    }
    if (!lookup || uv_getaddrinfo(loop_uv(link->loop), &lookup->request, on_looked_up, name, NULL, &hints) != 0) {
        free(lookup);
        lookup_failed(link, "cannot look it up");
        return;
    }
    link->lookup = lookup;
    timer_set(loop_timers(link->loop), &link->timer, loop_now_ms(link->loop) + deadline_ms);
}

static bool names_a_host(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && reply->element[0]->type == REDIS_REPLY_STRING &&
           reply->element[1]->type == REDIS_REPLY_STRING;
}

static void open_master(struct link *link, const char *host, const char *port)
{
    struct wire *commands = &link->commands;
    int64_t number = 0;
    if (!text_int(span_of(port), &number) || number < 1 || number > UINT16_MAX) {
        sentinel_failed(link, "the Sentinel names a strange port", port);
        return;
    }
    (void)snprintf(link->master, sizeof(link->master), "%s %s", host, port);
    open_host(link, commands, host, (int)number, commands->deadline_ms);
}

/* While the link is up: an old master may go on for many seconds after another was named, and what it takes is lost. */
static void check_master(struct link *link, const char *host, const char *port)
{
    char named[sizeof(link->master)];
    (void)snprintf(named, sizeof(named), "%s %s", host, port);
    if (strcmp(named, link->master) == 0)
        timer_set(loop_timers(link->loop), &link->timer, loop_now_ms(link->loop) + WATCH_MS);
    else
        link_fail(link, "the Sentinel names another master", named);
}

static void on_master_named(void *ctx, const redisReply *reply)
{
    struct link *link = ctx;
    if (!reply)
        return;
    if (reply_is_error(reply)) {
        sentinel_failed(link, trouble_of(reply->str)->sentence, reply->str);
    } else if (!names_a_host(reply)) {
        sentinel_failed(link, "the Sentinel does not know this master", link->url->master);
    } else {
        void (*go_on)(struct link * link, const char *host, const char *port) = link->up ? check_master : open_master;
        go_on(link, reply->element[0]->str, reply->element[1]->str);
    }
}

static void ask_for_master(struct link *link)
{
    const struct span words[] = {SPAN_LITERAL("SENTINEL"), SPAN_LITERAL("get-master-addr-by-name"),
                                 span_of(link->url->master)};
    ask(&link->sentinel, array_len(words), words, on_master_named, link);
}

static void on_sentinel_up(struct wire *wire)
{
    ask_for_master(container_of(wire, struct link, sentinel));
}

static void attempt(struct link *link)
{
    const struct redis_url *url = link->url;
    if (url->path) {
        (void)snprintf(link->host_found, sizeof(link->host_found), "%s", url->path);
        link_open_wire(link, &link->commands);
        return;
    }
    const struct redis_host *host = &url->hosts[link->host % url->host_count];
    struct wire *wire = url->master ? &link->sentinel : &link->commands;
    open_host(link, wire, host->name, host->port, wire->deadline_ms);
}

static void on_timer(struct timer *timer)
{
    struct link *link = container_of(timer, struct link, timer);
    if (link->lookup)
        lookup_failed(link, "the host name was not found in time");
    else if (wire_is_open(&link->sentinel))
        ask_for_master(link);
    else
        attempt(link);
}

/* --- life --- */

static void sentinel_down(struct wire *wire)
{
    sentinel_failed(container_of(wire, struct link, sentinel), "no Sentinel can be reached", wire->why);
}

static void commands_down(struct wire *wire)
{
    on_wire_down(container_of(wire, struct link, commands), wire);
}

static void tail_down(struct wire *wire)
{
    on_wire_down(container_of(wire, struct link, tail), wire);
}

static void events_down(struct wire *wire)
{
    on_wire_down(container_of(wire, struct link, events), wire);
}

enum err link_init(struct link *link, struct loop *loop, const struct link_ops *ops, const struct redis_url *url,
                   int64_t deadline_ms, int64_t wait_max_ms)
{
    static const struct wire_ops sentinel_ops = {on_sentinel_up, sentinel_down, NULL};
    static const struct wire_ops commands_ops = {on_commands_up, commands_down, NULL};
    static const struct wire_ops tail_ops = {on_tail_up, tail_down, NULL};
    static const struct wire_ops events_ops = {on_events_up, events_down, on_event};
    *link = (struct link){.loop = loop, .ops = ops, .url = url, .reason = "Redis has not been reached yet"};
    link->wait_max_ms = wait_max_ms < WAIT_MAX_MS ? wait_max_ms : WAIT_MAX_MS;
    enum err err = timer_init(loop_timers(loop), &link->timer, on_timer);
    if (!err)
        err = wire_init(&link->sentinel, loop, &sentinel_ops, deadline_ms);
    if (!err)
        err = wire_init(&link->commands, loop, &commands_ops, deadline_ms);
    if (!err)
        err = wire_init(&link->tail, loop, &tail_ops, deadline_ms);
    if (!err)
        err = wire_init(&link->events, loop, &events_ops, deadline_ms);
    if (err)
        link_fini(link);
    return err;
}

void link_fini(struct link *link)
{
    forget_lookup(link);
    if (link->up)
        metric_add(METRIC_REDIS_UP, -1);
    link->up = false;
    wire_fini(&link->sentinel);
    wire_fini(&link->commands);
    wire_fini(&link->tail);
    wire_fini(&link->events);
    timer_fini(loop_timers(link->loop), &link->timer);
}

void link_start(struct link *link)
{
    timer_set(loop_timers(link->loop), &link->timer, loop_now_ms(link->loop));
}

void link_script(struct link *link, enum script script, size_t count, struct span *words, wire_done *done, void *ctx)
{
    words[0] = SPAN_LITERAL("EVALSHA");
    words[1] = span_of(link->shas[script]);
    words[2] = SPAN_LITERAL("0");
    ask(&link->commands, count, words, done, ctx);
}
