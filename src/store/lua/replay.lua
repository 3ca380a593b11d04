-- SPDX-License-Identifier: MIT
-- What a user's threads have seen since a cursor, in log order. Each thread is a lane that is in order already, so this is a
-- merge: a heap of lanes by their next message. ARGV: user, cursor, how many messages, how many bytes of text.
-- Returns: last, head, oldest, whether there are more, whether some are lost, entries.
local user, since, count_max, bytes_max = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local fields = state('head', 'oldest')
local head, oldest = fields[1] or '0', fields[2] or '0'
local page = {log_last(), head, oldest, '0', '0'}
if not id_before(since, head) then
    return page
end

-- A cursor that was never trimmed and is not there is from the end of a log that a failover has lost: what came in its place
-- before it is not found behind it.
if since ~= '0' and id_before(oldest, since) and #message_at(since) == 0 then
    page[5] = '1'
end

local lanes = {}

local function sift_down(at)
    while true do
        local child = at * 2
        if child > #lanes then
            return
        end
        if child < #lanes and id_before(lanes[child + 1].next, lanes[child].next) then
            child = child + 1
        end
        if not id_before(lanes[child].next, lanes[at].next) then
            return
        end
        lanes[at], lanes[child] = lanes[child], lanes[at]
        at = child
    end
end

local function text_bytes(entry)
    for i = 1, #entry[2], 2 do
        if entry[2][i] == 'text' then
            return #entry[2][i + 1]
        end
    end
    return 0
end

local function next_after(thread, id)
    local found = call('XRANGE', 'chat:history:' .. thread, '(' .. id, '+', 'COUNT', 1)[1]
    return found and found[1]
end

for _, thread in ipairs(call('ZRANGE', 'chat:threads:' .. user, 0, -1)) do
    local joined = string.match(call('HGET', 'chat:members:' .. thread, user), '%S+$')
    local from = id_before(since, joined) and joined or since
    if id_before(from, oldest) then
        page[5] = '1'
    end
    local first = next_after(thread, from)
    if first then
        table.insert(lanes, {thread = thread, next = first})
    end
end
for at = math.floor(#lanes / 2), 1, -1 do
    sift_down(at)
end

local count, bytes = 0, 0
while #lanes > 0 and count < count_max and (count == 0 or bytes < bytes_max) do
    local top = lanes[1]
    local entry = message_at(top.next)[1]
    if entry then
        table.insert(page, entry)
        count = count + 1
        bytes = bytes + text_bytes(entry)
    end
    top.next = next_after(top.thread, top.next)
    if not top.next then
        lanes[1] = lanes[#lanes]
        lanes[#lanes] = nil
    end
    sift_down(1)
end
page[4] = #lanes > 0 and '1' or '0'
return page
