-- SPDX-License-Identifier: MIT
-- One step of retention: removes the oldest entries of the log, up to the first message that may stay.
-- ARGV: messages to keep (0: all), microseconds before which a message is too old (0: none is), largest number of entries.
-- Returns: '', messages removed, whether there may be more.
local keep, cutoff_us, step = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local messages = call('XLEN', 'chat:log') - (tonumber(state('changes')[1]) or 0)
local removed, passed = 0, 0
local oldest, trimmed

-- The fields of a message's entry; nil for another one.
local function read_message(entry)
    local fields = fields_of(entry)
    return fields.id and fields.thread and fields
end

local function is_spent(message)
    local over = keep > 0 and messages - removed > keep
    return over or (cutoff_us > 0 and (tonumber(message.time) or 0) < cutoff_us)
end

local from, done = '-', false
while not done and passed < step do
    local entries = call('XRANGE', 'chat:log', from, '+', 'COUNT', passed == 0 and 1 or 50)
    done = #entries == 0
    for _, entry in ipairs(entries) do
        local message = read_message(entry)
        if message and not is_spent(message) then
            done = true
            break
        end
        if message then
            call('HDEL', 'chat:ids', message.id)
            call('XDEL', 'chat:history:' .. message.thread, entry[1])
            removed = removed + 1
            oldest, trimmed = entry[1], entry[1]
        end
        passed = passed + 1
        from = '(' .. entry[1]
    end
end
-- A change of members goes with the next message, or where there are so many that a step cannot get past them.
if not done then
    trimmed = string.sub(from, 2)
end
if trimmed then
    local ms, seq = split_id(trimmed)
    local gone = call('XTRIM', 'chat:log', 'MINID', string.format('%.0f-%.0f', ms, seq + 1))
    call('HINCRBY', 'chat:state', 'changes', removed - gone)
    call('HSET', 'chat:state', 'trimmed', trimmed)
end
if oldest then
    call('HSET', 'chat:state', 'oldest', oldest)
end
return {'', tostring(removed), done and '0' or '1'}
