/* SPDX-License-Identifier: MIT */
/* Results: one row per figure, as lines of JSON, as a table, and as one JSON document. */
#include "report.h"

#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "support.h"

enum { FIGURE_BYTES = 32, LINE_BYTES = 4096 };

static const char *const verdict_met = "met";
static const char *const verdict_missed = "missed";
static const char *const verdict_error = "error";

static const char *row_verdict(const struct report_row *row, double judged)
{
    if (row->aim == AIM_NONE)
        return "";
    return (row->aim == AIM_AT_LEAST ? judged >= row->target : judged <= row->target) ? verdict_met : verdict_missed;
}

void report_row_write(FILE *sink, const struct report_row *row)
{
    static const char *const relations[] = {"", ">=", "<="};
    json_t *object = json_pack("{ss ss sf ss}", "scenario", row->scenario, "case", row->name, "value", row->value,
                               "unit", row->unit);

    if (row->against != NULL) {
        json_object_set_new(object, "against", json_string(row->against));
        json_object_set_new(object, "reference", json_real(row->reference));
        json_object_set_new(object, "ratio", json_real(row->ratio));
    }
    if (row->aim != AIM_NONE) {
        json_object_set_new(object, "relation", json_string(relations[row->aim]));
        json_object_set_new(object, "target", json_real(row->target));
        json_object_set_new(object, "verdict",
                            json_string(row_verdict(row, row->against != NULL ? row->ratio : row->value)));
    }
    if (object == NULL || json_dumpf(object, sink, JSON_COMPACT) < 0 || fputc('\n', sink) == EOF || fflush(sink) != 0)
        fail("cannot write a result");
    json_decref(object);
}

void report_error_add(json_t *rows, const char *scenario, const char *why)
{
    json_t *row = json_pack("{ss ss ss}", "scenario", scenario, "case", why, "verdict", verdict_error);

    if (row == NULL || json_array_append_new(rows, row) < 0)
        fail("out of memory");
}

void report_rows_read(FILE *source, json_t *rows)
{
    char line[LINE_BYTES];

    while (fgets(line, sizeof line, source) != NULL) {
        json_t *row = json_loads(line, 0, NULL);

        if (row == NULL || json_array_append_new(rows, row) < 0)
            fail("a scenario wrote a result that is no JSON: %s", line);
    }
}

static const char *row_text(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));

    return text != NULL ? text : "";
}

/* About four significant digits, and never an exponent. */
static const char *row_figure(const json_t *row, const char *key, char ret[FIGURE_BYTES])
{
    const json_t *value = json_object_get(row, key);
    double number = json_number_value(value);

    if (value == NULL)
        return "";
    snprintf(ret, FIGURE_BYTES, "%.*f", number >= 1000 ? 0 : number >= 100 ? 1 : 2, number);
    return ret;
}

static void row_print(const json_t *row)
{
    char value[FIGURE_BYTES];
    char reference[FIGURE_BYTES];
    char ratio[FIGURE_BYTES];
    char target[FIGURE_BYTES];

    printf("%-16s %-44s %12s %-14s %12s %-13s %7s %2s%-7s %s\n", row_text(row, "scenario"), row_text(row, "case"),
           row_figure(row, "value", value), row_text(row, "unit"), row_figure(row, "reference", reference),
           row_text(row, "against"), row_figure(row, "ratio", ratio), row_text(row, "relation"),
           row_figure(row, "target", target), row_text(row, "verdict"));
}

void report_print(const json_t *rows, size_t first)
{
    if (first == 0)
        printf("%-16s %-44s %12s %-14s %12s %-13s %7s %-9s %s\n", "scenario", "case", "value", "unit", "reference",
               "against", "ratio", "target", "verdict");
    for (size_t i = first; i < json_array_size(rows); i++)
        row_print(json_array_get(rows, i));
    fflush(stdout);
}

bool report_save(const json_t *rows, const char *path)
{
    struct utsname name;
    json_t *report;
    bool saved;

    uname(&name);
    report = json_pack("{s{ss ss si} sO}", "machine", "kernel", name.release, "architecture", name.machine,
                       "processors", (int)sysconf(_SC_NPROCESSORS_ONLN), "rows", rows);
    if (report == NULL)
        fail("out of memory");
    saved = json_dump_file(report, path, JSON_INDENT(1)) == 0;
    json_decref(report);
    return saved;
}

static unsigned verdict_count(const json_t *rows, const char *verdict)
{
    unsigned n = 0;

    for (size_t i = 0; i < json_array_size(rows); i++)
        n += strcmp(row_text(json_array_get(rows, i), "verdict"), verdict) == 0;
    return n;
}

unsigned report_errors(const json_t *rows)
{
    return verdict_count(rows, verdict_error);
}

unsigned report_missed(const json_t *rows)
{
    return verdict_count(rows, verdict_missed);
}
