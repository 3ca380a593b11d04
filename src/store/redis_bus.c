/* SPDX-License-Identifier: MIT */
/* The bus on Redis: subscriptions that come back, a queue that is worked through fairly, and publishing. */
#include "store/redis_bus.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/metric.h"
#include "store/redis_trouble.h"

enum {
    TURN_US = 2000,
    WAIT_MIN_MS = 100,
    WAIT_DOUBLINGS = 5, /* up to 3.2 s */
    STEADY_MS = 1000,
    QUEUE_MAX = 2 * BUS_MESSAGE_MAX, /* what may wait to be told before no more is read, */
    QUEUE_LOW = BUS_MESSAGE_MAX / 2, /* and what is left when reading goes on */
    UNSENT_MAX = 4 * BUS_MESSAGE_MAX
};

/* A message that waits to be told; its bytes follow the channel. */
struct heard {
    struct heard *next;
    struct bus_listener *listener;
    size_t channel_len;
    size_t len;
    char text[];
};

static struct redis_bus *bus_of(struct bus *head)
{
    return container_of(head, struct redis_bus, bus);
}

/* --- hearing ---------------------------------------------------------------------------------------------------- */

static bool is_pattern(struct span text)
{
    return span_has(text, '*') || span_has(text, '?') || span_has(text, '[') || span_has(text, '\\');
}

static size_t size_of(const struct heard *heard)
{
    return sizeof(*heard) + heard->channel_len + heard->len;
}

static struct heard *take_first(struct redis_bus *bus)
{
    struct heard *heard = bus->first;
    bus->first = heard->next;
    if (!bus->first)
        bus->tail = &bus->first;
    bus->heard_bytes -= size_of(heard);
    return heard;
}

static int64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

/* The end of a turn. */
static void work(struct loop_task *task)
{
    struct redis_bus *bus = container_of(task, struct redis_bus, task);
    if (!bus->first)
        return;
    int64_t until_us = now_us() + TURN_US;
    do {
        struct heard *heard = take_first(bus);
        heard->listener->heard(heard->listener, (struct span){heard->text, heard->channel_len},
                               (struct span){heard->text + heard->channel_len, heard->len});
        free(heard);
    } while (bus->first && now_us() < until_us);
    if (bus->first)
        loop_again(bus->loop);
    if (bus->heard_bytes <= QUEUE_LOW)
        wire_pause(&bus->wire, false);
}

static void hear(struct redis_bus *bus, struct bus_listener *listener, struct span channel, struct span bytes)
{
    struct heard *heard = bytes.len <= BUS_MESSAGE_MAX ? malloc(sizeof(*heard) + channel.len + bytes.len) : NULL;
    if (!heard) {
        metric_add(METRIC_REDIS_SKIPPED, 1);
        return;
    }
    *heard = (struct heard){NULL, listener, channel.len, bytes.len};
    memcpy(heard->text, channel.data, channel.len);
    memcpy(heard->text + channel.len, bytes.data, bytes.len);
    *bus->tail = heard;
    bus->tail = &heard->next;
    bus->heard_bytes += size_of(heard);
    if (bus->heard_bytes > QUEUE_MAX)
        wire_pause(&bus->wire, true);
}

/* --- subscribing ------------------------------------------------------------------------------------------------ */

static void subscribe(struct redis_bus *bus, size_t i)
{
    struct span pattern = bus->listeners[i]->pattern;
    if (!bus->refused[i])
        wire_subscribe(&bus->wire, pattern, is_pattern(pattern));
}

static bool is_subscribed_to_all(const struct redis_bus *bus)
{
    for (size_t i = 0; i < bus->count; i++)
        if (!bus->refused[i] && !bus->in_force[i])
            return false;
    return true;
}

static void check_settled(struct redis_bus *bus)
{
    if (!is_subscribed_to_all(bus))
        return;
    bus->settled = true;
    bus->up_ms = loop_now_ms(bus->loop);
    if (bus->was_lost)
        log_event(LOG_INFO, "Redis' channels are heard again");
    bus->was_lost = false;
}

static void on_message(struct wire *wire, struct span subscribed, struct span channel, struct span bytes)
{
    struct redis_bus *bus = container_of(wire, struct redis_bus, wire);
    for (size_t i = 0; i < bus->count; i++) {
        if (!span_equal(bus->listeners[i]->pattern, subscribed))
            continue;
        if (bytes.data)
            hear(bus, bus->listeners[i], channel, bytes);
        else
            bus->in_force[i] = true;
    }
    if (!bytes.data)
        check_settled(bus);
}

static void on_step(void *ctx, const redisReply *reply)
{
    struct redis_bus *bus = ctx;
    if (reply && reply_is_error(reply))
        link_fail(bus->link, trouble_of(reply->str)->sentence, reply->str);
}

static void on_up(struct wire *wire)
{
    struct redis_bus *bus = container_of(wire, struct redis_bus, wire);
    bus->wire_up = true;
    (void)link_log_in(bus->link, wire, on_step, bus);
    for (size_t i = 0; i < bus->count; i++)
        subscribe(bus, i);
    check_settled(bus); /* there may be none to wait for */
}

static void connect_to_link(struct redis_bus *bus)
{
    timer_clear(loop_timers(bus->loop), &bus->timer);
    memset(bus->in_force, 0, sizeof(bus->in_force));
    for (size_t i = 0; i < bus->count; i++)
        if (!bus->refused[i]) {
            link_open_wire(bus->link, &bus->wire);
            return;
        }
    check_settled(bus);
}

static void on_timer(struct timer *timer)
{
    connect_to_link(container_of(timer, struct redis_bus, timer));
}

/* Subscriptions are confirmed in their order, so the first that is not is the one that is meant. */
static void refuse_first(struct redis_bus *bus, const char *why)
{
    for (size_t i = 0; i < bus->count; i++)
        if (!bus->refused[i] && !bus->in_force[i]) {
            bus->refused[i] = true;
            log_event(LOG_ERROR, "Redis does not permit to listen to channels",
                      log_span("channels", bus->listeners[i]->pattern), log_text("detail", why));
            return;
        }
}

static int64_t next_wait_ms(struct redis_bus *bus)
{
    if (bus->up_ms && loop_now_ms(bus->loop) - bus->up_ms >= STEADY_MS)
        bus->attempts = 0;
    bus->up_ms = 0;
    if (bus->attempts < WAIT_DOUBLINGS)
        bus->attempts++;
    return WAIT_MIN_MS << (bus->attempts - 1);
}

static void on_down(struct wire *wire)
{
    struct redis_bus *bus = container_of(wire, struct redis_bus, wire);
    const struct trouble *trouble = trouble_find(wire->why);
    int64_t wait_ms = 0;
    bus->wire_up = false;
    if (trouble && strcmp(trouble->code, "NOPERM") == 0) {
        refuse_first(bus, wire->why);
    } else {
        wait_ms = next_wait_ms(bus);
        bus->settled = true;
        if (!bus->was_lost)
            log_event(LOG_WARN, "Redis' channels are not heard", log_text("detail", wire->why));
        bus->was_lost = true;
        metric_add(METRIC_BUS_LOST, 1);
    }
    timer_set(loop_timers(bus->loop), &bus->timer, loop_now_ms(bus->loop) + wait_ms);
}

static void bus_listen(struct bus *head, struct span pattern, struct bus_listener *listener)
{
    struct redis_bus *bus = bus_of(head);
    assert(bus->count < GUARD_CHANNELS_MAX);
    listener->pattern = pattern;
    bus->listeners[bus->count++] = listener;
    if (!bus->up)
        return;
    bus->settled = false;
    if (bus->wire_up)
        subscribe(bus, bus->count - 1);
    else if (!wire_is_open(&bus->wire))
        connect_to_link(bus);
}

/* --- publishing ------------------------------------------------------------------------------------------------- */

struct publication {
    struct redis_bus *bus;
    size_t bytes;
    bus_sent *done; /* null: nobody wants to know */
    void *ctx;
};

static void complain(struct redis_bus *bus, const redisReply *reply)
{
    metric_add(METRIC_REDIS_ERRORS, 1);
    if (!bus->publish_refused && reply_is_error(reply))
        log_event(LOG_ERROR, "Redis does not take what is to be published", log_text("detail", reply->str));
    bus->publish_refused = true;
}

static void on_published(void *ctx, const redisReply *reply)
{
    struct publication *publication = ctx;
    struct redis_bus *bus = publication->bus;
    bool is_sent = reply && reply->type == REDIS_REPLY_INTEGER;
    bus->unsent_bytes -= publication->bytes;
    if (reply && !is_sent)
        complain(bus, reply);
    if (bus->sending == publication)
        bus->sending = NULL; /* it could not even begin */
    else if (publication->done)
        publication->done(publication->ctx, is_sent ? OK : ERR_STORE, is_sent ? reply->integer : 0);
    free(publication);
}

static enum err bus_send(struct bus *head, struct span channel, struct span bytes, bus_sent *done, void *ctx)
{
    struct redis_bus *bus = bus_of(head);
    if (bytes.len > BUS_MESSAGE_MAX)
        return ERR_TOO_LARGE;
    if (!bus->up || bus->unsent_bytes > UNSENT_MAX)
        return ERR_STORE;
    struct publication *publication = malloc(sizeof(*publication));
    if (!publication)
        return ERR_NO_MEMORY;
    const struct span words[] = {SPAN_LITERAL("PUBLISH"), channel, bytes};
    *publication = (struct publication){bus, bytes.len, done, ctx};
    bus->unsent_bytes += bytes.len;
    bus->sending = publication;
    wire_command(&bus->link->commands, array_len(words), words, 0, on_published, publication);
    enum err err = bus->sending ? OK : ERR_STORE;
    bus->sending = NULL;
    return err;
}

static enum err bus_publish(struct bus *head, struct span channel, struct span bytes)
{
    return bus_send(head, channel, bytes, NULL, NULL);
}

/* --- life ------------------------------------------------------------------------------------------------------- */

void redis_bus_up(struct redis_bus *bus)
{
    bus->up = true;
    bus->attempts = 0;
    bus->settled = bus->publish_refused = false;
    memset(bus->refused, 0, sizeof(bus->refused));
    connect_to_link(bus);
}

void redis_bus_down(struct redis_bus *bus)
{
    bus->up = bus->wire_up = bus->settled = false;
    timer_clear(loop_timers(bus->loop), &bus->timer);
    wire_close(&bus->wire);
}

bool redis_bus_settled(const struct redis_bus *bus)
{
    return bus->settled;
}

enum err redis_bus_init(struct redis_bus *bus, struct loop *loop, struct link *link, int64_t deadline_ms)
{
    static const struct bus_ops ops = {bus_publish, bus_send, bus_listen};
    static const struct wire_ops wire_ops = {on_up, on_down, on_message};
    *bus = (struct redis_bus){.bus = {&ops}, .loop = loop, .link = link, .task = {.run = work}};
    bus->tail = &bus->first;
    enum err err = timer_init(loop_timers(loop), &bus->timer, on_timer);
    if (err)
        return err;
    err = wire_init(&bus->wire, loop, &wire_ops, deadline_ms);
    if (err) {
        timer_fini(loop_timers(loop), &bus->timer);
        return err;
    }
    loop_add_task(loop, LOOP_HOOK_HUB, &bus->task);
    return OK;
}

void redis_bus_fini(struct redis_bus *bus)
{
    loop_remove_task(bus->loop, LOOP_HOOK_HUB, &bus->task);
    wire_fini(&bus->wire);
    timer_fini(loop_timers(bus->loop), &bus->timer);
    while (bus->first)
        free(take_first(bus));
}
