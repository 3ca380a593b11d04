/* SPDX-License-Identifier: MIT */
/*
 * Hash tables by uthash, set up once for the whole program: keys come from outside, so the hash is keyed with a secret
 * drawn at start (SipHash-1-3), and a failed allocation is reported instead of ending the process.
 *
 * After HASH_ADD…, `table_added(element)` says whether the element is in the table.
 */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* The keyed hash of `len` bytes. Callable from any thread. */
uint32_t table_hash(const void *key, size_t len);

#define HASH_NONFATAL_OOM 1
#define HASH_FUNCTION(key, len, hash) ((hash) = table_hash((key), (len)))

#include <uthash.h>

#define table_added(element) ((element)->hh.tbl != NULL)

#endif
