/* SPDX-License-Identifier: MIT */
/* language_valid: what it accepts is made of subtags, and neither case nor the kind of separator matters. */
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static bool is_separator(char c)
{
    return c == '-' || c == '_';
}

/* Subtags of 1 to 8 ASCII letters and digits with one separator between them. */
static bool is_made_of_subtags(struct span tag)
{
    size_t len = 0;
    for (size_t i = 0; i < tag.len; i++) {
        bool separator = is_separator(tag.data[i]);
        if (separator ? len == 0 : !isascii(tag.data[i]) || !isalnum((unsigned char)tag.data[i]))
            return false;
        len = separator ? 0 : len + 1;
        if (len > 8)
            return false;
    }
    return len > 0;
}

/* The same tag in the other case and with the other separators. */
static char *other_form(struct span tag)
{
    char *other = malloc(tag.len ? tag.len : 1);
    require(other);
    for (size_t i = 0; i < tag.len; i++) {
        char c = tag.data[i];
        if (isascii(c) && isalpha((unsigned char)c))
            other[i] = (char)(c ^ 0x20);
        else if (is_separator(c))
            other[i] = c == '-' ? '_' : '-';
        else
            other[i] = c;
    }
    return other;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span tag = {(const char *)data, size};
    bool valid = language_valid(tag);
    require(!valid || is_made_of_subtags(tag));
    char *other = other_form(tag);
    require(language_valid((struct span){other, size}) == valid);
    free(other);
    return 0;
}
