/* SPDX-License-Identifier: MIT */
/*
 * What SQLite reaches without a server around it: the rows that nereidd stored, committed again to an empty
 * database of the same schema, in transactions of the same size, with the same durability.
 */
#ifndef BENCH_SQLITE_ALONE_H
#define BENCH_SQLITE_ALONE_H

#include <stddef.h>

struct alone_result {
    size_t rows;
    double seconds; /* of the transactions alone; reading the rows is not counted */
};

/*
 * Reads all rows of the table of messages in the database `source` (that no server has open any more) and commits
 * them to the new file `copy`, made with the same page size, table and indices, in WAL mode with synchronous=FULL
 * and an exclusive lock, `batch_rows` (at least 1) to a transaction. Fails on any error of SQLite, and after 60 s.
 */
struct alone_result sqlite_alone_run(const char *source, const char *copy, unsigned batch_rows);

#endif
