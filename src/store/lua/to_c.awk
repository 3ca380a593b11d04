# SPDX-License-Identifier: MIT
# Makes a C header of Lua scripts: `#define LUA_NAME "text"` for each NAME.lua, without comments and indentation, which
# Redis need not be sent at each connect. A `--` inside a string would be taken for a comment: do not write one.
FNR == 1 {
    name = FILENAME
    sub(/^.*\//, "", name)
    sub(/\.lua$/, "", name)
    printf "%s#define LUA_%s \\\n", NR == 1 ? "" : "    \"\"\n\n", name
}
{
    sub(/--.*$/, "")
    sub(/^[ \t]+/, "")
    sub(/[ \t]+$/, "")
    gsub(/\\/, "\\\\")
    gsub(/"/, "\\\"")
    if ($0 != "")
        printf "    \"%s\\n\" \\\n", $0
}
END { print "    \"\"" }
