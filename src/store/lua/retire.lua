-- SPDX-License-Identifier: MIT
-- Nodes go: their leases end after a while. ARGV: milliseconds ('' for at once), nodes.
for i = 2, #ARGV do
    if ARGV[1] ~= '' then
        call('ZADD', 'chat:nodes', 'XX', math.floor(now_us() / 1000) + ARGV[1], ARGV[i])
    elseif call('ZREM', 'chat:nodes', ARGV[i]) == 1 then
        call('RPUSH', 'chat:dead', ARGV[i])
    end
end
return {''}
