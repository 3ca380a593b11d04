/* SPDX-License-Identifier: MIT */
/* Replies into records. */
#include "store/redis_reply.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"

enum { USER_FIELDS = 7, THREAD_FIELDS = 4, ATTACHMENTS_DEPTH = 512 };

static const redisReply *element(const redisReply *array, size_t index)
{
    bool there = array && array->type == REDIS_REPLY_ARRAY && index < array->elements;
    return there ? array->element[index] : NULL;
}

static bool is_array(const redisReply *reply, size_t elements)
{
    return reply && reply->type == REDIS_REPLY_ARRAY && reply->elements >= elements;
}

static struct span text_of(const redisReply *reply)
{
    bool text = reply && (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS);
    return text ? (struct span){reply->str, reply->len} : (struct span){NULL, 0};
}

struct span reply_text(const redisReply *array, size_t index)
{
    return text_of(element(array, index));
}

bool text_int(struct span text, int64_t *ret_number)
{
    bool negative = text.len > 1 && text.data[0] == '-';
    uint64_t number = 0;
    for (size_t i = negative; i < text.len; i++) {
        uint64_t digit = (uint64_t)(unsigned char)text.data[i] - '0';
        if (digit > 9 || number > (INT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *ret_number = negative ? -(int64_t)number : (int64_t)number;
    return text.len > 0;
}

struct span int_format(int64_t number, char text[INT_TEXT_SIZE])
{
    (void)snprintf(text, INT_TEXT_SIZE, "%" PRId64, number);
    return span_of(text);
}

bool reply_int(const redisReply *array, size_t index, int64_t *ret_number)
{
    const redisReply *reply = element(array, index);
    if (reply && reply->type == REDIS_REPLY_INTEGER) {
        *ret_number = reply->integer;
        return true;
    }
    return text_int(text_of(reply), ret_number);
}

/* As Redis writes it, `ms-0` too, which our cursors write without the zero. */
static bool read_cursor(struct span text, struct cursor *ret_cursor)
{
    if (text.len > 2 && memcmp(text.data + text.len - 2, "-0", 2) == 0)
        text.len -= 2;
    return cursor_parse(text, ret_cursor);
}

bool reply_cursor(const redisReply *array, size_t index, struct cursor *ret_cursor)
{
    return read_cursor(reply_text(array, index), ret_cursor);
}

const char *stream_id_format(struct cursor cursor, char text[STREAM_ID_SIZE])
{
    (void)snprintf(text, STREAM_ID_SIZE, cursor.major || cursor.minor ? "%" PRIu64 "-%" PRIu64 : "0", cursor.major,
                   cursor.minor);
    return text;
}

/* --- users and threads --- */

bool user_id_valid(struct span text)
{
    return text.len > 0 && text.len <= USER_BYTES_MAX && utf8_printable(text);
}

bool reply_user(const redisReply *array, struct arena *arena, struct user_record *ret_user)
{
    struct user_record user = {0};
    struct span id = reply_text(array, 0);
    struct span name = reply_text(array, 1);
    struct span status = reply_text(array, 3);
    if (!is_array(array, USER_FIELDS) || !user_id_valid(id) || !show_parse(reply_text(array, 2), &user.show) ||
        !utf8_valid(name) || !utf8_valid(status) || !reply_int(array, 5, &user.version))
        return false;
    user.id = arena_copy(arena, id);
    user.name = arena_copy(arena, name);
    user.status = arena_copy(arena, status);
    user.available = span_is(reply_text(array, 4), "1");
    user.idle = user.available && span_is(reply_text(array, 6), "1");
    *ret_user = user;
    return !arena->failed;
}

bool reply_users(const redisReply *array, size_t first, struct arena *arena, struct user_record **ret_users,
                 size_t *ret_count)
{
    struct arena_list list = {0};
    for (size_t i = first; i < array->elements; i++) {
        struct user_record user;
        if (!reply_user(array->element[i], arena, &user) && !arena->failed)
            continue;
        struct user_record *slot = arena->failed ? NULL : arena_list_add(arena, &list, sizeof(*slot));
        if (!slot)
            return false;
        *slot = user;
    }
    *ret_users = list.items;
    *ret_count = list.count;
    return true;
}

static int compare_users(const void *a, const void *b)
{
    const struct user_record *left = a;
    const struct user_record *right = b;
    size_t len = left->id.len < right->id.len ? left->id.len : right->id.len;
    int order = memcmp(left->id.data, right->id.data, len);
    return order ? order : (left->id.len > right->id.len) - (left->id.len < right->id.len);
}

bool reply_told(const redisReply *array, struct arena *arena, struct told_users *ret_told)
{
    *ret_told = (struct told_users){0};
    if (!is_array(array, 0) || !reply_users(array, 0, arena, &ret_told->items, &ret_told->count))
        return false;
    if (ret_told->count)
        qsort(ret_told->items, ret_told->count, sizeof(*ret_told->items), compare_users);
    return true;
}

/* Takes what stands before the first blank off `text`. */
static struct span take_word(struct span *text)
{
    const char *blank = text->len ? memchr(text->data, ' ', text->len) : NULL;
    size_t len = blank ? (size_t)(blank - text->data) : text->len;
    struct span word = {text->data, len};
    *text = (struct span){text->data + (blank ? len + 1 : len), text->len - (blank ? len + 1 : len)};
    return word;
}

/* A member as `role joined id`. */
static bool read_member(struct span text, const struct told_users *told, struct member_record *ret_member)
{
    struct span role = take_word(&text);
    struct span joined = take_word(&text);
    struct user_record key = {.id = text};
    if (!text.len || !told->count || !read_cursor(joined, &ret_member->joined))
        return false;
    const struct user_record *user = bsearch(&key, told->items, told->count, sizeof(key), compare_users);
    if (!user)
        return false;
    ret_member->user = *user;
    ret_member->role = span_is(role, "owner") ? ROLE_OWNER : ROLE_GUEST;
    return true;
}

static bool read_members(const redisReply *array, const struct told_users *told, struct arena *arena,
                         struct thread_record *thread)
{
    struct arena_list list = {0};
    if (!is_array(array, 0))
        return false;
    for (size_t i = 0; i < array->elements; i++) {
        struct member_record member;
        if (!read_member(reply_text(array, i), told, &member))
            continue;
        struct member_record *slot = arena_list_add(arena, &list, sizeof(*slot));
        if (!slot)
            return false;
        *slot = member;
    }
    thread->members = list.items;
    thread->member_count = list.count;
    return true;
}

bool reply_thread(const redisReply *array, const struct told_users *told, struct arena *arena,
                  struct thread_record *ret_thread)
{
    struct thread_record thread = {0};
    if (!is_array(array, THREAD_FIELDS) || !id_parse(reply_text(array, 0), &thread.id) ||
        !read_members(array->element[2], told, arena, &thread))
        return false;
    thread.room = arena_copy(arena, reply_text(array, 1));
    if (is_array(array->element[3], 1)) {
        struct log_entry last;
        if (reply_entry(array->element[3]->element[0], &last) == OK)
            thread.last = last.message;
    }
    *ret_thread = thread;
    return !arena->failed;
}

bool reply_one_thread(const redisReply *reply, struct arena *arena, struct thread_record *ret_thread)
{
    struct told_users told;
    return is_array(reply, 3) && reply_told(reply->element[1], arena, &told) &&
           reply_thread(reply->element[2], &told, arena, ret_thread);
}

/* --- entries --- */

/* The fields of an entry by name; absent ones have null data. */
struct entry_fields {
    struct span id, thread, user, name, type, time, text, subject, language, attachments, left;
};

static struct span *find_field(struct entry_fields *fields, struct span name)
{
    const struct {
        const char *name;
        struct span *at;
    } rows[] = {
        {"id", &fields->id},
        {"thread", &fields->thread},
        {"user", &fields->user},
        {"name", &fields->name},
        {"type", &fields->type},
        {"time", &fields->time},
        {"text", &fields->text},
        {"subject", &fields->subject},
        {"language", &fields->language},
        {"attachments", &fields->attachments},
        {"left", &fields->left},
    };
    for (size_t i = 0; i < array_len(rows); i++)
        if (span_is(name, rows[i].name))
            return rows[i].at;
    return NULL;
}

/* Fields of other names belong to a later version. */
static void read_fields(const redisReply *array, struct entry_fields *ret_fields)
{
    for (size_t i = 0; i + 1 < array->elements; i += 2) {
        struct span *at = find_field(ret_fields, reply_text(array, i));
        if (at)
            *at = reply_text(array, i + 1);
    }
}

/* They go to clients as they are: an array of objects, on one line. */
static bool are_attachments(struct span text)
{
    json_t *array = NULL;
    bool good = !span_has(text, '\n') && json_parse(text, ATTACHMENTS_DEPTH, &array) == OK && json_is_array(array);
    size_t index;
    const json_t *attachment;
    json_array_foreach (array, index, attachment)
        good = good && json_is_object(attachment);
    json_decref(array);
    return good;
}

static bool fields_are_text(const struct entry_fields *fields)
{
    return user_id_valid(fields->user) && fields->text.data && utf8_valid(fields->text) && utf8_valid(fields->name) &&
           utf8_valid(fields->subject) && (!fields->language.data || language_valid(fields->language)) &&
           (!fields->attachments.data || are_attachments(fields->attachments));
}

static enum err make_message(const struct entry_fields *fields, struct cursor cursor, struct message **ret_message)
{
    struct message_fields made = {
        .sender = fields->user,
        .sender_name = fields->name.data ? fields->name : SPAN_LITERAL(""),
        .text = fields->text,
        .subject = fields->subject,
        .language = fields->language,
        .attachments = fields->attachments,
    };
    if (!fields_are_text(fields) || !id_parse(fields->id, &made.id) || !id_parse(fields->thread, &made.thread) ||
        !text_type_parse(fields->type, &made.type) || !text_int(fields->time, &made.time_us))
        return ERR_BAD_FIELD;
    struct message *message = message_new(&made);
    if (!message)
        return ERR_NO_MEMORY;
    message->cursor = cursor;
    *ret_message = message;
    return OK;
}

enum err reply_entry(const redisReply *entry, struct log_entry *ret_entry)
{
    struct entry_fields fields = {0};
    *ret_entry = (struct log_entry){0};
    if (!reply_cursor(entry, 0, &ret_entry->cursor) || !is_array(element(entry, 1), 0))
        return ERR_BAD_FIELD;
    read_fields(entry->element[1], &fields);
    if (fields.id.data)
        return make_message(&fields, ret_entry->cursor, &ret_entry->message);
    ret_entry->left = fields.left;
    return id_parse(fields.thread, &ret_entry->thread) ? OK : ERR_BAD_FIELD;
}
