-- SPDX-License-Identifier: MIT
-- Where the store stands. ARGV: a random word, which names a store that has no name yet; the name of the store that the node
-- knows, and the last entry it has seen there, if any.
call('HSETNX', 'chat:state', 'epoch', ARGV[1])
local fields = state('epoch', 'head', 'oldest', 'version', 'trimmed')
-- A store without users has a version all the same: 0 would say that none are counted.
-- What others may have added to the log counts as well.
local info = redis.pcall('XINFO', 'STREAM', 'chat:log')
local last = log_last()
for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
        last = info[i + 1]
    end
end
-- A failover may have lost the log's end: what comes next gets ids that nobody has seen all the same.
if fields[1] == ARGV[2] and id_before(last, ARGV[3]) then
    redis.pcall('XSETID', 'chat:log', ARGV[3])
end
-- Whether what the node has seen is still there: not if the log went on without it. What was trimmed is no loss.
local known = '1'
if fields[1] == ARGV[2] and id_before(fields[5] or '0', ARGV[3]) and #message_at(ARGV[3]) == 0 then
    known = '0'
end
return {last, fields[1], fields[2] or '0', fields[3] or '0', fields[4] or '1', fields[5] or '0', known}
