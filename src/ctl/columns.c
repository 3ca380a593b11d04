/* SPDX-License-Identifier: MIT */
/* Rows of cells, measured and padded. */
#include "ctl/columns.h"

#include <stdarg.h>
#include <stdlib.h>

#include "ctl/text.h"

void columns_init(struct columns *table, const struct column *columns, size_t count)
{
    *table = (struct columns){.columns = columns, .count = count};
}

void columns_fini(struct columns *table)
{
    for (size_t i = 0; i < table->cell_count; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct columns){0};
}

static bool make_room(struct columns *table)
{
    if (table->cell_count < table->cell_cap)
        return true;
    size_t cap = table->cell_cap ? table->cell_cap * 2 : 64;
    char **cells = realloc(table->cells, cap * sizeof(*cells));
    if (!cells)
        return false;
    table->cells = cells;
    table->cell_cap = cap;
    return true;
}

void columns_add(struct columns *table, struct span text)
{
    struct buf safe = BUF_INIT;
    text_add_safe(&safe, text);
    char *cell = table->failed ? NULL : buf_take_text(&safe);
    buf_fini(&safe);
    if (cell && make_room(table)) {
        table->cells[table->cell_count++] = cell;
        return;
    }
    free(cell);
    table->failed = true;
}

void columns_printf(struct columns *table, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0) {
        table->failed = true;
        return;
    }
    columns_add(table, (struct span){text, (size_t)len});
    free(text);
}

static int compare_rows(const void *a, const void *b, void *ctx)
{
    const struct columns *table = ctx;
    char *const *left = a, *const *right = b;
    int order = 0;
    for (size_t i = 0; i < table->count && order == 0; i++)
        order = strcmp(left[i], right[i]);
    return order;
}

void columns_sort(struct columns *table)
{
    if (table->cell_count)
        qsort_r(table->cells, table->cell_count / table->count, table->count * sizeof(*table->cells), compare_rows,
                table);
}

/* --- writing */

static size_t column_width(const struct columns *table, size_t column)
{
    const char *head = table->columns[column].head;
    size_t width = head ? text_width(span_of(head)) : 0;
    for (size_t i = column; i < table->cell_count; i += table->count) {
        size_t cell = text_width(span_of(table->cells[i]));
        width = cell > width ? cell : width;
    }
    return width;
}

static void write_blanks(FILE *out, size_t count)
{
    while (count--)
        (void)putc(' ', out);
}

/* Blanks are only written before something. */
static void write_row(const struct columns *table, const size_t *widths, const char *const *cells, FILE *out)
{
    size_t owed = 0;
    for (size_t i = 0; i < table->count; i++) {
        size_t rest = widths[i] - text_width(span_of(cells[i]));
        bool right = table->columns[i].right;
        if (cells[i][0]) {
            write_blanks(out, owed + (right ? rest : 0));
            (void)fputs(cells[i], out);
            owed = right ? 0 : rest;
        } else {
            owed += widths[i];
        }
        owed += 2;
    }
    (void)putc('\n', out);
}

bool columns_print(const struct columns *table, FILE *out)
{
    size_t widths[COLUMNS_MAX];
    const char *heads[COLUMNS_MAX] = {NULL};
    if (table->failed)
        return false;
    for (size_t i = 0; i < table->count; i++) {
        widths[i] = column_width(table, i);
        heads[i] = table->columns[i].head;
    }
    if (heads[0])
        write_row(table, widths, heads, out);
    for (size_t i = 0; i + table->count <= table->cell_count; i += table->count)
        write_row(table, widths, (const char *const *)&table->cells[i], out);
    return true;
}
