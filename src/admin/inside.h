/* SPDX-License-Identifier: MIT */
/* What the files of the admin routes share. */
#ifndef ADMIN_INSIDE_H
#define ADMIN_INSIDE_H

#include "admin/admin.h"
#include "base/buf.h"

/* --- admit.c */

/* Whether the request may see, or do, what is behind these routes; if not, it was answered. Refused are pages of
 * another origin, and a Host that is neither empty, nor an address, nor localhost. */
bool admin_admits(struct request *req) must_check;

/* The thread that is named in a path or a field: by its UUID, or by the name of its room. False, and *ret_thread
 * untouched: it is neither. */
bool admin_thread_named(struct span name, struct id *ret_thread) must_check;

/* --- admin.c: answers; the buffer is freed */
void admin_reply(struct request *req, int status, const char *type, struct buf *take_body);
void admin_reply_json(struct request *req, struct buf *take_body);

/* --- part.c: a part of a list, in an order */

/* An order that may be asked for. A table of them ends with a null word; its first decides between equals. */
struct part_order {
    const char *word;
    int (*compare)(const void *a, const void *b); /* two items, as qsort has it */
};

struct part {
    size_t offset, limit;
    struct span find;               /* empty: everything */
    const struct part_order *order; /* null: none in particular */
    const struct part_order *equal; /* for those that are equal in it */
    bool down;
};

/* Items of one size, copied. All zero but for the size: none. */
struct gathered {
    char *items; /* owned */
    size_t size, count, cap;
    bool failed; /* there was no memory */
};

/* Reads limit, offset, find and sort from the query; each may be left out. False, and *ret_part untouched: one is not
 * acceptable, and the request was answered. */
bool part_read(struct request *req, const struct part_order *orders, struct part *ret_part) must_check;

/* Whether what is to be found is somewhere in `text`; letters of ASCII are found in either case. */
bool part_finds(const struct part *part, struct span text) must_check;

void gathered_add(struct gathered *all, const void *item);
void gathered_fini(struct gathered *all);

/* Writes the wanted part as objects with commas between; `write` is called behind each opening brace. */
void gathered_write(struct gathered *all, const struct part *part, struct buf *out,
                    void (*write)(struct buf *out, const void *item));

int part_compare_numbers(int64_t a, int64_t b);
int part_compare_texts(struct span a, struct span b);

/* --- /metrics: the help and the type in front of a family's samples */
void admin_write_head(struct buf *out, const char *name, const char *kind, const char *help);

/* --- process.c: the process' own metrics, as /metrics has them */
void admin_write_process(struct buf *out, int64_t started_us);

/* --- handlers, each in the file of its name; the lists are in views.c */
void admin_status(void *ctx, struct request *req);
void admin_sessions(void *ctx, struct request *req);
void admin_threads(void *ctx, struct request *req);
void admin_tokens(void *ctx, struct request *req);
void admin_send(void *ctx, struct request *req);
void admin_watch(void *ctx, struct request *req);

#endif
