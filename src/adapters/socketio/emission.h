/* SPDX-License-Identifier: MIT */
/*
 * Emission: an event on its way out, encoded at most once per wire format however many sockets get it.
 *
 *     data  ["update",{"id":1,"raw":{"_placeholder":true,"num":0}}]     attachments  <bytes>
 *     ──> Engine.IO 4 and 3:  451-/max,["update",…]  and a binary frame
 *     ──> Socket.IO 0.9:      5::/max:{"name":"update","args":[…]}               (attachments: null)
 *
 * Counted by reference, loop thread only.
 */
#ifndef SOCKETIO_EMISSION_H
#define SOCKETIO_EMISSION_H

#include "adapters/socketio/engine.h"

enum { EMISSION_ATTACHMENTS_MAX = 10 };

struct emission;

/* `nsp` is the namespace's name, `data` a JSON array whose first item is the name (a string, or a number), valid UTF-8
 * without line breaks; `attachments` are referenced by its placeholders, in order. All is copied, or referenced. Null:
 * no memory, or too many attachments. */
struct emission *emission_new(struct span nsp, struct span data, struct blob *const *attachments,
                              size_t count) must_check;

/* The same from a name and the JSON text of its arguments, separated by commas, perhaps none. */
struct emission *emission_of(struct span nsp, const char *name, struct span args) must_check;

struct emission *emission_ref(struct emission *emission);

/* Null is allowed. */
void emission_unref(struct emission *emission);

/* Before it is sent: it may be dropped for sockets that cannot be written to at once. */
void emission_set_volatile(struct emission *emission);
bool emission_is_volatile(const struct emission *emission);

/* Before it is sent: asks for an acknowledgement with this id. */
void emission_set_ack(struct emission *emission, uint64_t id);
bool emission_wants_ack(const struct emission *emission);

/* Before it is sent: this text goes to clients of Engine.IO 4 as the last argument (connection state recovery).
 * ERR_NO_MEMORY: it is unchanged. */
enum err emission_set_offset(struct emission *emission, struct span offset) must_check;
bool emission_has_offset(const struct emission *emission);
bool emission_offset_is(const struct emission *emission, struct span offset);

/* As given to emission_new. */
struct span emission_nsp(const struct emission *emission);
struct span emission_data(const struct emission *emission);
struct blob *const *emission_attachments(const struct emission *emission, size_t *ret_count);

/* The frames of its packet for Engine.IO clients of this revision: the text, then the attachments. Borrowed; null: no
 * memory. */
struct blob *const *emission_frames(struct emission *emission, enum engine_revision revision,
                                    size_t *ret_count) must_check;

/* The frame for Socket.IO 0.9. Borrowed; null: no memory. */
struct blob *emission_legacy_frame(struct emission *emission) must_check;

#endif
