/* SPDX-License-Identifier: MIT */
/* Reading a Redis URL from left to right. */
#include "store/redis_url.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/span.h"

enum { REDIS_PORT = 6379, SENTINEL_PORT = 26379, PORT_MAX = 65535, DB_MAX = 1000000, LINE_SIZE = 1002 };

static struct span behind(struct span text, size_t len)
{
    return (struct span){text.data + len, text.len - len};
}

/* Splits at the first `mark`: what stands before it, and in *rest what follows. Without a mark all is before it, and
 * false. */
static bool split(struct span text, char mark, struct span *ret_before, struct span *ret_rest)
{
    const char *at = text.len ? memchr(text.data, mark, text.len) : NULL;
    size_t len = at ? (size_t)(at - text.data) : text.len;
    *ret_before = (struct span){text.data, len};
    *ret_rest = behind(text, at ? len + 1 : len);
    return at;
}

static bool take_start(struct span *text, const char *start)
{
    size_t len = strlen(start);
    if (text->len < len || memcmp(text->data, start, len) != 0)
        return false;
    *text = behind(*text, len);
    return true;
}

static bool read_number(struct span text, int max, int *ret_number)
{
    int number = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || i > 6)
            return false;
        number = number * 10 + (text.data[i] - '0');
    }
    if (text.len == 0 || number > max)
        return false;
    *ret_number = number;
    return true;
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c | 0x20) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* The text with its %XX decoded; null for a bad one, one with a NUL, or no memory. */
static char *percent_decode(struct span text)
{
    char *decoded = malloc(text.len + 1);
    size_t len = 0;
    for (size_t i = 0; decoded && i < text.len; i++) {
        char c = text.data[i];
        if (c == '%') {
            int high = i + 2 < text.len ? hex_digit(text.data[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_digit(text.data[i + 2]) : -1;
            c = (char)(high * 16 + low);
            i += 2;
            if (high < 0 || low < 0)
                c = '\0';
        }
        if (!c) {
            free(decoded);
            return NULL;
        }
        decoded[len++] = c;
    }
    if (decoded)
        decoded[len] = '\0';
    return decoded;
}

static void replace(char **text, char *take_with)
{
    free(*text);
    *text = take_with;
}

/* USER:PASSWORD or :PASSWORD. */
static const char *read_login(struct redis_url *url, struct span login)
{
    struct span user;
    struct span password;
    if (!split(login, ':', &user, &password))
        return "a password must follow the user, behind a colon";
    if (user.len)
        replace(&url->user, percent_decode(user));
    replace(&url->password, percent_decode(password));
    return (user.len && !url->user) || !url->password ? "user or password is not well-formed" : NULL;
}

static bool is_host(struct span name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:", name.data[i]) ||
            !name.data[i])
            return false;
    return name.len > 0;
}

/* HOST, HOST:PORT or [V6]:PORT */
static const char *read_host(struct redis_url *url, struct span text, int port)
{
    struct span name;
    struct span rest;
    bool bracketed = take_start(&text, "[");
    if (bracketed && !split(text, ']', &name, &rest))
        return "a bracket is not closed";
    bool has_port = bracketed ? take_start(&rest, ":") : split(text, ':', &name, &rest);
    if (!is_host(name) || (rest.len && !has_port) || (has_port && (!read_number(rest, PORT_MAX, &port) || !port)))
        return "a host is not of the form HOST, HOST:PORT or [V6]:PORT";
    if (url->host_count == REDIS_HOSTS_MAX)
        return "there are too many hosts";
    struct redis_host *host = &url->hosts[url->host_count++];
    *host = (struct redis_host){span_copy(name), port};
    return host->name ? NULL : "out of memory";
}

static const char *read_db(struct redis_url *url, struct span text)
{
    return text.len == 0 || read_number(text, DB_MAX, &url->db) ? NULL : "the database is not a number";
}

/* [LOGIN@]HOSTS and what follows the slash. */
static const char *read_authority(struct redis_url *url, struct span text, int port, struct span *ret_rest)
{
    struct span authority;
    struct span login;
    struct span hosts;
    (void)split(text, '/', &authority, ret_rest);
    if (split(authority, '@', &login, &hosts)) {
        const char *why = read_login(url, login);
        if (why)
            return why;
    } else {
        hosts = authority;
    }
    bool more;
    do {
        struct span host;
        more = split(hosts, ',', &host, &hosts);
        const char *why = read_host(url, host, port);
        if (why)
            return why;
    } while (more);
    return NULL;
}

static const char *read_server(struct redis_url *url, struct span text)
{
    struct span db = {NULL, 0};
    const char *why = read_authority(url, text, REDIS_PORT, &db);
    if (!why && url->host_count != 1)
        why = "there is more than one host";
    return why ? why : read_db(url, db);
}

static const char *read_sentinels(struct redis_url *url, struct span text)
{
    struct span rest = {NULL, 0};
    struct span master;
    const char *why = read_authority(url, text, SENTINEL_PORT, &rest);
    if (why)
        return why;
    (void)split(rest, '/', &master, &rest);
    url->master = master.len ? percent_decode(master) : NULL;
    return url->master ? read_db(url, rest) : "the name of the master is missing behind the hosts";
}

static const char *read_path(struct redis_url *url, struct span text)
{
    struct span path;
    struct span query;
    bool has_query = split(text, '?', &path, &query);
    if (has_query && !take_start(&query, "db="))
        return "only ?db= may follow the path";
    url->path = path.len ? span_copy(path) : NULL;
    return url->path ? read_db(url, query) : "the path is empty";
}

static const char *read_url(struct redis_url *url, struct span text)
{
    static const struct {
        const char *start;
        const char *(*read)(struct redis_url *url, struct span text);
    } forms[] = {
        {"redis://", read_server},
        {"redis+sentinel://", read_sentinels},
        {"redis+unix:", read_path},
    };
    for (size_t i = 0; i < array_len(forms); i++)
        if (take_start(&text, forms[i].start))
            return forms[i].read(url, text);
    return "it is none of redis://HOST, redis+unix:PATH and redis+sentinel://HOST,.../MASTER";
}

enum err redis_url_parse(const char *text, struct redis_url *ret_url, const char **ret_why)
{
    struct redis_url url = {0};
    const char *why = read_url(&url, span_of(text));
    if (why) {
        redis_url_fini(&url);
        *ret_why = why;
        return ERR_BAD_FIELD;
    }
    *ret_url = url;
    return OK;
}

void redis_url_fini(struct redis_url *url)
{
    free(url->path);
    for (size_t i = 0; i < url->host_count; i++)
        free(url->hosts[i].name);
    free(url->master);
    free(url->user);
    free(url->password);
    *url = (struct redis_url){0};
}

/* The first line without its end; false with a reason. */
static bool read_line(const char *path, char line[LINE_SIZE], const char **ret_why)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        *ret_why = strerror(errno);
        return false;
    }
    bool read = fgets(line, LINE_SIZE, file);
    (void)fclose(file);
    size_t len = read ? strcspn(line, "\r\n") : 0;
    *ret_why = len ? "the line is too long" : "the file is empty";
    if (!len || !line[len])
        return len && strlen(line) < LINE_SIZE - 1;
    line[len] = '\0';
    return true;
}

/* A password is taken as it stands, so it may hold a percent sign; only the first colon parts it from the user. */
static enum err take_credentials(struct redis_url *url, struct span line)
{
    struct span user;
    struct span password;
    if (!split(line, ':', &user, &password)) {
        password = user;
        user = (struct span){NULL, 0};
    }
    char *user_copy = user.len ? span_copy(user) : NULL;
    char *password_copy = span_copy(password);
    if ((user.len && !user_copy) || !password_copy) {
        free(user_copy);
        free(password_copy);
        return ERR_NO_MEMORY;
    }
    replace(&url->user, user_copy);
    replace(&url->password, password_copy);
    return OK;
}

enum err redis_url_read_credentials(struct redis_url *url, const char *path)
{
    char line[LINE_SIZE];
    const char *why = NULL;
    enum err err = ERR_BAD_FIELD;
    if (read_line(path, line, &why))
        err = take_credentials(url, span_of(line));
    else
        log_event(LOG_ERROR, "cannot read the credentials for Redis", log_text("path", path), log_text("reason", why));
    explicit_bzero(line, sizeof(line));
    return err;
}
