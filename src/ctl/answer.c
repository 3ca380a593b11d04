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

const char *answer_time(struct span time, char text[WHEN_SIZE])
{
    struct tm tm = {0};
    char copy[64];
    size_t len = time.len < sizeof(copy) ? time.len : sizeof(copy) - 1;
    (void)snprintf(copy, sizeof(copy), "%.*s", (int)len, len ? time.data : "");
    const char *rest = strptime(copy, "%Y-%m-%dT%H:%M:%S", &tm);
    bool is_utc = rest && (*rest == '.' || *rest == 'Z');
    time_t seconds = is_utc ? timegm(&tm) : (time_t)-1;
    if (seconds == (time_t)-1 || !localtime_r(&seconds, &tm) || !strftime(text, WHEN_SIZE, "%Y-%m-%d %H:%M:%S", &tm))
        (void)snprintf(text, WHEN_SIZE, "%.19s", copy);
    return text;
}
