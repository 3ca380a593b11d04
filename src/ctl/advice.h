/* SPDX-License-Identifier: MIT */
/* Advice: a finding of the doctor in words, and what to change in the proxies that may be the cause. Pure. */
#ifndef CTL_ADVICE_H
#define CTL_ADVICE_H

#include "base/buf.h"
#include "ctl/verdict.h"

enum hop { HOP_NGINX, HOP_HAPROXY, HOP_SQUID, HOP_APACHE };
enum { HOP_COUNT = HOP_APACHE + 1 };

/* What was found and on which way. Spans are headers of the last answer, empty where there are none. */
struct case_notes {
    struct finding finding;
    long status; /* of the last run */
    bool secure; /* https */
    struct span server, via, coding, location;
    struct span fault; /* why the last answer is none, or broke off */
    struct span said;  /* what nereidd said instead of marks */
};

/* The proxies that name themselves, as bits 1 << HOP_…. HAProxy never does. */
unsigned advice_hops(const struct case_notes *notes);
const char *advice_hop_name(enum hop hop);

/* Adds paragraphs of lines, harmless on a terminal. */
void advice_write(struct buf *out, const struct case_notes *notes);

#endif
