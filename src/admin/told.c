/* SPDX-License-Identifier: MIT */
/* Members as they were told, and a walk that compares. */
#include "admin/told.h"

#include <stdlib.h>

#include "base/table.h"
#include "stanza/stanza.h"

struct seen {
    UT_hash_handle hh;
    uint64_t text; /* a hash of name and status */
    uint32_t round;
    enum role role;
    enum show show;
    bool available, idle;
    char id[];
};

/* One walk over the members. */
struct walk {
    struct told *told;
    struct buf *out;
    int64_t wall_us;
};

static void forget(struct told *told, struct seen *seen)
{
    HASH_DEL(told->members, seen);
    free(seen);
}

void told_fini(struct told *told)
{
    struct seen *seen, *next;
    HASH_ITER (hh, told->members, seen, next)
        forget(told, seen);
}

/* --- lines */

void told_line_open(struct buf *out, int64_t wall_us, const char *type)
{
    buf_add_char(out, '{');
    stanza_write_time(out, "timestamp", wall_us);
    buf_printf(out, ",\"type\":\"%s\"", type);
}

void told_line_close(struct buf *out)
{
    buf_add_text(out, "}\n");
}

static void write_member(struct buf *out, const struct occupant *occupant)
{
    const struct presence *presence = &occupant->presence;
    buf_add_text(out, "{\"id\":");
    buf_add_json(out, presence->user);
    buf_add_text(out, ",\"displayName\":");
    buf_add_json(out, presence->name.len ? presence->name : presence->user);
    buf_printf(out, ",\"role\":\"%s\",\"available\":%s,\"idle\":%s,\"show\":\"%s\"",
               occupant->role == ROLE_OWNER ? "owner" : "guest", presence->available ? "true" : "false",
               occupant->idle ? "true" : "false", show_word(presence->show));
    if (presence->status.len) {
        buf_add_text(out, ",\"status\":");
        buf_add_json(out, presence->status);
    }
    buf_add_char(out, '}');
}

static void write_change(const struct walk *walk, const char *change, const struct occupant *occupant)
{
    told_line_open(walk->out, walk->wall_us, "member");
    buf_printf(walk->out, ",\"change\":\"%s\",\"member\":", change);
    write_member(walk->out, occupant);
    told_line_close(walk->out);
}

/* Nothing more is known of who has left than who they are. */
static void write_left(const struct walk *walk, const struct seen *seen)
{
    told_line_open(walk->out, walk->wall_us, "member");
    buf_add_text(walk->out, ",\"change\":\"left\",\"member\":{\"id\":");
    buf_add_json(walk->out, span_of(seen->id));
    buf_add_char(walk->out, '}');
    told_line_close(walk->out);
}

/* --- comparing */

static uint64_t text_of(const struct presence *presence)
{
    uint64_t name = table_hash(presence->name.data, presence->name.len);
    return name << 32 | table_hash(presence->status.data, presence->status.len);
}

/* The word for what is new of a member; null: nothing. */
static const char *change_of(const struct seen *seen, const struct occupant *now)
{
    const struct presence *presence = &now->presence;
    if (seen->available != presence->available)
        return presence->available ? "available" : "unavailable";
    if (seen->idle != now->idle)
        return now->idle ? "idle" : "back";
    if (seen->show != presence->show || seen->text != text_of(presence))
        return "show";
    return seen->role != now->role ? "role" : NULL;
}

static void see(const struct walk *walk, struct seen *seen, const struct occupant *now)
{
    seen->round = walk->told->round;
    seen->role = now->role;
    seen->available = now->presence.available;
    seen->idle = now->idle;
    seen->show = now->presence.show;
    seen->text = text_of(&now->presence);
}

static struct seen *meet(const struct walk *walk, struct span id)
{
    struct seen *seen = calloc(1, sizeof(*seen) + id.len + 1);
    if (seen) {
        memcpy(seen->id, id.data, id.len);
        HASH_ADD_KEYPTR(hh, walk->told->members, seen->id, id.len, seen);
    }
    if (seen && table_added(seen))
        return seen;
    free(seen);
    walk->out->failed = true;
    return NULL;
}

static void compare(void *ctx, const struct occupant *now)
{
    const struct walk *walk = ctx;
    struct span id = now->presence.user;
    struct seen *seen = NULL;
    HASH_FIND(hh, walk->told->members, id.data, id.len, seen);
    const char *change = seen ? change_of(seen, now) : "joined";
    if (!seen)
        seen = meet(walk, id);
    if (!seen)
        return;
    see(walk, seen, now);
    if (change)
        write_change(walk, change, now);
}

static void drop_those_who_left(const struct walk *walk)
{
    struct seen *seen, *next;
    HASH_ITER (hh, walk->told->members, seen, next) {
        if (seen->round == walk->told->round)
            continue;
        write_left(walk, seen);
        forget(walk->told, seen);
    }
}

void told_changes(struct told *told, const struct thread_watch *watch, int64_t wall_us, struct buf *out)
{
    struct walk walk = {told, out, wall_us};
    told->round++;
    hub_occupants(watch, compare, &walk);
    drop_those_who_left(&walk);
}

/* --- the first line */

static void introduce(void *ctx, const struct occupant *now)
{
    const struct walk *walk = ctx;
    bool first = !walk->told->members;
    struct seen *seen = meet(walk, now->presence.user);
    if (!seen)
        return;
    see(walk, seen, now);
    if (!first)
        buf_add_char(walk->out, ',');
    write_member(walk->out, now);
}

void told_begin(struct told *told, const struct thread_watch *watch, int64_t wall_us, struct buf *out)
{
    struct walk walk = {told, out, wall_us};
    struct span room = hub_watched_room(watch);
    told_line_open(out, wall_us, "thread");
    buf_add_char(out, ',');
    stanza_write_id(out, "thread", watch->thread);
    if (room.data) {
        buf_add_text(out, ",\"room\":");
        buf_add_json(out, room);
    }
    buf_add_text(out, ",\"members\":[");
    hub_occupants(watch, introduce, &walk);
    buf_add_char(out, ']');
    told_line_close(out);
}
