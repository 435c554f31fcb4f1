/* The core for Lua 5.3. */
#define LG_LUA 503
#define LG_JIT 0
#define LG_INSTANCE lua53
#include "instance.h"
