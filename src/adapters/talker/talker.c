/* SPDX-License-Identifier: MIT */
/* The adapter as a whole: what all its connections share, and the end of the turn. */
#include <stdlib.h>
#include <utlist.h>

#include "adapters/talker/adapter.h"

/* A room that becomes due by what is done here comes at the end of the list. */
static void settle(struct loop_task *task)
{
    struct talker *talker = container_of(task, struct talker, task);
    while (talker->due) {
        struct room *room = talker->due;
        DL_DELETE2(talker->due, room, due_prev, due_next);
        room->is_due = false;
        talker_room_settle(room);
        loop_again(talker->loop);
    }
    talks_free_spent(talker);
}

/* Once for all: the bytes in them are the same for every talker. */
static unsigned reserve_slots(void)
{
    static bool is_reserved;
    static unsigned first;
    if (!is_reserved)
        first = event_reserve_wires(TALKER_SLOTS);
    is_reserved = true;
    return first;
}

struct talker *talker_new(const struct talker_options *options, struct hub *hub, struct auth *auth, struct loop *loop,
                          struct conns *conns)
{
    struct talker *talker = calloc(1, sizeof(*talker));
    if (!talker)
        return NULL;
    talker->options = *options;
    talker->hub = hub;
    talker->auth = auth;
    talker->loop = loop;
    talker->conns = conns;
    talker->first_slot = reserve_slots();
    talker->task.run = settle;
    loop_add_task(loop, LOOP_HOOK_HUB, &talker->task);
    return talker;
}

/* It ends when the answer it waits for is there, and what it has done until then can be taken back. */
static bool is_answered_later(const struct talk *talk)
{
    return talk->joining && !talk->joining->room;
}

void talker_shut(struct talker *talker)
{
    struct talk *talk, *next;
    DL_FOREACH_SAFE (talker->talks, talk, next)
        if (talk->state != TALK_IN && !is_answered_later(talk))
            talk_end(talk, err_sentence(ERR_SHUTTING_DOWN));
    talker->shut = true;
}

void talker_free(struct talker *talker)
{
    if (!talker)
        return;
    struct room *room, *next_room;
    HASH_ITER (hh, talker->rooms, room, next_room)
        talker_room_free(room);
    while (talker->due)
        talker_room_free(talker->due);
    talks_free_spent(talker);
    loop_remove_task(talker->loop, LOOP_HOOK_HUB, &talker->task);
    free(talker);
}
