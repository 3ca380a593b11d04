/* SPDX-License-Identifier: MIT */
/*
 * Talker rig: the adapter on a hub rig, and clients on socket pairs that write down what they hear.
 *
 *     struct talker_rig rig;
 *     struct guest alice;
 *     talker_rig_open(&rig, NULL);
 *     guest_enter(&alice, &rig, "alice", "hall");
 *     assert_heard(&alice, "connected(alice) users(alice)");
 *     guest_close(&alice);
 *     talker_rig_close(&rig);
 *
 * Heard is: `connected(id)`, `users(id,id?)` (`?`: idle), `+id` join, `?id` idle, `!id` back, `-id` leave, `id:text` a
 * message, `id>text` a private one, `error(sentence)`, and `.` where the server has closed.
 */
#ifndef TESTS_LIB_TALKER_RIG_H
#define TESTS_LIB_TALKER_RIG_H

#include "adapters/talker/talker.h"
#include "lib/hub_rig.h"

struct talker_rig {
    struct rig hub; /* with a clock of its own */
    struct loop *loop;
    struct peers *peers;
    struct peer *lease; /* so that others allocate nothing */
    struct conns *conns;
    struct talker *talker;
};

struct guest {
    struct talker_rig *rig;
    int fd; /* -1: closed */
    char text[32768];
    size_t len;
    bool eof;
};

/* Lines of 4 KiB, no deadline that matters, a grace of 5 s, 8 messages that may wait for the store. */
struct talker_options talker_rig_options(void);

/* Null options are these. */
void talker_rig_open(struct talker_rig *rig, const struct talker_options *options);

/* Shuts all down, and checks that nothing is left. */
void talker_rig_close(struct talker_rig *rig);

/* Sockets, without an answer of the store. */
void talker_rig_poll(struct talker_rig *rig);

/* Sockets and answers, until nothing is left to do. */
void talker_rig_turn(struct talker_rig *rig);

/* A connection that has said nothing. */
void guest_open(struct guest *guest, struct talker_rig *rig);

/* Says `connect` with a new token; without a turn, but for the token. `more` goes into the object. */
void guest_connect(struct guest *guest, const char *user, const char *room, const char *more);

/* Both, and a turn. */
void guest_enter(struct guest *guest, struct talker_rig *rig, const char *user, const char *room);

/* Sends the text; no turn. */
void guest_say(struct guest *guest, const char *text);

/* Goes away; no turn. */
void guest_close(struct guest *guest);

/* Reads what there is. Allocates nothing. */
void guest_read(struct guest *guest);

/* Compares what was heard since the last call. */
#define assert_heard(guest, expected) guest_check(guest, expected, __FILE__, __LINE__)
void guest_check(struct guest *guest, const char *expected, const char *file, int line);

/* Forgets it. */
void guest_skip(struct guest *guest);

#endif
