/* SPDX-License-Identifier: MIT */
/*
 * Files, opened one segment after the other from the directory's descriptor, never through a link: no check can be
 * raced, and nothing but names that do not begin with a dot is ever opened. (openat2 would do that in one call, but
 * sandboxes of some containers do not know it.)
 */
#include "http/static.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/text.h"

enum { PATH_SIZE = 1024, ETAG_SIZE = 64, AGE_SIZE = 48 };

struct statics {
    int directory; /* O_PATH */
    const char *html_policy;
    char cache_control[AGE_SIZE];
};

struct file {
    int fd;
    uint64_t size;
    const char *type;
    char etag[ETAG_SIZE];
};

const char strict_content_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "media-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'; "
    "require-trusted-types-for 'script'; trusted-types nereid-chat dompurify";

/* --- what a file is --- */

static const struct {
    const char *suffix;
    const char *type;
} types[] = {
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".json", "application/json"},
    {".map", "application/json"},
    {".webmanifest", "application/manifest+json"},
    {".txt", "text/plain; charset=utf-8"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".gif", "image/gif"},
    {".webp", "image/webp"},
    {".ico", "image/x-icon"},
    {".woff2", "font/woff2"},
    {".wasm", "application/wasm"},
    {".mp3", "audio/mpeg"},
    {".ogg", "audio/ogg"},
};

static const char *find_type(const char *path)
{
    const char *suffix = strrchr(path, '.');
    for (size_t i = 0; suffix && i < array_len(types); i++)
        if (strcasecmp(suffix, types[i].suffix) == 0)
            return types[i].type;
    return "application/octet-stream";
}

/* --- finding it --- */

/* The file's name below the directory. False: no name of ours (a hidden one, an empty segment, too long). */
static bool write_name(struct span path, char name[PATH_SIZE])
{
    static const char index[] = "index.html";
    if (path.len < 1 || path.len + sizeof(index) > PATH_SIZE)
        return false;
    memcpy(name, path.data + 1, path.len - 1);
    name[path.len - 1] = '\0';
    if (path.data[path.len - 1] == '/')
        (void)strcat(name, index);
    return name[0] != '.' && name[0] != '/' && !strstr(name, "/.") && !strstr(name, "//") && !strchr(name, '\\');
}

/* Consumes `name`. */
static int open_beneath(int directory, char *name)
{
    int at = directory;
    for (char *slash = strchr(name, '/'); slash; slash = strchr(name, '/')) {
        *slash = '\0';
        int next = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (at != directory)
            (void)close(at);
        if (next < 0)
            return -1;
        at = next;
        name = slash + 1;
    }
    int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (at != directory)
        (void)close(at);
    return fd;
}

/* Size and time of change to the nanosecond: whatever writes a file, one of them differs. */
static bool file_open(const struct statics *statics, char *name, struct file *file)
{
    struct stat status;
    file->type = find_type(name);
    file->fd = open_beneath(statics->directory, name);
    if (file->fd < 0)
        return false;
    if (fstat(file->fd, &status) || !S_ISREG(status.st_mode)) {
        (void)close(file->fd);
        return false;
    }
    file->size = (uint64_t)status.st_size;
    (void)snprintf(file->etag, sizeof(file->etag), "\"%llx-%llx%08lx\"", (unsigned long long)status.st_size,
                   (unsigned long long)status.st_mtim.tv_sec, (unsigned long)status.st_mtim.tv_nsec);
    return true;
}

/* --- answering --- */

/* RFC 9110 section 13.1.2: a list of tags, or `*`; a weak tag matches too. */
static bool is_known(struct span list, const char *etag)
{
    while (list.len) {
        struct span tag = text_trim(text_cut(&list, ','));
        if (tag.len > 2 && memcmp(tag.data, "W/", 2) == 0)
            tag = (struct span){tag.data + 2, tag.len - 2};
        if (span_is(tag, etag) || span_is(tag, "*"))
            return true;
    }
    return false;
}

static void answer(const struct statics *statics, struct request *req, struct file *file)
{
    bool has_policy = statics->html_policy[0] && strncmp(file->type, "text/html", 9) == 0;
    const struct http_header headers[] = {
        {"ETag", file->etag},
        {"Cache-Control", statics->cache_control},
        {has_policy ? "Content-Security-Policy" : NULL, statics->html_policy},
        {NULL, NULL},
    };
    if (is_known(request_header(req, "If-None-Match"), file->etag)) {
        (void)close(file->fd);
        request_reply(req, 304, NULL, NULL, headers);
        return;
    }
    request_reply_file(req, 200, file->type, file->fd, file->size, headers);
}

void statics_reply(const struct statics *statics, struct request *req, struct span path)
{
    char name[PATH_SIZE];
    struct file file;
    if (write_name(path, name) && file_open(statics, name, &file))
        answer(statics, req, &file);
    else
        request_fail(req, ERR_NOT_FOUND, NULL, 0);
}

void statics_handle(void *ctx, struct request *req)
{
    statics_reply(ctx, req, request_path(req));
}

enum err statics_open(const char *directory, unsigned max_age_s, const char *html_policy, struct statics **ret_statics)
{
    struct statics *statics = calloc(1, sizeof(*statics));
    if (!statics)
        return ERR_NO_MEMORY;
    statics->directory = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (statics->directory < 0) {
        free(statics);
        return ERR_NOT_FOUND;
    }
    statics->html_policy = html_policy;
    if (max_age_s)
        (void)snprintf(statics->cache_control, sizeof(statics->cache_control), "max-age=%u", max_age_s);
    else
        (void)strcpy(statics->cache_control, "no-cache");
    *ret_statics = statics;
    return OK;
}

void statics_close(struct statics *statics)
{
    if (!statics)
        return;
    (void)close(statics->directory);
    free(statics);
}
