-- SPDX-License-Identifier: MIT
-- With the last visit goes who came for visits only. ARGV: thread, user, '1' for one who is to stay until the next one, the node
-- where they visited, how many visits of theirs it has left.
local thread, user = ARGV[1], ARGV[2]
if call('HEXISTS', 'chat:members:' .. thread, user) == 0 then
    return refuse('no_thread')
end
end_visits(thread, user, ARGV[4], tonumber(ARGV[5]), ARGV[3] == '1')
return thread_reply(thread)
