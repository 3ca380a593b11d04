/* SPDX-License-Identifier: MIT */
/* Lists of rooms in JSON. */
#include "adapters/socketio/rooms.h"

#include <stdio.h>
#include <stdlib.h>

static enum err read_one(struct rooms *rooms, const json_t *item)
{
    char *text = rooms->numbers[rooms->count];
    struct span *room = &rooms->items[rooms->count];
    if (json_is_string(item)) {
        *room = (struct span){json_string_value(item), json_string_length(item)};
    } else if (json_is_integer(item)) {
        (void)snprintf(text, sizeof(rooms->numbers[0]), "%lld", (long long)json_integer_value(item));
        *room = span_of(text);
    } else {
        return ERR_BAD_FIELD;
    }
    rooms->count++;
    return OK;
}

enum err rooms_read(const json_t *list, struct rooms *ret_rooms)
{
    size_t count = json_array_size(list);
    if (!list || json_is_null(list))
        return OK;
    if (!json_is_array(list) || count > ROOMS_MAX)
        return ERR_BAD_FIELD;
    struct rooms rooms = {calloc(count + 1, sizeof(*rooms.items)), 0, calloc(count + 1, sizeof(*rooms.numbers))};
    enum err err = rooms.items && rooms.numbers ? OK : ERR_NO_MEMORY;
    for (size_t i = 0; i < count && !err; i++)
        err = read_one(&rooms, json_array_get(list, i));
    if (err)
        rooms_fini(&rooms);
    else
        *ret_rooms = rooms;
    return err;
}

void rooms_fini(struct rooms *rooms)
{
    free(rooms->items);
    free(rooms->numbers);
    *rooms = (struct rooms){0};
}
