-- SPDX-License-Identifier: MIT
-- Which of these tokens are there. ARGV: tokens. Returns: '', then '1' or '0' for each.
local found = {''}
for i = 1, #ARGV do
    table.insert(found, tostring(call('EXISTS', 'chat:token:' .. ARGV[i])))
end
return found
