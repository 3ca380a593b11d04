/* SPDX-License-Identifier: MIT */
/* Members of JSON objects, and times. */
#include "ctl/answer.h"

#include <stdio.h>
#include <time.h>

int64_t answer_count(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

bool answer_says(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

/* The microseconds of a fraction (`.123456`), and what stands behind it. */
static int64_t read_fraction(const char **text)
{
    int64_t us = 0;
    if (**text != '.')
        return 0;
    ++*text;
    for (int64_t unit = 100000; **text >= '0' && **text <= '9'; unit /= 10)
        us += (*(*text)++ - '0') * unit;
    return us;
}

bool answer_parse_time(struct span time, int64_t *ret_us)
{
    struct tm tm = {0};
    char copy[40];
    if (!time.len || time.len >= sizeof(copy))
        return false;
    (void)snprintf(copy, sizeof(copy), "%.*s", (int)time.len, time.data);
    const char *rest = strptime(copy, "%Y-%m-%dT%H:%M:%S", &tm);
    int64_t us = rest ? read_fraction(&rest) : 0;
    if (!rest || strcmp(rest, "Z") != 0)
        return false;
    *ret_us = (int64_t)timegm(&tm) * 1000000 + us;
    return true;
}

const char *answer_time(struct span time, char text[WHEN_SIZE])
{
    struct tm tm;
    int64_t us = 0;
    bool is_time = answer_parse_time(time, &us);
    time_t seconds = (time_t)(us / 1000000);
    if (!is_time || !localtime_r(&seconds, &tm) || !strftime(text, WHEN_SIZE, "%Y-%m-%d %H:%M:%S", &tm))
        (void)snprintf(text, WHEN_SIZE, "%.*s", (int)time.len, time.len ? time.data : "");
    return text;
}
