/* Everything that is compiled once per Lua version. Included by lua51.c and its siblings, which say
 * which version it is. */
#define _GNU_SOURCE /* gmtime_r and localtime_r */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua_api.h"

#define LG_TEXT_(x) #x
#define LG_TEXT(x) LG_TEXT_(x)
#define LG_INSTANCE_NAME LG_TEXT(LG_INSTANCE)
#define LG_JIT_ENGINE_OFF 0x0000 /* luaJIT_setmode: LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF */

#include "../guard/ops_table.h"
