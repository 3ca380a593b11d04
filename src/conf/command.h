/* SPDX-License-Identifier: MIT */
/*
 * The command line of nereidd: parsed here, acted on by the program.
 *
 *     nereidd [-c FILE] [-o section.name=value]... [-t]
 *     nereidd --hash-password USER [NAME]
 *     nereidd -V | -h
 */
#ifndef CONF_COMMAND_H
#define CONF_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/attr.h"
#include "base/err.h"

enum command_action {
    COMMAND_RUN,
    COMMAND_TEST,          /* -t: load the options, tell every error, exit */
    COMMAND_VERSION,       /* -V */
    COMMAND_HELP,          /* -h */
    COMMAND_HASH_PASSWORD, /* --hash-password: a password from standard input to a line for auth.users */
};

/* Texts are those of argv and live as long. */
struct command {
    enum command_action action;
    const char *config;     /* null without -c */
    const char **overrides; /* owned: the arguments of -o in their order, not looked into */
    size_t override_count;
    const char *user; /* the operands of --hash-password, else null; the name may be null there too */
    const char *name;
};

/* Parses the arguments; argv[0] is the program and argc at least 1. -h goes before -V, and both before whatever else
 * is asked for. ERR_BAD_REQUEST: they are wrong, and what is wrong and the usage were written to `errors`.
 * ERR_NO_MEMORY. Nothing to fini on error. Not for two threads at once. */
enum err command_parse(int argc, char **argv, struct command *ret_command, FILE *errors) must_check;

void command_fini(struct command *command);

/* The usage, what each argument means, and every option with its default. */
void command_help(FILE *out);

#endif
