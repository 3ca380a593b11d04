/* SPDX-License-Identifier: MIT */
/* Words and lists as they stand in header values, numbers as they stand in fields. Pure functions. */
#ifndef HTTP_TEXT_H
#define HTTP_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/span.h"

/* Whether `text` is `word`, in any case (ASCII). */
static inline bool text_is_word(struct span text, const char *word)
{
    return text.len == strlen(word) && (text.len == 0 || strncasecmp(text.data, word, text.len) == 0);
}

static inline bool text_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static inline struct span text_trim(struct span text)
{
    while (text.len && text_is_blank(text.data[0]))
        text = (struct span){text.data + 1, text.len - 1};
    while (text.len && text_is_blank(text.data[text.len - 1]))
        text.len--;
    return text;
}

/* Cuts the text up to `separator` off the front of *rest, and the separator with it. */
static inline struct span text_cut(struct span *rest, char separator)
{
    const char *found = rest->len ? memchr(rest->data, separator, rest->len) : NULL;
    struct span piece = {rest->data, found ? (size_t)(found - rest->data) : rest->len};
    size_t taken = piece.len + (found ? 1 : 0);
    *rest = (struct span){taken ? rest->data + taken : rest->data, rest->len - taken};
    return piece;
}

/* One to nine digits, and nothing else. False: it is something else, and *ret_count is untouched. */
static inline bool text_count(struct span text, int64_t *ret_count)
{
    int64_t count = 0;
    if (text.len < 1 || text.len > 9)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        count = count * 10 + (text.data[i] - '0');
    }
    *ret_count = count;
    return true;
}

#endif
