/* SPDX-License-Identifier: MIT */
/*
 * Rooms of Talker, driven by a script: two bytes are a step, what and by which of three guests (two of them are the same
 * user); steps that bring bytes take as many as the second byte says.
 *
 *     o a connection   c connect   C the same with the id of the last message   m message   p private message   g ping
 *     x close   w any bytes   b the connection breaks   s the store answers once   S to all   t a turn   T time passes
 *     f the next call of the store fails   r the store is reset   d the user is removed   D the user enters for good
 *     a away   A not any more
 *
 * Invariants: nothing but an error is heard before `connected`, and `users` comes next; each event is true for who has
 * heard those before it (who joins was not there, who leaves was); behind the end nothing is left.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "lib/talker_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { GUESTS = 3, USERS = 2, INPUT_MAX = 600, DEPTH = 8, PASS_MS = 3000 };

static const char *const users[GUESTS] = {"a", "b", "a"};

/* A guest, and what they know by now. */
struct listener {
    struct guest guest;
    bool is_open, connected, listed;
    bool there[USERS];
};

static struct listener listeners[GUESTS];

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* --- what is heard */

static size_t index_of(const json_t *user)
{
    const char *id = json_string_value(json_is_string(user) ? user : json_object_get(user, "id"));
    require(id && (strcmp(id, "a") == 0 || strcmp(id, "b") == 0));
    return id[0] == 'b';
}

static void hear_users(struct listener *listener, const json_t *event)
{
    size_t i;
    json_t *user;
    require(listener->connected && !listener->listed);
    listener->listed = true;
    json_array_foreach (json_object_get(event, "users"), i, user) {
        require(!listener->there[index_of(user)]);
        listener->there[index_of(user)] = true;
    }
}

static void hear_presence(struct listener *listener, const char *type, const json_t *event)
{
    bool *there = &listener->there[index_of(json_object_get(event, "user"))];
    require(listener->listed && json_is_integer(json_object_get(event, "time")));
    require(*there == (strcmp(type, "join") != 0));
    *there = strcmp(type, "leave") != 0;
}

static void hear(struct listener *listener, const json_t *event)
{
    const char *type = json_string_value(json_object_get(event, "type"));
    require(type);
    if (strcmp(type, "error") == 0) {
        require(json_is_string(json_object_get(event, "message")));
    } else if (strcmp(type, "connected") == 0) {
        require(!listener->connected);
        listener->connected = true;
    } else if (strcmp(type, "users") == 0) {
        hear_users(listener, event);
    } else if (strcmp(type, "message") == 0) {
        require(listener->listed && json_is_string(json_object_get(event, "content")));
    } else {
        hear_presence(listener, type, event);
    }
}

static void hear_all(struct listener *listener)
{
    if (!listener->is_open)
        return;
    guest_read(&listener->guest);
    struct span text = {listener->guest.text, listener->guest.len};
    while (text.len) {
        const char *end = memchr(text.data, '\n', text.len);
        json_t *event = NULL;
        require(end != NULL);
        require(json_parse((struct span){text.data, (size_t)(end - text.data)}, DEPTH, &event) == OK);
        hear(listener, event);
        json_decref(event);
        text = (struct span){end + 1, text.len - (size_t)(end + 1 - text.data)};
    }
    listener->guest.len = 0;
}

static void turn(struct talker_rig *rig)
{
    talker_rig_poll(rig);
    timers_run(&rig->hub.timers, rig->hub.clock.now_ms);
    hub_tick(rig->hub.hub);
    talker_rig_poll(rig);
    for (size_t i = 0; i < GUESTS; i++)
        hear_all(&listeners[i]);
}

/* --- the steps */

/* What the tokens are; none is asked for while calls of the store may fail. */
static char tokens[USERS][ID_TEXT_SIZE];

static void issue_tokens(struct talker_rig *rig)
{
    for (size_t i = 0; i < USERS; i++) {
        struct id token;
        require(hub_rig_token(&rig->hub, users[i], &token) == OK);
        id_format(token, tokens[i]);
    }
}

static void connect_guest(struct talker_rig *rig, size_t who, bool resumes)
{
    char text[256], more[100] = "", id[ID_TEXT_SIZE];
    size_t count = fake_store_count(rig->hub.store);
    if (resumes && count)
        (void)snprintf(more, sizeof(more), ",\"last_event_id\":\"%s\"",
                       id_format(fake_store_message(rig->hub.store, count - 1)->fields.id, id));
    (void)snprintf(text, sizeof(text), "{\"type\":\"connect\",\"room\":\"hall\",\"token\":\"%s\"%s}",
                   tokens[who % USERS], more);
    if (listeners[who].is_open)
        guest_say(&listeners[who].guest, text);
}

static void say(struct listener *listener, struct span bytes)
{
    char text[256];
    size_t len = bytes.len < sizeof(text) ? bytes.len : sizeof(text) - 1;
    if (len)
        memcpy(text, bytes.data, len);
    text[len] = '\0';
    if (listener->is_open)
        guest_say(&listener->guest, text);
}

static void open_guest(struct talker_rig *rig, struct listener *listener)
{
    if (listener->is_open)
        return;
    *listener = (struct listener){.is_open = true};
    guest_open(&listener->guest, rig);
}

static void break_off(struct listener *listener)
{
    if (listener->is_open)
        guest_close(&listener->guest);
    listener->is_open = false;
}

/* What is done to the store and the hub. */
static void step_behind(struct talker_rig *rig, const char *user, uint8_t what)
{
    struct rig *hub = &rig->hub;
    struct id hall = hub_room_id(SPAN_LITERAL("hall"));
    switch (what) {
    case 's': (void)fake_store_step(hub->store); break;
    case 'S': fake_store_settle(hub->store); break;
    case 't': turn(rig); break;
    case 'T': hub_rig_pass(hub, PASS_MS); break;
    case 'f': fake_store_fail_next(hub->store, ERR_STORE); break;
    case 'r': fake_store_reset(hub->store, fake_store_head(hub->store), 0); break;
    case 'd': (void)hub_rig_remove(hub, user, hall, user); break;
    case 'D': (void)hub_rig_try_room(hub, user, "hall", &hall); break;
    case 'a': (void)hub_rig_set_presence(hub, user, SHOW_AWAY, ""); break;
    case 'A': (void)hub_rig_set_presence(hub, user, SHOW_CHAT, ""); break;
    default: break;
    }
}

static void step(struct talker_rig *rig, size_t who, uint8_t what, struct span body)
{
    struct listener *listener = &listeners[who];
    switch (what) {
    case 'o': open_guest(rig, listener); break;
    case 'b': break_off(listener); break;
    case 'c':
    case 'C': connect_guest(rig, who, what == 'C'); break;
    case 'm': say(listener, SPAN_LITERAL("{\"type\":\"message\",\"content\":\"hi\"}")); break;
    case 'p': say(listener, SPAN_LITERAL("{\"type\":\"message\",\"content\":\"psst\",\"to\":\"b\"}")); break;
    case 'g': say(listener, SPAN_LITERAL("{\"type\":\"ping\"}")); break;
    case 'x': say(listener, SPAN_LITERAL("{\"type\":\"close\"}")); break;
    case 'w': say(listener, body); break;
    default: step_behind(rig, users[who], what); break;
    }
}

static void play(struct talker_rig *rig, struct span script)
{
    while (script.len >= 2) {
        uint8_t what = (uint8_t)script.data[0], choice = (uint8_t)script.data[1];
        script = (struct span){script.data + 2, script.len - 2};
        size_t len = what == 'w' ? choice / GUESTS : 0;
        len = len < script.len ? len : script.len;
        step(rig, choice % GUESTS, what, (struct span){script.data, len});
        script = (struct span){script.data + len, script.len - len};
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct talker_rig rig;
    if (size > INPUT_MAX || log_open("/dev/null", LOG_ERROR, LOG_KEY_VALUE))
        return 0;
    memset(listeners, 0, sizeof(listeners));
    talker_rig_open(&rig, NULL);
    issue_tokens(&rig);
    for (size_t i = 0; i < GUESTS; i++)
        open_guest(&rig, &listeners[i]);
    play(&rig, (struct span){(const char *)data, size});
    fake_store_fail_next(rig.hub.store, OK); /* not its end */
    talker_rig_turn(&rig);
    turn(&rig);
    for (size_t i = 0; i < GUESTS; i++)
        break_off(&listeners[i]);
    talker_rig_turn(&rig);
    talker_rig_close(&rig);
    return 0;
}
