/* SPDX-License-Identifier: MIT */
/* nereidd: the program. Reads what it is told and runs the gateway; exit statuses are in nereidd(8). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include "auth/auth.h"
#include "base/json.h"
#include "base/log.h"
#include "conf/command.h"
#include "conf/options.h"
#include "gateway.h"
#include "http/server.h"
#include "io/loop.h"
#include "store/sqlite.h"

static int print_version(void)
{
    (void)printf("nereidd %s\n%s, %s, %s, %s, %s\n", PACKAGE_VERSION, http_library(), loop_library(), json_library(),
                 sqlite_library(), auth_libraries());
    return EXIT_SUCCESS;
}

static int print_help(void)
{
    command_help(stdout);
    return EXIT_SUCCESS;
}

/* Loads the options; false, with every error on standard error, if they cannot be used. */
static bool load_options(const struct command *command, struct options *options)
{
    struct buf errors = BUF_INIT;
    unsigned count = options_load(options, command->config, command->overrides, command->override_count, &errors);
    if (errors.len)
        (void)fwrite(errors.data, 1, errors.len, stderr);
    buf_fini(&errors);
    return count == 0;
}

static int run(const struct options *options)
{
    const char *file = options->log.file[0] ? options->log.file : NULL;
    if (log_open(file, options->log.level, options->log.format) != OK) {
        (void)fprintf(stderr, "nereidd: cannot open the log %s: %m\n", file);
        return EXIT_FAILURE;
    }
    struct gateway *gateway = NULL;
    enum err err = gateway_new(options, &gateway);
    bool good = !err && gateway_run(gateway);
    gateway_free(gateway);
    log_close();
    return good ? EXIT_SUCCESS : err == ERR_BAD_FIELD ? EX_CONFIG : EXIT_FAILURE;
}

static int load_and(const struct command *command, int (*then)(const struct options *options))
{
    struct options options;
    if (options_init(&options) != OK)
        return EXIT_FAILURE;
    int status = load_options(command, &options) ? then(&options) : EX_CONFIG;
    options_fini(&options);
    return status;
}

static int test(const struct options *options)
{
    return gateway_options_valid(options) ? EXIT_SUCCESS : EX_CONFIG;
}

/* Reads one line without its end from standard input, unseen if that is a terminal. */
static bool read_password(char *line, size_t size)
{
    struct termios shown;
    bool terminal = tcgetattr(STDIN_FILENO, &shown) == 0;
    if (terminal) {
        struct termios hidden = shown;
        hidden.c_lflag &= ~(tcflag_t)ECHO;
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
        (void)fputs("Password: ", stderr);
    }
    bool got = fgets(line, (int)size, stdin) != NULL;
    if (terminal) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
        (void)fputc('\n', stderr);
    }
    if (got)
        line[strcspn(line, "\r\n")] = '\0';
    return got;
}

static int hash_password(const struct command *command)
{
    char password[1024];
    if (!command->user || !read_password(password, sizeof(password))) {
        (void)fputs("nereidd: --hash-password needs a user, and a password on standard input\n", stderr);
        return EX_USAGE;
    }
    char *line;
    enum err err = auth_users_line(span_of(command->user), span_of(command->name), span_of(password), &line);
    explicit_bzero(password, sizeof(password));
    if (err) {
        (void)fprintf(stderr, "nereidd: %s\n", err_sentence(err));
        return EXIT_FAILURE;
    }
    (void)puts(line);
    free(line);
    return EXIT_SUCCESS;
}

static int obey(const struct command *command)
{
    switch (command->action) {
    case COMMAND_RUN: return load_and(command, run);
    case COMMAND_TEST: return load_and(command, test);
    case COMMAND_VERSION: return print_version();
    case COMMAND_HELP: return print_help();
    case COMMAND_HASH_PASSWORD: return hash_password(command);
    }
    return EX_USAGE;
}

int main(int argc, char **argv)
{
    struct command command;
    enum err err = command_parse(argc, argv, &command, stderr);
    if (err)
        return err == ERR_NO_MEMORY ? EXIT_FAILURE : EX_USAGE;
    int status = obey(&command);
    command_fini(&command);
    return status;
}
