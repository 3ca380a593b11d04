-- SPDX-License-Identifier: MIT
-- ARGV: thread, user, largest number of members.
if not thread_exists(ARGV[1]) then
    return refuse('no_thread')
end
local err = join(ARGV[1], ARGV[2], ARGV[3])
if err then
    return refuse(err)
end
return thread_reply(ARGV[1])
