/* SPDX-License-Identifier: MIT */
/* UUIDs by libuuid. */
#include "base/id.h"

#include <string.h>
#include <uuid/uuid.h>

struct id id_random(void)
{
    struct id id;
    uuid_generate_random(id.bytes);
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
