/* SPDX-License-Identifier: MIT */
/* GnuTLS decodes; here the text is held to one alphabet first, since GnuTLS skips white space and knows only that of
 * section 4. */
#include "base/base64.h"

#include <gnutls/gnutls.h>
#include <string.h>

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* The byte of section 4 for one of `form`, or NUL where it has none. */
static char translate(char c, enum base64_form form)
{
    if (is_alphanumeric(c))
        return c;
    if (form == BASE64)
        return c == '+' || c == '/' || c == '=' ? c : '\0';
    if (c == '-')
        return '+';
    return c == '_' ? '/' : '\0';
}

/* Returns the length of the padded text in `to`, or 0. A single character after the last whole group is no byte, though
 * GnuTLS would let it pass with three bytes of padding. */
static size_t normalise(struct span text, enum base64_form form, char *to)
{
    size_t len = 0;
    size_t significant = 0;
    for (; len < text.len; len++) {
        to[len] = translate(text.data[len], form);
        if (!to[len])
            return 0;
        if (to[len] != '=')
            significant = len + 1;
    }
    if (significant % 4 == 1)
        return 0;
    while (form == BASE64_URL && len % 4)
        to[len++] = '=';
    return len;
}

enum err base64_decode(struct span text, enum base64_form form, uint8_t *to, size_t *ret_len)
{
    size_t len = normalise(text, form, (char *)to);
    if (len == 0 && text.len)
        return ERR_BAD_FIELD;
    if (len == 0) {
        *ret_len = 0;
        return OK;
    }
    gnutls_datum_t in = {to, (unsigned)len};
    gnutls_datum_t out = {NULL, 0};
    int status = gnutls_base64_decode2(&in, &out);
    if (status)
        return status == GNUTLS_E_MEMORY_ERROR ? ERR_NO_MEMORY : ERR_BAD_FIELD;
    memcpy(to, out.data, out.size);
    *ret_len = out.size;
    gnutls_memset(out.data, 0, out.size);
    gnutls_free(out.data);
    return OK;
}

void base64_add(struct buf *out, struct span bytes)
{
    gnutls_datum_t text;
    gnutls_datum_t raw = {(unsigned char *)(uintptr_t)bytes.data, (unsigned)bytes.len};
    if (bytes.len == 0)
        return;
    if (gnutls_base64_encode2(&raw, &text)) {
        out->failed = true;
        return;
    }
    buf_add(out, (struct span){(const char *)text.data, text.size});
    gnutls_free(text.data);
}
