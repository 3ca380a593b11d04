/* SPDX-License-Identifier: MIT */
/*
 * Wire formats of the feed: how stanzas are laid on a stream or in a poll. Pure.
 *
 *     NDJSON   {"timestamp":…,"cursor":"7","stanzas":[stanza,…]}\n            one line an envelope
 *     SSE      id: 7\ndata: stanza\n\n                                        one event a stanza (WHATWG HTML, server-sent events)
 *
 * Whole lines per chunk. An event's bytes in each format are made once and kept in the event.
 */
#ifndef NEREID_WIRE_H
#define NEREID_WIRE_H

#include "stanza/stanza.h"
#include "base/blob.h"

enum wire_format { WIRE_NDJSON, WIRE_SSE, WIRE_FORMAT_COUNT };

/* One way to write the feed; there are `wire_count` of them. */
struct wire {
    enum wire_format format;
    bool chunked; /* as chunks of HTTP/1.1 */
    struct stanza_style style;
};

/* The slots an adapter must reserve (event_reserve_wires). */
enum { WIRE_SLOTS = WIRE_FORMAT_COUNT * DIALECT_COUNT * 2 + DIALECT_COUNT };

/* The event in this format, framed; cached in the event at `first_slot` onward. Borrowed from the event; null: no
 * memory. */
struct blob *wire_event(const struct wire *wire, struct event *event, unsigned first_slot) must_check;

/* The event's stanzas alone, separated by commas, for an envelope that is put together elsewhere. Borrowed; null: no
 * memory. */
struct blob *wire_stanzas(const struct stanza_style *style, struct event *event, unsigned first_slot) must_check;

/* The following return a new reference, framed, or null without memory. */

/* Nothing has happened: an envelope without stanzas, a comment, or the module's `"{}"`. `visible`: an event where it
 * would be one of the latter two, so that a page hears of it and its cursor moves on. */
struct blob *wire_heartbeat(const struct wire *wire, bool visible, int64_t time_us, struct cursor cursor) must_check;

/* `bytes` of filling, for hops that hold back the first bytes: a first envelope or a comment of at least that size. */
struct blob *wire_padding(const struct wire *wire, int64_t time_us, struct cursor cursor, size_t bytes) must_check;

/* The last thing on a stream that the server ends: why. */
struct blob *wire_farewell(const struct wire *wire, int64_t time_us, enum err why) must_check;

/* Opens an envelope up to and with `"stanzas":[`; the rest is `]}`. `cursor` is text. */
void wire_open_envelope(struct buf *out, int64_t time_us, const char *cursor);

const char *wire_content_type(enum wire_format format);

#endif
