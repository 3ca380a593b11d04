/* SPDX-License-Identifier: MIT */
/* What every store shares: the key of a member set, and the words of `show`. */
#include "core/store.h"

#include <assert.h>
#include <stdlib.h>

#include "base/buf.h"

/* The space of member sets' keys (RFC 4122 section 4.3); drawn once, never to change: stores keep the keys. */
static const struct id member_sets = {
    {0x6f, 0x0c, 0x5e, 0x52, 0x1b, 0x7a, 0x4d, 0x39, 0x9c, 0x41, 0x8e, 0x27, 0xd3, 0x60, 0xb5, 0x14}};

static const char *const show_words[SHOW_COUNT] = {
#define ROW(name, word) [name] = word,
    SHOW_TABLE(ROW)
#undef ROW
};

static int span_order(const void *left, const void *right)
{
    const struct span *a = left;
    const struct span *b = right;
    int order = memcmp(a->data, b->data, a->len < b->len ? a->len : b->len);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

bool members_key(const struct span *users, size_t count, struct id *ret_key)
{
    struct span *sorted = malloc((count ? count : 1) * sizeof(*sorted));
    if (!sorted)
        return false;
    for (size_t i = 0; i < count; i++)
        sorted[i] = users[i];
    qsort(sorted, count, sizeof(*sorted), span_order);

    /* User ids hold no control characters, so a NUL cannot be part of one: the name is unambiguous. */
    struct buf name = BUF_INIT;
    for (size_t i = 0; i < count; i++) {
        buf_add(&name, sorted[i]);
        buf_add_char(&name, '\0');
    }
    free(sorted);
    bool made = !buf_failed(&name);
    if (made)
        *ret_key = id_of_name(member_sets, buf_span(&name));
    buf_fini(&name);
    return made;
}

const char *show_word(enum show show)
{
    assert(show < SHOW_COUNT);
    return show_words[show];
}

bool show_parse(struct span word, enum show *ret_show)
{
    for (unsigned i = 0; i < SHOW_COUNT; i++) {
        if (span_is(word, show_words[i])) {
            *ret_show = (enum show)i;
            return true;
        }
    }
    return false;
}
