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

/* --- handlers, each in the file of its name; the lists are in views.c */
void admin_status(void *ctx, struct request *req);
void admin_sessions(void *ctx, struct request *req);
void admin_threads(void *ctx, struct request *req);
void admin_tokens(void *ctx, struct request *req);
void admin_send(void *ctx, struct request *req);
void admin_watch(void *ctx, struct request *req);

#endif
