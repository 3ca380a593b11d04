/* SPDX-License-Identifier: MIT */
/* A message that is durable reaches every session of every member, once and in order, and only then its sender hears
 * so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/metric.h"
#include "core/hub.h"
#include "lib/hub_rig.h"

/* A rig with alice, bob and carol, and a thread of the first two. */
static struct id stage(struct rig *rig, const struct hub_options *options)
{
    hub_rig_init_with(rig, options);
    assert_int_equal(hub_rig_meet(rig, "bob", NULL), OK);
    assert_int_equal(hub_rig_meet(rig, "carol", NULL), OK);
    return hub_rig_thread(rig, "alice,bob");
}

static void all_sessions_of_all_members_see_it_and_nobody_else(void **state)
{
    (void)state;
    struct rig rig;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    struct id thread = stage(&rig, &options);
    struct viewer phone = {0}, desk = {0}, bob = {0}, carol = {0};
    viewer_join(&phone, &rig, "alice");
    viewer_join(&desk, &rig, "alice");
    viewer_join(&bob, &rig, "bob");
    viewer_join(&carol, &rig, "carol");
    hub_rig_turn(&rig);
    viewer_skip(&phone);
    viewer_skip(&desk);
    viewer_skip(&bob);
    viewer_skip(&carol);

    int64_t in = metric_value(METRIC_MESSAGES_IN), out = metric_value(METRIC_MESSAGES_OUT);
    assert_int_equal(hub_rig_send(&rig, thread, "alice", "hi"), OK);
    assert_shown(&phone, "alice:hi");
    assert_shown(&desk, "alice:hi");
    assert_shown(&bob, "alice:hi");
    assert_shown(&carol, "");
    assert_int_equal(metric_value(METRIC_MESSAGES_IN) - in, 1);
    assert_int_equal(metric_value(METRIC_MESSAGES_OUT) - out, 3);
    viewer_leave(&phone);
    viewer_leave(&desk);
    viewer_leave(&bob);
    viewer_leave(&carol);
    hub_rig_fini(&rig);
}

static void they_come_in_the_order_of_the_log(void **state)
{
    (void)state;
    struct rig rig;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    struct id thread = stage(&rig, &options);
    struct viewer bob = {0};
    viewer_join(&bob, &rig, "bob");
    hub_rig_turn(&rig);
    viewer_skip(&bob);
    hub_rig_post(&rig, thread, "alice", "1");
    hub_rig_post(&rig, thread, "bob", "2");
    fake_store_send_elsewhere(rig.store, thread, span_of("alice"), span_of("0"));
    hub_rig_post(&rig, thread, "alice", "3");
    assert_shown(&bob, "");
    hub_rig_turn(&rig);
    assert_shown(&bob, "alice:0 alice:1 bob:2 alice:3");
    viewer_leave(&bob);
    hub_rig_fini(&rig);
}

struct watching {
    const struct viewer *viewer;
    unsigned shown_at_answer;
};

static void note_shown(void *ctx, enum err err, const struct append_result *result)
{
    struct watching *watching = ctx;
    assert_int_equal(err, OK);
    assert_false(result->repeated);
    watching->shown_at_answer = watching->viewer->shown;
}

static void the_sender_is_answered_after_delivery(void **state)
{
    (void)state;
    struct rig rig;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    struct id thread = stage(&rig, &options);
    struct viewer bob = {0};
    viewer_join(&bob, &rig, "bob");
    hub_rig_turn(&rig);
    struct watching watching = {&bob, 0};
    unsigned before = bob.shown;
    struct refusal refusal;
    struct message_fields fields = {.thread = thread, .sender = span_of("alice"), .text = span_of("hi")};
    assert_int_equal(hub_send(rig.hub, &fields, note_shown, &watching, &refusal), OK);
    assert_int_equal(bob.shown, before);
    assert_int_equal(watching.shown_at_answer, 0);
    hub_rig_turn(&rig);
    assert_int_equal(watching.shown_at_answer, before + 1);
    viewer_leave(&bob);
    hub_rig_fini(&rig);
}

static void what_is_not_durable_is_neither_shown_nor_acknowledged(void **state)
{
    (void)state;
    struct rig rig;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    struct id thread = stage(&rig, &options);
    struct viewer bob = {0};
    viewer_join(&bob, &rig, "bob");
    hub_rig_turn(&rig);
    viewer_skip(&bob);
    int64_t in = metric_value(METRIC_MESSAGES_IN);
    fake_store_fail_next(rig.store, ERR_STORE_FULL);
    assert_int_equal(hub_rig_send(&rig, thread, "alice", "lost"), ERR_STORE_FULL);
    assert_int_equal(hub_rig_send(&rig, thread, "carol", "not a member"), ERR_NO_THREAD);
    assert_int_equal(hub_rig_send(&rig, id_random(), "alice", "nowhere"), ERR_NO_THREAD);
    assert_int_equal(metric_value(METRIC_MESSAGES_IN), in);
    assert_int_equal(hub_rig_send(&rig, thread, "alice", "kept"), OK);
    assert_shown(&bob, "alice:kept");
    viewer_leave(&bob);
    hub_rig_fini(&rig);
}

static void a_repeat_gets_the_first_answer_and_shows_nothing(void **state)
{
    (void)state;
    struct rig rig;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    struct id thread = stage(&rig, &options);
    struct viewer bob = {0};
    viewer_join(&bob, &rig, "bob");
    hub_rig_turn(&rig);
    viewer_skip(&bob);
    struct message_fields fields = {
        .id = id_random(), .thread = thread, .sender = span_of("alice"), .text = span_of("hi")};
    struct append_result first, second;
    assert_int_equal(hub_rig_send_fields(&rig, &fields, &first), OK);
    fields.text = span_of("other words");
    int64_t repeated = metric_value(METRIC_MESSAGES_REPEATED);
    assert_int_equal(hub_rig_send_fields(&rig, &fields, &second), OK);
    assert_int_equal(metric_value(METRIC_MESSAGES_REPEATED), repeated + 1);
    assert_true(second.repeated);
    assert_true(id_equal(first.id, fields.id));
    assert_true(id_equal(second.id, first.id));
    assert_true(id_equal(second.thread, thread));
    assert_int_equal(cursor_compare(first.cursor, second.cursor), 0);
    assert_shown(&bob, "alice:hi");
    fields.sender = span_of("bob");
    assert_int_equal(hub_rig_send_fields(&rig, &fields, NULL), ERR_CONFLICT);
    viewer_leave(&bob);
    hub_rig_fini(&rig);
}

static void the_hub_fills_in_id_time_and_name(void **state)
{
    (void)state;
    struct rig rig;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    struct id thread = stage(&rig, &options);
    assert_int_equal(hub_rig_meet(&rig, "alice", "Alice A."), OK);
    assert_int_equal(hub_rig_send(&rig, thread, "alice", "one"), OK);
    struct message_fields fields = {.thread = thread,
                                    .sender = span_of("alice"),
                                    .sender_name = span_of("Al"),
                                    .time_us = 1,
                                    .text = span_of("two")};
    assert_int_equal(hub_rig_send_fields(&rig, &fields, NULL), OK);
    const struct message *one = fake_store_message(rig.store, 0), *two = fake_store_message(rig.store, 1);
    assert_false(id_equal(one->fields.id, two->fields.id));
    assert_true(span_is(one->fields.sender_name, "Alice A."));
    assert_true(span_is(two->fields.sender_name, "Al"));
    assert_int_equal(two->fields.time_us, rig.clock.wall_us);
    hub_rig_fini(&rig);
}

/* --- limits */

static enum err try_fields(struct rig *rig, struct id thread, struct message_fields fields)
{
    fields.thread = thread;
    fields.sender = span_of("alice");
    if (!fields.text.data)
        fields.text = span_of("hi");
    return hub_rig_send_fields(rig, &fields, NULL);
}

static void each_limit_has_its_edge(void **state)
{
    (void)state;
    static char xs[SUBJECT_MAX + 1];
    memset(xs, 'x', sizeof(xs));
    struct rig rig;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    struct id thread = stage(&rig, &options);
    int64_t texts = metric_value(METRIC_LIMIT_TEXT), attached = metric_value(METRIC_LIMIT_ATTACHMENTS);

    assert_int_equal(try_fields(&rig, thread, (struct message_fields){.text = {xs, 0}}), OK);
    assert_int_equal(try_fields(&rig, thread, (struct message_fields){.text = {xs, 100}}), OK);
    assert_int_equal(try_fields(&rig, thread, (struct message_fields){.text = {xs, 101}}), ERR_TOO_LARGE);
    assert_int_equal(metric_value(METRIC_LIMIT_TEXT), texts + 1);
    assert_int_equal(try_fields(&rig, thread, (struct message_fields){.attachments = {xs, 50}}), OK);
    assert_int_equal(try_fields(&rig, thread, (struct message_fields){.attachments = {xs, 51}}), ERR_TOO_LARGE);
    assert_int_equal(metric_value(METRIC_LIMIT_ATTACHMENTS), attached + 1);
    assert_int_equal(try_fields(&rig, thread, (struct message_fields){.subject = {xs, SUBJECT_MAX}}), OK);
    assert_int_equal(try_fields(&rig, thread, (struct message_fields){.subject = {xs, SUBJECT_MAX + 1}}),
                     ERR_BAD_FIELD);
    hub_rig_fini(&rig);
}

static void unfit_text_is_refused(void **state)
{
    (void)state;
    struct rig rig;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    struct id thread = stage(&rig, &options);
    assert_int_equal(try_fields(&rig, thread, (struct message_fields){.text = span_of("\xff")}), ERR_BAD_UTF8);
    assert_int_equal(try_fields(&rig, thread, (struct message_fields){.subject = span_of("\xc0\x80")}), ERR_BAD_UTF8);
    assert_int_equal(try_fields(&rig, thread, (struct message_fields){.text = SPAN_LITERAL("a\0b")}), ERR_BAD_FIELD);
    assert_int_equal(try_fields(&rig, thread, (struct message_fields){.subject = SPAN_LITERAL("\0")}), ERR_BAD_FIELD);
    assert_int_equal(try_fields(&rig, thread, (struct message_fields){.language = span_of("en_US")}), OK);
    assert_int_equal(try_fields(&rig, thread, (struct message_fields){.language = span_of("")}), ERR_BAD_FIELD);
    assert_int_equal(try_fields(&rig, thread, (struct message_fields){.language = span_of("english!")}), ERR_BAD_FIELD);
    assert_int_equal(fake_store_count(rig.store), 1);
    hub_rig_fini(&rig);
}

/* A tag of many variants is well-formed at any length. */
static void a_language_tag_is_bounded(void **state)
{
    (void)state;
    char tag[LANGUAGE_MAX + 10] = "en";
    for (size_t len = 2; len + 6 <= LANGUAGE_MAX; len += 6)
        memcpy(tag + len, "-xyzzy", 7);
    struct rig rig;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    struct id thread = stage(&rig, &options);
    assert_true(language_valid(span_of(tag)));
    assert_int_equal(try_fields(&rig, thread, (struct message_fields){.language = span_of(tag)}), OK);
    strcat(tag, "-xyzzy");
    assert_true(language_valid(span_of(tag)));
    assert_int_equal(try_fields(&rig, thread, (struct message_fields){.language = span_of(tag)}), ERR_BAD_FIELD);
    hub_rig_fini(&rig);
}

static void never(void *ctx, enum err err, const struct append_result *result)
{
    (void)ctx;
    (void)err;
    (void)result;
    fail_msg("done was called");
}

static void senders_are_held_to_their_rate(void **state)
{
    (void)state;
    struct rig rig;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    options.sends_per_minute = 3;
    struct id thread = stage(&rig, &options);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(hub_rig_send(&rig, thread, "alice", "hi"), OK);
    struct message_fields fields = {.thread = thread, .sender = span_of("alice"), .text = span_of("hi")};
    struct refusal refusal = {0};
    int64_t hits = metric_value(METRIC_LIMIT_SENDS);
    assert_int_equal(hub_send(rig.hub, &fields, never, NULL, &refusal), ERR_TOO_MANY);
    assert_int_equal(metric_value(METRIC_LIMIT_SENDS), hits + 1);
    assert_int_equal(refusal.retry_s, 20);
    assert_int_equal(hub_rig_send(&rig, thread, "bob", "I may"), OK);
    fake_clock_advance(&rig.clock, 1000 * refusal.retry_s);
    assert_int_equal(hub_rig_send(&rig, thread, "alice", "hi"), OK);
    assert_int_equal(hub_send(rig.hub, &fields, never, NULL, &refusal), ERR_TOO_MANY);
    hub_rig_fini(&rig);
}

/* --- reading back */

struct listed {
    enum err err;
    size_t count;
    struct message *last;
    bool more;
};

static void note_threads(void *ctx, enum err err, const struct thread_record *threads, size_t count)
{
    *(struct listed *)ctx = (struct listed){.err = err, .count = count, .last = count ? threads[0].last : NULL};
}

static void note_page(void *ctx, enum err err, const struct message_page *page)
{
    *(struct listed *)ctx = (struct listed){.err = err, .count = err ? 0 : page->count, .more = !err && page->more};
}

/* What is told to others without becoming a message takes from the same rate. */
static void notices_count_as_messages_do(void **state)
{
    (void)state;
    struct rig rig;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    options.sends_per_minute = 2;
    hub_rig_init_with(&rig, &options);
    struct id thread = hub_rig_room(&rig, "alice", "hall");
    assert_int_equal(hub_pace(rig.hub, SPAN_LITERAL("alice")), 0);
    assert_int_equal(hub_rig_send(&rig, thread, "alice", "one"), OK);
    assert_int_equal(hub_pace(rig.hub, SPAN_LITERAL("alice")), 30);
    assert_int_equal(hub_pace(rig.hub, SPAN_LITERAL("bob")), 0);
    hub_rig_fini(&rig);
}

static void threads_and_history_come_from_the_store(void **state)
{
    (void)state;
    struct rig rig;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    struct id thread = stage(&rig, &options);
    assert_int_equal(hub_rig_send(&rig, thread, "alice", "one"), OK);
    assert_int_equal(hub_rig_send(&rig, thread, "alice", "two"), OK);
    struct listed listed = {.err = ERR_COUNT};
    hub_threads(rig.hub, span_of("bob"), note_threads, &listed);
    hub_rig_turn(&rig);
    assert_int_equal(listed.err, OK);
    assert_int_equal(listed.count, 1);
    assert_ptr_equal(listed.last, fake_store_message(rig.store, 1));
    hub_history(rig.hub, thread, span_of("bob"), (struct cursor){0}, 1, note_page, &listed);
    hub_rig_turn(&rig);
    assert_int_equal(listed.count, 1);
    assert_true(listed.more);
    hub_history(rig.hub, thread, span_of("carol"), (struct cursor){0}, 1, note_page, &listed);
    hub_rig_turn(&rig);
    assert_int_equal(listed.err, ERR_NO_THREAD);
    hub_rig_fini(&rig);
}

static void a_session_may_leave_while_it_is_shown_something(void **state)
{
    (void)state;
    struct rig rig;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    struct id thread = stage(&rig, &options);
    struct viewer first = {0}, second = {0}, third = {0};
    second.leave_after = 2;
    viewer_join(&first, &rig, "bob");
    viewer_join(&second, &rig, "bob");
    viewer_join(&third, &rig, "bob");
    hub_rig_turn(&rig);
    assert_int_equal(hub_rig_send(&rig, thread, "alice", "one"), OK);
    assert_int_equal(hub_rig_send(&rig, thread, "alice", "two"), OK);
    assert_shown(&first, "[-alice +bob -carol] . alice:one alice:two");
    assert_shown(&second, "[-alice +bob -carol] . alice:one");
    assert_shown(&third, "[-alice +bob -carol] . alice:one alice:two");
    assert_int_equal(session_cursor(&second.session).major, 1);
    viewer_leave(&first);
    viewer_leave(&third);
    hub_rig_fini(&rig);
}

/* Sessions of one connection: the first to be shown something, or to be ended, takes all of them along. */
struct bundle {
    struct session sessions[3];
    unsigned shown, closed;
};

static struct bundle bundle;

static void end_all(void)
{
    for (size_t i = 0; i < 3; i++)
        hub_detach(&bundle.sessions[i]);
}

static void bundle_event(struct session *session, struct event *event)
{
    (void)session;
    bundle.shown += event->kind == EVENT_MESSAGE;
    if (event->kind == EVENT_MESSAGE)
        end_all();
}

static void bundle_settled(struct session *session, bool more)
{
    (void)session;
    (void)more;
}

static void bundle_closed(struct session *session, enum err why)
{
    (void)session;
    assert_int_equal(why, ERR_NO_TOKEN);
    bundle.closed++;
    end_all();
}

static const struct session_ops bundle_ops = {
    .protocol = "test",
    .gauge = METRIC_SESSIONS_STREAM,
    .event = bundle_event,
    .settled = bundle_settled,
    .close = bundle_closed,
};

static void attach_bundle(struct rig *rig, const char *user, const struct id *token, size_t count)
{
    struct user *opened = hub_rig_open(rig, user);
    struct attach attach = {.token = token, .expires_us = rig->clock.wall_us + 1000000000};
    bundle = (struct bundle){0};
    for (size_t i = 0; i < count; i++)
        assert_int_equal(hub_attach(&bundle.sessions[i], &bundle_ops, opened, &attach), OK);
    hub_user_close(opened);
    hub_rig_turn(rig);
}

static void a_session_may_take_others_along(void **state)
{
    (void)state;
    struct rig rig;
    struct hub_options options = hub_rig_options(FRIENDS_EVERYONE);
    struct id thread = stage(&rig, &options), token;
    struct viewer other = {0};
    viewer_join(&other, &rig, "bob");
    attach_bundle(&rig, "bob", NULL, 3);
    viewer_skip(&other);
    assert_int_equal(hub_rig_send(&rig, thread, "alice", "one"), OK);
    assert_int_equal(bundle.shown, 1);
    assert_int_equal(bundle.closed, 0);
    assert_shown(&other, "alice:one");

    assert_int_equal(hub_rig_token(&rig, "bob", &token), OK);
    attach_bundle(&rig, "bob", &token, 2);
    fake_store_end_token_elsewhere(rig.store, token);
    hub_rig_turn(&rig);
    assert_int_equal(bundle.closed, 1);
    viewer_leave(&other);
    hub_rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_sessions_of_all_members_see_it_and_nobody_else),
        cmocka_unit_test(they_come_in_the_order_of_the_log),
        cmocka_unit_test(the_sender_is_answered_after_delivery),
        cmocka_unit_test(what_is_not_durable_is_neither_shown_nor_acknowledged),
        cmocka_unit_test(a_repeat_gets_the_first_answer_and_shows_nothing),
        cmocka_unit_test(the_hub_fills_in_id_time_and_name),
        cmocka_unit_test(each_limit_has_its_edge),
        cmocka_unit_test(unfit_text_is_refused),
        cmocka_unit_test(a_language_tag_is_bounded),
        cmocka_unit_test(senders_are_held_to_their_rate),
        cmocka_unit_test(notices_count_as_messages_do),
        cmocka_unit_test(threads_and_history_come_from_the_store),
        cmocka_unit_test(a_session_may_leave_while_it_is_shown_something),
        cmocka_unit_test(a_session_may_take_others_along),
    };
    return cmocka_run_group_tests_name("hub messages", tests, NULL, NULL);
}
