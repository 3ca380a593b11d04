/* SPDX-License-Identifier: MIT */
/* Decoding one code point at a time, by the table of RFC 3629 section 4. */
#include "base/utf8.h"

#include <stdint.h>

static bool is_continuation(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* The length of the sequence that starts with `lead`, or 0 where none may. */
static size_t sequence_len(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (lead < 0xc2)
        return 0;
    if (lead < 0xe0)
        return 2;
    if (lead < 0xf0)
        return 3;
    return lead < 0xf5 ? 4 : 0;
}

static bool in_range(size_t len, uint32_t point)
{
    switch (len) {
    case 3: return point >= 0x800 && (point < 0xd800 || point > 0xdfff);
    case 4: return point >= 0x10000 && point <= 0x10ffff;
    default: return true;
    }
}

/* Decodes the first code point; returns its length, or 0 if it is malformed or cut. */
static size_t decode(struct span text, uint32_t *ret_point)
{
    unsigned char lead = (unsigned char)text.data[0];
    size_t len = sequence_len(lead);
    if (len == 0 || len > text.len)
        return 0;
    uint32_t point = len == 1 ? lead : lead & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if (!is_continuation(byte))
            return 0;
        point = point << 6 | (byte & 0x3fu);
    }
    if (!in_range(len, point))
        return 0;
    *ret_point = point;
    return len;
}

static bool is_unprintable(uint32_t point)
{
    return point < 0x20 || (point >= 0x7f && point <= 0x9f) || point == 0x2028 || point == 0x2029 ||
           (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069) || point == 0xfeff;
}

static bool check(struct span text, bool printable)
{
    while (text.len) {
        uint32_t point;
        size_t len = decode(text, &point);
        if (len == 0 || (printable && is_unprintable(point)))
            return false;
        text = (struct span){text.data + len, text.len - len};
    }
    return true;
}

bool utf8_valid(struct span text)
{
    return check(text, false);
}

bool utf8_printable(struct span text)
{
    return check(text, true);
}
