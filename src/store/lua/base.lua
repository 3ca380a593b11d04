-- SPDX-License-Identifier: MIT
-- What all scripts share; it stands in front of each of them, and is all that the most frequent ones have. The keys are explained in nereid-redis(7).
--
-- A script is one atomic step. It returns either an array whose first element is the last entry of the log that it saw (or
-- '' where neither the log nor threads matter), or a status that names an error of base/err.h.

local call = redis.call

local function refuse(word)
    return redis.status_reply(word)
end

-- --- the log

local function state(...)
    return call('HMGET', 'chat:state', ...)
end

-- The id of the last entry, of whichever kind.
local function log_last()
    return call('HGET', 'chat:state', 'last') or '0'
end

-- The entry of a message, in an array: empty if retention has taken it.
local function message_at(id)
    return call('XRANGE', 'chat:log', id, id)
end

-- The fields of an entry by name.
local function fields_of(entry)
    local fields = {}
    for i = 1, #entry[2], 2 do
        fields[entry[2][i]] = entry[2][i + 1]
    end
    return fields
end
