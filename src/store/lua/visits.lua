-- SPDX-License-Identifier: MIT
-- How many visits a process has. ARGV: its node, then of each member that it knows of: thread, user, visits, '1' for one who is to
-- stay until the next one, also where these are none.
for i = 2, #ARGV, 4 do
    end_visits(ARGV[i], ARGV[i + 1], ARGV[1], tonumber(ARGV[i + 2]), ARGV[i + 3] == '1')
end
return {''}
