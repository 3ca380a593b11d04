/* SPDX-License-Identifier: MIT */
/* A hash table in the order of adding, which, the time to live being the same for all, is the order of expiry. */
#include "auth/login_cache.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

enum { DIGEST_SIZE = 32, KEY_SIZE = 32 };

struct digest {
    uint8_t bytes[DIGEST_SIZE];
};

struct entry {
    UT_hash_handle hh;
    struct digest digest;
    int64_t expires_ms;
};

struct login_cache {
    int64_t ttl_ms;
    unsigned entries_max;
    struct entry *entries;
    uint8_t key[KEY_SIZE];
};

struct login_cache *login_cache_new(int64_t ttl_ms, unsigned entries_max)
{
    struct login_cache *cache = calloc(1, sizeof(*cache));
    if (!cache)
        return NULL;
    cache->ttl_ms = ttl_ms;
    cache->entries_max = entries_max;
    if (gnutls_rnd(GNUTLS_RND_KEY, cache->key, sizeof(cache->key))) {
        free(cache);
        return NULL;
    }
    return cache;
}

static void entry_drop(struct login_cache *cache, struct entry *entry)
{
    HASH_DEL(cache->entries, entry);
    free(entry);
}

void login_cache_clear(struct login_cache *cache)
{
    while (cache->entries)
        entry_drop(cache, cache->entries);
}

void login_cache_free(struct login_cache *cache)
{
    if (!cache)
        return;
    login_cache_clear(cache);
    explicit_bzero(cache->key, sizeof(cache->key));
    free(cache);
}

static bool digest_make(const struct login_cache *cache, const struct login *login, struct digest *digest)
{
    /* User and password lie one after the other with a NUL between, which neither holds. */
    size_t len = login->user.len + 1 + login->password.len;
    return gnutls_hmac_fast(GNUTLS_MAC_SHA256, cache->key, sizeof(cache->key), login->text, len, digest->bytes) == 0;
}

static struct entry *find(const struct login_cache *cache, const struct digest *digest)
{
    struct entry *entry = NULL;
    HASH_FIND(hh, cache->entries, digest, sizeof(*digest), entry);
    return entry;
}

static void drop_expired(struct login_cache *cache, int64_t now_ms)
{
    while (cache->entries && cache->entries->expires_ms <= now_ms)
        entry_drop(cache, cache->entries);
}

bool login_cache_has(struct login_cache *cache, const struct login *login, int64_t now_ms)
{
    struct digest digest;
    drop_expired(cache, now_ms);
    return cache->entries && digest_make(cache, login, &digest) && find(cache, &digest);
}

void login_cache_add(struct login_cache *cache, const struct login *login, int64_t now_ms)
{
    struct digest digest;
    if (cache->ttl_ms <= 0 || !digest_make(cache, login, &digest))
        return;
    struct entry *old = find(cache, &digest);
    if (old)
        entry_drop(cache, old);
    if (HASH_COUNT(cache->entries) >= cache->entries_max)
        entry_drop(cache, cache->entries);
    struct entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return;
    entry->digest = digest;
    entry->expires_ms = now_ms + cache->ttl_ms;
    HASH_ADD(hh, cache->entries, digest, sizeof(entry->digest), entry);
    if (!entry->hh.tbl)
        free(entry);
}
