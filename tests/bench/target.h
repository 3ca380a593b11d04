/* SPDX-License-Identifier: MIT */
/*
 * What is measured: nereidd with one of its stores, limit, or Socket.IO on Node; started alike, talked to alike.
 *
 *   target_start -> target_fan, target_crowd, target_tokens ... -> target_stop
 *
 * Everything a server needs lies in a directory of its own below settings->dir. Any failure ends the process
 * (support.h).
 */
#ifndef BENCH_TARGET_H
#define BENCH_TARGET_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "fan.h"
#include "http.h"
#include "proc.h"
#include "streams.h"

/* What the command line says; lives as long as the bench. */
struct settings {
    const char *nereidd;        /* path; NULL: measure limit only */
    const char *limit;          /* path */
    const char *socketio;       /* path of socketio_reference.mjs; NULL: leave out what is measured against it */
    const char *dir;            /* private; the bench removes it */
    const char *const *options; /* further `section.key=value` for nereidd */
    unsigned option_count;
    unsigned rounds;
    unsigned round_ms;
    FILE *sink; /* takes the results, see report.h */
};

enum target_kind {
    TARGET_FILE,       /* nereidd, store in a file, full durability */
    TARGET_MEMORY,     /* nereidd, store in memory */
    TARGET_REDIS,      /* nereidd on a Redis server */
    TARGET_LIMIT,      /* limit, gathering what piled up */
    TARGET_LIMIT_EACH, /* limit, one write per message and reader */
    TARGET_SOCKETIO,   /* socketio_reference.mjs on Node */
    TARGET_KINDS,
};

/* How those who listen come. Whatever it is, messages are sent over plain HTTP. */
enum way {
    WAY_PLAIN,
    WAY_TLS,    /* the same streams behind TLS */
    WAY_TALKER, /* Talker connections */
};

enum { TARGET_PATH_BYTES = 512, USER_BYTES = 32, CROWD_ROOM = 10 };

struct target {
    enum target_kind kind;
    struct proc proc;
    struct sockaddr_in http;
    struct sockaddr_in admin;               /* nereidd only */
    struct sockaddr_in talker;              /* nereidd only */
    struct sockaddr_in tls;                 /* after target_start_tls only */
    enum way way;                           /* of what is opened next */
    struct wire_client *client;             /* for WAY_TLS */
    char dir[TARGET_PATH_BYTES];            /* nereidd's store is chat.db here */
    char thread[UUID_BYTES];                /* the room's thread, once there is one */
    size_t line_bytes;                      /* of the fan's first message as a reader gets it */
    const char *crowd;                      /* prefix of the names of those whose streams are being opened */
    const char (*tokens)[UUID_BYTES];       /* of the crowd being opened; NULL: each asks for its own */
    char sender_field[AUTHORIZATION_BYTES]; /* the sender's Authorization */
};

/* The word for a kind in the report. */
const char *target_name(enum target_kind kind);

/*
 * Starts a server in a new directory. `overhead_bytes` is what an envelope holds beside its text and means
 * something to limit only; 0 is limit's own guess.
 */
void target_start(struct target *target, const struct settings *settings, enum target_kind kind, size_t overhead_bytes);

/* Starts a TARGET_MEMORY that also listens for TLS, with `client` as target->client. */
void target_start_tls(struct target *target, const struct settings *settings, struct wire_client *client);

/* Starts a TARGET_REDIS, one node of those on the store at `url`. */
void target_start_on(struct target *target, const struct settings *settings, const char *url);
void target_stop(struct target *target);

/*
 * A room with `readers` members (bench0, bench1 ...), a stream (or what the way says) open for each, and one more
 * member who sends. The fan has delivered a first message to everyone. Free with fan_free, before or after target_stop.
 */
struct fan *target_fan(struct target *target, unsigned readers);

/*
 * The same for a room of another name, whose members are called after it, with their streams at `readers_at`: this
 * target or another node on the same store.
 */
struct fan *target_fan_across(struct target *target, struct target *readers_at, const char *room, unsigned readers);

/*
 * A room with `readers` members of that name with numbers, and the sender: nereidd only. Its thread is target->thread.
 */
void target_gather(struct target *target, const char *room, unsigned readers);

/*
 * Opens `count` streams, 200 at a time, for the users `crowd`0, `crowd`1 ..., who have nothing to do with anybody.
 * Each is opened with a token: the one in `tokens`, or with NULL one that it asks for first on its connection (none
 * for limit). Talker connections need `tokens`, and come to the rooms `crowd`0, `crowd`1 ..., CROWD_ROOM users in each.
 */
void target_crowd(struct target *target, const char *crowd, unsigned count, const char (*tokens)[UUID_BYTES],
                  int *ret_fds);

/* Makes those users the members of those rooms. nereidd only. */
void target_crowd_gather(struct target *target, const char *crowd, unsigned count);

/* Asks for a token for each of the users `crowd`0, `crowd`1 ... nereidd only. */
void target_tokens(struct target *target, const char *crowd, unsigned count, char (*ret_tokens)[UUID_BYTES]);

/* The request that sends `text` to the room; a fan_request_fn, `self` being the target. */
size_t target_send_request(void *self, const char *text, char ret[FAN_REQUEST_BYTES]);

/* The same, with an id that depends on nothing but the text: sent again, the message is the same. nereidd only. */
size_t target_send_again_request(void *self, const char *text, char ret[FAN_REQUEST_BYTES]);

/* A room of the sender's own, where nobody reads. */
void target_lonely_room(struct target *target);

/* The value of a metric by its full name. nereidd only; fails when there is none of that name. */
double target_metric(const struct target *target, const char *name);

/* Path of the file of a TARGET_FILE. */
void target_database(const struct target *target, char ret[TARGET_PATH_BYTES]);

#endif
