/* SPDX-License-Identifier: MIT */
/* The table as rows, and per kind how a field is set. */
#include "conf/option.h"

#include <assert.h>
#include <stdlib.h>

#include "conf/value.h"

#define WORD(constant, text) {text, constant},
#define WORDS_OF(words, rows) static const struct option_word words##_words[] = {rows(WORD){0}};
WORDS_OF(conf_durability, CONF_DURABILITY_WORDS)
WORDS_OF(conf_auth_method, CONF_AUTH_METHOD_WORDS)
WORDS_OF(conf_jwt_algorithm, CONF_JWT_ALGORITHM_WORDS)
WORDS_OF(conf_dialect, CONF_DIALECT_WORDS)
WORDS_OF(conf_friends, CONF_FRIENDS_WORDS)
WORDS_OF(conf_guests, CONF_GUESTS_WORDS)
WORDS_OF(log_level, LOG_LEVEL_WORDS)
WORDS_OF(log_format, LOG_FORMAT_WORDS)
#undef WORD

/* An option of the kind WORD is set through an unsigned: gcc and clang use it for enums without negative constants. */
_Static_assert(sizeof(enum conf_dialect) == sizeof(unsigned), "enums are unsigned");
_Static_assert(sizeof(enum log_level) == sizeof(unsigned), "enums are unsigned");

#define AT_TEXT(name) name
#define AT_LIST(name) name
#define AT_LINES(name) name
#define AT_DURATION(name) name##_ms
#define AT_SIZE(name) name##_bytes
#define AT_COUNT(name) name
#define AT_RATE(name) name##_per_minute
#define AT_FLAG(name) name
#define AT_WORD(name) name
#define AT_WORDS(name) name

#define ANY .form = NULL
#define RANGE(least, most) .min = (least), .max = (most)
#define CHOICE(choice, rows) .words = choice##_words
#define FORM(which) .form = &form_##which
#define SECTION(section, help)
#define ROW(section_, name_, kind_, domain, preset_, help_)                                                            \
    {.section = #section_,                                                                                             \
     .name = #name_,                                                                                                   \
     .preset = (preset_),                                                                                              \
     .help = (help_),                                                                                                  \
     domain,                                                                                                           \
     .kind = OPTION_##kind_,                                                                                           \
     .offset = offsetof(struct options, section_.AT_##kind_(name_))},
#define END(section)

const struct option_row option_rows[OPTION_ROWS] = {
#include "conf/table.h"
};

#define SECTION(section, help) {#section, help},
#define ROW(section, name, kind, domain, preset, help)
#define END(section)
const struct option_section option_sections[OPTION_SECTIONS] = {
#include "conf/table.h"
};

const struct option_row *option_find(struct span section, struct span name)
{
    for (size_t i = 0; i < OPTION_ROWS; i++)
        if (span_is(section, option_rows[i].section) && span_is(name, option_rows[i].name))
            return &option_rows[i];
    return NULL;
}

const struct option_section *option_section_find(struct span name)
{
    for (size_t i = 0; i < OPTION_SECTIONS; i++)
        if (span_is(name, option_sections[i].name))
            return &option_sections[i];
    return NULL;
}

bool option_is_list(const struct option_row *option)
{
    return option->kind == OPTION_LIST || option->kind == OPTION_LINES || option->kind == OPTION_WORDS;
}

/* Where the option's field is. */
static void *field_of(const struct option_row *option, struct options *options)
{
    return (char *)options + option->offset;
}

static enum err set_text(const struct option_row *option, void *field, struct span text)
{
    char **value = field;
    if (option->form && !option->form->good(text))
        return ERR_BAD_FIELD;
    char *copy = span_copy(text);
    if (!copy)
        return ERR_NO_MEMORY;
    free(*value);
    *value = copy;
    return OK;
}

static void list_cut(struct conf_list *list, size_t count)
{
    while (list->count > count)
        free(list->items[--list->count]);
    if (list->count == 0) {
        free(list->items);
        list->items = NULL;
    }
}

static enum err list_add(struct conf_list *list, struct span item)
{
    char **items = realloc(list->items, (list->count + 1) * sizeof(*items));
    if (!items)
        return ERR_NO_MEMORY;
    list->items = items;
    items[list->count] = span_copy(item);
    if (!items[list->count])
        return ERR_NO_MEMORY;
    list->count++;
    return OK;
}

/* Takes the next item off the front of the text; false at the end. */
static bool next_item(const struct option_row *option, struct span *text, struct span *ret_item)
{
    if (option->kind == OPTION_LIST)
        return value_item(text, ret_item);
    *ret_item = *text;
    *text = (struct span){0};
    return ret_item->len > 0;
}

static enum err set_list(const struct option_row *option, struct conf_list *list, struct span text,
                         struct span *ret_bad)
{
    size_t before = list->count;
    enum err err = OK;
    struct span item;
    while (!err && next_item(option, &text, &item)) {
        bool good = !option->form || option->form->good(item);
        err = good ? list_add(list, item) : ERR_BAD_FIELD;
    }
    if (err == ERR_BAD_FIELD)
        *ret_bad = item;
    if (err)
        list_cut(list, before);
    return err;
}

static const struct unit *units_of(const struct option_row *option)
{
    switch (option->kind) {
    case OPTION_DURATION: return duration_units;
    case OPTION_SIZE: return size_units;
    default: return count_units;
    }
}

/* The number that a bound of the table says. A bound that says none would be a bug of ours. */
static uint64_t bound_of(const struct option_row *option, const char *bound)
{
    uint64_t number = 0;
    bool good = value_number(span_of(bound), units_of(option), &number);
    assert(good);
    (void)good;
    return number;
}

static enum err set_number(const struct option_row *option, void *field, struct span text)
{
    uint64_t number;
    if (!value_number(text, units_of(option), &number) || number < bound_of(option, option->min) ||
        number > bound_of(option, option->max))
        return ERR_BAD_FIELD;
    switch (option->kind) {
    case OPTION_DURATION: *(int64_t *)field = (int64_t)number; break;
    case OPTION_SIZE: *(size_t *)field = (size_t)number; break;
    default: *(uint32_t *)field = (uint32_t)number; break;
    }
    return OK;
}

static enum err set_flag(bool *flag, struct span text)
{
    bool yes = span_is(text, "yes");
    if (!yes && !span_is(text, "no"))
        return ERR_BAD_FIELD;
    *flag = yes;
    return OK;
}

static const struct option_word *word_find(const struct option_row *option, struct span text)
{
    for (const struct option_word *word = option->words; word->text; word++)
        if (span_is(text, word->text))
            return word;
    return NULL;
}

static enum err set_word(const struct option_row *option, unsigned *field, struct span text)
{
    const struct option_word *word = word_find(option, text);
    if (!word)
        return ERR_BAD_FIELD;
    *field = word->constant;
    return OK;
}

static bool words_have(const struct conf_words *words, unsigned constant)
{
    for (unsigned i = 0; i < words->count; i++)
        if (words->items[i] == constant)
            return true;
    return false;
}

static enum err set_words(const struct option_row *option, struct conf_words *field, struct span text,
                          struct span *ret_bad)
{
    struct conf_words words = *field;
    struct span item;
    while (value_item(&text, &item)) {
        const struct option_word *word = word_find(option, item);
        if (!word || words_have(&words, word->constant) || words.count == CONF_WORDS_MAX) {
            *ret_bad = item;
            return ERR_BAD_FIELD;
        }
        words.items[words.count++] = word->constant;
    }
    *field = words;
    return OK;
}

enum err option_set(const struct option_row *option, struct options *options, struct span text, struct span *ret_bad)
{
    void *field = field_of(option, options);
    *ret_bad = text;
    switch (option->kind) {
    case OPTION_TEXT: return set_text(option, field, text);
    case OPTION_LIST:
    case OPTION_LINES: return set_list(option, field, text, ret_bad);
    case OPTION_FLAG: return set_flag(field, text);
    case OPTION_WORD: return set_word(option, field, text);
    case OPTION_WORDS: return set_words(option, field, text, ret_bad);
    case OPTION_DURATION:
    case OPTION_SIZE:
    case OPTION_COUNT:
    case OPTION_RATE: return set_number(option, field, text);
    }
    return ERR_INTERNAL;
}

void option_clear(const struct option_row *option, struct options *options)
{
    void *field = field_of(option, options);
    switch (option->kind) {
    case OPTION_TEXT:
        free(*(char **)field);
        *(char **)field = NULL;
        break;
    case OPTION_LIST:
    case OPTION_LINES: list_cut(field, 0); break;
    case OPTION_DURATION: *(int64_t *)field = 0; break;
    case OPTION_SIZE: *(size_t *)field = 0; break;
    case OPTION_COUNT:
    case OPTION_RATE: *(uint32_t *)field = 0; break;
    case OPTION_FLAG: *(bool *)field = false; break;
    case OPTION_WORD: *(unsigned *)field = 0; break;
    case OPTION_WORDS: *(struct conf_words *)field = (struct conf_words){.count = 0}; break;
    }
}

static void describe_words(const struct option_word *words, struct buf *text)
{
    for (const struct option_word *word = words; word->text; word++) {
        if (word != words)
            buf_add_text(text, word[1].text ? ", " : " or ");
        buf_add_text(text, word->text);
    }
}

void option_describe(const struct option_row *option, struct buf *text)
{
    static const char *const numbers[] = {
        [OPTION_DURATION] = "a duration",
        [OPTION_SIZE] = "a size",
        [OPTION_COUNT] = "a number",
        [OPTION_RATE] = "a number per minute",
    };
    switch (option->kind) {
    case OPTION_TEXT: buf_add_text(text, option->form ? option->form->one : "text"); break;
    case OPTION_LIST: buf_printf(text, "a list of %s", option->form ? option->form->many : "texts"); break;
    case OPTION_LINES: buf_printf(text, "%s, in one line or several", option->form ? option->form->one : "text"); break;
    case OPTION_FLAG: buf_add_text(text, "yes or no"); break;
    case OPTION_WORD: describe_words(option->words, text); break;
    case OPTION_WORDS:
        buf_add_text(text, "a list of different words out of ");
        describe_words(option->words, text);
        break;
    case OPTION_DURATION:
    case OPTION_SIZE:
    case OPTION_COUNT:
    case OPTION_RATE: buf_printf(text, "%s from %s to %s", numbers[option->kind], option->min, option->max); break;
    }
}
