/* SPDX-License-Identifier: MIT */
/* Order: the command line of nereidctl, read. */
#ifndef CTL_ORDER_H
#define CTL_ORDER_H

#include <stdio.h>

#include "base/attr.h"
#include "ctl/place.h"
#include "ctl/verdict.h"

/* Exit statuses beside those of sysexits.h. */
enum { EXIT_REFUSED = 1 };

/* Options that only some commands take. Who takes an address asks the admin listener. */
enum {
    OPTION_ADDRESS = 1,
    OPTION_USER = 2,
    OPTION_PROTOCOL = 4,
    OPTION_PROXY = 8,
    OPTION_SECONDS = 16,
    OPTION_VERBOSE = 32
};

struct order;

/* A command. To add one: a function, and a row in verbs.c. */
struct verb {
    const char *name;
    const char *arguments; /* as the usage shows them; may be empty */
    const char *summary;
    int operands;     /* how many it takes */
    unsigned options; /* OPTION_…, ored */

    /* Does it and returns the exit status; what went wrong was told on standard error. */
    int (*run)(const struct order *order);
};

enum order_kind { ORDER_VERB, ORDER_HELP, ORDER_VERSION };

/* Texts are those of argv and the environment, and live as long. */
struct order {
    enum order_kind kind;
    const struct verb *verb; /* of ORDER_VERB */
    struct place place;      /* with OPTION_ADDRESS */
    bool json;               /* what the server says, as it is */
    bool verbose;
    const char *user, *protocol;
    const char *proxy;       /* as reach.h has it */
    int seconds;             /* to watch for cuts: 0 to WATCH_MAX_S */
    const char *authorities; /* a file of certificates for https, or null: the system's */
    char **operands;
};

/* Reads the arguments. `address` is where to go where they do not say; null or empty: PLACE_DEFAULT. Returns an exit
 * status; but for 0 what is wrong was written to `errors`, and nothing is to be freed. */
int order_parse(int argc, char **argv, const char *address, struct order *ret_order, FILE *errors) must_check;
void order_fini(struct order *order);

/* The usage, with all commands. */
void order_help(FILE *out);

/* The commands; ends with a null name. */
extern const struct verb verbs[];

#endif
