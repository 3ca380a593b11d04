/* SPDX-License-Identifier: MIT */
/*
 * What the system knows of this process, under the names that Prometheus' own clients use. It is read when it is asked
 * for. What cannot be read is left out.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/inside.h"

/* Up to the value of the only sample. */
static void begin_sample(struct buf *out, const char *name, const char *kind, const char *help)
{
    admin_write_head(out, name, kind, help);
    buf_printf(out, "%s ", name);
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void write_cpu(struct buf *out)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage))
        return;
    begin_sample(out, "process_cpu_seconds_total", "counter", "Time that all threads spent on a processor");
    buf_printf(out, "%.6f\n", seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime));
}

/* The second number of statm. 0: it cannot be read. */
static int64_t count_pages(void)
{
    char text[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t len = read(fd, text, sizeof(text) - 1);
    (void)close(fd);
    text[len > 0 ? len : 0] = '\0';
    const char *second = strchr(text, ' ');
    return second ? strtoll(second, NULL, 10) : 0;
}

static void write_memory(struct buf *out)
{
    int64_t pages = count_pages();
    if (pages <= 0)
        return;
    begin_sample(out, "process_resident_memory_bytes", "gauge", "Memory in use, without what is swapped out");
    buf_printf(out, "%" PRId64 "\n", pages * sysconf(_SC_PAGESIZE));
}

/* Each entry, but for `.`, `..` and the descriptor of the walk itself. -1: it cannot be read. */
static int64_t count_entries(const char *path)
{
    DIR *folder = opendir(path);
    int64_t count = -3;
    if (!folder)
        return -1;
    while (readdir(folder))
        count++;
    (void)closedir(folder);
    return count;
}

/* The size of this folder is their number since Linux 6.2; before, it is 0, and they have to be counted. */
static int64_t count_descriptors(void)
{
    static const char path[] = "/proc/self/fd";
    struct stat status;
    return stat(path, &status) == 0 && status.st_size > 0 ? (int64_t)status.st_size : count_entries(path);
}

static void write_descriptors(struct buf *out)
{
    struct rlimit limit;
    int64_t count = count_descriptors();
    if (count >= 0) {
        begin_sample(out, "process_open_fds", "gauge", "Open descriptors");
        buf_printf(out, "%" PRId64 "\n", count);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        begin_sample(out, "process_max_fds", "gauge", "Descriptors that may be open");
        buf_printf(out, "%" PRIu64 "\n", (uint64_t)limit.rlim_cur);
    }
}

void admin_write_process(struct buf *out, int64_t started_us)
{
    write_cpu(out);
    write_memory(out);
    write_descriptors(out);
    begin_sample(out, "process_start_time_seconds", "gauge", "When the process started, in seconds since 1970");
    buf_printf(out, "%.6f\n", (double)started_us / 1e6);
}
