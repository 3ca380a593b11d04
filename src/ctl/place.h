/* SPDX-License-Identifier: MIT */
/*
 * Place: where the admin listener is, from what the operator writes. Pure.
 *
 *     127.0.0.1:8081   [::1]:8081   gateway   tls:127.0.0.1:8081   unix:/run/nereidd/admin   https://proxy/nereidd
 *
 * Without a port it is 8081. The listener is spoken to as localhost, whatever name it was found under; only of a URL
 * the host is told as it stands there, for what stands in between may go by it.
 */
#ifndef CTL_PLACE_H
#define CTL_PLACE_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"

#define PLACE_DEFAULT "127.0.0.1:8081"

struct place {
    const char *text; /* as it was written; borrowed */
    char *base;       /* owned: a URL without a slash at its end */
    char *socket;     /* owned: the path of a Unix socket, or null */
    bool is_url;
};

/* ERR_BAD_FIELD: it has none of these forms. ERR_NO_MEMORY. On error nothing is to be freed. */
enum err place_parse(const char *text, struct place *ret_place) must_check;
void place_fini(struct place *place);

/* Adds `text` percent-encoded (RFC 3986): all but letters, digits and `-._~`. */
void place_escape(struct buf *out, struct span text);

#endif
