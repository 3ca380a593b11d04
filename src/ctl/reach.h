/* SPDX-License-Identifier: MIT */
/*
 * Reach: one run of the probe at any URL, over libcurl, as browsers would go there: through the proxies of the
 * environment, and with what is compressed on the way. Redirects are not followed.
 *
 * An answer that takes longer than its marks do and REACH_SLACK_MS is given up.
 */
#ifndef CTL_REACH_H
#define CTL_REACH_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "ctl/verdict.h"

enum { REACH_SLACK_MS = 8000 };

/* Where to, and how. */
struct reach {
    char *url;               /* of the probe, without a query; owned */
    const char *proxy;       /* to go through, "": through none; null: as the environment says */
    const char *authorities; /* a file of certificates for https; null: the system's */
};

/* What the last run was answered with besides marks: headers without their names, empty where there are none. Texts of
 * others: not harmless. */
struct reply {
    struct buf server, via, cache, coding, location;
    struct buf text;  /* of an answer that is no probe's: its first bytes */
    struct buf fault; /* why there was no answer, or why it broke off; empty where it ended well */
};

/* The URL of the probe from what an operator writes: an origin, the base of the interface, or where a proxy has put
 * them; http where no scheme is named. ERR_BAD_FIELD: it is no such URL. ERR_NO_MEMORY. */
enum err reach_init(struct reach *reach, const char *url) must_check;
void reach_fini(struct reach *reach);

void reply_fini(struct reply *reply);

/* Makes the run `plan` and writes *ret_run and *reply (which is initialised). False: there was no memory. */
bool reach_run(const struct reach *reach, struct plan plan, struct run *ret_run, struct reply *reply) must_check;

#endif
