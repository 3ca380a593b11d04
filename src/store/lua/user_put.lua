-- SPDX-License-Identifier: MIT
-- Makes a user known, or finds them. ARGV: id, name (empty: as it was).
local id, name = ARGV[1], ARGV[2]
local user = read_user(id)
if not user then
    call('ZADD', 'chat:users', 0, id)
    call('HSET', 'chat:user:' .. id, 'name', name, 'show', 'chat', 'status', '', 'available', '0')
    user = user_changed(id)
elseif name ~= '' and name ~= user[2] then
    call('HSET', 'chat:user:' .. id, 'name', name)
    user = user_changed(id)
end
return {'', user}
