/* SPDX-License-Identifier: MIT */
/*
 * An outing is a poll of ours that another node answers; a guest is one of another node's that we answer. Both are
 * numbered by the node that asks.
 */
#include "adapters/socketio/relay.h"

#include <stdio.h>

#include "adapters/socketio/relay_message.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/table.h"

static const char channel_prefix[] = "chat:relay:";

struct outing {
    struct relay *relay;
    struct exchange *exchange;      /* null once answered */
    char node[ENGINE_NODE_LEN + 1]; /* that is asked */
    uint64_t number;
    struct timer timer;
    bool sent; /* Redis has said what became of it */
    UT_hash_handle hh;
};

struct guest {
    struct exchange exchange;
    struct relay *relay;
    struct ticket ticket;
    void (*gone)(void *ctx);
    void *ctx;
    UT_hash_handle hh;
    char text[]; /* what the exchange refers to */
};

struct relay {
    struct socketio *adapter;
    struct bus *bus;
    struct bus_listener listener;
    char channel[sizeof(channel_prefix) + ENGINE_NODE_LEN];
    const char *node;
    uint64_t count; /* of outings so far */
    struct outing *outings;
    struct guest *guests;
    bool shut;
};

/* --- messages --------------------------------------------------------------------------------------------------- */

/* `done` as bus_ops.send has it; null: nobody wants to know. */
static enum err tell(const struct relay *relay, const char *node, const struct relay_message *message, bus_sent *done,
                     void *ctx)
{
    char channel[sizeof(relay->channel)];
    struct buf out = BUF_INIT;
    relay_message_write(&out, message);
    (void)snprintf(channel, sizeof(channel), "%s%s", channel_prefix, node);
    enum err err = ERR_NO_MEMORY;
    if (!buf_failed(&out))
        err = relay->bus->ops->send(relay->bus, span_of(channel), buf_span(&out), done, ctx);
    buf_fini(&out);
    return err;
}

static struct ticket ticket_of(const struct outing *outing)
{
    struct ticket ticket = {.number = outing->number};
    memcpy(ticket.node, outing->relay->node, ENGINE_NODE_LEN);
    return ticket;
}

/* --- outings ---------------------------------------------------------------------------------------------------- */

static void outing_drop(struct outing *outing)
{
    if (outing->sent && !outing->exchange)
        free(outing);
}

static void outing_answer(struct outing *outing, const struct exchange_answer *answer)
{
    struct exchange *exchange = outing->exchange;
    HASH_DEL(outing->relay->outings, outing);
    timer_fini(loop_timers(outing->relay->adapter->loop), &outing->timer);
    outing->exchange = NULL;
    exchange->ops->reply(exchange, answer);
    outing_drop(outing);
}

/* What a node says of a session that it does not have. */
static void outing_refuse(struct outing *outing)
{
    struct blob *body = blob_copy(SPAN_LITERAL("{\"code\":1,\"message\":\"Session ID unknown\"}"));
    outing_answer(outing, &(struct exchange_answer){400, "application/json", body, 0});
    blob_unref(body);
}

static void on_late(struct timer *timer)
{
    outing_refuse(container_of(timer, struct outing, timer));
}

/* It can wait for its answer only if somebody has got the question. */
static void on_sent(void *ctx, enum err err, int64_t count)
{
    struct outing *outing = ctx;
    outing->sent = true;
    if (outing->exchange && (err || count == 0))
        outing_refuse(outing);
    else
        outing_drop(outing);
}

static void on_gone(void *ctx)
{
    struct outing *outing = ctx;
    const struct relay *relay = outing->relay;
    const struct relay_message message = {.kind = RELAY_GONE, .ticket = ticket_of(outing)};
    /* Where that cannot be said, the session ends by its heartbeat. */
    if (!relay->shut && tell(relay, outing->node, &message, NULL, NULL))
        log_event(LOG_DEBUG, "a node is not told that a poll was given up");
    outing_refuse(outing);
}

static enum err outing_send(struct outing *outing)
{
    const struct exchange *exchange = outing->exchange;
    const struct relay_message message = {
        .kind = RELAY_ASK,
        .ticket = ticket_of(outing),
        .is_post = exchange->method == EXCHANGE_POST,
        .is_binary = exchange->is_binary,
        .eio = exchange->eio,
        .j = exchange->j,
        .b64 = exchange->b64,
        .sid = exchange->sid,
        .body = exchange->body,
    };
    return tell(outing->relay, outing->node, &message, on_sent, outing);
}

static struct outing *outing_new(struct relay *relay, struct span node, struct exchange *exchange)
{
    struct outing *outing = calloc(1, sizeof(*outing));
    struct timers *timers = loop_timers(relay->adapter->loop);
    if (!outing || timer_init(timers, &outing->timer, on_late)) {
        free(outing);
        return NULL;
    }
    outing->relay = relay;
    outing->exchange = exchange;
    outing->number = ++relay->count;
    memcpy(outing->node, node.data, ENGINE_NODE_LEN);
    HASH_ADD(hh, relay->outings, number, sizeof(outing->number), outing);
    if (table_added(outing))
        return outing;
    timer_fini(timers, &outing->timer);
    free(outing);
    return NULL;
}

/* For the engine: see engine_set_relay. */
static bool relay_poll(void *ctx, struct span node, struct exchange *exchange)
{
    struct relay *relay = ctx;
    struct loop *loop = relay->adapter->loop;
    const struct engine_options *options = &relay->adapter->options.engine;
    struct outing *outing = relay->shut || !relay_node_valid(node) ? NULL : outing_new(relay, node, exchange);
    if (!outing)
        return false;
    if (outing_send(outing)) {
        HASH_DEL(relay->outings, outing);
        timer_fini(loop_timers(loop), &outing->timer);
        free(outing);
        return false;
    }
    metric_add(METRIC_RELAY_OUT, 1);
    timer_set(loop_timers(loop), &outing->timer,
              loop_now_ms(loop) + options->ping_interval_ms + options->ping_timeout_ms);
    exchange->ops->watch(exchange, on_gone, outing);
    return true;
}

static void hear_done(struct relay *relay, const struct relay_message *message)
{
    const struct ticket *ticket = &message->ticket;
    char type[RELAY_TYPE_SIZE];
    struct outing *outing = NULL;
    if (strcmp(ticket->node, relay->node) == 0)
        HASH_FIND(hh, relay->outings, &ticket->number, sizeof(ticket->number), outing);
    if (!outing) /* it came too late, or the client has gone */
        return;
    (void)snprintf(type, sizeof(type), "%.*s", (int)message->type.len, message->type.data);
    struct blob *body = blob_copy(message->body);
    outing_answer(outing, &(struct exchange_answer){message->status, type, body, message->retry_after_s});
    blob_unref(body);
}

/* --- guests ----------------------------------------------------------------------------------------------------- */

static struct guest *guest_of(struct exchange *exchange)
{
    return container_of(exchange, struct guest, exchange);
}

static void guest_reply(struct exchange *exchange, const struct exchange_answer *answer)
{
    struct guest *guest = guest_of(exchange);
    struct relay *relay = guest->relay;
    const struct relay_message message = {
        .kind = RELAY_DONE,
        .ticket = guest->ticket,
        .status = answer->status,
        .type = span_of(answer->type ? answer->type : ""),
        .retry_after_s = answer->retry_after_s,
        .body = answer->body ? blob_span(answer->body) : SPAN_LITERAL(""),
    };
    HASH_DEL(relay->guests, guest);
    if (!relay->shut && tell(relay, guest->ticket.node, &message, NULL, NULL))
        log_event(LOG_WARN, "the answer to a poll does not reach the node that asked");
    free(guest);
}

static void guest_watch(struct exchange *exchange, void (*gone)(void *ctx), void *ctx)
{
    struct guest *guest = guest_of(exchange);
    guest->gone = gone;
    guest->ctx = ctx;
}

static struct span keep(char **at, struct span text)
{
    struct span copy = {text.data ? *at : NULL, text.len};
    if (text.len)
        memcpy(*at, text.data, text.len);
    *at += text.len;
    return copy;
}

/* A guest with the message's texts in it. Null: no memory. */
static struct guest *guest_new(struct relay *relay, const struct relay_message *message)
{
    static const struct exchange_ops ops = {guest_reply, guest_watch};
    size_t len = message->eio.len + message->j.len + message->b64.len + message->sid.len + message->body.len;
    struct guest *guest = calloc(1, sizeof(*guest) + len);
    if (!guest)
        return NULL;
    char *at = guest->text;
    guest->relay = relay;
    memcpy(&guest->ticket, &message->ticket, sizeof(guest->ticket));
    guest->exchange = (struct exchange){
        .ops = &ops,
        .method = message->is_post ? EXCHANGE_POST : EXCHANGE_GET,
        .is_binary = message->is_binary,
        .transport = SPAN_LITERAL("polling"),
        .sid = keep(&at, message->sid),
        .eio = keep(&at, message->eio),
        .j = keep(&at, message->j),
        .b64 = keep(&at, message->b64),
        .body = keep(&at, message->body),
    };
    return guest;
}

/* Where there is no memory for it, who asked finds out in time. A second poll of the same number is none of a
 * node's. */
static void hear_ask(struct relay *relay, const struct relay_message *message)
{
    struct guest *other = NULL;
    HASH_FIND(hh, relay->guests, &message->ticket, sizeof(message->ticket), other);
    struct guest *guest = other ? NULL : guest_new(relay, message);
    if (!guest)
        return;
    HASH_ADD(hh, relay->guests, ticket, sizeof(guest->ticket), guest);
    metric_add(METRIC_RELAY_IN, 1);
    if (!table_added(guest))
        free(guest);
    else if (relay->adapter->legacy && span_is(guest->exchange.eio, "0.9"))
        legacy_take(relay->adapter->legacy, &guest->exchange);
    else
        engine_take(relay->adapter->engine, &guest->exchange);
}

static void hear_gone(struct relay *relay, const struct relay_message *message)
{
    struct guest *guest = NULL;
    HASH_FIND(hh, relay->guests, &message->ticket, sizeof(message->ticket), guest);
    if (!guest || !guest->gone)
        return;
    void (*gone)(void *ctx) = guest->gone;
    guest->gone = NULL;
    gone(guest->ctx);
}

/* --- the channel ------------------------------------------------------------------------------------------------ */

static void hear(struct bus_listener *listener, struct span channel unused_arg, struct span bytes)
{
    struct relay *relay = container_of(listener, struct relay, listener);
    static void (*const handlers[])(struct relay * relay, const struct relay_message *message) = {
        [RELAY_ASK] = hear_ask, [RELAY_DONE] = hear_done, [RELAY_GONE] = hear_gone};
    struct relay_message message;
    if (relay->shut)
        return;
    if (relay_message_read(bytes, &message))
        handlers[message.kind](relay, &message);
    else
        metric_add(METRIC_REMOTE_BAD, 1);
}

/* --- life ------------------------------------------------------------------------------------------------------- */

/* Drawn by lot, so that no answer is ever taken for another's, not even where two nodes should have drawn one name. */
static uint64_t first_number(void)
{
    struct id lot = id_random();
    uint64_t number;
    memcpy(&number, lot.bytes, sizeof(number));
    return number & (UINT64_MAX >> 5); /* 18 digits, with room to count */
}

struct relay *relay_new(struct socketio *adapter, struct bus *bus)
{
    struct relay *relay = calloc(1, sizeof(*relay));
    if (!relay)
        return NULL;
    relay->adapter = adapter;
    relay->bus = bus;
    relay->count = first_number();
    relay->node = engine_node(adapter->engine);
    relay->listener.heard = hear;
    (void)snprintf(relay->channel, sizeof(relay->channel), "%s%s", channel_prefix, relay->node);
    bus->ops->listen(bus, span_of(relay->channel), &relay->listener);
    engine_set_relay(adapter->engine, relay_poll, relay);
    return relay;
}

void relay_shut(struct relay *relay)
{
    relay->shut = true;
    while (relay->outings)
        outing_refuse(relay->outings);
}

void relay_free(struct relay *relay)
{
    if (!relay)
        return;
    relay_shut(relay);
    free(relay);
}
