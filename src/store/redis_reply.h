/* SPDX-License-Identifier: MIT */
/*
 * Reading what the scripts return (src/store/lua) and what stands in the log.
 *
 * Everything is checked: other programs may write to the same Redis. Text goes into the arena given; false means a
 * reply of another form, or no memory (then the arena has failed).
 */
#ifndef STORE_REDIS_REPLY_H
#define STORE_REDIS_REPLY_H

#include <hiredis/hiredis.h>

#include "core/store.h"
#include "store/arena.h"

/* The string or status at `index` of an array; null data where there is none. */
struct span reply_text(const redisReply *array, size_t index);

/* The number at `index`, as an integer or as decimal text. */
bool reply_int(const redisReply *array, size_t index, int64_t *ret_number) must_check;

/* Decimal text within 64 bits. False: something else; *ret_number may be written. */
bool text_int(struct span text, int64_t *ret_number) must_check;

/* Writes it with its NUL, and returns the text. */
enum { INT_TEXT_SIZE = 24 };
struct span int_format(int64_t number, char text[INT_TEXT_SIZE]);

/* Whether it can be a user's id (core/store.h). */
enum { USER_BYTES_MAX = 128 };
bool user_id_valid(struct span text);

/* A stream id (Redis "Streams" documentation: milliseconds-sequence), as cursors are written in Redis: always with
 * both parts, or 0. */
bool reply_cursor(const redisReply *array, size_t index, struct cursor *ret_cursor) must_check;
enum { STREAM_ID_SIZE = 48 };
const char *stream_id_format(struct cursor cursor, char text[STREAM_ID_SIZE]);

/* The users among the elements from `first` on; what is none is left out. False: no memory. */
bool reply_users(const redisReply *array, size_t first, struct arena *arena, struct user_record **ret_users,
                 size_t *ret_count) must_check;
bool reply_user(const redisReply *array, struct arena *arena, struct user_record *ret_user) must_check;

/* The users that threads in the same reply refer to, for reply_thread. */
struct told_users {
    struct user_record *items; /* in order of their ids; in the arena */
    size_t count;
};

bool reply_told(const redisReply *array, struct arena *arena, struct told_users *ret_told) must_check;

/* A thread; members who are not told are left out. Its last message, if any, is a reference of the caller's. */
bool reply_thread(const redisReply *array, const struct told_users *told, struct arena *arena,
                  struct thread_record *ret_thread) must_check;

/* What the scripts about one thread return. */
bool reply_one_thread(const redisReply *reply, struct arena *arena, struct thread_record *ret_thread) must_check;

/* --- entries of the log --- */

/* What an entry is; a message has been made of it, or not. */
struct log_entry {
    struct cursor cursor;
    struct message *message; /* a reference of the caller's; null for a change of members */
    struct id thread;        /* of a change */
    struct span left;        /* who was removed; lives as long as the reply */
};

/* ERR_BAD_FIELD: none that we would have written, of which only the cursor is known (zero: not even that).
 * ERR_NO_MEMORY. */
enum err reply_entry(const redisReply *entry, struct log_entry *ret_entry) must_check;

#endif
