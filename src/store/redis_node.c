/* SPDX-License-Identifier: MIT */
/*
 * The node among its fellows: its leases, what it hears of users, its pulse.
 *
 * Every second the pulse says that we live, takes part in taking dead nodes down, and tells the version of the last
 * change of a user; if that is not the one we know, we missed an event and read the changes. With the pulse goes one
 * step of retention, and at every renewal a look at the tokens in use.
 *
 * After each connect the node takes a new name and leases all its users under it before the old name is given up. So a
 * user who is held under both is never seen leaving, whatever became of the old leases.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/metric.h"
#include "store/redis_store.h"
#include "store/redis_trouble.h"

enum { PULSE_MS = 1000, PULSES_MISSED = 3, BATCH = 500, RETAIN_STEP = 500, EVENT_DEPTH = 2 };

bool node_is_answer(struct redis_store *store, const redisReply *reply)
{
    if (!reply)
        return false;
    if (reply_is_error(reply))
        store_complain(store, reply);
    else if (reply->type != REDIS_REPLY_ARRAY && reply->type != REDIS_REPLY_STATUS)
        store_confused(store);
    return reply->type == REDIS_REPLY_ARRAY;
}

static bool is_gone(const redisReply *reply)
{
    return reply && reply->type == REDIS_REPLY_STATUS && strcmp(reply->str, "node_gone") == 0;
}

/* --- users ------------------------------------------------------------------------------------------------------ */

static void tell_user(struct redis_store *store, const struct user_record *user)
{
    if (user->version <= store->version)
        return;
    store->version = user->version;
    store->sink->user(store->sink, user);
}

static void got_changes(void *ctx, const redisReply *reply)
{
    struct redis_store *store = ctx;
    struct arena arena = {0};
    struct user_record *users = NULL;
    size_t count = 0;
    store->catching_up = false;
    if (!node_is_answer(store, reply))
        return;
    if (reply_users(reply, 1, &arena, &users, &count)) {
        int64_t before = store->version;
        for (size_t i = 0; i < count; i++) {
            users[i].overtook = true;
            tell_user(store, &users[i]);
        }
        if (store->version > before && store->version < store->version_wanted)
            node_catch_up(store);
    } else {
        link_fail(&store->link, "out of memory", NULL);
    }
    arena_reset(&arena);
}

void node_catch_up(struct redis_store *store)
{
    if (store->catching_up)
        return;
    char version[INT_TEXT_SIZE];
    struct span words[] = {SCRIPT_HEAD, int_format(store->version, version), SPAN_LITERAL("500")};
    store->catching_up = true;
    link_script(&store->link, SCRIPT_CHANGES, array_len(words), words, got_changes, store);
}

static void want_version(struct redis_store *store, int64_t version)
{
    if (version > store->version_wanted)
        store->version_wanted = version;
    if (store->version_wanted > store->version)
        node_catch_up(store);
}

static bool hear_user(struct redis_store *store, const json_t *event)
{
    struct user_record user = {
        .id = json_text(event, "id"),
        .name = json_text(event, "name"),
        .status = json_text(event, "status"),
        .available = json_is_true(json_object_get(event, "available")),
    };
    int64_t previous;
    user.idle = user.available && json_is_true(json_object_get(event, "idle"));
    if (!text_int(json_text(event, "version"), &user.version) || !text_int(json_text(event, "previous"), &previous) ||
        !user_id_valid(user.id) || !show_parse(json_text(event, "show"), &user.show))
        return false;
    /* One that does not follow what we know tells us only that there is more to know. */
    if (previous == store->version && !store->catching_up)
        tell_user(store, &user);
    else
        want_version(store, user.version);
    return true;
}

static bool hear_token(struct redis_store *store, const json_t *event)
{
    struct id token;
    if (!id_parse(json_text(event, "token"), &token))
        return false;
    store->sink->token_ended(store->sink, token);
    return true;
}

/* A kind that a later version may have added is nothing to complain about. */
static bool hear(struct redis_store *store, const json_t *event)
{
    struct span kind = json_text(event, "kind");
    struct span whose = json_text(event, "store");
    /* The databases of a server share their channels. */
    if (whose.data && !span_is(whose, store->epoch))
        return true;
    /* Other programs that end a token need not know whose store it is in: its UUID is nobody else's. */
    if (span_is(kind, "token"))
        return hear_token(store, event);
    if (span_is(kind, "user"))
        return whose.data && hear_user(store, event);
    return kind.data;
}

void node_event(struct redis_store *store, struct span payload)
{
    json_t *event = NULL;
    if (!store->ready)
        return;
    if (json_parse(payload, EVENT_DEPTH, &event) != OK || !json_is_object(event) || !hear(store, event))
        store_puzzled(store, "a message published in Redis is none of ours", log_int("bytes", (int64_t)payload.len));
    json_decref(event);
}

/* --- leases ----------------------------------------------------------------------------------------------------- */

static void rejoin(struct redis_store *store);

static void lease_is_taken(void *ctx, const redisReply *reply)
{
    struct redis_store *store = ctx;
    if (is_gone(reply))
        rejoin(store);
    else
        (void)node_is_answer(store, reply);
}

static void nothing_more(void *ctx, const redisReply *reply)
{
    (void)node_is_answer(ctx, reply);
}

static struct span lease_word(enum lease lease)
{
    static const char *const words[] = {
        [LEASE_NONE] = "none", [LEASE_IDLE] = "idle", [LEASE_HELD] = "held", [LEASE_GOODBYE] = "goodbye"};
    return span_of(words[lease]);
}

/* Users to be leased in one script, all in the same way. */
struct batch {
    struct redis_store *store;
    struct span words[SCRIPT_HEAD_COUNT + 2 + BATCH];
    size_t count;
};

static void batch_init(struct batch *batch, struct redis_store *store, const char *node, enum lease lease)
{
    batch->store = store;
    batch->words[SCRIPT_HEAD_COUNT] = span_of(node);
    batch->words[SCRIPT_HEAD_COUNT + 1] = lease_word(lease);
    batch->count = SCRIPT_HEAD_COUNT + 2;
}

static void batch_send(struct batch *batch)
{
    if (batch->count > SCRIPT_HEAD_COUNT + 2)
        link_script(&batch->store->link, SCRIPT_LEASE, batch->count, batch->words, lease_is_taken, batch->store);
    batch->count = SCRIPT_HEAD_COUNT + 2;
}

/* A batch for each kind of lease. */
static void batch_user(void *ctx, struct span user, enum lease lease)
{
    struct batch *batches = ctx;
    struct batch *batch = &batches[lease == LEASE_HELD];
    batch->words[batch->count++] = user;
    if (batch->count == array_len(batch->words))
        batch_send(batch);
}

/* A new one. Its first half is the same as long as the process lives: visits are counted by that (members.lua). */
static struct id node_name(const struct redis_store *store)
{
    struct id name = id_random();
    memcpy(name.bytes, store->host.bytes, sizeof(name.bytes) / 2);
    return name;
}

static void join(struct redis_store *store)
{
    char node[ID_TEXT_SIZE];
    char lease[INT_TEXT_SIZE];
    struct batch batches[2]; /* idle, held */
    store->node = node_name(store);
    struct span words[] = {SCRIPT_HEAD, span_of(id_format(store->node, node)),
                           int_format(store->options.lease_ms, lease)};
    link_script(&store->link, SCRIPT_JOIN, array_len(words), words, nothing_more, store);
    visits_tell_all(store);
    store->joined = true;
    store->renewed_ms = loop_now_ms(store->loop);
    batch_init(&batches[0], store, node, LEASE_IDLE);
    batch_init(&batches[1], store, node, LEASE_HELD);
    store->sink->leases(store->sink, batch_user, batches);
    batch_send(&batches[0]);
    batch_send(&batches[1]);
}

static void got_epoch(void *ctx, const redisReply *reply)
{
    struct redis_store *store = ctx;
    store->rejoining = false;
    if (!node_is_answer(store, reply) || store->retiring)
        return;
    if (!span_is(reply_text(reply, 1), store->epoch)) {
        link_fail(&store->link, "what was in Redis is gone", NULL);
        return;
    }
    log_event(LOG_WARN, "the node's lease had run out");
    join(store);
}

/* Others have given us up; or all data is gone, and with it our lease. */
static void rejoin(struct redis_store *store)
{
    char epoch[ID_TEXT_SIZE];
    struct span words[] = {SCRIPT_HEAD, span_of(id_format(id_random(), epoch))};
    if (!store->ready || store->retiring || store->rejoining)
        return;
    store->rejoining = true;
    link_script(&store->link, SCRIPT_LOAD, array_len(words), words, got_epoch, store);
}

static void former_are_retired(void *ctx, const redisReply *reply)
{
    struct redis_store *store = ctx;
    if (node_is_answer(store, reply))
        store->former_count = 0;
}

/* Where the link was lost again before this came through, the next one gives up that name, too. */
static void retire_former(struct redis_store *store)
{
    char nodes[FORMER_MAX][ID_TEXT_SIZE];
    struct span words[SCRIPT_HEAD_COUNT + 1 + FORMER_MAX] = {SCRIPT_HEAD, SPAN_LITERAL("")};
    size_t count = SCRIPT_HEAD_COUNT + 1;
    for (size_t i = 0; i < store->former_count; i++)
        words[count++] = span_of(id_format(store->former[i], nodes[i]));
    link_script(&store->link, SCRIPT_RETIRE, count, words, former_are_retired, store);
}

void node_join(struct redis_store *store)
{
    static const struct id none;
    if (!id_equal(store->node, none) && store->former_count < FORMER_MAX)
        store->former[store->former_count++] = store->node;
    join(store);
    if (store->former_count)
        retire_former(store);
    timer_set(loop_timers(store->loop), &store->pulse_timer, loop_now_ms(store->loop));
}

void node_down(struct redis_store *store)
{
    store->joined = store->rejoining = store->catching_up = store->retaining = false;
    timer_clear(loop_timers(store->loop), &store->pulse_timer);
    metric_set(METRIC_REDIS_NODES, 0);
}

void node_lease(struct redis_store *store, struct span user, enum lease lease)
{
    char node[ID_TEXT_SIZE];
    struct span words[] = {SCRIPT_HEAD, span_of(id_format(store->node, node)), lease_word(lease), user};
    if (store->joined)
        link_script(&store->link, SCRIPT_LEASE, array_len(words), words, lease_is_taken, store);
}

void node_retire(struct redis_store *store, wire_done *done)
{
    char grace[INT_TEXT_SIZE];
    char node[ID_TEXT_SIZE];
    struct span words[] = {SCRIPT_HEAD, int_format(store->options.grace_ms, grace),
                           span_of(id_format(store->node, node))};
    link_script(&store->link, SCRIPT_RETIRE, array_len(words), words, done, store);
}

/* --- tokens ----------------------------------------------------------------------------------------------------- */

/* Tokens being looked for, in one script. */
struct looking {
    struct redis_store *store;
    size_t count;
    struct id tokens[BATCH];
};

static void tokens_are_found(void *ctx, const redisReply *reply)
{
    struct looking *looking = ctx;
    struct redis_store *store = looking->store;
    if (node_is_answer(store, reply) && reply->elements == looking->count + 1)
        for (size_t i = 0; i < looking->count; i++)
            if (span_is(reply_text(reply, i + 1), "0"))
                store->sink->token_ended(store->sink, looking->tokens[i]);
    free(looking);
}

static void look(struct looking *looking)
{
    static const size_t text_size = ID_TEXT_SIZE;
    char *texts = malloc(looking->count * text_size);
    struct span words[SCRIPT_HEAD_COUNT + BATCH] = {SCRIPT_HEAD};
    if (!texts) {
        free(looking);
        return;
    }
    for (size_t i = 0; i < looking->count; i++)
        words[SCRIPT_HEAD_COUNT + i] = span_of(id_format(looking->tokens[i], texts + i * text_size));
    link_script(&looking->store->link, SCRIPT_TOKENS_CHECK, SCRIPT_HEAD_COUNT + looking->count, words, tokens_are_found,
                looking);
    free(texts);
}

/* The tokens in use, gathered one batch after the other. */
struct gathering {
    struct redis_store *store;
    struct looking *looking;
};

/* One that is at its end anyway says nothing new by being gone. */
static void gather_token(void *ctx, struct id token, int64_t expires_us)
{
    struct gathering *gathering = ctx;
    struct redis_store *store = gathering->store;
    if (expires_us <= clock_wall_us(store->options.clock) + PULSE_MS * 1000LL)
        return;
    if (!gathering->looking) {
        gathering->looking = malloc(sizeof(*gathering->looking));
        if (!gathering->looking)
            return; /* it is looked for again at the next renewal */
        gathering->looking->store = store;
        gathering->looking->count = 0;
    }
    gathering->looking->tokens[gathering->looking->count++] = token;
    if (gathering->looking->count == BATCH) {
        look(gathering->looking);
        gathering->looking = NULL;
    }
}

static void check_tokens(struct redis_store *store)
{
    struct gathering gathering = {store, NULL};
    store->sink->tokens(store->sink, gather_token, &gathering);
    if (gathering.looking)
        look(gathering.looking);
}

/* --- retention -------------------------------------------------------------------------------------------------- */

static void retain(struct redis_store *store);

static void step_is_done(void *ctx, const redisReply *reply)
{
    struct redis_store *store = ctx;
    int64_t removed;
    store->retaining = false;
    if (!node_is_answer(store, reply) || !reply_int(reply, 1, &removed))
        return;
    metric_add(METRIC_PRUNED, removed);
    if (span_is(reply_text(reply, 2), "1"))
        retain(store);
}

static void retain(struct redis_store *store)
{
    const struct store_options *options = &store->options;
    if (store->retaining || !store->ready || (!options->retention_ms && !options->retention_count))
        return;
    int64_t cutoff_us = options->retention_ms ? clock_wall_us(options->clock) - options->retention_ms * 1000 : 0;
    char keep[INT_TEXT_SIZE];
    char cutoff[INT_TEXT_SIZE];
    char step[INT_TEXT_SIZE];
    struct span words[] = {SCRIPT_HEAD, int_format((int64_t)options->retention_count, keep),
                           int_format(cutoff_us, cutoff), int_format(RETAIN_STEP, step)};
    store->retaining = true;
    link_script(&store->link, SCRIPT_RETAIN, array_len(words), words, step_is_done, store);
}

/* --- the pulse -------------------------------------------------------------------------------------------------- */

static void pulse_is_taken(void *ctx, const redisReply *reply)
{
    struct redis_store *store = ctx;
    int64_t version;
    int64_t more;
    int64_t nodes;
    if (is_gone(reply)) {
        rejoin(store);
        return;
    }
    if (!node_is_answer(store, reply))
        return;
    struct cursor trimmed;
    if (!reply_int(reply, 1, &version) || !reply_int(reply, 2, &more) || !reply_cursor(reply, 3, &trimmed) ||
        !reply_int(reply, 4, &nodes)) {
        store_confused(store);
        return;
    }
    if (cursor_compare(store->trimmed, store->read) > 0) {
        link_fail(&store->link, "the log was trimmed before it was read", NULL);
        return;
    }
    store->trimmed = trimmed;
    metric_set(METRIC_REDIS_NODES, nodes);
    store_works(store);
    visits_tell(store);
    want_version(store, version);
    if (more)
        timer_set(loop_timers(store->loop), &store->pulse_timer, loop_now_ms(store->loop));
}

/* Leases that are renewed more often than every second need pulses as often. */
static int64_t pulse_ms(const struct redis_store *store)
{
    return store->options.lease_renewal_ms < PULSE_MS ? store->options.lease_renewal_ms : PULSE_MS;
}

static void on_pulse(struct timer *timer)
{
    struct redis_store *store = container_of(timer, struct redis_store, pulse_timer);
    int64_t now_ms = loop_now_ms(store->loop);
    char node[ID_TEXT_SIZE];
    char lease[INT_TEXT_SIZE];
    char pause[INT_TEXT_SIZE];
    bool renew = now_ms - store->renewed_ms >= store->options.lease_renewal_ms;
    struct span words[] = {SCRIPT_HEAD, span_of(id_format(store->node, node)),
                           int_format(store->options.lease_ms, lease), renew ? SPAN_LITERAL("1") : SPAN_LITERAL("0"),
                           int_format(pulse_ms(store) * PULSES_MISSED, pause)};
    timer_set(loop_timers(store->loop), timer, now_ms + pulse_ms(store));
    link_script(&store->link, SCRIPT_PULSE, array_len(words), words, pulse_is_taken, store);
    retain(store);
    if (renew) {
        store->renewed_ms = now_ms;
        check_tokens(store);
    }
}

enum err node_init(struct redis_store *store)
{
    return timer_init(loop_timers(store->loop), &store->pulse_timer, on_pulse);
}

void node_fini(struct redis_store *store)
{
    timer_fini(loop_timers(store->loop), &store->pulse_timer);
}
