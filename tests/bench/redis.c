/* SPDX-License-Identifier: MIT */
/* A Redis server of a scenario's own, and redis-benchmark. */
#include "redis.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support.h"

enum { WAIT_S = 30, ALONE_S = 60, ALONE_FIELDS_MAX = 32, ALONE_WORDS = 16, OUTPUT_BYTES = 16384, NUMBER_BYTES = 16 };

static const char alone_key[] = "bench:alone";

/* redis-server cannot be told to take any port that is free. */
static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        fail("a free port: %s", strerror(errno));
    close(fd);
    return ntohs(address.sin_port);
}

void redis_start_again(struct redis *redis)
{
    char log[REDIS_PATH_BYTES];
    const char *const argv[] = {"redis-server",
                                "--port",
                                redis->port_text,
                                "--bind",
                                "127.0.0.1",
                                "--dir",
                                redis->dir,
                                "--logfile",
                                log,
                                "--daemonize",
                                "no",
                                "--save",
                                "",
                                "--loglevel",
                                "notice",
                                "--appendfsync",
                                "everysec",
                                "--appendonly",
                                redis->appendonly ? "yes" : "no",
                                NULL};

    snprintf(log, sizeof log, "%s/log", redis->dir);
    proc_start(&redis->proc, argv, log);
}

void redis_start(struct redis *redis, const struct settings *settings, bool appendonly)
{
    *redis = (struct redis){.appendonly = appendonly};
    if (snprintf(redis->dir, sizeof redis->dir, "%s/redis-server-XXXXXX", settings->dir) >= (int)sizeof redis->dir ||
        mkdtemp(redis->dir) == NULL)
        fail("a directory in %s: %s", settings->dir, strerror(errno));
    redis->port = free_port();
    snprintf(redis->port_text, sizeof redis->port_text, "%d", redis->port);
    snprintf(redis->url, sizeof redis->url, "redis://127.0.0.1:%d/0", redis->port);
    redis_start_again(redis);
    redis_wait(redis);
}

void redis_stop(struct redis *redis)
{
    redisFree(redis->control);
    redis->control = NULL;
    proc_stop(&redis->proc);
}

void redis_kill(struct redis *redis)
{
    redisFree(redis->control);
    redis->control = NULL;
    proc_kill(&redis->proc);
}

/* Connects and asks once. */
static bool is_there(struct redis *redis)
{
    redisReply *reply;
    bool pong;

    redis->control = redisConnect("127.0.0.1", redis->port);
    if (redis->control == NULL)
        fail("out of memory");
    reply = redis->control->err ? NULL : redisCommand(redis->control, "PING");
    pong = reply != NULL && reply->type == REDIS_REPLY_STATUS && strcmp(reply->str, "PONG") == 0;
    freeReplyObject(reply);
    if (!pong) {
        redisFree(redis->control);
        redis->control = NULL;
    }
    return pong;
}

void redis_wait(struct redis *redis)
{
    uint64_t deadline_ns = deadline_in(WAIT_S);

    while (!is_there(redis)) {
        if (proc_has_ended(&redis->proc) || now_ns() >= deadline_ns)
            proc_fail(&redis->proc, "redis-server does not answer");
        pause_ms(1);
    }
}

redisReply *redis_ask(struct redis *redis, const char *format, ...)
{
    redisReply *reply;
    va_list args;

    va_start(args, format);
    reply = redisvCommand(redis->control, format, args);
    va_end(args);
    if (reply == NULL)
        fail("Redis does not answer %s: %s", format, redis->control->errstr);
    if (reply->type == REDIS_REPLY_ERROR)
        fail("Redis answers %s with: %s", format, reply->str);
    return reply;
}

long long redis_ask_number(struct redis *redis, const char *command)
{
    redisReply *reply = redis_ask(redis, command);
    long long number = reply->integer;

    if (reply->type != REDIS_REPLY_INTEGER)
        fail("Redis answers %s with no number", command);
    freeReplyObject(reply);
    return number;
}

static void alone_remove(struct redis *redis)
{
    freeReplyObject(redis_ask(redis, "DEL %s", alone_key));
}

/* The figure in the last line of CSV, which is "the command","requests per second","...": no field holds a quote. */
static double alone_read(const char *output)
{
    const char *end = strrchr(output, '\n');
    const char *line = end;
    double rate;

    while (line != NULL && line > output && line[-1] != '\n')
        line--;
    line = line != NULL ? strstr(line, "\",\"") : NULL;
    rate = line != NULL ? strtod(line + 3, NULL) : 0;
    if (rate <= 0)
        fail("redis-benchmark says: %s", output);
    return rate;
}

static double alone_measure(const struct redis *redis, const redisReply *fields, unsigned connections, unsigned count)
{
    char connections_text[NUMBER_BYTES];
    char count_text[NUMBER_BYTES];
    char log[REDIS_PATH_BYTES];
    const char *argv[ALONE_WORDS + ALONE_FIELDS_MAX] = {"redis-benchmark",
                                                        "-h",
                                                        "127.0.0.1",
                                                        "-p",
                                                        redis->port_text,
                                                        "-c",
                                                        connections_text,
                                                        "-n",
                                                        count_text,
                                                        "-P",
                                                        "1",
                                                        "--csv",
                                                        "XADD",
                                                        alone_key,
                                                        "*"};
    unsigned n = 15;
    char output[OUTPUT_BYTES];
    struct proc benchmark;

    if (fields->elements > ALONE_FIELDS_MAX)
        fail("an entry has too many fields");
    for (size_t i = 0; i < fields->elements; i++)
        argv[n++] = fields->element[i]->str;
    argv[n] = NULL;
    snprintf(connections_text, sizeof connections_text, "%u", connections);
    snprintf(count_text, sizeof count_text, "%u", count);
    snprintf(log, sizeof log, "%s/benchmark-log", redis->dir);
    proc_start(&benchmark, argv, log);
    proc_finish(&benchmark, output, sizeof output, deadline_in(ALONE_S));
    return alone_read(output);
}

struct redis_alone_result redis_alone(struct redis *redis, const redisReply *fields, unsigned connections,
                                      unsigned count)
{
    struct redis_alone_result result;
    uint64_t cpu_before_ns;
    long long added;

    alone_remove(redis);
    cpu_before_ns = proc_cpu_ns(&redis->proc);
    result.adds_per_s = alone_measure(redis, fields, connections, count);
    result.cpu_us = (double)(proc_cpu_ns(&redis->proc) - cpu_before_ns) / 1e3 / count;
    added = redis_ask_number(redis, "XLEN bench:alone");
    if (added != count)
        fail("redis-benchmark was to add %u entries, and there are %lld", count, added);
    alone_remove(redis);
    return result;
}
