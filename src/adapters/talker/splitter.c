/* SPDX-License-Identifier: MIT */
/* Brackets outside of strings are counted, byte by byte, each byte once. */
#include "adapters/talker/splitter.h"

#include <stdlib.h>
#include <string.h>

enum { HELD_FIRST_CAP = 256, CONTROL_MAX = 0x1f };

struct splitter splitter_of(size_t object_max, unsigned depth_max)
{
    return (struct splitter){.object_max = object_max, .depth_max = depth_max};
}

void splitter_fini(struct splitter *splitter)
{
    free(splitter->held);
    splitter->held = NULL;
    splitter->held_len = splitter->held_cap = 0;
    splitter->given = false;
}

static bool is_between(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static struct span skip_between(struct span bytes)
{
    while (bytes.len && is_between(bytes.data[0])) {
        bytes.data++;
        bytes.len--;
    }
    return bytes;
}

/* A byte of a string. A control character has no place there: most likely the closing quote is missing. */
static enum err read_in_string(struct splitter *splitter, char byte)
{
    if ((unsigned char)byte <= CONTROL_MAX)
        return ERR_BAD_JSON;
    if (splitter->escaped)
        splitter->escaped = false;
    else if (byte == '\\')
        splitter->escaped = true;
    else if (byte == '"')
        splitter->in_string = false;
    return OK;
}

static enum err read_byte(struct splitter *splitter, char byte)
{
    if (splitter->in_string)
        return read_in_string(splitter, byte);
    switch (byte) {
    case '\0': return ERR_BAD_JSON;
    case '"': splitter->in_string = true; break;
    case '{':
    case '[':
        if (++splitter->depth > splitter->depth_max)
            return ERR_BAD_JSON;
        break;
    case '}':
    case ']': splitter->depth--; break;
    default: break;
    }
    return OK;
}

/* Reads on in an object, no further than its end. *ret_len: how many bytes of it there are. */
static enum err read_object(struct splitter *splitter, struct span bytes, size_t *ret_len)
{
    size_t left = splitter->object_max - splitter->held_len;
    size_t len = 0;
    do {
        if (len == left)
            return ERR_TOO_LARGE;
        enum err err = read_byte(splitter, bytes.data[len++]);
        if (err)
            return err;
    } while (splitter->depth && len < bytes.len);
    *ret_len = len;
    return OK;
}

/* Doubled, so that an object in many pieces is not copied for each. */
static enum err hold(struct splitter *splitter, struct span part)
{
    size_t len = splitter->held_len + part.len;
    if (len > splitter->held_cap) {
        size_t cap = splitter->held_cap ? splitter->held_cap : HELD_FIRST_CAP;
        while (cap < len)
            cap *= 2;
        char *held = realloc(splitter->held, cap);
        if (!held)
            return ERR_NO_MEMORY;
        splitter->held = held;
        splitter->held_cap = cap;
    }
    memcpy(splitter->held + splitter->held_len, part.data, part.len);
    splitter->held_len = len;
    return OK;
}

/* The object is `part`, or what is held with `part` behind it. */
static enum err give(struct splitter *splitter, struct span part, struct span *ret_object)
{
    *ret_object = part;
    if (!splitter->held)
        return OK;
    enum err err = hold(splitter, part);
    *ret_object = (struct span){splitter->held, splitter->held_len};
    splitter->given = true;
    return err;
}

enum err splitter_next(struct splitter *splitter, struct span *bytes, struct span *ret_object)
{
    if (splitter->given)
        splitter_fini(splitter);
    if (splitter->depth == 0)
        *bytes = skip_between(*bytes);
    *ret_object = (struct span){0};
    if (bytes->len == 0)
        return OK;
    if (splitter->depth == 0 && bytes->data[0] != '{')
        return ERR_BAD_FRAMING;
    size_t len;
    enum err err = read_object(splitter, *bytes, &len);
    if (err)
        return err;
    struct span part = {bytes->data, len};
    *bytes = (struct span){bytes->data + len, bytes->len - len};
    return splitter->depth ? hold(splitter, part) : give(splitter, part, ret_object);
}
