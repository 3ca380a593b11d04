/* SPDX-License-Identifier: MIT */
/* The scripts' texts. redis_lua.inc is made from src/store/lua. */
#include "store/redis_script.h"

#include "store/redis_lua.inc"

#define BEFORE_BASE LUA_base
#define BEFORE_ALL LUA_base LUA_prelude
#define BEFORE_MEMBERS LUA_base LUA_prelude LUA_members

static const char *const texts[SCRIPT_COUNT] = {
#define ROW(name, file, prelude) [name] = BEFORE_##prelude LUA_##file,
    SCRIPT_TABLE(ROW)
#undef ROW
};

const char *script_text(enum script script)
{
    return texts[script];
}
