/* SPDX-License-Identifier: MIT */
/*
 * Scenarios with Socket.IO's clients: broadcasts to WebSockets, and the memory of idle ones, against Socket.IO on Node.
 *
 * Both servers are up at once and take turns, round after round, with the same clients: they come by WebSocket, speak
 * Engine.IO 4 and Socket.IO 5, and get the same packets to the byte, which is checked with the first one. One more
 * client sends; the server gives what it sends to all others. What the applications are: socketio_reference.mjs says it
 * shortest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "figures.h"
#include "report.h"
#include "scenario.h"
#include "stats.h"
#include "support.h"
#include "websockets.h"

enum {
    WARM_MS = 2000, /* until Node has compiled what is used */
    WINDOW_WIDE = 32,
    NAME_BYTES = 64,
    OPEN_CONNECTIONS = 100,
    OPEN_S = 120,
    SPARE_FDS = 500,
    HEARD_BYTES = FAN_TEXT_BYTES + 160,
};

static const double target_rate = 2;
static const double target_memory = 0.1;

static const char path[] = "/socket.io/?EIO=4&transport=websocket";
static const char sender_name[] = "sender";
static const char room_name[] = "bench"; /* and the readers' names, with a number */
static const char reference_thread[] = "00000000-0000-4000-8000-000000000000";

/* --- applications ------------------------------------------------------------------------------------------------- */

struct application {
    const char *name;
    const char *connect;
    const char *answers[3]; /* to the handshake, the connect and the entrance */
    /* Writes, as snprintf does, the packet by which a name comes in, the one that sends a text, and what is heard of
     * it. `thread` is that of the target. */
    int (*enter_write)(char *ret, size_t cap, const char *name);
    int (*send_write)(char *ret, size_t cap, const char *thread, const char *text);
    int (*heard_write)(char *ret, size_t cap, const char *thread, const char *text);
    bool of_thread; /* its room is a thread with members, which has to be there first */
};

static int register_write(char *ret, size_t cap, const char *name)
{
    return snprintf(ret, cap, "420[\"register\",\"%s\"]", name);
}

static int message_write(char *ret, size_t cap, const char *thread, const char *text)
{
    (void)thread;
    return snprintf(ret, cap, "42[\"message\",{\"from\":\"%s\",\"message\":\"%s\"}]", sender_name, text);
}

static int join_write(char *ret, size_t cap, const char *name)
{
    return snprintf(ret, cap, "42/max,[\"join\",{\"username\":\"%s\",\"timestamp\":1}]", name);
}

static int talk_write(char *ret, size_t cap, const char *thread, const char *text)
{
    return snprintf(ret, cap, "42/max,[\"talk\",{\"conversation\":\"%s\",\"timestamp\":1,\"messageID\":\"%s\"}]",
                    thread, text);
}

static int update_write(char *ret, size_t cap, const char *thread, const char *text)
{
    return snprintf(
        ret, cap,
        "42/max,[\"update\",{\"username\":\"%s\",\"conversation\":\"%s\",\"timestamp\":1,\"messageID\":\"%s\"}]",
        sender_name, thread, text);
}

static const struct application sockets = {
    .name = "Sockets",
    .connect = "40",
    .answers = {"0{", "40{", "430[true]"},
    .enter_write = register_write,
    .send_write = message_write,
    .heard_write = message_write,
};

static const struct application maxtalk = {
    .name = "maxtalk",
    .connect = "40/max,",
    .answers = {"0{", "40/max,{", "42/max,[\"listening\","},
    .enter_write = join_write,
    .send_write = talk_write,
    .heard_write = update_write,
    .of_thread = true,
};

/* --- contenders --------------------------------------------------------------------------------------------------- */

struct contender {
    const struct application *application;
    struct target target;
    struct fan *fan;
    bool sends; /* the client being opened is the sender */
    struct figures figures;
};

enum { OURS, THEIRS, CONTENDERS };

static size_t written(int n, size_t cap)
{
    if (n < 0 || (size_t)n >= cap)
        fail("a packet is too long");
    return (size_t)n;
}

static size_t step_write(void *self, unsigned index, unsigned step, char ret[WEBSOCKET_PACKET_BYTES])
{
    const struct contender *contender = self;
    char name[USER_BYTES];

    if (step == 1)
        return written(snprintf(ret, WEBSOCKET_PACKET_BYTES, "%s", contender->application->connect),
                       WEBSOCKET_PACKET_BYTES);
    snprintf(name, sizeof name, "%s%u", room_name, index);
    return written(
        contender->application->enter_write(ret, WEBSOCKET_PACKET_BYTES, contender->sends ? sender_name : name),
        WEBSOCKET_PACKET_BYTES);
}

/* Opens `count` clients and takes them as far as `steps`. */
static void clients_open(struct contender *contender, unsigned count, unsigned steps, int *ret_fds)
{
    struct websocket_plan plan = {
        .to = &contender->target.http,
        .path = path,
        .count = count,
        .concurrency = OPEN_CONNECTIONS,
        .steps = steps,
        .answers = contender->application->answers,
        .packet_write = step_write,
        .self = contender,
    };

    websockets_open(&plan, ret_fds, deadline_in(OPEN_S));
}

/* The sender's frame; a fan_request_fn. */
static size_t frame_write(void *self, const char *text, char ret[FAN_REQUEST_BYTES])
{
    const struct contender *contender = self;
    char packet[WEBSOCKET_PACKET_BYTES];
    size_t n = written(contender->application->send_write(packet, sizeof packet, contender->target.thread, text),
                       sizeof packet);

    return websocket_frame_write(packet, n, ret);
}

/* Whether a frame with the text `n` bytes long, at least 126, begins at `frame`. */
static bool is_frame(const char *frame, size_t n)
{
    const char head[] = {(char)0x81, 126, (char)(n >> 8), (char)n};

    return memcmp(frame, head, sizeof head) == 0;
}

/* That a message arrives as it is to arrive, in a frame of its own. */
static void first_check(struct contender *contender)
{
    enum { FRAME_HEAD_BYTES = 4 };
    char heard[HEARD_BYTES];
    char text[FAN_TEXT_BYTES + 1];
    size_t number;
    char *capture = fan_capture(contender->fan, "]", &number);
    size_t before;
    size_t n;

    memcpy(text, capture + number, FAN_TEXT_BYTES);
    text[FAN_TEXT_BYTES] = '\0';
    n = written(contender->application->heard_write(heard, sizeof heard, contender->target.thread, text), sizeof heard);
    before = (size_t)(strchr(heard, '~') - heard);
    if (number < before + FRAME_HEAD_BYTES || memcmp(capture + number - before, heard, n) != 0 ||
        !is_frame(capture + number - before - FRAME_HEAD_BYTES, n))
        fail("%s of %s: %s did not come in a frame of its own", contender->application->name,
             target_name(contender->target.kind), heard);
    free(capture);
}

static void contender_open(struct contender *contender, const struct settings *settings, enum target_kind kind,
                           const struct application *application, unsigned readers)
{
    int *fds = alloc_items(readers, sizeof *fds);
    int sender_fd;

    *contender = (struct contender){.application = application};
    target_start(&contender->target, settings, kind, 0);
    strcpy(contender->target.thread, reference_thread);
    if (application->of_thread && kind != TARGET_SOCKETIO)
        target_gather(&contender->target, room_name, readers);
    clients_open(contender, readers, 3, fds);
    contender->sends = true;
    clients_open(contender, 1, 3, &sender_fd);
    contender->fan = fan_new_framed(fds, readers, sender_fd, frame_write, contender);
    first_check(contender);
    free(fds);
}

static void contender_close(struct contender *contender)
{
    target_stop(&contender->target);
    fan_free(contender->fan);
    figures_fini(&contender->figures);
}

static void contender_measure(struct contender *contender, const struct fan_plan *plan)
{
    figures_measure(&contender->figures, contender->fan, plan, &contender->target.proc,
                    target_name(contender->target.kind));
}

/* --- broadcasts --------------------------------------------------------------------------------------------------- */

struct contest {
    const struct settings *settings;
    const struct scenario *scenario;
    const struct application *application;
    struct contender contenders[CONTENDERS];
};

static void contest_run(struct contest *contest, const struct fan_plan *plan)
{
    struct fan_plan warm = {.window = plan->window, .run_ms = WARM_MS};

    for (unsigned i = 0; i < CONTENDERS; i++) {
        figures_clear(&contest->contenders[i].figures);
        fan_run(contest->contenders[i].fan, &warm, NULL);
    }
    for (unsigned round = 0; round < contest->settings->rounds; round++) {
        for (unsigned i = 0; i < CONTENDERS; i++)
            contender_measure(&contest->contenders[i], plan);
    }
}

static void figure_write(const struct contest *contest, unsigned window, const char *what, const struct samples *ours,
                         const struct samples *theirs, struct report_row row)
{
    char name[NAME_BYTES];

    snprintf(name, sizeof name, "%s, %u in flight%s", contest->application->name, window, what);
    row.scenario = contest->scenario->name;
    row.name = name;
    row.value = samples_median(ours);
    row.against = target_name(TARGET_SOCKETIO);
    row.reference = samples_median(theirs);
    row.ratio = samples_ratio(ours, theirs);
    report_row_write(contest->settings->sink, &row);
}

static void contest_write(const struct contest *contest, unsigned window)
{
    const struct contender *ours = &contest->contenders[OURS];
    const struct contender *theirs = &contest->contenders[THEIRS];

    figure_write(contest, window, "", &ours->figures.rates, &theirs->figures.rates,
                 (struct report_row){.unit = "deliveries/s", .aim = AIM_AT_LEAST, .target = target_rate});
    figure_write(contest, window, ": server CPU", &ours->figures.cpu_us, &theirs->figures.cpu_us,
                 (struct report_row){.unit = "us/delivery"});
    figure_write(contest, window, ": p50", &ours->figures.p50_us, &theirs->figures.p50_us,
                 (struct report_row){.unit = "us"});
    figure_write(contest, window, ": p99", &ours->figures.p99_us, &theirs->figures.p99_us,
                 (struct report_row){.unit = "us"});
    figure_write(contest, window, ": bench itself", &ours->figures.client_shares, &theirs->figures.client_shares,
                 (struct report_row){.unit = "% of a CPU"});
}

static void contest_hold(const struct settings *settings, const struct scenario *scenario,
                         const struct application *application)
{
    static const enum target_kind kinds[CONTENDERS] = {TARGET_MEMORY, TARGET_SOCKETIO};
    static const unsigned windows[] = {1, WINDOW_WIDE};
    struct contest contest = {.settings = settings, .scenario = scenario, .application = application};

    for (unsigned i = 0; i < CONTENDERS; i++)
        contender_open(&contest.contenders[i], settings, kinds[i], application, scenario->size);
    for (unsigned i = 0; i < sizeof windows / sizeof *windows; i++) {
        struct fan_plan plan = {.window = windows[i], .run_ms = settings->round_ms};

        contest_run(&contest, &plan);
        contest_write(&contest, windows[i]);
    }
    for (unsigned i = 0; i < CONTENDERS; i++)
        contender_close(&contest.contenders[i]);
}

void socketio_run(const struct settings *settings, const struct scenario *scenario)
{
    contest_hold(settings, scenario, &maxtalk);
    contest_hold(settings, scenario, &sockets);
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

/* Has Node free its garbage; nereidd has none. */
static void garbage_collect(const struct target *target)
{
    static const char request[] = "POST /collect HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";
    char body[NAME_BYTES];

    if (target->kind == TARGET_SOCKETIO &&
        http_exchange(&target->http, request, sizeof request - 1, body, sizeof body) != 200)
        fail("garbage was not collected");
}

/* The first few make what is made once. */
static double idle_bytes(const struct settings *settings, enum target_kind kind, unsigned count, int *fds)
{
    struct contender contender = {.application = &sockets};
    int first[OPEN_CONNECTIONS];
    uint64_t before;
    uint64_t after;

    target_start(&contender.target, settings, kind, 0);
    clients_open(&contender, OPEN_CONNECTIONS, 2, first);
    garbage_collect(&contender.target);
    before = proc_settled_anon_bytes(&contender.target.proc);
    clients_open(&contender, count, 2, fds);
    garbage_collect(&contender.target);
    after = proc_settled_anon_bytes(&contender.target.proc);
    target_stop(&contender.target);
    streams_close(fds, count);
    streams_close(first, OPEN_CONNECTIONS);
    return ((double)after - (double)before) / count;
}

void socketio_memory_run(const struct settings *settings, const struct scenario *scenario)
{
    int *fds = alloc_items(scenario->size, sizeof *fds);
    struct rlimit limit;
    struct report_row row = {
        .scenario = scenario->name,
        .name = "user memory per idle client",
        .unit = "bytes",
        .against = target_name(TARGET_SOCKETIO),
        .aim = AIM_AT_MOST,
        .target = target_memory,
    };

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < scenario->size + SPARE_FDS)
        fail("%u clients need a higher limit of open files (ulimit -n)", scenario->size);
    row.value = idle_bytes(settings, TARGET_MEMORY, scenario->size, fds);
    row.reference = idle_bytes(settings, TARGET_SOCKETIO, scenario->size, fds);
    row.ratio = row.value / row.reference;
    report_row_write(settings->sink, &row);
    free(fds);
}
