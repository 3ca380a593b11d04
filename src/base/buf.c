/* SPDX-License-Identifier: MIT */
/* A growable byte buffer that doubles, and a JSON string writer on top of it. */
#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_CAP = 256 };

void buf_fini(struct buf *buf)
{
    free(buf->data);
    *buf = BUF_INIT;
}

void buf_reset(struct buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

/* Room for `more` bytes and a terminating NUL. */
static bool reserve(struct buf *buf, size_t more)
{
    if (buf->failed || more > SIZE_MAX / 4 - buf->len) {
        buf->failed = true;
        return false;
    }
    size_t need = buf->len + more + 1;
    if (need <= buf->cap)
        return true;
    size_t cap = buf->cap ? buf->cap : FIRST_CAP;
    while (cap < need)
        cap *= 2;
    char *data = realloc(buf->data, cap);
    if (!data) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->cap = cap;
    return true;
}

void buf_add(struct buf *buf, struct span bytes)
{
    if (bytes.len == 0 || !reserve(buf, bytes.len))
        return;
    memcpy(buf->data + buf->len, bytes.data, bytes.len);
    buf->len += bytes.len;
}

void buf_add_text(struct buf *buf, const char *text)
{
    buf_add(buf, span_of(text));
}

void buf_add_char(struct buf *buf, char byte)
{
    buf_add(buf, (struct span){&byte, 1});
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0 || !reserve(buf, (size_t)len))
        return;
    va_start(args, format);
    (void)vsnprintf(buf->data + buf->len, (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
}

/* The length of the UTF-8 line separators U+2028 and U+2029 at `at`, or 0. */
static size_t line_separator_len(struct span text, size_t at)
{
    if (text.len - at < 3 || memcmp(text.data + at, "\xe2\x80", 2) != 0)
        return 0;
    unsigned char last = (unsigned char)text.data[at + 2];
    return last == 0xa8 || last == 0xa9 ? 3 : 0;
}

static bool is_plain(unsigned char byte)
{
    return byte >= 0x20 && byte != '"' && byte != '\\' && byte != '<' && byte != '>' && byte != '&' && byte != 0xe2;
}

static void add_escape(struct buf *buf, unsigned char byte)
{
    switch (byte) {
    case '"': buf_add(buf, SPAN_LITERAL("\\\"")); break;
    case '\\': buf_add(buf, SPAN_LITERAL("\\\\")); break;
    case '\n': buf_add(buf, SPAN_LITERAL("\\n")); break;
    case '\r': buf_add(buf, SPAN_LITERAL("\\r")); break;
    case '\t': buf_add(buf, SPAN_LITERAL("\\t")); break;
    case 0xe2: buf_add_char(buf, (char)byte); break;
    default: buf_printf(buf, "\\u%04x", byte); break;
    }
}

void buf_add_json(struct buf *buf, struct span text)
{
    buf_add_char(buf, '"');
    size_t at = 0;
    while (at < text.len) {
        size_t plain = at;
        while (plain < text.len && is_plain((unsigned char)text.data[plain]))
            plain++;
        buf_add(buf, (struct span){text.data + at, plain - at});
        at = plain;
        if (at == text.len)
            break;
        size_t separator = line_separator_len(text, at);
        if (separator)
            buf_add_text(buf, (unsigned char)text.data[at + 2] == 0xa8 ? "\\u2028" : "\\u2029");
        else
            add_escape(buf, (unsigned char)text.data[at]);
        at += separator ? separator : 1;
    }
    buf_add_char(buf, '"');
}

char *buf_take_text(struct buf *buf)
{
    if (!reserve(buf, 0)) {
        buf_fini(buf);
        return NULL;
    }
    buf->data[buf->len] = '\0';
    char *text = buf->data;
    *buf = BUF_INIT;
    return text;
}

struct blob *buf_blob(const struct buf *buf)
{
    return buf->failed ? NULL : blob_copy(buf_span(buf));
}
