/* SPDX-License-Identifier: MIT */
/*
 * Options from arbitrary bytes: what stands before the first NUL is an argument of -o, the rest is the file.
 *
 * Invariants: each error is one line that says where it is, and as many are told as are counted. Options without an
 * error, written out and loaded again, are without an error and the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf/option.h"
#include "conf/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* A file of these bytes that has a name as long as it is open. */
static int open_file(struct span text, char path[64])
{
    int fd = memfd_create("conf", MFD_CLOEXEC);
    require(fd >= 0 && write(fd, text.data, text.len) == (ssize_t)text.len);
    (void)snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static bool starts_with(struct span text, const char *start)
{
    return text.len >= strlen(start) && memcmp(text.data, start, strlen(start)) == 0;
}

static void check_errors(struct span errors, const char *path, unsigned expected)
{
    unsigned count = 0;
    while (errors.len) {
        const char *end = memchr(errors.data, '\n', errors.len);
        require(end);
        struct span line = {errors.data, (size_t)(end - errors.data)};
        require(line.len && (starts_with(line, path) || starts_with(line, "-o: ")));
        errors = (struct span){end + 1, errors.len - line.len - 1};
        count++;
    }
    require(count == expected);
}

static void write_words(struct buf *text, const struct option_row *row, const struct conf_words *words)
{
    for (unsigned i = 0; i < words->count; i++)
        buf_printf(text, " %s", row->words[words->items[i]].text);
}

static void write_list(struct buf *text, const struct conf_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        buf_printf(text, "%s%s", i ? "," : "", list->items[i]);
}

/* The option as an argument of -o. */
static void write_option(struct buf *text, const struct option_row *row, const struct options *options)
{
    const void *field = (const char *)options + row->offset;
    buf_printf(text, "%s.%s=", row->section, row->name);
    switch (row->kind) {
    case OPTION_TEXT: buf_add_text(text, *(char *const *)field); break;
    case OPTION_LIST:
    case OPTION_LINES: write_list(text, field); break;
    case OPTION_DURATION: buf_printf(text, "%lldms", (long long)*(const int64_t *)field); break;
    case OPTION_SIZE: buf_printf(text, "%zu", *(const size_t *)field); break;
    case OPTION_COUNT:
    case OPTION_RATE: buf_printf(text, "%u", *(const uint32_t *)field); break;
    case OPTION_FLAG: buf_add_text(text, *(const bool *)field ? "yes" : "no"); break;
    case OPTION_WORD: buf_add_text(text, row->words[*(const unsigned *)field].text); break;
    case OPTION_WORDS: write_words(text, row, field); break;
    }
}

static void write_all(const struct options *options, char *texts[OPTION_ROWS])
{
    for (size_t i = 0; i < OPTION_ROWS; i++) {
        struct buf text = BUF_INIT;
        write_option(&text, &option_rows[i], options);
        texts[i] = buf_take_text(&text);
        require(texts[i]);
    }
}

static void check_again(const struct options *options)
{
    char *before[OPTION_ROWS];
    char *after[OPTION_ROWS];
    struct options again;
    struct buf errors = BUF_INIT;
    require(options_init(&again) == OK);
    write_all(options, before);
    require(options_load(&again, NULL, (const char *const *)before, OPTION_ROWS, &errors) == 0);
    write_all(&again, after);
    for (size_t i = 0; i < OPTION_ROWS; i++) {
        require(strcmp(before[i], after[i]) == 0);
        free(before[i]);
        free(after[i]);
    }
    options_fini(&again);
    buf_fini(&errors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, '\0', size) : NULL;
    size_t head = nul ? (size_t)(nul - data) + 1 : 0;
    const char *override = (const char *)data;
    char path[64];
    struct options options;
    struct buf errors = BUF_INIT;
    int fd = open_file((struct span){(const char *)data + head, size - head}, path);
    require(options_init(&options) == OK);
    unsigned count = options_load(&options, path, &override, nul ? 1 : 0, &errors);
    check_errors(buf_span(&errors), path, count);
    if (count == 0)
        check_again(&options);
    options_fini(&options);
    buf_fini(&errors);
    (void)close(fd);
    return 0;
}
