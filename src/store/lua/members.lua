-- SPDX-License-Identifier: MIT
-- Coming and going: what stands behind prelude.lua in front of the scripts that need it.

-- --- visits
--
-- How many visits a member has is kept once, in one hash for each member of each thread, and goes with it when they are removed
-- or come in for good. What is kept for each process only says where to look when it dies: a visit that is over is not ended again.
-- A process knows its own number, and tells that rather than a change, so that it can be told again, and late.

-- What is the same in all names that a process gives its node, one after the other (redis_node.c).
local function host_of(node)
    return string.sub(node, 1, 18)
end

local function visits_of(thread, user)
    return 'chat:visits:' .. thread .. ':' .. user
end

local function visitors_at(host)
    return 'chat:visitors:' .. host
end

-- One visit more of a visitor.
local function begin_visit(thread, user, node)
    local visits, host = visits_of(thread, user), host_of(node)
    call('HINCRBY', visits, 'all', 1)
    call('HINCRBY', visits, host, 1)
    call('SADD', visitors_at(host), thread .. ' ' .. user)
end

-- A host has so many visits of a visitor. Returns how many there are at all; nil for a member for good.
local function set_visits(thread, user, host, count)
    local visits, place = visits_of(thread, user), thread .. ' ' .. user
    local counted = call('EXISTS', visits) == 1
    local before = tonumber(call('HGET', visits, host)) or 0
    if counted and count > 0 then
        call('HSET', visits, host, count)
        call('SADD', visitors_at(host), place)
    else
        call('HDEL', visits, host)
        call('SREM', visitors_at(host), place)
    end
    return counted and call('HINCRBY', visits, 'all', count - before) or nil
end

-- Who is removed, or a member for good from now on, has no visits.
local function forget_visits(thread, user)
    for _, host in ipairs(call('HKEYS', visits_of(thread, user))) do
        call('SREM', visitors_at(host), thread .. ' ' .. user)
    end
    call('DEL', visits_of(thread, user))
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
    for _, place in ipairs(call('SRANDMEMBER', visitors_at(host), batch)) do
        set_visits(string.sub(place, 1, 36), string.sub(place, 38), host, 0)
    end
    return call('SCARD', visitors_at(host)) > 0
end

-- --- members

-- Brings a user into a thread; with `visit`, the node where they visit it, for that visit only. Where `members_only`, nobody new,
-- also when everybody has left. Nil, or the word of an error.
local function join(thread, user, members_max, members_only, visit)
    if not read_user(user) then
        return 'no_user'
    end
    local members = 'chat:members:' .. thread
    if call('HEXISTS', members, user) == 1 then
        if not visit then
            forget_visits(thread, user)
        elseif call('EXISTS', visits_of(thread, user)) == 1 then
            begin_visit(thread, user, visit)
        end
        return nil
    end
    if members_only then
        return 'forbidden'
    end
    local count = call('HLEN', members)
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
    forget_visits(thread, user)
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

-- So many visits of a member are left at a node. With the last one at all goes who is not to stay.
local function end_visits(thread, user, node, count, stays)
    if set_visits(thread, user, host_of(node), count) == 0 and not stays then
        leave(thread, user)
    end
end
