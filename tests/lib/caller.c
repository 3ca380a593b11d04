/* SPDX-License-Identifier: MIT */
/* The stage for tests of src/auth. */
#include "lib/caller.h"

#include <dirent.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "io/loop.h"

enum { WAIT_TURNS = 200, WAIT_TURN_MS = 100 };

static int64_t read_ms(const struct clock *clock)
{
    return container_of(clock, const struct stage, clock)->now_ms;
}

static int64_t read_us(const struct clock *clock)
{
    return container_of(clock, const struct stage, clock)->wall_us;
}

void stage_init(struct stage *stage)
{
    const char *parent = getenv("TMPDIR");
    *stage = (struct stage){.clock = {read_ms, read_us}, .now_ms = 1000000, .wall_us = 1700000000000000};
    (void)snprintf(stage->folder, sizeof(stage->folder), "%s/nereidd-auth-XXXXXX", parent ? parent : "/tmp");
    assert_non_null(mkdtemp(stage->folder));
    (void)snprintf(stage->log_path, sizeof(stage->log_path), "%s/log", stage->folder);
    assert_int_equal(log_open(stage->log_path, LOG_INFO, LOG_KEY_VALUE), OK);
}

void stage_fini(struct stage *stage)
{
    log_close();
    DIR *folder = opendir(stage->folder);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            assert_int_equal(unlinkat(dirfd(folder), entry->d_name, 0), 0);
    closedir(folder);
    assert_int_equal(rmdir(stage->folder), 0);
}

const char *stage_file(const struct stage *stage, const char *name, unsigned mode, struct span text)
{
    static char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", stage->folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text.data ? text.data : "", text.len), text.len);
    /* The umask has no say. */
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    return path;
}

bool stage_logged(const struct stage *stage, const char *text)
{
    static char log[1 << 20];
    FILE *file = fopen(stage->log_path, "r");
    assert_non_null(file);
    size_t len = fread(log, 1, sizeof(log) - 1, file);
    fclose(file);
    log[len] = '\0';
    return strstr(log, text);
}

void stage_log_clear(const struct stage *stage)
{
    assert_int_equal(truncate(stage->log_path, 0), 0);
}

static struct span caller_header(const struct credentials *credentials, const char *name)
{
    const struct caller *caller = container_of(credentials, const struct caller, credentials);
    for (const struct caller_header *header = caller->headers; header->name; header++)
        if (strcasecmp(header->name, name) == 0)
            return span_of(header->value);
    return (struct span){0};
}

struct caller caller_at(const char *address, const char *authorization)
{
    return (struct caller){.credentials = {span_of(address), span_of(authorization), caller_header, NULL}};
}

static void copy_text(char *to, size_t size, struct span text)
{
    assert_true(text.len < size);
    if (text.len)
        memcpy(to, text.data, text.len);
    to[text.len] = '\0';
}

static void caller_answered(void *ctx, enum err err, const struct identity *identity, unsigned retry_after_s)
{
    struct caller *caller = ctx;
    assert_int_equal(!identity, err != OK);
    caller->answers++;
    caller->err = err;
    caller->retry_after_s = retry_after_s;
    caller->expires_us = identity ? identity->expires_us : 0;
    copy_text(caller->user, sizeof(caller->user), identity ? identity->user : (struct span){0});
    copy_text(caller->name, sizeof(caller->name), identity ? identity->name : (struct span){0});
}

void caller_ask(struct caller *caller, struct auth *auth)
{
    caller->answers = 0;
    auth_check(auth, &caller->credentials, caller_answered, caller);
}

void caller_wait(struct caller *caller, struct loop *loop)
{
    for (int turn = 0; turn < WAIT_TURNS && !caller->answers; turn++)
        loop_turn(loop, WAIT_TURN_MS);
    assert_int_equal(caller->answers, 1);
}

const char *basic_of(const char *user_and_password)
{
    static char texts[8][4096];
    static unsigned next;
    char *text = texts[next++ % array_len(texts)];
    gnutls_datum_t in = {(unsigned char *)user_and_password, (unsigned)strlen(user_and_password)};
    gnutls_datum_t out = {NULL, 0};
    assert_int_equal(gnutls_base64_encode2(&in, &out), 0);
    (void)snprintf(text, sizeof(texts[0]), "Basic %.*s", (int)out.size, (const char *)out.data);
    gnutls_free(out.data);
    return text;
}
