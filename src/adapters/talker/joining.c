/* SPDX-License-Identifier: MIT */
/*
 * From `connect` to the room's door.
 *
 *     token checked ─> user opened ─> thread entered ─> [last event found] ─> waits for the room (room.c) ─> connected
 *
 * Each arrow may take a while, and the connection may go away meanwhile. Then the joining goes on alone to the next
 * answer, and takes back what it has done: a client that never heard `connected` has changed nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "adapters/talker/adapter.h"
#include "base/log.h"
#include "core/bearer.h"

/* --- the visit that `connect` is */

/* Who has been removed by others has nothing to give back any more; what the store cannot do now it does later. */
static void visit_ended(void *ctx unused_arg, enum err err, const struct thread_record *thread unused_arg)
{
    if (err && err != ERR_NO_THREAD)
        log_event(LOG_DEBUG, "the store does not know yet that a visit is over", log_err(err));
}

void talker_visit_end(struct hub *hub, struct id thread, struct span user, bool stays)
{
    enum err err = hub_visit_end(hub, thread, user, stays, visit_ended, NULL);
    if (err)
        visit_ended(NULL, err, NULL);
}

/* --- the end */

void joining_end(struct joining *joining)
{
    if (joining->talk)
        joining->talk->joining = NULL;
    if (joining->user)
        hub_user_close(joining->user);
    free(joining);
}

/* What it has brought is taken back. (At the end the store waits for connections, and is not to be called when they are
 * gone. While it answers, the talker is there.) */
static void joining_undo(struct joining *joining)
{
    if (joining->entered && (joining->talk || !joining->talker->shut))
        talker_visit_end(joining->hub, joining->thread, user_presence(joining->user).user, false);
    joining_end(joining);
}

void joining_abandon(struct joining *joining)
{
    joining->talk->joining = NULL;
    joining->talk = NULL;
    if (!joining->room)
        return; /* the answer that is under way finds nobody */
    talker_room_forget(joining);
    joining_undo(joining);
}

/* Takes it from its connection, if there is one still. */
static struct talk *joining_part(struct joining *joining)
{
    struct talk *talk = joining->talk;
    joining_undo(joining);
    return talk;
}

void joining_refuse(struct joining *joining, const char *sentence)
{
    struct talk *talk = joining_part(joining);
    if (talk)
        talk_refuse(talk, sentence);
}

static const char refused[] = "Authentication failed";

/* What a token is refused for is not told. */
void joining_fail(struct joining *joining, enum err err)
{
    if (err == ERR_UNAUTHORIZED || err == ERR_NO_TOKEN) {
        joining_refuse(joining, refused);
        return;
    }
    struct talk *talk = joining_part(joining);
    if (talk)
        talk_end(talk, err_sentence(err));
}

/* Whether there is nobody to go on for; then the joining is over. */
static bool stops(struct joining *joining)
{
    if (!joining->talk)
        joining_undo(joining);
    else if (joining->talker->shut)
        joining_fail(joining, ERR_SHUTTING_DOWN);
    else
        return false;
    return true;
}

/* --- the last event */

static const char unknown[] = "the last_event_id is not known here: what came after it is not shown";
static const char was_away[] =
    "you have not been a member all the time since the last_event_id: what was said in the room meanwhile is not shown";

/* One of another thread may be a private message that was seen in the room; what its reader cannot have seen is as good
 * as unknown. */
static bool may_have_seen(const struct joining *joining, struct id thread)
{
    return id_equal(thread, joining->thread) || hub_is_member(joining->user, thread);
}

static void last_event_found(void *ctx, enum err err, const struct message_place *place)
{
    struct joining *joining = ctx;
    if (stops(joining))
        return;
    if (err && err != ERR_NOT_FOUND) {
        joining_fail(joining, err);
        return;
    }
    if (err || !may_have_seen(joining, place->thread)) {
        joining->missed = unknown;
    } else {
        joining->attach.resume = true;
        joining->attach.since = place->cursor;
        if (cursor_compare(joining->joined, place->cursor) > 0)
            joining->missed = was_away;
    }
    talker_room_wait(joining);
}

static void find_last_event(struct joining *joining)
{
    struct id id;
    if (!joining->last_event_id.data) {
        talker_room_wait(joining);
    } else if (!id_parse(joining->last_event_id, &id)) {
        joining->missed = unknown;
        talker_room_wait(joining);
    } else {
        hub_message_find(joining->hub, id, last_event_found, joining);
    }
}

/* --- the thread */

static void not_entered(struct joining *joining, enum err err)
{
    switch (err) {
    case ERR_BAD_FIELD: joining_refuse(joining, "a room's name has 1 to 128 bytes of printable text"); break;
    case ERR_FORBIDDEN: joining_refuse(joining, "this room is for its members only"); break;
    case ERR_NO_THREAD: joining_refuse(joining, "there is no such room"); break;
    case ERR_TOO_MANY_MEMBERS: joining_refuse(joining, "the room is full"); break;
    default: joining_fail(joining, err); break;
    }
}

static struct cursor joined_at(const struct thread_record *thread, struct span user)
{
    size_t i = 0;
    while (i < thread->member_count && !span_equal(thread->members[i].user.id, user))
        i++;
    return i < thread->member_count ? thread->members[i].joined : (struct cursor){0};
}

static void thread_entered(void *ctx, enum err err, const struct thread_record *thread)
{
    struct joining *joining = ctx;
    joining->entered = !err;
    if (err) {
        not_entered(joining, err);
        return;
    }
    joining->thread = thread->id;
    joining->joined = joined_at(thread, user_presence(joining->user).user);
    if (!stops(joining))
        find_last_event(joining);
}

static void enter_thread(struct joining *joining)
{
    struct user *user = joining->user;
    bool by_id = id_parse(joining->room_name, &joining->thread);
    enum err err = by_id ? hub_thread_visit(user, joining->thread, thread_entered, joining)
                         : hub_room_visit(user, joining->room_name, thread_entered, joining);
    if (err)
        not_entered(joining, err);
}

/* --- the user */

static void user_opened(void *ctx, enum err err, struct user *user)
{
    struct joining *joining = ctx;
    if (!err)
        joining->user = user;
    if (stops(joining))
        return;
    if (err)
        joining_fail(joining, err);
    else
        enter_thread(joining);
}

static void open_user(struct joining *joining, const struct bearer *bearer)
{
    joining->token = bearer->token;
    joining->attach.token = bearer->by_token ? &joining->token : NULL;
    joining->attach.expires_us = bearer->expires_us;
    enum err err = hub_user_open(joining->hub, bearer->user, bearer->name, user_opened, joining);
    if (err) /* an id that cannot be anybody's is as good as none */
        joining_fail(joining, err == ERR_BAD_FIELD ? ERR_UNAUTHORIZED : err);
}

static void bearer_known(void *ctx, enum err err, const struct bearer *bearer, const char *reason)
{
    struct joining *joining = ctx;
    if (stops(joining))
        return;
    if (!err) {
        open_user(joining, bearer);
        return;
    }
    log_event(LOG_DEBUG, "talker login refused", log_span("address", conn_address(&joining->talk->conn)), log_err(err),
              log_text("reason", reason ? reason : ""));
    joining_fail(joining, err);
}

/* --- the beginning */

static struct span keep(char **end, struct span text)
{
    if (!text.data)
        return text;
    struct span kept = {*end, text.len};
    if (text.len)
        memcpy(*end, text.data, text.len);
    *end += text.len;
    return kept;
}

static struct joining *joining_new(struct talk *talk, const struct connect_fields *fields)
{
    struct talker *talker = talk->talker;
    struct joining *joining = calloc(1, sizeof(*joining) + fields->room.len + fields->last_event_id.len);
    if (!joining)
        return NULL;
    char *end = joining->text;
    joining->talker = talker;
    joining->hub = talker->hub;
    joining->talk = talk;
    joining->room_name = keep(&end, fields->room);
    joining->last_event_id = keep(&end, fields->last_event_id);
    /* 0 would be the usual grace; see part in talk.c. */
    joining->attach.grace_ms = talker->options.idle_grace_ms ? (uint32_t)talker->options.idle_grace_ms : 1;
    return joining;
}

void joining_begin(struct talk *talk, const struct connect_fields *fields)
{
    struct joining *joining = joining_new(talk, fields);
    if (!joining) {
        talk_end(talk, err_sentence(ERR_NO_MEMORY));
        return;
    }
    talk->state = TALK_JOINING;
    talk->joining = joining;
    bearer_check(joining->hub, talk->talker->auth, fields->token, conn_address(&talk->conn), bearer_known, joining);
}
