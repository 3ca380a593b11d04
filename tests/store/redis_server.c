/* SPDX-License-Identifier: MIT */
/* A redis-server for the tests. */
#include "redis_server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/attr.h"

enum { START_MS = 10000, COMMAND_MS = 10000, ARGS_MAX = 32, TEXT_MAX = 16384 };

bool server_init(struct server *server, const char *name)
{
    *server = (struct server){0};
    (void)snprintf(server->directory, sizeof(server->directory), "/tmp/%s.XXXXXX", name);
    if (!mkdtemp(server->directory))
        return false;
    (void)snprintf(server->socket, sizeof(server->socket), "%s/redis.sock", server->directory);
    (void)snprintf(server->url, sizeof(server->url), "redis+unix:%s", server->socket);
    return true;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    /* The directory itself stays. */
    return where->level == 0 ? 0 : remove(path);
}

static void remove_contents(const char *directory)
{
    (void)nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void server_fini(struct server *server)
{
    if (!server->directory[0])
        return;
    server_clear(server);
    (void)rmdir(server->directory);
    *server = (struct server){0};
}

/* --- the process ------------------------------------------------------------------------------------------------ */

static void run_server(const struct server *server, const char *const *more, pid_t parent)
{
    const char *args[ARGS_MAX] = {"redis-server"};
    size_t count = 1;
    if (server->config)
        args[count++] = server->config;
    const char *const ours[] = {"--port",       "0",  "--unixsocket", server->socket, "--save", "",
                                "--appendonly", "no", "--daemonize",  "no",           "--dir",  server->directory};
    for (size_t i = 0; i < array_len(ours); i++)
        args[count++] = ours[i];
    while (more && *more && count < ARGS_MAX - 1)
        args[count++] = *more++;
    char log[SERVER_PATH_MAX];
    (void)snprintf(log, sizeof(log), "%s/redis.log", server->directory);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
        _exit(126);
    /* hiredis' sockets would go along: they are not closed by exec. */
    (void)close_range(STDERR_FILENO + 1, ~0U, 0);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
        _exit(126);
    execvp(args[0], (char *const *)args);
    _exit(127);
}

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void disconnect(struct server *server)
{
    if (server->plain)
        redisFree(server->plain);
    server->plain = NULL;
}

static bool connect_plain(struct server *server)
{
    struct timeval limit = {.tv_sec = COMMAND_MS / 1000};
    server->plain = redisConnectUnixWithTimeout(server->socket, limit);
    if (server->plain && !server->plain->err && redisSetTimeout(server->plain, limit) == REDIS_OK)
        return true;
    disconnect(server);
    return false;
}

static bool has_ended(struct server *server)
{
    int status = 0;
    if (waitpid(server->pid, &status, WNOHANG) != server->pid)
        return false;
    server->pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        print_error("there is no redis-server here: install it (apt-get install redis-server)\n");
    else
        print_error("redis-server has ended at once; its log is in %s\n", server->directory);
    return true;
}

bool server_start(struct server *server, const char *const *more)
{
    /* A child that was forked in the middle of unwritten output would write it again. */
    (void)fflush(NULL);
    pid_t parent = getpid();
    server->pid = fork();
    if (server->pid == 0)
        run_server(server, more, parent);
    int64_t start_ms = now_ms();
    while (server->pid > 0 && now_ms() - start_ms < START_MS) {
        if (connect_plain(server))
            return true;
        if (has_ended(server))
            return false;
        (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    print_error("redis-server did not start in time\n");
    return false;
}

int server_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    (void)close(fd);
    return ntohs(address.sin_port);
}

int server_listen(struct server *server)
{
    int port = server_free_port();
    server_do(server, "CONFIG SET port %d", port);
    return port;
}

void server_kill(struct server *server)
{
    disconnect(server);
    if (server->pid > 0) {
        (void)kill(server->pid, SIGKILL);
        (void)waitpid(server->pid, NULL, 0);
    }
    server->pid = 0;
}

void server_clear(struct server *server)
{
    server_kill(server);
    remove_contents(server->directory);
}

void server_pause(struct server *server)
{
    int status = 0;
    assert_int_equal(kill(server->pid, SIGSTOP), 0);
    assert_int_equal(waitpid(server->pid, &status, WUNTRACED), server->pid);
    assert_true(WIFSTOPPED(status));
}

void server_resume(struct server *server)
{
    assert_int_equal(kill(server->pid, SIGCONT), 0);
}

/* --- plain commands --------------------------------------------------------------------------------------------- */

static redisReply *reply_to(struct server *server, const char *format, va_list args)
{
    if (!server->plain && !connect_plain(server))
        fail_msg("redis-server cannot be reached");
    va_list again;
    va_copy(again, args);
    redisReply *reply = redisvCommand(server->plain, format, args);
    if (!reply) {
        /* It ends our connections, too, when it changes its role. */
        disconnect(server);
        reply = connect_plain(server) ? redisvCommand(server->plain, format, again) : NULL;
    }
    va_end(again);
    if (!reply)
        fail_msg("no reply to %s", format);
    return reply;
}

redisReply *server_reply(struct server *server, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *reply = reply_to(server, format, args);
    va_end(args);
    return reply;
}

static redisReply *good_reply_to(struct server *server, const char *format, va_list args)
{
    redisReply *reply = reply_to(server, format, args);
    if (reply->type == REDIS_REPLY_ERROR)
        fail_msg("%s: %s", format, reply->str);
    return reply;
}

void server_do(struct server *server, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    freeReplyObject(good_reply_to(server, format, args));
    va_end(args);
}

long long server_number(struct server *server, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *reply = good_reply_to(server, format, args);
    va_end(args);
    long long number = reply->type == REDIS_REPLY_STRING ? strtoll(reply->str, NULL, 10) : reply->integer;
    assert_true(reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_INTEGER);
    freeReplyObject(reply);
    return number;
}

static size_t add_reply(char *text, size_t len, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_INTEGER)
        len += (size_t)snprintf(text + len, TEXT_MAX - len, "%lld", reply->integer);
    else if (reply->str)
        len += (size_t)snprintf(text + len, TEXT_MAX - len, "%s", reply->str);
    for (size_t i = 0; i < reply->elements && len < TEXT_MAX - 2; i++) {
        len = add_reply(text, len, reply->element[i]);
        if (len < TEXT_MAX - 2)
            text[len++] = '\n';
        text[len] = '\0';
    }
    assert_true(len < TEXT_MAX);
    return len;
}

const char *server_text(struct server *server, const char *format, ...)
{
    static char texts[4][TEXT_MAX];
    static unsigned next;
    char *text = texts[next++ % 4];
    va_list args;
    va_start(args, format);
    redisReply *reply = good_reply_to(server, format, args);
    va_end(args);
    text[0] = '\0';
    (void)add_reply(text, 0, reply);
    freeReplyObject(reply);
    return text;
}
