-- SPDX-License-Identifier: MIT
-- ARGV: id.
if not thread_exists(ARGV[1]) then
    return refuse('no_thread')
end
return thread_reply(ARGV[1])
