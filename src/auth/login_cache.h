/* SPDX-License-Identifier: MIT */
/*
 * Logins that succeeded a moment ago, so that not every request costs a password hash.
 *
 * Kept is a keyed hash of user and password under a key drawn at start, never the password. The number is bounded; the
 * oldest gives way.
 */
#ifndef AUTH_LOGIN_CACHE_H
#define AUTH_LOGIN_CACHE_H

#include <stdint.h>

#include "auth/login.h"
#include "base/attr.h"

struct login_cache;

/* `ttl_ms` 0: remembers nothing. `entries_max` is at least 1. Null: no memory, or no random bytes for the key. */
struct login_cache *login_cache_new(int64_t ttl_ms, unsigned entries_max) must_check;
void login_cache_free(struct login_cache *cache);

/* Whether this user with this password is remembered. */
bool login_cache_has(struct login_cache *cache, const struct login *login, int64_t now_ms) must_check;

/* Remembers it for ttl_ms from now. Does nothing without memory. */
void login_cache_add(struct login_cache *cache, const struct login *login, int64_t now_ms);

/* Forgets all. */
void login_cache_clear(struct login_cache *cache);

#endif
