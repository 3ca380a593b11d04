/* SPDX-License-Identifier: MIT */
/* Values: numbers with units, and splitting lists. No locale, no signs, no fractions, no spaces. */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/span.h"

struct unit {
    const char *suffix; /* null ends a table */
    uint64_t factor;
};

extern const struct unit duration_units[]; /* ms s m h d, to milliseconds; only 0 may stand without one */
extern const struct unit size_units[];     /* none K M G, to bytes */
extern const struct unit count_units[];    /* none */

/* Reads digits and a unit. False, with *ret_number untouched: anything else, or more than INT64_MAX. */
bool value_number(struct span text, const struct unit *units, uint64_t *ret_number) must_check;

/* Takes the next item off the front of a list separated by commas, spaces or both. False at the end. */
bool value_item(struct span *list, struct span *ret_item) must_check;

#endif
