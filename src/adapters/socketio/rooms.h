/* SPDX-License-Identifier: MIT */
/* Lists of rooms in JSON, whose items are texts or numbers. */
#ifndef SOCKETIO_ROOMS_H
#define SOCKETIO_ROOMS_H

#include "base/json.h"
#include "base/span.h"

enum { ROOMS_MAX = 10000 };

/* To be zeroed, and freed by rooms_fini. */
struct rooms {
    struct span *items; /* texts live as long as the JSON */
    size_t count;
    char (*numbers)[24];
};

/* Reads a list (null: none). ERR_BAD_FIELD: something else, or too long. ERR_NO_MEMORY. */
enum err rooms_read(const json_t *list, struct rooms *ret_rooms) must_check;
void rooms_fini(struct rooms *rooms);

#endif
