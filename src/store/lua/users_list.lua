-- SPDX-License-Identifier: MIT
-- ARGV: the id after which to begin (empty: from the first), how many.
local from = ARGV[1] == '' and '-' or '(' .. ARGV[1]
local users = {''}
for _, id in ipairs(call('ZRANGEBYLEX', 'chat:users', from, '+', 'LIMIT', 0, ARGV[2])) do
    table.insert(users, read_user(id))
end
return users
