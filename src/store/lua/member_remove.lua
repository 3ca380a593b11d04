-- SPDX-License-Identifier: MIT
-- Where no owner is left, the member longest in becomes one. ARGV: thread, user.
local thread, user = ARGV[1], ARGV[2]
if call('HDEL', 'chat:members:' .. thread, user) == 0 then
    return refuse('no_thread')
end
call('ZREM', 'chat:threads:' .. user, thread)
local members = read_members(thread)
local owned = false
for _, member in ipairs(members) do
    owned = owned or member.role == 'owner'
end
if #members > 0 and not owned then
    local first = members[1]
    call('HSET', 'chat:members:' .. thread, first.id, string.format('%d owner %s', first.place, first.joined))
end
thread_changed(thread, user)
return thread_reply(thread)
