-- SPDX-License-Identifier: MIT
-- ARGV: token. Returns: '', user, milliseconds left (-1: the token has no end).
local key = 'chat:token:' .. ARGV[1]
local user = call('GET', key)
if not user then
    return refuse('no_token')
end
return {'', user, tostring(call('PTTL', key))}
