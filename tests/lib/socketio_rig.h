/* SPDX-License-Identifier: MIT */
/*
 * Socket.IO rig: an adapter on a loop, without a network, and clients that write down what they are told.
 *
 *     struct socketio_rig rig;
 *     struct paper alice;
 *     socketio_rig_open(&rig, apps, NULL);
 *     paper_open(&alice, &rig, "alice");
 *     struct socket *socket = paper_connect(&alice, "/");
 *     assert_paper(&alice, "+/ ");
 *     paper_close(&alice, ENGINE_TRANSPORT_CLOSE);
 *     socketio_rig_close(&rig);
 *
 * One that was opened to come back is told offsets, as new clients are. A paper reads `+/` (connected), `!/x`
 * (refused), `["hello"]` (an event; `?["hello"]` wants an ack, the first of a namespace has the id 0), `=7[1]` (an
 * ack), `-/` (told that the namespace is over), `.` (closed by the server); each is followed by a space.
 */
#ifndef TESTS_LIB_SOCKETIO_RIG_H
#define TESTS_LIB_SOCKETIO_RIG_H

#include "adapters/socketio/adapter.h"

struct socketio_rig {
    struct loop *loop;
    struct conns *conns;
    struct socketio *adapter;
};

struct paper {
    struct client client;
    struct visitor visitor;
    struct buf text;
    bool is_stuck;       /* not writable */
    bool is_cut_by_next; /* the next event is too much for it */
    bool recovers;       /* it speaks of pids */
    char pid[32];        /* of the socket that was connected last; empty: none */
};

/* What most tests want: 4 rooms, no recovery. */
struct socketio_options socketio_rig_options(void);

/* Null options are these. */
void socketio_rig_open(struct socketio_rig *rig, const struct app *const *apps, const struct socketio_options *options);

/* Checks that no socket and no timer is left. */
void socketio_rig_close(struct socketio_rig *rig);

/* The end of a turn. */
void socketio_rig_turn(struct socketio_rig *rig);

/* Turns until that much time has passed, and a few times at least even where the machine stood still. */
void socketio_rig_pass(struct socketio_rig *rig, int64_t pass_ms);

/* A connection of `user`, who may be empty. */
void paper_open(struct paper *paper, struct socketio_rig *rig, const char *user);

/* The same that can take up a lost socket. */
void paper_open_again(struct paper *paper, struct socketio_rig *rig, const char *user);

/* The connection is over, if it is not yet, and the paper thrown away. */
void paper_close(struct paper *paper, enum engine_end why);

/* Connects to a namespace and gives its socket, or null. */
struct socket *paper_connect(struct paper *paper, const char *nsp);

/* Comes back to `/` with what the other paper knew: its pid, and this offset unless it is null. Null: refused. */
struct socket *paper_come_back(struct paper *paper, const struct paper *before, const char *offset);

/* An event from the client: a JSON array. `ack` below 0: none is wanted. */
void paper_say(struct paper *paper, struct socket *socket, const char *array, int64_t ack);

/* Compares what was written since the last time, and starts a new page. */
#define assert_paper(paper, expected) paper_check((paper), (expected), __FILE__, __LINE__)
void paper_check(struct paper *paper, const char *expected, const char *file, int line);

#endif
