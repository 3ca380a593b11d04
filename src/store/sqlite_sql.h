/* SPDX-License-Identifier: MIT */
/*
 * Every statement that runs after the database is open, in one table; each is prepared once.
 *
 * `?1`, `?2`… are bound in this order.
 */
#ifndef STORE_SQLITE_SQL_H
#define STORE_SQLITE_SQL_H

/* A message with its thread's and sender's ids; sqlite_log.c reads the columns in this order. */
#define SQL_MESSAGE                                                                                                    \
    "SELECT g.cursor, g.id, t.id, g.type, g.time_us, u.id, g.sender_name, g.text, g.subject, g.language,"              \
    " g.attachments FROM messages g JOIN threads t ON t.number = g.thread JOIN users u ON u.number = g.sender "

/* A member as sqlite_threads.c reads it. */
#define SQL_USER "u.id, u.name, u.status, u.show"

#define SQL_TABLE(ROW)                                                                                                 \
    /* transactions */                                                                                                 \
    ROW(SQL_BEGIN, "BEGIN IMMEDIATE")                                                                                  \
    ROW(SQL_COMMIT, "COMMIT")                                                                                          \
    ROW(SQL_ROLLBACK, "ROLLBACK")                                                                                      \
    ROW(SQL_STEPS_BEGIN, "SAVEPOINT steps")                                                                            \
    ROW(SQL_STEPS_KEEP, "RELEASE steps")                                                                               \
    ROW(SQL_STEPS_UNDO, "ROLLBACK TO steps")                                                                           \
    ROW(SQL_PROBE, "UPDATE state SET probe = zeroblob(?1)")                                                            \
    /* where the log stands */                                                                                         \
    ROW(SQL_BOUNDS, "SELECT max(oldest, ifnull((SELECT max(cursor) FROM messages), 0)), oldest FROM state")            \
    /* users */                                                                                                        \
    ROW(SQL_USER_FIND, "SELECT " SQL_USER ", u.number FROM users u WHERE u.id = ?1")                                   \
    ROW(SQL_USER_ADD, "INSERT INTO users (id, name, status, show) VALUES (?1, ?2, '', 0)")                             \
    ROW(SQL_USER_RENAME, "UPDATE users SET name = ?2 WHERE id = ?1")                                                   \
    ROW(SQL_USERS_AFTER, "SELECT " SQL_USER " FROM users u WHERE u.id > ?1 ORDER BY u.id LIMIT ?2")                    \
    ROW(SQL_PRESENCE_SET, "UPDATE users SET status = ?2, show = ?3 WHERE id = ?1")                                     \
    /* threads */                                                                                                      \
    ROW(SQL_THREAD_FIND, "SELECT number, id, room FROM threads WHERE id = ?1")                                         \
    ROW(SQL_THREAD_FIND_KEY, "SELECT number, id, room FROM threads WHERE members_key = ?1")                            \
    ROW(SQL_THREAD_ADD, "INSERT INTO threads (id, room) VALUES (?1, ?2)")                                              \
    /* the first thread with a member set has its key; rooms have none */                                              \
    ROW(SQL_THREAD_SET_KEY,                                                                                            \
        "UPDATE threads SET members_key = CASE WHEN room IS NULL AND NOT EXISTS"                                       \
        " (SELECT 1 FROM threads o WHERE o.members_key = ?2 AND o.number <> ?1) THEN ?2 END WHERE number = ?1")        \
    ROW(SQL_MEMBERS, "SELECT " SQL_USER ", m.role, m.joined FROM members m JOIN users u ON u.number = m.user"          \
                     " WHERE m.thread = ?1 ORDER BY m.place")                                                          \
    ROW(SQL_MEMBER_ADD, "INSERT INTO members (thread, user, role, joined) VALUES (?1, ?2, ?3, ?4)")                    \
    ROW(SQL_MEMBER_REMOVE, "DELETE FROM members WHERE thread = ?1 AND user = ?2")                                      \
    ROW(SQL_MEMBER_PROMOTE,                                                                                            \
        "UPDATE members SET role = ?2 WHERE place = (SELECT min(place) FROM members WHERE thread = ?1)"                \
        " AND NOT EXISTS (SELECT 1 FROM members WHERE thread = ?1 AND role = ?2)")                                     \
    ROW(SQL_MEMBER_FIND, "SELECT t.number, u.number FROM threads t JOIN members m ON m.thread = t.number"              \
                         " JOIN users u ON u.number = m.user WHERE t.id = ?1 AND u.id = ?2")                           \
    /* visits: null for a member for good */                                                                           \
    ROW(SQL_VISITS_FIND, "SELECT ifnull(visits, -1) FROM members WHERE thread = ?1 AND user = ?2")                     \
    ROW(SQL_VISITS_SET, "UPDATE members SET visits = ?3 WHERE thread = ?1 AND user = ?2")                              \
    ROW(SQL_VISITS_ADD,                                                                                                \
        "UPDATE members SET visits = visits + 1 WHERE thread = ?1 AND user = ?2 AND visits IS NOT NULL")               \
    ROW(SQL_VISITS_END, "UPDATE members SET visits = NULL WHERE thread = ?1 AND user = ?2 AND visits IS NOT NULL")     \
    ROW(SQL_VISITS_FORGET, "UPDATE members SET visits = 0 WHERE visits > 0")                                           \
    ROW(SQL_THREADS_OF, "SELECT t.number, t.id, t.room FROM members m JOIN threads t ON t.number = m.thread"           \
                        " WHERE m.user = (SELECT number FROM users WHERE id = ?1) ORDER BY m.place")                   \
    /* messages */                                                                                                     \
    ROW(SQL_MESSAGE_ADD,                                                                                               \
        "INSERT INTO messages (id, thread, sender, type, time_us, sender_name, text, subject, language, attachments)"  \
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")                                                           \
    ROW(SQL_MESSAGE_FIND, "SELECT g.cursor, t.id, u.id FROM messages g JOIN threads t ON t.number = g.thread"          \
                          " JOIN users u ON u.number = g.sender WHERE g.id = ?1")                                      \
    ROW(SQL_MESSAGE_AT, SQL_MESSAGE "WHERE g.cursor = ?1")                                                             \
    ROW(SQL_MESSAGES_BEFORE, SQL_MESSAGE "WHERE g.thread = ?1 AND g.cursor < ?2 ORDER BY g.cursor DESC LIMIT ?3")      \
    ROW(SQL_MESSAGE_NEXT, "SELECT cursor FROM messages WHERE thread = ?1 AND cursor > ?2 ORDER BY cursor LIMIT 1")     \
    ROW(SQL_JOINED,                                                                                                    \
        "SELECT m.thread, m.joined FROM members m WHERE m.user = (SELECT number FROM users WHERE id = ?1)")            \
    /* tokens */                                                                                                       \
    ROW(SQL_TOKEN_PUT, "INSERT OR REPLACE INTO tokens (id, user, expires_us) VALUES (?1, ?2, ?3)")                     \
    ROW(SQL_TOKEN_FIND, "SELECT user, expires_us FROM tokens WHERE id = ?1 AND expires_us > ?2")                       \
    ROW(SQL_TOKEN_DELETE, "DELETE FROM tokens WHERE id = ?1 AND expires_us > ?2")                                      \
    /* upkeep */                                                                                                       \
    ROW(SQL_YOUNG_FIRST, "SELECT min(cursor) FROM messages WHERE cursor > ?1 AND cursor <= ?2 AND time_us >= ?3")      \
    ROW(SQL_MESSAGES_PRUNE, "DELETE FROM messages WHERE cursor <= ?1")                                                 \
    ROW(SQL_OLDEST_SET, "UPDATE state SET oldest = ?1")                                                                \
    ROW(SQL_TOKENS_PRUNE,                                                                                              \
        "DELETE FROM tokens WHERE id IN (SELECT id FROM tokens WHERE expires_us <= ?1 ORDER BY expires_us LIMIT ?2)")

enum sql {
#define ROW(name, text) name,
    SQL_TABLE(ROW)
#undef ROW
        SQL_COUNT
};

#endif
