/* SPDX-License-Identifier: MIT */
/*
 * The conformance suite: what every store must do (core/store.h), as a list of cases that know nothing of the store
 * behind the port.
 *
 *     static struct store_factory factory = {.open = ..., .wipe = ...};
 *     int main(void) { return suite_run(&factory, (struct cases){more_tests, count}); }
 *
 * Each case starts with a wiped, open store and a harness around it. Cases are in cases_*.c. They take cursors as they
 * are given: what numbers are in them is the store's affair.
 */
#ifndef TESTS_STORE_SUITE_H
#define TESTS_STORE_SUITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/attr.h"
#include "io/loop.h"
#include "store/store_open.h"
#include "core/store.h"

struct store_factory {
    /* Opens a store on the data that is there. The suite has one open at a time. */
    enum err (*open)(struct store_factory *factory, struct loop *loop, const struct store_options *options,
                     struct store **ret_store);

    /* Removes all data; no store is open. Called before and after every case. */
    void (*wipe)(struct store_factory *factory);

    /* The harness's clock has moved on by so much: for a store some of whose time passes elsewhere. May be null. */
    void (*pass)(struct store_factory *factory, int64_t us);

    int64_t token_slack_us; /* a token may end, and be told to end, earlier or later by this */
};

struct cases {
    const struct CMUnitTest *tests;
    size_t count;
};

extern const struct cases user_cases, thread_cases, log_cases, replay_cases, life_cases;

/* Runs all cases, and `more` after them, as one cmocka group; each test's state is a struct harness. */
int suite_run(struct store_factory *factory, struct cases more);

/* A case for the lists above. */
int case_setup(void **state);
int case_teardown(void **state);
#define CASE(function) cmocka_unit_test_setup_teardown(function, case_setup, case_teardown)

#endif
