/* The core for Lua 5.2. */
#define LG_LUA 502
#define LG_JIT 0
#define LG_INSTANCE lua52
#include "instance.h"
