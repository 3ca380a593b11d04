/* SPDX-License-Identifier: MIT */
/* Messages, the words of their types, and the syntax of language tags. */
#include "core/message.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char *const type_words[TEXT_TYPE_COUNT] = {
#define ROW(name, word) [name] = word,
    TEXT_TYPE_TABLE(ROW)
#undef ROW
};

/* Moves one span into the message's own bytes; absent stays absent. */
static void settle(struct span *span, char **at)
{
    if (!span->data)
        return;
    if (span->len)
        memcpy(*at, span->data, span->len);
    span->data = *at;
    *at += span->len;
}

struct message *message_new(const struct message_fields *fields)
{
    size_t len = fields->sender.len + fields->sender_name.len + fields->text.len + fields->subject.len +
                 fields->language.len + fields->attachments.len;
    struct message *message = malloc(sizeof(*message) + len);
    if (!message)
        return NULL;
    message->refs = 1;
    message->cursor = (struct cursor){0};
    message->fields = *fields;
    char *at = message->bytes;
    settle(&message->fields.sender, &at);
    settle(&message->fields.sender_name, &at);
    settle(&message->fields.text, &at);
    settle(&message->fields.subject, &at);
    settle(&message->fields.language, &at);
    settle(&message->fields.attachments, &at);
    return message;
}

struct message *message_ref(struct message *message)
{
    assert(message->refs > 0 && message->refs < UINT32_MAX);
    message->refs++;
    return message;
}

void message_unref(struct message *message)
{
    if (!message)
        return;
    assert(message->refs > 0);
    if (--message->refs == 0)
        free(message);
}

const char *text_type_word(enum text_type type)
{
    assert(type < TEXT_TYPE_COUNT);
    return type_words[type];
}

bool text_type_parse(struct span word, enum text_type *ret_type)
{
    for (unsigned i = 0; i < TEXT_TYPE_COUNT; i++) {
        if (span_is(word, type_words[i])) {
            *ret_type = (enum text_type)i;
            return true;
        }
    }
    return false;
}

/* --- language tags ---------------------------------------------------------------------------------------------- */

enum { SUBTAG_MAX = 8 };

/* Tags registered before the present syntax that do not fit it (RFC 5646 section 2.1, `irregular`). */
static const char *const irregular_tags[] = {"en-gb-oed", "i-ami", "i-bnn",     "i-default", "i-enochian", "i-hak",
                                             "i-klingon", "i-lux", "i-mingo",   "i-navajo",  "i-pwn",      "i-tao",
                                             "i-tay",     "i-tsu", "sgn-be-fr", "sgn-be-nl", "sgn-ch-de"};

/* A tag being read: the subtag at hand, empty after the last one, and what follows it. */
struct tag {
    struct span subtag;
    struct span rest;
    bool malformed; /* a subtag was empty or too long */
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_alpha(char c)
{
    return lower(c) >= 'a' && lower(c) <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_separator(char c)
{
    return c == '-' || c == '_';
}

static void subtag_next(struct tag *tag)
{
    struct span rest = tag->rest;
    size_t len = 0;
    while (len < rest.len && !is_separator(rest.data[len]))
        len++;
    tag->subtag = (struct span){rest.data, len};
    if (len == rest.len)
        tag->rest = (struct span){NULL, 0};
    else
        tag->rest = (struct span){rest.data + len + 1, rest.len - len - 1};
    if (rest.data && (len == 0 || len > SUBTAG_MAX))
        tag->malformed = true;
}

/* Whether the subtag at hand has `min` to `max` letters, or digits, or either. */
static bool subtag_fits(const struct tag *tag, bool letters, bool digits, size_t min, size_t max)
{
    if (tag->subtag.len < min || tag->subtag.len > max)
        return false;
    for (size_t i = 0; i < tag->subtag.len; i++) {
        char c = tag->subtag.data[i];
        if (!(letters && is_alpha(c)) && !(digits && is_digit(c)))
            return false;
    }
    return true;
}

static bool subtag_is_letters(const struct tag *tag, size_t min, size_t max)
{
    return subtag_fits(tag, true, false, min, max);
}

static bool subtag_is_variant(const struct tag *tag)
{
    return subtag_fits(tag, true, true, 5, 8) || (subtag_fits(tag, true, true, 4, 4) && is_digit(tag->subtag.data[0]));
}

static bool subtag_is_private(const struct tag *tag)
{
    return tag->subtag.len == 1 && lower(tag->subtag.data[0]) == 'x';
}

/* Reads one or more subtags of `min` to 8 letters or digits after a singleton. */
static bool read_after_singleton(struct tag *tag, size_t min)
{
    subtag_next(tag);
    if (!subtag_fits(tag, true, true, min, SUBTAG_MAX))
        return false;
    while (subtag_fits(tag, true, true, min, SUBTAG_MAX))
        subtag_next(tag);
    return true;
}

static bool read_language(struct tag *tag)
{
    bool takes_extlang = subtag_is_letters(tag, 2, 3);
    if (!subtag_is_letters(tag, 2, 8))
        return false;
    subtag_next(tag);
    for (int i = 0; takes_extlang && i < 3 && subtag_is_letters(tag, 3, 3); i++)
        subtag_next(tag);
    return true;
}

static bool read_tag(struct tag *tag)
{
    if (subtag_is_private(tag))
        return read_after_singleton(tag, 1);
    if (!read_language(tag))
        return false;
    if (subtag_is_letters(tag, 4, 4)) /* script */
        subtag_next(tag);
    if (subtag_is_letters(tag, 2, 2) || subtag_fits(tag, false, true, 3, 3)) /* region */
        subtag_next(tag);
    while (subtag_is_variant(tag))
        subtag_next(tag);
    while (subtag_fits(tag, true, true, 1, 1) && !subtag_is_private(tag))
        if (!read_after_singleton(tag, 2))
            return false;
    return !subtag_is_private(tag) || read_after_singleton(tag, 1);
}

static bool tag_is(struct span tag, const char *lower_text)
{
    if (tag.len != strlen(lower_text))
        return false;
    for (size_t i = 0; i < tag.len; i++) {
        char c = is_separator(tag.data[i]) ? '-' : lower(tag.data[i]);
        if (c != lower_text[i])
            return false;
    }
    return true;
}

bool language_valid(struct span tag)
{
    for (size_t i = 0; i < array_len(irregular_tags); i++)
        if (tag_is(tag, irregular_tags[i]))
            return true;
    if (tag.len == 0)
        return false;
    struct tag reading = {.rest = tag};
    subtag_next(&reading);
    return read_tag(&reading) && reading.subtag.len == 0 && !reading.malformed;
}
