/* The core for Lua 5.4. */
#define LG_LUA 504
#define LG_JIT 0
#define LG_INSTANCE lua54
#include "instance.h"
