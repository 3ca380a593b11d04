-- SPDX-License-Identifier: MIT
-- What most scripts share beside base.lua. Its functions are made anew at each call of a script, which costs some microseconds.

-- --- the log

local function split_id(id)
    local ms, seq = string.match(id, '^(%d+)-?(%d*)$')
    return tonumber(ms), tonumber(seq) or 0
end

local function id_before(a, b)
    local a_ms, a_seq = split_id(a)
    local b_ms, b_seq = split_id(b)
    return a_ms < b_ms or (a_ms == b_ms and a_seq < b_seq)
end

local function entry_bytes(entry)
    local bytes = 0
    for _, text in ipairs(entry[2]) do
        bytes = bytes + #text
    end
    return bytes
end

-- --- users

-- id, name, show, status, available, version, idle; nil for somebody unknown.
local function read_user(id)
    local fields = call('HMGET', 'chat:user:' .. id, 'name', 'show', 'status', 'available', 'version', 'idle')
    if not fields[5] then
        return nil
    end
    return {id, fields[1] or '', fields[2] or 'chat', fields[3] or '', fields[4] or '0', fields[5], fields[6] or '0'}
end

local function now_us()
    local time = call('TIME')
    return time[1] * 1000000 + time[2]
end

-- Tells all nodes something. A channel is not a database's own, so it is said whose event it is.
local function publish(event)
    event.store = call('HGET', 'chat:state', 'epoch')
    call('PUBLISH', 'chat:events', cjson.encode(event))
end

-- Tells all nodes of a user that was changed, and gives the change a version: never the same twice, even if the server's clock
-- is set back.
local function user_changed(id)
    local previous = call('HGET', 'chat:state', 'version') or '1'
    local version = string.format('%.0f', math.max(now_us(), tonumber(previous) + 1))
    call('HSET', 'chat:state', 'version', version)
    call('HSET', 'chat:user:' .. id, 'version', version)
    call('ZADD', 'chat:changes', version, id)
    local user = read_user(id)
    publish({
        kind = 'user', previous = previous, version = version, id = id, name = user[2], show = user[3],
        status = user[4], available = user[5] == '1', idle = user[7] == '1',
    })
    return user
end

-- --- leases

local function set_presence(id, available, idle)
    local key = 'chat:user:' .. id
    local before = call('HMGET', key, 'available', 'idle')
    if before[1] and (before[1] ~= available or (before[2] or '0') ~= idle) then
        call('HSET', key, 'available', available, 'idle', idle)
        user_changed(id)
    end
end

-- Who has leases is idle while all of them are idle ones.
local function all_idle(id)
    return call('SCARD', 'chat:idle:' .. id) == call('SCARD', 'chat:here:' .. id) and '1' or '0'
end

local function take_lease(node, id, idle)
    local new = call('SADD', 'chat:here:' .. id, node) == 1
    call('SADD', 'chat:node:' .. node, id)
    if idle then
        call('SADD', 'chat:idle:' .. id, node)
    elseif not new then
        call('SREM', 'chat:idle:' .. id, node)
    end
    set_presence(id, '1', idle and all_idle(id) or '0')
end

local function drop_lease(node, id)
    call('SREM', 'chat:node:' .. node, id)
    call('SREM', 'chat:here:' .. id, node)
end

local function end_lease(node, id, goodbye)
    drop_lease(node, id)
    for _, other in ipairs(goodbye and call('SRANDMEMBER', 'chat:idle:' .. id, 1000) or {}) do
        drop_lease(other, id)
        call('SREM', 'chat:idle:' .. id, other)
    end
    if call('SCARD', 'chat:here:' .. id) > 0 then
        call('SREM', 'chat:idle:' .. id, node)
        set_presence(id, '1', all_idle(id))
    else
        call('DEL', 'chat:idle:' .. id)
        set_presence(id, '0', '0')
    end
end

-- --- threads

-- The members in order of joining, each as user record, role and the log's head when they joined. What another program may have
-- put there is left out.
local function read_members(thread)
    local flat = call('HGETALL', 'chat:members:' .. thread)
    local members = {}
    for i = 1, #flat, 2 do
        local place, role, joined = string.match(flat[i + 1], '^(%d+) (%a+) ([%d-]+)$')
        if place then
            table.insert(members, {id = flat[i], place = tonumber(place), role = role, joined = joined})
        end
    end
    table.sort(members, function(a, b) return a.place < b.place end)
    return members
end

-- The id of the last message; nil: there is none.
local function thread_last(thread)
    local found = call('XREVRANGE', 'chat:history:' .. thread, '+', '-', 'COUNT', 1)[1]
    return found and found[1]
end

-- id, room (false: none), members as `role joined id`, last message (an array of no entry or one). How the members are is added to
-- `users`, once for each however many threads they are in.
local function thread_record(thread, users, with_last)
    local members = {}
    for _, member in ipairs(read_members(thread)) do
        table.insert(members, member.role .. ' ' .. member.joined .. ' ' .. member.id)
        if not users[member.id] then
            users[member.id] = true
            table.insert(users, read_user(member.id))
        end
    end
    local id = with_last and thread_last(thread)
    return {thread, call('HGET', 'chat:thread:' .. thread, 'room'), members, id and message_at(id) or {}}
end

-- What scripts about one thread return: last, users, the thread.
local function thread_reply(thread)
    local users = {}
    local record = thread_record(thread, users)
    return {log_last(), users, record}
end

local function thread_exists(thread)
    return call('EXISTS', 'chat:thread:' .. thread) == 1
end

-- The key of a member set: the same users in any order have the same. Hashes are sorted, not ids: the order of letters is a
-- matter of the server's locale.
local function set_key(users)
    local hashes = {}
    for i, user in ipairs(users) do
        hashes[i] = redis.sha1hex(user)
    end
    table.sort(hashes)
    return 'chat:set:' .. redis.sha1hex(table.concat(hashes))
end

local function add_member(thread, user, role)
    local place = call('HINCRBY', 'chat:state', 'place', 1)
    local head = call('HGET', 'chat:state', 'head') or '0'
    call('HSET', 'chat:members:' .. thread, user, string.format('%d %s %s', place, role, head))
    call('ZADD', 'chat:threads:' .. user, place, thread)
end

-- The key of a thread follows its present members. Where two threads come to have the same members, the one that had the
-- key first keeps it; rooms have none.
local function rekey(thread)
    local key = 'chat:thread:' .. thread
    local fields = call('HMGET', key, 'room', 'set')
    if fields[1] then
        return
    end
    if fields[2] then
        call('DEL', fields[2])
        call('HDEL', key, 'set')
    end
    local users = call('HKEYS', 'chat:members:' .. thread)
    local set = set_key(users)
    if #users > 0 and call('SETNX', set, thread) == 1 then
        call('HSET', key, 'set', set)
    end
end

-- After a change of members: the log tells it to all nodes.
local function thread_changed(thread, left)
    rekey(thread)
    local entry = {'thread', thread}
    if left then
        table.insert(entry, 'left')
        table.insert(entry, left)
    end
    call('HSET', 'chat:state', 'last', call('XADD', 'chat:log', '*', unpack(entry)))
    call('HINCRBY', 'chat:state', 'changes', 1)
end
