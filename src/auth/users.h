/* SPDX-License-Identifier: MIT */
/*
 * The users file: who may log in with a password.
 *
 *     # a comment
 *     alice:$y$j9T$...$...:Alice Liddell
 *
 * One user per line: user id, hash as crypt(3) writes it, display name (may be empty, and may hold colons). Blank lines
 * and lines that start with # are skipped. Hashes must be of a method that libcrypt calls strong.
 */
#ifndef AUTH_USERS_H
#define AUTH_USERS_H

#include "base/attr.h"
#include "base/err.h"
#include "base/span.h"

enum { USERS_HASH_SIZE = 384 }; /* what libcrypt promises not to exceed, with its NUL */

struct users;

/* Errors, each finding logged with file and line: ERR_BAD_FIELD (cannot be read, or read by others; a bad line),
 * ERR_NO_MEMORY. */
enum err users_load(const char *path, struct users **ret_users) must_check;

/* The same for the file's text; `path` is for the log. */
enum err users_parse(const char *path, struct span text, struct users **ret_users) must_check;

/* Null is allowed. */
void users_free(struct users *users);

/* The display name of a user; false (and *ret_name untouched): no such user. The span lives as long as `users`. */
bool users_name(const struct users *users, struct span user, struct span *ret_name) must_check;

/* The hash to check a password of `user` against. For somebody unknown it is one that costs as much as most of the
 * file's and fits no password that could be found; false says so. Lives as long as `users`. */
bool users_hash(const struct users *users, struct span user, const char **ret_hash) must_check;

/* 1 to 511 bytes of UTF-8 without NUL: what login and libcrypt both can take. */
bool password_valid(struct span password);

#endif
