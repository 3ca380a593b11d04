/* SPDX-License-Identifier: MIT */
/* One turn of the loop: its order, its timers, calls from other threads, work on workers, signals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io/loop.h"
#include "io/watch.h"

enum { PATIENCE_MS = 5000 };

/* What happened, one letter each. */
struct diary {
    struct loop *loop;
    char text[64];
    size_t len;
};

static void note(struct diary *diary, char what)
{
    assert_true(diary->len < sizeof(diary->text) - 1);
    diary->text[diary->len++] = what;
    diary->text[diary->len] = '\0';
}

static bool turn_until(struct diary *diary, char what)
{
    int64_t until_ms = loop_now_ms(diary->loop) + PATIENCE_MS;
    while (!strchr(diary->text, what) && loop_now_ms(diary->loop) < until_ms)
        loop_turn(diary->loop, 100);
    return strchr(diary->text, what);
}

/* A task that writes one letter. */
struct noter {
    struct loop_task task;
    struct diary *diary;
    char what;
};

static void run_noter(struct loop_task *task)
{
    struct noter *noter = container_of(task, struct noter, task);
    note(noter->diary, noter->what);
}

struct alarm {
    struct timer timer;
    struct diary *diary;
    char what;
};

static void on_alarm(struct timer *timer)
{
    struct alarm *alarm = container_of(timer, struct alarm, timer);
    note(alarm->diary, alarm->what);
}

static void alarm_init(struct alarm *alarm, struct diary *diary, char what)
{
    alarm->diary = diary;
    alarm->what = what;
    assert_int_equal(timer_init(loop_timers(diary->loop), &alarm->timer, on_alarm), OK);
}

static void tasks_run_in_the_order_of_their_hooks_at_the_end_of_a_turn(void **state)
{
    (void)state;
    struct diary diary = {.loop = loop_new()};
    struct alarm alarm;
    assert_non_null(diary.loop);
    alarm_init(&alarm, &diary, 't');
    timer_set(loop_timers(diary.loop), &alarm.timer, loop_now_ms(diary.loop));
    struct noter flush = {{.run = run_noter}, &diary, 'f'};
    struct noter hub = {{.run = run_noter}, &diary, 'h'};
    struct noter http = {{.run = run_noter}, &diary, 'a'};
    loop_add_task(diary.loop, LOOP_HOOK_FLUSH, &flush.task);
    loop_add_task(diary.loop, LOOP_HOOK_HUB, &hub.task);
    loop_add_task(diary.loop, LOOP_HOOK_HTTP, &http.task);
    assert_true(turn_until(&diary, 't'));
    const char *fired = strchr(diary.text, 't');
    assert_memory_equal(fired, "tfahf", 5);
    timer_fini(loop_timers(diary.loop), &alarm.timer);
    loop_remove_task(diary.loop, LOOP_HOOK_FLUSH, &flush.task);
    loop_remove_task(diary.loop, LOOP_HOOK_HUB, &hub.task);
    loop_remove_task(diary.loop, LOOP_HOOK_HTTP, &http.task);
    loop_free(diary.loop);
}

struct tasks {
    struct loop *loop;
    struct loop_task first, second, third;
    struct diary diary;
};

static void run_first(struct loop_task *task)
{
    struct tasks *tasks = container_of(task, struct tasks, first);
    note(&tasks->diary, '1');
    loop_remove_task(tasks->loop, LOOP_HOOK_HTTP, &tasks->first);
    loop_remove_task(tasks->loop, LOOP_HOOK_HTTP, &tasks->second);
}

static void run_second(struct loop_task *task)
{
    note(&container_of(task, struct tasks, second)->diary, '2');
}

static void run_third(struct loop_task *task)
{
    note(&container_of(task, struct tasks, third)->diary, '3');
}

static void a_task_may_remove_itself_and_the_next(void **state)
{
    (void)state;
    struct tasks tasks = {
        .loop = loop_new(),
        .first = {.run = run_first},
        .second = {.run = run_second},
        .third = {.run = run_third},
    };
    assert_non_null(tasks.loop);
    loop_add_task(tasks.loop, LOOP_HOOK_HTTP, &tasks.first);
    loop_add_task(tasks.loop, LOOP_HOOK_HTTP, &tasks.second);
    loop_add_task(tasks.loop, LOOP_HOOK_HTTP, &tasks.third);
    loop_turn(tasks.loop, 0);
    assert_string_equal(tasks.diary.text, "133");
    loop_remove_task(tasks.loop, LOOP_HOOK_HTTP, &tasks.third);
    loop_free(tasks.loop);
}

static void timers_fire_in_order_and_not_before_their_time(void **state)
{
    (void)state;
    struct diary diary = {.loop = loop_new()};
    struct alarm early, late, never;
    assert_non_null(diary.loop);
    struct timers *timers = loop_timers(diary.loop);
    alarm_init(&early, &diary, 'e');
    alarm_init(&late, &diary, 'l');
    alarm_init(&never, &diary, 'n');
    int64_t begin_ms = loop_now_ms(diary.loop);
    timer_set(timers, &late.timer, begin_ms + 40);
    timer_set(timers, &early.timer, begin_ms + 20);
    timer_set(timers, &never.timer, begin_ms + 10);
    timer_clear(timers, &never.timer);
    assert_true(turn_until(&diary, 'e'));
    assert_true(loop_now_ms(diary.loop) >= begin_ms + 20);
    assert_true(turn_until(&diary, 'l'));
    assert_true(loop_now_ms(diary.loop) >= begin_ms + 40);
    assert_string_equal(diary.text, "el");
    timer_fini(timers, &early.timer);
    timer_fini(timers, &late.timer);
    timer_fini(timers, &never.timer);
    loop_free(diary.loop);
}

static void a_turn_waits_no_longer_than_it_may(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    assert_non_null(loop);
    loop_turn(loop, 0);
    int64_t begin_ms = loop_now_ms(loop);
    loop_turn(loop, 30);
    loop_turn(loop, 0);
    int64_t waited_ms = loop_now_ms(loop) - begin_ms;
    assert_true(waited_ms >= 29 && waited_ms < 10000);
    loop_free(loop);
}

static void run_again(struct loop_task *task)
{
    struct diary *diary = container_of(task, struct noter, task)->diary;
    note(diary, 'g');
    if (diary->len < 5)
        loop_again(diary->loop);
    else
        loop_stop(diary->loop);
}

/* With nothing else to wake it the loop would wait for ever, were it not for loop_again. */
static void a_task_that_has_not_finished_runs_again_without_a_wait(void **state)
{
    (void)state;
    struct diary diary = {.loop = loop_new()};
    struct noter noter = {{.run = run_again}, &diary, 'g'};
    assert_non_null(diary.loop);
    loop_add_task(diary.loop, LOOP_HOOK_HUB, &noter.task);
    loop_run(diary.loop);
    assert_true(diary.len >= 5);
    loop_remove_task(diary.loop, LOOP_HOOK_HUB, &noter.task);
    loop_free(diary.loop);
}

static void the_wall_clock_is_the_systems(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    assert_non_null(loop);
    const struct clock *clock = loop_clock(loop);
    assert_int_equal(clock_now_ms(clock), loop_now_ms(loop));
    assert_in_range(clock_wall_us(clock) / 1000000, (uintmax_t)time(NULL) - 1, (uintmax_t)time(NULL) + 1);
    loop_free(loop);
}

/* --- other threads --- */

static void on_post(void *ctx)
{
    note(ctx, 'p');
}

static void *post_often(void *port)
{
    for (int i = 0; i < 1000; i++)
        loop_post(port);
    return NULL;
}

static void posts_before_the_call_are_one_call(void **state)
{
    (void)state;
    struct diary diary = {.loop = loop_new()};
    pthread_t thread;
    assert_non_null(diary.loop);
    struct loop_port *port = loop_port_open(diary.loop, on_post, &diary);
    assert_non_null(port);
    assert_int_equal(pthread_create(&thread, NULL, post_often, port), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(turn_until(&diary, 'p'));
    loop_turn(diary.loop, 0);
    assert_string_equal(diary.text, "p");
    loop_post(port);
    loop_turn(diary.loop, PATIENCE_MS);
    assert_string_equal(diary.text, "pp");
    loop_port_close(port);
    loop_free(diary.loop);
}

static void a_closed_port_is_not_called(void **state)
{
    (void)state;
    struct diary diary = {.loop = loop_new()};
    assert_non_null(diary.loop);
    struct loop_port *port = loop_port_open(diary.loop, on_post, &diary);
    assert_non_null(port);
    loop_post(port);
    loop_port_close(port);
    loop_turn(diary.loop, 0);
    loop_turn(diary.loop, 0);
    assert_string_equal(diary.text, "");
    loop_free(diary.loop);
}

struct chore {
    struct diary diary;
    pthread_t worker;
};

static void work(void *ctx)
{
    struct chore *chore = ctx;
    chore->worker = pthread_self();
}

static void work_done(void *ctx)
{
    struct chore *chore = ctx;
    assert_false(pthread_equal(chore->worker, pthread_self()));
    note(&chore->diary, 'd');
}

static void work_runs_elsewhere_and_is_reported_here(void **state)
{
    (void)state;
    struct chore chore = {.diary = {.loop = loop_new()}};
    assert_non_null(chore.diary.loop);
    assert_int_equal(loop_work(chore.diary.loop, work, work_done, &chore), OK);
    assert_string_equal(chore.diary.text, "");
    assert_true(turn_until(&chore.diary, 'd'));
    loop_free(chore.diary.loop);
}

static void work_under_way_is_done_before_the_loop_is_gone(void **state)
{
    (void)state;
    struct chore chore = {.diary = {.loop = loop_new()}};
    assert_non_null(chore.diary.loop);
    assert_int_equal(loop_work(chore.diary.loop, work, work_done, &chore), OK);
    loop_free(chore.diary.loop);
    assert_string_equal(chore.diary.text, "d");
}

static void on_signal(void *ctx, int number)
{
    assert_int_equal(number, SIGUSR1);
    note(ctx, 's');
}

static void a_signal_comes_as_a_call(void **state)
{
    (void)state;
    struct diary diary = {.loop = loop_new()};
    assert_non_null(diary.loop);
    assert_int_equal(loop_on_signal(diary.loop, SIGUSR1, on_signal, &diary), OK);
    assert_int_equal(loop_on_signal(diary.loop, SIGKILL, on_signal, &diary), ERR_INTERNAL);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    assert_true(turn_until(&diary, 's'));
    loop_free(diary.loop);
}

/* --- watches --- */

static void on_ready(void *ctx)
{
    note(ctx, 'r');
}

static void a_readable_descriptor_is_told_until_it_is_read(void **state)
{
    (void)state;
    struct diary diary = {.loop = loop_new()};
    int ends[2];
    char byte;
    assert_non_null(diary.loop);
    assert_int_equal(pipe(ends), 0);
    struct watch *watch = watch_open(diary.loop, ends[0], WATCH_READABLE, on_ready, &diary);
    assert_non_null(watch);
    loop_turn(diary.loop, 0);
    assert_string_equal(diary.text, "");
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_true(turn_until(&diary, 'r'));
    loop_turn(diary.loop, 100);
    assert_true(diary.len >= 2);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    diary.len = 0;
    diary.text[0] = '\0';
    loop_turn(diary.loop, 0);
    assert_string_equal(diary.text, "");
    assert_int_equal(write(ends[1], "x", 1), 1);
    watch_close(watch);
    (void)close(ends[0]);
    (void)close(ends[1]);
    loop_turn(diary.loop, 0);
    assert_string_equal(diary.text, "");
    loop_free(diary.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_run_in_the_order_of_their_hooks_at_the_end_of_a_turn),
        cmocka_unit_test(a_task_may_remove_itself_and_the_next),
        cmocka_unit_test(timers_fire_in_order_and_not_before_their_time),
        cmocka_unit_test(a_turn_waits_no_longer_than_it_may),
        cmocka_unit_test(a_task_that_has_not_finished_runs_again_without_a_wait),
        cmocka_unit_test(the_wall_clock_is_the_systems),
        cmocka_unit_test(posts_before_the_call_are_one_call),
        cmocka_unit_test(a_closed_port_is_not_called),
        cmocka_unit_test(work_runs_elsewhere_and_is_reported_here),
        cmocka_unit_test(work_under_way_is_done_before_the_loop_is_gone),
        cmocka_unit_test(a_signal_comes_as_a_call),
        cmocka_unit_test(a_readable_descriptor_is_told_until_it_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
