/* SPDX-License-Identifier: MIT */
/* The table of options as help, as an example file and as a manual page. */
#include "conf/doc.h"

#include <stdlib.h>
#include <string.h>

#include "conf/option.h"

enum { WIDTH = 78 };

static const char placeholder[] = "@OPTIONS@\n";

/* Writes `text` word by word in lines that start with `indent`. */
static void write_wrapped(FILE *out, const char *indent, const char *text)
{
    size_t column = 0;
    while (*text) {
        size_t len = strcspn(text, " ");
        if (column && column + 1 + len > WIDTH) {
            (void)fputc('\n', out);
            column = 0;
        }
        (void)fprintf(out, "%s%.*s", column ? " " : indent, (int)len, text);
        column += len + (column ? 1 : strlen(indent));
        text += len + strspn(text + len, " ");
    }
    (void)fputc('\n', out);
}

/* The help of an option and what it takes, as sentences; null without memory. The caller frees it. */
static char *explain(const struct option_row *option)
{
    struct buf text = BUF_INIT;
    buf_printf(&text, "%s Takes ", option->help);
    option_describe(option, &text);
    buf_add_char(&text, '.');
    return buf_take_text(&text);
}

static void write_explanation(FILE *out, const char *indent, const struct option_row *option)
{
    char *text = explain(option);
    write_wrapped(out, indent, text ? text : option->help);
    free(text);
}

/* Calls `write` for the options of the section. */
static void each_of(const struct option_section *section, FILE *out,
                    void (*write)(FILE *out, const struct option_row *option))
{
    for (size_t i = 0; i < OPTION_ROWS; i++)
        if (strcmp(option_rows[i].section, section->name) == 0)
            write(out, &option_rows[i]);
}

static void write_help(FILE *out, const struct option_row *option)
{
    (void)fprintf(out, "  %s.%s=%s\n", option->section, option->name, option->preset);
    write_explanation(out, "      ", option);
}

void doc_help(FILE *out)
{
    for (size_t i = 0; i < OPTION_SECTIONS; i++) {
        (void)fprintf(out, "\n%s:\n", option_sections[i].help);
        each_of(&option_sections[i], out, write_help);
    }
}

static void write_example(FILE *out, const struct option_row *option)
{
    (void)fputc('\n', out);
    write_explanation(out, "# ", option);
    (void)fprintf(out, "#%s =%s%s\n", option->name, *option->preset ? " " : "", option->preset);
}

void doc_example(FILE *out)
{
    (void)fputs("# Configuration of nereidd: every option with its default. See nereidd.conf(5).\n"
                "# A comment stands on a line of its own.\n",
                out);
    for (size_t i = 0; i < OPTION_SECTIONS; i++) {
        (void)fprintf(out, "\n# --- %s ---\n[%s]\n", option_sections[i].help, option_sections[i].name);
        each_of(&option_sections[i], out, write_example);
    }
}

/* Writes text that roff prints as it stands. Not for the start of a line. */
static void write_roff(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '-' || *text == '\\')
            (void)fputs(*text == '-' ? "\\-" : "\\e", out);
        else
            (void)fputc(*text, out);
    }
}

static void write_man(FILE *out, const struct option_row *option)
{
    (void)fprintf(out, ".TP\n\\fB%s.%s\\fP = ", option->section, option->name);
    write_roff(out, *option->preset ? option->preset : "(empty)");
    (void)fputs("\n\\&", out);
    char *text = explain(option);
    write_roff(out, text ? text : option->help);
    free(text);
    (void)fputc('\n', out);
}

static void write_man_options(FILE *out)
{
    for (size_t i = 0; i < OPTION_SECTIONS; i++) {
        (void)fprintf(out, ".SS \"[%s] %s\"\n", option_sections[i].name, option_sections[i].help);
        each_of(&option_sections[i], out, write_man);
    }
}

enum err doc_man(FILE *page, FILE *out)
{
    char *line = NULL;
    size_t size = 0;
    unsigned count = 0;
    while (getline(&line, &size, page) > 0) {
        if (strcmp(line, placeholder) == 0) {
            count++;
            write_man_options(out);
        } else {
            (void)fputs(line, out);
        }
    }
    free(line);
    return count == 1 ? OK : ERR_BAD_REQUEST;
}
