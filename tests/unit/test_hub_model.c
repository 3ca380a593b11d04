/* SPDX-License-Identifier: MIT */
/*
 * A model of the hub: clients come, go, talk, join and leave at random while the store and memory fail at random.
 *
 * A client may lose its session at any time and comes back with the cursor of what it has seen. Checked at every event:
 *  - the cursor never goes back, and no message is shown twice, over all sessions of the client;
 *  - a message is only shown to who was in its thread when it was committed.
 * Checked whenever everything has come to rest:
 *  - each live client has seen every message committed since it first came, in threads its user is still in, except what a gap
 *    told it is lost;
 *  - each live client has been told how all its friends are;
 *  - every send that was acknowledged is in the log, and none is there twice;
 *  - each watch was told who is in its room and how they are, and has heard all that was said since it began;
 *  - the leases are those that the sessions there are, and those there were, call for: also of who polls beside other
 *    sessions.
 * With other nodes, users have sessions there as well, and clients come back with the mark of presence they hold, from
 * here or from there, where they were shown how everybody was. At times the store loses its place. A failing run prints
 * its seed; `MODEL_SEED=n` runs that one alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "core/hub.h"
#include "lib/failing_memory.h"
#include "lib/hub_rig.h"

enum { GRACE_MS = 10000 };
enum { USERS = 6, ROOMS = 4, CLIENTS = 10, ONLOOKERS = 6, MESSAGES = 4096, STEPS = 3000, REST_EVERY = 60, SEEDS = 6 };

static const char *const users[USERS] = {"ada", "bob", "cyd", "dan", "eve", "fay"};
static const char *const rooms[ROOMS] = {"attic", "barn", "cellar", "den"};

struct client {
    struct session session;
    struct model *model;
    unsigned user;
    int64_t mark; /* what its views stand for; 0: nothing */
    bool joining; /* being opened */
    bool began;   /* has been shown something, ever */
    bool live;
    bool paused;
    bool polls;
    struct cursor start;   /* what comes after it must be seen */
    struct cursor place;   /* of the last event */
    struct cursor excused; /* a gap told that messages up to here may be lost */
    struct presence views[USERS];
    bool seen[MESSAGES];
};

/* What the log came to hold, by cursor. */
struct fact {
    unsigned room;
    bool members[USERS]; /* at commit */
};

/* How a user stands who has no session here. */
struct absence {
    bool left; /* had some */
    bool awaited;
    int64_t until_ms;
};

/* Looks at one room, now and then. */
struct onlooker {
    struct thread_watch watch;
    struct model *model;
    unsigned room;
    bool told;
    struct occupant told_of[USERS]; /* in order of joining; the texts are ours */
    unsigned told_count;
    struct cursor start; /* what comes after it must be heard */
    uint64_t heard_last;
    bool heard[MESSAGES];
};

struct model {
    struct rig rig;
    uint64_t random;
    bool memory_fails;
    bool watches_presence;
    bool has_nodes;
    enum friends friends;
    struct id room_ids[ROOMS];
    struct client clients[CLIENTS];
    struct absence absences[USERS];
    int64_t awaited_ms[USERS]; /* until when a poll is that ended beside other sessions of its user; 0: none is */
    struct onlooker onlookers[ONLOOKERS];
    struct fact facts[MESSAGES];
    uint64_t known; /* facts are known up to this cursor */
    uint64_t pruned;
    struct id last_id; /* of a send that may be repeated */
    unsigned acknowledged, repeated, told;
    unsigned outlasted; /* last sessions that ended while a poll was awaited */
};

static struct model model_memory;

/* splitmix64: the same everywhere, for a given seed. */
static unsigned pick(struct model *model, unsigned below)
{
    uint64_t z = (model->random += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (unsigned)((z ^ (z >> 31)) % below);
}

static unsigned room_of(const struct model *model, struct id id)
{
    unsigned room = 0;
    while (room < ROOMS && !id_equal(model->room_ids[room], id))
        room++;
    assert_true(room < ROOMS);
    return room;
}

static unsigned user_of(struct span id)
{
    unsigned user = 0;
    while (user < USERS && !span_is(id, users[user]))
        user++;
    assert_true(user < USERS);
    return user;
}

/* --- facts */

/* Writes down who was in the thread of each new message, before any membership can change. */
static void learn(struct model *model)
{
    for (size_t i = 0; i < fake_store_count(model->rig.store); i++) {
        const struct message *message = fake_store_message(model->rig.store, i);
        if (message->cursor.major <= model->known)
            continue;
        assert_true(message->cursor.major < MESSAGES);
        struct fact *fact = &model->facts[message->cursor.major];
        struct cursor joined;
        fact->room = room_of(model, message->fields.thread);
        for (unsigned k = 0; k < USERS; k++)
            fact->members[k] = fake_store_member(model->rig.store, message->fields.thread, span_of(users[k]), &joined);
    }
    model->known = fake_store_head(model->rig.store).major;
}

static bool step(struct model *model)
{
    bool stepped = fake_store_step(model->rig.store);
    learn(model);
    return stepped;
}

/* --- clients */

static bool has_session(const struct model *model, unsigned user)
{
    for (size_t i = 0; i < CLIENTS; i++)
        if (model->clients[i].user == user && session_attached(&model->clients[i].session))
            return true;
    return false;
}

/* To be called whenever a client has lost its session. */
static void has_left(const struct client *client, bool goodbye)
{
    struct model *model = client->model;
    unsigned user = client->user;
    int64_t now_ms = model->rig.clock.now_ms, until_ms = goodbye ? now_ms : now_ms + GRACE_MS;
    bool comes_again = client->polls && !goodbye, poll_is_awaited = now_ms < model->awaited_ms[user];
    if (has_session(model, user)) {
        model->awaited_ms[user] = comes_again ? until_ms : model->awaited_ms[user];
        return;
    }
    model->outlasted += poll_is_awaited && !comes_again;
    if (poll_is_awaited && until_ms < model->awaited_ms[user])
        until_ms = model->awaited_ms[user];
    model->absences[user] = (struct absence){true, goodbye || comes_again || poll_is_awaited, until_ms};
}

static void leave(struct client *client, bool goodbye)
{
    if (!session_attached(&client->session))
        return;
    if (goodbye)
        hub_leave(&client->session);
    else
        hub_detach(&client->session);
    has_left(client, goodbye);
}

static void begin(struct client *client)
{
    if (client->began)
        return;
    client->began = true;
    client->start = session_cursor(&client->session);
}

static void take_message(struct client *client, const struct message *message)
{
    uint64_t major = message->cursor.major;
    assert_true(major < MESSAGES);
    assert_false(client->seen[major]);
    assert_true(cursor_compare(message->cursor, client->place) > 0);
    client->seen[major] = true;
}

static void take_presence(struct client *client, const struct event *event)
{
    for (size_t i = 0; i < event->presence.count; i++) {
        struct presence *view = &client->views[user_of(event->presence.items[i].user)];
        view->available = event->presence.items[i].available;
        view->show = event->presence.items[i].show;
    }
}

static void client_event(struct session *session, struct event *event)
{
    struct client *client = container_of(session, struct client, session);
    assert_true(session_attached(session));
    assert_true(cursor_compare(event->cursor, client->place) >= 0);
    begin(client);
    if (event->kind == EVENT_MESSAGE)
        take_message(client, event->message);
    else if (event->kind == EVENT_PRESENCE)
        take_presence(client, event);
    else
        client->excused = event->oldest;
    client->place = event->cursor;
    if (pick(client->model, client->polls ? 20 : 100) == 0)
        leave(client, pick(client->model, 3) == 0);
}

static void client_settled(struct session *session, bool more)
{
    struct client *client = container_of(session, struct client, session);
    begin(client);
    client->live = !more;
    client->paused = more;
    if (more && pick(client->model, 2))
        hub_continue(session);
}

static void client_closed(struct session *session, enum err why)
{
    has_left(container_of(session, struct client, session), false);
    assert_false(session_attached(session));
    assert_true(why == ERR_STORE || why == ERR_STORE_FULL || why == ERR_NO_MEMORY);
}

static const struct session_ops client_ops = {
    .protocol = "test",
    .gauge = METRIC_SESSIONS_STREAM,
    .event = client_event,
    .settled = client_settled,
    .close = client_closed,
};

static const struct session_ops poll_ops = {
    .protocol = "test-poll",
    .gauge = METRIC_SESSIONS_STREAM,
    .comes_again = true,
    .event = client_event,
    .settled = client_settled,
    .close = client_closed,
};

static void client_opened(void *ctx, enum err err, struct user *user)
{
    struct client *client = ctx;
    client->joining = false;
    if (err)
        return;
    bool resume = client->began;
    struct attach attach = {.resume = resume, .since = client->place, .presence_mark = client->mark};
    client->live = client->paused = false;
    if (hub_attach(&client->session, client->polls ? &poll_ops : &client_ops, user, &attach) == OK) {
        client->model->absences[client->user] = (struct absence){0};
        if (client->polls)
            client->model->awaited_ms[client->user] = 0;
    }
    hub_user_close(user);
}

/* A client polls here, or has polled another node meanwhile, which had announced all there is. */
static void take_mark(struct model *model, struct client *client)
{
    client->mark = client->began ? session_presence_mark(&client->session) : 0;
    if (pick(model, 3))
        return;
    client->mark = fake_store_version(model->rig.store);
    for (unsigned i = 0; i < USERS; i++)
        fake_store_user(model->rig.store, users[i], &client->views[i].available, &client->views[i].show);
}

static void come(struct model *model, struct client *client)
{
    if (session_attached(&client->session) || client->joining)
        return;
    /* Of two clients with marks, both between two sessions, the second may miss who has come into a thread: see
     * session.c. */
    if (model->has_nodes && model->friends == FRIENDS_THREADS && client - model->clients >= USERS)
        return;
    if (model->has_nodes)
        take_mark(model, client);
    /* Either clue is a good one: the place of the last event, or what the hub says of the session. */
    if (client->began && pick(model, 2))
        client->place = session_cursor(&client->session);
    client->joining = true;
    enum err err = hub_user_open(model->rig.hub, span_of(users[client->user]), (struct span){0}, client_opened, client);
    if (err)
        client->joining = false;
}

/* --- onlookers */

static void note_occupant(void *ctx, const struct occupant *occupant)
{
    struct onlooker *onlooker = ctx;
    unsigned user = user_of(occupant->presence.user);
    assert_true(onlooker->told_count < USERS);
    struct occupant *told = &onlooker->told_of[onlooker->told_count++];
    *told = *occupant;
    told->presence.user = span_of(users[user]);
    told->presence.name = told->presence.status = (struct span){0};
}

static void onlooker_changed(struct thread_watch *watch)
{
    struct onlooker *onlooker = container_of(watch, struct onlooker, watch);
    struct model *model = onlooker->model;
    if (!onlooker->told)
        onlooker->start = hub_cursor(model->rig.hub);
    onlooker->told = true;
    onlooker->told_count = 0;
    hub_occupants(watch, note_occupant, onlooker);
    model->told++;
    if (pick(model, 30) == 0)
        hub_unwatch(&model->onlookers[pick(model, ONLOOKERS)].watch);
    if (pick(model, 30) == 0)
        leave(&model->clients[pick(model, CLIENTS)], pick(model, 2));
}

static void onlooker_message(struct thread_watch *watch, struct event *event)
{
    struct onlooker *onlooker = container_of(watch, struct onlooker, watch);
    uint64_t major = event->cursor.major;
    assert_int_equal(room_of(onlooker->model, event->message->fields.thread), onlooker->room);
    assert_true(major < MESSAGES && major > onlooker->heard_last);
    onlooker->heard[major] = true;
    onlooker->heard_last = major;
    if (pick(onlooker->model, 200) == 0)
        hub_unwatch(watch);
}

static void onlooker_ended(struct thread_watch *watch, enum err why)
{
    assert_null(watch->watched);
    assert_true(why == ERR_STORE || why == ERR_STORE_FULL || why == ERR_NO_MEMORY);
}

static const struct thread_watch_ops onlooker_ops = {onlooker_changed, onlooker_message, onlooker_ended};

static void look_or_look_away(struct model *model)
{
    struct onlooker *onlooker = &model->onlookers[pick(model, ONLOOKERS)];
    if (onlooker->watch.watched) {
        hub_unwatch(&onlooker->watch);
        return;
    }
    *onlooker = (struct onlooker){.model = model, .room = pick(model, ROOMS)};
    (void)!hub_watch(model->rig.hub, &onlooker->watch, &onlooker_ops, model->room_ids[onlooker->room]);
}

/* --- deeds */

struct deed {
    enum { DEED_JOIN, DEED_LEAVE, DEED_VISIT, DEED_VISIT_BY_ID, DEED_VISIT_END, DEED_PRESENCE } kind;
    struct model *model;
    unsigned user, room;
    enum show show;
    struct user *actor;
};

static void deed_end(struct deed *deed)
{
    hub_user_close(deed->actor);
    test_free(deed);
}

static void deed_threaded(void *ctx, enum err err, const struct thread_record *thread)
{
    (void)err;
    (void)thread;
    deed_end(ctx);
}

static void deed_set(void *ctx, enum err err)
{
    (void)err;
    deed_end(ctx);
}

static enum err deed_do(struct deed *deed)
{
    struct id id = deed->model->room_ids[deed->room];
    switch (deed->kind) {
    case DEED_JOIN: return hub_thread_open(deed->actor, NULL, 0, span_of(rooms[deed->room]), deed_threaded, deed);
    case DEED_VISIT: return hub_room_visit(deed->actor, span_of(rooms[deed->room]), deed_threaded, deed);
    case DEED_VISIT_BY_ID: return hub_thread_visit(deed->actor, id, deed_threaded, deed);
    case DEED_VISIT_END:
        return hub_visit_end(deed->model->rig.hub, id, span_of(users[deed->user]), deed->show == SHOW_CHAT,
                             deed_threaded, deed);
    case DEED_LEAVE: return hub_member_remove(deed->actor, id, span_of(users[deed->user]), deed_threaded, deed);
    default: return hub_presence_set(deed->actor, deed->show, (struct span){0}, deed_set, deed);
    }
}

static void deed_opened(void *ctx, enum err err, struct user *user)
{
    struct deed *deed = ctx;
    deed->actor = user;
    if (err)
        test_free(deed);
    else if (deed_do(deed))
        deed_end(deed);
}

static void do_deed(struct model *model, struct deed deed)
{
    fake_store_busy += 1;
    struct deed *copy = test_malloc(sizeof(*copy));
    fake_store_busy -= 1;
    deed.model = model;
    *copy = deed;
    struct span id = span_of(users[deed.user]);
    if (hub_user_open(model->rig.hub, id, (struct span){0}, deed_opened, copy))
        test_free(copy);
}

static void acknowledged(void *ctx, enum err err, const struct append_result *result)
{
    struct model *model = ctx;
    if (err)
        return;
    assert_true(result->cursor.major > 0 && result->cursor.major <= fake_store_head(model->rig.store).major);
    model->acknowledged++;
    model->repeated += result->repeated;
    model->last_id = result->id;
}

static void send(struct model *model)
{
    struct message_fields fields = {.thread = model->room_ids[pick(model, ROOMS)],
                                    .sender = span_of(users[pick(model, USERS)]),
                                    .text = span_of("words")};
    if (pick(model, 10) == 0)
        fields.id = model->last_id;
    struct refusal refusal = {0};
    (void)!hub_send(model->rig.hub, &fields, acknowledged, model, &refusal);
}

static void send_elsewhere(struct model *model)
{
    struct cursor joined;
    unsigned room = pick(model, ROOMS), user = pick(model, USERS);
    if (!fake_store_member(model->rig.store, model->room_ids[room], span_of(users[user]), &joined))
        return;
    fake_store_send_elsewhere(model->rig.store, model->room_ids[room], span_of(users[user]), span_of("from afar"));
    learn(model);
}

static void lease_elsewhere(struct model *model, unsigned user, enum lease lease)
{
    struct absence *absence = &model->absences[user];
    if (lease == LEASE_GOODBYE && !absence->awaited)
        *absence = (struct absence){0}; /* that holds here as well */
    fake_store_lease_elsewhere(model->rig.store, users[user], lease);
}

static void happen_elsewhere(struct model *model)
{
    struct fake_store *store = model->rig.store;
    const char *user = users[pick(model, USERS)];
    unsigned dice = pick(model, 100);
    if (dice < 50)
        lease_elsewhere(model, pick(model, USERS), pick(model, LEASE_GOODBYE + 1));
    else if (dice < 75)
        fake_store_set_elsewhere(store, user, "", pick(model, SHOW_COUNT), "");
    else if (dice < 97)
        fake_store_hold_news(store, pick(model, 3));
    else if (dice < 98)
        fake_store_overtake_news(store);
    else if (fake_store_pending(store) == 0) {
        fake_store_reset(store, fake_store_head(store), 0);
        memset(model->absences, 0, sizeof(model->absences)); /* nobody is waited for */
        memset(model->awaited_ms, 0, sizeof(model->awaited_ms));
    }
}

static void prune(struct model *model)
{
    struct cursor until = hub_cursor(model->rig.hub);
    unsigned kept = 10 + pick(model, 20);
    if (until.major < model->pruned + kept)
        return;
    model->pruned = until.major -= kept;
    fake_store_prune(model->rig.store, until);
}

static void pass_time(struct model *model)
{
    fake_clock_advance(&model->rig.clock, pick(model, 8000));
    timers_run(&model->rig.timers, model->rig.clock.now_ms);
    hub_tick(model->rig.hub);
}

static void fail_something(struct model *model)
{
    static const enum err errs[] = {ERR_STORE, ERR_STORE_FULL, ERR_NO_MEMORY};
    if (model->memory_fails && pick(model, 2))
        memory_fail_at(1 + pick(model, 12));
    else
        fake_store_fail_next(model->rig.store, errs[pick(model, 3)]);
}

static void act(struct model *model)
{
    struct client *client = &model->clients[pick(model, CLIENTS)];
    static const unsigned enters[] = {DEED_JOIN, DEED_VISIT, DEED_VISIT_BY_ID}, leaves[] = {DEED_LEAVE, DEED_VISIT_END};
    unsigned user = pick(model, USERS), room = pick(model, ROOMS), dice = pick(model, 100);
    if (model->has_nodes && pick(model, 10) == 0)
        happen_elsewhere(model);
    else if (dice < 22)
        send(model);
    else if (dice < 26)
        send_elsewhere(model);
    else if (dice < 28)
        fake_store_tail(model->rig.store);
    else if (dice < 38)
        come(model, client);
    else if (dice < 42)
        leave(client, pick(model, 4) == 0);
    else if (dice < 44)
        look_or_look_away(model);
    else if (dice < 46)
        do_deed(model, (struct deed){.kind = enters[pick(model, 3)], .user = user, .room = room});
    else if (dice < 48)
        do_deed(model,
                (struct deed){.kind = leaves[pick(model, 2)], .user = user, .room = room, .show = pick(model, 2)});
    else if (dice < 50)
        do_deed(model, (struct deed){.kind = DEED_PRESENCE, .user = user, .show = pick(model, SHOW_COUNT)});
    else if (dice < 78)
        (void)step(model);
    else if (dice < 92)
        hub_tick(model->rig.hub);
    else if (dice < 94)
        pass_time(model);
    else if (dice < 96)
        hub_continue(&client->session);
    else if (dice < 98)
        fail_something(model);
    else if (dice < 99)
        (void)fake_store_read_ahead(model->rig.store);
    else
        prune(model);
}

/* --- at rest */

static void rest(struct model *model)
{
    memory_fail_at(0);
    fake_store_fail_next(model->rig.store, OK);
    fake_store_hold_news(model->rig.store, false);
    bool busy;
    do {
        fake_store_tail(model->rig.store);
        busy = timers_next(&model->rig.timers) <= model->rig.clock.now_ms;
        timers_run(&model->rig.timers, model->rig.clock.now_ms);
        while (step(model))
            busy = true;
        hub_tick(model->rig.hub);
        for (size_t i = 0; i < CLIENTS; i++)
            hub_continue(&model->clients[i].session);
        busy =
            busy || fake_store_pending(model->rig.store) || timers_next(&model->rig.timers) <= model->rig.clock.now_ms;
    } while (busy);
}

static void check_seen(struct model *model, const struct client *client)
{
    for (uint64_t major = 1; major <= model->known; major++) {
        const struct fact *fact = &model->facts[major];
        struct cursor at = {major, 0}, joined;
        if (client->seen[major])
            assert_true(fact->members[client->user]);
        if (client->seen[major] || cursor_compare(at, client->start) <= 0 || cursor_compare(at, client->excused) <= 0 ||
            !fact->members[client->user])
            continue;
        if (!fake_store_member(model->rig.store, model->room_ids[fact->room], span_of(users[client->user]), &joined))
            continue;
        if (cursor_compare(at, joined) > 0)
            fail_msg("client %td (%s) missed %llu in %s", client - model->clients, users[client->user],
                     (unsigned long long)major, rooms[fact->room]);
    }
}

static void check_friend(void *ctx, const struct presence *friend)
{
    const struct client *client = ctx;
    const struct presence *view = &client->views[user_of(friend->user)];
    assert_int_equal(view->available, friend->available);
    if (client->model->has_nodes) {
        bool available;
        enum show show;
        fake_store_user(client->model->rig.store, users[user_of(friend->user)], &available, &show);
        assert_int_equal(friend->available, available);
        assert_int_equal(friend->show, show);
    }
    /* Of somebody who was never here since they met, nothing may have been told. */
    if (friend->available)
        assert_int_equal(view->show, friend->show);
}

/* How a user is by the store's word, or, where it has none, by what happened here. */
static struct occupant truth_of(struct model *model, unsigned user)
{
    struct occupant truth = {{.user = span_of(users[user])}, ROLE_GUEST, false};
    const struct absence *absence = &model->absences[user];
    bool here = has_session(model, user);
    fake_store_user(model->rig.store, users[user], &truth.presence.available, &truth.presence.show);
    truth.idle = fake_store_user_is_idle(model->rig.store, users[user]);
    bool awaits_end = absence->left && model->rig.clock.now_ms < absence->until_ms;
    enum lease lease = here || (awaits_end && absence->awaited) ? LEASE_HELD : awaits_end ? LEASE_IDLE : LEASE_NONE;
    assert_int_equal(fake_store_lease(model->rig.store, users[user]), lease);
    return truth;
}

struct comparing {
    const struct onlooker *onlooker;
    unsigned count;
};

static void compare_member(void *ctx, const char *name, enum role role)
{
    struct comparing *comparing = ctx;
    const struct onlooker *onlooker = comparing->onlooker;
    struct occupant truth = truth_of(onlooker->model, user_of(span_of(name)));
    assert_true(comparing->count < onlooker->told_count);
    const struct occupant *told = &onlooker->told_of[comparing->count++];
    assert_true(span_is(told->presence.user, name));
    assert_int_equal(told->role, role);
    if (!onlooker->model->watches_presence)
        return;
    assert_int_equal(told->presence.available, truth.presence.available);
    assert_int_equal(told->presence.show, truth.presence.show);
    assert_int_equal(told->idle, truth.idle);
}

static void check_onlooker(struct model *model, const struct onlooker *onlooker)
{
    struct comparing comparing = {onlooker, 0};
    assert_true(onlooker->told);
    fake_store_members(model->rig.store, onlooker->watch.thread, compare_member, &comparing);
    assert_int_equal(comparing.count, onlooker->told_count);
    for (uint64_t major = onlooker->start.major + 1; major <= model->known; major++)
        assert_true(model->facts[major].room != onlooker->room || onlooker->heard[major]);
}

static void check_log(const struct model *model)
{
    uint64_t last = 0;
    for (size_t i = 0; i < fake_store_count(model->rig.store); i++) {
        const struct message *message = fake_store_message(model->rig.store, i);
        assert_true(message->cursor.major > last);
        last = message->cursor.major;
        for (size_t k = 0; k < i && i < 100; k++)
            assert_false(id_equal(message->fields.id, fake_store_message(model->rig.store, k)->fields.id));
    }
}

static void check(struct model *model)
{
    check_log(model);
    assert_int_equal(cursor_compare(hub_cursor(model->rig.hub), fake_store_head(model->rig.store)), 0);
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *client = &model->clients[i];
        if (!session_attached(&client->session))
            continue;
        assert_true(client->live);
        check_seen(model, client);
        if (model->watches_presence)
            hub_friends(client->session.user, check_friend, client);
    }
    for (size_t i = 0; i < ONLOOKERS; i++)
        if (model->onlookers[i].watch.watched)
            check_onlooker(model, &model->onlookers[i]);
}

/* --- runs */

struct setup {
    enum friends friends;
    bool memory_fails;
    bool has_nodes;
};

static void model_init(struct model *model, uint64_t seed, const struct setup *setup)
{
    *model = (struct model){.random = seed,
                            .memory_fails = setup->memory_fails,
                            .watches_presence = !setup->memory_fails,
                            .has_nodes = setup->has_nodes,
                            .friends = setup->friends};
    struct hub_options options = hub_rig_options(setup->friends);
    options.members_max = USERS;
    hub_rig_prepare(&model->rig, &options);
    if (setup->has_nodes)
        fake_store_count_versions(model->rig.store);
    assert_int_equal(hub_rig_start(&model->rig), OK);
    for (unsigned i = 0; i < USERS; i++)
        assert_int_equal(hub_rig_meet(&model->rig, users[i], NULL), OK);
    for (unsigned room = 0; room < ROOMS; room++)
        model->room_ids[room] = hub_rig_room(&model->rig, users[room], rooms[room]);
    for (unsigned i = 0; i < CLIENTS; i++) {
        model->clients[i].model = model;
        model->clients[i].user = i % USERS;
        model->clients[i].polls = i % 7 % 2 == 1; /* some beside another client of their user */
    }
}

static void model_fini(struct model *model)
{
    rest(model);
    for (size_t i = 0; i < CLIENTS; i++)
        hub_detach(&model->clients[i].session);
    for (size_t i = 0; i < ONLOOKERS; i++)
        hub_unwatch(&model->onlookers[i].watch);
    hub_rig_pass(&model->rig, 60000);
    assert_int_equal(metric_value(METRIC_THREADS), 0);
    hub_rig_fini(&model->rig);
}

static void run(uint64_t seed, const struct setup *setup)
{
    struct model *model = &model_memory;
    print_message("# seed %llu\n", (unsigned long long)seed);
    model_init(model, seed, setup);
    unsigned seen = 0;
    for (unsigned i = 1; i <= STEPS; i++) {
        act(model);
        if (i % REST_EVERY)
            continue;
        rest(model);
        check(model);
    }
    for (size_t i = 0; i < CLIENTS; i++)
        seen += model->clients[i].place.major > 0;
    assert_true(seen >= CLIENTS / 2 && model->acknowledged > STEPS / 50 && model->repeated > 0 &&
                model->told > STEPS / 50);
    bool have_second_clients = !model->has_nodes || model->friends == FRIENDS_EVERYONE; /* see come */
    assert_true(model->outlasted > 0 || !have_second_clients);
    model_fini(model);
}

static void run_all(struct setup setup)
{
    const char *one = getenv("MODEL_SEED");
    for (uint64_t seed = 1; !one && seed <= SEEDS; seed++)
        run(seed, &setup);
    if (one)
        run(strtoull(one, NULL, 10), &setup);
}

static void everybody_sees_each_message_once_and_in_order(void **state)
{
    (void)state;
    run_all((struct setup){.friends = FRIENDS_EVERYONE});
}

static void also_where_friends_are_threads(void **state)
{
    (void)state;
    run_all((struct setup){.friends = FRIENDS_THREADS});
}

static void also_when_memory_fails(void **state)
{
    (void)state;
    run_all((struct setup){.friends = FRIENDS_EVERYONE, .memory_fails = true});
    run_all((struct setup){.friends = FRIENDS_THREADS, .memory_fails = true});
}

static void also_with_other_nodes(void **state)
{
    (void)state;
    run_all((struct setup){.friends = FRIENDS_EVERYONE, .has_nodes = true});
    run_all((struct setup){.friends = FRIENDS_THREADS, .has_nodes = true});
}

static void also_when_memory_fails_among_nodes(void **state)
{
    (void)state;
    run_all((struct setup){.friends = FRIENDS_EVERYONE, .has_nodes = true, .memory_fails = true});
    run_all((struct setup){.friends = FRIENDS_THREADS, .has_nodes = true, .memory_fails = true});
}

static int be_quiet(void **state)
{
    (void)state;
    return log_open("/dev/null", LOG_ERROR, LOG_KEY_VALUE) == OK ? 0 : -1;
}

static int be_loud(void **state)
{
    (void)state;
    log_close();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_sees_each_message_once_and_in_order),
        cmocka_unit_test(also_where_friends_are_threads),
        cmocka_unit_test(also_when_memory_fails),
        cmocka_unit_test(also_with_other_nodes),
        cmocka_unit_test(also_when_memory_fails_among_nodes),
    };
    return cmocka_run_group_tests_name("hub model", tests, be_quiet, be_loud);
}
