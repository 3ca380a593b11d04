/* SPDX-License-Identifier: MIT */
/*
 * bench: how fast nereidd is, and how near to what this machine can do.
 *
 * USAGE
 *   bench [-n NEREIDD] [-l LIMIT] [-j FILE] [-r ROUNDS] [-t MS] [-d DIRECTORY] [-o SECTION.KEY=VALUE]...
 *         [-i FILE] [-L] [-f] [-s] [SCENARIO...]
 *
 *   -n  the nereidd to measure; else the environment's NEREIDD; with neither, only the reference is measured
 *   -l  the reference; else `limit` beside this program
 *   -i  socketio_reference.mjs, to be run by Node with what npm installed in tests/system; else the environment's
 *       SOCKETIO_REFERENCE; with neither, the scenarios socketio-... are left out
 *   -j  write the results as JSON, too
 *   -r  rounds of each measurement (default 9)
 *   -t  length of a round in milliseconds (default 300; four times that for `sends`, twice for `redis-sends`)
 *   -d  where the private directory with the databases is made (default $TMPDIR, else /var/tmp); it decides which
 *       disk is measured
 *   -o  a further option for nereidd
 *   -L  list the scenarios
 *   -f  floating: let the scheduler choose the processors; else the bench keeps the last one for itself and leaves
 *       the others to the servers wherever deliveries are compared
 *   -s  strict: a missed target is a failure
 *   SCENARIO is a name from that list or the beginning of one; without any, all are run.
 *
 *   Exit status: 0, or 1 when a scenario failed (a message lost, doubled or out of order is a failure, and never
 *   a figure), or with -s when a target was missed; 2 for wrong usage.
 *
 * READING THE TABLE
 *   Each row is one figure, the median of its rounds. With a reference, the ratio of the two is what the target is
 *   about, else the value itself. The ratio is the median of the rounds' own ratios, so it need not be exactly that
 *   of the two medians. Rows without a target are there to explain the others.
 *
 *   file, memory     nereidd with its store in a file (every message is on disk before it is delivered) and with
 *                    sqlite::memory:. The reference stores nothing, so `file` also pays for the disk: with one
 *                    message in flight each message waits for its own commit; with 32 one commit serves all that
 *                    have piled up.
 *   limit            a single-threaded epoll broadcaster with envelopes as long as nereidd's, which writes what has
 *                    piled up in one loop turn with one write per reader. limit-each writes every message for itself:
 *                    with one in flight that is the same, with 32 it is what gathered writes have to beat.
 *   deliveries/s     messages times readers, divided by the time from the first request to the last delivery. `1 in
 *                    flight`: the next message is sent when every reader has the last one; `32 in flight` alike.
 *   server CPU       user and system time of all threads of the server, which on loopback includes most of what the
 *                    kernel does for the receiving side.
 *   bench itself     how busy the bench's one thread was. Well below 100 % it did not hold the servers back; near it,
 *                    with limit faster than anything else here, limit could perhaps do a little more.
 *   memory           anonymous private memory after opening the streams minus before, divided by their number: the
 *                    stream, its session, its user and its token, and what the allocator keeps. What the kernel keeps
 *                    for both ends of the connections has a row of its own and is not counted.
 *   neighbours       ten readers, one message in flight, beside 15,000 idle streams and beside none. Judged with the
 *                    store in memory, where the wait for the disk does not hide or feign a difference.
 *   connects         from the first connect to the moment when the last of 10,000 streams has sent the first byte of
 *                    its body, 200 under way at a time.
 *   sends            messages acknowledged per second; SQLite alone commits the very same rows to the same schema in
 *                    transactions as large as nereidd's were on average.
 *   redis-sends      messages acknowledged per second with nereidd on Redis; XADD is redis-benchmark, which adds the
 *                    very same entries to another stream of the same server over as many connections, one command under
 *                    way on each. nereidd has HTTP in front of it and does more for a message (looks for its id and
 *                    the sender's membership, keeps id and history, reads it back from the log), all of which is in
 *                    the two servers' CPU. On two processors the bench needs its share of them, too. `no file` is a
 *                    Redis that keeps nothing, `appendonly` one with a file that is synced every second. Every round
 *                    the log is read: each acknowledged message once, and none before one that had been acknowledged
 *                    before it was sent.
 *   redis-latency    two nodes on one Redis; all messages are sent at the first. One room has its reader there, the
 *                    other at the second node; one message in flight, 4 ms between them.
 *   redis-recovery   a node on a Redis with an appendonly file, which is killed with SIGKILL and started again at once.
 *                    `back` is its first PONG, asked for every millisecond. From then on one message is tried again
 *                    every 2 ms until it is acknowledged; clients that honour Retry-After come later. It has to reach
 *                    all streams, which stay, and so has the traffic that follows.
 *
 *   socketio         broadcasts to WebSocket clients as two of nereidd's applications make them, against the same with
 *                    Socket.IO 4 on Node: one client emits, all others get the event, of some 300 bytes. `maxtalk`
 *                    passes notices on and keeps nothing. `Sockets` speaks in a room of the core, so nereidd stores each
 *                    message (sqlite::memory:) before it is delivered; the reference stores nothing, and asks nobody
 *                    whether the sender may. Both servers get the same processors, clients and frames, and neither
 *                    compresses. With one in flight each delivery is a write of its own, and the kernel's part in it
 *                    (four fifths of nereidd's time; see limit with as many readers) is the same for both; with 32 in
 *                    flight it shows what a server makes of load. Server CPU is that of all threads, Node's collector
 *                    included.
 *   socketio-memory  anonymous private memory, as for `memory`, of clients that have connected to `/`. Before each
 *                    reading Node frees its garbage (--expose-gc).
 *
 *   tls              readers who come by TLS against readers of plain streams, of two nereidd with the same options and
 *                    their stores in memory; messages are sent over plain HTTP to both. The certificate is an ECDSA one
 *                    (P-256), client and server take what they like best; it is not checked. Beside the records, a
 *                    delivery pays for the way through the relay's socket pair. `bench itself` has the other half of
 *                    the cryptography, so it may be what holds deliveries/s back; server CPU it does not touch.
 *   tls-connects     from the first connect to the moment when the last of 2,000 streams, each by a token that is there
 *                    already, has sent the first byte of its body, 200 under way at a time, at one nereidd. `resumed`
 *                    takes a session with a ticket, and is checked to.
 *   tls-memory       as `memory`, for connections by TLS and for plain ones, with tokens that are there already. The
 *                    kernel has two more sockets for each by TLS.
 *   talker           readers who are Talker's clients against readers of plain streams, as for `tls`. Their line is not
 *                    as long as a stream's.
 *   talker-memory    as `tls-memory`. The users are in rooms, ten in each, for both: a Talker connection is always in a
 *                    room.
 *
 *   All contenders of a measurement are up at once and take turns; compare figures within one run only. If the
 *   directory lies in memory (tmpfs), the bench says so: then durability costs nothing.
 *
 * HOW IT WORKS
 *   Each scenario runs in a child process (scenario.h) that starts servers with private directories on free loopback
 *   ports, writes its figures into a pipe, and stops its servers by their pids; the kernel ends them if it dies. The
 *   parent gives up on a scenario that takes too long, prints the rows, and removes the directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"
#include "scenario.h"
#include "support.h"

enum { OPTIONS_MAX = 32, ROUNDS = 9, ROUND_MS = 300, ROUNDS_MAX = 1000, ROUND_MS_MAX = 60000, USAGE_STATUS = 2 };

static volatile sig_atomic_t interrupted;
static volatile pid_t running; /* the scenario's process; 0: none */

struct command {
    struct settings settings;
    const char *options[OPTIONS_MAX];
    const char *json;
    const char *parent_dir;
    bool list;
    bool strict;
    bool floating;
    char **names; /* of the scenarios to run, null at the end */
    char limit[TARGET_PATH_BYTES];
    char dir[TARGET_PATH_BYTES];
};

static _Noreturn void usage_exit(void)
{
    fprintf(stderr, "usage: bench [-n NEREIDD] [-l LIMIT] [-j FILE] [-r ROUNDS] [-t MS] [-d DIRECTORY]\n"
                    "             [-o SECTION.KEY=VALUE]... [-i FILE] [-L] [-f] [-s] [SCENARIO...]\n");
    exit(USAGE_STATUS);
}

static unsigned number_read(const char *text, unsigned max)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*text == '\0' || *end != '\0' || value < 1 || value > max)
        usage_exit();
    return (unsigned)value;
}

static void option_take(struct command *command, int option, const char *value)
{
    struct settings *settings = &command->settings;

    switch (option) {
    case 'n': settings->nereidd = value; break;
    case 'l': settings->limit = value; break;
    case 'i': settings->socketio = value; break;
    case 'j': command->json = value; break;
    case 'r': settings->rounds = number_read(value, ROUNDS_MAX); break;
    case 't': settings->round_ms = number_read(value, ROUND_MS_MAX); break;
    case 'd': command->parent_dir = value; break;
    case 'L': command->list = true; break;
    case 'f': command->floating = true; break;
    case 's': command->strict = true; break;
    case 'o':
        if (settings->option_count == OPTIONS_MAX)
            usage_exit();
        command->options[settings->option_count++] = value;
        break;
    default: usage_exit();
    }
}

static const char *environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);

    return value != NULL && *value != '\0' ? value : otherwise;
}

/* The reference lies beside this program. */
static void limit_find(struct command *command)
{
    ssize_t n = readlink("/proc/self/exe", command->limit, sizeof command->limit - sizeof "limit");
    char *slash;

    if (n < 0)
        fail("/proc/self/exe: %s", strerror(errno));
    command->limit[n] = '\0';
    slash = strrchr(command->limit, '/');
    strcpy(slash + 1, "limit");
    command->settings.limit = command->limit;
}

static void command_read(struct command *command, int argc, char **argv)
{
    int option;

    *command = (struct command){
        .settings = {.nereidd = environment("NEREIDD", NULL),
                     .socketio = environment("SOCKETIO_REFERENCE", NULL),
                     .rounds = ROUNDS,
                     .round_ms = ROUND_MS},
        .parent_dir = environment("TMPDIR", "/var/tmp"),
    };
    command->settings.options = command->options;
    while ((option = getopt(argc, argv, "n:l:i:j:r:t:d:o:Lfs")) != -1)
        option_take(command, option, optarg);
    command->names = argv + optind;
    if (command->settings.limit == NULL)
        limit_find(command);
}

/* --- the private directory ---------------------------------------------------------------------------------------- */

static void directory_make(struct command *command)
{
    struct statfs fs;

    if (snprintf(command->dir, sizeof command->dir, "%s/nereidd-bench-XXXXXX", command->parent_dir) >=
            (int)sizeof command->dir ||
        mkdtemp(command->dir) == NULL)
        fail("a directory in %s: %s", command->parent_dir, strerror(errno));
    command->settings.dir = command->dir;
    if (statfs(command->dir, &fs) == 0 && fs.f_type == TMPFS_MAGIC)
        fprintf(stderr, "bench: note: %s lies in memory, durability costs nothing there\n", command->dir);
}

static int entry_remove(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info;
    (void)type;
    (void)at;
    return remove(path);
}

static void directory_remove(const char *dir)
{
    if (nftw(dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS) != 0)
        fprintf(stderr, "bench: note: cannot remove %s: %s\n", dir, strerror(errno));
}

/* --- signals ------------------------------------------------------------------------------------------------------ */

/* Ends the scenario that runs; the directory is removed on the usual way out. */
static void interrupt_take(int signal_number)
{
    interrupted = 1;
    if (running > 0)
        kill(running, signal_number);
}

static void signals_set(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

/* --- running ------------------------------------------------------------------------------------------------------ */

static bool is_scenario(const char *name)
{
    for (const struct scenario *scenario = scenarios; scenario->name != NULL; scenario++) {
        if (strcmp(scenario->name, name) == 0)
            return true;
    }
    return false;
}

/* Whether `name` of the command line means the scenario: its whole name, or how several begin. */
static bool name_matches(const char *name, const struct scenario *scenario)
{
    size_t n = is_scenario(name) ? strlen(name) + 1 : strlen(name);

    return strncmp(scenario->name, name, n) == 0;
}

static bool is_possible(const struct settings *settings, const struct scenario *scenario)
{
    return (settings->nereidd != NULL || !scenario->needs_nereidd) &&
           (settings->socketio != NULL || !scenario->needs_socketio);
}

static bool is_wanted(const struct scenario *scenario, char **names)
{
    bool wanted = *names == NULL;

    for (; *names != NULL && !wanted; names++)
        wanted = name_matches(*names, scenario);
    return wanted;
}

static void names_check(char **names)
{
    for (; *names != NULL; names++) {
        const struct scenario *scenario = scenarios;

        while (scenario->name != NULL && !name_matches(*names, scenario))
            scenario++;
        if (scenario->name == NULL) {
            fprintf(stderr, "bench: there is no scenario %s; -L lists them\n", *names);
            exit(USAGE_STATUS);
        }
    }
}

static _Noreturn void scenario_child(const struct command *command, const struct scenario *scenario, int sink_fd,
                                     unsigned time_s, pid_t parent)
{
    struct settings settings = command->settings;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    signals_set(SIG_DFL);
    alarm(time_s);
    settings.sink = fdopen(sink_fd, "w");
    if (scenario->separate && !command->floating)
        proc_separate();
    scenario->run(&settings, scenario);
    exit(EXIT_SUCCESS);
}

static unsigned scenario_time_s(const struct settings *settings, const struct scenario *scenario)
{
    unsigned long long work = (unsigned long long)settings->rounds * settings->round_ms;

    return scenario->time_s * (unsigned)(1 + work / (ROUNDS * ROUND_MS));
}

static void scenario_measure(const struct command *command, const struct scenario *scenario, json_t *rows)
{
    pid_t parent = getpid();
    FILE *source;
    int status;
    int ends[2];
    pid_t child;

    if (pipe2(ends, O_CLOEXEC) < 0)
        fail("pipe: %s", strerror(errno));
    child = fork();
    if (child < 0)
        fail("fork: %s", strerror(errno));
    if (child == 0) {
        json_decref(rows); /* the parent's */
        scenario_child(command, scenario, ends[1], scenario_time_s(&command->settings, scenario), parent);
    }
    running = child;
    close(ends[1]);
    source = fdopen(ends[0], "r");
    report_rows_read(source, rows);
    fclose(source);
    waitpid(child, &status, 0);
    running = 0;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        report_error_add(rows, scenario->name, "took too long");
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        report_error_add(rows, scenario->name, "failed, see above");
}

static void scenarios_measure(const struct command *command, json_t *rows)
{
    for (const struct scenario *scenario = scenarios; scenario->name != NULL && !interrupted; scenario++) {
        size_t first = json_array_size(rows);

        if (!is_wanted(scenario, command->names))
            continue;
        if (!is_possible(&command->settings, scenario)) {
            fprintf(stderr, "bench: %s is left out\n", scenario->name);
            continue;
        }
        fprintf(stderr, "bench: %s\n", scenario->name);
        scenario_measure(command, scenario, rows);
        report_print(rows, first);
    }
}

static void scenarios_list(void)
{
    for (const struct scenario *scenario = scenarios; scenario->name != NULL; scenario++)
        printf("%-15s %s\n", scenario->name, scenario->what);
}

static void descriptors_raise(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    struct command command;
    json_t *rows = json_array();
    bool failed;

    command_read(&command, argc, argv);
    names_check(command.names);
    if (command.list) {
        scenarios_list();
        return EXIT_SUCCESS;
    }
    descriptors_raise();
    signals_set(interrupt_take);
    directory_make(&command);
    scenarios_measure(&command, rows);
    directory_remove(command.dir);
    if (command.json != NULL && !report_save(rows, command.json))
        fail("cannot write %s: %s", command.json, strerror(errno));
    printf("%zu figures, %u missed, %u failed\n", json_array_size(rows), report_missed(rows), report_errors(rows));
    failed = interrupted || report_errors(rows) > 0 || (command.strict && report_missed(rows) > 0);
    json_decref(rows);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
