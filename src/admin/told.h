/* SPDX-License-Identifier: MIT */
/*
 * Told: what somebody who watches a thread has been told of who is in it, and what there is to tell now.
 *
 * The lines are described in watch.c. Each is of one member, who is told of by the first of these that is new; the
 * member object in the line has all of it:
 *
 *     joined, left               is a member, is none any more
 *     available, unavailable     has sessions, has none
 *     idle, back                 see user_is_idle
 *     show                       show, status or display name
 *     role
 *
 * So several changes of somebody within a turn are one line, and what was taken back again is none.
 */
#ifndef ADMIN_TOLD_H
#define ADMIN_TOLD_H

#include "base/buf.h"
#include "core/hub.h"

/* All zero: nothing was told. A failed allocation is remembered in the buffer that was written to. */
struct told {
    struct seen *members; /* owned, by id */
    uint32_t round;       /* counts comparisons */
};

void told_fini(struct told *told);

/* Writes the first line, which tells everybody. */
void told_begin(struct told *told, const struct thread_watch *watch, int64_t wall_us, struct buf *out);

/* Writes a line for each member of whom something is new, if any. */
void told_changes(struct told *told, const struct thread_watch *watch, int64_t wall_us, struct buf *out);

/* Begins a line, `{"timestamp":…,"type":…`, and ends it. */
void told_line_open(struct buf *out, int64_t wall_us, const char *type);
void told_line_close(struct buf *out);

#endif
