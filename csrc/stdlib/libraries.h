/* The libraries of the sandbox, put together. Once per Lua version.
 *
 * A file that holds a whole library is named as Lua's own source of it is (lstrlib.c: strlib.h); the others are named for
 * the functions they hold. Of guard/, this room knows what a function needs of the run that called it: poll.h, cstack.h,
 * the wire of log entries, and how the host is asked (host_call.h). */
#ifndef LG_STDLIB_LIBRARIES_H
#define LG_STDLIB_LIBRARIES_H

#include "baselib.h"
#include "bitlib.h"
#include "corolib.h"
#include "files.h"
#include "find.h"
#include "mathlib.h"
#include "oslib.h"
#include "strlib.h"
#include "tablib.h"
#include "utf8lib.h"

/* Put the allowed libraries into the template at index t. */
static void lg_open_libraries(lua_State *L, int t) {
  static const struct {
    const char *name;
    void (*open)(lua_State *L);
  } libraries[] = {
      {"string", lg_open_string}, {"table", lg_open_table}, {"math", lg_open_math}, {"os", lg_open_os},
#if LG_HAS_UTF8
      {"utf8", lg_open_utf8},
#endif
  };
  for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
    libraries[i].open(L);
    lua_setfield(L, t, libraries[i].name);
  }
#if LG_HAS_BIT || LG_HAS_BIT32
  lg_open_bit(L);
  lua_setfield(L, t, LG_BIT_NAME);
#endif
}

#endif
