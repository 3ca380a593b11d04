/* SPDX-License-Identifier: MIT */
/*
 * A server that the bench starts, watches and stops.
 *
 * `started` holds the pids of the servers that run, for the exit handler; a server leaves it when it has been waited
 * for, so a pid in it is never one that the kernel has given to somebody else.
 */
#include "proc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support.h"

enum {
    STARTED_MAX = 16,
    READY_S = 15,
    STOP_MS = 20000,
    OUTPUT_BYTES = 8192,
    LOG_TAIL_BYTES = 1500,
    SETTLE_MS = 500,
    SETTLE_READINGS = 5,
    SETTLE_BYTES = 65536,
    SETTLE_S = 30,
};

static pid_t started[STARTED_MAX];
static pid_t starter;
static cpu_set_t server_cpus;
static bool separate;

unsigned proc_separate(void)
{
    cpu_set_t own;
    size_t last = CPU_SETSIZE - 1;

    if (sched_getaffinity(0, sizeof server_cpus, &server_cpus) < 0)
        fail("sched_getaffinity: %s", strerror(errno));
    if (CPU_COUNT(&server_cpus) < 2)
        return 1;
    while (!CPU_ISSET(last, &server_cpus))
        last--;
    CPU_CLR(last, &server_cpus);
    CPU_ZERO(&own);
    CPU_SET(last, &own);
    if (sched_setaffinity(0, sizeof own, &own) < 0)
        fail("sched_setaffinity: %s", strerror(errno));
    separate = true;
    return (unsigned)CPU_COUNT(&server_cpus);
}

static void started_kill(void)
{
    if (getpid() != starter)
        return;
    for (unsigned i = 0; i < STARTED_MAX; i++) {
        if (started[i] > 0 && kill(started[i], SIGKILL) == 0)
            waitpid(started[i], NULL, 0);
    }
}

static void started_replace(pid_t old, pid_t new)
{
    if (starter != getpid()) {
        starter = getpid();
        memset(started, 0, sizeof started);
        atexit(started_kill);
    }
    for (unsigned i = 0; i < STARTED_MAX; i++) {
        if (started[i] == old) {
            started[i] = new;
            return;
        }
    }
    fail("too many servers at once");
}

static _Noreturn void child_exec(const char *const *argv, const char *log, int output_fd, pid_t parent)
{
    int log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    if (separate)
        sched_setaffinity(0, sizeof server_cpus, &server_cpus);
    dup2(null_fd, STDIN_FILENO);
    dup2(output_fd, STDOUT_FILENO);
    dup2(log_fd, STDERR_FILENO);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

void proc_start(struct proc *proc, const char *const *argv, const char *log)
{
    pid_t parent = getpid();
    int output[2];

    if (snprintf(proc->log, sizeof proc->log, "%s", log) >= (int)sizeof proc->log)
        fail("the path of a log is too long");
    if (pipe2(output, O_CLOEXEC) < 0)
        fail("pipe: %s", strerror(errno));
    proc->pid = fork();
    if (proc->pid < 0)
        fail("fork: %s", strerror(errno));
    if (proc->pid == 0)
        child_exec(argv, log, output[1], parent);
    close(output[1]);
    proc->output_fd = output[0];
    started_replace(0, proc->pid);
}

void proc_fail(const struct proc *proc, const char *what)
{
    char tail[LOG_TAIL_BYTES + 1];
    FILE *log = fopen(proc->log, "r");
    size_t n = 0;

    if (log != NULL) {
        if (fseek(log, -LOG_TAIL_BYTES, SEEK_END) < 0)
            rewind(log);
        n = fread(tail, 1, LOG_TAIL_BYTES, log);
        fclose(log);
    }
    tail[n] = '\0';
    fail("%s; the end of its log:\n%s", what, tail);
}

/* Finds ADDRESS:PORT with an IPv4 address anywhere in `line`. */
static bool address_find(const char *line, struct sockaddr_in *ret)
{
    for (const char *p = line; *p != '\0'; p++) {
        unsigned a[4];
        unsigned port;
        char text[INET_ADDRSTRLEN];

        if ((p != line && strchr("0123456789.", p[-1]) != NULL) ||
            sscanf(p, "%3u.%3u.%3u.%3u:%5u", &a[0], &a[1], &a[2], &a[3], &port) != 5 || port == 0 || port > 65535)
            continue;
        *ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        if (snprintf(text, sizeof text, "%u.%u.%u.%u", a[0], a[1], a[2], a[3]) < (int)sizeof text &&
            inet_pton(AF_INET, text, &ret->sin_addr) == 1)
            return true;
    }
    return false;
}

static void line_take(const char *line, const char *const *words, struct sockaddr_in *ret_addresses, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (strstr(line, words[i]) != NULL) {
            if (ret_addresses[i].sin_port == 0)
                address_find(line, &ret_addresses[i]);
            return;
        }
    }
}

static bool addresses_all(const struct sockaddr_in *addresses, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (addresses[i].sin_port == 0)
            return false;
    }
    return true;
}

/* Adds what the server printed to `output`; fails when it has ended or the time is up. */
static size_t output_read(const struct proc *proc, char *output, size_t len, uint64_t deadline_ns)
{
    struct pollfd ready = {.fd = proc->output_fd, .events = POLLIN};
    ssize_t got;

    if (now_ns() >= deadline_ns || poll(&ready, 1, ms_left(deadline_ns, "a server")) == 0)
        proc_fail(proc, "the server did not say that it is ready");
    got = read(proc->output_fd, output + len, OUTPUT_BYTES - 1 - len);
    if (got <= 0)
        proc_fail(proc, "the server ended before it was ready");
    return len + (size_t)got;
}

void proc_addresses(struct proc *proc, const char *const *words, struct sockaddr_in *ret_addresses, unsigned n)
{
    uint64_t deadline_ns = deadline_in(READY_S);
    char output[OUTPUT_BYTES];
    size_t len = 0;

    memset(ret_addresses, 0, n * sizeof *ret_addresses);
    while (!addresses_all(ret_addresses, n)) {
        char *line = output;
        char *end;

        len = output_read(proc, output, len, deadline_ns);
        output[len] = '\0';
        while ((end = strchr(line, '\n')) != NULL) {
            *end = '\0';
            line_take(line, words, ret_addresses, n);
            line = end + 1;
        }
        len -= (size_t)(line - output);
        memmove(output, line, len);
    }
}

static bool proc_wait(const struct proc *proc, int timeout_ms)
{
    int pid_fd = (int)syscall(SYS_pidfd_open, proc->pid, 0);
    struct pollfd ended = {.fd = pid_fd, .events = POLLIN};
    bool done;

    if (pid_fd < 0)
        fail("pidfd_open: %s", strerror(errno));
    done = poll(&ended, 1, timeout_ms) == 1;
    close(pid_fd);
    return done;
}

bool proc_has_ended(const struct proc *proc)
{
    return proc_wait(proc, 0);
}

void proc_stop(struct proc *proc)
{
    int status;
    bool in_time;

    kill(proc->pid, SIGTERM);
    in_time = proc_wait(proc, STOP_MS);
    if (!in_time)
        kill(proc->pid, SIGKILL);
    if (waitpid(proc->pid, &status, 0) < 0)
        fail("waitpid: %s", strerror(errno));
    started_replace(proc->pid, 0);
    close(proc->output_fd);
    if (!in_time)
        proc_fail(proc, "the server did not end on SIGTERM");
    if (!(WIFEXITED(status) && WEXITSTATUS(status) == 0) && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM))
        fprintf(stderr, "bench: note: a server ended with wait status 0x%x\n", (unsigned)status);
}

void proc_kill(struct proc *proc)
{
    kill(proc->pid, SIGKILL);
    if (waitpid(proc->pid, NULL, 0) < 0)
        fail("waitpid: %s", strerror(errno));
    started_replace(proc->pid, 0);
    close(proc->output_fd);
}

void proc_finish(struct proc *proc, char *ret_output, size_t cap, uint64_t deadline_ns)
{
    struct pollfd ready = {.fd = proc->output_fd, .events = POLLIN};
    size_t len = 0;
    ssize_t got = 1;
    int status;

    while (got > 0) {
        if (poll(&ready, 1, ms_left(deadline_ns, "a program")) != 1)
            continue;
        got = read(proc->output_fd, ret_output + len, cap - 1 - len);
        len += got > 0 ? (size_t)got : 0;
        if (len == cap - 1)
            proc_fail(proc, "a program prints too much");
    }
    ret_output[len] = '\0';
    if (!proc_wait(proc, ms_left(deadline_ns, "a program")) || waitpid(proc->pid, &status, 0) < 0)
        proc_fail(proc, "a program closed its output and did not end");
    started_replace(proc->pid, 0);
    close(proc->output_fd);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        proc_fail(proc, "a program failed");
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec used;

    if (clock_gettime(clock, &used) < 0)
        fail("CPU clock: %s", strerror(errno));
    return (uint64_t)used.tv_sec * NS_PER_S + (uint64_t)used.tv_nsec;
}

uint64_t proc_cpu_ns(const struct proc *proc)
{
    clockid_t clock;

    if (clock_getcpuclockid(proc->pid, &clock) != 0)
        fail("the server is gone");
    return clock_ns(clock);
}

uint64_t own_cpu_ns(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

/* The number after `word` in the first line of the file that starts with `line_start`. Fails when there is none. */
static uint64_t file_number(const char *path, const char *line_start, const char *word)
{
    char line[512];
    FILE *file = fopen(path, "r");

    if (file == NULL)
        fail("%s: %s", path, strerror(errno));
    while (fgets(line, sizeof line, file) != NULL) {
        const char *at = strncmp(line, line_start, strlen(line_start)) == 0 ? strstr(line, word) : NULL;

        if (at != NULL) {
            fclose(file);
            return strtoull(at + strlen(word), NULL, 10);
        }
    }
    fail("%s has no %s", path, word);
}

uint64_t proc_settled_anon_bytes(const struct proc *proc)
{
    uint64_t deadline_ns = deadline_in(SETTLE_S);
    uint64_t first = 0;
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)proc->pid);
    for (unsigned same = 0;;) {
        uint64_t bytes = file_number(path, "Pss_Anon:", "Pss_Anon:") * 1024;
        uint64_t moved = bytes > first ? bytes - first : first - bytes;

        same = moved <= SETTLE_BYTES ? same + 1 : 1;
        if (same == 1)
            first = bytes;
        if (same == SETTLE_READINGS)
            return bytes;
        ms_left(deadline_ns, "the server's memory to settle");
        pause_ms(SETTLE_MS);
    }
}

uint64_t kernel_object_bytes(void)
{
    return file_number("/proc/meminfo", "Slab:", "Slab:") * 1024;
}
