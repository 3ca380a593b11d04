/* SPDX-License-Identifier: MIT */
/*
 * Verdict: what lies between, from when the marks of probes arrive. Pure.
 *
 * A *run* is one answer to GET /probe. Each of its marks tells by the server's clock when it was sent, and we know by
 * ours when it arrived; of either clock only differences count. A mark's *lag* is the time from the request to its
 * arrival, less the time from the first mark to this one; the least lag of all runs is what the way itself takes, and
 * how much more a mark has is how *late* it is.
 *
 * A *diagnosis* is one to four runs, each chosen by what came of the one before:
 *
 *     SMALL ──> held_bytes ──> AGAIN (it may have been chance)      passes ──> WATCH, for cuts
 *         └───> held_until_end ──> KILO ──> held_until_end ──> LARGE: buffers of any usual size fill before the end
 *
 * Where small marks are held until the end and larger ones pass, each of these fills the buffer: held_bytes. A run that is
 * refused says nothing: it is what was found before.
 */
#ifndef CTL_VERDICT_H
#define CTL_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

enum verdict { VERDICT_PASSES, VERDICT_HELD_BYTES, VERDICT_HELD_UNTIL_END, VERDICT_CUT, VERDICT_UNREACHABLE };
enum { VERDICT_COUNT = VERDICT_UNREACHABLE + 1 };

enum { RUN_MARKS_MAX = 100, WATCH_MAX_S = 600 };

/* What is asked of the probe. */
struct plan {
    int marks; /* 2 to RUN_MARKS_MAX */
    int gap_ms;
    int pad; /* bytes in each mark */
};

struct mark {
    int64_t sent_us;    /* by the server's clock */
    int64_t arrived_us; /* since the request, when its line was whole */
    size_t bytes;       /* of the line */
};

struct run {
    struct plan plan;
    struct mark marks[RUN_MARKS_MAX]; /* in the order in which they came */
    int count;
    long status;      /* of HTTP; 0: there was no answer */
    int64_t ended_us; /* since the request: when the answer ended or broke; 0: it was given up in silence */
};

struct finding {
    enum verdict verdict;
    int64_t bytes; /* of HELD_BYTES: about so many; of HELD_UNTIL_END: as many at least */
    int64_t ms;    /* of CUT: so long after the request; of PASSES: how late marks are, in the middle */
};

enum step { STEP_SMALL, STEP_AGAIN, STEP_KILO, STEP_LARGE, STEP_WATCH, STEP_DONE };
enum { STEP_COUNT = STEP_DONE };

struct diagnosis {
    enum step step;
    struct plan watch;
    int64_t base_us; /* the least lag so far */
    struct finding finding;
};

/* As users and programs are told: "passes", "held_bytes" and so on. */
const char *verdict_word(enum verdict verdict);

/* How many microseconds late the mark is that arrived as the `index`-th. */
int64_t run_late_us(const struct run *run, int64_t base_us, int index);

/* The verdict on one run. *base_us is the least lag of the runs before (INT64_MAX: there was none), and is lowered. */
struct finding run_judge(const struct run *run, int64_t *base_us);

/* `watch_s` (0 to WATCH_MAX_S): how long to watch for cuts if streams pass. */
void diagnosis_init(struct diagnosis *diagnosis, int watch_s);

/* The next run to make; false: there is none, `finding` is the verdict. */
bool diagnosis_next(const struct diagnosis *diagnosis, struct plan *ret_plan) must_check;

/* Takes the run that was made as planned. */
void diagnosis_take(struct diagnosis *diagnosis, const struct run *run);

#endif
