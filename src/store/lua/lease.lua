-- SPDX-License-Identifier: MIT
-- ARGV: node, '1' to take or '0' to end leases, users.
local node, held = ARGV[1], ARGV[2] == '1'
if not call('ZSCORE', 'chat:nodes', node) then
    return refuse('node_gone')
end
for i = 3, #ARGV do
    if held then
        take_lease(node, ARGV[i])
    else
        end_lease(node, ARGV[i])
    end
end
return {''}
