/* SPDX-License-Identifier: MIT */
/* Reference-counted bytes: one allocation, count in front. */
#include "base/blob.h"

#include <assert.h>
#include <stdlib.h>

struct blob *blob_new(size_t len)
{
    if (len > INT32_MAX)
        return NULL;
    struct blob *blob = malloc(sizeof(*blob) + len);
    if (!blob)
        return NULL;
    blob->refs = 1;
    blob->len = (uint32_t)len;
    return blob;
}

struct blob *blob_copy(struct span bytes)
{
    struct blob *blob = blob_new(bytes.len);
    if (blob && bytes.len)
        memcpy(blob->data, bytes.data, bytes.len);
    return blob;
}

struct blob *blob_ref(struct blob *blob)
{
    assert(blob->refs > 0 && blob->refs < UINT32_MAX);
    blob->refs++;
    return blob;
}

void blob_unref(struct blob *blob)
{
    if (!blob)
        return;
    assert(blob->refs > 0);
    if (--blob->refs == 0)
        free(blob);
}
