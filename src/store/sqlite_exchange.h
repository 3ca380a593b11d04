/* SPDX-License-Identifier: MIT */
/*
 * Exchange: the two lists between the loop and the store's worker.
 *
 * Calls come out of each list in the order in which they went in. Each side wakes the other only when it may be
 * waiting: the worker by a condition, the loop by its port when the list of answers was empty. Functions say whose they
 * are.
 */
#ifndef STORE_SQLITE_EXCHANGE_H
#define STORE_SQLITE_EXCHANGE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

struct call;
struct loop_port;

struct call_list {
    struct call *first;
    struct call *last;
};

struct exchange {
    pthread_mutex_t lock;
    pthread_cond_t asked_some;
    struct call_list asked;
    struct call_list answered;
    uint64_t pruned; /* not yet counted on the loop */
    bool worker_waits;
    bool posted;            /* the loop has been woken and has not looked yet */
    struct loop_port *port; /* not owned */
};

void call_list_add(struct call_list *list, struct call *call);

/* Takes all off the list: the first, to which the others are linked by `next`, or null. */
struct call *call_list_take(struct call_list *list);

/* ERR_NO_MEMORY: nothing was made. */
enum err exchange_init(struct exchange *exchange, struct loop_port *port) must_check;
void exchange_fini(struct exchange *exchange);

/* Loop: hands a call to the worker. */
void exchange_ask(struct exchange *exchange, struct call *call);

/* Loop: all answers there are, perhaps none, and how many messages were pruned since the last time. */
struct call *exchange_collect(struct exchange *exchange, uint64_t *ret_pruned) must_check;

/* Worker: all calls that piled up; waits up to `wait_ms` for one. Null: there was none. */
struct call *exchange_take(struct exchange *exchange, int64_t wait_ms) must_check;

/* Worker: hands calls back; the list is empty then. */
void exchange_answer(struct exchange *exchange, struct call_list *calls);

/* Worker: reports pruned messages. */
void exchange_report_pruned(struct exchange *exchange, uint64_t count);

#endif
