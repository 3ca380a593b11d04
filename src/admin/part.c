/* SPDX-License-Identifier: MIT */
/* Which part of a list is asked for, and in which order. */
#include <stdlib.h>
#include <strings.h>

#include "admin/inside.h"
#include "http/text.h"

/* --- reading */

/* A field that may be left out. False: it is no number. */
static bool read_number(struct request *req, const char *name, size_t *number)
{
    struct span text;
    int64_t value;
    if (!request_query(req, name, &text))
        return true;
    if (!text_count(text, &value))
        return false;
    *number = (size_t)value;
    return true;
}

/* One of the words, behind a minus if it is to go down. */
static bool read_order(struct request *req, const struct part_order *orders, struct part *part)
{
    struct span word;
    if (!request_query(req, "sort", &word))
        return true;
    part->down = word.len > 0 && word.data[0] == '-';
    if (part->down)
        word = (struct span){word.data + 1, word.len - 1};
    for (part->order = orders; part->order->word; part->order++)
        if (span_is(word, part->order->word))
            return true;
    return false;
}

bool part_read(struct request *req, const struct part_order *orders, struct part *ret_part)
{
    struct part part = {.limit = SIZE_MAX, .equal = orders};
    const char *wrong = NULL;
    (void)request_query(req, "find", &part.find);
    if (!read_number(req, "limit", &part.limit))
        wrong = "limit: this is not a number";
    else if (!read_number(req, "offset", &part.offset))
        wrong = "offset: this is not a number";
    else if (!read_order(req, orders, &part))
        wrong = "sort: there is no such order";
    if (wrong)
        request_fail(req, ERR_BAD_FIELD, wrong, 0);
    else
        *ret_part = part;
    return !wrong;
}

bool part_finds(const struct part *part, struct span text)
{
    struct span find = part->find;
    if (!find.len)
        return true;
    for (size_t at = 0; at + find.len <= text.len; at++)
        if (strncasecmp(text.data + at, find.data, find.len) == 0)
            return true;
    return false;
}

/* --- gathering */

static bool make_room(struct gathered *all)
{
    size_t cap = all->cap ? 2 * all->cap : 64;
    void *items = all->count < all->cap ? all->items : realloc(all->items, cap * all->size);
    if (!items) {
        all->failed = true;
        return false;
    }
    if (all->count == all->cap)
        all->cap = cap;
    all->items = items;
    return true;
}

void gathered_add(struct gathered *all, const void *item)
{
    if (!all->failed && make_room(all))
        memcpy(all->items + all->count++ * all->size, item, all->size);
}

void gathered_fini(struct gathered *all)
{
    free(all->items);
}

static int compare(const void *a, const void *b, void *ctx)
{
    const struct part *part = ctx;
    int order = part->order->compare(a, b);
    if (!order)
        return part->equal->compare(a, b);
    return part->down ? -order : order;
}

void gathered_write(struct gathered *all, const struct part *part, struct buf *out,
                    void (*write)(struct buf *out, const void *item))
{
    if (part->order && all->count)
        qsort_r(all->items, all->count, all->size, compare, (void *)(uintptr_t)part);
    size_t begin = part->offset < all->count ? part->offset : all->count;
    size_t end = part->limit < all->count - begin ? begin + part->limit : all->count;
    for (size_t i = begin; i < end; i++) {
        buf_add_text(out, i > begin ? ",{" : "{");
        write(out, all->items + i * all->size);
    }
    out->failed |= all->failed;
}

/* --- what orders are made of */

int part_compare_numbers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

int part_compare_texts(struct span a, struct span b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len ? strncasecmp(a.data, b.data, len) : 0;
    return order ? order : part_compare_numbers((int64_t)a.len, (int64_t)b.len);
}
