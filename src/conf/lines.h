/* SPDX-License-Identifier: MIT */
/*
 * The configuration file: INI lines, with the number of each.
 *
 *     # a comment stands on a line of its own
 *     [section]
 *     name = value
 */
#ifndef CONF_LINES_H
#define CONF_LINES_H

#include "base/attr.h"
#include "base/span.h"

/* What is told while a file is read, in the order of its lines. Spans live until the call returns. */
struct lines_sink {
    void (*section)(struct lines_sink *sink, unsigned line, struct span name);
    /* `section` is the last one that was told; its data is null before the first. */
    void (*value)(struct lines_sink *sink, unsigned line, struct span section, struct span name, struct span value);
    /* A line that is longer than can be read, and what stands before its `=`; empty where there is none, or where the
     * section was refused. */
    void (*too_long)(struct lines_sink *sink, unsigned line, struct span name);
    /* A line that is none of these. `line` 0: the file as a whole. `sentence` is static. */
    void (*error)(struct lines_sink *sink, unsigned line, const char *sentence);
};

/* Reads the file at `path` to its end. All that is told is printable UTF-8. */
void lines_read(const char *path, struct lines_sink *sink);

#endif
