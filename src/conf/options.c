/* SPDX-License-Identifier: MIT */
/*
 * Loading: defaults, then the file, then the command line, then the rules.
 *
 * The loader remembers for each option where it was set, to find repetitions, to let -o replace what the file said, and
 * to name the place where a rule was broken.
 */
#include "conf/options.h"

#include "base/utf8.h"
#include "conf/lines.h"
#include "conf/option.h"
#include "conf/rules.h"

enum source { SOURCE_DEFAULT, SOURCE_FILE, SOURCE_COMMAND };

struct place {
    enum source source;
    unsigned line; /* of the file; 0 is the file as a whole */
};

struct loader {
    struct lines_sink sink;
    struct options *options;
    const char *path;
    struct buf *errors;
    unsigned error_count;
    const struct option_section *section; /* where the file is; null: before the first, or in one that is not known */
    struct place set[OPTION_ROWS];
    bool failed[OPTION_ROWS];
};

enum err options_init(struct options *options)
{
    *options = (struct options){0};
    for (size_t i = 0; i < OPTION_ROWS; i++) {
        struct span bad;
        enum err err = option_set(&option_rows[i], options, span_of(option_rows[i].preset), &bad);
        if (err) {
            options_fini(options);
            return err;
        }
    }
    return OK;
}

void options_fini(struct options *options)
{
    for (size_t i = 0; i < OPTION_ROWS; i++)
        option_clear(&option_rows[i], options);
}

/* Starts a line of errors; the caller adds the sentence and ends it with error_end. */
static struct buf *error_begin(struct loader *loader, struct place place)
{
    loader->error_count++;
    buf_add_text(loader->errors, place.source == SOURCE_FILE ? loader->path : "-o");
    if (place.line)
        buf_printf(loader->errors, ":%u", place.line);
    buf_add_text(loader->errors, ": ");
    return loader->errors;
}

static void error_end(struct loader *loader)
{
    buf_add_char(loader->errors, '\n');
}

static void error_add(struct loader *loader, struct place place, const char *sentence)
{
    buf_add_text(error_begin(loader, place), sentence);
    error_end(loader);
}

static void error_add_value(struct loader *loader, struct place place, const struct option_row *option, struct span bad)
{
    struct buf *text = error_begin(loader, place);
    buf_printf(text, "%s.%s must be ", option->section, option->name);
    option_describe(option, text);
    if (!option->form || !option->form->secret) {
        buf_printf(text, ", not \"");
        buf_add(text, bad);
        buf_add_char(text, '"');
    }
    error_end(loader);
}

static void error_add_repeat(struct loader *loader, struct place place, const struct option_row *option,
                             struct place first)
{
    struct buf *text = error_begin(loader, place);
    buf_printf(text, "%s.%s is given twice", option->section, option->name);
    if (first.source == SOURCE_FILE)
        buf_printf(text, ", first in line %u", first.line);
    error_end(loader);
}

static void error_add_unknown(struct loader *loader, struct place place, struct span section, struct span name)
{
    struct buf *text = error_begin(loader, place);
    buf_add_text(text, "there is no option ");
    buf_add(text, section);
    buf_add_char(text, '.');
    buf_add(text, name);
    error_end(loader);
}

static void set_option(struct loader *loader, struct place place, const struct option_row *option, struct span value)
{
    size_t at = (size_t)(option - option_rows);
    struct place first = loader->set[at];
    loader->set[at] = place;
    if (option_is_list(option)) {
        if (first.source != place.source)
            option_clear(option, loader->options);
    } else if (first.source == place.source) {
        error_add_repeat(loader, place, option, first);
        return;
    }
    struct span bad;
    enum err err = option_set(option, loader->options, value, &bad);
    loader->failed[at] |= err != OK;
    if (err == ERR_BAD_FIELD)
        error_add_value(loader, place, option, bad);
    else if (err)
        error_add(loader, place, err_sentence(err));
}

static void file_section(struct lines_sink *sink, unsigned line, struct span name)
{
    struct loader *loader = container_of(sink, struct loader, sink);
    loader->section = option_section_find(name);
    if (loader->section)
        return;
    struct buf *text = error_begin(loader, (struct place){SOURCE_FILE, line});
    buf_add_text(text, "there is no section [");
    buf_add(text, name);
    buf_add_char(text, ']');
    error_end(loader);
}

static void file_value(struct lines_sink *sink, unsigned line, struct span section, struct span name, struct span value)
{
    struct loader *loader = container_of(sink, struct loader, sink);
    struct place place = {SOURCE_FILE, line};
    const struct option_row *option = option_find(section, name);
    if (option)
        set_option(loader, place, option, value);
    else if (!section.data)
        error_add(loader, place, "the line stands before the first [section]");
    else if (loader->section)
        error_add_unknown(loader, place, section, name);
    /* Of an unknown section one error is enough. */
}

static void file_too_long(struct lines_sink *sink, unsigned line, struct span name)
{
    struct loader *loader = container_of(sink, struct loader, sink);
    struct span section = span_of(loader->section ? loader->section->name : NULL);
    const struct option_row *option = option_find(section, name);
    struct buf *text = error_begin(loader, (struct place){SOURCE_FILE, line});
    buf_add_text(text, "the line is too long");
    if (option && option_is_list(option))
        buf_printf(text, " (%s.%s may be given in several lines)", option->section, option->name);
    error_end(loader);
    if (option)
        loader->failed[option - option_rows] = true;
}

static void file_error(struct lines_sink *sink, unsigned line, const char *sentence)
{
    struct loader *loader = container_of(sink, struct loader, sink);
    error_add(loader, (struct place){SOURCE_FILE, line}, sentence);
}

/* Splits at the first `mark`; false if there is none. */
static bool split_at(struct span text, char mark, struct span *ret_before, struct span *ret_behind)
{
    const char *at = text.len ? memchr(text.data, mark, text.len) : NULL;
    if (!at)
        return false;
    size_t len = (size_t)(at - text.data);
    *ret_before = (struct span){text.data, len};
    *ret_behind = (struct span){at + 1, text.len - len - 1};
    return true;
}

static void load_override(struct loader *loader, struct span text)
{
    struct place place = {SOURCE_COMMAND, 0};
    struct span key;
    struct span value;
    struct span section;
    struct span name;
    if (!utf8_printable(text)) {
        error_add(loader, place, "the argument is not printable UTF-8");
        return;
    }
    if (!split_at(text, '=', &key, &value) || !split_at(key, '.', &section, &name)) {
        error_add(loader, place, "the argument must read section.name=value");
        return;
    }
    const struct option_row *option = option_find(section, name);
    if (option)
        set_option(loader, place, option, value);
    else
        error_add_unknown(loader, place, section, name);
}

/* Where a broken rule is told: who did not set the culprit has set the other. */
static struct place place_of(const struct loader *loader, const struct rule *rule)
{
    struct place place = loader->set[rule->culprit];
    return place.source == SOURCE_DEFAULT ? loader->set[rule->other] : place;
}

static void check_rules(struct loader *loader)
{
    for (const struct rule *rule = rule_rows; rule->broken; rule++) {
        if (!loader->failed[rule->culprit] && !loader->failed[rule->other] && rule->broken(loader->options))
            error_add(loader, place_of(loader, rule), rule->sentence);
    }
}

unsigned options_load(struct options *options, const char *path, const char *const *overrides, size_t override_count,
                      struct buf *errors)
{
    struct loader loader = {
        .sink = {.section = file_section, .value = file_value, .too_long = file_too_long, .error = file_error},
        .options = options,
        .path = path,
        .errors = errors,
    };
    if (path)
        lines_read(path, &loader.sink);
    for (size_t i = 0; i < override_count; i++)
        load_override(&loader, span_of(overrides[i]));
    check_rules(&loader);
    return loader.error_count;
}
