/* SPDX-License-Identifier: MIT */
/*
 * Conn: one connected socket that is ours alone, with a capped queue of shared bytes.
 *
 * Embedded in the object that speaks a protocol over it (a stream, a WebSocket, a Talker line). Its life:
 *
 *     conn_open ── conn_send… ──┬─ peer goes: ops->closed ──────────────┬─> ops->free, from the loop, once, last
 *                               ├─ conn_finish: rest is sent, or deadline ┤
 *                               └─ conn_abort ──────────────────────────┘
 *
 * Output: `conn_send` only queues. All that was queued in one turn of the loop leaves at its end in one gathered write
 * per connection (LOOP_HOOK_FLUSH), and goes on when the socket is writable. An idle connection has no queue in memory.
 *
 * Input: given to ops->input, or read and thrown away where there is none. A FIN ends the connection like an RST:
 * nobody who has closed his side of a stream is going to read on, and a closed browser tab has to be seen at once.
 *
 * No callback comes from inside a call of this file but conns_cut, and none after ops->free. Loop thread only.
 */
#ifndef IO_CONN_H
#define IO_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/blob.h"
#include "base/err.h"
#include "io/loop.h"
#include "io/peer.h"

struct conn;
struct conns;

struct conn_ops {
    /* Bytes came; they live until this returns. The connection may be finished or aborted in here. Null: not wanted. */
    void (*input)(struct conn *conn, struct span bytes);

    /* Everything queued has been taken by the system, after there was something. May be null. */
    void (*drained)(struct conn *conn);

    /* The peer went away (ERR_GONE): nothing can be sent any more. At most once, and not after conn_finish or
     * conn_abort: what one ends oneself is not news. */
    void (*closed)(struct conn *conn, enum err err);

    /* The socket is closed and nothing refers to the conn: its memory may go. Exactly once. */
    void (*free)(struct conn *conn);
};

/* To be embedded; fields belong to conn.c. */
struct conn {
    const struct conn_ops *ops;
    struct conns *conns;
    struct peer *lease;
    struct blob **queue;      /* a ring of `queue_cap` owned references; null while nothing is queued */
    struct conn *next, *prev; /* in the list that `listed` names, see conn.c */
    uint32_t queue_bytes;     /* not yet sent */
    uint32_t paced_bytes;     /* queued by conn_send_paced since the queue was last empty */
    uint32_t sent_bytes;      /* of the first blob */
    uint32_t finish_ms;       /* when a finishing conn is cut off, low 32 bits of the loop's time */
    int fd;
    uint16_t queue_first, queue_count, queue_cap;
    uint8_t state;
    uint8_t listed;
    bool blocked; /* the system takes no more; polled for EPOLLOUT */
};

struct conns_limits {
    uint32_t queue_bytes; /* the cap on what one connection may have queued; at least 1 */
    uint32_t finish_ms;   /* how long a finishing connection may take to send the rest; at least 1 */
};

/* What all connections of a loop share; takes LOOP_HOOK_FLUSH. One per loop. Null: no memory. */
struct conns *conns_new(struct loop *loop, struct conns_limits limits) must_check;

/* Ends all as if their peers had gone: ops->closed where that is news, and ops->free, before this returns. Not from
 * inside a callback. */
void conns_cut(struct conns *conns);

/* Every conn has been freed. Null is allowed. */
void conns_free(struct conns *conns);

struct loop *conns_loop(const struct conns *conns);

/* Connections from conn_open until ops->free. */
uint32_t conns_count(const struct conns *conns);

/* Takes over a connected socket and its lease. `ops` outlives the conn. ERR_INTERNAL, ERR_NO_MEMORY: nothing was
 * taken and no callback will come. */
enum err conn_open(struct conn *conn, struct conns *conns, const struct conn_ops *ops, int take_fd,
                   struct peer *take_lease) must_check;

/* Queues a reference to `blob` (not empty). ERR_SLOW_READER: the queue would exceed its cap and nothing was queued;
 * an empty queue takes a blob of any size. ERR_NO_MEMORY: nothing was queued. ERR_GONE: the connection is over or
 * finishing. */
enum err conn_send(struct conn *conn, struct blob *blob) must_check;

/* The same for what its sender paces by itself, waiting for ops->drained before it goes on: it is not refused for
 * the cap, and while it waits it does not count against others. Errors: ERR_NO_MEMORY, ERR_GONE. */
enum err conn_send_paced(struct conn *conn, struct blob *blob) must_check;

/* Sends what is queued, then `last` (may be null; the cap does not apply to it), then a FIN, and closes when the
 * peer has closed too or the deadline is over. (Closing at once while bytes of the peer are unread would send an
 * RST, which can destroy what was sent.) */
void conn_finish(struct conn *conn, struct blob *last);

/* Closes; what is queued is thrown away. */
void conn_abort(struct conn *conn);

/* Bytes queued and not yet sent. */
uint32_t conn_queued(const struct conn *conn);

/* Whether it is neither over nor finishing. */
bool conn_is_open(const struct conn *conn);

/* The numeric address of the peer; lives until ops->free. */
struct span conn_address(const struct conn *conn);

#endif
