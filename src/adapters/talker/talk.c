/* SPDX-License-Identifier: MIT */
/*
 * Connections.
 *
 *     NEW ── connect ──> JOINING ── connected, users ──> IN ──┬─ close ───────────────────┬──> OVER
 *      └─────────────────────┴── an error, or the peer goes ──┴─ an error, or the peer ───┘
 *
 * Whatever ends it, talk_off comes first and takes it from all that refer to it; only the socket stays, until what is
 * queued has been sent.
 *
 * Who says close leaves when what they said before it has been announced, so that it is heard from somebody who is
 * there. Their client may not wait for that: then it is the socket that goes first.
 */
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

#include "adapters/talker/adapter.h"
#include "base/log.h"

static struct talk *talk_of_session(const struct session *session)
{
    return container_of(session, struct talk, session);
}

static struct talk *talk_of_conn(struct conn *conn)
{
    return container_of(conn, struct talk, conn);
}

static struct timers *timers_of(const struct talk *talk)
{
    return loop_timers(talk->talker->loop);
}

/* Empty: its socket is closed. */
static struct span address_of(const struct talk *talk)
{
    return talk->unplugged ? (struct span){0} : conn_address(&talk->conn);
}

/* --- ending */

/* Without a grace whoever breaks off has left. */
static void part(struct talk *talk)
{
    if (talk->leaving || !talk->talker->options.idle_grace_ms)
        hub_leave(&talk->session);
    else
        hub_detach(&talk->session);
}

/* Whoever breaks off stays a member, so that they can be shown what they missed. */
static void end_visit(struct talk *talk)
{
    if (talk->visits)
        talker_visit_end(talk->talker->hub, talk->room->watch.thread, person_id(talk->person), !talk->leaving);
    talk->visits = false;
}

static void talk_off(struct talk *talk)
{
    talk->state = TALK_OVER;
    part(talk);
    end_visit(talk);
    timer_clear(timers_of(talk), &talk->deadline);
    splitter_fini(&talk->splitter);
    sayings_forget(talk);
    if (talk->joining)
        joining_abandon(talk->joining);
    if (talk->room)
        talker_room_leave(talk);
    DL_DELETE(talk->talker->talks, talk);
    if (talk->unplugged)
        LL_PREPEND(talk->talker->spent, talk);
}

static struct blob *error_of(struct span sentence)
{
    struct buf out = BUF_INIT;
    talker_write_error(&out, sentence);
    struct blob *blob = buf_blob(&out);
    buf_fini(&out);
    return blob;
}

void talk_end(struct talk *talk, const char *sentence)
{
    if (talk->state == TALK_OVER)
        return;
    log_event(LOG_DEBUG, "talker connection ended", log_span("address", address_of(talk)), log_text("why", sentence));
    talk_off(talk);
    struct blob *error = error_of(span_of(sentence));
    metric_add(METRIC_TALKER_EVENTS_OUT, 1);
    conn_finish(&talk->conn, error);
    blob_unref(error);
}

void talk_refuse(struct talk *talk, const char *sentence)
{
    if (talk->state != TALK_OVER)
        metric_add(METRIC_TALKER_REFUSED, 1);
    talk_end(talk, sentence);
}

static void talk_go(struct talk *talk)
{
    log_event(LOG_DEBUG, "talker connection left", log_span("address", address_of(talk)),
              log_span("user", person_id(talk->person)));
    talk_off(talk);
    conn_finish(&talk->conn, NULL);
}

void talk_leave(struct talk *talk)
{
    talk->leaving = true;
    if (!talk->sayings)
        talk_go(talk);
}

static void talk_too_slow(struct talk *talk)
{
    metric_add(METRIC_LIMIT_QUEUE, 1);
    log_event(LOG_INFO, "talker connection ended: slow reader", log_span("user", person_id(talk->person)),
              log_span("address", conn_address(&talk->conn)), log_int("queued_bytes", conn_queued(&talk->conn)));
    talk_end(talk, err_sentence(ERR_SLOW_READER));
}

/* --- sending */

static void talk_sent(struct talk *talk, enum err err)
{
    if (err == ERR_SLOW_READER)
        talk_too_slow(talk);
    else if (err == ERR_NO_MEMORY)
        talk_end(talk, err_sentence(err));
    else if (!err)
        metric_add(METRIC_TALKER_EVENTS_OUT, 1);
}

void talk_send(struct talk *talk, struct blob *blob)
{
    if (talk->state != TALK_OVER)
        talk_sent(talk, blob ? conn_send(&talk->conn, blob) : ERR_NO_MEMORY);
}

void talk_send_paced(struct talk *talk, struct blob *blob)
{
    if (talk->state != TALK_OVER)
        talk_sent(talk, blob ? conn_send_paced(&talk->conn, blob) : ERR_NO_MEMORY);
}

void talk_tell_error(struct talk *talk, struct span sentence)
{
    struct blob *error = error_of(sentence);
    talk_send(talk, error);
    blob_unref(error);
}

/* --- the session */

/* A message between two is for its receiver, in rooms whose member the sender is as well. (Not where the sender is
 * seen: of who has just come that may not be known yet, but that they are a member is.) */
static bool is_private_for(const struct talk *talk, const struct message *message)
{
    struct span sender = message->fields.sender;
    struct occupant occupant;
    return !span_equal(sender, person_id(talk->person)) && hub_is_direct(talk->talker->hub, message->fields.thread) &&
           hub_occupant(&talk->room->watch, sender, &occupant);
}

/* Which form of a message this connection is to see, or none. */
static bool slot_for(const struct talk *talk, const struct message *message, unsigned *ret_slot)
{
    bool is_public = id_equal(message->fields.thread, talk->room->watch.thread);
    *ret_slot = is_public ? TALKER_SLOT_PUBLIC : TALKER_SLOT_PRIVATE;
    return is_public || is_private_for(talk, message);
}

/* Made once, however many see it; lives as long as the event. */
static struct blob *message_blob(const struct talker *talker, struct event *event, unsigned slot)
{
    struct blob **wire = &event->wires[talker->first_slot + slot];
    if (!*wire) {
        struct buf out = BUF_INIT;
        talker_write_message(&out, event->message, slot == TALKER_SLOT_PRIVATE);
        *wire = buf_blob(&out);
        buf_fini(&out);
    }
    return *wire;
}

static void show_message(struct talk *talk, struct event *event)
{
    unsigned slot;
    if (!slot_for(talk, event->message, &slot))
        return;
    talker_room_introduce(talk->room);
    struct blob *blob = message_blob(talk->talker, event, slot);
    if (talk->session.catching_up)
        talk_send_paced(talk, blob);
    else
        talk_send(talk, blob);
}

/* Who is there is told by the room. */
static void talk_event(struct session *session, struct event *event)
{
    struct talk *talk = talk_of_session(session);
    if (talk->state != TALK_IN)
        return;
    if (event->kind == EVENT_MESSAGE)
        show_message(talk, event);
    else if (event->kind == EVENT_GAP)
        talk_tell_error(talk, SPAN_LITERAL("some of what you have missed is no longer kept"));
}

/* The next page is asked for when this one has gone, or at once where all of it was for other eyes. */
static void talk_settled(struct session *session, bool more)
{
    if (more && conn_queued(&talk_of_session(session)->conn) == 0)
        hub_continue(session);
}

static void talk_closed_by_hub(struct session *session, enum err why)
{
    talk_end(talk_of_session(session), err_sentence(why));
}

static struct session_place talk_place(const struct session *session)
{
    const struct talk *talk = talk_of_session(session);
    return (struct session_place){address_of(talk), conn_queued(&talk->conn)};
}

static const struct session_ops talk_session_ops = {
    .protocol = "talker",
    .gauge = METRIC_SESSIONS_TALKER,
    .event = talk_event,
    .settled = talk_settled,
    .close = talk_closed_by_hub,
    .place = talk_place,
};

enum err talk_attach(struct talk *talk, struct user *user, const struct attach *attach)
{
    return hub_attach(&talk->session, &talk_session_ops, user, attach);
}

/* --- deadlines */

/* A client that pings just as often as it has to is given the time that a ping takes. */
static int64_t patience_ms(const struct talk *talk)
{
    enum { PATIENCE_MAX_MS = 500, PART = 10 };
    int64_t silence_ms = talk->talker->options.silence_ms;
    return silence_ms + (silence_ms < PATIENCE_MAX_MS * PART ? silence_ms / PART : PATIENCE_MAX_MS);
}

/* One that has said something since the timer was set is only looked at again: no timer is touched per message. Whoever
 * has said goodbye waits for answers no longer than this. */
static void check_silence(struct talk *talk)
{
    if (loop_now_ms(talk->talker->loop) - talk->heard_ms < patience_ms(talk)) {
        timer_set(timers_of(talk), &talk->deadline, talk->heard_ms + patience_ms(talk));
        return;
    }
    if (talk->leaving) {
        talk_go(talk);
        return;
    }
    metric_add(METRIC_LIMIT_TALKER_SILENCE, 1);
    talk_refuse(talk, "nothing has been heard from you for too long");
}

static void deadline_due(struct timer *timer)
{
    struct talk *talk = container_of(timer, struct talk, deadline);
    if (talk->state == TALK_IN) {
        check_silence(talk);
        return;
    }
    metric_add(METRIC_LIMIT_TALKER_CONNECT, 1);
    talk_refuse(talk, "you have not connected to a room in time");
}

void talk_begin(struct talk *talk, struct room *room, struct person *person)
{
    talk->state = TALK_IN;
    talk->visits = true;
    talk->room = room;
    talk->person = person;
    talk->heard_ms = loop_now_ms(talk->talker->loop);
    timer_set(timers_of(talk), &talk->deadline, talk->heard_ms + patience_ms(talk));
}

/* --- the socket */

static const char *sentence_of(enum err err)
{
    switch (err) {
    case ERR_BAD_FRAMING: return "an event has to be a JSON object";
    case ERR_BAD_JSON: return "this is not acceptable JSON";
    case ERR_TOO_LARGE: return "the line is too long";
    default: return err_sentence(err);
    }
}

static void refuse_input(struct talk *talk, enum err err)
{
    const struct splitter *splitter = &talk->splitter;
    metric_add(METRIC_LIMIT_TALKER_LINE, err == ERR_TOO_LARGE);
    metric_add(METRIC_LIMIT_JSON, err == ERR_BAD_JSON && splitter->depth > splitter->depth_max);
    talk_refuse(talk, sentence_of(err));
}

static void talk_input(struct conn *conn, struct span bytes)
{
    struct talk *talk = talk_of_conn(conn);
    while (talk->state != TALK_OVER && !talk->leaving) {
        struct span object;
        enum err err = splitter_next(&talk->splitter, &bytes, &object);
        if (err)
            refuse_input(talk, err);
        else if (object.data)
            talk_hear(talk, object);
        else
            break;
    }
}

static void talk_drained(struct conn *conn)
{
    hub_continue(&talk_of_conn(conn)->session);
}

static void talk_gone(struct conn *conn, enum err err unused_arg)
{
    struct talk *talk = talk_of_conn(conn);
    log_event(LOG_DEBUG, "talker connection broken", log_span("address", conn_address(conn)));
    if (!talk->leaving)
        talk_off(talk);
}

static void talk_free(struct talk *talk)
{
    timer_fini(timers_of(talk), &talk->deadline);
    free(talk);
}

static void talk_unplugged(struct conn *conn)
{
    struct talk *talk = talk_of_conn(conn);
    metric_add(METRIC_TALKER_CONNECTIONS, -1);
    talk->unplugged = true;
    if (talk->state == TALK_OVER)
        talk_free(talk);
}

void talks_free_spent(struct talker *talker)
{
    while (talker->spent) {
        struct talk *talk = talker->spent;
        LL_DELETE(talker->spent, talk);
        talk_free(talk);
    }
}

static const struct conn_ops talk_conn_ops = {
    .input = talk_input,
    .drained = talk_drained,
    .closed = talk_gone,
    .free = talk_unplugged,
};

/* --- opening */

static struct talk *talk_open(struct talker *talker, int take_fd, struct peer *take_lease)
{
    struct talk *talk = calloc(1, sizeof(*talk));
    if (!talk)
        return NULL;
    talk->talker = talker;
    talk->splitter = splitter_of(talker->options.line_bytes, talker->options.json_depth);
    if (timer_init(timers_of(talk), &talk->deadline, deadline_due) != OK ||
        conn_open(&talk->conn, talker->conns, &talk_conn_ops, take_fd, take_lease) != OK) {
        timer_fini(timers_of(talk), &talk->deadline);
        free(talk);
        return NULL;
    }
    DL_APPEND(talker->talks, talk);
    metric_add(METRIC_TALKER_CONNECTIONS, 1);
    return talk;
}

void talker_take(struct talker *talker, int take_fd, struct peer *take_lease)
{
    struct talk *talk = talk_open(talker, take_fd, take_lease);
    if (!talk) {
        (void)close(take_fd);
        peer_release(take_lease);
        return;
    }
    log_event(LOG_DEBUG, "talker connection opened", log_span("address", conn_address(&talk->conn)));
    timer_set(timers_of(talk), &talk->deadline, loop_now_ms(talker->loop) + talker->options.connect_ms);
    if (talker->shut)
        talk_end(talk, err_sentence(ERR_SHUTTING_DOWN));
}
