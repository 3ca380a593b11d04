/* SPDX-License-Identifier: MIT */
/* The URL of a Redis store, taken apart; its forms are in store/store_open.h. */
#ifndef STORE_REDIS_URL_H
#define STORE_REDIS_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"

enum { REDIS_HOSTS_MAX = 16 };

struct redis_host {
    char *name; /* a host name or a numeric address, without brackets */
    int port;
};

struct redis_url {
    char *path; /* of a Unix socket, or null */
    struct redis_host hosts[REDIS_HOSTS_MAX];
    size_t host_count; /* 1 without Sentinels */
    char *master;      /* null without Sentinels: the name they know it by */
    int db;
    char *user;     /* null: the default user */
    char *password; /* null: none */
};

/* On error *ret_why is a static sentence that holds nothing of the URL. ERR_BAD_FIELD, ERR_NO_MEMORY. On success
 * pair with redis_url_fini. */
enum err redis_url_parse(const char *text, struct redis_url *ret_url, const char **ret_why) must_check;
void redis_url_fini(struct redis_url *url);

/* Takes user and password from the first line of a file, over those of the URL. ERR_BAD_FIELD (logged): it cannot be
 * read, or the line is empty or longer than 1,000 bytes. ERR_NO_MEMORY. */
enum err redis_url_read_credentials(struct redis_url *url, const char *path) must_check;

#endif
