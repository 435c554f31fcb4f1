/* The core for LuaJIT 2.0. */
#define LG_LUA 501
#define LG_JIT 20
#define LG_INSTANCE luajit20
#include "instance.h"
