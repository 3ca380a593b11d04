/* SPDX-License-Identifier: MIT */
/* nereidctl sessions, threads, tokens: a row for each. */
#include <inttypes.h>
#include <sysexits.h>

#include "ctl/verbs.h"

typedef void add_item(struct columns *table, const json_t *item);

/* The list under `key` as a table, sorted. */
static int show_list(const json_t *answer, const char *key, const struct column *columns, size_t count, add_item *add)
{
    struct columns table;
    size_t i;
    const json_t *item;
    columns_init(&table, columns, count);
    json_array_foreach (json_object_get(answer, key), i, item)
        add(&table, item);
    columns_sort(&table);
    return verb_table(&table);
}

static void add_count(struct columns *table, const json_t *item, const char *key)
{
    columns_printf(table, "%" PRId64, answer_count(item, key));
}

static void add_when(struct columns *table, const json_t *item, const char *key)
{
    char text[WHEN_SIZE];
    columns_add(table, span_of(answer_time(json_text(item, key), text)));
}

/* --- sessions */

static void add_notes(struct columns *table, const json_t *item)
{
    struct buf notes = BUF_INIT;
    if (answer_says(item, "token"))
        buf_add_text(&notes, "by token");
    if (answer_says(item, "replaying"))
        buf_add_text(&notes, notes.len ? ", catching up" : "catching up");
    table->failed |= buf_failed(&notes);
    columns_add(table, buf_span(&notes));
    buf_fini(&notes);
}

static void add_session(struct columns *table, const json_t *item)
{
    columns_add(table, json_text(item, "user"));
    columns_add(table, json_text(item, "protocol"));
    columns_add(table, json_text(item, "address"));
    add_when(table, item, "since");
    columns_add(table, json_text(item, "show"));
    add_count(table, item, "queue_bytes");
    add_notes(table, item);
}

static int show_sessions(const json_t *answer)
{
    static const struct column columns[] = {
        {"USER", false}, {"PROTOCOL", false}, {"ADDRESS", false}, {"SINCE", false},
        {"SHOW", false}, {"QUEUED", true},    {"NOTES", false},
    };
    return show_list(answer, "sessions", columns, array_len(columns), add_session);
}

static int add_filter(struct buf *path, const char *key, const char *value)
{
    if (!value)
        return EX_OK;
    buf_printf(path, "%c%s=", span_has(buf_span(path), '?') ? '&' : '?', key);
    place_escape(path, span_of(value));
    return verb_check_text(key, span_of(value));
}

int verb_sessions(const struct order *order)
{
    struct buf path = BUF_INIT;
    buf_add_text(&path, "/sessions");
    int status = add_filter(&path, "user", order->user);
    if (!status)
        status = add_filter(&path, "protocol", order->protocol);
    if (!status)
        status = verb_show(order, &path, show_sessions);
    buf_fini(&path);
    return status;
}

/* --- threads */

static void add_thread(struct columns *table, const json_t *item)
{
    columns_add(table, json_text(item, "room"));
    columns_add(table, json_text(item, "id"));
    add_count(table, item, "members");
    add_count(table, item, "available");
    add_count(table, item, "watches");
}

static int show_threads(const json_t *answer)
{
    static const struct column columns[] = {
        {"ROOM", false}, {"THREAD", false}, {"MEMBERS", true}, {"AVAILABLE", true}, {"WATCHES", true},
    };
    return show_list(answer, "threads", columns, array_len(columns), add_thread);
}

int verb_threads(const struct order *order)
{
    return verb_show_at(order, "/threads", show_threads);
}

/* --- tokens */

static void add_token(struct columns *table, const json_t *item)
{
    struct span begins = json_text(item, "begins");
    columns_add(table, json_text(item, "user"));
    columns_printf(table, "%.*s...", (int)begins.len, begins.len ? begins.data : "");
    add_count(table, item, "sessions");
    add_when(table, item, "expires");
}

static int show_tokens(const json_t *answer)
{
    static const struct column columns[] = {{"USER", false}, {"TOKEN", false}, {"SESSIONS", true}, {"EXPIRES", false}};
    return show_list(answer, "tokens", columns, array_len(columns), add_token);
}

int verb_tokens(const struct order *order)
{
    return verb_show_at(order, "/tokens", show_tokens);
}
