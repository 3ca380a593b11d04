/* SPDX-License-Identifier: MIT */
/* Two lists under one lock, which is never held for more than a few instructions. */
#include "store/sqlite_exchange.h"

#include <errno.h>
#include <time.h>

#include "io/loop.h"
#include "store/sqlite_call.h"

static void append(struct call_list *list, struct call *first, struct call *last)
{
    if (list->last)
        list->last->next = first;
    else
        list->first = first;
    list->last = last;
}

struct call *call_list_take(struct call_list *list)
{
    struct call *first = list->first;
    *list = (struct call_list){0};
    return first;
}

void call_list_add(struct call_list *list, struct call *call)
{
    call->next = NULL;
    append(list, call, call);
}

enum err exchange_init(struct exchange *exchange, struct loop_port *port)
{
    *exchange = (struct exchange){.port = port};
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr))
        return ERR_NO_MEMORY;
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    int failed = pthread_cond_init(&exchange->asked_some, &attr);
    (void)pthread_condattr_destroy(&attr);
    if (failed)
        return ERR_NO_MEMORY;
    if (pthread_mutex_init(&exchange->lock, NULL)) {
        (void)pthread_cond_destroy(&exchange->asked_some);
        return ERR_NO_MEMORY;
    }
    return OK;
}

void exchange_fini(struct exchange *exchange)
{
    (void)pthread_mutex_destroy(&exchange->lock);
    (void)pthread_cond_destroy(&exchange->asked_some);
}

void exchange_ask(struct exchange *exchange, struct call *call)
{
    (void)pthread_mutex_lock(&exchange->lock);
    call_list_add(&exchange->asked, call);
    bool wake = exchange->worker_waits;
    exchange->worker_waits = false;
    (void)pthread_mutex_unlock(&exchange->lock);
    if (wake)
        (void)pthread_cond_signal(&exchange->asked_some);
}

struct call *exchange_collect(struct exchange *exchange, uint64_t *ret_pruned)
{
    (void)pthread_mutex_lock(&exchange->lock);
    struct call *first = call_list_take(&exchange->answered);
    *ret_pruned = exchange->pruned;
    exchange->pruned = 0;
    exchange->posted = false;
    (void)pthread_mutex_unlock(&exchange->lock);
    return first;
}

static struct timespec deadline(int64_t wait_ms)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += wait_ms / 1000;
    at.tv_nsec += wait_ms % 1000 * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

struct call *exchange_take(struct exchange *exchange, int64_t wait_ms)
{
    struct timespec until = deadline(wait_ms);
    (void)pthread_mutex_lock(&exchange->lock);
    int failed = wait_ms > 0 ? 0 : ETIMEDOUT;
    while (!exchange->asked.first && !failed) {
        exchange->worker_waits = true;
        failed = pthread_cond_timedwait(&exchange->asked_some, &exchange->lock, &until);
    }
    exchange->worker_waits = false;
    struct call *first = call_list_take(&exchange->asked);
    (void)pthread_mutex_unlock(&exchange->lock);
    return first;
}

/* With the lock held: whether the loop must be woken. */
static bool claim_post(struct exchange *exchange)
{
    bool claimed = !exchange->posted;
    exchange->posted = true;
    return claimed;
}

void exchange_answer(struct exchange *exchange, struct call_list *calls)
{
    if (!calls->first)
        return;
    (void)pthread_mutex_lock(&exchange->lock);
    append(&exchange->answered, calls->first, calls->last);
    bool post = claim_post(exchange);
    (void)pthread_mutex_unlock(&exchange->lock);
    *calls = (struct call_list){0};
    if (post)
        loop_post(exchange->port);
}

void exchange_report_pruned(struct exchange *exchange, uint64_t count)
{
    if (!count)
        return;
    (void)pthread_mutex_lock(&exchange->lock);
    exchange->pruned += count;
    bool post = claim_post(exchange);
    (void)pthread_mutex_unlock(&exchange->lock);
    if (post)
        loop_post(exchange->port);
}
