/* SPDX-License-Identifier: MIT */
/*
 * Scene: the lines of a watched thread, written for people. Pure, but for the time zone.
 *
 *     * room lobby (5d1c310e-…): alice, bob (idle); not here: carol
 *     12:34:56 alice: hello
 *     12:34:58 * bob is back
 *
 * One line each, made harmless; who has a display name besides their id is written `Alice Liddell (alice)`.
 */
#ifndef CTL_SCENE_H
#define CTL_SCENE_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/json.h"

/* What came of a line. */
enum scene {
    SCENE_TEXT,    /* to be shown */
    SCENE_NOTHING, /* of no interest to people */
    SCENE_END,     /* the watch is over; what was written is why */
    SCENE_BAD      /* not a line of a watch */
};

/* Adds what `line` says to `out`, without the end of a line. */
enum scene scene_write(struct buf *out, struct span line) must_check;

#endif
