/* SPDX-License-Identifier: MIT */
/*
 * Writer: the events of Talker as JSON, one line each with its line break.
 *
 * Pure: adds to a buf and nothing else. Text is valid UTF-8. Times are microseconds since 1970, and are written in
 * whole seconds.
 */
#ifndef TALKER_WRITER_H
#define TALKER_WRITER_H

#include "base/buf.h"
#include "core/event.h"

/* A user as Talker shows them. */
struct talker_user {
    struct span id;
    struct span name;   /* empty: the id is shown for it */
    struct span status; /* empty: none */
    enum show show;
    bool idle;
};

void talker_write_connected(struct buf *out, const struct talker_user *user);

/* `users`: begin, then each user, then end. */
void talker_write_users_begin(struct buf *out);
void talker_write_users_add(struct buf *out, const struct talker_user *user);
void talker_write_users_end(struct buf *out);

/* `type` is join, idle or back. */
void talker_write_presence(struct buf *out, const char *type, const struct talker_user *user, int64_t time_us);

/* Only the id goes along: who has left has no more to show. */
void talker_write_leave(struct buf *out, struct span id, int64_t time_us);

/* The sender's name is what it was then. */
void talker_write_message(struct buf *out, const struct message *message, bool is_private);

void talker_write_error(struct buf *out, struct span sentence);

#endif
