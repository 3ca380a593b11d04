/* SPDX-License-Identifier: MIT */
/* One option at run time: its row of the table, and setting its field from text. */
#ifndef CONF_OPTION_H
#define CONF_OPTION_H

#include "base/span.h"
#include "conf/form.h"
#include "conf/options.h"

enum option_kind {
    OPTION_TEXT,
    OPTION_LIST,
    OPTION_LINES,
    OPTION_DURATION,
    OPTION_SIZE,
    OPTION_COUNT,
    OPTION_RATE,
    OPTION_FLAG,
    OPTION_WORD,
    OPTION_WORDS
};

struct option_word {
    const char *text; /* null ends a list of words */
    unsigned constant;
};

struct option_row {
    const char *section;
    const char *name;
    const char *preset; /* the default as written in a file */
    const char *help;
    const char *min; /* RANGE, as written in a file; else null */
    const char *max;
    const struct option_word *words; /* CHOICE; else null */
    const struct form *form;         /* FORM; else null */
    enum option_kind kind;
    size_t offset; /* of the field in struct options */
};

struct option_section {
    const char *name;
    const char *help;
};

/* The place of each option in option_rows: OPTION_AT_http_listen and so on. */
enum option_at {
#define SECTION(section, help)
#define ROW(section, name, kind, domain, preset, help) OPTION_AT_##section##_##name,
#define END(section)
#include "conf/table.h"
    OPTION_ROWS
};

enum option_section_at {
#define SECTION(section, help) OPTION_SECTION_##section,
#define ROW(section, name, kind, domain, preset, help)
#define END(section)
#include "conf/table.h"
    OPTION_SECTIONS
};

/* In the order of the table; the options of a section follow each other. */
extern const struct option_row option_rows[OPTION_ROWS];
extern const struct option_section option_sections[OPTION_SECTIONS];

/* Null: there is none such. */
const struct option_row *option_find(struct span section, struct span name);
const struct option_section *option_section_find(struct span name);

/* Whether the option may be repeated and grows: LIST, LINES and WORDS. */
bool option_is_list(const struct option_row *option);

/* Sets the field, which is zero or was set before, from text as written in a file; a list grows. ERR_BAD_FIELD:
 * `text` is not what option_describe says, and *ret_bad is the part of it that is wrong. ERR_NO_MEMORY. On error the
 * field is as it was. */
enum err option_set(const struct option_row *option, struct options *options, struct span text,
                    struct span *ret_bad) must_check;

/* Frees what the field holds and zeroes it. */
void option_clear(const struct option_row *option, struct options *options);

/* Adds what the option takes, as in `a size from 1K to 64K`. */
void option_describe(const struct option_row *option, struct buf *text);

#endif
