/* SPDX-License-Identifier: MIT */
/*
 * The log writer.
 *
 * A line is built in a fixed buffer on the stack and leaves in one write(2), so lines of several threads do not mix
 * and no allocation can fail. The secret key of `log_secret` is drawn once per process: the short hashes of two runs
 * cannot be compared, and a hash says nothing about the secret.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/time.h"
#include "base/utf8.h"

/* The tail is kept for what ends a line, so that it is whole whatever came before. */
enum { LINE_SIZE = 4096, TAIL_SIZE = 64, VALUE_MAX = 256, ESCAPE_MAX = 6 };

struct line {
    char text[LINE_SIZE];
    size_t len;
    size_t max;
    bool full; /* something did not fit and was not added */
};

static struct {
    _Atomic int fd;
    _Atomic enum log_level level;
    enum log_format format;
    char *path; /* owned; null for standard error */
    uint8_t key[16];
    pthread_once_t key_once;
} state = {.fd = STDERR_FILENO, .level = LOG_INFO, .key_once = PTHREAD_ONCE_INIT};

static const char *const level_words[] = {"debug", "info", "warn", "error"};

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

static void use_fd(int fd)
{
    int old = atomic_exchange(&state.fd, fd);
    if (old != STDERR_FILENO)
        (void)close(old);
}

enum err log_open(const char *path, enum log_level level, enum log_format format)
{
    char *copy = path ? strdup(path) : NULL;
    int fd = path ? open_file(path) : STDERR_FILENO;
    if (fd < 0 || (path && !copy)) {
        free(copy);
        if (path && fd >= 0)
            (void)close(fd);
        return ERR_INTERNAL;
    }
    free(state.path);
    state.path = copy;
    state.format = format;
    atomic_store(&state.level, level);
    use_fd(fd);
    return OK;
}

void log_reopen(void)
{
    if (!state.path)
        return;
    int fd = open_file(state.path);
    /* In place of the old one under its number: another thread may be about to write to that. */
    if (fd < 0 || dup3(fd, atomic_load(&state.fd), O_CLOEXEC) < 0)
        log_event(LOG_ERROR, "cannot reopen the log", log_text("path", state.path), log_text("error", strerror(errno)));
    if (fd >= 0)
        (void)close(fd);
}

void log_close(void)
{
    free(state.path);
    state.path = NULL;
    use_fd(STDERR_FILENO);
}

bool log_wants(enum log_level level)
{
    return level >= atomic_load_explicit(&state.level, memory_order_relaxed);
}

static void add(struct line *line, struct span bytes)
{
    if (bytes.len > line->max - line->len) {
        line->full = true;
        return;
    }
    if (bytes.len)
        memcpy(line->text + line->len, bytes.data, bytes.len);
    line->len += bytes.len;
}

static void add_text(struct line *line, const char *text)
{
    add(line, span_of(text));
}

static void add_number(struct line *line, int64_t number)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%lld", (long long)number);
    add_text(line, text);
}

static void add_escaped(struct line *line, unsigned char byte)
{
    char text[ESCAPE_MAX + 1];
    (void)snprintf(text, sizeof(text), byte == '"' || byte == '\\' ? "\\%c" : "\\u%04x", byte);
    add_text(line, text);
}

/* The length of the character in front if it may stand as it is; 0 if its first byte must be escaped. */
static size_t plain_len(struct span text)
{
    if (text.data[0] == '"' || text.data[0] == '\\')
        return 0;
    size_t len = 1;
    while (len < text.len && len < 4 && ((unsigned char)text.data[len] & 0xc0) == 0x80)
        len++;
    return utf8_printable((struct span){text.data, len}) ? len : 0;
}

/* At most VALUE_MAX bytes of the value, and no part of a character. */
static struct span cut(struct span value)
{
    if (value.len <= VALUE_MAX)
        return value;
    value.len = VALUE_MAX;
    for (int i = 0; i < 3 && ((unsigned char)value.data[value.len] & 0xc0) == 0x80; i++)
        value.len--;
    return value;
}

static void add_quoted(struct line *line, struct span value)
{
    struct span rest = cut(value);
    bool whole = rest.len == value.len;
    add_text(line, "\"");
    while (rest.len) {
        size_t len = plain_len(rest);
        if (len)
            add(line, (struct span){rest.data, len});
        else
            add_escaped(line, (unsigned char)rest.data[0]);
        len = len ? len : 1;
        rest = (struct span){rest.data + len, rest.len - len};
    }
    add_text(line, whole ? "\"" : "...\"");
}

static bool is_bare(struct span value)
{
    if (value.len == 0 || value.len > VALUE_MAX)
        return false;
    for (size_t i = 0; i < value.len; i++) {
        char c = value.data[i];
        bool plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-_.:/@,+[]%", c);
        if (!plain || c == '\0')
            return false;
    }
    return true;
}

static void draw_key(void)
{
    if (getrandom(state.key, sizeof(state.key), 0) != (ssize_t)sizeof(state.key))
        abort();
}

/* FNV-1a started from a secret key and folded to 32 bits: tells secrets apart in one log, reveals nothing useful. */
static void add_secret(struct line *line, struct span secret)
{
    (void)pthread_once(&state.key_once, draw_key);
    uint64_t hash;
    memcpy(&hash, state.key, sizeof(hash));
    for (size_t i = 0; i < secret.len; i++)
        hash = (hash ^ (unsigned char)secret.data[i]) * 0x100000001b3;
    uint64_t mask;
    memcpy(&mask, state.key + sizeof(hash), sizeof(mask));
    hash = (hash ^ mask) * 0x9e3779b97f4a7c15;
    char text[16];
    (void)snprintf(text, sizeof(text), "#%08x", (unsigned)(hash >> 32));
    add_text(line, text);
}

static void add_value(struct line *line, const struct log_field *field, bool json)
{
    switch (field->kind) {
    case LOG_FIELD_INT: add_number(line, field->number); break;
    case LOG_FIELD_SECRET:
        add_text(line, json ? "\"" : "");
        add_secret(line, field->text);
        add_text(line, json ? "\"" : "");
        break;
    case LOG_FIELD_TEXT:
        if (!json && is_bare(field->text))
            add(line, field->text);
        else
            add_quoted(line, field->text);
        break;
    }
}

static void add_head(struct line *line, enum log_level level, const char *event, bool json)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    char time[TIME_TEXT_SIZE];
    (void)time_format(now.tv_sec * 1000000LL + now.tv_nsec / 1000, time);
    add_text(line, json ? "{\"time\":\"" : "");
    add_text(line, time);
    add_text(line, json ? "\",\"level\":\"" : " ");
    add_text(line, level_words[level]);
    add_text(line, json ? "\",\"event\":" : " ");
    add_quoted(line, span_of(event));
}

/* Adds a field whole or not at all; false for the latter. */
static bool add_field(struct line *line, const struct log_field *field, bool json)
{
    size_t before = line->len;
    line->full = false;
    add_text(line, json ? ",\"" : " ");
    add_text(line, field->key);
    add_text(line, json ? "\":" : "=");
    add_value(line, field, json);
    if (line->full)
        line->len = before;
    return !line->full;
}

static void add_tail(struct line *line, int left_out, bool json)
{
    line->max = sizeof(line->text);
    struct log_field field = log_int("left_out", left_out);
    if (left_out)
        (void)add_field(line, &field, json);
    add_text(line, json ? "}\n" : "\n");
}

void log_emit(enum log_level level, const char *event, const struct log_field *fields)
{
    bool json = state.format == LOG_JSON;
    struct line line;
    line.len = 0;
    line.max = sizeof(line.text) - TAIL_SIZE;
    int left_out = 0;
    add_head(&line, level, event, json);
    for (const struct log_field *field = fields; field->key; field++)
        left_out += !add_field(&line, field, json);
    add_tail(&line, left_out, json);
    /* There is nowhere to report that the log itself cannot be written. */
    ssize_t written = write(atomic_load(&state.fd), line.text, line.len);
    (void)written;
}
