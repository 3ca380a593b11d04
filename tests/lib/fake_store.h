/* SPDX-License-Identifier: MIT */
/*
 * Fake store: a store in memory that answers when it is told to.
 *
 *     fake_store_new ─> [hub calls queue up] ─> fake_store_step / fake_store_settle ─> … ─> ops->close ─> step
 *
 * A call takes effect and is answered when its turn comes, announcements first. What a `done` or the sink is given is
 * freed as soon as it returns, so that a sanitizer sees who keeps it. Everything has a fixed size: a test
 * that needs more than that aborts.
 *
 * Another node that shares the log is played by the `…_elsewhere` calls: what it appends is in the log at once but
 * announced only by `fake_store_tail`, or before the next announcement of our own. Changes of users are announced with
 * the next step, before the answer, unless the test holds them back.
 */
#ifndef TESTS_LIB_FAKE_STORE_H
#define TESTS_LIB_FAKE_STORE_H

#include "base/clock.h"
#include "core/store.h"

struct fake_store;

/* More than 0 while the store works for itself: a test that lets allocations fail leaves these alone. (Volatile
 * because compilers know that malloc changes no variable.) */
extern volatile unsigned fake_store_busy;

/* Tokens expire by `clock`, which outlives the store. Freed by the port's `close`. */
struct fake_store *fake_store_new(const struct clock *clock);

/* The port, for hub_new. */
struct store *fake_store_port(struct fake_store *store);

/* Answers the oldest call. False: there is none, or it was the port's `close`, and the store is gone. */
bool fake_store_step(struct fake_store *store);

/* Answers all calls, and those that the answers lead to. */
void fake_store_settle(struct fake_store *store);

size_t fake_store_pending(const struct fake_store *store);

/* If the oldest call asks for a page of a replay or for a user's threads: reads them now, to be answered with later.
 * False: it is another call. */
bool fake_store_read_ahead(struct fake_store *store);

/* The next call made fails with `err` and has no effect. */
void fake_store_fail_next(struct fake_store *store, enum err err);

/* From now on every call that comes to be answered fails with `err`, and the store is not ready; OK ends that. */
void fake_store_outage(struct fake_store *store, enum err err);

/* Whether a user is in a thread, and the log's head when they came in. */
bool fake_store_member(struct fake_store *store, struct id thread, struct span user, struct cursor *ret_joined);

/* Calls `visit` for each member of a thread, in order of joining. */
void fake_store_members(struct fake_store *store, struct id thread,
                        void (*visit)(void *ctx, const char *user, enum role role), void *ctx);

/* Makes a user known without a call. */
void fake_store_add_user(struct fake_store *store, const char *id, const char *name);

/* --- the log */

struct cursor fake_store_head(const struct fake_store *store);

/* The next message gets the cursor after `head`. */
void fake_store_set_head(struct fake_store *store, struct cursor head);

/* Retention: forgets all messages up to `until`; a cursor before it has lost some. */
void fake_store_prune(struct fake_store *store, struct cursor until);

/* How many messages the log holds, and the one at `at`, 0 being the oldest. */
size_t fake_store_count(const struct fake_store *store);
const struct message *fake_store_message(const struct fake_store *store, size_t at);

/* --- another node */

/* The sender must be a member. */
void fake_store_send_elsewhere(struct fake_store *store, struct id thread, struct span sender, struct span text);
void fake_store_tail(struct fake_store *store);
void fake_store_end_token_elsewhere(struct fake_store *store, struct id token);

/* Before start: the store counts versions of users, those it has already included. Without it there is one node
 * only. */
void fake_store_count_versions(struct fake_store *store);

/* The last version; what another node that has announced all would give for a mark. */
int64_t fake_store_version(const struct fake_store *store);

/* A known user as the store knows them. */
void fake_store_user(struct fake_store *store, const char *id, bool *ret_available, enum show *ret_show);
bool fake_store_user_is_idle(struct fake_store *store, const char *id);
enum lease fake_store_lease(struct fake_store *store, const char *id);

/* While it is away, start is not answered but by close, with ERR_STORE. */
void fake_store_away(struct fake_store *store, bool away);

/* While they are held, changes of users are not announced; letting go announces them. */
void fake_store_hold_news(struct fake_store *store, bool hold);

/* Of changes that were held, each user's last one overtakes the others, as where a node was cut off for a while. */
void fake_store_overtake_news(struct fake_store *store);

/* Another node gets sessions of a user, who is made if need be, or loses the last. */
void fake_store_attend_elsewhere(struct fake_store *store, const char *user, bool attends);
void fake_store_lease_elsewhere(struct fake_store *store, const char *user, enum lease lease);
void fake_store_set_elsewhere(struct fake_store *store, const char *user, const char *name, enum show show,
                              const char *status);

/* Announces the thread as it is now, ahead of what is in the log but not yet announced. */
void fake_store_join_elsewhere(struct fake_store *store, struct id thread, const char *user);
void fake_store_leave_elsewhere(struct fake_store *store, struct id thread, const char *user);

/* The users for whom our node holds leases, as `alice,bob?` in order of their making; `?`: an idle one. Lives until the
 * next call. */
const char *fake_store_leases(const struct fake_store *store);

/* What the hub gave to start. */
struct store_sink *fake_store_sink(struct fake_store *store);

/* Loses all messages after `head`, changes of users that were not announced, and versions after `version` (0: none),
 * and says so. */
void fake_store_reset(struct fake_store *store, struct cursor head, int64_t version);

#endif
