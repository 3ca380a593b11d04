/* SPDX-License-Identifier: MIT */
/* Each deed opens the user who acts, acts, turns, and lets go. */
#include "lib/hub_rig.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

enum { LIST_MAX = 32 };

struct hub_options hub_rig_options(enum friends friends)
{
    return (struct hub_options){.friends = friends,
                                .grace_ms = 10000,
                                .token_ttl_ms = 3600 * 1000,
                                .token_ends_streams = true,
                                .rooms_open = true,
                                .sessions_per_user = 4,
                                .streams_per_token = 2,
                                .members_max = 4,
                                .text_max = 100,
                                .attachments_max = 50};
}

void hub_rig_prepare(struct rig *rig, const struct hub_options *options)
{
    static const enum metric gauges[] = {METRIC_USERS, METRIC_THREADS, METRIC_SESSIONS_STREAM};
    for (size_t i = 0; i < array_len(gauges); i++)
        metric_add(gauges[i], -metric_value(gauges[i])); /* what a failed test left */
    *rig = (struct rig){0};
    fake_clock_init(&rig->clock);
    rig->store = fake_store_new(&rig->clock.clock);
    rig->hub = hub_new(options, fake_store_port(rig->store), &rig->timers, &rig->clock.clock);
    assert_non_null(rig->hub);
}

static void note_err(void *ctx, enum err err)
{
    *(enum err *)ctx = err;
}

enum err hub_rig_start(struct rig *rig)
{
    enum err err = ERR_COUNT;
    hub_start(rig->hub, note_err, &err);
    hub_rig_turn(rig);
    assert_int_not_equal(err, ERR_COUNT);
    return err;
}

void hub_rig_init_with(struct rig *rig, const struct hub_options *options)
{
    hub_rig_prepare(rig, options);
    assert_int_equal(hub_rig_start(rig), OK);
}

void hub_rig_init(struct rig *rig, enum friends friends)
{
    struct hub_options options = hub_rig_options(friends);
    hub_rig_init_with(rig, &options);
}

void hub_rig_init_node(struct rig *rig, enum friends friends)
{
    struct hub_options options = hub_rig_options(friends);
    hub_rig_prepare(rig, &options);
    fake_store_count_versions(rig->store);
    assert_int_equal(hub_rig_start(rig), OK);
}

static void note_closed(void *ctx)
{
    *(bool *)ctx = true;
}

void hub_rig_fini(struct rig *rig)
{
    bool closed = false;
    struct store *port = fake_store_port(rig->store);
    port->ops->close(port, note_closed, &closed);
    fake_store_settle(rig->store);
    assert_true(closed);
    hub_free(rig->hub);
    assert_int_equal(rig->timers.reserved, 0);
    assert_int_equal(rig->timers.count, 0);
    timers_fini(&rig->timers);
    assert_int_equal(metric_value(METRIC_USERS), 0);
    assert_int_equal(metric_value(METRIC_THREADS), 0);
    assert_int_equal(metric_value(METRIC_SESSIONS_STREAM), 0);
}

void hub_rig_turn(struct rig *rig)
{
    do {
        fake_store_settle(rig->store);
        timers_run(&rig->timers, rig->clock.now_ms);
        hub_tick(rig->hub);
    } while (fake_store_pending(rig->store) || timers_next(&rig->timers) <= rig->clock.now_ms);
}

void hub_rig_pass(struct rig *rig, int64_t ms)
{
    int64_t end_ms = rig->clock.now_ms + ms;
    while (timers_next(&rig->timers) <= end_ms) {
        fake_clock_advance(&rig->clock, timers_next(&rig->timers) - rig->clock.now_ms);
        hub_rig_turn(rig);
    }
    fake_clock_advance(&rig->clock, end_ms - rig->clock.now_ms);
    hub_rig_turn(rig);
}

/* --- users */

struct opened {
    enum err err;
    struct user *user;
};

static void note_user(void *ctx, enum err err, struct user *user)
{
    *(struct opened *)ctx = (struct opened){err, user};
}

static struct opened open_user(struct rig *rig, const char *user, const char *name)
{
    struct opened opened = {ERR_COUNT, NULL};
    enum err err = hub_user_open(rig->hub, span_of(user), span_of(name), note_user, &opened);
    if (err)
        return (struct opened){err, NULL};
    if (opened.err == ERR_COUNT)
        fake_store_settle(rig->store);
    assert_int_not_equal(opened.err, ERR_COUNT);
    return opened;
}

struct user *hub_rig_open(struct rig *rig, const char *user)
{
    struct opened opened = open_user(rig, user, NULL);
    assert_int_equal(opened.err, OK);
    return opened.user;
}

enum err hub_rig_meet(struct rig *rig, const char *user, const char *name)
{
    struct opened opened = open_user(rig, user, name);
    if (opened.user)
        hub_user_close(opened.user);
    hub_rig_turn(rig);
    return opened.err;
}

enum err hub_rig_set_presence(struct rig *rig, const char *user, enum show show, const char *status)
{
    struct opened actor = open_user(rig, user, NULL);
    if (actor.err)
        return actor.err;
    enum err answer = ERR_COUNT;
    enum err err = hub_presence_set(actor.user, show, span_of(status), note_err, &answer);
    hub_rig_turn(rig);
    hub_user_close(actor.user);
    return err ? err : answer;
}

/* --- threads */

struct threaded {
    enum err err;
    struct id id;
};

static void note_thread(void *ctx, enum err err, const struct thread_record *thread)
{
    struct threaded *threaded = ctx;
    threaded->err = err;
    if (!err)
        threaded->id = thread->id;
}

static size_t split(const char *list, struct span *spans)
{
    size_t count = 0;
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        assert_true(count < LIST_MAX);
        spans[count++] = (struct span){at, strcspn(at, ",")};
    }
    return count;
}

enum err hub_rig_try_thread(struct rig *rig, const char *users, struct id *ret_thread)
{
    struct span spans[LIST_MAX];
    size_t count = split(users, spans);
    char actor_id[USER_ID_MAX + 1];
    snprintf(actor_id, sizeof(actor_id), "%.*s", (int)spans[0].len, spans[0].data);
    struct opened actor = open_user(rig, actor_id, NULL);
    if (actor.err)
        return actor.err;
    struct threaded threaded = {.err = ERR_COUNT};
    enum err err = hub_thread_open(actor.user, spans + 1, count - 1, (struct span){0}, note_thread, &threaded);
    hub_rig_turn(rig);
    hub_user_close(actor.user);
    *ret_thread = threaded.id;
    return err ? err : threaded.err;
}

enum err hub_rig_try_room(struct rig *rig, const char *user, const char *room, struct id *ret_thread)
{
    struct opened actor = open_user(rig, user, NULL);
    if (actor.err)
        return actor.err;
    struct threaded threaded = {.err = ERR_COUNT};
    enum err err = hub_thread_open(actor.user, NULL, 0, span_of(room), note_thread, &threaded);
    hub_rig_turn(rig);
    hub_user_close(actor.user);
    *ret_thread = threaded.id;
    return err ? err : threaded.err;
}

struct id hub_rig_thread(struct rig *rig, const char *users)
{
    struct id thread;
    assert_int_equal(hub_rig_try_thread(rig, users, &thread), OK);
    return thread;
}

struct id hub_rig_room(struct rig *rig, const char *user, const char *room)
{
    struct id thread;
    assert_int_equal(hub_rig_try_room(rig, user, room, &thread), OK);
    return thread;
}

enum err hub_rig_add(struct rig *rig, const char *actor, struct id thread, const char *user)
{
    struct opened owner = open_user(rig, actor, NULL);
    if (owner.err)
        return owner.err;
    struct threaded threaded = {.err = ERR_COUNT};
    enum err err = hub_member_add(owner.user, thread, span_of(user), note_thread, &threaded);
    hub_rig_turn(rig);
    hub_user_close(owner.user);
    return err ? err : threaded.err;
}

enum err hub_rig_remove(struct rig *rig, const char *actor, struct id thread, const char *user)
{
    struct opened owner = open_user(rig, actor, NULL);
    if (owner.err)
        return owner.err;
    struct threaded threaded = {.err = ERR_COUNT};
    enum err err = hub_member_remove(owner.user, thread, span_of(user), note_thread, &threaded);
    hub_rig_turn(rig);
    hub_user_close(owner.user);
    return err ? err : threaded.err;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

struct listing {
    char items[LIST_MAX][USER_ID_MAX + USER_STATUS_MAX + 32];
    size_t count;
};

static void list_user(struct listing *listing, struct span user)
{
    assert_true(listing->count < LIST_MAX);
    snprintf(listing->items[listing->count++], sizeof(listing->items[0]), "%.*s", (int)user.len, user.data);
}

static void list_member(void *ctx, struct span user, struct span name)
{
    (void)name;
    list_user(ctx, user);
}

static void list_friend(void *ctx, const struct presence *friend)
{
    list_user(ctx, friend->user);
}

static const char *listing_text(struct listing *listing)
{
    static char text[LIST_MAX * USER_ID_MAX];
    qsort(listing->items, listing->count, sizeof(listing->items[0]), by_text);
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < listing->count; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i ? "," : "", listing->items[i]);
    return text;
}

const char *hub_rig_members(struct rig *rig, struct id thread)
{
    static struct listing listing;
    listing.count = 0;
    hub_members(rig->hub, thread, list_member, &listing);
    return listing_text(&listing);
}

const char *hub_rig_friends(struct user *user)
{
    static struct listing listing;
    listing.count = 0;
    hub_friends(user, list_friend, &listing);
    return listing_text(&listing);
}

/* --- messages */

struct sent {
    enum err err;
    struct append_result result;
};

static void note_sent(void *ctx, enum err err, const struct append_result *result)
{
    struct sent *sent = ctx;
    sent->err = err;
    if (!err)
        sent->result = *result;
}

enum err hub_rig_send_fields(struct rig *rig, const struct message_fields *fields, struct append_result *ret_result)
{
    struct sent sent = {.err = ERR_COUNT};
    struct refusal refusal = {0};
    enum err err = hub_send(rig->hub, fields, note_sent, &sent, &refusal);
    hub_rig_turn(rig);
    if (err)
        return err;
    assert_int_not_equal(sent.err, ERR_COUNT);
    if (ret_result)
        *ret_result = sent.result;
    return sent.err;
}

static struct message_fields fields_of(struct id thread, const char *sender, const char *text)
{
    return (struct message_fields){.thread = thread, .sender = span_of(sender), .text = span_of(text)};
}

enum err hub_rig_send(struct rig *rig, struct id thread, const char *sender, const char *text)
{
    struct message_fields fields = fields_of(thread, sender, text);
    return hub_rig_send_fields(rig, &fields, NULL);
}

static void must_be_sent(void *ctx, enum err err, const struct append_result *result)
{
    (void)ctx;
    (void)result;
    assert_int_equal(err, OK);
}

void hub_rig_post(struct rig *rig, struct id thread, const char *sender, const char *text)
{
    struct message_fields fields = fields_of(thread, sender, text);
    struct refusal refusal = {0};
    assert_int_equal(hub_send(rig->hub, &fields, must_be_sent, NULL, &refusal), OK);
}

struct issued {
    enum err err;
    struct id token;
};

static void note_token(void *ctx, enum err err, struct id token, int64_t ttl_ms)
{
    (void)ttl_ms;
    *(struct issued *)ctx = (struct issued){err, token};
}

enum err hub_rig_token(struct rig *rig, const char *user, struct id *ret_token)
{
    struct opened owner = open_user(rig, user, NULL);
    if (owner.err)
        return owner.err;
    struct issued issued = {.err = ERR_COUNT};
    unsigned retry_s;
    enum err err = hub_token_issue(owner.user, note_token, &issued, &retry_s);
    hub_rig_turn(rig);
    hub_user_close(owner.user);
    *ret_token = issued.token;
    return err ? err : issued.err;
}

void hub_rig_note_user(void *ctx, enum err err, struct user *user)
{
    assert_int_equal(err, OK);
    *(struct user **)ctx = user;
}

void hub_rig_note_thread(void *ctx, enum err err, const struct thread_record *thread)
{
    assert_int_equal(err, OK);
    *(struct id *)ctx = thread->id;
}

/* --- viewers */

static void viewer_note(struct viewer *viewer, const char *format, ...) printf_like(2, 3);
static void viewer_note(struct viewer *viewer, const char *format, ...)
{
    size_t room = sizeof(viewer->text) - viewer->len;
    va_list args;
    va_start(args, format);
    int len = vsnprintf(viewer->text + viewer->len, room, format, args);
    va_end(args);
    assert_true(len >= 0 && (size_t)len < room);
    viewer->len += (size_t)len;
}

/* What is shown next stands apart from what was before. */
static const char *gap_before(const struct viewer *viewer)
{
    return viewer->len ? " " : "";
}

static void note_presence(struct viewer *viewer, const struct event *event)
{
    static struct listing listing;
    listing.count = event->presence.count;
    assert_true(listing.count <= LIST_MAX);
    for (size_t i = 0; i < listing.count; i++) {
        const struct presence *item = &event->presence.items[i];
        /* The sign goes behind the id for sorting and comes out in front. */
        snprintf(listing.items[i], sizeof(listing.items[i]), "%.*s%c%s%s%s%.*s%s", (int)item->user.len, item->user.data,
                 item->available ? '+' : '-', item->show == SHOW_CHAT ? "" : "/",
                 item->show == SHOW_CHAT ? "" : show_word(item->show), item->status.len ? "\"" : "",
                 (int)item->status.len, item->status.data ? item->status.data : "", item->status.len ? "\"" : "");
    }
    qsort(listing.items, listing.count, sizeof(listing.items[0]), by_text);
    viewer_note(viewer, "%s[", gap_before(viewer));
    for (size_t i = 0; i < listing.count; i++) {
        size_t id_len = strcspn(listing.items[i], "+-");
        viewer_note(viewer, "%s%c%.*s%s", i ? " " : "", listing.items[i][id_len], (int)id_len, listing.items[i],
                    listing.items[i] + id_len + 1);
    }
    viewer_note(viewer, "]");
}

static void viewer_event(struct session *session, struct event *event)
{
    struct viewer *viewer = container_of(session, struct viewer, session);
    assert_true(session_attached(session));
    assert_true(cursor_compare(event->cursor, viewer->cursor) >= 0);
    viewer->cursor = event->cursor;
    if (event->kind == EVENT_PRESENCE)
        note_presence(viewer, event);
    else if (event->kind == EVENT_MESSAGE)
        viewer_note(viewer, "%s%.*s:%.*s", gap_before(viewer), (int)event->message->fields.sender.len,
                    event->message->fields.sender.data, (int)event->message->fields.text.len,
                    event->message->fields.text.data);
    else
        viewer_note(viewer, "%sgap<%" PRIu64, gap_before(viewer), event->oldest.major);
    if (++viewer->shown == viewer->leave_after)
        hub_detach(session);
}

static void viewer_settled(struct session *session, bool more)
{
    struct viewer *viewer = container_of(session, struct viewer, session);
    assert_true(session_attached(session));
    viewer_note(viewer, "%s%s", gap_before(viewer), more ? "..." : ".");
    if (more && viewer->eager)
        hub_continue(session);
}

static void viewer_closed(struct session *session, enum err why)
{
    struct viewer *viewer = container_of(session, struct viewer, session);
    assert_false(session_attached(session));
    assert_false(viewer->closed);
    viewer->closed = true;
    viewer->why = why;
    viewer_note(viewer, "%sclosed(%s)", gap_before(viewer), err_word(why));
}

static struct session_place viewer_place(const struct session *session)
{
    const struct viewer *viewer = container_of(session, struct viewer, session);
    return (struct session_place){SPAN_LITERAL("192.0.2.1"), (uint32_t)viewer->len};
}

static const struct session_ops stays_ops = {
    .protocol = "test",
    .gauge = METRIC_SESSIONS_STREAM,
    .event = viewer_event,
    .settled = viewer_settled,
    .close = viewer_closed,
    .place = viewer_place,
};

static const struct session_ops polls_ops = {
    .protocol = "test-poll",
    .gauge = METRIC_SESSIONS_STREAM,
    .comes_again = true,
    .event = viewer_event,
    .settled = viewer_settled,
    .close = viewer_closed,
};

enum err viewer_attach(struct viewer *viewer, struct rig *rig, const char *user, const struct attach *attach)
{
    unsigned leave_after = viewer->leave_after;
    bool eager = viewer->eager, polls = viewer->polls;
    *viewer = (struct viewer){.rig = rig, .leave_after = leave_after, .eager = eager, .polls = polls};
    struct opened opened = open_user(rig, user, NULL);
    if (opened.err)
        return opened.err;
    const struct session_ops *ops = polls ? &polls_ops : &stays_ops;
    enum err err = hub_attach(&viewer->session, ops, opened.user, attach);
    assert_int_equal(session_attached(&viewer->session), err == OK);
    hub_user_close(opened.user);
    return err;
}

void viewer_join(struct viewer *viewer, struct rig *rig, const char *user)
{
    struct attach attach = {0};
    assert_int_equal(viewer_attach(viewer, rig, user, &attach), OK);
}

void viewer_resume(struct viewer *viewer, struct rig *rig, const char *user, struct cursor since)
{
    struct attach attach = {.resume = true, .since = since};
    assert_int_equal(viewer_attach(viewer, rig, user, &attach), OK);
}

void viewer_leave(struct viewer *viewer)
{
    hub_detach(&viewer->session);
}

void viewer_say_goodbye(struct viewer *viewer)
{
    hub_leave(&viewer->session);
}

void viewer_check(struct viewer *viewer, const char *expected, const char *file, int line)
{
    viewer->text[viewer->len] = '\0';
    _assert_string_equal(viewer->text, expected, file, line);
    viewer_skip(viewer);
}

void viewer_skip(struct viewer *viewer)
{
    viewer->len = 0;
    viewer->text[0] = '\0';
}

/* --- watchers */

static void watcher_note(struct watcher *watcher, const char *format, ...) printf_like(2, 3);
static void watcher_note(struct watcher *watcher, const char *format, ...)
{
    size_t room = sizeof(watcher->text) - watcher->len;
    int gap = snprintf(watcher->text + watcher->len, room, "%s", watcher->len ? " " : "");
    va_list args;
    va_start(args, format);
    int len = vsnprintf(watcher->text + watcher->len + gap, room - (size_t)gap, format, args);
    va_end(args);
    assert_true(len >= 0 && (size_t)(gap + len) < room);
    watcher->len += (size_t)(gap + len);
}

struct gathered {
    char text[sizeof(((struct watcher *)NULL)->last)];
    size_t len;
};

static void gather_occupant(void *ctx, const struct occupant *occupant)
{
    struct gathered *gathered = ctx;
    const struct presence *who = &occupant->presence;
    assert_true(who->available || !occupant->idle);
    int len = snprintf(gathered->text + gathered->len, sizeof(gathered->text) - gathered->len, "%s%s%s%.*s%s%s%s%.*s%s",
                       gathered->len ? " " : "", occupant->role == ROLE_OWNER ? "@" : "",
                       occupant->idle   ? "?"
                       : who->available ? "+"
                                        : "-",
                       (int)who->user.len, who->user.data, who->show == SHOW_CHAT ? "" : "/",
                       who->show == SHOW_CHAT ? "" : show_word(who->show), who->status.len ? "\"" : "",
                       (int)who->status.len, who->status.data ? who->status.data : "", who->status.len ? "\"" : "");
    gathered->len += (size_t)len;
    assert_true(gathered->len < sizeof(gathered->text));
}

static void watcher_changed(struct thread_watch *watch)
{
    struct watcher *watcher = container_of(watch, struct watcher, watch);
    struct gathered gathered = {0};
    assert_false(watcher->over);
    hub_occupants(watch, gather_occupant, &gathered);
    if (strcmp(gathered.text, watcher->last) == 0)
        watcher_note(watcher, "=");
    else
        watcher_note(watcher, "{%s}", gathered.text);
    memcpy(watcher->last, gathered.text, sizeof(watcher->last));
    if (watcher->leaves)
        hub_unwatch(watch);
}

static void watcher_message(struct thread_watch *watch, struct event *event)
{
    struct watcher *watcher = container_of(watch, struct watcher, watch);
    const struct message_fields *fields = &event->message->fields;
    assert_false(watcher->over);
    assert_true(id_equal(fields->thread, watch->thread));
    watcher_note(watcher, "%.*s:%.*s", (int)fields->sender.len, fields->sender.data, (int)fields->text.len,
                 fields->text.data);
}

static void watcher_ended(struct thread_watch *watch, enum err why)
{
    struct watcher *watcher = container_of(watch, struct watcher, watch);
    assert_false(watcher->over);
    watcher->over = true;
    watcher->why = why;
    watcher_note(watcher, "ended(%s)", err_word(why));
    memset(watch, 0xa5, sizeof(*watch)); /* it may be freed in here */
    watch->watched = NULL;
}

static const struct thread_watch_ops watcher_ops = {watcher_changed, watcher_message, watcher_ended};

enum err watcher_try(struct watcher *watcher, struct rig *rig, struct id thread)
{
    *watcher = (struct watcher){.leaves = watcher->leaves};
    return hub_watch(rig->hub, &watcher->watch, &watcher_ops, thread);
}

void watcher_start(struct watcher *watcher, struct rig *rig, struct id thread)
{
    assert_int_equal(watcher_try(watcher, rig, thread), OK);
}

void watcher_check(struct watcher *watcher, const char *expected, const char *file, int line)
{
    watcher->text[watcher->len] = '\0';
    _assert_string_equal(watcher->text, expected, file, line);
    watcher->len = 0;
}
