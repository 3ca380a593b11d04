/* SPDX-License-Identifier: MIT */
/*
 * The users file in memory: a hash table that is made whole and then only read.
 *
 * Somebody unknown is checked against the hash of a real user, one of those whose settings are the most common in the
 * file, and then refused whatever came out; so asking for a name takes as long whether it exists or not. In a file of
 * mixed settings that holds for the common ones only.
 */
#include "auth/users.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "auth/auth.h"
#include "base/file.h"
#include "auth/method.h"
#include "base/log.h"
#include "base/utf8.h"

enum { FILE_SIZE_MAX = 16 << 20 };

struct user {
    UT_hash_handle hh;
    struct span id;
    struct span name;
    char *hash;
    char text[]; /* id, hash and name, each with its NUL */
};

/* The users whose hashes cost the same, while the file is read. */
struct cost {
    UT_hash_handle hh;
    size_t count;
    const char *hash; /* of one of them */
    size_t len;       /* of its part that decides the cost; the key */
};

struct users {
    struct user *table;
    char *decoy; /* owned; the hash for somebody unknown */
};

static void user_drop(struct users *users, struct user *user)
{
    HASH_DEL(users->table, user);
    free(user);
}

void users_free(struct users *users)
{
    if (!users)
        return;
    while (users->table)
        user_drop(users, users->table);
    free(users->decoy);
    free(users);
}

static struct user *find(const struct users *users, struct span id)
{
    struct user *user = NULL;
    HASH_FIND(hh, users->table, id.data, id.len, user);
    return user;
}

bool users_name(const struct users *users, struct span user, struct span *ret_name)
{
    const struct user *found = find(users, user);
    if (found)
        *ret_name = found->name;
    return found;
}

bool users_hash(const struct users *users, struct span user, const char **ret_hash)
{
    const struct user *found = find(users, user);
    *ret_hash = found ? found->hash : users->decoy;
    return found;
}

/* --- one line --------------------------------------------------------------------------------------------------- */

struct line {
    struct span id, hash, name;
};

/* Cuts what stands before the first `end` off the front of *rest; false if there is none. */
static bool cut(struct span *rest, char end, struct span *ret_part)
{
    const char *at = rest->len ? memchr(rest->data, end, rest->len) : NULL;
    if (!at)
        return false;
    size_t len = (size_t)(at - rest->data);
    *ret_part = (struct span){rest->data, len};
    *rest = (struct span){at + 1, rest->len - len - 1};
    return true;
}

static const char *check_hash(struct span hash)
{
    char text[USERS_HASH_SIZE];
    if (hash.len == 0 || hash.len >= sizeof(text) || memchr(hash.data, '\0', hash.len))
        return "not a hash that crypt(3) knows";
    memcpy(text, hash.data, hash.len);
    text[hash.len] = '\0';
    switch (crypt_checksalt(text)) {
    case CRYPT_SALT_OK: return NULL;
    case CRYPT_SALT_METHOD_LEGACY:
    case CRYPT_SALT_TOO_CHEAP: return "the hash is of a method that is too weak";
    default: return "not a hash that crypt(3) knows";
    }
}

/* Null, or what is wrong with the line. */
static const char *parse_line(struct span text, struct line *line)
{
    if (!cut(&text, ':', &line->id))
        return "expected user:hash:display name";
    if (!cut(&text, ':', &line->hash)) {
        line->hash = text;
        text = (struct span){0};
    }
    line->name = text;
    if (!user_valid(line->id))
        return "not a user id (1 to 128 bytes of printable UTF-8, no space at either end)";
    if (!name_valid(line->name))
        return "not a display name (at most 256 bytes of printable UTF-8)";
    return check_hash(line->hash);
}

static char *put(char *at, struct span bytes)
{
    if (bytes.len)
        memcpy(at, bytes.data, bytes.len);
    at[bytes.len] = '\0';
    return at + bytes.len + 1;
}

static enum err add_user(struct users *users, const struct line *line)
{
    struct user *user = calloc(1, sizeof(*user) + line->id.len + line->hash.len + line->name.len + 3);
    if (!user)
        return ERR_NO_MEMORY;
    user->hash = put(user->text, line->id);
    char *name = put(user->hash, line->hash);
    (void)put(name, line->name);
    user->id = (struct span){user->text, line->id.len};
    user->name = (struct span){name, line->name.len};
    HASH_ADD_KEYPTR(hh, users->table, user->id.data, user->id.len, user);
    if (user->hh.tbl)
        return OK;
    free(user);
    return ERR_NO_MEMORY;
}

/* --- the whole file --------------------------------------------------------------------------------------------- */

static enum err parse_user(struct users *users, const char *path, int64_t number, struct span text)
{
    struct line line;
    const char *why = parse_line(text, &line);
    if (!why && find(users, line.id))
        why = "the user was named before";
    if (!why)
        return add_user(users, &line);
    log_event(LOG_ERROR, "bad line in the users file", log_text("file", path), log_int("line", number),
              log_text("why", why));
    return ERR_BAD_FIELD;
}

static struct span trim_cr(struct span line)
{
    if (line.len && line.data[line.len - 1] == '\r')
        line.len--;
    return line;
}

static enum err parse_users(struct users *users, const char *path, struct span text)
{
    enum err first = OK;
    for (int64_t number = 1; text.len; number++) {
        struct span line;
        if (!cut(&text, '\n', &line)) {
            line = text;
            text = (struct span){0};
        }
        line = trim_cr(line);
        if (line.len == 0 || line.data[0] == '#')
            continue;
        enum err err = parse_user(users, path, number, line);
        if (!first)
            first = err;
    }
    return first;
}

/* What decides how long a hash takes stands before the salt. That is the last field but one, but for bcrypt, which has
 * salt and hash in one ($2b$10$...). */
static size_t cost_len(const char *hash)
{
    if (strncmp(hash, "$2", 2) == 0)
        return strnlen(hash, strlen("$2b$10$"));
    size_t len = strlen(hash);
    for (int dollars = 0; len && dollars < 2; len--)
        if (hash[len - 1] == '$')
            dollars++;
    return len;
}

static enum err count_cost(struct cost **costs, const char *hash)
{
    struct cost *cost = NULL;
    size_t len = cost_len(hash);
    HASH_FIND(hh, *costs, hash, len, cost);
    if (!cost) {
        cost = calloc(1, sizeof(*cost));
        if (!cost)
            return ERR_NO_MEMORY;
        cost->hash = hash;
        cost->len = len;
        HASH_ADD_KEYPTR(hh, *costs, cost->hash, cost->len, cost);
        if (!cost->hh.tbl) {
            free(cost);
            return ERR_NO_MEMORY;
        }
    }
    cost->count++;
    return OK;
}

static const char *most_common(const struct cost *costs)
{
    const struct cost *best = costs;
    for (const struct cost *cost = costs; cost; cost = cost->hh.next)
        if (cost->count > best->count)
            best = cost;
    return best ? best->hash : NULL;
}

static void costs_free(struct cost *costs)
{
    while (costs) {
        struct cost *cost = costs;
        HASH_DEL(costs, cost);
        free(cost);
    }
}

/* In a file of nobody, it is a setting of the method that new lines get. */
static enum err choose_decoy(struct users *users)
{
    struct cost *costs = NULL;
    enum err err = OK;
    for (struct user *user = users->table; user && !err; user = user->hh.next)
        err = count_cost(&costs, user->hash);
    if (!err) {
        const char *hash = most_common(costs);
        users->decoy = hash ? strdup(hash) : crypt_gensalt_ra(NULL, 0, NULL, 0);
        err = users->decoy ? OK : ERR_NO_MEMORY;
    }
    costs_free(costs);
    return err;
}

enum err users_parse(const char *path, struct span text, struct users **ret_users)
{
    struct users *users = calloc(1, sizeof(*users));
    if (!users)
        return ERR_NO_MEMORY;
    enum err err = parse_users(users, path, text);
    if (!err)
        err = choose_decoy(users);
    if (err) {
        users_free(users);
        return err;
    }
    *ret_users = users;
    return OK;
}

enum err users_load(const char *path, struct users **ret_users)
{
    struct buf buf = BUF_INIT;
    enum err err = file_read(path, FILE_SECRET, FILE_SIZE_MAX, &buf);
    if (err)
        return err;
    err = users_parse(path, buf_span(&buf), ret_users);
    file_wipe(&buf);
    return err;
}

/* --- making a line ---------------------------------------------------------------------------------------------- */

bool password_valid(struct span password)
{
    return password.len >= 1 && password.len < CRYPT_MAX_PASSPHRASE_SIZE &&
           !memchr(password.data, '\0', password.len) && utf8_valid(password);
}

/* crypt(3) reads the password up to its NUL. */
static enum err hash_password(const char *password, char *hash)
{
    char *setting = crypt_gensalt_ra("$y$", 0, NULL, 0);
    struct crypt_data *data = calloc(1, sizeof(*data));
    enum err err = setting && data ? OK : ERR_NO_MEMORY;
    if (!err) {
        const char *made = crypt_rn(password, setting, data, sizeof(*data));
        err = made ? OK : ERR_INTERNAL;
        if (made)
            (void)put(hash, span_of(made));
    }
    if (data)
        explicit_bzero(data, sizeof(*data));
    free(data);
    free(setting);
    return err;
}

static enum err write_line(struct span user, struct span name, const char *password, char **ret_line)
{
    char hash[USERS_HASH_SIZE];
    enum err err = hash_password(password, hash);
    if (err)
        return err;
    struct buf buf = BUF_INIT;
    buf_add(&buf, user);
    buf_add_char(&buf, ':');
    buf_add_text(&buf, hash);
    buf_add_char(&buf, ':');
    buf_add(&buf, name);
    char *line = buf_take_text(&buf);
    if (!line)
        return ERR_NO_MEMORY;
    *ret_line = line;
    return OK;
}

enum err auth_users_line(struct span user, struct span name, struct span password, char **ret_line)
{
    bool usable = user_valid(user) && !memchr(user.data, ':', user.len) && user.data[0] != '#' && name_valid(name);
    if (!usable || !password_valid(password))
        return ERR_BAD_FIELD;
    char *copy = span_copy(password);
    if (!copy)
        return ERR_NO_MEMORY;
    enum err err = write_line(user, name, copy, ret_line);
    explicit_bzero(copy, password.len);
    free(copy);
    return err;
}
