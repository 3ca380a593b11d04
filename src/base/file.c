/* SPDX-License-Identifier: MIT */
/* One open, and everything else is asked of what was opened: a file swapped in between gains nothing. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

static enum err refuse(const char *path, const char *why)
{
    log_event(LOG_ERROR, "cannot use a file", log_text("file", path), log_text("why", why));
    return ERR_BAD_FIELD;
}

static enum err check_kind(const char *path, const struct stat *status, enum file_kind kind, size_t size_max)
{
    if (!S_ISREG(status->st_mode))
        return refuse(path, "not a regular file");
    if (kind == FILE_SECRET && (status->st_mode & S_IRWXO))
        return refuse(path, "it holds secrets, but others may read or write it (chmod o= it)");
    if (status->st_mode & S_IWOTH)
        return refuse(path, "others may write it (chmod o-w it)");
    if (status->st_size > (off_t)size_max)
        return refuse(path, "too large");
    return OK;
}

/* Stops soon after `size_max`, should the file grow meanwhile. */
static enum err read_all(int fd, const char *path, size_t size_max, struct buf *buf)
{
    char chunk[4096];
    ssize_t got = 0;
    while (buf->len <= size_max && !buf_failed(buf) && (got = read(fd, chunk, sizeof(chunk))) > 0)
        buf_add(buf, (struct span){chunk, (size_t)got});
    explicit_bzero(chunk, sizeof(chunk));
    if (got < 0)
        return refuse(path, strerror(errno));
    return buf_failed(buf) ? ERR_NO_MEMORY : OK;
}

enum err file_read(const char *path, enum file_kind kind, size_t size_max, struct buf *buf)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return refuse(path, strerror(errno));
    struct stat status;
    enum err err = fstat(fd, &status) ? refuse(path, strerror(errno)) : check_kind(path, &status, kind, size_max);
    if (!err)
        err = read_all(fd, path, size_max, buf);
    (void)close(fd);
    if (!err && buf->len > size_max)
        err = refuse(path, "too large");
    if (err)
        file_wipe(buf);
    return err;
}

void file_wipe(struct buf *buf)
{
    if (buf->data)
        explicit_bzero(buf->data, buf->cap);
    buf_fini(buf);
}
