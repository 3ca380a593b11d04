/* SPDX-License-Identifier: MIT */
/* Forms of addresses. */
#include "ctl/place.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char default_port[] = "8081";

static bool begins_with(const char *text, const char *start)
{
    return strncasecmp(text, start, strlen(start)) == 0;
}

/* What stands before a character from which on curl would read something else into it. */
static bool is_plain(const char *text)
{
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f || strchr("/?#@\\", *c))
            return false;
    return text[0] != '\0';
}

static bool is_port(const char *text)
{
    size_t len = strlen(text);
    bool is_number = len >= 1 && len <= 5 && strspn(text, "0123456789") == len;
    long port = is_number ? strtol(text, NULL, 10) : 0;
    return port >= 1 && port <= 65535;
}

/* `HOST`, `HOST:PORT`, `[IPv6]`, `[IPv6]:PORT`. */
static enum err parse_host(const char *scheme, const char *text, struct buf *base)
{
    const char *after = text[0] == '[' ? strchr(text, ']') : NULL;
    if (!is_plain(text) || text[0] == ':' || (text[0] == '[' && (!after || after == text + 1)))
        return ERR_BAD_FIELD;
    const char *colon = after ? after + 1 : strchr(text, ':');
    if (colon && *colon && (*colon != ':' || !is_port(colon + 1)))
        return ERR_BAD_FIELD;
    buf_add_text(base, scheme);
    buf_add_text(base, text);
    if (!colon || !*colon)
        buf_printf(base, ":%s", default_port);
    return OK;
}

static enum err parse_url(const char *text, struct buf *base)
{
    size_t len = strlen(text);
    const char *host = strstr(text, "://") + 3;
    while (len && text[len - 1] == '/')
        len--;
    if (host >= text + len || strpbrk(text, "?# \t\r\n"))
        return ERR_BAD_FIELD;
    buf_add(base, (struct span){text, len});
    return OK;
}

static enum err parse_socket(const char *path, struct place *place, struct buf *base)
{
    if (!path[0])
        return ERR_BAD_FIELD;
    place->socket = strdup(path);
    buf_add_text(base, "http://localhost");
    return place->socket ? OK : ERR_NO_MEMORY;
}

static enum err parse(const char *text, struct place *place, struct buf *base)
{
    place->is_url = begins_with(text, "http://") || begins_with(text, "https://");
    if (place->is_url)
        return parse_url(text, base);
    if (begins_with(text, "unix:"))
        return parse_socket(text + 5, place, base);
    return begins_with(text, "tls:") ? parse_host("https://", text + 4, base) : parse_host("http://", text, base);
}

enum err place_parse(const char *text, struct place *ret_place)
{
    struct place place = {.text = text};
    struct buf base = BUF_INIT;
    enum err err = parse(text, &place, &base);
    if (!err && !(place.base = buf_take_text(&base)))
        err = ERR_NO_MEMORY;
    buf_fini(&base);
    if (err)
        place_fini(&place);
    else
        *ret_place = place;
    return err;
}

void place_fini(struct place *place)
{
    free(place->base);
    free(place->socket);
    place->base = place->socket = NULL;
}

void place_escape(struct buf *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (is_letter || (c && strchr("-._~", c)))
            buf_add_char(out, (char)c);
        else
            buf_printf(out, "%%%02X", c);
    }
}
