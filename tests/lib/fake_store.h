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
 * announced only by `fake_store_tail`, or before the next announcement of our own.
 */
#ifndef TESTS_LIB_FAKE_STORE_H
#define TESTS_LIB_FAKE_STORE_H

#include "base/clock.h"
#include "core/store.h"

struct fake_store;

/* More than 0 while the store works for itself: a test that lets allocations fail leaves these alone. (Volatile because compilers know
 * that malloc changes no variable.) */
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

/* If the oldest call asks for a page of a replay: reads the page now, to be answered with later. False: it is another call. */
bool fake_store_read_ahead(struct fake_store *store);

/* The next call made fails with `err` and has no effect. */
void fake_store_fail_next(struct fake_store *store, enum err err);

/* From now on every call that comes to be answered fails with `err`, and the store is not ready; OK ends that. */
void fake_store_outage(struct fake_store *store, enum err err);

/* Whether a user is in a thread, and the log's head when they came in. */
bool fake_store_member(struct fake_store *store, struct id thread, struct span user, struct cursor *ret_joined);

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

#endif
