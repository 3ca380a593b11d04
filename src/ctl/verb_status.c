/* SPDX-License-Identifier: MIT */
/* nereidctl status: two columns, what and how. */
#include <inttypes.h>
#include <sysexits.h>

#include "ctl/verbs.h"

static void add_row(struct columns *table, const char *what, struct span text)
{
    columns_add(table, span_of(what));
    columns_add(table, text);
}

static void add_count(struct columns *table, const char *what, const json_t *answer, const char *key)
{
    columns_add(table, span_of(what));
    columns_printf(table, "%" PRId64, answer_count(answer, key));
}

static void add_ready(struct columns *table, const json_t *answer)
{
    struct span reason = json_text(answer, "reason");
    columns_add(table, SPAN_LITERAL("ready"));
    if (answer_says(answer, "ready"))
        columns_add(table, SPAN_LITERAL("yes"));
    else
        columns_printf(table, "no: %.*s", (int)reason.len, reason.len ? reason.data : "");
}

static void add_when(struct columns *table, const char *what, const json_t *answer, const char *key)
{
    char text[WHEN_SIZE];
    add_row(table, what, span_of(answer_time(json_text(answer, key), text)));
}

static void add_listeners(struct columns *table, const json_t *answer)
{
    size_t i;
    const json_t *listener;
    json_array_foreach (json_object_get(answer, "listeners"), i, listener) {
        struct span name = json_text(listener, "name"), address = json_text(listener, "address");
        columns_add(table, i ? (struct span){0} : SPAN_LITERAL("listening"));
        columns_printf(table, "%.*s %.*s", (int)name.len, name.data ? name.data : "", (int)address.len,
                       address.data ? address.data : "");
    }
}

/* All in one line, without those that nobody speaks at the moment. */
static void add_sessions(struct columns *table, const json_t *answer)
{
    struct buf out = BUF_INIT;
    const char *protocol;
    json_t *count;
    json_object_foreach (json_object_get(answer, "sessions"), protocol, count)
        if (json_integer_value(count))
            buf_printf(&out, "%s%" PRId64 " %s", out.len ? ", " : "", (int64_t)json_integer_value(count), protocol);
    table->failed |= buf_failed(&out);
    add_row(table, "sessions", out.len ? buf_span(&out) : SPAN_LITERAL("none"));
    buf_fini(&out);
}

static void add_messages(struct columns *table, const json_t *answer)
{
    const json_t *messages = json_object_get(answer, "messages");
    columns_add(table, SPAN_LITERAL("messages"));
    columns_printf(table, "%" PRId64 " in, %" PRId64 " out", answer_count(messages, "in"),
                   answer_count(messages, "out"));
}

static int show_status(const json_t *answer)
{
    static const struct column columns[] = {{NULL, false}, {NULL, false}};
    struct columns table;
    columns_init(&table, columns, array_len(columns));
    add_row(&table, "nereidd", json_text(answer, "version"));
    add_ready(&table, answer);
    add_count(&table, "process", answer, "pid");
    add_when(&table, "started", answer, "started");
    add_row(&table, "store", json_text(answer, "store"));
    add_listeners(&table, answer);
    add_count(&table, "connections", answer, "connections");
    add_sessions(&table, answer);
    add_count(&table, "users", answer, "users");
    add_count(&table, "threads", answer, "threads");
    add_messages(&table, answer);
    add_count(&table, "queued bytes", answer, "queue_bytes");
    add_row(&table, "cursor", json_text(answer, "cursor"));
    return verb_table(&table);
}

int verb_status(const struct order *order)
{
    return verb_show_at(order, "/status", show_status);
}
