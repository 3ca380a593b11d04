/* SPDX-License-Identifier: MIT */
/* Who may ask, and for which thread. */
#include "admin/inside.h"
#include "base/utf8.h"

bool admin_admits(struct request *req)
{
    if (request_origin(req) == REQUEST_ORIGIN_FOREIGN)
        request_fail(req, ERR_BAD_ORIGIN, NULL, 0);
    else if (!request_is_by_address(req))
        request_fail(req, ERR_FORBIDDEN, "this is asked for by address or as localhost, not by another name", 0);
    else
        return true;
    return false;
}

bool admin_thread_named(struct span name, struct id *ret_thread)
{
    if (id_parse(name, ret_thread))
        return true;
    if (name.len == 0 || name.len > ROOM_NAME_MAX || !utf8_printable(name))
        return false;
    *ret_thread = hub_room_id(name);
    return true;
}
