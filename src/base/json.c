/* SPDX-License-Identifier: MIT */
/* A depth scan in front of jansson. */
#include "base/json.h"

#include "base/utf8.h"

/* Moves `at` from the opening quote of a string to its closing one, or to the end. */
static size_t skip_string(struct span text, size_t at)
{
    for (at++; at < text.len && text.data[at] != '"'; at++)
        if (text.data[at] == '\\')
            at++;
    return at;
}

/* Counts brackets outside strings. It need not see every error: jansson parses what passes. */
static bool depth_within(struct span text, unsigned depth_max)
{
    unsigned depth = 0;
    for (size_t at = 0; at < text.len; at++) {
        switch (text.data[at]) {
        case '"': at = skip_string(text, at); break;
        case '[':
        case '{':
            if (++depth > depth_max)
                return false;
            break;
        case ']':
        case '}':
            if (depth)
                depth--;
            break;
        default: break;
        }
    }
    return true;
}

enum err json_parse(struct span text, unsigned depth_max, json_t **ret_json)
{
    if (!utf8_valid(text))
        return ERR_BAD_UTF8;
    /* jansson 2.14 passes over a NUL behind a number or a literal. */
    if (!depth_within(text, depth_max) || span_has(text, '\0'))
        return ERR_BAD_JSON;
    json_error_t error;
    json_t *json = json_loadb(text.data ? text.data : "", text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!json)
        return ERR_BAD_JSON;
    *ret_json = json;
    return OK;
}

struct span json_text(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value))
        return (struct span){0};
    return (struct span){json_string_value(value), json_string_length(value)};
}

/* --- the text itself, once it is known to be JSON */

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static size_t skip_space(struct span text, size_t at)
{
    while (at < text.len && is_space(text.data[at]))
        at++;
    return at;
}

/* Moves `at` from the first byte of a value behind its last. */
static size_t skip_value(struct span text, size_t at)
{
    unsigned depth = 0;
    for (; at < text.len; at++) {
        char byte = text.data[at];
        bool closes = byte == ']' || byte == '}';
        if (depth == 0 && (closes || byte == ',' || is_space(byte)))
            break;
        if (byte == '"')
            at = skip_string(text, at);
        else if (byte == '[' || byte == '{')
            depth++;
        else if (closes)
            depth--;
    }
    return at;
}

bool json_find_value(struct span object, const char *key, struct span *ret_value)
{
    size_t at = skip_space(object, 0) + 1;
    for (;;) {
        at = skip_space(object, at);
        if (at >= object.len || object.data[at] != '"')
            return false;
        size_t key_end = skip_string(object, at);
        struct span found = {object.data + at + 1, key_end - at - 1};
        size_t value_at = skip_space(object, skip_space(object, key_end + 1) + 1);
        size_t value_end = skip_value(object, value_at);
        if (span_is(found, key)) {
            *ret_value = (struct span){object.data + value_at, value_end - value_at};
            return true;
        }
        at = skip_space(object, value_end) + 1;
    }
}

void json_minify(struct buf *out, struct span text)
{
    size_t from = 0;
    while ((from = skip_space(text, from)) < text.len) {
        size_t end = from;
        for (; end < text.len && !is_space(text.data[end]); end++)
            if (text.data[end] == '"')
                end = skip_string(text, end);
        end = end < text.len ? end : text.len;
        buf_add(out, (struct span){text.data + from, end - from});
        from = end;
    }
}

const char *json_library(void)
{
    return "jansson " JANSSON_VERSION;
}
