/* SPDX-License-Identifier: MIT */
/*
 * Static: the files of one directory, as they are on disk.
 *
 * Only regular files below the directory, reached without a symbolic link and without `..`; names that begin with a dot
 * do not exist. `/` at the end of a path means index.html. Answers carry an ETag made of size and time of change,
 * `Cache-Control: max-age`, and for HTML a Content-Security-Policy. Loop thread only; files are read by the kernel as
 * they are sent.
 */
#ifndef HTTP_STATIC_H
#define HTTP_STATIC_H

#include "base/attr.h"
#include "base/err.h"
#include "http/request.h"

struct statics;

/* What pages need that load everything from their own origin, have no inline scripts or styles, and make HTML of text
 * by the Trusted Types policies of the chat page only. */
extern const char strict_content_policy[];

/* `max_age_s`: how long a browser may use a file without asking again; 0: always asks. `html_policy`: the
 * Content-Security-Policy, which outlives the statics; empty: none. ERR_NOT_FOUND: no such directory, or no access to
 * it. ERR_NO_MEMORY. */
enum err statics_open(const char *directory, unsigned max_age_s, const char *html_policy,
                      struct statics **ret_statics) must_check;

/* Null is allowed. */
void statics_close(struct statics *statics);

/* Answers a GET or HEAD with the file at `path` below the directory, which begins with a slash. */
void statics_reply(const struct statics *statics, struct request *req, struct span path);

/* The same with the request's path; `statics` is a struct statics. For router_set_fallback. */
void statics_handle(void *statics, struct request *req);

#endif
