-- SPDX-License-Identifier: MIT
-- ARGV: node, 'held' or 'idle' to take such leases, 'none' to end them, 'goodbye' to end the idle ones of other nodes as well, users.
local node, lease = ARGV[1], ARGV[2]
if not call('ZSCORE', 'chat:nodes', node) then
    return refuse('node_gone')
end
for i = 3, #ARGV do
    if lease == 'held' or lease == 'idle' then
        take_lease(node, ARGV[i], lease == 'idle')
    else
        end_lease(node, ARGV[i], lease == 'goodbye')
    end
end
return {''}
