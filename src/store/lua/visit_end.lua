-- SPDX-License-Identifier: MIT
-- With the last visit goes who came for visits only. ARGV: thread, user, '1' for one who is to stay until the next one, the node
-- where they visited.
local thread, user, stays = ARGV[1], ARGV[2], ARGV[3] == '1'
if call('HEXISTS', 'chat:members:' .. thread, user) == 0 then
    return refuse('no_thread')
end
local left = end_visits(thread, user, host_of(ARGV[4]), 1)
if left == 0 and not stays then
    leave(thread, user)
end
return thread_reply(thread)
