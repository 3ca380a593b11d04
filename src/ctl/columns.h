/* SPDX-License-Identifier: MIT */
/*
 * Columns: a table for people. Cells are made harmless (text.h) and as wide as the widest of their column; two blanks
 * stand between columns, none at a line's end.
 *
 * A failed allocation is remembered, and columns_print says so.
 */
#ifndef CTL_COLUMNS_H
#define CTL_COLUMNS_H

#include <stdio.h>

#include "base/attr.h"
#include "base/buf.h"

enum { COLUMNS_MAX = 8 };

/* One column: what stands above it, and whether its cells end at its right edge, as numbers do. */
struct column {
    const char *head; /* null in all: no line of heads */
    bool right;
};

struct columns {
    const struct column *columns;
    size_t count;
    char **cells; /* owned, each cell too; row after row */
    size_t cell_count, cell_cap;
    bool failed;
};

/* `columns` outlives it; 1 to COLUMNS_MAX. */
void columns_init(struct columns *table, const struct column *columns, size_t count);
void columns_fini(struct columns *table);

/* Adds the next cell, from left to right, row after row. */
void columns_add(struct columns *table, struct span text);
void columns_printf(struct columns *table, const char *format, ...) printf_like(2, 3);

/* Sorts the rows by their cells, the first ones first, bytewise. */
void columns_sort(struct columns *table);

/* Writes all rows; the last one is whole. False, and nothing was written: there was no memory. */
bool columns_print(const struct columns *table, FILE *out) must_check;

#endif
