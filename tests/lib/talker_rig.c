/* SPDX-License-Identifier: MIT */
/* The hub has its own clock and its own timers; the loop is for sockets and for the adapter's deadlines. */
#include "lib/talker_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/json.h"

static const struct sockaddr nobody = {.sa_family = AF_UNIX};

enum { LINE_BYTES = 4096, LONG_MS = 3600 * 1000, GRACE_MS = 5000, ROUNDS = 6, PENDING = 8, TEXT_MAX = 1024 };

struct talker_options talker_rig_options(void)
{
    return (struct talker_options){
        .line_bytes = LINE_BYTES,
        .json_depth = 8,
        .connect_ms = LONG_MS,
        .silence_ms = LONG_MS,
        .idle_grace_ms = GRACE_MS,
        .pending = PENDING,
    };
}

void talker_rig_open(struct talker_rig *rig, const struct talker_options *options)
{
    const struct talker_options usual = talker_rig_options();
    const struct conns_limits limits = {.queue_bytes = 1 << 16, .finish_ms = LONG_MS};
    metric_add(METRIC_TALKER_CONNECTIONS, -metric_value(METRIC_TALKER_CONNECTIONS)); /* what a failed test left */
    metric_add(METRIC_SESSIONS_TALKER, -metric_value(METRIC_SESSIONS_TALKER));
    hub_rig_init(&rig->hub, FRIENDS_EVERYONE);
    rig->loop = loop_new();
    assert_non_null(rig->loop);
    rig->peers = peers_new((struct peer_limits){.connections = 100});
    assert_int_equal(peer_admit(rig->peers, &nobody, &rig->lease), OK);
    rig->conns = conns_new(rig->loop, limits);
    rig->talker = talker_new(options ? options : &usual, rig->hub.hub, NULL, rig->loop, rig->conns);
    assert_non_null(rig->talker);
}

void talker_rig_close(struct talker_rig *rig)
{
    talker_shut(rig->talker);
    hub_shut(rig->hub.hub, ERR_SHUTTING_DOWN);
    talker_rig_turn(rig);
    assert_int_equal(metric_value(METRIC_TALKER_CONNECTIONS), 0);
    assert_int_equal(metric_value(METRIC_SESSIONS_TALKER), 0);
    assert_int_equal(conns_count(rig->conns), 0);
    talker_free(rig->talker);
    conns_free(rig->conns);
    peer_release(rig->lease);
    peers_free(rig->peers);
    assert_int_equal(loop_timers(rig->loop)->reserved, 0);
    loop_free(rig->loop);
    hub_rig_fini(&rig->hub);
}

void talker_rig_poll(struct talker_rig *rig)
{
    for (int i = 0; i < ROUNDS; i++)
        loop_turn(rig->loop, 0);
}

void talker_rig_turn(struct talker_rig *rig)
{
    for (int i = 0; i < ROUNDS; i++) {
        talker_rig_poll(rig);
        hub_rig_turn(&rig->hub);
    }
    talker_rig_poll(rig);
}

/* --- guests */

void guest_open(struct guest *guest, struct talker_rig *rig)
{
    int fds[2];
    struct peer *lease;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(peer_admit(rig->peers, &nobody, &lease), OK);
    guest->rig = rig;
    guest->fd = fds[0];
    guest->len = 0;
    guest->eof = false;
    talker_take(rig->talker, fds[1], lease);
}

void guest_connect(struct guest *guest, const char *user, const char *room, const char *more)
{
    struct id token;
    char text[TEXT_MAX], id[ID_TEXT_SIZE];
    assert_int_equal(hub_rig_token(&guest->rig->hub, user, &token), OK);
    (void)snprintf(text, sizeof(text), "{\"type\":\"connect\",\"room\":\"%s\",\"token\":\"%s\"%s}\n", room,
                   id_format(token, id), more);
    guest_say(guest, text);
}

void guest_enter(struct guest *guest, struct talker_rig *rig, const char *user, const char *room)
{
    guest_open(guest, rig);
    guest_connect(guest, user, room, "");
    talker_rig_turn(rig);
}

void guest_say(struct guest *guest, const char *text)
{
    size_t len = strlen(text);
    if (guest->fd >= 0)
        (void)!send(guest->fd, text, len, MSG_NOSIGNAL);
}

void guest_close(struct guest *guest)
{
    if (guest->fd >= 0)
        (void)close(guest->fd);
    guest->fd = -1;
}

void guest_read(struct guest *guest)
{
    while (guest->fd >= 0 && !guest->eof) {
        ssize_t got = recv(guest->fd, guest->text + guest->len, sizeof(guest->text) - guest->len, MSG_DONTWAIT);
        if (got < 0)
            return;
        guest->eof = got == 0;
        guest->len += (size_t)got;
    }
}

void guest_skip(struct guest *guest)
{
    guest_read(guest);
    guest->len = 0;
}

/* --- what was heard */

static const char *id_of(const json_t *user)
{
    return json_string_value(json_is_string(user) ? user : json_object_get(user, "id"));
}

static void write_users(struct buf *out, const json_t *users)
{
    size_t i;
    json_t *user;
    buf_add_text(out, "users(");
    json_array_foreach (users, i, user)
        buf_printf(out, "%s%s%s", i ? "," : "", id_of(user), json_object_get(user, "idle") ? "?" : "");
    buf_add_char(out, ')');
}

static void write_event(struct buf *out, const json_t *event)
{
    static const char *const marks[][2] = {{"join", "+"}, {"idle", "?"}, {"back", "!"}, {"leave", "-"}};
    const char *type = json_string_value(json_object_get(event, "type"));
    const json_t *user = json_object_get(event, "user");
    assert_non_null(type);
    for (size_t i = 0; i < array_len(marks); i++)
        if (strcmp(type, marks[i][0]) == 0)
            buf_printf(out, "%s%s", marks[i][1], id_of(user));
    if (strcmp(type, "connected") == 0)
        buf_printf(out, "connected(%s)", id_of(user));
    if (strcmp(type, "users") == 0)
        write_users(out, json_object_get(event, "users"));
    if (strcmp(type, "message") == 0)
        buf_printf(out, "%s%s%s", id_of(user), json_object_get(event, "private") ? ">" : ":",
                   json_string_value(json_object_get(event, "content")));
    if (strcmp(type, "error") == 0)
        buf_printf(out, "error(%s)", json_string_value(json_object_get(event, "message")));
}

static void write_heard(struct buf *out, struct span text)
{
    while (text.len) {
        const char *end = memchr(text.data, '\n', text.len);
        assert_non_null(end);
        struct span line = {text.data, (size_t)(end - text.data)};
        json_t *event;
        assert_int_equal(json_parse(line, 8, &event), OK);
        if (out->len)
            buf_add_char(out, ' ');
        write_event(out, event);
        json_decref(event);
        text = (struct span){end + 1, text.len - line.len - 1};
    }
}

void guest_check(struct guest *guest, const char *expected, const char *file, int line)
{
    struct buf out = BUF_INIT;
    guest_read(guest);
    write_heard(&out, (struct span){guest->text, guest->len});
    if (guest->eof)
        buf_add_text(&out, out.len ? " ." : ".");
    buf_add_char(&out, '\0');
    guest->len = 0;
    if (strcmp(out.data, expected) != 0) {
        print_error("heard:    %s\nexpected: %s\n", out.data, expected);
        _fail(file, line);
    }
    buf_fini(&out);
}
