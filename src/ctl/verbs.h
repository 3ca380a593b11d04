/* SPDX-License-Identifier: MIT */
/* What the commands share. Each function here is in the file of its name, or in verbs.c. */
#ifndef CTL_VERBS_H
#define CTL_VERBS_H

#include "base/json.h"
#include "ctl/answer.h"
#include "ctl/ask.h"
#include "ctl/columns.h"
#include "ctl/order.h"
#include "ctl/text.h"

int verb_status(const struct order *order);
int verb_sessions(const struct order *order);
int verb_threads(const struct order *order);
int verb_tokens(const struct order *order);
int verb_send(const struct order *order);
int verb_watch(const struct order *order);
int verb_probe(const struct order *order);

/* The exit status of a command that has written all it had to: EX_OK, or EX_IOERR, told, if it could not. */
int verb_written(void) must_check;

/* Writes what came as JSON, harmless (text.h), and returns the exit status. */
int verb_json(struct span json) must_check;

/* Asks for `path` and shows the answer: as JSON with --json, else by `show`, which returns an exit status. */
int verb_show(const struct order *order, struct buf *path, int (*show)(const json_t *answer)) must_check;
int verb_show_at(const struct order *order, const char *path, int (*show)(const json_t *answer)) must_check;

/* Prints the table and frees it. */
int verb_table(struct columns *table) must_check;

/* Tells that there is no memory; its exit status. */
int verb_no_memory(void) must_check;

/* The text that was given as an argument is UTF-8, or EX_DATAERR was told. */
int verb_check_text(const char *what, struct span text) must_check;

#endif
