/* SPDX-License-Identifier: MIT */
/* RFC 3339 text. */
#include "base/time.h"

#include <stdio.h>
#include <time.h>

static const int64_t us_per_second = 1000000;
static const int64_t last_us_of_9999 = 253402300799999999;

const char *time_format(int64_t wall_us, char text[TIME_TEXT_SIZE])
{
    if (wall_us < 0)
        wall_us = 0;
    if (wall_us > last_us_of_9999)
        wall_us = last_us_of_9999;
    time_t seconds = (time_t)(wall_us / us_per_second);
    struct tm tm;
    (void)gmtime_r(&seconds, &tm);
    (void)strftime(text, TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(text + 19, TIME_TEXT_SIZE - 19, ".%06dZ", (int)(wall_us % us_per_second));
    return text;
}
