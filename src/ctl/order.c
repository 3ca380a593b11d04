/* SPDX-License-Identifier: MIT */
/* The command line by getopt_long: options may stand before and behind the command. */
#include "ctl/order.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { ONLY_LONG = 256, LONG_JSON, LONG_PROTOCOL, LONG_CACERT, LONG_SECONDS };
enum { SECONDS_DEFAULT = 5 };

static const struct option options[] = {
    {"address", required_argument, NULL, 'a'},
    {"user", required_argument, NULL, 'u'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {"json", no_argument, NULL, LONG_JSON},
    {"protocol", required_argument, NULL, LONG_PROTOCOL},
    {"cacert", required_argument, NULL, LONG_CACERT},
    {"proxy", required_argument, NULL, 'x'},
    {"seconds", required_argument, NULL, LONG_SECONDS},
    {"verbose", no_argument, NULL, 'v'},
    {0},
};

static const char usage[] = "usage: nereidctl [-a ADDRESS] [--json] COMMAND [ARGUMENT...]\n";

static const char arguments[] =
    "\n"
    "  -a, --address ADDRESS   the admin listener: HOST:PORT, unix:PATH, or a URL (" PLACE_DEFAULT ",\n"
    "                          unless NEREIDCTL_ADDRESS says otherwise)\n"
    "      --json              print what nereidd answers, as it is\n"
    "      --cacert FILE       with TLS: the certificates to trust, instead of the system's\n"
    "  -V, --version           print the versions of nereidctl and its libraries\n"
    "  -h, --help              print this\n";

static int refuse(FILE *errors, const char *format, ...) printf_like(2, 3);
static int refuse(FILE *errors, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("nereidctl: ", errors);
    (void)vfprintf(errors, format, args);
    (void)fputs(" (see nereidctl --help)\n", errors);
    va_end(args);
    return EX_USAGE;
}

/* --- options */

struct reading {
    struct order order;
    const char *address;
    unsigned given; /* OPTION_… */
};

static int take_text(struct reading *reading, unsigned option, const char **text)
{
    *text = optarg;
    reading->given |= option;
    return EX_OK;
}

static int take_seconds(struct reading *reading, FILE *errors)
{
    size_t len = strlen(optarg);
    bool is_number = len >= 1 && len <= 3 && strspn(optarg, "0123456789") == len;
    reading->given |= OPTION_SECONDS;
    reading->order.seconds = is_number ? (int)strtol(optarg, NULL, 10) : -1;
    if (reading->order.seconds >= 0 && reading->order.seconds <= WATCH_MAX_S)
        return EX_OK;
    return refuse(errors, "--seconds takes 0 to %d", WATCH_MAX_S);
}

static int take_option(struct reading *reading, int found, char **argv, FILE *errors)
{
    struct order *order = &reading->order;
    switch (found) {
    case 'a': return take_text(reading, OPTION_ADDRESS, &reading->address);
    case 'u': return take_text(reading, OPTION_USER, &order->user);
    case LONG_PROTOCOL: return take_text(reading, OPTION_PROTOCOL, &order->protocol);
    case 'x': return take_text(reading, OPTION_PROXY, &order->proxy);
    case LONG_SECONDS: return take_seconds(reading, errors);
    case 'v':
        order->verbose = true;
        reading->given |= OPTION_VERBOSE;
        return EX_OK;
    case LONG_JSON: order->json = true; return EX_OK;
    case LONG_CACERT: order->authorities = optarg; return EX_OK;
    case 'h': order->kind = ORDER_HELP; return EX_OK;
    case 'V':
        if (order->kind != ORDER_HELP)
            order->kind = ORDER_VERSION;
        return EX_OK;
    case ':': return refuse(errors, "%s needs an argument", argv[optind - 1]);
    default:
        if (optopt > 0 && optopt < ONLY_LONG)
            return refuse(errors, "-%c is not understood", optopt);
        return refuse(errors, "%s is not understood", argv[optind - 1]);
    }
}

static int read_options(struct reading *reading, int argc, char **argv, FILE *errors)
{
    int status = EX_OK, found;
    optind = 0; /* GNU: start anew */
    opterr = 0;
    while (!status && (found = getopt_long(argc, argv, ":a:u:x:vhV", options, NULL)) != -1)
        status = take_option(reading, found, argv, errors);
    return status;
}

/* --- the command */

static const struct verb *verb_find(const char *name)
{
    const struct verb *verb = verbs;
    while (verb->name && strcmp(verb->name, name) != 0)
        verb++;
    return verb->name ? verb : NULL;
}

/* The name of the first of these options. */
static const char *option_name(unsigned given)
{
    static const char *const names[] = {"--address", "--user", "--protocol", "--proxy", "--seconds", "--verbose"};
    return names[__builtin_ctz(given)];
}

static int check_verb(const struct reading *reading, int operands, FILE *errors)
{
    const struct verb *verb = reading->order.verb;
    unsigned excess = reading->given & ~verb->options;
    if (operands != verb->operands)
        return refuse(errors, "%s takes %s", verb->name, verb->operands ? verb->arguments : "no arguments");
    if (excess)
        return refuse(errors, "%s takes no %s", verb->name, option_name(excess));
    return EX_OK;
}

static int read_verb(struct reading *reading, int argc, char **argv, FILE *errors)
{
    if (optind == argc)
        return refuse(errors, "a command is missing");
    struct order *order = &reading->order;
    const char *name = argv[optind];
    if (strcmp(name, "help") == 0) {
        order->kind = ORDER_HELP;
        return EX_OK;
    }
    order->verb = verb_find(name);
    if (!order->verb)
        return refuse(errors, "there is no command %s", name);
    order->operands = &argv[optind + 1];
    return check_verb(reading, argc - optind - 1, errors);
}

static int read_place(struct reading *reading, FILE *errors)
{
    if (!(reading->order.verb->options & OPTION_ADDRESS))
        return EX_OK;
    enum err err = place_parse(reading->address, &reading->order.place);
    if (err == ERR_BAD_FIELD)
        return refuse(errors, "%s is no address of an admin listener", reading->address);
    if (err)
        (void)fprintf(errors, "nereidctl: %s\n", err_sentence(err));
    return err ? EX_OSERR : EX_OK;
}

int order_parse(int argc, char **argv, const char *address, struct order *ret_order, FILE *errors)
{
    struct reading reading = {.address = address && address[0] ? address : PLACE_DEFAULT,
                              .order = {.seconds = SECONDS_DEFAULT}};
    int status = read_options(&reading, argc, argv, errors);
    if (!status && reading.order.kind == ORDER_VERB)
        status = read_verb(&reading, argc, argv, errors);
    if (!status && reading.order.kind == ORDER_VERB)
        status = read_place(&reading, errors);
    if (!status)
        *ret_order = reading.order;
    return status;
}

void order_fini(struct order *order)
{
    place_fini(&order->place);
}

void order_help(FILE *out)
{
    (void)fputs(usage, out);
    (void)fputs(arguments, out);
    (void)fputs("\nCommands:\n", out);
    for (const struct verb *verb = verbs; verb->name; verb++)
        (void)fprintf(out, "  %s%s%s\n                          %s\n", verb->name, verb->arguments[0] ? " " : "",
                      verb->arguments, verb->summary);
}
