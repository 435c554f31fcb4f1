/* What luagauge adds to a Lua module that its wheel carries. Compiled with that Lua's own headers, outside its text
   section, and linked into the module; never into luagauge's own extension modules. */
#include "lua.h"
#if LG_CARRIED_JIT
#include "luajit.h"
#endif

#if LG_CARRIED_JIT
#define RELEASE LUAJIT_VERSION
#else
#define RELEASE LUA_RELEASE
#endif

#if defined(_WIN32)
#define EXPORTED __declspec(dllexport)
#else
#define EXPORTED __attribute__((visibility("default")))
#endif

/* The Lua's exact release, "Lua 5.4.8" for instance, from the headers. */
extern EXPORTED const char luagauge_release[];
const char luagauge_release[] = RELEASE;

#if LG_CARRIED_JIT
/* Objects of another LuaJIT release define another name, and are refused by the linker. */
extern void (*const luagauge_same_release)(void);
void (*const luagauge_same_release)(void) = LUAJIT_VERSION_SYM;
#endif

#if !defined(_WIN32)
#if defined(__APPLE__)
extern const char text_begin[] __asm("section$start$__TEXT$__luatext");
extern const char text_end[] __asm("section$end$__TEXT$__luatext");
#else
extern const char text_begin[] __asm("__start_luatext") __attribute__((visibility("hidden")));
extern const char text_end[] __asm("__stop_luatext") __attribute__((visibility("hidden")));
#endif

/* Begin and end of Lua's own code. On Windows the section headers of the loaded module tell. */
extern EXPORTED const void *const luagauge_text[2];
const void *const luagauge_text[2] = {text_begin, text_end};
#endif
