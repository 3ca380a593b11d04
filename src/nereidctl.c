/* SPDX-License-Identifier: MIT */
/* nereidctl: looks at a running nereidd, and speaks in its threads, by the admin listener; see nereidctl(1). */
#include <stdlib.h>
#include <sysexits.h>

#include "base/json.h"
#include "ctl/text.h"
#include "ctl/verbs.h"

static int print_help(void)
{
    order_help(stdout);
    return verb_written();
}

static int print_version(void)
{
    (void)printf("nereidctl %s\n%s, %s\n", PACKAGE_VERSION, ask_library(), json_library());
    return verb_written();
}

static int obey(const struct order *order)
{
    switch (order->kind) {
    case ORDER_VERB: return order->verb->run(order);
    case ORDER_HELP: return print_help();
    case ORDER_VERSION: return print_version();
    }
    return EX_SOFTWARE;
}

int main(int argc, char **argv)
{
    struct order order;
    text_init();
    int status = order_parse(argc, argv, getenv("NEREIDCTL_ADDRESS"), &order, stderr);
    if (status)
        return status;
    if (ask_init()) {
        status = obey(&order);
        ask_fini();
    } else {
        ask_complain("libcurl cannot be used");
        status = EX_SOFTWARE;
    }
    order_fini(&order);
    return status;
}
