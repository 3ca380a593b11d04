/* SPDX-License-Identifier: MIT */
/* What Redis' error replies mean for us, as a table. */
#ifndef STORE_REDIS_TROUBLE_H
#define STORE_REDIS_TROUBLE_H

#include <hiredis/hiredis.h>
#include <stdbool.h>

struct trouble {
    const char *code;     /* the reply's first word */
    const char *sentence; /* for the log and /readyz */
    enum {
        TROUBLE_CALL,   /* this call only */
        TROUBLE_SERVER, /* the server's state: it will be the same for others, until it is not */
        TROUBLE_LINK    /* to be mended by connecting anew */
    } reach;
};

/* The row of an error reply's text, whose code may also stand further in: before Redis 7 scripts wrap it. Never
 * null. */
const struct trouble *trouble_of(const char *error);

/* The same for an error reply's text; null where no row is meant. */
const struct trouble *trouble_find(const char *text);

static inline bool reply_is_error(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ERROR;
}

#endif
