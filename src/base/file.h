/* SPDX-License-Identifier: MIT */
/* Reading the small files that hold users, keys and certificates. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"

/* FILE_SECRET: refused if others than owner and group could read or write it. FILE_PUBLIC: if others could write it. */
enum file_kind { FILE_SECRET, FILE_PUBLIC };

/* Reads a regular file of at most `size_max` bytes into an empty buf, which the caller finishes with file_wipe. Errors
 * are logged: ERR_BAD_FIELD, ERR_NO_MEMORY; the buf is empty. */
enum err file_read(const char *path, enum file_kind kind, size_t size_max, struct buf *buf) must_check;

/* Overwrites and frees. */
void file_wipe(struct buf *buf);

#endif
