/* SPDX-License-Identifier: MIT */
/*
 * Results: one row per figure, as lines of JSON from the process of a scenario to the bench, as an aligned table for
 * people and as one JSON document for programs.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

enum aim {
    AIM_NONE, /* for information */
    AIM_AT_LEAST,
    AIM_AT_MOST,
};

struct report_row {
    const char *scenario;
    const char *name; /* of the case: what was measured, at what size, against which store */
    double value;
    const char *unit;
    const char *against; /* what `reference` is a figure of, in the same unit; NULL: nothing, value is judged */
    double reference;
    double ratio; /* with `against`: what is judged, the median of the rounds' ratios */
    enum aim aim;
    double target;
};

/* Writes the row to `sink` as one line of JSON, at once. */
void report_row_write(FILE *sink, const struct report_row *row);

/* Reads what report_row_write wrote, to the end of `source`, and appends it to the array `rows`. */
void report_rows_read(FILE *source, json_t *rows);

/* Appends a row that says that a scenario failed, and why. */
void report_error_add(json_t *rows, const char *scenario, const char *why);

/* The table on standard output, from rows[first] on; with the line of titles if `first` is 0. */
void report_print(const json_t *rows, size_t first);

/* Writes {"machine": ..., "rows": [...]} to the file. False, with errno set, when that did not work. */
bool report_save(const json_t *rows, const char *path);

/* How many rows say that a scenario failed, and how many missed their target. */
unsigned report_errors(const json_t *rows);
unsigned report_missed(const json_t *rows);

#endif
