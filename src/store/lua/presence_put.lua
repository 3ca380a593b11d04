-- SPDX-License-Identifier: MIT
-- ARGV: id, show, status.
local id = ARGV[1]
if not read_user(id) then
    return refuse('no_user')
end
call('HSET', 'chat:user:' .. id, 'show', ARGV[2], 'status', ARGV[3])
return {'', user_changed(id)}
