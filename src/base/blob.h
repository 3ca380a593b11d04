/* SPDX-License-Identifier: MIT */
/*
 * Blob: immutable shared bytes, counted by reference.
 *
 * One event is encoded once and queued on thousands of connections as the same blob. The count is not atomic:
 * blobs live on the loop thread only.
 */
#ifndef BASE_BLOB_H
#define BASE_BLOB_H

#include <stdint.h>

#include "base/attr.h"
#include "base/span.h"

struct blob {
    uint32_t refs;
    uint32_t len;
    char data[];
};

/* A blob of `len` bytes (0 to 2^31-1) with one reference, contents unset, to be filled before it is shared. Null: no
 * memory. */
struct blob *blob_new(size_t len) must_check;

/* The same holding a copy of `bytes`. Null: no memory. */
struct blob *blob_copy(struct span bytes) must_check;

struct blob *blob_ref(struct blob *blob);

/* Gives one reference back; null is allowed. */
void blob_unref(struct blob *blob);

static inline struct span blob_span(const struct blob *blob)
{
    return (struct span){blob->data, blob->len};
}

#endif
