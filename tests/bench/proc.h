/* SPDX-License-Identifier: MIT */
/*
 * A server that the bench starts, watches and stops.
 *
 *   proc_start -> proc_addresses -> proc_cpu_ns, proc_anon_bytes ... -> proc_stop
 *
 * Every server started here dies with the process that started it, however that one ends: normally proc_stop ends it,
 * fail() kills those that are left, and the kernel kills them when the bench itself is killed. Each is known by its
 * pid alone. Not for threads.
 */
#ifndef BENCH_PROC_H
#define BENCH_PROC_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROC_LOG_BYTES = 256 };

struct proc {
    pid_t pid;
    int output_fd;            /* its standard output */
    char log[PROC_LOG_BYTES]; /* path of the file that takes its standard error */
};

/*
 * From now on the calling process computes on the last of its processors and the servers that it starts on the
 * others. Otherwise the scheduler puts both on one processor or on two as it likes, which changes what loopback
 * costs by half and more. Does nothing where there is only one processor. Returns how many the servers have.
 */
unsigned proc_separate(void);

/*
 * Starts argv[0] (a path, or a name that is looked for in PATH) with argv, its standard error appended to `log`. Fails
 * when it cannot be started.
 */
void proc_start(struct proc *proc, const char *const *argv, const char *log);

/*
 * Reads the server's standard output until, for each of the `n` words, there was a line that holds the word and an
 * IPv4 ADDRESS:PORT; that address is ret_addresses[i]. A line is taken by the first of the words in it, so the most
 * telling word goes first. Fails, showing the end of its log, when it ends or 15 s pass without that.
 */
void proc_addresses(struct proc *proc, const char *const *words, struct sockaddr_in *ret_addresses, unsigned n);

/*
 * Ends the server with SIGTERM and waits; after 20 s kills it and fails. Says so on standard error when it ended in
 * any other way than with status 0 or by that SIGTERM.
 */
void proc_stop(struct proc *proc);

/* Ends the server with SIGKILL, on purpose, and waits until it is gone. */
void proc_kill(struct proc *proc);

/*
 * Reads what a program prints that ends by itself, NUL-terminated; one is started like a server. Fails, showing the
 * end of its log, when it ends with another status than 0, prints `cap` bytes or more, or takes longer than the
 * deadline.
 */
void proc_finish(struct proc *proc, char *ret_output, size_t cap, uint64_t deadline_ns);

/* Whether it has ended, by itself. */
bool proc_has_ended(const struct proc *proc);

/* Fails with `what` and the end of its log. */
_Noreturn void proc_fail(const struct proc *proc, const char *what);

/* CPU time of all its threads so far, in nanoseconds, user and system. */
uint64_t proc_cpu_ns(const struct proc *proc);

/* CPU time of the calling process so far, in nanoseconds. */
uint64_t own_cpu_ns(void);

/*
 * Its anonymous private memory in bytes (Pss_Anon of smaps_rollup), once it has stopped changing: read every 200 ms
 * until five readings in a row lie within 64 KiB. Fails when that does not happen within 30 s.
 */
uint64_t proc_settled_anon_bytes(const struct proc *proc);

/* Memory of the kernel's own objects (sockets, files, ...) in all of the machine, in bytes: Slab of /proc/meminfo. */
uint64_t kernel_object_bytes(void);

#endif
