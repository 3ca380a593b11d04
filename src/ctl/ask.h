/* SPDX-License-Identifier: MIT */
/*
 * Ask: requests to the admin listener, over libcurl.
 *
 * Proxies of the environment are not used and redirects not followed. Whatever goes wrong is told here, as one line on
 * standard error, and returned as an exit status: EX_UNAVAILABLE (no connection, no answer in time, or one of the 5xx),
 * EX_PROTOCOL (what answers is no admin listener of nereidd), EXIT_REFUSED (it refuses), EX_OSERR (no memory).
 */
#ifndef CTL_ASK_H
#define CTL_ASK_H

#include <signal.h>

#include "base/json.h"
#include "ctl/order.h"

/* To be called once, before anything else; false: it cannot be used. */
bool ask_init(void) must_check;
void ask_fini(void);

/* Asks for `path` (with a slash at its start, and perhaps a query), by POST if there is a JSON `body`. On EX_OK the
 * answer is an object, *ret_json a new reference to it, and `ret_text` (initialised) holds it as it came. */
int ask(const struct order *order, const char *path, const struct buf *body, struct buf *ret_text,
        json_t **ret_json) must_check;

/* Asks for an endless answer and calls `line` for each of its lines, without their ends, until that returns false,
 * the answer ends, or `stop` is not 0; all of these are EX_OK. A connection that breaks, or is silent for a minute, is
 * told and EX_UNAVAILABLE. */
int ask_lines(const struct order *order, const char *path, bool (*line)(void *ctx, struct span line), void *ctx,
              const volatile sig_atomic_t *stop) must_check;

/* One line on standard error: `nereidctl: …`, made harmless. */
void ask_complain(const char *format, ...) printf_like(1, 2);

/* The library's name and version; static. */
const char *ask_library(void);

#endif
