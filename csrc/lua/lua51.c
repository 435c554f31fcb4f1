/* The core for Lua 5.1. */
#define LG_LUA 501
#define LG_JIT 0
#define LG_INSTANCE lua51
#include "instance.h"
