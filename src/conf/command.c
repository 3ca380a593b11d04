/* SPDX-License-Identifier: MIT */
/* The command line by getopt_long. */
#include "conf/command.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>

#include "conf/doc.h"

enum { HASH_PASSWORD = 256 }; /* beyond every short option */

static const char usage[] = "usage: nereidd [-c FILE] [-o section.name=value]... [-t]\n"
                            "       nereidd --hash-password USER [NAME]\n"
                            "       nereidd -V | -h\n";

static const char arguments[] = "\n"
                                "  -c, --config FILE             read options from FILE; without it none is read\n"
                                "  -o, --option section.name=value\n"
                                "                                set an option, before what FILE says; repeatable\n"
                                "  -t, --test                    check the options, tell every error, and exit\n"
                                "  -V, --version                 print the versions of nereidd and its libraries\n"
                                "  -h, --help                    print this\n"
                                "      --hash-password USER [NAME]\n"
                                "                                read a password from standard input and print a\n"
                                "                                line for the file auth.users\n"
                                "\n"
                                "Options, with their defaults. Durations read 250ms, 20s, 5m, 1h, 30d; sizes 512,\n"
                                "64K, 1M, 4G; lists are separated by commas or spaces.\n";

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"option", required_argument, NULL, 'o'},
    {"test", no_argument, NULL, 't'},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {"hash-password", no_argument, NULL, HASH_PASSWORD},
    {0},
};

static enum err refuse(FILE *errors, const char *format, ...) printf_like(2, 3);
static enum err refuse(FILE *errors, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("nereidd: ", errors);
    (void)vfprintf(errors, format, args);
    (void)fprintf(errors, "\n%s", usage);
    va_end(args);
    return ERR_BAD_REQUEST;
}

/* One that is asked for later gives way to -h and -V; two others cannot be had together. */
static enum err take_action(struct command *command, enum command_action action, FILE *errors)
{
    if (command->action == COMMAND_HELP || action == command->action)
        return OK;
    if (command->action == COMMAND_RUN || action == COMMAND_HELP || action == COMMAND_VERSION)
        command->action = action;
    else if (command->action != COMMAND_VERSION)
        return refuse(errors, "--test and --hash-password do not go together");
    return OK;
}

static enum err take_config(struct command *command, FILE *errors)
{
    if (command->config)
        return refuse(errors, "-c is given twice");
    command->config = optarg;
    return OK;
}

/* getopt gives `?` for what it does not know and `:` for a missing argument; of a long option only argv has the
 * name. */
static enum err refuse_argument(int found, char **argv, FILE *errors)
{
    const char *why = found == ':' ? "needs an argument" : "is not understood";
    if (optopt > 0 && optopt < HASH_PASSWORD && argv[optind - 1][1] != '-')
        return refuse(errors, "-%c %s", optopt, why);
    return refuse(errors, "%s %s", argv[optind - 1], why);
}

static enum err take_argument(struct command *command, int found, char **argv, FILE *errors)
{
    switch (found) {
    case 'c': return take_config(command, errors);
    case 'o': command->overrides[command->override_count++] = optarg; return OK;
    case 't': return take_action(command, COMMAND_TEST, errors);
    case 'V': return take_action(command, COMMAND_VERSION, errors);
    case 'h': return take_action(command, COMMAND_HELP, errors);
    case HASH_PASSWORD: return take_action(command, COMMAND_HASH_PASSWORD, errors);
    default: return refuse_argument(found, argv, errors);
    }
}

static enum err take_operands(struct command *command, int argc, char **argv, FILE *errors)
{
    int max = command->action == COMMAND_HASH_PASSWORD ? 2 : 0;
    if (argc - optind > max && command->action != COMMAND_HELP)
        return refuse(errors, "%s is too much", argv[optind + max]);
    if (max && optind == argc)
        return refuse(errors, "--hash-password needs a user");
    command->user = max && optind < argc ? argv[optind] : NULL;
    command->name = max && optind + 1 < argc ? argv[optind + 1] : NULL;
    return OK;
}

enum err command_parse(int argc, char **argv, struct command *ret_command, FILE *errors)
{
    struct command command = {.overrides = calloc((size_t)argc, sizeof(*command.overrides))};
    if (!command.overrides)
        return ERR_NO_MEMORY;
    enum err err = OK;
    int found;
    optind = 0; /* GNU: start anew */
    opterr = 0;
    while (!err && (found = getopt_long(argc, argv, ":c:o:tVh", options, NULL)) != -1)
        err = take_argument(&command, found, argv, errors);
    if (!err)
        err = take_operands(&command, argc, argv, errors);
    if (err)
        command_fini(&command);
    else
        *ret_command = command;
    return err;
}

void command_fini(struct command *command)
{
    free(command->overrides);
    command->overrides = NULL;
    command->override_count = 0;
}

void command_help(FILE *out)
{
    (void)fputs(usage, out);
    (void)fputs(arguments, out);
    doc_help(out);
}
