/* SPDX-License-Identifier: MIT */
/* Rules: what options demand of each other. */
#ifndef CONF_RULES_H
#define CONF_RULES_H

#include "conf/option.h"

/* A row: broken says whether the options break the rule. The sentence is told at the place of `culprit`; the rule is
 * not looked at if `culprit` or `other` could not be read. */
struct rule {
    bool (*broken)(const struct options *options);
    enum option_at culprit;
    enum option_at other;
    const char *sentence;
};

/* Ends with a row whose broken is null. */
extern const struct rule rule_rows[];

#endif
