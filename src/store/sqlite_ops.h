/* SPDX-License-Identifier: MIT */
/*
 * What each kind of call does on the worker, within the batch's transaction.
 *
 * A run function fills call->result and returns the call's own error. It need not check the call's arena: a failed
 * allocation becomes ERR_NO_MEMORY afterwards. After an error the result is let go, and the steps of a call with
 * several are undone.
 */
#ifndef STORE_SQLITE_OPS_H
#define STORE_SQLITE_OPS_H

#include "store/sqlite_call.h"
#include "store/sqlite_db.h"

/* sqlite_users.c; expiry is by `wall_us` */
enum err run_user_put(struct database *db, struct call *call) must_check;
enum err run_users_list(struct database *db, struct call *call) must_check;
enum err run_presence_put(struct database *db, struct call *call) must_check;
enum err run_token_put(struct database *db, struct call *call) must_check;
enum err run_token_get(struct database *db, struct call *call, int64_t wall_us) must_check;
enum err run_token_delete(struct database *db, struct call *call, int64_t wall_us) must_check;

/* Reads the first four columns of SQL_USER, copied into `arena`. */
struct user_record user_read(const struct query *query, struct arena *arena);

/* The row number of a user. ERR_NO_USER. */
enum err user_number(struct database *db, struct span id, int64_t *ret_number) must_check;

/* sqlite_threads.c */
enum err run_thread_open(struct database *db, struct call *call) must_check;
enum err run_thread_get(struct database *db, struct call *call) must_check;
enum err run_member_add(struct database *db, struct call *call) must_check;
enum err run_member_remove(struct database *db, struct call *call) must_check;
enum err run_visit_end(struct database *db, struct call *call) must_check;
enum err run_threads_of(struct database *db, struct call *call) must_check;

/* None of the visits that were counted goes on: for a database that was just opened. Where it cannot be written that is
 * logged, and who was visiting stays. */
void visits_forget(struct database *db);

/* A member by ids as row numbers. ERR_NO_THREAD: there is none. */
struct member_key {
    int64_t thread;
    int64_t user;
};

enum err member_find(struct database *db, const struct id *thread, struct span user,
                     struct member_key *ret_key) must_check;

/* sqlite_log.c */
enum err run_start(struct database *db, struct call *call) must_check;
enum err run_append(struct database *db, struct call *call) must_check;
enum err run_message_find(struct database *db, struct call *call) must_check;
enum err run_history(struct database *db, struct call *call) must_check;

enum err log_bounds(struct database *db, struct store_bounds *ret_bounds) must_check;

/* Reads the columns of SQL_MESSAGE. Null: no memory. */
struct message *message_read(const struct query *query) must_check;

/* The newest message of a thread, a new reference, or null where there is none. */
enum err message_last(struct database *db, int64_t thread, struct message **ret_message) must_check;

/* sqlite_replay.c */
enum err run_replay(struct database *db, struct call *call) must_check;

#endif
