/* SPDX-License-Identifier: MIT */
/*
 * Forms: `application/x-www-form-urlencoded` text (WHATWG URL, section 5), as in a body or a query; and
 * percent-encoding. Pure functions.
 */
#ifndef HTTP_FORM_H
#define HTTP_FORM_H

#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/span.h"

enum percent_rule {
    PERCENT_PATH, /* `+` is itself; control characters are refused */
    PERCENT_FORM  /* `+` is a space; only NUL is refused */
};

/* Decodes once into `out`, which has room for text.len bytes. ERR_BAD_REQUEST: an escape that is not `%` and two
 * hexadecimal digits, or a refused character, escaped or not. ERR_BAD_UTF8: the result is not UTF-8. *ret_len is
 * written on success only. */
enum err percent_decode(struct span text, enum percent_rule rule, char *out, size_t *ret_len) must_check;

struct form_field {
    struct span name;
    struct span value; /* empty where there is no `=` */
};

struct form {
    struct form_field *fields; /* in their order; null where there is none */
    size_t count;
    char *text; /* what the fields point into */
};

/* Decodes `text`. Empty pieces between `&` are left out. Errors as percent_decode, ERR_NO_MEMORY; *ret_form is
 * written on success only, and to be given to form_fini. */
enum err form_parse(struct span text, struct form *ret_form) must_check;

/* On a zeroed form it does nothing. */
void form_fini(struct form *form);

#endif
