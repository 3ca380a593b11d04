-- SPDX-License-Identifier: MIT
-- Where a message is. ARGV: its id. Returns: last, cursor, thread.
local cursor = call('HGET', 'chat:ids', ARGV[1])
local entry = cursor and message_at(cursor)[1]
if not entry then
    return refuse('not_found')
end
return {log_last(), cursor, fields_of(entry).thread or ''}
