/* SPDX-License-Identifier: MIT */
/*
 * Connection state recovery: a client whose connection was lost finds its socket as it was, and
 * gets what was said meanwhile.
 *
 *     connected ── lost ──> waiting, at most options.recovery_ms ── CONNECT with pid and offset ──> connected
 *                              └ too late, or too many of them: over
 *
 * What is said in a namespace is recorded, with its audience, and the number of a record is the offset that clients are
 * told, and tell us. Records are kept for as long as a socket can wait and before that a broken connection can pass for
 * a good one: what is older has arrived, so an old offset is as good as a new one. But when there are too many the
 * oldest go early; somebody whose offset is before one of these starts over, and so does one that comes back as another
 * user.
 *
 * Only the node that has lost a client knows it: one that comes back to another node starts over.
 *
 * A client may come back before we know that its connection is lost. The old one is ended then: whoever has the pid is
 * the client.
 */
#include <utlist.h>

#include "adapters/socketio/socket_inside.h"
#include "base/log.h"

/* Of one namespace. */
enum { RECORD_BYTES_MAX = 64 * 1024 * 1024 };

struct recovery {
    UT_hash_handle hh; /* by pid */
    char pid[RANDOM_ID_SIZE];
    struct socket *socket;
    uint64_t since;               /* the last record before it was connected */
    struct recovery *next, *prev; /* of those that wait, the oldest first */
    bool waits;
    int64_t lost_ms;
    size_t user_len;
    char user[]; /* whose it is; empty: nobody's */
};

struct recoveries {
    struct socketio *adapter;
    struct recovery *by_pid;
    struct recovery *waiting;
    uint32_t waiting_count;
    struct timer timer; /* when the oldest has waited long enough */
};

/* What was said, and to whom. */
struct record {
    struct record *next;
    uint64_t number;
    int64_t said_ms;
    struct emission *emission;
    size_t bytes;
    size_t room_count, except_count;
    struct span names[]; /* rooms, then exceptions; their text follows */
};

/* --- records */

static void record_drop_first(struct nsp *nsp)
{
    struct record *record = nsp->first;
    nsp->first = record->next;
    if (!nsp->first)
        nsp->last = NULL;
    nsp->record_count--;
    nsp->record_bytes -= record->bytes;
    emission_unref(record->emission);
    free(record);
}

void records_free(struct nsp *nsp)
{
    while (nsp->first)
        record_drop_first(nsp);
}

static void records_trim(struct nsp *nsp)
{
    const struct socketio_options *options = &nsp->adapter->options;
    int64_t kept_ms = options->recovery_ms + options->engine.ping_interval_ms + options->engine.ping_timeout_ms;
    int64_t oldest_ms = loop_now_ms(nsp->adapter->loop) - kept_ms;
    while (nsp->first && nsp->first->said_ms < oldest_ms)
        record_drop_first(nsp);
    while (nsp->record_count > options->recovery_events || nsp->record_bytes > RECORD_BYTES_MAX) {
        nsp->last_cut = nsp->first->number;
        record_drop_first(nsp);
    }
}

static size_t names_bytes(const struct span *names, size_t count)
{
    size_t bytes = count * sizeof(*names);
    for (size_t i = 0; i < count; i++)
        bytes += names[i].len;
    return bytes;
}

static char *copy_names(struct span *to, const struct span *names, size_t count, char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (names[i].len)
            memcpy(text, names[i].data, names[i].len);
        to[i] = (struct span){text, names[i].len};
        text += names[i].len;
    }
    return text;
}

static size_t emission_bytes(const struct emission *emission)
{
    size_t count, bytes = 2 * emission_data(emission).len; /* and its frame */
    struct blob *const *attachments = emission_attachments(emission, &count);
    for (size_t i = 0; i < count; i++)
        bytes += 2 * blob_span(attachments[i]).len;
    return bytes;
}

static struct record *record_new(const struct audience *audience, struct emission *emission)
{
    size_t count = audience->room_count + audience->except_count;
    size_t bytes = sizeof(struct record) + names_bytes(audience->rooms, audience->room_count) +
                   names_bytes(audience->except, audience->except_count);
    struct record *record = malloc(bytes);
    if (!record)
        return NULL;
    *record = (struct record){
        .emission = emission_ref(emission),
        .bytes = bytes + emission_bytes(emission),
        .room_count = audience->room_count,
        .except_count = audience->except_count,
    };
    char *text = copy_names(record->names, audience->rooms, audience->room_count, (char *)(record->names + count));
    copy_names(record->names + audience->room_count, audience->except, audience->except_count, text);
    return record;
}

/* One emission that is sent to several sockets, each by itself, has the number of its first record. */
static enum err number_emission(const struct nsp *nsp, struct emission *emission)
{
    char text[24];
    if (emission_has_offset(emission))
        return OK;
    snprintf(text, sizeof(text), "%llu", (unsigned long long)nsp->next_record);
    return emission_set_offset(emission, span_of(text));
}

/* Without memory nobody may come back to where there would be a hole. */
static void record_missed(struct nsp *nsp)
{
    log_event(LOG_WARN, "connection states cannot be recovered", log_err(ERR_NO_MEMORY),
              log_span("namespace", nsp->name));
    nsp->last_cut = nsp->next_record++;
    records_free(nsp);
}

static void record(struct nsp *nsp, const struct audience *audience, struct emission *emission)
{
    struct record *made = number_emission(nsp, emission) ? NULL : record_new(audience, emission);
    if (!made) {
        record_missed(nsp);
        return;
    }
    made->number = nsp->next_record++;
    made->said_ms = loop_now_ms(nsp->adapter->loop);
    if (nsp->last)
        nsp->last->next = made;
    else
        nsp->first = made;
    nsp->last = made;
    nsp->record_count++;
    nsp->record_bytes += made->bytes;
    records_trim(nsp);
}

static bool is_recorded(const struct nsp *nsp, const struct emission *emission)
{
    return nsp->recovers && !emission_is_volatile(emission) && !emission_wants_ack(emission);
}

void record_broadcast(struct nsp *nsp, const struct audience *audience, struct emission *emission)
{
    if (is_recorded(nsp, emission))
        record(nsp, audience, emission);
}

void record_emission(struct socket *socket, struct emission *emission)
{
    struct span id = span_of(socket->id);
    const struct audience alone = {&id, 1, NULL, 0};
    if (socket->connected && socket->recovery && is_recorded(socket->nsp, emission))
        record(socket->nsp, &alone, emission);
}

/* --- who gets a record */

static bool hears(const struct socket *socket, struct span room)
{
    if (span_is(room, socket->id))
        return true;
    for (const struct membership *at = socket->memberships; at; at = at->also)
        if (span_equal((struct span){at->room->name, at->room->len}, room))
            return !at->deaf;
    return false;
}

static bool hears_any(const struct socket *socket, const struct span *rooms, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (hears(socket, rooms[i]))
            return true;
    return false;
}

static bool is_for(const struct record *record, const struct socket *socket)
{
    return (record->room_count == 0 || hears_any(socket, record->names, record->room_count)) &&
           !hears_any(socket, record->names + record->room_count, record->except_count);
}

void recovery_replay(struct socket *socket, uint64_t seen)
{
    for (struct record *at = socket->nsp->first, *next; at && socket->connected; at = next) {
        next = at->next;
        if (at->number > seen && is_for(at, socket))
            socket_deliver(socket, at->emission, true);
    }
}

/* --- sockets that may come back */

static void waiting_drop(struct recovery *recovery)
{
    struct socket *socket = recovery->socket;
    recovery_end(socket);
    socket_unref(socket);
}

static void waiting_set_timer(struct recoveries *all)
{
    struct timers *timers = loop_timers(all->adapter->loop);
    if (all->waiting)
        timer_set(timers, &all->timer, all->waiting->lost_ms + all->adapter->options.recovery_ms);
    else
        timer_clear(timers, &all->timer);
}

static void waited_long_enough(struct timer *timer)
{
    struct recoveries *all = container_of(timer, struct recoveries, timer);
    int64_t oldest_ms = loop_now_ms(all->adapter->loop) - all->adapter->options.recovery_ms;
    while (all->waiting && all->waiting->lost_ms <= oldest_ms)
        waiting_drop(all->waiting);
    for (struct nsp *nsp = all->adapter->nsps; nsp; nsp = nsp->next)
        records_trim(nsp);
    waiting_set_timer(all);
}

struct recoveries *recoveries_new(struct socketio *adapter)
{
    struct recoveries *all = calloc(1, sizeof(*all));
    if (!all)
        return NULL;
    all->adapter = adapter;
    if (timer_init(loop_timers(adapter->loop), &all->timer, waited_long_enough)) {
        free(all);
        return NULL;
    }
    return all;
}

void recoveries_free(struct recoveries *recoveries)
{
    if (!recoveries)
        return;
    while (recoveries->waiting)
        waiting_drop(recoveries->waiting);
    timer_fini(loop_timers(recoveries->adapter->loop), &recoveries->timer);
    free(recoveries);
}

static struct span user_of(const struct client *client)
{
    const struct visitor *visitor = client->ops->visitor(client);
    return visitor ? visitor->user : (struct span){0};
}

void recovery_offer(struct socket *socket)
{
    struct nsp *nsp = socket->nsp;
    if (!nsp->recovers)
        return;
    struct recoveries *all = nsp->adapter->recoveries;
    struct span user = user_of(socket->client);
    struct recovery *recovery = calloc(1, sizeof(*recovery) + user.len);
    if (!recovery)
        return;
    random_id(recovery->pid);
    HASH_ADD_KEYPTR(hh, all->by_pid, recovery->pid, RANDOM_ID_SIZE - 1, recovery);
    if (!table_added(recovery)) {
        free(recovery);
        return;
    }
    recovery->socket = socket;
    recovery->since = nsp->next_record - 1;
    recovery->user_len = user.len;
    if (user.len)
        memcpy(recovery->user, user.data, user.len);
    socket->recovery = recovery;
}

const char *socket_pid(const struct socket *socket)
{
    return socket->recovery ? socket->recovery->pid : NULL;
}

static void stop_waiting(struct recoveries *all, struct recovery *recovery)
{
    if (!recovery->waits)
        return;
    recovery->waits = false;
    DL_DELETE(all->waiting, recovery);
    all->waiting_count--;
}

/* As many wait as sessions may be open; the oldest gives way. */
void recovery_wait(struct socket *socket)
{
    struct recoveries *all = socket->nsp->adapter->recoveries;
    struct recovery *recovery = socket->recovery;
    recovery->lost_ms = loop_now_ms(all->adapter->loop);
    recovery->waits = true;
    DL_APPEND(all->waiting, recovery);
    if (++all->waiting_count > all->adapter->options.engine.sessions)
        waiting_drop(all->waiting);
    waiting_set_timer(all);
}

void recovery_end(struct socket *socket)
{
    struct recovery *recovery = socket->recovery;
    if (!recovery)
        return;
    socket->recovery = NULL;
    struct recoveries *all = socket->nsp->adapter->recoveries;
    stop_waiting(all, recovery);
    HASH_DEL(all->by_pid, recovery);
    free(recovery);
}

/* --- coming back */

static struct recovery *find(struct recoveries *all, const json_t *auth)
{
    struct span pid = json_text(auth, "pid");
    struct recovery *recovery;
    HASH_FIND(hh, all->by_pid, pid.data, pid.len, recovery);
    return recovery;
}

/* The record after which nothing has been seen. One that has not got anything yet has no offset. False: there may be a
 * hole behind it, or it is none of ours. */
static bool find_seen(const struct recovery *recovery, const json_t *auth, uint64_t *ret_seen)
{
    const struct nsp *nsp = recovery->socket->nsp;
    struct span offset = json_text(auth, "offset");
    uint64_t seen = recovery->since;
    if (offset.data) {
        char *end;
        seen = strtoull(offset.data, &end, 10);
        if (*end || end == offset.data || *offset.data < '0' || *offset.data > '9')
            return false;
    }
    if (seen < nsp->last_cut || seen >= nsp->next_record)
        return false;
    for (const struct record *at = nsp->first; at && offset.data; at = at->next) /* see number_emission */
        if (at->number > seen && emission_offset_is(at->emission, offset) && is_for(at, recovery->socket))
            seen = at->number;
    *ret_seen = seen;
    return true;
}

static bool is_same_user(const struct recovery *recovery, const struct client *client)
{
    return span_equal((struct span){recovery->user, recovery->user_len}, user_of(client));
}

static void end_old_connection(struct socket *socket)
{
    struct client *old = socket->client;
    if (old)
        old->ops->close(old, ENGINE_TRANSPORT_CLOSE);
}

struct socket *recovery_take(struct client *client, struct nsp *nsp, const json_t *auth, uint64_t *ret_seen)
{
    struct recoveries *all = nsp->adapter->recoveries;
    struct recovery *recovery = nsp->recovers ? find(all, auth) : NULL;
    if (!recovery || recovery->socket->nsp != nsp || recovery->socket->client == client ||
        !is_same_user(recovery, client))
        return NULL;
    struct socket *socket = socket_ref(recovery->socket);
    end_old_connection(socket);
    records_trim(nsp);
    recovery = socket->recovery; /* that may have been its end */
    bool taken = recovery && recovery->waits && find_seen(recovery, auth, ret_seen);
    if (taken)
        stop_waiting(all, recovery);
    else if (recovery && recovery->waits)
        waiting_drop(recovery);
    waiting_set_timer(all);
    socket_unref(socket); /* the other reference is the caller's, or gone */
    return taken ? socket : NULL;
}
