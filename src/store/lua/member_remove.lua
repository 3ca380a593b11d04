-- SPDX-License-Identifier: MIT
-- ARGV: thread, user.
if not leave(ARGV[1], ARGV[2]) then
    return refuse('no_thread')
end
return thread_reply(ARGV[1])
