-- SPDX-License-Identifier: MIT
-- A sign of life of a node. Any node's pulse takes down the leases of nodes that have given none, a few
-- at a time. ARGV: node, milliseconds of a lease, '1' to renew it, milliseconds after which a pulse is missed.
-- Returns: '', the version of the last change of a user, whether there is more to take down, how far the
-- log has been trimmed, how many nodes there are.
local node, lease, pause_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[4])
local batch = 100
local now = math.floor(now_us() / 1000)

if not call('ZSCORE', 'chat:nodes', node) then
    return refuse('node_gone')
end
if ARGV[3] == '1' then
    call('ZADD', 'chat:nodes', now + lease, node)
end

-- After a time without any pulse the server was away rather than the nodes: they get time to come back.
local fields = state('pulse', 'reap_after', 'version', 'trimmed')
local reap_after = tonumber(fields[2]) or 0
if now - (tonumber(fields[1]) or now) > pause_ms then
    reap_after = now + lease
end
call('HSET', 'chat:state', 'pulse', now, 'reap_after', reap_after)

if now >= reap_after then
    for _, dead in ipairs(call('ZRANGEBYSCORE', 'chat:nodes', '-inf', '(' .. now)) do
        call('ZREM', 'chat:nodes', dead)
        call('RPUSH', 'chat:dead', dead)
    end
end

local dead = call('LINDEX', 'chat:dead', 0)
if dead then
    for _, id in ipairs(call('SRANDMEMBER', 'chat:node:' .. dead, batch)) do
        end_lease(dead, id)
    end
    if call('SCARD', 'chat:node:' .. dead) == 0 and not end_visits_of_dead(dead, batch) then
        call('LPOP', 'chat:dead')
    end
end
return {'', fields[3] or '1', call('EXISTS', 'chat:dead'), fields[4] or '0', #call('ZRANGE', 'chat:nodes', 0, -1)}
