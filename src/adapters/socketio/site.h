/* SPDX-License-Identifier: MIT */
/* Site: the base domain of the page that a client belongs to. Pure. */
#ifndef SOCKETIO_SITE_H
#define SOCKETIO_SITE_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/span.h"

enum { SITE_SIZE = 256 };

/* The site of an Origin header, or, where that is empty (browsers leave it out of same-origin requests), of a Host
 * header; written into `out` without a NUL.
 *
 * It is the host in lower case, without port: an address or a name of one or two labels as it is; of longer names the
 * last two labels, or three where the country's second level is one of the usual (`a.b.example.co.uk`:
 * `example.co.uk`). No public suffix list is asked, so hosts of one provider (`x.github.io`) are one site. False:
 * neither has a host. */
bool site_of(struct span origin, struct span host, char out[SITE_SIZE], struct span *ret_site) must_check;

#endif
