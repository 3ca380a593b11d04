/* SPDX-License-Identifier: MIT */
/* The harness of the store suite. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 64, MEMBERS_MAX = 1000 };

static int64_t shared_now_ms(const struct clock *clock)
{
    return clock->wall_us(clock) / 1000;
}

static int64_t shared_wall_us(const struct clock *clock)
{
    return atomic_load(&container_of(clock, struct shared_clock, clock)->wall_us);
}

void harness_turn(struct harness *h)
{
    loop_turn(h->loop, h->peer ? 1 : 100);
    if (h->peer)
        loop_turn(h->peer->loop, 1);
}

void settle(struct harness *h)
{
    wait_until(h, h->answered == h->asked);
}

void pass_us(struct harness *h, int64_t us)
{
    h->clock.wall_us += us;
    if (h->factory->pass)
        h->factory->pass(h->factory, us);
}

void *ask(struct harness *h)
{
    h->asked++;
    return h;
}

static size_t split_names(const char *names, struct span list[NAMES_MAX])
{
    size_t count = 0;
    while (*names) {
        size_t len = strcspn(names, " ");
        assert_true(count < NAMES_MAX);
        list[count++] = (struct span){names, len};
        names += len + strspn(names + len, " ");
    }
    return count;
}

/* --- what the store says ---------------------------------------------------------------------------------------- */

static struct harness *answer(void *ctx, enum err err)
{
    struct harness *h = ctx;
    h->answered++;
    h->got.err = err;
    buf_printf(&h->journal, err ? "done %s; " : "done; ", err_word(err));
    return h;
}

static void copy_text(char *to, size_t size, struct span text)
{
    assert_true(text.len < size);
    if (text.len)
        memcpy(to, text.data, text.len);
    to[text.len] = '\0';
}

void on_plain(void *ctx, enum err err)
{
    (void)answer(ctx, err);
}

static void keep_user(struct harness *h, const struct user_record *user)
{
    copy_text(h->got.user.id, sizeof(h->got.user.id), user->id);
    copy_text(h->got.user.name, sizeof(h->got.user.name), user->name);
    copy_text(h->got.user.status, sizeof(h->got.user.status), user->status);
    h->got.user.show = user->show;
    h->got.user.available = user->available;
    h->got.user.idle = user->idle;
    assert_true(user->available || !user->idle);
    h->got.user.version = user->version;
}

void on_user(void *ctx, enum err err, const struct user_record *user)
{
    struct harness *h = answer(ctx, err);
    assert_int_equal(err == OK, user != NULL);
    if (user)
        keep_user(h, user);
}

void on_users(void *ctx, enum err err, const struct user_record *users, size_t count)
{
    struct harness *h = answer(ctx, err);
    buf_reset(&h->got.users);
    for (size_t i = 0; i < count; i++) {
        buf_add(&h->got.users, users[i].id);
        buf_add_char(&h->got.users, ' ');
        keep_user(h, &users[i]);
    }
}

static void describe_members(struct buf *text, const struct thread_record *thread)
{
    for (size_t i = 0; i < thread->member_count; i++) {
        buf_add_text(text, i ? " " : "");
        buf_add(text, thread->members[i].user.id);
        buf_add_text(text, thread->members[i].role == ROLE_OWNER ? "*" : "");
    }
}

void on_thread(void *ctx, enum err err, const struct thread_record *thread)
{
    struct harness *h = answer(ctx, err);
    assert_int_equal(err == OK, thread != NULL);
    buf_reset(&h->got.members);
    buf_reset(&h->got.room);
    if (!thread)
        return;
    h->got.thread = thread->id;
    h->got.member_count = thread->member_count;
    if (thread->member_count) {
        keep_user(h, &thread->members[0].user);
        h->got.joined = thread->members[thread->member_count - 1].joined;
    }
    buf_add(&h->got.room, thread->room);
    describe_members(&h->got.members, thread);
}

void on_threads(void *ctx, enum err err, const struct thread_record *threads, size_t count)
{
    struct harness *h = answer(ctx, err);
    buf_reset(&h->got.threads);
    for (size_t i = 0; i < count; i++) {
        describe_members(&h->got.threads, &threads[i]);
        buf_add_text(&h->got.threads, ": ");
        if (threads[i].last)
            buf_add(&h->got.threads, threads[i].last->fields.text);
        buf_add_text(&h->got.threads, "; ");
    }
}

void on_append(void *ctx, enum err err, const struct append_result *result)
{
    struct harness *h = answer(ctx, err);
    assert_int_equal(err == OK, result != NULL);
    if (result)
        h->got.append = *result;
}

static void forget_kept(struct harness *h)
{
    while (h->got.kept_count)
        message_unref(h->got.kept[--h->got.kept_count]);
}

void on_page(void *ctx, enum err err, const struct message_page *page)
{
    struct harness *h = answer(ctx, err);
    assert_int_equal(err == OK, page != NULL);
    buf_reset(&h->got.texts);
    forget_kept(h);
    h->got.page = (struct message_page){0};
    if (!page)
        return;
    /* One position for all: what has been announced is what the reader was shown, and the other way round. */
    if (h->ahead_expected)
        assert_true(cursor_compare(page->head, h->head) >= 0);
    else
        assert_cursor(page->head, h->head);
    h->got.page = *page;
    h->got.page.messages = NULL;
    for (size_t i = 0; i < page->count; i++) {
        buf_add_text(&h->got.texts, i ? "|" : "");
        buf_add(&h->got.texts, page->messages[i]->fields.text);
        if (i < KEPT_MAX)
            h->got.kept[h->got.kept_count++] = message_ref(page->messages[i]);
    }
}

void on_message(void *ctx, enum err err, const struct message_place *place)
{
    struct harness *h = answer(ctx, err);
    assert_int_equal(err == OK, place != NULL);
    h->got.place = place ? *place : (struct message_place){0};
    /* What is found has been announced. */
    if (place && !h->ahead_expected)
        assert_true(cursor_compare(place->cursor, h->head) <= 0);
}

void on_token(void *ctx, enum err err, const struct token_record *token)
{
    struct harness *h = answer(ctx, err);
    assert_int_equal(err == OK, token != NULL);
    if (!token)
        return;
    copy_text(h->got.token_user, sizeof(h->got.token_user), token->user);
    h->got.token_expires_us = token->expires_us;
}

void on_bounds(void *ctx, enum err err, const struct store_bounds *bounds)
{
    struct harness *h = answer(ctx, err);
    assert_int_equal(err, OK);
    h->got.bounds = *bounds;
    h->head = bounds->head;
    h->version = bounds->version;
}

static void on_message_announced(struct store_sink *sink, struct message *message)
{
    struct harness *h = container_of(sink, struct harness, sink);
    assert_true(cursor_compare(message->cursor, h->head) > 0);
    h->head = message->cursor;
    message_unref(h->heard);
    h->heard = message_ref(message);
    buf_add(&h->told, (struct span){(const char *)&message->fields.id, sizeof(message->fields.id)});
    buf_add_text(&h->journal, "message ");
    buf_add(&h->journal, message->fields.text);
    buf_add_text(&h->journal, "; ");
}

static void on_thread_announced(struct store_sink *sink, const struct thread_record *thread, struct span left)
{
    struct harness *h = container_of(sink, struct harness, sink);
    buf_add_text(&h->journal, "thread ");
    describe_members(&h->journal, thread);
    if (left.len) {
        buf_add_text(&h->journal, " without ");
        buf_add(&h->journal, left);
    }
    buf_add_text(&h->journal, "; ");
}

static void on_token_ended(struct store_sink *sink, struct id token)
{
    struct harness *h = container_of(sink, struct harness, sink);
    char text[ID_TEXT_SIZE];
    buf_printf(&h->journal, "token %s ended; ", id_format(token, text));
}

static void on_user_announced(struct store_sink *sink, const struct user_record *user)
{
    struct harness *h = container_of(sink, struct harness, sink);
    assert_true(user->version > h->version);
    h->version = user->version;
    h->overtook += user->overtook;
    buf_add(&h->user_events, user->id);
    if (user->name.len)
        buf_printf(&h->user_events, " (%.*s)", (int)user->name.len, user->name.data);
    const char *there = user->idle ? "idle" : user->available ? "on" : "off";
    buf_printf(&h->user_events, " %s %s", there, show_word(user->show));
    if (user->status.len)
        buf_printf(&h->user_events, " \"%.*s\"", (int)user->status.len, user->status.data);
    buf_add_text(&h->user_events, "; ");
}

static void on_reset(struct store_sink *sink, const struct store_bounds *bounds)
{
    struct harness *h = container_of(sink, struct harness, sink);
    if (!h->reset_expected)
        fail_msg("the store was reset");
    h->got.bounds = *bounds;
    h->head = bounds->head;
    h->version = bounds->version;
    h->resets++;
}

static void on_leases_asked(struct store_sink *sink, void (*visit)(void *ctx, struct span user, enum lease lease),
                            void *ctx)
{
    struct harness *h = container_of(sink, struct harness, sink);
    const char *const names[] = {[LEASE_IDLE] = h->idle, [LEASE_HELD] = h->leased};
    for (enum lease lease = LEASE_IDLE; lease <= LEASE_HELD; lease++) {
        struct span list[NAMES_MAX];
        size_t count = split_names(names[lease] ? names[lease] : "", list);
        for (size_t i = 0; i < count; i++)
            visit(ctx, list[i], lease);
    }
}

static void on_tokens_asked(struct store_sink *sink, void (*visit)(void *ctx, struct id token, int64_t expires_us),
                            void *ctx)
{
    struct harness *h = container_of(sink, struct harness, sink);
    for (size_t i = 0; i < h->token_count; i++)
        visit(ctx, h->tokens[i], INT64_MAX);
}

/* --- start and end ---------------------------------------------------------------------------------------------- */

static void on_closed(void *ctx)
{
    struct harness *h = ctx;
    h->closed = true;
}

enum err try_open_store(struct harness *h)
{
    enum err err = h->factory->open(h->factory, h->loop, &h->options, &h->store);
    if (err)
        h->store = NULL;
    return err;
}

void open_store(struct harness *h)
{
    assert_ok(try_open_store(h));
    h->store->ops->start(h->store, &h->sink, on_bounds, ask(h));
    settle(h);
    buf_reset(&h->journal);
}

void close_store(struct harness *h)
{
    h->closed = false;
    h->store->ops->close(h->store, on_closed, h);
    assert_false(h->closed);
    wait_until(h, h->closed);
    h->store = NULL;
}

void reopen_store(struct harness *h)
{
    close_store(h);
    open_store(h);
}

struct harness *harness_new(struct store_factory *factory)
{
    struct harness *h = calloc(1, sizeof(*h));
    assert_non_null(h);
    h->factory = factory;
    h->loop = loop_new();
    assert_non_null(h->loop);
    h->sink = (struct store_sink){
        .message = on_message_announced,
        .thread = on_thread_announced,
        .token_ended = on_token_ended,
        .user = on_user_announced,
        .reset = on_reset,
        .leases = on_leases_asked,
        .tokens = on_tokens_asked,
    };
    h->clock = (struct shared_clock){.clock = {shared_now_ms, shared_wall_us}, .wall_us = 1700000000000000};
    h->options = (struct store_options){.durability = DURABILITY_OFF, .clock = &h->clock.clock};
    return h;
}

static void fini_answers(struct harness *h)
{
    forget_kept(h);
    message_unref(h->heard);
    buf_fini(&h->got.users);
    buf_fini(&h->got.room);
    buf_fini(&h->got.members);
    buf_fini(&h->got.threads);
    buf_fini(&h->got.texts);
    buf_fini(&h->journal);
    buf_fini(&h->told);
    buf_fini(&h->user_events);
    free(h->said);
}

void harness_free(struct harness *h)
{
    if (h->store)
        close_store(h);
    loop_free(h->loop);
    fini_answers(h);
    free(h);
}

static struct store_factory *suite_factory;

int case_setup(void **state)
{
    struct harness *h = harness_new(suite_factory);
    h->factory->wipe(h->factory);
    *state = h;
    open_store(h);
    return 0;
}

int case_teardown(void **state)
{
    struct harness *h = *state;
    struct store_factory *factory = h->factory;
    harness_free(h);
    factory->wipe(factory);
    return 0;
}

int suite_run(struct store_factory *factory, struct cases more)
{
    const struct cases *const lists[] = {&user_cases, &thread_cases, &log_cases, &replay_cases, &life_cases, &more};
    struct CMUnitTest all[256];
    size_t count = 0;
    suite_factory = factory;
    for (size_t i = 0; i < array_len(lists); i++)
        for (size_t j = 0; j < lists[i]->count && count < array_len(all); j++)
            all[count++] = lists[i]->tests[j];
    return _cmocka_run_group_tests("store", all, count, NULL, NULL);
}

/* --- calls that wait -------------------------------------------------------------------------------------------- */

static enum err answer_of(struct harness *h)
{
    settle(h);
    return h->got.err;
}

enum err put_user(struct harness *h, const char *id, const char *name)
{
    h->store->ops->user_put(h->store, span_of(id), span_of(name), on_user, ask(h));
    return answer_of(h);
}

enum err set_presence(struct harness *h, const char *id, enum show show, const char *status)
{
    h->store->ops->presence_put(h->store, span_of(id), show, span_of(status), on_user, ask(h));
    return answer_of(h);
}

enum err list_users(struct harness *h, const char *after, size_t limit)
{
    h->store->ops->users_list(h->store, span_of(after), limit, on_users, ask(h));
    return answer_of(h);
}

static const struct id room_space = {{1, 2, 3}};

static enum err request_thread(struct harness *h, const char *room, const char *names, size_t members_max,
                               bool members_only, bool visit)
{
    struct span list[NAMES_MAX];
    struct thread_request request = {
        .id = room ? id_of_name(room_space, span_of(room)) : id_random(),
        .room = span_of(room),
        .users = list,
        .user_count = split_names(names, list),
        .members_max = members_max,
        .members_only = members_only,
        .visit = visit,
    };
    h->store->ops->thread_open(h->store, &request, on_thread, ask(h));
    return answer_of(h);
}

enum err open_thread_max(struct harness *h, const char *room, const char *names, size_t members_max)
{
    return request_thread(h, room, names, members_max, false, false);
}

enum err open_members_room(struct harness *h, const char *room, const char *user, size_t members_max)
{
    return request_thread(h, room, user, members_max, true, false);
}

enum err visit_room(struct harness *h, const char *room, const char *user)
{
    return request_thread(h, room, user, MEMBERS_MAX, false, true);
}

enum err end_visit(struct harness *h, struct id thread, const char *user, bool stays)
{
    h->store->ops->visit_end(h->store, thread, span_of(user), stays, on_thread, ask(h));
    return answer_of(h);
}

enum err open_thread(struct harness *h, const char *names)
{
    return open_thread_max(h, NULL, names, MEMBERS_MAX);
}

enum err open_room(struct harness *h, const char *room, const char *user)
{
    return open_thread_max(h, room, user, MEMBERS_MAX);
}

enum err get_thread(struct harness *h, struct id thread)
{
    h->store->ops->thread_get(h->store, thread, on_thread, ask(h));
    return answer_of(h);
}

enum err add_member_max(struct harness *h, struct id thread, const char *user, size_t members_max)
{
    h->store->ops->member_add(h->store, thread, span_of(user), members_max, on_thread, ask(h));
    return answer_of(h);
}

enum err add_member(struct harness *h, struct id thread, const char *user)
{
    return add_member_max(h, thread, user, MEMBERS_MAX);
}

enum err remove_member(struct harness *h, struct id thread, const char *user)
{
    h->store->ops->member_remove(h->store, thread, span_of(user), on_thread, ask(h));
    return answer_of(h);
}

enum err list_threads(struct harness *h, const char *user, bool with_last)
{
    h->store->ops->threads_of(h->store, span_of(user), with_last, on_threads, ask(h));
    return answer_of(h);
}

enum err append_fields(struct harness *h, const struct message_fields *fields)
{
    struct message *message = message_new(fields);
    assert_non_null(message);
    h->store->ops->append(h->store, message, on_append, ask(h));
    enum err err = answer_of(h);
    if (!err)
        assert_int_equal(cursor_compare(message->cursor, h->got.append.cursor), 0);
    message_unref(message);
    return err;
}

struct message *draft(struct id id, struct id thread, const char *sender, const char *text)
{
    struct message_fields fields = {
        .id = id, .thread = thread, .time_us = 1, .sender = span_of(sender), .text = span_of(text)};
    struct message *message = message_new(&fields);
    assert_non_null(message);
    return message;
}

enum err append_as(struct harness *h, struct id id, struct id thread, const char *sender, const char *text)
{
    struct message_fields fields = {
        .id = id,
        .thread = thread,
        .time_us = h->clock.wall_us,
        .sender = span_of(sender),
        .text = span_of(text),
    };
    return append_fields(h, &fields);
}

enum err find_message(struct harness *h, struct id id)
{
    h->store->ops->message_find(h->store, id, on_message, ask(h));
    return answer_of(h);
}

enum err read_history(struct harness *h, struct id thread, const char *user, struct cursor before, size_t limit)
{
    h->store->ops->history(h->store, thread, span_of(user), before, limit, on_page, ask(h));
    return answer_of(h);
}

enum err read_replay(struct harness *h, const char *user, struct cursor since, size_t count_max, size_t bytes_max)
{
    h->store->ops->replay(h->store, span_of(user), since, count_max, bytes_max, on_page, ask(h));
    return answer_of(h);
}

enum err put_token(struct harness *h, struct id token, const char *user, int64_t expires_us)
{
    h->store->ops->token_put(h->store, token, span_of(user), expires_us, on_plain, ask(h));
    return answer_of(h);
}

enum err get_token(struct harness *h, struct id token)
{
    h->store->ops->token_get(h->store, token, on_token, ask(h));
    return answer_of(h);
}

enum err delete_token(struct harness *h, struct id token)
{
    h->store->ops->token_delete(h->store, token, on_plain, ask(h));
    return answer_of(h);
}

/* --- scenes ----------------------------------------------------------------------------------------------------- */

void make_users(struct harness *h, const char *names)
{
    struct span list[NAMES_MAX];
    size_t count = split_names(names, list);
    for (size_t i = 0; i < count; i++) {
        h->store->ops->user_put(h->store, list[i], SPAN_LITERAL(""), on_user, ask(h));
        assert_ok(answer_of(h));
    }
    buf_reset(&h->journal);
}

struct id thread_of(struct harness *h, const char *names)
{
    assert_ok(open_thread(h, names));
    buf_reset(&h->journal);
    return h->got.thread;
}

struct cursor say(struct harness *h, struct id thread, const char *sender, const char *text)
{
    assert_ok(append_as(h, id_random(), thread, sender, text));
    assert_false(h->got.append.repeated);
    buf_reset(&h->journal);
    return h->got.append.cursor;
}

static void on_said(void *ctx, enum err err, const struct append_result *result)
{
    struct harness *h = ctx;
    on_append(ctx, err, result);
    assert_ok(err);
    h->said[++h->said_count] = result->cursor;
}

struct cursor say_many(struct harness *h, struct id thread, const char *sender, int count)
{
    free(h->said);
    h->said = calloc((size_t)count + 1, sizeof(*h->said));
    assert_non_null(h->said);
    h->said_count = 0;
    for (int i = 1; i <= count; i++) {
        char text[16];
        (void)snprintf(text, sizeof(text), "%d", i);
        struct message_fields fields = {
            .id = id_random(),
            .thread = thread,
            .time_us = h->clock.wall_us,
            .sender = span_of(sender),
            .text = span_of(text),
        };
        struct message *message = message_new(&fields);
        assert_non_null(message);
        h->store->ops->append(h->store, message, on_said, ask(h));
        message_unref(message);
    }
    settle(h);
    buf_reset(&h->journal);
    return h->said[h->said_count];
}

void wait_for_oldest(struct harness *h, const char *user, struct cursor oldest)
{
    int64_t start_ms = loop_now_ms(h->loop);
    do {
        assert_ok(read_replay(h, user, at(0), 1, 1));
        char text[CURSOR_TEXT_SIZE];
        if (loop_now_ms(h->loop) - start_ms > DEADLINE_MS)
            fail_msg("retention stands at %s", cursor_format(h->got.page.oldest, text));
    } while (cursor_compare(h->got.page.oldest, oldest) < 0);
}
