/* SPDX-License-Identifier: MIT */
/*
 * The hub: starting and stopping, and the life of a message.
 *
 * A send is checked, goes to the store's log, and comes back twice: as an announcement, which is delivered, and as the
 * answer to its sender. Delivery knows no other way in, so what is delivered is durable and in the log's order.
 */
#include "core/hub.h"

#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/utf8.h"
#include "core/state.h"

enum { RATE_KEYS_MAX = 100000, USERS_PAGE = 1000, RELOAD_MS = 1000 };

static void message_announced(struct store_sink *sink, struct message *message);
static void store_was_reset(struct store_sink *sink, const struct store_bounds *bounds);
static void reload_due(struct timer *timer);
static void turn_again(struct timer *timer);

struct hub *hub_new(const struct hub_options *options, struct store *store, struct timers *timers,
                    const struct clock *clock)
{
    struct hub *hub = calloc(1, sizeof(*hub));
    if (!hub)
        return NULL;
    hub->options = *options;
    hub->store = store;
    hub->timers = timers;
    hub->clock = clock;
    hub->sink = (struct store_sink){
        .message = message_announced,
        .thread = thread_announced,
        .token_ended = grant_revoked,
        .user = user_announced,
        .reset = store_was_reset,
        .leases = users_leased,
        .tokens = grants_used,
    };
    hub->presence_mark = clock_wall_us(clock);
    hub->sends = rate_new(options->sends_per_minute, options->sends_per_minute, RATE_KEYS_MAX);
    hub->tokens = rate_new(options->tokens_per_minute, options->tokens_per_minute, RATE_KEYS_MAX);
    if (!hub->sends || !hub->tokens || timer_init(timers, &hub->reload, reload_due) != OK ||
        timer_init(timers, &hub->again, turn_again) != OK) {
        hub_free(hub);
        return NULL;
    }
    return hub;
}

static void threads_free(struct hub *hub)
{
    struct thread *thread, *next;
    HASH_ITER (hh, hub->threads, thread, next) {
        HASH_DEL(hub->threads, thread);
        free(thread->members);
        free(thread->room);
        free(thread);
        metric_add(METRIC_THREADS, -1);
    }
}

void hub_free(struct hub *hub)
{
    assert(!hub->fresh);
    grants_forget(hub);
    presence_forget_snapshot(hub);
    watches_forget(hub);
    threads_free(hub);
    users_forget(hub);
    timer_fini(hub->timers, &hub->reload);
    timer_fini(hub->timers, &hub->again);
    free(hub->load);
    rate_free(hub->sends);
    rate_free(hub->tokens);
    free(hub);
}

/* --- starting */

/* What must be known before anything else: the bounds of the store at first, then everybody, where everybody is a
 * friend. */
struct loading {
    struct hub *hub;
    store_done *done; /* null after a reset: nobody waits for it */
    void *ctx;
    uint32_t generation;
};

static void load_end(struct loading *load, enum err err)
{
    struct hub *hub = load->hub;
    hub->load = NULL;
    hub->started = !err;
    if (load->done)
        load->done(load->ctx, err);
    free(load);
}

static void got_users(void *ctx, enum err err, const struct user_record *users, size_t count);

static void load_users(struct loading *load, struct span after)
{
    struct store *store = load->hub->store;
    load->generation = load->hub->generation;
    store->ops->users_list(store, after, USERS_PAGE, got_users, load);
}

/* A store that other nodes share may go away at any time and come back; then one goes on, the more so as after a
 * reset nobody could try again. */
static bool try_later(const struct loading *load, enum err err)
{
    return err && !load->hub->shut && (!load->done || (err == ERR_STORE && load->hub->versioned));
}

static void got_users(void *ctx, enum err err, const struct user_record *users, size_t count)
{
    struct loading *load = ctx;
    struct hub *hub = load->hub;
    if (load->generation != hub->generation && !hub->shut) {
        load_users(load, (struct span){0});
        return;
    }
    for (size_t i = 0; i < count && !err; i++) {
        struct user *user = user_get(hub, users[i].id);
        err = user ? user_update(user, &users[i]) : ERR_NO_MEMORY;
    }
    if (try_later(load, err)) {
        timer_set(hub->timers, &hub->reload, clock_now_ms(hub->clock) + RELOAD_MS);
        return;
    }
    if (!err)
        err = hub->shut;
    if (err || count < USERS_PAGE)
        load_end(load, err);
    else
        load_users(load, users[count - 1].id);
}

static void take_bounds(struct hub *hub, const struct store_bounds *bounds)
{
    hub->cursor = bounds->head;
    hub->versioned = bounds->version != 0;
    hub->announced = bounds->version;
    if (hub->versioned)
        hub->presence_mark = bounds->version;
}

static void store_started(void *ctx, enum err err, const struct store_bounds *bounds)
{
    struct loading *load = ctx;
    struct hub *hub = load->hub;
    if (!err) {
        take_bounds(hub, bounds);
        hub->reached = true;
        err = hub->shut;
    }
    if (err || hub->options.friends != FRIENDS_EVERYONE)
        load_end(load, err);
    else
        load_users(load, (struct span){0});
}

void hub_start(struct hub *hub, store_done *done, void *ctx)
{
    struct loading *load = malloc(sizeof(*load));
    if (!load) {
        done(ctx, ERR_NO_MEMORY);
        return;
    }
    *load = (struct loading){.hub = hub, .done = done, .ctx = ctx};
    hub->load = load;
    hub->store->ops->start(hub->store, &hub->sink, store_started, load);
}

/* After a reset, or when reading the users has failed. */
static void reload(struct hub *hub)
{
    timer_clear(hub->timers, &hub->reload);
    if (!hub->load)
        hub->load = calloc(1, sizeof(*hub->load));
    if (!hub->load) {
        timer_set(hub->timers, &hub->reload, clock_now_ms(hub->clock) + RELOAD_MS);
        return;
    }
    hub->load->hub = hub;
    load_users(hub->load, (struct span){0});
}

static void reload_due(struct timer *timer)
{
    struct hub *hub = container_of(timer, struct hub, reload);
    if (!hub->shut)
        reload(hub);
    else if (hub->load)
        load_end(hub->load, hub->shut);
}

/* Nothing in memory may be relied on: it goes, and clients come back to what there is. */
static void store_was_reset(struct store_sink *sink, const struct store_bounds *bounds)
{
    struct hub *hub = container_of(sink, struct hub, sink);
    char was[CURSOR_TEXT_SIZE], is[CURSOR_TEXT_SIZE];
    log_event(LOG_WARN, "the store is not what it was: all sessions start over",
              log_text("was_at", cursor_format(hub->cursor, was)), log_text("is_at", cursor_format(bounds->head, is)));
    hub->generation++;
    users_lose(hub, ERR_STORE);
    if (hub->lost_until < hub->announced)
        hub->lost_until = hub->announced;
    take_bounds(hub, bounds);
    if (hub->options.friends != FRIENDS_EVERYONE)
        return;
    hub->started = false;
    if (!hub->load && !hub->shut)
        reload(hub); /* one that is under way sees that it is old, and begins again */
}

void hub_shut(struct hub *hub, enum err why)
{
    hub->shut = why;
    struct user *user, *next;
    HASH_ITER (hh, hub->users, user, next)
        while (user->sessions)
            session_end(user->sessions, why);
    watches_end(hub, why);
    if (timer_is_set(&hub->reload)) /* whoever waits for the start is told, but not from here */
        timer_set(hub->timers, &hub->reload, clock_now_ms(hub->clock));
}

/* What it is for happens in hub_tick. */
static void turn_again(struct timer *timer unused_arg)
{
}

void hub_tick(struct hub *hub)
{
    bool told = presence_flush(hub);
    watches_flush(hub);
    sessions_begin(hub);
    if (hub->touched || (told && hub->dirty))
        timer_set(hub->timers, &hub->again, clock_now_ms(hub->clock));
}

struct cursor hub_cursor(const struct hub *hub)
{
    return hub->cursor;
}

bool hub_ready(const struct hub *hub, const char **ret_reason)
{
    if (!hub->store->ops->ready(hub->store, ret_reason))
        return false;
    if (!hub->started)
        *ret_reason = hub->reached ? "the users have not been read yet" : "the store has not been reached yet";
    return hub->started;
}

/* --- the life of a message */

static enum err check_size(struct span field, size_t max, enum metric limit)
{
    if (field.len <= max)
        return OK;
    metric_add(limit, 1);
    return ERR_TOO_LARGE;
}

static enum err check_text(struct span text)
{
    if (!utf8_valid(text))
        return ERR_BAD_UTF8;
    return span_has(text, '\0') ? ERR_BAD_FIELD : OK;
}

static enum err check_subject(struct span subject)
{
    return subject.len > SUBJECT_MAX ? ERR_BAD_FIELD : check_text(subject);
}

static enum err check_language(struct span tag)
{
    bool good = !tag.data || (tag.len <= LANGUAGE_MAX && language_valid(tag));
    return good ? OK : ERR_BAD_FIELD;
}

static enum err first_of(enum err a, enum err b)
{
    return a ? a : b;
}

/* On error *ret_field names what is wrong. */
static enum err check_message(const struct hub *hub, const struct message_fields *fields, const char **ret_field)
{
    const struct hub_options *max = &hub->options;
    const struct {
        const char *field;
        enum err err;
    } checks[] = {
        {"text", first_of(check_size(fields->text, max->text_max, METRIC_LIMIT_TEXT), check_text(fields->text))},
        {"attachments", check_size(fields->attachments, max->attachments_max, METRIC_LIMIT_ATTACHMENTS)},
        {"subject", check_subject(fields->subject)},
        {"language", check_language(fields->language)},
    };
    for (size_t i = 0; i < array_len(checks); i++) {
        if (checks[i].err) {
            *ret_field = checks[i].field;
            return checks[i].err;
        }
    }
    return OK;
}

struct sending {
    struct message *message;
    store_append_done *done;
    void *ctx;
};

static void message_is_appended(void *ctx, enum err err, const struct append_result *result)
{
    struct sending *sending = ctx;
    if (!err)
        metric_add(result->repeated ? METRIC_MESSAGES_REPEATED : METRIC_MESSAGES_IN, 1);
    sending->done(sending->ctx, err, result);
    message_unref(sending->message);
    free(sending);
}

static struct message *message_of(const struct hub *hub, const struct message_fields *fields)
{
    static const struct id nil;
    struct message_fields complete = *fields;
    const struct user *sender = user_find(hub, fields->sender);
    if (id_equal(complete.id, nil))
        complete.id = id_random();
    if (complete.sender_name.len == 0 && sender)
        complete.sender_name = span_of(sender->name);
    complete.time_us = clock_wall_us(hub->clock);
    return message_new(&complete);
}

unsigned hub_pace(struct hub *hub, struct span user)
{
    unsigned wait_s = rate_take(hub->sends, user, clock_now_ms(hub->clock));
    metric_add(METRIC_LIMIT_SENDS, wait_s ? 1 : 0);
    return wait_s;
}

enum err hub_send_check(struct hub *hub, const struct message_fields *fields, struct refusal *ret_refusal)
{
    struct refusal refusal = {0};
    enum err err = first_of(hub->shut, hub_closed(hub));
    if (!err)
        err = check_message(hub, fields, &refusal.field);
    if (!err) {
        refusal = (struct refusal){.retry_s = hub_pace(hub, fields->sender)};
        err = refusal.retry_s ? ERR_TOO_MANY : OK;
    }
    if (err)
        *ret_refusal = refusal;
    return err;
}

enum err hub_send_checked(struct hub *hub, const struct message_fields *fields, store_append_done *done, void *ctx)
{
    if (hub->shut || hub_closed(hub))
        return first_of(hub->shut, hub_closed(hub));
    struct sending *sending = malloc(sizeof(*sending));
    struct message *message = sending ? message_of(hub, fields) : NULL;
    if (!message) {
        free(sending);
        return ERR_NO_MEMORY;
    }
    *sending = (struct sending){message, done, ctx};
    hub->store->ops->append(hub->store, message, message_is_appended, sending);
    return OK;
}

enum err hub_send(struct hub *hub, const struct message_fields *fields, store_append_done *done, void *ctx,
                  struct refusal *ret_refusal)
{
    enum err err = hub_send_check(hub, fields, ret_refusal);
    if (err)
        return err;
    err = hub_send_checked(hub, fields, done, ctx);
    if (err)
        *ret_refusal = (struct refusal){0};
    return err;
}

static void deliver_message(const struct user *user, struct event *event)
{
    struct session *session = user->sessions;
    while (session) {
        struct session *next = session->next;
        if (session->state == SESSION_LIVE && cursor_compare(event->cursor, session->cursor) > 0) {
            metric_add(METRIC_MESSAGES_OUT, 1);
            session->ops->event(session, event);
        }
        session = next;
    }
}

/* Nobody may miss a message in silence: watches are over, sessions that cannot be given one end, and resume before it. */
static void end_sessions_of(struct hub *hub, const struct thread *thread, enum err why)
{
    log_event(LOG_ERROR, "a message could not be delivered", log_err(why));
    watch_thread_failed(hub, thread->id, why);
    for (uint32_t i = 0; i < thread->member_count; i++)
        while (thread->members[i].user->sessions)
            session_end(thread->members[i].user->sessions, why);
}

static void message_announced(struct store_sink *sink, struct message *message)
{
    struct hub *hub = container_of(sink, struct hub, sink);
    struct thread *thread = thread_find(hub, message->fields.thread);
    struct event *event = thread ? event_of_message(message) : NULL;
    if (thread && !event)
        end_sessions_of(hub, thread, ERR_NO_MEMORY);
    hub->cursor = message->cursor;
    if (!event)
        return;
    thread->last_us = message->fields.time_us;
    watch_message(thread, event);
    /* Members may be known here before the log has come to where they joined. */
    for (uint32_t i = 0; i < thread->member_count; i++)
        if (cursor_compare(message->cursor, thread->members[i].joined) > 0)
            deliver_message(thread->members[i].user, event);
    event_unref(event);
}

void hub_thread_get(struct hub *hub, struct id thread, store_thread_done *done, void *ctx)
{
    if (hub_closed(hub))
        done(ctx, hub_closed(hub), NULL);
    else
        hub->store->ops->thread_get(hub->store, thread, done, ctx);
}

void hub_threads(struct hub *hub, struct span user, store_threads_done *done, void *ctx)
{
    if (hub_closed(hub))
        done(ctx, hub_closed(hub), NULL, 0);
    else
        hub->store->ops->threads_of(hub->store, user, true, done, ctx);
}

void hub_message_find(struct hub *hub, struct id message, store_message_done *done, void *ctx)
{
    if (hub_closed(hub))
        done(ctx, hub_closed(hub), NULL);
    else
        hub->store->ops->message_find(hub->store, message, done, ctx);
}

void hub_history(struct hub *hub, struct id thread, struct span user, struct cursor before, size_t limit,
                 store_page_done *done, void *ctx)
{
    if (hub_closed(hub))
        done(ctx, hub_closed(hub), NULL);
    else
        hub->store->ops->history(hub->store, thread, user, before, limit, done, ctx);
}
