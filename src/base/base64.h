/* SPDX-License-Identifier: MIT */
/* Base64 without leniency (RFC 4648): no white space, no other bytes, no bits left over. Each text decodes in one way.
 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

enum base64_form {
    BASE64,    /* section 4, with padding */
    BASE64_URL /* section 5, without padding, as RFC 7515 has it */
};

/* Bytes of text that `len` bytes become, padding included. */
#define BASE64_SIZE(len) (((len) + 2) / 3 * 4)

/* Room that decoding needs for a text of `len` bytes. */
#define BASE64_ROOM(len) ((len) + 3)

/* Decodes into `to`, which has BASE64_ROOM(text.len) bytes; *ret_len is how many are meant. ERR_BAD_FIELD: not such
 * text; ERR_NO_MEMORY. After an error `to` holds anything. */
enum err base64_decode(struct span text, enum base64_form form, uint8_t *to, size_t *ret_len) must_check;

/* Adds the text of `bytes` (section 4) to `out`, which has failed after that if there was no memory. */
void base64_add(struct buf *out, struct span bytes);

#endif
