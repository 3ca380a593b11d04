/* SPDX-License-Identifier: MIT */
/* Taking the Authorization header apart. */
#include "auth/login.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "base/utf8.h"

bool scheme_value(struct span authorization, const char *scheme, struct span *ret_value)
{
    size_t len = strlen(scheme);
    if (authorization.len <= len || strncasecmp(authorization.data, scheme, len) != 0 || authorization.data[len] != ' ')
        return false;
    while (len < authorization.len && authorization.data[len] == ' ')
        len++;
    *ret_value = (struct span){authorization.data + len, authorization.len - len};
    return true;
}

/* The text becomes two strings, since libcrypt wants them so. */
static enum err split(struct login *login, size_t len)
{
    struct span all = {login->text, len};
    char *colon = memchr(login->text, ':', len);
    if (!colon || memchr(login->text, '\0', len) || !utf8_valid(all))
        return ERR_UNAUTHORIZED;
    *colon = '\0';
    login->user = (struct span){login->text, (size_t)(colon - login->text)};
    login->password = (struct span){colon + 1, len - login->user.len - 1};
    return OK;
}

enum err login_decode(struct span value, struct login *ret_login)
{
    if (value.len == 0 || value.len > BASE64_SIZE(LOGIN_TEXT_MAX))
        return ERR_UNAUTHORIZED;
    size_t room = BASE64_ROOM(value.len);
    struct login login = {.text = malloc(room)};
    if (!login.text)
        return ERR_NO_MEMORY;
    size_t len = 0;
    enum err err = base64_decode(value, BASE64, (uint8_t *)login.text, &len);
    if (!err) {
        login.text[len] = '\0';
        err = split(&login, len);
    }
    if (err) {
        explicit_bzero(login.text, room);
        free(login.text);
        return err == ERR_NO_MEMORY ? err : ERR_UNAUTHORIZED;
    }
    *ret_login = login;
    return OK;
}

void login_fini(struct login *login)
{
    if (!login->text)
        return;
    explicit_bzero(login->text, login->user.len + login->password.len + 2);
    free(login->text);
    *login = (struct login){0};
}
