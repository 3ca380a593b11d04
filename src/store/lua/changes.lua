-- SPDX-License-Identifier: MIT
-- The users that changed after a version, oldest change first. ARGV: version, how many.
local changed = {''}
for _, id in ipairs(call('ZRANGEBYSCORE', 'chat:changes', '(' .. ARGV[1], '+inf', 'LIMIT', 0, ARGV[2])) do
    table.insert(changed, read_user(id))
end
return changed
