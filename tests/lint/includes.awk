# SPDX-License-Identifier: MIT
# Which folder may include what. Reads tests/lint/includes.table, then the C files named after it; prints each
# include that the table does not allow, and fails if there was one.

function folder_of(file) {
    sub(/\/[^\/]*$/, "", file)
    return file
}

# Whether `what` (a file, as in `core/store.h`) is in `list`: itself, its folder, or the start of its name and `*`.
function listed(what, list,    words, count, i) {
    count = split(list, words, " ")
    for (i = 1; i <= count; i++)
        if (words[i] == what || words[i] == folder_of(what) ||
            (sub(/\*$/, "", words[i]) && index(what, words[i]) == 1))
            return 1
    return 0
}

function complain(why) {
    printf "%s:%d: %s\n", FILENAME, FNR, why
    bad++
}

# A library's header belongs to the rows whose pattern is the longest start of its name.
function check_library(header, file,    pattern, best) {
    for (pattern in library)
        if (index(header, pattern) == 1 && length(pattern) > length(best))
            best = pattern
    if (best == "") {
        if (header ~ /\// && header !~ /^(sys|netinet|arpa|net|linux)\//)
            complain("<" header "> is not in tests/lint/includes.table")
        return
    }
    if (!listed(file, library[best]))
        complain("<" header "> may only be included in " library[best])
}

function check_ours(header, file,    from) {
    from = folder_of(file)
    if (file in anything || folder_of(header) == from)
        return
    if (!(from in allowed))
        complain("the folder " from " is not in tests/lint/includes.table")
    else if (!listed(header, allowed[from]))
        complain(from " may not include " header)
}

FILENAME ~ /\.table$/ {
    sub(/#.*/, "")
    if (NF == 0)
        next
    kind = $1
    name = $2
    $1 = $2 = ""
    sub(/^ +/, "")
    if (kind == "program")
        anything[name] = 1
    else if (kind == "folder")
        allowed[name] = $0
    else if (kind == "library")
        library[name] = $0
    else
        complain("unknown kind " kind)
    next
}

FNR == 1 {
    file = FILENAME
    sub(/^.*src\//, "", file)
}

/^[ \t]*#[ \t]*include[ \t]*</ {
    match($0, /<[^>]*>/)
    check_library(substr($0, RSTART + 1, RLENGTH - 2), file)
}

/^[ \t]*#[ \t]*include[ \t]*"/ {
    match($0, /"[^"]*"/)
    check_ours(substr($0, RSTART + 1, RLENGTH - 2), file)
}

END {
    exit bad > 0
}
