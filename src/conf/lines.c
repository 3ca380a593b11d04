/* SPDX-License-Identifier: MIT */
/*
 * Reading the file with inih.
 *
 * inih takes lines from the reader callback below. It knows no line numbers in Debian's build, cuts lines that are
 * longer than its buffer, reads an indented line as a continuation and what follows ` ;` as a comment. So the reader
 * counts, refuses what would be cut or read otherwise than it looks, and hands on only lines that inih and people
 * understand alike.
 */
#include "conf/lines.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/utf8.h"

struct reader {
    struct lines_sink *sink;
    FILE *file;
    char *text; /* owned by getline */
    size_t size;
    unsigned line;
    bool in_section;
    bool in_refused; /* a section that is not told of */
};

/* What inih reads in place of a section that was refused: its lines must not go into the section before. */
static const char refused_section[] = "[?]";

static struct span trim(struct span text)
{
    while (text.len && strchr(" \r\n", text.data[text.len - 1]))
        text.len--;
    while (text.len && text.data[0] == ' ')
        text = (struct span){text.data + 1, text.len - 1};
    return text;
}

static void drop_byte_order_mark(struct span *text)
{
    if (text->len >= 3 && memcmp(text->data, "\xef\xbb\xbf", 3) == 0)
        *text = (struct span){text->data + 3, text->len - 3};
}

/* The next line without the spaces around it; tabs count as spaces. False at the end. */
static bool read_line(struct reader *reader, struct span *ret_line)
{
    errno = 0;
    ssize_t len = getline(&reader->text, &reader->size, reader->file);
    if (len < 0) {
        if (errno)
            reader->sink->error(reader->sink, 0, strerror(errno));
        return false;
    }
    reader->line++;
    for (ssize_t i = 0; i < len; i++)
        if (reader->text[i] == '\t')
            reader->text[i] = ' ';
    struct span line = {reader->text, (size_t)len};
    if (reader->line == 1)
        drop_byte_order_mark(&line);
    *ret_line = trim(line);
    return true;
}

static bool is_section(struct span line)
{
    return line.len && line.data[0] == '[';
}

static bool is_comment(struct span line)
{
    return line.len == 0 || line.data[0] == ';' || line.data[0] == '#';
}

/* Whether a comment seems to follow something else on the line. */
static bool has_tail_comment(struct span line)
{
    for (size_t i = 1; i < line.len; i++)
        if (line.data[i - 1] == ' ' && (line.data[i] == ';' || line.data[i] == '#'))
            return true;
    return false;
}

/* What stands before the `=`; empty where there is nothing, or none. */
static struct span name_of(struct span line)
{
    size_t at = 0;
    while (at < line.len && line.data[at] != '=' && line.data[at] != ':')
        at++;
    bool has_value = at < line.len && line.data[at] == '=';
    return has_value ? trim((struct span){line.data, at}) : (struct span){0};
}

static bool is_whole_section(struct span line)
{
    return memchr(line.data, ']', line.len) == line.data + line.len - 1;
}

/* What is wrong with the line, or null. */
static const char *line_fault(struct span line)
{
    if (!utf8_printable(line))
        return "the line is not printable UTF-8";
    if (is_comment(line))
        return NULL;
    if (has_tail_comment(line))
        return "a comment must stand on a line of its own";
    if (is_section(line))
        return is_whole_section(line) ? NULL : "a section must read [name]";
    return name_of(line).len ? NULL : "the line is neither [section], name = value nor a comment";
}

/* Tells what is wrong with the line. `line_max` is the longest line that inih takes whole. */
static bool is_good(struct reader *reader, struct span line, size_t line_max)
{
    const char *fault = line_fault(line);
    if (fault)
        reader->sink->error(reader->sink, reader->line, fault);
    else if (line.len > line_max && !is_comment(line))
        reader->sink->too_long(reader->sink, reader->line, reader->in_refused ? (struct span){0} : name_of(line));
    else
        return true;
    return false;
}

/* The text that inih is to see for the line; tells what is wrong, and sections. */
static struct span line_check(struct reader *reader, struct span line, size_t line_max)
{
    bool good = is_good(reader, line, line_max);
    if (is_section(line)) {
        reader->in_section = true;
        reader->in_refused = !good;
    }
    if (!good)
        return is_section(line) ? span_of(refused_section) : (struct span){0};
    if (is_comment(line))
        return (struct span){0};
    if (is_section(line))
        reader->sink->section(reader->sink, reader->line, (struct span){line.data + 1, line.len - 2});
    return line;
}

/* inih's reader callback, after fgets: fills `text` of `size` bytes with a line, null at the end. */
static char *next_line(char *text, int size, void *stream)
{
    struct reader *reader = stream;
    struct span line;
    if (size < 2 || !read_line(reader, &line))
        return NULL;
    struct span shown = line_check(reader, line, (size_t)size - 2);
    if (shown.len)
        memcpy(text, shown.data, shown.len);
    text[shown.len] = '\n';
    text[shown.len + 1] = '\0';
    return text;
}

static int got_value(void *user, const char *section, const char *name, const char *value)
{
    struct reader *reader = user;
    if (strcmp(section, "?") != 0)
        reader->sink->value(reader->sink, reader->line, reader->in_section ? span_of(section) : (struct span){0},
                            span_of(name), span_of(value));
    return 1;
}

void lines_read(const char *path, struct lines_sink *sink)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        sink->error(sink, 0, strerror(errno));
        return;
    }
    struct reader reader = {.sink = sink, .file = file};
    /* Its answer says less than the sink has been told. */
    (void)ini_parse_stream(next_line, &reader, got_value, &reader);
    free(reader.text);
    (void)fclose(file);
}
