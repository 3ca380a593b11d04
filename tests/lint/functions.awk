# SPDX-License-Identifier: MIT
# How long functions are. A function's body starts at a `{` alone in the first column and ends at such a `}`
# (clang-format sees to that; the braces of tables stand elsewhere). Fails if one has more than `limit` lines.

/^[A-Za-z_].*\(/ {
    name = $0
    sub(/\(.*/, "", name)
    sub(/.*[ *]/, "", name)
}

/^\{/ {
    start = FNR
}

/^\}/ && start {
    lines = FNR - start - 1
    start = 0
    count[lines]++
    total++
    if (lines > limit) {
        printf "%s:%d: %s has %d lines, more than %d\n", FILENAME, FNR - lines - 1, name, lines, limit
        bad++
    }
}

END {
    for (lines = 0; total && seen * 10 < total * 9; lines++) {
        seen += count[lines]
        if (!median && seen * 2 >= total)
            median = lines
    }
    printf "  %d functions: median %d lines, nine in ten at most %d\n", total, median, lines - 1
    exit bad > 0
}
