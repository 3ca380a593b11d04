/* SPDX-License-Identifier: MIT */
/* Forms: the syntax of texts that are more than text. Only syntax; whether a file exists or an address can be bound is
 * found out by who uses it. */
#ifndef CONF_FORM_H
#define CONF_FORM_H

#include <stdbool.h>

#include "base/span.h"

enum { FORM_ROOM_MAX = 128 };

struct form {
    bool (*good)(struct span text);
    const char *one;  /* what it is, after "must be": `a path` */
    const char *many; /* the same for the items of a list */
    bool secret;      /* a wrong one is not shown: it may hold a password */
};

extern const struct form form_listen;       /* what io/listener.h takes */
extern const struct form form_origin;       /* a web origin as browsers send it: RFC 6454 section 6.2 */
extern const struct form form_network;      /* an address, a network in CIDR notation, or `unix` */
extern const struct form form_header_name;  /* a token of RFC 9110 section 5.6.2, or empty */
extern const struct form form_header_value; /* one line of ASCII, also empty */
extern const struct form form_store_url;    /* what begins like a URL of store/store_open.h */
extern const struct form form_url_path;     /* the absolute path of a URL without a slash at its end, or empty */
extern const struct form form_text;         /* anything but empty */
extern const struct form form_path;         /* anything, also empty */
extern const struct form form_claim;        /* anything but empty */
extern const struct form form_room;         /* 1 to FORM_ROOM_MAX bytes */

/* What may stand in front of a `listen` address. */
enum listen_layer { LISTEN_PROXY, LISTEN_TLS };
bool listen_has_layer(struct span text, enum listen_layer layer);

/* Whether only this machine can reach the `listen` address: loopback and Unix sockets. Not so for `systemd`, of which
 * nothing is known here. */
bool listen_is_local(struct span text);

#endif
