-- SPDX-License-Identifier: MIT
-- Finds a thread or makes it. ARGV: id, '1' for a room or '0', room, largest number of members,
-- '1' for a room that only its members may enter, the node of a visit to it (''; for good), users.
local id, room, members_max = ARGV[1], ARGV[2] == '1' and ARGV[3], tonumber(ARGV[4])
local members_only, visit = ARGV[5] == '1', room and ARGV[6] ~= '' and ARGV[6]
local users = {}
for i = 7, #ARGV do
    users[i - 6] = ARGV[i]
end

local function make(count)
    if count > members_max then
        return 'too_many_members'
    end
    for i = 1, count do
        if not read_user(users[i]) then
            return 'no_user'
        end
    end
    call('HSET', 'chat:thread:' .. id, 'made', math.floor(now_us() / 1000))
    if room then
        call('HSET', 'chat:thread:' .. id, 'room', room)
    end
    for i = 1, count do
        add_member(id, users[i], i == 1 and 'owner' or 'guest')
    end
    if visit then
        begin_visit(id, users[1], visit)
    end
    thread_changed(id)
    return nil
end

local err
if room then
    if thread_exists(id) then
        err = join(id, users[1], members_max, members_only, visit)
    else
        err = make(1)
    end
else
    local found = call('GET', set_key(users))
    if found then
        id = found
    else
        err = make(#users)
    end
end
if err then
    return refuse(err)
end
return thread_reply(id)
