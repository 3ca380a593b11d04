/* SPDX-License-Identifier: MIT */
/* Judging runs, and choosing the next one. */
#include "ctl/verdict.h"

#include <stdlib.h>

enum {
    QUIET_MS = 20000,    /* as long as streams are silent between heartbeats, unless told otherwise */
    TOGETHER_US = 10000, /* marks that arrive so close came in one piece */
};

static const char *const words[VERDICT_COUNT] = {
    [VERDICT_PASSES] = "passes", [VERDICT_HELD_BYTES] = "held_bytes",   [VERDICT_HELD_UNTIL_END] = "held_until_end",
    [VERDICT_CUT] = "cut",       [VERDICT_UNREACHABLE] = "unreachable",
};

const char *verdict_word(enum verdict verdict)
{
    return words[verdict];
}

/* --- one run */

/* When the mark was sent, since the first one was. */
static int64_t sent_since_us(const struct run *run, int index)
{
    return run->marks[index].sent_us - run->marks[0].sent_us;
}

static int64_t lag_us(const struct run *run, int index)
{
    return run->marks[index].arrived_us - sent_since_us(run, index);
}

int64_t run_late_us(const struct run *run, int64_t base_us, int index)
{
    return lag_us(run, index) - base_us;
}

static int64_t least_lag_us(const struct run *run, int64_t least_us)
{
    for (int i = 0; i < run->count; i++)
        least_us = lag_us(run, i) < least_us ? lag_us(run, i) : least_us;
    return least_us;
}

/* A gap is what a mark is late by at least if it waits for another one; less than that is the net's. */
static bool run_passes(const struct run *run, int64_t base_us)
{
    for (int i = 0; i < run->count; i++)
        if (run_late_us(run, base_us, i) * 4 > (int64_t)run->plan.gap_ms * 1000 * 3)
            return false;
    return true;
}

/* Not even the first came before the last was sent. */
static bool held_to_the_end(const struct run *run, int64_t base_us)
{
    return run_late_us(run, base_us, 0) >= sent_since_us(run, run->count - 1) - (int64_t)run->plan.gap_ms * 500;
}

/* How much lay in between just before the mark arrived: what had been sent by then, less what had come. */
static int64_t held_before(const struct run *run, int64_t base_us, int index)
{
    int64_t now_us = run->marks[index].arrived_us, bytes = 0;
    for (int i = 0; i < run->count; i++) {
        if (sent_since_us(run, i) + base_us <= now_us)
            bytes += (int64_t)run->marks[i].bytes;
        if (run->marks[i].arrived_us < now_us - TOGETHER_US)
            bytes -= (int64_t)run->marks[i].bytes;
    }
    return bytes;
}

static int64_t most_held(const struct run *run, int64_t base_us)
{
    int64_t most = 0;
    for (int i = 0; i < run->count; i++) {
        int64_t held = held_before(run, base_us, i);
        most = held > most ? held : most;
    }
    return most;
}

static int compare_times(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* The median: what happened to one mark tells nothing. */
static int64_t usually_late_ms(const struct run *run, int64_t base_us)
{
    int64_t late_us[RUN_MARKS_MAX];
    for (int i = 0; i < run->count; i++)
        late_us[i] = run_late_us(run, base_us, i);
    qsort(late_us, (size_t)run->count, sizeof(late_us[0]), compare_times);
    return late_us[run->count / 2] / 1000;
}

static struct finding cut_at(const struct run *run)
{
    int64_t us = run->ended_us ? run->ended_us : run->marks[run->count - 1].arrived_us;
    return (struct finding){.verdict = VERDICT_CUT, .ms = (us + 500) / 1000};
}

struct finding run_judge(const struct run *run, int64_t *base_us)
{
    if (run->status != 200 || run->count == 0)
        return (struct finding){.verdict = VERDICT_UNREACHABLE};
    *base_us = least_lag_us(run, *base_us);
    if (run->count < run->plan.marks)
        return cut_at(run);
    if (run_passes(run, *base_us))
        return (struct finding){.verdict = VERDICT_PASSES, .ms = usually_late_ms(run, *base_us)};
    bool to_the_end = held_to_the_end(run, *base_us);
    return (struct finding){.verdict = to_the_end ? VERDICT_HELD_UNTIL_END : VERDICT_HELD_BYTES,
                            .bytes = most_held(run, *base_us)};
}

/* --- several */

/* Who holds for a time and not for bytes is not later where the gap is wider. */
static const struct plan plans[STEP_COUNT] = {
    [STEP_SMALL] = {5, 400, 0},
    [STEP_AGAIN] = {4, 700, 0},
    [STEP_KILO] = {20, 100, 1024},
    [STEP_LARGE] = {20, 100, 16384},
};

/* What follows a step, by its verdict. */
static const uint8_t following[STEP_COUNT][VERDICT_COUNT] = {
    /*              passes      held_bytes  until_end   cut        unreachable */
    [STEP_SMALL] = {STEP_WATCH, STEP_AGAIN, STEP_KILO, STEP_DONE, STEP_DONE},
    [STEP_AGAIN] = {STEP_WATCH, STEP_DONE, STEP_KILO, STEP_DONE, STEP_DONE},
    [STEP_KILO] = {STEP_DONE, STEP_DONE, STEP_LARGE, STEP_DONE, STEP_DONE},
    [STEP_LARGE] = {STEP_DONE, STEP_DONE, STEP_DONE, STEP_DONE, STEP_DONE},
    [STEP_WATCH] = {STEP_DONE, STEP_DONE, STEP_DONE, STEP_DONE, STEP_DONE},
};

/* As few marks as there are heartbeats: a hop that cuts what is silent has to be given silence. */
static struct plan watch_plan(int watch_s)
{
    int gaps = (watch_s * 1000 + QUIET_MS - 1) / QUIET_MS;
    return (struct plan){gaps + 1, gaps ? watch_s * 1000 / gaps : 0, 0};
}

void diagnosis_init(struct diagnosis *diagnosis, int watch_s)
{
    *diagnosis = (struct diagnosis){.watch = watch_plan(watch_s), .base_us = INT64_MAX};
}

bool diagnosis_next(const struct diagnosis *diagnosis, struct plan *ret_plan)
{
    if (diagnosis->step == STEP_DONE)
        return false;
    *ret_plan = diagnosis->step == STEP_WATCH ? diagnosis->watch : plans[diagnosis->step];
    return true;
}

void diagnosis_take(struct diagnosis *diagnosis, const struct run *run)
{
    if (diagnosis->step != STEP_SMALL && run->status >= 400) {
        diagnosis->step = STEP_DONE;
        return;
    }
    struct finding before = diagnosis->finding, finding = run_judge(run, &diagnosis->base_us);
    bool passes = finding.verdict == VERDICT_PASSES;
    if (passes && before.verdict == VERDICT_HELD_UNTIL_END)
        diagnosis->finding = (struct finding){.verdict = VERDICT_HELD_BYTES, .bytes = before.bytes};
    else if (!passes || diagnosis->step != STEP_WATCH) /* two marks tell of no delay */
        diagnosis->finding = finding;
    diagnosis->step = (enum step)following[diagnosis->step][finding.verdict];
    if (diagnosis->step == STEP_WATCH && diagnosis->watch.marks < 2)
        diagnosis->step = STEP_DONE;
}
