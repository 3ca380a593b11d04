/* SPDX-License-Identifier: MIT */
/* Numbers with units, and lists. */
#include "conf/value.h"

const struct unit duration_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {0},
};
const struct unit size_units[] = {
    {"", 1}, {"K", 1024}, {"M", 1024 * 1024}, {"G", 1024 * 1024 * 1024}, {0},
};
const struct unit count_units[] = {{"", 1}, {0}};

/* Returns the length of the digits in front; 0 if there are none or they are too large. */
static size_t read_digits(struct span text, uint64_t *ret_number)
{
    uint64_t number = 0;
    size_t at = 0;
    for (; at < text.len && text.data[at] >= '0' && text.data[at] <= '9'; at++) {
        uint64_t digit = (uint64_t)(text.data[at] - '0');
        if (number > (INT64_MAX - digit) / 10)
            return 0;
        number = number * 10 + digit;
    }
    *ret_number = number;
    return at;
}

bool value_number(struct span text, const struct unit *units, uint64_t *ret_number)
{
    uint64_t number;
    size_t digits = read_digits(text, &number);
    if (digits == 0)
        return false;
    struct span suffix = {text.data + digits, text.len - digits};
    if (number == 0 && suffix.len == 0) {
        *ret_number = 0;
        return true;
    }
    for (const struct unit *unit = units; unit->suffix; unit++) {
        if (!span_is(suffix, unit->suffix))
            continue;
        if (number > INT64_MAX / unit->factor)
            return false;
        *ret_number = number * unit->factor;
        return true;
    }
    return false;
}

static bool is_separator(char c)
{
    return c == ',' || c == ' ';
}

bool value_item(struct span *list, struct span *ret_item)
{
    size_t start = 0;
    while (start < list->len && is_separator(list->data[start]))
        start++;
    size_t end = start;
    while (end < list->len && !is_separator(list->data[end]))
        end++;
    if (start == end)
        return false;
    *ret_item = (struct span){list->data + start, end - start};
    *list = (struct span){list->data + end, list->len - end};
    return true;
}
