/* SPDX-License-Identifier: MIT */
/*
 * Redis server: a real redis-server of this program's own, and plain commands to it that wait for their reply.
 *
 * It listens on a Unix socket in a directory that nobody else sees, and dies with this program. Commands are written as
 * hiredis does it: "SET %s %b".
 */
#ifndef TESTS_STORE_REDIS_SERVER_H
#define TESTS_STORE_REDIS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <hiredis/hiredis.h>

enum { SERVER_PATH_MAX = 128 };

struct server {
    char directory[64]; /* for its socket, its log and what it keeps */
    char socket[SERVER_PATH_MAX];
    char url[SERVER_PATH_MAX + 16]; /* redis+unix:PATH */
    const char *config;             /* a configuration file to be started with, or null */
    int pid;                        /* 0: not running */
    redisContext *plain;            /* ours; null: not connected */
};

/* Makes the directory. False: it could not be made. */
bool server_init(struct server *server, const char *name);

/* Stops it and removes the directory; nothing to do without one. */
void server_fini(struct server *server);

/* Starts it and waits until it takes connections; `more` are further arguments ("--appendonly", "yes", NULL), or
 * null. False: it did not start, and why is printed. */
bool server_start(struct server *server, const char *const *more);

/* A port of 127.0.0.1 that nobody listens on. */
int server_free_port(void);

/* Has it listen on such a port, too, and returns that. */
int server_listen(struct server *server);

/* Ends it at once (SIGKILL), as a power cut would; what it keeps stays. */
void server_kill(struct server *server);

/* As above, and what it keeps goes too. */
void server_clear(struct server *server);

/* No answer from now on (SIGSTOP), until it is resumed. */
void server_pause(struct server *server);
void server_resume(struct server *server);

/* --- plain commands; what goes wrong fails the test --- */

/* For the caller to free. An error reply is a reply. */
redisReply *server_reply(struct server *server, const char *format, ...);

/* These insist on anything but an error. */
void server_do(struct server *server, const char *format, ...);
long long server_number(struct server *server, const char *format, ...); /* an integer, or a string that is one */

/* A string, a status or a line per element of an array; "" for nothing. Good until the fourth call after this one. */
const char *server_text(struct server *server, const char *format, ...);

#endif
