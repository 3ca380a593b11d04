/* SPDX-License-Identifier: MIT */
/* One pass to count, one to decode: two allocations for a form of any size. */
#include "http/form.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "http/text.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool is_refused(unsigned char c, enum percent_rule rule)
{
    return c == 0 || (rule == PERCENT_PATH && (c < ' ' || c == 0x7f));
}

/* The byte that begins at text[at], with the number of characters it takes; 0 for a bad escape. */
static size_t decode_byte(struct span text, size_t at, enum percent_rule rule, char *ret_byte)
{
    char c = text.data[at];
    if (c != '%') {
        *ret_byte = c == '+' && rule == PERCENT_FORM ? ' ' : c;
        return 1;
    }
    int high = at + 2 < text.len ? hex_digit(text.data[at + 1]) : -1;
    int low = high >= 0 ? hex_digit(text.data[at + 2]) : -1;
    *ret_byte = (char)(high * 16 + low);
    return low < 0 ? 0 : 3;
}

enum err percent_decode(struct span text, enum percent_rule rule, char *out, size_t *ret_len)
{
    size_t len = 0;
    for (size_t at = 0; at < text.len;) {
        char byte;
        size_t taken = decode_byte(text, at, rule, &byte);
        if (taken == 0 || is_refused((unsigned char)byte, rule))
            return ERR_BAD_REQUEST;
        at += taken;
        out[len++] = byte;
    }
    if (!utf8_valid((struct span){out, len}))
        return ERR_BAD_UTF8;
    *ret_len = len;
    return OK;
}

static size_t count_pieces(struct span text)
{
    size_t count = 0;
    while (text.len)
        count += text_cut(&text, '&').len > 0;
    return count;
}

static enum err decode_to(char **out, struct span text, struct span *ret_text)
{
    size_t len;
    enum err err = percent_decode(text, PERCENT_FORM, *out, &len);
    if (err)
        return err;
    *ret_text = (struct span){*out, len};
    *out += len;
    return OK;
}

static enum err decode_all(struct span text, struct form *form)
{
    char *out = form->text;
    while (text.len) {
        struct span value = text_cut(&text, '&');
        if (value.len == 0)
            continue;
        struct span name = text_cut(&value, '=');
        struct form_field *field = &form->fields[form->count];
        enum err err = decode_to(&out, name, &field->name);
        if (!err)
            err = decode_to(&out, value, &field->value);
        if (err)
            return err;
        form->count++;
    }
    return OK;
}

enum err form_parse(struct span text, struct form *ret_form)
{
    struct form form = {0};
    size_t count = count_pieces(text);
    if (count == 0) {
        *ret_form = form;
        return OK;
    }
    form.fields = calloc(count, sizeof(*form.fields));
    form.text = malloc(text.len);
    enum err err = form.fields && form.text ? decode_all(text, &form) : ERR_NO_MEMORY;
    if (err) {
        form_fini(&form);
        return err;
    }
    *ret_form = form;
    return OK;
}

void form_fini(struct form *form)
{
    free(form->fields);
    free(form->text);
    *form = (struct form){0};
}
