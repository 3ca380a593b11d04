/* SPDX-License-Identifier: MIT */
/*
 * A stage for tests of src/auth: a clock that stands, a folder for files, a log that can be read, and callers of
 * auth_check.
 *
 * Everything fails the running test when it goes wrong.
 */
#ifndef LIB_CALLER_H
#define LIB_CALLER_H

#include "auth/auth.h"

enum { CALLER_HEADERS_MAX = 4 };

struct stage {
    struct clock clock; /* gives the two below */
    int64_t now_ms;
    int64_t wall_us;
    char folder[64]; /* private; goes away with the stage */
    char log_path[96];
};

struct caller_header {
    const char *name; /* null ends the list */
    const char *value;
};

/* Who calls, and what the answer was. */
struct caller {
    struct credentials credentials;
    struct caller_header headers[CALLER_HEADERS_MAX];
    unsigned answers;
    enum err err;
    char user[129]; /* empty where there was no identity */
    char name[257];
    int64_t expires_us;
    unsigned retry_after_s;
};

void stage_init(struct stage *stage);
void stage_fini(struct stage *stage);

/* Writes a file into the folder and returns its path, which lives until the next call. */
const char *stage_file(const struct stage *stage, const char *name, unsigned mode, struct span text);

/* Whether the log since the last stage_log_clear holds `text`. */
bool stage_logged(const struct stage *stage, const char *text);
void stage_log_clear(const struct stage *stage);

/* A caller at `address` with an Authorization header; null: none. Both texts outlive the caller. */
struct caller caller_at(const char *address, const char *authorization);

/* Asks. The answer may be there when this returns, or come later. */
void caller_ask(struct caller *caller, struct auth *auth);

/* Turns the loop until the answer is there. */
void caller_wait(struct caller *caller, struct loop *loop);

/* `Basic ` and the credentials in base64; lives until the next call but seven. */
const char *basic_of(const char *user_and_password);

#endif
