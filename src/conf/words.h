/* SPDX-License-Identifier: MIT */
/*
 * The words that options choose from: per choice one table, from it the enum.
 *
 * A row: constant, word. The two choices of the log use the enums of base/log.h.
 */
#ifndef CONF_WORDS_H
#define CONF_WORDS_H

#include "base/log.h"

#define CONF_DURABILITY_WORDS(WORD)                                                                                    \
    WORD(CONF_DURABILITY_FULL, "full")                                                                                 \
    WORD(CONF_DURABILITY_NORMAL, "normal")                                                                             \
    WORD(CONF_DURABILITY_OFF, "off")

#define CONF_AUTH_METHOD_WORDS(WORD)                                                                                   \
    WORD(CONF_AUTH_DEMO, "demo")                                                                                       \
    WORD(CONF_AUTH_BASIC, "basic")                                                                                     \
    WORD(CONF_AUTH_HEADER, "header")                                                                                   \
    WORD(CONF_AUTH_JWT, "jwt")

#define CONF_JWT_ALGORITHM_WORDS(WORD)                                                                                 \
    WORD(CONF_JWT_HS256, "HS256")                                                                                      \
    WORD(CONF_JWT_HS384, "HS384")                                                                                      \
    WORD(CONF_JWT_HS512, "HS512")                                                                                      \
    WORD(CONF_JWT_RS256, "RS256")                                                                                      \
    WORD(CONF_JWT_ES256, "ES256")                                                                                      \
    WORD(CONF_JWT_EDDSA, "EdDSA")

#define CONF_DIALECT_WORDS(WORD)                                                                                       \
    WORD(CONF_DIALECT_SPEC, "spec")                                                                                    \
    WORD(CONF_DIALECT_MODULE, "module")

#define CONF_FRIENDS_WORDS(WORD)                                                                                       \
    WORD(CONF_FRIENDS_EVERYONE, "everyone")                                                                            \
    WORD(CONF_FRIENDS_THREADS, "threads")

#define CONF_GUESTS_WORDS(WORD)                                                                                        \
    WORD(CONF_GUESTS_DEMO, "demo")                                                                                     \
    WORD(CONF_GUESTS_YES, "yes")                                                                                       \
    WORD(CONF_GUESTS_NO, "no")

#define LOG_LEVEL_WORDS(WORD)                                                                                          \
    WORD(LOG_DEBUG, "debug")                                                                                           \
    WORD(LOG_INFO, "info")                                                                                             \
    WORD(LOG_WARN, "warn")                                                                                             \
    WORD(LOG_ERROR, "error")

#define LOG_FORMAT_WORDS(WORD)                                                                                         \
    WORD(LOG_KEY_VALUE, "keyvalue")                                                                                    \
    WORD(LOG_JSON, "json")

#define WORD(constant, text) constant,
enum conf_durability { CONF_DURABILITY_WORDS(WORD) };
enum conf_auth_method { CONF_AUTH_METHOD_WORDS(WORD) };
enum conf_jwt_algorithm { CONF_JWT_ALGORITHM_WORDS(WORD) };
enum conf_dialect { CONF_DIALECT_WORDS(WORD) };
enum conf_friends { CONF_FRIENDS_WORDS(WORD) };
enum conf_guests { CONF_GUESTS_WORDS(WORD) };
#undef WORD

#endif
