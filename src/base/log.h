/* SPDX-License-Identifier: MIT */
/*
 * Log: one event per line, as key=value or JSON.
 *
 *     log_event(LOG_WARN, "login failed", log_text("user", user), log_int("attempts", 3));
 *     2026-11-21T10:00:00.123456Z warn "login failed" user=alice attempts=3
 *
 * Control bytes and invalid UTF-8 are escaped and values cut at 256 bytes, so nothing from outside can forge a line or
 * flood one. A line has at most 4,096 bytes; fields for which it has no room are left out whole, and `left_out` at its
 * end says how many. Tokens and passwords never go in: `log_secret` writes a short hash that only tells two of them
 * apart. May be called from any thread; each line is one write.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/span.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_KEY_VALUE, LOG_JSON };

struct log_field {
    const char *key; /* a bare word */
    enum { LOG_FIELD_TEXT, LOG_FIELD_INT, LOG_FIELD_SECRET } kind;
    struct span text;
    int64_t number;
};

static inline struct log_field log_span(const char *key, struct span text)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_TEXT, .text = text};
}

static inline struct log_field log_text(const char *key, const char *text)
{
    return log_span(key, span_of(text));
}

static inline struct log_field log_int(const char *key, int64_t number)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_INT, .number = number};
}

static inline struct log_field log_err(enum err err)
{
    return log_text("error", err_word(err));
}

static inline struct log_field log_secret(const char *key, struct span secret)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_SECRET, .text = secret};
}

/* Where lines go and which. `path` null means standard error; else the file is opened for appending. ERR_INTERNAL
 * with errno set: the file cannot be opened and the old destination stays. Before any call: standard error,
 * LOG_INFO, key=value. */
enum err log_open(const char *path, enum log_level level, enum log_format format) must_check;

/* Opens the file again under its name, after a log rotation. The old one stays if that fails. */
void log_reopen(void);

/* Closes the file; later lines go to standard error. */
void log_close(void);

bool log_wants(enum log_level level);

/* Use log_event. `fields` ends with a null key. */
void log_emit(enum log_level level, const char *event, const struct log_field *fields);

/* `level`, a fixed sentence that names the event, then any number of fields. */
#define log_event(level, ...)                                                                                          \
    do {                                                                                                               \
        if (log_wants(level))                                                                                          \
            LOG_EVENT(level, __VA_ARGS__, (struct log_field){0});                                                      \
    } while (0)
#define LOG_EVENT(level, event, ...) log_emit(level, event, (const struct log_field[]){__VA_ARGS__})

#endif
