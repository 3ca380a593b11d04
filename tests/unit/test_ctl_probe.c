/* SPDX-License-Identifier: MIT */
/*
 * The doctor's judgement, from arrivals that are made up: a hop is a function from when bytes were sent to when they
 * arrive, and each verdict is what it says of that hop. Also the words that go with a verdict.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "ctl/advice.h"
#include "ctl/text.h"
#include "ctl/verdict.h"

/* --- hops that are made up */

enum { MARK_BYTES = 69, WAY_MS = 20 };

/* All zero: a clear way. */
struct made_hop {
    int way_ms;    /* what the way takes, there and back, besides WAY_MS */
    int late_ms;   /* on top, for each piece but the last */
    int64_t holds; /* hands on what it has once it is so much, and the rest at the end; -1: all at the end */
    int cuts_ms;   /* after the request; 0: never */
    int hitch_ms;  /* nothing comes earlier than that */
    int per_kb_us; /* a slow line */
    int clock_ms;  /* how the server's clock differs */
    long status;   /* 0: 200 */
};

static const struct made_hop clear_way;

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* When the mark is handed on: with the one that fills the buffer, or with the last. */
static int handed_on_with(const struct made_hop *hop, const struct plan *plan, int index, int64_t *held)
{
    int64_t line = MARK_BYTES + plan->pad;
    *held += line;
    if (!hop->holds)
        return index;
    if (hop->holds > 0 && *held >= hop->holds) {
        *held = 0;
        return index;
    }
    int64_t sum = *held;
    for (int i = index + 1; i < plan->marks; i++) {
        sum += line;
        if (hop->holds > 0 && sum >= hop->holds)
            return i;
    }
    return plan->marks - 1;
}

static struct run made_run(const struct made_hop *hop, struct plan plan)
{
    struct run run = {.plan = plan, .status = hop->status ? hop->status : 200};
    int64_t held = 0, line_us = 0;
    for (int i = 0; i < plan.marks; i++) {
        int with = handed_on_with(hop, &plan, i, &held);
        int64_t sent_ms = (int64_t)i * plan.gap_ms,
                comes_us = ((int64_t)with * plan.gap_ms + WAY_MS + hop->way_ms) * 1000;
        if (i < plan.marks - 1)
            comes_us += (int64_t)hop->late_ms * 1000;
        comes_us = later(comes_us, (int64_t)hop->hitch_ms * 1000);
        line_us = later(line_us, comes_us) + (MARK_BYTES + plan.pad) * (int64_t)hop->per_kb_us / 1024;
        if (hop->cuts_ms && line_us > (int64_t)hop->cuts_ms * 1000)
            break;
        run.marks[run.count++] =
            (struct mark){(sent_ms + hop->clock_ms) * 1000, line_us, (size_t)(MARK_BYTES + plan.pad)};
    }
    run.ended_us = run.count < plan.marks ? (int64_t)hop->cuts_ms * 1000 : line_us;
    return run;
}

struct outcome {
    struct finding finding;
    int runs;
};

/* `second` (or null) is the hop from the second run on. */
static struct outcome diagnosed(const struct made_hop *hop, const struct made_hop *second, int watch_s)
{
    struct diagnosis diagnosis;
    struct plan plan;
    int runs = 0;
    diagnosis_init(&diagnosis, watch_s);
    while (diagnosis_next(&diagnosis, &plan)) {
        struct run run = made_run(runs && second ? second : hop, plan);
        diagnosis_take(&diagnosis, &run);
        assert_true(++runs <= 4);
    }
    return (struct outcome){diagnosis.finding, runs};
}

/* --- verdicts */

static void each_hop_has_its_verdict(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct made_hop hop;
        enum verdict verdict;
        int64_t from, to; /* bytes of the held, ms of the others */
        int runs;
    } cases[] = {
        {"nothing", {0}, VERDICT_PASSES, 0, 0, 2},
        {"a way round the world", {.way_ms = 900}, VERDICT_PASSES, 0, 0, 2},
        {"a server in another century", {.clock_ms = -2000000000}, VERDICT_PASSES, 0, 0, 2},
        {"HAProxy: 206 ms, but for the last", {.late_ms = 206}, VERDICT_PASSES, 206, 206, 2},
        {"a delay of nearly a gap", {.late_ms = 350}, VERDICT_PASSES, 350, 350, 3},
        {"a slow line", {.per_kb_us = 125000}, VERDICT_PASSES, 0, 8, 2},
        {"two small marks", {.holds = 100}, VERDICT_HELD_BYTES, 100, 138, 2},
        {"four small marks", {.holds = 256}, VERDICT_HELD_BYTES, 256, 276, 3},
        {"less than a large mark", {.holds = 512}, VERDICT_HELD_BYTES, 345, 345, 2},
        {"4 KB", {.holds = 4096}, VERDICT_HELD_BYTES, 4096, 5200, 2},
        {"8 KB", {.holds = 8192}, VERDICT_HELD_BYTES, 8192, 9300, 2},
        {"32 KB", {.holds = 32768}, VERDICT_HELD_BYTES, 32768, 49400, 3},
        {"64 KB", {.holds = 65536}, VERDICT_HELD_BYTES, 65536, 82300, 3},
        {"64 KB on a slow line", {.holds = 65536, .per_kb_us = 5000}, VERDICT_HELD_BYTES, 65536, 115200, 3},
        {"256 KB", {.holds = 262144}, VERDICT_HELD_BYTES, 262144, 279000, 3},
        {"1 MB", {.holds = 1048576}, VERDICT_HELD_UNTIL_END, 329060, 329060, 3},
        {"the end", {.holds = -1}, VERDICT_HELD_UNTIL_END, 329060, 329060, 3},
        {"the end, far away", {.holds = -1, .way_ms = 900}, VERDICT_HELD_UNTIL_END, 329060, 329060, 3},
        {"the end, on a slow line", {.holds = -1, .per_kb_us = 10000}, VERDICT_HELD_UNTIL_END, 329060, 329060, 3},
        {"cut at once", {.cuts_ms = 100}, VERDICT_CUT, 100, 100, 1},
        {"cut in the first run", {.cuts_ms = 1000}, VERDICT_CUT, 1000, 1000, 1},
        {"cut when it is watched", {.cuts_ms = 3000}, VERDICT_CUT, 3000, 3000, 2},
        {"cut later than it is watched", {.cuts_ms = 6000}, VERDICT_PASSES, 0, 0, 2},
        {"another answer", {.status = 404}, VERDICT_UNREACHABLE, 0, 0, 1},
        {"cut before the first", {.cuts_ms = 10}, VERDICT_UNREACHABLE, 0, 0, 1},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        struct outcome outcome = diagnosed(&cases[i].hop, NULL, 5);
        bool is_held = cases[i].verdict == VERDICT_HELD_BYTES || cases[i].verdict == VERDICT_HELD_UNTIL_END;
        int64_t number = is_held ? outcome.finding.bytes : outcome.finding.ms;
        if (outcome.finding.verdict != cases[i].verdict || number < cases[i].from || number > cases[i].to ||
            outcome.runs != cases[i].runs)
            fail_msg("%s: %s, %lld, %d runs", cases[i].name, verdict_word(outcome.finding.verdict), (long long)number,
                     outcome.runs);
    }
}

static void one_hitch_is_no_verdict(void **state)
{
    (void)state;
    struct made_hop hitch = clear_way;
    hitch.hitch_ms = 900;
    struct outcome outcome = diagnosed(&hitch, &clear_way, 5);
    assert_int_equal(outcome.finding.verdict, VERDICT_PASSES);
    assert_int_equal(outcome.finding.ms, 0);
    assert_int_equal(outcome.runs, 3);
}

static void a_run_that_is_refused_changes_nothing(void **state)
{
    (void)state;
    static const struct made_hop refused = {.status = 429};
    static const struct {
        struct made_hop first;
        enum verdict verdict;
        int64_t bytes, ms;
    } cases[] = {
        {{0}, VERDICT_PASSES, 0, 0},
        {{.late_ms = 206}, VERDICT_PASSES, 0, 206},
        {{.holds = 256}, VERDICT_HELD_BYTES, 276, 0},
        {{.holds = -1}, VERDICT_HELD_UNTIL_END, 345, 0},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        struct outcome outcome = diagnosed(&cases[i].first, &refused, 5);
        assert_int_equal(outcome.finding.verdict, cases[i].verdict);
        assert_int_equal(outcome.finding.bytes, cases[i].bytes);
        assert_int_equal(outcome.finding.ms, cases[i].ms);
        assert_int_equal(outcome.runs, 2);
    }
    struct outcome alone = diagnosed(&refused, NULL, 5);
    assert_int_equal(alone.finding.verdict, VERDICT_UNREACHABLE);
    assert_int_equal(alone.runs, 1);
}

/* Runs come over new connections; one may take longer to be made than another. */
static void a_way_that_gets_longer_or_shorter_changes_nothing(void **state)
{
    (void)state;
    static const int ways_ms[] = {5, 120, 250};
    for (size_t i = 0; i < array_len(ways_ms); i++) {
        for (size_t j = 0; j < array_len(ways_ms); j++) {
            struct made_hop first = clear_way, second = clear_way;
            first.way_ms = ways_ms[i];
            second.way_ms = ways_ms[j];
            assert_int_equal(diagnosed(&first, &second, 5).finding.verdict, VERDICT_PASSES);
            first.holds = second.holds = -1;
            assert_int_equal(diagnosed(&first, &second, 5).finding.verdict, VERDICT_HELD_UNTIL_END);
        }
    }
}

static void what_falls_silent_is_cut_where_it_fell_silent(void **state)
{
    (void)state;
    struct made_hop hop = clear_way;
    hop.cuts_ms = 1000;
    struct run run = made_run(&hop, (struct plan){5, 400, 0});
    run.ended_us = 0;
    int64_t base_us = INT64_MAX;
    struct finding finding = run_judge(&run, &base_us);
    assert_int_equal(finding.verdict, VERDICT_CUT);
    assert_int_equal(finding.ms, 820); /* the third mark, and the way */
}

static void a_watch_is_as_silent_as_heartbeats_and_no_longer_than_asked(void **state)
{
    (void)state;
    static const struct {
        int seconds, marks, gap_ms;
    } cases[] = {{1, 2, 1000}, {5, 2, 5000}, {20, 2, 20000}, {21, 3, 10500}, {90, 6, 18000}, {600, 31, 20000}};
    for (size_t i = 0; i < array_len(cases); i++) {
        struct diagnosis diagnosis;
        struct plan plan;
        diagnosis_init(&diagnosis, cases[i].seconds);
        struct run run = made_run(&clear_way, (struct plan){5, 400, 0});
        diagnosis_take(&diagnosis, &run);
        assert_true(diagnosis_next(&diagnosis, &plan));
        assert_int_equal(plan.marks, cases[i].marks);
        assert_int_equal(plan.gap_ms, cases[i].gap_ms);
    }
    assert_int_equal(diagnosed(&clear_way, NULL, 0).runs, 1);
}

/* --- words */

static char *advised(const struct case_notes *notes)
{
    struct buf out = BUF_INIT;
    advice_write(&out, notes);
    char *text = buf_take_text(&out);
    assert_non_null(text);
    assert_int_equal(text[strlen(text) - 1], '\n');
    return text;
}

/* The text has all of `wanted` and none of `unwanted`, which end with null. */
static void assert_advice(const struct case_notes *notes, const char *const *wanted, const char *const *unwanted)
{
    char *text = advised(notes);
    for (; *wanted; wanted++)
        if (!strstr(text, *wanted))
            fail_msg("no %s in:\n%s", *wanted, text);
    for (; *unwanted; unwanted++)
        if (strstr(text, *unwanted))
            fail_msg("%s in:\n%s", *unwanted, text);
    free(text);
}

#define LIST(...)                                                                                                      \
    (const char *const[])                                                                                              \
    {                                                                                                                  \
        __VA_ARGS__ __VA_OPT__(, ) NULL                                                                                \
    }

static void whoever_names_itself_is_told_alone(void **state)
{
    (void)state;
    struct case_notes notes = {.finding = {.verdict = VERDICT_HELD_BYTES, .bytes = 5475}, .status = 200};
    assert_advice(&notes,
                  LIST("until there are about 5 KB", "proxy_buffering off;", "wait-for-body", "adaptation_access",
                       "LocationMatch", "https"),
                  LIST("timeout"));
    notes.server = span_of("nginx/1.22.1");
    assert_advice(&notes, LIST("proxy_buffering off;", "Server: nginx/1.22.1"),
                  LIST("wait-for-body", "adaptation_access", "LocationMatch"));
    notes.via = span_of("1.1 proxy.example (squid/5.7)");
    assert_advice(&notes, LIST("proxy_buffering off;", "adaptation_access"), LIST("wait-for-body", "LocationMatch"));
    notes.server = span_of("Apache/2.4.57");
    notes.via = (struct span){0};
    notes.secure = true;
    assert_advice(&notes, LIST("LocationMatch"), LIST("proxy_buffering", "tunnel"));
}

static void each_verdict_has_its_lines(void **state)
{
    (void)state;
    struct case_notes notes = {.finding = {.verdict = VERDICT_PASSES}, .status = 200};
    assert_advice(&notes, LIST("Streams pass."), LIST("late", "nginx"));
    notes.finding.ms = 206;
    notes.server = span_of("nginx");
    assert_advice(&notes, LIST("about 206 ms late", "option http-no-delay"), LIST("proxy_buffering"));
    notes.server = (struct span){0};
    notes.finding = (struct finding){.verdict = VERDICT_CUT, .ms = 60123};
    assert_advice(&notes,
                  LIST("cut after 60.1 s", "proxy_read_timeout 90s;", "timeout server 90s", "read_timeout 15 minutes",
                       "timeout=90"),
                  LIST("proxy_buffering"));
    notes.finding = (struct finding){.verdict = VERDICT_HELD_UNTIL_END, .bytes = 329060};
    assert_advice(&notes, LIST("until their end", "321 KB and more"), LIST("timeout"));
}

static void what_is_unreachable_says_why(void **state)
{
    (void)state;
    struct case_notes notes = {.finding = {.verdict = VERDICT_UNREACHABLE}, .status = 404};
    assert_advice(&notes, LIST("HTTP status 404", "pass on /nereid-chat/"), LIST("Server"));
    notes.status = 301;
    notes.location = span_of("https://elsewhere/\x1b[31m");
    assert_advice(&notes, LIST("HTTP status 301", "Location: https://elsewhere/\\x1b[31m\n"), LIST("\x1b"));
    notes = (struct case_notes){.finding = {.verdict = VERDICT_UNREACHABLE}, .fault = span_of("no answer in time")};
    assert_advice(&notes, LIST("no answer in time."), LIST("status"));
    notes = (struct case_notes){
        .finding = {.verdict = VERDICT_UNREACHABLE}, .status = 429, .said = span_of("a rate is exceeded")};
    assert_advice(&notes, LIST("limits.probe_rate", "nereidd: a rate is exceeded\n"), LIST("Location"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_hop_has_its_verdict),
        cmocka_unit_test(one_hitch_is_no_verdict),
        cmocka_unit_test(a_run_that_is_refused_changes_nothing),
        cmocka_unit_test(a_way_that_gets_longer_or_shorter_changes_nothing),
        cmocka_unit_test(what_falls_silent_is_cut_where_it_fell_silent),
        cmocka_unit_test(a_watch_is_as_silent_as_heartbeats_and_no_longer_than_asked),
        cmocka_unit_test(whoever_names_itself_is_told_alone),
        cmocka_unit_test(each_verdict_has_its_lines),
        cmocka_unit_test(what_is_unreachable_says_why),
    };
    text_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
