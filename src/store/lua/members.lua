-- SPDX-License-Identifier: MIT
-- Coming and going: what stands behind prelude.lua in front of the scripts that need it.

-- --- visits

-- What is the same in all names that a process gives its node, one after the other (redis_node.c).
local function host_of(node)
    return string.sub(node, 1, 18)
end

local function visiting_at(host)
    return 'chat:visiting:' .. host
end

-- One visit more of a visitor.
local function begin_visit(thread, user, node)
    call('HINCRBY', 'chat:visits:' .. thread, user, 1)
    call('HINCRBY', visiting_at(host_of(node)), thread .. ' ' .. user, 1)
end

-- So many visits at a host are over. Returns how many are left at all; nil for a member for good.
local function end_visits(thread, user, host, count)
    local place = thread .. ' ' .. user
    if call('HINCRBY', visiting_at(host), place, -count) <= 0 then
        call('HDEL', visiting_at(host), place)
    end
    local visits = tonumber(call('HGET', 'chat:visits:' .. thread, user))
    local left = visits and math.max(visits - count, 0)
    if left then
        call('HSET', 'chat:visits:' .. thread, user, left)
    end
    return left
end

-- Visits at a process that has died, some at a time: its visitors stay until the next visit of theirs is over.
-- True: there are more.
local function end_visits_of_dead(node, batch)
    local host = host_of(node)
    for _, other in ipairs(call('ZRANGE', 'chat:nodes', 0, -1)) do
        if host_of(other) == host then
            return false
        end
    end
    local places = call('HKEYS', visiting_at(host))
    for i = 1, math.min(batch, #places) do
        local count = tonumber(call('HGET', visiting_at(host), places[i])) or 1
        end_visits(string.sub(places[i], 1, 36), string.sub(places[i], 38), host, count)
    end
    return #places > batch
end

-- --- members

-- Brings a user into a thread; with `visit`, the node where they visit it, for that visit only. Where `members_only`, nobody new
-- but into an empty one. Nil, or the word of an error.
local function join(thread, user, members_max, members_only, visit)
    if not read_user(user) then
        return 'no_user'
    end
    local members = 'chat:members:' .. thread
    if call('HEXISTS', members, user) == 1 then
        if not visit then
            call('HDEL', 'chat:visits:' .. thread, user)
        elseif call('HEXISTS', 'chat:visits:' .. thread, user) == 1 then
            begin_visit(thread, user, visit)
        end
        return nil
    end
    local count = call('HLEN', members)
    if members_only and count > 0 then
        return 'forbidden'
    end
    if count >= tonumber(members_max) then
        return 'too_many_members'
    end
    -- A thread that everybody has left starts anew with whoever comes first.
    add_member(thread, user, count == 0 and 'owner' or 'guest')
    if visit then
        begin_visit(thread, user, visit)
    end
    thread_changed(thread)
    return nil
end

-- Where no owner is left, the member longest in becomes one. False: they are no member.
local function leave(thread, user)
    if call('HDEL', 'chat:members:' .. thread, user) == 0 then
        return false
    end
    call('HDEL', 'chat:visits:' .. thread, user)
    call('ZREM', 'chat:threads:' .. user, thread)
    local members = read_members(thread)
    local owned = false
    for _, member in ipairs(members) do
        owned = owned or member.role == 'owner'
    end
    if #members > 0 and not owned then
        local first = members[1]
        call('HSET', 'chat:members:' .. thread, first.id, string.format('%d owner %s', first.place, first.joined))
    end
    thread_changed(thread, user)
    return true
end
