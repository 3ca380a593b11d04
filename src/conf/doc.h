/* SPDX-License-Identifier: MIT */
/* What people read about the options, made from the table. Write errors stay in the stream, to be asked for with
 * ferror. */
#ifndef CONF_DOC_H
#define CONF_DOC_H

#include <stdio.h>

#include "base/attr.h"
#include "base/err.h"

/* The list of options at the end of `nereidd --help`. */
void doc_help(FILE *out);

/* A configuration file with every option at its default, commented out. */
void doc_example(FILE *out);

/* Copies a manual page and puts the options, in man(7) macros, in place of the line `@OPTIONS@`. ERR_BAD_REQUEST:
 * there was not exactly one such line. */
enum err doc_man(FILE *page, FILE *out) must_check;

#endif
