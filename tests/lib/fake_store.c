/* SPDX-License-Identifier: MIT */
/*
 * A queue of calls over plain arrays.
 *
 * Each call has a `run` that takes effect and gathers its result, and an `answer` that hands that to `done`. What a
 * call was given and what it answers with lie in its scratch, a list of blocks freed with it.
 */
#include "lib/fake_store.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USERS_MAX = 64, THREADS_MAX = 256, MEMBERS_MAX = 16, MESSAGES_MAX = 16384, TOKENS_MAX = 256 };
enum { NEWS_MAX = 128, FIRST_VERSION = 1000 };
enum { ID_SIZE = 129, NAME_SIZE = 257, STATUS_SIZE = 1025 };

volatile unsigned fake_store_busy;

struct fake_user {
    char id[ID_SIZE];
    char name[NAME_SIZE];
    char status[STATUS_SIZE];
    enum show show;
    enum lease here;      /* our node's */
    enum lease elsewhere; /* another node's */
    int64_t version;
    bool overtook;
};

struct fake_member {
    const struct fake_user *user;
    enum role role;
    struct cursor joined;
    bool visiting; /* is no member but for visits */
    unsigned visits;
};

struct fake_thread {
    struct id id;
    char room[ID_SIZE]; /* empty: no room */
    struct fake_member members[MEMBERS_MAX];
    size_t member_count;
};

struct fake_token {
    struct id id;
    char user[ID_SIZE]; /* empty: deleted */
    int64_t expires_us;
};

struct block {
    struct block *next;
    max_align_t bytes[];
};

struct call {
    struct call *next;
    void (*run)(struct fake_store *store, struct call *call);
    void (*answer)(struct call *call);
    union {
        store_done *plain;
        store_bounds_done *bounds;
        store_user_done *user;
        store_users_done *users;
        store_thread_done *thread;
        store_threads_done *threads;
        store_append_done *append;
        store_page_done *page;
        store_message_done *place;
        store_token_done *token;
        void (*closed)(void *ctx);
    } done;
    void *ctx;
    enum err err;
    bool has_run;
    struct block *scratch;

    struct id id;
    struct span user, text, room;
    struct span *users;
    size_t user_count, limit, bytes_max;
    enum show show;
    bool with_last, members_only, visit, stays;
    struct cursor cursor;
    int64_t expires_us;
    struct message *message;

    struct store_bounds bounds;
    struct user_record *user_records;
    struct thread_record *thread_records;
    size_t record_count;
    struct append_result appended;
    struct message_page page;
    struct message_place place;
    struct token_record token;
};

struct fake_store {
    struct store port;
    const struct clock *clock;
    struct store_sink *sink;
    struct call *calls;
    struct call **calls_end;
    enum err fail_next;
    enum err outage;
    bool closing;
    struct cursor head;
    struct cursor oldest;
    struct fake_user users[USERS_MAX];
    struct fake_thread threads[THREADS_MAX];
    struct fake_token tokens[TOKENS_MAX];
    struct message *messages[MESSAGES_MAX];
    size_t user_count, thread_count, token_count, message_count;
    size_t announced; /* messages before this place were */
    bool away;        /* start is not answered */
    bool holds_news;
    int64_t version;
    struct fake_user news[NEWS_MAX]; /* changes of users not announced yet, as they were then */
    size_t news_count;
};

/* --- scratch ---------------------------------------------------------------------------------------------------- */

static void *scratch_alloc(struct block **scratch, size_t size)
{
    struct block *block = calloc(1, sizeof(*block) + size);
    assert(block);
    block->next = *scratch;
    *scratch = block;
    return block->bytes;
}

static struct span scratch_copy(struct block **scratch, struct span text)
{
    if (!text.data)
        return text;
    char *copy = scratch_alloc(scratch, text.len);
    memcpy(copy, text.data, text.len);
    return (struct span){copy, text.len};
}

static void scratch_free(struct block *scratch)
{
    while (scratch) {
        struct block *next = scratch->next;
        free(scratch);
        scratch = next;
    }
}

/* --- what there is ---------------------------------------------------------------------------------------------- */

static void set_text(char *to, size_t size, struct span text)
{
    assert(text.len < size);
    if (text.len)
        memcpy(to, text.data, text.len);
    to[text.len] = '\0';
}

static struct fake_user *user_of(struct fake_store *store, struct span id)
{
    for (size_t i = 0; i < store->user_count; i++)
        if (span_is(id, store->users[i].id))
            return &store->users[i];
    return NULL;
}

static struct fake_thread *thread_of(struct fake_store *store, struct id id)
{
    for (size_t i = 0; i < store->thread_count; i++)
        if (id_equal(store->threads[i].id, id))
            return &store->threads[i];
    return NULL;
}

static struct fake_member *member_of(struct fake_thread *thread, struct span user)
{
    for (size_t i = 0; thread && i < thread->member_count; i++)
        if (span_is(user, thread->members[i].user->id))
            return &thread->members[i];
    return NULL;
}

static struct fake_token *token_of(struct fake_store *store, struct id id)
{
    for (size_t i = 0; i < store->token_count; i++)
        if (store->tokens[i].user[0] && id_equal(store->tokens[i].id, id))
            return &store->tokens[i];
    return NULL;
}

static struct message *message_of(const struct fake_store *store, struct id id)
{
    for (size_t i = 0; i < store->message_count; i++)
        if (id_equal(store->messages[i]->fields.id, id))
            return store->messages[i];
    return NULL;
}

static bool is_available(const struct fake_user *user)
{
    return user->here || user->elsewhere;
}

static bool is_idle(const struct fake_user *user)
{
    return is_available(user) && user->here != LEASE_HELD && user->elsewhere != LEASE_HELD;
}

static struct user_record record_of_user(struct block **scratch, const struct fake_user *user)
{
    return (struct user_record){.id = scratch_copy(scratch, span_of(user->id)),
                                .name = scratch_copy(scratch, span_of(user->name)),
                                .status = scratch_copy(scratch, span_of(user->status)),
                                .show = user->show,
                                .available = user->version && is_available(user),
                                .idle = user->version && is_idle(user),
                                .overtook = user->overtook,
                                .version = user->version};
}

static struct thread_record record_of_thread(struct block **scratch, const struct fake_thread *thread)
{
    size_t count = thread->member_count;
    struct member_record *members = scratch_alloc(scratch, count * sizeof(*members));
    for (size_t i = 0; i < count; i++) {
        const struct fake_member *member = &thread->members[i];
        members[i] = (struct member_record){record_of_user(scratch, member->user), member->role, member->joined};
    }
    struct span room = thread->room[0] ? scratch_copy(scratch, span_of(thread->room)) : (struct span){0};
    return (struct thread_record){thread->id, room, members, count, NULL};
}

/* --- announcing ------------------------------------------------------------------------------------------------- */

static void announce_messages(struct fake_store *store)
{
    while (store->announced < store->message_count) {
        struct message *message = store->messages[store->announced++];
        unsigned busy = fake_store_busy;
        fake_store_busy = 0;
        store->sink->message(store->sink, message);
        fake_store_busy = busy;
    }
}

static void announce_thread_alone(struct fake_store *store, const struct fake_thread *thread, struct span left)
{
    struct block *scratch = NULL;
    unsigned busy = fake_store_busy;
    fake_store_busy = 1;
    struct thread_record record = record_of_thread(&scratch, thread);
    fake_store_busy = 0;
    store->sink->thread(store->sink, &record, left);
    fake_store_busy = busy;
    scratch_free(scratch);
}

static void announce_thread(struct fake_store *store, const struct fake_thread *thread, struct span left)
{
    announce_messages(store);
    announce_thread_alone(store, thread, left);
}

static void announce_user(struct fake_store *store, const struct fake_user *user)
{
    struct block *scratch = NULL;
    unsigned busy = fake_store_busy;
    fake_store_busy = 1;
    struct user_record record = record_of_user(&scratch, user);
    fake_store_busy = 0;
    store->sink->user(store->sink, &record);
    fake_store_busy = busy;
    scratch_free(scratch);
}

static void announce_news(struct fake_store *store)
{
    for (size_t i = 0; i < store->news_count; i++)
        announce_user(store, &store->news[i]);
    store->news_count = 0;
}

/* The user has changed. */
static void note_change(struct fake_store *store, struct fake_user *user)
{
    if (!store->version)
        return;
    assert(store->news_count < NEWS_MAX);
    user->version = ++store->version;
    store->news[store->news_count++] = *user;
}

/* --- the queue -------------------------------------------------------------------------------------------------- */

static struct fake_store *of_port(struct store *port)
{
    return (struct fake_store *)port;
}

static struct call *call_new(struct store *port, void (*run)(struct fake_store *, struct call *),
                             void (*answer)(struct call *), void *ctx)
{
    struct fake_store *store = of_port(port);
    assert(!store->closing);
    fake_store_busy += 1;
    struct call *call = calloc(1, sizeof(*call));
    fake_store_busy -= 1;
    assert(call);
    call->run = run;
    call->answer = answer;
    call->ctx = ctx;
    call->err = store->fail_next;
    store->fail_next = OK;
    *store->calls_end = call;
    store->calls_end = &call->next;
    return call;
}

static struct span call_copy(struct call *call, struct span text)
{
    fake_store_busy += 1;
    struct span copy = scratch_copy(&call->scratch, text);
    fake_store_busy -= 1;
    return copy;
}

static void run_close(struct fake_store *store, struct call *call);

static void call_run(struct fake_store *store, struct call *call)
{
    if (call->has_run)
        return;
    call->has_run = true;
    if (!call->err && call->run != run_close)
        call->err = store->outage;
    fake_store_busy += 1;
    if (!call->err)
        call->run(store, call);
    fake_store_busy -= 1;
}

static void call_free(struct call *call)
{
    for (size_t i = 0; i < call->page.count; i++)
        message_unref(call->page.messages[i]);
    scratch_free(call->scratch);
    message_unref(call->message);
    free(call);
}

static void run_start(struct fake_store *store, struct call *call);

/* The store is away, and nobody closes it. */
static bool waits_for_store(const struct fake_store *store)
{
    return store->away && store->calls && store->calls->run == run_start && !store->closing;
}

bool fake_store_step(struct fake_store *store)
{
    if (store->sink && !store->holds_news)
        announce_news(store);
    struct call *call = store->calls;
    if (!call || waits_for_store(store))
        return false;
    call_run(store, call);
    if (store->sink && !store->holds_news)
        announce_news(store);
    store->calls = call->next;
    if (!store->calls)
        store->calls_end = &store->calls;
    bool closed = call->run == run_close;
    if (closed)
        free(store);
    call->answer(call);
    call_free(call);
    return !closed;
}

void fake_store_settle(struct fake_store *store)
{
    while (fake_store_step(store)) {
    }
}

size_t fake_store_pending(const struct fake_store *store)
{
    size_t count = 0;
    for (const struct call *call = store->calls; call && !waits_for_store(store); call = call->next)
        count++;
    return count + (store->holds_news ? 0 : store->news_count);
}

void fake_store_fail_next(struct fake_store *store, enum err err)
{
    store->fail_next = err;
}

void fake_store_outage(struct fake_store *store, enum err err)
{
    store->outage = err;
}

static bool fake_ready(const struct store *port, const char **ret_reason)
{
    const struct fake_store *store = (const struct fake_store *)port;
    if (store->outage)
        *ret_reason = err_sentence(store->outage);
    else if (store->away && store->sink)
        *ret_reason = "the fake store is away";
    return !store->outage && !(store->away && store->sink);
}

/* --- start and end ---------------------------------------------------------------------------------------------- */

static void run_start(struct fake_store *store, struct call *call)
{
    if (store->away)
        call->err = ERR_STORE;
    call->bounds = (struct store_bounds){store->head, store->oldest, store->version};
}

static void answer_bounds(struct call *call)
{
    call->done.bounds(call->ctx, call->err, call->err ? NULL : &call->bounds);
}

static void fake_start(struct store *port, struct store_sink *sink, store_bounds_done *done, void *ctx)
{
    of_port(port)->sink = sink;
    call_new(port, run_start, answer_bounds, ctx)->done.bounds = done;
}

static void run_close(struct fake_store *store, struct call *call)
{
    assert(!call->next);
    for (size_t i = 0; i < store->message_count; i++)
        message_unref(store->messages[i]);
}

/* The last call of all: nothing of the store may be touched after it. */
static void answer_close(struct call *call)
{
    call->done.closed(call->ctx);
}

static void fake_close(struct store *port, void (*closed)(void *ctx), void *ctx)
{
    call_new(port, run_close, answer_close, ctx)->done.closed = closed;
    of_port(port)->closing = true;
}

/* --- users ------------------------------------------------------------------------------------------------------ */

static void give_user(struct call *call, const struct fake_user *user)
{
    call->user_records = scratch_alloc(&call->scratch, sizeof(*call->user_records));
    call->user_records[0] = record_of_user(&call->scratch, user);
    call->record_count = 1;
}

static struct fake_user *put_user(struct fake_store *store, struct span id, struct span name)
{
    struct fake_user *user = user_of(store, id);
    bool same = user && (!name.len || span_is(name, user->name));
    if (!user) {
        assert(store->user_count < USERS_MAX);
        user = &store->users[store->user_count++];
        set_text(user->id, sizeof(user->id), id);
    }
    if (name.len)
        set_text(user->name, sizeof(user->name), name);
    if (!same)
        note_change(store, user);
    return user;
}

static void run_user_put(struct fake_store *store, struct call *call)
{
    give_user(call, put_user(store, call->user, call->text));
}

static void answer_user(struct call *call)
{
    call->done.user(call->ctx, call->err, call->err ? NULL : call->user_records);
}

static void fake_user_put(struct store *port, struct span id, struct span name, store_user_done *done, void *ctx)
{
    struct call *call = call_new(port, run_user_put, answer_user, ctx);
    call->done.user = done;
    call->user = call_copy(call, id);
    call->text = call_copy(call, name);
}

static int by_id(const void *a, const void *b)
{
    const struct fake_user *const *left = a, *const *right = b;
    return strcmp((*left)->id, (*right)->id);
}

static void run_users_list(struct fake_store *store, struct call *call)
{
    const struct fake_user *sorted[USERS_MAX];
    for (size_t i = 0; i < store->user_count; i++)
        sorted[i] = &store->users[i];
    qsort(sorted, store->user_count, sizeof(sorted[0]), by_id);
    call->user_records = scratch_alloc(&call->scratch, USERS_MAX * sizeof(*call->user_records));
    for (size_t i = 0; i < store->user_count && call->record_count < call->limit; i++)
        if (!call->text.data || strncmp(sorted[i]->id, call->text.data, call->text.len) > 0)
            call->user_records[call->record_count++] = record_of_user(&call->scratch, sorted[i]);
}

static void answer_users(struct call *call)
{
    call->done.users(call->ctx, call->err, call->user_records, call->record_count);
}

static void fake_users_list(struct store *port, struct span after, size_t limit, store_users_done *done, void *ctx)
{
    struct call *call = call_new(port, run_users_list, answer_users, ctx);
    call->done.users = done;
    call->text = call_copy(call, after);
    call->limit = limit;
}

static void answer_plain(struct call *call)
{
    call->done.plain(call->ctx, call->err);
}

static void run_presence_put(struct fake_store *store, struct call *call)
{
    struct fake_user *user = user_of(store, call->user);
    if (!user) {
        call->err = ERR_NO_USER;
        return;
    }
    bool same = user->show == call->show && span_is(call->text, user->status);
    user->show = call->show;
    set_text(user->status, sizeof(user->status), call->text);
    if (!same)
        note_change(store, user);
    give_user(call, user);
}

static void fake_presence_put(struct store *port, struct span id, enum show show, struct span status,
                              store_user_done *done, void *ctx)
{
    struct call *call = call_new(port, run_presence_put, answer_user, ctx);
    call->done.user = done;
    call->user = call_copy(call, id);
    call->show = show;
    call->text = call_copy(call, status);
}

static void set_leases(struct fake_store *store, struct fake_user *user, enum lease here, enum lease elsewhere)
{
    struct fake_user before = *user;
    user->here = here;
    user->elsewhere = elsewhere;
    if (is_available(user) != is_available(&before) || is_idle(user) != is_idle(&before))
        note_change(store, user);
}

/* Idle leases go with the one that is ended. */
static void say_goodbye(struct fake_store *store, struct fake_user *user, enum lease here, enum lease elsewhere)
{
    set_leases(store, user, here == LEASE_IDLE ? LEASE_NONE : here, elsewhere == LEASE_IDLE ? LEASE_NONE : elsewhere);
}

/* Once the hub has started it has no other call under way whose place in the line would matter. */
static void fake_lease(struct store *port, struct span id, enum lease lease)
{
    struct fake_store *store = of_port(port);
    assert(!store->closing);
    struct fake_user *user = user_of(store, id);
    assert(user);
    if (lease == LEASE_GOODBYE)
        say_goodbye(store, user, LEASE_NONE, user->elsewhere);
    else
        set_leases(store, user, lease, user->elsewhere);
}

/* --- threads ---------------------------------------------------------------------------------------------------- */

static void give_thread(struct call *call, const struct fake_thread *thread)
{
    call->thread_records = scratch_alloc(&call->scratch, sizeof(*call->thread_records));
    call->thread_records[0] = record_of_thread(&call->scratch, thread);
    call->record_count = 1;
}

static void answer_thread(struct call *call)
{
    call->done.thread(call->ctx, call->err, call->err ? NULL : call->thread_records);
}

static enum err add_member(struct fake_store *store, struct fake_thread *thread, struct span id, enum role role,
                           size_t members_max)
{
    const struct fake_user *user = user_of(store, id);
    if (!user)
        return ERR_NO_USER;
    if (thread->member_count >= members_max)
        return ERR_TOO_MANY_MEMBERS;
    assert(thread->member_count < MEMBERS_MAX);
    thread->members[thread->member_count++] = (struct fake_member){.user = user, .role = role, .joined = store->head};
    return OK;
}

static struct fake_thread *thread_of_set(struct fake_store *store, const struct call *call)
{
    for (size_t i = 0; i < store->thread_count; i++) {
        struct fake_thread *thread = &store->threads[i];
        if (thread->room[0] || thread->member_count != call->user_count)
            continue;
        size_t found = 0;
        for (size_t k = 0; k < call->user_count; k++)
            found += member_of(thread, call->users[k]) != NULL;
        if (found == call->user_count)
            return thread;
    }
    return NULL;
}

/* A thread that is not in the list yet, so that a failure leaves nothing behind. */
static enum err make_thread(struct fake_store *store, const struct call *call)
{
    assert(store->thread_count < THREADS_MAX);
    struct fake_thread *thread = &store->threads[store->thread_count];
    *thread = (struct fake_thread){.id = call->id};
    set_text(thread->room, sizeof(thread->room), call->room);
    for (size_t i = 0; i < call->user_count; i++) {
        enum err err = add_member(store, thread, call->users[i], i ? ROLE_GUEST : ROLE_OWNER, call->limit);
        if (err)
            return err;
    }
    store->thread_count++;
    return OK;
}

/* Of whoever came into a room, or is in it and comes again. */
static void count_visit(struct fake_member *member, bool is_new, bool visit)
{
    if (is_new)
        member->visiting = visit;
    else if (!visit)
        member->visiting = false;
    member->visits += visit;
}

static void run_thread_open(struct fake_store *store, struct call *call)
{
    struct fake_thread *thread = call->room.data ? thread_of(store, call->id) : thread_of_set(store, call);
    bool changed = !thread || (call->room.data && !member_of(thread, call->users[0]));
    if (!thread)
        call->err = make_thread(store, call);
    else if (changed && call->members_only)
        call->err = ERR_FORBIDDEN;
    else if (changed)
        call->err =
            add_member(store, thread, call->users[0], thread->member_count ? ROLE_GUEST : ROLE_OWNER, call->limit);
    if (call->err)
        return;
    if (!thread)
        thread = &store->threads[store->thread_count - 1];
    if (call->room.data)
        count_visit(member_of(thread, call->users[0]), changed, call->visit);
    if (changed)
        announce_thread(store, thread, (struct span){0});
    give_thread(call, thread);
}

static void fake_thread_open(struct store *port, const struct thread_request *request, store_thread_done *done,
                             void *ctx)
{
    struct call *call = call_new(port, run_thread_open, answer_thread, ctx);
    call->done.thread = done;
    call->id = request->id;
    call->room = call_copy(call, request->room);
    call->limit = request->members_max;
    call->members_only = request->members_only;
    call->visit = request->visit;
    call->user_count = request->user_count;
    fake_store_busy += 1;
    call->users = scratch_alloc(&call->scratch, request->user_count * sizeof(*call->users));
    fake_store_busy -= 1;
    for (size_t i = 0; i < request->user_count; i++)
        call->users[i] = call_copy(call, request->users[i]);
}

static void run_thread_get(struct fake_store *store, struct call *call)
{
    const struct fake_thread *thread = thread_of(store, call->id);
    if (thread)
        give_thread(call, thread);
    else
        call->err = ERR_NO_THREAD;
}

static void fake_thread_get(struct store *port, struct id thread, store_thread_done *done, void *ctx)
{
    struct call *call = call_new(port, run_thread_get, answer_thread, ctx);
    call->done.thread = done;
    call->id = thread;
}

static void run_member_add(struct fake_store *store, struct call *call)
{
    struct fake_thread *thread = thread_of(store, call->id);
    if (!thread) {
        call->err = ERR_NO_THREAD;
        return;
    }
    if (!member_of(thread, call->user)) {
        call->err = add_member(store, thread, call->user, ROLE_GUEST, call->limit);
        if (call->err)
            return;
        announce_thread(store, thread, (struct span){0});
    }
    member_of(thread, call->user)->visiting = false;
    give_thread(call, thread);
}

static void fake_member_add(struct store *port, struct id thread, struct span user, size_t members_max,
                            store_thread_done *done, void *ctx)
{
    struct call *call = call_new(port, run_member_add, answer_thread, ctx);
    call->done.thread = done;
    call->id = thread;
    call->user = call_copy(call, user);
    call->limit = members_max;
}

static void keep_an_owner(struct fake_thread *thread)
{
    for (size_t i = 0; i < thread->member_count; i++)
        if (thread->members[i].role == ROLE_OWNER)
            return;
    if (thread->member_count)
        thread->members[0].role = ROLE_OWNER;
}

static void remove_member(struct fake_thread *thread, struct fake_member *member)
{
    const struct fake_member *end = thread->members + thread->member_count;
    memmove(member, member + 1, (size_t)(end - member - 1) * sizeof(*member));
    thread->member_count--;
    keep_an_owner(thread);
}

static void run_member_remove(struct fake_store *store, struct call *call)
{
    struct fake_thread *thread = thread_of(store, call->id);
    struct fake_member *member = member_of(thread, call->user);
    if (!member) {
        call->err = ERR_NO_THREAD;
        return;
    }
    remove_member(thread, member);
    announce_thread(store, thread, call->user);
    give_thread(call, thread);
}

static void fake_member_remove(struct store *port, struct id thread, struct span user, store_thread_done *done,
                               void *ctx)
{
    struct call *call = call_new(port, run_member_remove, answer_thread, ctx);
    call->done.thread = done;
    call->id = thread;
    call->user = call_copy(call, user);
}

static void run_visit_end(struct fake_store *store, struct call *call)
{
    struct fake_thread *thread = thread_of(store, call->id);
    struct fake_member *member = member_of(thread, call->user);
    if (!member) {
        call->err = ERR_NO_THREAD;
        return;
    }
    member->visits -= member->visiting && member->visits;
    if (member->visiting && !member->visits && !call->stays)
        run_member_remove(store, call);
    else
        give_thread(call, thread);
}

static void fake_visit_end(struct store *port, struct id thread, struct span user, bool stays, store_thread_done *done,
                           void *ctx)
{
    struct call *call = call_new(port, run_visit_end, answer_thread, ctx);
    call->done.thread = done;
    call->id = thread;
    call->user = call_copy(call, user);
    call->stays = stays;
}

static struct message *last_of(const struct fake_store *store, struct id thread)
{
    for (size_t i = store->message_count; i > 0; i--)
        if (id_equal(store->messages[i - 1]->fields.thread, thread))
            return store->messages[i - 1];
    return NULL;
}

static void run_threads_of(struct fake_store *store, struct call *call)
{
    call->thread_records = scratch_alloc(&call->scratch, THREADS_MAX * sizeof(*call->thread_records));
    for (size_t i = 0; i < store->thread_count; i++) {
        struct fake_thread *thread = &store->threads[i];
        if (!member_of(thread, call->user))
            continue;
        struct thread_record *record = &call->thread_records[call->record_count++];
        *record = record_of_thread(&call->scratch, thread);
        record->last = call->with_last ? last_of(store, thread->id) : NULL;
    }
}

static void answer_threads(struct call *call)
{
    call->done.threads(call->ctx, call->err, call->thread_records, call->record_count);
}

static void fake_threads_of(struct store *port, struct span user, bool with_last, store_threads_done *done, void *ctx)
{
    struct call *call = call_new(port, run_threads_of, answer_threads, ctx);
    call->done.threads = done;
    call->user = call_copy(call, user);
    call->with_last = with_last;
}

/* --- messages --------------------------------------------------------------------------------------------------- */

static void log_message(struct fake_store *store, struct message *message)
{
    assert(store->message_count < MESSAGES_MAX);
    store->head.major++;
    message->cursor = store->head;
    store->messages[store->message_count++] = message_ref(message);
}

static void run_append(struct fake_store *store, struct call *call)
{
    struct message *message = call->message;
    const struct message *first = message_of(store, message->fields.id);
    if (first && !span_equal(first->fields.sender, message->fields.sender)) {
        call->err = ERR_CONFLICT;
        return;
    }
    if (!first && !member_of(thread_of(store, message->fields.thread), message->fields.sender)) {
        call->err = ERR_NO_THREAD;
        return;
    }
    if (!first)
        log_message(store, message);
    announce_messages(store);
    const struct message *of = first ? first : message;
    call->appended = (struct append_result){of->fields.id, of->fields.thread, of->cursor, first != NULL};
}

static void answer_append(struct call *call)
{
    call->done.append(call->ctx, call->err, call->err ? NULL : &call->appended);
}

static void fake_append(struct store *port, struct message *message, store_append_done *done, void *ctx)
{
    struct call *call = call_new(port, run_append, answer_append, ctx);
    call->done.append = done;
    call->message = message_ref(message);
}

static void run_message_find(struct fake_store *store, struct call *call)
{
    const struct message *message = message_of(store, call->id);
    if (message)
        call->place = (struct message_place){message->fields.thread, message->cursor};
    else
        call->err = ERR_NOT_FOUND;
}

static void answer_place(struct call *call)
{
    call->done.place(call->ctx, call->err, call->err ? NULL : &call->place);
}

static void fake_message_find(struct store *port, struct id message, store_message_done *done, void *ctx)
{
    struct call *call = call_new(port, run_message_find, answer_place, ctx);
    call->done.place = done;
    call->id = message;
}

static void start_page(struct fake_store *store, struct call *call)
{
    call->page = (struct message_page){.messages = scratch_alloc(&call->scratch, call->limit * sizeof(void *)),
                                       .head = store->head,
                                       .oldest = store->oldest};
}

static void run_history(struct fake_store *store, struct call *call)
{
    if (!member_of(thread_of(store, call->id), call->user)) {
        call->err = ERR_NO_THREAD;
        return;
    }
    start_page(store, call);
    struct message **messages = (struct message **)call->page.messages;
    for (size_t i = store->message_count; i > 0; i--) {
        struct message *message = store->messages[i - 1];
        if (!id_equal(message->fields.thread, call->id) ||
            (call->cursor.major && cursor_compare(message->cursor, call->cursor) >= 0))
            continue;
        call->page.more = call->page.count == call->limit;
        if (call->page.more)
            break;
        memmove(messages + 1, messages, call->page.count * sizeof(*messages));
        messages[0] = message_ref(message);
        call->page.count++;
    }
}

static void answer_page(struct call *call)
{
    call->done.page(call->ctx, call->err, call->err ? NULL : &call->page);
}

static void fake_history(struct store *port, struct id thread, struct span user, struct cursor before, size_t limit,
                         store_page_done *done, void *ctx)
{
    struct call *call = call_new(port, run_history, answer_page, ctx);
    call->done.page = done;
    call->id = thread;
    call->user = call_copy(call, user);
    call->cursor = before;
    call->limit = limit;
}

static bool is_missed(struct fake_store *store, const struct call *call, const struct message *message)
{
    const struct fake_member *member = member_of(thread_of(store, message->fields.thread), call->user);
    return member && cursor_compare(message->cursor, call->cursor) > 0 &&
           cursor_compare(message->cursor, member->joined) > 0;
}

static void run_replay(struct fake_store *store, struct call *call)
{
    start_page(store, call);
    call->page.gap = cursor_compare(call->cursor, store->oldest) < 0;
    struct message **messages = (struct message **)call->page.messages;
    size_t bytes = 0;
    for (size_t i = 0; i < store->message_count; i++) {
        if (!is_missed(store, call, store->messages[i]))
            continue;
        call->page.more = call->page.count == call->limit || bytes >= call->bytes_max;
        if (call->page.more)
            break;
        messages[call->page.count++] = message_ref(store->messages[i]);
        bytes += store->messages[i]->fields.text.len;
    }
}

bool fake_store_read_ahead(struct fake_store *store)
{
    if (!store->calls || (store->calls->run != run_replay && store->calls->run != run_threads_of))
        return false;
    call_run(store, store->calls);
    return true;
}

static void fake_replay(struct store *port, struct span user, struct cursor since, size_t count_max, size_t bytes_max,
                        store_page_done *done, void *ctx)
{
    struct call *call = call_new(port, run_replay, answer_page, ctx);
    call->done.page = done;
    call->user = call_copy(call, user);
    call->cursor = since;
    call->limit = count_max;
    call->bytes_max = bytes_max;
}

/* --- tokens ----------------------------------------------------------------------------------------------------- */

static void run_token_put(struct fake_store *store, struct call *call)
{
    assert(store->token_count < TOKENS_MAX);
    struct fake_token *token = &store->tokens[store->token_count++];
    token->id = call->id;
    token->expires_us = call->expires_us;
    set_text(token->user, sizeof(token->user), call->user);
}

static void fake_token_put(struct store *port, struct id token, struct span user, int64_t expires_us, store_done *done,
                           void *ctx)
{
    struct call *call = call_new(port, run_token_put, answer_plain, ctx);
    call->done.plain = done;
    call->id = token;
    call->user = call_copy(call, user);
    call->expires_us = expires_us;
}

static void run_token_get(struct fake_store *store, struct call *call)
{
    const struct fake_token *token = token_of(store, call->id);
    if (!token || token->expires_us <= clock_wall_us(store->clock))
        call->err = ERR_NO_TOKEN;
    else
        call->token = (struct token_record){scratch_copy(&call->scratch, span_of(token->user)), token->expires_us};
}

static void answer_token(struct call *call)
{
    call->done.token(call->ctx, call->err, call->err ? NULL : &call->token);
}

static void fake_token_get(struct store *port, struct id token, store_token_done *done, void *ctx)
{
    struct call *call = call_new(port, run_token_get, answer_token, ctx);
    call->done.token = done;
    call->id = token;
}

static void run_token_delete(struct fake_store *store, struct call *call)
{
    struct fake_token *token = token_of(store, call->id);
    if (token)
        token->user[0] = '\0';
}

static void fake_token_delete(struct store *port, struct id token, store_done *done, void *ctx)
{
    struct call *call = call_new(port, run_token_delete, answer_plain, ctx);
    call->done.plain = done;
    call->id = token;
}

/* --- what tests do ---------------------------------------------------------------------------------------------- */

static const struct store_ops fake_ops = {
    .start = fake_start,
    .close = fake_close,
    .user_put = fake_user_put,
    .users_list = fake_users_list,
    .presence_put = fake_presence_put,
    .lease = fake_lease,
    .thread_open = fake_thread_open,
    .thread_get = fake_thread_get,
    .member_add = fake_member_add,
    .member_remove = fake_member_remove,
    .visit_end = fake_visit_end,
    .threads_of = fake_threads_of,
    .append = fake_append,
    .message_find = fake_message_find,
    .history = fake_history,
    .replay = fake_replay,
    .token_put = fake_token_put,
    .token_get = fake_token_get,
    .token_delete = fake_token_delete,
    .ready = fake_ready,
};

struct fake_store *fake_store_new(const struct clock *clock)
{
    struct fake_store *store = calloc(1, sizeof(*store));
    assert(store);
    store->port.ops = &fake_ops;
    store->clock = clock;
    store->calls_end = &store->calls;
    return store;
}

struct store *fake_store_port(struct fake_store *store)
{
    return &store->port;
}

bool fake_store_member(struct fake_store *store, struct id thread, struct span user, struct cursor *ret_joined)
{
    const struct fake_member *member = member_of(thread_of(store, thread), user);
    if (member)
        *ret_joined = member->joined;
    return member;
}

void fake_store_members(struct fake_store *store, struct id id,
                        void (*visit)(void *ctx, const char *user, enum role role), void *ctx)
{
    const struct fake_thread *thread = thread_of(store, id);
    for (size_t i = 0; thread && i < thread->member_count; i++)
        visit(ctx, thread->members[i].user->id, thread->members[i].role);
}

void fake_store_add_user(struct fake_store *store, const char *id, const char *name)
{
    (void)put_user(store, span_of(id), span_of(name));
}

struct cursor fake_store_head(const struct fake_store *store)
{
    return store->head;
}

void fake_store_set_head(struct fake_store *store, struct cursor head)
{
    assert(cursor_compare(head, store->head) >= 0);
    store->head = head;
}

void fake_store_prune(struct fake_store *store, struct cursor until)
{
    assert(cursor_compare(until, store->oldest) >= 0);
    size_t gone = 0;
    while (gone < store->announced && cursor_compare(store->messages[gone]->cursor, until) <= 0)
        message_unref(store->messages[gone++]);
    store->message_count -= gone;
    store->announced -= gone;
    memmove(store->messages, store->messages + gone, store->message_count * sizeof(store->messages[0]));
    store->oldest = until;
}

size_t fake_store_count(const struct fake_store *store)
{
    return store->message_count;
}

const struct message *fake_store_message(const struct fake_store *store, size_t at)
{
    assert(at < store->message_count);
    return store->messages[at];
}

void fake_store_send_elsewhere(struct fake_store *store, struct id thread, struct span sender, struct span text)
{
    assert(member_of(thread_of(store, thread), sender));
    struct message_fields fields = {
        .id = id_random(), .thread = thread, .time_us = clock_wall_us(store->clock), .sender = sender, .text = text};
    fake_store_busy += 1;
    struct message *message = message_new(&fields);
    fake_store_busy -= 1;
    assert(message);
    log_message(store, message);
    message_unref(message);
}

/* --- other nodes ------------------------------------------------------------------------------------------------ */

void fake_store_count_versions(struct fake_store *store)
{
    assert(!store->sink);
    store->version = FIRST_VERSION;
    for (size_t i = 0; i < store->user_count; i++)
        store->users[i].version = ++store->version;
}

int64_t fake_store_version(const struct fake_store *store)
{
    return store->version;
}

void fake_store_user(struct fake_store *store, const char *id, bool *ret_available, enum show *ret_show)
{
    const struct fake_user *user = user_of(store, span_of(id));
    assert(user);
    *ret_available = is_available(user);
    *ret_show = user->show;
}

bool fake_store_user_is_idle(struct fake_store *store, const char *id)
{
    const struct fake_user *user = user_of(store, span_of(id));
    assert(user);
    return is_idle(user);
}

enum lease fake_store_lease(struct fake_store *store, const char *id)
{
    const struct fake_user *user = user_of(store, span_of(id));
    assert(user);
    return user->here;
}

void fake_store_away(struct fake_store *store, bool away)
{
    store->away = away;
}

void fake_store_hold_news(struct fake_store *store, bool hold)
{
    store->holds_news = hold;
    if (!hold)
        announce_news(store);
}

void fake_store_overtake_news(struct fake_store *store)
{
    size_t kept = 0;
    for (size_t i = 0; i < store->news_count; i++) {
        bool last = true;
        for (size_t k = i + 1; k < store->news_count; k++)
            last = last && strcmp(store->news[k].id, store->news[i].id) != 0;
        if (!last)
            continue;
        store->news[kept] = store->news[i];
        store->news[kept++].overtook = true;
    }
    store->news_count = kept;
}

void fake_store_lease_elsewhere(struct fake_store *store, const char *id, enum lease lease)
{
    struct fake_user *user = put_user(store, span_of(id), (struct span){0});
    if (lease == LEASE_GOODBYE)
        say_goodbye(store, user, user->here, LEASE_NONE);
    else
        set_leases(store, user, user->here, lease);
}

void fake_store_attend_elsewhere(struct fake_store *store, const char *id, bool attends)
{
    fake_store_lease_elsewhere(store, id, attends ? LEASE_HELD : LEASE_NONE);
}

void fake_store_set_elsewhere(struct fake_store *store, const char *id, const char *name, enum show show,
                              const char *status)
{
    struct fake_user *user = put_user(store, span_of(id), (struct span){0});
    set_text(user->name, sizeof(user->name), span_of(name));
    set_text(user->status, sizeof(user->status), span_of(status));
    user->show = show;
    note_change(store, user);
}

void fake_store_join_elsewhere(struct fake_store *store, struct id id, const char *user)
{
    (void)put_user(store, span_of(user), (struct span){0});
    struct fake_thread *thread = thread_of(store, id);
    assert(thread && !member_of(thread, span_of(user)));
    enum err err = add_member(store, thread, span_of(user), ROLE_GUEST, MEMBERS_MAX);
    assert(!err);
    announce_thread_alone(store, thread, (struct span){0});
}

void fake_store_leave_elsewhere(struct fake_store *store, struct id id, const char *user)
{
    struct fake_thread *thread = thread_of(store, id);
    remove_member(thread, member_of(thread, span_of(user)));
    announce_thread_alone(store, thread, span_of(user));
}

const char *fake_store_leases(const struct fake_store *store)
{
    static char text[USERS_MAX * (ID_SIZE + 1)];
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < store->user_count; i++) {
        if (!store->users[i].here)
            continue;
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s%s", len ? "," : "", store->users[i].id,
                                store->users[i].here == LEASE_IDLE ? "?" : "");
    }
    return text;
}

struct store_sink *fake_store_sink(struct fake_store *store)
{
    return store->sink;
}

void fake_store_reset(struct fake_store *store, struct cursor head, int64_t version)
{
    while (store->message_count && cursor_compare(store->messages[store->message_count - 1]->cursor, head) > 0)
        message_unref(store->messages[--store->message_count]);
    store->announced = store->message_count;
    store->head = head;
    store->news_count = 0;
    if (version)
        store->version = version;
    for (size_t i = 0; version && i < store->user_count; i++)
        if (store->users[i].version > version)
            store->users[i].version = version;
    struct store_bounds bounds = {store->head, store->oldest, store->version};
    store->sink->reset(store->sink, &bounds);
}

void fake_store_tail(struct fake_store *store)
{
    announce_messages(store);
}

void fake_store_end_token_elsewhere(struct fake_store *store, struct id token)
{
    struct fake_token *of = token_of(store, token);
    assert(of);
    of->user[0] = '\0';
    store->sink->token_ended(store->sink, token);
}
