/* SPDX-License-Identifier: MIT */
/* UUIDs by libuuid, but for the random ones: libuuid stirs its own generator with five system calls for each, where
 * one says it all. */
#include "base/id.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <uuid/uuid.h>

/* RFC 4122 section 4.4: all bits random but those that say so. */
struct id id_random(void)
{
    struct id id;
    /* Up to 256 bytes come whole once the system's source is ready, and the call waits for that. */
    while (getrandom(id.bytes, sizeof(id.bytes), 0) != (ssize_t)sizeof(id.bytes))
        assert(errno == EINTR);
    id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x40);
    id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
    return id;
}

struct id id_of_name(struct id space, struct span name)
{
    struct id id;
    uuid_generate_sha1(id.bytes, space.bytes, name.data ? name.data : "", name.len);
    return id;
}

bool id_parse(struct span text, struct id *ret_id)
{
    struct id id;
    if (text.len != ID_TEXT_LEN || uuid_parse_range(text.data, text.data + text.len, id.bytes) != 0)
        return false;
    if (uuid_is_null(id.bytes))
        return false;
    *ret_id = id;
    return true;
}

const char *id_format(struct id id, char text[ID_TEXT_SIZE])
{
    uuid_unparse_lower(id.bytes, text);
    return text;
}

bool id_equal(struct id a, struct id b)
{
    return memcmp(a.bytes, b.bytes, sizeof(a.bytes)) == 0;
}
