/* SPDX-License-Identifier: MIT */
/*
 * Names: who is present under which name, one holder each, on all nodes.
 *
 *     claim ── no bus: at once ─────────────────────────────────────────────> held ── release
 *       └───── "may I?" to all nodes ── nobody objects within a moment ──────> held
 *                                   └── who holds it, or asked before, says so ──> refused
 *
 * All nodes, the asking one included, hear questions in the same order (the bus is one channel of one server), so of
 * two that ask at once both know who was first. Nothing is kept in the store: with a node its names go. A node that
 * cannot reach the others can claim nothing; while one is cut off, a name it holds can be given away. Loop thread
 * only.
 */
#ifndef SOCKETIO_NAMES_H
#define SOCKETIO_NAMES_H

#include "base/attr.h"
#include "base/err.h"
#include "base/span.h"
#include "core/bus.h"
#include "io/loop.h"

enum { NAME_MAX_LEN = 128 };

/* How long others have to object; how long to wait for hearing oneself. */
enum { NAMES_OBJECTION_MS = 250, NAMES_ECHO_MS = 2000 };

struct names;
struct name; /* a claim, or what is held */

/* `prefix` begins the channel and `space` (a room, perhaps) tells apart names on it; both, and the loop, outlive the
 * result. `bus` may be null; its listener lives until names_free, so the bus must be gone by then. Null: no memory. */
struct names *names_new(struct bus *bus, const char *prefix, const char *space, struct loop *loop) must_check;

/* Claims under way are forgotten, `done` is not called. Null is allowed. */
void names_free(struct names *names);

/* Claims a name (1 to NAME_MAX_LEN bytes). `done` is called once, perhaps from inside: OK, and `name` is to be given
 * to names_release; or ERR_CONFLICT: somebody has it; ERR_STORE: the other nodes cannot be asked; ERR_NO_MEMORY. */
typedef void names_done(void *ctx, enum err err, struct name *name);
void names_claim(struct names *names, struct span text, names_done *done, void *ctx);

void names_release(struct names *names, struct name *name);

/* Whether a name is held or claimed on this node. */
bool names_has(const struct names *names, struct span text);

/* The text of a name that is held. */
struct span name_text(const struct name *name);

/* Whether it can be a name: printable, without blanks at its ends, 1 to NAME_MAX_LEN bytes. */
bool name_fits(struct span text);

/* Whether people could take it for `word` (lower-case ASCII): like it but for case, width of letters, blanks and marks
 * that do not show. */
bool name_resembles(struct span text, const char *word);

#endif
