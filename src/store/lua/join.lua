-- SPDX-License-Identifier: MIT
-- A node comes. ARGV: node, milliseconds of its lease.
local now = math.floor(now_us() / 1000)
call('ZADD', 'chat:nodes', now + ARGV[2], ARGV[1])
return {''}
