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
    if (!depth_within(text, depth_max))
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
