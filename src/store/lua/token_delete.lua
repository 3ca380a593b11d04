-- SPDX-License-Identifier: MIT
-- ARGV: token.
if call('DEL', 'chat:token:' .. ARGV[1]) == 0 then
    return refuse('no_token')
end
call('PUBLISH', 'chat:events', cjson.encode({kind = 'token', token = ARGV[1], store = state('epoch')[1]}))
return {''}
