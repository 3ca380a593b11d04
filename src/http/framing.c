/* SPDX-License-Identifier: MIT */
/* A table of the headers that decide about framing, and a walk over the head. */
#include "http/framing.h"

#include <string.h>

#include "http/text.h"

void framing_begin(struct framing *framing, const char *request_line_end, const char *end, bool http10)
{
    *framing = (struct framing){.at = request_line_end, .end = end, .http10 = http10};
}

static void object(struct framing *framing, enum err err, const char *sentence)
{
    if (framing->err)
        return;
    framing->err = err;
    framing->sentence = sentence;
}

/* RFC 9110 section 5.6.2, tchar. */
bool framing_is_token(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_letter && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return name.len > 0;
}

static bool is_value(struct span value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

/* --- the headers that matter --- */

static void take_length(struct framing *framing, struct span value)
{
    if (framing->has_length)
        object(framing, ERR_BAD_FRAMING, "there is more than one Content-Length");
    framing->has_length = true;
    framing->length = 0;
    if (value.len == 0)
        object(framing, ERR_BAD_FRAMING, "the Content-Length is empty");
    for (size_t i = 0; i < value.len; i++) {
        unsigned digit = (unsigned char)value.data[i] - (unsigned)'0';
        if (digit > 9 || framing->length > (UINT64_MAX - digit) / 10) {
            object(framing, ERR_BAD_FRAMING, "the Content-Length is not a number");
            return;
        }
        framing->length = framing->length * 10 + digit;
    }
}

static void take_coding(struct framing *framing, struct span value)
{
    if (framing->has_coding)
        object(framing, ERR_BAD_FRAMING, "there is more than one Transfer-Encoding");
    framing->has_coding = true;
    if (!text_is_word(value, "chunked"))
        object(framing, ERR_BAD_CODING, "the only transfer coding supported is chunked");
}

static void take_host(struct framing *framing, struct span value)
{
    if (framing->has_host)
        object(framing, ERR_BAD_FRAMING, "there is more than one Host");
    framing->has_host = true;
    for (size_t i = 0; i < value.len; i++)
        if (strchr(" \t,/?#@\\<>\"", value.data[i]))
            object(framing, ERR_BAD_FRAMING, "the Host is malformed");
}

static void take_expect(struct framing *framing, struct span value)
{
    if (!text_is_word(value, "100-continue"))
        object(framing, ERR_BAD_EXPECT, "the only expectation supported is 100-continue");
}

static const struct {
    const char *name;
    void (*take)(struct framing *framing, struct span value);
} headers[] = {
    {"Content-Length", take_length},
    {"Transfer-Encoding", take_coding},
    {"Host", take_host},
    {"Expect", take_expect},
};

/* --- the walk --- */

static bool is_line_end(char c)
{
    return c == '\0' || c == '\r' || c == '\n';
}

/* Between one line and the next: blanks that the parser has left out of the value, then `ends_max` line end
 * characters at most. */
static bool is_gap(const char *from, const char *to, long ends_max)
{
    while (from < to && text_is_blank(*from))
        from++;
    if (from >= to || to - from > ends_max)
        return false;
    for (; from < to; from++)
        if (!is_line_end(*from))
            return false;
    return true;
}

/* Between a name and its value: what was the colon, then blanks. */
static bool is_colon(const char *from, const char *to)
{
    if (from >= to || (*from != '\0' && *from != ':'))
        return false;
    for (from++; from < to; from++)
        if (!text_is_blank(*from))
            return false;
    return true;
}

static bool is_between(const char *from, struct span text, const char *to)
{
    uintptr_t at = (uintptr_t)text.data;
    return at >= (uintptr_t)from && at <= (uintptr_t)to && text.len <= (uintptr_t)to - at;
}

static void walk(struct framing *framing, struct span name, struct span value)
{
    const char *name_end = name.data + name.len;
    if (!is_between(framing->at, name, framing->end) || !is_gap(framing->at, name.data, 2) ||
        !is_between(name_end, value, framing->end) || !is_colon(name_end, value.data)) {
        object(framing, ERR_BAD_FRAMING, "a header line is folded or holds a NUL");
        return;
    }
    framing->at = value.data + value.len;
}

void framing_add(struct framing *framing, struct span name, struct span value)
{
    if (framing->end)
        walk(framing, name, value);
    if (!framing_is_token(name))
        object(framing, ERR_BAD_FRAMING, "a header name has a character that is not allowed");
    if (!is_value(value))
        object(framing, ERR_BAD_FRAMING, "a header value has a control character");
    for (size_t i = 0; i < array_len(headers); i++)
        if (text_is_word(name, headers[i].name))
            headers[i].take(framing, value);
}

enum err framing_check(struct framing *framing)
{
    if (framing->end && !framing->err && !is_gap(framing->at, framing->end, 4))
        object(framing, ERR_BAD_FRAMING, "a header line is folded or holds a NUL");
    if (framing->has_coding && framing->has_length)
        object(framing, ERR_BAD_FRAMING, "there are both a Content-Length and a Transfer-Encoding");
    if (framing->has_coding && framing->http10)
        object(framing, ERR_BAD_FRAMING, "HTTP/1.0 has no transfer codings");
    if (!framing->has_host && !framing->http10)
        object(framing, ERR_BAD_FRAMING, "the Host is missing");
    return framing->err;
}
