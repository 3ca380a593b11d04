/* SPDX-License-Identifier: MIT */
/*
 * Options: what nereidd is told by its configuration file and its command line.
 *
 *     options_init (defaults) ─> options_load (file, then -o arguments, then checks) ─> read the fields ─> options_fini
 *
 * The fields come from the table in conf/table.h: options.limits.header_bytes is limits.header of the file. Texts are
 * valid UTF-8 without control characters. Numbers are within the range of their row.
 */
#ifndef CONF_OPTIONS_H
#define CONF_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "conf/words.h"

struct conf_list {
    char **items; /* owned, each owned; null while count is 0 */
    size_t count;
};

enum { CONF_WORDS_MAX = 8 };

/* Words of one choice in the order they were written, each once; what is kept are the constants of the choice's
 * enum. */
struct conf_words {
    unsigned items[CONF_WORDS_MAX];
    unsigned count;
};

#define FIELD_TEXT(name, domain) char *name; /* owned, never null */
#define FIELD_LIST(name, domain) struct conf_list name;
#define FIELD_LINES(name, domain) struct conf_list name;
#define FIELD_DURATION(name, domain) int64_t name##_ms;
#define FIELD_SIZE(name, domain) size_t name##_bytes;
#define FIELD_COUNT(name, domain) uint32_t name;
#define FIELD_RATE(name, domain) uint32_t name##_per_minute;
#define FIELD_FLAG(name, domain) bool name;
#define FIELD_WORD(name, domain) domain name;
#define FIELD_WORDS(name, domain) struct conf_words name;

#define SECTION(section, help) struct {
#define ROW(section, name, kind, domain, preset, help) FIELD_##kind(name, domain)
#define CHOICE(words, rows) enum words
#define END(section)                                                                                                   \
    }                                                                                                                  \
    section;

struct options {
#include "conf/table.h"
};

/* Sets every option to its default. ERR_NO_MEMORY: there is nothing to fini. */
enum err options_init(struct options *options) must_check;

/* Frees the texts and lists. */
void options_fini(struct options *options);

/* Reads the file at `path` (null: none), then the `override_count` arguments of -o, each `section.name=value`, which go
 * before the file, then checks what options demand of each other. A scalar may be given once in the file and once by
 * -o; a list may be repeated and grows, and the first -o replaces the file's.
 *
 * Returns the number of errors. For each `errors` has got a line `PLACE: SENTENCE`, where PLACE is `path:line`,
 * `path` or `-o`. With errors the options must not be used, only freed. Lack of memory is an error like others. */
unsigned options_load(struct options *options, const char *path, const char *const *overrides, size_t override_count,
                      struct buf *errors) must_check;

#endif
