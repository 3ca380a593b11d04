/* SPDX-License-Identifier: MIT */
/*
 * The scripts that the Redis store runs: one atomic step for each of its operations. Their texts are in src/store/lua;
 * what each takes and returns stands at its head.
 */
#ifndef STORE_REDIS_SCRIPT_H
#define STORE_REDIS_SCRIPT_H

/* A row: name, file, and what stands before it: base.lua alone, prelude.lua too, or members.lua as well. */
#define SCRIPT_TABLE(ROW)                                                                                              \
    ROW(SCRIPT_LOAD, load, ALL)                                                                                        \
    ROW(SCRIPT_USER_PUT, user_put, ALL)                                                                                \
    ROW(SCRIPT_USERS_LIST, users_list, ALL)                                                                            \
    ROW(SCRIPT_PRESENCE_PUT, presence_put, ALL)                                                                        \
    ROW(SCRIPT_CHANGES, changes, ALL)                                                                                  \
    ROW(SCRIPT_JOIN, join, ALL)                                                                                        \
    ROW(SCRIPT_LEASE, lease, ALL)                                                                                      \
    ROW(SCRIPT_RETIRE, retire, ALL)                                                                                    \
    ROW(SCRIPT_PULSE, pulse, MEMBERS)                                                                                  \
    ROW(SCRIPT_THREAD_OPEN, thread_open, MEMBERS)                                                                      \
    ROW(SCRIPT_THREAD_GET, thread_get, ALL)                                                                            \
    ROW(SCRIPT_MEMBER_ADD, member_add, MEMBERS)                                                                        \
    ROW(SCRIPT_MEMBER_REMOVE, member_remove, MEMBERS)                                                                  \
    ROW(SCRIPT_VISIT_END, visit_end, MEMBERS)                                                                          \
    ROW(SCRIPT_VISITS, visits, MEMBERS)                                                                                \
    ROW(SCRIPT_THREADS_OF, threads_of, ALL)                                                                            \
    ROW(SCRIPT_APPEND, append, BASE)                                                                                   \
    ROW(SCRIPT_MESSAGE_FIND, message_find, BASE)                                                                       \
    ROW(SCRIPT_HISTORY, history, ALL)                                                                                  \
    ROW(SCRIPT_REPLAY, replay, ALL)                                                                                    \
    ROW(SCRIPT_RETAIN, retain, ALL)                                                                                    \
    ROW(SCRIPT_TOKEN_GET, token_get, BASE)                                                                             \
    ROW(SCRIPT_TOKEN_DELETE, token_delete, ALL)                                                                        \
    ROW(SCRIPT_TOKENS_CHECK, tokens_check, BASE)

enum script {
#define ROW(name, file, prelude) name,
    SCRIPT_TABLE(ROW)
#undef ROW
        SCRIPT_COUNT
};

/* The text, for SCRIPT LOAD; static. */
const char *script_text(enum script script);

#endif
