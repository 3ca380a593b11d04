/* SPDX-License-Identifier: MIT */
/* One character at a time; what utf8_valid takes for one is one. */
#include "ctl/text.h"

#include <locale.h>
#include <stdint.h>
#include <wchar.h>

#include "base/utf8.h"

static bool has_widths;

void text_init(void)
{
    has_widths = setlocale(LC_CTYPE, "C.UTF-8") != NULL;
}

/* The length of the character that `text` (not empty) begins with, and which it is; 0: none. */
static size_t first_of(struct span text, uint32_t *ret_point)
{
    static const uint8_t lead_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    for (size_t len = 1; len <= 4 && len <= text.len; len++) {
        if (!utf8_valid((struct span){text.data, len}))
            continue;
        uint32_t point = (uint8_t)text.data[0] & lead_bits[len];
        for (size_t i = 1; i < len; i++)
            point = point << 6 | ((uint8_t)text.data[i] & 0x3f);
        *ret_point = point;
        return len;
    }
    return 0;
}

/* wchar_t is a code point (ISO 10646) in glibc. -1: it has no shape. */
static int width_of(uint32_t point)
{
    return has_widths ? wcwidth((wchar_t)point) : 1;
}

/* Beside what utf8_printable knows: marks of direction, and what is there without being seen. The joiners U+200C and
 * U+200D are left, as scripts and emoji need them. */
static bool is_unseen(uint32_t point)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {{0x00ad, 0x00ad}, {0x061c, 0x061c}, {0x180e, 0x180e}, {0x200b, 0x200b},
                  {0x200e, 0x200f}, {0x2060, 0x206f}, {0xfff0, 0xfffb}, {0xe0000, 0xe007f}};
    for (size_t i = 0; i < array_len(ranges); i++)
        if (point >= ranges[i].first && point <= ranges[i].last)
            return true;
    return false;
}

static void add_escape(struct buf *out, uint32_t point)
{
    static const char letters[] = {['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    if (point < sizeof(letters) && letters[point])
        buf_printf(out, "\\%c", letters[point]);
    else if (point < 0x80)
        buf_printf(out, "\\x%02x", (unsigned)point);
    else
        buf_printf(out, point > 0xffff ? "\\U%08x" : "\\u%04x", (unsigned)point);
}

static bool is_harmless(struct span character, uint32_t point)
{
    return utf8_printable(character) && !is_unseen(point) && width_of(point) >= 0;
}

void text_add_safe(struct buf *out, struct span text)
{
    while (text.len) {
        uint32_t point;
        size_t len = first_of(text, &point);
        if (!len) {
            buf_printf(out, "\\x%02x", (unsigned)(uint8_t)text.data[0]);
            len = 1;
        } else if (is_harmless((struct span){text.data, len}, point)) {
            buf_add(out, (struct span){text.data, len});
        } else {
            add_escape(out, point);
        }
        text = (struct span){text.data + len, text.len - len};
    }
}

/* As JSON has it: what is beyond 16 bits as a surrogate pair (RFC 8259 section 7). */
static void add_json_escape(struct buf *out, uint32_t point)
{
    enum { BEYOND = 0x10000, HIGH = 0xd800, LOW = 0xdc00, HALF_BITS = 10, HALF = 0x3ff };
    if (point < BEYOND)
        buf_printf(out, "\\u%04x", (unsigned)point);
    else
        buf_printf(out, "\\u%04x\\u%04x", (unsigned)(HIGH + ((point - BEYOND) >> HALF_BITS)),
                   (unsigned)(LOW + ((point - BEYOND) & HALF)));
}

void text_add_safe_json(struct buf *out, struct span json)
{
    while (json.len) {
        uint32_t point = 0;
        size_t len = first_of(json, &point);
        if (point < 0x7f || is_harmless((struct span){json.data, len}, point))
            buf_add(out, (struct span){json.data, len ? len : 1});
        else
            add_json_escape(out, point);
        json = (struct span){json.data + (len ? len : 1), json.len - (len ? len : 1)};
    }
}

size_t text_width(struct span text)
{
    size_t width = 0;
    while (text.len) {
        uint32_t point = 0;
        size_t len = first_of(text, &point);
        int one = len ? width_of(point) : 1;
        width += one > 0 ? (size_t)one : 0;
        text = (struct span){text.data + (len ? len : 1), text.len - (len ? len : 1)};
    }
    return width;
}
