-- SPDX-License-Identifier: MIT
-- A page is cut where it would take too much at once. ARGV: thread, user, the cursor before which to read ('0': from the end), how many.
-- Returns: last, head, oldest, whether there are more, whether some are lost, entries.
local thread, limit, bytes_max = ARGV[1], tonumber(ARGV[4]), 8 * 1024 * 1024
if call('HEXISTS', 'chat:members:' .. thread, ARGV[2]) == 0 then
    return refuse('no_thread')
end
local before = ARGV[3] == '0' and '+' or '(' .. ARGV[3]
local ids = call('XREVRANGE', 'chat:history:' .. thread, before, '-', 'COUNT', limit + 1)
local fields = state('head', 'oldest')
local entries, bytes = {}, 0
for i = 1, math.min(limit, #ids) do
    local entry = message_at(ids[i][1])[1]
    if entry then
        bytes = bytes + entry_bytes(entry)
        if bytes > bytes_max and #entries > 0 then
            limit = i - 1
            break
        end
        table.insert(entries, 1, entry)
    end
end
local page = {log_last(), fields[1] or '0', fields[2] or '0', #ids > limit and '1' or '0', '0'}
for _, entry in ipairs(entries) do
    table.insert(page, entry)
end
return page
