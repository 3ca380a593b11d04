-- SPDX-License-Identifier: MIT
-- Last messages are given as long as they do not take too much at once. ARGV: user, '1' for the last messages too.
-- Returns: last, users, threads.
local bytes_left = ARGV[2] == '1' and 8 * 1024 * 1024 or 0
local users = {}
local threads = {log_last(), users}
for _, thread in ipairs(call('ZRANGE', 'chat:threads:' .. ARGV[1], 0, -1)) do
    local record = thread_record(thread, users, bytes_left > 0)
    if record[4][1] then
        bytes_left = bytes_left - entry_bytes(record[4][1])
    end
    table.insert(threads, record)
end
return threads
