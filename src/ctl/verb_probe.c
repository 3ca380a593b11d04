/* SPDX-License-Identifier: MIT */
/* nereidctl probe: the doctor. Makes the runs of a diagnosis and prints what came of them. */
#include <inttypes.h>
#include <strings.h>
#include <sysexits.h>

#include "ctl/advice.h"
#include "ctl/reach.h"
#include "ctl/verbs.h"

/* Everything that is known when all runs are made. */
struct examination {
    const struct order *order;
    struct reach reach;
    struct diagnosis diagnosis;
    struct run run;       /* the last one */
    struct reply reply;   /* to it */
    struct buf runs;      /* all of them as JSON */
    struct columns marks; /* of all */
    int count;            /* of runs */
};

static const struct column mark_columns[] = {
    {"run", true}, {"mark", true}, {"bytes", true}, {"sent ms", true}, {"arrived ms", true}, {"late ms", true},
};

/* --- notes on runs */

/* Of every mark: when it was sent (since the first), when it arrived (since the request), how late that is. */
static void note_mark(struct examination *exam, int index)
{
    const struct mark *mark = &exam->run.marks[index];
    int64_t sent_ms = (mark->sent_us - exam->run.marks[0].sent_us) / 1000;
    int64_t late_ms = run_late_us(&exam->run, exam->diagnosis.base_us, index) / 1000;
    columns_printf(&exam->marks, "%d", exam->count);
    columns_printf(&exam->marks, "%d", index + 1);
    columns_printf(&exam->marks, "%zu", mark->bytes);
    columns_printf(&exam->marks, "%" PRId64, sent_ms);
    columns_printf(&exam->marks, "%" PRId64, mark->arrived_us / 1000);
    columns_printf(&exam->marks, "%" PRId64, late_ms);
    buf_printf(&exam->runs, "%s{\"bytes\":%zu,\"sent\":%" PRId64 ",\"arrived\":%" PRId64 ",\"late\":%" PRId64 "}",
               index ? "," : "", mark->bytes, sent_ms, mark->arrived_us / 1000, late_ms);
}

static void note_run(struct examination *exam)
{
    const struct plan *plan = &exam->run.plan;
    exam->count++;
    buf_printf(&exam->runs, "%s{\"marks\":%d,\"gap\":%d,\"pad\":%d,\"status\":%ld,\"arrivals\":[",
               exam->runs.len ? "," : "", plan->marks, plan->gap_ms, plan->pad, exam->run.status);
    for (int i = 0; i < exam->run.count; i++)
        note_mark(exam, i);
    buf_add_text(&exam->runs, "]}");
}

static int make_runs(struct examination *exam)
{
    struct plan plan;
    diagnosis_init(&exam->diagnosis, exam->order->seconds);
    while (diagnosis_next(&exam->diagnosis, &plan)) {
        if (!reach_run(&exam->reach, plan, &exam->run, &exam->reply))
            return verb_no_memory();
        diagnosis_take(&exam->diagnosis, &exam->run);
        note_run(exam);
    }
    return EX_OK;
}

/* --- what is told */

static struct case_notes notes_of(const struct examination *exam, const json_t *said)
{
    const struct reply *reply = &exam->reply;
    return (struct case_notes){
        .finding = exam->diagnosis.finding,
        .status = exam->run.status,
        .secure = strncasecmp(exam->reach.url, "https:", 6) == 0,
        .server = buf_span(&reply->server),
        .via = buf_span(&reply->via),
        .coding = buf_span(&reply->coding),
        .location = buf_span(&reply->location),
        .fault = buf_span(&reply->fault),
        .said = json_text(said, "message"),
    };
}

/* A member with text of others, which need not be UTF-8. */
static void add_text(struct buf *out, const char *key, struct span text)
{
    struct buf safe = BUF_INIT;
    text_add_safe(&safe, text);
    buf_printf(out, ",\"%s\":", key);
    buf_add_json(out, buf_span(&safe));
    buf_fini(&safe);
}

static void add_hops(struct buf *out, unsigned hops)
{
    buf_add_text(out, ",\"proxies\":[");
    for (unsigned hop = 0, count = 0; hop < HOP_COUNT; hop++)
        if (hops & 1u << hop)
            buf_printf(out, "%s\"%s\"", count++ ? "," : "", advice_hop_name((enum hop)hop));
    buf_add_char(out, ']');
}

static int tell_json(const struct examination *exam, const struct case_notes *notes)
{
    struct buf out = BUF_INIT;
    buf_printf(&out, "{\"verdict\":\"%s\",\"bytes\":%" PRId64 ",\"ms\":%" PRId64 ",\"status\":%ld",
               verdict_word(notes->finding.verdict), notes->finding.bytes, notes->finding.ms, notes->status);
    add_hops(&out, advice_hops(notes));
    add_text(&out, "server", notes->server);
    add_text(&out, "via", notes->via);
    add_text(&out, "coding", notes->coding);
    add_text(&out, "location", notes->location);
    add_text(&out, "fault", notes->fault);
    add_text(&out, "message", notes->said);
    buf_printf(&out, ",\"runs\":[%.*s]}\n", (int)exam->runs.len, exam->runs.data ? exam->runs.data : "");
    int status = buf_failed(&out) ? verb_no_memory() : verb_json(buf_span(&out));
    buf_fini(&out);
    return status;
}

static int tell_words(struct examination *exam, const struct case_notes *notes)
{
    struct buf out = BUF_INIT;
    advice_write(&out, notes);
    bool failed = buf_failed(&out);
    (void)fwrite(out.data, 1, out.len, stdout);
    buf_fini(&out);
    if (!failed && exam->order->verbose && exam->marks.cell_count) {
        (void)putchar('\n');
        failed = !columns_print(&exam->marks, stdout);
    }
    return failed ? verb_no_memory() : verb_written();
}

/* Unreachable is as in other commands. */
static int status_of(const struct case_notes *notes)
{
    switch (notes->finding.verdict) {
    case VERDICT_PASSES: return EX_OK;
    case VERDICT_HELD_BYTES:
    case VERDICT_HELD_UNTIL_END:
    case VERDICT_CUT: return EXIT_REFUSED;
    case VERDICT_UNREACHABLE: break;
    }
    return notes->status == 0 || notes->status == 429 || notes->status >= 500 ? EX_UNAVAILABLE : EX_PROTOCOL;
}

static int tell(struct examination *exam)
{
    enum { JSON_DEPTH = 4 };
    json_t *said = NULL;
    if (json_parse(buf_span(&exam->reply.text), JSON_DEPTH, &said) != OK)
        said = NULL;
    struct case_notes notes = notes_of(exam, said);
    int status = exam->order->json ? tell_json(exam, &notes) : tell_words(exam, &notes);
    if (!status)
        status = status_of(&notes);
    json_decref(said);
    return status;
}

static int examine(const struct order *order, struct reach *reach)
{
    struct examination exam = {.order = order, .reach = *reach};
    columns_init(&exam.marks, mark_columns, array_len(mark_columns));
    int status = make_runs(&exam);
    if (!status && (exam.marks.failed || buf_failed(&exam.runs)))
        status = verb_no_memory();
    if (!status)
        status = tell(&exam);
    columns_fini(&exam.marks);
    buf_fini(&exam.runs);
    reply_fini(&exam.reply);
    return status;
}

int verb_probe(const struct order *order)
{
    struct reach reach = {.proxy = order->proxy, .authorities = order->authorities};
    enum err err = reach_init(&reach, order->operands[0]);
    if (err == ERR_BAD_FIELD) {
        ask_complain("%s is no http or https URL", order->operands[0]);
        return EX_USAGE;
    }
    if (err)
        return verb_no_memory();
    int status = examine(order, &reach);
    reach_fini(&reach);
    return status;
}
