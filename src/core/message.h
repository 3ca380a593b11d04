/* SPDX-License-Identifier: MIT */
/*
 * Message: one durable utterance in a thread. Immutable once made, counted by reference.
 *
 * All its text lies in the same allocation. Made on the loop thread by an adapter (through the hub), or by a store from
 * its rows on any thread; the count is not atomic, so one thread at a time may hold it.
 *
 * Field rules (seed document, section 3.1): `type` defaults to plain; `subject`, `language` and `attachments` are
 * optional and have null data when absent; `text` may be empty but is always there.
 */
#ifndef CORE_MESSAGE_H
#define CORE_MESSAGE_H

#include <stdint.h>

#include "base/attr.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/id.h"
#include "base/span.h"

/* name, word on the wire; the number is what stores keep */
#define TEXT_TYPE_TABLE(ROW)                                                                                           \
    ROW(TEXT_PLAIN, "plain")                                                                                           \
    ROW(TEXT_HTML, "html")                                                                                             \
    ROW(TEXT_RST, "rst")

enum text_type {
#define ROW(name, word) name,
    TEXT_TYPE_TABLE(ROW)
#undef ROW
        TEXT_TYPE_COUNT
};

/* What a message is made from. All spans are copied. */
struct message_fields {
    struct id id;
    struct id thread;
    enum text_type type;
    int64_t time_us;         /* when the hub took it; microseconds since 1970 UTC */
    struct span sender;      /* user id */
    struct span sender_name; /* display name at that time; empty where none is known */
    struct span text;        /* valid UTF-8 */
    struct span subject;     /* absent: null data */
    struct span language;    /* BCP 47 tag; absent: null data */
    struct span attachments; /* a JSON array of objects on one line, kept as given; absent: null data */
};

struct message {
    uint32_t refs;
    struct cursor cursor;         /* zero until the store has committed it; written by the store only */
    struct message_fields fields; /* spans point into bytes */
    char bytes[];
};

/* A message with one reference, or null without memory. */
struct message *message_new(const struct message_fields *fields) must_check;
struct message *message_ref(struct message *message);
void message_unref(struct message *message);

/* The word of a type; static. */
const char *text_type_word(enum text_type type);

/* False, and *ret_type untouched, for an unknown word. */
bool text_type_parse(struct span word, enum text_type *ret_type) must_check;

/* Whether `tag` is well-formed by BCP 47 (RFC 5646 section 2.1, without the registry's contents), or would be with
 * `-` for `_`: the seed document itself writes en_US. */
bool language_valid(struct span tag);

#endif
