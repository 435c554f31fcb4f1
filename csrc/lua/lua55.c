/* The core for Lua 5.5. */
#define LG_LUA 505
#define LG_JIT 0
#define LG_INSTANCE lua55
#include "instance.h"
