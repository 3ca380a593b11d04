/* SPDX-License-Identifier: MIT */
/*
 * Every error that can reach a client, in one table.
 *
 * A row: name, machine word, HTTP status, sentence. Adapters map rows to their own wire forms; nothing else
 * invents an error word. OK is 0, so `if (err)` reads as it should. The sentence is for people and may be
 * replaced by a more exact one where the failure is found; the word and the status may not.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define ERR_TABLE(ROW)                                                                                                 \
    ROW(OK, "ok", 200, "no error")                                                                                     \
    ROW(ERR_BAD_REQUEST, "bad_request", 400, "the request is malformed")                                               \
    ROW(ERR_BAD_FRAMING, "bad_framing", 400, "the request's framing is ambiguous or malformed")                        \
    ROW(ERR_BAD_JSON, "bad_json", 400, "the body is not acceptable JSON")                                              \
    ROW(ERR_BAD_UTF8, "bad_utf8", 400, "text must be valid UTF-8")                                                     \
    ROW(ERR_MISSING_FIELD, "missing_field", 400, "a required field is missing")                                        \
    ROW(ERR_BAD_FIELD, "bad_field", 400, "a field has an unacceptable value")                                          \
    ROW(ERR_BAD_CURSOR, "bad_cursor", 400, "the cursor is malformed")                                                  \
    ROW(ERR_UNAUTHORIZED, "unauthorized", 401, "a login is required")                                                  \
    ROW(ERR_FORBIDDEN, "forbidden", 403, "this identity may not do that")                                              \
    ROW(ERR_TOKEN_SCOPE, "token_scope", 403, "a chat token only reads streams and sends messages")                     \
    ROW(ERR_TOO_MANY_MEMBERS, "too_many_members", 403, "the thread has no room for more members")                      \
    ROW(ERR_NOT_FRIENDS, "not_friends", 403, "you can only talk to friends")                                           \
    ROW(ERR_BAD_ORIGIN, "bad_origin", 403, "this origin is not allowed")                                               \
    ROW(ERR_NOT_FOUND, "not_found", 404, "there is nothing at this address")                                           \
    ROW(ERR_NO_TOKEN, "no_token", 404, "the token is unknown or has expired")                                          \
    ROW(ERR_NO_THREAD, "no_thread", 404, "there is no such thread")                                                    \
    ROW(ERR_NO_USER, "no_user", 404, "there is no such user here")                                                     \
    ROW(ERR_BAD_METHOD, "bad_method", 405, "the method is not allowed here")                                           \
    ROW(ERR_TIMEOUT, "timeout", 408, "the request took too long to arrive")                                            \
    ROW(ERR_CONFLICT, "conflict", 409, "this id is already taken by another message")                                  \
    ROW(ERR_TOO_LARGE, "too_large", 413, "this is too large")                                                          \
    ROW(ERR_URL_TOO_LONG, "url_too_long", 414, "the URL is too long")                                                  \
    ROW(ERR_BAD_TYPE, "bad_type", 415, "the body's content type is not supported")                                     \
    ROW(ERR_BAD_EXPECT, "bad_expect", 417, "the expectation cannot be met")                                            \
    ROW(ERR_TOO_MANY, "too_many", 429, "too many requests")                                                            \
    ROW(ERR_TOO_MANY_SESSIONS, "too_many_sessions", 429, "too many sessions are open")                                 \
    ROW(ERR_HEADERS_TOO_LARGE, "headers_too_large", 431, "the header block is too large")                              \
    ROW(ERR_INTERNAL, "internal", 500, "something went wrong here")                                                    \
    ROW(ERR_BAD_CODING, "bad_coding", 501, "the transfer coding is not supported")                                     \
    ROW(ERR_STORE, "store_unavailable", 503, "the store cannot take this now")                                         \
    ROW(ERR_STORE_FULL, "store_full", 503, "the store has no space left")                                              \
    ROW(ERR_NO_MEMORY, "no_memory", 503, "out of memory")                                                              \
    ROW(ERR_SHUTTING_DOWN, "shutting_down", 503, "the server is shutting down")                                        \
    ROW(ERR_SLOW_READER, "slow_reader", 503, "the reader did not keep up")                                             \
    ROW(ERR_GONE, "gone", 499, "the peer went away")

enum err {
#define ROW(name, word, status, sentence) name,
    ERR_TABLE(ROW)
#undef ROW
        ERR_COUNT
};

/* The machine word, `snake_case`, never null; static. */
const char *err_word(enum err err);

/* One sentence for people without a full stop; static. */
const char *err_sentence(enum err err);

/* The HTTP status, 200 to 599. */
int err_http_status(enum err err);

#endif
