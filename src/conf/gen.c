/* SPDX-License-Identifier: MIT */
/* Build tool: writes the files that are made from the option table. `gen man < PAGE.in > PAGE`, `gen example >
 * FILE`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/doc.h"

int main(int argc, char **argv)
{
    const char *what = argc == 2 ? argv[1] : "";
    if (strcmp(what, "example") == 0) {
        doc_example(stdout);
    } else if (strcmp(what, "man") != 0) {
        (void)fputs("usage: gen man < PAGE.in > PAGE\n       gen example > FILE\n", stderr);
        return EXIT_FAILURE;
    } else if (doc_man(stdin, stdout) != OK) {
        (void)fputs("gen: the page must have one line @OPTIONS@\n", stderr);
        return EXIT_FAILURE;
    }
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_SUCCESS;
    perror("gen");
    return EXIT_FAILURE;
}
