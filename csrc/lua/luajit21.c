/* The core for LuaJIT 2.1. */
#define LG_LUA 501
#define LG_JIT 21
#define LG_INSTANCE luajit21
#include "instance.h"
