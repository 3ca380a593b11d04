/* SPDX-License-Identifier: MIT */
/*
 * Hub rig: a hub on a fake store and a fake clock, and viewers that write down what a session is shown.
 *
 *     struct rig rig;
 *     hub_rig_init(&rig, FRIENDS_EVERYONE);
 *     viewer_join(&alice, &rig, "alice");
 *     hub_rig_turn(&rig);
 *     assert_shown(&alice, "[+alice] .");
 *     viewer_leave(&alice);
 *     hub_rig_fini(&rig);
 *
 * Turns happen only when a test asks for one. `hub_rig_fini` checks that nothing is left behind: users, threads,
 * sessions, timers.
 */
#ifndef TESTS_LIB_HUB_RIG_H
#define TESTS_LIB_HUB_RIG_H

#include "core/hub.h"
#include "lib/fake_clock.h"
#include "lib/fake_store.h"

struct rig {
    struct fake_clock clock;
    struct timers timers;
    struct fake_store *store;
    struct hub *hub;
};

/* Grace 10 s, tokens 1 h that end streams, open rooms, 4 sessions per user, 2 streams per token, 4 members, 100 bytes of text,
 * 50 of attachments, no rate limits. */
struct hub_options hub_rig_options(enum friends friends);

/* A started hub after its first turn. */
void hub_rig_init(struct rig *rig, enum friends friends);
void hub_rig_init_with(struct rig *rig, const struct hub_options *options);

/* On a store that counts versions, as one of several nodes. */
void hub_rig_init_node(struct rig *rig, enum friends friends);

/* The same in two steps, on a store that may have been prepared in between. */
void hub_rig_prepare(struct rig *rig, const struct hub_options *options);
enum err hub_rig_start(struct rig *rig);

/* No viewer may be attached and no user open. */
void hub_rig_fini(struct rig *rig);

/* Answers of the store, timers, hub_tick: until nothing is left to do. */
void hub_rig_turn(struct rig *rig);

/* Lets `ms` pass, turn by turn. */
void hub_rig_pass(struct rig *rig, int64_t ms);

/* --- what users do; each is over when it returns, with its error */

/* Opens and keeps a user: pair with hub_user_close. */
struct user *hub_rig_open(struct rig *rig, const char *user);

/* The same with a display name (null: none), and let go of at once. */
enum err hub_rig_meet(struct rig *rig, const char *user, const char *name);

/* The thread of the users in a comma list, the first one acting; fails the test on an error. */
struct id hub_rig_thread(struct rig *rig, const char *users);
struct id hub_rig_room(struct rig *rig, const char *user, const char *room);
enum err hub_rig_try_thread(struct rig *rig, const char *users, struct id *ret_thread);
enum err hub_rig_try_room(struct rig *rig, const char *user, const char *room, struct id *ret_thread);

enum err hub_rig_add(struct rig *rig, const char *actor, struct id thread, const char *user);
enum err hub_rig_remove(struct rig *rig, const char *actor, struct id thread, const char *user);
enum err hub_rig_set_presence(struct rig *rig, const char *user, enum show show, const char *status);

/* One turn over a send. *ret_result is optional. */
enum err hub_rig_send(struct rig *rig, struct id thread, const char *sender, const char *text);
enum err hub_rig_send_fields(struct rig *rig, const struct message_fields *fields, struct append_result *ret_result);

/* Sends without a turn; the answer must be OK. */
void hub_rig_post(struct rig *rig, struct id thread, const char *sender, const char *text);

enum err hub_rig_token(struct rig *rig, const char *user, struct id *ret_token);

/* The members of a thread in memory as `alice,bob`, sorted; empty for none. Lives until the next call. */
const char *hub_rig_members(struct rig *rig, struct id thread);

/* An opened user's friends in the same form. */
const char *hub_rig_friends(struct user *user);

/* For calls that a test makes itself: `ctx` is a struct user * or a struct id, and the answer must be OK. */
void hub_rig_note_user(void *ctx, enum err err, struct user *user);
void hub_rig_note_thread(void *ctx, enum err err, const struct thread_record *thread);

/* --- viewers */

/* What it was shown, as text with spaces between: `[+alice -bob/away"out"]` presences sorted by user, `alice:hi` a
 * message, `gap<5` a gap and the oldest cursor, `.` and `...` settled without and with more, `closed(no_token)`. */
struct viewer {
    struct session session;
    struct rig *rig;
    char text[8192];
    size_t len;
    struct cursor cursor; /* of the last event */
    unsigned shown;       /* events in all */
    unsigned leave_after; /* detaches inside the callback of that event; 0: never */
    bool eager;           /* calls hub_continue inside settled */
    bool polls;           /* its sessions come again; set before it is attached */
    bool closed;
    enum err why;
};

/* Opens the user, attaches and closes the user again, so that the session alone holds them. */
enum err viewer_attach(struct viewer *viewer, struct rig *rig, const char *user, const struct attach *attach);

/* Attaches by login from now on; fails the test on an error. */
void viewer_join(struct viewer *viewer, struct rig *rig, const char *user);

/* The same with what came after `since`. */
void viewer_resume(struct viewer *viewer, struct rig *rig, const char *user, struct cursor since);

/* Its session ends with nobody's wish. */
void viewer_leave(struct viewer *viewer);

/* It ends with the user's. */
void viewer_say_goodbye(struct viewer *viewer);

/* Compares what was shown since the last call. */
#define assert_shown(viewer, expected) viewer_check(viewer, expected, __FILE__, __LINE__)
void viewer_check(struct viewer *viewer, const char *expected, const char *file, int line);

/* Forgets what was shown. */
void viewer_skip(struct viewer *viewer);

/* --- watchers */

/* What it saw, as text with spaces between: `{@+alice ?bob -carol/away"out"}` who is in the thread, in order of
 * joining, `@` an owner, `?` idle; `=` the same as last time; `alice:hi` a message; `ended(no_thread)`. */
struct watcher {
    struct thread_watch watch;
    char text[8192];
    size_t len;
    char last[1024]; /* who was in it, as told last */
    bool leaves;     /* unwatches inside `changed` */
    bool over;
    enum err why;
};

enum err watcher_try(struct watcher *watcher, struct rig *rig, struct id thread);

/* Fails the test on an error. */
void watcher_start(struct watcher *watcher, struct rig *rig, struct id thread);

/* Compares what was seen since the last call. */
#define assert_seen(watcher, expected) watcher_check(watcher, expected, __FILE__, __LINE__)
void watcher_check(struct watcher *watcher, const char *expected, const char *file, int line);

#endif
