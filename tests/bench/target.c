/* SPDX-License-Identifier: MIT */
/* What is measured: nereidd with one of its stores, limit, or Socket.IO on Node; started alike, talked to alike. */
#include "target.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "http.h"
#include "load.h"
#include "support.h"

enum {
    ARGUMENTS_MAX = 128,
    SETUP_CONNECTIONS = 32,
    SETUP_S = 60,
    OPEN_CONNECTIONS = 200,
    METRICS_BYTES = 1 << 20,
    LOG_BYTES = TARGET_PATH_BYTES + 8,
    URL_BYTES = TARGET_PATH_BYTES + 32,
};

static const char sender_name[] = "sender";
static const char room_name[] = "bench";

/*
 * Limits on what one client may do are out of the way, because here a few stand for many; the rest is as it comes.
 * Senders wait while others take their turn, so their connections may be idle for long.
 */
static const char *const nereidd_options[] = {
    "admin.listen=127.0.0.1:0",
    "talker.listen=127.0.0.1:0",
    "talker.silence=1d",
    "auth.methods=demo",
    "nereid.friends=threads",
    "limits.members=2000",
    "limits.send_rate=0",
    "limits.token_rate=0",
    "limits.handshake_rate=0",
    "limits.idle=1h",
    "limits.header_time=1h",
    "socketio.ping_interval=10m",
    "messaging.authenticate_time=1h",
};

const char *target_name(enum target_kind kind)
{
    static const char *const names[TARGET_KINDS] = {"file", "memory", "redis", "limit", "limit-each", "socket.io"};

    return names[kind];
}

static bool is_limit(const struct target *target)
{
    return target->kind == TARGET_LIMIT || target->kind == TARGET_LIMIT_EACH;
}

void target_database(const struct target *target, char ret[TARGET_PATH_BYTES])
{
    if (snprintf(ret, TARGET_PATH_BYTES, "%s/chat.db", target->dir) >= TARGET_PATH_BYTES)
        fail("the path of the directory is too long");
}

static void limit_start(struct target *target, const struct settings *settings, size_t overhead_bytes, const char *log)
{
    static const char *const words[] = {"http"};
    char overhead[24];
    const char *argv[5] = {settings->limit};
    unsigned n = 1;

    snprintf(overhead, sizeof overhead, "-e%zu", overhead_bytes);
    if (target->kind == TARGET_LIMIT_EACH)
        argv[n++] = "-1";
    if (overhead_bytes > 0)
        argv[n++] = overhead;
    argv[n] = NULL;
    proc_start(&target->proc, argv, log);
    proc_addresses(&target->proc, words, &target->http, 1);
}

/* With the collector in reach, so that memory can be told from garbage. */
static void socketio_start(struct target *target, const struct settings *settings, const char *log)
{
    static const char *const words[] = {"http"};
    const char *argv[] = {"node", "--expose-gc", settings->socketio, NULL};

    proc_start(&target->proc, argv, log);
    proc_addresses(&target->proc, words, &target->http, 1);
}

struct tls_options {
    char certificate[TARGET_PATH_BYTES + 32];
    char key[TARGET_PATH_BYTES + 32];
};

static void option_add(const char **argv, unsigned *n, const char *option)
{
    if (*n + 3 > ARGUMENTS_MAX)
        fail("too many options for nereidd");
    argv[(*n)++] = "-o";
    argv[(*n)++] = option;
}

/* The options for TLS, with a new certificate. */
static void tls_options_add(const struct target *target, const char **argv, unsigned *n, struct tls_options *options)
{
    char certificate[TARGET_PATH_BYTES + 16];
    char key[TARGET_PATH_BYTES + 16];

    snprintf(certificate, sizeof certificate, "%s/cert.pem", target->dir);
    snprintf(key, sizeof key, "%s/key.pem", target->dir);
    wire_certificate_make(certificate, key);
    snprintf(options->certificate, sizeof options->certificate, "tls.certificate=%s", certificate);
    snprintf(options->key, sizeof options->key, "tls.key=%s", key);
    option_add(argv, n, options->certificate);
    option_add(argv, n, options->key);
}

static void nereidd_start(struct target *target, const struct settings *settings, const char *url, const char *log)
{
    static const char *const words[] = {"tls:", "admin", "talker", "http"};
    char store[URL_BYTES + 16];
    const char *argv[ARGUMENTS_MAX] = {settings->nereidd};
    struct sockaddr_in addresses[4] = {0};
    struct tls_options tls;
    unsigned skip = target->client == NULL; /* the first word */
    unsigned n = 1;

    snprintf(store, sizeof store, "store.url=%s", url);
    option_add(argv, &n, skip ? "http.listen=127.0.0.1:0" : "http.listen=127.0.0.1:0,tls:127.0.0.1:0");
    if (skip == 0)
        tls_options_add(target, argv, &n, &tls);
    for (size_t i = 0; i < sizeof nereidd_options / sizeof *nereidd_options; i++)
        option_add(argv, &n, nereidd_options[i]);
    option_add(argv, &n, store);
    for (unsigned i = 0; i < settings->option_count; i++)
        option_add(argv, &n, settings->options[i]);
    argv[n] = NULL;
    proc_start(&target->proc, argv, log);
    proc_addresses(&target->proc, words + skip, addresses + skip, 4 - skip);
    target->tls = addresses[0];
    target->admin = addresses[1];
    target->talker = addresses[2];
    target->http = addresses[3];
}

static void directory_make(struct target *target, const struct settings *settings, enum target_kind kind,
                           char ret_log[LOG_BYTES])
{
    *target = (struct target){.kind = kind};
    if (snprintf(target->dir, sizeof target->dir, "%s/%s-XXXXXX", settings->dir, target_name(kind)) >=
            (int)sizeof target->dir ||
        mkdtemp(target->dir) == NULL)
        fail("a directory in %s: %s", settings->dir, strerror(errno));
    snprintf(ret_log, LOG_BYTES, "%s/log", target->dir);
    authorization_format(sender_name, target->sender_field);
}

void target_start(struct target *target, const struct settings *settings, enum target_kind kind, size_t overhead_bytes)
{
    char log[LOG_BYTES];
    char database[TARGET_PATH_BYTES];
    char url[URL_BYTES] = "sqlite::memory:";

    directory_make(target, settings, kind, log);
    target_database(target, database);
    if (kind == TARGET_FILE)
        snprintf(url, sizeof url, "sqlite:%s", database);
    if (is_limit(target))
        limit_start(target, settings, overhead_bytes, log);
    else if (kind == TARGET_SOCKETIO)
        socketio_start(target, settings, log);
    else
        nereidd_start(target, settings, url, log);
}

void target_start_tls(struct target *target, const struct settings *settings, struct wire_client *client)
{
    char log[LOG_BYTES];

    directory_make(target, settings, TARGET_MEMORY, log);
    target->client = client;
    nereidd_start(target, settings, "sqlite::memory:", log);
}

void target_start_on(struct target *target, const struct settings *settings, const char *url)
{
    char log[LOG_BYTES];

    directory_make(target, settings, TARGET_REDIS, log);
    nereidd_start(target, settings, url, log);
}

void target_stop(struct target *target)
{
    proc_stop(&target->proc);
}

static void user_authorization(const char *prefix, uint64_t index, char ret[AUTHORIZATION_BYTES])
{
    char user[USER_BYTES];

    snprintf(user, sizeof user, "%s%llu", prefix, (unsigned long long)index);
    authorization_format(user, ret);
}

/* A form of the nereid interface, from the user of `authorization`. */
static size_t form_format(const char *path, const char *authorization, const char *form, char *ret, size_t cap)
{
    int n = snprintf(ret, cap,
                     "POST /nereid-chat/%s HTTP/1.1\r\nHost: bench\r\n%s"
                     "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %zu\r\n\r\n%s",
                     path, authorization, strlen(form), form);

    if (n < 0 || (size_t)n >= cap)
        fail("a request is too long");
    return (size_t)n;
}

/* --- the room ----------------------------------------------------------------------------------------------------- */

static void room_form(const char *room, char ret[64])
{
    snprintf(ret, 64, "room=%s", room);
}

static void sender_join(struct target *target, const char *room)
{
    enum { BODY_BYTES = 1 << 20 };
    char request[LOAD_REQUEST_BYTES];
    char form[64];
    char *body = alloc_items(BODY_BYTES, 1);
    size_t n;
    int status;

    room_form(room, form);
    n = form_format("start-session", target->sender_field, form, request, sizeof request);
    status = http_exchange(&target->http, request, n, body, BODY_BYTES);
    if (status != 200)
        fail("start-session was answered with %d: %.200s", status, body);
    uuid_read(body, "thread_id", target->thread);
    free(body);
}

void target_lonely_room(struct target *target)
{
    sender_join(target, "lonely");
}

struct members {
    const char *room; /* and how they are called */
    unsigned count;
    unsigned rooms; /* 0: one, of that name; else that name with a number */
};

static size_t join_write(void *self, uint64_t index, char ret[LOAD_REQUEST_BYTES])
{
    const struct members *members = self;
    char authorization[AUTHORIZATION_BYTES];
    char form[64];

    if (index >= members->count)
        return 0;
    user_authorization(members->room, index, authorization);
    room_form(members->room, form);
    if (members->rooms > 0)
        snprintf(form, sizeof form, "room=%s%llu", members->room, (unsigned long long)index / CROWD_ROOM);
    return form_format("start-session", authorization, form, ret, LOAD_REQUEST_BYTES);
}

static void join_answered(void *self, uint64_t index, int status, const char *body, size_t body_bytes)
{
    const struct members *members = self;

    (void)body_bytes;
    if (status != 200)
        fail("%s%llu cannot join: %d: %.200s", members->room, (unsigned long long)index, status, body);
}

void target_gather(struct target *target, const char *room, unsigned readers)
{
    static const struct load_ops ops = {join_write, join_answered};
    struct members members = {.room = room, .count = readers};

    sender_join(target, room);
    load_run(&target->http, SETUP_CONNECTIONS, &ops, &members, deadline_in(SETUP_S));
}

void target_crowd_gather(struct target *target, const char *crowd, unsigned count)
{
    static const struct load_ops ops = {join_write, join_answered};
    struct members members = {.room = crowd, .count = count, .rooms = count / CROWD_ROOM + 1};

    load_run(&target->http, SETUP_CONNECTIONS, &ops, &members, deadline_in(SETUP_S));
}

/* --- streams ------------------------------------------------------------------------------------------------------ */

static size_t reader_stream_write(void *self, unsigned index, const char *token, char ret[STREAM_REQUEST_BYTES])
{
    const struct target *target = self;
    char authorization[AUTHORIZATION_BYTES] = "";
    const char *path = is_limit(target) ? "/stream" : "/nereid-chat/stream";

    (void)token;
    if (!is_limit(target))
        user_authorization(target->crowd, index, authorization);
    return (size_t)snprintf(ret, STREAM_REQUEST_BYTES, "GET %s HTTP/1.1\r\nHost: bench\r\n%s\r\n", path, authorization);
}

/* The line by which a Talker connection comes to a room. */
static size_t connect_line_format(const char *room, const char *token, char ret[STREAM_REQUEST_BYTES])
{
    return (size_t)snprintf(ret, STREAM_REQUEST_BYTES, "{\"type\":\"connect\",\"room\":\"%s\",\"token\":\"%s\"}\n",
                            room, token);
}

static size_t reader_line_write(void *self, unsigned index, const char *token, char ret[STREAM_REQUEST_BYTES])
{
    const struct target *target = self;

    (void)token;
    return connect_line_format(target->crowd, target->tokens[index], ret);
}

/* How the target's way leads to it; `line_write` takes the place of requests on that of Talker. */
static void plan_lead(struct stream_plan *plan, struct target *target,
                      size_t (*line_write)(void *, unsigned, const char *, char[STREAM_REQUEST_BYTES]))
{
    plan->self = target;
    plan->to = &target->http;
    if (target->way == WAY_TLS) {
        plan->to = &target->tls;
        plan->tls = target->client;
    } else if (target->way == WAY_TALKER) {
        plan->to = &target->talker;
        plan->greeting = "{\"type\":\"users\"";
        plan->stream_request_write = line_write;
        plan->token_request_write = NULL;
    }
}

/* The streams of the members of a room, or their Talker connections, for which they ask for tokens first. */
static void readers_open(struct target *target, const char *room, unsigned readers, int *ret_fds)
{
    struct stream_plan plan = {
        .count = readers,
        .concurrency = OPEN_CONNECTIONS,
        .stream_request_write = reader_stream_write,
    };
    char(*tokens)[UUID_BYTES] = alloc_items(readers, sizeof *tokens);

    if (target->way == WAY_TALKER)
        target_tokens(target, room, readers, tokens);
    plan_lead(&plan, target, reader_line_write);
    target->crowd = room;
    target->tokens = (const char(*)[UUID_BYTES])tokens;
    streams_open(&plan, ret_fds, deadline_in(SETUP_S));
    target->tokens = NULL;
    free(tokens);
}

size_t target_send_request(void *self, const char *text, char ret[FAN_REQUEST_BYTES])
{
    const struct target *target = self;
    char form[FAN_TEXT_BYTES + 80];

    if (is_limit(target))
        return (size_t)snprintf(ret, FAN_REQUEST_BYTES,
                                "POST /send HTTP/1.1\r\nHost: bench\r\nContent-Length: %zu\r\n\r\n%s", strlen(text),
                                text);
    snprintf(form, sizeof form, "thread_id=%s&message=%s", target->thread, text);
    return form_format("send-message", target->sender_field, form, ret, FAN_REQUEST_BYTES);
}

size_t target_send_again_request(void *self, const char *text, char ret[FAN_REQUEST_BYTES])
{
    const struct target *target = self;
    char form[FAN_TEXT_BYTES + 128];

    snprintf(form, sizeof form, "thread_id=%s&id=00000000-0000-4000-8000-0000%.8s&message=%s", target->thread, text + 1,
             text);
    return form_format("send-message", target->sender_field, form, ret, FAN_REQUEST_BYTES);
}

struct fan *target_fan_across(struct target *target, struct target *readers_at, const char *room, unsigned readers)
{
    int *fds = alloc_items(readers, sizeof *fds);
    struct fan *fan;

    if (!is_limit(target))
        target_gather(target, room, readers);
    readers_open(readers_at, room, readers, fds);
    fan = fan_new(&target->http, fds, readers, target_send_request, target);
    target->line_bytes = fan_line_bytes(fan);
    free(fds);
    return fan;
}

struct fan *target_fan(struct target *target, unsigned readers)
{
    return target_fan_across(target, target, room_name, readers);
}

/* --- a crowd ------------------------------------------------------------------------------------------------------ */

static size_t token_request_format(const char *crowd, uint64_t index, char *ret, size_t cap)
{
    char authorization[AUTHORIZATION_BYTES];

    user_authorization(crowd, index, authorization);
    return form_format("token", authorization, "", ret, cap);
}

static size_t crowd_token_write(void *self, unsigned index, char ret[STREAM_REQUEST_BYTES])
{
    const struct target *target = self;

    return token_request_format(target->crowd, index, ret, STREAM_REQUEST_BYTES);
}

static size_t crowd_stream_write(void *self, unsigned index, const char *token, char ret[STREAM_REQUEST_BYTES])
{
    const struct target *target = self;

    if (is_limit(target))
        return reader_stream_write(self, index, token, ret);
    return (size_t)snprintf(ret, STREAM_REQUEST_BYTES, "GET /nereid-chat/stream/%s HTTP/1.1\r\nHost: bench\r\n\r\n",
                            target->tokens != NULL ? target->tokens[index] : token);
}

static size_t crowd_line_write(void *self, unsigned index, const char *token, char ret[STREAM_REQUEST_BYTES])
{
    const struct target *target = self;
    char room[USER_BYTES];

    (void)token;
    snprintf(room, sizeof room, "%s%u", target->crowd, index / CROWD_ROOM);
    return connect_line_format(room, target->tokens[index], ret);
}

void target_crowd(struct target *target, const char *crowd, unsigned count, const char (*tokens)[UUID_BYTES],
                  int *ret_fds)
{
    struct stream_plan plan = {
        .count = count,
        .concurrency = OPEN_CONNECTIONS,
        .token_request_write = is_limit(target) || tokens != NULL ? NULL : crowd_token_write,
        .stream_request_write = crowd_stream_write,
    };

    plan_lead(&plan, target, crowd_line_write);
    target->crowd = crowd;
    target->tokens = tokens;
    streams_open(&plan, ret_fds, deadline_in(SETUP_S));
    target->tokens = NULL;
}

struct token_wants {
    const char *crowd;
    unsigned count;
    char (*tokens)[UUID_BYTES];
};

static size_t token_write(void *self, uint64_t index, char ret[LOAD_REQUEST_BYTES])
{
    const struct token_wants *wants = self;

    return index < wants->count ? token_request_format(wants->crowd, index, ret, LOAD_REQUEST_BYTES) : 0;
}

static void token_answered(void *self, uint64_t index, int status, const char *body, size_t body_bytes)
{
    const struct token_wants *wants = self;

    (void)body_bytes;
    if (status != 200)
        fail("a token was answered with %d: %.200s", status, body);
    uuid_read(body, "token", wants->tokens[index]);
}

void target_tokens(struct target *target, const char *crowd, unsigned count, char (*ret_tokens)[UUID_BYTES])
{
    static const struct load_ops ops = {token_write, token_answered};
    struct token_wants wants = {.crowd = crowd, .count = count, .tokens = ret_tokens};

    load_run(&target->http, SETUP_CONNECTIONS, &ops, &wants, deadline_in(SETUP_S));
}

/* --- metrics ------------------------------------------------------------------------------------------------------ */

double target_metric(const struct target *target, const char *name)
{
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";
    char *body = alloc_items(METRICS_BYTES, 1);
    size_t n = strlen(name);
    char *line = body;
    double value;

    if (http_exchange(&target->admin, request, sizeof request - 1, body, METRICS_BYTES) != 200)
        fail("/metrics was refused: %.200s", body);
    while (line != NULL && !(strncmp(line, name, n) == 0 && line[n] == ' ')) {
        line = strchr(line, '\n');
        line += line != NULL;
    }
    if (line == NULL)
        fail("there is no metric %s", name);
    value = strtod(line + n, NULL);
    free(body);
    return value;
}
