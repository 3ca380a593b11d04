-- SPDX-License-Identifier: MIT
-- ARGV: the message's id, thread, sender, type, time and text, then names and values of what else it has.
-- Returns: last, cursor, thread, '1' for a repeat.
local id, thread, sender = ARGV[1], ARGV[2], ARGV[3]
local known = call('HGET', 'chat:ids', id)
if known then
    local entry = message_at(known)[1]
    local first = entry and fields_of(entry) or {}
    if first.user ~= sender then
        return refuse('conflict')
    end
    return {log_last(), known, first.thread, '1'}
end
if call('HEXISTS', 'chat:members:' .. thread, sender) == 0 then
    return refuse('no_thread')
end
local cursor = call('XADD', 'chat:log', '*', 'id', id, 'thread', thread, 'user', sender, 'type', ARGV[4],
    'time', ARGV[5], 'text', ARGV[6], unpack(ARGV, 7))
call('HSET', 'chat:ids', id, cursor)
call('XADD', 'chat:history:' .. thread, cursor, '', '')
call('HSET', 'chat:state', 'last', cursor, 'head', cursor)
return {cursor, cursor, thread, '0'}
