/* The libraries of the sandbox, put together. Once per Lua version. */
#ifndef LG_LIBS_H
#define LG_LIBS_H

/* clang-format off: each builds on those before it */
#include "poll.h"
#include "tostring.h"
#include "strbuf.h"
#include "lib_match.h"
#include "lib_find.h"
#include "lib_string.h"
#include "lib_table.h"
#include "lib_math.h"
#include "lib_os.h"
#include "lib_utf8.h"
#include "lib_bit.h"
#include "lib_tonumber.h"
/* clang-format on */

/* Put the allowed libraries into the template at index t. */
static void lg_open_libraries(lua_State *L, int t) {
  static const struct {
    const char *name;
    void (*open)(lua_State *L);
  } libraries[] = {
      {"string", lg_open_string}, {"table", lg_open_table}, {"math", lg_open_math}, {"os", lg_open_os},
#if LG_LUA >= 503
      {"utf8", lg_open_utf8},
#endif
  };
  for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
    libraries[i].open(L);
    lua_setfield(L, t, libraries[i].name);
  }
#if LG_LUA == 502
  lg_open_bit(L);
  lua_setfield(L, t, "bit32");
#endif
#if LG_JIT
  lg_open_bit(L);
  lua_setfield(L, t, "bit");
#endif
}

#endif
